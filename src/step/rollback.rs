//! R1–R6: one list, from any state, each row idempotent. A row that has nothing to undo says so and passes; one that fails is named
//! and does not stop the others. On the way back R1+ waits for a PostgreSQL that does not answer, five seconds in all, and R3 for a second.
//!
//! Not in here: R1+ (`fence_target`), R2 (`configuration`, `own_undo`), R2+ (`bring_back`), R4 (`validate`), R5 (`preserve`, `salvage`), R6
//! (`incident`).

mod bring_back;
mod configuration;
pub mod fence_target;
mod incident;
mod own_undo;
mod validate;

use std::path::Path;
use std::time::Duration;

use super::announce::run_action;
use super::context::Context;
use super::facts::Served;
use super::preserve::preserve;
use super::writes::{everywhere, maintenance_off};
use super::{production, salvage, serving};
use crate::fleet::provider::{Provider, Serving};
use crate::fleet::restart::run_for;
use crate::fleet::{self, Means};
use crate::journal::files;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Instance, RollbackKind, Writes};
use crate::session::attempt::{SALVAGED, TARGET_CLOSED, is_target_closed};
use crate::session::facts::{Brought, Unreadable};
use crate::session::live::{InstanceState, InstanceView};
use crate::session::maintenance::Sight;
use crate::session::{Check, Outcome, Undo};

/// How long an instance may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// Why R1+ and R2+ do nothing.
const LEFT_TO_PEOPLE: &str = "nothing to do: with `feed.writes: salvage`, what users wrote to PostgreSQL is kept in a file, for people to bring in";

/// Whether what was cancelled before this row has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halted {
    /// It has, or nothing ran.
    Wholly,
    /// Something still ran when this had passed.
    NotWithin {
        /// How long was waited.
        limit_ms: u64,
    },
}

/// Does one row of the list.
pub async fn run(ctx: &Context, halted: Halted) -> Outcome {
    let row = ctx
        .runbook
        .rollback
        .get(ctx.index)
        .expect("BUG: a row's context has the row's index");
    match &row.kind {
        RollbackKind::Halt => halt(halted),
        RollbackKind::FenceTarget => fence_target(ctx).await,
        RollbackKind::RestoreConfig => configuration::restore(ctx).await,
        RollbackKind::BringBack => bring_rows(ctx).await,
        RollbackKind::Restart { action } => restart(ctx, action.as_ref()).await,
        RollbackKind::Validate => validate::validate(ctx).await,
        RollbackKind::LiftFreeze => lift_freeze(ctx).await,
        RollbackKind::Preserve { logs, dump } => {
            // Side by side: a dead target is waited for once.
            let preserving = preserve(ctx, logs, dump.as_ref());
            let salvaging = async {
                let salvaged = salvage::keep(ctx).await;
                let compared = salvage::compared(ctx, &salvaged).await;
                (salvaged, compared)
            };
            let (kept, (salvaged, compared)) = tokio::join!(preserving, salvaging);
            let outcome = with_salvage(ctx, kept, &salvaged);
            compared.into_iter().fold(outcome, Outcome::with_check)
        }
        RollbackKind::Incident { file } => incident::incident(ctx, file),
        RollbackKind::Command(action) => {
            if let Some(why) = ctx.not_rehearsed(action) {
                return Outcome::done(why);
            }
            match run_action(ctx, action, &Placeholders::new(), "command").await {
                Ok(done) => Outcome::done(format!("ended well after {:.1} s", done.seconds)),
                Err(why) => Outcome::failed(why),
            }
        }
    }
}

/// R1+: what users wrote to PostgreSQL stands still from here on.
async fn fence_target(ctx: &Context) -> Outcome {
    match ctx.runbook.feed.writes {
        Writes::Keep => fence_target::fence(ctx, ctx.runbook.feed.drain_ms).await,
        Writes::Salvage => Outcome::done(LEFT_TO_PEOPLE),
    }
}

