//! What every session of ours pins, so that no default of a role, a database or a server changes what we read or write.

use tokio_postgres::Client;

use super::{Error, quoted};

/// Pins the settings of a session: UTC, ISO dates, UTF-8, no time-outs of the server's, writing allowed, an error instead of a
/// silent filter under row-level security, and `search_path` exactly `schema`.
///
/// # Errors
/// The server rejects a setting, or is gone.
pub async fn session_settings(client: &Client, schema: &str) -> Result<(), Error> {
    let statements = format!(
        "SET TIME ZONE 'UTC';
         SET DateStyle = 'ISO, YMD';
         SET IntervalStyle = 'postgres';
         SET client_encoding = 'UTF8';
         SET bytea_output = 'hex';
         SET extra_float_digits = 1;
         SET standard_conforming_strings = on;
         SET statement_timeout = 0;
         SET lock_timeout = 0;
         SET idle_in_transaction_session_timeout = 0;
         SET default_transaction_read_only = off;
         SET default_transaction_isolation = 'read committed';
         SET row_security = off;
         SET search_path = {schema}",
        schema = quoted(schema)
    );
    client
        .batch_execute(&statements)
        .await
        .map_err(|error| Error::of_statement("pin the session's settings", &error))
}
