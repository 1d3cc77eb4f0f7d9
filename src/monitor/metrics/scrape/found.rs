//! A page's series under every name that is understood, until it is known which of the names counts. Pure. Not in here: the names
//! (`families`), and what a series of each figure has to have (`scrape`).

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::counters::{Counter, Counters, Kind, Lacking};
use super::{Scrape, ScrapeError, finite, impossible, key, twice};
use crate::monitor::metrics::families::{Rank, Reading};
use crate::monitor::metrics::text::Series;
use crate::runbook::Figure;

/// What a page holds under all of the names that are understood, before it is known which of them counts.
#[derive(Default)]
pub(super) struct Found {
    pub(super) counters: Counters,
    gauges: BTreeMap<Figure, (Rank, f64)>,
    /// Gauges that have been there.
    seen: HashSet<u64>,
    /// For each name of requests: what it is called, and by which labels its series tell the status.
    codes: BTreeMap<Rank, Codes>,
    pub(super) lacking: Vec<(Rank, Lacking)>,
    /// The names that the page announces, with or without series.
    announced: BTreeSet<(Figure, Rank)>,
}

/// By which labels the series of one name tell the status.
#[derive(Default)]
struct Codes {
    name: String,
    /// In the order of preference.
    labels: BTreeMap<u8, String>,
    /// Whether a series has none of them that has counted something.
    without: bool,
    /// Whether one has none of them and has counted nothing yet.
    idle: bool,
    /// The label that it should have.
    wanted: String,
}

impl Found {
    /// Of a page that announces these families.
    pub(super) fn announcing(families: BTreeSet<(Figure, Rank)>) -> Found {
        let mut found = Found::default();
        let figures = families.iter().map(|(figure, _)| *figure);
        found.counters.told.extend(figures);
        found.announced = families;
        found
    }

    /// Whether a name is not read beside another that the page announces.
    pub(super) fn gives_way(&self, reading: &Reading) -> bool {
        let is_announced = |rank: Rank| self.announced.contains(&(reading.figure, rank));
        reading.unless.is_some_and(is_announced)
    }

    /// A gauge stands on a page once.
    pub(super) fn once(&mut self, one: &Series<'_>) -> Result<(), ScrapeError> {
        if self.seen.insert(key(one)) {
            Ok(())
        } else {
            Err(twice(one))
        }
    }

    pub(super) fn gauge(&mut self, one: &Series<'_>, reading: &Reading) -> Result<(), ScrapeError> {
        self.once(one)?;
        let value = finite(one)?;
        match self.gauges.get_mut(&reading.figure) {
            Some((rank, sum)) if *rank == reading.rank => *sum += value,
            Some((rank, _)) if *rank < reading.rank => {}
            Some(_) | None => {
                self.gauges.insert(reading.figure, (reading.rank, value));
            }
        }
        Ok(())
    }

    pub(super) fn count(
        &mut self,
        one: &Series<'_>,
        reading: &Reading,
        kind: Kind,
    ) -> Result<(), ScrapeError> {
        let value = finite(one)?;
        if value < 0.0 {
            return Err(impossible(one));
        }
        let least = self
            .counters
            .ranks
            .entry(reading.figure)
            .or_insert(reading.rank);
        *least = (*least).min(reading.rank);
        let counter = Counter {
            kind,
            value,
            rank: reading.rank,
        };
        match self.counters.series.insert(key(one), counter) {
            Some(_) => Err(twice(one)),
            None => Ok(()),
        }
    }

    fn codes_of(&mut self, one: &Series<'_>, reading: &Reading) -> &mut Codes {
        let codes = self.codes.entry(reading.rank).or_default();
        if codes.name.is_empty() {
            one.name.clone_into(&mut codes.name);
            reading.code_label(0).clone_into(&mut codes.wanted);
        }
        codes
    }

    pub(super) fn coded(&mut self, one: &Series<'_>, reading: &Reading, place: u8) {
        let codes = self.codes_of(one, reading);
        codes
            .labels
            .entry(place)
            .or_insert_with(|| reading.code_label(place).to_owned());
    }

    pub(super) fn uncoded(&mut self, one: &Series<'_>, reading: &Reading) {
        let codes = self.codes_of(one, reading);
        match one.value == 0.0 {
            true => codes.idle = true,
            false => codes.without = true,
        }
    }

    /// Each figure from the preferred of its names alone.
    pub(super) fn preferred(mut self) -> Scrape {
        let ranks = self.counters.ranks.clone();
        let is_preferred =
            |figure: Figure, rank: Rank| ranks.get(&figure).is_none_or(|least| *least == rank);
        self.counters
            .series
            .retain(|_, counter| is_preferred(counter.kind.figure(), counter.rank));
        let counted = &self.counters.series;
        self.counters
            .failing
            .retain(|key, _| counted.contains_key(key));
        let lacking = self
            .lacking
            .into_iter()
            .filter(|(rank, lacking)| is_preferred(lacking.figure(), *rank));
        self.counters
            .lacking
            .extend(lacking.map(|(_, lacking)| lacking));
        // One that never tells the status gives way to one before it that is announced and has nothing to count yet.
        let announced = |rank: &Rank| {
            let mut announced = self.announced.iter();
            announced.any(|(figure, before)| *figure == Figure::Requests && before < rank)
        };
        let codes = self.codes.into_iter().filter(|(rank, codes)| {
            let gives_way = codes.labels.is_empty() && announced(rank);
            is_preferred(Figure::Requests, *rank) && !gives_way
        });
        let codes: Vec<Codes> = codes.map(|(_, codes)| codes).collect();
        // Where no name has a status, what the first of them lacks is told, and no more.
        let uncoded = codes.iter().find_map(Codes::lacking);
        self.counters.lacking.extend(uncoded);
        let idle = codes.iter().find_map(Codes::will_lack);
        self.counters.idle.extend(idle);
        let gauges = self
            .gauges
            .into_iter()
            .map(|(figure, (_, sum))| (figure, sum))
            .collect();
        Scrape {
            counters: self.counters,
            gauges,
        }
    }
}

impl Codes {
    /// Series that tell the status by another label than most do not count: nobody knows whether both mean the same.
    fn lacking(&self) -> Option<Lacking> {
        (self.without || self.labels.len() > 1).then(|| self.code())
    }

    /// A counter that nobody has used yet stands on some pages as a 0 without labels. It may never have any.
    fn will_lack(&self) -> Option<Lacking> {
        (self.idle && self.labels.is_empty()).then(|| self.code())
    }

    /// The label that is not there.
    fn code(&self) -> Lacking {
        let label = self
            .labels
            .first_key_value()
            .map_or(&self.wanted, |(_, label)| label);
        Lacking::Code {
            name: self.name.clone(),
            label: label.clone(),
        }
    }
}
