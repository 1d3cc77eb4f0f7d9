//! How often is read, and what is told of it: the feed behind the application, from the switch until it is stopped. Nothing here
//! panics or waits without an end: what fails is told, and tried again.
//!
//! Beside the reads, on a connection of its own, it looks every few seconds whether everything is still noted, and has notes removed
//! that are on the disk here.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::{Reader, Reading, preparing};
use crate::clock;
use crate::feed::Error;
use crate::feed::capture::{self, Captured};
use crate::feed::live::Inexact;
use crate::postgres::{Endpoint, pooler};

/// How often the state is told while a read takes long.
const BEAT: Duration = Duration::from_secs(1);
/// The longest wait between reads that fail.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// After a read of whole tables that took longer than this, PostgreSQL is let alone for several times as long: a table of which every write is noted
/// without its key would be read without an end.
const LONG_READ: Duration = Duration::from_secs(1);
const RESTS: u32 = 3;
const LONGEST_REST: Duration = Duration::from_secs(15);
/// How often it is asked whether everything is noted, and how long the answer may take.
const LOOK_EVERY_MS: i64 = 3_000;
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// What the connection is called in `pg_stat_activity` that asks this.
const APPLICATION_NAME: &str = "cutover feed";

/// How the feed stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedState {
    /// When the last read began that was kept, by the boot clock ([`crate::clock::now_ms`]): what was committed until then is in the
    /// live file. `None` before the first.
    pub read_at_ms: Option<i64>,
    /// Notes that were found and whose rows are not kept yet.
    pub rows_waiting: u64,
    /// Rows in the live file.
    pub rows_kept: u64,
    /// What a rollback would lose or could not tell, in words that name the table.
    pub lost: Vec<String>,
    /// The tables of which a rollback leaves rows in the salvage file.
    pub inexact: Vec<Inexact>,
    /// Why it is not known how things stand now; `None` where it is.
    pub unknown: Option<String>,
}

/// Reads every so often until it is cancelled, and tells each time how the feed stands. Gives the reader back, for a last read.
pub async fn run(
    mut reader: Reader,
    every: Duration,
    mut view: impl FnMut(FeedState) + Send,
    cancel: CancellationToken,
) -> Reader {
    let mut following = Following {
        state: FeedState::default(),
        is_answered: false,
        lacks: Vec::new(),
        watch: Watch::new(&reader),
    };
    let (store, stop) = (Arc::clone(&reader.store), cancel.child_token());
    let _stop = stop.clone().drop_guard();
    tokio::task::spawn_blocking(move || preparing::all(&store, &stop));
    let mut wait = every;
    loop {
        let begun_ms = clock::now_ms();
        let read = following.read(&mut reader, &mut view, &cancel).await;
        let took_ms = (clock::now_ms() - begun_ms).max(0).unsigned_abs();
        if cancel.is_cancelled() {
            return reader;
        }
        wait = match &read {
            Ok(reading) if reading.is_whole => after(Duration::from_millis(took_ms), every),
            Ok(_) => every,
            Err(_) => (2 * wait).min(LONGEST_WAIT.max(every)),
        };
        following.take(read, &reader);
        view(following.state.clone());
        let rest = following.rest(wait);
        if cancel.run_until_cancelled(rest).await.is_none() {
            return reader;
        }
    }
}

/// How long to wait after a read of whole tables that took so long.
fn after(took: Duration, every: Duration) -> Duration {
    match took > LONG_READ {
        true => (RESTS * took).min(LONGEST_REST).max(every),
        false => every,
    }
}

/// What is known so far.
struct Following {
    state: FeedState,
    /// The last read ended well.
    is_answered: bool,
    /// What the live file lacks.
    lacks: Vec<String>,
    watch: Watch,
}

