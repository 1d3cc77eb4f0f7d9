//! What can go wrong on the PostgreSQL side, by kind, each with what to do next. No password is in any of them.

use std::path::PathBuf;

use tokio_postgres::error::SqlState;

use crate::text::printable;

/// Characters of a server's message that are shown.
const MESSAGE_SHOWN: usize = 400;

/// An error of the target.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL cannot be understood.
    #[error(
        "the PostgreSQL URL is wrong: {problem}. Expected postgres://user@host:5432/database?sslmode=verify-full"
    )]
    Url {
        /// What is wrong with it, without the password.
        problem: String,
    },
    /// The URL asks for something that libpq knows and we do not do.
    #[error("the URL parameter {parameter} with this value is not supported: {reason}")]
    Unsupported {
        parameter: &'static str,
        /// Why, and what to do instead.
        reason: &'static str,
    },
    /// A pooler that shares server connections stands there; nothing was set.
    #[error(
        "{host} is a connection pooler that hands its connections to PostgreSQL on between two statements: {evidence}. What a session of \
         ours sets and locks would reach the application behind it, and what that sets would reach us. Nothing was set and nothing was \
         changed. Give the address of PostgreSQL itself, its own host and port past the pooler; the application's `runtime_url` may stay \
         on the pooler"
    )]
    Pooled { host: String, evidence: String },
    /// A console's column is no number.
    #[error("PgBouncer's {column} is no number: it says {told}")]
    Unreadable { column: &'static str, told: String },
    /// No address for the name.
    #[error("the host name {host} has no address. Check its spelling and the DNS of this machine")]
    UnknownHost {
        /// As in the URL.
        host: String,
    },
    /// Somebody is there and nobody listens.
    #[error(
        "{host} refuses the connection: no server listens there. Is PostgreSQL running, on that port, with `listen_addresses` set?"
    )]
    Refused { host: String },
    /// No way there.
    #[error(
        "{host} cannot be reached: {reason}. Check network, firewall and the path of the socket"
    )]
    Unreachable {
        /// Host and port, or socket folder.
        host: String,
        reason: String,
    },
    /// No answer in time.
    #[error(
        "{host} did not answer within {seconds} s. A firewall that drops packets looks like this; `connect_timeout` in the URL sets the limit"
    )]
    Timeout { host: String, seconds: u64 },
    /// The server wants a password and none was found.
    #[error("{host} wants a password for {user}, and none was found in PGPASSWORD, in the URL or in {passfile}", passfile = passfile.display())]
    NoPassword {
        host: String,
        user: String,
        passfile: PathBuf,
    },
    /// The password is not the right one (28P01), or the role does not exist: the server does not tell which.
    #[error(
        "{host} rejects the password of {user}, or there is no such role. The password came from {password_source}"
    )]
    WrongPassword {
        host: String,
        user: String,
        /// Where the password came from.
        password_source: &'static str,
    },
    /// Turned away by `pg_hba.conf`, or by a role that may not log in (28000).
    #[error(
        "{host} does not let {user} in: {message}. See pg_hba.conf on the server and the role's LOGIN right"
    )]
    NotAuthorised {
        host: String,
        user: String,
        message: String,
    },
    /// No such database (3D000).
    #[error(
        "{host} has no database {database}. Create it first: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
    )]
    UnknownDatabase { host: String, database: String },
    /// No CONNECT right, or connections are off for the database.
    #[error(
        "{user} may not connect to {database} on {host}: {message}. GRANT CONNECT ON DATABASE … TO …"
    )]
    NoConnect {
        host: String,
        user: String,
        database: String,
        message: String,
    },
    /// All connection slots are taken (53300).
    #[error(
        "{host} has no connection left: {message}. Close idle clients or raise max_connections"
    )]
    TooManyConnections { host: String, message: String },
    /// Starting up or shutting down (57P01–57P03).
    #[error("{host} is starting up or shutting down: {message}. Try again when it is up")]
    NotReady { host: String, message: String },
    /// The server offers no TLS, and the URL, or the way there, asks for it.
    #[error("{host} offers no TLS, and {why}. Nothing was sent. Turn `ssl` on in the server")]
    PlainTextRefused {
        host: String,
        /// Who asks for it.
        why: &'static str,
    },
    /// The handshake failed, or the certificate is not good enough for the `sslmode`.
    #[error("TLS with {host} failed: {reason}")]
    Tls {
        host: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A certificate or key file.
    #[error("{path}: {problem}", path = path.display())]
    CertificateFile {
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Connected to servers, and none is of the kind that `target_session_attrs` asks for.
    #[error("none of the hosts is {wanted}, as target_session_attrs asks: {host}")]
    WrongServerRole {
        host: String,
        /// `read-write`, `primary`, …
        wanted: &'static str,
    },
    /// The connection is gone; whether the last statement took effect is unknown.
    #[error(
        "the connection to PostgreSQL was lost while we tried to {doing}. Whether it took effect is unknown until somebody looks"
    )]
    Lost {
        /// What was under way.
        doing: &'static str,
    },
    /// The server's own error.
    #[error("PostgreSQL cannot {doing}: {message} (SQLSTATE {sqlstate})")]
    Sql {
        /// What was under way.
        doing: &'static str,
        /// Five characters.
        sqlstate: String,
        /// The server's words, made harmless.
        message: String,
    },
    /// The script cannot be run as it is; nothing of it was.
    #[error("line {line} of the migration script: {problem}. Nothing was run")]
    Script {
        /// Counted from 1.
        line: usize,
        problem: &'static str,
    },
    /// A statement of the script failed.
    #[error(
        "line {line} of the migration script failed: {statement}: {message} (SQLSTATE {sqlstate}). The transaction that it was in is rolled back; earlier ones stay"
    )]
    Statement {
        /// Where it begins, counted from 1.
        line: usize,
        /// Its first line, made harmless.
        statement: String,
        /// Five characters.
        sqlstate: String,
        /// The server's words and hint, made harmless.
        message: String,
    },
    /// The script began a transaction and did not end it.
    #[error(
        "the migration script leaves a transaction open: a COMMIT is missing. The transaction is rolled back; earlier ones stay"
    )]
    OpenTransaction,
    /// The answer was not of the expected form.
    #[error("cannot {doing}: {message}")]
    Protocol {
        /// What was under way.
        doing: &'static str,
        message: String,
    },
    /// A statement took longer than it may; it was cancelled on the server.
    #[error("{doing} took longer than {seconds} s and was cancelled on the server")]
    TimeLimit {
        /// What was under way.
        doing: &'static str,
        seconds: u64,
    },
    /// Asked to stop; cancelled on the server.
    #[error("{doing} was cancelled")]
    Cancelled {
        /// What was under way.
        doing: &'static str,
    },
}

