//! A rehearsal that did not come to its end: interrupted, killed, or without a terminal. What it did outside of its own folder and database
//! is to point the staging slot at them; that is on record before it is done, so that whoever finds the rehearsal can undo it: the rehearsal
//! itself, its engine when nobody drives it any more, or the next `rehearse`, `run` or `close`.
//!
//! Not in here: when a rehearsal is over (the module above), and what is removed before the next one (`ours`).

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{act, bridge_to};
use crate::cli::orders::Standing;
use crate::cockpit::bridge::{Bridge, Purpose};
use crate::demo::control;
use crate::engine::LETS_GO_WITHIN;
use crate::journal::{EngineState, Folder, Follower, files};
use crate::ours::lock::{self, Holder, Lock};
use crate::session::{Command, LineKind, Phase, Session, StepStatus};

/// In the session's folder: held by the process that drives the rehearsal.
pub(super) const DRIVER_LOCK: &str = files::REHEARSAL_LOCK.name;
/// Why a rehearsal ended early that somebody interrupted.
pub(super) const INTERRUPTED: &str = "the rehearsal was interrupted; it is no evidence";
/// How often an engine looks whether somebody drives its rehearsal.
const LOOK_AT_DRIVER: Duration = Duration::from_millis(300);
/// How long a rollback of an interrupted rehearsal may take at least; `limits.rto` where that is longer.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(60);
/// How long an engine may take to end in order, once it was asked to.
const END_LIMIT: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Whether the staging slot is lent to the rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Pointed {
    /// `rehearsal.point` is about to be run, or was.
    Begun,
    /// `rehearsal.unpoint` was run and went well.
    Undone,
}

/// Puts on record what is about to be done, or was undone.
pub(super) fn record(folder: &Folder, pointed: Pointed) -> anyhow::Result<()> {
    let text = serde_json::to_vec(&pointed)?;
    Ok(files::replace(folder, &files::REHEARSAL, &text)?)
}

fn read(dir: &Path) -> Option<Pointed> {
    let folder = Folder::before_its_journal(dir).ok()?;
    serde_json::from_slice(&files::read(&folder, &files::REHEARSAL).ok()?).ok()
}

/// A rehearsal, and what is needed to undo what it did.
pub struct Unfinished {
    folder: Folder,
    standing: Standing,
}

/// What came of undoing.
#[derive(Debug, Default)]
pub struct Undone {
    /// For people: what was done, and where things stand.
    pub lines: Vec<String>,
    /// Nothing is left to be undone.
    pub is_whole: bool,
}

/// Folders of rehearsals below `root` that nobody drives and that left something.
pub fn find(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root).into_iter().flatten();
    let entries = entries.filter_map(Result::ok);
    // A link would lead to a rehearsal of another root, by the will of somebody of the group.
    let own = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let dirs = own.map(|entry| entry.path());
    let mut found: Vec<PathBuf> = dirs.filter(|dir| is_left(dir)).collect();
    found.sort();
    found
}

/// That the staging slot is still lent to a rehearsal below `root` that could not give it back, in a sentence; `None` where it is not.
pub fn still_lent(root: &Path) -> Option<String> {
    let mut left = find(root)
        .into_iter()
        .filter(|dir| read(dir) == Some(Pointed::Begun));
    let dir = left.next()?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    Some(format!(
        "the staging slot is still lent to the rehearsal {name}, and E3 needs it. Put it back by hand, then say so with `cutover close {name}`. \
         No session was opened"
    ))
}

fn is_left(dir: &Path) -> bool {
    let lock = dir.join(DRIVER_LOCK);
    let has_more = read(dir) == Some(Pointed::Begun) || Standing::is_in(dir);
    lock.is_file() && has_more && !lock::is_held(&lock)
}

