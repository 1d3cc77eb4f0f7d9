//! What lies along the time of a session: the night lane by lane, and a signal as a curve. Values and words only; a form that draws gives
//! them places. Every meaning is said by a shape or a word too, so that colour may be absent.

use strum::IntoStaticStr;

use super::short_span;
use crate::report::charts::{Chart, Point};
use crate::report::evidence::TriggerReport;
use crate::report::{Report, RowReport, RowStatus, Section as Part};
use crate::session::TriggerPhase;
use crate::trigger::wording;

/// How to read the night.
pub(super) const NIGHT_KEY: &str = "Solid bar: done. Hatched bar with ✗: failed. Outlined bar: not over, unknown or skipped. \
Thin line below a bar: what it took in the rehearsal. ◆ a gate was signed, ◇ a signature that is void now. Hatched thin bar: a trigger's condition held; ✗ it fired; \
dotted: too little data.";

/// How to read the curves.
pub(super) const CURVE_KEY: &str = "Solid: what was measured. Long dashes: a limit, and the rows that hold it. Dots: the baseline. Short strokes at the bottom: no \
data. Dotted uprights: moments of the night.";

/// Session time from left to right, with its moments.
pub struct Axis {
    pub from_ms: i64,
    pub to_ms: i64,
    pub marks: Vec<(i64, String)>,
}

/// The session along time.
pub struct Night {
    /// What it shows, for those who do not see it.
    pub label: String,
    /// From top to bottom.
    pub lanes: Vec<Lane>,
}

/// What belongs together, on one line.
pub struct Lane {
    pub label: String,
    /// By time.
    pub things: Vec<Thing>,
}

/// Something that has its time.
pub enum Thing {
    Bar {
        from_ms: i64,
        /// Until when; `None` where it is not over.
        to_ms: Option<i64>,
        look: Look,
        words: String,
        tip: String,
        planned_to_ms: Option<i64>,
    },
    Strip {
        from_ms: i64,
        to_ms: i64,
        look: Look,
        tip: String,
    },
    Cross {
        at_ms: i64,
        words: &'static str,
        tip: String,
    },
    Diamond {
        at_ms: i64,
        holds: bool,
        /// What stands beside it; things near each other share their words.
        words: String,
    },
}

/// What came of something that lasted.
#[derive(Clone, Copy, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Look {
    Done,
    Failed,
    Open,
    Burning,
    Blind,
}

/// A signal along time.
pub struct Curve {
    pub title: String,
    pub highest: String,
    pub levels: Vec<Level>,
    /// By time.
    pub points: Vec<Point>,
}

/// What a signal is measured against.
pub struct Level {
    pub value: f64,
    pub words: String,
    /// It must not be passed; otherwise it is what was normal.
    pub is_limit: bool,
}

pub(super) fn axis(report: &Report) -> Axis {
    let from_ms = report.timeline.first().map_or(0, |line| line.at_ms).min(0);
    let last_ms = report.timeline.last().map_or(0, |line| line.at_ms);
    let marks = report.marks.iter();
    Axis {
        from_ms,
        to_ms: last_ms.max(from_ms.saturating_add(1_000)),
        marks: marks.map(|mark| (mark.at_ms, mark.what.clone())).collect(),
    }
}

pub(super) fn night(report: &Report) -> Night {
    let began = |part: Part| {
        let rows = report.rows.iter();
        rows.filter(move |r| r.section == part).filter_map(bar)
    };
    let triggers = report.triggers.iter().filter(|t| has_burned(t));
    let triggers: Vec<Lane> = triggers.map(|t| burning(t, report)).collect();
    let steps: Vec<Lane> = began(Part::Step).collect();
    let rollback: Vec<Lane> = began(Part::Rollback).collect();
    let label = format!(
        "Timeline: {} steps, {} triggers that moved, {} rows of the rollback",
        steps.len(),
        triggers.len(),
        rollback.len()
    );
    let lanes = [signed(report)].into_iter().chain(steps).chain(triggers);
    Night {
        label,
        lanes: lanes.chain(rollback).collect(),
    }
}

