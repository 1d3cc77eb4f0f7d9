//! Whether PostgreSQL is at F1 what E has proven: no row of a moved table is newer, none is gone, and the schema is complete. E1 records
//! how each table was before it counts; F1 looks again, so that nothing that anybody wrote in between is released unproven.

use crate::parity::moment::{self, Moment, Moved};
use crate::parity::{Opening, Sides};
use crate::runbook::StepKind;
use crate::session::{Check, Outcome};
use crate::step::backup::proven;
use crate::step::context::Context;
use crate::step::migrate;
use crate::step::target::owner;

/// How PostgreSQL is now.
///
/// # Errors
/// A side cannot be read, in words; that may pass.
pub async fn prove(ctx: &Context) -> Result<Moment, String> {
    let backup = proven(ctx).await.map_err(|missing| missing.summary)?;
    let endpoint = owner(ctx).map_err(|wrong| wrong.summary)?;
    let target = &ctx.runbook.target;
    let opening = Opening::default();
    let transfer = &ctx.runbook.transfer;
    let opened = Sides::open(&backup.path, &endpoint, &target.schema, transfer, &opening).await;
    let sides = opened.map_err(|e| e.to_string())?;
    moment::of(&sides).await.map_err(|e| e.to_string())
}

/// Whether everything that E has proven still holds; what does not is a failed check. Nothing at all where E1 left nothing to compare
/// with.
///
/// # Errors
/// PostgreSQL cannot be read: a failed outcome that may pass.
pub async fn look(ctx: &Context) -> Result<Vec<Check>, Outcome> {
    let mut checks = Vec::new();
    if let Some(then) = ctx.fact::<Moment>()? {
        let endpoint = owner(ctx)?;
        let total = then.tables.len() as u64;
        let looked = |n: usize| {
            ctx.reporter
                .progress("unchanged since E1", n as u64, total, "tables");
        };
        let moved = moment::moved_since(&endpoint, &then, &looked).await;
        let moved = moved.map_err(|error| unread(&error.to_string()))?;
        checks.extend(judge(
            &moved,
            then.tables.len(),
            &ctx.runbook.verification.critical,
        ));
    }
    let has_history = |kind: &StepKind| matches!(kind, StepKind::MigrationHistory);
    if ctx.runbook.steps.iter().any(|s| has_history(&s.kind)) {
        let again = migrate::look(ctx).await;
        checks.extend(again.map_err(|why| unread(&why))?.checks);
    }
    Ok(checks)
}

/// What the tables that moved come to. Rows that a critical table has gained or lost are T4a.
fn judge(moved: &[Moved], tables: usize, critical: &[String]) -> Vec<Check> {
    let lost_or_gained = |m: &&Moved| {
        let mut named = critical.iter();
        m.now != m.before && named.any(|name| name.eq_ignore_ascii_case(&m.table))
    };
    let counts = moved.iter().find(lost_or_gained);
    let counts = counts.map(|m| Check::new("row_counts", false, m.words()));
    let detail = match moved.first() {
        None => format!("{tables} tables are as E1 found them"),
        Some(first) => format!(
            "{} tables were written on PostgreSQL after E1 had recorded them; {}",
            moved.len(),
            first.words()
        ),
    };
    let unchanged = Check::new("target_unchanged", moved.is_empty(), detail);
    counts.into_iter().chain([unchanged]).collect()
}

fn unread(why: &str) -> Outcome {
    Outcome::failed(format!(
        "whether PostgreSQL is as E has proven it cannot be seen: {why}. Nothing was switched; the application is on SQLite"
    ))
    .passing()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_newer_row_is_refused_and_a_count_of_a_critical_table_is_t4a() {
        let moved = |table: &str, newer, before, now| Moved {
            table: table.to_owned(),
            newer,
            before,
            now,
        };
        let critical = ["Tools".to_owned()];
        let red = |moved: &[Moved]| -> Vec<String> {
            let checks = judge(moved, 3, &critical);
            let red = checks.into_iter().filter(|c| !c.ok);
            red.map(|c| c.name).collect()
        };
        assert!(red(&[]).is_empty());
        assert_eq!(red(&[moved("Tools", 1, 5, 5)]), ["target_unchanged"]);
        assert_eq!(red(&[moved("Tags", 0, 5, 4)]), ["target_unchanged"]);
        assert_eq!(
            red(&[moved("Tags", 1, 5, 5), moved("Tools", 0, 5, 4)]),
            ["row_counts", "target_unchanged"]
        );
    }
}
