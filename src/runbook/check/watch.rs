//! Fleet, probes, triggers and checklist: everything that is judged is also measured.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::runbook::model::{Bound, Condition, ProbeKind, Trigger};

/// The one signal that has a series per instance and none of its own.
const PER_INSTANCE: &str = "ready";

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    if check.sound(&["fleet"]) {
        fleet(check);
    }
    if check.sound(&["probes", "fleet", "verification"]) {
        probes(check);
    }
    if check.sound(&["transfer", "verification"]) {
        tables(check);
    }
    let runbook = check.runbook;
    let sound = check.sound(&["triggers"]);
    for trigger in runbook.triggers.iter().filter(|_| sound) {
        if check.sound(&["steps"]) {
            armed(check, trigger);
        }
        judged(check, trigger);
    }
    if check.sound(&["triggers"]) {
        floors(check);
    }
    if check.sound(&["monitoring", "probes", "steps"]) {
        checklist(check);
    }
}

fn fleet(check: &mut Check<'_, '_, '_>) {
    let fleet = &check.runbook.fleet;
    if fleet.instances.is_empty() {
        check.error("fleet.instances", "at least one instance", "none", None);
    }
    for canary in fleet.instances.iter().filter(|i| i.canary).skip(1) {
        let path = format!("fleet.instances[{}].canary", canary.id);
        check.error(&path, "one canary at most", "another", None);
    }
    if let Some(staging) = &fleet.staging
        && fleet.instances.iter().any(|i| i.id == staging.id)
    {
        let found = format!("`{}`, which is in production", staging.id);
        check.error("fleet.staging.id", "an id of its own", &found, None);
    }
}

fn probes(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    for probe in &runbook.probes {
        let missing = match probe.kind {
            ProbeKind::Metrics { .. } if runbook.fleet.metrics.is_none() => "`fleet.metrics`",
            ProbeKind::Logs { follow: None, .. } if runbook.fleet.log.is_none() => "`fleet.log`",
            ProbeKind::Synthetic if runbook.verification.requests.is_empty() => {
                "`verification.requests`"
            }
            _ => continue,
        };
        let expected = format!("{missing}, which this probe asks");
        check.error(&format!("probes[{}]", probe.id), &expected, "none", None);
    }
    signals(check);
}

/// Every probe makes a signal, and none that another makes: the samples of the two would be one series.
fn signals(check: &mut Check<'_, '_, '_>) {
    let mut made: BTreeMap<String, &str> = BTreeMap::new();
    for probe in &check.runbook.probes {
        let path = format!("probes[{}]", probe.id);
        let signals = probe.signals();
        if signals.is_empty() {
            check.error(&path, "at least one signal", "none", None);
        }
        for signal in signals {
            if let Some(other) = made.insert(signal.clone(), &probe.id) {
                let found = format!("`{signal}`, which {other} makes");
                check.error(&path, "signals that no other probe makes", &found, None);
                break;
            }
        }
    }
}

/// Nothing that is left behind can be critical.
fn tables(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    if runbook.verification.critical.is_empty() {
        let expected = "at least one critical table (T4a, V1)";
        check.warn("verification.critical", expected, "none", None);
    }
    for (n, table) in runbook.verification.critical.iter().enumerate() {
        if runbook.transfer.excludes_table(table) {
            let path = format!("verification.critical[{n}]");
            let found = format!("`{table}`, which `transfer.exclude` leaves behind");
            check.error(&path, "a table that is transferred", &found, None);
        }
    }
}

/// From when until when a trigger judges.
fn armed(check: &mut Check<'_, '_, '_>, trigger: &Trigger) {
    let ids = check.step_ids();
    let at = |id: &str| ids.iter().position(|known| *known == id);
    let path = format!("triggers[{}]", trigger.id);
    check.known(
        &format!("{path}.from"),
        "the id of a step",
        &trigger.from,
        &ids,
    );
    if let Some(until) = &trigger.until {
        let path = format!("{path}.until");
        if check.known(&path, "the id of a step", until, &ids) && at(until) <= at(&trigger.from) {
            let expected = format!("a step after {}", trigger.from);
            check.error(&path, &expected, &format!("`{until}`"), None);
        }
    }
}

/// What a trigger judges is made by a step or a probe.
fn judged(check: &mut Check<'_, '_, '_>, trigger: &Trigger) {
    let path = format!("triggers[{}].when", trigger.id);
    match &trigger.when {
        Condition::Check { check: name } if check.sound(&["steps"]) => {
            let steps = check.runbook.steps.iter();
            let made: BTreeSet<&str> = steps.flat_map(|s| s.kind.checks()).copied().collect();
            let made: Vec<&str> = made.into_iter().collect();
            let what = "a check that one of the steps makes";
            check.known(&format!("{path}.check"), what, name, &made);
        }
        Condition::Signal {
            signal,
            per_instance,
            bound,
            ..
        } if check.sound(&["probes", "steps"]) => {
            possible(
                check,
                &format!("{path}.signal"),
                signal,
                *bound,
                Use::Trigger,
            );
            let path = format!("{path}.signal");
            if measured(check, &path, signal, *bound) && *per_instance != (signal == PER_INSTANCE) {
                let (expected, found) = if *per_instance {
                    (
                        "`ready`, which has a series per instance",
                        format!("`{signal}`"),
                    )
                } else {
                    ("`per: instance` beside `ready`", "none".to_owned())
                };
                check.error(&path, expected, &found, None);
            }
        }
        _ => {}
    }
}

