//! From what the scan found to what would settle it: settings for whole columns where all of their values agree, and plain words where
//! they do not. Pure; writing the section is in [`super::suggest`].

mod stands;

use std::collections::BTreeSet;

use crate::postgres::catalogue::ConstraintKind;
use crate::postgres::quoted;
use crate::runbook::transfer::{ColumnPolicy, Epoch, Replacement};
use crate::text::printable;
use crate::transfer::convert::text::BLANK_AT_THE_END;
use crate::transfer::convert::{Class, Converter, NO_NULL};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, TableLayout, structural};
use crate::transfer::plan::habits::is_number;
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::units::{Numbers, Verdict, World, name_of};
use crate::transfer::plan::wish::Wish;
use crate::transfer::plan::{Problem, mend};

pub(super) use stands::beside;
use stands::{Stands, stands};

/// What becomes of a setting that only the whole column can fill in.
enum Resolved {
    /// The setting, with examples of what it does.
    Setting(String, Vec<String>),
    /// Values, each with the one that it stands for.
    Values(Vec<(String, String)>),
    /// Another setting of the column covers it.
    Covered,
    /// Nobody can tell; in words, with what would mend the source.
    Unknown(String),
}

/// Adds what would settle one table's values, and gives back its problems with the settings that settle them.
pub fn settle(
    table: &TableLayout,
    scanned: &Scanned,
    world: World,
    additions: &mut Additions,
) -> Vec<Problem> {
    let name = &table.source.name;
    let mut problems = Vec::new();
    let mut mended: BTreeSet<&str> = BTreeSet::new();
    let place_of = |column: &str| {
        table
            .columns
            .iter()
            .position(|moving| table.source_name(moving) == column)
    };
    for (column, wish) in &scanned.wishes {
        let nothing = place_of(column).and_then(|place| nothing(table, place, wish, scanned));
        let mut undecided = matches!(nothing, Some(Nothing::Unknown { .. }));
        match &nothing {
            Some(Nothing::First) => {
                additions.replace(name, column, "0", &Replacement::MinusInfinity);
                let count = wish.habits.nothing.values().sum();
                additions.explain(name, column, "values", count, Vec::new());
            }
            Some(Nothing::Unknown { why, .. }) => {
                problems.push(structural(name, column, why.clone(), None));
            }
            None => {}
        }
        let mend = place_of(column).and_then(|place| mend::told(table, place, wish, scanned));
        if let Some(why) = mend {
            undecided = true;
            mended.insert(column.as_str());
            problems.push(structural(name, column, why, None));
        }
        let rewritten = place_of(column).and_then(|place| rewritten(table, place, wish));
        if let Some(why) = rewritten
            && is_all_rewritten(table, place_of(column), wish)
        {
            undecided = true;
            mended.insert(column.as_str());
            problems.push(structural(name, column, why, None));
        }
        for (policy, count) in &wish.policies {
            let key = policy.split_once(": ").map_or(*policy, |(key, _)| key);
            // It would settle moments whose day is to be asked about, too.
            if *policy == "time: drop" && wish.policies.contains_key("time: ?") {
                continue;
            }
            // With the unit alone, what was to be decided would be 1970.
            if *policy == "epoch: ?" && is_undecided(table, place_of(column), wish, scanned) {
                continue;
            }
            match resolve(policy, table, place_of(column), wish, scanned, world) {
                Resolved::Setting(setting, examples) => {
                    additions.add(name, column, &setting);
                    additions.explain(name, column, key, *count, examples);
                }
                Resolved::Values(values) => {
                    for (value, by) in values {
                        additions.replace(name, column, &value, &Replacement::Value(by));
                    }
                    additions.explain(name, column, "values", *count, Vec::new());
                }
                Resolved::Covered => {
                    additions.explain(name, column, key, *count, Vec::new());
                }
                Resolved::Unknown(why) => {
                    undecided = true;
                    let why = match *policy {
                        "epoch: ?" => format!("{why}{}", stands::waiting(wish)),
                        _ => why,
                    };
                    problems.push(structural(name, column, why, None));
                }
            }
        }
        let beside_one = place_of(column).is_some_and(|place| scanned.ones.contains(&place));
        let mut lost = wish.hopeless;
        for (value, (by, count)) in &wish.values {
            // Among other values that are neither 0 nor 1 it is one of them.
            if beside_one && value == "-1" && wish.hopeless > 0 {
                lost += count;
                continue;
            }
            if beside_one && value == "-1" {
                undecided = true;
                let why = format!(
                    "{count} × -1 beside 1: true, false or unknown; state which, such as `values: {{ -1: null }}`"
                );
                problems.push(structural(name, column, why, None));
                continue;
            }
            match stands(table, place_of(column), value, wish, scanned) {
                Stands::Other => {
                    additions.replace(name, column, value, by);
                    let becomes = format!("{count} × {} → {}", printable(value, 40), by.written());
                    additions.show_replaced(name, column, becomes);
                    additions.explain(name, column, "values", *count, Vec::new());
                }
                Stands::Itself(_) => {
                    additions.advise(name, column, stands::of_zero(*count));
                }
                Stands::Open => {}
            }
        }
        if !mended.contains(column.as_str()) && is_lost(wish, scanned, place_of(column)) {
            let why = nothing_left(scanned.rows, values_of(scanned, place_of(column)));
            problems.push(structural(name, column, why, None));
        } else if !undecided && (lost > 0 || leaves_over(table, place_of(column), wish)) {
            // Where something is to be decided first, the values that wait for it would be put aside too.
            additions.add(name, column, "on_problem: quarantine");
            additions.explain(name, column, "on_problem", lost, Vec::new());
        }
    }
    for problem in &scanned.problems {
        let place = place_of(&problem.column);
        let wish = scanned.wishes.get(&problem.column);
        let beside_one = place.is_some_and(|place| scanned.ones.contains(&place));
        let value = problem.policy.as_deref().and_then(stands::replaced);
        let meant = value
            .zip(wish)
            .map(|(value, wish)| stands(table, place, value, wish, scanned));
        let policy = match (&problem.policy, wish) {
            (Some(_), _) if meant == Some(Stands::Open) => None,
            (Some(_), _) if matches!(meant, Some(Stands::Itself(_))) => {
                meant.and_then(Stands::policy)
            }
            (Some(policies), Some(wish)) if beside_one && policies.contains("-1: ") => {
                (wish.hopeless > 0).then(|| "on_problem: quarantine".to_owned())
            }
            (None, Some(wish))
                if mended.contains(problem.column.as_str()) || is_lost(wish, scanned, place) =>
            {
                None
            }
            (None, _) => Some("on_problem: quarantine".to_owned()),
            (Some(policies), Some(wish))
                if policies.contains("epoch: ?") && is_undecided(table, place, wish, scanned) =>
            {
                None
            }
            // Several settings may be needed at once; each is filled in by itself.
            (Some(policies), Some(wish))
                if policies.contains('?')
                    || policies.contains("guid_bytes")
                    || policies.contains("unsigned")
                    || policies.contains("scale: ")
                    || policies.contains("split")
                    || policies.contains("bytes: utf8")
                    || policies.contains("enum: ordinal") =>
            {
                let parts = policies.split(", ");
                let settings: Option<Vec<String>> = parts
                    .map(
                        |policy| match resolve(policy, table, place, wish, scanned, world) {
                            Resolved::Setting(setting, _) => Some(setting),
                            Resolved::Values(values) => Some(shown(&values)),
                            Resolved::Covered => Some("bytes: text".to_owned()),
                            Resolved::Unknown(_) => None,
                        },
                    )
                    .collect();
                settings.map(|settings| settings.join(", "))
            }
            (Some(policies), _) => Some(policies.clone()),
        };
        problems.push(Problem {
            policy,
            reason: reason(table, place, problem),
            ..problem.clone()
        });
    }
    problems
}

