//! What gates wait for: who signs which, or which evidence is missing. Not in here: when that is the next thing to do (`advice`).

use crate::runbook::Role;
use crate::session::charter::StepLine;
use crate::session::gates::{EvidenceState, GateView};
use crate::session::roles::Act;
use crate::session::state::Session;

use super::{Advice, DRIVER, Urgency, names};

/// Gates in the way: first what can be signed now, else which evidence is missing.
pub(super) fn no_go(session: &Session, line: &StepLine, red: &[GateView]) -> Advice {
    let open: Vec<&GateView> = red.iter().filter(|g| g.evidence_is_green()).collect();
    if !open.is_empty() {
        let (roles, signatures) = tasks(session, &open);
        let sentence = format!("{} waits: {signatures}.", line.id);
        return Advice::of(Urgency::Waiting, Act::Sign, &roles, sentence);
    }
    let missing = red.iter().find_map(|g| {
        let bad = g.evidence.iter().find(|e| e.state != EvidenceState::Green);
        bad.map(|e| (g, e))
    });
    let Some((gate, evidence)) = missing else {
        return Advice::calm(format!("{} waits for gates.", line.id));
    };
    let urgency = if evidence.state == EvidenceState::Red {
        Urgency::Alarm
    } else {
        Urgency::Waiting
    };
    let verb = if evidence.state == EvidenceState::Red {
        "has red evidence"
    } else {
        "lacks evidence"
    };
    let sentence = format!(
        "NO-GO for {}: {} {verb}: {}.",
        line.id,
        gate.id,
        evidence.detail.trim_end_matches('.')
    );
    Advice {
        urgency,
        sentence,
        act: None,
        waits_for: DRIVER.to_vec(),
    }
}

/// Signatures that could be given while a step runs.
pub(super) fn signable(session: &Session) -> Option<(Vec<Role>, String)> {
    let gates = session.gates();
    let open: Vec<&GateView> = gates
        .iter()
        .filter(|g| !g.green && g.evidence_is_green())
        .collect();
    (!open.is_empty()).then(|| tasks(session, &open))
}

/// `Ada Lindqvist (engineer) signs K3 and K8; Quinn Sato (QA) signs K8`, in the order of the roles.
fn tasks(session: &Session, gates: &[&GateView]) -> (Vec<Role>, String) {
    let per_role = Role::ALL.iter().filter_map(|role| {
        let mine: Vec<&str> = gates
            .iter()
            .filter(|g| g.missing_roles().contains(role))
            .map(|g| g.id.as_str())
            .collect();
        (!mine.is_empty()).then(|| {
            let who = names(session, &[*role]);
            (*role, format!("{who} signs {}", listed(&mine)))
        })
    });
    let (roles, parts): (Vec<Role>, Vec<String>) = per_role.unzip();
    (roles, parts.join("; "))
}

/// `a, b and c`.
fn listed(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}
