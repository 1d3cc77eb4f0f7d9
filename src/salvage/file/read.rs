//! A salvage file, read: what it says of itself, its tables, its rows, which of them were brought into which file (`carried`: of the file before), and
//! which a rollback has left in it (`staying`).

mod carried;
mod lots;
mod staying;

pub use staying::Staying;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use sha2::{Digest as _, Sha256};

use super::{APPLICATION_ID, About};
use crate::format::hex;
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::search::Problem;
use crate::salvage::{Operation, TableCost};

/// A salvage file, read.
pub struct Salvaged {
    connection: Connection,
    path: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SalvagedRow {
    /// Its number in the file.
    pub row: i64,
    /// Its table in the source.
    pub table: String,
    /// What was done to it.
    pub operation: Operation,
    /// Its key as a JSON array; empty where the table has none.
    pub key: String,
    /// Its values, those of the key first.
    pub values: Vec<SalvagedValue>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SalvagedValue {
    pub name: String,
    /// Belongs to the key.
    pub is_key: bool,
    pub changed: bool,
    /// What SQLite would have.
    pub new: Cell,
    /// What the backup has.
    pub was: Cell,
    /// PostgreSQL's text.
    pub target: Option<String>,
    /// `new` is not what PostgreSQL has, and why.
    pub problem: Option<Problem>,
}

/// Which rows of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Of these tables; of all where empty.
    pub tables: Vec<String>,
    /// With these numbers; all where empty.
    pub rows: Vec<i64>,
    /// With these keys, as table and key (`17`, `"abc"` or `[1,"x"]`).
    pub keys: Vec<(String, String)>,
}

impl Choice {
    fn holds(&self, row: i64, table: &str, key: &str) -> bool {
        let named = |(of, wanted): &(String, String)| {
            of == table && (wanted == key || format!("[{wanted}]") == key)
        };
        (self.tables.is_empty() || self.tables.iter().any(|name| name == table))
            && (self.rows.is_empty() || self.rows.contains(&row))
            && (self.keys.is_empty() || self.keys.iter().any(named))
    }
}

/// The entry of a file of which rows are told against what SQLite had.
pub(super) const TOLD_AGAINST: &str = "told_against";

/// Everything in it but the notes of what was brought in and what stays.
const LASTING: [&str; 4] = [
    "SELECT name, value FROM cutover_salvage ORDER BY name",
    "SELECT name, target, inserted, changed, deleted, rewritten, key_columns, lacks FROM cutover_tables ORDER BY name",
    "SELECT row, table_name, operation, key FROM cutover_rows ORDER BY row",
    "SELECT row, place, name, is_key, changed, new, was, target, problem FROM cutover_values ORDER BY row, place",
];

/// A value with its class and its length, so that no two lists of values have the same bytes.
pub(in crate::salvage) fn take_in(hasher: &mut Sha256, value: ValueRef<'_>) {
    let (class, bytes) = match value {
        ValueRef::Null => (b'n', Vec::new()),
        ValueRef::Integer(number) => (b'i', number.to_be_bytes().to_vec()),
        ValueRef::Real(number) => (b'r', number.to_bits().to_be_bytes().to_vec()),
        ValueRef::Text(text) => (b't', text.to_vec()),
        ValueRef::Blob(bytes) => (b'b', bytes.to_vec()),
    };
    hasher.update([class]);
    hasher.update((bytes.len() as u64).to_be_bytes());
    hasher.update(bytes);
}

impl Salvaged {
    /// Opens a file.
    ///
    /// # Errors
    /// It is not there, or not a salvage file that was finished.
    pub fn open(path: &Path) -> Result<Self, Error> {
        std::fs::metadata(path).map_err(|source| Error::File {
            path: path.to_owned(),
            source,
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let wrong = |why: String| Error::NotASalvageFile {
            path: path.to_owned(),
            why,
        };
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| wrong(error.to_string()))?;
        let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get(0));
        let id: i32 = pragma("application_id").map_err(|error| wrong(error.to_string()))?;
        let version: i32 = pragma("user_version").map_err(|error| wrong(error.to_string()))?;
        if id != APPLICATION_ID {
            return Err(wrong("it is another SQLite database".to_owned()));
        }
        if version != 1 {
            return Err(wrong(format!(
                "it is of version {version}, this cutover knows 1"
            )));
        }
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        Error::sqlite(format!("reading {}", self.path.display()))
    }