/// Undoes what the rehearsal of `folder` left, for the last time: what does not go well is left to people from then on, who may have done it
/// by hand already. A line for each thing, `OPEN` before what is left to do.
///
/// # Errors
/// The rehearsal is still driven, or its folder cannot be written.
pub async fn settle(folder: &Folder) -> anyhow::Result<Vec<String>> {
    let dir = folder.dir();
    let lock = dir.join(DRIVER_LOCK);
    anyhow::ensure!(
        !lock::is_held(&lock),
        "another process is still at work on the rehearsal {}",
        dir.display()
    );
    let mut found = Vec::new();
    if is_left(dir) {
        let said = undo_one(dir, None).await;
        found.extend(said.into_iter().map(|line| format!("note {line}")));
    }
    if read(dir) == Some(Pointed::Begun) {
        record(folder, Pointed::Undone)?;
        found.push(
            "OPEN the staging slot: `rehearsal.unpoint` did not go well, and is not run again. Where the slot does not serve from its own \
             database yet, do by hand what `rehearsal.unpoint` says"
                .to_owned(),
        );
    }
    Standing::remove(folder);
    Ok(found)
}

/// Undoes what rehearsals below `root` left, and says so.
pub async fn undo_all(root: &Path, program: Option<&Path>) {
    for dir in find(root) {
        for line in undo_one(&dir, program).await {
            errln!("{line}");
        }
    }
}

async fn undo_one(dir: &Path, program: Option<&Path>) -> Vec<String> {
    let shown = dir.display();
    let here = this_process("undoes what the rehearsal left");
    let _lock = match Lock::take(&dir.join(DRIVER_LOCK), &here) {
        Ok(lock) => lock,
        Err(error) => return vec![format!("rehearsal {shown}: {error}")],
    };
    let found = Folder::create_at(dir)
        .map_err(anyhow::Error::from)
        .and_then(|folder| Ok((Standing::read(&folder)?, folder)));
    match found {
        Ok((standing, folder)) => {
            let mut lines = vec![format!("rehearsal {shown} was interrupted")];
            lines.extend(
                Unfinished::of(folder, standing)
                    .undo(program, true)
                    .await
                    .lines,
            );
            lines
        }
        Err(error) => vec![format!(
            "rehearsal {shown} was interrupted while the staging slot was lent to it, and cannot be undone from here: {error:#}. Run what \
             `rehearsal.unpoint` says by hand, then say so with `cutover close --dir {shown}`"
        )],
    }
}

fn has_frozen(session: &Session) -> bool {
    let freeze = session.step_of_kind(&LineKind::Freeze);
    freeze.is_some_and(|step| step.status != StepStatus::Pending)
}

fn this_process(what: &str) -> Holder {
    Holder {
        pid: std::process::id(),
        what: what.to_owned(),
    }
}

impl Unfinished {
    /// The rehearsal of a session's folder.
    pub fn of(folder: Folder, standing: Standing) -> Unfinished {
        Unfinished { folder, standing }
    }

    /// Undoes everything: with `roll_back` the staging slot's configuration first, where the rehearsal may have switched it; then the
    /// engine ends, `rehearsal.unpoint` runs, and the file with the environment's values goes.
    pub async fn undo(&self, program: Option<&Path>, roll_back: bool) -> Undone {
        let ended = self.end_work(program, roll_back).await;
        self.give_back(ended).await
    }

    /// The first half: once this returns, nothing more is done to the scratch side. What was done, for people.
    pub async fn end_work(&self, program: Option<&Path>, roll_back: bool) -> Undone {
        let mut undone = Undone {
            lines: Vec::new(),
            is_whole: true,
        };
        if roll_back {
            match self.roll_back(program).await {
                Ok(line) => undone.lines.extend(line),
                Err(why) => {
                    undone.is_whole = false;
                    undone.lines.push(format!(
                        "{why}. What the rehearsal switched at the staging slot, maintenance and its configuration, may still be so: look at it \
                         and put it right by hand"
                    ));
                }
            }
        }
        undone.lines.extend(self.end_engine().await);
        undone
    }

    /// The second half: the staging slot, and the file with the environment's values. `undone` is what came of the first.
    pub async fn give_back(&self, mut undone: Undone) -> Undone {
        match self.unpoint().await {
            Ok(line) => {
                undone.lines.extend(line);
                Standing::remove(&self.folder);
            }
            Err(error) => {
                undone.is_whole = false;
                undone.lines.push(format!(
                    "the staging slot is still lent to the rehearsal {name}: {error:#}. The next `cutover rehearse`, `run` or `close` tries it \
                     again; where you put the slot back by hand, `cutover close {name}` ends that",
                    name = self.folder.session()
                ));
            }
        }
        undone
    }

