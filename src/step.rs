//! Steps: what each row of the protocol does, and how it finds out what happened after a crash. One file per group of kinds.
//!
//! A step gets a [`Context`] and returns an [`Outcome`]; it appends nothing and decides nothing. Every step may be run again
//! after it was cut off at any point: what it did is looked for in reality, never assumed. Not in here: when a step may run
//! (`session`), and who runs it (`engine`).

pub mod announce;
pub mod arrival;
mod asked;
pub mod backup;
pub mod closing;
pub mod configuration;
pub mod context;
pub mod facts;
pub mod holders;
pub mod import;
pub mod in_use;
pub mod migrate;
pub mod newcomers;
pub mod preserve;
pub mod production;
pub mod rollback;
pub mod salvage;
pub mod serving;
pub mod smoke;
pub mod stabilise;
pub mod staging;
pub mod switch;
pub mod target;
pub mod verify;
pub mod writes;

pub use context::{Context, News, Reporter, Shared};

use crate::runbook::{StepKind, SwitchHow};
use crate::session::{Found, Outcome};

/// Does what the step's kind says. Ends with an outcome whatever happens; a cancelled step is a failed one.
pub async fn run(ctx: &Context) -> Outcome {
    let step = ctx.step().clone();
    match &step.kind {
        StepKind::Announce { text, webhook } => announce::run(ctx, text, webhook.as_deref()).await,
        StepKind::Confirm { .. } => ctx.wait_for_people().await,
        StepKind::Baseline { window_ms } => announce::baseline(ctx, *window_ms).await,
        StepKind::Freeze { on, quiet_ms, .. } => writes::freeze(ctx, on, *quiet_ms).await,
        StepKind::Backup { to, keep_ms } => backup::backup(ctx, to, *keep_ms).await,
        StepKind::StoreBackup { place, keep_ms } => backup::store(ctx, place, *keep_ms).await,
        StepKind::RestoreDrill { queries } => backup::drill(ctx, queries).await,
        StepKind::TargetCheck => target::check(ctx).await,
        StepKind::Privileges => target::privileges(ctx).await,
        StepKind::Connectivity => target::connectivity(ctx).await,
        StepKind::Migrate {
            run,
            version,
            timeout_ms,
        } => migrate::run(ctx, run, version, *timeout_ms).await,
        StepKind::MigrationHistory => migrate::history(ctx).await,
        StepKind::KeepArtefacts { of } => migrate::keep(ctx, of).await,
        StepKind::ExportOrder => import::order(ctx).await,
        StepKind::Import => import::load(ctx).await,
        StepKind::Sequences => import::sequences(ctx).await,
        StepKind::Constraints => import::constraints(ctx).await,
        StepKind::RowCounts => verify::row_counts(ctx).await,
        StepKind::Samples => verify::samples(ctx).await,
        StepKind::Smoke => smoke::staging(ctx).await,
        StepKind::ParityGate => verify::parity_gate(ctx, &step.needs),
        StepKind::Switch { how } => switch::switch(ctx, how).await,
        StepKind::Rollout { batch } => switch::rollout(ctx, *batch).await,
        StepKind::RollbackReady => switch::rollback_ready(ctx).await,
        StepKind::VerifyCounts => verify::counts(ctx).await,
        StepKind::VerifyEndpoints => smoke::production(ctx).await,
        StepKind::VerifySlugs => verify::slugs(ctx).await,
        StepKind::VerifyOrder => verify::order(ctx).await,
        StepKind::VerifyIntegrity => verify::integrity(ctx).await,
        StepKind::Reopen => writes::reopen(ctx).await,
        StepKind::Stabilise { window_ms } => stabilise::watch(ctx, *window_ms).await,
        StepKind::Checklist { stays_green_ms } => stabilise::checklist(ctx, *stays_green_ms).await,
        StepKind::Command { action, undo } => announce::command(ctx, action, undo.is_some()).await,
    }
}

