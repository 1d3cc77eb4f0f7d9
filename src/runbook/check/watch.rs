//! Probes, triggers and checklist: everything that is judged is also measured. Not in here: the fleet (`fleet`).

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use crate::format::lasting;
use crate::runbook::model::{Bound, Condition, OtlpReceiver, Probe, ProbeKind, Step, Trigger};
use crate::runbook::{disks, feed};

/// The one signal that has a series per instance and none of its own.
const PER_INSTANCE: &str = "ready";
/// What V1–V5 are red by.
const VERIFICATION: &str = "verification";

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
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
        if check.sound(&["probes"]) {
            outlasts(check, trigger);
        }
        judged(check, trigger);
    }
    if check.sound(&["triggers", "steps"]) {
        verified(check);
    }
    if check.sound(&["triggers"]) {
        floors(check);
    }
    if check.sound(&["monitoring", "probes", "steps"]) {
        checklist(check);
    }
}

fn probes(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    for probe in &runbook.probes {
        if let ProbeKind::Otlp(receiver) = &probe.kind {
            senders(check, &probe.id, receiver);
        }
        let missing = match probe.kind {
            ProbeKind::Metrics { .. } if runbook.fleet.metrics.is_none() => "`fleet.metrics`",
            ProbeKind::Logs { follow: None, .. } if runbook.fleet.log.is_none() => "`fleet.log`",
            ProbeKind::Synthetic if runbook.verification.requests.is_empty() => {
                "`verification.requests`"
            }
            ProbeKind::Readiness
            | ProbeKind::Metrics { .. }
            | ProbeKind::Otlp(_)
            | ProbeKind::Synthetic
            | ProbeKind::Pool
            | ProbeKind::Logs { .. }
            | ProbeKind::Postgres { .. }
            | ProbeKind::PgBouncer(_)
            | ProbeKind::Prometheus(_)
            | ProbeKind::Command { .. } => continue,
        };
        let expected = format!("{missing}, which this probe asks");
        check.error(&format!("probes[{}]", probe.id), &expected, "none", None);
    }
    signals(check);
}

/// Those that export are instances, each under a name of its own; and a window holds some exports.
fn senders(check: &mut Check<'_, '_, '_>, id: &str, receiver: &OtlpReceiver) {
    let fleet = &check.runbook.fleet;
    let ids: Vec<&str> = fleet
        .instances
        .iter()
        .chain(&fleet.staging)
        .map(|instance| instance.id.as_str())
        .collect();
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for (instance, value) in &receiver.instances {
        let path = format!("probes[{id}].instances.{instance}");
        if !fleet.is_unasked() {
            check.known(&path, "the id of an instance", instance, &ids);
        }
        if let Some(other) = named.insert(value, instance) {
            let found = format!("`{}`, as {other}", crate::text::printable(value, 60));
            check.error(&path, "a name that no other instance has", &found, None);
        }
    }
    if receiver.window_ms < 2 * receiver.every_ms {
        let path = format!("probes[{id}].window");
        let expected = format!(
            "a window of two exports at least, {}",
            lasting(2 * receiver.every_ms)
        );
        check.error(&path, &expected, &lasting(receiver.window_ms), None);
    }
}

