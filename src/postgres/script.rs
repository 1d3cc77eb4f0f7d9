//! Runs the SQL script that the runbook pins (`C1`), statement by statement as `psql` would.
//!
//! Transactions are the script's own: EF Core puts `START TRANSACTION` and `COMMIT` around each migration. Which migrations are then
//! recorded is asked by [`super::migrations`].

pub mod split;

use std::pin::pin;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::sync::CancellationToken;

use self::split::{Statement, split};
use super::error::server_message;
use super::within::within;
use super::{Endpoint, Error, Pinned};
use crate::clock;
use crate::text::printable;

const DOING: &str = "run the migration script";
/// Characters of a statement that are shown.
const STATEMENT_SHOWN: usize = 120;
/// How often a statement is cancelled before its connection is simply dropped, and how long it may take to end each time.
const CANCELS: u32 = 5;
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptOutcome {
    /// Statements run.
    pub statements: usize,
    pub duration_ms: u64,
}

/// Runs `sql` over a connection of its own whose `search_path` is `schema`. Each statement and each notice is one line to `log`,
/// made harmless. `time_limit` is for the whole script.
///
/// # Errors
/// [`Error::Script`] before anything has run; [`Error::Statement`] for the first one that fails, with its line;
/// [`Error::OpenTransaction`]; the time limit or a cancellation, after the statement was cancelled on the server.
pub async fn run_script(
    endpoint: &Endpoint,
    schema: &str,
    sql: &str,
    time_limit: Duration,
    log: &mut (dyn FnMut(String) + Send),
    cancel: &CancellationToken,
) -> Result<ScriptOutcome, Error> {
    let statements = split(sql).map_err(|problem| Error::Script {
        line: problem.line,
        problem: problem.what,
    })?;
    let began_ms = clock::now_ms();
    let deadline = tokio::time::Instant::now() + time_limit;
    let (notices, mut noticed) = tokio::sync::mpsc::unbounded_channel();
    let client = Pinned::open_with(endpoint, schema, move |notice| {
        // Nobody listens any more once the script has ended.
        let _ = notices.send(format!("{}: {}", notice.severity(), server_message(notice)));
    })
    .await?;
    for statement in &statements {
        let statement_began_ms = clock::now_ms();
        let done = tokio::select! {
            answer = client.simple_query(statement.text) => answer.map(drop),
            () = tokio::time::sleep_until(deadline) => {
                stop(endpoint, &client).await;
                return Err(Error::TimeLimit { doing: DOING, seconds: time_limit.as_secs() });
            }
            () = cancel.cancelled() => {
                stop(endpoint, &client).await;
                return Err(Error::Cancelled { doing: DOING });
            }
        };
        while let Ok(notice) = noticed.try_recv() {
            log(notice);
        }
        let seconds = (clock::now_ms() - statement_began_ms) as f64 / 1_000.0;
        log(format!(
            "line {}: {} ({seconds:.2} s)",
            statement.line,
            shown(statement)
        ));
        done.map_err(|error| failed(statement, &error))?;
    }
    refuse_open_transaction(&client).await?;
    Ok(ScriptOutcome {
        statements: statements.len(),
        duration_ms: (clock::now_ms() - began_ms).cast_unsigned(),
    })
}

fn failed(statement: &Statement<'_>, error: &tokio_postgres::Error) -> Error {
    match (Error::of_statement(DOING, error), error.as_db_error()) {
        (
            Error::Sql {
                sqlstate, message, ..
            },
            db,
        ) => {
            let hint = db
                .and_then(|db| db.hint())
                .map(|hint| format!(" Hint: {}", printable(hint, 200)));
            Error::Statement {
                line: statement.line,
                statement: shown(statement),
                sqlstate,
                message: format!("{message}{}", hint.unwrap_or_default()),
            }
        }
        (other, _) => other,
    }
}

/// The first line, made harmless and cut.
fn shown(statement: &Statement<'_>) -> String {
    printable(
        statement.text.lines().next().unwrap_or_default().trim_end(),
        STATEMENT_SHOWN,
    )
}

/// Cancels on the server, for dropping a query's future does not. Dropping the client afterwards ends the session.
async fn stop(endpoint: &Endpoint, client: &Client) {
    // Answered after the cancelled statement: then it has ended.
    let mut ended = pin!(client.simple_query(""));
    // A server that is busy may hear of the cancellation before it has read the statement, and then nothing comes of it.
    for _ in 0..CANCELS {
        let cancelled = endpoint.cancel(&client.cancel_token()).await;
        if within(CANCEL_GRACE, &mut ended).await.is_some() {
            return;
        }
        if let Err(error) = cancelled {
            tracing::warn!(%error, "the statement could not be cancelled; its connection is dropped");
            return;
        }
    }
    tracing::warn!("the statement does not end; its connection is dropped");
}

/// A script that lacks its last COMMIT has done nothing, and would look like success.
async fn refuse_open_transaction(client: &Client) -> Result<(), Error> {
    // Inside a transaction `now()` stands still at its beginning.
    let query = "SELECT 1 WHERE now() <> statement_timestamp()";
    let answer = client
        .simple_query(query)
        .await
        .map_err(|error| Error::of_statement(DOING, &error))?;
    match answer
        .iter()
        .any(|message| matches!(message, SimpleQueryMessage::Row(_)))
    {
        true => Err(Error::OpenTransaction),
        false => Ok(()),
    }
}
