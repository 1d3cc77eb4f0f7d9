//! E1, E2, E4 and V1, V3–V5: parity, as `parity` sees it. The names of the checks are what T4a–T4d and V judge.

use super::backup::{Kept, proven, read_again, still_proven};
use super::context::Context;
use super::switch::unchanged;
use super::target::{owner, runtime};
use crate::parity::checks::{self, Equal};
use crate::parity::{self, Opening, Sides};
use crate::postgres::load_share::{self, LoadShare};
use crate::postgres::{Endpoint, Error, pooler, write_probe};
use crate::session::facts::{Snapshot, Unproven, Unreadable};
use crate::session::live::ComparedTable;
use crate::session::{Check, LineKind, Outcome, StepStatus};
use crate::text::printable;
use std::sync::{Mutex, PoisonError};

/// Differences of a table that a screen shows.
const EXAMPLES: usize = 50;
/// Characters of one of them.
const EXAMPLE_CHARS: usize = 2_000;

/// One kind of check, and the name under which triggers know it.
#[derive(Clone, Copy)]
enum Kind {
    AllCounts,
    CriticalCounts,
    Slugs,
    Order,
    Joins,
    Distributions,
    Integrity,
    Sequences,
    Rows,
    WriteProbe,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::AllCounts | Kind::CriticalCounts => "row_counts",
            Kind::Slugs => "slugs",
            Kind::Order => "order",
            Kind::Integrity => "integrity",
            Kind::WriteProbe => "write_probe",
            Kind::Joins | Kind::Distributions | Kind::Sequences | Kind::Rows => "samples",
        }
    }
}

/// E1: row counts of every table, backup against PostgreSQL, and that the import has ended.
///
/// How PostgreSQL is at this moment is recorded before anything is counted: F1 switches to nothing that was written later.
pub async fn row_counts(ctx: &Context) -> Outcome {
    let proven = match unchanged::prove(ctx).await {
        Ok(proven) => proven,
        Err(why) => return Outcome::failed(why).passing(),
    };
    let counted = run(ctx, &[Kind::AllCounts], false).await;
    counted.with_fact(proven)
}

/// E2: slugs, ordered slices, joins, null / boolean / date, integrity, and every row's values.
pub async fn samples(ctx: &Context) -> Outcome {
    use Kind::{Distributions, Integrity, Joins, Order, Rows, Sequences, Slugs, WriteProbe};
    run(
        ctx,
        &[
            // What all rows prove, the others need not read again.
            Rows,
            Slugs,
            Order,
            Joins,
            Distributions,
            Integrity,
            Sequences,
            WriteProbe,
        ],
        false,
    )
    .await
}

/// V1: row counts of the critical tables.
pub async fn counts(ctx: &Context) -> Outcome {
    run(ctx, &[Kind::CriticalCounts], true).await
}

/// V3: known slugs resolve.
pub async fn slugs(ctx: &Context) -> Outcome {
    run(ctx, &[Kind::Slugs], true).await
}

/// V4: ordered lists are equal.
pub async fn order(ctx: &Context) -> Outcome {
    run(ctx, &[Kind::Order], true).await
}

/// V5: slugs unique, no orphans, sequences aligned.
pub async fn integrity(ctx: &Context) -> Outcome {
    let kinds = [Kind::Integrity, Kind::Sequences, Kind::WriteProbe];
    run(ctx, &kinds, true).await
}

/// E4: green only when all it needs is done and green. Nothing that was compared is not green.
pub fn parity_gate(ctx: &Context, needs: &[String]) -> Outcome {
    let red: Vec<&str> = needs
        .iter()
        .filter(|id| {
            let state = ctx.session.step(id);
            !state.is_some_and(|s| {
                s.status == StepStatus::Done && s.outcome.as_ref().is_some_and(|o| o.ok)
            })
        })
        .map(String::as_str)
        .collect();
    let detail = match (needs, red.as_slice()) {
        ([], _) => "nothing was compared, for this step needs none".to_owned(),
        (_, []) => format!("{} are green", needs.join(", ")),
        (_, red) => format!("{} are not green; nothing goes on", red.join(", ")),
    };
    let is_green = red.is_empty() && !needs.is_empty();
    Outcome::done(detail.clone()).with_check(Check::new("parity", is_green, detail))
}

/// Runs checks one after the other in one snapshot of PostgreSQL. After the switch a failure is also one of verification.
async fn run(ctx: &Context, kinds: &[Kind], after_switch: bool) -> Outcome {
    let backup = match proven(ctx).await {
        Ok(kept) => kept,
        Err(outcome) => return outcome,
    };
    let outcome = run_on(ctx, &backup, kinds, after_switch).await;
    still_proven(&backup, outcome).await
}

