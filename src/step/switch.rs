//! F1, F2, F3: the configuration switch, the gradual restart, and what a rollback will need. Each change's undo is durable before
//! the change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::announce::run_action;
use super::backup::Kept;
use super::context::Context;
use super::target::owner;
use crate::action::config_file::{self, Edit, State};
use crate::fleet::{self, Means, Plan, RolloutHooks};
use crate::private_file;
use crate::runbook::action::Placeholders;
use crate::runbook::{Instance, SwitchHow};
use crate::session::live::InstanceView;
use crate::session::{Check, Outcome, Undo};
use crate::source::backup;

/// Under this name F1 leaves PostgreSQL's snapshot behind. It is durable before the first instance is restarted.
pub const SNAPSHOT: &str = "snapshot";

/// How long F1 waits for transactions that were under way to end.
const QUIET_LIMIT: Duration = Duration::from_secs(5);
/// How often it looks.
const QUIET_LOOK: Duration = Duration::from_millis(100);

/// F1: switches every instance's configuration. Nothing is restarted yet, so nothing changes yet for the application.
pub async fn switch(ctx: &Context, how: &SwitchHow) -> Outcome {
    let snapshot = match snapshot(ctx).await {
        Ok(snapshot) => snapshot,
        Err(why) => {
            return Outcome::failed(format!(
                "PostgreSQL's snapshot could not be recorded: {why}. Nothing was switched; the application is on SQLite"
            ))
            .passing();
        }
    };
    let switched = match how {
        SwitchHow::Key { key, from, to } => by_key(ctx, key, from, to).await,
        SwitchHow::Action { to_target, .. } => {
            if let Err(gone) = ctx.reporter.undo(Undo::SwitchAction).await {
                return Outcome::failed(gone.to_string());
            }
            run_action(ctx, to_target, &Placeholders::new(), "switch")
                .await
                .map(|_| "switched".to_owned())
        }
    };
    match switched {
        Ok(summary) => Outcome::done(summary).with_fact(SNAPSHOT, snapshot),
        Err(why) => Outcome::failed(format!(
            "the switch is not complete: {why}. No instance was restarted, so the application still runs on SQLite; a rollback puts \
             every file back"
        )),
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

async fn by_key(ctx: &Context, key: &str, from: &str, to: &str) -> Result<String, String> {
    let mut files = BTreeSet::new();
    let mut edits = Vec::new();
    for instance in &ctx.runbook.fleet.instances {
        let path = config_path(ctx, instance)
            .ok_or("`fleet.config` is not in the runbook, and a switch by key needs it")?;
        if !files.insert(path.clone()) {
            continue;
        }
        let edit = Edit::prepare(&path, key, to).map_err(|e| e.to_string())?;
        match edit.former_value.as_deref() {
            Some(value) if value == from || value == to => edits.push((instance.id.clone(), edit)),
            value => {
                let found =
                    value.map_or_else(|| "is not there".to_owned(), |v| format!("is {v:?}"));
                return Err(format!(
                    "{}: {key} {found}, expected {from:?}",
                    path.display()
                ));
            }
        }
    }
    for (instance, edit) in &edits {
        // A file that an interrupted attempt has written already has its undo in the journal.
        if edit.former_value.as_deref() == Some(to) {
            continue;
        }
        keep_former(ctx, edit)?;
        let undo = Undo::Config {
            instance: instance.clone(),
            path: edit.path.clone(),
            former_sha256: edit.former_sha256.clone(),
            written_sha256: edit.written_sha256.clone(),
        };
        ctx.reporter.undo(undo).await.map_err(|e| e.to_string())?;
        edit.apply().map_err(|e| e.to_string())?;
        ctx.reporter
            .line(&format!("{}: {key} = {to}", edit.path.display()));
    }
    Ok(format!(
        "{key} is {to} in {} configuration files; the former bytes are kept",
        edits.len()
    ))
}

/// Where an instance's configuration is.
pub fn config_path(ctx: &Context, instance: &Instance) -> Option<PathBuf> {
    let pattern = ctx.runbook.fleet.config.as_ref()?;
    Some(
        ctx.base.join(
            pattern
                .replace("{instance}", &instance.id)
                .replace("{host}", &instance.host),
        ),
    )
}

/// Where the former bytes of a configuration file are kept, by their hash.
pub fn former_path(ctx: &Context, sha256: &str) -> PathBuf {
    ctx.folder.dir().join("former").join(sha256)
}

/// Configuration holds secrets: only the engine's user may read what is kept of it.
fn keep_former(ctx: &Context, edit: &Edit) -> Result<(), String> {
    let path = former_path(ctx, &edit.former_sha256);
    let kept = std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
        .and_then(|()| private_file::write(&path, &edit.former));
    kept.map_err(|e| format!("{}: {e}", path.display()))
}

/// F2: canary first, then batches; a batch begins when the one before is ready, and not while the session is held.
pub async fn rollout(ctx: &Context, batch: u32) -> Outcome {
    let outputs = ctx.folder.dir().join("output");
    if let Err(e) = std::fs::create_dir_all(&outputs) {
        return Outcome::failed(format!("{}: {e}", outputs.display()));
    }
    let already = already_through(ctx).await;
    let plan = Plan {
        fleet: &ctx.runbook.fleet,
        batch,
        already: &already,
        means: Means {
            folder: &ctx.base,
            secrets: &ctx.secrets,
            outputs: &outputs,
        },
    };
    match fleet::rollout(
        &ctx.shared.http,
        plan,
        &Hooks {
            ctx,
            said: Mutex::default(),
        },
        &ctx.cancel,
    )
    .await
    {
        Ok(turns) => {
            let slowest_ms = turns
                .iter()
                .map(|t| t.restart_ms + t.ready_after_ms)
                .max()
                .unwrap_or(0);
            let n = turns.len() + already.len();
            Outcome::done(format!(
                "{n} instances restarted and ready, the slowest after {:.1} s",
                slowest_ms as f64 / 1000.0
            ))
        }
        Err(error) => Outcome::failed(error.to_string()),
    }
}

/// After an interruption: instances whose restart is on record and that are ready are left alone.
async fn already_through(ctx: &Context) -> BTreeSet<String> {
    let mut through = BTreeSet::new();
    for (_, undo) in &ctx.session.undos {
        let Undo::Restart { instance } = undo else {
            continue;
        };
        let Some(instance) = ctx
            .runbook
            .fleet
            .instances
            .iter()
            .find(|i| i.id == *instance)
        else {
            continue;
        };
        let limit = Duration::from_secs(3);
        let ready = fleet::ready_once(&ctx.shared.http, &ctx.runbook.fleet, instance, limit)
            .await
            .is_ok();
        // The newest one on record may have been about to be restarted; only a restart is certain to load the configuration.
        let newest = ctx.session.undos.last().is_some_and(|(_, u)| u == undo);
        if ready && !newest {
            through.insert(instance.id.clone());
        }
    }
    through
}

struct Hooks<'a> {
    ctx: &'a Context,
    /// What has been said already: only changes are news.
    said: Mutex<Vec<InstanceView>>,
}

impl RolloutHooks for Hooks<'_> {
    async fn before_restart(&self, instance: &str) -> Result<(), String> {
        let undo = Undo::Restart {
            instance: instance.to_owned(),
        };
        let recorded = self.ctx.reporter.undo(undo).await;
        recorded.map_err(|e| e.to_string())?;
        // Said here and not only as news: a sample may be taken before the engine gets to read it, and T1b fires on the first.
        self.ctx.shared.monitor.restarting(instance).await;
        Ok(())
    }

    async fn may_go_on(&self, next: &[&str]) -> bool {
        let mut held = self.ctx.shared.held.clone();
        if *held.borrow() {
            self.ctx
                .reporter
                .line(&format!("held before {}", next.join(", ")));
        }
        held.wait_for(|h| !h).await.is_ok()
    }

    fn progress(&self, fleet: &[InstanceView]) {
        use crate::session::live::InstanceState;
        let ready = fleet
            .iter()
            .filter(|i| i.state == InstanceState::Ready)
            .count();
        self.ctx
            .reporter
            .progress("instances", ready as u64, fleet.len() as u64, "instances");
        let mut said = self
            .said
            .lock()
            .expect("BUG: nobody panics while holding it");
        for view in fleet.iter().filter(|v| !said.contains(v)) {
            self.ctx.reporter.instance(view.clone());
        }
        *said = fleet.to_vec();
    }
}

