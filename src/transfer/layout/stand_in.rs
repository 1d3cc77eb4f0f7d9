//! Tables that stand in for a sequence: SQLite has none, so that Hibernate keeps the next number of `a_seq` in a table of that name with the one
//! column `next_val`, and in PostgreSQL asks a sequence. The table has no partner there, and the sequence would start over. Pure.
//!
//! Not in here: setting the sequence (`postgres::sequences`), and the number that the table holds (`transfer::plan::numbers`).

use crate::postgres::catalogue::Catalogue;
use crate::runbook::transfer::Transfer;
use crate::runbook::transfer::names::{column_key, part};
use crate::sqlite::schema;
use crate::text::printable;
use crate::transfer::kind::Kind;
use crate::transfer::layout::unfilled::{is_shared, meant_sequence};
use crate::transfer::layout::{Layout, TableLayout, structural};

/// The column that holds the next number.
const NEXT: &str = "next_val";

/// A table of the source in place of a sequence of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    pub table: String,
    /// Its only column, which holds the next number.
    pub column: String,
    /// The sequence, in the target's schema.
    pub sequence: String,
}

impl StandIn {
    /// What a table without a partner stands in for: a free sequence of its name.
    pub(super) fn of(table: &schema::Table, target: &Catalogue) -> Option<Self> {
        let [column] = table.columns.as_slice() else {
            return None;
        };
        if !column.name.eq_ignore_ascii_case(NEXT) {
            return None;
        }
        let free = &target.free_sequences;
        let mut alike = free
            .iter()
            .filter(|name| name.eq_ignore_ascii_case(&table.name));
        let exact = free.iter().find(|name| **name == table.name);
        let sequence = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))?;
        Some(Self {
            table: table.name.clone(),
            column: column.name.clone(),
            sequence: sequence.clone(),
        })
    }

    /// Whether a key of `sequences:` is this sequence's.
    pub fn is_stated_as(&self, key: &str, schema: &str) -> bool {
        let bare = key
            .strip_prefix(schema)
            .and_then(|rest| rest.strip_prefix('.'));
        key == self.sequence || bare == Some(self.sequence.as_str())
    }
}

impl Layout {
    /// Each sequence for which a table stands in is stated, or suggested with the keys that it numbers. Returns those that are spoken of.
    pub(super) fn look_at_stand_ins(&mut self, transfer: &Transfer) -> Vec<String> {
        let found = self.stand_ins.clone();
        for one in &found {
            let mut stated = transfer.sequences.keys();
            if stated.any(|key| one.is_stated_as(key, &self.schema)) {
                let why = format!(
                    "stands in for the sequence {}, which `sequences:` sets beyond its number",
                    printable(&one.sequence, 80)
                );
                self.skip(&one.table, &why);
            } else {
                self.suggest_for(one, &found);
            }
        }
        found.into_iter().map(|one| one.sequence).collect()
    }

    fn suggest_for(&mut self, one: &StandIn, all: &[StandIn]) {
        let mut fed = self.numbered_by(&one.sequence, all);
        let wished = self.wishes.sequences.get(&one.sequence);
        // Keys of which the same was found out already.
        if let Some(wished) = wished {
            fed.retain(|key| !wished.split(", ").any(|known| known == key));
            fed.insert(0, wished.clone());
        }
        let (shown, table) = (
            printable(&one.sequence, 80),
            printable(&part(&one.table), 80),
        );
        let what = format!(
            "holds the next number of the sequence {shown}, which SQLite does not have: in PostgreSQL the sequence takes its place, and it would \
             start over"
        );
        if fed.is_empty() {
            let reason = format!(
                "{what}. State which keys it numbers (`sequences: {{ {shown}: Table.Column }}`); where they are none of a table that moves, set it by \
                 `after_import: [\"SELECT setval('{}', N, false)\"]`, N being what this table holds, and leave this table behind (`exclude: {table}`)",
                printable(&crate::postgres::quoted(&one.sequence), 80)
            );
            self.problems.push(structural(&one.table, "", reason, None));
            return;
        }
        let fed = fed.join(", ");
        let policy = format!("sequences: {{ {}: {fed} }}", one.sequence);
        self.wishes.sequences.insert(one.sequence.clone(), fed);
        self.problems
            .push(structural(&one.table, "", what, Some(policy)));
    }

    /// The keys that a sequence numbers, by its name: those of the table that it is named after, or of all tables that have no other number.
    fn numbered_by(&self, sequence: &str, all: &[StandIn]) -> Vec<String> {
        let is_meant = |sequence: &str, table: &TableLayout, key: &str| {
            let names = [sequence.to_owned()];
            meant_sequence(&names, &table.source.name, key).is_some()
                || meant_sequence(&names, &table.target.name, key).is_some()
        };
        let keys = self
            .tables
            .iter()
            .filter_map(|table| Some((table, whole_key(table)?)));
        let keys: Vec<(&TableLayout, &str)> = keys.collect();
        let meant = keys
            .iter()
            .filter(|(table, key)| is_meant(sequence, table, key));
        let meant: Vec<String> = meant
            .map(|(table, key)| column_key(&table.source.name, key))
            .collect();
        if !meant.is_empty() || !is_shared(sequence) {
            return meant;
        }
        let by_another = |table: &TableLayout, key: &str| {
            let mut others = all.iter().filter(|other| other.sequence != sequence);
            others.any(|other| is_meant(&other.sequence, table, key))
        };
        let left = keys.iter().filter(|(table, key)| !by_another(table, key));
        left.map(|(table, key)| column_key(&table.source.name, key))
            .collect()
    }
}

/// The key of a table, where it is one whole number that nothing in the target gives, and that refers to no other table.
fn whole_key(table: &TableLayout) -> Option<&str> {
    let [place] = table.source.primary_key.as_slice() else {
        return None;
    };
    let column = table
        .columns
        .iter()
        .find(|column| column.source == *place)?;
    let name = table.source_name(column);
    let is_whole = matches!(column.converter.kind, Kind::Int2 | Kind::Int4 | Kind::Int8);
    let mut parents = table.source.foreign_keys.iter();
    let refers = parents.any(|key| key.columns.iter().any(|column| column == name));
    (is_whole && !column.target.has_default && !refers).then_some(name)
}
