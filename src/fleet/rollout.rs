//! F2 and R3: restarting the fleet, canary first, then in batches, each waited for before the next.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::ready::NotReady;
use super::restart::{Means, RestartError};
use super::{restart, wait_ready_at};
use crate::runbook::{Fleet, Instance};
use crate::session::live::{InstanceState, InstanceView};

/// What a rollout needs of the engine.
pub trait RolloutHooks: Sync {
    /// About to restart an instance: record how to undo it. The restart begins once this has returned.
    ///
    /// # Errors
    /// It could not be recorded: the rollout stops, this instance untouched.
    fn before_restart(&self, instance: &str) -> impl Future<Output = Result<(), String>> + Send;

    /// Where an instance is now: after a restart it may be at another address, or go by another name.
    fn place_of(&self, instance: &Instance) -> Instance {
        instance.clone()
    }

    /// An instance is ready: is it the one that was to come? An error stops the rollout.
    ///
    /// # Errors
    /// It is not, in a sentence that names it.
    fn after_ready(&self, _: &Instance) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }

    /// Before each batch: waits while the session is held. `false` ends the rollout.
    fn may_go_on(&self, next: &[&str]) -> impl Future<Output = bool> + Send;

    /// An instance's state has changed: the whole fleet as it stands now.
    fn progress(&self, fleet: &[InstanceView]);
}

/// Which instances are restarted, and by what.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub fleet: &'a Fleet,
    /// Instances per batch after the canary.
    pub batch: u32,
    /// Instances that an interrupted rollout has brought through, and that are ready: left alone.
    pub already: &'a BTreeSet<String>,
    pub means: Means<'a>,
}

/// One instance that went through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub instance: String,
    /// Which batch; canaries come first, each by itself.
    pub batch: usize,
    /// What the restart command took.
    pub restart_ms: i64,
    /// From its end until the instance was ready.
    pub ready_after_ms: i64,
}

/// Why a rollout ended early. The instances that went through before stay as they are.
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// An instance was not restarted.
    #[error(
        "{source}; {done} of {total} instances are through, those after this batch are untouched"
    )]
    Restart {
        source: RestartError,
        /// Instances that went through.
        done: usize,
        /// Instances in all.
        total: usize,
    },
    /// An instance did not become ready.
    #[error(
        "{source}; {done} of {total} instances are through, those after this batch are untouched"
    )]
    NotReady {
        source: NotReady,
        /// Instances that went through.
        done: usize,
        /// Instances in all.
        total: usize,
    },
    /// An instance is ready and is not what it should have become.
    #[error("{why}; {done} of {total} instances are through, those after this batch are untouched")]
    NotTaken {
        /// Which, and what was seen.
        why: String,
        /// Instances that went through.
        done: usize,
        /// Instances in all.
        total: usize,
    },
    /// Its undo could not be recorded.
    #[error("{instance} was not restarted, for that could not be recorded: {why}")]
    NotRecorded { instance: String, why: String },
    /// It was cancelled or not allowed to go on.
    #[error("the rollout was halted: {done} of {total} instances are through")]
    Halted {
        /// Instances that went through.
        done: usize,
        /// Instances in all.
        total: usize,
    },
}

