//! By which database each instance serves, found out: by `fleet.provider` where the runbook has it, else by the runtime role's
//! sessions on PostgreSQL and by who has the SQLite file open. Used by E3, F2, V2, R2, R3 and R4, and before anything is emptied.
//!
//! Not in here: what the signs come to (`fleet::provider`), and what a row makes of it.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Client;

use super::asked::{Asking, LOOKS, reads};
use super::context::Context;
use crate::fleet::place::{addresses, port_of, processes_of};
use crate::fleet::processes;
use crate::fleet::provider::{
    self, ClientSession, Outside, Provider, Serving, Whereabouts, by_page, by_signs,
};
use crate::fleet::signed::Signed;
use crate::identity::SourceIdentity;
use crate::postgres::{Endpoint, clients};
use crate::runbook::{Instance, Runbook};
use crate::sqlite;

/// Asks all of these instances side by side. `limit` is for each answer, of an instance or of PostgreSQL.
pub async fn look(ctx: &Context, instances: &[Instance], limit: Duration) -> Vec<Serving> {
    if let Some(page) = &ctx.runbook.fleet.provider {
        let client = &ctx.shared.http;
        let asked = instances.iter().map(|i| by_page(client, page, i, limit));
        return futures_util::future::join_all(asked).await;
    }
    let ground = Ground::survey(ctx, instances, limit).await;
    let looked = instances.iter().map(|i| ground.look(ctx, i));
    futures_util::future::join_all(looked).await
}

/// As [`look`], and once more at those whose page told nothing: one answer that was late is no sign that an instance is elsewhere. Where
/// there is no page nobody is asked twice, for that may mean to wait for PostgreSQL.
pub async fn look_twice(ctx: &Context, instances: &[Instance], limit: Duration) -> Vec<Serving> {
    let mut serving = look(ctx, instances, limit).await;
    if ctx.runbook.fleet.provider.is_none() {
        return serving;
    }
    let told_nothing = serving.iter().zip(instances);
    let told_nothing: Vec<Instance> = told_nothing
        .filter(|(seen, _)| seen.provider.is_none())
        .map(|(_, instance)| instance.clone())
        .collect();
    for again in look(ctx, &told_nothing, limit).await {
        if let Some(before) = serving.iter_mut().find(|s| s.instance == again.instance) {
            *before = again;
        }
    }
    serving
}

pub async fn look_at(ctx: &Context, instance: &Instance, limit: Duration) -> Serving {
    let looked = look(ctx, std::slice::from_ref(instance), limit).await;
    looked.into_iter().next().unwrap_or_else(|| Serving {
        instance: instance.id.clone(),
        provider: None,
        how: "nothing was seen".to_owned(),
    })
}

/// Those that serve from this database, and those of which nothing is known; both in words.
pub fn sorted(serving: &[Serving], by: Provider) -> (Vec<String>, Vec<String>) {
    let serve = serving.iter().filter(|s| s.provider == Some(by));
    let unknown = serving.iter().filter(|s| s.provider.is_none());
    (
        serve.map(Serving::words).collect(),
        unknown.map(Serving::words).collect(),
    )
}

/// What is the same for every instance of one look.
struct Ground {
    file: Option<SourceIdentity>,
    /// Connected as the owner; `None` where PostgreSQL does not answer.
    target: Option<(Client, String)>,
    whereabouts: Vec<Whereabouts>,
    limit: Duration,
}

impl Ground {
    async fn survey(ctx: &Context, instances: &[Instance], limit: Duration) -> Ground {
        let file = ctx.base.join(&ctx.runbook.source.file);
        // Whoever else shares an address makes that address no sign.
        let others = everybody(ctx).into_iter();
        let others = others.filter(|other| !instances.iter().any(|one| is_same(one, other)));
        let all: Vec<Instance> = instances.iter().cloned().chain(others).collect();
        let places = places_of(&all).await.into_iter();
        Ground {
            file: sqlite::identity(&file).ok(),
            target: connect(ctx, limit).await,
            whereabouts: places
                .take(instances.len())
                .map(|place| place.whereabouts)
                .collect(),
            limit,
        }
    }

