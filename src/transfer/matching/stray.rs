//! Keys of a transfer section that name nothing: a setting that was meant and does nothing is worse than one that is refused. Pure. The
//! import and the parity check ask it both, each with the names that it has read itself.
//!
//! Names under `accept:` are in [`accept`]. Not in here: settings that do nothing for a column that is there (`layout::effect`), and
//! `sequences:` and `fire:`, which say so themselves.

mod accept;

use crate::runbook::frameworks::book_of;
use crate::runbook::transfer::names::{column_key, means_column, means_table, part};
use crate::runbook::transfer::{KeyOf, OrderedList, Pattern, Transfer};
use crate::text::printable;

/// How many names that could be meant are shown.
const SHOWN: usize = 3;

/// How many columns of a table are shown.
const SHOWN_COLUMNS: usize = 8;

/// A table with its columns.
#[derive(Debug, Clone)]
pub struct Table<'n> {
    pub name: &'n str,
    pub columns: Vec<&'n str>,
}

impl Table<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn has(&self, column: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|name| name.eq_ignore_ascii_case(column))
    }
}

/// The names that a section may speak of.
#[derive(Debug, Clone, Default)]
pub struct Known<'n> {
    /// Tables of the source.
    pub source: Vec<Table<'n>>,
    /// Views and the like of the source.
    pub others: Vec<&'n str>,
    /// Tables of the target.
    pub target: Vec<Table<'n>>,
    /// Constraints of the target; none where nobody has read them, and then every name may be one.
    pub constraints: Option<Vec<&'n str>>,
    /// Triggers of the target, likewise.
    pub triggers: Option<Vec<&'n str>>,
}

/// Which part of a key names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The table that it is about.
    Table(String),
    /// A column of a table that is there.
    Column {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
}

/// A key that names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stray {
    /// What it is a key of.
    pub of: KeyOf,
    /// The key as it is written.
    pub key: String,
    /// Which part of it.
    pub part: Part,
    /// What may have been meant, or what there is; empty where that is not known.
    pub hint: String,
    /// Which, where it is written, and what may have been meant.
    pub reason: String,
    /// What it stands in the way of.
    pub weight: Weight,
}

/// What a key that names nothing stands in the way of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The import: somebody meant something, and rows would arrive otherwise.
    Import,
    /// A check after the import, which would fail by it; the rows are the same.
    Check,
    /// Nothing: a pattern may be there for another release of the application.
    Nothing,
}

impl Weight {
    fn of(pattern: &Pattern) -> Self {
        match pattern.has_wildcards() {
            true => Self::Nothing,
            false => Self::Import,
        }
    }
}

/// Every key of the section that names nothing.
pub fn strays(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let mut found = of_columns(transfer, known);
    found.extend(of_exclude(transfer, known));
    found.extend(of_rename(transfer, known));
    found.extend(accept::strays(transfer, known));
    found.extend(of_lists(transfer, known));
    found.extend(of_slugs(transfer, known));
    found
}

/// How a key is written in the section, with its line: `exclude: a (line 2)`.
pub fn at(transfer: &Transfer, of: KeyOf, key: &str) -> String {
    let shown = format!("`{}: {}`", of.word(), printable(key, 120));
    match transfer.lines.line(of, key) {
        Some(line) => format!("{shown} (line {line})"),
        None => shown,
    }
}

fn of_columns(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let patterns = transfer.columns.iter().map(|(pattern, _)| pattern);
    let strays = patterns.filter(|pattern| !known.has_column(|t, c| pattern.matches_column(t, c)));
    let told = strays.map(|pattern| {
        let key = pattern.as_str();
        let what = "names no column of the SQLite file";
        let hint = known.near_column(key);
        stray(
            transfer,
            KeyOf::Columns,
            key,
            what,
            &hint,
            Weight::of(pattern),
        )
    });
    told.collect()
}

/// What only the target has stays there by itself, and books of migrations stay behind by themselves: to say so is right as well.
fn of_exclude(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let is_there = |pattern: &&Pattern| {
        let key = pattern.as_str();
        let mut tables = known.source.iter().chain(&known.target);
        let mut others = known.others.iter();
        transfer.history.as_ref() == Some(*pattern)
            || key.to_ascii_lowercase().starts_with("sqlite_")
            || book_of(key, std::iter::empty::<&str>()).is_some()
            || tables.any(|table| pattern.matches_table(table.name))
            || others.any(|other| pattern.matches_table(other))
            || known.has_column(|t, c| pattern.matches_column(t, c))
            || known.target.iter().any(|table| {
                let mut columns = table.columns.iter();
                columns.any(|column| pattern.matches_column(table.name, column))
            })
    };
    let strays = transfer.exclude.iter().filter(|pattern| !is_there(pattern));
    let told = strays.map(|pattern| {
        let key = pattern.as_str();
        let what = "names no table or column of the SQLite file";
        let hint = known.near_any(key);
        stray(
            transfer,
            KeyOf::Exclude,
            key,
            what,
            &hint,
            Weight::of(pattern),
        )
    });
    told.collect()
}

fn of_rename(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let is_there = |key: &&String| {
        let mut tables = known.source.iter();
        let mut others = known.others.iter();
        tables.any(|table| means_table(key, table.name))
            || others.any(|other| means_table(key, other))
            || known.has_column(|t, c| means_column(key, t, c))
    };
    let strays = transfer.rename.keys().filter(|key| !is_there(key));
    let told = strays.map(|key| {
        let what = "names no table or column of the SQLite file";
        let hint = known.near_any(key);
        stray(transfer, KeyOf::Rename, key, what, &hint, Weight::Import)
    });
    told.collect()
}

