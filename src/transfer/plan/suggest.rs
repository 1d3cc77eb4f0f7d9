//! The transfer section that would settle what a plan found: what is already stated, and what is wished for, as YAML. Columns that share
//! name, type and wishes share one pattern, so that the section holds for those that are empty tonight, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::runbook::transfer::{
    ColumnPolicy, OnProblem, Pattern, Replacement, TargetRows, Transfer,
};
use crate::text::{printable, yaml_scalar};
use crate::transfer::layout::Layout;

/// Settings that change nothing where they are not needed, and so are wished for all columns of one declared type and one target type as
/// soon as one of them needs it.
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
/// Examples beside one line.
const EXAMPLES: usize = 2;

/// Settings to add.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Additions {
    /// `zone: UTC`
    pub zone: bool,
    /// The section has a zone, so that another one is a column's own.
    pub zone_is_stated: bool,
    /// `target_rows: replace`
    pub replace: bool,
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
    /// By table and column.
    pub columns: BTreeMap<(String, String), Addition>,
}

/// Settings to add to one column, or to those of one pattern.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The settings.
    pub policy: ColumnPolicy,
    /// Columns that a pattern covers.
    pub columns: u64,
    /// Values that need them.
    pub values: u64,
    /// What they do, with values.
    pub examples: Vec<String>,
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
        self.exclude.extend(other.exclude);
        self.behind.extend(other.behind);
        self.rename.extend(other.rename);
        self.accept.extend(other.accept);
        self.sequences.extend(other.sequences);
        self.fire.extend(other.fire);
        for (column, settings) in other.columns {
            self.columns.insert(column, settings);
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

    /// How many values of a column have problems, and what the settings make of some.
    pub fn explain(&mut self, table: &str, column: &str, values: u64, examples: Vec<String>) {
        let entry = self.entry(table, column);
        entry.values = values;
        entry.examples.extend(examples);
    }

    fn entry(&mut self, table: &str, column: &str) -> &mut Addition {
        // A row as a whole is put aside by the policy of all its columns.
        let column = if column.is_empty() { "*" } else { column };
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
                if !is_stated(key) {
                    let _ = self.entry(&table, &column).policy.set(key, &value);
                }
            }
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
            let plain = !column.contains('*') && addition.policy.on_problem.is_none();
            if plain && bearers.len() > 1 && bearers.iter().all(same) {
                let pattern = shared.entry(column).or_default();
                pattern.policy = addition.policy.clone();
                pattern.columns += 1;
                pattern.values += addition.values;
                pattern.examples.extend(addition.examples.iter().cloned());
            } else {
                single.push((format!("{table}.{column}"), addition.clone()));
            }
        }
        let shared = shared
            .into_iter()
            .map(|(column, addition)| (format!("*.{column}"), addition));
        shared.chain(single).collect()
    }
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

/// The whole section, ready to paste, as the value of `transfer:` in a file of its own; empty where there is nothing to add to what is
/// stated.
pub fn yaml(transfer: &Transfer, mut additions: Additions, layout: &Layout) -> String {
    additions.without_stated(transfer);
    additions.spread(transfer, layout);
    if additions.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    write(transfer, &additions, layout, &mut out).expect("BUG: writing to a String cannot fail");
    out
}

fn write(
    transfer: &Transfer,
    additions: &Additions,
    layout: &Layout,
    out: &mut String,
) -> std::fmt::Result {
    match transfer.zone {
        Some(zone) => writeln!(out, "zone: {}", yaml_scalar(&zone.to_string()))?,
        None if additions.zone => writeln!(
            out,
            "zone: UTC  # what text without an offset means; check that it is true"
        )?,
        None => {}
    }
    let stated = transfer
        .exclude
        .iter()
        .map(|pattern| pattern.as_str().to_owned());
    let exclude: Vec<String> = stated.chain(additions.exclude.iter().cloned()).collect();
    if !exclude.is_empty() {
        writeln!(out, "exclude:")?;
        exclude
            .iter()
            .try_for_each(|name| writeln!(out, "  - {}", yaml_scalar(name)))?;
    }
    write_map("rename", &transfer.rename, &additions.rename, out)?;
    if transfer.target_rows == TargetRows::Replace || additions.replace {
        writeln!(out, "target_rows: replace")?;
    }
    let accepted = transfer.accept.iter().map(|pattern| pattern.as_str());
    let accepted = accepted.chain(additions.accept.iter().map(String::as_str));
    write_list("accept", accepted, out)?;
    write_map("sequences", &transfer.sequences, &additions.sequences, out)?;
    let fired = transfer.fire.iter().chain(&additions.fire);
    write_list("fire", fired.map(String::as_str), out)?;
    if transfer.refresh {
        writeln!(out, "refresh: true")?;
    }
    let statements = transfer.after_import.iter().map(String::as_str);
    write_list("after_import", statements, out)?;
    write_columns(transfer, &additions.by_pattern(layout), out)?;
    write_checks(transfer, out)?;
    write_behind(&additions.behind, out)
}