    /// Some applications open their database for each request, so it is asked for something while its signs are looked at.
    async fn look(&self, ctx: &Context, instance: &Instance) -> Serving {
        let mut seen = self.glance(instance).await;
        let reads = reads(ctx);
        for _ in 0..LOOKS {
            let told = by_signs(&instance.id, &seen);
            let Some(read) = reads.first().filter(|_| told.provider.is_none()) else {
                return told;
            };
            let mut asking = Asking::begin(ctx, instance, read);
            loop {
                let is_over = asking.is_over_at_next_glance().await;
                seen = together(seen, self.glance(instance).await);
                if is_over {
                    break;
                }
            }
        }
        by_signs(&instance.id, &seen)
    }

    async fn glance(&self, instance: &Instance) -> Outside {
        let none = Whereabouts::default();
        let known = self.whereabouts.iter().find(|w| w.id == instance.id);
        let mut place = known.unwrap_or(&none).clone();
        let is_here = place.addresses.iter().copied().any(processes::is_this_host);
        let (port, file) = (port_of(instance).filter(|_| is_here), self.file);
        let looked = tokio::task::spawn_blocking(move || {
            let running = processes::listening_at(port?);
            let holds = file.and_then(|file| processes::have_open(&running, file));
            let ports = (!running.is_empty()).then(|| processes::ports_of(&running));
            Some((holds, ports))
        });
        let (holds_file, ports) = looked
            .await
            .expect("BUG: looking at processes does not panic")
            .unwrap_or_default();
        place.ports = ports;
        let sessions = self.sessions().await;
        Outside {
            holds_file,
            sessions: sessions.and_then(|all| provider::sessions_of(&place, &all)),
        }
    }

    async fn sessions(&self) -> Option<Vec<ClientSession>> {
        let (client, role) = self.target.as_ref()?;
        let asked = tokio::time::timeout(self.limit, clients::of_role(client, role));
        let sessions = asked.await.ok()?.ok()?;
        Some(sessions.iter().map(as_client_session).collect())
    }
}

/// Whether an instance that is asked is this one of the runbook, which may know it at its former address, or by the id of its slot. One that
/// only has the name of a slot that another fills now is not.
fn is_same(asked: &Instance, known: &Instance) -> bool {
    let is_of_slot = asked.id == known.id && (asked.called.is_some() || known.called.is_none());
    is_of_slot || (asked.url == known.url && asked.id == known.name())
}

/// A sign that was seen once stays seen during one look.
fn together(before: Outside, now: Outside) -> Outside {
    let holds_file = match (before.holds_file, now.holds_file) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (before, now) => now.or(before),
    };
    Outside {
        holds_file,
        sessions: before.sessions.max(now.sessions),
    }
}

/// A session as the rules know it.
pub fn as_client_session(session: &clients::RoleSession) -> ClientSession {
    ClientSession {
        address: session.address.as_ref().and_then(|a| a.parse().ok()),
        port: session.port.and_then(|p| u16::try_from(p).ok()),
        application: session.application.clone(),
    }
}

/// As the owner, with the runtime role's name; `None` where the target does not answer.
pub(super) async fn connect(ctx: &Context, limit: Duration) -> Option<(Client, String)> {
    let runtime = Endpoint::parse(&ctx.runbook.target.runtime_url).ok()?;
    let owner = Endpoint::parse(&ctx.runbook.target.url).ok()?;
    let connected = tokio::time::timeout(limit, owner.connect()).await.ok()?;
    Some((connected.ok()?, runtime.user().to_owned()))
}

/// Where an instance is on the network, and its processes; none where it is on another host, or we may not look.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) whereabouts: Whereabouts,
    pub(super) processes: BTreeSet<processes::Process>,
}

/// Production's instances and the staging slot.
pub(super) fn everybody(ctx: &Context) -> Vec<Instance> {
    everybody_of(&ctx.runbook)
}

/// The same of any runbook.
pub(super) fn everybody_of(runbook: &Runbook) -> Vec<Instance> {
    let fleet = &runbook.fleet;
    fleet
        .instances
        .iter()
        .chain(&fleet.staging)
        .cloned()
        .collect()
}

