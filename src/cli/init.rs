//! `cutover init`: looks at a SQLite file and writes a first runbook for its application. Not in here: what goes into it
//! (`runbook::draft`), and what an application's files mean (`runbook::application`).

mod ask;
mod folder;
mod git;
mod source;
mod target;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::Exit;
use crate::format::counted;
use crate::runbook::draft::{self, Survey};
use crate::text::printable;

/// Names are listed up to so many.
const LISTED: usize = 12;

/// What people need to know of it, behind its options.
const READING: &str = "\
Examples:
  cutover init --source app.db
  cutover init --source app.db --app . --to postgres://owner@db.example/catalogue --ask

The SQLite file alone tells who made its schema, which tables are critical and which columns are slugs. What else is found stands in the \
draft with where it was found; what nobody knows is written as <…>, which `cutover check` lists.

  --app DIR   compose files, units of systemd, .env files, Procfile, settings, routes, lists of libraries. They are read, nothing of the \
application is run, and no value with a password is taken over.
  --to URL    the database on which the application's migrations have run, as `cutover plan --to` takes it: which migrations it names, \
the transfer section that `plan` would suggest, with a <…> for each setting that loses something, and whether a rollback is to keep what users \
wrote in a file, where a column would not come back exactly. It is only read.
  --ask       questions at the terminal, or on standard input line by line. An empty answer takes what stands in brackets. Ctrl-C, or \
the end of the input, writes nothing.

Exit codes: 0 written, 1 something cannot be read, 2 wrong usage.";

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = READING)]
pub struct InitArgs {
    /// The application's SQLite file; where absent, the only one in this folder
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// The application's folder, to look in it for how it is run and configured
    #[arg(long, value_name = "DIR")]
    app: Option<PathBuf>,
    /// The migrated PostgreSQL database, to look at it; a password belongs in PGPASSWORD or .pgpass
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Ask for what cannot be known
    #[arg(long)]
    ask: bool,
    /// Where the runbook goes; `-` for standard output. An existing file is left as it is
    #[arg(long, value_name = "FILE", default_value = "runbook.yaml")]
    out: PathBuf,
}

/// Looks, asks where it is to, writes, and says what it saw. Everything is only read but the runbook.
///
/// # Errors
/// No SQLite file, one that cannot be read, a folder or a target that cannot be read, an answer that did not come, or a runbook that is there
/// already. Nothing is written then.
pub async fn run(args: InitArgs) -> anyhow::Result<Exit> {
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
        None => source::only_file(args.app.as_deref().unwrap_or(Path::new(".")))?,
    };
    let mut survey = source::look(&source)?;
    if let Some(app) = &args.app {
        survey.known = folder::known(app, &args.out, &survey)?;
    }
    if let Some(url) = &args.to {
        survey.target = Some(target::look(&source, url, &survey).await?);
    }
    for line in told(&survey) {
        errln!("{line}");
    }
    if args.ask {
        ask::all(&mut survey, &mut std::io::stdin().lock())?;
    }
    let text = draft::write(&survey);
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

/// What was seen, for the person who asked.
fn told(survey: &Survey) -> Vec<String> {
    let rows: u64 = survey.tables.iter().map(|t| t.rows).sum();
    let more = match survey.tables.iter().any(|t| t.rows >= source::COUNTED) {
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
    for (what, value, at) in survey.known.told() {
        let value = printable(&value, 120);
        lines.push(format!("found: {what}: {value} ({})", printable(&at, 160)));
    }
    let notes = survey.known.notes.iter();
    lines.extend(notes.map(|note| format!("note: {}", printable(note, 400))));
    if let Some(seen) = &survey.target {
        lines.extend(target::told(survey, seen));
    }
    lines
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
