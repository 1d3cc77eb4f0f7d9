//! A runbook as it is rehearsed: the whole protocol on the scratch side, with nobody to wait for. Production is neither asked
//! nor told anything: its place is taken by the staging slot. Every action is decided about: cleared, replaced, or never run.

mod clearance;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::clearance::Ground;
pub use self::clearance::{NotRun, Why, named, not_run};
use super::action::{Action, Effect, Rehearse};
use super::{Condition, Place, Probe, ProbeKind, Request, RollbackKind, Runbook, Start, StepKind};

/// How long a rehearsal watches where the night would watch for an hour.
const WINDOW_MS: i64 = 60_000;

/// Beside the copy a rehearsal has a folder of its own, named like the copy with this appended.
const OWN_FOLDER: &str = ".rehearsal";
/// In the own folder: the file that says that maintenance is on.
pub const MAINTENANCE: &str = "maintenance";
/// In the own folder: where backups go.
pub const BACKUP: &str = "backup";
/// In the own folder: the second place of backups.
pub const SECOND: &str = "second";
/// In the own folder: the incident record.
pub const INCIDENT: &str = "incident.md";
/// Everything that a rehearsal writes directly into its own folder.
pub const OWN_NAMES: [&str; 4] = [MAINTENANCE, BACKUP, SECOND, INCIDENT];

/// The folder that a rehearsal with this copy writes to, and nowhere else.
pub fn own_folder(copy: &Path) -> PathBuf {
    let mut path = copy.as_os_str().to_owned();
    path.push(OWN_FOLDER);
    PathBuf::from(path)
}

/// The rehearsal of a runbook; `None` where it has no `rehearsal` section or no staging slot.
pub fn of(runbook: &Runbook) -> Option<Runbook> {
    let scratch = runbook.rehearsal.clone()?;
    let staging = runbook.fleet.staging.clone()?;
    let folder = own_folder(&scratch.copy);
    let mut rehearsed = runbook.clone();
    let ground = Ground::of(runbook);
    decide(&mut rehearsed, &ground);
    // Production is asked nothing, and least of all told to write.
    let verification = &mut rehearsed.verification;
    let to_staging = |request: &Request| ground.goes_to_staging(request).is_ok();
    verification.requests.retain(to_staging);
    verification.write = verification.write.take().filter(to_staging);
    rehearsed.source.file = scratch.copy;
    rehearsed.target.url = scratch.url;
    rehearsed.target.runtime_url = scratch.runtime_url;
    rehearsed.fleet.instances = vec![super::Instance {
        canary: true,
        ..staging
    }];
    rehearsed.fleet.staging = None;
    // In a rehearsal a file of its own stands for maintenance, and staging knows nothing of it.
    rehearsed.fleet.maintenance = None;
    rehearsed.rehearsal = None;
    rehearsed.gates.clear();
    rehearsed.signatures = None;
    rehearsed.bridge_spare = None;
    rehearsed.notify.clear();
    rehearsed
        .steps
        .retain(|s| !matches!(s.kind, StepKind::Confirm { .. }));
    for step in &mut rehearsed.steps {
        step.start = Start::Auto;
        of_step(&mut step.kind, &folder);
    }
    watch_staging_only(&mut rehearsed);
    for row in &mut rehearsed.rollback {
        match &mut row.kind {
            RollbackKind::Incident { file } => *file = folder.join(INCIDENT),
            // Both are production's.
            RollbackKind::Preserve { logs, dump } => {
                logs.clear();
                *dump = dump.take().filter(|dump| dump.rehearse == Rehearse::Same);
            }
            _ => {}
        }
    }
    Some(rehearsed)
}

/// Puts into the place of every action what a rehearsal does for it.
fn decide(rehearsed: &mut Runbook, ground: &Ground) {
    for (spot, action) in rehearsed.actions_mut() {
        match ground.cleared(&spot, action) {
            Ok(cleared) => *action = cleared,
            Err(why) => action.rehearse = Rehearse::Never(why.to_string()),
        }
    }
}

/// What of a step a rehearsal does in its own way: shorter, in its own folder, and telling nobody.
fn of_step(kind: &mut StepKind, folder: &Path) {
    match kind {
        StepKind::Announce { webhook, .. } => *webhook = None,
        StepKind::Freeze { on, off, .. } => maintenance(on, off, folder.join(MAINTENANCE)),
        StepKind::Backup { to, .. } => *to = folder.join(BACKUP),
        StepKind::StoreBackup { place, .. } => {
            let is_cleared = match place {
                Place::Commands { upload, read_back } => [upload, read_back]
                    .iter()
                    .all(|action| action.rehearse == Rehearse::Same),
                Place::Directory(_) => false,
            };
            if !is_cleared {
                *place = Place::Directory(folder.join(SECOND));
            }
        }
        StepKind::Baseline { window_ms }
        | StepKind::Stabilise { window_ms }
        | StepKind::Checklist {
            stays_green_ms: window_ms,
        } => *window_ms = (*window_ms).min(WINDOW_MS),
        _ => {}
    }
}

/// Production's switch for maintenance stays as it is, unless both ways of it are cleared: a file of the rehearsal's own stands in.
fn maintenance(on: &mut Action, off: &mut Action, file: PathBuf) {
    if on.rehearse == Rehearse::Same && off.rehearse == Rehearse::Same {
        return;
    }
    let limit = on.time_limit;
    let effect = Effect::WriteFile {
        path: file.clone(),
        content: "rehearsal\n".into(),
    };
    *on = Action::new(effect, limit).cleared();
    *off = Action::new(Effect::RemoveFile { path: file }, limit).cleared();
}

/// Servers and commands that the runbook names are production's: they are not asked, and nothing that they would say is judged.
fn watch_staging_only(rehearsed: &mut Runbook) {
    rehearsed.probes.retain(|probe| match &probe.kind {
        ProbeKind::PgBouncer(_) | ProbeKind::Prometheus(_) | ProbeKind::Command { .. } => false,
        ProbeKind::Logs { follow, .. } => follow
            .as_ref()
            .is_none_or(|follow| follow.is_per_instance() && follow.rehearse == Rehearse::Same),
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
