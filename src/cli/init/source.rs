//! The SQLite file, looked at for `cutover init`: who made its schema, its tables, which of them stay. It is only read, and no table for long.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::Connection;

use super::listed;
use crate::runbook::draft::{Seen, Survey};
use crate::runbook::frameworks::{self, Framework, book_of};
use crate::sqlite::open_read_only;
use crate::sqlite::schema::{Schema, Table, quoted};
use crate::text::printable;

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Rows of a table are counted up to so many: enough to tell large from small, and soon over on a file that is in use.
pub(super) const COUNTED: u64 = 100_000;
/// Tables of tools that work on the file itself.
const OF_TOOLS: [&str; 2] = ["_litestream_seq", "_litestream_lock"];

/// The only SQLite file of a folder.
pub(super) fn only_file(folder: &Path) -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let files = entries.filter_map(Result::ok).map(|e| e.path());
    let mut found: Vec<PathBuf> = files.filter(|path| is_sqlite(path)).collect();
    found.sort();
    match found.as_slice() {
        [only] => Ok(only.strip_prefix(".").unwrap_or(only).to_owned()),
        [] => bail!("no SQLite file in this folder; name it: `cutover init --source FILE`"),
        several => {
            let names = several.iter().map(|p| {
                let name = p.file_name().unwrap_or_default();
                printable(&name.to_string_lossy(), 80)
            });
            bail!(
                "{} SQLite files in this folder; say which: `cutover init --source FILE`, of {}",
                several.len(),
                listed(names.collect())
            )
        }
    }
}

fn is_sqlite(path: &Path) -> bool {
    let mut head = [0; 16];
    path.is_file()
        && std::fs::File::open(path)
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut head))
            .is_ok()
        && &head == MAGIC
}

/// Looks at a file.
///
/// # Errors
/// It is no SQLite file, cannot be read or has no tables.
pub(super) fn look(source: &Path) -> anyhow::Result<Survey> {
    let connection = open_read_only(source)?;
    let file = std::path::absolute(source).context("no current folder")?;
    let shown = printable(&file.to_string_lossy(), 400);
    let schema = Schema::read(&connection).with_context(|| format!("cannot read {shown}"))?;
    let names: Vec<(&str, Vec<String>)> = schema
        .tables
        .iter()
        .map(|t| {
            let columns = t.columns.iter().map(|c| c.name.clone()).collect();
            (t.name.as_str(), columns)
        })
        .collect();
    let framework = frameworks::recognised(|table| {
        let found = names.iter().find(|(name, _)| *name == table);
        found.map(|(_, columns)| columns.as_slice())
    });
    let mut survey = Survey {
        stem: source
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into(),
        file: file.to_string_lossy().into(),
        ..Survey::default()
    };
    if let Some(framework) = framework {
        let applied = applied(&connection, framework)
            .with_context(|| format!("cannot read {} in {shown}", framework.table))?;
        survey.history = Some((framework, applied));
    }
    let stays = |name: &str| {
        book_of(name, std::iter::empty()).is_some()
            || OF_TOOLS.contains(&name)
            || framework.is_some_and(|f| f.table == name)
    };
    for table in &schema.tables {
        if stays(&table.name) {
            survey.stay.push(table.name.clone());
            continue;
        }
        let name = printable(&table.name, 80);
        let seen = seen(&connection, table);
        let seen = seen.with_context(|| format!("cannot read table {name} in {shown}"))?;
        survey.tables.push(seen);
    }
    if survey.tables.is_empty() {
        bail!("{shown} has no tables: is it the file that the application uses?");
    }
    Ok(survey)
}

/// The migrations that a history names as applied, in their order, each once.
fn applied(connection: &Connection, framework: &Framework) -> rusqlite::Result<Vec<String>> {
    let (table, column) = (quoted(framework.table), quoted(framework.column));
    let id = match framework.within {
        "" => format!("CAST({column} AS TEXT)"),
        within => format!(
            "CAST({} AS TEXT) || '.' || CAST({column} AS TEXT)",
            quoted(within)
        ),
    };
    let mut statement = connection.prepare(&format!(
        "SELECT {id} FROM {table} WHERE {column} IS NOT NULL AND ({}) GROUP BY 1 ORDER BY min(rowid)",
        framework.applied
    ))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn seen(connection: &Connection, table: &Table) -> rusqlite::Result<Seen> {
    let name_of = |at: &usize| table.columns[*at].name.clone();
    let count = format!(
        "SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {COUNTED})",
        quoted(&table.name)
    );
    let rows: i64 = connection.query_row(&count, [], |row| row.get(0))?;
    let single = table.unique_keys.iter().filter(|k| k.columns.len() == 1);
    let caseless = single.clone().filter(|k| !k.binary);
    Ok(Seen {
        name: table.name.clone(),
        rows: rows.unsigned_abs(),
        key: table.primary_key.iter().map(name_of).collect(),
        caseless: caseless.map(|k| name_of(&k.columns[0])).collect(),
        unique: single.map(|k| name_of(&k.columns[0])).collect(),
        references: table
            .foreign_keys
            .iter()
            .map(|k| k.references.clone())
            .collect(),
    })
}
