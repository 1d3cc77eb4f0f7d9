//! Target columns that no source column fills, and keys that SQLite filled by itself: who fills them in PostgreSQL, now and at the
//! application's next insert. Pure.

use crate::postgres::catalogue::{self, Catalogue, ConstraintKind, Trigger};
use crate::postgres::quoted;
use crate::runbook::transfer::Transfer;
use crate::runbook::transfer::names::{column_key, listed, means_column};
use crate::sqlite::schema;
use crate::text::printable;
use crate::transfer::defaults::is_constant;
use crate::transfer::layout::code::{self, Asked};
use crate::transfer::layout::fire::{called, fires};
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, exclude, structural};
use crate::transfer::matching::folded;

/// What the transfer section calls a key that nothing in PostgreSQL fills.
pub fn next_id(table: &str, column: &str) -> String {
    format!("next id {table}({column})")
}

/// More columns than this are no likeness.
const MOST_LIKELY: usize = 4;
/// More than this, where the stem is a long one.
const MOST_LIKELY_OF_LONG: usize = 8;
/// A stem of this length is no word that many tables have in their names by chance.
const LONG_STEM: usize = 8;
/// Shorter stems of names say nothing.
const LEAST_STEM: usize = 3;

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
                        quoted(&target.name),
                        quoted(&column.name)
                    ));
                    problem.policy = exclude(&source.name, None);
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
        let asked = self.asked_by_code(target);
        self.weigh_untraced(&asked.untraced, transfer);
        let may_ask_any = asked.by_unknown_name;
        let mut used: Vec<&str> = self.state_asked(asked, transfer);
        assign_by_likeness(&mut unfilled, &used, &target.free_sequences, transfer);
        for (table, column, meant) in &unfilled {
            let (accepted, meant) = (next_id(table, column), *meant);
            if let Some(sequence) = meant
                && !transfer.accepts(&accepted)
            {
                used.push(sequence);
            }
            self.unfilled_key(table, column, meant, transfer);
        }
        let stood_in = self.look_at_stand_ins(transfer);
        used.extend(stood_in.iter().map(String::as_str));
        let stated: Vec<&String> = transfer.sequences.keys().collect();
        for sequence in &target.free_sequences {
            if !used.contains(&sequence.as_str()) && !stated.contains(&sequence) {
                let (shown, likely) = (printable(sequence, 80), self.likely(sequence));
                let whose = match likely.as_str() {
                    "" => "say whose",
                    _ => "say whose; by its name",
                };
                let likely = if likely.is_empty() {
                    "Table.Column"
                } else {
                    likely.as_str()
                };
                let asks = if may_ask_any || code::is_asked(sequence, target) {
                    ", and the target's own code may ask it"
                } else {
                    " and no default asks it"
                };
                let reason = format!(
                    "the sequence {shown} belongs to no column{asks}; the import leaves it where it stands. If the application \
                     takes ids from it, {whose}: `sequences: {{ {shown}: {likely} }}`"
                );
                self.notes.push(structural("", "", reason, None));
            }
        }
    }

    /// The columns that a free sequence numbers, by the likeness of its name to those of tables: `receipts_sequence` numbers
    /// `receipts_linearized.stream_id`. Where it is named after a table and its name ends with that of a column, that one is meant:
    /// `event_auth_chain_id` numbers `event_auth_chains.chain_id`. Empty where there is none, or too many.
    fn likely(&self, sequence: &str) -> String {
        let stem = stem(sequence);
        let alike = self.tables.iter().filter(|table| {
            let (here, there) = (folded(&table.source.name), folded(&table.target.name));
            stem.len() >= LEAST_STEM && (here.contains(&stem) || there.contains(&stem))
        });
        let alike: Vec<&TableLayout> = alike.collect();
        let is_meant = |table: &&&TableLayout| {
            is_named(&table.source.name, &stem) || is_named(&table.target.name, &stem)
        };
        let meant = alike.iter().filter(is_meant);
        let mut numbered: Vec<String> =
            meant.filter_map(|table| table.named_by(sequence)).collect();
        if numbered.is_empty() {
            let ordered = alike.iter().filter_map(|table| table.numbered_column());
            numbered = ordered.collect();
        }
        let most = if stem.len() >= LONG_STEM {
            MOST_LIKELY_OF_LONG
        } else {
            MOST_LIKELY
        };
        if numbered.len() > most {
            return String::new();
        }
        numbered.join(", ")
    }

    /// Free sequences that a trigger or a default asks for a value through a function: PostgreSQL keeps no record of that, so the text of the
    /// code has to tell. Each that the section does not state is a problem, because it would start over.
    fn state_asked<'c>(&mut self, asked: Asked<'c>, transfer: &Transfer) -> Vec<&'c str> {
        let found = asked.sequences;
        for (sequence, table, column) in &found {
            let accepted = next_id(table, column);
            if transfer.sequences.contains_key(*sequence) || transfer.accepts(&accepted) {
                continue;
            }
            let fed = column_key(table, column);
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

    /// A column that moves, by what table and column are called in the target, in quotes.
    fn called_in_target(&self, table: &str, column: &str) -> (String, String) {
        let found = self.tables.iter().find_map(|moving| {
            let mut columns = moving.columns.iter();
            let key = columns.find(|key| moving.source_name(key) == column)?;
            (moving.source.name == table).then_some((&moving.target.name, &key.target.name))
        });
        let (table, column) = found.map_or((table, column), |(there, key)| {
            (there.as_str(), key.as_str())
        });
        (quoted(table), quoted(column))
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
                let fed = column_key(table, column);
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
                let (there, its_key) = self.called_in_target(table, column);
                let reason = format!(
                    "{by_itself}; for the target: ALTER TABLE {there} ALTER COLUMN {its_key} ADD GENERATED BY DEFAULT AS IDENTITY, or accept it where \
                     the application gives the ids"
                );
                structural(table, column, reason, Some(format!("accept: {accepted}")))
            }
        };
        self.warnings.push(problem);
    }

    /// Takes in `sequences:`; what it names and is not there is a problem.
    fn state_sequences(&mut self, target: &Catalogue, transfer: &Transfer) {
        for (sequence, fed) in &transfer.sequences {
            for name in listed(fed) {
                let found = self.tables.iter().find_map(|table| {
                    let column = table.columns.iter().find(|moving| {
                        means_column(name, &table.source.name, table.source_name(moving))
                    })?;
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

    pub(super) fn is_numbered(&self, oid: u32, number: i16) -> bool {
        self.sequences
            .iter()
            .any(|(_, table, column)| (*table, *column) == (oid, number))
    }
}

impl TableLayout {
    /// The columns of whole numbers, of which a sequence may number one.
    fn whole_columns(&self) -> impl Iterator<Item = &ColumnLayout> {
        use crate::transfer::kind::Kind;
        let is_whole = |column: &&ColumnLayout| {
            matches!(column.converter.kind, Kind::Int2 | Kind::Int4 | Kind::Int8)
        };
        self.columns.iter().filter(is_whole)
    }

    fn is_key(&self, column: &ColumnLayout) -> bool {
        self.source.primary_key == [column.source]
    }

    /// What the transfer section calls a column.
    fn full_name(&self, column: &ColumnLayout) -> String {
        column_key(&self.source.name, self.source_name(column))
    }

    /// The column of whole numbers with whose name that of a sequence ends; the key before others, then the longest name.
    fn named_by(&self, sequence: &str) -> Option<String> {
        let whole = sequence.to_lowercase();
        let bare = ["_sequence", "_seq"]
            .iter()
            .find_map(|word| whole.strip_suffix(*word));
        let bare = bare.unwrap_or(&whole);
        let ends_it = |column: &&ColumnLayout| {
            let name = self.source_name(column).to_lowercase();
            let rest = bare.strip_suffix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
        };
        let named = self.whole_columns().filter(ends_it);
        let rank = |column: &&ColumnLayout| (self.is_key(column), self.source_name(column).len());
        Some(self.full_name(named.max_by_key(rank)?))
    }

    /// The column of whole numbers that a sequence numbers, as far as the table tells: a key that nothing else fills, else the column that says
    /// by its name that it orders the rows, else the key.
    fn numbered_column(&self) -> Option<String> {
        let orders = |column: &&ColumnLayout| {
            let name = folded(self.source_name(column));
            ["stream", "order", "seq"]
                .iter()
                .any(|word| name.contains(word))
        };
        let is_open = |column: &&ColumnLayout| {
            let target = &column.target;
            !target.has_default && !target.generated && target.identity.is_none()
        };
        let key = self.whole_columns().find(|column| self.is_key(column));
        let found = key
            .filter(is_open)
            .or_else(|| self.whole_columns().find(orders))
            .or(key)?;
        Some(self.full_name(found))
    }

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

/// The trigger that gives a column its value, as far as its text tells.
pub(super) fn filler<'t>(table: &'t catalogue::Table, column: &str) -> Option<&'t Trigger> {
    table.triggers.iter().find(|trigger| trigger.fills(column))
}

/// The one free sequence whose name says that it numbers this key.
pub(super) fn meant_sequence<'s>(free: &'s [String], table: &str, column: &str) -> Option<&'s str> {
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

/// Gives keys without a sequence those free ones whose names are like their tables': `taskset_id_sequence` numbers `celery_tasksetmeta`. The
/// longest name chooses first; where two tables are as good, none is chosen. One key and one sequence that are left belong together.
fn assign_by_likeness<'s>(
    unfilled: &mut [(String, String, Option<&'s str>)],
    used: &[&str],
    free: &'s [String],
    transfer: &Transfer,
) {
    let meant: Vec<&str> = unfilled.iter().filter_map(|(_, _, meant)| *meant).collect();
    let is_left = |sequence: &&'s String| {
        let name = sequence.as_str();
        !used.contains(&name) && !meant.contains(&name) && !transfer.sequences.contains_key(name)
    };
    let mut left: Vec<&'s String> = free.iter().filter(is_left).collect();
    left.sort_by_key(|sequence| std::cmp::Reverse(stem(sequence).len()));
    left.retain(|sequence| {
        let stem = stem(sequence);
        let is_like = |(table, _, meant): &&mut (String, String, Option<&str>)| {
            meant.is_none() && stem.len() >= LEAST_STEM && folded(table).contains(&stem)
        };
        let mut alike: Vec<_> = unfilled.iter_mut().filter(|key| is_like(key)).collect();
        match alike.as_mut_slice() {
            [(_, _, meant)] => {
                *meant = Some(sequence.as_str());
                false
            }
            _ => match alike.iter_mut().find(|(table, ..)| is_named(table, &stem)) {
                Some((_, _, meant)) => {
                    *meant = Some(sequence.as_str());
                    false
                }
                None => true,
            },
        }
    });
    let mut without: Vec<_> = unfilled
        .iter_mut()
        .filter(|(_, _, meant)| meant.is_none())
        .collect();
    if let ([sequence], [(_, _, meant)]) = (left.as_slice(), without.as_mut_slice()) {
        *meant = Some(sequence.as_str());
    }
}

/// Whether a stem is a table's name, be it in the plural.
fn is_named(table: &str, stem: &str) -> bool {
    let table = folded(table);
    table == *stem || table.strip_suffix('s') == Some(stem)
}

/// What a sequence's name has beside the words that say that it is one.
fn stem(sequence: &str) -> String {
    let mut stem = folded(sequence);
    for word in ["sequence", "seq", "id", "stream"] {
        if let Some(rest) = stem.strip_suffix(word) {
            stem = rest.to_owned();
        }
    }
    stem
}

/// A free sequence whose name says that it numbers every key.
fn shared_sequence(free: &[String]) -> Option<&str> {
    free.iter()
        .find(|sequence| is_shared(sequence))
        .map(String::as_str)
}

/// Whether a sequence's name says that it numbers every key.
pub(super) fn is_shared(sequence: &str) -> bool {
    SHARED.contains(&folded(sequence).as_str())
}