async fn run_on(ctx: &Context, backup: &Kept, kinds: &[Kind], after_switch: bool) -> Outcome {
    let endpoint = match owner(ctx) {
        Ok(endpoint) => endpoint,
        Err(outcome) => return outcome,
    };
    if !after_switch {
        let opening = Opening::default();
        // Whatever the system says of the file, its bytes are read once more beside the parity that is to be built on them.
        let (looked, read) = tokio::join!(
            look(ctx, backup, &endpoint, &opening, kinds),
            read_again(backup)
        );
        return match (read, looked) {
            (Err(changed), _) => changed,
            (Ok(()), Ok(found)) => conclude(ctx, found, None),
            (Ok(()), Err(stopped)) => stopped.before_switch(),
        };
    }
    let opening = match in_production(ctx) {
        Ok(opening) => opening,
        Err(unreadable) => return unreadable.into(),
    };
    let looking = look(ctx, backup, &endpoint, &opening, kinds);
    let (found, share) = load_share::during(&endpoint, parity::APPLICATION_NAME, looking).await;
    ctx.reporter.line(&format!("load: {share}"));
    match found {
        Ok(found) => conclude(ctx, found, Some(share)),
        Err(stopped) => stopped.after_switch(ctx),
    }
}

/// What holds the checks down once PostgreSQL is production.
fn in_production(ctx: &Context) -> Result<Opening, Unreadable> {
    let verification = &ctx.runbook.verification;
    let since = ctx.fact()?;
    Ok(Opening {
        since_snapshot: since.map(|Snapshot(snapshot)| snapshot),
        is_frozen: !ctx
            .session
            .step_of_kind(&LineKind::Reopen)
            .is_some_and(|reopen| reopen.status == StepStatus::Done),
        // At most what PostgreSQL can hold: 24 days.
        statement_limit_ms: verification
            .statement_limit_ms
            .min(i64::from(i32::MAX))
            .try_into()
            .ok(),
        rows_per_second: Some(verification.rows_per_second),
    })
}

type Found = Vec<(Kind, Vec<parity::Check>)>;

/// Why not every check was made.
enum Stopped {
    Halted,
    Unread { error: parity::Error, made: usize },
}

/// Makes the checks one after the other, all in the same moment of PostgreSQL.
async fn look(
    ctx: &Context,
    backup: &Kept,
    endpoint: &Endpoint,
    opening: &Opening,
    kinds: &[Kind],
) -> Result<Found, Stopped> {
    let open = Sides::open(
        &backup.path,
        endpoint,
        &ctx.runbook.target.schema,
        &ctx.runbook.transfer,
        opening,
    );
    let unread = |made| move |error| Stopped::Unread { error, made };
    let sides = open.await.map_err(unread(0))?;
    let (mut found, mut equal) = (Vec::new(), Equal::default());
    for (n, kind) in kinds.iter().enumerate() {
        ctx.reporter
            .progress("checks", n as u64, kinds.len() as u64, "checks");
        let one = tokio::select! {
            one = check(ctx, &sides, *kind, &mut equal) => one,
            () = ctx.cancel.cancelled() => return Err(Stopped::Halted),
        };
        found.push((*kind, one.map_err(unread(n))?));
    }
    // A check that names what happened says more than the rows it happened to.
    found.sort_by_key(|(kind, _)| matches!(kind, Kind::Rows));
    Ok(found)
}

impl Stopped {
    fn why(&self) -> String {
        match self {
            Stopped::Halted => "halted before every check was made".to_owned(),
            Stopped::Unread { error, made } => {
                format!("{error}; {made} kinds of check had been made before that")
            }
        }
    }

    /// A check that could not be made is not green, and not red either: it may be tried again.
    fn before_switch(&self) -> Outcome {
        let outcome = Outcome::failed(self.why());
        match self {
            Stopped::Halted => outcome,
            Stopped::Unread { .. } => outcome.passing(),
        }
    }

    /// After the switch it is V failed, unless nothing but our own limit ended it: then people decide.
    fn after_switch(&self, ctx: &Context) -> Outcome {
        let why = self.why();
        match self {
            Stopped::Halted => Outcome::failed(why),
            Stopped::Unread { error, .. } if error.took_too_long() => Outcome::failed(format!(
                "{why}. Nothing is known to be wrong: a statement needed more than the {} s that `verification.statement_limit` \
                 allows in production",
                ctx.runbook.verification.statement_limit_ms / 1000
            )),
            Stopped::Unread { .. } => {
                Outcome::failed(why.clone()).with_check(Check::new("verification", false, why))
            }
        }
    }
}

async fn check(
    ctx: &Context,
    sides: &Sides,
    kind: Kind,
    equal: &mut Equal,
) -> Result<Vec<parity::Check>, parity::Error> {
    let id = ctx.reporter.row.as_str();
    match kind {
        Kind::AllCounts => {
            let mut found = checks::row_counts(sides, id, None).await?;
            found.extend(checks::import_ended(sides, id).await?);
            Ok(found)
        }
        Kind::CriticalCounts => {
            checks::row_counts(sides, id, Some(&ctx.runbook.verification.critical)).await
        }
        Kind::Slugs => checks::slugs(sides, id).await,
        Kind::Order => checks::lists(sides, id).await,
        Kind::Joins => checks::joins(sides, id, equal).await,
        Kind::Distributions => checks::distributions(sides, id, equal).await,
        Kind::Integrity => checks::integrity(sides, id).await,
        Kind::Sequences => checks::sequences(sides, id).await,
        Kind::Rows => rows(ctx, sides, equal).await,
        Kind::WriteProbe => Ok(write_probe(ctx).await),
    }
}

