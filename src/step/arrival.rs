//! Whether what an instance is asked arrives in the target: an instance that serves from PostgreSQL may serve from another database than
//! the one that was moved. Proven by its sessions there, while it is asked for something. Used by E3, F2 and V2.
//!
//! Not in here: by which kind of database it serves (`serving`), and what the value of the switch names (`runbook`).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::Client;

use super::asked::{Asking, LOOKS, reads};
use super::context::Context;
use super::serving::{as_client_session, connect, everybody, places_of};
use crate::fleet::provider::{ClientSession, Whereabouts, is_of};
use crate::postgres::Endpoint;
use crate::postgres::clients::of_role;
use crate::runbook::Instance;
use crate::text::printable;

/// How long PostgreSQL may take to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// What was seen in the target while an instance was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// A session of its own.
    Seen,
    /// No session that could be its own.
    NotSeen,
    /// Sessions that may be its own, such as a pooler's; or nobody could look.
    Unknown,
}

/// Asks each of these instances to read while the target's sessions are looked at.
///
/// # Errors
/// In words for people: the first that is not in the target.
pub async fn arrive(ctx: &Context, instances: &[Instance]) -> Result<(), String> {
    let (places, target) = (whereabouts(ctx).await, connect(ctx, LIMIT).await);
    let arrivals = instances
        .iter()
        .map(|instance| arrives(ctx, instance, &places, target.as_ref()));
    futures_util::future::join_all(arrivals)
        .await
        .into_iter()
        .collect()
}

async fn whereabouts(ctx: &Context) -> Vec<Whereabouts> {
    let places = places_of(&everybody(ctx)).await.into_iter();
    places.map(|place| place.whereabouts).collect()
}

async fn arrives(
    ctx: &Context,
    instance: &Instance,
    places: &[Whereabouts],
    target: Option<&(Client, String)>,
) -> Result<(), String> {
    match look(ctx, instance, places, target).await {
        Arrival::Seen => Ok(()),
        Arrival::Unknown => {
            ctx.reporter.line(&format!(
                "whether {} arrives in the target is not known: the sessions there may be its own or not, such as a pooler's",
                instance.id
            ));
            Ok(())
        }
        Arrival::NotSeen => Err(format!(
            "while {} was asked nobody was connected to the target ({}) who could be it: it serves from another database, or as another role. \
             Compare what the switch writes with `target.runtime_url`. What users write to it would be nowhere in the target. If nothing of \
             what it was asked reads the database: let `verification.requests` have a GET that does",
            instance.id,
            printable(&name_of(&ctx.runbook.target.runtime_url), 120),
        )),
    }
}

/// `lib_app in library on db.internal:5432`.
fn name_of(url: &str) -> String {
    match Endpoint::parse(url) {
        Ok(endpoint) => format!(
            "role {} in {} on {}",
            endpoint.user(),
            endpoint.database(),
            endpoint.host_label()
        ),
        Err(_) => "`target.runtime_url`".to_owned(),
    }
}

async fn look(
    ctx: &Context,
    instance: &Instance,
    places: &[Whereabouts],
    target: Option<&(Client, String)>,
) -> Arrival {
    let reads = reads(ctx);
    let Some((client, role)) = target.filter(|_| !reads.is_empty()) else {
        return Arrival::Unknown;
    };
    let mut places = places.to_vec();
    let mut seen: Vec<ClientSession> = Vec::new();
    // Some of what is asked may be answered from a cache.
    for read in reads.iter().cycle().take(reads.len().max(LOOKS)) {
        let mut asking = Asking::begin(ctx, instance, read);
        loop {
            let is_over = asking.is_over_at_next_glance().await;
            let Some(sessions) = sessions_of(client, role).await else {
                return Arrival::Unknown;
            };
            let new = sessions
                .into_iter()
                .filter(|session| !seen.contains(session));
            let new: Vec<ClientSession> = new.collect();
            seen.extend(new);
            if is_over {
                break;
            }
        }
        if concluded(&instance.id, &places, &seen) == Arrival::Seen {
            return Arrival::Seen;
        }
        // A connection that was opened to answer has a port that nobody knew before.
        places = whereabouts(ctx)
            .await
            .into_iter()
            .map(|now| with_ports_of(&places, now))
            .collect();
        if concluded(&instance.id, &places, &seen) == Arrival::Seen {
            return Arrival::Seen;
        }
    }
    concluded(&instance.id, &places, &seen)
}