impl Error {
    /// Whether nobody answered, as against an answer that is no.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::UnknownHost { .. }
                | Self::Refused { .. }
                | Self::Unreachable { .. }
                | Self::Timeout { .. }
        )
    }

    /// An error of a statement, by kind.
    pub fn of_statement(doing: &'static str, error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) if ends_the_connection(db.code()) => Self::Lost { doing },
            Some(db) => Self::Sql {
                doing,
                sqlstate: db.code().code().to_owned(),
                message: server_message(db),
            },
            None if error.is_closed() || io_of(error).is_some() => Self::Lost { doing },
            None => Self::Protocol {
                doing,
                message: printable(&error.to_string(), MESSAGE_SHOWN),
            },
        }
    }
}

/// The operator, a crash or a shutdown ended the backend under us.
fn ends_the_connection(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN].contains(code)
}

/// Message and detail, made harmless.
pub(super) fn server_message(error: &tokio_postgres::error::DbError) -> String {
    let detail = error
        .detail()
        .map(|detail| format!(" ({detail})"))
        .unwrap_or_default();
    printable(&format!("{}{detail}", error.message()), MESSAGE_SHOWN)
}

/// The I/O error inside, if that is what it is.
pub(super) fn io_of(error: &tokio_postgres::Error) -> Option<&std::io::Error> {
    std::error::Error::source(error)?.downcast_ref()
}
