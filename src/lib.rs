//! `cutover` takes an application from SQLite to PostgreSQL, live, with a rollback key.
//!
//! The modules in reading order. The first three are pure: no clock, no files, no sockets.
//!
//! 1. [`runbook`]: what the operator writes: model, parsing with locations, cross-checks.
//! 2. [`session`]: the rules: events, commands, `decide`, `apply`, gates, roles, confidence.
//! 3. [`trigger`]: samples and rules in; clear, burning, blind or fired out, and why.
//! 4. [`journal`]: the append-only, hash-chained log, and samples and progress beside it.
//! 5. [`engine`]: the loop: the only one that appends, the only one that starts steps.
//! 6. [`step`]: one file per kind of step: what it does, and how it finds out what happened after a crash.
//! 7. [`sqlite`]: SQLite: open, schema, write fence, backup.
//! 8. [`postgres`]: PostgreSQL: connect, TLS, catalogue, roles, migrations, sequences.
//! 9. [`transfer`]: rows from source to target: plan, encode, lanes, constraints, checkpoints.
//! 10. [`parity`]: the independent checker; shares no conversion code with `transfer`.
//! 11. [`salvage`]: what was written to the target since the switch, found and brought back into SQLite.
//! 12. [`fleet`]: instances: configuration switch, restart, readiness.
//! 13. [`monitor`]: probes that make samples.
//! 14. [`cockpit`]: the terminal UI; sees only `session` and `journal`.
//! 15. [`report`]: the evidence: a page with pictures, Markdown, JSON, and all by which it can be checked.
//! 16. [`demo`]: the sandbox: sample application, throwaway PostgreSQL, traffic, faults.
//! 17. [`cli`]: one file per subcommand.
//!
//! Beside them: [`feed`] follows what is written to the target from the switch on; [`delta`] tells which rows differ between two snapshots.
//!
//! Small and used by many: [`action`] runs what a runbook tells us to run, [`production`] compares production around each
//! action of a rehearsal, [`claim`] says which session has a database, [`clock`] is the one place that reads time, [`format`] says how numbers and times read, [`history`] reads a
//! session from its folder, [`identity`] says by what a database is known, [`listen`] answers HTTP with limits, [`ours`] what is ours to remove, [`secret`] hides what must not
//! be shown, [`ssh`] makes and checks signatures, [`text`] makes foreign text harmless, [`private_file`] writes what holds secrets,
//! [`regular_file`] reads only what is a file,
//! [`watch`] offers a page of a session to people who are not on the bridge, `print` writes lines.

// Tests make and remove what is theirs.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

#[macro_use]
mod print;

pub mod action;
pub mod claim;
pub mod cli;
pub mod clock;
pub mod cockpit;
pub mod delta;
pub mod demo;
pub mod engine;
pub mod feed;
pub mod fleet;
pub mod format;
pub mod history;
pub mod identity;
pub mod journal;
pub mod listen;
pub mod monitor;
pub mod ours;
pub mod parity;
pub mod postgres;
pub mod private_file;
pub mod production;
pub mod regular_file;
pub mod report;
pub mod runbook;
pub mod salvage;
pub mod secret;
pub mod session;
pub mod sqlite;
pub mod ssh;
pub mod step;
pub mod text;
pub mod transfer;
pub mod trigger;
pub mod watch;
