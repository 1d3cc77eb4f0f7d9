//! Rows that the server's own rules would refuse and that the runbook has an answer for: found before the load, by the plan's means.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::postgres::catalogue::ConstraintKind;
use crate::runbook::transfer::OnProblem;
use crate::transfer::Error;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::consequences::{self, Fates};
use crate::transfer::plan::fates::{self, Look};
use crate::transfer::plan::scan;
use crate::transfer::rows::{Fault, Foreseen};

/// The rows at fault and what is done about each, by their target table's oid. Only tables with `on_problem: quarantine` or `null` on some
/// column are asked about, and what hangs on them.
pub async fn foresee(
    client: &Client,
    source: &Path,
    layout: &Arc<Layout>,
    cancel: &CancellationToken,
) -> Result<BTreeMap<u32, Foreseen>, Error> {
    if !layout.tables.iter().any(has_answer) {
        return Ok(BTreeMap::new());
    }
    let (path, shared) = (source.to_path_buf(), layout.clone());
    let scanning = tokio::task::spawn_blocking(move || {
        let behind = |table: &TableLayout| {
            let rows = if matters(&shared, table) && may_put_aside(table) {
                scan::put_aside(&path, &shared, table)?
            } else {
                Vec::new()
            };
            let rows = rows.into_iter().map(|row| (row, vec![Fault::of_values()]));
            Ok(Arc::new(rows.collect()))
        };
        shared.tables.iter().map(behind).collect()
    });
    let start: Result<Fates, Error> = scanning.await.expect("BUG: the scan panicked");
    let asks: Vec<bool> = layout.tables.iter().map(has_answer).collect();
    let look = Look {
        client: Some(client),
        source,
        layout,
        scanned: None,
        asks: &asks,
        cancel,
    };
    let told = fates::tell(look, start?).await?;
    let mut all: BTreeMap<u32, Foreseen> = BTreeMap::new();
    for (table, rows) in layout.tables.iter().zip(told.fates) {
        let mut rows = Arc::unwrap_or_clone(rows);
        rows.retain(|_, faults| {
            faults.retain(|fault| fault.is_stated);
            !faults.is_empty()
        });
        if !rows.is_empty() {
            all.insert(table.target.oid, rows);
        }
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

/// Whether it matters for other rows that one of this table is put aside: rows refer to it, or it keeps them apart.
fn matters(layout: &Layout, table: &TableLayout) -> bool {
    let mut constraints = table.target.constraints.iter();
    let excludes = constraints.any(|key| key.kind == ConstraintKind::Exclusion);
    let is_unique = table.target.indexes.iter().any(|index| index.unique);
    excludes || is_unique || is_parent(layout, table)
}

/// Whether rows of tables that move refer to this one.
fn is_parent(layout: &Layout, table: &TableLayout) -> bool {
    let mut keys = layout
        .tables
        .iter()
        .flat_map(|child| &child.target.constraints)
        .filter(|key| key.kind == ConstraintKind::Foreign);
    keys.any(|key| {
        let parent = consequences::parent(layout, key).map(|place| &layout.tables[place]);
        parent.is_some_and(|parent| parent.target.oid == table.target.oid)
    })
}