/// Whether a probe makes the signal, and the baseline it is compared with is taken.
fn measured(check: &mut Check<'_, '_, '_>, path: &str, signal: &str, bound: Bound) -> bool {
    let made: Vec<String> = check
        .runbook
        .probes
        .iter()
        .flat_map(|p| p.signals())
        .collect();
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    if !check.known(path, "a signal that one of the probes makes", signal, &made) {
        return false;
    }
    if matches!(bound, Bound::AboveBaseline { .. }) && check.position_of("baseline").is_none() {
        let expected = "a step of kind `baseline` to compare with";
        check.error(path, expected, "none", None);
    }
    true
}

/// What a bound is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It fires where it is passed.
    Trigger,
    /// It is green where it is not.
    Checklist,
}

/// A bound lies within what its signal can be: else a trigger never fires or always does, and an item of the checklist is never green or
/// says nothing. What a signal of the runbook's own can be, nobody knows.
fn possible(check: &mut Check<'_, '_, '_>, path: &str, signal: &str, bound: Bound, of: Use) {
    let is_ours = |kind: &ProbeKind| match kind {
        ProbeKind::Prometheus(_) | ProbeKind::Command { .. } => false,
        ProbeKind::Readiness
        | ProbeKind::Metrics { .. }
        | ProbeKind::Synthetic
        | ProbeKind::Pool
        | ProbeKind::Logs { .. }
        | ProbeKind::Postgres { .. }
        | ProbeKind::PgBouncer(_) => true,
    };
    let mut probes = check.runbook.probes.iter();
    let probe = probes.find(|p| p.signals().iter().any(|made| made == signal));
    if !probe.is_some_and(|probe| is_ours(&probe.kind)) {
        return;
    }
    let is_share = signal.ends_with("_ratio") || signal == PER_INSTANCE;
    let most = if is_share { 1.0 } else { f64::INFINITY };
    let (never_passed, always_passed) = match bound {
        Bound::Above(limit) => (limit >= most, limit < 0.0),
        Bound::Below(limit) => (limit <= 0.0, limit > most),
        Bound::AboveBaseline { floor, .. } => (floor >= most, false),
    };
    let range = match is_share {
        true => "a bound within 0 and 1: the signal is a share",
        false => "a bound above 0: the signal is never negative",
    };
    let follows = match (of, never_passed, always_passed) {
        (_, false, false) => return,
        (Use::Trigger, true, _) => "one that is never passed, so that the trigger never fires",
        (Use::Trigger, false, true) => {
            "one that is always passed, so that the trigger fires at once"
        }
        (Use::Checklist, true, _) => "one that is never passed, so that the item proves nothing",
        (Use::Checklist, false, true) => {
            "one that is always passed, so that the item is never green"
        }
    };
    check.error(path, range, follows, None);
}

/// A multiple of the baseline has its floor below the plain limit on the same signal; else it would never be the first to fire.
fn floors(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    let bounds = || {
        runbook.triggers.iter().filter_map(|t| match &t.when {
            Condition::Signal { signal, bound, .. } => Some((t, signal, *bound)),
            Condition::Check { .. } => None,
        })
    };
    for (trigger, signal, bound) in bounds() {
        let Bound::AboveBaseline { floor, .. } = bound else {
            continue;
        };
        for (other, _, limit) in bounds().filter(|(_, s, _)| *s == signal) {
            if let Bound::Above(limit) = limit
                && floor >= limit
            {
                let path = format!("triggers[{}].when.floor", trigger.id);
                let expected = format!("a floor below {}'s limit of {limit}", other.id);
                check.error(&path, &expected, &floor.to_string(), None);
            }
        }
    }
}

fn checklist(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    for item in &runbook.monitoring {
        if item.conditions.is_empty() {
            let path = format!("monitoring[{}].conditions", item.id);
            check.error(&path, "at least one condition", "none", None);
        }
        for (n, (signal, bound)) in item.conditions.iter().enumerate() {
            let path = format!("monitoring[{}].conditions[{n}].signal", item.id);
            possible(check, &path, signal, *bound, Use::Checklist);
            if measured(check, &path, signal, *bound) && signal == PER_INSTANCE {
                let expected = "`unready_ratio`: the checklist judges the fleet as a whole";
                check.error(&path, expected, "`ready`", None);
            }
        }
    }
}