    fn sandbox(&self) -> Option<PathBuf> {
        self.standing.sandbox.then(|| self.standing.base.clone())
    }

    fn session(&self) -> Option<Session> {
        crate::history::session(&self.folder).ok()
    }

    fn engine(&self) -> Option<EngineState> {
        Follower::open(&self.folder).ok()?.engine().ok()
    }

    fn is_engine_alive(&self) -> bool {
        self.engine().is_some_and(|state| state.is_alive())
    }

    /// Only an engine can roll back: where the rehearsal's has died, another one is started for it. Only what the freeze began has changed
    /// anything.
    ///
    /// # Errors
    /// It is not known to have ended, and why.
    async fn roll_back(&self, program: Option<&Path>) -> Result<Option<String>, String> {
        let Some(session) = self.session() else {
            return Ok(None);
        };
        let begins = match session.phase {
            Phase::Open => has_frozen(&session),
            Phase::RollingBack => false,
            Phase::RolledBack | Phase::Completed => return Ok(None),
        };
        if session.phase == Phase::Open && !begins {
            return Ok(None);
        }
        // With its sandbox everything is gone.
        if self
            .sandbox()
            .is_some_and(|dir| !control::is_supervised(&dir))
        {
            return Ok(None);
        }
        let is_dead = !self.is_engine_alive();
        let bridge = bridge_to(&self.folder, self.sandbox(), program);
        let command = Command::RollBack {
            reason: "the rehearsal was interrupted".into(),
            confirm: Some(self.folder.session()),
        };
        let asking = move || {
            if is_dead {
                bridge.start_engine(Purpose::RollBack)?;
            }
            match begins {
                true => bridge.send(&command, None).map(drop),
                false => Ok(()),
            }
        };
        let asked = tokio::task::spawn_blocking(asking).await;
        asked
            .expect("BUG: asking an engine does not panic")
            .map_err(|error| format!("the rehearsal is not rolled back: {error}"))?;
        let rto = Duration::from_millis(session.charter.limits.rto_ms.max(0).cast_unsigned());
        let is_over = || self.session().is_some_and(|s| s.phase == Phase::RolledBack);
        match within(ROLLBACK_LIMIT.max(rto), is_over).await {
            true => Ok(Some(
                "rolled back: the staging slot has its configuration from before the switch"
                    .to_owned(),
            )),
            false => Err("the rollback of the rehearsal did not end in time".to_owned()),
        }
    }

    async fn end_engine(&self) -> Option<String> {
        let is_over = |s: &Session| matches!(s.phase, Phase::RolledBack | Phase::Completed);
        let ends_itself = self.session().as_ref().is_some_and(is_over);
        // One that is ended before it has let go leaves its triggers and claims behind.
        if ends_itself && within(LETS_GO_WITHIN, || !self.is_engine_alive()).await {
            return None;
        }
        for signal in [Signal::TERM, Signal::KILL] {
            let EngineState::Alive {
                holder: Some(holder),
                ..
            } = self.engine()?
            else {
                return None;
            };
            let pid = Pid::from_raw(holder.pid.cast_signed())?;
            if holder.host != rustix::system::uname().nodename().to_string_lossy() {
                return Some(format!(
                    "its engine runs on {} (process {}): end it there",
                    holder.host, holder.pid
                ));
            }
            // It may have ended by itself in between.
            let _ = kill_process(pid, signal);
            if within(END_LIMIT, || !self.is_engine_alive()).await {
                return Some(format!("its engine (process {}) has ended", holder.pid));
            }
        }
        Some("its engine does not end".to_owned())
    }

