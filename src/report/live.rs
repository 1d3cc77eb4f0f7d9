//! The page of a session that runs: what the report would tell of it now, in pieces, so that whoever follows gets what has changed and no
//! more. What it keeps in memory and what it shows have an end, however long the night.
//!
//! Not in here: markup (`html::live`), who may see it and how it gets there (`watch`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Offset, Utc};

use super::html::live as html;
use super::material;
use super::page::{Block, Page, Section, Span, Text, after};
use super::{Outcome, charts};
use crate::format;
use crate::history::{self, Error, History};
use crate::journal::{Folder, Sample};
use crate::session::advice::next_action_seen;
use crate::session::live::{CostView, FeedView, ItemView, ParityView, TriggerView, key};
use crate::session::{Phase, Session, cost, forecast};

/// The sections that are shown, in the order in which somebody looks who is not on the bridge.
const SECTIONS: [&str; 10] = [
    "gates",
    "steps",
    "triggers",
    "monitoring",
    "rollback",
    "timeline",
    SIGNALS,
    "parity",
    "confidence",
    EVENTS,
];
const SIGNALS: &str = "signals";
const EVENTS: &str = "events";
const CLOCK: &str = "clock";
/// The newest events that are shown.
const EVENTS_SHOWN: usize = 100;
/// The last lines of any other table that are shown.
const LINES_SHOWN: usize = 500;
/// Samples of a signal that are kept; where there are more, those of each few that say the least go.
const SAMPLES_KEPT: usize = 8_192;
/// Of so many the least, the greatest and one without data stay.
const TOGETHER: usize = 8;

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The id of its place on the page.
    pub id: &'static str,
    pub html: String,
}

/// When the page is made.
#[derive(Debug, Clone)]
pub struct Now {
    /// Session time.
    pub at_ms: i64,
    /// For people.
    pub wall: DateTime<Utc>,
    /// Where the session is over: until when the page stays.
    pub stays_until: Option<DateTime<Utc>>,
}

/// A session's folder, read on and on.
pub struct Live {
    history: History,
    session: Session,
    /// Of the signals that have a chart.
    samples: BTreeMap<String, Vec<Sample>>,
}

impl Live {
    /// Reads what is there.
    ///
    /// # Errors
    /// The journal cannot be read, or its chain does not hold.
    pub fn open(folder: &Folder) -> Result<Live, Error> {
        let (history, session) = history::of(folder)?;
        let mut live = Live {
            history,
            session,
            samples: BTreeMap::new(),
        };
        live.take_samples()?;
        Ok(live)
    }

    /// Reads what has come since. Whether an event has.
    pub fn read_on(&mut self) -> Result<bool, Error> {
        let has_moved = !self.history.read_on()?.is_empty();
        if has_moved {
            self.session = self.history.session()?;
        }
        self.take_samples()?;
        Ok(has_moved)
    }

    /// The state that the events come to.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether an engine runs it.
    pub fn is_run(&self) -> Result<bool, Error> {
        Ok(self.history.follower().engine()?.is_alive())
    }

    /// Every piece, in its order on the page.
    pub fn pieces(&self, now: &Now) -> Result<Vec<Piece>, Error> {
        let page = self.page(now.at_ms)?;
        let mut pieces = vec![html::verdict("verdict", &page), self.clock(now)?];
        pieces.extend(SECTIONS.map(|id| html::section(id, &page)));
        pieces.push(html::origin("origin", &page));
        Ok(pieces)
    }

