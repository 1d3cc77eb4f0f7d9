//! E3 and V2: requests against staging and against each production instance, judged against what the SQLite side answered to the
//! same request once writes had stopped. What writes is V2's alone: before the switch PostgreSQL has to stay as it was loaded.

mod lent;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::context::Context;
use super::target::owner;
use super::{arrival, newcomers, serving, staging};
use crate::fleet::provider::{Provider, Serving};
use crate::fleet::request::judge;
use crate::fleet::{Answer, wait_ready};
use crate::format::hex;
use crate::postgres::row_counts;
use crate::runbook::{CompareBody, Instance, Request, RequestClass};
use crate::session::facts::{Answers, PutAside, Unproven, WriteLeftRows};
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
    let requests = &ctx.runbook.verification.requests;
    ctx.shared.monitor.tokens().prepare(requests.iter()).await;
    for request in requests
        .iter()
        .filter(|r| r.compare_body != CompareBody::No)
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

/// E3: the staging slot, which points at PostgreSQL. Reads only: a row that staging wrote there would be one too many for T4a and V1.
pub async fn staging(ctx: &Context) -> Outcome {
    let Some(staging) = ctx.runbook.fleet.staging.clone() else {
        // In a rehearsal it plays production.
        let playing = ctx.runbook.fleet.instances.first();
        let playing = playing.filter(|_| ctx.session.charter.rehearsal);
        return match playing {
            Some(slot) => lent::rehearse(ctx, slot).await,
            None => Outcome::failed(
                "`fleet.staging` is not in the runbook: nothing can be asked before production is",
            ),
        };
    };
    // Whoever has just switched it has restarted it, too: it may take as long as an instance of production.
    let fleet = &ctx.runbook.fleet;
    let within = Duration::from_millis(fleet.ready_within_ms.max(0).cast_unsigned());
    let (http, needed) = (&ctx.shared.http, fleet.ready_successes);
    ctx.reporter.line("waiting until staging is ready");
    if let Err(error) = wait_ready(http, fleet, &staging, needed, within, &ctx.cancel).await {
        return Outcome::failed(format!("staging is not ready on PostgreSQL: {error}")).passing();
    }
    let serving = serving::look_at(ctx, &staging, LIMIT).await;
    if serving.provider == Some(Provider::Sqlite) {
        let why = format!(
            "{}: nothing that it answers says anything about PostgreSQL. Switch the staging slot to `target.runtime_url`, restart it, and try \
             {} again",
            serving.words(),
            ctx.reporter.row
        );
        return Outcome::failed(why.clone()).with_check(Check::new("smoke", false, why));
    }
    if let Err(why) = arrival::arrive(ctx, std::slice::from_ref(&staging)).await {
        return Outcome::failed(why.clone()).with_check(Check::new("smoke", false, why));
    }
    or_unproven(reads(ctx, &staging).await, &[serving])
}

/// What only reads, judged against what SQLite answered.
async fn reads(ctx: &Context, staging: &Instance) -> Outcome {
    let requests = ctx.runbook.verification.requests.iter();
    let reads: Vec<_> = requests.filter(|r| r.class == RequestClass::Read).collect();
    ask_all(ctx, &reads, std::slice::from_ref(staging), "smoke").await
}

/// What was asked of an instance says little where nobody knows which database answered.
fn or_unproven(mut outcome: Outcome, serving: &[Serving]) -> Outcome {
    let (_, unknown) = serving::sorted(serving, Provider::Postgres);
    let Some(first) = unknown.first().filter(|_| outcome.ok) else {
        return outcome;
    };
    outcome.summary = format!("{}; {first}", outcome.summary);
    let first = Unproven(first.clone());
    outcome.with_fact(first)
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
    if let Err(why) = arrival::arrive(ctx, &instances).await {
        return Outcome::failed(why.clone()).with_check(Check::new("verification", false, why));
    }
    match newcomers::look(ctx).await {
        Ok(came) => {
            let (on_sqlite, _) = serving::sorted(&came, Provider::Sqlite);
            if let Some(first) = on_sqlite.first() {
                let why = format!("an instance that came since the session was opened: {first}");
                return Outcome::failed(why.clone()).with_check(Check::new(
                    "verification",
                    false,
                    why,
                ));
            }
            or_unproven(verified(ctx).await, &[serving, came].concat())
        }
        Err(why) => {
            let mut outcome = or_unproven(verified(ctx).await, &serving);
            if outcome.ok {
                outcome.summary = format!("{}; {why}", outcome.summary);
                outcome = outcome.with_fact(Unproven(why));
            }
            outcome
        }
    }
}

async fn verified(ctx: &Context) -> Outcome {
    // What staging answers from is what it says; that it has left production alone is looked at.
    let Some(watch) = ctx.environment.watch() else {
        return asked(ctx).await;
    };
    let verification = &ctx.runbook.verification;
    let mut requests = verification.requests.iter().chain(&verification.write);
    let writes = requests.any(|request| request.class != RequestClass::Read);
    if let Err(why) = staging::is_on_scratch(ctx, writes).await {
        return Outcome::failed(why);
    }
    let before = match watch.before().await {
        Ok(before) => before,
        Err(why) => return Outcome::failed(format!("{why}. No request was sent")),
    };
    let outcome = asked(ctx).await;
    match watch.after("the requests of `verification`", &before).await {
        Ok(()) => outcome,
        Err(found) => Outcome::failed(found),
    }
}

