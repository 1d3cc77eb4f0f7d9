//! The numbers of the pool panel (`M3`), from `pg_stat_activity`, over a connection of its own.
//!
//! That connection is opened before the freeze and held, so that the panel still answers when the pool has taken every slot.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::{Endpoint, Error, pooler};

/// Client connections to one database, the probe's own left out, and how much room the server has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolActivity {
    /// Running a statement.
    pub active: u32,
    /// Connected and doing nothing.
    pub idle: u32,
    /// Holding a transaction open and doing nothing.
    pub idle_in_transaction: u32,
    /// Of the active ones, those that wait for a lock.
    pub waiting: u32,
    /// Whose state the server does not show us: without `pg_monitor`, everybody else's.
    pub hidden: u32,
    /// Client connections on the whole server, this one included.
    pub server_total: u32,
    /// `max_connections` less what is reserved for superusers: how many ordinary clients fit.
    pub server_limit: u32,
}

/// The connections of one application to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationActivity {
    /// As it calls itself; foreign text.
    pub application: String,
    /// Running a statement.
    pub active: u32,
    /// Connected and doing nothing.
    pub idle: u32,
    /// Holding a transaction open and doing nothing.
    pub idle_in_transaction: u32,
    /// Of the active ones, those that wait for a lock.
    pub waiting: u32,
    /// Whose state the server does not show us.
    pub hidden: u32,
}

/// What one look brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    pub pool: PoolActivity,
    /// By application, the most connections first; at most [`APPLICATIONS`].
    pub applications: Vec<ApplicationActivity>,
}

/// Applications that one look tells apart; the others count among all.
pub const APPLICATIONS: usize = 600;

/// A connection that asks for [`Activity`], again and again.
pub struct ActivityProbe {
    endpoint: Endpoint,
    client: Client,
    time_limit: Duration,
}

impl ActivityProbe {
    /// Connects. `time_limit` is for each sample, too.
    pub async fn open(endpoint: &Endpoint, time_limit: Duration) -> Result<Self, Error> {
        let endpoint = endpoint.clone();
        let client = pooler::connect(&endpoint).await?;
        Ok(Self {
            endpoint,
            client,
            time_limit,
        })
    }

    /// The numbers now. Connects again when the connection was lost.
    ///
    /// # Errors
    /// No answer in time, which is *no data*, not a zero.
    pub async fn sample(&mut self) -> Result<Activity, Error> {
        if self.client.is_closed() {
            self.client = pooler::connect(&self.endpoint).await?;
        }
        let most = 1 + APPLICATIONS as i64;
        // By a statement without a name: a pooler would keep a prepared one.
        let parameters: [(&(dyn ToSql + Sync), Type); 1] = [(&most, Type::INT8)];
        let asked = self.client.query_typed(QUERY, &parameters);
        let rows = match tokio::time::timeout(self.time_limit, asked).await {
            Ok(rows) => {
                rows.map_err(|error| Error::of_statement("read pg_stat_activity", &error))?
            }
            Err(_) => {
                return Err(Error::Timeout {
                    host: self.endpoint.host_label(),
                    seconds: self.time_limit.as_secs(),
                });
            }
        };
        let mut activity = Activity {
            pool: PoolActivity::default(),
            applications: Vec::with_capacity(rows.len().saturating_sub(1)),
        };
        for row in &rows {
            let count = |n: usize| row.get::<_, i64>(n).try_into().unwrap_or(u32::MAX);
            match row.get::<_, Option<String>>(0) {
                Some(application) => activity.applications.push(ApplicationActivity {
                    application,
                    active: count(1),
                    idle: count(2),
                    idle_in_transaction: count(3),
                    waiting: count(4),
                    hidden: count(5),
                }),
                None => {
                    activity.pool = PoolActivity {
                        active: count(1),
                        idle: count(2),
                        idle_in_transaction: count(3),
                        waiting: count(4),
                        hidden: count(5),
                        server_total: count(6),
                        server_limit: count(7),
                    }
                }
            }
        }
        Ok(activity)
    }
}

/// `backend_type` is hidden together with the state, so that a client of another role shows as one with a database and no type.
/// The row without a name is that of all.
const QUERY: &str = "
    WITH clients AS (
      SELECT pid, datname, coalesce(application_name, '') AS application, state, wait_event_type FROM pg_stat_activity
      WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'),
    ours AS (SELECT * FROM clients WHERE datname = current_database() AND pid <> pg_backend_pid())
    SELECT
      application,
      count(*) FILTER (WHERE state = 'active'),
      count(*) FILTER (WHERE state = 'idle'),
      count(*) FILTER (WHERE state LIKE 'idle in transaction%'),
      count(*) FILTER (WHERE state = 'active' AND wait_event_type = 'Lock'),
      count(*) FILTER (WHERE state IS NULL),
      (SELECT count(*) FROM clients),
      current_setting('max_connections')::bigint
        - current_setting('superuser_reserved_connections')::bigint
        - coalesce(current_setting('reserved_connections', true)::bigint, 0)
    FROM ours
    GROUP BY GROUPING SETS ((application), ())
    ORDER BY grouping(application) DESC, count(*) DESC, application
    LIMIT $1";
