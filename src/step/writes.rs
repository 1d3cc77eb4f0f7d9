//! A1 and F4: stopping writes, proving it, and letting them in again. The fence itself is `sqlite::fence`; maintenance is the
//! application's own switch.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::announce::run_action;
use super::context::{Content, Context};
use super::facts::WrittenBefore;
use super::holders;
use super::newcomers;
use crate::claim::{self, Claim};
use crate::fleet::maintenance::by_page;
use crate::fleet::provider::Provider;
use crate::postgres::Endpoint;
use crate::postgres::written::{Counters, CountersProbe};
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, StepKind};
use crate::session::facts::{Answers, Backup};
use crate::session::maintenance::{Seen, Sight};
use crate::session::shape::Shape;
use crate::session::{Check, Outcome, Undo};
use crate::sqlite::fence::{Fence, Quiet};
use crate::sqlite::fingerprint::{Comparison, Fingerprint};

/// How long the pages of instances may take until they say what the runbook's action did, in real time.
const PAGES_LIMIT: Duration = Duration::from_secs(10);
/// How long one of them may take to answer.
const PAGE_LIMIT: Duration = Duration::from_secs(2);
/// How often they are asked.
const PAGES_EVERY_MS: i64 = 200;
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
    // In the night an instance that lets writes in is an alarm for people; a rehearsal has none who look.
    if ctx.session.charter.rehearsal
        && let Err(why) = everywhere(ctx, Sight::On).await
    {
        return Outcome::failed(format!(
            "maintenance was turned on by the runbook's action, and {why}. Neither database was touched"
        ))
        .with_check(Check::new("maintenance_on", false, why));
    }
    ctx.reporter
        .line("maintenance is on; waiting for writes to stop");
    match raise(ctx, quiet_ms).await {
        Ok(fence) => {
            let fingerprint = fence.fingerprint().clone();
            let unproven = fence.unproven();
            let shape = fence.shape(&|table| ctx.runbook.transfer.excludes_table(table));
            *ctx.shared.fence.lock().await = Some(fence);
            let outcome = frozen(ctx, quiet_ms, unproven).await.with_fact(fingerprint);
            match shape {
                Ok(shape) => outcome.with_fact(Shape(shape)),
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
    let others = holders::others(ctx).await.map_or_else(String::new, |others| {
        let others = format!("{others}: the fence refuses its writes from now on, and nobody restarts it on PostgreSQL");
        ctx.reporter.line(&others);
        format!("; {others}")
    });
    let outcome = Outcome::done(format!(
        "no write for {:.1} s; fence raised{others}",
        quiet_ms as f64 / 1000.0
    ))
    .with_check(Check::new("writes_stopped", true, detail));
    match super::smoke::record_answers(ctx).await {
        Ok(answers) => outcome.with_fact(Answers(answers)),
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
    let drift = match written_since(ctx).await {
        Ok(drift) => drift,
        Err(halted) => return halted,
    };
    if let Some(drift) = drift {
        return written(drift);
    }
    if let Err(not_fenced) = fenced(ctx).await {
        return not_fenced;
    }
    if let Err(unseen) = all_on_target(ctx).await {
        return unseen;
    }
    // Before anybody can write. Not knowing what a rollback would cost is no reason to keep the application closed.
    let counters = counters(ctx).await;
    if let Err(why) = run_action(ctx, off, &Placeholders::new(), "maintenance-off").await {
        return Outcome::failed(format!(
            "maintenance could not be lifted: {why}. The application still refuses writes; PostgreSQL is complete. Try again"
        ))
        .passing();
    }
    let outcome = match everywhere(ctx, Sight::Off).await {
        Ok(()) => Outcome::done("writes are open, on PostgreSQL; SQLite stays fenced"),
        Err(why) => Outcome::failed(format!(
            "maintenance was lifted by the runbook's action, and {why}. Users write to PostgreSQL where it is off; SQLite stays fenced. Lift \
             it there by hand, then start {} again",
            ctx.reporter.row
        ))
        .passing(),
    };
    match counters {
        Some(counters) => outcome.with_fact(WrittenBefore(counters)),
        None => outcome,
    }
}

/// Whoever came since the opening has to be seen on PostgreSQL before users write: what it serves otherwise is old, and what it is sent is lost.
async fn all_on_target(ctx: &Context) -> Result<(), Outcome> {
    let why = match newcomers::not_on(ctx, Provider::Postgres).await {
        Ok(others) => match others.into_iter().next() {
            None => return Ok(()),
            Some(first) => format!("an instance came since the session was opened: {first}"),
        },
        Err(why) => why,
    };
    Err(Outcome::failed(format!(
        "{why}. Maintenance was not lifted; the application still refuses writes, and PostgreSQL is complete. Switch such an instance or stop it, and try again"
    ))
    .passing())
}

/// Where an engine took the session up and could not fence SQLite again, nobody would see who writes there: it is fenced before users write to
/// PostgreSQL, and what the file holds is compared with what was frozen.
///
/// # Errors
/// What keeps F4 from opening writes.
async fn fenced(ctx: &Context) -> Result<(), Outcome> {
    if ctx.shared.fence.lock().await.is_some() {
        return Ok(());
    }
    let fence = raise(ctx, 0).await.map_err(|why| {
        Outcome::failed(format!(
            "SQLite is not fenced, so that a process could still write there unseen: {why}. Nothing was opened; the application still refuses \
             writes. End what holds the file and start {} again, or roll back",
            ctx.reporter.row
        ))
        .passing()
    })?;
    let before = ctx.fact::<Fingerprint>().map_err(Outcome::from)?;
    let why = match before.map(|before| before.compare(&fence.found())) {
        Some(Comparison::Same) => None,
        Some(Comparison::Changed(why) | Comparison::Undecided(why)) => Some(why),
        None => Some("there is nothing to compare it with".to_owned()),
    };
    let compared = match why {
        Some(why) => as_kept(ctx, &why).await?,
        None => Ok(()),
    };
    // A fence that was raised too late says nothing of what came before it: the next attempt compares again where this one could not.
    *ctx.shared.fence.lock().await = Some(fence);
    compared.map_err(|drift| {
        ctx.reporter.written(&drift);
        written(drift)
    })
}

/// Whether the file is what the backup holds; `Ok(Err(…))` where it is not, in words.
async fn as_kept(ctx: &Context, why: &str) -> Result<Result<(), String>, Outcome> {
    let Some(Backup(kept)) = ctx.fact::<Backup>().map_err(Outcome::from)? else {
        return Err(Outcome::failed(format!(
            "whether SQLite was written while it was frozen is not known: {why}. Nothing was opened: compare it by hand, or roll back"
        )));
    };
    let file = ctx.runbook.source.file.clone();
    let differs = tokio::task::spawn_blocking(move || kept.differs_from(&file)).await;
    Ok(match differs.expect("BUG: comparing does not panic") {
        None => Ok(()),
        Some(differs) => Err(format!("{why}, and {differs}")),
    })
}

/// What was written while nobody was to write is in no PostgreSQL.
fn written(drift: String) -> Outcome {
    Outcome::failed(format!(
        "{drift}: SQLite was written while it was frozen, and those rows are not in PostgreSQL. Roll back"
    ))
    .with_check(Check::new("verification", false, drift))
}

/// Waits until every instance's page says that maintenance is as it should be. Nothing is said where the runbook names no page, nor of an
/// instance that says neither: the engine tells of that one. Where it had said the opposite, that stands until it says otherwise.
///
/// # Errors
/// An instance says the opposite to the end.
pub(super) async fn everywhere(ctx: &Context, wanted: Sight) -> Result<(), String> {
    let fleet = &ctx.runbook.fleet;
    let Some(page) = &fleet.maintenance else {
        return Ok(());
    };
    let begun = Instant::now();
    let mut opposite: BTreeSet<String> = BTreeSet::new();
    loop {
        let asked = fleet
            .instances
            .iter()
            .map(|instance| by_page(&ctx.shared.http, page, instance, PAGE_LIMIT));
        let seen = futures_util::future::join_all(asked).await;
        for Seen { place, sight, .. } in seen {
            if sight == wanted {
                opposite.remove(&place);
            } else if sight != Sight::Unknown {
                opposite.insert(place);
            }
        }
        if opposite.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > PAGES_LIMIT {
            let others: Vec<String> = opposite.into_iter().collect();
            let others = others.join(", ");
            let is = match wanted {
                Sight::On => "NOT in maintenance",
                Sight::Off | Sight::Unknown => "still in maintenance",
            };
            return Err(format!("{others} is {is}, by its own page"));
        }
        if let Err(halted) = ctx.pause(PAGES_EVERY_MS).await {
            return Err(halted.summary);
        }
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

/// What was written to SQLite since it was frozen, in words: as this engine or an earlier one has seen it. Where an engine died and only the
/// content tells, that is waited for.
///
/// # Errors
/// Halted before it was known.
async fn written_since(ctx: &Context) -> Result<Option<String>, Outcome> {
    if let Some(detail) = &ctx.session.written_after_switch {
        return Ok(Some(detail.clone()));
    }
    let mut content = ctx.shared.content.clone();
    if *content.borrow() == Content::BeingRead {
        ctx.reporter.line(
            "SQLite is being compared with its backup, for an engine died since the switch; writes stay closed until it is known to be the same",
        );
    }
    let known = tokio::select! {
        known = content.wait_for(|content| *content != Content::BeingRead) => known.map(|c| c.clone()),
        () = ctx.cancel.cancelled() => return Err(Outcome::failed("halted before it was done")),
    };
    match known {
        Ok(Content::Differs(detail)) => Ok(Some(detail)),
        Ok(Content::Settled | Content::BeingRead) => Ok(drift(ctx).await),
        Err(_) => Err(Outcome::failed("the engine is ending")),
    }
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
