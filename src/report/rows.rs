//! One line per row of the protocol: what was done, by whom, when, for how long. Not in here: how it is written down (`markdown`,
//! `json`).

use serde::Serialize;

use crate::runbook::{Condition, Trigger};
use crate::session::confidence::{Confidence, confidence};
use crate::session::forecast::rehearsed;
use crate::session::live::ItemView;
use crate::session::state::TriggerState;
use crate::session::{EvidenceState, GateView, Session, StepState, StepStatus, TriggerPhase};

/// A row of the protocol, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowReport {
    /// `A2`.
    pub id: String,
    /// As the runbook calls it.
    pub title: String,
    /// Which part of the runbook it is from.
    pub section: Section,
    pub status: RowStatus,
    /// Who did, confirmed or signed it; empty where no person had to.
    pub by: Vec<String>,
    /// Session time at which it began.
    pub started_ms: Option<i64>,
    /// Real seconds that it took; for a trigger, that it has been in its state.
    pub seconds: Option<f64>,
    /// Real seconds that it took in the rehearsal that counts here.
    pub rehearsed_seconds: Option<f64>,
    /// How often it was tried.
    pub attempts: u32,
    /// What was done or seen, in one line. Foreign text: clean it before it reaches a screen.
    pub summary: String,
}

/// The part of a runbook that a row is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Section {
    /// P, A–G and V.
    Step,
    Gate,
    Trigger,
    Monitoring,
    Rollback,
    Confidence,
}

/// Where a row stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// A step or rollback row that has not begun.
    Pending,
    Running,
    /// Done; for X1, computed.
    Done,
    Failed,
    /// Skipped by a person.
    Skipped,
    /// Begun, and nobody knows how far it came.
    Unknown,
    /// A gate that lets the cutover pass; a checklist item within its thresholds.
    Green,
    /// A gate over bad evidence; a checklist item beyond its thresholds.
    Red,
    /// A gate without all of its evidence and signatures.
    Open,
    /// A trigger whose condition does not hold.
    Clear,
    /// A trigger whose condition holds, not yet for long enough.
    Burning,
    /// A trigger or a checklist item with too little data to say.
    Blind,
    /// A trigger that fired.
    Fired,
    /// Nothing has judged it yet.
    NotJudged,
    /// A rollback row where there was no rollback.
    NotNeeded,
}

/// Every row of the charter, in the protocol's order: steps, gates, triggers, checklist, rollback, confidence.
pub fn rows(session: &Session) -> Vec<RowReport> {
    rows_seen(session, &[])
}

/// Like [`rows`]; `seen` is the checklist as the live board last showed it, for a session that did not get as far as judging it.
pub fn rows_seen(session: &Session, seen: &[ItemView]) -> Vec<RowReport> {
    let charter = &session.charter;
    let mut rows = Vec::new();
    for (line, state) in charter.steps.iter().zip(&session.steps) {
        rows.push(step_row(Section::Step, &line.title, state));
    }
    for (gate, view) in charter.gates.iter().zip(session.gates()) {
        rows.push(gate_row(&gate.title, &view));
    }
    rows.extend(charter.triggers.iter().map(|t| trigger_row(session, t)));
    for item in &charter.monitoring {
        let judged = newest_check(session, &item.id).map(|(ok, reason)| (Some(ok), reason));
        let view = || seen.iter().find(|view| view.id == item.id);
        let shown = judged.or_else(|| view().map(|v| (v.green, v.reason.clone())));
        rows.push(item_row(&item.id, &item.title, shown));
    }
    for line in &charter.rollback {
        let done = session.rollback.as_ref();
        let state = done.and_then(|r| r.rows.iter().find(|s| s.id == line.id));
        rows.push(match state {
            Some(state) => step_row(Section::Rollback, &line.title, state),
            None => RowReport {
                status: RowStatus::NotNeeded,
                summary: "no rollback".into(),
                ..empty(Section::Rollback, &line.id, &line.title)
            },
        });
    }
    rows.push(confidence_row(&confidence(session)));
    for (id, took_ms) in rehearsed(session).iter().flat_map(|r| &r.took_ms) {
        let row = rows.iter_mut().find(|row| row.id == *id);
        if let Some(row) = row.filter(|r| matches!(r.section, Section::Step | Section::Rollback)) {
            row.rehearsed_seconds = Some(seconds(0, *took_ms));
        }
    }
    rows
}

fn empty(section: Section, id: &str, title: &str) -> RowReport {
    RowReport {
        id: id.to_owned(),
        title: title.to_owned(),
        section,
        status: RowStatus::NotJudged,
        by: Vec::new(),
        started_ms: None,
        seconds: None,
        rehearsed_seconds: None,
        attempts: 0,
        summary: String::new(),
    }
}

fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms).max(0) as f64 / 1_000.0
}

