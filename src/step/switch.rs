//! F1, F2, F3: the configuration switch, the gradual restart, and what a rollback will need. Each change's undo is durable before
//! the change.
//!
//! Not in here: that what is written from then on is noted (`noted`), the files of a switch by key (`keys`), whether PostgreSQL is still what E has proven (`unchanged`), F2 (`rollout`).

mod keys;
mod noted;
mod rollout;
pub mod unchanged;

pub use rollout::rollout;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::announce::run_action;
use super::configuration;
use super::context::Context;
use super::newcomers;
use super::production;
use super::target::owner;
use crate::action::config_file::{self, State};
use crate::journal::files;
use crate::runbook::action::Placeholders;
use crate::runbook::{SwitchHow, SwitchedKey};
use crate::session::facts::{Snapshot, Unproven};
use crate::session::{Check, Outcome, Undo};
use crate::sqlite::backup;

/// How long F1 waits for transactions that were under way to end.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// How often it looks.
const QUIET_LOOK: Duration = Duration::from_millis(100);

/// F1: switches every instance's configuration. Nothing is restarted yet, so nothing changes yet for the application.
pub async fn switch(ctx: &Context, how: &SwitchHow) -> Outcome {
    if let Err(another) = production::same(ctx).await {
        return another;
    }
    if let Err(why) = newcomers::none(ctx).await {
        return Outcome::failed(format!(
            "{why}. This attempt has switched nothing, and no instance was restarted"
        ))
        .passing();
    }
    if let SwitchHow::Action {
        to_target,
        to_source,
    } = how
        && let Some(why) = [to_target, to_source]
            .into_iter()
            .find_map(|action| ctx.not_rehearsed(action))
    {
        return Outcome::failed(why);
    }
    let noted = noted::begin(ctx).await;
    let snapshot = match snapshot(ctx).await {
        Ok(snapshot) => snapshot,
        Err(why) => {
            return Outcome::failed(format!(
                "PostgreSQL's snapshot could not be recorded: {why}. Nothing was switched; the application is on SQLite"
            ))
            .passing();
        }
    };
    // After the snapshot: what is committed before it is seen here, and what comes later is new since the switch.
    let checks = match unchanged::look(ctx).await {
        Ok(checks) => checks,
        Err(unread) => return unread,
    };
    let red: Vec<&str> = checks
        .iter()
        .filter(|c| !c.ok)
        .map(|c| c.detail.as_str())
        .collect();
    if let Some(first) = red.first() {
        let summary = format!(
            "PostgreSQL is no longer what E has proven: {first}. Nothing was switched; the application is on SQLite. Roll back, find out \
             who wrote there, and begin again"
        );
        return checks
            .into_iter()
            .fold(Outcome::failed(summary), Outcome::with_check);
    }
    let is_proven = checks.iter().any(|c| c.name == "target_unchanged");
    match to_target(ctx, how).await {
        Ok(summary) => {
            // It is durable before the first instance is restarted.
            let done = Outcome::done(summary).with_fact(Snapshot(snapshot));
            let done = match noted {
                Some(noted) => done.with_fact(noted),
                None => done,
            };
            let done = checks.into_iter().fold(done, Outcome::with_check);
            match is_proven {
                true => done,
                false => done.with_fact(Unproven(
                    "no step of kind `row_counts` recorded how PostgreSQL was, so what was written there since is not known"
                        .to_owned(),
                )),
            }
        }
        Err(why) => Outcome::failed(format!(
            "the switch is not complete: {why}. This session has restarted no instance; a rollback puts back every file that it changed"
        )),
    }
}

/// Switches the configuration, its undo first. Says what was done.
///
/// # Errors
/// What stands in the way, and how far it came.
pub async fn to_target(ctx: &Context, how: &SwitchHow) -> Result<String, String> {
    match how {
        SwitchHow::Key { key, from, to } => {
            let key = SwitchedKey {
                name: key,
                from,
                to,
            };
            keys::switch(ctx, key).await
        }
        SwitchHow::Action { to_target, .. } => {
            let recorded = ctx.reporter.undo(Undo::SwitchAction).await;
            recorded.map_err(|gone| gone.to_string())?;
            let ran = run_action(ctx, to_target, &Placeholders::new(), "switch").await;
            ran.map(|_| "switched".to_owned())
        }
    }
}

