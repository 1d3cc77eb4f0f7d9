//! Raises the numbers that SQLite gives out next (`sqlite_sequence`) beyond those that another database has given out, so that no two
//! rows ever get the same. Never lowers one.

use std::path::Path;
use std::time::Duration;

use rusqlite::{OptionalExtension, TransactionBehavior, params};

use super::error::Error;
use super::open::open_read_write_within;
use super::schema::{Position, Schema};

/// How long one statement waits for another writer: instances are about to come back, and they wait too. Opening the file is one
/// statement, taking the write lock another.
pub const BUSY_LIMIT: Duration = Duration::from_millis(500);

/// What became of the numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raised {
    /// Tables whose next number is higher now, with the last one that counts as given out.
    pub raised: Vec<(String, i64)>,
    /// Tables where SQLite takes the highest number there is, and nothing can be raised: the column lacks AUTOINCREMENT.
    pub cannot: Vec<String>,
}

/// Sets the last number of each table to at least the one given.
///
/// # Errors
/// The file cannot be opened or written; nothing was changed then.
pub fn raise(path: &Path, last: &[(String, i64)]) -> Result<Raised, Error> {
    let failed = |source| Error::Sqlite {
        doing: "raise the next numbers of",
        path: path.to_owned(),
        source,
    };
    let mut connection = open_read_write_within(path, BUSY_LIMIT)?;
    let mut work = || -> rusqlite::Result<Raised> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let schema = Schema::read(&transaction)?;
        let mut raised = Raised::default();
        for (table, last) in last {
            let Some(known) = schema.table(table) else {
                continue;
            };
            let sql: String = transaction.query_row(
                "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                [table],
                |row| row.get(0),
            )?;
            let is_numbered = matches!(known.position, Position::Rowid { alias: Some(_), .. });
            if !is_numbered || !has_autoincrement(&sql) {
                raised.cannot.push(table.clone());
                continue;
            }
            let now: Option<i64> = transaction
                .query_row(
                    "SELECT seq FROM sqlite_sequence WHERE name = ?1",
                    [table],
                    |row| row.get(0),
                )
                .optional()?;
            let sql = match now {
                Some(now) if now >= *last => continue,
                Some(_) => "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1",
                None => "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
            };
            transaction.execute(sql, params![table, last])?;
            raised.raised.push((table.clone(), *last));
        }
        transaction.commit()?;
        Ok(raised)
    };
    work().map_err(failed)
}

/// Whether a table's declaration has the word outside quotes and comments. SQLite itself tells it nowhere else.
fn has_autoincrement(sql: &str) -> bool {
    let mut plain = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\'' | '"' | '`' => rest[1..].find(c).map(|at| at + 2),
            '[' => rest.find(']').map(|at| at + 1),
            '-' if rest.starts_with("--") => rest.find('\n'),
            '/' if rest.starts_with("/*") => rest.find("*/").map(|at| at + 2),
            _ => {
                plain.push(c.to_ascii_uppercase());
                Some(c.len_utf8())
            }
        };
        rest = &rest[skipped.unwrap_or(rest.len())..];
    }
    plain.contains("AUTOINCREMENT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn numbers_rise_and_never_fall() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).expect("a file");
        connection
            .execute_batch(
                "CREATE TABLE low (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO low VALUES (5);
                 CREATE TABLE high (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO high VALUES (50);
                 CREATE TABLE fresh (id INTEGER PRIMARY KEY AUTOINCREMENT);
                 CREATE TABLE plain (id INTEGER PRIMARY KEY, \"no AUTOINCREMENT\" TEXT); -- AUTOINCREMENT
                ",
            )
            .expect("tables");
        let asked = ["low", "high", "fresh", "plain", "elsewhere"].map(|t| (t.to_owned(), 20));
        let raised = raise(&path, &asked).expect("raised");
        assert_eq!(
            raised.raised,
            [("low".to_owned(), 20), ("fresh".to_owned(), 20)]
        );
        assert_eq!(raised.cannot, ["plain"]);
        assert_eq!(raise(&path, &asked).expect("again").raised, []);
        for (table, next) in [("low", 21), ("high", 51), ("fresh", 21)] {
            let sql = format!("INSERT INTO {table} DEFAULT VALUES RETURNING id");
            let id: i64 = connection.query_row(&sql, [], |r| r.get(0)).expect("a row");
            assert_eq!(id, next, "{table}");
        }
    }

    #[test]
    fn a_writer_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.db");
        let other = Connection::open(&path).expect("a file");
        other
            .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); BEGIN IMMEDIATE")
            .expect("a writer");
        assert!(raise(&path, &[("t".to_owned(), 20)]).is_err());
    }
}
