//! Settings that only the whole column can fill in, filled in by what all of its values tell: units, orders of bytes, labels, digits. Not in here:
//! which settings a value needs (`scan`).

use super::nothing::{Nothing, nothing};
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::convert::{Class, Converter};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, TableLayout};
use crate::transfer::plan::habits::is_number;
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::units::{Numbers, Verdict, World, name_of};
use crate::transfer::plan::wish::Wish;

/// What becomes of a setting that only the whole column can fill in.
pub(super) enum Resolved {
    /// The setting, with examples of what it does.
    Setting(String, Vec<String>),
    /// Values, each with the one that it stands for.
    Values(Vec<(String, String)>),
    /// Another setting of the column covers it.
    Covered,
    /// Nobody can tell; in words, with what would mend the source.
    Unknown(String),
}

/// A map of values as a section writes it.
pub(super) fn shown(values: &[(String, String)]) -> String {
    let pairs: Vec<String> = values
        .iter()
        .map(|(from, to)| format!("{from}: {to}"))
        .collect();
    format!("values: {{ {} }}", pairs.join(", "))
}

pub(super) fn resolve(
    policy: &str,
    table: &TableLayout,
    place: Option<usize>,
    wish: &Wish,
    scanned: &Scanned,
    world: World,
) -> Resolved {
    let column = place.map(|place| &table.columns[place]);
    match (policy, column, place) {
        ("epoch: ?", Some(column), Some(place)) => {
            let name = table.source_name(column);
            match scanned.numbers.get(&place) {
                Some(numbers) => unit(numbers, &column.converter, &table.source.name, name, wish, world),
                None => Resolved::Unknown("numbers in a unit that nobody stated".to_owned()),
            }
        }
        ("bytes: ?", Some(column), _) => {
            if wish.policies.contains_key("bytes: text")
                && !wish.policies.contains_key("jsonb_blob: decode")
            {
                return Resolved::Covered;
            }
            let (table, column) = (
                quoted(&table.source.name),
                quoted(table.source_name(column)),
            );
            Resolved::Unknown(format!(
                "blobs that are JSON as text and, with another value, as SQLite's binary JSON: state `bytes: text` if all are text; if they \
                 are binary, UPDATE {table} SET {column} = json({column}) WHERE typeof({column}) = 'blob' AND json_valid({column}, 8) in the source \
                 makes text of them"
            ))
        }
        ("split: ,", _, Some(place)) => {
            let texts = scanned.looks.get(place).map_or(0, |look| {
                look.classes[Class::Text as usize] + look.classes[Class::Blob as usize]
            });
            // The empty text is the empty list beside lists and beside JSON arrays.
            if wish.habits.are_empty() {
                return Resolved::Values(vec![(String::new(), "[]".to_owned())]);
            }
            // With `split:` a JSON array is refused, and without it a list.
            if wish.count < texts {
                return Resolved::Unknown(format!(
                    "{} of {texts} texts are no JSON arrays, and the others are: lists by `split:` and JSON arrays do not go together",
                    wish.count
                ));
            }
            let column = column.map_or("", |column| table.source_name(column));
            match wish.habits.separator(&table.source.name, column) {
                Ok(separator) => Resolved::Setting(format!("split: {separator}"), Vec::new()),
                Err(why) => Resolved::Unknown(why),
            }
        }
        ("bytes: utf8", Some(column), _) => {
            let column = table.source_name(column);
            match wish.habits.bytes_of_text(&table.source.name, column) {
                Ok(()) => Resolved::Setting(policy.to_owned(), Vec::new()),
                Err(why) => Resolved::Unknown(why),
            }
        }
        ("enum: ordinal", Some(column), _) => ordinals(table, column, wish),
        ("values: ?", _, Some(place)) => match nothing(table, place, wish, scanned) {
            Some(Nothing::Unknown { why, .. }) => Resolved::Unknown(why),
            Some(Nothing::First) | None => {
                Resolved::Setting("values: { 0: -infinity }".to_owned(), Vec::new())
            }
        },
        ("time: ?", ..) => Resolved::Unknown(
            "moments that are no midnights in UTC, nor in the zone that is stated, nor of their own offset: where they are midnights of another \
             zone, state it for this column (`zone: \"+02:00\"`, with summer time its offset in summer, and `time: drop`); where they are \
             moments of a day, state `time: drop` alone, which keeps the day that is written, or that of UTC with `offset: to_utc`"
                .to_owned(),
        ),
        ("unsigned: wrap", ..) if !world.dotnet => Resolved::Unknown(format!(
            "{} negative numbers where the target has room for 64-bit numbers without a sign, which SQLite keeps as negative ones from 2^63 on: \
             state `unsigned: wrap` if they are such numbers, `unsigned: signed` if they are negative",
            wish.policies.get(policy).copied().unwrap_or_default()
        )),
        ("guid_bytes: dotnet", Some(_), Some(place)) => {
            let order = scanned.guids.get(&place).copied().unwrap_or_default();
            match order.order(world) {
                Some(order) => Resolved::Setting(format!("guid_bytes: {order}"), Vec::new()),
                None => Resolved::Unknown(format!(
                    "{} GUIDs as bytes whose order nobody can tell: {} look right as written (`guid_bytes: rfc4122`), {} as .NET writes them \
                     (`guid_bytes: dotnet`)",
                    order.count, order.rfc4122, order.dotnet
                )),
            }
        }
        ("scale: round", Some(column), _) if keeps_no_fraction(&column.converter.kind) => {
            let example = wish.examples.get(policy);
            let example = example.map_or_else(String::new, |(_, example)| format!(" ({example})"));
            Resolved::Unknown(format!(
                "numbers with a fraction, of which {} keeps nothing{}: ALTER TABLE {} ALTER COLUMN {} TYPE numeric in the target keeps them; state \
                 `scale: round` or `scale: truncate` where the fraction may be lost",
                column.target.ty.shown,
                printable(&example, 120),
                quoted(&table.target.name),
                quoted(&column.target.name),
            ))
        }
        _ => {
            let example = wish.examples.get(policy);
            let examples = example.map(|(_, example)| example.clone());
            Resolved::Setting(policy.to_owned(), examples.into_iter().collect())
        }
    }
}

