//! Work beside the loop: each step or row is a task of its own that can be cancelled; and the write fence, which outlives them. Not in
//! here: which of them runs (`work`), and what comes of it, which the loop appends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Orders;
use super::input::Input;
use super::outside::Job;
use crate::production::{UNTOUCHED, Watch};
use crate::runbook::Runbook;
use crate::secret;
use crate::session::{Check, Outcome, Session, Undo};
use crate::step::rollback::Halted;
use crate::step::{self, Context, News, Reporter, Shared};

/// How long a row of the rollback waits for what it halts: a cancelled step ends promptly, a command that ignores TERM after 5 s, and one that
/// does not must not delay the rollback.
const HALT_LIMIT: Duration = Duration::from_secs(6);
/// How long an engine that ends waits for what still runs.
const END_LIMIT: Duration = Duration::from_secs(10);

/// What runs beside the loop.
pub struct Tasks {
    shared: Arc<Shared>,
    inputs: mpsc::UnboundedSender<Input>,
    open: BTreeMap<u64, Task>,
}

/// One task, as others see it.
struct Task {
    cancel: CancellationToken,
    /// Cancelled by the task's end, whatever that is.
    ended: CancellationToken,
}

impl Tasks {
    /// Nothing runs yet.
    pub fn new(shared: Arc<Shared>, inputs: mpsc::UnboundedSender<Input>) -> Tasks {
        Tasks {
            shared,
            inputs,
            open: BTreeMap::new(),
        }
    }

    /// The way into the engine's loop, for what is found out beside it.
    pub fn inputs(&self) -> mpsc::UnboundedSender<Input> {
        self.inputs.clone()
    }

    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts work once what it has to wait for has ended. What asks for it is already durable.
    pub fn start(
        &mut self,
        orders: &Orders,
        session: &Session,
        run: u64,
        job: Job<'_>,
        after: &[u64],
    ) {
        self.open.retain(|_, task| !task.ended.is_cancelled());
        let earlier: Vec<CancellationToken> = after
            .iter()
            .filter_map(|run| Some(self.open.get(run)?.ended.clone()))
            .collect();
        let Runbook {
            steps, rollback, ..
        } = &*orders.runbook;
        let (id, attempt, index) = match job {
            Job::Step { step, attempt } | Job::FindOut { step, attempt } => {
                (step, attempt, steps.iter().position(|s| s.id == step))
            }
            Job::Row { row } => (row, 1, rollback.iter().position(|r| r.id == row)),
        };
        let Some(index) = index else {
            return;
        };
        let ctx = self.context(orders, session, (id, attempt), index, run);
        let (inputs, id) = (self.inputs.clone(), id.to_owned());
        match job {
            Job::Step { .. } => self.spawn(run, ctx, async move |ctx| {
                let outcome = step_after(&earlier, &ctx).await;
                let step = id;
                let _ = inputs.send(Input::StepEnded { step, run, outcome });
            }),
            Job::FindOut { .. } => self.spawn(run, ctx, async move |ctx| {
                all_end(&earlier).await;
                let found = step::find_out(&ctx).await;
                let step = id;
                let _ = inputs.send(Input::FoundOut { step, run, found });
            }),
            Job::Row { .. } => self.spawn(run, ctx, async move |ctx| {
                let outcome = row_after(&earlier, &ctx).await;
                let row = id;
                let _ = inputs.send(Input::RowEnded { row, run, outcome });
            }),
        }
    }

