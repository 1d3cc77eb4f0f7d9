//! What is ours and what is not. The one place that removes, empties, drops, renames over or overwrites: whatever is not known to have
//! been made by `cutover` stays, and is named.
//!
//! Not in here: what a runbook tells us to write (`action`), and when rows of an import may go (`transfer`).

pub mod statements;
