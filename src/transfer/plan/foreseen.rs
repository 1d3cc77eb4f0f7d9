//! Rows that the server's own rules would refuse and that the runbook wants put aside: found before the load, by the plan's means.

use std::collections::BTreeMap;
use std::path::Path;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::OnProblem;
use crate::target::catalogue::ConstraintKind;
use crate::transfer::Error;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::{Problem, orphans, probe};
use crate::transfer::rows::Foreseen;

/// Whether problems of this column are put aside.
pub fn quarantines(table: &TableLayout, column: &str) -> bool {
    let policy =
        |moving: &crate::transfer::layout::ColumnLayout| moving.converter.policy.on_problem;
    let found = table
        .columns
        .iter()
        .find(|moving| table.source_name(moving) == column);
    found.and_then(policy) == Some(OnProblem::Quarantine)
}

/// The rows to put aside, by their target table's oid. Only tables with `on_problem: quarantine` on a column under a rule are looked at.
pub async fn foresee(
    client: &Client,
    source: &Path,
    layout: &std::sync::Arc<Layout>,
    cancel: &CancellationToken,
) -> Result<BTreeMap<u32, Foreseen>, Error> {
    let mut all = BTreeMap::new();
    let mut any_reference = false;
    for table in &layout.tables {
        let mut foreseen = Foreseen::new();
        if asks_for(table, |kind| kind != ConstraintKind::Foreign) {
            let probed = probe::probe(client, source, table, layout.encoding, None, cancel).await?;
            for problem in probed
                .problems
                .into_iter()
                .filter(|problem| quarantines(table, &problem.column))
            {
                foreseen.insert(problem.rowid, (problem.column, problem.reason));
            }
        }
        any_reference |= asks_for(table, |_| true);
        all.insert(table.target.oid, foreseen);
    }
    if any_reference {
        let (path, shared) = (source.to_path_buf(), layout.clone());
        let found = tokio::task::spawn_blocking(move || orphans::orphans(&path, &shared));
        for orphan in found
            .await
            .expect("BUG: looking for orphans panicked")?
            .into_iter()
            .filter(|orphan| orphan.quarantined)
        {
            let foreseen = all.entry(orphan.table_oid).or_default();
            let Problem { column, reason, .. } = orphan.problem;
            foreseen.insert(orphan.problem.rowid, (column, reason));
        }
    }
    Ok(all)
}

/// Whether a column under a constraint, a unique index, an index with a limit or a domain's check is put aside on problems.
fn asks_for(table: &TableLayout, counts: impl Fn(ConstraintKind) -> bool) -> bool {
    table.columns.iter().any(|column| {
        let name = &column.target.name;
        let constrained = table
            .target
            .constraints
            .iter()
            .any(|constraint| counts(constraint.kind) && constraint.columns.contains(name));
        let indexed = table
            .target
            .indexes
            .iter()
            .filter(|index| index.unique || probe::may_be_too_long(table, index, None));
        let indexed = indexed
            .flat_map(|index| &index.columns)
            .any(|key| key.as_ref().is_none_or(|key| key == name));
        let ruled = constrained || indexed || !column.target.ty.domain_checks.is_empty();
        ruled && column.converter.policy.on_problem == Some(OnProblem::Quarantine)
    })
}
