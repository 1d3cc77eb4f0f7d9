//! A PgBouncer's console: `SHOW POOLS` and `SHOW STATS`, over a connection of its own.
//!
//! The console knows the simple protocol only, and each version has more columns than the one before: they are found by name.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::{Endpoint, Error};

/// The console's own database, which has a pool like any other.
const CONSOLE: &str = "pgbouncer";

/// The pools of one PgBouncer, or of one database of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pools {
    /// How many there are; a pool begins with its first client.
    pub pools: u32,
    /// Clients that have a server connection, or need none now.
    pub clients_active: u64,
    /// Clients that wait for a server connection.
    pub clients_waiting: u64,
    /// For how long the first of them has been waiting.
    pub maxwait_ms: u64,
    /// Server connections with a client.
    pub servers_active: u64,
    /// Server connections without one.
    pub servers_idle: u64,
}

/// What has been counted since the PgBouncer began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Statements.
    pub queries: u64,
    /// Time that servers spent on them, in microseconds.
    pub query_us: u64,
}

/// A connection to the console.
pub struct BouncerProbe {
    client: Client,
    host: String,
    database: Option<String>,
    time_limit: Duration,
}

impl BouncerProbe {
    /// Connects. With a database, only its pools count. `time_limit` is for each sample.
    ///
    /// # Errors
    /// No connection.
    pub async fn open(
        endpoint: &Endpoint,
        database: Option<String>,
        time_limit: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            client: endpoint.connect().await?,
            host: endpoint.host_label(),
            database,
            time_limit,
        })
    }

    /// Whether the connection was lost.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The numbers now.
    ///
    /// # Errors
    /// No answer in time, or none that this console gives.
    pub async fn sample(&self) -> Result<(Pools, Totals), Error> {
        let mut pools = Pools::default();
        for row in self.show("SHOW POOLS").await? {
            pools.add(&row);
        }
        let mut totals = Totals::default();
        for row in self.show("SHOW STATS").await? {
            totals.queries += number(&row, "total_query_count");
            totals.query_us += number(&row, "total_query_time");
        }
        Ok((pools, totals))
    }

    /// The rows that count.
    async fn show(&self, command: &'static str) -> Result<Vec<SimpleQueryRow>, Error> {
        let answer = tokio::time::timeout(self.time_limit, self.client.simple_query(command));
        let messages = match answer.await {
            Ok(messages) => messages.map_err(|error| Error::of_statement(command, &error))?,
            Err(_) => {
                return Err(Error::Timeout {
                    host: self.host.clone(),
                    seconds: self.time_limit.as_secs(),
                });
            }
        };
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        Ok(rows.filter(|row| self.counts(row)).collect())
    }

    fn counts(&self, row: &SimpleQueryRow) -> bool {
        match (row.try_get("database").ok().flatten(), &self.database) {
            (Some(CONSOLE), _) | (None, _) => false,
            (Some(_), None) => true,
            (Some(found), Some(wanted)) => found == wanted,
        }
    }
}

impl Pools {
    fn add(&mut self, row: &SimpleQueryRow) {
        self.pools += 1;
        self.clients_active += number(row, "cl_active");
        self.clients_waiting += number(row, "cl_waiting");
        let maxwait_ms = number(row, "maxwait") * 1_000 + number(row, "maxwait_us") / 1_000;
        self.maxwait_ms = self.maxwait_ms.max(maxwait_ms);
        self.servers_active += number(row, "sv_active");
        self.servers_idle += number(row, "sv_idle") + number(row, "sv_used");
    }
}

/// A column's number; 0 where this version has no such column.
fn number(row: &SimpleQueryRow, column: &str) -> u64 {
    let text = row.try_get(column).ok().flatten();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}