/// Why a value does not fit; for a NULL, with the default that does not help, and for a blank, with the type that keeps it.
fn reason(table: &TableLayout, place: Option<usize>, problem: &Problem) -> String {
    let Some(column) = place.map(|place| &table.columns[place]) else {
        return problem.reason.clone();
    };
    let default = column.target.expression.as_deref();
    match (default, &column.converter.kind) {
        (Some(default), _) if problem.reason == NO_NULL && !mend::is_number_key(table, column) => {
            format!(
                "{NO_NULL}; its default {} is no constant that fits, so that `null: default` cannot take it: UPDATE {} SET {} = … WHERE {} IS NULL in \
                 the source says what these are",
                printable(default, 80),
                quoted(&table.source.name),
                quoted(table.source_name(column)),
                quoted(table.source_name(column))
            )
        }
        (_, Kind::Char(length)) if problem.reason == BLANK_AT_THE_END => format!(
            "{BLANK_AT_THE_END}: ALTER TABLE {} ALTER COLUMN {} TYPE varchar({length}) in the target keeps it",
            quoted(&table.target.name),
            quoted(&column.target.name),
        ),
        (Some(_) | None, _) => problem.reason.clone(),
    }
}

/// Statements for the source that lose nothing, beside settings that do.
pub fn beside_settings(table: &TableLayout, scanned: &Scanned) -> Vec<Problem> {
    let told = scanned.wishes.iter().filter_map(|(column, wish)| {
        let place = table
            .columns
            .iter()
            .position(|moving| table.source_name(moving) == column)?;
        let why = rewritten(table, place, wish)?;
        let is_note = !is_all_rewritten(table, Some(place), wish);
        is_note.then(|| structural(&table.source.name, column, why, None))
    });
    told.collect()
}

