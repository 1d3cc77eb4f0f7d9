//! D1–D4: the order, the rows, the sequences, the constraints. The work is `transfer`'s; each row here calls its part and says what
//! came of it.

use std::collections::BTreeMap;

use super::backup::{Kept, proven, still_proven};
use super::context::Context;
use super::facts::Account;
use super::in_use;
use super::target::owner;
use crate::format::counted;
use crate::postgres::Endpoint;
use crate::postgres::sequences::Aligned;
use crate::session::facts::{
    self, Imported, Numbered, Order, PlanHash, Policies, PutAside, Sequences,
};
use crate::session::live::{PlanView, PlannedColumn, PlannedTable};
use crate::session::{Check, Outcome};
use crate::text::printable;
use crate::transfer::copy::ended::Ended;
use crate::transfer::copy::evidence::Aside;
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
    let names: Vec<String> = plan.tables.iter().map(|t| t.table.clone()).collect();
    // D2 asks for the numbers, and counts once more before it deletes anything.
    for table in &plan.occupied {
        ctx.reporter
            .line(&format!("`target_rows: replace` empties {table}"));
    }
    let detail = match plan.problems.first() {
        None => format!("{} tables: {}", names.len(), names.join(", ")),
        Some(first) => format!(
            "{}, first: {first}. Nothing was written. Where PostgreSQL can be changed to take it, do that and start this step again; otherwise roll \
             back, which lifts the freeze, settle it as `cutover plan` says, and rehearse",
            counted(plan.problems.len() as u64, "problem")
        ),
    };
    Outcome::done(detail.clone())
        .with_check(Check::new("plan", plan.problems.is_empty(), detail))
        .with_fact(PlanHash(plan.hash.clone()))
        .with_fact(Order(names))
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
            let aside = put_aside(&copied.aside);
            if let Some(aside) = &aside {
                summary.push_str(&format!("; {}", aside.summary));
            }
            let account = account::summary(&copied.account);
            summary.push_str(&format!("; {account}"));
            let complete = copied.problems.is_empty();
            let detail = copied
                .problems
                .first()
                .map_or_else(|| summary.clone(), ToString::to_string);
            let outcome = Outcome::done(if complete { summary } else { detail.clone() })
                .with_check(Check::new("import", complete, detail))
                .with_check(Check::new("account", true, account))
                .with_fact(Imported(tables))
                .with_fact(Account(&copied.account))
                .with_fact(Policies(copied.policies));
            match aside {
                Some(aside) => outcome.with_fact(PutAside(aside.by_table)),
                None => outcome,
            }
        }
        Err(Error::Discard(against)) => {
            let asked = asked_anew(&against, agreed);
            Outcome::failed(Error::Discard(against).to_string()).with_fact(facts::Discard(asked))
        }
        Err(error) => failed(&error),
    }
}

/// What policies put aside, in words.
#[derive(Debug, PartialEq, Eq)]
struct InWords {
    summary: String,
    by_table: Vec<String>,
}

/// A value that became NULL stays with its row, which was sent; a row that was put aside was not. `None` where there is neither.
fn put_aside(aside: &[Aside]) -> Option<InWords> {
    // Values and rows.
    let mut tables: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for one in aside {
        let (values, rows) = tables.entry(&one.table).or_default();
        match one.policy.ends_with("null") {
            true => *values += one.count,
            false => *rows += one.count,
        }
    }
    let said = |values: u64, rows: u64| {
        format!(
            "{} set to NULL by policy, {} put aside",
            counted(values, "value"),
            counted(rows, "row")
        )
    };
    let values: u64 = tables.values().map(|(values, _)| *values).sum();
    let rows: u64 = tables.values().map(|(_, rows)| *rows).sum();
    (!tables.is_empty()).then(|| InWords {
        summary: said(values, rows),
        by_table: tables
            .iter()
            .map(|(table, (values, rows))| {
                let table = printable(table, NAME_CHARS);
                format!("{table}: {}", said(*values, *rows))
            })
            .collect(),
    })
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
    let aligned = async {
        let (ended, backup) = ended(ctx).await?;
        let aligned = ended.sequences(&backup.path).await;
        aligned.map_err(|error| failed(&error))
    };
    let aligned = match aligned.await {
        Ok(aligned) => aligned,
        Err(outcome) => return outcome,
    };
    let bad: Vec<&Aligned> = aligned.iter().filter(|s| !s.proven).collect();
    let detail = match bad.first() {
        None => format!("{} sequences aligned and proven", aligned.len()),
        Some(s) => format!(
            "{}: the next insert into {}.{} would fail or repeat an id",
            s.sequence, s.table, s.column
        ),
    };
    Outcome::done(detail.clone())
        .with_check(Check::new("sequences", bad.is_empty(), detail))
        .with_fact(Sequences(aligned.iter().map(numbered).collect()))
}

