//! Rows that the server's own rules would refuse and that the runbook has an answer for: found before the load, by the plan's means.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::runbook::transfer::OnProblem;
use crate::target::catalogue::ConstraintKind;
use crate::transfer::Error;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::consequences::{self, Action, Gone, action};
use crate::transfer::plan::{probe, scan};
use crate::transfer::rows::{Fault, Foreseen};

/// The rows at fault and what is done about each, by their target table's oid. Only tables with `on_problem: quarantine` or `null` on some
/// column are asked about, and what hangs on them.
pub async fn foresee(
    client: &Client,
    source: &Path,
    layout: &Arc<Layout>,
    cancel: &CancellationToken,
) -> Result<BTreeMap<u32, Foreseen>, Error> {
    let mut all: BTreeMap<u32, Foreseen> = BTreeMap::new();
    let mut gone: Gone = vec![Default::default(); layout.tables.len()];
    if !layout.tables.iter().any(has_answer) {
        return Ok(all);
    }
    for (place, table) in layout.tables.iter().enumerate() {
        if !has_answer(table) {
            continue;
        }
        let probed = probe::probe(client, source, table, layout.encoding, None, cancel).await?;
        for problem in probed.problems {
            let Some(action) = action(table, &problem.column) else {
                continue;
            };
            if action == Action::Aside {
                gone[place].insert(problem.rowid.clone());
            }
            all.entry(table.target.oid)
                .or_default()
                .entry(problem.rowid)
                .or_default()
                .push(Fault {
                    column: problem.column,
                    reason: problem.reason,
                    nulls: action == Action::Null,
                });
        }
    }
    let (path, shared) = (source.to_path_buf(), layout.clone());
    let following = tokio::task::spawn_blocking(move || {
        for (place, table) in shared.tables.iter().enumerate() {
            if is_parent(&shared, table) && may_put_aside(table) {
                gone[place].extend(scan::put_aside(&path, &shared, table)?);
            }
        }
        consequences::follow(&path, &shared, &mut gone)
    });
    let orphans = following
        .await
        .expect("BUG: following the foreign keys panicked")?;
    for orphan in orphans {
        let Some(action) = orphan.stated else {
            continue;
        };
        let rows = all
            .entry(layout.tables[orphan.table].target.oid)
            .or_default()
            .entry(orphan.problem.rowid)
            .or_default();
        rows.push(Fault {
            column: orphan.problem.column,
            reason: orphan.problem.reason,
            nulls: action == Action::Null,
        });
    }
    Ok(all)
}

/// Whether the transfer section says something about rows or values at fault in this table.
fn has_answer(table: &TableLayout) -> bool {
    let answer =
        |policy: Option<OnProblem>| matches!(policy, Some(OnProblem::Quarantine | OnProblem::Null));
    table
        .columns
        .iter()
        .any(|column| answer(column.converter.policy.on_problem))
}

fn may_put_aside(table: &TableLayout) -> bool {
    table
        .columns
        .iter()
        .any(|column| column.converter.policy.on_problem == Some(OnProblem::Quarantine))
}

/// Whether rows of tables that move refer to this one.
fn is_parent(layout: &Layout, table: &TableLayout) -> bool {
    let mut keys = layout
        .tables
        .iter()
        .flat_map(|child| &child.target.constraints)
        .filter(|key| key.kind == ConstraintKind::Foreign);
    keys.any(|key| {
        key.references
            .as_ref()
            .is_some_and(|(oid, ..)| *oid == table.target.oid)
    })
}