fn of_lists(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let strays = transfer.lists.iter().filter_map(|list| {
        let columns = list.order_by.iter();
        let columns = columns.map(|part| OrderedList::direction(part).0);
        let (what, hint, part) = known.lacking(&list.table, columns)?;
        let (of, key) = (KeyOf::Lists, &list.name);
        let found = stray(transfer, of, key, &what, &hint, Weight::Check);
        Some(Stray { part, ..found })
    });
    strays.collect()
}

fn of_slugs(transfer: &Transfer, known: &Known<'_>) -> Vec<Stray> {
    let strays = transfer.slugs.iter().filter_map(|slug| {
        let columns = std::iter::once(slug.column.as_str());
        let (what, hint, part) = known.lacking(&slug.table, columns)?;
        let (of, key) = (KeyOf::Slugs, column_key(&slug.table, &slug.column));
        let found = stray(transfer, of, &key, &what, &hint, Weight::Check);
        Some(Stray { part, ..found })
    });
    strays.collect()
}

fn stray(
    transfer: &Transfer,
    of: KeyOf,
    key: &str,
    what: &str,
    hint: &str,
    weight: Weight,
) -> Stray {
    let at = at(transfer, of, key);
    Stray {
        of,
        key: key.to_owned(),
        part: Part::Whole,
        hint: hint.trim_start_matches("; ").to_owned(),
        reason: format!("{at} {what}, so that it does nothing{hint}"),
        weight,
    }
}

impl Known<'_> {
    fn has_column(&self, is_meant: impl Fn(&str, &str) -> bool) -> bool {
        self.source.iter().any(|table| {
            let mut columns = table.columns.iter();
            columns.any(|column| is_meant(table.name, column))
        })
    }

    /// Every column of the source, as a section writes it.
    fn keys(&self) -> Vec<String> {
        let keys = self.source.iter().flat_map(|table| {
            let columns = table.columns.iter();
            columns.map(|column| column_key(table.name, column))
        });
        keys.collect()
    }

    fn near_column(&self, key: &str) -> String {
        let hint = nearest(key, &self.keys());
        if !hint.is_empty() {
            return hint;
        }
        let named = key.rsplit_once('.').and_then(|(table, _)| {
            let mut tables = self.source.iter();
            tables.find(|known| means_table(table, known.name))
        });
        named.map_or_else(String::new, columns_of)
    }

    fn near_any(&self, key: &str) -> String {
        let tables = self.source.iter().map(|table| part(table.name));
        let others = self.others.iter().map(|other| part(other));
        let hint = nearest(key, &tables.chain(others).collect::<Vec<String>>());
        match hint.is_empty() && key.contains('.') {
            true => self.near_column(key),
            false => hint,
        }
    }

    /// What a table lacks of these columns, or that there is no such table, and what may have been meant.
    fn lacking<'c>(
        &self,
        table: &str,
        mut columns: impl Iterator<Item = &'c str>,
    ) -> Option<(String, String, Part)> {
        let Some(there) = self.source.iter().find(|known| known.is(table)) else {
            let shown = printable(table, 80);
            let what = format!("is about the table {shown}, which the SQLite file does not have");
            let part = Part::Table(table.to_owned());
            return Some((what, self.near_any(table), part));
        };
        let column = columns.find(|column| !there.has(column))?;
        let names: Vec<String> = there.columns.iter().map(|name| part(name)).collect();
        let part = Part::Column {
            table: there.name.to_owned(),
            column: column.to_owned(),
        };
        let (table, shown) = (printable(there.name, 80), printable(column, 80));
        let what = format!("is about the column {shown}, which {table} does not have");
        let near = nearest(column, &names);
        let hint = match near.is_empty() {
            true => columns_of(there),
            false => near,
        };
        Some((what, hint, part))
    }
}

fn columns_of(table: &Table<'_>) -> String {
    let shown = table.columns.iter().take(SHOWN_COLUMNS);
    let shown: Vec<String> = shown.map(|column| printable(&part(column), 60)).collect();
    let more = match table.columns.len() > SHOWN_COLUMNS {
        true => ", …",
        false => "",
    };
    let name = printable(table.name, 80);
    format!("; {name} has {}{more}", shown.join(", "))
}

/// The known names that are nearest to one that is not, as a question; empty where none is near.
fn nearest(name: &str, known: &[String]) -> String {
    let mut near: Vec<(usize, &String)> = known
        .iter()
        .filter_map(|other| Some((distance(name, other)?, other)))
        .collect();
    near.sort();
    near.dedup();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    // What is much nearer than others is what was meant.
    let shown = near
        .iter()
        .filter(|(distance, _)| *distance <= best + 1)
        .take(SHOWN)
        .map(|(_, other)| format!("`{}`", printable(other, 120)));
    let shown: Vec<String> = shown.collect();
    match shown.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", shown.join(" or ")),
    }
}

/// How far two names are from each other, where one may be a slip of the other: part by part, for a long table is no reason to take another short
/// column for the one that was meant.
fn distance(name: &str, other: &str) -> Option<usize> {
    let near = |one: &str, other: &str| {
        let limit = (one.chars().count() / 3).clamp(1, 4);
        let distance = strsim::osa_distance(one, other);
        (distance <= limit).then_some(distance)
    };
    let (name, other) = (name.to_lowercase(), other.to_lowercase());
    let parts = |name: &'_ str| -> Vec<String> {
        let parts = name.split(['.', '(', ')', ',', ' ']);
        parts.map(str::to_owned).collect()
    };
    let (here, there) = (parts(&name), parts(&other));
    if here.len() != there.len() {
        return near(&name, &other);
    }
    here.iter()
        .zip(&there)
        .map(|(one, other)| near(one, other))
        .sum()
}

#[cfg(test)]
mod tests;
