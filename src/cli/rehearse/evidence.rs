//! What a rehearsal proved: from its runbook and its journal to the evidence for K3, K4 and K6, and where that is kept. Not in here:
//! playing the rehearsal.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::history;
use crate::journal::{Entry, Folder, Follower};
use crate::production::UNTOUCHED;
use crate::runbook::rehearsal::{self, NotRun};
use crate::runbook::{RehearsalPart, Runbook};
use crate::session::{Outcome, RehearsalEvidence, Session, StepState, StepStatus};
use crate::step::smoke::LEFT_ROWS;

/// The evidence is written within so many real seconds of its journal's last entry.
const WRITTEN_WITHIN_S: i64 = 600;

/// Steps that have to be done for K3, and for K4.
const MIGRATIONS: [&str; 2] = ["C1", "C2"];
const IMPORT: [&str; 7] = ["D1", "D2", "D3", "D4", "E1", "E2", "E4"];

/// What a rehearsal proved, from its journal.
pub(super) fn evidence(
    runbook: &Runbook,
    session: &Session,
    head: String,
    ended_unix_s: i64,
    sandbox: bool,
) -> RehearsalEvidence {
    let seen = Seen {
        session,
        not_run: rehearsal::not_run(runbook),
    };
    let rollback_ms = seen.rollback_ms();
    RehearsalEvidence {
        session: session.charter.session.clone(),
        runbook_hash: runbook.hash.clone(),
        sandbox,
        head,
        ended_unix_s,
        source: session.shape(),
        parts: vec![
            seen.part(
                RehearsalPart::Migrations,
                seen.all_done(&MIGRATIONS, "migrations rehearsed, schema complete"),
            ),
            seen.part(
                RehearsalPart::Import,
                seen.all_done(&IMPORT, "import rehearsed, parity fully green"),
            ),
            seen.part(
                RehearsalPart::Rollback,
                seen.rolled_back(runbook.limits.rto_ms),
            ),
        ],
        rollback_ms,
        took_ms: took(session),
        not_run: seen.not_run.iter().map(NotRun::to_string).collect(),
    }
}

/// A rehearsal that is over.
struct Seen<'s> {
    session: &'s Session,
    not_run: Vec<NotRun>,
}

