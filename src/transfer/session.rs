//! Connections of an import: the same settings on each, so that no default of a role or a database changes what arrives.

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::postgres::{Endpoint, Pinned};

pub(crate) use crate::postgres::literal;

use crate::transfer::Error;
use crate::transfer::error::server;

/// Where and under which name an import works.
#[derive(Clone)]
pub struct Target {
    pub endpoint: Endpoint,
    /// The schema that holds the application's tables.
    pub schema: String,
    /// Shown in `pg_stat_activity`, and how a resumed import recognises what an earlier process left running.
    pub application_name: String,
}

impl Target {
    /// A connection with everything pinned, which is put back when it is dropped. Names of our SQL are always qualified, so the search path
    /// holds nothing.
    pub async fn connect(&self) -> Result<Pinned, Error> {
        let connect_error = |source| Error::Connect {
            endpoint: self.endpoint.redacted(),
            source,
        };
        let client = Pinned::open(&self.endpoint, &self.schema)
            .await
            .map_err(connect_error)?;
        // A server that notices a dead client soon lets a resumed import in soon; keepalives notice a dead network.
        let settings = format!(
            "SET search_path = '';
             SET idle_session_timeout = 0;
             SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'transaction_timeout';
             SET client_connection_check_interval = '1s';
             SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
             SET application_name = {}",
            literal(&self.application_name)
        );
        client
            .batch_execute(&settings)
            .await
            .map_err(server("pinning the session's settings"))?;
        Ok(client)
    }
}

/// The search path of the application's own sessions, as the value of `SET search_path`: as role and database have it, `schema` first
/// where they do not name it. What the application's functions name without a schema is found as it will be found later; our own
/// statements name theirs.
pub async fn application_path(client: &Client, schema: &str) -> Result<String, Error> {
    let row = client
        .query_one(
            "SELECT coalesce(reset_val, '') FROM pg_settings WHERE name = 'search_path'",
            &[],
        )
        .await
        .map_err(server(
            "reading the search path of the application's sessions",
        ))?;
    let path: String = row.get(0);
    let parts = path.split(',').map(str::trim);
    let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | "\"\"")).collect();
    let path = parts.join(", ");
    let named = path.split(',').map(|part| part.trim().trim_matches('"'));
    let schema_is_named = named.clone().any(|part| part == schema);
    Ok(if schema_is_named {
        path
    } else if path.is_empty() {
        crate::postgres::quoted(schema)
    } else {
        format!("{}, {path}", crate::postgres::quoted(schema))
    })
}

/// The one number that a query over tables gives, asked with the application's search path: the server looks into the indexes of a table
/// whatever is asked of it, and a function of an index may name another without its schema. The path is as before afterwards, within a
/// transaction and without one.
pub async fn count(
    client: &Client,
    schema: &str,
    sql: &str,
    doing: impl Fn() -> String,
) -> Result<u64, Error> {
    let path = application_path(client, schema).await?;
    let row = client
        .query_one("SELECT current_setting('search_path')", &[])
        .await
        .map_err(server(doing()))?;
    let before: String = row.get(0);
    // An empty path can be set by the function alone.
    let all = format!(
        "SET LOCAL search_path = {path}; {sql}; SELECT set_config('search_path', {}, true)",
        literal(&before)
    );
    let answers = client.simple_query(&all).await.map_err(server(doing()))?;
    let number = answers.iter().find_map(|answer| match answer {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    });
    Ok(number.expect("BUG: a count gives one number"))
}