/// R2+: what users wrote to PostgreSQL comes into SQLite.
async fn bring_rows(ctx: &Context) -> Outcome {
    match ctx.runbook.feed.writes {
        Writes::Keep => {
            let brought = bring_back::bring_back(ctx, ctx.runbook.feed.nearest).await;
            // Nobody reads PostgreSQL for this row any more; whom the lock alone keeps out is kept out until R3 has restarted them.
            if is_target_closed(&ctx.session) {
                fence_target::let_go(ctx).await;
            }
            brought
        }
        Writes::Salvage => Outcome::done(LEFT_TO_PEOPLE),
    }
}

/// R1: nothing new starts, which the rules see to. What still runs is told; the rollback does not wait for it any longer.
fn halt(halted: Halted) -> Outcome {
    match halted {
        Halted::Wholly => Outcome::done("nothing runs any more, nothing new starts"),
        Halted::NotWithin { limit_ms } => Outcome::failed(format!(
            "nothing new starts, and what ran was cancelled, but has not ended within {:.0} s: it may still act beside the rollback. Look for it in the engine's log and end it by hand",
            limit_ms as f64 / 1000.0
        )),
    }
}

/// What users wrote belongs to what is preserved. Where they could write and it is not complete, the row says so in red; the
/// application is back all the same.
fn with_salvage(ctx: &Context, mut outcome: Outcome, salvaged: &salvage::Record) -> Outcome {
    let sentence = match ctx.session.switched_ms() {
        Some(_) => match ctx.session.rollback_fact::<Brought>() {
            Ok(Some(brought)) => salvaged.sentence_of(&brought),
            Ok(None) => salvaged.sentence(),
            Err(unreadable) => format!("{}; {unreadable}", salvaged.sentence()),
        },
        None => {
            "this session had switched nothing, so no row of PostgreSQL was looked at".to_owned()
        }
    };
    outcome.summary = format!("{sentence}; {}", outcome.summary);
    let complete = salvaged.lacks.is_empty() || !salvage::was_open(ctx);
    outcome
        .with_check(Check::new(SALVAGED, complete, sentence))
        .with_fact(salvaged.clone())
}

fn undos<'a>(
    ctx: &'a Context,
    wanted: impl Fn(&Undo) -> bool + 'a,
) -> impl Iterator<Item = &'a Undo> {
    ctx.session
        .undos
        .iter()
        .map(|(_, u)| u)
        .filter(move |u| wanted(u))
}

/// R3: the fence is released first, so that instances come up on a file that they can use; then every instance that was restarted
/// since the switch is restarted again, and every other one that serves from PostgreSQL.
async fn restart(ctx: &Context, action: Option<&Action>) -> Outcome {
    let mut released = match release_fence(ctx).await {
        Some(released) => released,
        None => no_fence(ctx).to_owned(),
    };
    let ids = match production::same_source(ctx) {
        Ok(()) => {
            bring_back::remove_mark(ctx).await;
            salvage::raise_ids(ctx).await
        }
        Err(why) => format!("{why}: nothing was written to it"),
    };
    ctx.reporter.line(&ids);
    if salvage::was_open(ctx) {
        released.push_str("; ");
        released.push_str(&ids);
    }
    let to_restart = to_restart(ctx).await;
    let outputs = files::OUTPUT.path(&ctx.folder);
    // Where it cannot be kept, what a restart prints is not: the restart goes on.
    if let Err(error) = files::folder(&ctx.folder, &files::OUTPUT) {
        ctx.reporter.line(&error.to_string());
    }
    let turns = to_restart
        .iter()
        .map(|i| bring_back(ctx, action, i, &outputs));
    let ended = futures_util::future::join_all(turns).await;
    let (back, failures): (Vec<_>, Vec<_>) = ended.into_iter().partition(Result::is_ok);
    let unknown = back.into_iter().flatten().filter(|s| s.provider.is_none());
    let unknown = unknown.count();
    let failures: Vec<String> = failures.into_iter().filter_map(Result::err).collect();
    let done = match (to_restart.len(), unknown) {
        (0, _) => nothing_restarted(ctx),
        (n, 0) => format!("{n} instances restarted, ready and on SQLite"),
        (n, unknown) => format!(
            "{n} instances restarted and ready; by which database {unknown} of them serve is not known"
        ),
    };
    let was_locked = fence_target::let_go(ctx).await;
    let mut outcome = Outcome::done(format!("{released}; {done}"));
    if was_locked && failures.is_empty() && unknown == 0 {
        outcome = outcome.with_check(Check::new(
            TARGET_CLOSED,
            true,
            "PostgreSQL was locked until every instance had left it",
        ));
    }
    if let Some(first) = failures.first() {
        outcome.summary = format!(
            "{} of {} instances did not come back: {first}",
            failures.len(),
            to_restart.len()
        );
    }
    failures.into_iter().fold(outcome, |o, why| {
        o.with_check(Check::new("instance_back", false, why))
    })
}

