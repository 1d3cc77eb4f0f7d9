//! The transfer section that would settle what a plan found: what is already stated, and what is wished for, as YAML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::runbook::transfer::{TargetRows, Transfer};
use crate::text::yaml_scalar;

/// Settings to add.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Additions {
    /// `zone: UTC`
    pub zone: bool,
    /// `target_rows: replace`
    pub replace: bool,
    /// Tables and columns to leave behind.
    pub exclude: BTreeSet<String>,
    /// Settings (`key: value`) by `Table.Column`.
    pub columns: BTreeMap<String, BTreeSet<String>>,
}

impl Additions {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what a problem's policy says.
    pub fn add(&mut self, table: &str, column: &str, policy: &str) {
        match policy.split_once(": ") {
            Some(("exclude", name)) => {
                self.exclude.insert(name.to_owned());
            }
            Some(("zone", _)) => self.zone = true,
            Some(("target_rows", _)) => self.replace = true,
            _ => {
                // A row as a whole is put aside by the policy of all its columns.
                let column = if column.is_empty() { "*" } else { column };
                self.columns
                    .entry(format!("{table}.{column}"))
                    .or_default()
                    .insert(policy.to_owned());
            }
        }
    }
}

/// The whole section, ready to paste, as the value of `transfer:` in a file of its own.
pub fn yaml(transfer: &Transfer, additions: &Additions) -> String {
    let mut out = String::new();
    write(transfer, additions, &mut out).expect("BUG: writing to a String cannot fail");
    out
}

fn write(transfer: &Transfer, additions: &Additions, out: &mut String) -> std::fmt::Result {
    match transfer.zone {
        Some(zone) if zone.offset_s == 0 => writeln!(out, "zone: UTC")?,
        Some(zone) => {
            let (sign, offset) = (
                if zone.offset_s < 0 { '-' } else { '+' },
                zone.offset_s.abs(),
            );
            writeln!(
                out,
                "zone: \"{sign}{:02}:{:02}\"",
                offset / 3600,
                offset / 60 % 60
            )?;
        }
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
    if !transfer.rename.is_empty() {
        writeln!(out, "rename:")?;
        transfer.rename.iter().try_for_each(|(from, to)| {
            writeln!(out, "  {}: {}", yaml_scalar(from), yaml_scalar(to))
        })?;
    }
    if transfer.target_rows == TargetRows::Replace || additions.replace {
        writeln!(out, "target_rows: replace")?;
    }
    write_columns(transfer, additions, out)?;
    write_checks(transfer, out)
}

fn write_columns(transfer: &Transfer, additions: &Additions, out: &mut String) -> std::fmt::Result {
    if transfer.columns.is_empty() && additions.columns.is_empty() {
        return Ok(());
    }
    writeln!(out, "columns:")?;
    let mut columns: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    for (pattern, policy) in &transfer.columns {
        let pairs = policy
            .pairs()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        columns.push((pattern.as_str().to_owned(), pairs.collect()));
    }
    for (name, policies) in &additions.columns {
        let at = columns
            .iter()
            .position(|(stated, _)| stated == name)
            .unwrap_or_else(|| {
                columns.push((name.clone(), BTreeMap::new()));
                columns.len() - 1
            });
        let pairs = policies.iter().filter_map(|policy| policy.split_once(": "));
        columns[at]
            .1
            .extend(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
    for (name, pairs) in columns {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(key, value)| format!("{key}: {}", quoted_if_word(value)))
            .collect();
        writeln!(out, "  {}: {{ {} }}", yaml_scalar(&name), pairs.join(", "))?;
    }
    Ok(())
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

/// `null` alone would be YAML's null, not the word.
fn quoted_if_word(value: &str) -> String {
    if value == "null" {
        "\"null\"".to_owned()
    } else {
        value.to_owned()
    }
}
