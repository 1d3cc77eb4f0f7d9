//! The values of a foreign key as they will arrive: SQLite compares by the collation and affinity of its own columns, PostgreSQL compares
//! what the conversion made of them. A name in another letter case, or a GUID in another spelling, may be a parent to one and not to the
//! other.

use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::runbook::transfer::{ColumnPolicy, OnProblem};
use crate::transfer::convert::Converter;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout};
use crate::transfer::plan::spellings::{Folding, Spellings};

/// How two columns of a foreign key can be compared in SQLite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// As they are: what is equal there is equal in the target, and the other way round.
    Raw,
    /// As they are first: what is equal arrives equal. What differs may arrive equal all the same.
    RawFirst,
    /// Only as they will arrive.
    Arriving,
}

/// How a column of a child is compared with that of its parent.
pub fn comparison(
    (child, here): (&TableLayout, &ColumnLayout),
    (parent, there): (&TableLayout, &ColumnLayout),
) -> Comparison {
    let declared = |table: &TableLayout, column: &ColumnLayout| {
        table.source.columns[column.source].declared.to_uppercase()
    };
    let (child_type, parent_type) = (declared(child, here), declared(parent, there));
    let bare = is_bare(&here.converter) && is_bare(&there.converter);
    let folds = here.target.folds || there.target.folds;
    // A value of the parent's may become NULL that the child's column holds.
    let loses = there.converter.policy.on_problem == Some(OnProblem::Null);
    match (&here.converter.kind, &there.converter.kind) {
        (one, other) if loses && one != other => Comparison::Arriving,
        (one, other) if bare && is_integer(one) && is_integer(other) => Comparison::Raw,
        (Kind::Text(_), Kind::Text(_))
            if bare && !folds && is_text(&child_type) && is_text(&parent_type) =>
        {
            Comparison::Raw
        }
        (one, other)
            if one == other
                && child_type == parent_type
                && settings(&here.converter) == settings(&there.converter) =>
        {
            Comparison::RawFirst
        }
        _ => Comparison::Arriving,
    }
}

/// What is stated of a column, apart from what happens to values at fault.
fn settings(converter: &Converter) -> ColumnPolicy {
    ColumnPolicy {
        on_problem: None,
        ..converter.policy.clone()
    }
}

fn is_bare(converter: &Converter) -> bool {
    settings(converter) == ColumnPolicy::default()
}

fn is_integer(kind: &Kind) -> bool {
    matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8)
}

/// Whether SQLite gives a column of this declared type the affinity of text. `INT` counts first, as there.
fn is_text(declared: &str) -> bool {
    let says = |word: &str| declared.contains(word);
    !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| says(word))
}

/// Gives SQLite `cutover_arrives(table, column, folds, value)`: what a value will be in the target, in a form that is equal exactly where
/// the target's values are; NULL for what arrives as NULL or not at all.
pub fn register(
    connection: &Connection,
    layout: &Layout,
    spellings: &Spellings,
) -> rusqlite::Result<()> {
    let spellings = spellings.clone();
    let converters: Arc<Vec<Vec<Converter>>> = Arc::new(
        layout
            .tables
            .iter()
            .map(|table| {
                let columns = table.columns.iter();
                columns.map(|column| column.converter.clone()).collect()
            })
            .collect(),
    );
    connection.create_scalar_function(
        "cutover_arrives",
        4,
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
        move |context| {
            let (table, column) = (context.get::<i64>(0)?, context.get::<i64>(1)?);
            let place = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
            let converter = converters
                .get(place(table))
                .and_then(|columns| columns.get(place(column)));
            let folding = spellings.folding(place(context.get::<i64>(2)?));
            Ok(converter.and_then(|converter| form(context.get_raw(3), converter, folding)))
        },
    )
}

