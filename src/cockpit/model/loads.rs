//! What every instance carries, now and over the last minutes; bounded. Not in here: whether that is too much (`view`).

use std::ops::Range;

use super::rounds::Rounds;
use crate::session::live::{LoadView, LoadsView};

/// The last scrape, and of those before it the share of 5xx and how full each pool was. Nothing is known of what was before the cockpit
/// began.
#[derive(Debug, Clone, Default)]
pub struct Loads {
    latest: LoadsView,
    rounds: Rounds<Round>,
}

/// What is kept of a scrape, for each instance.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Shares of 5xx; not a number where nobody knows.
    shares: Box<[f32]>,
    pools: Box<[Kept]>,
}

/// A pool in two bytes, for five hundred of them are kept every second: hundredths of it that are in use, and whether somebody waits.
#[derive(Debug, Clone, Copy)]
struct Kept {
    used: u8,
    waits: bool,
}

/// Of a pool of which nothing is known.
const UNKNOWN: u8 = u8::MAX;

/// How full a pool is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pressure {
    /// The share of its connections that is in use; from 0, and more than 1 where it has more than it may.
    pub used: f64,
    /// Whether somebody waits for one.
    pub waits: bool,
}

impl Pressure {
    /// Of a scrape that tells of the pool.
    pub fn of(load: &LoadView) -> Option<Pressure> {
        let waits = load.pool_waiting.is_some_and(|n| n > 0.0);
        let share = load.pool_active.zip(load.pool_max.filter(|max| *max > 0.0));
        match share {
            Some((active, max)) => Some(Pressure {
                used: (active / max).max(0.0),
                waits,
            }),
            // Whoever waits finds none free.
            None => waits.then_some(Pressure { used: 1.0, waits }),
        }
    }
}

impl Kept {
    fn of(load: &LoadView) -> Kept {
        let pressure = Pressure::of(load);
        let hundredths = |p: Pressure| (p.used * 100.0).round().min(f64::from(UNKNOWN - 1)) as u8;
        Kept {
            used: pressure.map_or(UNKNOWN, hundredths),
            waits: pressure.is_some_and(|p| p.waits),
        }
    }
}

impl Loads {
    /// Takes in what has been scraped.
    pub fn take(&mut self, view: LoadsView) {
        let same = |(a, b): (&LoadView, &LoadView)| a.id == b.id;
        let (before, now) = (&self.latest.instances, &view.instances);
        let goes_on = self.latest.at_ms <= view.at_ms
            && before.len() == now.len()
            && before.iter().zip(now).all(same);
        if !goes_on {
            self.rounds.clear();
        }
        let share = |load: &LoadView| load.errors_ratio.map_or(f32::NAN, |share| share as f32);
        let round = Round {
            shares: now.iter().map(share).collect(),
            pools: now.iter().map(Kept::of).collect(),
        };
        self.rounds.push(view.at_ms, round);
        self.latest = view;
    }

    /// Every instance as it was last scraped, in the order of the fleet; none where no probe asks.
    pub fn instances(&self) -> &[LoadView] {
        &self.latest.instances
    }

    /// The scrapes that are kept.
    pub fn rounds(&self) -> &Rounds<Round> {
        &self.rounds
    }

    /// The largest share of 5xx that an instance had in these scrapes; `None` where nobody knows any.
    pub fn worst(&self, instance: usize, rounds: Range<usize>) -> Option<f64> {
        let shares = self.rounds.of(rounds);
        let known = shares.filter_map(|r| r.shares.get(instance).filter(|s| !s.is_nan()));
        known.copied().reduce(f32::max).map(f64::from)
    }

    /// How full an instance's pool was at its fullest in these scrapes; `None` where nobody knows.
    pub fn fullest(&self, instance: usize, rounds: Range<usize>) -> Option<Pressure> {
        let pools = self.rounds.of(rounds).filter_map(|r| r.pools.get(instance));
        let known = pools.filter(|pool| pool.used != UNKNOWN);
        known.fold(None, |most: Option<Pressure>, pool| {
            let used = f64::from(pool.used) / 100.0;
            Some(Pressure {
                used: most.map_or(used, |m| m.used.max(used)),
                waits: pool.waits || most.is_some_and(|m| m.waits),
            })
        })
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
        let cells = loads.rounds().cells(to_ms, 10_000, 4).into_iter();
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
    fn the_fullest_pool_of_a_cell_counts_and_what_waits_with_it() {
        let mut loads = Loads::default();
        for (at_ms, active, waiting) in
            [(11_000, 3.0, 0.0), (15_000, 10.0, 2.0), (21_000, 5.0, 0.0)]
        {
            let load = LoadView {
                pool_active: Some(active),
                pool_waiting: Some(waiting),
                pool_max: Some(10.0),
                ..LoadView::unknown("app-1")
            };
            loads.take(LoadsView {
                at_ms,
                instances: vec![load, LoadView::unknown("app-2")],
            });
        }
        let cells = loads.rounds().cells(40_000, 10_000, 4);
        let fullest = |instance| {
            let of = |cell: &Range<usize>| loads.fullest(instance, cell.clone());
            cells.iter().map(of).collect::<Vec<_>>()
        };
        let pressed = |used, waits| Some(Pressure { used, waits });
        assert_eq!(
            fullest(0),
            [
                None,
                pressed(1.0, true),
                pressed(0.5, false),
                pressed(0.5, false)
            ]
        );
        assert_eq!(fullest(1), [None; 4]);
    }

    #[test]
    fn stays_bounded_and_forgets_another_fleet() {
        let mut loads = Loads::default();
        for second in 0..5_000 {
            loads.take(scraped(second * 1_000, &[Some(0.0); 3]));
        }
        assert_eq!(loads.rounds.len(), 900);
        loads.take(scraped(5_001_000, &[Some(0.0); 2]));
        assert_eq!(loads.rounds.len(), 1);
        loads.take(scraped(1_000, &[Some(0.0); 2]));
        assert_eq!(loads.rounds.len(), 1, "a clock that was set back");
    }
}
