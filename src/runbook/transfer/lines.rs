//! Where a transfer section's keys are written, so that one that names nothing can be pointed at. Pure.

use std::collections::BTreeMap;

/// Which list or map of the section a key stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOf {
    /// `exclude:`
    Exclude,
    /// `rename:`
    Rename,
    /// `accept:`
    Accept,
    /// `columns:`
    Columns,
    /// `lists:`, by the name of the list.
    Lists,
    /// `slugs:`, by table and column.
    Slugs,
}

impl KeyOf {
    /// As a section spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::Rename => "rename",
            Self::Accept => "accept",
            Self::Columns => "columns",
            Self::Lists => "lists",
            Self::Slugs => "slugs",
        }
    }
}

/// The line of each key; the first where it is written twice. It is no part of what a section says: two that say the same are equal.
#[derive(Debug, Clone, Default)]
pub struct Lines(BTreeMap<(KeyOf, String), usize>);

impl PartialEq for Lines {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Lines {
    /// Keeps the line of a key, counted from 1.
    pub fn remember(&mut self, of: KeyOf, key: &str, line: usize) {
        self.0.entry((of, key.to_owned())).or_insert(line);
    }

    /// The line of a key, if the section was read from a text.
    pub fn line(&self, of: KeyOf, key: &str) -> Option<usize> {
        self.0.get(&(of, key.to_owned())).copied()
    }
}
