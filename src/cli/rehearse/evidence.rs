//! Where the evidence of rehearsals is kept, and that it is what its journal comes to. Not in here: what a rehearsal proves
//! (`session::rehearsal`), and playing it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::history;
use crate::journal::{Entry, Folder, Follower};
use crate::regular_file;
use crate::runbook::Runbook;
use crate::session::rehearsal::evidence;
use crate::session::{RehearsalEvidence, Session};

/// The evidence is written within so many real seconds of its journal's last entry.
const WRITTEN_WITHIN_S: i64 = 600;

fn evidence_folder(root: &Path) -> PathBuf {
    root.join(super::prepare::EVIDENCE)
}

pub(super) fn keep(root: &Path, evidence: &RehearsalEvidence) -> anyhow::Result<()> {
    let folder = evidence_folder(root);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.json", evidence.session));
    let text = serde_json::to_vec_pretty(evidence)?;
    crate::ours::file::replace(&path, &text).context(path.display().to_string())
}

/// The newest rehearsal of this very runbook, else the newest of all; whether it counts is for `session::gates` to say. One whose journal
/// is gone, or does not end as the evidence says, is none.
pub fn newest(root: &Path, runbook: &Runbook) -> Option<RehearsalEvidence> {
    runbook.rehearsal.as_ref()?;
    let kept = std::fs::read_dir(evidence_folder(root)).ok()?;
    kept.filter_map(|e| {
        serde_json::from_slice::<RehearsalEvidence>(&regular_file::read(&e.ok()?.path()).ok()?).ok()
    })
    .filter(|kept| is_of_its_journal(root, runbook, kept).unwrap_or(false))
    .max_by_key(|e| (e.runbook_hash == runbook.hash, e.ended_unix_s))
}

/// Anybody can write a file that says that everything went well: it has to be what its journal comes to. What came after the rehearsal's
/// end, such as a note, changes nothing. `None` where there is no such journal.
fn is_of_its_journal(root: &Path, runbook: &Runbook, kept: &RehearsalEvidence) -> Option<bool> {
    let folder = Folder::open_at(&root.join(&kept.session)).ok()?;
    let mut entries = Follower::open(&folder).ok()?.poll().ok()?;
    let last = entries
        .iter()
        .position(|e| e.hash.to_string() == kept.head)?;
    entries.truncate(last + 1);
    let ended = entries.last()?.wall.timestamp();
    if kept.runbook_hash != runbook.hash {
        // It counts for nothing, and its gates say why.
        return Some(true);
    }
    let session = folded(&entries)?;
    let proven = evidence(&session, kept.head.clone(), kept.ended_unix_s);
    Some(proven == *kept && (kept.ended_unix_s - ended).abs() <= WRITTEN_WITHIN_S)
}

/// The session that these entries come to.
pub(super) fn folded(entries: &[Entry]) -> Option<Session> {
    Session::replay(&history::events(entries).ok()?).ok()
}

/// The state of a rehearsal's session, for those who want more than the evidence.
pub fn session_of(root: &Path, evidence: &RehearsalEvidence) -> anyhow::Result<Session> {
    Ok(history::session(&Folder::open_at(
        &root.join(&evidence.session),
    )?)?)
}