/// Finds out what a step had done when the engine died in the middle of it.
pub async fn find_out(ctx: &Context) -> Found {
    let step = ctx.step().clone();
    let again = |detail: &str| Found::RunAgain {
        detail: detail.to_owned(),
    };
    match &step.kind {
        StepKind::Migrate { run, .. } => migrate::find_out(ctx, run).await,
        StepKind::Command { .. } => Found::AskPerson {
            detail: format!(
                "the command of {} had begun; nobody can tell from outside whether it ended",
                step.id
            ),
        },
        StepKind::StoreBackup { place, keep_ms } => backup::find_out(ctx, place, *keep_ms).await,
        StepKind::Announce { .. } => again("it may be said twice, which harms nobody"),
        StepKind::Import => {
            again("each batch committed with its own checkpoint; the import goes on from the last")
        }
        StepKind::Backup { .. } => {
            again("a backup gets its name only once it is whole; an unfinished one is replaced")
        }
        StepKind::Freeze { .. } => {
            again("the fence fell with the engine; it is raised again and compared")
        }
        StepKind::Switch {
            how: SwitchHow::Key { .. },
        } => again("each file is compared with what was kept before it is written"),
        StepKind::Switch {
            how: SwitchHow::Action { .. },
        } => Found::AskPerson {
            detail: format!(
                "the action of {} had begun; nobody can tell from outside how far it came",
                step.id
            ),
        },
        StepKind::Rollout { .. } => {
            again("instances that were restarted are asked before they are restarted again")
        }
        StepKind::KeepArtefacts { .. } => {
            again("what it keeps is written under the same names as before")
        }
        StepKind::Sequences | StepKind::Constraints => {
            again("what stands as it should is found so, and left")
        }
        StepKind::Reopen => again("maintenance that is off is found off"),
        StepKind::VerifyEndpoints | StepKind::Smoke => {
            again("requests are sent again; a row that the write probe left is told of")
        }
        StepKind::Confirm { .. }
        | StepKind::Baseline { .. }
        | StepKind::RestoreDrill { .. }
        | StepKind::TargetCheck
        | StepKind::Privileges
        | StepKind::Connectivity
        | StepKind::MigrationHistory
        | StepKind::ExportOrder
        | StepKind::RowCounts
        | StepKind::Samples
        | StepKind::ParityGate
        | StepKind::RollbackReady
        | StepKind::VerifyCounts
        | StepKind::VerifySlugs
        | StepKind::VerifyOrder
        | StepKind::VerifyIntegrity
        | StepKind::Stabilise { .. }
        | StepKind::Checklist { .. } => again("it only looks"),
    }
}

/// How far a transfer is, as every screen shows it.
fn progress_of_transfer(reporter: &Reporter, progress: &crate::transfer::Progress) {
    use crate::transfer::Progress as P;
    match progress {
        P::Rows {
            table,
            rows,
            rows_total,
            ..
        } => reporter.progress(table, *rows, *rows_total, "rows"),
        P::Rebuilding {
            table,
            name,
            done,
            back,
            total,
            filled,
            ..
        } => {
            let state = if *done { "is back" } else { "is being rebuilt" };
            reporter.line(&format!("{table}: {name} {state}"));
            // While rows still come in, they are what the screen counts.
            if *filled {
                reporter.progress("indexes and keys", *back, *total, "rebuilt");
            }
        }
        P::Retrying {
            doing,
            attempt,
            wait_ms,
            reason,
        } => {
            reporter.line(&format!(
                "{doing}: {reason}; attempt {attempt} failed, the next in {wait_ms} ms"
            ));
        }
        P::Definitions { definitions } => {
            for definition in definitions {
                reporter.line(&format!(
                    "to be put back after the load: {}",
                    definition.put_back
                ));
            }
        }
        P::Phase { phase } => reporter.line(phase),
    }
}