    /// What changes by itself: how long it takes, and what is to be done now.
    pub fn clock(&self, now: &Now) -> Result<Piece, Error> {
        let follower = self.history.follower();
        let triggers: Option<Vec<TriggerView>> = follower.board(key::TRIGGERS)?;
        let cost: Option<CostView> = follower.board(key::COST)?;
        let feed: Option<FeedView> = follower.board(key::FEED)?;
        let is_run = self.is_run()?;
        let feed = match is_run {
            true => feed,
            false => feed.map(FeedView::unfollowed),
        };
        let (session, at_ms) = (&self.session, now.at_ms);
        let mut lines = vec![self.times(now)];
        if now.stays_until.is_none() && !is_run {
            let nobody = "No engine runs: at the moment nothing is watched, and nothing goes on.";
            lines.push(Span::Strong(nobody.into()).into());
        }
        let advice = next_action_seen(session, at_ms, &triggers.unwrap_or_default());
        lines.push(Text::foreign(&advice.sentence));
        if let Some(told) = forecast::sentence(session, at_ms) {
            lines.push(Text::own("Freeze: ").then(Text::foreign(&told)).then("."));
        }
        if session.phase == Phase::Open {
            for lost in feed.iter().flat_map(cost::would_lose) {
                let lost = Text::foreign(&lost);
                lines.push(
                    Text::from(Span::Strong("Alarm:".into()))
                        .then(" ")
                        .then(lost),
                );
            }
            let told = cost::sentence(session, cost.as_ref(), feed.as_ref(), Utc.fix());
            lines.push(Text::own("A rollback now: ").then(Text::foreign(&told)));
        }
        if let Some(until) = now.stays_until {
            let over = "The session is over.";
            let stays = format!(
                " What stands here does not change any more; the page is gone after {} UTC.",
                until.format("%H:%M:%S")
            );
            lines.push(Text::from(Span::Strong(over.into())).then(stays));
        }
        Ok(html::lines(CLOCK, &lines))
    }

    fn times(&self, now: &Now) -> Text {
        let session = &self.session;
        let wall = now.wall.format("%H:%M:%S");
        let since = format!(" since the opening, at {wall} UTC");
        let told = Text::from(Span::Strong(after(now.at_ms).into())).then(since);
        let Some((since_ms, None)) = session.freeze() else {
            return told;
        };
        let frozen_ms = now.at_ms.saturating_sub(since_ms);
        told.then(format!(
            "; writes are frozen for {} of the agreed {}",
            format::span(session.charter.runbook_ms(frozen_ms)),
            format::span(session.freeze_limit_ms())
        ))
    }

    /// The report's page, without what only the end can tell.
    fn page(&self, at_ms: i64) -> Result<Page, Error> {
        let follower = self.history.follower();
        let checklist: Option<Vec<ItemView>> = follower.board(key::CHECKLIST)?;
        let parity: Option<ParityView> = follower.board(key::PARITY)?;
        let (checklist, parity) = (checklist.unwrap_or_default(), parity.unwrap_or_default());
        let report = material::told(
            &self.session,
            self.history.events(),
            follower.head(),
            &self.samples,
            (&checklist[..], &parity),
        );
        let mut page = Page::of(&report);
        page.axis.to_ms = page.axis.to_ms.max(at_ms);
        if matches!(report.result, Outcome::Open | Outcome::RollingBack) {
            page.verdict.sentence = "This page follows it.";
        }
        let sections = page.sections.into_iter();
        let shown = sections.filter(|section| SECTIONS.contains(&section.id));
        page.sections = shown.map(shortened).collect();
        page.sections
            .sort_by_key(|section| SECTIONS.iter().position(|id| *id == section.id));
        page.foot.truncate(1);
        page.foot.push(Text::own(concat!(
            "Shown by cutover ",
            env!("CARGO_PKG_VERSION"),
            " from the session’s folder alone. Nothing can be done from here."
        )));
        Ok(page)
    }

    fn take_samples(&mut self) -> Result<(), Error> {
        let names = charts::names(&self.session);
        let mut moved = BTreeSet::new();
        for sample in self.history.samples()? {
            if names.contains(&sample.signal.as_str()) {
                moved.insert(sample.signal.clone());
                let of_signal = self.samples.entry(sample.signal.clone()).or_default();
                of_signal.push(sample);
            }
        }
        for name in moved {
            let samples = self.samples.entry(name).or_default();
            samples.sort_by_key(|sample| sample.at_ms);
            thin(samples);
        }
        Ok(())
    }
}

