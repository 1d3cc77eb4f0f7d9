//! Work in progress: at most one step or rollback row at a time, each a task of its own that can be cancelled, and the write
//! fence, which outlives them. Not in here: what comes of it, which the loop appends.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Orders;
use super::input::Input;
use crate::production::{UNTOUCHED, Watch};
use crate::secret;
use crate::session::{Check, Outcome, Session, StepStatus, Undo};
use crate::step::{self, Context, News, Reporter, Shared};

/// What runs now.
pub struct Work {
    shared: Arc<Shared>,
    inputs: mpsc::UnboundedSender<Input>,
    running: Option<Running>,
    /// A step that is being halted while the rollback already runs; its end is waited for by R1.
    halting: Option<JoinHandle<()>>,
}

struct Running {
    row: String,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Work {
    /// Nothing runs yet.
    pub fn new(shared: Arc<Shared>, inputs: mpsc::UnboundedSender<Input>) -> Work {
        Work {
            shared,
            inputs,
            running: None,
            halting: None,
        }
    }

    /// The way into the engine's loop, for what is found out beside it.
    pub fn inputs(&self) -> mpsc::UnboundedSender<Input> {
        self.inputs.clone()
    }

    /// What outlives steps.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts a step. Its start is already durable.
    pub fn start_step(&mut self, orders: &Orders, session: &Session, id: &str, attempt: u32) {
        let Some(index) = orders.runbook.steps.iter().position(|s| s.id == id) else {
            return;
        };
        let ctx = self.context(orders, session, id, attempt, index);
        let (inputs, step) = (self.inputs.clone(), id.to_owned());
        self.run(ctx, async move |ctx| {
            let outcome = guarded(&ctx, step::run(&ctx)).await;
            let _ = inputs.send(Input::StepEnded {
                step,
                attempt,
                outcome,
            });
        });
    }

    /// Finds out what a step had done when an engine died in the middle of it.
    pub fn find_out(&mut self, orders: &Orders, session: &Session, id: &str, attempt: u32) {
        let Some(index) = orders.runbook.steps.iter().position(|s| s.id == id) else {
            return;
        };
        let ctx = self.context(orders, session, id, attempt, index);
        let (inputs, step) = (self.inputs.clone(), id.to_owned());
        self.run(ctx, async move |ctx| {
            let found = step::find_out(&ctx).await;
            let _ = inputs.send(Input::FoundOut { step, found });
        });
    }

    /// Starts a row of the rollback, once what it halts has ended.
    pub fn start_row(&mut self, orders: &Orders, session: &Session, id: &str) {
        let Some(index) = orders.runbook.rollback.iter().position(|r| r.id == id) else {
            return;
        };
        let ctx = self.context(orders, session, id, 1, index);
        let (inputs, row, halting) = (self.inputs.clone(), id.to_owned(), self.halting.take());
        self.run(ctx, async move |ctx| {
            if let Some(task) = halting {
                // A cancelled step ends promptly; one that does not must not delay the rollback.
                let _ = tokio::time::timeout(std::time::Duration::from_secs(5), task).await;
            }
            let outcome = guarded(&ctx, step::rollback::run(&ctx)).await;
            let _ = inputs.send(Input::RowEnded { row, outcome });
        });
    }

    fn run<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        ctx: Context,
        work: impl FnOnce(Context) -> F,
    ) {
        let (row, cancel) = (ctx.reporter.row.clone(), ctx.cancel.clone());
        let task = tokio::spawn(work(ctx));
        self.running = Some(Running { row, cancel, task });
    }

    fn context(
        &self,
        orders: &Orders,
        session: &Session,
        row: &str,
        attempt: u32,
        index: usize,
    ) -> Context {
        let (news, mut ear) = mpsc::unbounded_channel::<(String, u32, News)>();
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            while let Some((row, attempt, news)) = ear.recv().await {
                if inputs.send(Input::News { row, attempt, news }).is_err() {
                    break;
                }
            }
        });
        Context {
            runbook: Arc::clone(&orders.runbook),
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

    /// A step or row has said how it ended. One that was halted may say so while another runs already.
    pub fn ended(&mut self, row: &str) {
        if self.running.as_ref().is_some_and(|r| r.row == row) {
            self.running = None;
        }
    }

    /// The fence no longer proves anything: writers got past it.
    pub fn drop_fence(&self) {
        if let Ok(mut fence) = self.shared.fence.try_lock() {
            *fence = None;
        }
    }

    /// A step ended by other means than its own task.
    pub fn forget(&mut self, step: &str) {
        if self.running.as_ref().is_some_and(|r| r.row == step) {
            self.halt();
        }
    }

    /// Cancels what runs; the next row waits for its end.
    pub fn halt(&mut self) {
        if let Some(running) = self.running.take() {
            running.cancel.cancel();
            self.halting = Some(running.task);
        }
    }

    /// A trigger fired: no further instance is restarted while the countdown runs.
    pub fn halt_rollout(&mut self, session: &Session) {
        if session
            .current_step()
            .is_some_and(|s| s.status == StepStatus::Running)
            && let Some(running) = &self.running
        {
            running.cancel.cancel();
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
        self.halt();
        if let Some(task) = self.halting.take() {
            let _ = tokio::time::timeout(std::time::Duration::from_secs(10), task).await;
        }
        if over
            && let Some(fence) = self.shared.fence.lock().await.take()
            && let Err(error) = fence.release()
        {
            tracing::error!(%error, "the fence could not be released in order; it ends with this process");
        }
    }
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
