//! The delta of two snapshots is what brute force finds, for any workload: the same rows, of the same change, each by a name that leads to it in
//! the snapshot that it is read from.

use std::collections::BTreeMap;
use std::path::Path;

use cutover::delta::{self, Changed, Delta, Way};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use tokio_util::sync::CancellationToken;

use super::brute::{self, Cell, Changes, Row, Table};
use super::workload;
use crate::support::Seeds;

#[test]
fn a_delta_is_what_brute_force_finds() {
    let mut seeds = Seeds::of("delta-rows", 100, 4_900);
    let (mut changed, mut anew) = (0_u64, 0_u64);
    for seed in seeds.by_ref() {
        let played = std::panic::catch_unwind(|| judged(seed));
        let counted = played.unwrap_or_else(|_| panic!("CUTOVER_SEED={seed}: above"));
        changed += counted.0;
        anew += counted.1;
    }
    println!("{seeds}: {changed} rows changed, {anew} tables anew");
    // A generator that changes nothing proves nothing.
    let played = seeds.played();
    assert!(played < 100 || (changed > played && anew > played / 20));
}

/// The judge itself: a file that has lost one row, of whatever change, is not what brute force finds.
#[test]
fn a_delta_that_lacks_a_row_is_noticed() {
    let mut lost = 0;
    for seed in 1..=10 {
        let folder = tempfile::tempdir().unwrap();
        let (older, newer) = workload::snapshots(seed, folder.path());
        let into = folder.path().join("delta.db");
        let delta = delta::rows(&older, &newer, &into, &CancellationToken::new()).unwrap();
        let by_rows = |changed: &&Changed| !matches!(changed.way, Way::Anew(_));
        let Some(changed) = delta.tables.iter().find(by_rows) else {
            continue;
        };
        let file = Connection::open(&into).unwrap();
        let sql = format!("DELETE FROM rows_{} WHERE rowid = 1", changed.id);
        assert_eq!(file.execute(&sql, []).unwrap(), 1);
        let judged = std::panic::catch_unwind(|| judge(&older, &newer, &into, &delta));
        assert!(judged.is_err(), "seed {seed}: {changed:?}");
        lost += 1;
    }
    assert!(lost > 4, "{lost} rows were taken away");
}

#[test]
fn a_comparison_that_is_stopped_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (older, newer) = workload::snapshots(1, folder.path());
    let into = folder.path().join("delta.db");
    let stop = CancellationToken::new();
    stop.cancel();
    let stopped = delta::rows(&older, &newer, &into, &stop);
    assert!(
        matches!(stopped, Err(delta::Error::Cancelled)),
        "{stopped:?}"
    );
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    // In WAL mode SQLite puts its own files beside a snapshot that it reads.
    let is_ours = |name: &str| name == "delta.db" || name.starts_with(".cutover");
    let ours = names.iter().filter(|entry| {
        let entry = entry.as_ref().unwrap();
        is_ours(&entry.file_name().to_string_lossy())
    });
    assert_eq!(ours.count(), 0, "{names:?}");
}

/// Rows that changed, and tables anew.
fn judged(seed: u64) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let (older, newer) = workload::snapshots(seed, folder.path());
    let into = folder.path().join("delta.db");
    let stop = CancellationToken::new();
    let delta = delta::rows(&older, &newer, &into, &stop).unwrap();
    let examples = delta::examples(&older, &newer, &into, &delta, 3).unwrap();
    assert_eq!(examples.len(), delta.tables.len());
    judge(&older, &newer, &into, &delta)
}

