//! The promise as a property: for any file and any schema, a green plan is followed by a green copy and a green verify, the target holds the
//! values that the source meant, every row that stays behind was named by the plan, and the application's next insert works. Schemas and rows are
//! made at random ([`world`]); the judge is the server's own text, and shares no code with the program. A seed that breaks the promise is made smaller
//! and left as a case's folder.

mod specimens;
mod sql;
mod values;
mod world;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cutover::runbook::transfer::{FREE_KEYS, POLICY_KEYS};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::reports::chain::{Chain, Ended, Outcome};
use crate::reports::{ask, make_source, server_major, was_foretold};
use crate::support::{TestDatabase, database};
use world::{Key, Kind, Rule, World, quoted};

/// Seeds of `make test`, and of `make soak`.
const SEEDS: u64 = 40;
const SOAK_SEEDS: u64 = 2_000;
/// At least so many of a hundred seeds have to end green: a plan that refuses everything would keep every promise.
const GREEN_PERCENT: usize = 60;
/// Failing seeds that are made smaller; the others are named.
const SMALLER_SEEDS: usize = 5;
/// Worlds that are tried to make a failing one smaller.
const SMALLER_TRIES: usize = 60;
/// Seeds that are played at the same time.
const AT_ONCE: usize = 5;

/// What came of a world.
enum Held {
    Green,
    /// With the first reason.
    Refused(String),
    Broken(String),
}

