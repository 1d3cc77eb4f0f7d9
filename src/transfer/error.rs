//! What can go wrong with an import, and whether trying again may help.

use std::path::PathBuf;

use crate::text::printable;
use crate::transfer::copy::TableAccount;
use crate::transfer::delta::Refusal;
use crate::transfer::occupied::Disagreement;
use crate::transfer::plan::Problem;

/// Why a plan or an import ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source file could not be opened or read.
    #[error("{}: {source}", path.display())]
    Source {
        path: PathBuf,
        /// What opening it said.
        source: crate::sqlite::Error,
    },
    /// SQLite failed while reading.
    #[error("reading {} from {}: {source}", printable(.table, 80), path.display())]
    Read {
        path: PathBuf,
        /// The table, or what else was read.
        table: String,
        source: rusqlite::Error,
    },
    /// The target could not be reached.
    #[error("connecting to {endpoint}: {source}")]
    Connect {
        /// The target without its password.
        endpoint: String,
        source: crate::postgres::Error,
    },
    /// PostgreSQL refused a statement or went away.
    #[error("{doing}: {}", server_message(.source))]
    Server {
        /// What was being done, naming table and batch.
        doing: String,
        source: tokio_postgres::Error,
    },
    /// A batch made no progress for this long and was cancelled.
    #[error("{doing}: no progress for {after_s} s, cancelled")]
    Stalled {
        /// What was being done, naming table and batch.
        doing: String,
        /// Seconds without progress.
        after_s: u64,
    },
    /// The target cannot take this import as it is.
    #[error("{0}")]
    Target(String),
    /// Values or names that do not fit, all of the plan or of the batch that stopped.
    #[error("{} problem(s), the first: {}", .0.len(), .0.first().map(ToString::to_string).unwrap_or_default())]
    Problems(Vec<Problem>),
    /// Another import is unfinished in this target, and rows of it are there.
    #[error(
        "an import with another key ({found}) is unfinished in schema {schema}: {why}. Its own command, with its own source and transfer \
         section, finishes it; this one starts over with `target_rows: replace` in its transfer section, which deletes what was loaded. Nothing \
         was touched"
    )]
    OtherImport {
        /// The key of the unfinished import.
        found: String,
        schema: String,
        /// In what it differs from this one.
        why: String,
    },
    /// Rows that an earlier import put aside, of tables that this one does not bring, would go with its record.
    #[error(
        "an earlier import into schema {} put {rows} row(s) aside of tables that this one does not bring, such as {}; they are kept in \
         cutover.quarantine and would go with its record. Copy them elsewhere and delete them there first. Nothing was touched",
        printable(.schema, 80),
        printable(.table, 80)
    )]
    PutAside {
        schema: String,
        rows: i64,
        /// One of the source tables.
        table: String,
    },
    /// Emptying the planned tables would delete rows that SQLite does not have, and nobody agreed to just that.
    #[error(
        "`target_rows: replace` would delete rows that SQLite does not have: {}. Nothing was touched",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Discard(Vec<Disagreement>),
    /// The source was written to while it was read: rows may have been read from different moments.
    #[error("{} was written to while it was read: {what}. {state}", path.display())]
    SourceChanged {
        path: PathBuf,
        what: String,
        /// What that leaves, and what to do.
        state: &'static str,
    },
    /// Rows are missing or too many at the end of the import.
    #[error(
        "the account of the import does not add up: {}. The import is not complete; `target_rows: replace` starts over",
        .wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    )]
    Account {
        /// The tables that do not add up.
        wrong: Vec<TableAccount>,
        /// All tables.
        account: Vec<TableAccount>,
    },
    /// Another process imports into the same schema right now.
    #[error("another import into schema {schema} is running")]
    Busy { schema: String },
    /// The target's columns are no longer those that the import began with.
    #[error("{} in the target changed during the import: {what}", printable(.table, 80))]
    Changed { table: String, what: String },
    /// The server counted other rows than were sent.
    #[error("{}: sent {sent} rows, PostgreSQL counted {counted}; the batch was rolled back", printable(.table, 80))]
    Count {
        table: String,
        sent: u64,
        /// Rows the server counted.
        counted: u64,
    },
    /// A constraint or index could not be rebuilt; the rows at fault are named.
    #[error("{} on {} cannot be rebuilt: {why}", printable(.name, 80), printable(.table, 80))]
    Rebuild {
        table: String,
        /// The constraint or index.
        name: String,
        /// PostgreSQL's reason, and the rows at fault.
        why: String,
    },
    /// What changed since an earlier import could not be brought by itself.
    #[error("{0}")]
    Since(Refusal),
    /// Somebody cancelled.
    #[error(
        "cancelled; what was committed stays, and the import goes on from there when started again"
    )]
    Cancelled,
}

impl Error {
    /// Whether the same call may succeed when repeated: lost connections, restarts, stalls, deadlocks. Everything else is definite.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Stalled { .. } => true,
            Self::Server { source, .. } => is_passing(source),
            Self::Connect { source, .. } => connecting_may_work_later(source),
            Self::Source { .. }
            | Self::Read { .. }
            | Self::Target(_)
            | Self::Problems(_)
            | Self::OtherImport { .. }
            | Self::PutAside { .. }
            | Self::Discard(_)
            | Self::SourceChanged { .. }
            | Self::Account { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::Count { .. }
            | Self::Rebuild { .. }
            | Self::Since(_)
            | Self::Cancelled => false,
        }
    }

    /// Whether no server answered at the address at all; one that answers that it is starting or full is there.
    pub(crate) fn is_nobody_there(&self) -> bool {
        use crate::postgres::Error as Target;
        matches!(
            self,
            Self::Connect { source, .. }
                if matches!(source, Target::Refused { .. } | Target::Unreachable { .. } | Target::Timeout { .. })
        )
    }
}

/// Whether PostgreSQL's answer tells of a state that passes: the connection is gone, the server restarts, a deadlock was resolved.
pub(crate) fn is_passing(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    match error.as_db_error() {
        None => {
            error.is_closed()
                || std::error::Error::source(error)
                    .is_some_and(|source| source.is::<std::io::Error>())
        }
        Some(db) => {
            let code = db.code();
            code.code().starts_with("08")
                || [
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::LOCK_NOT_AVAILABLE,
                ]
                .contains(code)
        }
    }
}

/// Whether the way to the server may open again by itself.
fn connecting_may_work_later(error: &crate::postgres::Error) -> bool {
    use crate::postgres::Error as Target;
    matches!(
        error,
        Target::Refused { .. }
            | Target::Unreachable { .. }
            | Target::Timeout { .. }
            | Target::TooManyConnections { .. }
            | Target::NotReady { .. }
            | Target::Lost { .. }
    )
}

/// PostgreSQL's message with detail and hint, made harmless.
pub(crate) fn server_message(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        return printable(&format!("{error}{cause}"), 500);
    };
    let mut text = format!("{} ({})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str("; ");
        text.push_str(more);
    }
    printable(&text, 1000)
}

/// Wraps PostgreSQL's answer with what was being done.
pub(crate) fn server(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Error {
    let doing = doing.into();
    move |source| Error::Server { doing, source }
}

/// Wraps SQLite's answer with file and table.
pub(crate) fn read<'p>(
    path: &'p std::path::Path,
    table: &str,
) -> impl FnOnce(rusqlite::Error) -> Error + use<'p> {
    let table = table.to_owned();
    move |source| Error::Read {
        path: path.to_path_buf(),
        table,
        source,
    }
}