/// Holds a delta and its file against brute force.
pub fn judge(older: &Path, newer: &Path, into: &Path, delta: &Delta) -> (u64, u64) {
    let (before, now) = (brute::tables(older), brute::tables(newer));
    let file = Connection::open(into).unwrap();
    let mut names: Vec<&String> = before.keys().chain(now.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let (mut rows, mut anew) = (0, 0);
    for name in names {
        let found = delta.tables.iter().find(|changed| changed.table == *name);
        assert_eq!(found.is_none(), delta.same.contains(name), "{name}");
        let same_kind = match (before.get(name), now.get(name)) {
            (Some(before), Some(now)) if before.kind == now.kind => Some((before, now)),
            _ => None,
        };
        let Some((before, now)) = same_kind else {
            let found = found.unwrap_or_else(|| panic!("{name} is another table, and the same"));
            assert!(matches!(found.way, Way::Anew(_)), "{name}: {found:?}");
            let rows = |side: &BTreeMap<String, Table>| {
                side.get(name).map_or(0, |table| table.rows.len() as u64)
            };
            assert_eq!(
                [found.inserted, found.updated, found.deleted],
                [rows(&now), 0, rows(&before)],
                "{name}"
            );
            anew += 1;
            continue;
        };
        let expected = before.changes(now);
        let Some(found) = found else {
            assert!(expected.is_empty(), "{name}: {expected:?}");
            continue;
        };
        assert!(!expected.is_empty(), "{name}: {found:?}");
        if now.way == "nameless" {
            assert_eq!(found.way.word(), "anew", "{name}");
            anew += 1;
            continue;
        }
        assert_eq!(found.way.word(), now.way, "{name}");
        let told = changes(&file, found.id, before, now);
        assert_eq!(told, expected, "{name}");
        let of = |letter: &str| -> u64 {
            let of = expected.iter().filter(|((change, ..), _)| change == letter);
            of.map(|(_, count)| count).sum()
        };
        let counts = [of("i"), of("u"), of("d")];
        assert_eq!(found.counts(), counts, "{name}");
        rows += counts.iter().sum::<u64>();
        let noted: (String, String, [i64; 3]) = file
            .query_row(
                "SELECT name, way, inserted, updated, deleted FROM tables WHERE id = ?1",
                [found.id],
                |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        [row.get(2)?, row.get(3)?, row.get(4)?],
                    ))
                },
            )
            .unwrap();
        let counts = counts.map(|count| count as i64);
        assert_eq!(noted, (name.clone(), now.way.to_owned(), counts));
    }
    (rows, anew)
}

/// The rows of a table in a delta file, each read by its name.
fn changes(file: &Connection, id: i64, before: &Table, now: &Table) -> Changes {
    let keys: String = (1..=now.key.len())
        .map(|key| format!(", typeof(k{key}), CASE typeof(k{key}) WHEN 'text' THEN CAST(k{key} AS BLOB) ELSE k{key} END"))
        .collect();
    let sql = format!("SELECT change, old_rowid, new_rowid{keys} FROM rows_{id}");
    let mut statement = file.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    let (before, now) = (Named::of(before), Named::of(now));
    let mut changes = Changes::new();
    let mut seen = std::collections::BTreeSet::new();
    while let Some(row) = rows.next().unwrap() {
        let change: String = row.get(0).unwrap();
        let (old, new): (Option<i64>, Option<i64>) = (row.get(1).unwrap(), row.get(2).unwrap());
        let key: Vec<Cell> = (0..now.table.key.len())
            .map(|key| {
                let class: String = row.get(3 + 2 * key).unwrap();
                let bytes = match row.get_ref(4 + 2 * key).unwrap() {
                    ValueRef::Null => Vec::new(),
                    ValueRef::Integer(integer) => integer.to_be_bytes().to_vec(),
                    ValueRef::Real(real) => real.to_bits().to_be_bytes().to_vec(),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.to_vec(),
                };
                (class.as_bytes()[0], bytes)
            })
            .collect();
        let (was, is) = match change.as_str() {
            "i" => (None, Some(now.row(new, &key))),
            "u" => (Some(before.row(old, &key)), Some(now.row(new, &key))),
            _ => (Some(before.row(old, &key)), None),
        };
        assert!(is.is_some() || new.is_none(), "{change} {old:?} {new:?}");
        assert!(was.is_some() || old.is_none(), "{change} {old:?} {new:?}");
        let is_new = seen.insert((was.is_some(), is.is_some(), old, new, key));
        assert!(is_new, "named twice: {change} {old:?} {new:?}");
        *changes.entry((change, was, is)).or_default() += 1;
    }
    changes
}

/// A table's rows by their names.
struct Named<'t> {
    table: &'t Table,
    by_rowid: BTreeMap<i64, &'t Row>,
    by_key: BTreeMap<Vec<Cell>, &'t Row>,
}

impl<'t> Named<'t> {
    fn of(table: &'t Table) -> Self {
        let rows = table.rows.iter();
        let by_key = rows
            .clone()
            .filter_map(|(_, row)| Some((table.key_of(row)?, row)));
        Self {
            table,
            by_rowid: rows
                .filter_map(|(rowid, row)| Some(((*rowid)?, row)))
                .collect(),
            by_key: by_key.collect(),
        }
    }

    fn row(&self, rowid: Option<i64>, key: &[Cell]) -> Row {
        let Some(rowid) = rowid else {
            assert_eq!(self.table.way, "key");
            return (*self
                .by_key
                .get(key)
                .unwrap_or_else(|| panic!("no row of key {key:?}")))
            .clone();
        };
        let row = *self
            .by_rowid
            .get(&rowid)
            .unwrap_or_else(|| panic!("no row {rowid}"));
        let of_row: Vec<Cell> = self.table.key.iter().map(|at| row[*at].clone()).collect();
        assert_eq!(of_row, key, "the key of row {rowid}");
        row.clone()
    }
}
