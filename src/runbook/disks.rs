//! The disks of a night: each place to which it writes or on which its source lies, and the signal of what is free there. Pure.
//!
//! Not in here: how much each has to have (`session::room`), and asking the operating system (`sqlite::disk`, `engine::disks`).

use std::path::{Path, PathBuf};

use super::model::{Place, Runbook, StepKind};

/// What the signals of disks begin with; the name of the spot follows after a dot.
pub const FREE_BYTES: &str = "disk_free_bytes";
/// How often each is asked, in real milliseconds.
pub const ASK_EVERY_MS: i64 = 5_000;
/// How long one may take to answer, in real milliseconds.
pub const ANSWER_LIMIT_MS: i64 = 2_000;
/// The name of the disk on which rehearsals have their copy.
const STAGING: &str = "staging";

/// A folder or file whose disk is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// What it is called: `session`, `source`, `A2`; also the end of its signal's name.
    pub name: String,
    /// What is written there.
    pub what: &'static str,
    pub path: PathBuf,
    /// The step after whose end no copy comes there any more.
    pub until: Option<String>,
}

impl Spot {
    /// The signal of what is free there, in bytes.
    pub fn signal(&self) -> String {
        format!("{FREE_BYTES}.{}", self.name)
    }

    /// Whether a copy of the source comes there.
    pub fn is_copy(&self) -> bool {
        self.until.is_some() || self.name == STAGING
    }
}

/// Whether a signal is one of a disk.
pub fn is_of_disk(signal: &str) -> bool {
    signal
        .strip_prefix(FREE_BYTES)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The signals of all disks of this runbook.
pub fn signals(runbook: &Runbook) -> Vec<String> {
    let nowhere = Path::new("");
    let spots = spots(runbook, nowhere, nowhere);
    spots.iter().map(Spot::signal).collect()
}

/// Every disk that a session writes to or that its source lies on. `base` is the runbook's folder.
pub fn spots(runbook: &Runbook, base: &Path, session_folder: &Path) -> Vec<Spot> {
    let spot = |name: &str, what, path: &Path, until: Option<&str>| Spot {
        name: name.to_owned(),
        what,
        path: base.join(path),
        until: until.map(str::to_owned),
    };
    let mut spots = vec![
        spot("session", "the journal", session_folder, None),
        spot("source", "the SQLite file", &runbook.source.file, None),
    ];
    if let Some(spare) = &runbook.bridge_spare {
        let what = "events for which the session's disk has no room";
        spots.push(spot("spare", what, spare, None));
    }
    for step in &runbook.steps {
        if let Some(copy) = kept_copy(&step.kind) {
            let what = match copy {
                KeptCopy::Backup(_) => "the backup",
                KeptCopy::Second(_) => "the second copy",
            };
            spots.push(spot(&step.id, what, copy.folder(), Some(&step.id)));
        }
    }
    if let Some(rehearsal) = &runbook.rehearsal {
        spots.push(spot(
            STAGING,
            "the copy of a rehearsal",
            &rehearsal.copy,
            None,
        ));
    }
    spots
}

/// A copy of the source that a step keeps in a folder of this host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptCopy<'s> {
    Backup(&'s Path),
    Second(&'s Path),
}

impl<'s> KeptCopy<'s> {
    /// Where it is kept.
    pub fn folder(self) -> &'s Path {
        match self {
            KeptCopy::Backup(folder) | KeptCopy::Second(folder) => folder,
        }
    }
}

/// The copy of the source that a step of this kind keeps in a folder of this host's.
pub fn kept_copy(kind: &StepKind) -> Option<KeptCopy<'_>> {
    match kind {
        StepKind::Backup { to, .. } => Some(KeptCopy::Backup(to)),
        StepKind::StoreBackup {
            place: Place::Directory(to),
            ..
        } => Some(KeptCopy::Second(to)),
        StepKind::Announce { .. }
        | StepKind::Confirm { .. }
        | StepKind::Baseline { .. }
        | StepKind::Freeze { .. }
        | StepKind::StoreBackup { .. }
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
        | StepKind::Command { .. } => None,
    }
}
