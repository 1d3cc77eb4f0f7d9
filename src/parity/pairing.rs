//! Which table of the source is compared with which of the target, and which columns with which: by the import's rule for names, on
//! schemas that the checker has read itself. Pure.

use super::aside::{Aside, Record};
use super::equality::Rule;
use super::pair::{ColumnPair, TablePair};
use super::report::Skipped;
use super::schema::{SourceSchema, SourceTable, TargetTable};
use super::source_value::Encoding;
use crate::runbook::frameworks::book_of;
use crate::runbook::transfer::{OnProblem, Transfer};
use crate::text::printable;
use crate::transfer::matching::stray::{self, Known, Table, Weight};
use crate::transfer::matching::{self, Unmatched};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// PostgreSQL gives no more expressions at once; a long value needs two.
const MOST_EXPRESSIONS: usize = 1664;

/// What is compared, what cannot be, and what is not meant to be.
#[derive(Debug, Default)]
pub(crate) struct Pairing {
    /// Tables that are compared.
    pub(crate) pairs: Vec<Arc<TablePair>>,
    /// Tables of the source that should be compared and cannot.
    pub(crate) unpaired: Vec<Unpaired>,
    /// What is left alone on purpose.
    pub(crate) skipped: Vec<Skipped>,
    /// Keys of the transfer section that name nothing: what was meant by them was not compared.
    pub(crate) strays: Vec<String>,
}

/// Keys of the transfer section that name nothing on either side. Constraints and triggers are the plan's to know.
pub(super) fn strays(
    source: &SourceSchema,
    targets: &[TargetTable],
    transfer: &Transfer,
) -> Vec<String> {
    let of_source = source.tables.iter().map(|table| Table {
        name: &table.name,
        columns: table.columns.iter().map(String::as_str).collect(),
    });
    let of_target = targets.iter().map(|table| Table {
        name: &table.name,
        columns: table.columns.iter().map(|c| c.name.as_str()).collect(),
    });
    let others = source.others.iter().map(|(name, _)| name.as_str());
    let known = Known {
        source: of_source.collect(),
        others: others.collect(),
        target: of_target.collect(),
        constraints: None,
        triggers: None,
    };
    // Without a table nothing can be compared, which is said by itself.
    if known.source.is_empty() {
        return Vec::new();
    }
    let found = stray::strays(transfer, &known).into_iter();
    // A list or a slug is looked for by its own check, which cannot be made then.
    let problems = found.filter(|stray| stray.weight == Weight::Import);
    problems.map(|stray| stray.reason).collect()
}

/// A table of the source that cannot be compared.
#[derive(Debug, Clone)]
pub(crate) struct Unpaired {
    pub(crate) table: String,
    /// Its partner, where it has one.
    pub(crate) target: String,
    /// Why it cannot be compared.
    pub(crate) problem: String,
}

