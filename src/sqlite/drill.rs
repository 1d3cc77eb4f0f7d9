//! The restore drill (`A4`, `K2`): the copy is put back somewhere, opened and asked.
//!
//! It never touches the live file or the copy itself beyond reading. Comparing the counts with PostgreSQL is `parity`'s business.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::backup::require_room;
use super::error::Error;
use super::open::open_read_only;
use super::{backup, inspect};
use crate::clock;
use crate::ours::statements::BROUGHT_BACK;
use crate::ours::temporary;
use crate::session::facts::TableCount;
use crate::text::{printable, quoted};

/// Characters of a value that an answer shows.
const VALUE_SHOWN: usize = 120;

/// What the drill found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// The copy that was drilled.
    pub path: PathBuf,
    /// Rows per table, in the order of the names.
    pub tables: Vec<TableCount>,
    /// What the sample queries answered, in their order.
    pub samples: Vec<Sample>,
    /// How long it took.
    pub duration_ms: u64,
}

/// One sample query's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// As the runbook has it.
    pub query: String,
    /// How many rows it gave.
    pub rows: u64,
    /// The first row's values, made harmless and cut.
    pub first: Vec<String>,
}

/// Restores the copy at `path` into `scratch` (a folder; the restored file is gone afterwards), opens it, checks it, counts
/// every table and runs the sample queries. Without `scratch` the copy is opened where it is, read-only. Blocks; cancellable.
///
/// # Errors
/// [`Error::Checksum`] when the copy is not the one recorded, [`Error::Corrupt`], [`Error::SampleQuery`], or it cannot be opened.
pub fn run(
    path: &Path,
    sha256: &str,
    samples: &[String],
    scratch: Option<&Path>,
    cancel: &CancellationToken,
) -> Result<Drill, Error> {
    let began_ms = clock::now_ms();
    backup::verify(path, sha256)?;
    let restored = scratch
        .map(|folder| Restored::from(path, folder))
        .transpose()?;
    let mut connection = open_read_only(restored.as_ref().map_or(path, |restored| &restored.file))?;
    inspect::integrity(&mut connection, path, cancel)?;
    let tables = count_tables(&connection, path, cancel)?;
    let samples = samples
        .iter()
        .map(|query| ask(&connection, path, query))
        .collect::<Result<_, _>>()?;
    Ok(Drill {
        path: path.to_path_buf(),
        tables,
        samples,
        duration_ms: (clock::now_ms() - began_ms).cast_unsigned(),
    })
}

/// A copy put back, in a folder of its own that goes with it.
struct Restored {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Restored {
    #[expect(
        clippy::disallowed_methods,
        reason = "into a folder of our own that was just made"
    )]
    fn from(path: &Path, scratch: &Path) -> Result<Self, Error> {
        let write = |source| Error::from_io("write", scratch, 0, source);
        let size_bytes = path
            .metadata()
            .map_err(|source| Error::from_io("read", path, 0, source))?
            .len();
        std::fs::create_dir_all(scratch).map_err(write)?;
        require_room(scratch, size_bytes)?;
        let folder = temporary::folder_in(scratch).map_err(write)?;
        let file = folder.path().join(temporary::IN_FOLDER);
        std::fs::copy(path, &file)
            .map_err(|source| Error::from_io("write", &file, size_bytes, source))?;
        Ok(Self {
            file,
            _folder: folder,
        })
    }
}

/// Row counts of every ordinary table. Virtual tables are left out: their rows live in ordinary ones.
fn count_tables(
    connection: &Connection,
    path: &Path,
    cancel: &CancellationToken,
) -> Result<Vec<TableCount>, Error> {
    let fail = |source| Error::Sqlite {
        doing: "count the rows of",
        path: path.to_path_buf(),
        source,
    };
    let names = || {
        let mut statement = connection.prepare(
            "SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> ?1 ORDER BY name",
        )?;
        statement
            .query_map([BROUGHT_BACK], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<String>>>()
    };
    let mut tables = Vec::new();
    for table in names().map_err(fail)? {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // Not by an index: one that lies would be believed.
        let query = format!("SELECT count(*) FROM {} NOT INDEXED", quoted(&table));
        let rows: i64 = connection
            .query_row(&query, [], |row| row.get(0))
            .map_err(fail)?;
        tables.push(TableCount {
            table,
            rows: rows.cast_unsigned(),
        });
    }
    Ok(tables)
}

fn ask(connection: &Connection, path: &Path, query: &str) -> Result<Sample, Error> {
    let fail = |source| Error::SampleQuery {
        path: path.to_path_buf(),
        query: printable(query, 200),
        source,
    };
    let answer = || {
        let mut statement = connection.prepare(query)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut sample = Sample {
            query: query.to_owned(),
            rows: 0,
            first: Vec::new(),
        };
        while let Some(row) = rows.next()? {
            if sample.rows == 0 {
                sample.first = (0..columns)
                    .map(|n| Ok(show(row.get_ref(n)?)))
                    .collect::<rusqlite::Result<_>>()?;
            }
            sample.rows += 1;
        }
        Ok(sample)
    };
    answer().map_err(fail)
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number:?}"),
        ValueRef::Text(bytes) => printable(&String::from_utf8_lossy(bytes), VALUE_SHOWN),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()),
    }
}
