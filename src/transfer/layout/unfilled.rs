//! Target columns that no source column fills, and keys that SQLite filled by itself: who fills them in PostgreSQL, now and at the
//! application's next insert. Pure.

use crate::runbook::transfer::Transfer;
use crate::source::schema;
use crate::target::catalogue::{self, Catalogue, ConstraintKind, Trigger};
use crate::text::printable;
use crate::transfer::defaults::is_constant;
use crate::transfer::layout::fire::{called, fires};
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, exclude, structural};
use crate::transfer::matching::folded;

/// What the transfer section calls a key that nothing in PostgreSQL fills.
pub fn next_id(table: &str, column: &str) -> String {
    format!("next id {table}({column})")
}

/// Names by which one sequence numbers the keys of several tables.
const SHARED: &[&str] = &["hibernatesequence", "idseq", "globalidseq", "objectidseq"];

impl Layout {
    /// Target columns that nothing fills during the load.
    pub(super) fn check_unfilled(
        &mut self,
        source: &schema::Table,
        target: &catalogue::Table,
        filled: &[&str],
        transfer: &Transfer,
    ) {
        let unfilled = target
            .columns
            .iter()
            .filter(|column| !column.generated && !filled.contains(&column.name.as_str()));
        for column in unfilled {
            let filler = filler(target, &column.name);
            let fires =
                filler.is_some_and(|trigger| fires(&transfer.fire, &target.name, &trigger.name));
            let said = |reason: &str| structural(&source.name, &column.name, reason, None);
            match filler {
                Some(trigger) if fires => {
                    let name = printable(&trigger.name, 80);
                    self.notes.push(said(&format!(
                        "not in the source; the trigger {name} fills it during the load"
                    )));
                }
                Some(trigger) if column.not_null && !column.has_default => {
                    let name = printable(&trigger.name, 80);
                    let mut problem = said(&format!(
                        "NOT NULL, not in the source, and filled by the trigger {name}, which does not run during the load"
                    ));
                    let called = called(target, trigger);
                    problem.policy = Some(format!("fire: {called}"));
                    self.wishes.fire.insert(called);
                    self.problems.push(problem);
                }
                Some(trigger) => {
                    let name = printable(&trigger.name, 80);
                    self.notes.push(said(&format!(
                        "not in the source; the trigger {name} would fill it and does not run during the load, unless `fire:` names it"
                    )));
                }
                None if column.not_null && !column.has_default => {
                    let mut problem = said(&format!(
                        "the target wants a value here (NOT NULL without default), and the source has no such column; for the target: ALTER TABLE {} ALTER COLUMN {} SET DEFAULT …",
                        crate::target::quoted(&target.name),
                        crate::target::quoted(&column.name)
                    ));
                    problem.policy = exclude(&source.name);
                    self.problems.push(problem);
                }
                None if column.has_default => {
                    self.notes.push(said("not in the source; gets its default"));
                }
                None => self.notes.push(said("not in the source; stays NULL")),
            }
        }
    }

    /// Keys that SQLite filled by itself and that nothing in PostgreSQL fills; and what the section says of free sequences.
    pub(super) fn look_at_keys(&mut self, target: &Catalogue, transfer: &Transfer) {
        self.state_sequences(target, transfer);
        let mut unfilled = Vec::new();
        for table in &self.tables {
            if let Some(column) = table.unfilled_key()
                && !self.is_numbered(table.target.oid, column.target.number)
            {
                let (here, there) = (&table.source.name, &table.target.name);
                let free = &target.free_sequences;
                // It is named after the table that it numbers, which may be called otherwise in SQLite.
                let meant = meant_sequence(free, there, &column.target.name)
                    .or_else(|| meant_sequence(free, here, table.source_name(column)))
                    .or_else(|| shared_sequence(free));
                let column = table.source_name(column).to_owned();
                unfilled.push((here.clone(), column, meant));
            }
        }
        let mut used: Vec<&str> = self.asked_by_code(target, transfer);
        for (table, column, meant) in &unfilled {
            let (accepted, meant) = (next_id(table, column), *meant);
            if let Some(sequence) = meant
                && !transfer.accepts(&accepted)
            {
                used.push(sequence);
            }
            self.unfilled_key(table, column, meant, transfer);
        }
        let stated: Vec<&String> = transfer.sequences.keys().collect();
        for sequence in &target.free_sequences {
            if !used.contains(&sequence.as_str()) && !stated.contains(&sequence) {
                let reason = format!(
                    "the sequence {0} belongs to no column and no default asks it; the import leaves it where it stands. If the application takes \
                     ids from it, say whose: `sequences: {{ {0}: Table.Column }}`",
                    printable(sequence, 80)
                );
                self.notes.push(structural("", "", reason, None));
            }
        }
    }

