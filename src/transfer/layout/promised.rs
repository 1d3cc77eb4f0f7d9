//! What SQLite's schema promises and PostgreSQL's does not: keys, foreign keys, NOT NULL, defaults, indexes; and the other way round. Told,
//! not judged: the application's own migrations decide what its schema is. Pure.

mod checks;
mod indexes;

use std::collections::BTreeSet;

use crate::postgres::catalogue::ConstraintKind;
use crate::sqlite::schema;
use crate::text::{printable, whole};
use crate::transfer::layout::{Layout, TableLayout, structural};
use crate::transfer::plan::Problem;

/// A key, a foreign key, a check or an index that the target had, by its own names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// `primary key`, `unique`, `foreign key`, …
    pub kind: String,
    pub table: String,
    /// The table that a foreign key refers to.
    pub parent: Option<String>,
    pub columns: BTreeSet<String>,
}

/// A key or foreign key that the source has and the target lacks.
struct Missing {
    /// As `accept:` takes it, by the source's names.
    name: String,
    /// The same by the target's names.
    wanted: Kept,
}

impl Missing {
    /// Whether this is among what the target had. A primary key is a unique key too, whatever it is called.
    fn was_kept(&self, before: &[Kept]) -> bool {
        before.iter().any(|kept| {
            let alike = match (self.wanted.kind.as_str(), kept.kind.as_str()) {
                ("unique", "primary key") => true,
                (one, other) => one == other,
            };
            alike
                && kept.table == self.wanted.table
                && kept.columns == self.wanted.columns
                && kept.parent == self.wanted.parent
        })
    }
}

impl Layout {
    /// Adds a note for each table whose two schemas promise different things.
    pub(super) fn note_promises(&mut self) {
        let mut notes: Vec<Problem> = Vec::new();
        for table in &self.tables {
            let partial = indexes::compare(table);
            let mut missing = self.missing(table);
            missing.extend(partial.missing);
            if !missing.is_empty() {
                let reason = format!(
                    "SQLite keeps, and PostgreSQL does not: {}",
                    missing.join("; ")
                );
                notes.push(structural(&table.source.name, "", whole(&reason), None));
            }
            let of_checks = checks::fewer(table).into_iter().chain(checks::alike(table));
            for reason in partial.by_eye.into_iter().chain(of_checks) {
                notes.push(structural(&table.source.name, "", reason, None));
            }
            let more = self.more(table, &partial.known);
            if !more.is_empty() {
                let reason = format!("PostgreSQL keeps, and SQLite does not: {}", more.join("; "));
                notes.push(structural(&table.source.name, "", whole(&reason), None));
            }
        }
        self.notes.extend(notes);
    }

    /// Notes for tables some of whose keys PostgreSQL does not have: those that it had before the import, whose record of what was taken
    /// away is lost, apart from those that it never had. `before` is what it had, where that is known.
    pub fn keys_not_kept(&self, before: Option<&[Kept]>) -> Vec<Problem> {
        let mut notes = Vec::new();
        for table in &self.tables {
            let missing = self.missing_keys(table);
            let (lost, never): (Vec<Missing>, Vec<Missing>) = missing
                .into_iter()
                .partition(|key| before.is_none_or(|before| key.was_kept(before)));
            let names = |keys: &[Missing]| {
                let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                whole(&names.join("; "))
            };
            let mut note = |reason: String| {
                notes.push(structural(&table.source.name, "", reason, None));
            };
            if !lost.is_empty() && before.is_some() {
                note(format!(
                    "PostgreSQL had before this import, and does not have any more: {}. `cutover verify` is red by it, unless the transfer section \
                     accepts it",
                    names(&lost)
                ));
            } else if !lost.is_empty() {
                note(format!(
                    "SQLite has, and PostgreSQL does not: {}. What PostgreSQL had before this import is not on record, so that `cutover verify` is \
                     red by it, unless the transfer section accepts it",
                    names(&lost)
                ));
            }
            if !never.is_empty() {
                note(format!(
                    "SQLite has, and PostgreSQL did not have when this import began: {}. `cutover verify` tells it and is not red by it",
                    names(&never)
                ));
            }
        }
        notes
    }

