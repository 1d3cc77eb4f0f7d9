//! Taking the capture away again, at a table at a time, so that the application never waits long for a lock that we wait for.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::statements::{PREFIX, idle_function};
use super::{Error, server, shown, tables};
use crate::ours::statements::{Kind, Name, drop_objects, drop_trigger};
use crate::postgres;

/// How often each table is tried.
const ROUNDS: u32 = 5;

/// Between two rounds, the application has the tables for itself.
const PAUSE: Duration = Duration::from_millis(300);

/// Who writes meanwhile waits behind us for as long as we wait: of a partitioned table, for all its partitions together.
const BEGIN: &str = "BEGIN READ WRITE; SET LOCAL lock_timeout = '200ms'; SET LOCAL statement_timeout = '1s'; SET LOCAL client_min_messages = warning";

const DOING: &str = "remove the capture";

/// Takes the capture away, of whichever session it is: triggers, functions, notes. A table that others hold for longer than 200 ms is left
/// and tried again, five times at most. Returns what is still there, in words that name the table: it notes nothing any more, for to make its
/// function an empty one takes no lock on the table. Empty where nothing is left.
pub async fn remove(client: &Client) -> Result<Vec<String>, Error> {
    let mut left = once(client).await?;
    for _ in 1..ROUNDS {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        left = once(client).await?;
    }
    if left.is_empty() {
        return Ok(left);
    }
    let functions = tables::functions(client).await?;
    let idle: Vec<String> = functions.keys().map(|name| idle_function(name)).collect();
    // Notes that nobody reads would only grow.
    let does = match attempt(client, &idle).await? {
        None => "it does nothing any more".to_owned(),
        Some(why) => format!("it goes on to note, for its function could not be made empty: {why}"),
    };
    Ok(left.iter().map(|left| format!("{left}; {does}")).collect())
}

/// The tables, with their schemas, that have triggers of the capture, of whichever session; and where none has, what else of it is there.
pub async fn left(client: &Client) -> Result<Vec<String>, Error> {
    let triggers = triggers(client).await?;
    let mut left: Vec<String> = triggers.keys().map(shown).collect();
    if left.is_empty() && !rest(client).await?.is_empty() {
        left.push("functions or tables of the feed in the schema cutover".to_owned());
    }
    Ok(left)
}

async fn once(client: &Client) -> Result<Vec<String>, Error> {
    let mut left = Vec::new();
    for (table, triggers) in triggers(client).await? {
        let drops = triggers.iter().map(|trigger| drop_trigger(&table, trigger));
        let drops: Vec<String> = drops.collect();
        if let Some(why) = attempt(client, &drops).await? {
            left.push(format!(
                "{}: its triggers {PREFIX}… are still there: {why}",
                shown(&table)
            ));
        }
    }
    if !left.is_empty() {
        return Ok(left);
    }
    let why = attempt(client, &rest(client).await?).await?;
    let why = why.map(|why| {
        format!("the functions and the notes of the capture are still in the schema cutover: {why}")
    });
    Ok(why.into_iter().collect())
}

/// Our triggers by table, but for the copies on partitions, which go with those of the whole.
async fn triggers(client: &Client) -> Result<BTreeMap<Name, Vec<String>>, Error> {
    let mut found: BTreeMap<Name, Vec<String>> = BTreeMap::new();
    for ((_, trigger), present) in tables::present(client).await? {
        if !present.is_clone {
            found.entry(present.table).or_default().push(trigger);
        }
    }
    Ok(found)
}

/// What drops everything but triggers. Empty where nothing is there.
async fn rest(client: &Client) -> Result<Vec<String>, Error> {
    let functions = tables::functions(client).await?;
    let functions: Vec<String> = functions
        .keys()
        .map(|name| format!("cutover.{}()", postgres::quoted(name)))
        .collect();
    let there = "SELECT 'cutover.' || c.relname FROM pg_catalog.pg_class c
        WHERE c.relnamespace = pg_catalog.to_regnamespace('cutover') AND c.relname IN ('feed_notes', 'feed_tables')";
    let rows = client.query(there, &[]).await.map_err(server(DOING))?;
    let tables: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let drops = [
        drop_objects(Kind::Function, &functions),
        drop_objects(Kind::Table, &tables),
    ];
    Ok(drops.into_iter().flatten().collect())
}

/// Runs the statements in a transaction. Why they did not do.
async fn attempt(client: &Client, statements: &[String]) -> Result<Option<String>, Error> {
    if statements.is_empty() {
        return Ok(None);
    }
    client.batch_execute(BEGIN).await.map_err(server(DOING))?;
    let done = match client.batch_execute(&statements.join("; ")).await {
        Ok(()) => client.batch_execute("COMMIT").await,
        Err(error) => Err(error),
    };
    let Err(error) = done else {
        return Ok(None);
    };
    let Some(code) = error.code() else {
        return Err(server(DOING)(error));
    };
    let busy = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    let why = match busy.contains(code) {
        true => "a transaction of somebody else's held a lock on it, each time that it was tried"
            .to_owned(),
        false => postgres::Error::of_statement(DOING, &error).to_string(),
    };
    client
        .batch_execute("ROLLBACK")
        .await
        .map_err(server(DOING))?;
    Ok(Some(why))
}
