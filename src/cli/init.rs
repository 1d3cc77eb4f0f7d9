//! `cutover init`: looks at a SQLite file and writes a first runbook for its application. Not in here: what goes into it
//! (`runbook::draft`).

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rusqlite::Connection;

use super::Exit;
use crate::runbook::draft::{self, Seen, Survey};
use crate::runbook::frameworks::{self, Framework, book_of};
use crate::source::open_read_only;
use crate::source::schema::{Schema, Table, quoted};
use crate::text::printable;

/// How every SQLite file begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Names are listed up to so many.
const LISTED: usize = 12;
/// Rows of a table are counted up to so many: enough to tell large from small, and soon over on a file that is in use.
const COUNTED: u64 = 100_000;
/// Tables of tools that work on the file itself.
const OF_TOOLS: [&str; 2] = ["_litestream_seq", "_litestream_lock"];

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct InitArgs {
    /// The application's SQLite file; where absent, the only one in this folder
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Where the runbook goes; `-` for standard output. An existing file is left as it is
    #[arg(long, value_name = "FILE", default_value = "runbook.yaml")]
    out: PathBuf,
}

/// Looks, writes, and says what it saw. The file is only read, and no table for long.
///
/// # Errors
/// No SQLite file, one that cannot be read, or a runbook that is there already. Nothing is written then.
pub fn run(args: &InitArgs) -> anyhow::Result<Exit> {
    let to_stdout = args.out == Path::new("-");
    if !to_stdout && args.out.exists() {
        errln!(
            "cutover: {} is there already, and is left as it is; `--out FILE` writes another",
            args.out.display()
        );
        return Ok(Exit::Usage);
    }
    if let Some(database) = database_of(&args.out) {
        errln!(
            "cutover: {} is where SQLite keeps what belongs to {}; give the runbook another name",
            args.out.display(),
            database.display()
        );
        return Ok(Exit::Usage);
    }
    let source = match &args.source {
        Some(file) => file.clone(),
        None => only_file()?,
    };
    let survey = look(&source)?;
    let text = draft::write(&survey);
    for line in told(&survey) {
        errln!("{line}");
    }
    if to_stdout {
        outln!("{}", text.trim_end());
        return Ok(Exit::Done);
    }
    write_new(&args.out, &text)?;
    let out = args.out.display();
    errln!(
        "wrote {out}; every <…> in it is yours to fill in, and `cutover check {out}` lists them. {} was only read.",
        printable(&survey.file, 200)
    );
    Ok(Exit::Done)
}

/// The file that SQLite would take `out` to be a part of.
fn database_of(out: &Path) -> Option<PathBuf> {
    let name = out.to_str()?;
    let mut bases = ["-wal", "-shm", "-journal"]
        .iter()
        .filter_map(|end| name.strip_suffix(end));
    let base = PathBuf::from(bases.next()?);
    base.exists().then_some(base)
}

/// The only SQLite file of this folder.
fn only_file() -> anyhow::Result<PathBuf> {
    let entries = std::fs::read_dir(".").context("cannot read this folder")?;
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

fn look(source: &Path) -> anyhow::Result<Survey> {
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
    let mut statement = connection.prepare(&format!(
        "SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL AND ({}) GROUP BY 1 ORDER BY min(rowid)",
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
    Ok(Seen {
        name: table.name.clone(),
        rows: rows.unsigned_abs(),
        key: table.primary_key.iter().map(name_of).collect(),
        unique: single.map(|k| name_of(&k.columns[0])).collect(),
        references: table
            .foreign_keys
            .iter()
            .map(|k| k.references.clone())
            .collect(),
    })
}

/// What was seen, for the person who asked.
fn told(survey: &Survey) -> Vec<String> {
    let rows: u64 = survey.tables.iter().map(|t| t.rows).sum();
    let more = match survey.tables.iter().any(|t| t.rows >= COUNTED) {
        true => "at least ",
        false => "",
    };
    let made_by = match &survey.history {
        Some((framework, applied)) => format!(
            "{}, {} in {}",
            framework.name,
            counted(applied.len() as u64, "migration"),
            framework.table
        ),
        None => "no framework recognised by a migration history".to_owned(),
    };
    let mut lines = vec![format!(
        "{}: {}, {more}{}; {made_by}",
        printable(&survey.file, 200),
        counted(survey.tables.len() as u64, "table"),
        counted(rows, "row"),
    )];
    let (critical, left_out) = survey.critical();
    let names = critical.iter().map(|t| printable(&t.name, 60)).collect();
    let left_out = match left_out {
        0 => String::new(),
        n => format!("; {n} more have a slug or are referred to, and are left out"),
    };
    lines.push(format!("critical: {}{left_out}", listed(names)));
    let slugs: Vec<String> = survey
        .slugs()
        .map(|(t, slug)| printable(&format!("{}.{slug}", t.name), 80))
        .collect();
    if !slugs.is_empty() {
        lines.push(format!("slugs: {}", listed(slugs)));
    }
    lines
}

fn counted(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn listed(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(LISTED);
    let shown = names[..names.len() - more].join(", ");
    match more {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Writes a file that was not there: all of it or nothing.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut file = crate::ours::temporary::shared_file_in(folder)
        .with_context(|| format!("cannot write {shown}"))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.as_file().sync_all())
        .with_context(|| format!("cannot write {shown}; nothing was left behind"))?;
    let kept = file.persist_noclobber(path);
    kept.with_context(|| format!("cannot write {shown}; nothing was left behind"))?;
    Ok(())
}
