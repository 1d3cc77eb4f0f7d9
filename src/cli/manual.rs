//! The manuals without a browser: man pages made from the command line's own help, and the pages of `docs/` as text.
//!
//! Not in here: what the pages say.

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, CommandFactory as _};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_mangen::Man;

use super::{Cli, Exit};

/// Print the man page of `cutover`, or write one per command
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover man | man -l -
  cutover man --out ~/.local/share/man/man1")]
pub struct ManArgs {
    /// Write a page for every command into this folder, which is there
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Print a manual, or the list of them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover docs
  cutover docs types | less")]
pub struct DocsArgs {
    /// Which: its name, as the list gives it
    #[arg(add = ArgValueCandidates::new(pages))]
    page: Option<String>,
}

fn pages() -> Vec<CompletionCandidate> {
    let named = |(name, about, _): (&'static str, &'static str, &'static str)| {
        CompletionCandidate::new(name).help(Some(about.into()))
    };
    PAGES.into_iter().map(named).collect()
}

/// Name, what it is about, and text of each manual.
const PAGES: [(&str, &str, &str); 22] = [
    (
        "readme",
        "What cutover does, and the way to a night",
        include_str!("../../README.md"),
    ),
    (
        "install",
        "Installing it, checking what you have, and what works on Linux alone",
        include_str!("../../docs/install.md"),
    ),
    (
        "release-manager",
        "Driving the bridge session",
        include_str!("../../docs/release-manager.md"),
    ),
    (
        "dba",
        "What the DBA watches and signs",
        include_str!("../../docs/dba.md"),
    ),
    ("qa", "What QA signs", include_str!("../../docs/qa.md")),
    (
        "keys",
        "Every key of the cockpit",
        include_str!("../../docs/keys.md"),
    ),
    (
        "runbook",
        "Every section and kind of step",
        include_str!("../../docs/runbook.md"),
    ),
    (
        "monitoring",
        "Signals from the monitoring that a team has, and ours on its dashboards",
        include_str!("../../docs/monitoring.md"),
    ),
    (
        "application",
        "What the application's own code meets on PostgreSQL",
        include_str!("../../docs/application.md"),
    ),
    ("django", "Django", include_str!("../../docs/django.md")),
    ("rails", "Rails", include_str!("../../docs/rails.md")),
    (
        "efcore",
        "Entity Framework Core",
        include_str!("../../docs/efcore.md"),
    ),
    ("laravel", "Laravel", include_str!("../../docs/laravel.md")),
    (
        "node",
        "Prisma, TypeORM, Knex, Sequelize, Drizzle",
        include_str!("../../docs/node.md"),
    ),
    (
        "sqlalchemy",
        "SQLAlchemy and Alembic",
        include_str!("../../docs/sqlalchemy.md"),
    ),
    (
        "types",
        "What becomes of each type",
        include_str!("../../docs/types.md"),
    ),
    (
        "equality",
        "What equal means",
        include_str!("../../docs/equality.md"),
    ),
    (
        "salvage",
        "Rows that users wrote before a rollback",
        include_str!("../../docs/salvage.md"),
    ),
    (
        "signatures",
        "Signatures with SSH keys",
        include_str!("../../docs/signatures.md"),
    ),
    (
        "report",
        "The evidence of a session",
        include_str!("../../docs/report.md"),
    ),
    (
        "speed",
        "How fast the import is, and what it costs",
        include_str!("../../docs/speed.md"),
    ),
    (
        "security",
        "Who is trusted with what",
        include_str!("../../SECURITY.md"),
    ),
];

/// `cutover man`
pub fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    match &args.out {
        Some(folder) => {
            anyhow::ensure!(
                folder.is_dir(),
                "{}: there is no such folder; nothing was written",
                folder.display()
            );
            clap_mangen::generate_to(Cli::command(), folder)?;
        }
        None => Man::new(Cli::command()).render(&mut io::stdout())?,
    }
    Ok(Exit::Done)
}

/// `cutover docs`
pub fn docs(args: &DocsArgs) -> anyhow::Result<Exit> {
    let Some(wanted) = &args.page else {
        let widest = PAGES.iter().map(|(name, ..)| name.len()).max();
        let widest = widest.unwrap_or_default();
        for (name, about, _) in PAGES {
            outln!("{name:widest$}  {about}");
        }
        return Ok(Exit::Done);
    };
    let Some((_, _, text)) = PAGES.iter().find(|(name, ..)| name == wanted) else {
        errln!("there is no page {wanted}; `cutover docs` lists them");
        return Ok(Exit::Usage);
    };
    // Whoever reads with a pager may leave before the end.
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}
