//! What every instance carries, now and over the last minutes; bounded. Not in here: whether that is too much (`view`).

use std::collections::VecDeque;
use std::ops::Range;

use crate::session::live::{LoadView, LoadsView};

/// Scrapes that are kept: a quarter of an hour of one every second.
const KEPT: usize = 900;

/// A scrape counts until the next one, but not for longer than so many times the usual distance between two.
const HOLDS: i64 = 3;

/// The last scrape, and the share of 5xx at those before it. Nothing is known of what was before the cockpit began.
#[derive(Debug, Clone, Default)]
pub struct Loads {
    latest: LoadsView,
    /// Session time, and a share for each instance; not a number where nobody knows.
    rounds: VecDeque<(i64, Box<[f32]>)>,
}

impl Loads {
    /// Takes in what has been scraped.
    pub fn take(&mut self, view: LoadsView) {
        let ids = |view: &LoadsView| {
            view.instances
                .iter()
                .map(|i| i.id.clone())
                .collect::<Vec<_>>()
        };
        let goes_on = self.latest.at_ms <= view.at_ms && ids(&self.latest) == ids(&view);
        if !goes_on {
            self.rounds.clear();
        }
        let share = |load: &LoadView| load.errors_ratio.map_or(f32::NAN, |share| share as f32);
        let shares = view.instances.iter().map(share).collect();
        self.rounds.push_back((view.at_ms, shares));
        if self.rounds.len() > KEPT {
            self.rounds.pop_front();
        }
        self.latest = view;
    }

    /// Every instance as it was last scraped, in the order of the fleet; none where no probe asks.
    pub fn instances(&self) -> &[LoadView] {
        &self.latest.instances
    }

    /// The scrapes of each of so many cells of equal length, the last of which ends at this session time. One without any takes the one
    /// before it, while that holds.
    pub fn cells(&self, to_ms: i64, cell_ms: i64, cells: u16) -> Vec<Range<usize>> {
        let before = |ms: i64| self.rounds.partition_point(|(at_ms, _)| *at_ms < ms);
        let hold_ms = match (self.rounds.front(), self.rounds.back()) {
            (Some((first, _)), Some((last, _))) if last > first => {
                HOLDS * (last - first) / (self.rounds.len() as i64 - 1)
            }
            _ => cell_ms,
        };
        let from_ms = to_ms - cell_ms * i64::from(cells);
        let cell = |n: u16| {
            let begins_ms = from_ms + cell_ms * i64::from(n);
            let (start, end) = (before(begins_ms), before(begins_ms + cell_ms));
            match start.checked_sub(1).filter(|_| start == end) {
                Some(last) if begins_ms - self.rounds[last].0 <= hold_ms => last..start,
                _ => start..end,
            }
        };
        (0..cells).map(cell).collect()
    }

    /// The largest share of 5xx that an instance had in these scrapes; `None` where nobody knows any.
    pub fn worst(&self, instance: usize, rounds: Range<usize>) -> Option<f64> {
        let shares = self.rounds.range(rounds);
        let known = shares.filter_map(|(_, shares)| shares.get(instance).filter(|s| !s.is_nan()));
        known.copied().reduce(f32::max).map(f64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scraped(at_ms: i64, shares: &[Option<f64>]) -> LoadsView {
        let load = |(n, share): (usize, &Option<f64>)| LoadView {
            errors_ratio: *share,
            ..LoadView::unknown(&format!("app-{n}"))
        };
        LoadsView {
            at_ms,
            instances: shares.iter().enumerate().map(load).collect(),
        }
    }

    fn row(loads: &Loads, instance: usize, to_ms: i64) -> Vec<Option<f64>> {
        let cells = loads.cells(to_ms, 10_000, 4).into_iter();
        cells.map(|rounds| loads.worst(instance, rounds)).collect()
    }

    #[test]
    fn a_cell_holds_the_worst_and_what_nobody_knows_stays_unknown() {
        let mut loads = Loads::default();
        for (at_ms, share) in [
            (11_000, Some(0.5)),
            (15_000, Some(0.25)),
            (21_000, None),
            (25_000, None),
        ] {
            loads.take(scraped(at_ms, &[share, Some(0.0)]));
        }
        assert_eq!(row(&loads, 0, 40_000), [None, Some(0.5), None, None]);
        assert_eq!(
            row(&loads, 1, 40_000),
            [None, Some(0.0), Some(0.0), Some(0.0)],
            "one holds a while"
        );
        assert_eq!(row(&loads, 1, 90_000), [None; 4], "and not for ever");
        assert_eq!(
            row(&loads, 7, 40_000),
            [None; 4],
            "there is no such instance"
        );
    }

    #[test]
    fn stays_bounded_and_forgets_another_fleet() {
        let mut loads = Loads::default();
        for second in 0..5_000 {
            loads.take(scraped(second * 1_000, &[Some(0.0); 3]));
        }
        assert_eq!(loads.rounds.len(), KEPT);
        loads.take(scraped(5_001_000, &[Some(0.0); 2]));
        assert_eq!(loads.rounds.len(), 1);
        loads.take(scraped(1_000, &[Some(0.0); 2]));
        assert_eq!(loads.rounds.len(), 1, "a clock that was set back");
    }
}