impl Pairing {
    /// Pairs the tables of both sides.
    pub(crate) fn of(
        source: &SourceSchema,
        targets: &[TargetTable],
        schema: &str,
        transfer: &Transfer,
        mut aside: Option<Aside>,
    ) -> Self {
        let mut pairing = Self::default();
        for (name, why) in &source.others {
            pairing.skip(name, why);
        }
        let mut planned = Vec::new();
        for table in &source.tables {
            if transfer.excludes_table(&table.name) {
                pairing.skip(&table.name, "excluded by the transfer section");
            } else if is_history(table, targets) && transfer.renamed_table(&table.name).is_none() {
                pairing.skip(&table.name, "migration history; the target keeps its own");
            } else if stands_in(table, targets, schema, transfer)
                && transfer.renamed_table(&table.name).is_none()
            {
                pairing.skip(&table.name, "stands in for a sequence of the target");
            } else {
                planned.push(table);
            }
        }
        let sources: Vec<_> = planned.iter().map(|table| table.name.as_str()).collect();
        let is_book = |table: &&TargetTable| {
            let columns = table.columns.iter().map(|column| column.name.as_str());
            let is_stated = transfer.rename.values().any(|to| *to == table.name);
            book_of(&table.name, columns).is_some() && !is_stated
        };
        let names = targets.iter().filter(|table| !is_book(table));
        let names: Vec<_> = names.map(|table| table.name.as_str()).collect();
        let found = matching::pair(&sources, &names, |name| {
            transfer.renamed_table(name).map(str::to_owned)
        });
        for (table, found) in planned.into_iter().zip(found) {
            let partner = found
                .map_err(|why| (String::new(), why.to_string()))
                .and_then(|(name, _)| {
                    let target = targets
                        .iter()
                        .find(|target| target.name == name)
                        .expect("BUG: matched a name that was not given");
                    pair_columns(table, target, schema, transfer)
                        .map_err(|problem| (name.to_owned(), problem))
                });
            match partner {
                Ok(mut pair) => {
                    pair.encoding = source.encoding;
                    if pair.may_put_aside() || pair.may_lose_values() {
                        let records = aside
                            .as_mut()
                            .map(|aside| aside.remove(&pair.source).unwrap_or_default());
                        if pair.may_put_aside() {
                            let out = records.as_ref().map(|records| left_out(&pair, records));
                            pair.aside = out.map(Arc::new);
                        }
                        pair.nulled = records.map(|records| Arc::new(nulled(&pair, &records)));
                    }
                    pairing.pairs.push(Arc::new(pair));
                }
                Err((target, problem)) => pairing.unpaired.push(Unpaired {
                    table: table.name.clone(),
                    target,
                    problem,
                }),
            }
        }
        pairing
    }

    fn skip(&mut self, name: &str, why: &str) {
        self.skipped.push(Skipped {
            name: printable(name, 80),
            why: why.to_owned(),
        });
    }
}

/// The rows that are not in the target. One whose column has the policy `null` is on record too, for the value that it lost.
fn left_out(pair: &TablePair, records: &[Record]) -> HashSet<String> {
    let is_left_out = |record: &&Record| match pair.column(&record.column) {
        Some(column) => column.rule.policy.on_problem == Some(OnProblem::Quarantine),
        None => true,
    };
    records
        .iter()
        .filter(is_left_out)
        .map(|record| record.row.clone())
        .collect()
}

/// The columns whose values became NULL, by row.
fn nulled(pair: &TablePair, records: &[Record]) -> HashMap<String, Vec<String>> {
    let mut nulled: HashMap<String, Vec<String>> = HashMap::new();
    let became_null = |record: &&Record| {
        let policy = pair
            .column(&record.column)
            .map(|column| &column.rule.policy);
        policy.is_some_and(|policy| policy.on_problem == Some(OnProblem::Null))
    };
    for record in records.iter().filter(became_null) {
        nulled
            .entry(record.row.clone())
            .or_default()
            .push(record.column.clone());
    }
    nulled
}

/// Whether a table holds nothing but the next number of a sequence that the transfer section states, and has no partner of its name.
fn stands_in(
    table: &SourceTable,
    targets: &[TargetTable],
    schema: &str,
    transfer: &Transfer,
) -> bool {
    let is_counter =
        matches!(table.columns.as_slice(), [only] if only.eq_ignore_ascii_case("next_val"));
    let is_named = |name: &str| name.eq_ignore_ascii_case(&table.name);
    let is_sequence = |key: &String| {
        let bare = key
            .strip_prefix(schema)
            .and_then(|rest| rest.strip_prefix('.'));
        is_named(key) || bare.is_some_and(is_named)
    };
    let is_stated = transfer.sequences.keys().any(is_sequence);
    is_counter && is_stated && !targets.iter().any(|target| is_named(&target.name))
}

