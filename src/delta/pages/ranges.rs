//! Ranges of rowids that are to be looked at: made leaf by leaf in the order of a tree, merged at the end, and never more than memory should hold.

use std::ops::RangeInclusive;

/// Ranges of one table, 16 bytes each. A table that has more of them is read as a whole: its changes are spread over most of its pages.
const MOST: usize = 1 << 18;

/// What has been found of one table so far.
#[derive(Debug, Default)]
pub(super) struct Ranges {
    found: Vec<RangeInclusive<i64>>,
    /// Whether the leaf before was looked at too; then the next one goes on with its range.
    is_running: bool,
    is_scattered: bool,
}

impl Ranges {
    /// The next leaf of the tree is to be looked at; None: it has no rows.
    pub fn leaf(&mut self, rows: Option<RangeInclusive<i64>>) {
        let Some(rows) = rows else {
            return;
        };
        match self.found.last_mut() {
            Some(last) if self.is_running => *last = around(last, &rows),
            Some(_) | None => self.add(rows),
        }
        self.is_running = !self.is_scattered;
    }

    /// The next leaf of the tree is not; or a tree ends.
    pub fn gap(&mut self) {
        self.is_running = false;
    }

    /// A range that goes on with none.
    pub fn add(&mut self, rows: RangeInclusive<i64>) {
        if self.found.len() >= MOST {
            self.found = merged(std::mem::take(&mut self.found));
            self.is_running = false;
            // Where merging gives little room, the next ranges would ask for it again and again.
            if self.found.len() > MOST / 2 {
                self.is_scattered = true;
                self.found = Vec::new();
            }
        }
        if !self.is_scattered {
            self.found.push(rows);
        }
    }

    /// All of them in order, none of which overlaps another; None: there are too many.
    pub fn finish(self) -> Option<Vec<RangeInclusive<i64>>> {
        (!self.is_scattered).then(|| merged(self.found))
    }
}

fn around(one: &RangeInclusive<i64>, other: &RangeInclusive<i64>) -> RangeInclusive<i64> {
    *one.start().min(other.start())..=*one.end().max(other.end())
}

fn merged(mut ranges: Vec<RangeInclusive<i64>>) -> Vec<RangeInclusive<i64>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    // The one before is kept, and takes up the next one where they touch.
    ranges.dedup_by(|next, kept| {
        let touches = *next.start() <= kept.end().saturating_add(1);
        if touches {
            *kept = around(kept, next);
        }
        touches
    });
    ranges.shrink_to_fit();
    ranges
}

#[cfg(test)]
mod tests {
    use super::{MOST, Ranges};

    #[test]
    fn leaves_that_follow_each_other_are_one_range_and_ranges_that_touch_too() {
        let mut ranges = Ranges::default();
        ranges.leaf(Some(10..=19));
        ranges.leaf(None);
        ranges.leaf(Some(25..=29));
        ranges.gap();
        ranges.leaf(Some(40..=49));
        ranges.gap();
        ranges.leaf(Some(-5..=9));
        ranges.add(45..=50);
        ranges.add(i64::MAX..=i64::MAX);
        ranges.add(51..=51);
        assert_eq!(
            ranges.finish(),
            Some(vec![-5..=29, 40..=51, i64::MAX..=i64::MAX])
        );
    }

    #[test]
    fn one_range_more_than_memory_should_hold_is_too_many() {
        let mut ranges = Ranges::default();
        let places = i64::try_from(MOST).unwrap();
        (0..=places).for_each(|n| ranges.leaf(Some(n * 2..=n * 2)));
        assert_eq!(
            ranges.finish().unwrap().len(),
            1,
            "leaves that follow each other"
        );
        let mut ranges = Ranges::default();
        for n in 0..=places {
            ranges.leaf(Some(n * 2..=n * 2));
            ranges.gap();
        }
        assert_eq!(ranges.finish(), None);
    }
}
