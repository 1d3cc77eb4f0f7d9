//! People and gates: every gate can turn green, and somebody can sign it.

use super::Check;
use crate::runbook::model::{EvidenceRef, Gate, Role, SignedGates, StepKind};

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    if check.sound(&["people"]) {
        deputies(check);
        roles(check);
    }
    if check.sound(&["signatures", "gates"]) {
        signed_gates(check);
    }
    if check.sound(&["people"]) {
        principals(check);
    }
    let runbook = check.runbook;
    for gate in &runbook.gates {
        if check.sound(&["people", "gates"]) {
            signers(check, gate);
        }
        if check.sound(&["gates", "steps"]) {
            steps(check, gate);
        }
        if check.sound(&["gates", "rehearsal"]) {
            rehearsal(check, gate);
        }
    }
}

fn deputies(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    let ids: Vec<&str> = runbook.people.iter().map(|p| p.id.as_str()).collect();
    for person in &runbook.people {
        for (n, deputy) in person.deputies.iter().enumerate() {
            let path = format!("people[{}].deputies[{n}]", person.id);
            if check.known(&path, "the id of a person", deputy, &ids) && *deputy == person.id {
                check.error(&path, "somebody else", "the person themself", None);
            }
        }
    }
}

/// Gates that have to be signed with an SSH key exist, and have signers.
fn signed_gates(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    let Some(SignedGates::These(wanted)) = runbook.signatures.as_ref().map(|s| &s.required) else {
        return;
    };
    let ids: Vec<&str> = runbook.gates.iter().map(|g| g.id.as_str()).collect();
    for (n, id) in wanted.iter().enumerate() {
        let path = format!("signatures.required[{n}]");
        check.known(&path, "the id of a gate", id, &ids);
    }
}

/// Two people under one name in the list of allowed signers could sign for each other.
fn principals(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    for (n, person) in runbook.people.iter().enumerate() {
        let before = &runbook.people[..n];
        let twin = before.iter().find(|p| p.principal() == person.principal());
        // The same id twice is another mistake, which is named already.
        if let Some(twin) = twin.filter(|twin| twin.id != person.id) {
            let path = format!("people[{}].principal", person.id);
            let found = format!("that of {}", twin.id);
            check.error(&path, "a principal of their own", &found, None);
        }
    }
}

/// Without somebody who drives, nothing starts; without somebody of each role, a confirmation never ends.
fn roles(check: &mut Check<'_, '_, '_>) {
    if people_for(check, Role::ReleaseManager).is_empty() {
        let expected = "somebody with the role `release_manager`";
        check.error("people", expected, "nobody", None);
    }
    let runbook = check.runbook;
    let sound = check.sound(&["steps"]);
    for step in runbook.steps.iter().filter(|_| sound) {
        let StepKind::Confirm { roles } = &step.kind else {
            continue;
        };
        for role in roles {
            if people_for(check, *role).is_empty() {
                let path = format!("steps[{}].roles", step.id);
                let expected = format!("a person with the role `{}`", role.key());
                check.error(&path, &expected, "nobody", None);
            }
        }
    }
}

/// Ids of those who may act in a role, deputies included.
fn people_for(check: &Check<'_, '_, '_>, role: Role) -> Vec<String> {
    let runbook = check.runbook;
    let able = runbook.people.iter().filter(|p| runbook.may_act(p, role));
    let mut ids: Vec<String> = able.map(|p| p.id.clone()).collect();
    ids.sort();
    ids.dedup();
    ids
}

/// One person signs once: the signers must be as many different people.
fn signers(check: &mut Check<'_, '_, '_>, gate: &Gate) {
    let path = format!("gates[{}].signers", gate.id);
    let candidates: Vec<Vec<String>> = gate.signers.iter().map(|r| people_for(check, *r)).collect();
    let mut complete = true;
    for (role, people) in gate.signers.iter().zip(&candidates) {
        if people.is_empty() {
            complete = false;
            let expected = format!("a person with the role `{}`", role.key());
            check.error(&path, &expected, "nobody", None);
        }
    }
    let mut repeated = gate.signers.clone();
    repeated.sort();
    repeated.dedup();
    if repeated.len() < gate.signers.len() {
        check.error(&path, "each role once", "one twice", None);
    } else if complete && !all_different(&candidates, &mut Vec::new()) {
        let expected = format!("{} different people who can sign", gate.signers.len());
        let mut people: Vec<String> = candidates.concat();
        people.sort();
        people.dedup();
        let found = format!("only {}", people.join(", "));
        let hint = "one person cannot sign for two roles of a gate".to_owned();
        check.error(&path, &expected, &found, Some(hint));
    }
}

/// Whether one person can be chosen from each list, nobody twice.
fn all_different<'c>(candidates: &'c [Vec<String>], taken: &mut Vec<&'c str>) -> bool {
    let Some((first, rest)) = candidates.split_first() else {
        return true;
    };
    for person in first {
        if taken.contains(&person.as_str()) {
            continue;
        }
        taken.push(person);
        if all_different(rest, taken) {
            return true;
        }
        taken.pop();
    }
    false
}

/// The steps that a gate names exist, and its evidence is made before anybody needs it.
fn steps(check: &mut Check<'_, '_, '_>, gate: &Gate) {
    let ids = check.step_ids();
    let position = |id: &str| ids.iter().position(|known| *known == id);
    let path = format!("gates[{}].before", gate.id);
    check.known(&path, "the id of a step", &gate.before, &ids);
    let switch = check.position_of("switch");
    let needed = [position(&gate.before), switch].into_iter().flatten().min();
    for (n, evidence) in gate.evidence.iter().enumerate() {
        let EvidenceRef::Step(step) = evidence else {
            continue;
        };
        let path = format!("gates[{}].evidence[{n}]", gate.id);
        check.known(&path, "the id of a step", step, &ids);
        if let (Some(made), Some(needed)) = (position(step), needed)
            && made >= needed
        {
            let waiting = ids[needed];
            let expected = format!("a step before {waiting}, which waits for {}", gate.id);
            let found = format!("`{step}`, which comes no earlier");
            check.error(&path, &expected, &found, None);
        }
    }
}

fn rehearsal(check: &mut Check<'_, '_, '_>, gate: &Gate) {
    let wants = |e: &EvidenceRef| matches!(e, EvidenceRef::Rehearsal(_));
    if check.runbook.rehearsal.is_none() && gate.evidence.iter().any(wants) {
        let path = format!("gates[{}].evidence", gate.id);
        let hint = "without a `rehearsal` section this gate can never turn green".to_owned();
        let found = "a part of the rehearsal";
        check.error(&path, "evidence that this runbook makes", found, Some(hint));
    }
}
