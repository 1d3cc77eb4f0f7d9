//! What a shell completes: subcommands and options as clap knows them, and sessions, gates, steps, rows, people and faults by asking the
//! newest session here. `cutover completions SHELL` prints the few lines that a shell reads; each Tab then asks `cutover` itself.
//!
//! Not in here: what a value means (each subcommand knows).

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;

use clap::{Args, CommandFactory as _};
use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;

use super::{Cli, Exit, run};
use crate::demo::faults::Fault;
use crate::journal::Folder;
use crate::session::Charter;
use crate::text::printable;

/// By which a shell's lines ask for completions, with the shell's name in it.
const VARIABLE: &str = "CUTOVER_COMPLETE";
/// Characters of a title that a list of candidates shows.
const TITLE_CHARS: usize = 80;

/// Print what a shell reads to complete `cutover`'s arguments
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover completions bash > ~/.local/share/bash-completion/completions/cutover
  cutover completions zsh > ~/.zfunc/_cutover
  cutover completions fish > ~/.config/fish/completions/cutover.fish")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Shells::builtins().names()))]
    shell: String,
}

/// `cutover completions`
pub fn run(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let shells = Shells::builtins();
    let shell = shells
        .completer(&args.shell)
        .expect("BUG: clap takes known shells alone");
    let mut lines = Vec::new();
    shell.write_registration(VARIABLE, "cutover", "cutover", "cutover", &mut lines)?;
    io::stdout().write_all(&lines)?;
    Ok(Exit::Done)
}

/// Answers a shell that asks for completions; gives whether one did.
pub fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let here = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(Cli::command).var(VARIABLE);
    let words: Vec<OsString> = std::env::args_os().collect();
    // A shell shows candidates or nothing.
    asked.try_complete(words, here.as_deref()).unwrap_or(true)
}

/// Sessions of this folder, the newest first.
pub fn sessions() -> Vec<CompletionCandidate> {
    let listed = Folder::list(Path::new(run::ROOT)).unwrap_or_default();
    let names = listed.into_iter().map(|found| found.session);
    names.map(CompletionCandidate::new).collect()
}

/// Gates of the newest session.
pub fn gates() -> Vec<CompletionCandidate> {
    of_charter(|charter| titled(charter.gates.iter().map(|g| (&g.id, &g.title))))
}

/// Steps of the newest session.
pub fn steps() -> Vec<CompletionCandidate> {
    of_charter(|charter| titled(charter.steps.iter().map(|s| (&s.id, &s.title))))
}

/// Rows of the newest session's rollback.
pub fn rollback_rows() -> Vec<CompletionCandidate> {
    of_charter(|charter| titled(charter.rollback.iter().map(|r| (&r.id, &r.title))))
}

/// People of the newest session.
pub fn people() -> Vec<CompletionCandidate> {
    of_charter(|charter| titled(charter.people.iter().map(|p| (&p.id, &p.name))))
}

/// Faults of the sandbox.
pub fn faults() -> Vec<CompletionCandidate> {
    let named = |fault: Fault| {
        let what = fault.what().to_owned();
        CompletionCandidate::new(fault.to_string()).help(Some(what.into()))
    };
    Fault::ALL.into_iter().map(named).collect()
}

fn of_charter(
    candidates: impl Fn(&Charter) -> Vec<CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let newest = Folder::find(Path::new(run::ROOT), None).ok();
    let session = newest.and_then(|folder| crate::history::session(&folder).ok());
    session.map_or_else(Vec::new, |session| candidates(&session.charter))
}

/// What the journal says is foreign text: a shell shows it on a terminal.
fn titled<'c>(entries: impl Iterator<Item = (&'c String, &'c String)>) -> Vec<CompletionCandidate> {
    let safe = |text: &str| printable(text, TITLE_CHARS);
    let candidate = |(id, title): (&'c String, &'c String)| {
        CompletionCandidate::new(safe(id)).help(Some(safe(title).into()))
    };
    entries.map(candidate).collect()
}
