//! Two files of SQLite, compared by their pages: the first two bytes say how many times 512 bytes the older one has, what is behind them is the
//! newer one. Whatever stands in them, there is an answer soon; ranges are in order and do not touch; and no row of a file differs from itself.
#![no_main]

use std::time::{Duration, Instant};

use cutover::delta::pages::{Candidates, InMemory, NotUnderstood, Rows, between};
use libfuzzer_sys::fuzz_target;

/// More than files of some kilobytes take on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

fn compared(older: &[u8], newer: &[u8]) -> Result<Vec<Candidates>, NotUnderstood> {
    let began = Instant::now();
    let found = between(&mut InMemory(older), &mut InMemory(newer), &|| false);
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    found
}

fn assert_in_order(candidates: &Candidates) {
    let Rows::Ranges(ranges) = &candidates.rows else {
        return;
    };
    assert!(ranges.iter().all(|range| range.start() <= range.end()));
    for pair in ranges.windows(2) {
        let behind = pair[0].end().checked_add(1);
        let is_apart = behind.is_some_and(|behind| behind < *pair[1].start());
        assert!(is_apart, "{ranges:?} of {}", candidates.table);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [high, low, files @ ..] = bytes else {
        return;
    };
    let older_bytes = 512 * usize::from(u16::from_be_bytes([*high, *low]));
    let (older, newer) = files.split_at(older_bytes.min(files.len()));
    for pair in [(older, newer), (newer, older)] {
        if let Ok(tables) = compared(pair.0, pair.1) {
            tables.iter().for_each(assert_in_order);
        }
    }
    for file in [older, newer] {
        for candidates in compared(file, file).into_iter().flatten() {
            assert_eq!(
                candidates.rows,
                Rows::Ranges(Vec::new()),
                "{}",
                candidates.table
            );
        }
    }
});