impl Seen<'_> {
    /// A part's verdict and its line. What changed production proves nothing, and what was not run proves nothing of its own part.
    fn part(
        &self,
        part: RehearsalPart,
        proven: Result<String, String>,
    ) -> (RehearsalPart, bool, String) {
        let unproven = self.not_run.iter().find(|n| n.costs == Some(part));
        let refused = self.changed().or(unproven.map(NotRun::to_string));
        if let Some(why) = refused {
            return (part, false, why);
        }
        match (proven, rehearsal::named(&self.not_run, part)) {
            (Ok(line), None) => (part, true, line),
            (Ok(line), Some(names)) => (
                part,
                true,
                format!("{line}; not run, so not proven: {names}"),
            ),
            (Err(line), _) => (part, false, line),
        }
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let rows = self.session.rollback.iter().flat_map(|r| &r.rows);
        let all = self.session.steps.iter().chain(rows);
        all.filter_map(|row| row.outcome.as_ref())
    }

    /// That an action changed production, and which.
    fn changed(&self) -> Option<String> {
        let mut checks = self.outcomes().flat_map(|outcome| &outcome.checks);
        let red = checks.find(|check| check.name == UNTOUCHED && !check.ok)?;
        Some(red.detail.clone())
    }

    fn is_done(&self, id: &str) -> bool {
        let step = self.session.step(id);
        step.is_some_and(|s| s.status == StepStatus::Done)
    }

    fn all_done(&self, ids: &[&str], good: &str) -> Result<String, String> {
        match ids.iter().find(|id| !self.is_done(id)) {
            None => Ok(good.to_owned()),
            Some(red) => Err(self.why_not(red)),
        }
    }

    /// Why a step is not done: what it said itself, or what stopped the rehearsal before it.
    fn why_not(&self, id: &str) -> String {
        let said = |state: &StepState| state.outcome.as_ref().map(|o| o.summary.clone());
        if let Some(why) = self.session.step(id).and_then(said) {
            return format!("{id}: {why}");
        }
        let mut steps = self.session.steps.iter();
        let stopped = steps.find(|s| s.status == StepStatus::Failed);
        match stopped.and_then(|s| Some((&s.id, said(s)?))) {
            Some((failed, why)) => format!("{id}: it was not reached, for {failed} failed: {why}"),
            None => format!("{id}: it was not reached"),
        }
    }

    /// Which rows the representative write left behind, for the end of a line.
    fn left_rows(&self) -> String {
        let mut facts = self
            .outcomes()
            .filter_map(|o| o.facts.get(LEFT_ROWS)?.as_str());
        facts
            .next()
            .map_or(String::new(), |said| format!("; {said}"))
    }

    fn rollback_ms(&self) -> i64 {
        let rollback = self.session.rollback.as_ref();
        let restored = rollback.and_then(|r| Some(r.restored_ms? - r.started_ms));
        restored.unwrap_or(i64::MAX)
    }

    /// What would have ended the night. A rehearsal ends by a person's word; whatever else ended it would have rolled production back.
    fn went_wrong(&self) -> Option<String> {
        let rollback = self.session.rollback.as_ref()?;
        let before = |state: &&StepState| {
            state.status == StepStatus::Failed
                && state
                    .ended_ms
                    .is_some_and(|ended| ended < rollback.started_ms)
        };
        let failed = self.session.steps.iter().find(before);
        let failed = failed.map(|step| {
            let said = step.outcome.as_ref().map_or("", |o| o.summary.as_str());
            format!("{} failed: {said}", step.id)
        });
        let fired = self.session.fired.as_ref();
        let fired = fired.filter(|fired| fired.at_ms <= rollback.started_ms);
        let fired = fired.map(|f| format!("trigger {} fired: {}", f.trigger, f.reason));
        let why: Vec<String> = failed.into_iter().chain(fired).collect();
        (!why.is_empty()).then(|| format!("{}; the night would have ended there", why.join("; ")))
    }

    fn rolled_back(&self, rto_ms: i64) -> Result<String, String> {
        let rollback_ms = self.rollback_ms();
        let in_time = rollback_ms <= self.session.charter.real_ms(rto_ms);
        let rollback = self.session.rollback.as_ref();
        let healthy = rollback.is_some_and(|r| r.healthy == Some(true));
        let seconds = rollback_ms as f64 / 1000.0;
        match (healthy, in_time, self.is_done("F2")) {
            (true, true, true) if self.went_wrong().is_some() => {
                Err(self.went_wrong().unwrap_or_default())
            }
            (true, true, true) => Ok(format!(
                "rolled back from PostgreSQL in {seconds:.1} s, within the RTO{}",
                self.left_rows()
            )),
            (true, false, _) => Err(format!("the rollback took {seconds:.1} s, beyond the RTO")),
            (true, true, false) => Err(format!(
                "F2 was not reached, so no rollback from PostgreSQL was rehearsed; {}",
                self.why_not("F2")
            )),
            (false, ..) => Err("the application was not healthy after the rollback".to_owned()),
        }
    }
}

/// What each step, and each row of the rollback, took.
fn took(session: &Session) -> Vec<(String, i64)> {
    let rollback = session.rollback.iter().flat_map(|r| &r.rows);
    let rows = session.steps.iter().chain(rollback);
    let took = |row: &StepState| Some((row.id.clone(), row.ended_ms? - row.started_ms?));
    rows.filter(|row| row.status == StepStatus::Done)
        .filter_map(took)
        .collect()
}

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
        serde_json::from_slice::<RehearsalEvidence>(&std::fs::read(e.ok()?.path()).ok()?).ok()
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
    let head = kept.head.clone();
    let sandbox = session.charter.sandbox;
    let proven = evidence(runbook, &session, head, kept.ended_unix_s, sandbox);
    Some(proven == *kept && (kept.ended_unix_s - ended).abs() <= WRITTEN_WITHIN_S)
}

/// The session that these entries come to.
pub(super) fn folded(entries: &[Entry]) -> Option<Session> {
    Session::replay(&history::events(entries).ok()?).ok()
}

/// The state of a rehearsal's session, for those who want more than the evidence.
///
/// # Errors
/// Its journal is damaged.
pub fn session_of(root: &Path, evidence: &RehearsalEvidence) -> anyhow::Result<Session> {
    Ok(history::session(&Folder::open_at(
        &root.join(&evidence.session),
    )?)?)
}