/// The statement for the source that writes texts of this column as the target wants them.
fn rewritten(table: &TableLayout, place: usize, wish: &Wish) -> Option<String> {
    let column = &table.columns[place];
    let (kind, name) = (&column.converter.kind, table.source_name(column));
    wish.habits.rewritten.told(kind, &table.source.name, name)
}

/// Whether such a statement settles all that fits under no setting, and nothing is lost by it.
fn is_all_rewritten(table: &TableLayout, place: Option<usize>, wish: &Wish) -> bool {
    let kind = place.map(|place| &table.columns[place].converter.kind);
    let rewritten = &wish.habits.rewritten;
    kind.is_some_and(|kind| rewritten.is_certain(kind)) && rewritten.count == wish.hopeless
}

/// Whether a setting of this column would put every row of the table aside that has a value, so that nobody should get it by pasting.
fn is_lost(wish: &Wish, scanned: &Scanned, place: Option<usize>) -> bool {
    let values = values_of(scanned, place);
    wish.hopeless > 0 && wish.habits.is_one_way_of_writing(scanned.rows, values)
}

/// How many rows have a value in a column.
fn values_of(scanned: &Scanned, place: Option<usize>) -> u64 {
    let look = place.and_then(|place| scanned.looks.get(place));
    let nulls = look.map_or(0, |look| look.classes[Class::Null as usize]);
    scanned.rows.saturating_sub(nulls)
}

fn nothing_left(rows: u64, values: u64) -> String {
    // Where NULL is what does not fit, it is so in every row.
    let (none, aside) = match values == 0 || values == rows {
        true => ("no row of the table".to_owned(), format!("all {rows} rows")),
        false => (
            format!("none of the {values} values"),
            format!("all {values} rows that have one"),
        ),
    };
    format!(
        "{none} fits: state by `values:` what each value stands for, where they are few, mend them in the source, or give the \
         target's column a type that holds them; `on_problem: quarantine` would put {aside} aside"
    )
}

/// Values that stand for none, where the target wants one.
enum Nothing {
    /// .NET's `DateTime.MinValue`, before all others.
    First,
    /// People have to decide, and why; whether the unit of the others is known.
    Unknown { why: String, unit: bool },
}

/// Whether the unit of a column is known, but not what its numbers stand for that are no moment.
fn is_undecided(table: &TableLayout, place: Option<usize>, wish: &Wish, scanned: &Scanned) -> bool {
    let found = place.and_then(|place| nothing(table, place, wish, scanned));
    matches!(found, Some(Nothing::Unknown { unit: true, .. }))
}

fn nothing(table: &TableLayout, place: usize, wish: &Wish, scanned: &Scanned) -> Option<Nothing> {
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
            among(&table.columns[place].converter.kind),
            way_to_null(table, place, found.keys()),
            example(table, place, found.keys()),
        ),
        unit: unit.is_some(),
    })
}

/// Values that stand for none and are named in one problem.
const SHOWN: usize = 4;

/// What the values beside those are that stand for none.
fn among(kind: &Kind) -> &'static str {
    match kind {
        Kind::Date | Kind::Timestamp(_) | Kind::TimestampTz(_) => "moments",
        Kind::Int2
        | Kind::Int4
        | Kind::Int8
        | Kind::Oid
        | Kind::Numeric(_)
        | Kind::Float4
        | Kind::Float8 => "numbers",
        Kind::Bool
        | Kind::Text(_)
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
        | Kind::Array { .. }
        | Kind::Unsupported => "values",
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
    let kind = &table.columns[place].converter.kind;
    let by = match among(kind) {
        "moments" => Some(Replacement::MinusInfinity),
        "numbers" => Some(Replacement::Value("0".to_owned())),
        _ if *kind == Kind::Bool => Some(Replacement::Value("false".to_owned())),
        _ if matches!(kind, Kind::Array { .. }) => Some(Replacement::Value("[]".to_owned())),
        _ => None,
    };
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

/// A map of values as a section writes it.
fn shown(values: &[(String, String)]) -> String {
    let pairs: Vec<String> = values
        .iter()
        .map(|(from, to)| format!("{from}: {to}"))
        .collect();
    format!("values: {{ {} }}", pairs.join(", "))
}

fn resolve(
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
fn leaves_over(table: &TableLayout, place: Option<usize>, wish: &Wish) -> bool {
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
fn shows_dotnet(wish: &Wish) -> bool {
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
