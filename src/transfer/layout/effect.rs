//! Keys of the transfer section that name nothing, and settings that do nothing for the type of the column they are about. Pure.
//!
//! Whether a value needs a setting is the plan's scan to see; here it is asked whether any value of any class could.

use crate::postgres::catalogue::{Catalogue, ConstraintKind};
use crate::runbook::transfer::{ColumnPolicy, Epoch, KeyOf, Pattern, Transfer};
use crate::sqlite::schema::Schema;
use crate::text::printable;
use crate::transfer::convert::Converter;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, structural};
use crate::transfer::matching::stray::{self, Known, Table, Weight};

impl Layout {
    /// What the section names has to be there, and what it states has to do something.
    pub(super) fn look_at_section(
        &mut self,
        source: &Schema,
        target: &Catalogue,
        transfer: &Transfer,
    ) {
        for stray in stray::strays(transfer, &known(source, target)) {
            let found = structural("", "", stray.reason, None);
            match stray.weight {
                Weight::Import => self.problems.push(found),
                Weight::Check => self.warnings.push(found),
                Weight::Nothing => self.notes.push(found),
            }
        }
        for (pattern, policy) in &transfer.columns {
            self.look_at_effect(pattern, policy, transfer);
        }
        self.note_wall_clocks();
    }

    /// Settings that no column could need which they are stated for. A pattern is met by columns of many types, and stops nothing.
    fn look_at_effect(&mut self, pattern: &Pattern, policy: &ColumnPolicy, transfer: &Transfer) {
        let meant: Vec<(&TableLayout, &ColumnLayout)> = self
            .tables
            .iter()
            .flat_map(|table| table.columns.iter().map(move |column| (table, column)))
            .filter(|(table, column)| {
                pattern.matches_column(&table.source.name, table.source_name(column))
            })
            .collect();
        let Some((table, column)) = meant.first() else {
            return;
        };
        let mut found = Vec::new();
        for (key, value) in policy.pairs() {
            let is_met = |(table, column): &(&TableLayout, &ColumnLayout)| match key {
                "duplicates" => self.is_referred_to(table, column),
                _ => takes(&column.converter, key, &value),
            };
            if meant.iter().any(is_met) {
                continue;
            }
            let at = stray::at(transfer, KeyOf::Columns, pattern.as_str());
            let shown = format!("{at}: `{key}: {}`", printable(&value, 60));
            let ty = printable(&column.target.ty.shown, 80);
            if pattern.has_wildcards() {
                let reason = format!("{shown} has no effect on any of the columns that it names");
                found.push(structural("", "", reason, None));
            } else {
                let why = why_none(&column.converter, key);
                let reason = format!("{shown} has no effect on a column of type {ty}{why}");
                let (table, column) = (&table.source.name, table.source_name(column));
                found.push(structural(table, column, reason, None));
            }
        }
        if pattern.has_wildcards() {
            self.notes.extend(found);
        } else {
            self.problems.extend(found);
        }
    }

    /// Whether a foreign key of a table that moves refers to the column.
    fn is_referred_to(&self, table: &TableLayout, column: &ColumnLayout) -> bool {
        let keys = self.tables.iter().flat_map(|child| {
            let keys = child.target.constraints.iter();
            keys.filter(|key| key.kind == ConstraintKind::Foreign)
        });
        keys.filter(|key| {
            let oid = key.references.as_ref().map(|(oid, ..)| *oid);
            oid.is_some_and(|oid| table.target.oid == oid || table.target.parts.contains(&oid))
        })
        .any(|key| key.referenced_columns.contains(&column.target.name))
    }

    /// Moments that become wall clocks: PostgreSQL does not keep whose they are.
    fn note_wall_clocks(&mut self) {
        let becomes_one = |column: &&ColumnLayout| {
            let Converter { kind, policy, .. } = &column.converter;
            matches!(kind, Kind::Timestamp(_)) && policy.epoch.is_some_and(counts_moments)
        };
        let mut notes = Vec::new();
        for table in &self.tables {
            let columns = table.columns.iter().filter(becomes_one);
            let names: Vec<String> = columns
                .map(|column| printable(table.source_name(column), 80))
                .collect();
            if !names.is_empty() {
                let reason = format!(
                    "`epoch:` makes the wall clock of UTC of these numbers, because timestamp keeps no time zone: {}",
                    printable(&names.join(", "), 400)
                );
                notes.push(structural(&table.source.name, "", reason, None));
            }
        }
        self.notes.extend(notes);
    }
}

/// All names that the section may speak of.
fn known<'n>(source: &'n Schema, target: &'n Catalogue) -> Known<'n> {
    let of_source = source.tables.iter().map(|table| Table {
        name: &table.name,
        columns: table.columns.iter().map(|c| c.name.as_str()).collect(),
    });
    let of_target = target.tables.iter().map(|table| Table {
        name: &table.name,
        columns: table.columns.iter().map(|c| c.name.as_str()).collect(),
    });
    let others = source.others.iter().map(|other| other.name.as_str());
    let constraints = target
        .tables
        .iter()
        .flat_map(|table| table.constraints.iter().map(|c| c.name.as_str()));
    let triggers = target
        .tables
        .iter()
        .flat_map(|table| table.triggers.iter().map(|t| t.name.as_str()));
    Known {
        source: of_source.collect(),
        others: others.collect(),
        target: of_target.collect(),
        constraints: Some(constraints.collect()),
        triggers: Some(triggers.collect()),
    }
}

/// Whether numbers of this unit are moments of UTC, and not wall clocks by themselves.
fn counts_moments(unit: Epoch) -> bool {
    match unit {
        Epoch::S
        | Epoch::Ms
        | Epoch::Us
        | Epoch::Ns
        | Epoch::Ticks
        | Epoch::Julian
        | Epoch::DotnetBinary
        | Epoch::EfOffset => true,
        Epoch::Days | Epoch::Oadate | Epoch::Calendar => false,
    }
}

