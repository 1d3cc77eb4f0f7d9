//! Connections of an import: the same settings on each, so that no default of a role or a database changes what arrives.

use tokio_postgres::Client;

use crate::target::{Endpoint, session_settings};
use crate::transfer::Error;
use crate::transfer::error::server;

/// Where and under which name an import works.
#[derive(Clone)]
pub struct Target {
    /// The database.
    pub endpoint: Endpoint,
    /// The schema that holds the application's tables.
    pub schema: String,
    /// Shown in `pg_stat_activity`, and how a resumed import recognises what an earlier process left running.
    pub application_name: String,
}

impl Target {
    /// A connection with everything pinned. Names of our SQL are always qualified, so the search path holds nothing.
    pub async fn connect(&self) -> Result<Client, Error> {
        let connect_error = |source| Error::Connect {
            endpoint: self.endpoint.redacted(),
            source,
        };
        let client = self.endpoint.connect().await.map_err(connect_error)?;
        session_settings(&client, &self.schema)
            .await
            .map_err(connect_error)?;
        // A server that notices a dead client soon lets a resumed import in soon; keepalives notice a dead network.
        let settings = format!(
            "SET search_path = '';
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

/// A string between single quotes, for SQL that takes no parameters.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}
