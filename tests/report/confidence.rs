//! The score's formula as `docs/report.md` has it, written down a second time from there, against the code's.

use std::path::Path;

use cutover::session::confidence::confidence;
use cutover::session::{Event, Outcome, Session, StepStatus};

use crate::session::language::Bridge;

/// What the documentation says.
fn documented(session: &Session) -> (u32, bool) {
    let share = |points: usize, i: usize, n: usize| points * (i + 1) / n - points * i / n;
    let gates = session.gates();
    let left_out = |gate: &str| session.not_rehearsed(gate).len();
    let of_gates = gates.iter().enumerate().filter(|(_, g)| g.green);
    let of_gates: usize = of_gates
        .map(|(i, g)| share(40, i, gates.len()).saturating_sub(left_out(&g.id)))
        .sum();
    let steps = session.steps.iter().enumerate();
    let done = steps.filter(|(_, s)| s.status == StepStatus::Done);
    let of_steps: usize = done.map(|(i, _)| share(60, i, session.steps.len())).sum();
    let failed = session
        .steps
        .iter()
        .any(|s| s.status == StepStatus::Failed && s.id != "G2");
    let critical = session.fired.is_some() || session.rollback.is_some() || failed;
    let sum = (of_gates + of_steps) as u32;
    (if critical { 0 } else { sum }, critical)
}

#[test]
fn the_documented_formula_is_the_codes() {
    let mut seen = Vec::new();
    let mut check = |session: &Session| {
        let found = confidence(session);
        let (score, critical) = documented(session);
        assert_eq!((found.score, found.critical.is_some()), (score, critical));
        let all: u32 = found.parts.iter().map(|part| part.of).sum();
        assert_eq!(all, 100);
        seen.push(score);
    };
    for until in ["P1", "A1", "A4", "C1", "F1", "G1", "end"] {
        let mut bridge = Bridge::open();
        bridge.reach(until);
        check(&bridge.session);
    }
    check(&Bridge::rolled_back(2_000).session);
    let mut failed = Bridge::open();
    failed.reach("C1");
    for event in [
        Event::StepStarted {
            step: "C1".into(),
            attempt: 1,
            by: None,
        },
        Event::StepFinished {
            step: "C1".into(),
            attempt: 1,
            outcome: Outcome::failed("exit 1"),
        },
    ] {
        failed.append(event);
    }
    check(&failed.session);
    let (nights, critical) = seen.split_at(7);
    assert!(nights.is_sorted() && nights[0] < nights[6], "{nights:?}");
    assert_eq!(nights[6], 100);
    assert_eq!(critical, [0, 0]);
}

#[test]
fn the_documentation_has_the_formulas_numbers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.md");
    let docs = std::fs::read_to_string(path).expect("docs/report.md");
    let (_, section) = docs
        .split_once("## The confidence score")
        .expect("the section");
    for said in [
        "Gates share 40 points, steps share 60",
        "⌊40·(i+1)/n⌋ − ⌊40·i/n⌋",
        "⌊60·(i+1)/m⌋ − ⌊60·i/m⌋",
        "a trigger has fired; a\n  rollback has begun; a step other than the checklist (G2) has failed",
    ] {
        assert!(section.contains(said), "{said}");
    }
}