    /// Free sequences that a trigger or the function behind a default asks for a key: PostgreSQL keeps no record of that, so the text of the
    /// code has to tell. Each that the section does not state is a problem, because it would start over.
    fn asked_by_code<'c>(&mut self, target: &'c Catalogue, transfer: &Transfer) -> Vec<&'c str> {
        let mut found: Vec<(&'c str, String, String)> = Vec::new();
        for table in &self.tables {
            for column in &table.columns {
                let (oid, number) = (table.target.oid, column.target.number);
                let trigger = filler(&table.target, &column.target.name);
                let of_default = target.default_functions.iter();
                let of_default = of_default.filter(|(of, at, _)| (*of, *at) == (oid, number));
                let code = of_default
                    .map(|(_, _, text)| text.as_str())
                    .chain(trigger.map(|trigger| trigger.body.as_str()));
                let asked = code.filter_map(|text| sequence_in(text, &target.free_sequences));
                let asked = asked.filter(|_| !self.is_numbered(oid, number));
                found.extend(asked.map(|sequence| {
                    let column = table.source_name(column).to_owned();
                    (sequence, table.source.name.clone(), column)
                }));
            }
        }
        for (sequence, table, column) in &found {
            let accepted = next_id(table, column);
            if transfer.sequences.contains_key(*sequence) || transfer.accepts(&accepted) {
                continue;
            }
            let fed = format!("{table}.{column}");
            let others = self.wishes.sequences.get(*sequence).cloned();
            let all = others.map_or(fed.clone(), |others| format!("{others}, {fed}"));
            self.wishes.sequences.insert((*sequence).to_owned(), all);
            let reason = format!(
                "the target's own code gives this its value from the sequence {}, which belongs to no column and would start over",
                printable(sequence, 80)
            );
            let policy = Some(format!("sequences: {{ {sequence}: {fed} }}"));
            self.warnings
                .push(structural(table, column, reason, policy));
        }
        found.into_iter().map(|(sequence, ..)| sequence).collect()
    }

    fn unfilled_key(
        &mut self,
        table: &str,
        column: &str,
        sequence: Option<&str>,
        transfer: &Transfer,
    ) {
        let accepted = next_id(table, column);
        let by_itself = "SQLite gives this key by itself; in PostgreSQL nothing does, and an insert without an id will fail";
        if transfer.accepts(&accepted) {
            let reason = format!("{by_itself} (accepted)");
            self.notes.push(structural(table, column, reason, None));
            return;
        }
        let problem = match sequence {
            Some(sequence) => {
                let shown = printable(sequence, 80);
                let fed = format!("{table}.{column}");
                let fed_already = self.wishes.sequences.get(sequence);
                let all = fed_already.map_or(fed.clone(), |others| format!("{others}, {fed}"));
                self.wishes.sequences.insert(sequence.to_owned(), all);
                let policy = format!("sequences: {{ {sequence}: {fed} }}");
                let reason = format!(
                    "{by_itself} unless the application asks the sequence {shown}, which belongs to no column and would start over"
                );
                structural(table, column, reason, Some(policy))
            }
            None => {
                self.wishes.accept.insert(accepted.clone());
                let reason = format!(
                    "{by_itself}; for the target: ALTER TABLE … ALTER COLUMN … ADD GENERATED BY DEFAULT AS IDENTITY, or accept it where the application gives the ids"
                );
                structural(table, column, reason, Some(format!("accept: {accepted}")))
            }
        };
        self.warnings.push(problem);
    }

    /// Takes in `sequences:`; what it names and is not there is a problem.
    fn state_sequences(&mut self, target: &Catalogue, transfer: &Transfer) {
        for (sequence, fed) in &transfer.sequences {
            for name in fed.split(',').map(str::trim) {
                let found = self.tables.iter().find_map(|table| {
                    let column = name
                        .strip_prefix(table.source.name.as_str())?
                        .strip_prefix('.')?;
                    let column = table
                        .columns
                        .iter()
                        .find(|moving| table.source_name(moving) == column)?;
                    Some((table.target.oid, column.target.number))
                });
                match found {
                    Some((oid, number)) => self.sequences.push((sequence.clone(), oid, number)),
                    None => {
                        let reason = format!(
                            "`sequences:` says that {} numbers {}, which is no column that moves",
                            printable(sequence, 80),
                            printable(name, 120)
                        );
                        self.problems.push(structural("", "", reason, None));
                    }
                }
            }
            let bare = sequence
                .strip_prefix(target.schema.as_str())
                .and_then(|rest| rest.strip_prefix('.'))
                .unwrap_or(sequence);
            let elsewhere = bare.contains('.');
            if !elsewhere && !target.sequences.iter().any(|there| there == bare) {
                let reason = format!(
                    "`sequences:` names {}, which the target does not have",
                    printable(sequence, 80)
                );
                self.problems.push(structural("", "", reason, None));
            }
        }
    }

    fn is_numbered(&self, oid: u32, number: i16) -> bool {
        self.sequences
            .iter()
            .any(|(_, table, column)| (*table, *column) == (oid, number))
    }
}