/// Every probe makes a signal, and none that another makes: the samples of the two would be one series.
fn signals(check: &mut Check<'_, '_, '_>) {
    let mut made: BTreeMap<String, &str> = BTreeMap::new();
    made.insert(feed::LAG_MS.to_owned(), "the feed");
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

/// What has been in a window stays in it: a trigger that waits no longer than the window reaches back fires after an outage that has been over
/// for most of that time, of whatever length.
fn outlasts(check: &mut Check<'_, '_, '_>, trigger: &Trigger) {
    let Condition::Signal { signal, for_ms, .. } = &trigger.when else {
        return;
    };
    let makes = |probe: &&Probe| probe.signals().contains(signal);
    let mut probes = check.runbook.probes.iter().filter(makes);
    let window_ms = probes
        .next()
        .and_then(|probe| Some((probe.id.clone(), probe.window_ms()?)));
    if let Some((probe, window_ms)) =
        window_ms.filter(|(_, window_ms)| *for_ms > 0 && window_ms * 2 > *for_ms)
    {
        let path = format!("triggers[{}]", trigger.id);
        let expected = format!(
            "`for` of at least twice the window of {probe}, {}",
            lasting(window_ms)
        );
        let found = lasting(*for_ms);
        let hint = "errors stay in the window for as long as it reaches back: an outage of seconds would fire this trigger minutes after it was \
                    over. Let the probe's window be shorter"
            .to_owned();
        check.warn(&path, &expected, &found, Some(hint));
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

/// A verification after the switch that nothing judges rolls nothing back, neither where it is red nor where it comes too late.
fn verified(check: &mut Check<'_, '_, '_>) {
    let makes = |step: &Step| step.kind.checks().contains(&VERIFICATION);
    let judges =
        |t: &Trigger| matches!(&t.when, Condition::Check { check } if check == VERIFICATION);
    let runbook = check.runbook;
    if runbook.steps.iter().any(makes) && !runbook.triggers.iter().any(judges) {
        let hint = "a verification that fails after the switch, or is not done within `limits.verify_within`, rolls nothing back by itself";
        check.warn(
            "triggers",
            "a trigger with `when: { check: verification }`",
            "none",
            Some(hint.to_owned()),
        );
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
            if signal == feed::LAG_MS && check.sound(&["rollback", "feed"]) {
                followed(check, trigger);
            }
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
        Condition::Check { .. } | Condition::Signal { .. } => {}
    }
}

/// What is free on a disk is looked at without a probe, and has no baseline.
fn of_disk(check: &mut Check<'_, '_, '_>, path: &str, signal: &str, bound: Bound) -> bool {
    let made = disks::signals(check.runbook);
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    let what = "the signal of one of this runbook's disks";
    if !check.known(path, what, signal, &made) {
        return false;
    }
    if matches!(bound, Bound::AboveBaseline { .. }) {
        let expected = "`below`: no baseline is taken of disks";
        check.error(path, expected, "a multiple of the baseline", None);
    }
    true
}

/// How far the feed is behind is told without a probe, and has no baseline.
fn of_feed(check: &mut Check<'_, '_, '_>, path: &str, bound: Bound) -> bool {
    if !check.sound(&["rollback", "feed"]) {
        return false;
    }
    if !feed::keeps_writes(check.runbook) {
        let found = format!("`{}`, where nothing is followed", feed::LAG_MS);
        let hint = "it is there where the rollback has rows of kind `fence_target` and `bring_back`, and `feed.writes` is `keep`";
        let expected = "a signal that one of the probes makes";
        check.error(path, expected, &found, Some(hint.to_owned()));
        return false;
    }
    if matches!(bound, Bound::AboveBaseline { .. }) {
        let expected = "a limit in milliseconds: no baseline is taken of the feed";
        check.error(path, expected, "a multiple of the baseline", None);
    }
    true
}

/// Nothing is followed before the switch: until then a trigger on it would be blind, which is an alarm.
fn followed(check: &mut Check<'_, '_, '_>, trigger: &Trigger) {
    let steps = &check.runbook.steps;
    let from = steps.iter().position(|step| step.id == trigger.from);
    let (Some(from), Some(switch)) = (from, check.position_of("switch")) else {
        return;
    };
    if from < switch {
        let path = format!("triggers[{}].from", trigger.id);
        let expected = "the switch or a step after it: nothing is followed before";
        check.warn(&path, expected, &format!("`{}`", trigger.from), None);
    }
}

/// Whether a probe makes the signal, and the baseline it is compared with is taken.
fn measured(check: &mut Check<'_, '_, '_>, path: &str, signal: &str, bound: Bound) -> bool {
    if disks::is_of_disk(signal) {
        return of_disk(check, path, signal, bound);
    }
    if signal == feed::LAG_MS {
        return of_feed(check, path, bound);
    }
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
        | ProbeKind::Otlp(_)
        | ProbeKind::Synthetic
        | ProbeKind::Pool
        | ProbeKind::Logs { .. }
        | ProbeKind::Postgres { .. }
        | ProbeKind::PgBouncer(_) => true,
    };
    let mut probes = check.runbook.probes.iter();
    let probe = probes.find(|p| p.signals().iter().any(|made| made == signal));
    let needs_no_probe = disks::is_of_disk(signal) || signal == feed::LAG_MS;
    if !needs_no_probe && !probe.is_some_and(|probe| is_ours(&probe.kind)) {
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