/// What stands in the place of the clock where the journal cannot be read.
pub fn unreadable(why: &Error, wall: DateTime<Utc>) -> Piece {
    let when = wall.format("%H:%M:%S");
    let told = format!("The journal could not be read at {when} UTC:");
    let told = Text::from(Span::Strong(told.into())).then(" ");
    let told = told.then(Text::foreign(&why.to_string()));
    html::lines(CLOCK, &[told.then(". What stands below is older.")])
}

/// The whole page, of its pieces as they are now.
pub fn frame<'p>(session: &str, pieces: impl Iterator<Item = &'p Piece>) -> String {
    html::frame(&format!("Cutover {session}"), pieces)
}

/// What a browser is told to run and to load: this page's own script and styles, by their hashes.
pub fn policy() -> String {
    html::policy()
}

/// As much of a section as is worth sending again and again: curves without the table below them, the last lines of tables, the newest event
/// first.
fn shortened(mut section: Section) -> Section {
    let is_events = section.id == EVENTS;
    if section.id == SIGNALS {
        let is_drawn = |block: &Block| matches!(block, Block::Key(_) | Block::Curve(_));
        section.blocks.retain(is_drawn);
    }
    let most = match is_events {
        true => EVENTS_SHOWN,
        false => LINES_SHOWN,
    };
    let mut has_more = false;
    for block in &mut section.blocks {
        if let Block::Table(table) = block {
            let older = table.lines.len().saturating_sub(most);
            table.lines.drain(..older);
            has_more |= older > 0;
            if is_events {
                table.lines.reverse();
            }
        }
    }
    if has_more {
        let rest = "Older lines are left out here; the report has all of them.";
        section.blocks.push(Block::Note(rest));
    }
    section
}

/// Where there are too many: takes away those that no curve would show the lack of.
fn thin(samples: &mut Vec<Sample>) {
    if samples.len() <= SAMPLES_KEPT {
        return;
    }
    let groups = samples.chunks(TOGETHER).enumerate();
    let kept = groups.flat_map(|(n, group)| {
        let telling = telling(group).into_iter();
        telling.map(move |at| n * TOGETHER + at)
    });
    let kept: BTreeSet<usize> = kept.collect();
    let mut n = 0;
    samples.retain(|_| {
        let is_kept = kept.contains(&n);
        n += 1;
        is_kept
    });
}

/// The least, the greatest and the first without data, by where they stand.
fn telling(group: &[Sample]) -> BTreeSet<usize> {
    let values = group
        .iter()
        .enumerate()
        .filter_map(|(n, s)| Some((n, s.reading.value()?)));
    let values: Vec<(usize, f64)> = values.collect();
    let least = values.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let most = values.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let silent = group.iter().position(|s| s.reading.value().is_none());
    let told = least.into_iter().chain(most).map(|(n, _)| *n);
    told.chain(silent).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Reading;

    #[test]
    fn samples_have_an_end_and_keep_their_extremes_and_their_silence() {
        let sample = |n: i64| Sample {
            signal: "x".into(),
            at_ms: n,
            reading: match n {
                3_000 => Reading::NoData("late".into()),
                7_777 => Reading::Value(99.0),
                _ => Reading::Value(1.0),
            },
            n: None,
        };
        let mut samples = Vec::new();
        for n in 0..100_000 {
            samples.push(sample(n));
            thin(&mut samples);
            assert!(samples.len() <= SAMPLES_KEPT);
        }
        let values = samples.iter().filter_map(|s| s.reading.value());
        assert_eq!(values.reduce(f64::max), Some(99.0));
        assert!(samples.iter().any(|s| s.reading.value().is_none()));
        assert!(samples.is_sorted_by_key(|s| s.at_ms));
    }
}