/// Takes the configuration back to SQLite, where E3 of a rehearsal has switched it for a while. Whatever this leaves, a rollback puts back
/// from the former bytes.
pub async fn to_source(ctx: &Context, how: &SwitchHow) -> Result<(), String> {
    match how {
        SwitchHow::Key { key, from, .. } => keys::back(ctx, key, from),
        SwitchHow::Action { to_source, .. } => {
            let ran = run_action(ctx, to_source, &Placeholders::new(), "switch-back").await;
            ran.map(drop)
        }
    }
}

/// Rows that are written later are *new since the switch*. Waits a little for a moment without a transaction under way, for a
/// snapshot does not know the savepoints of one: what they wrote before and what they write later would look alike.
async fn snapshot(ctx: &Context) -> Result<String, String> {
    let endpoint = owner(ctx).map_err(|o| o.summary)?;
    let ask = async {
        let client = endpoint.connect().await.map_err(|e| e.to_string())?;
        let begun = Instant::now();
        loop {
            let row = client
                .query_one("SELECT pg_current_snapshot()::text", &[])
                .await;
            let snapshot: String = row.map_err(|e| e.to_string())?.get(0);
            let under_way = snapshot.rsplit(':').next().unwrap_or_default();
            if under_way.is_empty() {
                return Ok(snapshot);
            }
            if begun.elapsed() > QUIET_LIMIT {
                ctx.reporter.line(&format!(
                    "transactions {under_way} were under way on PostgreSQL's server; what they write counts as new since the switch"
                ));
                return Ok(snapshot);
            }
            tokio::time::sleep(QUIET_LOOK).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), ask)
        .await
        .unwrap_or_else(|_| Err("no answer in 15 s".into()))
}

/// Where the former bytes of a configuration file are kept, by their hash.
pub fn former_path(ctx: &Context, sha256: &str) -> PathBuf {
    files::FORMER.path(&ctx.folder).join(sha256)
}

/// Those bytes, if they are there, nobody else could have written them, and they are what they were.
///
/// # Errors
/// Why not, as what follows their name.
pub fn former(ctx: &Context, sha256: &str) -> Result<Vec<u8>, String> {
    match files::read_in(&ctx.folder, &files::FORMER, sha256) {
        Ok(bytes) if crate::sqlite::digest::of_bytes(&bytes) == sha256 => Ok(bytes),
        Ok(_) => Err("are not what they were".to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err("are gone".to_owned()),
        Err(error) => Err(format!(
            "cannot be used: {} {error}",
            former_path(ctx, sha256).display()
        )),
    }
}

/// F3: the backup verifies in both places, and every former configuration is where the rollback will look for it.
pub async fn rollback_ready(ctx: &Context) -> Outcome {
    let copies = match ctx.session.backups() {
        Ok(copies) => copies,
        Err(unreadable) => return unreadable.into(),
    };
    let places = copies.len();
    let verified = tokio::task::spawn_blocking(move || {
        copies
            .iter()
            .try_for_each(|k| backup::verify(&k.path, &k.sha256))
            .map_err(|e| e.to_string())
    })
    .await
    .expect("BUG: verifying does not panic");
    let said = match &verified {
        Ok(()) if places > 0 => {
            format!("backup verified in {places} places; former configuration at hand")
        }
        Ok(()) | Err(_) => format!("of {places} places not each has the backup as it was made"),
    };
    let mut outcome = Outcome::done(said).with_check(Check::new(
        "backup_at_hand",
        verified.is_ok() && places > 0,
        verified.err().unwrap_or_else(|| format!("{places} places")),
    ));
    let configurations = ctx.session.config_undos();
    if configuration::key(ctx).is_some() && configurations.is_empty() {
        let detail = "this session has changed no configuration, so it has none to put back";
        outcome.summary = detail.to_owned();
        outcome = outcome.with_check(Check::new("configuration_at_hand", false, detail));
    }
    for undo in configurations {
        let Undo::Config {
            instance,
            path,
            former_sha256,
            written_sha256,
        } = undo
        else {
            continue;
        };
        let whole = former(ctx, former_sha256).is_ok();
        let ours = config_file::state(path, former_sha256, written_sha256);
        let detail = match (&whole, &ours) {
            (false, _) => format!("the former configuration of {instance} is not at hand"),
            (true, Ok(State::Theirs)) => format!("{} was edited since the switch", path.display()),
            (true, Ok(_)) => format!("{instance}: former configuration at hand"),
            (true, Err(e)) => e.to_string(),
        };
        let ok = whole && ours.is_ok();
        if !ok {
            outcome.summary.clone_from(&detail);
        }
        outcome = outcome.with_check(Check::new("configuration_at_hand", ok, detail));
    }
    outcome
}