    /// What was undone, if there was something.
    async fn unpoint(&self) -> anyhow::Result<Option<String>> {
        if read(self.folder.dir()) != Some(Pointed::Begun) {
            return Ok(None);
        }
        if self
            .sandbox()
            .is_some_and(|dir| !control::is_supervised(&dir))
        {
            record(&self.folder, Pointed::Undone)?;
            return Ok(Some(
                "its sandbox is gone, and the staging slot with it".to_owned(),
            ));
        }
        let loaded = self.standing.loaded()?;
        let unpoint = loaded
            .runbook
            .rehearsal
            .as_ref()
            .and_then(|r| r.unpoint.clone());
        let environment = self.standing.orders(self.folder.clone())?.environment;
        act(
            &loaded,
            unpoint.as_ref(),
            &environment,
            &self.folder,
            "unpoint",
            &CancellationToken::new(),
        )
        .await?;
        record(&self.folder, Pointed::Undone)?;
        let staging = loaded.runbook.fleet.staging.map(|slot| slot.url);
        let earlier = self.earlier_of(staging.as_deref());
        Ok(unpoint.map(|_| match earlier.is_empty() {
            true => "rehearsal.unpoint: the staging slot is back".to_owned(),
            false => format!(
                "rehearsal.unpoint: the staging slot is back, from {} too",
                earlier.join(" and ")
            ),
        }))
    }

    /// Earlier rehearsals beside this one that could not give back the same slot: it has been given back now. Their names.
    fn earlier_of(&self, staging: Option<&str>) -> Vec<String> {
        let own = self.folder.dir();
        let mut settled = Vec::new();
        for dir in find(own.parent().unwrap_or(own)) {
            // One that lent it after this one is not done with by what this one gave back.
            let is_earlier =
                modified(&dir.join(files::REHEARSAL.name)) < modified(&Standing::path(own));
            if dir == own || !is_earlier || read(&dir) != Some(Pointed::Begun) {
                continue;
            }
            let same = || {
                let folder = Folder::open_at(&dir).ok()?;
                let loaded = Standing::read(&folder).ok()?.loaded().ok()?;
                (loaded
                    .runbook
                    .fleet
                    .staging
                    .as_ref()
                    .map(|s| s.url.as_str())
                    == staging)
                    .then_some(folder)
            };
            if let Some(folder) = same()
                && record(&folder, Pointed::Undone).is_ok()
            {
                Standing::remove(&folder);
                settled.push(folder.session());
            }
        }
        settled
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}

async fn within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let look = async {
        while !is_so() {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    };
    tokio::time::timeout(limit, look).await.is_ok()
}

/// The look of a rehearsal's engine at who drives it.
#[derive(Debug)]
pub struct Watched {
    folder: Folder,
    standing: Standing,
    looking: JoinHandle<Option<Lock>>,
}

impl Watched {
    /// Begins to look. Once nobody drives the rehearsal any more the engine rolls it back and is stopped.
    pub fn begin(folder: &Folder, standing: &Standing, stop: CancellationToken) -> Watched {
        let (here, orders) = (folder.clone(), standing.clone());
        Watched {
            folder: folder.clone(),
            standing: standing.clone(),
            looking: tokio::spawn(async move {
                let lock = until_abandoned(&here).await;
                tracing::warn!(
                    "nobody drives this rehearsal any more: it is rolled back, and ends"
                );
                let rehearsal = Unfinished::of(here, orders);
                match rehearsal.roll_back(None).await {
                    Ok(line) => line.iter().for_each(|line| tracing::warn!("{line}")),
                    Err(why) => tracing::error!("{why}"),
                }
                stop.cancel();
                lock
            }),
        }
    }

    /// After the engine's end: undoes what is left where nobody else can.
    pub async fn end(self) {
        // A look that has begun the rollback is still waiting for its end when the engine ends with it. The lock is free once it is gone.
        if !self.looking.is_finished() {
            self.looking.abort();
        }
        let lock = match self.looking.await {
            Ok(lock) => lock,
            Err(_) => take(&self.folder),
        };
        if lock.is_none() {
            return;
        }
        let undone = Unfinished::of(self.folder, self.standing)
            .undo(None, false)
            .await;
        for line in undone.lines {
            tracing::warn!("{line}");
        }
    }
}

fn take(folder: &Folder) -> Option<Lock> {
    let here = this_process("the engine undoes what the rehearsal left");
    Lock::take(&folder.dir().join(DRIVER_LOCK), &here).ok()
}

async fn until_abandoned(folder: &Folder) -> Option<Lock> {
    let path = folder.dir().join(DRIVER_LOCK);
    loop {
        tokio::time::sleep(LOOK_AT_DRIVER).await;
        if !lock::is_held(&path)
            && let Some(lock) = take(folder)
        {
            return Some(lock);
        }
    }
}
