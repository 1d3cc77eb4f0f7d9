//! Values that stand for none in a column whose target wants a value: whether they do, and what people are told that would let them. Not in here:
//! which values those are (`sentinels`).

use super::resolved::shows_dotnet;
use crate::postgres::catalogue::ConstraintKind;
use crate::postgres::quoted;
use crate::runbook::transfer::{ColumnPolicy, Epoch, Replacement};
use crate::text::printable;
use crate::transfer::kind::Kind;
use crate::transfer::layout::TableLayout;
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::units::Verdict;
use crate::transfer::plan::wish::Wish;

/// Values that stand for none, where the target wants one.
pub(super) enum Nothing {
    /// .NET's `DateTime.MinValue`, before all others.
    First,
    /// People have to decide, and why; whether the unit of the others is known.
    Unknown { why: String, unit: bool },
}

/// Whether the unit of a column is known, but not what its numbers stand for that are no moment.
pub(super) fn is_undecided(
    table: &TableLayout,
    place: Option<usize>,
    wish: &Wish,
    scanned: &Scanned,
) -> bool {
    let found = place.and_then(|place| nothing(table, place, wish, scanned));
    matches!(found, Some(Nothing::Unknown { unit: true, .. }))
}

pub(super) fn nothing(
    table: &TableLayout,
    place: usize,
    wish: &Wish,
    scanned: &Scanned,
) -> Option<Nothing> {
    let found = &wish.habits.nothing;
    if found.is_empty() {
        return None;
    }
    let others = scanned.numbers.get(&place).filter(|seen| seen.count > 0);
    let unit = match others.map(|seen| seen.moments(shows_dotnet(wish), None)) {
        Some(Verdict::Unit(unit, _)) => Some(unit),
        Some(Verdict::Unknown(_)) | None => None,
    };
    let first = found.keys().all(|value| value == "0");
    if first && matches!(unit, Some(Epoch::Ticks | Epoch::DotnetBinary)) {
        return Some(Nothing::First);
    }
    let mut seen: Vec<String> = found
        .iter()
        .take(SHOWN)
        .map(|(value, count)| match value.parse::<f64>() {
            Ok(_) => format!("{count} × {value}"),
            Err(_) => format!("{count} × '{}'", printable(value, 40)),
        })
        .collect();
    if found.len() > SHOWN {
        seen.push(format!("and {} more such texts", found.len() - SHOWN));
    }
    let unit = unit.and_then(|unit| Epoch::ALL.iter().find(|(_, known)| *known == unit));
    let stated = unit.map_or_else(String::new, |(name, _)| format!("`epoch: {name}` and "));
    Some(Nothing::Unknown {
        why: format!(
            "{} among the {}, which usually stands for none, and the target's column is {}state {stated}what it becomes{}",
            seen.join(", "),
            among(&table.columns[place].converter.kind).0,
            way_to_null(table, place, found.keys()),
            example(table, place, found.keys()),
        ),
        unit: unit.is_some(),
    })
}

/// Values that stand for none and are named in one problem.
const SHOWN: usize = 4;

/// What the values beside those are that stand for none, and what such a one is likely to become.
fn among(kind: &Kind) -> (&'static str, Option<Replacement>) {
    let value = |value: &str| Some(Replacement::Value(value.to_owned()));
    match kind {
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_) => {
            ("moments", Some(Replacement::MinusInfinity))
        }
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Oid
        | Kind::Numeric(_)
        | Kind::Float4
        | Kind::Float8 => ("numbers", value("0")),
        Kind::Bool => ("values", value("false")),
        Kind::Array { .. } => ("values", value("[]")),
        Kind::Text(_)
        | Kind::Char(_)
        | Kind::Uuid
        | Kind::Bytea
        | Kind::Time(_)
        | Kind::Interval(_)
        | Kind::Json
        | Kind::Jsonb
        | Kind::Inet
        | Kind::Cidr
        | Kind::Enum(_)
        | Kind::Bit { .. }
        | Kind::Unsupported => ("values", None),
    }
}

/// Whether a constraint of this kind is over a column that moves.
fn is_in(table: &TableLayout, place: usize, kind: ConstraintKind) -> bool {
    let name = &table.columns[place].target.name;
    let mut constraints = table.target.constraints.iter();
    constraints.any(|key| key.kind == kind && key.columns.contains(name))
}

/// What a column is that takes no NULL, and what would let `values:` make NULL or the default of these.
fn way_to_null<'v>(
    table: &TableLayout,
    place: usize,
    values: impl Iterator<Item = &'v String>,
) -> String {
    let column = &table.columns[place];
    let default = match column.converter.default {
        Some(_) => format!(
            "`null: default` with `{}` makes its default of it; ",
            values_setting(values, &Replacement::Null)
        ),
        None => String::new(),
    };
    // Of a primary key, NOT NULL cannot be dropped.
    if is_in(table, place, ConstraintKind::Primary) {
        return format!("in its primary key: {default}otherwise ");
    }
    format!(
        "NOT NULL: ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL in the target lets `values:` make NULL of it; {default}otherwise ",
        quoted(&table.target.name),
        quoted(&column.target.name),
    )
}

/// The setting that says what these become, where something is likely to be right; in a foreign key it would have to be a row that is there.
fn example<'v>(
    table: &TableLayout,
    place: usize,
    values: impl Iterator<Item = &'v String>,
) -> String {
    let (_, by) = among(&table.columns[place].converter.kind);
    let is_key = is_in(table, place, ConstraintKind::Foreign)
        || is_in(table, place, ConstraintKind::Primary);
    match by.filter(|by| !is_key || *by == Replacement::MinusInfinity) {
        Some(by) => format!(", such as `{}`", values_setting(values, &by)),
        None => ", by `values:`".to_owned(),
    }
}

/// `values:` that makes the same of all of these.
fn values_setting<'v>(values: impl Iterator<Item = &'v String>, by: &Replacement) -> String {
    let mut policy = ColumnPolicy::default();
    for value in values.take(SHOWN) {
        policy.replace(value.as_str(), by.clone());
    }
    let mut pairs = policy.pairs().into_iter();
    let of_values = pairs.find(|(key, _)| *key == "values");
    of_values.map_or_else(String::new, |(key, map)| format!("{key}: {map}"))
}
