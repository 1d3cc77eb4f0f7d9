//! The capture: triggers on the moved tables that note in the target, in the transaction of each write, which keys it has written.
//!
//! A note is `(transaction, table's number, operation, key before, key after)` in `cutover.feed_notes`. A key is an array of the key
//! columns' texts, whatever the writer's settings are. A TRUNCATE, and any write to a table without a key, leaves a note without keys. An
//! INSERT has only a key after, a DELETE only one before. Of an UPDATE by a statement trigger, a key that the statement found and left has
//! both; one that it only found, or only left, has that one. Which row took which key is not noted: who reads the notes asks for the rows
//! as they are now.
//!
//! A plain table has statement triggers. A table that has partitions, is one, or inherits or is inherited from, has row triggers: a statement
//! that names a part does not fire the statement triggers of the whole. The triggers fire always, also for
//! `session_replication_role = replica`. Their functions are `SECURITY DEFINER`, so that whoever writes needs no right in the schema
//! `cutover`.
//!
//! Nothing is written that is not noted; and no write fails for the capture whatever becomes of its table: where a column of a key was dropped
//! or renamed, the note has no keys. Who drops `feed_notes` with all that depends on it drops the triggers too. What is left that fails a write
//! is what would fail the note in any table: a disk without room (or `temp_file_limit`, for the rows of one statement that wait for its trigger), and
//! a right of the functions' owner that somebody takes away.
//!
//! Everything runs on a connection that the caller gives, in transactions of its own. A caller that stops waiting drops the connection with
//! it. Not in here: reading the notes.

mod missing;
mod obstacles;
mod removal;
mod statements;
mod tables;

use std::collections::BTreeSet;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

pub use obstacles::obstacles;
pub use removal::{left, remove};

use crate::clock;
use crate::ours::statements::{Name, delete_rows, drop_trigger};
use crate::postgres::{self, own_schema};
use crate::text::printable;
use tables::{Moved, Wanted};

/// The note's letter of an INSERT.
pub const INSERT: &str = "i";
/// The note's letter of an UPDATE.
pub const UPDATE: &str = "u";
/// The note's letter of a DELETE.
pub const DELETE: &str = "d";
/// The note's letter of a TRUNCATE: all keys.
pub const TRUNCATE: &str = "t";

/// A moved table as the capture knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// By which its notes name it. Of each table another one.
    pub number: i32,
    /// Its schema in the target.
    pub schema: String,
    pub table: String,
    /// The key's columns as the target calls them; empty where the table has none.
    pub key: Vec<String>,
}

impl Captured {
    fn name(&self) -> Name {
        Name::new(&self.schema, &self.table)
    }
}

/// Why the capture is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refuses, or is gone.
    #[error(transparent)]
    Server(#[from] postgres::Error),
    /// A table of which it cannot be made.
    #[error(
        "what is written to {table} cannot be noted: {source}. Nothing of the capture was made or changed, and no row of the application's \
         was touched. It may be tried again; where a lock is in the way, once its holder is done"
    )]
    Table {
        table: String,
        source: postgres::Error,
    },
    /// It was made, and would not note everything.
    #[error(
        "what is written to PostgreSQL cannot be noted: {}. Nothing of the capture was made or changed, and no row of the application's was \
         touched. Once that is mended it may be tried again", .0.join("; ")
    )]
    Unsound(Vec<String>),
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; SET LOCAL client_min_messages = warning";

/// Whatever the role's defaults are, no serializable transaction of the application's fails because of ours; and notes that come back after a
/// crash are deleted again. What nobody waits for any more ends by itself: it would keep its rows from the next attempt.
const BEGIN_PRUNING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = off; \
     SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '2s'";

/// Notes that are deleted in one transaction, to begin with.
const NOTES_PER_DELETE: u64 = 5_000;

/// And where those took no longer than this: after a bulk write, or without an engine for hours, there are millions.
const MANY_PER_DELETE: u64 = 50_000;
const QUICK_MS: i64 = 150;

/// How long notes are deleted before something else is done.
const PRUNE_FOR_MS: i64 = 1_000;

/// Makes the capture of these tables for this session, all of it in one transaction or none. What is there already, of this session or of an
/// earlier one, becomes what is wanted now; what is as wanted is left alone. Notes of this session stay; those of another session go.
///
/// # Errors
/// A table is not there or is not ours to put triggers on, a lock is not let go in 5 s, or the server is gone.
pub async fn install(client: &Client, session: &str, tables: &[Captured]) -> Result<(), Error> {
    let failed = server("begin the capture");
    client.batch_execute(BEGIN).await.map_err(failed)?;
    let made = make(client, session, tables).await;
    let end = if made.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await;
    made?;
    ended.map_err(server("commit the capture"))
}

async fn make(client: &Client, session: &str, tables: &[Captured]) -> Result<(), Error> {
    make_room(client, session).await?;
    let moved = tables::moved(client, tables).await?;
    let absent = missing::absent(tables, &moved);
    if !absent.is_empty() {
        return Err(Error::Unsound(absent));
    }
    note_shapes(client, session, &moved).await?;
    for one in &moved {
        let function = statements::create_function(one.table, &one.noting());
        let made = client.batch_execute(&function).await;
        made.map_err(of_table(&one.root.name))?;
    }
    make_triggers(client, &moved).await?;
    // A part that somebody has added meanwhile has none.
    let unsound = missing::missing(client, tables).await?;
    if unsound.is_empty() {
        Ok(())
    } else {
        Err(Error::Unsound(unsound))
    }
}