/// Instances that this session has restarted, and those that were seen to serve from PostgreSQL, whoever took them there. A session that
/// has not come as far as the switch restarts none: it has taken nobody there.
async fn to_restart(ctx: &Context) -> Vec<Instance> {
    let all = &ctx.runbook.fleet.instances;
    let by_us = |i: &&Instance| {
        let mut restarts = undos(ctx, |u| matches!(u, Undo::Restart { .. }));
        restarts.any(|u| matches!(u, Undo::Restart { instance } if *instance == i.id))
    };
    let seen = match ctx.session.switched_ms() {
        Some(_) => seen_by_r2(ctx).unwrap_or_else(|unreadable| {
            ctx.reporter.line(&unreadable.to_string());
            Vec::new()
        }),
        None => Vec::new(),
    };
    let on_postgres = |i: &&Instance| {
        let mut seen = seen.iter().filter(|s| s.instance == i.id);
        seen.any(|s| s.provider == Some(Provider::Postgres))
    };
    let wanted = all.iter().filter(|i| by_us(i) || on_postgres(i));
    wanted.cloned().collect()
}

/// Why R3 had nothing to restart, and no more than R2 saw.
fn nothing_restarted(ctx: &Context) -> String {
    let seen = match seen_by_r2(ctx) {
        Ok(seen) => seen,
        Err(unreadable) => return unreadable.to_string(),
    };
    let (on_postgres, unknown) = serving::sorted(&seen, Provider::Postgres);
    let none = "nothing was restarted: this session had restarted no instance";
    match (on_postgres.len(), unknown.len()) {
        (0, 0) => none.to_owned(),
        (0, n) => format!("{none}; by which database {n} of them serve is not known"),
        (n, _) => {
            format!("{none}, and has not taken the {n} to PostgreSQL that serve from it")
        }
    }
}

/// What R2 saw of each instance.
fn seen_by_r2(ctx: &Context) -> Result<Vec<Serving>, Unreadable> {
    let seen = ctx.session.rollback_fact()?;
    Ok(seen.map_or_else(Vec::new, |Served(seen)| seen))
}

/// What came of the fence; `None` where none was held.
async fn release_fence(ctx: &Context) -> Option<String> {
    let fence = ctx.shared.fence.lock().await.take()?;
    Some(match fence.release() {
        Ok(()) => "fence released".to_owned(),
        Err(e) => format!("fence dropped ({e})"),
    })
}

/// R2+ writes through the fence's own connection, and ends it.
fn no_fence(ctx: &Context) -> &'static str {
    match ctx.session.rollback_fact::<Brought>() {
        Ok(Some(_)) => "the fence ended when rows were brought into SQLite",
        Ok(None) | Err(_) => "no fence was held",
    }
}

