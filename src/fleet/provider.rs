//! By which database an instance serves: what its own page says, or what can be seen of it from outside. Rules over what was seen,
//! and the question to the page.
//!
//! Where nothing tells, the answer is *not known*, which is never green. Not in here: looking at processes (`processes`), at
//! PostgreSQL's sessions (`postgres::clients`), and what follows from the answer (`step::serving`).

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::request;
use crate::runbook::{Instance, ProviderPage};

/// A page longer than this says nothing.
const PAGE_LIMIT_BYTES: usize = 256 * 1024;

/// A database that an application can serve from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    Sqlite,
    Postgres,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Provider::Sqlite => "SQLite",
            Provider::Postgres => "PostgreSQL",
        })
    }
}

/// By which database one instance serves, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    pub instance: String,
    /// `None`: not known.
    pub provider: Option<Provider>,
    /// What was seen, or why nothing was.
    pub how: String,
}

impl Serving {
    /// In words: `app-1 serves from SQLite (its page says so)`.
    pub fn words(&self) -> String {
        match self.provider {
            Some(provider) => format!("{} serves from {provider} ({})", self.instance, self.how),
            None => format!(
                "by which database {} serves is not known ({})",
                self.instance, self.how
            ),
        }
    }
}

/// What an instance's page says of it. `time_limit` is for the whole answer.
pub async fn by_page(
    client: &reqwest::Client,
    page: &ProviderPage,
    instance: &Instance,
    time_limit: Duration,
) -> Serving {
    let url = page.url.replace("{url}", &instance.url);
    let answer = request::get(client, &url, time_limit, PAGE_LIMIT_BYTES).await;
    let (provider, how) = match answer {
        Ok(answer) => match said(page, &String::from_utf8_lossy(&answer.body)) {
            Ok(provider) => (Some(provider), "its page says so".to_owned()),
            Err(why) => (None, format!("{why}: {} {}", answer.status, answer.start())),
        },
        Err(error) => (None, format!("its page was asked: {error}")),
    };
    Serving {
        instance: instance.id.clone(),
        provider,
        how,
    }
}

/// Which of the two patterns matches; both or neither says nothing.
fn said(page: &ProviderPage, body: &str) -> Result<Provider, String> {
    // Both were compiled when the runbook was read; what does not compile any more matches nothing.
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|regex| regex.is_match(body));
    match (matches(&page.sqlite), matches(&page.postgres)) {
        (true, false) => Ok(Provider::Sqlite),
        (false, true) => Ok(Provider::Postgres),
        (true, true) => Err("both patterns of `fleet.provider` match its page".to_owned()),
        (false, false) => Err("neither pattern of `fleet.provider` matches its page".to_owned()),
    }
}

/// What was seen of an instance from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outside {
    /// Whether a process of it has the SQLite file open; `None` where its processes cannot be looked at from here.
    pub holds_file: Option<bool>,
    /// Sessions of the runtime role on PostgreSQL that are its own; `None` where they cannot be told from others', or nobody answered.
    pub sessions: Option<u32>,
}

/// What the signs from outside come to.
pub fn by_signs(instance: &str, seen: &Outside) -> Serving {
    let (provider, how) = match (seen.holds_file, seen.sessions) {
        (Some(true), Some(n)) if n > 0 => (
            None,
            format!("it has the SQLite file open, and {n} sessions on PostgreSQL as well"),
        ),
        (Some(true), _) => (
            Some(Provider::Sqlite),
            "its process has the SQLite file open".to_owned(),
        ),
        (_, Some(n)) if n > 0 => (
            Some(Provider::Postgres),
            format!("the runtime role has {n} sessions from it"),
        ),
        (holds, sessions) => {
            let file = match holds {
                Some(_) => "its process does not have the SQLite file open",
                None => "its processes cannot be looked at from here",
            };
            let sessions = match sessions {
                Some(_) => "it has no session on PostgreSQL",
                None => "PostgreSQL's sessions cannot be told apart",
            };
            let page = "`fleet.provider` in the runbook would tell";
            (None, format!("{file}, and {sessions}; {page}"))
        }
    };
    Serving {
        instance: instance.to_owned(),
        provider,
        how,
    }
}

/// A session of the runtime role, as PostgreSQL shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSession {
    /// Where it comes from; `None` through a Unix socket, or where the server does not show it.
    pub address: Option<IpAddr>,
    pub port: Option<u16>,
    /// As it calls itself; foreign text.
    pub application: String,
}

/// Where an instance is on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// As the application may call its sessions: the instance's id.
    pub id: String,
    /// Addresses of its host.
    pub addresses: BTreeSet<IpAddr>,
    /// Ports that its processes have open; `None` where it is on another host, or its processes cannot be looked at.
    pub ports: Option<BTreeSet<u16>>,
    /// Whether another instance has an address in common with it.
    pub shares_address: bool,
}