fn write_list<'n>(
    key: &str,
    names: impl Iterator<Item = &'n str>,
    out: &mut String,
) -> std::fmt::Result {
    for (place, name) in names.enumerate() {
        if place == 0 {
            writeln!(out, "{key}:")?;
        }
        writeln!(out, "  - {}", yaml_scalar(name))?;
    }
    Ok(())
}

fn write_map(
    key: &str,
    stated: &BTreeMap<String, String>,
    added: &BTreeMap<String, String>,
    out: &mut String,
) -> std::fmt::Result {
    let all: BTreeMap<_, _> = added.iter().chain(stated).collect();
    if !all.is_empty() {
        writeln!(out, "{key}:")?;
    }
    all.into_iter()
        .try_for_each(|(from, to)| writeln!(out, "  {}: {}", yaml_scalar(from), yaml_scalar(to)))
}

/// What could be left behind, last and as comments: nobody loses rows by pasting.
fn write_behind(behind: &BTreeMap<String, String>, out: &mut String) -> std::fmt::Result {
    if behind.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "# Only if they may be lost: under `exclude:`, each without its #"
    )?;
    behind
        .iter()
        .try_for_each(|(name, loses)| writeln!(out, "#  - {}  # {loses}", yaml_scalar(name)))
}

fn write_columns(
    transfer: &Transfer,
    additions: &[(String, Addition)],
    out: &mut String,
) -> std::fmt::Result {
    if transfer.columns.is_empty() && additions.is_empty() {
        return Ok(());
    }
    writeln!(out, "columns:")?;
    let stated = transfer.columns.iter().map(|(pattern, policy)| {
        let of = additions.iter().find(|(name, _)| name == pattern.as_str());
        (
            pattern.as_str(),
            policy.clone(),
            of.map(|(_, addition)| addition),
        )
    });
    let is_stated = |name: &str| {
        transfer
            .columns
            .iter()
            .any(|(pattern, _)| pattern.as_str() == name)
    };
    let new = additions
        .iter()
        .filter(|(name, _)| !is_stated(name))
        .map(|(name, addition)| (name.as_str(), ColumnPolicy::default(), Some(addition)));
    for (name, mut policy, addition) in stated.chain(new) {
        if let Some(addition) = addition {
            policy.overlay(&addition.policy);
        }
        let pairs: Vec<String> = policy
            .pairs()
            .iter()
            .map(|(key, value)| format!("{}: {value}", yaml_scalar(key)))
            .collect();
        let comment = addition.map(comment).unwrap_or_default();
        writeln!(
            out,
            "  {}: {{ {} }}{comment}",
            yaml_scalar(name),
            pairs.join(", ")
        )?;
    }
    Ok(())
}

/// How many columns and values a line covers, and what it makes of some of them.
fn comment(addition: &Addition) -> String {
    let plural = |count: u64, one: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    };
    let mut comment = format!("  # {}", plural(addition.values, "value"));
    if addition.columns > 1 {
        comment = format!("{comment} in {}", plural(addition.columns, "column"));
    }
    for example in addition.examples.iter().take(EXAMPLES) {
        comment.push_str(&format!("; {}", printable(example, 100)));
    }
    comment
}

fn write_checks(transfer: &Transfer, out: &mut String) -> std::fmt::Result {
    if !transfer.lists.is_empty() {
        writeln!(out, "lists:")?;
    }
    for list in &transfer.lists {
        let order: Vec<String> = list
            .order_by
            .iter()
            .map(|column| yaml_scalar(column))
            .collect();
        write!(
            out,
            "  - {{ name: {}, table: {}, order_by: [{}]",
            yaml_scalar(&list.name),
            yaml_scalar(&list.table),
            order.join(", ")
        )?;
        if let Some(limit) = list.limit {
            write!(out, ", limit: {limit}")?;
        }
        writeln!(out, " }}")?;
    }
    if !transfer.slugs.is_empty() {
        writeln!(out, "slugs:")?;
    }
    for slug in &transfer.slugs {
        let (table, column) = (yaml_scalar(&slug.table), yaml_scalar(&slug.column));
        writeln!(
            out,
            "  - {{ table: {table}, column: {column}, trim: {}, ignore_case: {} }}",
            slug.trim, slug.ignore_case
        )?;
    }
    Ok(())
}