    /// Keys and foreign keys that the source has and the target lacks.
    fn missing_keys(&self, table: &TableLayout) -> Vec<Missing> {
        let source = &table.source;
        let name = |place: &usize| source.columns[*place].name.clone();
        let wanted = |kind: &str, places: &[usize], parent: Option<String>| Kept {
            kind: kind.to_owned(),
            table: table.target.name.clone(),
            parent,
            columns: targets(table, places)
                .unwrap_or_default()
                .into_iter()
                .map(str::to_owned)
                .collect(),
        };
        let mut missing = Vec::new();
        let primary: Vec<String> = source.primary_key.iter().map(name).collect();
        if !primary.is_empty() && !has_key(table, &source.primary_key, true) {
            missing.push(Missing {
                name: format!("primary key {}({})", source.name, primary.join(", ")),
                wanted: wanted("primary key", &source.primary_key, None),
            });
        }
        for key in &source.unique_keys {
            let is_primary = key.columns == source.primary_key;
            if !is_primary && !has_key(table, &key.columns, false) {
                let columns: Vec<String> = key.columns.iter().map(name).collect();
                missing.push(Missing {
                    name: format!("unique {}({})", source.name, columns.join(", ")),
                    wanted: wanted("unique", &key.columns, None),
                });
            }
        }
        for key in &source.foreign_keys {
            if !self.lacks_foreign_key(table, key) {
                continue;
            }
            let columns = key.columns.iter();
            let places: Vec<usize> = columns.filter_map(|name| source.column(name)).collect();
            let parent = self.parent_of(key);
            missing.push(Missing {
                name: format!("foreign key {}({})", source.name, key.columns.join(", ")),
                wanted: wanted(
                    "foreign key",
                    &places,
                    parent.map(|parent| parent.target.name.clone()),
                ),
            });
        }
        missing
    }

    /// What the source has and the target lacks, by the names that `accept:` takes where it takes any.
    fn missing(&self, table: &TableLayout) -> Vec<String> {
        let source = &table.source;
        let name = |place: &usize| source.columns[*place].name.clone();
        let keys = self.missing_keys(table).into_iter();
        let mut missing: Vec<String> = keys.map(|key| key.name).collect();
        for places in &source.indexes {
            if lacks_index(table, places) {
                let columns: Vec<String> = places.iter().map(name).collect();
                missing.push(format!("index {}({})", source.name, columns.join(", ")));
            }
        }
        for check in &source.checks {
            let columns = checks::lacking(table, check);
            if let Some(columns) = columns {
                missing.push(format!(
                    "check {}({}): {}",
                    source.name,
                    columns.join(", "),
                    whole(&check.expression)
                ));
            }
        }
        for column in &table.columns {
            let from = &source.columns[column.source];
            let shown = printable(&from.name, 80);
            if from.not_null && !column.target.not_null {
                missing.push(format!("NOT NULL {shown}"));
            }
            if let Some(default) = &from.default
                && !column.target.has_default
                && !column.target.generated
                && !is_null(default)
            {
                let fails = if column.target.not_null {
                    ", so that an insert without it fails"
                } else {
                    ""
                };
                missing.push(format!(
                    "DEFAULT {} of {shown}{fails}",
                    printable(default, 60)
                ));
            }
        }
        missing
    }

    /// The table that moves and that a foreign key of the source refers to.
    fn parent_of(&self, key: &schema::ForeignKey) -> Option<&TableLayout> {
        let mut tables = self.tables.iter();
        tables.find(|other| other.source.name.eq_ignore_ascii_case(&key.references))
    }

    fn lacks_foreign_key(&self, table: &TableLayout, key: &schema::ForeignKey) -> bool {
        let Some(parent) = self.parent_of(key) else {
            return false;
        };
        let columns: Option<BTreeSet<&str>> = key
            .columns
            .iter()
            .map(|name| {
                let place = table.source.column(name)?;
                let column = table.columns.iter().find(|c| c.source == place)?;
                Some(column.target.name.as_str())
            })
            .collect();
        let Some(columns) = columns else { return false };
        let mut keys = table.target.constraints.iter();
        !keys.any(|there| {
            there.kind == ConstraintKind::Foreign
                && there
                    .columns
                    .iter()
                    .map(String::as_str)
                    .collect::<BTreeSet<_>>()
                    == columns
                && there
                    .references
                    .as_ref()
                    .is_some_and(|(oid, ..)| *oid == parent.target.oid)
        })
    }

