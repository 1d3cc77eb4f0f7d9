//! What can go wrong while comparing. None of these changes either database, and none of them is ever "equal".

use super::report::Report;
use super::snapshot::NotASnapshot;
use crate::text::printable;
use std::path::PathBuf;

/// Characters of a server's message that are shown.
const MESSAGE_SHOWN: usize = 400;

pub(super) fn server(doing: &str) -> impl Fn(tokio_postgres::Error) -> Error + Copy {
    move |source| Error::Server {
        doing: doing.to_owned(),
        source,
    }
}

/// Why a comparison or a check did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source could not be opened or its schema not be read.
    #[error(transparent)]
    Source(#[from] crate::sqlite::Error),
    /// The target could not be reached.
    #[error("{endpoint}: {source}")]
    Connect {
        /// The URL without its password.
        endpoint: String,
        source: crate::postgres::Error,
    },
    /// SQLite failed while a table was read.
    #[error("reading {} from SQLite: {source}", printable(.table, 80))]
    Read {
        table: String,
        source: rusqlite::Error,
    },
    /// PostgreSQL refused a statement or went away.
    #[error("{}: {}", printable(.doing, 200), server_message(.source))]
    Server {
        /// What was being done, naming the table.
        doing: String,
        source: tokio_postgres::Error,
    },
    /// The stream of a table's rows ended in the middle of a row.
    #[error("reading {}: the rows ended in the middle of one", printable(.table, 80))]
    CutShort { table: String },
    /// The server wrote a value in a form that the checker does not know.
    #[error("{}.{}: PostgreSQL wrote {value}, which the checker cannot read as a value of the column's type", printable(.table, 80), printable(.column, 80))]
    Unreadable {
        table: String,
        column: String,
        /// What it wrote, made harmless.
        value: String,
    },
    /// The snapshot that was recorded at the switch cannot be read.
    #[error(transparent)]
    Snapshot(#[from] NotASnapshot),
    /// A check names a table or column that is not compared.
    #[error("{what}: {}: there is no such table or column on both sides", printable(.name, 160))]
    Unknown {
        what: String,
        /// The table or `Table.Column`.
        name: String,
    },
    /// The file for the differences could not be written.
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// Somebody cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A thread of the checker died.
    #[error("the thread that read SQLite died: {0}")]
    Died(String),
    /// The comparison broke off. What was compared until then is in the report.
    #[error("{}", stopped(.cause, .so_far))]
    Stopped {
        cause: Box<Error>,
        /// What was compared until then; never `equal`.
        so_far: Box<Report>,
    },
}

impl Error {
    /// The innermost reason.
    pub fn cause(&self) -> &Error {
        match self {
            Error::Stopped { cause, .. } => cause.cause(),
            other => other,
        }
    }

    /// Whether the server ended a statement at the limit that it was given: nothing is known to be wrong.
    pub fn took_too_long(&self) -> bool {
        let canceled = Some(&tokio_postgres::error::SqlState::QUERY_CANCELED);
        matches!(self.cause(), Error::Server { source, .. } if source.code() == canceled)
    }

    /// What was compared before the error, if the comparison had begun.
    pub fn so_far(&self) -> Option<&Report> {
        match self {
            Error::Stopped { so_far, .. } => Some(so_far),
            _ => None,
        }
    }
}

fn stopped(cause: &Error, so_far: &Report) -> String {
    use super::report::Compared;
    let compared = so_far
        .tables
        .iter()
        .filter(|table| table.compared != Compared::Nothing);
    let (done, equal) = compared.fold((0, 0), |(done, equal), table| {
        (done + 1, equal + usize::from(table.is_equal()))
    });
    let all = so_far.tables.len();
    format!(
        "{cause}. Compared so far: {done} of {all} tables, {equal} of them equal; nothing is known of the others. Comparing changes neither database"
    )
}

/// PostgreSQL's message with its detail, or the driver's with its cause; harmless.
pub(crate) fn server_message(error: &tokio_postgres::Error) -> String {
    let text = match error.as_db_error() {
        Some(db) => {
            let detail = db
                .detail()
                .map(|detail| format!(" ({detail})"))
                .unwrap_or_default();
            format!("{}{detail}, SQLSTATE {}", db.message(), db.code().code())
        }
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    };
    printable(&text, MESSAGE_SHOWN)
}