/// The schema and the tables of our own; empty but for this session's notes.
async fn make_room(client: &Client, session: &str) -> Result<(), Error> {
    let doing = || server("make the tables of the capture");
    client
        .batch_execute(own_schema::MAKE)
        .await
        .map_err(doing())?;
    if !tables::are_ours_there(client).await? {
        let made = client.batch_execute(statements::MAKE).await;
        return made.map_err(doing());
    }
    let ours = "SELECT EXISTS (SELECT FROM cutover.feed_tables WHERE session = $1)";
    let row = client.query_one(ours, &[&session]).await;
    if !row.map_err(doing())?.get::<_, bool>(0) {
        let notes = delete_rows(&Name::new("cutover", "feed_notes"), "operation IS NOT NULL");
        client.batch_execute(&notes).await.map_err(doing())?;
    }
    let shapes = delete_rows(&Name::new("cutover", "feed_tables"), "session IS NOT NULL");
    client.batch_execute(&shapes).await.map_err(doing())
}

/// Which relations each table has now, with which columns: so that it is seen when that changes.
async fn note_shapes(client: &Client, session: &str, moved: &[Moved<'_>]) -> Result<(), Error> {
    let insert = "INSERT INTO cutover.feed_tables (session, number, relation, name, shape) VALUES ($1, $2, $3, $4, $5)";
    for (number, relation) in moved.iter().flat_map(Moved::numbered) {
        let name = shown(&relation.name);
        client
            .execute(
                insert,
                &[&session, &number, &relation.oid, &name, &relation.shape],
            )
            .await
            .map_err(server("record the tables of the capture"))?;
    }
    Ok(())
}

/// Drops what is not wanted, or is not as wanted; makes what is not there.
async fn make_triggers(client: &Client, moved: &[Moved<'_>]) -> Result<(), Error> {
    let present = tables::present(client).await?;
    let wanted: Vec<Wanted<'_>> = moved.iter().flat_map(Moved::wanted).collect();
    let sound = wanted.iter().filter(|one| one.fault(&present).is_none());
    let sound: BTreeSet<(u32, &str)> = sound
        .map(|one| (one.relation.oid, one.trigger.as_str()))
        .collect();
    for ((relation, trigger), one) in &present {
        if !one.is_clone && !sound.contains(&(*relation, trigger.as_str())) {
            let dropped = client
                .batch_execute(&drop_trigger(&one.table, trigger))
                .await;
            dropped.map_err(of_table(&one.table))?;
        }
    }
    for one in &wanted {
        if !one.is_clone && !sound.contains(&(one.relation.oid, one.trigger.as_str())) {
            let made = client.batch_execute(&one.create()).await;
            made.map_err(of_table(&one.relation.name))?;
        }
    }
    Ok(())
}

/// What of the capture is no longer there, was disabled, or does not note everything any more; each in words that name the table. Empty
/// where all is well.
pub async fn missing(client: &Client, tables: &[Captured]) -> Result<Vec<String>, Error> {
    missing::missing(client, tables).await
}

/// Deletes notes of transactions that this snapshot (`pg_snapshot` as text) sees, as many as a second or so lets. How many there were.
///
/// # Errors
/// The server is gone, or the notes are.
pub async fn prune(client: &Client, read_snapshot: &str) -> Result<u64, Error> {
    let began_ms = clock::now_ms();
    let (mut at_most, mut pruned) = (NOTES_PER_DELETE, 0);
    loop {
        let since_ms = clock::now_ms();
        match prune_some(client, at_most, read_snapshot).await {
            Ok(some) => {
                pruned += some;
                let now_ms = clock::now_ms();
                if some < at_most || now_ms - began_ms >= PRUNE_FOR_MS {
                    return Ok(pruned);
                }
                if now_ms - since_ms <= QUICK_MS {
                    at_most = MANY_PER_DELETE;
                }
            }
            Err(error) if !took_too_long(&error) || at_most == 1 => return Err(error),
            Err(_) if pruned > 0 => return Ok(pruned),
            // A server that is too slow for so many is given fewer: else none of them would ever go.
            Err(_) => at_most = (at_most / 10).max(1),
        }
    }
}

async fn prune_some(client: &Client, at_most: u64, read_snapshot: &str) -> Result<u64, Error> {
    let failed = || server("delete notes that were read");
    let some = format!(
        "ctid = ANY (ARRAY(SELECT n.ctid FROM cutover.feed_notes n
           WHERE pg_catalog.pg_visible_in_snapshot(n.xid, $1::text::pg_snapshot) LIMIT {at_most}))"
    );
    let prune = delete_rows(&Name::new("cutover", "feed_notes"), &some);
    let begun = client.batch_execute(BEGIN_PRUNING).await;
    begun.map_err(failed())?;
    let pruned = client.execute(&prune, &[&read_snapshot]).await;
    let end = if pruned.is_ok() { "COMMIT" } else { "ROLLBACK" };
    client.batch_execute(end).await.map_err(failed())?;
    pruned.map_err(failed())
}

/// Whether the server has ended the statement for its time limit.
fn took_too_long(error: &Error) -> bool {
    match error {
        Error::Server(postgres::Error::Sql { sqlstate, .. }) => {
            sqlstate == SqlState::QUERY_CANCELED.code()
        }
        Error::Server(_) | Error::Table { .. } | Error::Unsound(_) => false,
    }
}

/// An error of a statement that concerns no table of the application's.
fn server(doing: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Error {
    move |error| Error::Server(postgres::Error::of_statement(doing, &error))
}

/// An error of a statement about this table.
fn of_table(table: &Name) -> impl FnOnce(tokio_postgres::Error) -> Error + use<> {
    let table = shown(table);
    move |error| Error::Table {
        table,
        source: postgres::Error::of_statement("make its triggers", &error),
    }
}

/// A table for people.
fn shown(table: &Name) -> String {
    printable(&format!("{}.{}", table.schema, table.name), 120)
}
