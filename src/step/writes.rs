//! A1 and F4: stopping writes, proving it, and letting them in again. The fence itself is `source::fence`; maintenance is the
//! application's own switch.

use std::time::Duration;

use super::announce::run_action;
use super::context::Context;
use crate::claim::{self, Claim};
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, StepKind};
use crate::session::{Check, Outcome, Undo, shape};
use crate::source::fence::{Fence, Quiet};
use crate::target::Endpoint;
use crate::target::written::{Counters, CountersProbe};

/// Under this name F4 leaves behind what had been written to the target until then.
pub const COUNTERS: &str = "counters";

/// How long F4 waits for PostgreSQL's counters.
const COUNTERS_LIMIT: Duration = Duration::from_secs(3);

/// A1: maintenance on, no commit for the quiet period, fence raised.
pub async fn freeze(ctx: &Context, on: &Action, quiet_ms: i64) -> Outcome {
    for undo in [Undo::Maintenance, Undo::Fence] {
        if let Err(gone) = ctx.reporter.undo(undo).await {
            return Outcome::failed(gone.to_string());
        }
    }
    if let Err(why) = run_action(ctx, on, &Placeholders::new(), "maintenance-on").await {
        return Outcome::failed(format!(
            "maintenance could not be turned on: {why}. This step touched neither database; look whether the application still takes writes"
        ));
    }
    ctx.reporter
        .line("maintenance is on; waiting for writes to stop");
    match raise(ctx, quiet_ms).await {
        Ok(fence) => {
            let fingerprint = fence.fingerprint().clone();
            let unproven = fence.unproven();
            let shape = fence.shape(&|table| ctx.runbook.transfer.excludes_table(table));
            *ctx.shared.fence.lock().await = Some(fence);
            let outcome = frozen(ctx, quiet_ms, unproven)
                .await
                .with_fact("fingerprint", fingerprint);
            match shape {
                Ok(shape) => outcome.with_fact(shape::FACT, shape),
                Err(error) => {
                    outcome.with_check(Check::new("schema_read", false, error.to_string()))
                }
            }
        }
        Err(why) => Outcome::failed(format!("writes have not stopped: {why}"))
            .with_check(Check::new("writes_stopped", false, why)),
    }
}

/// Nothing changes any more, so what the SQLite side answers now is what PostgreSQL must answer (E3, V2).
async fn frozen(ctx: &Context, quiet_ms: i64, unproven: Option<String>) -> Outcome {
    let proof = "no commit in the quiet period, and the fence holds";
    let detail = match &unproven {
        None => proof.to_owned(),
        Some(unproven) => {
            ctx.reporter.line(unproven);
            format!("{proof}; but {unproven}")
        }
    };
    let outcome = Outcome::done(format!(
        "no write for {:.1} s; fence raised",
        quiet_ms as f64 / 1000.0
    ))
    .with_check(Check::new("writes_stopped", true, detail));
    match super::smoke::record_answers(ctx).await {
        Ok(answers) => outcome.with_fact("answers", answers),
        Err(why) => outcome.with_check(Check::new("answers", false, why)),
    }
}

/// Raises the fence, or takes over the one that is held.
async fn raise(ctx: &Context, quiet_ms: i64) -> Result<Fence, String> {
    if let Some(fence) = ctx.shared.fence.lock().await.take() {
        return Ok(fence);
    }
    let path = ctx.runbook.source.file.clone();
    // Once more, for where the file came to its place after the session was opened.
    claim::source::take(&path, &Claim::of(&ctx.folder)).map_err(|e| e.to_string())?;
    let period = Duration::from_millis(quiet_ms.max(0) as u64);
    let quiet = Quiet {
        period,
        give_up_after: period * 4 + Duration::from_secs(10),
        ..Quiet::default()
    };
    let cancel = ctx.cancel.clone();
    tokio::task::spawn_blocking(move || Fence::raise(&path, &quiet, &cancel))
        .await
        .expect("BUG: the fence does not panic")
        .map_err(|e| e.to_string())
}

/// F4: maintenance off. Only after every instance is on PostgreSQL and V1–V5 are done, which the order of steps sees to; looked
/// at again here. The fence on SQLite stays.
pub async fn reopen(ctx: &Context) -> Outcome {
    let Some(off) = maintenance_off(ctx) else {
        return Outcome::failed("no step of kind freeze: there is no maintenance to lift");
    };
    if let Some(drift) = drift(ctx).await {
        return Outcome::failed(format!(
            "{drift}: SQLite was written while it was frozen, and those rows are not in PostgreSQL. Roll back"
        ))
        .with_check(Check::new("verification", false, drift));
    }
    // Before anybody can write. Not knowing what a rollback would cost is no reason to keep the application closed.
    let counters = counters(ctx).await;
    match run_action(ctx, off, &Placeholders::new(), "maintenance-off").await {
        Ok(_) => {
            let outcome = Outcome::done("writes are open, on PostgreSQL; SQLite stays fenced");
            match counters {
                Some(counters) => outcome.with_fact(COUNTERS, counters),
                None => outcome,
            }
        }
        Err(why) => Outcome::failed(format!(
            "maintenance could not be lifted: {why}. The application still refuses writes; PostgreSQL is complete. Try again"
        ))
        .passing(),
    }
}

/// What had been written to the target until now.
async fn counters(ctx: &Context) -> Option<Counters> {
    let endpoint = Endpoint::parse(&ctx.runbook.target.url).ok()?;
    let mut probe = CountersProbe::new(endpoint, &ctx.runbook.target.schema, COUNTERS_LIMIT);
    match probe.read().await {
        Ok(counters) => Some(counters),
        Err(error) => {
            ctx.reporter.line(&format!(
                "what a rollback would cost will not be known: {error}"
            ));
            None
        }
    }
}

/// The runbook's way to turn maintenance off.
pub fn maintenance_off(ctx: &Context) -> Option<&Action> {
    ctx.runbook.steps.iter().find_map(|s| match &s.kind {
        StepKind::Freeze { off, .. } => Some(off),
        _ => None,
    })
}

/// Whether anything got past the fence, in words.
pub async fn drift(ctx: &Context) -> Option<String> {
    let guard = ctx.shared.fence.lock().await;
    let fence = guard.as_ref()?;
    match fence.drift() {
        Ok(None) => None,
        Ok(Some(drift)) => Some(drift.to_string()),
        Err(error) => Some(error.to_string()),
    }
}
