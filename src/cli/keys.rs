//! `cutover keys`: the one table of keys, as it is at this person's terminals, and what else they have configured. Reads no session.
//!
//! Not in here: what a configuration may say (`cockpit::habits`).

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::Exit;
use crate::cockpit::actions::{ACTIONS, Action, Chord, Group, Keys};
use crate::cockpit::canvas::wrap;
use crate::cockpit::habits::{self, Habits, Problem};
use crate::cockpit::model::ui::Focus;
use crate::text::printable;

/// What an action does stands beside its keys where there are so many columns for it, else below them.
const BESIDE_COLUMNS: u16 = 30;
/// How far in it begins there.
const BELOW_COLUMNS: u16 = 6;
/// No action says more.
const HELP_LINES: usize = 100;

/// Print the keys of the cockpit by their names, with what your configuration changes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover keys
  cutover keys --json

Your configuration is $XDG_CONFIG_HOME/cutover/config.toml, else ~/.config/cutover/config.toml:
  theme = \"gruvbox\"     # or a theme file beside it
  glyphs = \"ascii\"      # braille, blocks or ascii
  mouse = false
  [keys]                # by the names of this table
  hold = \"F8\"
  page-down = [\"PgDn\", \"^D\"]
  [filters]             # gates, steps, events, tables, instances
  events = \"gate_\"")]
pub struct KeysArgs {
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// `cutover keys`
///
/// # Errors
/// Never: what is wrong with the configuration is told, and is wrong usage.
pub fn run(args: &KeysArgs) -> anyhow::Result<Exit> {
    let path = path();
    let habits = match of(path.as_deref()) {
        Ok(habits) => habits,
        Err(problems) => {
            // What must be mended is written by the names of the table, so that it is there to look at, above what is wrong.
            if !args.json {
                table(&Keys::default());
            }
            for problem in &problems {
                errln!("{problem}");
            }
            errln!(
                "every cockpit of yours has the usual keys and looks until that is mended; nothing else in the file counts either"
            );
            return Ok(Exit::Usage);
        }
    };
    let file = path.filter(|path| path.exists());
    match args.json {
        true => outln!("{}", json(file.as_deref(), &habits)),
        false => print(file.as_deref(), &habits),
    }
    Ok(Exit::Done)
}

fn path() -> Option<PathBuf> {
    habits::path(std::env::var_os)
}

fn of(path: Option<&Path>) -> Result<Habits, Vec<Problem>> {
    path.map_or_else(|| Ok(Habits::default()), habits::load)
}

/// What is configured, for a cockpit that opens whatever is wrong; then it says why it is as usual, in a line.
pub fn for_a_cockpit() -> (Habits, Option<String>) {
    let problems = match of(path().as_deref()) {
        Ok(habits) => return (habits, None),
        Err(problems) => problems,
    };
    let more = match problems.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let first = problems
        .first()
        .map_or_else(String::new, Problem::to_string);
    // What comes of it stands first, for a narrow terminal cuts the rest.
    let why = format!(
        "usual keys and looks; your configuration is wrong (`cutover keys`): {first}{more}"
    );
    (Habits::default(), Some(why))
}

fn shown(keys: &[Chord]) -> Vec<String> {
    keys.iter().map(|key| key.shown()).collect()
}

/// Columns of the terminal that shows this; `None` where a file or a program reads it, which breaks lines by itself.
fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}

/// The lines of an action: its head, and what it does in a column of its own.
fn lines(head: &str, help: &str, columns: Option<u16>) -> Vec<String> {
    let Some(columns) = columns else {
        return vec![format!("{head}  {help}")];
    };
    let taken = head.chars().count() + 2;
    let room = columns.saturating_sub(u16::try_from(taken).unwrap_or(u16::MAX));
    if room < BESIDE_COLUMNS {
        let room = columns.saturating_sub(BELOW_COLUMNS);
        let indent = usize::from(BELOW_COLUMNS);
        let below = wrap(help, room, HELP_LINES).into_iter();
        let below = below.map(|line| format!("{:indent$}{line}", ""));
        return std::iter::once(head.trim_end().to_owned())
            .chain(below)
            .collect();
    }
    let beside = wrap(help, room, HELP_LINES).into_iter().enumerate();
    let beside = beside.map(|(n, line)| match n {
        0 => format!("{head}  {line}"),
        _ => format!("{:taken$}{line}", ""),
    });
    beside.collect()
}

