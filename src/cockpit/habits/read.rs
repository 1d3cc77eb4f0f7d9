//! The text of a configuration, with the line of everything that is wrong in it. Not in here: where the text comes from.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Habits, Problem, SHOWN_CHARS};
use crate::cockpit::actions::{ACTIONS, Action, Chord, Clash, called};
use crate::cockpit::glyphs::Glyphs;
use crate::cockpit::model::ui::{Focus, LONGEST_QUERY};
use crate::cockpit::theme::Theme;
use crate::text::printable;

/// How many names that are like an unknown one are listed.
const NEAREST: usize = 3;
/// So few names are all listed.
const FEW: usize = 5;

/// What may stand in the file.
const SECTIONS: [&str; 5] = ["theme", "glyphs", "mouse", "keys", "filters"];

type Table<'t> = DeTable<'t>;
type Value<'t> = Spanned<DeValue<'t>>;

/// Reads all of it.
///
/// # Errors
/// Everything that is wrong, by line.
pub(super) fn habits(path: &Path, text: &str) -> Result<Habits, Vec<Problem>> {
    let mut reader = Reader {
        path,
        text,
        habits: Habits::default(),
        lines: BTreeMap::new(),
        problems: Vec::new(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.syntax(error, table.get_ref());
    }
    // What could not be read makes no sense of the rest.
    if errors.is_empty() {
        reader.whole(table.get_ref());
        reader.clashes();
    }
    // A table of TOML has no order of its own; a person reads from the top.
    let Reader {
        habits,
        mut problems,
        ..
    } = reader;
    problems.sort_by_key(|(line, _)| *line);
    match problems.is_empty() {
        true => Ok(habits),
        false => Err(problems.into_iter().map(|(_, problem)| problem).collect()),
    }
}

struct Reader<'t> {
    path: &'t Path,
    text: &'t str,
    habits: Habits,
    /// The line at which each action that has keys of its own got them.
    lines: BTreeMap<&'static str, usize>,
    /// With the line of each.
    problems: Vec<(usize, Problem)>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn place(&self, line: usize) -> String {
        let path = self.path.to_string_lossy();
        format!("{}:{line}", printable(&path, SHOWN_CHARS))
    }

    fn problem(&mut self, line: usize, why: String) {
        let place = self.place(line);
        self.problems.push((line, Problem { place, why }));
    }

    /// What TOML itself does not allow. Of a key that is there twice both places are told.
    fn syntax(&mut self, error: &toml::de::Error, table: &Table<'_>) {
        let span = error.span().unwrap_or_default();
        let line = self.line(span.start);
        let why = printable(error.message(), SHOWN_CHARS);
        let first = match why.as_str() {
            "duplicate key" => self.text.get(span.clone()).and_then(|key| {
                let key = key.trim_matches(['"', '\'']);
                places_of(key, table)
                    .into_iter()
                    .rfind(|at| *at < span.start)
            }),
            _ => None,
        };
        let why = match first {
            Some(at) => format!("{why}: it is at {} already", self.place(self.line(at))),
            None => why,
        };
        self.problem(line, why);
    }

    fn whole(&mut self, table: &Table<'_>) {
        for (key, value) in table.iter() {
            let line = self.line(key.span().start);
            let key: &str = key.get_ref();
            match key {
                "theme" => {
                    if let Some(name) = self.string(line, "theme", value) {
                        self.theme(line, name);
                    }
                }
                "glyphs" => {
                    if let Some(name) = self.string(line, "glyphs", value) {
                        match Glyphs::named(name) {
                            Ok(glyphs) => self.habits.glyphs = Some(glyphs.name().to_owned()),
                            Err(error) => self.problem(line, error.to_string()),
                        }
                    }
                }
                "mouse" => match value.get_ref().as_bool() {
                    Some(taken) => self.habits.mouse = Some(taken),
                    None => self.problem(line, "mouse is true or false".to_owned()),
                },
                "keys" => match value.get_ref() {
                    DeValue::Table(keys) => self.keys(keys),
                    _ => self.problem(line, "keys is a table: [keys]".to_owned()),
                },
                "filters" => match value.get_ref() {
                    DeValue::Table(filters) => self.filters(filters),
                    _ => self.problem(line, "filters is a table: [filters]".to_owned()),
                },
                other => {
                    let why = unknown("setting", other, SECTIONS.into_iter());
                    self.problem(line, why);
                }
            }
        }
    }

    fn string<'v>(&mut self, line: usize, what: &str, value: &'v Value<'_>) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.problem(line, format!("{what} is a text in quotes"));
        }
        text
    }

    /// A file is sought beside the configuration.
    fn theme(&mut self, line: usize, name: &str) {
        let is_embedded = Theme::embedded().any(|known| known == name);
        let beside = self.path.parent().unwrap_or(Path::new("")).join(name);
        let beside = beside.to_string_lossy().into_owned();
        let is_file = name.contains('/') || name.contains('.');
        let wanted = match is_file && !is_embedded {
            true => beside,
            false => name.to_owned(),
        };
        match Theme::load(&wanted) {
            Ok(_) => self.habits.theme = Some(wanted),
            Err(error) => {
                let why = error.to_string();
                self.problem(line, printable(&why, SHOWN_CHARS));
            }
        }
    }

    fn keys(&mut self, table: &Table<'_>) {
        for (name, value) in table.iter() {
            let line = self.line(name.span().start);
            let name: &str = name.get_ref();
            let Some(action) = called(name) else {
                let names = ACTIONS.iter().map(|action| action.name);
                let why = unknown("action", name, names);
                self.problem(line, format!("{why}; `cutover keys` prints all"));
                continue;
            };
            self.action(line, action, value);
        }
    }

    fn action(&mut self, line: usize, action: &'static Action, value: &Value<'_>) {
        let texts: Option<Vec<&str>> = match value.get_ref() {
            DeValue::Array(all) => all.iter().map(|text| text.get_ref().as_str()).collect(),
            one => one.as_str().map(|text| vec![text]),
        };
        let Some(texts) = texts else {
            let why = format!("{} is a key in quotes, or a list of such", action.name);
            return self.problem(line, why);
        };
        let mut chords: Vec<Chord> = Vec::new();
        for text in texts {
            match text.parse::<Chord>() {
                Ok(chord) => chords.push(chord),
                Err(error) => {
                    let why = format!("{}: {error}", action.name);
                    return self.problem(line, printable(&why, 2 * SHOWN_CHARS));
                }
            }
        }
        match self.habits.keys.bind(action, &chords) {
            Ok(()) => {
                self.lines.insert(action.name, line);
            }
            Err(error) => self.problem(line, error.to_string()),
        }
    }

    /// Both places are told: each may be the one that was not meant.
    fn clashes(&mut self) {
        for clash in self.habits.keys.clashes() {
            let Clash { key, first, second } = clash;
            let key = key.shown();
            if let Some(owner) = clash.stays_with() {
                let other = if owner == first { second } else { first };
                if let Some(line) = self.lines.get(other).copied() {
                    let why = format!(
                        "{key} stays with {owner}, whatever is configured: give {other} another key"
                    );
                    self.problem(line, why);
                }
                continue;
            }
            let (one, other) = (self.lines.get(first), self.lines.get(second));
            let (line, why) = match (one.copied(), other.copied()) {
                (Some(one), Some(other)) => {
                    let at = self.place(one.min(other));
                    let (late, early) = match one > other {
                        true => (first, second),
                        false => (second, first),
                    };
                    let why = format!("{key} is given to {late}, and to {early} at {at}");
                    (one.max(other), why)
                }
                (Some(line), None) => (line, usual(&key, first, second)),
                (None, Some(line)) => (line, usual(&key, second, first)),
                (None, None) => continue,
            };
            self.problem(line, why);
        }
    }

    fn filters(&mut self, table: &Table<'_>) {
        for (name, value) in table.iter() {
            let line = self.line(name.span().start);
            let name: &str = name.get_ref();
            let Some(list) = Focus::ALL.into_iter().find(|list| list.name() == name) else {
                let names = Focus::ALL.into_iter().map(Focus::name);
                let why = unknown("list", name, names);
                self.problem(line, why);
                continue;
            };
            let Some(text) = self.string(line, name, value) else {
                continue;
            };
            if text.chars().count() > LONGEST_QUERY || text.contains(char::is_control) {
                let why = format!("a filter is a line of {LONGEST_QUERY} characters at most");
                self.problem(line, why);
                continue;
            }
            text.clone_into(self.habits.filters.of_mut(list));
        }
    }
}

fn usual(key: &str, given: &str, usual: &str) -> String {
    format!(
        "{key} is given to {given}, and is the usual key of {usual} (the table that `cutover keys` prints): one of the two needs another key \
         here"
    )
}

/// Where this key stands in the file or one of its tables, in order.
fn places_of(key: &str, table: &Table<'_>) -> Vec<usize> {
    let mut places = Vec::new();
    for (name, value) in table.iter() {
        if name.get_ref() == key {
            places.push(name.span().start);
        }
        if let DeValue::Table(below) = value.get_ref() {
            places.extend(places_of(key, below));
        }
    }
    places.sort_unstable();
    places
}

/// `there is no action “rolback”; the nearest are roll-back, …`. Where there are few, all are listed, for the nearest mean nothing then.
fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let mut known: Vec<&str> = known.collect();
    let which = match known.len() > FEW {
        true => {
            known.sort_by_key(|known| (strsim::osa_distance(name, known), *known));
            known.truncate(NEAREST);
            "the nearest are"
        }
        false => "there are",
    };
    format!(
        "there is no {what} “{}”; {which} {}",
        printable(name, 60),
        known.join(", ")
    )
}
