//! What is to be done after the import, because PostgreSQL does not do it by itself: materialized views, what triggers would have filled.
//! Pure.

use crate::runbook::transfer::Transfer;
use crate::text::printable;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::{Plan, Problem};

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
            let fires = transfer.fire.contains(&trigger.name);
            if !matches!(trigger.enabled, 'O' | 'A') || fires {
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