/// Each action, under the head of its group.
fn table(keys: &Keys) {
    let columns = columns();
    let widest = |text: &dyn Fn(&Action) -> String| {
        let all = ACTIONS.iter().map(|action| text(action).chars().count());
        all.max().unwrap_or_default()
    };
    let keys = |action: &Action| in_words(keys, action);
    let (name, key) = (widest(&|a| a.name.to_owned()), widest(&keys));
    for group in Group::ALL {
        outln!("{}", group.title());
        for action in ACTIONS.iter().filter(|action| action.group == group) {
            let (called, has) = (action.name, keys(action));
            let head = format!("  {called:name$}  {has:key$}");
            for line in lines(&head, action.help, columns) {
                outln!("{line}");
            }
        }
        outln!("");
    }
}

fn print(file: Option<&Path>, habits: &Habits) {
    table(&habits.keys);
    match file {
        None => outln!("Nothing is configured: `cutover keys --help` says where, and how."),
        Some(file) => {
            let file = printable(&file.to_string_lossy(), 300);
            outln!("{file}: {}", settings(habits));
            for line in left_behind(&habits.keys) {
                outln!("{line}");
            }
        }
    }
}

/// Whom an action had a key in common with that it was taken from: whoever configures it may have meant them too.
fn left_behind(keys: &Keys) -> Vec<String> {
    let mut lines = Vec::new();
    for action in ACTIONS.iter().filter(|action| keys.is_own(action)) {
        for (key, others) in keys.left_behind(action) {
            let (key, name) = (key.shown(), action.name);
            let stays = match others.len() {
                1 => "stays",
                _ => "stay",
            };
            let others = others.join(", ");
            lines.push(format!(
                "{name} usually shares {key} with {others}, which {stays} on it: what is configured for one of them moves no other"
            ));
        }
    }
    lines
}

/// `F8 (usually h)`.
fn in_words(keys: &Keys, action: &Action) -> String {
    let mut words = shown(keys.of(action)).join(" ");
    if keys.is_own(action) {
        words.push_str(&format!(" (usually {})", shown(action.keys).join(" ")));
    }
    words
}

/// Everything but the keys, which the table tells.
fn settings(habits: &Habits) -> String {
    let own = ACTIONS.iter().filter(|action| habits.keys.is_own(action));
    let mut all = vec![format!(
        "keys of {} of {} actions",
        own.count(),
        ACTIONS.len()
    )];
    if let Some(theme) = &habits.theme {
        all.push(format!("theme {}", printable(theme, 300)));
    }
    if let Some(glyphs) = &habits.glyphs {
        all.push(format!("glyphs {glyphs}"));
    }
    match habits.mouse {
        Some(true) => all.push("mouse taken".to_owned()),
        Some(false) => all.push("mouse left to the terminal".to_owned()),
        None => {}
    }
    let filters = Focus::ALL.into_iter();
    let filters = filters.filter(|list| !habits.filters.of(*list).is_empty());
    all.extend(filters.map(|list| {
        let filter = printable(habits.filters.of(list), 60);
        format!("filter of {} “{filter}”", list.name())
    }));
    all.join(", ")
}

/// A line of the table.
#[derive(Serialize)]
struct Line {
    name: &'static str,
    group: &'static str,
    label: &'static str,
    keys: Vec<String>,
    usual_keys: Vec<String>,
    help: &'static str,
}

fn json(file: Option<&Path>, habits: &Habits) -> serde_json::Value {
    let line = |action: &'static Action| Line {
        name: action.name,
        group: action.group.title(),
        label: action.label,
        keys: shown(habits.keys.of(action)),
        usual_keys: shown(action.keys),
        help: action.help,
    };
    let actions: Vec<Line> = ACTIONS.iter().map(line).collect();
    let filters = Focus::ALL.into_iter();
    let filters = filters.filter(|list| !habits.filters.of(*list).is_empty());
    let filters: serde_json::Map<String, serde_json::Value> = filters
        .map(|list| (list.name().to_owned(), habits.filters.of(list).into()))
        .collect();
    serde_json::json!({
        "file": file.map(|file| file.to_string_lossy()), "theme": habits.theme, "glyphs": habits.glyphs, "mouse": habits.mouse,
        "filters": filters, "actions": actions,
    })
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn what_a_key_does_keeps_to_its_column() {
        let help = "Hold: what runs goes on, nothing new starts. Anyone on the bridge may.";
        let whole = format!("  hold  h  {help}");
        assert_eq!(lines("  hold  h", help, None), [whole.as_str()]);
        assert_eq!(lines("  hold  h", help, Some(200)), [whole]);
        let beside = [
            "  hold  h  Hold: what runs goes on,",
            "           nothing new starts. Anyone on",
            "           the bridge may.",
        ];
        assert_eq!(lines("  hold  h", help, Some(41)), beside);
        let below = [
            "  hold  h",
            "      Hold: what runs goes on, nothing",
            "      new starts. Anyone on the bridge",
            "      may.",
        ];
        assert_eq!(lines("  hold  h", help, Some(40)), below);
    }
}
