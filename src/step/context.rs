//! What a step is given: the runbook, what is known so far, a way to report, and what the engine holds across steps. Not in
//! here: the journal, which the engine alone writes.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::action::{self, Action, Environment};
use crate::feed::Handover;
use crate::journal::Folder;
use crate::monitor::Monitor;
use crate::postgres::writers::TargetFence;
use crate::runbook::{Runbook, Step};
use crate::session::facts::{Fact, Unreadable};
use crate::session::live::{ComparedTable, InstanceView, ItemView, PlanView};
use crate::session::{Outcome, Session, Undo};
use crate::sqlite::fence::Fence;

/// Everything a step may use.
#[derive(Clone)]
pub struct Context {
    /// What the operator wrote.
    pub runbook: Arc<Runbook>,
    /// The session as it was when the step began.
    pub session: Arc<Session>,
    pub folder: Folder,
    /// The runbook's folder: where relative paths and commands start.
    pub base: PathBuf,
    /// What the session's actions are run with; the runbook's secrets are in there, and nowhere else.
    pub environment: Arc<Environment>,
    /// Position of the step in the runbook; for rollback rows, in the rollback list.
    pub index: usize,
    pub reporter: Reporter,
    /// Ends the step early: a rollback, or the engine's end.
    pub cancel: CancellationToken,
    /// What outlives a step.
    pub shared: Arc<Shared>,
}

/// What the engine holds across steps.
pub struct Shared {
    /// The write fence, while it is raised.
    pub fence: Mutex<Option<Fence>>,
    /// The lock that keeps PostgreSQL's tables from being written, from R1+ until R2+ has read the last of them; until the end of R3, where
    /// nothing else keeps somebody from it.
    pub target_fence: Mutex<Option<TargetFence>>,
    /// Who followed the writes to PostgreSQL until the rollback began.
    pub feed: Handover,
    /// What the content of SQLite's file says, where nothing else tells whether it was written while no engine ran.
    pub content: watch::Receiver<Content>,
    /// The monitoring checklist as it stands.
    pub checklist: watch::Receiver<Vec<ItemView>>,
    /// Whether the session is held: a rollout pauses between batches.
    pub held: watch::Receiver<bool>,
    /// The probes, for the baseline.
    pub monitor: Arc<Monitor>,
    /// For requests to instances.
    pub http: reqwest::Client,
    pub clock: SessionClock,
}

/// How far a comparison of SQLite's file with its backup has come that runs beside the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Content {
    /// There is none, or it has found no difference.
    #[default]
    Settled,
    /// Both files are being read.
    BeingRead,
    /// The file is no longer what it was when it was frozen, in words.
    Differs(String),
}

/// Session time on this boot.
#[derive(Debug, Clone, Copy)]
pub struct SessionClock {
    /// Add this to the boot clock to get session time.
    pub offset_ms: i64,
}

impl SessionClock {
    /// Milliseconds since the session opened.
    pub fn now_ms(self) -> i64 {
        crate::clock::now_ms() + self.offset_ms
    }
}

/// What a step tells the engine while it runs.
#[derive(Debug)]
pub enum News {
    /// How far it is.
    Progress {
        /// Of what: a table, a page count, an instance.
        label: String,
        done: u64,
        /// In all; 0 where unknown.
        total: u64,
        /// `rows`, `pages`, `instances`.
        unit: &'static str,
    },
    /// A line of output, already harmless.
    Line(String),
    /// How a comparison of every row goes, table by table; each replaces the one before.
    Parity(Vec<ComparedTable>),
    /// What moves, in which order.
    Plan(PlanView),
    /// How to undo what is about to be done. Answered once it is durable.
    Undo {
        undo: Undo,
        /// Answered then.
        durable: oneshot::Sender<()>,
    },
    /// An instance changed its state.
    Instance(InstanceView),
    /// SQLite was seen to have been written after the switch.
    Written { detail: String },
    /// A file to keep with the session, by hash.
    Artefact {
        name: String,
        /// Where it is now.
        path: PathBuf,
    },
}

