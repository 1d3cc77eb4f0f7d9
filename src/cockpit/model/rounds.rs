//! What was found again and again, by session time: the last quarter of an hour of it, and which of it belongs to which cell of a row
//! that shows minutes. Bounded. Not in here: what was found (`loads`, `clients`).

use std::collections::VecDeque;
use std::ops::Range;

/// Rounds that are kept: a quarter of an hour of one every second.
const KEPT: usize = 900;

/// A round counts until the next one, but not for longer than so many times the usual distance between two.
const HOLDS: i64 = 3;

/// Rounds, the latest last.
#[derive(Debug, Clone)]
pub struct Rounds<T> {
    all: VecDeque<(i64, T)>,
}

impl<T> Default for Rounds<T> {
    fn default() -> Rounds<T> {
        Rounds {
            all: VecDeque::new(),
        }
    }
}

impl<T> Rounds<T> {
    /// Takes in a round of this session time, which is none before the last.
    pub fn push(&mut self, at_ms: i64, round: T) {
        self.all.push_back((at_ms, round));
        if self.all.len() > KEPT {
            self.all.pop_front();
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Those of a cell.
    pub fn of(&self, cell: Range<usize>) -> impl Iterator<Item = &T> {
        self.all.range(cell).map(|(_, round)| round)
    }

    /// The rounds of each of so many cells of equal length, the last of which ends at this session time. One without any takes the one
    /// before it, while that holds.
    pub fn cells(&self, to_ms: i64, cell_ms: i64, cells: u16) -> Vec<Range<usize>> {
        let before = |ms: i64| self.all.partition_point(|(at_ms, _)| *at_ms < ms);
        let hold_ms = match (self.all.front(), self.all.back()) {
            (Some((first, _)), Some((last, _))) if last > first => {
                HOLDS * (last - first) / (self.all.len() as i64 - 1)
            }
            _ => cell_ms,
        };
        let from_ms = to_ms - cell_ms * i64::from(cells);
        let cell = |n: u16| {
            let begins_ms = from_ms + cell_ms * i64::from(n);
            let (start, end) = (before(begins_ms), before(begins_ms + cell_ms));
            match start.checked_sub(1).filter(|_| start == end) {
                Some(last) if begins_ms - self.all[last].0 <= hold_ms => last..start,
                _ => start..end,
            }
        };
        (0..cells).map(cell).collect()
    }
}

#[cfg(test)]
impl<T> Rounds<T> {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}