    fn spawn<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        run: u64,
        ctx: Context,
        work: impl FnOnce(Context) -> F,
    ) {
        let task = Task {
            cancel: ctx.cancel.clone(),
            ended: CancellationToken::new(),
        };
        let ends = task.ended.clone().drop_guard();
        let work = work(ctx);
        tokio::spawn(async move {
            let _ends = ends;
            work.await;
        });
        self.open.insert(run, task);
    }

    fn context(
        &self,
        orders: &Orders,
        session: &Session,
        (row, attempt): (&str, u32),
        index: usize,
        run: u64,
    ) -> Context {
        let (news, mut received) = mpsc::unbounded_channel::<(String, u32, News)>();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            while let Some((row, attempt, news)) = received.recv().await {
                let news = Input::News {
                    row,
                    attempt,
                    run,
                    news,
                };
                if inputs.send(news).is_err() {
                    break;
                }
            }
        });
        Context {
            runbook: with_the_fleet_of_now(&orders.runbook, session),
            session: Arc::new(revealed(session)),
            folder: orders.folder.clone(),
            base: orders.base.clone(),
            environment: Arc::clone(&orders.environment),
            index,
            reporter: Reporter {
                row: row.to_owned(),
                attempt,
                news,
            },
            cancel: CancellationToken::new(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Asks it to end. Whoever has to wait for that waits.
    pub fn cancel(&self, run: u64) {
        if let Some(task) = self.open.get(&run) {
            task.cancel.cancel();
        }
    }

    /// The fence no longer proves anything: writers got past it.
    pub fn drop_fence(&self) {
        if let Ok(mut fence) = self.shared.fence.try_lock() {
            *fence = None;
        }
    }

    /// Whether anything got past the fence, in words; `None` also while the fence is being raised or released.
    pub fn drift(&self) -> Option<String> {
        let guard = self.shared.fence.try_lock().ok()?;
        match guard.as_ref()?.drift() {
            Ok(None) => None,
            Ok(Some(drift)) => Some(drift.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Cancels what runs and waits a little. The fence falls only when the session is over; the operating system drops it with
    /// the process otherwise, and the next engine raises it again.
    pub async fn end(&mut self, over: bool) {
        let open = std::mem::take(&mut self.open);
        open.values().for_each(|task| task.cancel.cancel());
        let all = async {
            for task in open.values() {
                task.ended.cancelled().await;
            }
        };
        let _ = tokio::time::timeout(END_LIMIT, all).await;
        if over
            && let Some(fence) = self.shared.fence.lock().await.take()
            && let Err(error) = fence.release()
        {
            tracing::error!(%error, "the fence could not be released in order; it ends with this process");
        }
    }
}

/// Two of one step would write the same files: the earlier one is waited for, and where it does not end nothing begins.
async fn step_after(earlier: &[CancellationToken], ctx: &Context) -> Outcome {
    match all_end(earlier).await {
        true => guarded(ctx, step::run(ctx)).await,
        false => Outcome::failed(format!(
            "what was cancelled before has not ended for {} s; nothing was done. Look what it waits for, then try again",
            HALT_LIMIT.as_secs()
        )),
    }
}

/// A row of the rollback begins also where what it halted has not ended, and is told so.
async fn row_after(earlier: &[CancellationToken], ctx: &Context) -> Outcome {
    let halted = match all_end(earlier).await {
        true => Halted::Wholly,
        false => Halted::NotWithin {
            limit_ms: HALT_LIMIT.as_millis() as u64,
        },
    };
    guarded(ctx, step::rollback::run(ctx, halted)).await
}

/// Waits for the end of all of them, within the limit. Gives whether they have ended.
async fn all_end(earlier: &[CancellationToken]) -> bool {
    let all = async {
        for ended in earlier {
            ended.cancelled().await;
        }
    };
    tokio::time::timeout(HALT_LIMIT, all).await.is_ok()
}

/// What every step and row of a rehearsal has to leave alone is production: one whose action changed it has failed, whatever else it says,
/// and under this name the evidence finds that.
fn judged(ctx: &Context, was_found: bool, outcome: Outcome) -> Outcome {
    let found = ctx.environment.watch().and_then(Watch::found);
    match found.filter(|_| !was_found) {
        None => outcome,
        Some(found) => {
            ctx.reporter.line(&found);
            Outcome::failed(found.clone()).with_check(Check::new(UNTOUCHED, false, found))
        }
    }
}

/// A panic in a step is a bug of ours: it fails the step and says so, and the session goes on being judged.
async fn guarded(ctx: &Context, work: impl Future<Output = Outcome>) -> Outcome {
    use futures_util::FutureExt;
    let was_found = ctx.environment.watch().and_then(Watch::found).is_some();
    let outcome = match std::panic::AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::failed(format!(
            "a bug in cutover ended {}; see engine.log. What it had done is unknown: look before you try again, or roll back",
            ctx.reporter.row
        )),
    };
    judged(ctx, was_found, outcome)
}

/// The runbook with its instances where they are now, and under the names that they go by.
fn with_the_fleet_of_now(runbook: &Arc<Runbook>, session: &Session) -> Arc<Runbook> {
    if session.roster.is_unchanged() {
        return Arc::clone(runbook);
    }
    let mut now = Runbook::clone(runbook);
    now.fleet.instances = session.roster.instances(&runbook.fleet.instances);
    Arc::new(now)
}

/// The state as steps see it: files of ours that the journal names by a secret, as they are called.
fn revealed(session: &Session) -> Session {
    let mut session = session.clone();
    for (_, undo) in &mut session.undos {
        if let Undo::Config { path, .. } = undo {
            *path = secret::revealed(path);
        }
    }
    session
}
