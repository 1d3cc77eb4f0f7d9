//! The fleet: whether there are instances, and whether each is a process of its own. Not in here: what is measured of them (`watch`), and
//! whether they are there (`cli::check`).

use std::collections::BTreeMap;

use super::Check;
use crate::runbook::model::{MAINTENANCE_STATUS, Manager, StepKind};
use crate::runbook::placeholders::Placeholders;

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    if !check.sound(&["fleet"]) {
        return;
    }
    maintenance(check);
    let fleet = &check.runbook.fleet;
    if fleet.instances.is_empty() && !fleet.is_unasked() {
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
    told_apart(check);
}

fn maintenance(check: &mut Check<'_, '_, '_>) {
    let told = check.runbook.fleet.maintenance_answer.status;
    let mut steps = check.runbook.steps.iter();
    let of_freeze = steps.find_map(|step| match &step.kind {
        StepKind::Freeze { status, .. } => Some((&step.id, *status)),
        _ => None,
    });
    if let (Some(told), Some((id, status))) = (told, of_freeze)
        && status != told
        && status != MAINTENANCE_STATUS
    {
        let expected = format!("the status that {id} has, {status}");
        let path = "fleet.maintenance.status";
        check.error(path, &expected, &told.to_string(), None);
    }
}

/// A restart of one instance is no other's: a rollout would restart all at once, and a rehearsal production.
fn told_apart(check: &mut Check<'_, '_, '_>) {
    let fleet = &check.runbook.fleet;
    let (key, what, example) = match &fleet.manager {
        Manager::Command => return,
        Manager::Systemd(_) => ("unit", "a unit", "shop@{instance}.service"),
        Manager::Compose(_) => ("service", "a service", "{instance}"),
    };
    let texts = fleet.manager.told_apart_by();
    let mut seen: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    for instance in fleet.instances.iter().chain(&fleet.staging) {
        let values = Placeholders::of(instance);
        let filled = texts.iter().map(|text| values.filled(text)).collect();
        if let Some(other) = seen.insert(filled, &instance.id) {
            let expected = format!("{what} for each instance");
            let found = format!("one for {other} and {}", instance.id);
            let hint = format!("name the instance in it, such as `{example}`");
            check.error(&format!("fleet.{key}"), &expected, &found, Some(hint));
            return;
        }
    }
}
