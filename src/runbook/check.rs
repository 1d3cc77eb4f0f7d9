//! What must hold between the parts of a runbook. Pure. Not in here: the form of each part (`parse`), and anything that looks at the
//! world (`cli::check`).

mod bridge;
mod fleet;
mod names;
mod rehearsed;
mod secrets;
mod sequence;
mod switch;
mod urls;
mod watch;

use std::collections::BTreeSet;

use super::model::Runbook;
use super::problem::Severity;
use super::reader::{Reader, did_you_mean, quoted};

/// Reports everything that does not fit together. Parts in which errors were found already are left alone.
pub(super) fn check(runbook: &Runbook, reader: &mut Reader<'_>, plain: &BTreeSet<String>) {
    let errors = reader.problems.iter();
    let broken = errors
        .filter(|p| p.severity == Severity::Error)
        .map(|p| {
            p.path
                .split(['.', '['])
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect();
    let mut check = Check {
        runbook,
        reader,
        plain,
        broken,
    };
    names::check(&mut check);
    secrets::check(&mut check);
    bridge::check(&mut check);
    sequence::check(&mut check);
    switch::check(&mut check);
    urls::check(&mut check);
    fleet::check(&mut check);
    watch::check(&mut check);
    rehearsed::check(&mut check);
}

/// Reports every listed value that is too short to be hidden: no error of form, and nobody may run such a runbook.
pub(super) fn too_short(reader: &mut Reader<'_>) {
    secrets::too_short(reader);
}

/// A runbook under examination.
struct Check<'r, 'e, 'p> {
    runbook: &'r Runbook,
    reader: &'p mut Reader<'e>,
    /// The texts that the file shows as they are.
    plain: &'p BTreeSet<String>,
    /// Sections with errors of form: what they say is not what was meant. The empty name stands for all.
    broken: BTreeSet<String>,
}

impl<'r> Check<'r, '_, '_> {
    /// Whether all these sections were read without an error.
    fn sound(&self, sections: &[&str]) -> bool {
        !self.broken.contains("") && sections.iter().all(|s| !self.broken.contains(*s))
    }

    fn error(&mut self, path: &str, expected: &str, found: &str, hint: Option<String>) {
        let place = self.reader.place(path);
        self.reader.problem(place, path, expected, found, hint);
    }

    fn warn(&mut self, path: &str, expected: &str, found: &str, hint: Option<String>) {
        let place = self.reader.place(path);
        let severity = Severity::Warning;
        self.reader
            .push(severity, place, path, expected, found, hint);
    }

    /// Reports a name that is none of the known ones.
    fn known(&mut self, path: &str, what: &str, name: &str, known: &[&str]) -> bool {
        if known.contains(&name) {
            return true;
        }
        let near = did_you_mean(name, known.iter().copied());
        let hint = near.unwrap_or_else(|| format!("there are {}", quoted(known.iter().copied())));
        self.error(path, what, &format!("`{name}`"), Some(hint));
        false
    }

    fn step_ids(&self) -> Vec<&'r str> {
        self.runbook.steps.iter().map(|s| s.id.as_str()).collect()
    }

    /// Position of the first step of a kind.
    fn position_of(&self, kind: &str) -> Option<usize> {
        self.runbook.steps.iter().position(|s| s.kind.key() == kind)
    }
}
