//! R1–R6: one list, from any state, each row idempotent. A row that has nothing to undo says so and passes; one that fails is named
//! and does not stop the others. Nothing on the way back waits for PostgreSQL longer than a second.
//!
//! Not in here: R2 (`configuration`, `own_undo`), R4 (`validate`), R5 (`preserve`, `salvage`).

mod configuration;
mod own_undo;
mod validate;

use std::path::Path;
use std::time::Duration;

use super::announce::run_action;
use super::context::Context;
use super::preserve::preserve;
use super::production;
use super::salvage::{self, SALVAGE};
use super::serving::{self, SERVING};
use super::writes::maintenance_off;
use crate::fleet::provider::{Provider, Serving};
use crate::fleet::restart::run_for;
use crate::fleet::{self, Means};
use crate::journal::files;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Instance, RollbackKind};
use crate::session::attempt::SALVAGED;
use crate::session::live::{InstanceState, InstanceView};
use crate::session::{Check, Outcome, RollbackCause, Undo};

/// How long an instance may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(1);

/// Does one row of the list.
pub async fn run(ctx: &Context) -> Outcome {
    let row = ctx
        .runbook
        .rollback
        .get(ctx.index)
        .expect("BUG: a row's context has the row's index");
    match &row.kind {
        RollbackKind::Halt => Outcome::done("nothing runs any more, nothing new starts"),
        RollbackKind::RestoreConfig => configuration::restore(ctx).await,
        RollbackKind::Restart { action } => restart(ctx, action.as_ref()).await,
        RollbackKind::Validate => validate::validate(ctx).await,
        RollbackKind::LiftFreeze => lift_freeze(ctx).await,
        RollbackKind::Preserve { logs, dump } => {
            // Side by side: a dead target is waited for once.
            let preserving = preserve(ctx, logs, dump.as_ref());
            let (kept, salvaged) = tokio::join!(preserving, salvage::keep(ctx));
            with_salvage(ctx, kept, &salvaged)
        }
        RollbackKind::Incident { file } => incident(ctx, file),
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

/// What users wrote belongs to what is preserved. Where they could write and it is not complete, the row says so in red; the
/// application is back all the same.
fn with_salvage(ctx: &Context, mut outcome: Outcome, salvaged: &salvage::Record) -> Outcome {
    let sentence = match ctx.session.switched_ms() {
        Some(_) => salvaged.sentence(),
        None => {
            "this session had switched nothing, so no row of PostgreSQL was looked at".to_owned()
        }
    };
    outcome.summary = format!("{sentence}; {}", outcome.summary);
    let complete = salvaged.lacks.is_empty() || !salvage::was_open(ctx);
    outcome
        .with_check(Check::new(SALVAGED, complete, sentence))
        .with_fact(SALVAGE, salvaged)
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
    let mut released = release_fence(ctx).await;
    let ids = match production::same_source(ctx) {
        Ok(()) => salvage::raise_ids(ctx).await,
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
    let mut outcome = Outcome::done(format!("{released}; {done}"));
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
        Some(_) => seen_by_r2(ctx),
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
    let seen = seen_by_r2(ctx);
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
fn seen_by_r2(ctx: &Context) -> Vec<Serving> {
    let rows = ctx.session.rollback.iter().flat_map(|r| &r.rows);
    let facts = rows.filter_map(|row| row.outcome.as_ref()?.facts.get(SERVING));
    let mut seen = facts.filter_map(|fact| serde_json::from_value(fact.clone()).ok());
    seen.next_back().unwrap_or_default()
}

async fn release_fence(ctx: &Context) -> String {
    let Some(fence) = ctx.shared.fence.lock().await.take() else {
        return "no fence was held".to_owned();
    };
    match fence.release() {
        Ok(()) => "fence released".to_owned(),
        Err(e) => format!("fence dropped ({e})"),
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
            run_for("restart", action, instance, means, &ctx.cancel)
                .await
                .map_err(|e| e.to_string())?;
            let ready = fleet::wait_ready(
                &ctx.shared.http,
                fleet,
                instance,
                fleet.ready_successes,
                within,
                &ctx.cancel,
            );
            ready.await.map_err(|e| e.to_string())?;
            let serving = serving::look_at(ctx, instance, LOOK_LIMIT).await;
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
    if undos(ctx, |u| *u == Undo::Maintenance).next().is_none() {
        return Outcome::done("writes had not been stopped");
    }
    let Some(off) = maintenance_off(ctx) else {
        return Outcome::done("the runbook has no maintenance to lift");
    };
    match run_action(ctx, off, &Placeholders::new(), "maintenance-off").await {
        Ok(_) if is_seen_on_sqlite(ctx) => {
            Outcome::done(format!("{released}; writes are open, on SQLite"))
        }
        Ok(_) => Outcome::done(format!(
            "{released}; writes are open; where the application serves from is not proven"
        )),
        Err(why) => Outcome::failed(format!(
            "maintenance could not be lifted: {why}. The application refuses writes; lift it by hand"
        )),
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

/// R6: the record that an incident review begins with.
fn incident(ctx: &Context, file: &Path) -> Outcome {
    let path = ctx.base.join(file);
    let rollback = ctx.session.rollback.as_ref();
    let (cause, reason) = match rollback.map(|r| (&r.cause, &r.reason)) {
        Some((RollbackCause::Person { by }, reason)) => {
            (format!("started by {by}"), reason.clone())
        }
        Some((RollbackCause::Trigger { trigger }, reason)) => {
            (format!("trigger {trigger}"), reason.clone())
        }
        None => ("unknown".to_owned(), String::new()),
    };
    let failed: Vec<String> = ctx
        .session
        .steps
        .iter()
        .filter_map(|s| {
            s.outcome
                .as_ref()
                .filter(|o| !o.ok)
                .map(|o| format!("- {}: {}", s.id, o.summary))
        })
        .collect();
    let text = format!(
        "# Incident: cutover {session} was rolled back\n\n- Cause: {cause}\n- Reason: {reason}\n- Evidence: {folder}\n\n\
         ## Steps that failed\n\n{failed}\n\n## To be filled in before the next attempt\n\n- Root cause:\n- Corrective action:\n\
         - Validated in pre-production by, on:\n",
        session = ctx.session.charter.session,
        folder = ctx.folder.dir().display(),
        failed = if failed.is_empty() {
            "- none".to_owned()
        } else {
            failed.join("\n")
        },
    );
    // A record that people have filled in stays.
    match crate::ours::file::write_beside(&path, text.as_bytes(), None) {
        Ok(path) => Outcome::done(format!(
            "opened {}; no new attempt on this target before `cutover correct` and a newer green rehearsal",
            path.display()
        )),
        Err(e) => Outcome::failed(format!("{}: {e}. Open the review by hand", path.display())),
    }
}
