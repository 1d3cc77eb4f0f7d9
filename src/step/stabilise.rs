//! G1 and G2: watching after the switch, and holding completion until the checklist has stayed green. The judging is
//! `trigger`'s; this only waits for its verdicts.

use super::context::Context;
use crate::session::live::ItemView;
use crate::session::{Check, Outcome};

/// A step that an engine has just started began no longer ago.
const BEGINS_WITHIN_MS: i64 = 2_000;

/// G1: elevated monitoring for a window. A trigger that fires ends it from outside. Time in which no engine ran counts for nothing: the
/// window of an engine begins with that engine.
pub async fn watch(ctx: &Context, window_ms: i64) -> Outcome {
    let real_ms = ctx.real_ms(window_ms);
    let from_ms = ctx.shared.clock.now_ms();
    let started_ms = ctx
        .session
        .step(&ctx.reporter.row)
        .and_then(|s| s.started_ms);
    if started_ms.is_some_and(|started_ms| from_ms - started_ms > BEGINS_WITHIN_MS) {
        ctx.reporter
            .line("the window begins anew: nobody watched while no engine ran");
    }
    loop {
        let gone_ms = ctx.shared.clock.now_ms() - from_ms;
        ctx.reporter.progress(
            "window",
            gone_ms.clamp(0, real_ms) as u64,
            real_ms as u64,
            "ms",
        );
        if gone_ms >= real_ms {
            return Outcome::done(format!(
                "watched for {} min, no trigger fired",
                window_ms / 60_000
            ));
        }
        if let Err(halted) = ctx.pause((real_ms / 100).clamp(50, 1_000)).await {
            return halted;
        }
    }
}

/// G2: every item green for the window, without a break. Waits as long as it takes; people decide whether to roll back instead.
pub async fn checklist(ctx: &Context, stays_green_ms: i64) -> Outcome {
    loop {
        let items = ctx.shared.checklist.borrow().clone();
        let green = |i: &ItemView| i.green == Some(true) && i.green_for_ms >= stays_green_ms;
        let ready = items.iter().filter(|i| green(i)).count();
        ctx.reporter
            .progress("items", ready as u64, items.len() as u64, "items");
        if !items.is_empty() && ready == items.len() {
            let outcome = Outcome::done(format!(
                "{} items green for {} min",
                items.len(),
                stays_green_ms / 60_000
            ));
            return items.iter().fold(outcome, |o, i| {
                o.with_check(Check::new(&i.id, true, i.reason.clone()))
            });
        }
        if let Err(halted) = ctx.pause(200).await {
            return halted;
        }
    }
}