/// The sessions of the application's role that are there now; `None` where PostgreSQL does not say.
async fn sessions_of(client: &Client, role: &str) -> Option<Vec<ClientSession>> {
    let asked = tokio::time::timeout(LIMIT, of_role(client, role)).await;
    let sessions = asked.ok()?.ok()?;
    Some(sessions.iter().map(as_client_session).collect())
}

/// A place with the ports that it has now, and those that it had.
fn with_ports_of(before: &[Whereabouts], now: Whereabouts) -> Whereabouts {
    let had = before
        .iter()
        .find(|place| place.id == now.id)
        .and_then(|place| place.ports.as_ref());
    let ports = match (had, &now.ports) {
        (Some(had), Some(has)) => Some(had | has),
        (had, has) => had.or(has.as_ref()).cloned(),
    };
    Whereabouts { ports, ..now }
}

/// What sessions say of the instance with this id, by where all of them are.
fn concluded(id: &str, places: &[Whereabouts], seen: &[ClientSession]) -> Arrival {
    let whose = |session: &ClientSession| {
        let mut of = places
            .iter()
            .filter(|place| is_of(place, session))
            .map(|place| place.id == id);
        match (of.clone().any(|is_its| is_its), of.next().is_some()) {
            (true, _) => Whose::Its,
            (false, true) => Whose::Others,
            (false, false) => Whose::Nobodys,
        }
    };
    let whose: BTreeSet<Whose> = seen.iter().map(whose).collect();
    if whose.contains(&Whose::Its) {
        Arrival::Seen
    } else if whose.contains(&Whose::Nobodys) {
        Arrival::Unknown
    } else {
        Arrival::NotSeen
    }
}

/// Whose a session is, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    /// The instance's that is asked.
    Its,
    /// Another instance's, or the staging slot's.
    Others,
    /// A pooler's, or of a process that cannot be looked at.
    Nobodys,
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn only_sessions_that_cannot_be_its_own_say_that_it_is_elsewhere() {
        let here: IpAddr = "10.0.0.1".parse().expect("an address");
        let at = |id: &str, port: u16| Whereabouts {
            id: id.to_owned(),
            addresses: [here].into(),
            ports: Some([port].into()),
            shares_address: true,
        };
        let session = |port: u16| ClientSession {
            address: Some(here),
            port: Some(port),
            application: String::new(),
        };
        let places = [at("app-1", 4001), at("staging", 4002)];
        let of = |seen: &[u16]| {
            let seen: Vec<_> = seen.iter().map(|port| session(*port)).collect();
            concluded("app-1", &places, &seen)
        };
        assert_eq!(of(&[]), Arrival::NotSeen);
        assert_eq!(of(&[4002]), Arrival::NotSeen);
        // A pooler's, or one whose port nobody has seen.
        assert_eq!(of(&[4002, 6000]), Arrival::Unknown);
        assert_eq!(of(&[4001, 6000]), Arrival::Seen);
        // Opened to answer: its port is known only once it is looked at again.
        let again = places.clone().map(|place| with_ports_of(&places, place));
        let later = with_ports_of(&again, at("app-1", 6000));
        assert_eq!(
            concluded("app-1", &[later, at("staging", 4002)], &[session(6000)]),
            Arrival::Seen
        );
        let gone = with_ports_of(&places, at("app-1", 4009));
        assert_eq!(concluded("app-1", &[gone], &[session(4001)]), Arrival::Seen);
    }
}
