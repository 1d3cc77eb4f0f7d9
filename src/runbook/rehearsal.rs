//! A runbook as it is rehearsed: the whole protocol on the scratch side, with nobody to wait for. Production is neither asked
//! nor told anything: its place is taken by the staging slot.

use std::collections::BTreeSet;

use super::action::{Action, Effect};
use super::{Condition, Place, Probe, ProbeKind, RollbackKind, Runbook, Start, StepKind};

/// How long a rehearsal watches where the night would watch for an hour.
const WINDOW_MS: i64 = 60_000;

/// The rehearsal of a runbook; `None` where it has no `rehearsal` section or no staging slot.
pub fn of(runbook: &Runbook) -> Option<Runbook> {
    let scratch = runbook.rehearsal.clone()?;
    let staging = runbook.fleet.staging.clone()?;
    let mut rehearsed = runbook.clone();
    let folder = scratch.copy.parent()?.to_owned();
    rehearsed.source.file = scratch.copy;
    rehearsed.target.url = scratch.url;
    rehearsed.target.runtime_url = scratch.runtime_url;
    rehearsed.fleet.instances = vec![super::Instance {
        canary: true,
        ..staging
    }];
    rehearsed.fleet.staging = None;
    rehearsed.rehearsal = None;
    rehearsed.gates.clear();
    rehearsed.signatures = None;
    rehearsed.notify.clear();
    rehearsed
        .steps
        .retain(|s| !matches!(s.kind, StepKind::Confirm { .. }));
    for step in &mut rehearsed.steps {
        step.start = Start::Auto;
        match &mut step.kind {
            StepKind::Announce { webhook, .. } => *webhook = None,
            StepKind::Freeze { on, off, .. } => {
                let file = folder.join("maintenance");
                let limit = on.time_limit;
                *on = Action {
                    effect: Effect::WriteFile {
                        path: file.clone(),
                        content: "rehearsal\n".into(),
                    },
                    time_limit: limit,
                };
                *off = Action {
                    effect: Effect::RemoveFile { path: file },
                    time_limit: limit,
                };
            }
            StepKind::Backup { to, .. } => *to = folder.join("backup"),
            StepKind::StoreBackup { place, .. } => *place = Place::Directory(folder.join("second")),
            StepKind::Baseline { window_ms }
            | StepKind::Stabilise { window_ms }
            | StepKind::Checklist {
                stays_green_ms: window_ms,
            } => *window_ms = (*window_ms).min(WINDOW_MS),
            _ => {}
        }
    }
    watch_staging_only(&mut rehearsed);
    for row in &mut rehearsed.rollback {
        match &mut row.kind {
            RollbackKind::Incident { file } => *file = folder.join("incident.md"),
            // Both are production's.
            RollbackKind::Preserve { logs, dump } => {
                logs.clear();
                *dump = None;
            }
            _ => {}
        }
    }
    Some(rehearsed)
}

/// Servers and commands that the runbook names are production's: they are not asked, and nothing that they would say is judged.
fn watch_staging_only(rehearsed: &mut Runbook) {
    rehearsed.probes.retain(|probe| match &probe.kind {
        ProbeKind::PgBouncer(_) | ProbeKind::Prometheus(_) | ProbeKind::Command { .. } => false,
        ProbeKind::Logs { follow, .. } => follow.as_ref().is_none_or(Action::is_per_instance),
        _ => true,
    });
    let probes = rehearsed.probes.iter();
    let made: BTreeSet<String> = probes.flat_map(Probe::signals).collect();
    rehearsed.triggers.retain(|trigger| match &trigger.when {
        Condition::Signal { signal, .. } => made.contains(signal),
        Condition::Check { .. } => true,
    });
    for item in &mut rehearsed.monitoring {
        item.conditions.retain(|(signal, _)| made.contains(signal));
    }
    rehearsed
        .monitoring
        .retain(|item| !item.conditions.is_empty());
}
