//! E3 of a rehearsal: the staging slot, which plays production there, is put onto the scratch database as the night puts an instance onto
//! PostgreSQL, proven to serve from there, and asked. Its configuration is taken back before the step ends, for F1 switches it again; its
//! process stays where it is until F2, for a restart on the fenced copy is nothing that the night does.
//!
//! Not in here: the requests (`smoke`), and what leads to production (`staging`).

use std::time::Duration;

use super::{LIMIT, reads};
use crate::fleet::provider::Provider;
use crate::fleet::{self, Means, wait_ready};
use crate::journal::files;
use crate::runbook::{Instance, StepKind, SwitchHow};
use crate::session::facts::Unproven;
use crate::session::{Check, Outcome, Undo};
use crate::step::context::Context;
use crate::step::{serving, staging, switch};

/// E3, on the slot that plays production.
pub(super) async fn rehearse(ctx: &Context, slot: &Instance) -> Outcome {
    let Some(how) = how(ctx) else {
        return left_out(
            "the runbook has no step of kind `switch`, so nothing says how staging gets there",
        );
    };
    if serving::look_at(ctx, slot, LIMIT).await.provider == Some(Provider::Postgres) {
        let already = "staging serves from PostgreSQL already: an earlier step has put it there";
        ctx.reporter.line(already);
        return asked(ctx, slot).await;
    }
    if let Some(why) = not_run(ctx, how) {
        return left_out(&why);
    }
    let outcome = match switched(ctx, slot, how).await {
        Ok(()) => asked(ctx, slot).await,
        Err(why) => red(why),
    };
    match switch::to_source(ctx, how).await {
        Ok(()) => outcome,
        Err(why) => red(format!(
            "staging's configuration could not be taken back, so F1 would not know it: {why}. Production was not touched; the rollback of this \
             rehearsal puts it back"
        )),
    }
}

fn how(ctx: &Context) -> Option<&SwitchHow> {
    ctx.runbook.steps.iter().find_map(|step| {
        let StepKind::Switch { how } = &step.kind else {
            return None;
        };
        Some(how)
    })
}

/// Which of the actions that this takes is not run in this rehearsal, and why.
fn not_run(ctx: &Context, how: &SwitchHow) -> Option<String> {
    let of_switch = match how {
        SwitchHow::Key { .. } => Vec::new(),
        SwitchHow::Action {
            to_target,
            to_source,
        } => vec![to_target, to_source],
    };
    let mut actions = of_switch.into_iter().chain([&ctx.runbook.fleet.restart]);
    actions.find_map(|action| ctx.not_rehearsed(action))
}

/// The evidence names what was not run; without it there is nothing to be asked here.
fn left_out(why: &str) -> Outcome {
    let why = format!("staging was not put onto PostgreSQL and not asked: {why}");
    Outcome::done(why.clone()).with_fact(Unproven(why))
}

fn red(why: String) -> Outcome {
    Outcome::failed(why.clone()).with_check(Check::new("smoke", false, why))
}

/// Puts the slot onto PostgreSQL as F1 and F2 put an instance there.
async fn switched(ctx: &Context, slot: &Instance, how: &SwitchHow) -> Result<(), String> {
    switch::to_target(ctx, how).await?;
    staging::is_configured_elsewhere(ctx).await?;
    let before = serving::start_of(ctx, slot, LIMIT).await;
    restart(ctx, slot).await?;
    let now = serving::look_at(ctx, slot, LIMIT).await;
    match now.provider {
        Some(Provider::Postgres) => Ok(()),
        Some(Provider::Sqlite) => Err(format!(
            "{} after its restart: the restart did not load the configuration",
            now.words()
        )),
        None => {
            let after = serving::start_of(ctx, slot, LIMIT).await;
            match serving::restarted(&before, &after) {
                Some(Err(same)) => Err(format!("{}: the restart did nothing: {same}", slot.id)),
                Some(Ok(())) | None => Ok(()),
            }
        }
    }
}

/// No start-up grace begins with this restart: nothing that it keeps quiet is armed yet, and F2's own is soon to come.
async fn restart(ctx: &Context, slot: &Instance) -> Result<(), String> {
    let undo = Undo::Restart {
        instance: slot.id.clone(),
    };
    let recorded = ctx.reporter.undo(undo).await;
    recorded.map_err(|gone| gone.to_string())?;
    let outputs = files::folder(&ctx.folder, &files::OUTPUT).map_err(|e| e.to_string())?;
    let means = Means {
        folder: &ctx.base,
        environment: &ctx.environment,
        outputs: &outputs,
    };
    let fleet = &ctx.runbook.fleet;
    let ran = fleet::restart(slot, fleet, means, &ctx.cancel).await;
    ran.map_err(|e| e.to_string())?;
    ctx.reporter
        .line("waiting until staging is ready on PostgreSQL");
    let within = Duration::from_millis(fleet.ready_within_ms.max(0).cast_unsigned());
    let (http, needed) = (&ctx.shared.http, fleet.ready_successes);
    let ready = wait_ready(http, fleet, slot, needed, within, &ctx.cancel).await;
    ready.map_err(|e| format!("staging is not ready on PostgreSQL: {e}"))?;
    Ok(())
}

/// Proves that the slot serves from the scratch database, then asks it what only reads.
async fn asked(ctx: &Context, slot: &Instance) -> Outcome {
    let seen = match staging::is_on_scratch(ctx, false).await {
        Ok(seen) => seen,
        Err(why) => return red(why),
    };
    let outcome = reads(ctx, slot).await;
    if seen || !outcome.ok {
        return outcome;
    }
    let why = format!(
        "whether {} served from the scratch database is not known: no session of the role of `rehearsal.runtime_url` was seen there",
        slot.id
    );
    outcome.with_fact(Unproven(why))
}
