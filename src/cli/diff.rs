//! `cutover diff`: which rows of a newer SQLite snapshot are not those of an older one. Connects to nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Exit, asked_to_end};
use crate::delta::{self, By, Change, Changed, Delta, Error, Example, Way};
use crate::ours::temporary;
use crate::text::printable;

/// Say which rows differ between two snapshots of a SQLite file
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover diff yesterday.db today.db
  cutover diff yesterday.db today.db --table Tools --table Tags --rows 50
  cutover diff yesterday.db today.db --json --out changes.db
  cutover diff yesterday.db today.db --by rows

Two values are the same where SQLite stores the same: 1 and 1.0 differ, and so do 'A' and 'a' under NOCASE. A row that has another primary key is
one that went and one that came. Both files have to be snapshots (`sqlite3 FILE \".backup COPY\"`): without a -wal that holds something, and without
a hot journal. Generated columns are not compared; they follow from the others.

Two snapshots of one file have most pages in common, byte by byte: only rows on pages that differ are read, and none that differs is missed. Where
pages cannot tell, every row is read, and why is said.

Exit codes, as those of diff(1): 0 both files hold the same rows, 1 they do not, 2 they were not compared, and why was said.")]
pub struct DiffArgs {
    /// The older snapshot
    #[arg(value_name = "OLD")]
    older: PathBuf,
    /// The newer snapshot
    #[arg(value_name = "NEW")]
    newer: PathBuf,
    /// Only this table; may be said more than once
    #[arg(long = "table", value_name = "TABLE")]
    tables: Vec<String>,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Which rows are read: those on pages that differ where pages can tell, or all
    #[arg(long, value_enum, value_name = "WAY", default_value_t = Read::Pages)]
    by: Read,
    /// So many rows of each table are named that came, that changed and that went
    #[arg(long, value_name = "N", default_value_t = 5)]
    rows: u32,
    /// Keep the names of all rows that differ in this SQLite file, which must not be there
    #[arg(long, value_name = "DELTA")]
    out: Option<PathBuf>,
}

/// Which rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Read {
    /// Those on pages that differ, where pages can tell
    Pages,
    /// All
    Rows,
}

/// What is printed.
struct Found {
    delta: Delta,
    /// Of each table of the delta.
    examples: Vec<Vec<Example>>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Printed<'f> {
    /// Both files hold the same rows.
    same: bool,
    tables: Vec<PrintedTable<'f>>,
    /// Tables that hold the same rows.
    same_tables: &'f [String],
    /// Tables of which only rows on pages that differ were read.
    by_pages: Vec<&'f str>,
    /// Those of which all were.
    by_rows: Vec<ByRows<'f>>,
}

#[derive(Serialize)]
struct ByRows<'f> {
    table: &'f str,
    /// Why pages could not tell, where they were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'f str>,
}

#[derive(Serialize)]
struct PrintedTable<'f> {
    table: &'f str,
    /// `rowid`, `key` or `anew`.
    way: &'static str,
    /// Why the whole table is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    inserted: u64,
    updated: u64,
    deleted: u64,
    rows: &'f [Example],
}

/// `cutover diff`
///
/// # Errors
/// Never: whatever keeps the files from being compared is told, and has an exit code of its own.
pub async fn run(args: DiffArgs) -> anyhow::Result<Exit> {
    // From here on somebody may ask.
    let asked_to_end = asked_to_end();
    let stop = CancellationToken::new();
    let is_json = args.json;
    let mut work = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || look(&args, &stop)
    });
    let looked = tokio::select! {
        looked = &mut work => looked,
        () = asked_to_end => {
            stop.cancel();
            work.await
        }
    };
    let found = match looked {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            errln!("cutover: {error}");
            return Ok(Exit::Usage);
        }
        Err(died) => std::panic::resume_unwind(died.into_panic()),
    };
    if is_json {
        outln!("{}", serde_json::to_string(&found.printed())?);
    } else {
        found.print();
    }
    // As diff(1) has it: not a failure, and not parity either.
    Ok(match found.delta.tables.is_empty() {
        true => Exit::Done,
        false => Exit::Failed,
    })
}

