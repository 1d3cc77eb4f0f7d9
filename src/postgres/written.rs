//! What has been written to the target's tables, by the server's own counters: cheap, never a scan, and some seconds late.
//!
//! The counters include writes that were rolled back. A session adds what it wrote at most once a second, and the last of it once it has been
//! idle for ten. Not in here: which rows those
//! are; that takes reading them (`parity` knows rows that are *new since the switch*).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, Row};

use super::{Endpoint, Error};

/// Rows written to one table since its counters began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    pub inserted: u64,
    pub changed: u64,
    pub deleted: u64,
}

impl Written {
    /// What was written after `earlier`; `None` where a counter has gone back, for then it was reset.
    pub fn since(self, earlier: Written) -> Option<Written> {
        Some(Written {
            inserted: self.inserted.checked_sub(earlier.inserted)?,
            changed: self.changed.checked_sub(earlier.changed)?,
            deleted: self.deleted.checked_sub(earlier.deleted)?,
        })
    }
}

/// Counters by table.
pub type Counters = BTreeMap<String, Written>;

/// A connection that asks for the [`Counters`] of one schema, again and again.
pub struct CountersProbe {
    endpoint: Endpoint,
    schema: String,
    client: Option<Client>,
    time_limit: Duration,
}

impl CountersProbe {
    /// Connects at the first question. `time_limit` is for each.
    pub fn new(endpoint: Endpoint, schema: &str, time_limit: Duration) -> Self {
        Self {
            endpoint,
            schema: schema.to_owned(),
            client: None,
            time_limit,
        }
    }

    /// The counters now.
    ///
    /// # Errors
    /// No connection, or no answer in time; the next question connects again.
    pub async fn read(&mut self) -> Result<Counters, Error> {
        let rows = self.ask("read pg_stat_user_tables", COUNTERS).await?;
        let count = |n: i64| n.unsigned_abs();
        let counters = rows.iter().map(|row| {
            let written = Written {
                inserted: count(row.get(1)),
                changed: count(row.get(2)),
                deleted: count(row.get(3)),
            };
            (row.get(0), written)
        });
        Ok(counters.collect())
    }

    /// The last number that each sequence has given out, by schema and name. Of those that have given out none, nothing.
    pub async fn given_out(&mut self) -> Result<BTreeMap<String, i64>, Error> {
        let rows = self.ask("read pg_sequences", SEQUENCES).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn ask(&mut self, what: &'static str, query: &str) -> Result<Vec<Row>, Error> {
        let client = self.client.take().filter(|client| !client.is_closed());
        let asked = async {
            let client = match client {
                Some(client) => client,
                None => self.endpoint.connect().await?,
            };
            let rows = client
                .query(query, &[&self.schema])
                .await
                .map_err(|error| Error::of_statement(what, &error))?;
            Ok((client, rows))
        };
        let answer = tokio::time::timeout(self.time_limit, asked).await;
        let (client, rows) = answer.map_err(|_| Error::Timeout {
            host: self.endpoint.host_label(),
            seconds: self.time_limit.as_secs(),
        })??;
        self.client = Some(client);
        Ok(rows)
    }
}

const COUNTERS: &str = "SELECT relname::text, n_tup_ins, n_tup_upd, n_tup_del FROM pg_catalog.pg_stat_user_tables \
     WHERE schemaname = $1";
/// Spelled as `step::sequences` does.
const SEQUENCES: &str = "SELECT schemaname || '.' || sequencename, last_value FROM pg_catalog.pg_sequences \
     WHERE schemaname = $1 AND last_value IS NOT NULL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_went_back_says_nothing() {
        let at = |inserted, changed, deleted| Written {
            inserted,
            changed,
            deleted,
        };
        assert_eq!(at(5, 3, 1).since(at(2, 3, 0)), Some(at(3, 0, 1)));
        assert_eq!(at(5, 2, 1).since(at(2, 3, 0)), None);
    }
}