#[tokio::test(flavor = "multi_thread")]
async fn what_plan_lets_pass_arrives_and_the_next_insert_works() {
    use futures_util::StreamExt;
    let soak = std::env::var_os("CUTOVER_SOAK").is_some();
    let count = std::env::var("CUTOVER_SEEDS").ok();
    let count: Option<u64> = count.and_then(|count| count.parse().ok());
    let count = count.unwrap_or(if soak { SOAK_SEEDS } else { SEEDS });
    let only: Option<u64> = std::env::var("CUTOVER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let first: u64 = std::env::var("CUTOVER_FIRST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_default();
    let seeds = first..first + count;
    let seeds: Vec<u64> = only.map_or_else(|| seeds.collect(), |seed| vec![seed]);
    let outcomes = futures_util::stream::iter(seeds)
        // Each is a task of its own: a chain blocks for as long as its commands take, and those beside it have limits to keep.
        .map(|seed| tokio::spawn(played(seed)))
        .buffer_unordered(AT_ONCE)
        .map(|ended| ended.expect("a seed that does not panic"))
        .collect::<Vec<_>>()
        .await;
    let green = outcomes
        .iter()
        .filter(|(_, held, ..)| matches!(held, Held::Green))
        .count();
    let mut refused = 0;
    for (seed, held, ..) in &outcomes {
        if let Held::Refused(why) = held {
            refused += 1;
            println!("seed {seed} is refused: {}", why.trim());
        }
    }
    let sections = outcomes.iter().map(|(_, _, section, _)| section.as_str());
    let unused = unused(&sections.collect::<Vec<_>>().concat());
    println!(
        "{green} of {} seeds end green, {refused} are refused; settings without use: {}",
        outcomes.len(),
        unused.len()
    );
    let mut broken = Vec::new();
    for (seed, held, _, world) in outcomes {
        if let Held::Broken(why) = held {
            let (world, why) = match broken.len() {
                ..SMALLER_SEEDS => smaller(world, why).await,
                SMALLER_SEEDS.. => (world, why),
            };
            let folder = keep(seed, &world, &why);
            broken.push(format!(
                "seed {seed}: {why}\n  kept in {}",
                folder.display()
            ));
        }
    }
    assert!(
        broken.is_empty(),
        "{} seed(s) break the promise:\n{}",
        broken.len(),
        broken.join("\n")
    );
    assert!(
        only.is_some() || green * 100 >= GREEN_PERCENT * count as usize,
        "too few end green: {green} of {count}"
    );
    assert!(
        only.is_some() || unused.is_empty(),
        "settings that nothing used: {}",
        unused.join(", ")
    );
}

/// Settings of a column, with each value, that stand in none of these sections.
fn unused(sections: &str) -> Vec<String> {
    let words = POLICY_KEYS.iter().flat_map(|(key, values)| {
        let values = values.iter().filter(|value| **value != "false");
        values.map(move |value| format!("{key}: {value}"))
    });
    // A word that YAML would read as something else stands in quotes.
    let sections = sections.replace(['"', '\''], "");
    let free = FREE_KEYS.iter().map(|(key, _)| format!("{key}: "));
    words
        .chain(free)
        // It is about two rows that are one in the target, which no world has; cases have them.
        .filter(|setting| setting != "duplicates: one")
        .filter(|setting| !sections.contains(setting.as_str()))
        .collect()
}

async fn played(seed: u64) -> (u64, Held, String, World) {
    let world = World::random(&mut StdRng::seed_from_u64(seed), seed);
    let world = world.for_server(server_major());
    let (held, section) = play(&world).await;
    if let Held::Broken(why) = &held {
        println!("seed {seed} breaks the promise: {why}");
    }
    (seed, held, section, world)
}

/// Plays a world from the plan to the next insert; with the transfer section at the end.
async fn play(world: &World) -> (Held, String) {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("source.db");
    let target = database().await;
    let made = async {
        make_source(&file, &world.source_sql())?;
        ask(&target.url, &world.target_sql()).await
    };
    if let Err(why) = made.await {
        let why = format!("the world cannot be made: {why}");
        return (Held::Broken(why), String::new());
    }
    let chain = Chain {
        file: &file,
        url: &target.url,
        section: world.stated(),
        folder: scratch.path(),
        more: Vec::new(),
    };
    let outcome = tokio::task::block_in_place(|| chain.run());
    let held = match outcome.ended {
        Ended::Broken(ref why) => Held::Broken(why.clone()),
        Ended::Refused => Held::Refused(outcome.problems.first().cloned().unwrap_or_default()),
        Ended::Across => match judge(world, &target, &outcome).await {
            Ok(()) => Held::Green,
            Err(why) => Held::Broken(why),
        },
    };
    // A database of its own is small, and there are many.
    let drop = format!(
        "DROP DATABASE IF EXISTS {} WITH (FORCE)",
        quoted(&target.name)
    );
    let server = target
        .superuser_url
        .replace(&format!("/{}", target.name), "/postgres");
    let _ = ask(&server, &drop).await;
    (held, outcome.section)
}

/// Rows of a table of the target by their key: the columns in the world's order, none for NULL.
type Rows = BTreeMap<String, Vec<Option<String>>>;

async fn judge(world: &World, target: &TestDatabase, outcome: &Outcome) -> Result<(), String> {
    was_foretold(&target.superuser_url, &outcome.aside).await?;
    let mut held: Vec<Rows> = Vec::new();
    for table in &world.tables {
        held.push(rows_of(table, target).await?);
    }
    for (place, table) in world.tables.iter().enumerate() {
        for row in &table.rows {
            let key = table.key.shown(row.id);
            match held[place].get(&key) {
                Some(values) => arrived(world, &held, place, row, values)?,
                None => may_be_missing(world, &held, place, row)?,
            }
        }
        let extra = held[place].len().saturating_sub(table.rows.len());
        if extra > 0 {
            return Err(format!("{}: {extra} rows too many", table.target));
        }
    }
    for (place, table) in world.tables.iter().enumerate() {
        let needs_parent = table.columns.iter().any(|column| match column.kind {
            Kind::Parent(parent) => column.not_null && held[parent].is_empty(),
            _ => false,
        });
        if needs_parent {
            continue;
        }
        let insert = world.next_insert(table);
        let works = ask(&target.url, &insert).await;
        let warned = outcome.said.contains("an insert without an id will fail");
        match (works, table.key) {
            (Ok(_), Key::Nobody) => {
                return Err(format!(
                    "{}: nobody gives its id, and yet: {insert}",
                    table.target
                ));
            }
            (Ok(_), _) => {}
            (Err(_), Key::Nobody) if warned => {}
            (Err(why), _) => {
                return Err(format!(
                    "the next insert into {} (table {place}): {why}: {insert}",
                    table.target
                ));
            }
        }
    }
    Ok(())
}

async fn rows_of(table: &world::Table, target: &TestDatabase) -> Result<Rows, String> {
    let cells: Vec<String> = table
        .columns
        .iter()
        .map(|column| format!("coalesce('=' || {}::text, '0')", quoted(&column.target)))
        .collect();
    let parted = table.columns.iter().any(|column| column.rule.parts());
    let only = if parted { "" } else { "ONLY " };
    let sql = format!(
        "SET TIME ZONE 'UTC'; SELECT \"id\"::text, {} FROM {only}{}",
        cells.join(", "),
        quoted(&table.target)
    );
    let text = ask(&target.superuser_url, &sql).await?;
    let row = |line: &str| {
        let mut cells = line.split('|');
        let key = cells.next().unwrap_or_default().to_owned();
        let values = cells.map(|cell| cell.strip_prefix('=').map(str::to_owned));
        (key, values.collect())
    };
    Ok(text.lines().map(row).collect())
}

/// A row that is there: each value is the one that was meant, or NULL where it could not be.
fn arrived(
    world: &World,
    held: &[Rows],
    place: usize,
    row: &world::Row,
    values: &[Option<String>],
) -> Result<(), String> {
    let table = &world.tables[place];
    for ((column, cell), value) in table.columns.iter().zip(&row.cells).zip(values) {
        let may_be_null = cell.bad || is_orphan(column, cell, held);
        let right = *value == cell.expected && !cell.bad || (value.is_none() && may_be_null);
        if !right {
            return Err(format!(
                "{} {}: {} is {value:?} and should be {:?}",
                table.target, row.id, column.target, cell.expected
            ));
        }
    }
    Ok(())
}

/// A reference under a foreign key of the target whose parent did not arrive.
fn is_orphan(column: &world::Column, cell: &world::Cell, held: &[Rows]) -> bool {
    match (column.kind, column.rule, &cell.expected) {
        (Kind::Parent(parent), Rule::KeyThere | Rule::KeyBoth, Some(key)) => {
            !held[parent].contains_key(key)
        }
        _ => false,
    }
}

/// A row that is not there needs a reason: a value that fits nowhere, a parent that is missing, a rule of the target's.
fn may_be_missing(
    world: &World,
    held: &[Rows],
    place: usize,
    row: &world::Row,
) -> Result<(), String> {
    let table = &world.tables[place];
    let folded = |text: &String| text.trim().to_lowercase();
    let fault = table
        .columns
        .iter()
        .zip(&row.cells)
        .enumerate()
        .any(|(at, (column, cell))| {
            let others = || {
                table
                    .rows
                    .iter()
                    .filter(|other| other.id != row.id)
                    .map(|other| &other.cells[at].expected)
            };
            let number = || {
                cell.expected
                    .as_ref()
                    .and_then(|text| text.parse::<i64>().ok())
            };
            cell.bad
                || (column.not_null && cell.expected.is_none())
                || is_orphan(column, cell, held)
                || match (column.rule, &cell.expected) {
                    (Rule::Unique | Rule::Excludes, Some(value)) => {
                        others().any(|other| other.as_ref() == Some(value))
                    }
                    (Rule::UniqueNull, value) => others().any(|other| other == value),
                    (Rule::UniqueAnyCase, Some(value)) => others()
                        .flatten()
                        .any(|other| other.to_lowercase() == value.to_lowercase()),
                    (Rule::UniqueFolded, Some(value)) => others()
                        .flatten()
                        .any(|other| folded(other) == folded(value)),
                    (Rule::UniquePartly, Some(value)) => {
                        number().is_some_and(|n| n > 0)
                            && others().any(|other| other.as_ref() == Some(value))
                    }
                    (Rule::NotNegative, Some(_)) => number().is_some_and(|n| n < 0),
                    (Rule::Partitions, _) => !number().is_some_and(|n| (0..100).contains(&n)),
                    _ => false,
                }
        });
    if fault {
        Ok(())
    } else {
        Err(format!(
            "{} {} is missing without a reason",
            table.target, row.id
        ))
    }
}

/// The smallest world found that still breaks the promise, and how.
async fn smaller(mut world: World, mut why: String) -> (World, String) {
    let mut tries = 0;
    loop {
        let mut found = None;
        for candidate in world.smaller() {
            tries += 1;
            if tries > SMALLER_TRIES {
                return (world, why);
            }
            if let (Held::Broken(still), _) = play(&candidate).await {
                found = Some((candidate, still));
                break;
            }
        }
        match found {
            Some((candidate, still)) => (world, why) = (candidate, still),
            None => return (world, why),
        }
    }
}

/// Leaves a world as the folder of a case, ready to be moved under `tests/reports/`.
fn keep(seed: u64, world: &World, why: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}"));
    std::fs::create_dir_all(&folder).expect("a folder");
    for (name, text) in [
        ("source.sql", world.source_sql()),
        ("target.sql", world.target_sql()),
        ("expect.md", why.to_owned()),
        ("want", "across".to_owned()),
        ("transfer.yaml", world.stated()),
    ] {
        std::fs::write(folder.join(name), text).expect("a file of the case");
    }
    folder
}