    /// What it says of itself.
    pub fn about(&self) -> Result<About, Error> {
        let get = |name: &str| -> rusqlite::Result<String> {
            let sql = "SELECT value FROM cutover_salvage WHERE name = ?1";
            let value = self.connection.query_row(sql, [name], |row| row.get(0));
            Ok(value.optional()?.unwrap_or_default())
        };
        let read = || -> rusqlite::Result<About> {
            Ok(About {
                session: get("session")?,
                source: get("source")?.into(),
                backup: get("backup")?.into(),
                backup_sha256: get("backup_sha256")?,
                snapshot: get("snapshot")?,
                made: get("made")?,
            })
        };
        read().map_err(self.failed())
    }

    /// What was found per table, and what is lacking.
    pub fn tables(&self) -> Result<Vec<TableCost>, Error> {
        let read = || -> rusqlite::Result<Vec<TableCost>> {
            let mut statement = self.connection.prepare(
                "SELECT name, target, inserted, changed, deleted, rewritten, lacks,
                     NOT EXISTS (SELECT 1 FROM cutover_rows WHERE table_name = name)
                 FROM cutover_tables ORDER BY name",
            )?;
            let rows = statement.query_map([], |row| {
                let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
                let mut cost = TableCost {
                    table: row.get(0)?,
                    target: row.get(1)?,
                    inserted: count(2)?,
                    changed: count(3)?,
                    deleted: count(4)?,
                    rewritten: count(5)?,
                    lacks: row.get(6)?,
                    broke_off: false,
                };
                cost.broke_off = cost.rows() > 0 && row.get(7)?;
                Ok(cost)
            })?;
            rows.collect()
        };
        read().map_err(self.failed())
    }

    /// A digest of everything in it but the notes of what was brought in and what stays: SHA-256, in hexadecimal.
    pub fn rows_sha256(&self) -> Result<String, Error> {
        let mut hasher = Sha256::new();
        let mut read = || -> rusqlite::Result<()> {
            for (n, sql) in LASTING.iter().enumerate() {
                let mut statement = self.connection.prepare(sql)?;
                let width = statement.column_count();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    for at in 0..width {
                        take_in(&mut hasher, row.get_ref(at)?);
                    }
                }
                hasher.update([b'0' + n as u8]);
            }
            Ok(())
        };
        read().map_err(self.failed())?;
        Ok(hex(&hasher.finalize()))
    }

