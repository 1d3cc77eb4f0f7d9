//! Names that must be there once, and rows of the protocol that should be there.

use std::collections::BTreeMap;

use super::Check;

/// The protocol's rows, by the section that holds them.
const ROWS: &[(&str, &[&str])] = &[
    (
        "steps",
        &[
            "P1", "P2", "P3", "A1", "A2", "A3", "A4", "B1", "B2", "B3", "C1", "C2", "C3", "D1",
            "D2", "D3", "D4", "E1", "E2", "E3", "E4", "F1", "F2", "F3", "V1", "V2", "V3", "V4",
            "V5", "F4", "G1", "G2",
        ],
    ),
    ("gates", &["K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8"]),
    (
        "triggers",
        &[
            "T1a", "T1b", "T2a", "T2b", "T2c", "T3a", "T3b", "T4a", "T4b", "T4c", "T4d", "V",
        ],
    ),
    ("monitoring", &["M1", "M2", "M3", "M4", "M5"]),
    // R1+ and R2+ are asked for by their kinds (`sequence`), where they are wanted.
    ("rollback", &["R1", "R2", "R3", "R4", "R4+", "R5", "R6"]),
];

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    let sections = ids(check);
    for (section, ids) in &sections {
        once(check, section, ids);
    }
    for (section, rows) in ROWS {
        let present = sections.iter().find(|(name, _)| name == section);
        let Some((_, present)) = present.filter(|_| check.sound(&[section])) else {
            continue;
        };
        let missing: Vec<&str> = rows
            .iter()
            .copied()
            .filter(|row| !present.iter().any(|id| id == row))
            .collect();
        if !missing.is_empty() {
            let found = format!("no {}", missing.join(", "));
            let hint = "runbook.yaml of the distribution has every row".to_owned();
            check.warn(section, "every row of the protocol", &found, Some(hint));
        }
    }
    accounts(check);
}

/// What must be unique, list by list.
fn ids(check: &Check<'_, '_, '_>) -> Vec<(&'static str, Vec<String>)> {
    fn all<T>(list: &[T], id: impl Fn(&T) -> &String) -> Vec<String> {
        list.iter().map(|item| id(item).clone()).collect()
    }
    let runbook = check.runbook;
    vec![
        ("people", all(&runbook.people, |p| &p.id)),
        ("fleet.instances", all(&runbook.fleet.instances, |i| &i.id)),
        ("transfer.lists", all(&runbook.transfer.lists, |l| &l.name)),
        (
            "verification.requests",
            all(&runbook.verification.requests, |r| &r.name),
        ),
        ("gates", all(&runbook.gates, |g| &g.id)),
        ("steps", all(&runbook.steps, |s| &s.id)),
        ("probes", all(&runbook.probes, |p| &p.id)),
        ("triggers", all(&runbook.triggers, |t| &t.id)),
        ("monitoring", all(&runbook.monitoring, |m| &m.id)),
        ("notify", all(&runbook.notify, |c| &c.id)),
        ("rollback", all(&runbook.rollback, |r| &r.id)),
    ]
}

fn once(check: &mut Check<'_, '_, '_>, section: &str, ids: &[String]) {
    let mut seen = BTreeMap::new();
    for (n, id) in ids.iter().enumerate().filter(|(_, id)| !id.is_empty()) {
        if seen.insert(id.clone(), n).is_some() {
            let first = check.reader.place(&format!("{section}[{id}]")).line;
            let found = format!("it again; the first is on line {first}");
            let path = format!("{section}[{n}]");
            check.error(&path, &format!("`{id}` once"), &found, None);
        }
    }
}

/// Who somebody is comes from their account: two people cannot share one.
fn accounts(check: &mut Check<'_, '_, '_>) {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for person in &check.runbook.people {
        if let Some(other) = seen.insert(&person.user, &person.id)
            && check.sound(&["people"])
        {
            let path = format!("people[{}].user", person.id);
            let found = format!("`{}`, which is {other}'s", person.user);
            check.error(&path, "an account of their own", &found, None);
        }
    }
}
