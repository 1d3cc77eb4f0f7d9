//! A runbook as it is rehearsed: the whole protocol on the scratch side, with nobody to wait for. Production is neither asked
//! nor told anything: its place is taken by the staging slot. Every action is decided about: cleared, replaced, or never run.

mod clearance;
mod unrehearsed;
mod windows;

use std::path::{Path, PathBuf};

use self::clearance::Ground;
pub use self::clearance::{NotRun, Why, not_run};
pub use self::unrehearsed::Unrehearsed;
pub use self::windows::{judged_signals, longest_look_ms};
use super::action::{Action, Effect, Rehearse};
use super::{Condition, Place, ProbeKind, Request, RollbackKind, Runbook, Start, StepKind};

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

/// The rehearsal of a runbook in real time; `None` where it has no `rehearsal` section or no staging slot.
pub fn of(runbook: &Runbook) -> Option<Runbook> {
    at_speed(runbook, 1.0)
}

/// The same where runbook time runs so many times faster, which makes windows longer: no probe is asked more often for it.
pub fn at_speed(runbook: &Runbook, speed: f64) -> Option<Runbook> {
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
    rehearsed.fleet.discovery = None;
    // Where a file of the rehearsal's own stands for maintenance, staging knows nothing of it.
    if !has_own_maintenance(&rehearsed) {
        rehearsed.fleet.maintenance = None;
    }
    rehearsed.rehearsal = None;
    rehearsed.gates.clear();
    rehearsed.signatures = None;
    rehearsed.bridge_spare = None;
    rehearsed.bridge_metrics = None;
    rehearsed.notify.clear();
    rehearsed
        .steps
        .retain(|s| !matches!(s.kind, StepKind::Confirm { .. }));
    for step in &mut rehearsed.steps {
        step.start = Start::Auto;
        of_step(&mut step.kind, &folder);
    }
    watch_staging_only(&mut rehearsed);
    windows::shorten(&mut rehearsed, speed);
    for row in &mut rehearsed.rollback {
        match &mut row.kind {
            RollbackKind::Incident { file } => *file = folder.join(INCIDENT),
            // Both are production's.
            RollbackKind::Preserve { logs, dump } => {
                logs.clear();
                *dump = dump.take().filter(|dump| dump.rehearse == Rehearse::Same);
            }
            // Of these, at most what they run is another in a rehearsal: `decide` has put it there.
            RollbackKind::Halt
            | RollbackKind::FenceTarget
            | RollbackKind::RestoreConfig
            | RollbackKind::BringBack
            | RollbackKind::Restart { .. }
            | RollbackKind::Validate
            | RollbackKind::LiftFreeze
            | RollbackKind::Command(_) => {}
        }
    }
    rehearsed.unrehearsed = unrehearsed::list(runbook, &rehearsed);
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
        // Of these, at most what they run is another in a rehearsal: `decide` has put it there.
        StepKind::Confirm { .. }
        | StepKind::Baseline { .. }
        | StepKind::RestoreDrill { .. }
        | StepKind::TargetCheck
        | StepKind::Privileges
        | StepKind::Connectivity
        | StepKind::Migrate { .. }
        | StepKind::MigrationHistory
        | StepKind::KeepArtefacts { .. }
        | StepKind::ExportOrder
        | StepKind::Import
        | StepKind::Sequences
        | StepKind::Constraints
        | StepKind::RowCounts
        | StepKind::Samples
        | StepKind::Smoke
        | StepKind::ParityGate
        | StepKind::Switch { .. }
        | StepKind::Rollout { .. }
        | StepKind::RollbackReady
        | StepKind::VerifyCounts
        | StepKind::VerifyEndpoints
        | StepKind::VerifySlugs
        | StepKind::VerifyOrder
        | StepKind::VerifyIntegrity
        | StepKind::Reopen
        | StepKind::Stabilise { .. }
        | StepKind::Checklist { .. }
        | StepKind::Command { .. } => {}
    }
}

/// Whether what switches maintenance leads to staging, both ways.
fn is_own_maintenance(on: &Action, off: &Action) -> bool {
    on.rehearse == Rehearse::Same && off.rehearse == Rehearse::Same
}

/// The same of a runbook whose actions have been decided about, and before a file has taken their place.
fn has_own_maintenance(decided: &Runbook) -> bool {
    let mut freezes = decided.steps.iter().filter_map(|step| {
        let StepKind::Freeze { on, off, .. } = &step.kind else {
            return None;
        };
        Some(is_own_maintenance(on, off))
    });
    freezes.next().is_some_and(|is_own| is_own)
}

/// Production's switch for maintenance stays as it is, unless both ways of it are cleared: a file of the rehearsal's own stands in.
fn maintenance(on: &mut Action, off: &mut Action, file: PathBuf) {
    if is_own_maintenance(on, off) {
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
        ProbeKind::Readiness
        | ProbeKind::Metrics { .. }
        | ProbeKind::Otlp(_)
        | ProbeKind::Synthetic
        | ProbeKind::Pool
        | ProbeKind::Postgres { .. } => true,
    });
    let made = judged_signals(rehearsed);
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
