//! When a gate is green: its evidence is green *and* each of its signers has signed what is true now. Not in here: who may sign
//! (`decide`).

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::event::{RehearsalEvidence, Signature};
use super::shape::Shape;
use super::state::{Session, StepStatus};
use crate::format::hex;
use crate::runbook::{EvidenceRef, Gate, RehearsalPart, Role, RunbookHash};

/// A gate as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateView {
    /// `K1`.
    pub id: String,
    /// Each piece of evidence.
    pub evidence: Vec<EvidenceView>,
    /// Each role that must sign, and its signature if that covers what is true now.
    pub signers: Vec<(Role, Option<Signature>)>,
    /// What a signature given now would cover.
    pub evidence_hash: String,
    /// Whether it lets the cutover pass.
    pub green: bool,
}

/// A piece of evidence as it stands now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceView {
    /// `A2`, or `rehearsal.import`.
    pub name: String,
    pub state: EvidenceState,
    /// One line for people.
    pub detail: String,
}

/// Whether evidence is there, and good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceState {
    /// Not there yet.
    Missing,
    /// There, and bad.
    Red,
    /// There, and good.
    Green,
}

impl GateView {
    /// Whether every piece of evidence is green.
    pub fn evidence_is_green(&self) -> bool {
        self.evidence
            .iter()
            .all(|e| e.state == EvidenceState::Green)
    }

    /// Roles that have yet to sign.
    pub fn missing_roles(&self) -> Vec<Role> {
        self.signers
            .iter()
            .filter(|(_, s)| s.is_none())
            .map(|(r, _)| *r)
            .collect()
    }
}

impl Session {
    /// Every gate as it stands now, in the charter's order.
    pub fn gates(&self) -> Vec<GateView> {
        self.charter.gates.iter().map(|g| self.gate(g)).collect()
    }

    /// One gate as it stands now.
    pub fn gate(&self, gate: &Gate) -> GateView {
        let (evidence, hashes): (Vec<_>, Vec<_>) =
            gate.evidence.iter().map(|e| self.evidence(e)).unzip();
        let evidence_hash = hex(&Sha256::digest(hashes.join("\n")));
        let valid = |role: Role| {
            let all = self.signatures.get(&gate.id)?;
            all.iter()
                .find(|s| {
                    s.role == role
                        && s.runbook_hash == self.charter.runbook_hash
                        && s.evidence_hash == evidence_hash
                        && (s.ssh.is_some() || !self.charter.wants_ssh(&gate.id))
                })
                .cloned()
        };
        let signers: Vec<_> = gate.signers.iter().map(|r| (*r, valid(*r))).collect();
        let green = signers.iter().all(|(_, s)| s.is_some())
            && evidence.iter().all(|e| e.state == EvidenceState::Green);
        GateView {
            id: gate.id.clone(),
            evidence,
            signers,
            evidence_hash,
            green,
        }
    }

    /// Gates that must be green before this step and are not. The switch requires all; after it gates have had their say.
    pub fn gates_in_the_way(&self, step_index: usize) -> Vec<GateView> {
        let switch = self
            .charter
            .index_of_kind(&super::charter::LineKind::Switch)
            .unwrap_or(usize::MAX);
        if step_index > switch {
            return Vec::new();
        }
        self.charter
            .gates
            .iter()
            .filter(|g| {
                step_index == switch
                    || self
                        .charter
                        .step_index(&g.before)
                        .is_some_and(|i| i <= step_index)
            })
            .map(|g| self.gate(g))
            .filter(|v| !v.green)
            .collect()
    }

    /// A piece of evidence and the hash that a signature covers.
    fn evidence(&self, evidence: &EvidenceRef) -> (EvidenceView, String) {
        match evidence {
            EvidenceRef::Step(id) => self.step_evidence(id),
            EvidenceRef::Rehearsal(part) => self.rehearsal_evidence(*part),
        }
    }

    fn step_evidence(&self, id: &str) -> (EvidenceView, String) {
        let outcome = self
            .step(id)
            .and_then(|s| Some((s.status, s.outcome.as_ref()?)));
        let (state, detail, hash) = match outcome {
            Some((StepStatus::Done, o)) => (EvidenceState::Green, o.summary.clone(), o.hash()),
            Some((StepStatus::Skipped, o)) => (EvidenceState::Missing, o.summary.clone(), o.hash()),
            Some((_, o)) => (EvidenceState::Red, o.summary.clone(), o.hash()),
            None => (
                EvidenceState::Missing,
                format!("{id} has not been done"),
                String::new(),
            ),
        };
        (
            EvidenceView {
                name: id.to_owned(),
                state,
                detail,
            },
            hash,
        )
    }

