//! Who is connected to the target in the application's role: from where, under which name.

use tokio_postgres::Client;

use super::Error;

/// Sessions that one look takes in at most.
const SESSIONS: i64 = 5_000;

/// A session in the application's role that is none of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct RoleSession {
    /// Its process on the server.
    pub pid: i32,
    /// Where it comes from, as text; `None` through a Unix socket.
    pub address: Option<String>,
    /// Its port there; -1 through a Unix socket, `None` where the server does not show it.
    pub port: Option<i32>,
    /// As it calls itself; foreign text.
    pub application: String,
    /// For how long it has been connected, in milliseconds; `None` where the server does not show it.
    pub age_ms: Option<f64>,
}

/// The sessions of `role` in the database that this client is connected to, but for ours.
pub async fn of_role(client: &Client, role: &str) -> Result<Vec<RoleSession>, Error> {
    let rows = client.query(QUERY, &[&role, &SESSIONS]).await;
    let rows = rows.map_err(|error| Error::of_statement("read pg_stat_activity", &error))?;
    let session = |row: &tokio_postgres::Row| RoleSession {
        pid: row.get(0),
        address: row.get(1),
        port: row.get(2),
        application: row.get(3),
        age_ms: row.get(4),
    };
    Ok(rows.iter().map(session).collect())
}

const QUERY: &str = "
    SELECT pid, host(client_addr), client_port, coalesce(application_name, ''),
      extract(epoch FROM clock_timestamp() - backend_start)::float8 * 1000
    FROM pg_catalog.pg_stat_activity
    WHERE usename = $1 AND datname = current_database() AND pid <> pg_backend_pid()
      AND coalesce(application_name, '') NOT LIKE 'cutover%'
    ORDER BY backend_start LIMIT $2";
