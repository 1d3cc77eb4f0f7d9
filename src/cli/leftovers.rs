//! What processes of ours that were killed left unfinished in the folders that a runbook names: found by `status`, removed by the next start
//! and by `close`. Which files those are is for `ours::temporary` to say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::journal::{Folder, files};
use crate::ours::temporary;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, RollbackKind, Runbook, StepKind, action::Effect, disks};

/// In a session's folder: where files may be that are not whole.
const WITHIN: [&str; 4] = [
    "",
    files::SHARED.name,
    files::FORMER.name,
    files::DRILL.name,
];

/// Every folder that a session on this runbook writes files to, its own excepted.
fn places(runbook: &Runbook) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut above = |path: &Path| found.extend(path.parent().map(Path::to_owned));
    let instances = runbook.fleet.instances.iter().chain(&runbook.fleet.staging);
    for (instance, config) in
        instances.flat_map(|i| runbook.fleet.config.iter().map(move |c| (i, c)))
    {
        above(Path::new(&Placeholders::of(instance).filled(config)));
    }
    let mut of_action = |action: &Action| match &action.effect {
        Effect::WriteFile { path, .. } | Effect::RemoveFile { path } => above(path),
        Effect::Command { .. } | Effect::Shell { .. } | Effect::Http { .. } => {}
    };
    for step in &runbook.steps {
        match &step.kind {
            StepKind::Freeze { on, off, .. } => [on, off].into_iter().for_each(&mut of_action),
            StepKind::Command { action, undo } => {
                std::iter::once(action).chain(undo).for_each(&mut of_action);
            }
            _ => {}
        }
    }
    let copies = runbook.steps.iter();
    let copies = copies.filter_map(|step| disks::kept_copy(&step.kind));
    found.extend(copies.map(|copy| copy.folder().to_owned()));
    for row in &runbook.rollback {
        if let RollbackKind::Incident { file } = &row.kind {
            found.extend(file.parent().map(Path::to_owned));
        }
    }
    found
}

/// Keeps in the session's folder where its engine writes, so that `status` can look there without the runbook.
pub fn keep_places(folder: &Folder, runbook: &Runbook) -> anyhow::Result<()> {
    let places = serde_json::to_vec_pretty(&places(runbook))?;
    Ok(files::replace(folder, &files::PLACES, &places)?)
}

/// What was left in a session's folder and where its engine wrote.
pub fn of_session(folder: &Folder) -> Vec<PathBuf> {
    let kept = files::read(folder, &files::PLACES).unwrap_or_default();
    let kept: BTreeSet<PathBuf> = serde_json::from_slice(&kept).unwrap_or_default();
    let within = WITHIN.map(|name| folder.dir().join(name));
    let folders = kept.into_iter().chain(within);
    folders.flat_map(|f| temporary::leftovers(&f)).collect()
}

/// Removes what was left in the folders that the runbook names and in the sessions below `root`. One line for each file.
pub fn remove(runbook: &Runbook, root: &Path) -> Vec<String> {
    let sessions = Folder::list(root).unwrap_or_default();
    let within = sessions
        .iter()
        .flat_map(|s| WITHIN.map(|name| s.folder.dir().join(name)));
    let folders: BTreeSet<PathBuf> = places(runbook).into_iter().chain(within).collect();
    let mut lines = Vec::new();
    for folder in folders {
        let (gone, failed) = temporary::remove_leftovers(&folder);
        lines.extend(gone.iter().map(|path| {
            format!(
                "removed {}, which a process of ours that was killed had left",
                path.display()
            )
        }));
        lines.extend(failed.iter().map(|why| {
            format!("left by a process of ours that was killed, and not removed: {why}")
        }));
    }
    lines
}
