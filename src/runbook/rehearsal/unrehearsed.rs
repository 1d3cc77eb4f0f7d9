//! What a rehearsal leaves out of what the operator wrote, in sentences: it goes on record, and lowers the confidence score of the night that
//! rests on it. Pure.
//!
//! Who is told, who confirms and who signs is no part of a rehearsal, and not in here. Nor is what only its steps find out.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::clearance::{NotRun, not_run};
use super::windows;
use crate::runbook::action::Rehearse;
use crate::runbook::{
    Condition, Place, Probe, ProbeKind, RehearsalPart, RollbackKind, Runbook, StepKind, disks,
};
use crate::text::printable;

/// One thing that a rehearsal leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unrehearsed {
    /// As people call it: `C1`, `rehearsal.point`.
    pub name: String,
    /// What it is and why it was left out, in a sentence.
    pub why: String,
    /// To which part it belongs.
    pub part: RehearsalPart,
    /// Whether that part proves nothing without it.
    pub costs_part: bool,
    /// Whether it is an action or a request that was not run.
    pub is_not_run: bool,
}

/// Everything that the rehearsed form of a runbook leaves out.
pub(super) fn list(written: &Runbook, rehearsed: &Runbook) -> Vec<Unrehearsed> {
    let mut list: Vec<Unrehearsed> = not_run(written).iter().map(of_action).collect();
    list.extend(point(written));
    list.extend(maintenance(written, rehearsed));
    list.extend(second_place(written, rehearsed));
    list.extend(probes(written, rehearsed));
    list.extend(signals(written, rehearsed));
    list.extend(disks(written, rehearsed));
    list.extend(preserve(written, rehearsed));
    list
}

fn of_action(action: &NotRun) -> Unrehearsed {
    Unrehearsed {
        name: printable(&action.spot.name, 60),
        why: action.to_string(),
        part: action.part,
        costs_part: action.costs.is_some(),
        is_not_run: true,
    }
}

/// Something that costs no part its proof.
fn left_out(name: &str, part: RehearsalPart, why: String) -> Unrehearsed {
    Unrehearsed {
        name: printable(name, 60),
        why,
        part,
        costs_part: false,
        is_not_run: false,
    }
}

fn point(written: &Runbook) -> Option<Unrehearsed> {
    let rehearsal = written.rehearsal.as_ref()?;
    rehearsal.point.is_none().then(|| {
        left_out(
            "rehearsal.point",
            RehearsalPart::Import,
            "the runbook has no `rehearsal.point`: nothing put the staging slot onto the copy and the scratch database, so it may have served \
             from elsewhere, before the switch above all"
                .to_owned(),
        )
    })
}

fn maintenance(written: &Runbook, rehearsed: &Runbook) -> Option<Unrehearsed> {
    let freeze = |step: &&crate::runbook::Step| matches!(step.kind, StepKind::Freeze { .. });
    let step = rehearsed.steps.iter().find(freeze)?;
    let id = printable(&step.id, 60);
    let why = match (&written.fleet.maintenance, &rehearsed.fleet.maintenance) {
        (_, Some(_)) => return None,
        (Some(_), None) => format!(
            "{id}: `on` and `off` lead to production, so a file stood in for them: neither that the application refuses writes nor that it \
             takes them again was seen. `rehearse:` beside both says how staging does it"
        ),
        (None, None) => format!(
            "{id}: no page of `fleet.maintenance` says whether an instance is in maintenance: neither that the application refuses writes nor \
             that it takes them again was seen"
        ),
    };
    Some(left_out(&step.id, RehearsalPart::Rollback, why))
}

/// A second place that programs fill; a folder is a folder.
fn second_place(written: &Runbook, rehearsed: &Runbook) -> Vec<Unrehearsed> {
    let by_programs = |runbook: &Runbook, id: &str| {
        let mut steps = runbook.steps.iter().filter(|s| s.id == id);
        steps.any(|s| {
            matches!(
                s.kind,
                StepKind::StoreBackup {
                    place: Place::Commands { .. },
                    ..
                }
            )
        })
    };
    let ids = written.steps.iter().map(|step| step.id.as_str());
    let lost = ids.filter(|id| by_programs(written, id) && !by_programs(rehearsed, id));
    lost.map(|id| {
        let why = format!(
            "{}: its programs were not run, and a folder took the second place: `rehearse:` beside `upload` and `read_back` says what does",
            printable(id, 60)
        );
        left_out(id, RehearsalPart::Import, why)
    })
    .collect()
}

