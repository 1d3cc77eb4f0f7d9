//! A mark in the application's own file that says which rows of which salvage file a rollback has brought in. It is made in the transaction that
//! brings them, so that after a crash nobody has to guess whether they are in; it goes once that is on record.
//!
//! The mark is a table of its own that no comparison of schemas sees (`sqlite::shape`, `sqlite::schema`). Not in here: bringing rows in (`apply`).

use std::path::Path;
use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::apply::derived::Unfilled;
use super::error::Error;
use crate::ours::statements::{BROUGHT_BACK, drop_brought_back};
use crate::sqlite::{open_read_only_within, open_read_write_within};

/// How long somebody who writes is waited for.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// The columns of the mark, as it is made here. A table with others is somebody else's.
const COLUMNS: &str = "session,rows_sha256,at,rows,stays";

/// What the mark says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The session whose rows are in.
    pub session: String,
    /// The digest of the rows of its salvage file.
    pub rows_sha256: String,
    /// When they were brought in, RFC 3339.
    pub at: String,
    /// How many of them.
    pub rows: u64,
    /// What is not in, but for rows: the salvage file says which of them stay.
    pub stays: Stays,
}

/// What is not in, but for rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stays {
    /// What SQLite's triggers would have filled and is as before.
    pub unfilled: Unfilled,
}

/// Leaves the mark, in the transaction that is open.
///
/// # Errors
/// SQLite's; also where a table of this name is there that is not ours.
pub fn leave(connection: &Connection, mark: &Mark) -> Result<(), Error> {
    let stays = serde_json::to_string(&mark.stays).expect("BUG: a mark is plain data");
    let make = format!(
        "CREATE TABLE IF NOT EXISTS main.{BROUGHT_BACK} (session TEXT NOT NULL PRIMARY KEY, rows_sha256 TEXT NOT NULL, at TEXT NOT NULL,
             rows INTEGER NOT NULL, stays TEXT NOT NULL)"
    );
    let sql = format!(
        "INSERT OR REPLACE INTO main.{BROUGHT_BACK} (session, rows_sha256, at, rows, stays) VALUES (?1, ?2, ?3, ?4, ?5)"
    );
    let rows = i64::try_from(mark.rows).unwrap_or(i64::MAX);
    let values = params![mark.session, mark.rows_sha256, mark.at, rows, stays];
    let written = connection
        .execute_batch(&make)
        .and_then(|()| connection.execute(&sql, values));
    let doing = format!("writing {BROUGHT_BACK}");
    written.map(drop).map_err(Error::sqlite(doing))
}

/// The mark of a session, where the file has one.
///
/// # Errors
/// The file cannot be read, or the mark says something that this version does not know.
pub fn find(file: &Path, session: &str) -> Result<Option<Mark>, Error> {
    let connection = open_read_only_within(file, BUSY_LIMIT)?;
    let read = || -> rusqlite::Result<Option<Mark>> {
        if !is_ours(&connection)? {
            return Ok(None);
        }
        let sql = format!(
            "SELECT rows_sha256, at, rows, stays FROM main.{BROUGHT_BACK} WHERE session = ?1"
        );
        let found = connection.query_row(&sql, [session], |row| {
            let stays: String = row.get(3)?;
            let stays = serde_json::from_str(&stays).map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(3, Type::Text, Box::new(error))
            })?;
            Ok(Mark {
                session: session.to_owned(),
                rows_sha256: row.get(0)?,
                at: row.get(1)?,
                rows: row.get::<_, i64>(2)?.unsigned_abs(),
                stays,
            })
        });
        found.optional()
    };
    let doing = format!("reading {BROUGHT_BACK} of {}", file.display());
    read().map_err(Error::sqlite(doing))
}

/// Takes the mark away, of whichever session; gives whether there was one. What the rows are is on record by then.
///
/// # Errors
/// The file cannot be written, or somebody else keeps its lock: the mark stays, and harms nothing.
pub fn remove_mark(file: &Path) -> Result<bool, Error> {
    let doing = || format!("removing {BROUGHT_BACK} from {}", file.display());
    let connection = open_read_only_within(file, BUSY_LIMIT)?;
    if !is_ours(&connection).map_err(Error::sqlite(doing()))? {
        return Ok(false);
    }
    drop(connection);
    // Looked at again under the lock: what has the name by now may be somebody else's.
    let mut connection = open_read_write_within(file, BUSY_LIMIT)?;
    let mut remove = || -> rusqlite::Result<bool> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_there = is_ours(&transaction)?;
        if is_there {
            transaction.execute_batch(&drop_brought_back())?;
        }
        transaction.commit()?;
        Ok(is_there)
    };
    remove().map_err(Error::sqlite(doing()))
}

/// Whether the file has the table, as it is made here.
fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    let sql =
        "SELECT group_concat(name, ',') FROM (SELECT name FROM pragma_table_info(?1) ORDER BY cid)";
    let columns: Option<String> = connection.query_row(sql, [BROUGHT_BACK], |row| row.get(0))?;
    Ok(columns.as_deref() == Some(COLUMNS))
}