/// The places of these instances, from one look at this host's processes.
pub(super) async fn places_of(instances: &[Instance]) -> Vec<Place> {
    let asked = instances.iter().map(addresses);
    let addresses = futures_util::future::join_all(asked).await;
    let instances = instances.to_vec();
    let looked = tokio::task::spawn_blocking(move || {
        let sockets = processes::Sockets::look();
        let place = |(n, instance): (usize, &Instance)| {
            let its = &addresses[n];
            let is_here = its.iter().copied().any(processes::is_this_host);
            let port = port_of(instance).filter(|_| is_here);
            let running = port.map_or_else(BTreeSet::new, |port| sockets.listening_at(port));
            let mut others = addresses
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != n);
            Place {
                whereabouts: Whereabouts {
                    id: instance.id.clone(),
                    shares_address: others.any(|(_, theirs)| !theirs.is_disjoint(its)),
                    addresses: its.clone(),
                    ports: (!running.is_empty()).then(|| sockets.ports_of(&running)),
                },
                processes: running,
            }
        };
        instances.iter().enumerate().map(place).collect()
    });
    looked
        .await
        .expect("BUG: looking at processes does not panic")
}

/// What tells one start of an instance's process from the next, as far as it can be seen from here.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Start {
    processes: BTreeSet<processes::Process>,
    /// `process_start_time_seconds` of its metrics page.
    seconds: Option<f64>,
}

/// Clocks that such times are worked out from are no better than this.
const JITTER_S: f64 = 2.0;
const METRICS_LIMIT_BYTES: usize = 8 << 20;

/// When an instance's processes began.
pub async fn start_of(ctx: &Context, instance: &Instance, limit: Duration) -> Start {
    Start {
        processes: processes_of(instance).await,
        seconds: start_seconds(ctx, instance, limit).await,
    }
}

async fn start_seconds(ctx: &Context, instance: &Instance, limit: Duration) -> Option<f64> {
    use crate::monitor::metrics::text::series;
    let page = ctx.runbook.fleet.metrics.as_ref()?;
    let url = page.of(&instance.url);
    let signed = Signed::new(
        &[],
        page.headers_command.as_ref(),
        &ctx.environment,
        &ctx.base,
    );
    let answer = signed.get(&ctx.shared.http, &url, limit, METRICS_LIMIT_BYTES);
    let page = String::from_utf8(answer.await.ok()?.body).ok()?;
    let starts = series(&page).map_while(Result::ok);
    starts
        .filter(|s| s.name == "process_start_time_seconds" && s.value.is_finite())
        .map(|s| s.value)
        .reduce(f64::max)
}

/// Whether a restart took place between two looks: `None` where nothing tells, else the proof in words.
pub fn restarted(before: &Start, after: &Start) -> Option<Result<(), String>> {
    if let (Some(before), Some(after)) = (before.seconds, after.seconds) {
        if after - before > JITTER_S {
            return Some(Ok(()));
        }
        return Some(Err(format!(
            "its metrics say that it began at {after:.0}, before the restart as well as after it"
        )));
    }
    let same = before.processes.intersection(&after.processes).next();
    match same {
        _ if before.processes.is_empty() || after.processes.is_empty() => None,
        Some(one) if before.processes == after.processes => Some(Err(format!(
            "process {} ({}) listens at its port as before the restart",
            one.pid, one.name
        ))),
        _ => Some(Ok(())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(pids: &[u32], seconds: Option<f64>) -> Start {
        let process = |pid: &u32| processes::Process {
            pid: *pid,
            started_ticks: u64::from(*pid),
            name: "app".to_owned(),
        };
        Start {
            processes: pids.iter().map(process).collect(),
            seconds,
        }
    }

    #[test]
    fn a_restart_is_proven_by_another_start_and_refuted_by_the_same() {
        let told = |before: &Start, after: &Start| restarted(before, after).map(|r| r.is_ok());
        let by = |a: &[u32], b: &[u32]| told(&start(a, None), &start(b, None));
        assert_eq!(by(&[1, 2], &[1, 2]), Some(false));
        assert_eq!(by(&[1, 2], &[3, 4]), Some(true));
        // A server that keeps its master and replaces its workers has loaded the configuration anew.
        assert_eq!(by(&[1, 2], &[1, 3]), Some(true));
        assert_eq!(by(&[], &[1]), None);
        assert_eq!(by(&[1], &[]), None);
        let at = |a, b| told(&start(&[], Some(a)), &start(&[], Some(b)));
        assert_eq!(at(100.0, 100.0), Some(false));
        assert_eq!(at(100.0, 101.0), Some(false), "jitter is no restart");
        assert_eq!(at(100.0, 160.0), Some(true));
    }
}