/// Two tries, for a restart that coincides with a crash of its own. What comes back must not be on PostgreSQL.
async fn bring_back(
    ctx: &Context,
    action: Option<&Action>,
    instance: &Instance,
    outputs: &Path,
) -> Result<Serving, String> {
    let fleet = &ctx.runbook.fleet;
    // Where a rehearsal may not run this row's own action, the rollout's brings staging back; the evidence names what was not run.
    let own = action.filter(|action| ctx.not_rehearsed(action).is_none());
    let action = own.unwrap_or(&fleet.restart);
    let means = Means {
        folder: &ctx.base,
        environment: &ctx.environment,
        outputs,
    };
    let show = |state, detail: &str| {
        ctx.reporter.instance(InstanceView {
            id: instance.id.clone(),
            canary: instance.canary,
            state,
            detail: detail.to_owned(),
        });
    };
    let mut last = String::new();
    for attempt in 1..=2 {
        show(InstanceState::Restarting, "back to SQLite");
        let within = Duration::from_millis(fleet.ready_within_ms.max(0) as u64);
        let tried = async {
            let place = || ctx.shared.monitor.place_of(instance);
            run_for("restart", action, &place(), means, &ctx.cancel)
                .await
                .map_err(|e| e.to_string())?;
            let ready = fleet::wait_ready_at(
                &ctx.shared.http,
                fleet,
                place,
                fleet.ready_successes,
                within,
                &ctx.cancel,
            );
            ready.await.map_err(|e| e.to_string())?;
            let here = ctx.shared.monitor.place_of(instance);
            let serving = serving::look_at(ctx, &here, LOOK_LIMIT).await;
            match serving.provider {
                Some(Provider::Postgres) => Err(format!(
                    "{} after its restart: it did not load the former configuration",
                    serving.words()
                )),
                _ => Ok(serving),
            }
        };
        match tried.await {
            Ok(serving) => {
                show(
                    InstanceState::Ready,
                    match serving.provider {
                        Some(_) => "on SQLite",
                        None => "ready; its database is not known",
                    },
                );
                return Ok(serving);
            }
            Err(why) => {
                ctx.reporter.line(&format!("attempt {attempt}: {why}"));
                last = why;
            }
        }
    }
    show(InstanceState::NotReady, &last);
    Err(last)
}

/// R4+: maintenance off, so that the application ends as it was.
async fn lift_freeze(ctx: &Context) -> Outcome {
    // Idempotent like all rows: the fence is gone since R3, unless this list is the runbook's own and has no such row.
    let released = release_fence(ctx).await;
    fence_target::let_go(ctx).await;
    if undos(ctx, |u| *u == Undo::Maintenance).next().is_none() {
        return Outcome::done("writes had not been stopped");
    }
    let Some(off) = maintenance_off(ctx) else {
        return Outcome::done("the runbook has no maintenance to lift");
    };
    if let Err(why) = run_action(ctx, off, &Placeholders::new(), "maintenance-off").await {
        return Outcome::failed(format!(
            "maintenance could not be lifted: {why}. The application refuses writes; lift it by hand"
        ));
    }
    match everywhere(ctx, Sight::Off).await {
        Err(why) => Outcome::failed(format!(
            "maintenance was lifted by the runbook's action, and {why}. Lift it there by hand"
        )),
        Ok(()) => {
            let open = match is_seen_on_sqlite(ctx) {
                true => "writes are open, on SQLite",
                false => "writes are open; where the application serves from is not proven",
            };
            Outcome::done(match released {
                Some(released) => format!("{released}; {open}"),
                None => open.to_owned(),
            })
        }
    }
}

/// Whether R4 has seen every instance on SQLite.
fn is_seen_on_sqlite(ctx: &Context) -> bool {
    let rows = ctx.session.rollback.iter().flat_map(|r| &r.rows);
    let outcomes = rows.filter_map(|row| row.outcome.as_ref());
    let seen: Vec<&Check> = outcomes
        .flat_map(|o| &o.checks)
        .filter(|c| c.name.starts_with(validate::SERVES))
        .collect();
    !seen.is_empty() && seen.iter().all(|c| c.ok)
}
