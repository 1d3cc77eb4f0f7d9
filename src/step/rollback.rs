//! R1–R6: one list, from any state, each row idempotent. A row that has nothing to undo says so and passes; one that fails is named
//! and does not stop the others. Nothing on the way back waits for PostgreSQL longer than a second.

mod validate;

use std::path::Path;
use std::time::Duration;

use super::announce::run_action;
use super::context::Context;
use super::preserve::preserve;
use super::salvage::{self, SALVAGE};
use super::switch::former_path;
use super::writes::maintenance_off;
use crate::action::config_file::{self, Restored};
use crate::fleet::restart::run_for;
use crate::fleet::{self, Means};
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Instance, RollbackKind, StepKind, SwitchHow};
use crate::session::live::{InstanceState, InstanceView};
use crate::session::{Check, Outcome, RollbackCause, Undo};

/// Does one row of the list.
pub async fn run(ctx: &Context) -> Outcome {
    let row = ctx
        .runbook
        .rollback
        .get(ctx.index)
        .expect("BUG: a row's context has the row's index");
    match &row.kind {
        RollbackKind::Halt => Outcome::done("nothing runs any more, nothing new starts"),
        RollbackKind::RestoreConfig => restore_config(ctx).await,
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
    let sentence = salvaged.sentence();
    outcome.summary = format!("{sentence}; {}", outcome.summary);
    let complete = salvaged.lacks.is_empty() || !salvage::was_open(ctx);
    outcome
        .with_check(Check::new("salvaged", complete, sentence))
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

/// R2: the former bytes of every configuration file, or the switch's own undo.
async fn restore_config(ctx: &Context) -> Outcome {
    let mut outcome = Outcome::done("");
    let (mut restored, mut theirs) = (0, Vec::new());
    for undo in undos(ctx, |u| matches!(u, Undo::Config { .. })) {
        let Undo::Config {
            instance,
            path,
            former_sha256,
            written_sha256,
        } = undo
        else {
            continue;
        };
        let put_back = std::fs::read(former_path(ctx, former_sha256))
            .map_err(|e| format!("the former configuration of {instance} is gone: {e}"))
            .and_then(|b| {
                config_file::restore(path, &b, written_sha256).map_err(|e| e.to_string())
            });
        match put_back {
            Ok(Restored::TheirsKept(aside)) => {
                restored += 1;
                let (path, aside) = (path.display(), aside.display());
                let said = format!("{path} was edited by somebody else; theirs is kept as {aside}");
                ctx.reporter.line(&said);
                theirs.push(said);
            }
            Ok(_) => restored += 1,
            Err(why) => {
                outcome.summary = format!("{instance}: {why}. Put {} back by hand", path.display());
                outcome = outcome.with_check(Check::new("configuration_restored", false, why));
            }
        }
    }
    let by_action = undos(ctx, |u| *u == Undo::SwitchAction).next().is_some();
    if by_action && let Some(action) = switch_back(ctx) {
        match run_action(ctx, action, &Placeholders::new(), "switch-back").await {
            Ok(_) => restored += 1,
            Err(why) => {
                return Outcome::failed(format!("the switch back failed: {why}. Run it by hand"));
            }
        }
    }
    if outcome.ok {
        outcome.summary = match restored {
            0 => "nothing had been switched".to_owned(),
            n => format!("{n} configurations are as they were"),
        };
    }
    for said in theirs {
        outcome.summary.push_str("; ");
        outcome.summary.push_str(&said);
    }
    outcome
}

fn switch_back(ctx: &Context) -> Option<&Action> {
    ctx.runbook.steps.iter().find_map(|s| match &s.kind {
        StepKind::Switch {
            how: SwitchHow::Action { to_source, .. },
        } => Some(to_source),
        _ => None,
    })
}

/// R3: the fence is released first, so that instances come up on a file that they can use; then every instance that was restarted
/// since the switch is restarted again.
async fn restart(ctx: &Context, action: Option<&Action>) -> Outcome {
    let mut released = release_fence(ctx).await;
    let ids = salvage::raise_ids(ctx).await;
    ctx.reporter.line(&ids);
    if salvage::was_open(ctx) {
        released.push_str("; ");
        released.push_str(&ids);
    }
    let restarted: Vec<Instance> = undos(ctx, |u| matches!(u, Undo::Restart { .. }))
        .filter_map(|u| match u {
            Undo::Restart { instance } => ctx
                .runbook
                .fleet
                .instances
                .iter()
                .find(|i| i.id == *instance)
                .cloned(),
            _ => None,
        })
        .collect();
    let outputs = ctx.folder.dir().join("output");
    let _ = std::fs::create_dir_all(&outputs);
    let turns = restarted
        .iter()
        .map(|i| bring_back(ctx, action, i, &outputs));
    let failures: Vec<String> = futures_util::future::join_all(turns)
        .await
        .into_iter()
        .filter_map(Result::err)
        .collect();
    let mut outcome = match restarted.len() {
        0 => Outcome::done(format!("{released}; no instance had been restarted")),
        n => Outcome::done(format!("{released}; {n} instances restarted and ready")),
    };
    if let Some(first) = failures.first() {
        outcome.summary = format!(
            "{} of {} instances did not come back: {first}",
            failures.len(),
            restarted.len()
        );
    }
    failures.into_iter().fold(outcome, |o, why| {
        o.with_check(Check::new("instance_back", false, why))
    })
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

/// Two tries, for a restart that coincides with a crash of its own.
async fn bring_back(
    ctx: &Context,
    action: Option<&Action>,
    instance: &Instance,
    outputs: &Path,
) -> Result<(), String> {
    let fleet = &ctx.runbook.fleet;
    let action = action.unwrap_or(&fleet.restart);
    let means = Means {
        folder: &ctx.base,
        secrets: &ctx.secrets,
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
            ready.await.map_err(|e| e.to_string())
        };
        match tried.await {
            Ok(_) => {
                show(InstanceState::Ready, "on SQLite");
                return Ok(());
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
        Ok(_) => Outcome::done(format!("{released}; writes are open, on SQLite")),
        Err(why) => Outcome::failed(format!(
            "maintenance could not be lifted: {why}. The application is on SQLite and refuses writes; lift it by hand"
        )),
    }
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
    let partial = path.with_extension("partial");
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, &path));
    match written {
        Ok(()) => Outcome::done(format!(
            "opened {}; no new attempt on this target before `cutover correct` and a newer green rehearsal",
            path.display()
        )),
        Err(e) => Outcome::failed(format!("{}: {e}. Open the review by hand", path.display())),
    }
}
