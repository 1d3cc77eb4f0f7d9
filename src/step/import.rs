//! D1–D4: the order, the rows, the sequences, the constraints. The work is `transfer`'s; each row here calls its part and says what
//! came of it.

use super::backup::{Kept, proven, still_proven};
use super::context::Context;
use super::in_use;
use super::target::owner;
use crate::session::live::{PlanView, PlannedColumn, PlannedTable};
use crate::session::{Check, Outcome, discard};
use crate::target::Endpoint;
use crate::target::sequences::Aligned;
use crate::text::printable;
use crate::transfer::copy::{self, Copied, Options, account};
use crate::transfer::occupied::{Disagreement, Discard};
use crate::transfer::plan::{self, Plan, Scan};
use crate::transfer::{Error, Progress};

/// Problems of a table that a screen lists.
const PROBLEMS: usize = 20;
/// Characters of a table's name: as many as progress keeps of it, for that is found by it.
const NAME_CHARS: usize = 200;
/// Characters of a type or a problem.
const TEXT_CHARS: usize = 300;

/// D1: the tables in the order in which they go, and every value that will not convert. A plan with problems stops here, before
/// anything was written.
pub async fn order(ctx: &Context) -> Outcome {
    let (endpoint, backup) = match sides(ctx).await {
        Ok(sides) => sides,
        Err(outcome) => return outcome,
    };
    let outcome = order_of(ctx, &endpoint, &backup).await;
    still_proven(&backup, outcome).await
}

async fn order_of(ctx: &Context, endpoint: &Endpoint, backup: &Kept) -> Outcome {
    let schema = &ctx.runbook.target.schema;
    let progress = progress(ctx);
    let planned = plan::plan(
        &backup.path,
        endpoint,
        schema,
        &ctx.runbook.transfer,
        Scan::Full,
        &progress,
        &ctx.cancel,
    )
    .await;
    let plan = match planned {
        Ok(plan) => plan,
        Err(error) => return failed(&error),
    };
    for problem in &plan.problems {
        ctx.reporter.line(&problem.to_string());
    }
    ctx.reporter.plan(shown(&plan));
    let names: Vec<&str> = plan.tables.iter().map(|t| t.table.as_str()).collect();
    // D2 asks for the numbers, and counts once more before it deletes anything.
    for table in &plan.occupied {
        ctx.reporter
            .line(&format!("`target_rows: replace` empties {table}"));
    }
    let detail = match plan.problems.first() {
        None => format!("{} tables: {}", names.len(), names.join(", ")),
        Some(first) => format!(
            "{} problems, first: {first}. Nothing was written; see `cutover plan`",
            plan.problems.len()
        ),
    };
    Outcome::done(detail.clone())
        .with_check(Check::new("plan", plan.problems.is_empty(), detail))
        .with_fact("plan_hash", &plan.hash)
        .with_fact("order", names)
}

/// The plan as people look at it, made harmless.
fn shown(plan: &Plan) -> PlanView {
    let safe = |text: &str| printable(text, TEXT_CHARS);
    let column = |c: &plan::PlannedColumn| PlannedColumn {
        column: safe(&c.column),
        source: safe(&c.source),
        target: safe(&c.target),
        conversion: safe(&c.conversion),
    };
    let table = |t: &plan::PlannedTable| {
        let problems = plan.problems.iter().filter(|p| p.table == t.table);
        let all: Vec<String> = problems.map(|p| safe(&p.to_string())).collect();
        let column_of = format!("{}.", t.table);
        let unlisted = plan
            .unlisted
            .iter()
            .filter(|(of, _)| of.starts_with(&column_of));
        let unlisted: u64 = unlisted.map(|(_, n)| n).sum();
        PlannedTable {
            table: printable(&t.table, NAME_CHARS),
            target: safe(&t.target),
            rows: t.rows,
            bytes: t.bytes,
            columns: t.columns.iter().map(column).collect(),
            more_problems: all.len().saturating_sub(PROBLEMS) as u64 + unlisted,
            problems: all.into_iter().take(PROBLEMS).collect(),
        }
    };
    PlanView {
        tables: plan.tables.iter().map(table).collect(),
    }
}

/// D2: all rows, in batches that commit with their own checkpoint. An interrupted load goes on from the last.
///
/// Nothing is emptied or written before it is seen that nobody uses the target.
pub async fn load(ctx: &Context) -> Outcome {
    if let Err(in_use) = in_use::is_free(ctx).await {
        return in_use;
    }
    let sides = match sides(ctx).await {
        Ok(sides) => sides,
        Err(outcome) => return outcome,
    };
    let outcome = load_of(ctx, &sides).await;
    still_proven(&sides.1, outcome).await
}