/// Whether a type has no place behind the point, so that rounding takes the fraction of every number that has one.
fn keeps_no_fraction(kind: &Kind) -> bool {
    matches!(kind, Kind::Numeric(Some((_, 0))))
}

/// Whether some number is no position of the column's enum after all.
pub(super) fn leaves_over(table: &TableLayout, place: Option<usize>, wish: &Wish) -> bool {
    let kind = place.map(|place| &table.columns[place].converter.kind);
    matches!(kind, Some(Kind::Enum(labels)) if wish.habits.leaves_over(labels))
}

/// Positions of an enum, by the number from which they count.
fn ordinals(table: &TableLayout, column: &ColumnLayout, wish: &Wish) -> Resolved {
    let name = table.source_name(column);
    // Only for an enum, or for a list of its labels, is this setting asked for.
    let Kind::Enum(labels) = &column.converter.kind else {
        return Resolved::Unknown(format!(
            "numbers in lists where the target wants an enum's labels: state `enum: ordinal` if they are positions that count from 0; if they count \
             from 1, or are something else, write the labels into {}.{} in the source",
            quoted(&table.source.name),
            quoted(name)
        ));
    };
    match wish.habits.positions(labels, &table.source.name, name) {
        Ok(values) if values.is_empty() => {
            Resolved::Setting("enum: ordinal".to_owned(), Vec::new())
        }
        Ok(values) => Resolved::Values(values),
        Err(why) => Resolved::Unknown(why),
    }
}

fn unit(
    numbers: &Numbers,
    converter: &Converter,
    table: &str,
    column: &str,
    wish: &Wish,
    world: World,
) -> Resolved {
    let dotnet = shows_dotnet(wish);
    let verdict = match converter.kind {
        Kind::Interval(_) => numbers.durations(world),
        _ => numbers.moments(dotnet, world.beside),
    };
    match verdict {
        Verdict::Unit(unit, examples) => {
            Resolved::Setting(format!("epoch: {}", name_of(unit)), examples)
        }
        Verdict::Unknown(why) => {
            let (table, column) = (quoted(table), quoted(column));
            let is_instant = !matches!(converter.kind, Kind::Interval(_));
            let only = is_moment_of(&column, converter, wish);
            let others = match is_instant {
                true => numbers.other_readings(dotnet),
                false => Vec::new(),
            };
            if !others.is_empty() {
                let ways = others.iter().map(|reading| {
                    format!(
                        "if they are {}, UPDATE {table} SET {column} = {} WHERE {only} in the source, and then `epoch: {}`",
                        reading.words,
                        reading.expression(&column),
                        name_of(reading.unit),
                    )
                });
                let ways: Vec<String> = ways.collect();
                return Resolved::Unknown(format!(
                    "{why}. State the unit of `epoch:` if they count in one; {}",
                    ways.join("; ")
                ));
            }
            let mend = numbers.mixed().map(|mend| {
                let (value, which) = mend.sql(&column);
                format!(
                    ". UPDATE {table} SET {column} = {value} WHERE {which} AND {only} in the source would make all of them {}",
                    mend.unit
                )
            });
            Resolved::Unknown(format!("{why}{}", mend.unwrap_or_default()))
        }
    }
}

/// Whether a column holds the last of .NET's own ticks.
pub(super) fn shows_dotnet(wish: &Wish) -> bool {
    wish.values.contains_key("3155378975999999999")
}

/// SQL that is true of numbers that count something: not of 0 and -1, which stand for none where moments are, nor of what `values:` speaks of.
fn is_moment_of(column: &str, converter: &Converter, wish: &Wish) -> String {
    let stated = converter.policy.values.keys().chain(wish.values.keys());
    let stated = stated.filter(|value| value.parse::<f64>().is_ok());
    let mut nothing: Vec<String> = ["0", "0.0", "-1", "-1.0"].map(str::to_owned).to_vec();
    for value in stated {
        // A whole REAL is known without its point, and is cast to text with it.
        let whole = (!value.contains('.')).then(|| format!("{value}.0"));
        for spelling in [value.clone()].into_iter().chain(whole) {
            if !nothing.contains(&spelling) {
                nothing.push(spelling);
            }
        }
    }
    let nothing: Vec<String> = nothing.iter().map(|value| format!("'{value}'")).collect();
    format!(
        "{} AND CAST({column} AS TEXT) NOT IN ({})",
        is_number(column),
        nothing.join(", ")
    )
}
