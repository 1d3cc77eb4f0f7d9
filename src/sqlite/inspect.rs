//! What SQLite can say about the soundness of a database: integrity, orphans, collations. Reads only.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, ErrorCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::error::Error;
use crate::text::printable;

/// How many findings a message shows.
const FINDINGS_SHOWN: usize = 5;
/// Virtual-machine steps between two looks at the cancellation.
const STEPS_BETWEEN_LOOKS: i32 = 100_000;

/// Rows of one table whose foreign key points nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphans {
    /// The table that has them.
    pub table: String,
    /// The table that they point to.
    pub parent: String,
    pub rows: u64,
    /// The first rowid; `None` in a table without one.
    pub example_rowid: Option<i64>,
}

/// Runs the full `integrity_check`; the quick one misses indexes that lie.
///
/// # Errors
/// [`Error::Corrupt`] with the first findings, [`Error::UnknownCollation`], or cancelled. `path` is what messages say.
pub fn integrity(
    connection: &mut Connection,
    path: &Path,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    refuse_unknown_collations(connection, path)?;
    let token = cancel.clone();
    let watch =
        connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || token.is_cancelled()));
    watch.map_err(|error| failed(path, error))?;
    let findings = match lines(connection, "PRAGMA integrity_check(100)") {
        // The schema calls functions that only the application has (REGEXP and the like): what does not need them is checked.
        Err(error) if may_lack_a_function(&error) => round_functions(connection),
        findings => findings,
    };
    connection
        .progress_handler(0, None::<fn() -> bool>)
        .map_err(|error| failed(path, error))?;
    let findings = match findings {
        Ok(findings) => findings,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            return Err(Error::Cancelled);
        }
        Err(error) => return Err(failed(path, error)),
    };
    if findings.len() == 1 && findings[0] == "ok" {
        return Ok(());
    }
    let mut shown: Vec<String> = findings
        .iter()
        .take(FINDINGS_SHOWN)
        .map(|line| printable(line, 160))
        .collect();
    if findings.len() > FINDINGS_SHOWN {
        shown.push(format!("and {} more", findings.len() - FINDINGS_SHOWN));
    }
    Err(Error::Corrupt {
        path: path.to_path_buf(),
        findings: shown,
    })
}

/// SQLite has no code of its own for a function that it does not know.
pub(crate) fn may_lack_a_function(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqlInputError { error, .. } | rusqlite::Error::SqliteFailure(error, _) => {
            error.code == ErrorCode::Unknown
        }
        _ => false,
    }
}

/// The check table by table, without CHECK constraints; a table of which an index or a computed column calls a function that is not there,
/// by its rows alone.
fn round_functions(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    connection.pragma_update(None, "ignore_check_constraints", true)?;
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name")?;
    let names = statement.query_map([], |row| row.get::<_, String>(0))?;
    let names: Vec<String> = names.collect::<Result<_, _>>()?;
    let mut findings = Vec::new();
    for name in names {
        let table = super::schema::quoted(&name);
        let found = match lines(connection, &format!("PRAGMA integrity_check({table})")) {
            Err(error) if may_lack_a_function(&error) => {
                match lines(connection, &format!("PRAGMA quick_check({table})")) {
                    Err(error) if may_lack_a_function(&error) => {
                        let all = format!("SELECT count(*) FROM {table} NOT INDEXED");
                        connection.query_row(&all, [], |row| row.get::<_, i64>(0))?;
                        vec!["ok".to_owned()]
                    }
                    found => found?,
                }
            }
            found => found?,
        };
        findings.extend(found.into_iter().filter(|line| line != "ok"));
    }
    connection.pragma_update(None, "ignore_check_constraints", false)?;
    if findings.is_empty() {
        findings.push("ok".to_owned());
    }
    Ok(findings)
}

/// Every foreign key that points nowhere, by table and parent.
///
/// # Errors
/// The check itself cannot run, for instance because a foreign key names a table or key that does not exist.
pub fn orphans(connection: &Connection, path: &Path) -> Result<Vec<Orphans>, Error> {
    let read = || {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        let mut found: BTreeMap<(String, String), Orphans> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (table, rowid, parent): (String, Option<i64>, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let entry = found
                .entry((table.clone(), parent.clone()))
                .or_insert(Orphans {
                    table,
                    parent,
                    rows: 0,
                    example_rowid: rowid,
                });
            entry.rows += 1;
        }
        Ok(found.into_values().collect())
    };
    read().map_err(|error| failed(path, error))
}

/// A collation that the application registers at run time makes its indexes uncheckable here.
fn refuse_unknown_collations(connection: &Connection, path: &Path) -> Result<(), Error> {
    let query =
        "SELECT DISTINCT x.coll, s.name FROM sqlite_schema AS s, pragma_index_xinfo(s.name) AS x
                 WHERE s.type = 'index' AND x.coll IS NOT NULL AND x.coll NOT IN
                   (SELECT name COLLATE NOCASE FROM pragma_collation_list) ORDER BY 2 LIMIT 1";
    let found = connection.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)));
    match found {
        Ok((collation, used_by)) => Err(Error::UnknownCollation {
            path: path.to_path_buf(),
            collation,
            used_by,
        }),
        Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
        Err(error) => Err(failed(path, error)),
    }
}

fn lines(connection: &Connection, query: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(query)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}

fn failed(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_path_buf();
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Corrupt {
            path,
            findings: vec![printable(&source.to_string(), 200)],
        },
        _ => Error::Sqlite {
            doing: "check",
            path,
            source,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_only_the_application_has_are_read_round() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.db");
        let mut connection = Connection::open(&path).expect("a new file");
        connection
            .execute_batch(
                "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a'); CREATE TABLE u (v TEXT UNIQUE); INSERT INTO u VALUES ('b');
                 PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET sql = 'CREATE TABLE t (v TEXT CHECK (v REGEXP ''^a''), g TEXT AS (known(v)))' WHERE name = 't';
                 PRAGMA writable_schema = RESET;",
            )
            .expect("the schema");
        let sound = integrity(&mut connection, &path, &CancellationToken::new());
        assert!(sound.is_ok(), "{sound:?}");
        // What does not need them is still looked at.
        connection
            .execute_batch(
                "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE u (v TEXT UNIQUE, w TEXT NOT NULL)' WHERE name = 'u';
                 PRAGMA writable_schema = RESET;",
            )
            .expect("the schema");
        let broken = integrity(&mut connection, &path, &CancellationToken::new());
        assert!(matches!(broken, Err(Error::Corrupt { .. })), "{broken:?}");
    }
}