    /// Whether rows were brought into any file.
    pub fn has_notes(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM cutover_applied)";
        let found = self.connection.query_row(sql, [], |row| row.get(0));
        found.map_err(self.failed())
    }

    /// How many of these rows would be deleted from a file, by table: those that were not brought into it before.
    pub fn deletions(&self, rows: &[i64], from: &Path) -> Result<BTreeMap<String, u64>, Error> {
        let mut deletions = BTreeMap::new();
        for row in rows {
            let (operation, table) = self.kind(*row)?;
            if operation == Operation::Deleted && self.applied(*row, from)?.is_none() {
                *deletions.entry(table).or_default() += 1;
            }
        }
        Ok(deletions)
    }

    /// How many of its rows were brought into a file.
    pub fn applied_rows(&self, into: &Path) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM cutover_applied WHERE file = ?1";
        let count = self
            .connection
            .query_row(sql, [into.to_string_lossy()], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.failed())
    }

    /// Whether nobody has brought any of its rows into a file.
    pub fn is_untouched(&self) -> Result<bool, Error> {
        let sql = "SELECT NOT EXISTS (SELECT 1 FROM cutover_applied)";
        let untouched = self.connection.query_row(sql, [], |row| row.get(0));
        untouched.map_err(self.failed())
    }

    /// How many rows nobody has brought into any file.
    pub fn rows_not_brought(&self) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM cutover_rows r WHERE NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = r.row)";
        let count = self
            .connection
            .query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.failed())
    }

    /// The numbers of the rows that were not brought into this file, in the order in which they were found.
    pub fn not_in(&self, file: &Path) -> Result<Vec<i64>, Error> {
        let sql = "SELECT row FROM cutover_rows r
             WHERE NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = r.row AND a.file = ?1) ORDER BY row";
        let read = || -> rusqlite::Result<Vec<i64>> {
            let mut statement = self.connection.prepare(sql)?;
            let rows = statement.query_map([file.to_string_lossy()], |row| row.get(0))?;
            rows.collect()
        };
        read().map_err(self.failed())
    }

    /// How many bytes the values of the rows have that were not brought into this file, of each value the longer side.
    pub fn bytes_not_in(&self, file: &Path) -> Result<u64, Error> {
        let sql = "SELECT coalesce(sum(max(coalesce(octet_length(new), 0), coalesce(octet_length(was), 0))), 0) FROM cutover_values v
             WHERE NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = v.row AND a.file = ?1)";
        let bytes = self
            .connection
            .query_row(sql, [file.to_string_lossy()], |row| row.get::<_, i64>(0));
        bytes.map(i64::unsigned_abs).map_err(self.failed())
    }

    /// The numbers of the chosen rows, in the order in which they were found.
    pub fn chosen(&self, choice: &Choice) -> Result<Vec<i64>, Error> {
        let read = || -> rusqlite::Result<Vec<i64>> {
            let mut statement = self
                .connection
                .prepare("SELECT row, table_name, key FROM cutover_rows ORDER BY row")?;
            let mut rows = statement.query([])?;
            let mut chosen = Vec::new();
            while let Some(row) = rows.next()? {
                let number = row.get(0)?;
                if choice.holds(number, &row.get::<_, String>(1)?, &row.get::<_, String>(2)?) {
                    chosen.push(number);
                }
            }
            Ok(chosen)
        };
        read().map_err(self.failed())
    }

    /// One row.
    pub fn row(&self, row: i64) -> Result<SalvagedRow, Error> {
        self.read_row(row).map_err(self.failed())
    }

    fn read_row(&self, number: i64) -> rusqlite::Result<SalvagedRow> {
        let (table, operation, key): (String, String, String) = self
            .connection
            .prepare_cached("SELECT table_name, operation, key FROM cutover_rows WHERE row = ?1")?
            .query_row([number], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut statement = self.connection.prepare_cached(
            "SELECT name, is_key, changed, new, was, target, problem FROM cutover_values WHERE row = ?1 ORDER BY place",
        )?;
        let values = statement.query_map([number], |row| {
            let problem: Option<String> = row.get(6)?;
            Ok(SalvagedValue {
                name: row.get(0)?,
                is_key: row.get(1)?,
                changed: row.get(2)?,
                new: Cell::of(row.get_ref(3)?),
                was: Cell::of(row.get_ref(4)?),
                target: row.get(5)?,
                problem: problem.map(|word| Problem::named(&word).unwrap_or(Problem::NoForm)),
            })
        })?;
        Ok(SalvagedRow {
            row: number,
            table,
            operation: Operation::named(&operation).ok_or(rusqlite::Error::InvalidQuery)?,
            key,
            values: values.collect::<Result<_, _>>()?,
        })
    }

    /// What was done to one row, and its table.
    pub fn kind(&self, row: i64) -> Result<(Operation, String), Error> {
        let read = || -> rusqlite::Result<(Operation, String)> {
            let (word, table): (String, String) = self
                .connection
                .prepare_cached("SELECT operation, table_name FROM cutover_rows WHERE row = ?1")?
                .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let operation = Operation::named(&word).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((operation, table))
        };
        read().map_err(self.failed())
    }

    /// When a row was brought into a file, if it was.
    pub fn applied(&self, row: i64, into: &Path) -> Result<Option<String>, Error> {
        let sql = "SELECT at FROM cutover_applied WHERE row = ?1 AND file = ?2";
        let file = into.to_string_lossy();
        let read = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            let at = statement.query_row(params![row, file], |row| row.get(0));
            at.optional()
        };
        read().map_err(self.failed())
    }

    /// Whether [`Self::note_applied`] could write at this moment: writes a note, and takes it back.
    pub fn can_note(&mut self) -> Result<(), Error> {
        let failed = Error::sqlite(format!("writing {}", self.path.display()));
        let mut attempt = || -> rusqlite::Result<()> {
            let behavior = TransactionBehavior::Immediate;
            let transaction = self.connection.transaction_with_behavior(behavior)?;
            transaction.execute("INSERT INTO cutover_applied VALUES (0, '', '')", [])?;
            transaction.rollback()
        };
        attempt().map_err(failed)
    }

    /// Notes that rows were brought into a file.
    pub fn note_applied(&mut self, rows: &[i64], into: &Path, at: &str) -> Result<(), Error> {
        let file = into.to_string_lossy().into_owned();
        let failed = Error::sqlite(format!("writing {}", self.path.display()));
        let mut note = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            for row in rows {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO cutover_applied VALUES (?1, ?2, ?3)")?
                    .execute(params![row, file, at])?;
            }
            transaction.commit()
        };
        note().map_err(failed)
    }
}
