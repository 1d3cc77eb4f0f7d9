//! The lock that lets nobody write: it is there once the last transaction that writes has ended, and it holds superusers and the owner too.
//!
//! Not in here: rights (`writers`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{Error, MOVED, TableName, columns};
use crate::postgres::quoted;
use crate::text::printable;

/// How often those who stay beyond the drain are told to end, before the lock is given up.
const ROUNDS: usize = 10;

/// The lock is asked for in short attempts, each shorter than what the server takes to look for deadlocks: a transaction that still needs
/// another table goes on between two of them.
const ATTEMPT_MS: i64 = 100;

/// One attempt, at most, is longer than that: only then does the server end an autovacuum for us, which nobody but a superuser may end.
const LONGEST_ATTEMPT_MS: i64 = 2_500;
/// What an attempt takes beyond what the server waits before it looks what it waits for.
const BEYOND_MS: i64 = 200;

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; \
    SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings WHERE name = 'transaction_timeout'";

/// Our process, and after how many milliseconds the server looks what a lock waits for.
const OWN: &str = "SELECT pg_catalog.pg_backend_pid(), (SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'deadlock_timeout')";

/// Sessions that hold or await a lock on the tables that keeps ours away. To who may not see more, an autovacuum is a process without a role.
const OTHERS: &str = "
    SELECT l.pid, coalesce(a.usename::text, a.backend_type, '?'), coalesce(a.application_name, ''), coalesce(a.state, '?'),
           coalesce(extract(epoch FROM now() - coalesce(a.xact_start, a.query_start)), 0)::int8,
           bool_or(coalesce(a.backend_type = 'autovacuum worker',
                            a.pid IS NOT NULL AND a.usesysid IS NULL AND l.mode = 'ShareUpdateExclusiveLock'))
      FROM pg_catalog.pg_locks l JOIN moved m ON m.oid = l.relation
      LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM $3
       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
       AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
     GROUP BY 1, 2, 3, 4, 5 ORDER BY 1";

/// Nobody writes to the moved tables as long as this is there: an open transaction holds `SHARE` locks on them. To drop it lets go.
pub struct TargetFence {
    client: Client,
}

impl TargetFence {
    /// The connection that holds the locks, in its transaction, which is read-only and sees what has been committed. What fails on it ends
    /// the transaction, and with it the locks.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the connection is still there.
    pub fn is_held(&self) -> bool {
        !self.client.is_closed()
    }
}

/// Who was in the way of the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drained {
    /// Sessions that were told to end, a line each.
    pub terminated: Vec<String>,
    /// Sessions that keep the lock away, and why they are still there, a line each. Empty where the lock is held.
    pub still: Vec<String>,
}

struct Other {
    /// `None` is a prepared transaction, which has no process.
    pid: Option<i32>,
    is_ours: bool,
    is_autovacuum: bool,
    words: String,
}

/// Locks the tables, with their parts and all that inherits from them, against every writer, and says who was in the way. For `drain` whoever
/// writes may come to an end; who stays is ended through `second`, where that may be done. Without the lock nothing of it is held.
///
/// # Errors
/// The server does not answer, or does not let us lock.
pub async fn lock(
    holder: Client,
    second: &Client,
    tables: &[TableName],
    drain: Duration,
) -> Result<(Option<TargetFence>, Drained), Error> {
    let failed = |error| Error::of_statement("begin to lock the moved tables", &error);
    holder.batch_execute(BEGIN).await.map_err(failed)?;
    let own = holder.query_one(OWN, &[]).await.map_err(failed)?;
    let (own, looks_after_ms): (i32, Option<i64>) = (own.get(0), own.get(1));
    let long_ms = looks_after_ms.unwrap_or_default() + BEYOND_MS;
    let mut patience = Some(long_ms.clamp(ATTEMPT_MS, LONGEST_ATTEMPT_MS));
    let names = tables.iter().map(|(schema, table)| {
        let (schema, table) = (quoted(schema), quoted(table));
        format!("{schema}.{table}")
    });
    let names: Vec<String> = names.collect();
    let ends = Instant::now() + drain;
    let mut drained = Drained::default();
    loop {
        if is_locked(&holder, &names, ATTEMPT_MS).await? {
            return Ok((Some(TargetFence { client: holder }), drained));
        }
        if Instant::now() >= ends {
            break;
        }
    }
    let mut told = BTreeSet::new();
    let mut why = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut limit_ms = ATTEMPT_MS;
        for other in others(second, tables, own).await? {
            if other.is_autovacuum {
                let spared = "the server ends it for whoever waits for longer, but where it prevents a wraparound";
                why.insert(other.pid, spared.to_owned());
                limit_ms = patience.take().unwrap_or(limit_ms);
                continue;
            }
            end(second, &other, &mut why).await?;
            let is_new = other.pid.is_some_and(|pid| told.insert(pid));
            if is_new && !why.contains_key(&other.pid) {
                drained.terminated.push(other.words);
            }
        }
        if is_locked(&holder, &names, limit_ms).await? {
            return Ok((Some(TargetFence { client: holder }), drained));
        }
    }
    let still = others(second, tables, own).await?;
    let still = still.iter().map(|other| match why.get(&other.pid) {
        Some(why) => format!("{}: {why}", other.words),
        None => format!("{}: it was told to end, and is still there", other.words),
    });
    drained.still = still.collect();
    if drained.still.is_empty() {
        let unseen = "writers come and go faster than the lock is given";
        drained.still.push(unseen.to_owned());
    }
    Ok((None, drained))
}

