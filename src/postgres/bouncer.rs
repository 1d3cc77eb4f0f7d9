//! A PgBouncer's console: `SHOW POOLS` and `SHOW STATS`, over a connection of its own.
//!
//! The console knows the simple protocol only, and each version has more columns than the one before: they are found by name.

use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::{Endpoint, Error};
use crate::text::printable;

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
            pools.add(&|column| row.try_get(column).ok().flatten())?;
        }
        let mut totals = Totals::default();
        for row in self.show("SHOW STATS").await? {
            let of = |column: &str| row.try_get(column).ok().flatten();
            let (queries, query_us) = (
                counted(&of, "total_query_count")?,
                counted(&of, "total_query_time")?,
            );
            totals.queries = totals.queries.saturating_add(queries);
            totals.query_us = totals.query_us.saturating_add(query_us);
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

/// What a row says in a column; none where it has none.
type Column<'r> = dyn Fn(&'static str) -> Option<&'r str> + 'r;

impl Pools {
    fn add<'r>(&mut self, of: &Column<'r>) -> Result<(), Error> {
        let add = |sum: &mut u64, column| -> Result<(), Error> {
            *sum = sum.saturating_add(number(of, column)?);
            Ok(())
        };
        self.pools = self.pools.saturating_add(1);
        add(&mut self.clients_active, "cl_active")?;
        add(&mut self.clients_waiting, "cl_waiting")?;
        add(&mut self.servers_active, "sv_active")?;
        add(&mut self.servers_idle, "sv_idle")?;
        self.servers_idle = self.servers_idle.saturating_add(counted(of, "sv_used")?);
        let maxwait_ms = number(of, "maxwait")?
            .saturating_mul(1_000)
            .saturating_add(counted(of, "maxwait_us")? / 1_000);
        self.maxwait_ms = self.maxwait_ms.max(maxwait_ms);
        Ok(())
    }
}

/// A number that every version tells.
fn number(of: &Column<'_>, column: &'static str) -> Result<u64, Error> {
    let told = of(column).unwrap_or("nothing");
    told.parse().map_err(|_| Error::Unreadable {
        column,
        told: printable(told, 40),
    })
}

/// The same of a column that some versions do not have, which counts as 0.
fn counted(of: &Column<'_>, column: &'static str) -> Result<u64, Error> {
    match of(column) {
        Some(_) => number(of, column),
        None => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(maxwait: &'static str) -> impl Fn(&'static str) -> Option<&'static str> {
        move |column| match column {
            "maxwait" => Some(maxwait),
            "maxwait_us" | "sv_used" => None,
            _ => Some("18446744073709551615"),
        }
    }

    #[test]
    fn what_is_too_much_is_the_most_and_what_is_no_number_is_told() {
        let mut pools = Pools::default();
        for maxwait in ["9223372036854775807", "1"] {
            pools.add(&row(maxwait)).expect("numbers");
        }
        assert_eq!(
            (pools.maxwait_ms, pools.clients_waiting),
            (u64::MAX, u64::MAX)
        );
        for maxwait in ["-5", "NaN", "abc", "", "18446744073709551616"] {
            let refused = Pools::default().add(&row(maxwait)).expect_err(maxwait);
            assert!(refused.to_string().contains("maxwait"), "{refused}");
        }
    }
}
