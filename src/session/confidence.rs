//! X1: the confidence score. Out of 100, each point with its evidence; missing evidence lowers it, a critical failure makes
//! it 0. The formula stands in `docs/report.md`, and a test holds the two together.

use serde::Serialize;

use super::charter::LineKind;
use super::facts::Unproven;
use super::gates::{EvidenceState, GateView};
use super::state::{Session, StepStatus};

/// The score and where each point comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confidence {
    /// 0 to 100.
    pub score: u32,
    /// Every part, in the order of the protocol.
    pub parts: Vec<Part>,
    /// Why the score is 0 whatever the parts say.
    pub critical: Option<String>,
}

/// One part of the score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Gate or step.
    pub id: String,
    /// Points that it gave.
    pub points: u32,
    /// Points that it can give.
    pub of: u32,
    /// Where they come from, or what is missing.
    pub why: String,
}

/// Points that all gates, and all steps, share.
const GATE_POINTS: u32 = 40;
const STEP_POINTS: u32 = 60;

/// The score of a session as it stands. Gates share 40 points, steps 60; what was not rehearsed takes a point each from the gate that rests
/// on it; a fired trigger, a rollback or a failed step other than the
/// checklist makes it 0.
pub fn confidence(session: &Session) -> Confidence {
    let gates = session.gates();
    let mut parts = Vec::new();
    for (n, view) in gates.iter().enumerate() {
        let of = share(GATE_POINTS, n, gates.len());
        let lacking = session.not_rehearsed(&view.id);
        let taken = u32::try_from(lacking.len()).unwrap_or(of).min(of);
        parts.push(Part {
            id: view.id.clone(),
            points: if view.green { of - taken } else { 0 },
            of,
            why: why_of_gate(view, &lacking),
        });
    }
    for (n, (line, state)) in session.lines().enumerate() {
        let of = share(STEP_POINTS, n, session.steps.len());
        let outcome = state.outcome.as_ref();
        let unproven = match state.fact() {
            Ok(fact) => fact.map(|Unproven(why)| why),
            Err(unreadable) => Some(unreadable.to_string()),
        };
        let done = state.status == StepStatus::Done && unproven.is_none();
        let why = match (unproven, outcome) {
            (Some(unproven), _) => format!("done, and not proven: {unproven}"),
            (None, Some(outcome)) => outcome.summary.clone(),
            (None, None) => "not done".to_owned(),
        };
        parts.push(Part {
            id: line.id.clone(),
            points: if done { of } else { 0 },
            of,
            why,
        });
    }
    let critical = critical(session);
    let sum = parts.iter().map(|p| p.points).sum();
    Confidence {
        score: if critical.is_some() { 0 } else { sum },
        parts,
        critical,
    }
}

fn why_of_gate(view: &GateView, lacking: &[&str]) -> String {
    let mut evidence = view.evidence.iter();
    let open = evidence.find(|e| e.state != EvidenceState::Green);
    match (view.green, open) {
        (true, _) if lacking.is_empty() => "evidence green, signed by all".to_owned(),
        (true, _) => format!(
            "evidence green, signed by all; not rehearsed, a point each: {}",
            lacking.join("; ")
        ),
        (false, Some(e)) => e.detail.clone(),
        (false, None) => {
            let roles: Vec<_> = view.missing_roles().iter().map(|r| r.title()).collect();
            format!("not signed by {}", roles.join(", "))
        }
    }
}

/// The n-th of `count` shares of a whole number of points, so that all shares add up to it.
fn share(points: u32, n: usize, count: usize) -> u32 {
    let (n, count) = (n as u32, count as u32);
    points * (n + 1) / count - points * n / count
}

fn critical(session: &Session) -> Option<String> {
    if let Some(fired) = &session.fired {
        return Some(format!("trigger {} fired: {}", fired.trigger, fired.reason));
    }
    if let Some(rollback) = &session.rollback {
        return Some(format!("rolled back: {}", rollback.reason));
    }
    session
        .lines()
        .find(|(line, s)| s.status == StepStatus::Failed && line.kind != LineKind::Checklist)
        .map(|(line, s)| {
            let why = s.outcome.as_ref().map_or("", |o| o.summary.as_str());
            format!("{} failed: {why}", line.id)
        })
}