/// One attempt; what it has got of the tables is let go where it has not got all.
async fn is_locked(holder: &Client, names: &[String], limit_ms: i64) -> Result<bool, Error> {
    if names.is_empty() {
        return Ok(true);
    }
    let lock = format!(
        "SAVEPOINT tried; SET LOCAL lock_timeout = {limit_ms}; LOCK TABLE {} IN SHARE MODE",
        names.join(", ")
    );
    let Err(error) = holder.batch_execute(&lock).await else {
        return Ok(true);
    };
    let passing = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    if !error.code().is_some_and(|code| passing.contains(code)) {
        return Err(Error::of_statement("lock the moved tables", &error));
    }
    let back = holder.batch_execute("ROLLBACK TO tried; RELEASE tried");
    let failed = |error| Error::of_statement("let go of some of the moved tables", &error);
    back.await.map_err(failed)?;
    Ok(false)
}

async fn others(second: &Client, tables: &[TableName], own: i32) -> Result<Vec<Other>, Error> {
    let (schemas, names) = columns(tables);
    let sql = format!("{MOVED}{OTHERS}");
    let rows = second.query(&sql, &[&schemas, &names, &own]).await;
    let rows = rows.map_err(|error| Error::of_statement("read pg_locks", &error))?;
    let other = |row: &tokio_postgres::Row| {
        let pid: Option<i32> = row.get(0);
        let (role, application): (&str, &str) = (row.get(1), row.get(2));
        let (state, seconds): (&str, i64) = (row.get(3), row.get(4));
        let words = match pid {
            None => "a prepared transaction".to_owned(),
            Some(pid) => format!(
                "session {pid} ({} as {}, {} for {seconds} s)",
                printable(role, 63),
                match application {
                    "" => "?".to_owned(),
                    application => printable(application, 63),
                },
                printable(state, 40)
            ),
        };
        Other {
            pid,
            is_ours: application.starts_with("cutover"),
            is_autovacuum: row.get(5),
            words,
        }
    };
    Ok(rows.iter().map(other).collect())
}

/// Ends one session; why it was not, by its process.
async fn end(
    second: &Client,
    other: &Other,
    why: &mut BTreeMap<Option<i32>, String>,
) -> Result<(), Error> {
    let Some(pid) = other.pid else {
        let how = "COMMIT PREPARED or ROLLBACK PREPARED ends it (pg_prepared_xacts has its name)";
        why.insert(None, how.to_owned());
        return Ok(());
    };
    if other.is_ours {
        let spared = "it calls itself cutover, and is not ended";
        why.insert(other.pid, spared.to_owned());
        return Ok(());
    }
    let end = "SELECT pg_catalog.pg_terminate_backend($1)";
    match second.query_one(end, &[&pid]).await {
        // Where it was not there any more, it has ended by itself.
        Ok(_) => Ok(()),
        Err(error) if error.as_db_error().is_some() && !second.is_closed() => {
            let error = Error::of_statement("end it", &error);
            why.insert(other.pid, error.to_string());
            Ok(())
        }
        Err(error) => Err(Error::of_statement("end a session", &error)),
    }
}
