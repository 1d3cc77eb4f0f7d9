//! What one page says that matters here: counters since its process began, and gauges. Pure. Not in here: under which names (`families`),
//! and what was counted between two pages (`counters`).

mod counters;
mod found;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

pub use self::counters::{Counters, Judged, Lacking};

use self::counters::{Kind, Status, Whose};
use self::found::Found;
use super::families::{Families, Reading};
use super::text::{Series, TextError, series, types};
use super::window::Le;
use crate::runbook::{Figure, MetricsPage};
use crate::text::printable;

/// Characters of a series, labels included.
const SERIES_CHARS: usize = 160;
/// Characters of an endpoint's name.
const ENDPOINT_CHARS: usize = 60;

const STARTED: &str = "process_start_time_seconds";

/// The endpoint under which an application counts what its maintenance refuses.
const MAINTENANCE: &str = "maintenance";

/// Which series count.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    families: Families,
    left_out: Vec<String>,
    /// The label and its value of series that count what maintenance refuses.
    of_maintenance: Option<(String, String)>,
}

/// Sums of gauges over an instance's series.
pub type Gauges = BTreeMap<Figure, f64>;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// Since the process began.
    pub counters: Counters,
    /// As they are now.
    pub gauges: Gauges,
}

/// Why a page says nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScrapeError {
    /// It is something else.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A number that cannot be.
    #[error("{family} is {value}, which no such series can be")]
    Value { family: String, value: f64 },
    /// The same series twice: which of the two is meant nobody can say.
    #[error("{series} stands on the page twice; what is true of it is not known")]
    Duplicate {
        /// Name and labels, made harmless.
        series: String,
    },
    #[error("the page holds none of the series that are watched")]
    Nothing,
}

impl Selection {
    /// All that an application tells under the names of this page, but these endpoints, and but what maintenance refuses.
    pub fn leaving_out(
        page: Option<&MetricsPage>,
        paths: impl Iterator<Item = String>,
    ) -> Selection {
        let own = page
            .into_iter()
            .flat_map(|page| page.leave_out.iter().cloned());
        let left_out = paths.chain(own).chain([MAINTENANCE.to_owned()]).collect();
        Selection {
            families: Families::of_page(page),
            left_out,
            of_maintenance: None,
        }
    }

    /// The same, of which series with this label count what maintenance refuses.
    #[must_use]
    pub fn marking(mut self, label: Option<&(String, String)>) -> Selection {
        self.of_maintenance = label.cloned();
        self
    }

    /// What a page says.
    ///
    /// # Errors
    /// It is not in the format, says something impossible, or nothing that matters here.
    pub fn scrape(&self, page: &str) -> Result<Scrape, ScrapeError> {
        let scrape = self.read(page)?;
        match scrape.counters.is_silent() {
            true => Err(ScrapeError::Nothing),
            false => Ok(scrape),
        }
    }

    /// What a page says, also where that is nothing: a process that has just begun may have counted nothing yet.
    ///
    /// # Errors
    /// It is not in the format, or says something impossible.
    pub fn read(&self, page: &str) -> Result<Scrape, ScrapeError> {
        let mut found = Found::announcing(self.families.announced(&types(page)));
        for one in series(page) {
            let one = one?;
            if one.name == STARTED {
                found.once(&one)?;
                found.counters.started = Some(finite(&one)?);
                continue;
            }
            for reading in self
                .families
                .named(one.name)
                .iter()
                .filter(|r| r.takes(&one))
            {
                if found.gives_way(reading) {
                    continue;
                }
                found.counters.told.insert(reading.figure);
                match reading.figure {
                    Figure::Requests => self.request(&mut found, &one, reading)?,
                    Figure::Latency => self.bucket(&mut found, &one, reading)?,
                    Figure::PoolTimeouts => found.count(&one, reading, Kind::PoolTimeouts)?,
                    Figure::PoolActive
                    | Figure::PoolIdle
                    | Figure::PoolWaiting
                    | Figure::PoolMax => {
                        found.gauge(&one, reading)?;
                    }
                }
            }
        }
        Ok(found.preferred())
    }

    /// Whether series of this name tell anything here.
    pub fn reads(&self, name: &str) -> bool {
        !self.families.named(name).is_empty()
    }

    /// The names under which a figure may stand, the preferred first.
    pub fn names(&self, figure: Figure) -> Vec<&str> {
        self.families.names(figure)
    }

    fn is_left_out(&self, routes: &[Cow<'_, str>]) -> bool {
        // Some frameworks write their routes without the slash in front.
        let is_one = |route: &str| {
            let bare = route.trim_matches('/');
            !bare.is_empty()
                && self
                    .left_out
                    .iter()
                    .any(|path| path.trim_matches('/') == bare)
        };
        routes.iter().any(|route| is_one(route))
    }

    fn request(
        &self,
        found: &mut Found,
        one: &Series<'_>,
        reading: &Reading,
    ) -> Result<(), ScrapeError> {
        let routes = reading.routes(one);
        if self.is_left_out(&routes) {
            return Ok(());
        }
        let endpoint = routes.into_iter().next().unwrap_or_default();
        let Some((place, code)) = reading.code(one) else {
            found.uncoded(one, reading);
            return Ok(());
        };
        let Some(status) = Status::parse(&code) else {
            let code = printable(&code, ENDPOINT_CHARS);
            let name = one.name.to_owned();
            found
                .lacking
                .push((reading.rank, Lacking::Status { name, code }));
            return Ok(());
        };
        found.coded(one, reading, place);
        let kind = Kind::Requests(status, self.whose(one));
        if kind.is_server_error() && !endpoint.is_empty() {
            let shown = match reading.method(one) {
                Some(method) => format!("{method} {endpoint}"),
                None => endpoint.into_owned(),
            };
            found
                .counters
                .failing
                .insert(key(one), printable(&shown, ENDPOINT_CHARS));
        }
        found.count(one, reading, kind)
    }

    fn whose(&self, one: &Series<'_>) -> Whose {
        let label = self.of_maintenance.as_ref();
        match label.is_some_and(|(label, value)| one.label(label).is_some_and(|v| v == *value)) {
            true => Whose::Maintenances,
            false => Whose::Applications,
        }
    }

    fn bucket(
        &self,
        found: &mut Found,
        one: &Series<'_>,
        reading: &Reading,
    ) -> Result<(), ScrapeError> {
        if self.is_left_out(&reading.routes(one)) {
            return Ok(());
        }
        let Some(le) = one.label("le") else {
            let name = one.name.to_owned();
            found.lacking.push((reading.rank, Lacking::Le { name }));
            return Ok(());
        };
        match Le::parse(&le) {
            Some(le) => found.count(
                one,
                reading,
                Kind::Bucket(le.in_seconds(reading.per_second())),
            ),
            None => Ok(()),
        }
    }
}

/// A fleet has hundreds of thousands of series, and their names are of no interest.
fn key(one: &Series<'_>) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((one.name, one.labels))
}

fn twice(one: &Series<'_>) -> ScrapeError {
    let series = format!("{}{{{}}}", one.name, one.labels);
    ScrapeError::Duplicate {
        series: printable(&series, SERIES_CHARS),
    }
}

fn finite(one: &Series<'_>) -> Result<f64, ScrapeError> {
    if one.value.is_finite() {
        Ok(one.value)
    } else {
        Err(impossible(one))
    }
}

fn impossible(one: &Series<'_>) -> ScrapeError {
    ScrapeError::Value {
        family: one.name.to_owned(),
        value: one.value,
    }
}
