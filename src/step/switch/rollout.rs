//! F2: the gradual restart. An instance is through once it is ready and what answers is not the process of before: by its page it
//! serves from PostgreSQL, or other signs say so. What nothing tells is said, and costs confidence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::fleet::provider::Provider;
use crate::fleet::{self, Means, Plan, RolloutHooks};
use crate::journal::files;
use crate::runbook::Instance;
use crate::session::facts::Unproven;
use crate::session::live::InstanceView;
use crate::session::{Outcome, Undo};
use crate::step::context::Context;
use crate::step::serving::{self, Start};
use crate::step::{arrival, holders, staging};

/// How long an instance may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// F2: canary first, then batches; a batch begins when the one before is ready, and not while the session is held.
pub async fn rollout(ctx: &Context, batch: u32) -> Outcome {
    if let Some(why) = ctx.not_rehearsed(&ctx.runbook.fleet.restart) {
        return Outcome::failed(why);
    }
    if let Err(why) = staging::is_configured_elsewhere(ctx).await {
        return Outcome::failed(why);
    }
    let outputs = match files::folder(&ctx.folder, &files::OUTPUT) {
        Ok(outputs) => outputs,
        Err(error) => return Outcome::failed(error.to_string()),
    };
    let already = already_through(ctx).await;
    let plan = Plan {
        fleet: &ctx.runbook.fleet,
        batch,
        already: &already,
        means: Means {
            folder: &ctx.base,
            environment: &ctx.environment,
            outputs: &outputs,
        },
    };
    let hooks = Hooks {
        ctx,
        said: Mutex::default(),
        starts: Mutex::default(),
        has_arrived: AtomicBool::new(false),
        unproven: Mutex::default(),
    };
    let ended = fleet::rollout(&ctx.shared.http, plan, &hooks, &ctx.cancel).await;
    let unproven = hooks.unproven.into_inner();
    let unproven = unproven.expect("BUG: nobody panics while holding it");
    match ended {
        Ok(turns) => {
            let slowest_ms = turns
                .iter()
                .map(|t| t.restart_ms + t.ready_after_ms)
                .max()
                .unwrap_or(0);
            let n = turns.len() + already.len();
            let done = format!(
                "{n} instances restarted and ready, the slowest after {:.1} s",
                slowest_ms as f64 / 1000.0
            );
            let left_open = holders::others(ctx).await;
            left_open
                .iter()
                .for_each(|others| ctx.reporter.line(others));
            match unproven.first().or(left_open.as_ref()) {
                None => Outcome::done(format!("{done}; all serve from PostgreSQL")),
                Some(others) if unproven.is_empty() => {
                    Outcome::done(format!("{done}; all serve from PostgreSQL, but {others}"))
                        .with_fact(Unproven(others.clone()))
                }
                Some(first) => {
                    let why = format!("of {} of {n}: {first}", unproven.len());
                    Outcome::done(format!("{done}; {why}")).with_fact(Unproven(why))
                }
            }
        }
        Err(error) => Outcome::failed(error.to_string()),
    }
}

/// After an interruption: instances whose restart is on record, that are ready and are seen to serve from PostgreSQL are left alone. One of
/// which nothing tells may be the process of before: its restart may have failed, or never have begun.
async fn already_through(ctx: &Context) -> BTreeSet<String> {
    let mut through = BTreeSet::new();
    for (step, undo) in &ctx.session.undos {
        let Undo::Restart { instance } = undo else {
            continue;
        };
        // E3 of a rehearsal restarts staging too, and no restart but this step's own follows the switch.
        if *step != ctx.reporter.row {
            continue;
        }
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
        if !ready || newest {
            continue;
        }
        let serving = serving::look_at(ctx, instance, LOOK_LIMIT).await;
        if serving.provider == Some(Provider::Postgres) {
            through.insert(instance.id.clone());
        }
    }
    through
}

struct Hooks<'a> {
    ctx: &'a Context,
    /// What has been said already: only changes are news.
    said: Mutex<Vec<InstanceView>>,
    /// When each instance's processes began, before its restart; where no page says by which database it serves.
    starts: Mutex<BTreeMap<String, Start>>,
    /// One instance has been seen in the target.
    has_arrived: AtomicBool,
    /// What could not be seen of instances that are ready, a sentence each.
    unproven: Mutex<Vec<String>>,
}

impl Hooks<'_> {
    /// The first instance shows where the switch leads; V2 looks at all of them before users write again.
    async fn first_arrives(&self, instance: &Instance) -> Result<(), String> {
        if self.has_arrived.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let arrived = arrival::arrive(self.ctx, std::slice::from_ref(instance)).await;
        self.has_arrived.store(arrived.is_ok(), Ordering::Relaxed);
        arrived
    }

    fn instance(&self, id: &str) -> Option<&Instance> {
        self.ctx.runbook.fleet.instances.iter().find(|i| i.id == id)
    }
}

impl RolloutHooks for Hooks<'_> {
    async fn before_restart(&self, instance: &str) -> Result<(), String> {
        if self.ctx.runbook.fleet.provider.is_none()
            && let Some(known) = self.instance(instance)
        {
            let start = serving::start_of(self.ctx, known, LOOK_LIMIT).await;
            let mut starts = self
                .starts
                .lock()
                .expect("BUG: nobody panics while holding it");
            starts.insert(instance.to_owned(), start);
        }
        let undo = Undo::Restart {
            instance: instance.to_owned(),
        };
        let recorded = self.ctx.reporter.undo(undo).await;
        recorded.map_err(|e| e.to_string())?;
        // Said here and not only as news: a sample may be taken before the engine gets to read it, and T1b fires on the first.
        self.ctx.shared.monitor.restarting(instance).await;
        Ok(())
    }

    fn place_of(&self, instance: &Instance) -> Instance {
        self.ctx.shared.monitor.place_of(instance)
    }

    /// Ready is not enough: what answers may be the process of before.
    async fn after_ready(&self, instance: &Instance) -> Result<(), String> {
        let serving = serving::look_at(self.ctx, instance, LOOK_LIMIT).await;
        let why = match serving.provider {
            Some(Provider::Postgres) => return self.first_arrives(instance).await,
            Some(Provider::Sqlite) => {
                return Err(format!(
                    "{} still serves from SQLite after its restart ({}): the restart did not load the configuration",
                    instance.id, serving.how
                ));
            }
            None => serving.words(),
        };
        let before = {
            let mut starts = self
                .starts
                .lock()
                .expect("BUG: nobody panics while holding it");
            starts.remove(&instance.id)
        };
        if let Some(before) = before {
            let after = serving::start_of(self.ctx, instance, LOOK_LIMIT).await;
            if let Some(Err(same)) = serving::restarted(&before, &after) {
                return Err(format!(
                    "{}: the restart did nothing, or something stands between it and its port: {same}",
                    instance.id
                ));
            }
        }
        self.ctx.reporter.line(&why);
        let mut unproven = self
            .unproven
            .lock()
            .expect("BUG: nobody panics while holding it");
        unproven.push(why);
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
