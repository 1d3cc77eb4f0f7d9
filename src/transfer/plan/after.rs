//! What is to be done after the import, because PostgreSQL does not do it by itself: materialized views, what triggers would have filled.
//! Whether the server understands the statements of `after_import:` is asked without running them.

use tokio_postgres::Client;

use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::{server, server_message};
use crate::transfer::layout::fire::fires;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::{Plan, Problem};
use crate::transfer::session::application_path;

/// Statements of `after_import:` that the server does not understand. It is asked up to the first one that may make what later ones name.
pub(super) async fn refused(
    client: &Client,
    layout: &Layout,
    transfer: &Transfer,
) -> Result<Vec<Problem>, Error> {
    if transfer.after_import.is_empty() {
        return Ok(Vec::new());
    }
    let doing = || server("looking at the statements of `after_import:`");
    let path = application_path(client, &layout.schema).await?;
    let begin = format!("BEGIN READ ONLY; SET LOCAL search_path = {path}");
    client.batch_execute(&begin).await.map_err(doing())?;
    let mut problems = Vec::new();
    for statement in &transfer.after_import {
        let word = statement.split_whitespace().next().unwrap_or_default();
        let plain = [
            "select", "insert", "update", "delete", "with", "refresh", "analyze",
        ];
        if !plain.contains(&word.to_lowercase().as_str()) {
            break;
        }
        // A statement that is prepared is read and not run. Several in one text cannot be prepared.
        let several = statement.trim_end().trim_end_matches(';').contains(';');
        if several {
            break;
        }
        if let Err(error) = client.prepare(statement).await {
            let ended = error.as_db_error().is_none();
            if ended {
                return Err(doing()(error));
            }
            let reason = format!(
                "`after_import:` has a statement that the server refuses: {}: {}",
                printable(statement, 200),
                server_message(&error)
            );
            problems.push(structural("", "", printable(&reason, 600), None));
            break;
        }
    }
    client.batch_execute("ROLLBACK").await.map_err(doing())?;
    Ok(problems)
}

/// Adds notes for what has to follow the load.
pub(super) fn note(layout: &Layout, transfer: &Transfer, plan: &mut Plan) {
    let mut note = |table: &str, reason: String| -> () {
        let note: Problem = structural(table, "", reason, None);
        plan.notes.push(note);
    };
    for view in layout.materialized() {
        let name = printable(&view.name, 120);
        let holds = if view.populated {
            "holds what the tables held when it was last refreshed"
        } else {
            "has never been filled, and cannot be read until it is"
        };
        let reason = match (transfer.refresh, view.owned) {
            (true, true) => format!("the materialized view {name} is refreshed after the load"),
            (true, false) => format!(
                "the materialized view {name} {holds}; `refresh: true` cannot do it, because the role does not own it: REFRESH MATERIALIZED VIEW {name} as its owner"
            ),
            (false, _) => format!(
                "the materialized view {name} {holds}: after the import REFRESH MATERIALIZED VIEW {name}, or `refresh: true`"
            ),
        };
        note("", reason);
    }
    for statement in &transfer.after_import {
        note(
            "",
            format!("after the import: {}", printable(statement, 200)),
        );
    }
    for table in &layout.tables {
        for trigger in &table.target.triggers {
            let fires = fires(&transfer.fire, &table.target.name, &trigger.name);
            // One of UPDATE, DELETE or TRUNCATE alone would not have run for rows that are inserted, either.
            if !matches!(trigger.enabled, 'O' | 'A') || !trigger.on_insert || fires {
                continue;
            }
            let reason = format!(
                "the trigger {} does not run during the load; what it writes elsewhere (search columns, counters, history) has to be filled by `after_import:`, or by `fire:` for a BEFORE trigger",
                printable(&trigger.name, 80)
            );
            note(&table.source.name, reason);
        }
    }
}
