//! Where in a runbook's file each value is written, so that whoever looks at the world can point at the line that does not fit it. Not in here:
//! what is wrong (`check`, `cli::check`), and how a problem is shown (`problem`).

use std::collections::BTreeMap;
use std::fmt;

use super::problem::{Problem, Severity};
use super::reader::did_you_mean;
use super::tree::Place;
use crate::secret::without_passwords;

/// The places of one file.
#[derive(Clone, Default)]
pub struct Sites {
    file: String,
    lines: Vec<String>,
    places: BTreeMap<String, Place>,
}

/// The lines may hold a password, and are not shown.
impl fmt::Debug for Sites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sites")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Sites {
    pub(super) fn new(file: &str, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            places: BTreeMap::new(),
        }
    }

    /// The text of a line, counted from 1.
    pub(super) fn line(&self, line: usize) -> Option<&String> {
        self.lines.get(line.checked_sub(1)?)
    }

    /// Keeps where the value at a path is written; the first place counts.
    pub(super) fn remember(&mut self, path: &str, place: Place) {
        self.places.entry(path.to_owned()).or_insert(place);
    }

    /// Where the value at a path is written; the nearest enclosing one where the path itself is not.
    pub(super) fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(at) => path = &path[..at],
                None => return Place::START,
            }
        }
    }

    pub(super) fn problem(
        &self,
        severity: Severity,
        place: Place,
        path: &str,
        expected: &str,
        found: &str,
        hint: Option<String>,
    ) -> Problem {
        let line = place.line.clamp(1, self.lines.len().max(1));
        let source = self.line(line).map_or("", String::as_str);
        let column = if line == place.line {
            place.column.min(source.chars().count() + 1)
        } else {
            source.chars().count() + 1
        };
        Problem {
            severity,
            file: self.file.clone(),
            line,
            column,
            length: place.length.max(1),
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
            hint,
            source_line: without_passwords(source).into_owned(),
        }
    }

    /// A name at a path that is none of those that are known, with the nearest one.
    pub fn unknown<'w>(
        &self,
        severity: Severity,
        path: &str,
        expected: &str,
        name: &str,
        known: impl Iterator<Item = &'w str>,
    ) -> Problem {
        self.named(severity, path, expected, name, did_you_mean(name, known))
    }

    /// A name at a path that is none of those that are known, with what is known of it elsewhere.
    pub fn named(
        &self,
        severity: Severity,
        path: &str,
        expected: &str,
        name: &str,
        hint: Option<String>,
    ) -> Problem {
        let found = format!("`{}`", crate::text::printable(name, 120));
        self.problem(severity, self.place(path), path, expected, &found, hint)
    }
}