/// Probes that ask production's own servers, or run programs, each with what was not judged for it.
fn probes(written: &Runbook, rehearsed: &Runbook) -> Vec<Unrehearsed> {
    let made = windows::judged_signals(rehearsed);
    let is_asked = |probe: &&Probe| rehearsed.probes.iter().any(|p| p.id == probe.id);
    let dropped = written.probes.iter().filter(|probe| !is_asked(probe));
    dropped
        .map(|probe| {
            let lost: BTreeSet<String> = probe.signals().into_iter().collect();
            let lost = lost.difference(&made).cloned().collect();
            let what = match &probe.kind {
                ProbeKind::Command { .. } | ProbeKind::Logs { .. } => {
                    "its program would ask production"
                }
                ProbeKind::PgBouncer(_) | ProbeKind::Prometheus(_) => {
                    "it asks a server of production's"
                }
                ProbeKind::Readiness
                | ProbeKind::Metrics { .. }
                | ProbeKind::Otlp(_)
                | ProbeKind::Synthetic
                | ProbeKind::Pool
                | ProbeKind::Postgres { .. } => "it asks production",
            };
            let why = format!(
                "probe {} was not asked, for {what}{}",
                printable(&probe.id, 60),
                unjudged(written, &lost)
            );
            left_out(&probe.id, RehearsalPart::Rollback, why)
        })
        .collect()
}

/// What is said of requests, where nobody makes any.
fn signals(written: &Runbook, rehearsed: &Runbook) -> Option<Unrehearsed> {
    let made = windows::judged_signals(rehearsed);
    let all = rehearsed.probes.iter().flat_map(Probe::signals);
    let lost: BTreeSet<String> = all.filter(|signal| !made.contains(signal)).collect();
    let judged = unjudged(written, &lost);
    (!judged.is_empty()).then(|| {
        let why = format!(
            "nobody asked the staging slot for anything, for no probe of kind `synthetic` with requests of `verification` does{judged}"
        );
        left_out("requests", RehearsalPart::Rollback, why)
    })
}

/// Disks to which a rehearsal writes nothing, where something is judged by what is free there.
fn disks(written: &Runbook, rehearsed: &Runbook) -> Option<Unrehearsed> {
    let here = disks::signals(rehearsed);
    let all = disks::signals(written).into_iter();
    let lost: BTreeSet<String> = all.filter(|signal| !here.contains(signal)).collect();
    let judged = unjudged(written, &lost);
    (!judged.is_empty()).then(|| {
        let why = format!(
            "what is free on disks to which a rehearsal writes nothing was not looked at{judged}"
        );
        left_out("disks", RehearsalPart::Rollback, why)
    })
}

/// `; not judged: T3a, M4`; nothing where nothing depends on these signals.
fn unjudged(written: &Runbook, lost: &BTreeSet<String>) -> String {
    let triggers = written
        .triggers
        .iter()
        .filter(|trigger| match &trigger.when {
            Condition::Signal { signal, .. } => lost.contains(signal),
            Condition::Check { .. } => false,
        });
    let items = written.monitoring.iter().filter(|item| {
        let mut signals = item.conditions.iter().map(|(signal, _)| signal);
        signals.any(|signal| lost.contains(signal))
    });
    let ids = triggers.map(|t| &t.id).chain(items.map(|i| &i.id));
    let ids: Vec<String> = ids.map(|id| printable(id, 60)).collect();
    match ids.is_empty() {
        true => String::new(),
        false => format!("; not judged by it: {}", ids.join(", ")),
    }
}

/// What is kept of production for a review.
fn preserve(written: &Runbook, rehearsed: &Runbook) -> Vec<Unrehearsed> {
    let rows = written.rollback.iter().filter_map(|row| {
        let RollbackKind::Preserve { logs, dump } = &row.kind else {
            return None;
        };
        Some((row, logs, dump))
    });
    let mut left = Vec::new();
    for (row, logs, dump) in rows {
        let id = printable(&row.id, 60);
        if !logs.is_empty() {
            let why = format!("{id}: PostgreSQL's logs were not kept, for they are production's");
            left.push(left_out(&row.id, RehearsalPart::Rollback, why));
        }
        let is_run = rehearsed.rollback.iter().any(|other| {
            let RollbackKind::Preserve {
                dump: Some(dump), ..
            } = &other.kind
            else {
                return false;
            };
            other.id == row.id && dump.rehearse == Rehearse::Same
        });
        if dump.is_some() && !is_run {
            let why = format!("{id}: its dump was not run, for it would dump production");
            left.push(left_out(&row.id, RehearsalPart::Rollback, why));
        }
    }
    left
}
