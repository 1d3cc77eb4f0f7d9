//! E3 and V2: requests against staging and against each production instance, judged against what the SQLite side answered to the
//! same request once writes had stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::context::Context;
use super::serving;
use crate::fleet::provider::{Provider, Serving};
use crate::fleet::request::{ask, judge};
use crate::fleet::{Answer, ready_once};
use crate::runbook::{Instance, Request};
use crate::session::event::hex;
use crate::session::{Check, Outcome};

/// Time limit of one request. Never scaled.
const LIMIT: Duration = Duration::from_secs(10);
/// Bodies longer than this are compared by what is kept of them, not whole.
const KEPT_BYTES: usize = 64 * 1024;

/// What the SQLite side answers to each request that compares bodies: fact `answers`, request name to body in hex.
///
/// # Errors
/// An instance does not answer as the runbook expects, in a line for people.
pub async fn record_answers(ctx: &Context) -> Result<BTreeMap<String, String>, String> {
    let mut answers = BTreeMap::new();
    let Some(instance) = ctx.runbook.fleet.instances.first() else {
        return Ok(answers);
    };
    for request in ctx
        .runbook
        .verification
        .requests
        .iter()
        .filter(|r| r.compare_body)
    {
        let answer = get(ctx, request, instance).await?;
        judge(request, &answer, None)
            .map_err(|e| format!("{} on {}: {e}", request.name, instance.id))?;
        if answer.body.len() > KEPT_BYTES {
            return Err(format!(
                "{}: the answer has {} bytes, too many to keep for comparison",
                request.name,
                answer.body.len()
            ));
        }
        answers.insert(request.name.clone(), hex(&answer.body));
    }
    Ok(answers)
}

/// E3: the staging slot, which points at PostgreSQL.
pub async fn staging(ctx: &Context) -> Outcome {
    let Some(staging) = ctx.runbook.fleet.staging.clone() else {
        return if ctx.session.charter.rehearsal {
            Outcome::done("the staging slot plays production in a rehearsal; V2 asks it")
        } else {
            Outcome::failed(
                "`fleet.staging` is not in the runbook: nothing can be asked before production is",
            )
        };
    };
    if let Err(error) = ready_once(&ctx.shared.http, &ctx.runbook.fleet, &staging, LIMIT).await {
        return Outcome::failed(format!("staging is not ready on PostgreSQL: {error}")).passing();
    }
    let serving = serving::look_at(ctx, &staging, LIMIT).await;
    if serving.provider == Some(Provider::Sqlite) {
        let why = format!(
            "{}: nothing that it answers says anything about PostgreSQL",
            serving.words()
        );
        return Outcome::failed(why.clone()).with_check(Check::new("smoke", false, why));
    }
    let asked = ask_all(ctx, std::slice::from_ref(&staging), "smoke").await;
    or_unproven(asked, &[serving])
}

/// What was asked of an instance says little where nobody knows which database answered.
fn or_unproven(mut outcome: Outcome, serving: &[Serving]) -> Outcome {
    let (_, unknown) = serving::sorted(serving, Provider::Postgres);
    let Some(first) = unknown.first().filter(|_| outcome.ok) else {
        return outcome;
    };
    outcome.summary = format!("{}; {first}", outcome.summary);
    outcome.with_fact(serving::UNPROVEN, first)
}

/// V2: every production instance, none of which may be on SQLite, and the representative write where the runbook has one.
pub async fn production(ctx: &Context) -> Outcome {
    let instances = ctx.runbook.fleet.instances.clone();
    let serving = serving::look(ctx, &instances, LIMIT).await;
    let (on_sqlite, _) = serving::sorted(&serving, Provider::Sqlite);
    if let Some(first) = on_sqlite.first() {
        let why = format!(
            "{} of {} instances are not on PostgreSQL: {first}",
            on_sqlite.len(),
            instances.len()
        );
        return Outcome::failed(why.clone()).with_check(Check::new("verification", false, why));
    }
    or_unproven(ask_all(ctx, &instances, "verification").await, &serving)
}

async fn ask_all(ctx: &Context, instances: &[Instance], check: &str) -> Outcome {
    let recorded: BTreeMap<String, String> = ctx.fact("answers").unwrap_or_default();
    let requests: Vec<_> = ctx
        .runbook
        .verification
        .requests
        .iter()
        .chain(&ctx.runbook.verification.write)
        .collect();
    let total = instances.len() * requests.len();
    let done = AtomicU64::new(0);
    let one = async |instance: &Instance| {
        let mut bad = Vec::new();
        for request in &requests {
            let kept = recorded.get(&request.name).map(|h| unhex(h));
            let judged = match get(ctx, request, instance).await {
                Ok(answer) => judge(request, &answer, kept.as_deref()).map_err(|e| e.to_string()),
                Err(why) => Err(why),
            };
            if let Err(why) = judged {
                let line = format!("{} on {}: {why}", request.name, instance.id);
                ctx.reporter.line(&line);
                bad.push(line);
            }
            let so_far = done.fetch_add(1, Ordering::Relaxed) + 1;
            ctx.reporter
                .progress("requests", so_far, total as u64, "requests");
        }
        bad
    };
    let asked = futures_util::future::join_all(instances.iter().map(one));
    let Some(bad) = ctx.cancel.run_until_cancelled(asked).await else {
        return Outcome::failed("halted before every request was made");
    };
    let bad: Vec<String> = bad.into_iter().flatten().collect();
    let names: Vec<_> = requests.iter().map(|r| r.name.as_str()).collect();
    let summary = match bad.first() {
        None => format!(
            "{total} requests as expected ({} on {} instances)",
            names.join(", "),
            instances.len()
        ),
        Some(first) => format!("{} of {total} requests failed; first: {first}", bad.len()),
    };
    let detail = summary.clone();
    Outcome::done(summary).with_check(Check::new(check, bad.is_empty(), detail))
}

async fn get(ctx: &Context, request: &Request, instance: &Instance) -> Result<Answer, String> {
    ask(&ctx.shared.http, request, &instance.url, LIMIT)
        .await
        .map_err(|e| format!("{} on {}: {e}", request.name, instance.id))
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes()
        .chunks(2)
        .map(|pair| digit(pair[0]) << 4 | pair.get(1).map_or(0, |c| digit(*c)))
        .collect()
}
