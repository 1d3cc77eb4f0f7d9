//! What every session of ours pins, so that no default of a role, a database or a server changes what we read or write; and how all of
//! it is put back: a pooler may hand the server connection on to the application once we are gone.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::task::JoinHandle;
use tokio_postgres::error::DbError;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::within::within;
use super::{Endpoint, Error, literal, pooler, quoted};

/// How long putting back may take. It waits for the statement that was under way.
const PUT_BACK_LIMIT: Duration = Duration::from_secs(2);

/// Settings that are on their way back.
static UNDER_WAY: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

/// A connection whose settings are pinned. Dropped, it puts back what it found, and lets go of what a session holds: locks, temporary
/// tables, prepared statements, what it listens to, its role.
pub struct Pinned {
    /// `None` once it has been dropped.
    client: Option<Client>,
    /// Every setting that a session may change, as it was found.
    found: BTreeMap<String, String>,
}

impl Deref for Pinned {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.client.as_ref().expect("BUG: it was dropped")
    }
}

impl DerefMut for Pinned {
    fn deref_mut(&mut self) -> &mut Client {
        self.client.as_mut().expect("BUG: it was dropped")
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let Some(client) = self.client.take().filter(|client| !client.is_closed()) else {
            return;
        };
        // Without a runtime nobody can be asked any more; the connection ends with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let found = std::mem::take(&mut self.found);
        let putting = runtime.spawn(async move {
            let back = within(PUT_BACK_LIMIT, put_back(&client, &found));
            if !matches!(back.await, Some(Ok(()))) {
                tracing::debug!(
                    "the settings of a session were not put back; its connection is dropped"
                );
            }
        });
        let mut under_way = UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|task| !task.is_finished());
        under_way.push(putting);
    }
}

/// Waits until every setting is back, or its time is over. Before a process ends: what is still under way ends with it.
pub async fn all_put_back() {
    let tasks = std::mem::take(&mut *UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner));
    for task in tasks {
        // One that was aborted has nothing to wait for.
        let _ = task.await;
    }
}

impl Pinned {
    /// Connects, and pins the settings of the session.
    ///
    /// # Errors
    /// [`Error::Pooled`] before anything was set; no connection; as [`session_settings`].
    pub async fn open(endpoint: &Endpoint, schema: &str) -> Result<Self, Error> {
        Self::open_with(endpoint, schema, |_| ()).await
    }

    /// As [`Pinned::open`]; every notice of the server goes to `on_notice`, whose text is foreign.
    pub async fn open_with(
        endpoint: &Endpoint,
        schema: &str,
        on_notice: impl Fn(&DbError) + Send + Sync + Clone + 'static,
    ) -> Result<Self, Error> {
        pooler::refuse(endpoint).await?;
        // The name is a setting like any other: found first, and put back.
        let unnamed = endpoint.with_application_name("");
        let client = unnamed.connect_with(on_notice).await?;
        let found = changeable(&client).await?;
        let pinned = Pinned {
            client: Some(client),
            found,
        };
        session_settings(&pinned, schema).await?;
        let name = format!(
            "SET application_name = {}",
            literal(&endpoint.application_name)
        );
        let named = pinned.batch_execute(&name).await;
        named.map_err(|error| Error::of_statement("name the session", &error))?;
        Ok(pinned)
    }
}

/// Pins the settings of a session: commits that are durable when they return, UTC, ISO dates, UTF-8, no time-outs of the server's, writing allowed, an error instead of a
/// silent filter under row-level security, and `search_path` exactly `schema`. They stay; [`Pinned`] puts them back.
///
/// # Errors
/// The server rejects a setting, or is gone.
pub async fn session_settings(client: &Client, schema: &str) -> Result<(), Error> {
    let statements = format!(
        "SET statement_timeout = 0;
         SET TIME ZONE 'UTC';
         SET DateStyle = 'ISO, YMD';
         SET IntervalStyle = 'postgres';
         SET client_encoding = 'UTF8';
         SET bytea_output = 'hex';
         SET extra_float_digits = 1;
         SET standard_conforming_strings = on;
         SET lock_timeout = 0;
         SET idle_in_transaction_session_timeout = 0;
         SET default_transaction_read_only = off;
         SET default_transaction_isolation = 'read committed';
         SET row_security = off;
         SET synchronous_commit = on;
         SET search_path = {schema}",
        schema = quoted(schema)
    );
    client
        .batch_execute(&statements)
        .await
        .map_err(|error| Error::of_statement("pin the session's settings", &error))
}

/// Every setting that this session may change, in the server's own units. By the simple protocol, which leaves nothing behind.
async fn changeable(client: &Client) -> Result<BTreeMap<String, String>, Error> {
    let query =
        "SELECT name, setting FROM pg_catalog.pg_settings WHERE context IN ('user', 'superuser')
        AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')";
    let answer = client
        .simple_query(query)
        .await
        .map_err(|error| Error::of_statement("read the session's settings", &error))?;
    let settings = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())),
        _ => None,
    });
    Ok(settings.collect())
}

/// Ends what is open, lets go of what the session holds, and sets what differs as it was.
async fn put_back(client: &Client, found: &BTreeMap<String, String>) -> Result<(), Error> {
    let failed = |error| Error::of_statement("put the session's settings back", &error);
    let end = "ROLLBACK; RESET SESSION AUTHORIZATION; RESET ROLE; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES;
        DEALLOCATE ALL; SELECT pg_catalog.pg_advisory_unlock_all()";
    // A statement each: none of them may stand in a transaction with the next. They are sent in this order, and none waits for the answer to
    // the one before: the way to a server behind a pooler may be long.
    let ended = end
        .split(';')
        .map(|statement| client.simple_query(statement));
    try_join_all(ended).await.map_err(failed)?;
    let now = changeable(client).await?;
    let differs = now
        .iter()
        .filter_map(|(name, value)| Some((name, found.get(name).filter(|was| *was != value)?)));
    let set = |(name, was): (&String, &String)| {
        let (name, was) = (literal(name), literal(was));
        format!("SELECT pg_catalog.set_config({name}, {was}, false)")
    };
    let sets: Vec<String> = differs.map(set).collect();
    let sent = sets.iter().map(|set| client.simple_query(set));
    try_join_all(sent).await.map_err(failed)?;
    Ok(())
}