/// Whether a session is this instance's: by the name that it gives itself, by its port, or by an address that no other instance has.
pub fn is_of(instance: &Whereabouts, session: &ClientSession) -> bool {
    let is_here = is_at(instance, session);
    let by_name = session.application == instance.id;
    let by_port = match (&instance.ports, session.port) {
        (Some(ports), Some(port)) => is_here && ports.contains(&port),
        _ => false,
    };
    by_name || by_port || (is_here && !instance.shares_address && instance.ports.is_none())
}

fn is_at(instance: &Whereabouts, session: &ClientSession) -> bool {
    let address = session.address;
    address.is_some_and(|a| instance.addresses.contains(&a))
}

/// How many of the sessions are this instance's; `None` where some may be and nothing tells.
pub fn sessions_of(instance: &Whereabouts, sessions: &[ClientSession]) -> Option<u32> {
    let own = sessions.iter().filter(|s| is_of(instance, s)).count();
    if own > 0 {
        return Some(own as u32);
    }
    let may_be_its_own = |s: &ClientSession| match s.address {
        None => instance.ports.is_some(),
        Some(_) => is_at(instance, s) && instance.ports.is_none(),
    };
    match sessions.iter().any(may_be_its_own) {
        true => None,
        false => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> ProviderPage {
        ProviderPage {
            url: "{url}/ready".to_owned(),
            sqlite: r#""provider": ?"Sqlite""#.to_owned(),
            postgres: r#""provider": ?"Postgres""#.to_owned(),
        }
    }

    #[test]
    fn a_page_says_one_of_two_things_or_nothing() {
        let says = |body| said(&page(), body);
        assert_eq!(says(r#"{"provider":"Sqlite"}"#), Ok(Provider::Sqlite));
        assert_eq!(says(r#"{"provider": "Postgres"}"#), Ok(Provider::Postgres));
        assert!(says("ready").expect_err("nothing").contains("neither"));
        let both = r#"{"provider":"Sqlite","was":{"provider":"Postgres"}}"#;
        assert!(says(both).expect_err("both").contains("both"));
    }

    #[test]
    fn signs_tell_where_they_agree_and_nothing_where_they_do_not() {
        let sees = |holds_file, sessions| {
            by_signs(
                "app-1",
                &Outside {
                    holds_file,
                    sessions,
                },
            )
            .provider
        };
        assert_eq!(sees(Some(true), Some(0)), Some(Provider::Sqlite));
        assert_eq!(sees(Some(true), None), Some(Provider::Sqlite));
        assert_eq!(sees(Some(false), Some(2)), Some(Provider::Postgres));
        assert_eq!(sees(None, Some(2)), Some(Provider::Postgres));
        for (holds, sessions) in [
            (Some(true), Some(1)),
            (Some(false), Some(0)),
            (Some(false), None),
            (None, Some(0)),
            (None, None),
        ] {
            assert_eq!(sees(holds, sessions), None, "{holds:?} {sessions:?}");
        }
    }

    #[test]
    fn a_session_belongs_to_an_instance_by_name_port_or_an_address_of_its_own() {
        let here: IpAddr = "10.0.0.1".parse().expect("an address");
        let session = |address, port, application: &str| ClientSession {
            address,
            port,
            application: application.to_owned(),
        };
        let at = |ports: Option<&[u16]>, shares_address| Whereabouts {
            id: "app-1".to_owned(),
            addresses: [here].into(),
            ports: ports.map(|p| p.iter().copied().collect()),
            shares_address,
        };
        let from_here = [session(Some(here), Some(4000), "gunicorn")];
        assert_eq!(sessions_of(&at(None, false), &from_here), Some(1));
        assert_eq!(sessions_of(&at(None, true), &from_here), None);
        assert_eq!(sessions_of(&at(Some(&[4000]), true), &from_here), Some(1));
        assert_eq!(sessions_of(&at(Some(&[4001]), true), &from_here), Some(0));
        // A process of another program on the instance's own host is not the instance.
        assert_eq!(sessions_of(&at(Some(&[4001]), false), &from_here), Some(0));
        let by_name = [session(None, None, "app-1"), session(None, None, "app-2")];
        assert_eq!(sessions_of(&at(None, true), &by_name), Some(1));
        let by_socket = [session(None, None, "psql")];
        assert_eq!(sessions_of(&at(Some(&[4000]), false), &by_socket), None);
        assert_eq!(sessions_of(&at(None, false), &by_socket), Some(0));
        assert_eq!(sessions_of(&at(None, false), &[]), Some(0));
    }
}