/// Pairs the columns of a table, the key's first.
fn pair_columns(
    source: &SourceTable,
    target: &TargetTable,
    schema: &str,
    transfer: &Transfer,
) -> Result<TablePair, String> {
    let planned = source
        .columns
        .iter()
        .filter(|column| !transfer.excludes_column(&source.name, column));
    let planned: Vec<_> = planned.map(String::as_str).collect();
    let names: Vec<_> = target
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let found = matching::pair(&planned, &names, |column| {
        transfer
            .renamed_column(&source.name, column)
            .map(str::to_owned)
    });
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for (column, found) in planned.into_iter().zip(found) {
        match found {
            Ok((name, _)) => {
                let partner = target
                    .columns
                    .iter()
                    .find(|column| column.name == name)
                    .expect("BUG: matched a name that was not given");
                let policy = transfer.column(&source.name, column);
                // What the application has put into a plain column is data: PostgreSQL's own rule does not make another value right.
                let is_computed_here = source.generated.iter().any(|name| name == column);
                let rule = Rule {
                    kind: partner.kind.clone(),
                    zone: policy.zone.or(transfer.zone),
                    policy,
                    default: partner.default.clone(),
                };
                columns.push(ColumnPair {
                    source: column.to_owned(),
                    target: name.to_owned(),
                    rule,
                    computed: is_computed_here
                        && partner.computed
                        && !target.key.contains(&partner.name),
                });
            }
            // What SQLite computes is no data; the application's own migrations decide whether PostgreSQL computes it too.
            Err(Unmatched::Missing)
                if source.generated.iter().any(|generated| generated == column) => {}
            Err(why) => problems.push(format!("column {}: {why}", printable(column, 80))),
        }
    }
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    if columns.is_empty() {
        return Err("no column to compare".to_owned());
    }
    let key_columns = bring_key_forward(&mut columns, source, target);
    columns[..key_columns]
        .iter_mut()
        .for_each(|column| column.computed = false);
    let source_key = match source.without_rowid {
        true => source.key.clone(),
        false => Vec::new(),
    };
    let may_be_large = columns.iter().filter(|c| c.rule.kind.may_be_large());
    let asked = columns.len() + may_be_large.count();
    Ok(TablePair {
        source: source.name.clone(),
        schema: schema.to_owned(),
        target: target.name.clone(),
        columns,
        key_columns,
        rowid: source.rowid,
        aside: None,
        // Where that would be too many expressions, long values are read whole.
        has_long_values: target.has_long_values && asked < MOST_EXPRESSIONS,
        has_computed: target.has_computed,
        encoding: Encoding::default(),
        size_bytes: target.size_bytes,
        is_partitioned: target.is_partitioned,
        nulled: None,
        source_key,
    })
}

/// Puts the columns of the target's key, or else of the source's, to the front, if all of them are compared.
fn bring_key_forward(
    columns: &mut [ColumnPair],
    source: &SourceTable,
    target: &TargetTable,
) -> usize {
    let of_target =
        |key: &[String], columns: &[ColumnPair]| places(key, columns, |column| &column.target);
    let of_source =
        |key: &[String], columns: &[ColumnPair]| places(key, columns, |column| &column.source);
    let Some(key) = of_target(&target.key, columns).or_else(|| of_source(&source.key, columns))
    else {
        return 0;
    };
    columns.sort_by_key(|column| {
        key.iter()
            .position(|name| *name == column.source)
            .unwrap_or(usize::MAX)
    });
    key.len()
}

/// The source names of a key's columns, if there is a key and all of it is compared.
fn places(
    key: &[String],
    columns: &[ColumnPair],
    name: impl Fn(&ColumnPair) -> &String,
) -> Option<Vec<String>> {
    if key.is_empty() {
        return None;
    }
    key.iter()
        .map(|part| {
            columns
                .iter()
                .find(|column| name(column) == part)
                .map(|column| column.source.clone())
        })
        .collect()
}

/// Whether frameworks keep book of their migrations in this table, as it is on either side.
fn is_history(table: &SourceTable, targets: &[TargetTable]) -> bool {
    let here = book_of(&table.name, table.columns.iter().map(String::as_str));
    let there = || {
        let partner = targets.iter().find(|target| target.name == table.name)?;
        let columns = partner.columns.iter().map(|column| column.name.as_str());
        book_of(&partner.name, columns)
    };
    here.or_else(there).is_some()
}