impl TableLayout {
    /// The column that is SQLite's rowid, where nothing in the target gives it a value and no parent's key does.
    pub fn unfilled_key(&self) -> Option<&ColumnLayout> {
        let place = self.source.rowid_column()?;
        let column = self.columns.iter().find(|column| column.source == place)?;
        let target = &column.target;
        let refers = |columns: &[String], name: &str| matches!(columns, [only] if only == name);
        let in_target =
            self.target.constraints.iter().any(|key| {
                key.kind == ConstraintKind::Foreign && refers(&key.columns, &target.name)
            });
        let name = &self.source.columns[place].name;
        let in_source = self
            .source
            .foreign_keys
            .iter()
            .any(|key| refers(&key.columns, name));
        let is_number = matches!(
            column.converter.kind,
            crate::transfer::kind::Kind::Int2
                | crate::transfer::kind::Kind::Int4
                | crate::transfer::kind::Kind::Int8
                | crate::transfer::kind::Kind::Numeric(_)
        );
        // The second insert with a constant meets the first; a table of one row has no second.
        let is_one_row = self.target.constraints.iter().any(|check| {
            check.kind == ConstraintKind::Check
                && refers(&check.columns, &target.name)
                && check
                    .expression
                    .as_deref()
                    .is_some_and(|text| text.contains(" = "))
        });
        let constant = !is_one_row && target.expression.as_deref().is_some_and(is_constant);
        let filled = target.has_default && !constant || target.generated;
        let by_trigger = filler(&self.target, &target.name).is_some();
        (is_number && !filled && !by_trigger && !in_target && !in_source).then_some(column)
    }
}

/// The free sequence that a piece of code asks for a number, where it names just one.
fn sequence_in<'s>(code: &str, free: &'s [String]) -> Option<&'s str> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let asks = |sequence: &&String| {
        code.match_indices(sequence.as_str()).any(|(at, name)| {
            let before = code[..at].chars().next_back();
            let after = code[at + name.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
    };
    if !code.to_lowercase().contains("nextval") {
        return None;
    }
    let mut named = free.iter().filter(asks);
    let first = named.next();
    first.filter(|_| named.next().is_none()).map(String::as_str)
}

/// The trigger that gives a column its value, as far as its text tells.
fn filler<'t>(table: &'t catalogue::Table, column: &str) -> Option<&'t Trigger> {
    table.triggers.iter().find(|trigger| trigger.fills(column))
}

/// The one free sequence whose name says that it numbers this key.
fn meant_sequence<'s>(free: &'s [String], table: &str, column: &str) -> Option<&'s str> {
    let (table, column) = (folded(table), folded(column));
    let names = [
        format!("{table}{column}seq"),
        format!("{table}seq"),
        format!("seq{table}"),
        format!("seq{table}{column}"),
        format!("{table}sequence"),
        format!("{table}idseq"),
        format!("sq{table}"),
        format!("{table}sq"),
        format!("{table}gen"),
        format!("{column}seq"),
    ];
    let by_name = names.iter().find_map(|name| {
        let mut meant = free.iter().filter(|sequence| folded(sequence) == *name);
        let first = meant.next();
        first.filter(|_| meant.next().is_none())
    });
    by_name.map(String::as_str)
}

/// A free sequence whose name says that it numbers every key.
fn shared_sequence(free: &[String]) -> Option<&str> {
    free.iter()
        .find(|sequence| SHARED.contains(&folded(sequence).as_str()))
        .map(String::as_str)
}
