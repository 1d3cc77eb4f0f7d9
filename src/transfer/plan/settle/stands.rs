//! Whether a number that often stands for something else does so in its column: that depends on the unit of the others. 0 is the start of 1970
//! in most of them, and programs write that moment too.

use super::nothing::is_undecided;
use super::resolved::shows_dotnet;
use crate::runbook::transfer::Epoch;
use crate::text::printable;
use crate::transfer::convert::{Class, Converter};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::units::{Verdict, agreed, name_of};
use crate::transfer::plan::wish::Wish;

/// So many zeros, more than there are other numbers, are no moments.
const MANY_ZEROS: u64 = 3;

/// What a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Another value.
    Other,
    /// Itself: a moment in the unit of the others.
    Itself(Epoch),
    /// That is known once the unit is.
    Open,
}

impl Stands {
    /// The setting that settles a number which stands for itself.
    pub(super) fn policy(self) -> Option<String> {
        match self {
            Self::Itself(unit) => Some(format!("epoch: {}", name_of(unit))),
            Self::Other | Self::Open => None,
        }
    }
}

/// What `value`, a key of `values:` that was wished for, stands for.
pub(super) fn stands(
    table: &TableLayout,
    place: Option<usize>,
    value: &str,
    wish: &Wish,
    scanned: &Scanned,
) -> Stands {
    let Some(place) = place else {
        return Stands::Other;
    };
    let is_number = value.parse::<i64>().is_ok();
    let asks = wish.policies.contains_key("epoch: ?");
    if !is_number || !asks || !is_of_moments(&table.columns[place].converter) {
        return Stands::Other;
    }
    if is_undecided(table, Some(place), wish, scanned) {
        return Stands::Open;
    }
    let Some(numbers) = scanned.numbers.get(&place) else {
        return Stands::Other;
    };
    match numbers.moments(shows_dotnet(wish), None) {
        Verdict::Unknown(_) => Stands::Open,
        Verdict::Unit(unit, _) if value == "0" && is_start_of_1970(unit) => {
            let zeros = wish.values.get(value).map_or(0, |(_, count)| *count);
            let are_most = zeros >= MANY_ZEROS && zeros > numbers.count;
            match are_most || zero_is_none(table, place) {
                true => Stands::Other,
                false => Stands::Itself(unit),
            }
        }
        Verdict::Unit(..) => Stands::Other,
    }
}

/// Whether the schemas say that 0 is none: it is what a row has that says nothing, or there was no NULL where there may be one now.
fn zero_is_none(table: &TableLayout, place: usize) -> bool {
    let column = &table.columns[place];
    let source = &table.source.columns[column.source];
    let default = source.default.as_deref().unwrap_or_default();
    let bare = default.trim_matches(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '\''));
    bare == "0" || source.not_null && !column.converter.not_null
}

/// Whether 0 is the start of 1970 in this unit. In the others it is a time that nobody means.
fn is_start_of_1970(unit: Epoch) -> bool {
    match unit {
        Epoch::S | Epoch::Ms | Epoch::Us | Epoch::Ns | Epoch::Days => true,
        Epoch::Ticks
        | Epoch::Julian
        | Epoch::Oadate
        | Epoch::DotnetBinary
        | Epoch::EfOffset
        | Epoch::Calendar => false,
    }
}

fn is_of_moments(converter: &Converter) -> bool {
    matches!(
        converter.kind,
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_)
    )
}

/// What is said beside the unit of a column in which 0 stands for itself.
pub(super) fn of_zero(count: u64) -> String {
    format!(
        "{count} × 0 → 1970-01-01 00:00:00; where 0 means none, state that too: values: {{ 0: null }}"
    )
}

/// The value that a problem's policy makes another one of.
pub(super) fn replaced(policy: &str) -> Option<&str> {
    let (value, _) = policy.strip_prefix("values: { ")?.split_once(": ")?;
    Some(value.trim_matches(['"', '\'']))
}

/// What is said of the numbers that wait for the unit of the others: with the unit alone they would be moments.
pub(super) fn waiting(wish: &Wish) -> String {
    let numbers = wish
        .values
        .iter()
        .filter(|(value, _)| value.parse::<i64>().is_ok());
    let (seen, meant): (Vec<String>, Vec<String>) = numbers
        .map(|(value, (by, count))| {
            let value = printable(value, 40);
            (
                format!("{count} × {value}"),
                format!("{value}: {}", by.written()),
            )
        })
        .unzip();
    if seen.is_empty() {
        return String::new();
    }
    format!(
        ". Beside them stand {}: where they are no moments, state that with the unit, `values: {{ {} }}`",
        seen.join(", "),
        meant.join(", ")
    )
}

/// The unit in which the columns of moments count whose unit is stated or told by their values, where it is one and the same.
pub(in crate::transfer::plan) fn beside(
    layout: &Layout,
    scanned: &[Scanned],
) -> Option<(Epoch, usize)> {
    let mut known = Vec::new();
    for (table, scanned) in layout.tables.iter().zip(scanned) {
        for (place, column) in table.columns.iter().enumerate() {
            if !is_of_moments(&column.converter) {
                continue;
            }
            let counts = scanned.looks.get(place).is_some_and(|look| {
                look.classes[Class::Integer as usize] + look.classes[Class::Real as usize] > 0
            });
            let stated = column.converter.policy.epoch.filter(|_| counts);
            let told = || {
                let numbers = scanned.numbers.get(&place)?;
                match numbers.moments(false, None) {
                    Verdict::Unit(unit, _) if numbers.count > 0 => Some(unit),
                    Verdict::Unit(..) | Verdict::Unknown(_) => None,
                }
            };
            known.extend(stated.or_else(told));
        }
    }
    agreed(&known)
}