/// The whole of it, for people; what the rollback needs of it by name.
fn numbered(aligned: &Aligned) -> Numbered {
    let whole = serde_json::to_value(aligned).expect("BUG: a sequence is plain data");
    serde_json::from_value(whole).expect("BUG: a sequence has a name, a table and a number")
}

/// D4: what the load had taken down is back and in force, by the server's own catalogue.
pub async fn constraints(ctx: &Context) -> Outcome {
    let put_back = async {
        let (ended, _) = ended(ctx).await?;
        ended.put_back().await.map_err(|error| failed(&error))
    };
    let put_back = match put_back.await {
        Ok(put_back) => put_back,
        Err(outcome) => return outcome,
    };
    for wrong in &put_back.wrong {
        ctx.reporter.line(wrong);
    }
    let detail = match put_back.wrong.first() {
        None => format!(
            "{} constraints, indexes and triggers are in force again",
            put_back.in_force
        ),
        Some(first) if put_back.wrong.len() == 1 => first.clone(),
        Some(first) => format!("{} are not back, first: {first}", put_back.wrong.len()),
    };
    let is_whole = put_back.wrong.is_empty();
    Outcome::done(detail.clone()).with_check(Check::new("constraints", is_whole, detail))
}

/// What D2 has ended, on record in the target, and the backup that it came from.
async fn ended(ctx: &Context) -> Result<(Ended, Kept), Outcome> {
    let (endpoint, backup) = sides(ctx).await?;
    let schema = &ctx.runbook.target.schema;
    let run = run_of(ctx, &backup);
    let found = Ended::find(&backup.path, &endpoint, schema, &ctx.runbook.transfer, &run).await;
    let ended = found.map_err(|error| failed(&error))?;
    Ok((ended, backup))
}

/// What names the import of this session: it goes on with no other's.
fn run_of(ctx: &Context, backup: &Kept) -> String {
    format!("{} {}", ctx.folder.session(), backup.sha256)
}

async fn copied_from(
    ctx: &Context,
    (endpoint, backup): &(Endpoint, Kept),
    discard: Discard,
) -> Result<Copied, Error> {
    let options = Options {
        discard,
        run: Some(run_of(ctx, backup)),
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
        "{error}. An import writes neither to SQLite nor to its backup; PostgreSQL holds the batches that were committed, and the import goes on from there"
    ));
    if error.is_passing() {
        outcome.passing()
    } else {
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_became_null_are_no_rows_that_were_put_aside() {
        let aside = |table: &str, count, policy| Aside {
            table: table.to_owned(),
            column: "status".to_owned(),
            count,
            policy,
            reason: "it is no number".to_owned(),
        };
        assert_eq!(put_aside(&[]), None);
        let both = [
            aside("Orders", 2, "on_problem: null"),
            aside("Orders", 1, "on_problem: quarantine"),
            aside("Tags", 3, "on_problem: null"),
        ];
        let said = put_aside(&both).expect("words");
        assert_eq!(
            said.summary,
            "5 values set to NULL by policy, 1 row put aside"
        );
        assert_eq!(
            said.by_table,
            [
                "Orders: 2 values set to NULL by policy, 1 row put aside",
                "Tags: 3 values set to NULL by policy, 0 rows put aside"
            ]
        );
    }
}