/// Restarts the fleet: each canary by itself, then batches, the instances of a batch at the same time. Each must be ready, as the
/// runbook's `ready_successes` and `ready_within` say, before the next batch.
///
/// # Errors
/// The first failure, once everything else in its batch has come to an end.
pub async fn rollout<H: RolloutHooks>(
    client: &reqwest::Client,
    plan: Plan<'_>,
    hooks: &H,
    cancel: &CancellationToken,
) -> Result<Vec<Turn>, RolloutError> {
    let board = Board::new(plan);
    hooks.progress(&board.views());
    let total = plan.fleet.instances.len();
    let mut turns = Vec::new();
    for (number, group) in plan.groups().into_iter().enumerate() {
        let names: Vec<&str> = group.iter().map(|i| i.id.as_str()).collect();
        let may = cancel.run_until_cancelled(hooks.may_go_on(&names)).await;
        if may != Some(true) {
            let done = plan.already.len() + turns.len();
            return Err(RolloutError::Halted { done, total });
        }
        let one = |instance| Turning {
            client,
            plan,
            hooks,
            board: &board,
            instance,
        };
        let runs = group.into_iter().map(|i| one(i).run(number, cancel));
        let mut failed = None;
        for result in join_all(runs).await {
            match result {
                Ok(turn) => turns.push(turn),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        if let Some(failure) = failed {
            return Err(failure.after(plan.already.len() + turns.len(), total));
        }
    }
    Ok(turns)
}

impl<'a> Plan<'a> {
    /// Canaries by themselves, then batches in the runbook's order.
    fn groups(&self) -> Vec<Vec<&'a Instance>> {
        let open = self.fleet.instances.iter();
        let open = open.filter(|i| !self.already.contains(&i.id));
        let (canaries, others): (Vec<_>, Vec<_>) = open.partition(|i| i.canary);
        let mut groups: Vec<Vec<&Instance>> = canaries.into_iter().map(|i| vec![i]).collect();
        groups.extend(others.chunks(self.batch.max(1) as usize).map(<[_]>::to_vec));
        groups
    }
}

/// What kept one instance from going through.
enum Failure {
    Restart(RestartError),
    NotReady(NotReady),
    NotTaken(String),
    NotRecorded { instance: String, why: String },
}

impl Failure {
    fn after(self, done: usize, total: usize) -> RolloutError {
        match self {
            Failure::Restart(RestartError::Cancelled { .. })
            | Failure::NotReady(NotReady::Cancelled { .. }) => RolloutError::Halted { done, total },
            Failure::Restart(source) => RolloutError::Restart {
                source,
                done,
                total,
            },
            Failure::NotReady(source) => RolloutError::NotReady {
                source,
                done,
                total,
            },
            Failure::NotTaken(why) => RolloutError::NotTaken { why, done, total },
            Failure::NotRecorded { instance, why } => RolloutError::NotRecorded { instance, why },
        }
    }
}

/// One instance on its way.
struct Turning<'a, H> {
    client: &'a reqwest::Client,
    plan: Plan<'a>,
    hooks: &'a H,
    board: &'a Board,
    instance: &'a Instance,
}

impl<H: RolloutHooks> Turning<'_, H> {
    async fn run(self, batch: usize, cancel: &CancellationToken) -> Result<Turn, Failure> {
        let Plan { fleet, means, .. } = self.plan;
        let id = &self.instance.id;
        let recorded = self.hooks.before_restart(id).await;
        recorded.map_err(|why| Failure::NotRecorded {
            instance: id.clone(),
            why,
        })?;

        self.show(InstanceState::Restarting, "restarting".to_owned());
        let began = Instant::now();
        let here = self.hooks.place_of(self.instance);
        if let Err(error) = restart(&here, fleet, means, cancel).await {
            self.show(InstanceState::NotReady, error.to_string());
            return Err(Failure::Restart(error));
        }
        let restart_ms = began.elapsed().as_millis() as i64;

        self.show(
            InstanceState::Restarting,
            "waiting for readiness".to_owned(),
        );
        let within = Duration::from_millis(fleet.ready_within_ms.max(0) as u64);
        let needed = fleet.ready_successes;
        let place = || self.hooks.place_of(self.instance);
        match wait_ready_at(self.client, fleet, place, needed, within, cancel).await {
            Ok(ready) => {
                let here = self.hooks.place_of(self.instance);
                if let Err(why) = self.hooks.after_ready(&here).await {
                    self.show(InstanceState::NotReady, why.clone());
                    return Err(Failure::NotTaken(why));
                }
                let after_s = ready.after_ms as f64 / 1_000.0;
                self.show(InstanceState::Ready, format!("ready after {after_s:.1} s"));
                Ok(Turn {
                    instance: id.clone(),
                    batch,
                    restart_ms,
                    ready_after_ms: ready.after_ms,
                })
            }
            Err(error) => {
                self.show(InstanceState::NotReady, error.to_string());
                Err(Failure::NotReady(error))
            }
        }
    }

    fn show(&self, state: InstanceState, detail: String) {
        let views = self.board.set(&self.instance.id, state, detail);
        self.hooks.progress(&views);
    }
}

/// The fleet as it stands, for screens.
struct Board(Mutex<Vec<InstanceView>>);

impl Board {
    fn new(plan: Plan<'_>) -> Board {
        let view = |instance: &Instance| {
            let (state, detail) = match plan.already.contains(&instance.id) {
                true => (InstanceState::Ready, "restarted before"),
                false => (InstanceState::Unknown, "not yet restarted"),
            };
            InstanceView {
                id: instance.id.clone(),
                canary: instance.canary,
                state,
                detail: detail.to_owned(),
            }
        };
        Board(Mutex::new(plan.fleet.instances.iter().map(view).collect()))
    }

    fn views(&self) -> Vec<InstanceView> {
        self.0.lock().expect("BUG: no holder panics").clone()
    }

    fn set(&self, id: &str, state: InstanceState, detail: String) -> Vec<InstanceView> {
        let mut views = self.0.lock().expect("BUG: no holder panics");
        if let Some(view) = views.iter_mut().find(|v| v.id == id) {
            (view.state, view.detail) = (state, detail);
        }
        views.clone()
    }
}