fn step_row(section: Section, title: &str, state: &StepState) -> RowReport {
    let status = match state.status {
        StepStatus::Pending => RowStatus::Pending,
        StepStatus::Running => RowStatus::Running,
        StepStatus::Done => RowStatus::Done,
        StepStatus::Failed => RowStatus::Failed,
        StepStatus::Skipped => RowStatus::Skipped,
        StepStatus::Unknown => RowStatus::Unknown,
    };
    let mut by: Vec<String> = state.by.iter().cloned().collect();
    for person in state.confirmed.values() {
        if !by.contains(person) {
            by.push(person.clone());
        }
    }
    let summary = match (&state.outcome, &state.question) {
        (_, Some(question)) => question.clone(),
        (Some(outcome), None) => outcome.summary.clone(),
        (None, None) => String::new(),
    };
    RowReport {
        status,
        by,
        started_ms: state.started_ms,
        seconds: Option::zip(state.started_ms, state.ended_ms).map(|(a, b)| seconds(a, b)),
        attempts: state.attempt,
        summary,
        ..empty(section, &state.id, title)
    }
}

fn gate_row(title: &str, view: &GateView) -> RowReport {
    let red = view.evidence.iter().any(|e| e.state == EvidenceState::Red);
    let status = match (view.green, red) {
        (true, _) => RowStatus::Green,
        (false, true) => RowStatus::Red,
        (false, false) => RowStatus::Open,
    };
    let signed = view.signers.iter().filter_map(|(_, s)| s.as_ref());
    let mut lines: Vec<String> = view
        .evidence
        .iter()
        .map(|e| format!("{}: {}", e.name, e.detail))
        .collect();
    let missing: Vec<_> = view.missing_roles().iter().map(|r| r.title()).collect();
    if !missing.is_empty() {
        lines.push(format!("not signed by {}", missing.join(", ")));
    }
    RowReport {
        status,
        by: signed.map(|s| s.by.clone()).collect(),
        summary: lines.join("; "),
        ..empty(Section::Gate, &view.id, title)
    }
}

fn trigger_row(session: &Session, trigger: &Trigger) -> RowReport {
    let row = empty(Section::Trigger, &trigger.id, &trigger.title);
    if let Some(fired) = session.fired.as_ref().filter(|f| f.trigger == trigger.id) {
        return RowReport {
            status: RowStatus::Fired,
            started_ms: Some(fired.at_ms),
            seconds: Some(seconds(fired.at_ms, session.at_ms)),
            summary: fired.reason.clone(),
            ..row
        };
    }
    if let Some(state) = worst_state(session, &trigger.id) {
        let status = match state.phase {
            TriggerPhase::Clear => RowStatus::Clear,
            TriggerPhase::Burning => RowStatus::Burning,
            TriggerPhase::Blind => RowStatus::Blind,
            TriggerPhase::Fired => RowStatus::Fired,
        };
        return RowReport {
            status,
            started_ms: Some(state.since_ms),
            seconds: Some(seconds(state.since_ms, session.at_ms)),
            summary: state.reason.clone(),
            ..row
        };
    }
    let armed_ms = session.step(&trigger.from).and_then(|s| s.started_ms);
    match (&trigger.when, judged_check(session, trigger)) {
        // What never moved never burned, nor was it blind.
        (Condition::Signal { .. }, _) if armed_ms.is_some() => RowReport {
            status: RowStatus::Clear,
            started_ms: armed_ms,
            seconds: armed_ms.map(|ms| seconds(ms, session.at_ms)),
            summary: "never met".into(),
            ..row
        },
        (_, Some((ok, detail))) => RowReport {
            status: if ok {
                RowStatus::Clear
            } else {
                RowStatus::Burning
            },
            summary: detail,
            ..row
        },
        _ => row,
    }
}

/// The state of a trigger; of its instances, the one that is worst.
fn worst_state<'s>(session: &'s Session, id: &str) -> Option<&'s TriggerState> {
    let own = |name: &str| {
        name.strip_prefix(id)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let states = session.triggers.iter().filter(|(name, _)| own(name));
    states
        .map(|(_, state)| state)
        .max_by_key(|state| match state.phase {
            TriggerPhase::Clear => 0,
            TriggerPhase::Blind => 1,
            TriggerPhase::Burning => 2,
            TriggerPhase::Fired => 3,
        })
}

/// The result of the check that a trigger judges.
fn judged_check(session: &Session, trigger: &Trigger) -> Option<(bool, String)> {
    match &trigger.when {
        Condition::Check { check } => newest_check(session, check),
        Condition::Signal { .. } => None,
    }
}

/// What the steps found of a named check: the first bad result, else the newest good one.
fn newest_check(session: &Session, name: &str) -> Option<(bool, String)> {
    let outcomes = session.steps.iter().filter_map(|s| s.outcome.as_ref());
    let checks = outcomes.flat_map(|o| &o.checks).filter(|c| c.name == name);
    let shown = checks.reduce(|worst, c| if worst.ok { c } else { worst })?;
    Some((shown.ok, shown.detail.clone()))
}

fn item_row(id: &str, title: &str, shown: Option<(Option<bool>, String)>) -> RowReport {
    let row = empty(Section::Monitoring, id, title);
    let Some((green, summary)) = shown else {
        return row;
    };
    RowReport {
        status: match green {
            Some(true) => RowStatus::Green,
            Some(false) => RowStatus::Red,
            None => RowStatus::Blind,
        },
        summary,
        ..row
    }
}

fn confidence_row(confidence: &Confidence) -> RowReport {
    let summary = match &confidence.critical {
        Some(why) => format!("{} of 100: {why}", confidence.score),
        None => format!("{} of 100", confidence.score),
    };
    RowReport {
        status: RowStatus::Done,
        summary,
        ..empty(Section::Confidence, "X1", "Confidence")
    }
}
