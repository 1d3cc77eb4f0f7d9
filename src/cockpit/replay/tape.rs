//! What a journal holds, by time: events, samples, printed lines, and the progress that was made last. Bounded by the journal itself.
//! Not in here: folding it into a screen.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::Stop;
use crate::cockpit::chart::Point;
use crate::cockpit::model::series::SeriesSet;
use crate::cockpit::news::News;
use crate::journal::{OutputLine, Progress};
use crate::session::{Event, Recorded, Session, TriggerPhase};

/// What was recorded.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    entries: Vec<Recorded>,
    /// By signal, by time.
    samples: BTreeMap<String, Vec<Point>>,
    /// By their number in the journal.
    lines: BTreeMap<i64, OutputLine>,
    progress: Vec<Progress>,
    marks: Vec<Mark>,
}

/// What an event is on the timeline, the least important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Event,
    /// A step or a row of the rollback begins.
    Step,
    /// A signature, given or withdrawn.
    Gate,
    /// A trigger begins to burn.
    Burning,
    /// A step or a row has failed, or SQLite was written to although it was frozen.
    Failed,
    Fired,
    /// The rollback begins, or has ended.
    Rollback,
}

impl Mark {
    fn of(event: &Event) -> Mark {
        match event {
            Event::StepStarted { .. } | Event::RollbackRowStarted { .. } => Mark::Step,
            Event::GateSigned { .. } | Event::SignatureWithdrawn { .. } => Mark::Gate,
            Event::StepFinished { outcome, .. } | Event::RollbackRowFinished { outcome, .. }
                if !outcome.ok =>
            {
                Mark::Failed
            }
            Event::DriftFound { .. } | Event::WrittenAfterSwitch { .. } => Mark::Failed,
            Event::TriggerMoved {
                state: TriggerPhase::Burning,
                ..
            } => Mark::Burning,
            Event::TriggerFired { .. } => Mark::Fired,
            Event::RollbackStarted { .. } | Event::RolledBack { .. } => Mark::Rollback,
            _ => Mark::Event,
        }
    }

    fn is(self, stop: Stop) -> bool {
        match stop {
            Stop::Event => true,
            Stop::Step => self == Mark::Step,
            Stop::Gate => self == Mark::Gate,
            Stop::Trouble => self >= Mark::Burning,
        }
    }
}

impl Tape {
    /// What has been recorded since.
    pub fn extend(&mut self, news: News) {
        for entry in news.entries {
            self.marks.push(Mark::of(&entry.event));
            // Session time never goes back; a journal that says so is read in its order all the same.
            let last_ms = self.entries.last().map_or(entry.at_ms, |e| e.at_ms);
            let at_ms = entry.at_ms.max(last_ms);
            self.entries.push(Recorded { at_ms, ..entry });
        }
        for sample in news.samples {
            let points = self.samples.entry(sample.signal).or_default();
            let at = points.partition_point(|(at_ms, _)| *at_ms <= sample.at_ms);
            points.insert(at, (sample.at_ms, sample.value));
        }
        let lines = news.output.into_iter().chain(news.last_line);
        self.lines.extend(lines.map(|line| (line.id, line)));
        self.progress = news.progress.unwrap_or(std::mem::take(&mut self.progress));
    }

    /// The events, in order.
    pub fn entries(&self) -> &[Recorded] {
        &self.entries
    }

    /// What each event is on the timeline, with its session time.
    pub fn marks(&self) -> impl Iterator<Item = (i64, Mark)> {
        let times = self.entries.iter().map(|e| e.at_ms);
        times.zip(self.marks.iter().copied())
    }

    /// Session time of the first event.
    pub fn from_ms(&self) -> i64 {
        self.entries.first().map_or(0, |e| e.at_ms)
    }

    /// Session time of the last event or sample.
    pub fn to_ms(&self) -> i64 {
        let sampled = self.samples.values().filter_map(|points| points.last());
        let sampled = sampled.map(|(at_ms, _)| *at_ms).max();
        let happened = self.entries.last().map_or(0, |e| e.at_ms);
        happened.max(sampled.unwrap_or(happened))
    }

    /// The wall clock at a session time, by the last event before it.
    pub fn wall_at(&self, at_ms: i64) -> DateTime<Utc> {
        let last = self.events_until(at_ms).saturating_sub(1);
        self.entries.get(last).map_or(DateTime::UNIX_EPOCH, |e| {
            e.wall + TimeDelta::milliseconds(at_ms - e.at_ms)
        })
    }

    /// The next of these after a session time.
    pub fn next(&self, at_ms: i64, stop: Stop) -> Option<i64> {
        self.marks()
            .find(|(at, mark)| *at > at_ms && mark.is(stop))
            .map(|(at, _)| at)
    }

    /// The last of these before a session time.
    pub fn previous(&self, at_ms: i64, stop: Stop) -> Option<i64> {
        self.marks()
            .take_while(|(at, _)| *at < at_ms)
            .filter(|(_, mark)| mark.is(stop))
            .last()
            .map(|(at, _)| at)
    }

    /// How many events have happened up to a session time.
    pub fn events_until(&self, at_ms: i64) -> usize {
        self.entries.partition_point(|e| e.at_ms <= at_ms)
    }

    /// The samples up to a session time, as many as a screen keeps.
    pub fn series_until(&self, at_ms: i64) -> SeriesSet {
        let taken = self.samples.iter().map(|(signal, points)| {
            let end = points.partition_point(|(at, _)| *at <= at_ms);
            (signal.as_str(), &points[..end])
        });
        SeriesSet::of(taken)
    }

    /// Brings a screen's samples from one session time to a later one.
    pub fn series_on(&self, series: &mut SeriesSet, after_ms: i64, until_ms: i64) {
        for (signal, points) in &self.samples {
            let begin = points.partition_point(|(at, _)| *at <= after_ms);
            let end = points.partition_point(|(at, _)| *at <= until_ms);
            series.extend(signal, &points[begin..end]);
        }
    }

    /// The last progress of steps that were over by then. How far one had come in its midst has no past.
    pub fn progress_until(&self, at_ms: i64, session: &Session) -> Vec<Progress> {
        let rows = session.rollback.iter().flat_map(|r| &r.rows);
        let all: Vec<_> = session.steps.iter().chain(rows).collect();
        let is_over = |id: &str| {
            let step = all.iter().find(|s| s.id == id);
            step.is_some_and(|s| s.ended_ms.is_some())
        };
        let later = |step: &str| {
            let mine = self.progress.iter().filter(|p| p.step == step);
            mine.map(|p| p.at_ms).any(|at| at > at_ms)
        };
        let known = |p: &&Progress| is_over(&p.step) && !later(&p.step);
        self.progress.iter().filter(known).cloned().collect()
    }

    /// The last line that any step had printed.
    pub fn last_line(&self, at_ms: i64) -> Option<&OutputLine> {
        self.lines.values().rev().find(|line| line.at_ms <= at_ms)
    }

    /// What an attempt of a step had printed.
    pub fn printed(
        &self,
        step: &str,
        attempt: u32,
        at_ms: i64,
    ) -> impl Iterator<Item = &OutputLine> {
        let all = self.lines.values();
        all.filter(move |l| l.step == step && l.attempt == attempt && l.at_ms <= at_ms)
    }
}
