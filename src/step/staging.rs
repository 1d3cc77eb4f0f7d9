//! In a rehearsal: that the staging slot has left production, and serves from the scratch database, before anything is asked of it that
//! writes. Asked of its configuration, of the variables that its processes were started with, of the files that they have open, and of the
//! sessions on both databases.
//!
//! Not in here: what the runbook itself names (`cli::rehearse::identity`), and that production stays as it was (`crate::production`).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use tokio_postgres::Client;

use super::asked::{Asking, LOOKS, reads};
use super::context::Context;
use crate::fleet::place::processes_of;
use crate::fleet::processes::{self, Process};
use crate::postgres::clients::{RoleSession, of_role};
use crate::postgres::{Endpoint, pooler};
use crate::production::{Watch, configuration_of};
use crate::regular_file;
use crate::runbook::Instance;
use crate::sqlite;
use crate::text::printable;

/// How long either database may take to answer.
const LIMIT: Duration = Duration::from_secs(10);
/// What follows a refusal.
const UNSENT: &str = "No request was sent that writes";

/// What staging is configured with, or was started with, leads nowhere in production. Nothing is asked of it.
///
/// # Errors
/// What leads there, in words that show no value.
pub async fn is_configured_elsewhere(ctx: &Context) -> Result<(), String> {
    let Some(watch) = ctx.environment.watch() else {
        return Ok(());
    };
    for instance in &ctx.runbook.fleet.instances {
        let file = configuration_of(&ctx.runbook, &ctx.base, instance);
        let Some(file) = file else { continue };
        let whose = format!("the configuration of {}, {},", instance.id, file.display());
        let text = match regular_file::read_to_string(&file) {
            Ok(text) => text,
            // It lies on another host, or is made by the restart.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                return Err(format!(
                    "{whose} cannot be read by this account: {error}. Whether it leads to production is not known. Staging was not restarted on it"
                ));
            }
        };
        if let Some(found) = watch.production.led_to_by_file(&text) {
            return Err(format!(
                "{whose} leads to production: in it, {}. Staging was not restarted on it",
                printable(&found, 200)
            ));
        }
    }
    Ok(())
}

/// Staging's processes and sessions lead to the scratch database, and not to production. `writes` says whether it will be asked to write:
/// then what nothing tells is a refusal, too. Returns whether it was seen on the scratch database.
///
/// # Errors
/// What leads to production, or that nothing tells where staging serves from. Nothing was asked of it that writes.
pub async fn is_on_scratch(ctx: &Context, writes: bool) -> Result<bool, String> {
    let Some(watch) = ctx.environment.watch() else {
        return Ok(false);
    };
    let mut all_seen = true;
    for instance in &ctx.runbook.fleet.instances {
        let running = processes_of(instance).await;
        was_started_elsewhere(watch, instance, &running)?;
        let seen = look(ctx, watch, instance, &running).await?;
        all_seen &= seen;
        if seen || !writes {
            continue;
        }
        return Err(format!(
            "whether {} serves from the scratch database is not known: no session of the role of `rehearsal.runtime_url` was seen there, \
             not while {} was asked either. {UNSENT}. Let `verification.requests` begin with a GET of class read that reads a table, and \
             let staging connect as that role",
            instance.id,
            reads(ctx)
                .first()
                .map_or("nothing", |read| read.name.as_str()),
        ));
    }
    Ok(all_seen)
}

/// The variables of its processes lead nowhere in production.
fn was_started_elsewhere(
    watch: &Watch,
    instance: &Instance,
    running: &BTreeSet<Process>,
) -> Result<(), String> {
    for process in running {
        let variables = processes::variables_of(process);
        if let Some(found) = watch.production.led_to_by(&variables) {
            return Err(format!(
                "{} leads to production by the environment of its process {} ({}): there, {}. {UNSENT}. Start staging without it",
                instance.id,
                process.pid,
                printable(&process.name, 40),
                printable(&found, 200)
            ));
        }
    }
    Ok(())
}