    /// What the target has and the source lacks, apart from these `partial` indexes that the source may have; rows that break it are the plan's to find.
    fn more(&self, table: &TableLayout, partial: &[String]) -> Vec<String> {
        let source_of = |name: &String| {
            let mut columns = table.columns.iter();
            columns.find(|c| c.target.name == *name).map(|c| c.source)
        };
        let mut more = more_not_null(table);
        for index in table.target.indexes.iter().filter(|index| index.unique) {
            let columns: Option<BTreeSet<usize>> = index
                .columns
                .iter()
                .map(|name| name.as_ref().and_then(source_of))
                .collect();
            let known = columns
                .filter(|_| index.predicate.is_none())
                .is_some_and(|columns| {
                    let same =
                        |key: &[usize]| key.iter().copied().collect::<BTreeSet<_>>() == columns;
                    same(&table.source.primary_key)
                        || table
                            .source
                            .unique_keys
                            .iter()
                            .any(|key| same(&key.columns))
                });
            if !known && !partial.contains(&index.name) {
                more.push(format!("unique {}", printable(&index.name, 80)));
            }
        }
        for constraint in &table.target.constraints {
            let name = printable(&constraint.name, 80);
            match constraint.kind {
                ConstraintKind::Foreign => {
                    let places: Option<BTreeSet<usize>> =
                        constraint.columns.iter().map(source_of).collect();
                    let known = places.is_some_and(|places| {
                        table.source.foreign_keys.iter().any(|key| {
                            let there: Option<BTreeSet<usize>> = key
                                .columns
                                .iter()
                                .map(|name| table.source.column(name))
                                .collect();
                            there.as_ref() == Some(&places)
                        })
                    });
                    if !known {
                        more.push(format!("foreign key {name}"));
                    }
                }
                ConstraintKind::Exclusion => more.push(format!("exclusion {name}")),
                ConstraintKind::Primary
                | ConstraintKind::Unique
                | ConstraintKind::Check
                | ConstraintKind::Other => {}
            }
        }
        more
    }
}

/// Whether a default as written is none: `NULL`, in any letters and brackets.
fn is_null(default: &str) -> bool {
    let bare = default.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ')'));
    bare.eq_ignore_ascii_case("null")
}

/// Columns that an insert may leave out in SQLite, and not in PostgreSQL.
fn more_not_null(table: &TableLayout) -> Vec<String> {
    let only_there = table.columns.iter().filter(|column| {
        let (from, to) = (&table.source.columns[column.source], &column.target);
        let by_trigger = table.target.triggers.iter().any(|t| t.fills(&to.name));
        let is_key = table.source.primary_key.contains(&column.source);
        let must = to.not_null && !to.has_default && !to.generated && !by_trigger;
        // Where SQLite has a default, that is told with what it has and PostgreSQL has not.
        must && !is_key && !from.not_null && from.default.is_none()
    });
    only_there
        .map(|column| {
            let name = printable(table.source_name(column), 80);
            format!("NOT NULL {name} without a default, so that an insert without it fails")
        })
        .collect()
}

/// Target names of these source columns; none where one of them does not move.
fn targets<'t>(table: &'t TableLayout, places: &[usize]) -> Option<BTreeSet<&'t str>> {
    let target = |place: &usize| {
        let column = table.columns.iter().find(|c| c.source == *place)?;
        Some(column.target.name.as_str())
    };
    places.iter().map(target).collect()
}

/// Whether no index of the target is over these source columns alone.
fn lacks_index(table: &TableLayout, places: &[usize]) -> bool {
    let Some(columns) = targets(table, places) else {
        return false;
    };
    let over = |index: &crate::postgres::catalogue::Index| {
        let mut names = index.columns.iter().flatten().map(String::as_str);
        // An index helps those who look by its first columns.
        let first: BTreeSet<&str> = names.by_ref().take(columns.len()).collect();
        index.predicate.is_none() && first == columns
    };
    !table.target.indexes.iter().any(over)
}

/// Whether the target keeps these source columns unique, by whatever it is called.
fn has_key(table: &TableLayout, places: &[usize], primary: bool) -> bool {
    let columns: Option<BTreeSet<&str>> = places
        .iter()
        .map(|place| {
            let column = table.columns.iter().find(|c| c.source == *place)?;
            Some(column.target.name.as_str())
        })
        .collect();
    // A key over a column that does not move is nobody's promise.
    let Some(columns) = columns else { return true };
    let is_primary = |constraint: &Option<String>| {
        let mut all = table.target.constraints.iter();
        all.any(|other| {
            Some(&other.name) == constraint.as_ref() && other.kind == ConstraintKind::Primary
        })
    };
    table.target.indexes.iter().any(|index| {
        let there: Option<BTreeSet<&str>> = index.columns.iter().map(Option::as_deref).collect();
        index.unique
            && index.predicate.is_none()
            && there.as_ref() == Some(&columns)
            && (!primary || is_primary(&index.constraint))
    })
}
