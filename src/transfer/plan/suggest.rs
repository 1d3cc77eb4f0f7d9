//! The settings that would settle what a plan found, beside those that are stated. Columns that share name, type and wishes share one
//! pattern, so that the section holds for those that are empty tonight, too. Not in here: how they are written (`section`).

mod section;

use std::collections::{BTreeMap, BTreeSet};

pub use self::section::yaml;
use crate::runbook::transfer::names::{column_key, in_quotes, part};
use crate::runbook::transfer::{
    ColumnPolicy, OnProblem, Pattern, Replacement, TargetRows, Transfer,
};
use crate::transfer::convert::Class;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::rows::ColumnLook;

/// Settings that change nothing where they are not needed, and so are wished for all columns of one declared type and one target type as
/// soon as one of them needs it; not for one that holds values of which none is of the kind that it speaks of.
const HARMLESS: [&str; 9] = [
    "fraction",
    "offset",
    "midnight",
    "real",
    "boolean_words",
    "boolean_bytes",
    "guid_bytes",
    "guid_text",
    "char_padding",
];

/// Settings to add.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Additions {
    /// `zone: UTC`
    pub zone: bool,
    /// The section has a zone, so that another one is a column's own.
    pub zone_is_stated: bool,
    /// `target_rows: replace`
    pub replace: bool,
    /// Rows of PostgreSQL that would go with it, by table: told beside it.
    pub losses: Vec<String>,
    /// Tables and columns to leave behind, of which nothing is lost.
    pub exclude: BTreeSet<String>,
    /// Tables and columns that could be left behind, with what would stay there: told as comments.
    pub behind: BTreeMap<String, String>,
    /// Source names to target names.
    pub rename: BTreeMap<String, String>,
    /// Differences between the schemas to accept.
    pub accept: BTreeSet<String>,
    /// Sequences and the columns they number.
    pub sequences: BTreeMap<String, String>,
    /// Triggers that run during the load.
    pub fire: BTreeSet<String>,
    /// Tables of which rows stay behind, each with one whose rows stay behind for that.
    pub hanging: BTreeSet<(String, String)>,
    /// By table and column; a row as a whole, without a column, is put aside by the policy of all its columns.
    pub columns: BTreeMap<(String, String), Addition>,
    /// How many values of each class there are, by table and column; none of a column whose values nobody looked at.
    pub classes: BTreeMap<(String, String), [u64; 5]>,
}

/// Settings to add to one column, or to those of one pattern.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The settings.
    pub policy: ColumnPolicy,
    /// Columns that a pattern covers.
    pub columns: u64,
    /// Values that need each of them, by the setting's key.
    pub values: BTreeMap<String, u64>,
    /// Rows that a rule of the target's refuses without them.
    pub rows: u64,
    /// What they do, with values.
    pub examples: Vec<String>,
    /// Values that become others: how many of each, and what.
    pub replaced: Vec<String>,
    /// What else a value may mean, with the setting for that.
    pub advice: String,
    /// What it means that rows are put aside by them; empty where none is.
    pub aside: String,
}