/// One row per allowed table, written as the application's role and rolled back.
async fn write_probe(ctx: &Context) -> Vec<parity::Check> {
    let tables = &ctx.runbook.verification.write_probe;
    if tables.is_empty() {
        return Vec::new();
    }
    let check = |ok, detail| parity::Check {
        id: ctx.reporter.row.clone(),
        name: "write probe".to_owned(),
        ok,
        detail,
        examples: Vec::new(),
    };
    let connected = async {
        let endpoint = runtime(ctx).map_err(|outcome| outcome.summary)?;
        pooler::connect(&endpoint)
            .await
            .map_err(|error| error.to_string())
    };
    let mut client = match connected.await {
        Ok(client) => client,
        Err(why) => return vec![check(false, format!("no table was probed: {why}"))],
    };
    let mut checks = Vec::new();
    for table in tables {
        let probed = write_probe::probe(&mut client, &ctx.runbook.target.schema, table).await;
        checks.push(match probed {
            Ok(probed) => check(probed.ok, probed.detail),
            Err(error) => {
                let doing = "write a row and roll it back";
                check(
                    false,
                    format!("{table}: {}", Error::of_statement(doing, &error)),
                )
            }
        });
    }
    checks
}

/// Every row and every value; a difference per table is one failed check.
async fn rows(
    ctx: &Context,
    sides: &Sides,
    equal: &mut Equal,
) -> Result<Vec<parity::Check>, parity::Error> {
    let board = Mutex::new(Vec::new());
    let progress = |news: parity::Progress| {
        let mut tables = board.lock().unwrap_or_else(PoisonError::into_inner);
        take(&mut tables, &news);
        ctx.reporter.parity(tables.clone());
        let compared = tables.iter().map(|table| table.compared).sum();
        drop(tables);
        ctx.reporter.progress("all tables", compared, 0, "rows");
        if news.differences > 0 {
            let (table, count) = (&news.table, news.differences);
            ctx.reporter.line(&format!("{table}: {count} differences"));
        }
        // They can be read while other tables are still being compared.
        for example in &news.examples {
            ctx.reporter.line(&format!("    {example}"));
        }
    };
    let report = parity::tables(sides, &parity::Options::default(), &progress, &ctx.cancel).await?;
    *equal = Equal::of(&report);
    let row = &ctx.reporter.row;
    Ok(report.tables.iter().map(|t| t.verdict(row)).collect())
}

/// Brings a table's line up to date, or adds it.
fn take(tables: &mut Vec<ComparedTable>, news: &parity::Progress) {
    let now = ComparedTable {
        table: news.table.clone(),
        compared: news.target_rows,
        found: news.done.then_some((news.equal, news.differences)),
        examples: news
            .examples
            .iter()
            .take(EXAMPLES)
            .map(|e| printable(e, EXAMPLE_CHARS))
            .collect(),
    };
    match tables.iter_mut().find(|line| line.table == now.table) {
        Some(line) => *line = now,
        None => tables.push(now),
    }
}

/// What a row says that found nothing to compare: not that something is equal.
const NOTHING_COMPARED: &str = "nothing was compared: the runbook names nothing for this row";

/// The checks as an outcome; with what they cost production where that is what they were made in.
fn conclude(ctx: &Context, found: Found, share: Option<LoadShare>) -> Outcome {
    let all = found
        .iter()
        .flat_map(|(kind, checks)| checks.iter().map(move |c| (*kind, c)));
    let bad: Vec<(Kind, &parity::Check)> = all.clone().filter(|(_, c)| !c.ok).collect();
    for (kind, check) in all.clone() {
        ctx.reporter.line(&format!(
            "{} {}: {}",
            if check.ok { "ok " } else { "BAD" },
            check.name,
            check.detail
        ));
        // Those of rows were told as they were found.
        if !matches!(kind, Kind::Rows) {
            check
                .examples
                .iter()
                .for_each(|e| ctx.reporter.line(&format!("    {e}")));
        }
    }
    let total = all.count();
    let summary = match bad.first() {
        None if total == 0 => NOTHING_COMPARED.to_owned(),
        None => format!("{total} checks green"),
        Some((_, first)) => format!(
            "{} of {total} checks are red; first: {}",
            bad.len(),
            first.detail
        ),
    };
    let mut outcome = Outcome::done(match share {
        Some(share) => format!("{summary}; {share}"),
        None => summary.clone(),
    });
    if total == 0 {
        outcome = outcome.with_fact(Unproven(NOTHING_COMPARED.to_owned()));
    }
    let mut names: Vec<&str> = found.iter().map(|(k, _)| k.name()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let red = bad.iter().find(|(k, _)| k.name() == name);
        let detail = red.map_or_else(|| "green".to_owned(), |(_, c)| c.detail.clone());
        outcome = outcome.with_check(Check::new(name, red.is_none(), detail));
    }
    if share.is_some() {
        outcome = outcome.with_check(Check::new("verification", bad.is_empty(), summary));
    }
    outcome
}