async fn asked(ctx: &Context) -> Outcome {
    let verification = &ctx.runbook.verification;
    let requests: Vec<_> = verification.requests.iter().collect();
    let instances = &ctx.runbook.fleet.instances;
    let Some(write) = &verification.write else {
        return ask_all(ctx, &requests, instances, "verification").await;
    };
    let rehearsal = ctx.session.charter.rehearsal;
    let before = match rehearsal {
        true => Some(rows(ctx).await),
        false => None,
    };
    let requests: Vec<_> = requests.into_iter().chain([write]).collect();
    let outcome = ask_all(ctx, &requests, instances, "verification").await;
    match before {
        Some(before) => leaves_no_row(ctx, write, before, outcome).await,
        None => outcome,
    }
}

/// How many rows each table of the target has.
async fn rows(ctx: &Context) -> Result<BTreeMap<String, i64>, String> {
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    row_counts::of_schema(&endpoint, &ctx.runbook.target.schema)
        .await
        .map_err(|error| error.to_string())
}

/// In a rehearsal nobody but us uses the application: rows that are there after the representative write were left by it. Where they are
/// meant, counts are taken once more, as V1 takes them, which has to know them as rows that were written since the switch.
async fn leaves_no_row(
    ctx: &Context,
    write: &Request,
    before: Result<BTreeMap<String, i64>, String>,
    outcome: Outcome,
) -> Outcome {
    let left = match (before, rows(ctx).await) {
        (Ok(before), Ok(after)) => left(&before, &after),
        (Err(why), _) | (_, Err(why)) => {
            let why = format!("whether {} leaves a row cannot be told: {why}", write.name);
            return outcome.with_check(Check::new("write_leaves_no_row", false, why));
        }
    };
    if left.is_empty() {
        let said = format!("{} leaves no row", write.name);
        let mut outcome = outcome.with_check(Check::new("write_leaves_no_row", true, &said));
        outcome.summary = format!("{}; {said}", outcome.summary);
        return outcome;
    }
    let said = format!(
        "{} leaves rows behind ({}): tonight each instance will be asked to write one, and it stays",
        write.name,
        left.join(", ")
    );
    ctx.reporter.line(&said);
    if !write.leaves_rows {
        let why = format!(
            "{said}. Let it take its row back, or say that it is meant: `leaves_rows: true` beside it"
        );
        return outcome.with_check(Check::new("write_leaves_no_row", false, why));
    }
    let counted = super::verify::counts(ctx).await;
    let mut outcome = outcome.with_fact(WriteLeftRows(said.clone()));
    outcome.summary = format!(
        "{}; {said}; counted after it: {}",
        outcome.summary, counted.summary
    );
    counted
        .checks
        .into_iter()
        .fold(outcome, Outcome::with_check)
}

/// Tables that have another number of rows than before.
fn left(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> Vec<String> {
    let now = |table: &String| after.get(table).copied().unwrap_or_default();
    let others = before.iter().filter(|(table, rows)| now(table) != **rows);
    others
        .map(|(table, rows)| format!("{table}: {rows} before, {} after", now(table)))
        .collect()
}

async fn ask_all(
    ctx: &Context,
    requests: &[&Request],
    instances: &[Instance],
    check: &str,
) -> Outcome {
    let recorded = match ctx.fact() {
        Ok(answers) => answers.map_or_else(BTreeMap::new, |Answers(answers)| answers),
        Err(unreadable) => return unreadable.into(),
    };
    let total = instances.len() * requests.len();
    if total == 0 {
        let why = "nothing was asked: of `verification.requests` none is for this step";
        return Outcome::done(why).with_fact(Unproven(why.to_owned()));
    }
    let tokens = ctx.shared.monitor.tokens();
    let prepared = tokens.prepare(requests.iter().copied());
    if ctx.cancel.run_until_cancelled(prepared).await.is_none() {
        return Outcome::failed("halted before any request was made");
    }
    let done = AtomicU64::new(0);
    let one = async |instance: &Instance| {
        let mut bad = Vec::new();
        for request in requests {
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
        Some(first) => format!(
            "{} of {total} requests failed; first: {first}{}",
            bad.len(),
            may_be_policy(ctx)
        ),
    };
    let detail = summary.clone();
    Outcome::done(summary).with_check(Check::new(check, bad.is_empty(), detail))
}

/// What D2 left out by policy, which answers may lack.
fn may_be_policy(ctx: &Context) -> String {
    match ctx.fact() {
        Ok(Some(PutAside(tables))) => format!(
            ". By policy the import left out what SQLite has ({}): an answer that shows these differs for that reason",
            tables.join("; ")
        ),
        Ok(None) | Err(_) => String::new(),
    }
}

async fn get(ctx: &Context, request: &Request, instance: &Instance) -> Result<Answer, String> {
    let tokens = ctx.shared.monitor.tokens();
    tokens
        .ask(&ctx.shared.http, request, &instance.url, LIMIT)
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