    fn rehearsal_evidence(&self, part: RehearsalPart) -> (EvidenceView, String) {
        let name = match part {
            RehearsalPart::Migrations => "rehearsal.migrations",
            RehearsalPart::Import => "rehearsal.import",
            RehearsalPart::Rollback => "rehearsal.rollback",
        };
        let view = |state, detail: String| EvidenceView {
            name: name.to_owned(),
            state,
            detail,
        };
        let Some(r) = &self.rehearsal else {
            return (
                view(
                    EvidenceState::Missing,
                    "no rehearsal: run `cutover rehearse`".into(),
                ),
                String::new(),
            );
        };
        let hash = format!("{}:{}", r.session, r.head);
        if let Some(why) = self.does_not_count(r) {
            return (view(EvidenceState::Red, why), hash);
        }
        let found = r.parts.iter().find(|(p, ..)| *p == part);
        let (state, detail) = match found {
            Some((_, true, line)) => (EvidenceState::Green, line.clone()),
            Some((_, false, line)) => (EvidenceState::Red, line.clone()),
            None => (
                EvidenceState::Missing,
                "the rehearsal did not get that far".into(),
            ),
        };
        (view(state, detail), hash)
    }

    /// What the rehearsal that a gate rests on has left out of the parts that the gate names.
    pub fn not_rehearsed(&self, gate: &str) -> Vec<&str> {
        let gates = self.charter.gates.iter().filter(|g| g.id == gate);
        let rests_on: Vec<&EvidenceRef> = gates.flat_map(|g| &g.evidence).collect();
        let lacking = self.rehearsal.iter().flat_map(|r| &r.not_rehearsed);
        let of_gate = lacking.filter(|(part, _)| {
            let part = EvidenceRef::Rehearsal(*part);
            rests_on.iter().any(|evidence| **evidence == part)
        });
        of_gate.map(|(_, what)| what.as_str()).collect()
    }

    fn does_not_count(&self, rehearsal: &RehearsalEvidence) -> Option<String> {
        let shape = match self.shape() {
            Ok(shape) => shape,
            Err(unreadable) => return Some(unreadable.to_string()),
        };
        let ground = RehearsalGround {
            runbook_hash: &self.charter.runbook_hash,
            sandbox: self.charter.sandbox,
            opened_unix_s: self.opened.timestamp(),
            max_age_ms: self.charter.rehearsal_max_age_ms,
            shape,
        };
        ground.does_not_count(rehearsal)
    }
}

/// What a rehearsal is judged by: a session's, or that of one that is to be opened.
pub struct RehearsalGround<'g> {
    pub runbook_hash: &'g RunbookHash,
    /// The session is a sandbox's.
    pub sandbox: bool,
    /// When it is opened: a gate that was green does not turn red by waiting, in the middle of the freeze or after the end.
    pub opened_unix_s: i64,
    /// How old a rehearsal may be then.
    pub max_age_ms: Option<i64>,
    /// The source's schema, where it is known.
    pub shape: Option<Shape>,
}

impl RehearsalGround<'_> {
    /// Why a rehearsal, however green, is no evidence here (K3, K4, K6).
    pub fn does_not_count(&self, rehearsal: &RehearsalEvidence) -> Option<String> {
        if rehearsal.runbook_hash != *self.runbook_hash {
            return Some("the rehearsal was of another runbook".into());
        }
        if rehearsal.sandbox && !self.sandbox {
            return Some("the rehearsal was in a sandbox".into());
        }
        let age_s = self.opened_unix_s.saturating_sub(rehearsal.ended_unix_s);
        let age_ms = age_s.saturating_mul(1_000);
        if let Some(limit_ms) = self.max_age_ms.filter(|limit| age_ms > *limit) {
            return Some(format!(
                "the rehearsal is {} old, and the runbook allows {}: rehearse again",
                age(age_ms),
                age(limit_ms)
            ));
        }
        match (&rehearsal.source, &self.shape) {
            (_, None) => None,
            (None, Some(_)) => Some("the rehearsal did not get as far as the freeze".into()),
            (Some(was), Some(now)) => was.difference(now).map(|what| {
                format!("the source's schema is not the rehearsed one ({what}): rehearse again")
            }),
        }
    }
}

/// `30 d 1 h`: to the hour, for what is counted in days.
fn age(ms: i64) -> String {
    let hours = ms / 3_600_000;
    match (hours / 24, hours % 24) {
        (0, hours) => format!("{hours} h"),
        (days, 0) => format!("{days} d"),
        (days, hours) => format!("{days} d {hours} h"),
    }
}