/// Blanks at the end, which `char(n)` does not count; a tab or a line's end is none.
fn cut_blanks(text: &mut Vec<u8>) {
    let kept = text.iter().rposition(|byte| *byte != b' ');
    text.truncate(kept.map_or(0, |last| last + 1));
}

/// What a value will be, in bytes that are equal where the target's values are.
fn form(value: ValueRef<'_>, converter: &Converter, folding: Folding<'_>) -> Option<Vec<u8>> {
    let mut field = Vec::new();
    let tail = converter.encode(value, &mut field).ok()?.tail;
    field.extend_from_slice(tail.unwrap_or_default());
    let length = i32::from_be_bytes(field.get(..4)?.try_into().ok()?);
    if length < 0 {
        return None;
    }
    let mut body = field.split_off(4);
    match &converter.kind {
        // A key may refer to an integer of another width.
        Kind::Int2 | Kind::Int4 | Kind::Int8 => Some(widened(&body)),
        Kind::Text(_) | Kind::Char(_) if folding != Folding::No => {
            // A collation compares `char(n)` without the blanks at its end as well.
            if matches!(converter.kind, Kind::Char(_)) {
                cut_blanks(&mut body);
            }
            let text = String::from_utf8_lossy(&body);
            Some(folding.of(&text).into_bytes())
        }
        Kind::Char(_) => {
            cut_blanks(&mut body);
            Some(body)
        }
        // The number of decimal places that is shown is no part of the number.
        Kind::Numeric(_) => {
            body.get_mut(6..8)?.fill(0);
            Some(body)
        }
        Kind::Oid
        | Kind::Float4
        | Kind::Float8
        | Kind::Bool
        | Kind::Text(_)
        | Kind::Uuid
        | Kind::Bytea
        | Kind::Date
        | Kind::Time(_)
        | Kind::Timestamp(_)
        | Kind::TimestampTz(_)
        | Kind::Interval(_)
        | Kind::Json
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Array { .. }
        | Kind::Unsupported => Some(body),
    }
}

fn widened(body: &[u8]) -> Vec<u8> {
    let negative = body.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut wide = vec![if negative { 0xff } else { 0 }; 8_usize.saturating_sub(body.len())];
    wide.extend_from_slice(body);
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrives(value: ValueRef<'_>, kind: Kind, folds: bool) -> Option<Vec<u8>> {
        let converter = Converter {
            kind,
            policy: ColumnPolicy::default(),
            zone: None,
            not_null: false,
            default: None,
        };
        let folding = if folds { Folding::Case } else { Folding::No };
        form(value, &converter, folding)
    }

    #[test]
    fn what_is_equal_in_the_target_has_one_form() {
        let text = |text: &'static str| ValueRef::Text(text.as_bytes());
        let dashed = text("00112233-4455-4677-8899-aabbccddeeff");
        let bare = text("00112233445546778899AABBCCDDEEFF");
        assert_eq!(
            arrives(dashed, Kind::Uuid, false),
            arrives(bare, Kind::Uuid, false)
        );
        assert!(arrives(dashed, Kind::Uuid, false).is_some());
        assert_eq!(
            arrives(ValueRef::Integer(-5), Kind::Int2, false),
            arrives(text("-5"), Kind::Int8, false)
        );
        let name = |name, folds| arrives(name, Kind::Text(None), folds);
        assert_ne!(name(text("ALICE"), false), name(text("alice"), false));
        assert_eq!(name(text("ALICE"), true), name(text("alice"), true));
        assert_eq!(arrives(ValueRef::Null, Kind::Int4, false), None);
        assert_eq!(arrives(text(""), Kind::Int4, false), None, "does not fit");
    }

    #[test]
    fn the_affinity_of_text_is_sqlites() {
        for (declared, text) in [
            ("VARCHAR(20)", true),
            ("TEXT", true),
            ("INTEGER", false),
            ("CHARINT", false),
            ("", false),
            ("UUID", false),
        ] {
            assert_eq!(is_text(declared), text, "{declared}");
        }
    }
}