fn bar(row: &RowReport) -> Option<Lane> {
    let from_ms = row.started_ms?;
    let after = |seconds: f64| from_ms.saturating_add((seconds * 1_000.0) as i64);
    let (look, glyph) = match row.status {
        RowStatus::Done => (Look::Done, ""),
        RowStatus::Failed => (Look::Failed, "✗ "),
        RowStatus::Skipped => (Look::Open, "skipped "),
        RowStatus::Unknown => (Look::Open, "? "),
        RowStatus::Pending
        | RowStatus::Running
        | RowStatus::Green
        | RowStatus::Red
        | RowStatus::Open
        | RowStatus::Clear
        | RowStatus::Burning
        | RowStatus::Blind
        | RowStatus::Fired
        | RowStatus::NotJudged
        | RowStatus::NotNeeded => (Look::Open, "… "),
    };
    let took = row
        .seconds
        .map_or_else(|| "not over".to_owned(), short_span);
    Some(Lane {
        label: format!("{} {}", row.id, row.title),
        things: vec![Thing::Bar {
            from_ms,
            to_ms: row.seconds.map(after),
            look,
            words: format!("{glyph}{took}"),
            tip: row.summary.clone(),
            planned_to_ms: row.rehearsed_seconds.map(after),
        }],
    })
}

fn has_burned(trigger: &TriggerReport) -> bool {
    trigger.moves.iter().any(|m| m.to != TriggerPhase::Clear)
}

fn burning(trigger: &TriggerReport, report: &Report) -> Lane {
    let end_ms = report.timeline.last().map_or(0, |line| line.at_ms);
    // Once it rolls back, no trigger is judged any more.
    let end_ms = report.rollback.as_ref().map_or(end_ms, |r| r.started_ms);
    let things = trigger.moves.iter().enumerate().filter_map(|(n, step)| {
        let to_ms = trigger.moves.get(n + 1).map_or(end_ms, |next| next.at_ms);
        let (from_ms, tip) = (step.at_ms, step.reason.clone());
        let strip = |look| Thing::Strip {
            from_ms,
            to_ms,
            look,
            tip: tip.clone(),
        };
        match step.to {
            TriggerPhase::Clear => None,
            TriggerPhase::Burning => Some(strip(Look::Burning)),
            TriggerPhase::Blind => Some(strip(Look::Blind)),
            TriggerPhase::Fired => Some(Thing::Cross {
                at_ms: from_ms,
                words: "fired",
                tip: tip.clone(),
            }),
        }
    });
    Lane {
        label: trigger.id.clone(),
        things: things.collect(),
    }
}

fn signed(report: &Report) -> Lane {
    let mut signed: Vec<(i64, &str, bool)> = report
        .gates
        .iter()
        .flat_map(|gate| {
            let signatures = gate.signatures.iter();
            signatures.map(|s| (s.at_ms, gate.id.as_str(), s.valid))
        })
        .collect();
    signed.sort();
    let things = signed
        .into_iter()
        .map(|(at_ms, gate, holds)| Thing::Diamond {
            at_ms,
            holds,
            words: gate.to_owned(),
        });
    Lane {
        label: "gates signed".to_owned(),
        things: things.collect(),
    }
}

pub(super) fn curve(chart: &Chart) -> Curve {
    let value = |v: f64| wording::value(&chart.signal, v);
    let highest = chart.points.iter().filter_map(|p| p.range);
    let highest = highest.map(|(_, high)| high).reduce(f64::max);
    let limits = chart.limits.iter().map(|(ids, limit)| Level {
        value: *limit,
        words: format!("limit {} ({ids})", value(*limit)),
        is_limit: true,
    });
    let baseline = chart.baseline.map(|base| Level {
        value: base,
        words: format!("baseline {}", value(base)),
        is_limit: false,
    });
    Curve {
        title: chart.title.clone(),
        highest: highest.map_or_else(|| "no data".to_owned(), |v| format!("at most {}", value(v))),
        levels: limits.chain(baseline).collect(),
        points: chart.points.clone(),
    }
}