/// F3: the backup verifies in both places, and every former configuration is where the rollback will look for it.
pub async fn rollback_ready(ctx: &Context) -> Outcome {
    let copies: Vec<Kept> = [ctx.fact::<Kept>("backup"), ctx.fact::<Kept>("second_copy")]
        .into_iter()
        .flatten()
        .collect();
    let places = copies.len();
    let verified = tokio::task::spawn_blocking(move || {
        copies
            .iter()
            .try_for_each(|k| backup::verify(&k.path, &k.sha256))
            .map_err(|e| e.to_string())
    })
    .await
    .expect("BUG: verifying does not panic");
    let mut outcome = Outcome::done(format!(
        "backup verified in {places} places; former configuration at hand"
    ))
    .with_check(Check::new(
        "backup_at_hand",
        verified.is_ok() && places > 0,
        verified.err().unwrap_or_else(|| format!("{places} places")),
    ));
    for (_, undo) in &ctx.session.undos {
        let Undo::Config {
            instance,
            path,
            former_sha256,
            written_sha256,
        } = undo
        else {
            continue;
        };
        let kept = std::fs::read(former_path(ctx, former_sha256));
        let whole = kept
            .as_ref()
            .is_ok_and(|b| crate::source::digest::of_bytes(b) == *former_sha256);
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