/// A step's way to the engine. Clones speak for the same step.
#[derive(Debug, Clone)]
pub struct Reporter {
    /// `A2`, `R3`.
    pub row: String,
    /// From 1.
    pub attempt: u32,
    pub news: mpsc::UnboundedSender<(String, u32, News)>,
}

impl Reporter {
    fn send(&self, news: News) {
        // A closed channel means that the engine is ending; the step is being cancelled.
        let _ = self.news.send((self.row.clone(), self.attempt, news));
    }

    /// How far it is.
    pub fn progress(&self, label: &str, done: u64, total: u64, unit: &'static str) {
        self.send(News::Progress {
            label: label.to_owned(),
            done,
            total,
            unit,
        });
    }

    /// A line of output; made harmless here.
    pub fn line(&self, text: &str) {
        self.send(News::Line(crate::text::printable(text, 2_000)));
    }

    /// What moves, in which order.
    pub fn plan(&self, plan: PlanView) {
        self.send(News::Plan(plan));
    }

    /// How a comparison of every row goes.
    pub fn parity(&self, tables: Vec<ComparedTable>) {
        self.send(News::Parity(tables));
    }

    /// An instance changed its state.
    pub fn instance(&self, view: InstanceView) {
        self.send(News::Instance(view));
    }

    /// SQLite was seen to have been written after the switch: no later attempt may forget it.
    pub fn written(&self, detail: &str) {
        self.send(News::Written {
            detail: detail.to_owned(),
        });
    }

    /// A file to keep with the session.
    pub fn artefact(&self, name: &str, path: PathBuf) {
        self.send(News::Artefact {
            name: name.to_owned(),
            path,
        });
    }

    /// Records how to undo what is about to be done; returns once that is durable.
    ///
    /// # Errors
    /// The engine is ending: the step must not go on.
    pub async fn undo(&self, undo: Undo) -> Result<(), EngineGone> {
        let (durable, answer) = oneshot::channel();
        self.send(News::Undo { undo, durable });
        answer.await.map_err(|_| EngineGone)
    }
}

/// The engine no longer listens, or what it was told found no room on the session's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the engine is ending, or the session's disk has no room for how to undo it; nothing more was done"
)]
pub struct EngineGone;

impl Context {
    /// The step that runs.
    ///
    /// # Panics
    /// In a rollback row, which has no step.
    pub fn step(&self) -> &Step {
        self.runbook
            .steps
            .get(self.index)
            .expect("BUG: a step's context has the step's index")
    }

    /// A fact that an earlier step left behind, of several the newest step's.
    pub fn fact<F: Fact + DeserializeOwned>(&self) -> Result<Option<F>, Unreadable> {
        self.session.revealed_fact()
    }

    /// A fact without which a step cannot go on.
    ///
    /// # Errors
    /// A failed outcome that says what is missing, or cannot be read.
    pub fn need<F: Fact + DeserializeOwned>(&self) -> Result<F, Outcome> {
        self.fact()?.ok_or_else(|| {
            Outcome::failed(format!(
                "no earlier step left `{}` behind; nothing was changed. Run the steps in order",
                F::NAME
            ))
        })
    }

    /// Why this rehearsal does not run an action, in a sentence; `None` where it is run, as every action of a night is.
    pub fn not_rehearsed(&self, action: &Action) -> Option<String> {
        let why = action::not_rehearsed(&self.environment, action)?;
        Some(format!("not run in this rehearsal: {why}"))
    }

    /// Waits until the step is cancelled; people end a `confirm` step, not the engine.
    pub async fn wait_for_people(&self) -> Outcome {
        self.cancel.cancelled().await;
        Outcome::failed("ended before everybody had confirmed")
    }

    /// Real milliseconds of a duration in the runbook.
    pub fn real_ms(&self, runbook_ms: i64) -> i64 {
        self.session.charter.real_ms(runbook_ms)
    }

    /// Waits for a while of real time, or until the step is cancelled.
    pub async fn pause(&self, real_ms: i64) -> Result<(), Outcome> {
        let time = std::time::Duration::from_millis(real_ms.max(0) as u64);
        tokio::select! {
            () = tokio::time::sleep(time) => Ok(()),
            () = self.cancel.cancelled() => Err(Outcome::failed("halted before it was done")),
        }
    }
}
