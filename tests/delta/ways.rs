//! Both ways come to the same delta: rows on pages that differ, or all rows. And what pages name is needed: where a part of it is left out, rows that
//! differ are missing, so that this comparison would notice.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cutover::delta::pages::{Candidates, NotUnderstood, Rows, candidates};
use cutover::delta::{self, By, Delta};
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio_util::sync::CancellationToken;

use super::{property, workload};
use crate::support::Seeds;

/// Two snapshots, and what all of their rows tell.
struct Played {
    folder: tempfile::TempDir,
    older: PathBuf,
    newer: PathBuf,
    by_rows: Delta,
    file: Kept,
    deltas: u32,
}

/// All that a delta file holds, a line of values for each row of each table, in order.
type Kept = Vec<(String, Vec<Vec<Value>>)>;

impl Played {
    fn of(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (older, newer) = workload::snapshots(seed, folder.path());
        let into = folder.path().join("by-rows.db");
        let by_rows = delta::rows(&older, &newer, &into, &CancellationToken::new()).unwrap();
        let file = kept(&into);
        Self {
            folder,
            older,
            newer,
            by_rows,
            file,
            deltas: 0,
        }
    }

    fn next_file(&mut self) -> PathBuf {
        self.deltas += 1;
        self.folder.path().join(format!("delta-{}.db", self.deltas))
    }

    /// What the delta file holds where no other rows are read than these.
    fn within(&mut self, candidates: &[Candidates]) -> Kept {
        let (into, stop) = (self.next_file(), CancellationToken::new());
        let all = candidates.to_vec();
        delta::within(&self.older, &self.newer, all, &into, &stop).unwrap();
        kept(&into)
    }
}

fn kept(path: &Path) -> Kept {
    let file = Connection::open(path).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    let mut names = file.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let of_table = |name: String| {
        // Text as its bytes, for they need not be text; and what is beside it tells its class.
        let mut columns = file
            .prepare(&format!("SELECT name FROM pragma_table_info('{name}')"))
            .unwrap();
        let columns = columns.query_map([], |row| row.get::<_, String>(0));
        let list: Vec<String> = columns
            .unwrap()
            .map(Result::unwrap)
            .map(|column| format!("typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"))
            .collect();
        let sql = format!("SELECT {} FROM {name}", list.join(", "));
        let mut statement = file.prepare(&sql).unwrap();
        let rows = statement.query_map([], |row| {
            (0..2 * list.len())
                .map(|at| row.get(at))
                .collect::<Result<Vec<Value>, _>>()
        });
        let mut rows: Vec<Vec<Value>> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort_by_cached_key(|row| format!("{row:?}"));
        (name, rows)
    };
    names.map(Result::unwrap).map(of_table).collect()
}

#[test]
fn pages_and_rows_come_to_the_same_delta() {
    let mut seeds = Seeds::of("delta-pages", 100, 4_900);
    let (mut by_pages, mut by_rows, mut not_understood) = (0_u64, 0_u64, 0_u64);
    for seed in seeds.by_ref() {
        let played = std::panic::catch_unwind(|| compared(seed));
        let counted = played.unwrap_or_else(|_| panic!("CUTOVER_SEED={seed}: above"));
        match counted {
            Some(counted) => {
                by_pages += counted.0;
                by_rows += counted.1;
            }
            None => not_understood += 1,
        }
    }
    println!(
        "{seeds}: {by_pages} tables by pages, {by_rows} by rows, and {not_understood} files by rows"
    );
    // Where pages told nothing, nothing was shown of them.
    let played = seeds.played();
    assert!(played < 100 || (by_pages > played && not_understood < played / 2));
}

/// How many tables were compared by pages, and how many by rows; None: pages told nothing.
fn compared(seed: u64) -> Option<(u64, u64)> {
    let mut played = Played::of(seed);
    let into = played.next_file();
    let stop = CancellationToken::new();
    let found = delta::by_pages(&played.older, &played.newer, None, &into, &stop).unwrap();
    assert_eq!(found.tables, played.by_rows.tables);
    assert_eq!(found.same, played.by_rows.same);
    assert_eq!(kept(&into), played.file);
    property::judge(&played.older, &played.newer, &into, &found);
    let of = |is: fn(&By) -> bool| found.by.values().filter(|by| is(by)).count() as u64;
    match candidates(&played.older, &played.newer, &|| false) {
        Ok(_) => {}
        // What SQLite wrote is known to this reader; only what pages cannot tell of is left to rows.
        Err(NotUnderstood::Unlike { .. }) => return None,
        Err(why) => panic!("{why}"),
    }
    Some((of(|by| *by == By::Pages), of(|by| *by != By::Pages)))
}

#[test]
fn a_range_of_rows_that_pages_do_not_name_is_missed() {
    let mut missed = 0;
    for seed in 1..=20 {
        let mut played = Played::of(seed);
        let Ok(all) = candidates(&played.older, &played.newer, &|| false) else {
            continue;
        };
        assert_eq!(played.within(&all), played.file, "seed {seed}");
        for (at, one) in all.iter().enumerate() {
            let Rows::Ranges(ranges) = &one.rows else {
                continue;
            };
            for dropped in 0..ranges.len().min(6) {
                let mut ranges = ranges.clone();
                let range = ranges.remove(dropped);
                if !names_one_of(&played, &one.table, &range) {
                    continue;
                }
                let mut fewer = all.clone();
                fewer[at].rows = Rows::Ranges(ranges);
                let table = &one.table;
                assert_ne!(
                    played.within(&fewer),
                    played.file,
                    "seed {seed}: {range:?} of {table}"
                );
                missed += 1;
            }
        }
    }
    assert!(missed > 20, "{missed} ranges");
}

/// Whether the delta by all rows names a row of the range.
fn names_one_of(played: &Played, table: &str, range: &RangeInclusive<i64>) -> bool {
    let Some(changed) = played.by_rows.tables.iter().find(|one| one.table == table) else {
        return false;
    };
    let name = format!("rows_{}", changed.id);
    let rows = played.file.iter().find(|(kept, _)| *kept == name);
    let is_in = |value: &Value| matches!(value, Value::Integer(rowid) if range.contains(rowid));
    // Behind each class is its value: the change, the old rowid, the new one.
    rows.is_some_and(|(_, rows)| rows.iter().any(|row| is_in(&row[3]) || is_in(&row[5])))
}
