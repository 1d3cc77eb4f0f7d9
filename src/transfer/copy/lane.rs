//! A lane: one connection that takes piece after piece from the board, with retries where a fault passes.

use std::sync::Mutex;

use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use crate::postgres::{Pinned, quoted};
use crate::text::printable;
use crate::transfer::copy::board::{Board, Work};
use crate::transfer::copy::meter::Meter;
use crate::transfer::copy::patience::Patience;
use crate::transfer::copy::rebuild::{self, ForeignGate};
use crate::transfer::copy::record::{Definition, Task};
use crate::transfer::copy::{Import, load};
use crate::transfer::error::server;
use crate::transfer::{Error, Progress};

/// What all lanes share.
pub struct Lanes<'f> {
    pub import: &'f Import,
    /// Tasks in the board's order.
    pub tasks: &'f [Task],
    /// Indexes and keys in the board's order.
    pub builds: &'f [Definition],
    /// Foreign keys in the board's order.
    pub foreign: &'f [Definition],
    /// What is to be done.
    pub board: Mutex<Board>,
    /// Wakes lanes that found nothing to do.
    pub changed: Notify,
    /// Lets one foreign key in at a time.
    pub gate: ForeignGate,
    pub meter: Meter,
    /// Hears of progress.
    pub progress: &'f (dyn Fn(Progress) + Sync),
    /// Ends when somebody cancels or a lane fails for good.
    pub cancel: CancellationToken,
}

/// Runs one lane until the board is over.
pub async fn run(lanes: &Lanes<'_>, number: usize, first: Pinned) -> Result<(), Error> {
    let mut lane = Lane {
        lanes,
        client: Some(first),
        idle_lanes: 0,
    };
    loop {
        let changed = lanes.changed.notified();
        let next = {
            let mut board = lanes.board();
            if board.is_over() {
                return Ok(());
            }
            let all = lanes.import.options.lanes;
            board.take(number).map(|work| (work, board.idle(all)))
        };
        let Some((work, idle_lanes)) = next else {
            tokio::select! {
                () = changed => continue,
                () = lanes.cancel.cancelled() => return Err(Error::Cancelled),
            }
        };
        lane.idle_lanes = idle_lanes;
        lanes.meter.began(work);
        match lane.persist(work).await {
            Ok(()) => {
                lanes.board().done(work);
                lanes.meter.ended(work);
                lane.announce(work, true);
                lanes.changed.notify_waiters();
            }
            Err(error) => {
                lanes.board().fail();
                lanes.changed.notify_waiters();
                lanes.cancel.cancel();
                return Err(error);
            }
        }
    }
}

impl Lanes<'_> {
    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.board.lock().expect("BUG: a lane panicked")
    }
}

struct Lane<'l, 'f> {
    lanes: &'l Lanes<'f>,
    client: Option<Pinned>,
    /// Lanes that had nothing to do when the present piece was taken.
    idle_lanes: usize,
}

impl Lane<'_, '_> {
    /// Tries until it is done, or the fault is definite, or nothing moves any more.
    async fn persist(&mut self, work: Work) -> Result<(), Error> {
        let mut patience = Patience::default();
        loop {
            let before = self.lanes.meter.rows();
            let Err(error) = self.attempt(work).await else {
                return Ok(());
            };
            if self.lanes.meter.rows() > before {
                patience.renew();
            }
            self.client = None;
            patience
                .wait_after(
                    error,
                    &self.words(work),
                    self.lanes.progress,
                    &self.lanes.cancel,
                )
                .await?;
        }
    }

    fn words(&self, work: Work) -> String {
        let table = |name: &str| printable(name, 80);
        match work {
            Work::Load(place) => format!("loading {}", table(&self.lanes.tasks[place].table)),
            Work::Build(place) => format!("rebuilding {}", table(&self.lanes.builds[place].name)),
            Work::Foreign(place) => format!("proving {}", table(&self.lanes.foreign[place].name)),
            Work::Analyze(place) => format!(
                "analyzing {}",
                table(&self.lanes.import.layout.tables[place].target.name)
            ),
        }
    }

    async fn attempt(&mut self, work: Work) -> Result<(), Error> {
        let lanes = self.lanes;
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => lanes.import.target.connect().await?,
        };
        let outcome = self.do_work(work, &client).await;
        self.client = Some(client);
        outcome
    }

    async fn do_work(&self, work: Work, client: &Client) -> Result<(), Error> {
        let lanes = self.lanes;
        match work {
            Work::Load(place) => {
                let task = &lanes.tasks[place];
                let table = lanes
                    .import
                    .layout
                    .tables
                    .iter()
                    .position(|table| table.target.oid == task.target_oid);
                let table = table.expect("BUG: a task's table is in the layout");
                let added = |added: load::Added| {
                    if let Some(report) = lanes.meter.added(table, added) {
                        (lanes.progress)(report);
                    }
                };
                lanes.meter.load_began(table);
                let outcome =
                    load::load(lanes.import, client, task, table, &added, &lanes.cancel).await;
                lanes.meter.load_ended(table);
                outcome
            }
            Work::Build(place) => {
                let definition = &lanes.builds[place];
                self.announce(work, false);
                rebuild::build(
                    lanes.import,
                    client,
                    definition,
                    self.idle_lanes,
                    &lanes.cancel,
                )
                .await
            }
            Work::Foreign(place) => {
                let definition = &lanes.foreign[place];
                self.announce(work, false);
                rebuild::foreign(lanes.import, client, definition, &lanes.gate, &lanes.cancel).await
            }
            Work::Analyze(place) => {
                let name = &lanes.import.layout.tables[place].target.name;
                // Statistics of an index over an expression call its functions.
                let sql = format!(
                    "BEGIN; SET LOCAL search_path = {}; ANALYZE {}.{}; COMMIT",
                    lanes.import.search_path,
                    quoted(&lanes.import.target.schema),
                    quoted(name)
                );
                match client.batch_execute(&sql).await {
                    Ok(()) => Ok(()),
                    // From PostgreSQL 17 on the server chooses the path itself. The rows are in; autovacuum meets the same.
                    Err(error) if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) => {
                        tracing::warn!(%error, table = %name, "no statistics");
                        let rollback = client.batch_execute("ROLLBACK").await;
                        rollback.map_err(server(self.words(work)))
                    }
                    Err(error) => Err(server(self.words(work))(error)),
                }
            }
        }
    }

    /// Says that an index, key or foreign key is being rebuilt, or is back; nothing of other work.
    fn announce(&self, work: Work, done: bool) {
        let lanes = self.lanes;
        let definition = match work {
            Work::Build(place) => &lanes.builds[place],
            Work::Foreign(place) => &lanes.foreign[place],
            Work::Load(_) | Work::Analyze(_) => return,
        };
        let (back, total) = lanes.board().rebuilt();
        (lanes.progress)(Progress::Rebuilding {
            table: definition.table.clone(),
            name: definition.name.clone(),
            done,
            back,
            total,
            filled: lanes.board().is_filled(),
            left_ms: lanes.meter.left_ms(),
        });
    }
}
