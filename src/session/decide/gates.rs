//! Signing a gate and withdrawing from it. Not in here: whether a gate is green (`gates`).

use super::{Actor, Event, Refusal, Role, Session, titles};
use crate::session::GateView;
use crate::session::event::{Signature, SshSignature};
use crate::session::signing::{Proof, Statement, accept};

pub(super) fn sign(
    session: &Session,
    actor: &Actor,
    gate: &str,
    asked: Option<Role>,
    note: Option<String>,
    proof: Option<&Proof>,
) -> Result<Vec<Event>, Refusal> {
    let line = find_gate(session, gate)?;
    let view = session.gate(line);
    let role = signing_role(line, &view, actor, asked)?;
    let statement = |time| Statement::now(session, actor, line, role, note.as_deref(), time);
    let ssh = match proof {
        Some(_) if session.charter.signing.is_none() => {
            return Err(Refusal::SshNotAsked {
                gate: line.id.clone(),
            });
        }
        Some(proof) => Some(Box::new(accept(&statement(session.opened), proof)?)),
        None if session.charter.wants_ssh(&line.id) => {
            return Err(Refusal::SshNeeded {
                gate: line.id.clone(),
            });
        }
        None => None,
    };
    if let Some(ssh) = &ssh {
        not_the_same_key(&view, ssh, role)?;
    }
    let signature = Signature {
        by: actor.id.clone(),
        role,
        runbook_hash: session.charter.runbook_hash.clone(),
        stands_in_for: session.charter.stands_in_for(&actor.id, role),
        evidence_hash: view.evidence_hash,
        note,
        ssh,
    };
    Ok(vec![Event::GateSigned {
        gate: line.id.clone(),
        signature,
    }])
}

/// What somebody has to sign with their SSH key before they can sign a gate: the rules of [`sign`] up to the key itself.
///
/// # Errors
/// Why they cannot sign it at all.
pub fn statement(
    session: &Session,
    actor: &Actor,
    gate: &str,
    asked: Option<Role>,
    note: Option<&str>,
    time: chrono::DateTime<chrono::Utc>,
) -> Result<Statement, Refusal> {
    let line = find_gate(session, gate)?;
    let role = signing_role(line, &session.gate(line), actor, asked)?;
    Ok(Statement::now(session, actor, line, role, note, time))
}

/// Two people with one key are one person.
fn not_the_same_key(view: &GateView, ssh: &SshSignature, role: Role) -> Result<(), Refusal> {
    let others = view.signers.iter().filter(|(r, _)| *r != role);
    let mut signed = others.filter_map(|(_, s)| s.as_ref());
    let same = signed.find(|s| s.ssh.as_ref().is_some_and(|other| other.key == ssh.key));
    same.map_or(Ok(()), |other| {
        Err(Refusal::SshSameKey {
            gate: view.id.clone(),
            who: other.by.clone(),
        })
    })
}

/// As what somebody signs a gate, if they can sign it now.
fn signing_role(
    line: &crate::runbook::Gate,
    view: &GateView,
    actor: &Actor,
    asked: Option<Role>,
) -> Result<Role, Refusal> {
    let who = actor.id.clone();
    // Their own roles come first, so that a deputy signs as themselves where they can.
    let fits = |r: &Role| line.signers.contains(r) && asked.is_none_or(|a| a == *r);
    let mine: Vec<Role> = actor.roles.iter().copied().filter(fits).collect();
    let Some(first) = mine.first() else {
        return Err(Refusal::NotASigner {
            gate: line.id.clone(),
            roles: titles(&line.signers),
            who,
        });
    };
    let missing = view.missing_roles();
    let Some(role) = mine.iter().find(|r| missing.contains(r)) else {
        let signed = view
            .signers
            .iter()
            .find(|(r, _)| r == first)
            .and_then(|(_, s)| s.clone());
        let who = signed.map_or(who, |s| s.by);
        return Err(Refusal::AlreadySigned {
            gate: line.id.clone(),
            role: first.title().into(),
            who,
        });
    };
    if let Some((other, _)) = view
        .signers
        .iter()
        .find(|(r, s)| r != role && s.as_ref().is_some_and(|s| s.by == who))
    {
        return Err(Refusal::TwoRoles {
            gate: line.id.clone(),
            role: other.title().into(),
            who,
        });
    }
    if !view.evidence_is_green() {
        let bad = view
            .evidence
            .iter()
            .find(|e| e.state != crate::session::gates::EvidenceState::Green);
        let detail = bad.map_or_else(String::new, |e| format!("{}: {}", e.name, e.detail));
        return Err(Refusal::EvidenceNotGreen {
            gate: line.id.clone(),
            detail,
        });
    }
    Ok(*role)
}

pub(super) fn withdraw(
    session: &Session,
    actor: &Actor,
    gate: &str,
    asked: Option<Role>,
) -> Result<Vec<Event>, Refusal> {
    let line = find_gate(session, gate)?;
    let who = actor.id.clone();
    let mine = session
        .signatures
        .get(&line.id)
        .and_then(|all| {
            all.iter()
                .find(|s| s.by == who && asked.is_none_or(|r| r == s.role))
        })
        .ok_or_else(|| Refusal::NotSigned {
            gate: line.id.clone(),
            who: who.clone(),
        })?;
    if session
        .step(&line.before)
        .is_some_and(|s| s.started_ms.is_some())
    {
        return Err(Refusal::TooLateToWithdraw {
            gate: line.id.clone(),
            step: line.before.clone(),
        });
    }
    Ok(vec![Event::SignatureWithdrawn {
        gate: line.id.clone(),
        role: mine.role,
        by: who,
    }])
}

fn find_gate<'a>(session: &'a Session, gate: &str) -> Result<&'a crate::runbook::Gate, Refusal> {
    session
        .charter
        .gates
        .iter()
        .find(|g| g.id.eq_ignore_ascii_case(gate))
        .ok_or_else(|| Refusal::NoSuchGate {
            gate: gate.to_owned(),
            known: session
                .charter
                .gates
                .iter()
                .map(|g| g.id.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })
}