fn look(args: &DiffArgs, stop: &CancellationToken) -> Result<Found, Error> {
    let tables = (!args.tables.is_empty()).then_some(args.tables.as_slice());
    let look_into = |into: &Path| {
        let compare = match args.by {
            Read::Pages => delta::by_pages,
            Read::Rows => delta::rows_of,
        };
        let delta = compare(&args.older, &args.newer, tables, into, stop)?;
        let examples = delta::examples(&args.older, &args.newer, into, &delta, args.rows)?;
        Ok(Found { delta, examples })
    };
    if let Some(out) = &args.out {
        return look_into(out);
    }
    let above = std::env::temp_dir();
    let folder = temporary::folder_in(&above).map_err(|source| Error::File {
        path: above,
        source,
    })?;
    look_into(&folder.path().join(temporary::IN_FOLDER))
}

impl Found {
    fn printed(&self) -> Printed<'_> {
        let tables = self.delta.tables.iter().zip(&self.examples);
        let tables = tables.map(|(changed, rows)| PrintedTable {
            table: &changed.table,
            way: changed.way.word(),
            why: changed.way.why(),
            inserted: changed.inserted,
            updated: changed.updated,
            deleted: changed.deleted,
            rows,
        });
        let (mut by_pages, mut by_rows) = (Vec::new(), Vec::new());
        for (table, by) in &self.delta.by {
            match by {
                By::Pages => by_pages.push(table.as_str()),
                By::Rows { why } => by_rows.push(ByRows {
                    table,
                    why: why.as_deref(),
                }),
            }
        }
        Printed {
            same: self.delta.tables.is_empty(),
            tables: tables.collect(),
            same_tables: &self.delta.same,
            by_pages,
            by_rows,
        }
    }

    /// For people: of which tables every row was read although pages were asked, and why. Most tables have the same reason.
    fn read_whole(&self) -> Vec<String> {
        let mut tables: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (table, by) in &self.delta.by {
            if let By::Rows { why: Some(why) } = by {
                let table = printable(table, 80);
                tables.entry(why).or_default().push(table);
            }
        }
        let all = self.delta.by.len();
        let told = tables.into_iter().map(|(why, tables)| {
            let of = match tables.len() {
                n if n == all => String::new(),
                n if n > 3 => format!(" of {n} tables"),
                _ => format!(" of {}", tables.join(", ")),
            };
            format!("every row{of} was read: {}", printable(why, 200))
        });
        told.collect()
    }

    /// For people, the verdict last.
    fn print(&self) {
        for (changed, examples) in self.delta.tables.iter().zip(&self.examples) {
            outln!("{}", headline(changed));
            for example in examples {
                outln!("    {}", line(example));
            }
            for (change, all) in Change::ALL.into_iter().zip(changed.counts()) {
                let shown = examples.iter().filter(|one| one.change == change).count() as u64;
                if shown > 0 && all > shown {
                    outln!("    {} and {} more", sign(change), all - shown);
                }
            }
        }
        for line in self.read_whole() {
            outln!("{line}");
        }
        let (different, same) = (self.delta.tables.len(), self.delta.same.len());
        match different {
            0 => outln!("the same rows in all {same} tables"),
            _ => outln!("different: {different} of {} tables", different + same),
        }
    }
}

fn headline(changed: &Changed) -> String {
    let Changed {
        way,
        inserted,
        updated,
        deleted,
        ..
    } = changed;
    let table = printable(&changed.table, 80);
    match way {
        Way::Rowid | Way::Key => {
            format!("{table}: {inserted} inserted, {updated} updated, {deleted} deleted")
        }
        Way::Anew(why) => {
            let why = why.sentence();
            format!(
                "{table}: another table, {why}; {deleted} rows in the older file, {inserted} in the newer"
            )
        }
    }
}

fn sign(change: Change) -> char {
    match change {
        Change::Inserted => '+',
        Change::Updated => '~',
        Change::Deleted => '-',
    }
}

fn line(example: &Example) -> String {
    let columns = example.columns.iter();
    let columns = columns.map(|one| format!("{} {} → {}", one.column, one.older, one.newer));
    let columns: Vec<String> = columns.collect();
    let sign = sign(example.change);
    match columns.is_empty() {
        true => format!("{sign} {}", example.key),
        false => format!("{sign} {}: {}", example.key, columns.join(", ")),
    }
}