/// Whether some value could need this setting on its way into the column.
fn takes(converter: &Converter, key: &str, value: &str) -> bool {
    match key {
        // They are asked before any type is.
        "values" | "on_problem" => true,
        "null" => converter.not_null,
        _ => kind_takes(&converter.kind, key, value),
    }
}

/// The table of settings and types, as `docs/types.md` has it in words.
fn kind_takes(kind: &Kind, key: &str, value: &str) -> bool {
    use Kind::{
        Array, Bool, Bytea, Char, Date, Enum, Float4, Inet, Int2, Int4, Int8, Interval, Json,
        Jsonb, Numeric, Oid, Text, Time, Timestamp, TimestampTz, Uuid,
    };
    let is_text = matches!(kind, Text(_) | Char(_));
    let is_json = matches!(kind, Json | Jsonb);
    if let Array { element, .. } = kind {
        return match (key, value) {
            ("split", _) | ("bytes", "text") => true,
            // Elements are text, and no blobs.
            ("guid_bytes" | "boolean_bytes" | "jsonb_blob", _) => false,
            _ => kind_takes(element, key, value),
        };
    }
    match (key, value) {
        ("fraction", _) => matches!(kind, Time(_) | Timestamp(_) | TimestampTz(_) | Interval(_)),
        ("epoch", _) => matches!(kind, Date | Timestamp(_) | TimestampTz(_) | Interval(_)),
        ("zone", _) => matches!(kind, Date | TimestampTz(_)),
        ("since", _) => matches!(kind, Time(_) | Interval(_)),
        ("time", _) => matches!(kind, Date),
        ("offset" | "midnight" | "far_years", _) => {
            matches!(kind, Date | Timestamp(_) | TimestampTz(_))
        }
        ("boolean_words" | "boolean_bytes", _) => matches!(kind, Bool),
        ("guid_bytes" | "guid_text", _) => matches!(kind, Uuid),
        ("real", "nearest") => matches!(kind, Float4),
        ("real", _) => {
            is_text || is_json || matches!(kind, Int2 | Int4 | Int8 | Oid | Numeric(_) | Bool)
        }
        // Without a precision there is room for every digit; below zero the scale is no number of places.
        ("scale", _) => matches!(kind, Numeric(Some((_, scale))) if *scale >= 0),
        ("unsigned", _) => matches!(kind, Numeric(_)),
        ("negative_zero", _) => matches!(kind, Numeric(_) | Jsonb),
        ("nul", _) => is_text || is_json,
        ("invalid_utf8", _) => is_text,
        ("char_padding", _) => matches!(kind, Char(_)),
        ("bytes", "utf8") => matches!(kind, Bytea),
        ("bytes", _) => !matches!(kind, Bytea),
        ("jsonb_blob", _) => is_json,
        ("enum", _) => matches!(kind, Enum(_)),
        ("netmask", _) => matches!(kind, Inet),
        ("split", _) => false,
        _ => true,
    }
}

/// What happens to the values all the same, where that is not plain.
fn why_none(converter: &Converter, key: &str) -> &'static str {
    match (key, &converter.kind) {
        ("zone", Kind::Timestamp(_)) => {
            ": text keeps the wall clock that is written, and numbers become the wall clock of UTC; make the column timestamptz, or leave the setting out"
        }
        ("null", _) => " that may be NULL",
        ("duplicates", _) => " that no foreign key refers to",
        ("scale", Kind::Numeric(_)) => ", which keeps every digit or rounds before the point",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runbook::transfer::{FREE_KEYS, POLICY_KEYS};

    /// One of each type.
    fn kinds() -> Vec<Kind> {
        use Kind::*;
        vec![
            Int2,
            Int4,
            Int8,
            Oid,
            Numeric(Some((20, 2))),
            Float4,
            Float8,
            Bool,
            Text(None),
            Char(4),
            Uuid,
            Bytea,
            Date,
            Time(6),
            Timestamp(6),
            TimestampTz(6),
            Interval(6),
            Json,
            Jsonb,
            Inet,
            Cidr,
            Enum(vec!["a".to_owned()].into()),
            Bit {
                bits: None,
                varying: true,
            },
            Array {
                element: Box::new(Bytea),
                element_oid: 17,
            },
        ]
    }

    #[test]
    fn every_setting_is_for_some_types_and_not_for_others() {
        let words = POLICY_KEYS
            .iter()
            .flat_map(|(key, values)| values.iter().map(move |value| (*key, *value)));
        let free = FREE_KEYS.iter().map(|(key, _)| (*key, "x"));
        let asked_before = ["on_problem", "null", "values", "duplicates"];
        for (key, value) in words.chain(free) {
            if asked_before.contains(&key) {
                continue;
            }
            let takes = |kind: &Kind| kind_takes(kind, key, value);
            assert!(kinds().iter().any(takes), "{key}: {value} is for nothing");
            assert!(!kinds().iter().all(takes), "{key}: {value} is for all");
        }
    }

    #[test]
    fn elements_take_what_their_type_takes() {
        let of = |element: Kind| Kind::Array {
            element: Box::new(element),
            element_oid: 0,
        };
        assert!(kind_takes(&of(Kind::TimestampTz(6)), "epoch", "s"));
        assert!(kind_takes(&of(Kind::Text(None)), "split", ","));
        assert!(!kind_takes(&of(Kind::Uuid), "guid_bytes", "dotnet"));
        assert!(!kind_takes(&of(Kind::Timestamp(6)), "zone", "+02:00"));
    }
}
