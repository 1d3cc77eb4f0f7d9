//! From what the scan found to what would settle it: settings for whole columns where all of their values agree, and plain words where
//! they do not. Pure; writing the section is in [`super::suggest`].

use crate::runbook::transfer::Epoch;
use crate::target::quoted;
use crate::text::printable;
use crate::transfer::convert::{Class, Converter};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{TableLayout, structural};
use crate::transfer::plan::Problem;
use crate::transfer::plan::scan::{Scanned, Wish};
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::units::{Numbers, Verdict, World};

/// What becomes of a setting that only the whole column can fill in.
enum Resolved {
    /// The setting, with examples of what it does.
    Setting(String, Vec<String>),
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
    let place_of = |column: &str| {
        table
            .columns
            .iter()
            .position(|moving| table.source_name(moving) == column)
    };
    for (column, wish) in &scanned.wishes {
        for policy in &wish.policies {
            match resolve(policy, table, place_of(column), wish, scanned, world) {
                Resolved::Setting(setting, examples) => {
                    additions.add(name, column, &setting);
                    additions.explain(name, column, wish.count, examples);
                }
                Resolved::Covered => {}
                Resolved::Unknown(why) => problems.push(structural(name, column, why, None)),
            }
        }
        for (value, (by, count)) in &wish.values {
            additions.replace(name, column, value, by);
            let example = format!("{count} × {}", printable(value, 40));
            additions.explain(name, column, wish.count, vec![example]);
        }
        if wish.hopeless {
            additions.add(name, column, "on_problem: quarantine");
            additions.explain(name, column, wish.count, Vec::new());
        }
    }
    for problem in &scanned.problems {
        let place = place_of(&problem.column);
        let wish = scanned.wishes.get(&problem.column);
        let policy = match (&problem.policy, wish) {
            (None, _) => Some("on_problem: quarantine".to_owned()),
            // Several settings may be needed at once; each is filled in by itself.
            (Some(policies), Some(wish))
                if policies.contains('?')
                    || policies.contains("guid_bytes")
                    || policies.contains("split") =>
            {
                let parts = policies.split(", ");
                let settings: Option<Vec<String>> = parts
                    .map(
                        |policy| match resolve(policy, table, place, wish, scanned, world) {
                            Resolved::Setting(setting, _) => Some(setting),
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
            ..problem.clone()
        });
    }
    problems
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
                Some(numbers) => unit(numbers, &column.converter, &table.source.name, name, world),
                None => Resolved::Unknown("numbers in a unit that nobody stated".to_owned()),
            }
        }
        ("bytes: ?", Some(column), _) => {
            if wish.policies.contains("bytes: text")
                && !wish.policies.contains("jsonb_blob: decode")
            {
                return Resolved::Covered;
            }
            let (table, column) = (
                quoted(&table.source.name),
                quoted(table.source_name(column)),
            );
            Resolved::Unknown(format!(
                "blobs that are JSON as text and, with another value, as SQLite's binary JSON: state `bytes: text` if all are text; if they \
                 are binary, UPDATE {table} SET {column} = json({column}) WHERE typeof({column}) = 'blob' in the source makes text of them"
            ))
        }
        ("split: ,", _, Some(place)) => {
            let texts = scanned.looks.get(place).map_or(0, |look| {
                look.classes[Class::Text as usize] + look.classes[Class::Blob as usize]
            });
            // With `split:` a JSON array is refused, and without it a list.
            if wish.count < texts {
                return Resolved::Unknown(format!(
                    "{} of {texts} texts are no JSON arrays, and the others are: lists by `split:` and JSON arrays do not go together",
                    wish.count
                ));
            }
            Resolved::Setting(policy.to_owned(), Vec::new())
        }
        ("time: ?", ..) => Resolved::Unknown(
            "numbers that are no midnights in UTC, nor in the zone that is stated: where they are midnights of another zone, state it for this \
             column (`zone: \"+02:00\"`, with summer time its offset in summer, and `time: drop`); where they are moments of a day, state \
             `time: drop` alone"
                .to_owned(),
        ),
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
        _ => Resolved::Setting(policy.to_owned(), Vec::new()),
    }
}

fn unit(
    numbers: &Numbers,
    converter: &Converter,
    table: &str,
    column: &str,
    world: World,
) -> Resolved {
    let verdict = match converter.kind {
        Kind::Interval(_) => numbers.durations(world),
        _ => numbers.moments(),
    };
    match verdict {
        Verdict::Unit(unit, examples) => {
            let name = Epoch::ALL.iter().find(|(_, known)| *known == unit);
            let name = name.map_or("s", |(name, _)| name);
            Resolved::Setting(format!("epoch: {name}"), examples)
        }
        Verdict::Unknown(why) => {
            let mend = numbers.mixed().map(|(bound, factor, name)| {
                let (table, column) = (quoted(table), quoted(column));
                format!(
                    ". UPDATE {table} SET {column} = {column} * {factor} WHERE abs({column}) < {bound} in the source would make all of \
                     them {name}"
                )
            });
            Resolved::Unknown(format!("{why}{}", mend.unwrap_or_default()))
        }
    }
}