/// None of its processes has the live SQLite file open, by whatever name.
async fn has_left_the_file(
    watch: &Watch,
    instance: &Instance,
    running: &BTreeSet<Process>,
) -> Result<(), String> {
    let Ok(live) = sqlite::identity(&watch.source) else {
        return Ok(());
    };
    let running = running.clone();
    let looked = tokio::task::spawn_blocking(move || processes::have_open(&running, live));
    let looked = looked.await;
    match looked.expect("BUG: looking at processes does not panic") {
        Some(true) => Err(format!(
            "{} has the live SQLite file open, {}: what it writes there it writes to production. {UNSENT}. Point staging at the copy \
             (`rehearsal.point`, or the switch with `from: \"{{source_url}}\"`)",
            instance.id,
            watch.source.display()
        )),
        Some(false) | None => Ok(()),
    }
}

/// Whether a session of the application is on scratch, at once or while staging is asked to read.
///
/// # Errors
/// One is on production's target that was opened since the rehearsal began; or a database does not answer.
async fn look(
    ctx: &Context,
    watch: &Watch,
    instance: &Instance,
    running: &BTreeSet<Process>,
) -> Result<bool, String> {
    let target = &ctx.runbook.target;
    let scratch = Side::open(&target.url, &target.runtime_url).await?;
    let production = Side::open(&watch.target_url, &watch.runtime_url).await?;
    // Where the server does not show since when a session is there, only those that come from now on are new.
    let known: BTreeSet<i32> = production.sessions().await?.iter().map(|s| s.pid).collect();
    let glance = async || {
        has_left_the_file(watch, instance, running).await?;
        let sessions = production.sessions().await?;
        let opened_ms = ctx.shared.clock.now_ms() as f64;
        let is_new = |s: &&RoleSession| match s.age_ms {
            Some(age_ms) => age_ms < opened_ms,
            None => !known.contains(&s.pid),
        };
        match sessions.iter().find(is_new) {
            Some(session) => Err(found_on_production(&production, session)),
            None => Ok(!scratch.sessions().await?.is_empty()),
        }
    };
    let mut seen = glance().await?;
    let reads = reads(ctx);
    // A session on scratch is no proof that there is none on production: staging is asked at least once.
    for read in reads.iter().take(1).cycle().take(LOOKS) {
        let mut asking = Asking::begin(ctx, instance, read);
        loop {
            let is_over = asking.is_over_at_next_glance().await;
            seen |= glance().await?;
            if is_over {
                break;
            }
        }
        if seen {
            break;
        }
    }
    Ok(seen)
}

fn found_on_production(production: &Side, session: &RoleSession) -> String {
    format!(
        "somebody has connected to production's PostgreSQL as {} since the rehearsal began: {} from {}. The night has not begun there, so \
         it is staging, unless you know better. {UNSENT}. Point staging at the scratch database (`rehearsal.point`, or the switch with \
         `to: \"{{runtime_url}}\"`), or ask whoever else it is to leave",
        production.role,
        match session.application.as_str() {
            "" => "a program without a name".to_owned(),
            name => printable(name, 60),
        },
        session.address.as_deref().unwrap_or("this host")
    )
}

/// One of both databases, and the application's role there.
struct Side {
    client: Client,
    role: String,
    host: String,
}

impl Side {
    async fn open(owner_url: &str, runtime_url: &str) -> Result<Side, String> {
        let endpoint = Endpoint::parse(owner_url).map_err(|e| e.to_string())?;
        let runtime = Endpoint::parse(runtime_url).map_err(|e| e.to_string())?;
        let connected = tokio::time::timeout(LIMIT, pooler::connect(&endpoint)).await;
        let silent = |_| format!("{} did not answer. {UNSENT}", endpoint.host_label());
        let client = connected
            .map_err(silent)?
            .map_err(|error| format!("{error}. {UNSENT}"))?;
        Ok(Side {
            client,
            role: runtime.user().to_owned(),
            host: endpoint.host_label(),
        })
    }

    async fn sessions(&self) -> Result<Vec<RoleSession>, String> {
        let asked = tokio::time::timeout(LIMIT, of_role(&self.client, &self.role)).await;
        let silent = |_| format!("{} did not answer. {UNSENT}", self.host);
        let sessions = asked.map_err(silent)?;
        sessions.map_err(|error| format!("{error}. {UNSENT}"))
    }
}