impl Following {
    /// One read; tells of those that wait for it while it takes long.
    async fn read(
        &mut self,
        reader: &mut Reader,
        view: &mut (impl FnMut(FeedState) + Send),
        cancel: &CancellationToken,
    ) -> Result<Reading, Error> {
        let waiting = Arc::clone(&reader.waiting);
        let mut read = pin!(reader.read(cancel));
        loop {
            tokio::select! {
                biased;
                done = &mut read => return done,
                () = tokio::time::sleep(BEAT) => {
                    self.state.rows_waiting = waiting.load(Ordering::Relaxed);
                    view(self.state.clone());
                }
            }
        }
    }

    fn take(&mut self, read: Result<Reading, Error>, reader: &Reader) {
        self.state.rows_waiting = reader.waiting();
        self.is_answered = read.is_ok();
        match read {
            Ok(reading) => {
                self.state.read_at_ms = Some(reading.read_at_ms);
                self.state.rows_kept = reading.rows_kept;
                self.state.unknown.clone_from(&self.watch.unknown);
                self.watch.kept_snapshot = Some(reading.kept_snapshot);
                self.lacks = reading.lacks;
                self.state.inexact = reading.inexact;
            }
            Err(error) => self.state.unknown = Some(error.to_string()),
        }
        let lost = self.lacks.iter().chain(&self.watch.missing);
        self.state.lost = lost.cloned().collect();
    }

    /// What is done between two reads, and the wait for the next.
    async fn rest(&mut self, wait: Duration) {
        if self.is_answered {
            self.watch.look_if_due().await;
        }
        tokio::time::sleep(wait).await;
    }
}

/// Whether everything is still noted.
struct Watch {
    endpoint: Endpoint,
    tables: Vec<Captured>,
    client: Option<Client>,
    looked_ms: Option<i64>,
    /// What is on the disk: notes that it sees may go.
    kept_snapshot: Option<String>,
    missing: Vec<String>,
    unknown: Option<String>,
}

impl Watch {
    fn new(reader: &Reader) -> Self {
        Self {
            endpoint: reader.endpoint.with_application_name(APPLICATION_NAME),
            tables: reader.captured(),
            client: None,
            looked_ms: None,
            kept_snapshot: None,
            missing: Vec::new(),
            unknown: None,
        }
    }

    async fn look_if_due(&mut self) {
        let now_ms = clock::now_ms();
        if self
            .looked_ms
            .is_some_and(|looked| now_ms - looked < LOOK_EVERY_MS)
        {
            return;
        }
        self.looked_ms = Some(now_ms);
        let looked = tokio::time::timeout(LOOK_LIMIT, self.look()).await;
        let looked = looked.unwrap_or_else(|_| {
            Err(format!(
                "PostgreSQL said nothing for {} s",
                LOOK_LIMIT.as_secs()
            ))
        });
        match looked {
            Ok(missing) => (self.missing, self.unknown) = (missing, None),
            Err(why) => {
                self.client = None;
                self.unknown = Some(format!(
                    "whether everything that is written is noted is not known: {why}"
                ));
            }
        }
    }

    async fn look(&mut self) -> Result<Vec<String>, String> {
        let client = self.client.take().filter(|client| !client.is_closed());
        let client = match client {
            Some(client) => client,
            None => {
                let connected = pooler::connect(&self.endpoint).await;
                connected.map_err(|error| error.to_string())?
            }
        };
        let client = self.client.insert(client);
        let missing = capture::missing(client, &self.tables).await;
        let missing = missing.map_err(|error| error.to_string())?;
        if let Some(snapshot) = &self.kept_snapshot {
            let pruned = capture::prune(client, snapshot).await;
            pruned.map_err(|error| error.to_string())?;
        }
        Ok(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::after;
    use std::time::Duration;

    #[test]
    fn whole_tables_are_not_read_without_a_rest() {
        let ms = Duration::from_millis;
        for (took, waits) in [(5, 250), (900, 250), (2_000, 6_000), (60_000, 15_000)] {
            assert_eq!(after(ms(took), ms(250)), ms(waits), "{took}");
        }
        assert_eq!(after(ms(1_500), ms(30_000)), ms(30_000));
    }
}