impl Additions {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        let bare = !self.zone && !self.replace && self.exclude.is_empty();
        let named = self.rename.is_empty() && self.accept.is_empty() && self.sequences.is_empty();
        bare && named && self.fire.is_empty() && self.columns.is_empty()
    }

    /// Takes over what `other` wishes.
    pub fn merge(&mut self, other: Self) {
        self.zone |= other.zone;
        self.replace |= other.replace;
        self.losses.extend(other.losses);
        self.exclude.extend(other.exclude);
        self.behind.extend(other.behind);
        self.rename.extend(other.rename);
        self.accept.extend(other.accept);
        self.sequences.extend(other.sequences);
        self.fire.extend(other.fire);
        self.hanging.extend(other.hanging);
        for (column, settings) in other.columns {
            self.columns.insert(column, settings);
        }
        self.classes.extend(other.classes);
    }

    /// Takes in what a column holds.
    pub fn look(&mut self, table: &str, column: &str, look: &ColumnLook) {
        let key = (table.to_owned(), column.to_owned());
        self.classes.insert(key, look.classes);
    }

    /// Whether a setting speaks of values that a column has; of one that is empty tonight it may.
    fn concerns(&self, key: &str, table: &str, column: &str) -> bool {
        let column = (table.to_owned(), column.to_owned());
        let Some(classes) = self.classes.get(&column) else {
            return true;
        };
        let count = |of: &[Class]| -> u64 { of.iter().map(|class| classes[*class as usize]).sum() };
        let all = [Class::Integer, Class::Real, Class::Text, Class::Blob];
        count(&all) == 0
            || match key {
                "guid_bytes" | "boolean_bytes" => count(&[Class::Blob]) > 0,
                "guid_text" | "boolean_words" | "char_padding" => {
                    count(&[Class::Text, Class::Blob]) > 0
                }
                // What moments and numbers need differs from row to row.
                _ => true,
            }
    }

    /// Takes in what a problem's policy says; one that is no setting of a section says nothing.
    pub fn add(&mut self, table: &str, column: &str, policy: &str) {
        match policy.split_once(": ") {
            Some(("exclude", name)) => {
                self.exclude.insert(name.to_owned());
            }
            Some(("accept", name)) => {
                self.accept.insert(name.to_owned());
            }
            Some(("fire", name)) => {
                self.fire.insert(name.to_owned());
            }
            // Pairs of names: whoever found the pair adds it.
            Some(("rename" | "sequences", _)) => {}
            Some(("zone", _)) if !self.zone_is_stated => self.zone = true,
            Some(("target_rows", _)) => self.replace = true,
            Some((key, value)) => {
                let mut alone = ColumnPolicy::default();
                if alone.set(key, value).is_ok() {
                    let entry = self.entry(table, column);
                    // Where some row has to be put aside, the others of the column are too.
                    let stays = entry.policy.on_problem == Some(OnProblem::Quarantine);
                    if stays && alone.on_problem == Some(OnProblem::Null) {
                        return;
                    }
                    let _ = entry.policy.set(key, value);
                }
            }
            None => {}
        }
    }

    /// A value of a column that stands for something else.
    pub fn replace(&mut self, table: &str, column: &str, value: &str, by: &Replacement) {
        self.entry(table, column).policy.replace(value, by.clone());
    }

    /// One more row that a rule refuses, and that the settings of this column are to settle.
    pub fn count_row(&mut self, table: &str, column: &str) {
        self.entry(table, column).rows += 1;
    }

    /// Takes back that rows of this table are put aside, or values of theirs become NULL.
    pub fn keep_rows(&mut self, table: &str) {
        let of_table = self.columns.iter_mut().filter(|((of, _), _)| of == table);
        for (_, addition) in of_table {
            addition.policy.on_problem = None;
        }
    }

    /// Whether rows of this table would be put aside by what is suggested.
    pub fn puts_aside(&self, table: &str) -> bool {
        let mut columns = self.columns.iter();
        columns.any(|((of, _), addition)| {
            of == table && addition.policy.on_problem == Some(OnProblem::Quarantine)
        })
    }

    /// How many more values of a column need one of its settings, and what the setting makes of some.
    pub fn explain(
        &mut self,
        table: &str,
        column: &str,
        key: &str,
        values: u64,
        examples: Vec<String>,
    ) {
        let entry = self.entry(table, column);
        *entry.values.entry(key.to_owned()).or_default() += values;
        entry.examples.extend(examples);
    }

    /// How many values of one kind become what.
    pub fn show_replaced(&mut self, table: &str, column: &str, shown: String) {
        self.entry(table, column).replaced.push(shown);
    }

    /// What else a value of a column may mean.
    pub fn advise(&mut self, table: &str, column: &str, advice: String) {
        self.entry(table, column).advice = advice;
    }

    fn entry(&mut self, table: &str, column: &str) -> &mut Addition {
        let key = (table.to_owned(), column.to_owned());
        self.columns.entry(key).or_insert_with(|| Addition {
            columns: 1,
            ..Addition::default()
        })
    }

    /// Leaves out what is stated already, so that nothing is suggested twice.
    fn without_stated(&mut self, transfer: &Transfer) {
        self.zone &= transfer.zone.is_none();
        self.replace &= transfer.target_rows != TargetRows::Replace;
        self.exclude
            .retain(|name| !transfer.exclude.contains(&Pattern::new(name.as_str())));
        self.columns.retain(|(table, column), addition| {
            addition.policy != ColumnPolicy::default()
                && !transfer.column(table, column).states(&addition.policy)
        });
    }

    /// Harmless settings for every column of the same declared type and the same type in the target.
    fn spread(&mut self, transfer: &Transfer, layout: &Layout) {
        let mut wished: BTreeMap<(String, String), ColumnPolicy> = BTreeMap::new();
        for (table, column, types) in moving(layout) {
            let Some(addition) = self.columns.get(&(table, column)) else {
                continue;
            };
            for (key, value) in addition.policy.pairs() {
                if HARMLESS.contains(&key) {
                    let _ = wished.entry(types.clone()).or_default().set(key, &value);
                }
            }
        }
        for (table, column, types) in moving(layout) {
            let Some(policy) = wished.get(&types) else {
                continue;
            };
            let stated = transfer.column(&table, &column);
            let own = self.columns.get(&(table.clone(), column.clone()));
            let own = own
                .map(|addition| addition.policy.clone())
                .unwrap_or_default();
            let is_stated = |key: &str| {
                let mut all = stated.pairs().into_iter().chain(own.pairs());
                all.any(|(known, _)| known == key)
            };
            for (key, value) in policy.pairs() {
                if !is_stated(key) && self.concerns(key, &table, &column) {
                    let _ = self.entry(&table, &column).policy.set(key, &value);
                }
            }
        }
    }

    /// Says of rows that would be put aside that they stay behind as a whole, of which tables rows do with them, and where NULL would lose less.
    fn explain_aside(&mut self, layout: &Layout) {
        for ((table, column), addition) in &mut self.columns {
            if addition.policy.on_problem != Some(OnProblem::Quarantine) {
                continue;
            }
            let found = layout.tables.iter().find(|t| t.source.name == *table);
            addition.aside = match found {
                Some(found) => aside(found, column, &self.hanging),
                None => ASIDE.to_owned(),
            };
        }
    }

    /// One entry per pattern: columns of one name that are all to get the same share it.
    fn by_pattern(&self, layout: &Layout) -> Vec<(String, Addition)> {
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (table, column, _) in moving(layout) {
            named.entry(column).or_default().push(table);
        }
        let mut shared: BTreeMap<&str, Addition> = BTreeMap::new();
        let mut single = Vec::new();
        for ((table, column), addition) in &self.columns {
            let bearers = named.get(column).map(Vec::as_slice).unwrap_or_default();
            let same = |table: &String| {
                let other = self.columns.get(&(table.clone(), column.clone()));
                other.is_some_and(|other| other.policy == addition.policy)
            };
            let plain = !column.is_empty() && addition.policy.on_problem.is_none();
            if plain && bearers.len() > 1 && bearers.iter().all(same) {
                let pattern = shared.entry(column).or_default();
                pattern.policy = addition.policy.clone();
                pattern.columns += 1;
                for (key, count) in &addition.values {
                    *pattern.values.entry(key.clone()).or_default() += count;
                }
                pattern.rows += addition.rows;
                pattern.examples.extend(addition.examples.iter().cloned());
                pattern.replaced.extend(addition.replaced.iter().cloned());
                if pattern.advice.is_empty() {
                    pattern.advice.clone_from(&addition.advice);
                }
            } else {
                let name = match column.as_str() {
                    "" => format!("{}.*", part(table)),
                    column => column_key(table, column),
                };
                single.push((name, addition.clone()));
            }
        }
        // Without quotes, the dot of a pattern is one of a name as well.
        let is_end = |column: &str| {
            let end = format!(".{column}");
            named.keys().any(|name| name.ends_with(&end))
        };
        let shared = shared.into_iter().map(|(column, addition)| {
            let name = match is_end(column) {
                true => in_quotes(column),
                false => part(column),
            };
            (format!("*.{name}"), addition)
        });
        shared.chain(single).collect()
    }
}