async fn load_of(ctx: &Context, sides: &(Endpoint, Kept)) -> Outcome {
    // What a person agreed to lose when they started this step.
    let agreed = ctx.session.steps.get(ctx.index);
    let agreed = agreed.map_or_else(Discard::new, |state| state.discard.clone());
    match copied_from(ctx, sides, agreed.clone()).await {
        Ok(copied) => {
            let tables: Vec<(String, u64)> = copied
                .tables
                .iter()
                .map(|t| (t.table.clone(), t.rows))
                .collect();
            let mut summary = format!(
                "{} rows of {} tables in {:.1} s",
                copied.rows,
                tables.len(),
                copied.seconds
            );
            if copied.quarantined > 0 {
                summary.push_str(&format!(
                    "; {} rows put aside by policy",
                    copied.quarantined
                ));
            }
            let account = account::summary(&copied.account);
            summary.push_str(&format!("; {account}"));
            let complete = copied.problems.is_empty();
            let detail = copied
                .problems
                .first()
                .map_or_else(|| summary.clone(), ToString::to_string);
            Outcome::done(if complete { summary } else { detail.clone() })
                .with_check(Check::new("import", complete, detail))
                .with_check(Check::new("account", true, account))
                .with_fact("imported", tables)
                .with_fact("account", &copied.account)
                .with_fact("policies", &copied.policies)
        }
        Err(Error::Discard(against)) => {
            let asked = asked_anew(&against, agreed);
            Outcome::failed(Error::Discard(against).to_string()).with_fact(discard::FACT, asked)
        }
        Err(error) => failed(&error),
    }
}

/// Every number that has to be typed: what was agreed to and is right, and what was found instead of what is not.
fn asked_anew(against: &[Disagreement], agreed: Discard) -> Discard {
    let mut asked = agreed;
    for wrong in against {
        asked.remove(&wrong.table);
        let found = wrong.found.as_ref();
        asked.extend(found.map(|found| (found.table.clone(), found.lacking.unwrap_or_default())));
    }
    asked.retain(|_, rows| *rows > 0);
    asked
}

/// D3: every identity and sequence is beyond the highest id that the source ever gave out, read back.
pub async fn sequences(ctx: &Context) -> Outcome {
    match copied(ctx).await {
        Ok(copied) => {
            let bad: Vec<&Aligned> = copied.sequences.iter().filter(|s| !s.proven).collect();
            let detail = match bad.first() {
                None => format!("{} sequences aligned and proven", copied.sequences.len()),
                Some(s) => format!(
                    "{}: the next insert into {}.{} would fail or repeat an id",
                    s.sequence, s.table, s.column
                ),
            };
            Outcome::done(detail.clone())
                .with_check(Check::new("sequences", bad.is_empty(), detail))
                .with_fact("sequences", &copied.sequences)
        }
        Err(error) => failed(&error),
    }
}

/// D4: what the load had taken down is back, and valid.
pub async fn constraints(ctx: &Context) -> Outcome {
    match copied(ctx).await {
        Ok(copied) => Outcome::done(format!(
            "{} constraints and indexes back, proven",
            copied.constraints_rebuilt
        ))
        .with_check(Check::new(
            "constraints",
            true,
            "every definition is as it was, and valid",
        )),
        Err(error) => failed(&error),
    }
}

/// The whole import; what is done already is found done.
async fn copied(ctx: &Context) -> Result<Copied, Error> {
    let sides = sides(ctx).await.map_err(|o| Error::Target(o.summary))?;
    copied_from(ctx, &sides, Discard::new()).await
}

async fn copied_from(
    ctx: &Context,
    (endpoint, backup): &(Endpoint, Kept),
    discard: Discard,
) -> Result<Copied, Error> {
    let options = Options {
        discard,
        run: Some(format!("{} {}", ctx.folder.session(), backup.sha256)),
        ..Options::default()
    };
    let schema = &ctx.runbook.target.schema;
    let progress = progress(ctx);
    copy::copy(
        &backup.path,
        endpoint,
        schema,
        &ctx.runbook.transfer,
        &options,
        &progress,
        &ctx.cancel,
    )
    .await
}

async fn sides(ctx: &Context) -> Result<(Endpoint, Kept), Outcome> {
    Ok((owner(ctx)?, proven(ctx).await?))
}

fn progress(ctx: &Context) -> impl Fn(Progress) + Sync + use<> {
    let reporter = ctx.reporter.clone();
    move |p| super::progress_of_transfer(&reporter, &p)
}

fn failed(error: &Error) -> Outcome {
    let outcome = Outcome::failed(format!(
        "{error}. SQLite and its backup are untouched; PostgreSQL holds the batches that were committed, and the import goes on from there"
    ));
    if error.is_passing() {
        outcome.passing()
    } else {
        outcome
    }
}
