//! Whether a pooler stands between us and PostgreSQL that hands a server connection on to others between two of our statements.
//! Settings, locks and temporary tables of ours would then be somebody else's, and theirs ours: such an address is refused before
//! anything is set. Not in here: a pooler that keeps a server connection for as long as we are connected is fine, and what we set is put
//! back for it (`session_settings`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Endpoint, Error};

/// How often both connections are asked.
const ROUNDS: usize = 3;
/// For all answers together. A pooler may keep a client waiting for minutes.
const LIMIT: Duration = Duration::from_secs(10);

/// Addresses that were looked at in this process, and whether they are shared. What stands there does not change under a running process.
static LOOKED_AT: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

/// Refuses an address behind which connections share server processes. Sets nothing. An address is looked at once.
///
/// # Errors
/// [`Error::Pooled`] with what was seen; no connection.
pub async fn refuse(endpoint: &Endpoint) -> Result<(), Error> {
    match seen(endpoint).await? {
        Some(evidence) => Err(Error::Pooled {
            host: endpoint.host_label(),
            evidence,
        }),
        None => Ok(()),
    }
}

/// A connection for somebody who only asks, and who may come through the application's own pooler. There it has no name: a pooler would
/// give the name to the server connection, and leave it there.
pub async fn connect(endpoint: &Endpoint) -> Result<Client, Error> {
    match seen(endpoint).await? {
        Some(_) => endpoint.with_application_name("").connect().await,
        None => endpoint.connect().await,
    }
}

/// As [`look`], once for each address.
pub async fn seen(endpoint: &Endpoint) -> Result<Option<String>, Error> {
    let key = format!("{} as {}", endpoint.identity(), endpoint.user());
    let looked_at = || LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = looked_at().get(&key).cloned();
    match seen {
        Some(seen) => Ok(seen),
        None => {
            let seen = look(endpoint).await?;
            looked_at().insert(key, seen.clone());
            Ok(seen)
        }
    }
}

/// As [`refuse`], before there is anything to be set: an address at which nobody answers is for others to tell of.
///
/// # Errors
/// [`Error::Pooled`] alone.
pub async fn refuse_early(endpoint: &Endpoint) -> Result<(), Error> {
    match refuse(endpoint).await {
        Err(error @ Error::Pooled { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// What shows that connections share server processes, in words; `None` where nothing does.
///
/// # Errors
/// No connection, or no answer in time.
pub async fn look(endpoint: &Endpoint) -> Result<Option<String>, Error> {
    let endpoint = &endpoint.with_application_name("");
    let one = endpoint.connect().await?;
    // A server without room for a second one is asked with the one alone.
    let two = match endpoint.connect().await {
        Ok(two) => Some(two),
        Err(Error::TooManyConnections { .. }) => None,
        Err(error) => return Err(error),
    };
    match tokio::time::timeout(LIMIT, compare(&one, two.as_ref())).await {
        Ok(seen) => seen,
        Err(_) => Err(Error::Timeout {
            host: endpoint.host_label(),
            seconds: LIMIT.as_secs(),
        }),
    }
}

/// Asks both connections in turn, in a transaction and outside of one.
async fn compare(one: &Client, two: Option<&Client>) -> Result<Option<String>, Error> {
    let mut seen = Seen::default();
    for _ in 0..ROUNDS {
        seen.one.insert(backend(one).await?);
        if let Some(two) = two {
            seen.two.insert(backend(two).await?);
        }
        // Judged before a transaction begins: in a pool of one connection the other would wait for its end.
        if let Some(evidence) = seen.evidence() {
            return Ok(Some(evidence));
        }
        if let Err(error) = one.batch_execute("BEGIN READ ONLY").await {
            return match error.as_db_error() {
                Some(refused) => Ok(Some(format!(
                    "it refuses transactions ({})",
                    super::error::server_message(refused)
                ))),
                None => Err(Error::of_statement(DOING, &error)),
            };
        }
        seen.one.insert(backend(one).await?);
        if let Some(two) = two {
            seen.two.insert(backend(two).await?);
        }
        let ended = one.batch_execute("COMMIT").await;
        ended.map_err(|error| Error::of_statement(DOING, &error))?;
        seen.one.insert(backend(one).await?);
        if let Some(evidence) = seen.evidence() {
            return Ok(Some(evidence));
        }
    }
    Ok(None)
}

const DOING: &str = "find out whether a pooler stands before PostgreSQL";

/// The server process that answers. By the simple protocol, which leaves no prepared statement behind.
async fn backend(client: &Client) -> Result<i32, Error> {
    let answer = client.simple_query("SELECT pg_catalog.pg_backend_pid()");
    let answer = answer
        .await
        .map_err(|error| Error::of_statement(DOING, &error))?;
    let pid = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    pid.ok_or_else(|| Error::Protocol {
        doing: DOING,
        message: "no process id in its answer".to_owned(),
    })
}

/// The server processes that answered two connections that were open at once.
#[derive(Default)]
struct Seen {
    one: BTreeSet<i32>,
    two: BTreeSet<i32>,
}

impl Seen {
    fn evidence(&self) -> Option<String> {
        if let Some(pid) = self.one.intersection(&self.two).next() {
            return Some(format!(
                "two connections that were open at once were answered by one server process ({pid})"
            ));
        }
        let several = [&self.one, &self.two].into_iter().find(|p| p.len() > 1)?;
        let pids: Vec<String> = several.iter().map(ToString::to_string).collect();
        Some(format!(
            "one connection was answered by several server processes ({})",
            pids.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(one: &[i32], two: &[i32]) -> Option<String> {
        let (one, two) = (one.iter().copied().collect(), two.iter().copied().collect());
        Seen { one, two }.evidence()
    }

    #[test]
    fn one_process_each_is_direct_and_anything_else_is_not() {
        assert_eq!(seen(&[1], &[2]), None);
        assert_eq!(seen(&[1], &[]), None);
        assert!(seen(&[1], &[1]).is_some_and(|why| why.contains("(1)")));
        assert!(seen(&[1, 3], &[2]).is_some_and(|why| why.contains("(1, 3)")));
        assert!(seen(&[1], &[2, 3]).is_some());
        assert!(seen(&[1, 2], &[2]).is_some_and(|why| why.starts_with("two connections")));
    }
}