/// What `on_problem: quarantine` does.
const ASIDE: &str = "the whole row stays behind";

/// What it means that rows of this table are put aside by what they have in this column.
fn aside(table: &TableLayout, column: &str, hanging: &BTreeSet<(String, String)>) -> String {
    let hanging = hanging
        .iter()
        .filter(|(parent, _)| *parent == table.source.name);
    let referring: Vec<&str> = hanging.map(|(_, child)| child.as_str()).collect();
    let hangs = match referring.is_empty() {
        true => String::new(),
        false => format!(" and what refers to it in {}", referring.join(", ")),
    };
    let mut moving = table.columns.iter();
    let found = moving.find(|moving| table.source_name(moving) == column);
    let is_free = found.is_some_and(|moving| {
        let mut constraints = table.target.constraints.iter();
        let name = &moving.target.name;
        !moving.converter.not_null && !constraints.any(|key| key.columns.contains(name))
    });
    let less = match is_free {
        true => "; `on_problem: \"null\"` would lose the value alone",
        false => "",
    };
    format!("{ASIDE}{hangs}{less}")
}

/// Table, column, and declared with target type of every column that moves.
fn moving(layout: &Layout) -> impl Iterator<Item = (String, String, (String, String))> {
    layout.tables.iter().flat_map(|table| {
        table.columns.iter().map(|column| {
            let declared = table.source.columns[column.source].declared.to_uppercase();
            (
                table.source.name.clone(),
                table.source_name(column).to_owned(),
                (declared, column.target.ty.base_shown.clone()),
            )
        })
    })
}
