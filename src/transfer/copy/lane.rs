//! A lane: one connection that takes piece after piece from the board, with retries where a fault passes.

use std::sync::Mutex;

use tokio::sync::Notify;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use crate::target::{Pinned, quoted};
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
pub struct Floor<'f> {
    /// The import.
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
    /// Counts.
    pub meter: Meter,
    /// Hears of progress.
    pub progress: &'f (dyn Fn(Progress) + Sync),
    /// Ends when somebody cancels or a lane fails for good.
    pub cancel: CancellationToken,
}

/// Runs one lane until the board is over.
pub async fn run(floor: &Floor<'_>, number: usize, first: Pinned) -> Result<(), Error> {
    let mut lane = Lane {
        floor,
        client: Some(first),
        idle_lanes: 0,
    };
    loop {
        let changed = floor.changed.notified();
        let next = {
            let mut board = floor.board();
            if board.is_over() {
                return Ok(());
            }
            let lanes = floor.import.options.lanes;
            board.take(number).map(|work| (work, board.idle(lanes)))
        };
        let Some((work, idle_lanes)) = next else {
            tokio::select! {
                () = changed => continue,
                () = floor.cancel.cancelled() => return Err(Error::Cancelled),
            }
        };
        lane.idle_lanes = idle_lanes;
        floor.meter.began(work);
        match lane.persist(work).await {
            Ok(()) => {
                floor.board().done(work);
                floor.meter.ended(work);
                lane.announce(work, true);
                floor.changed.notify_waiters();
            }
            Err(error) => {
                floor.board().fail();
                floor.changed.notify_waiters();
                floor.cancel.cancel();
                return Err(error);
            }
        }
    }
}

impl Floor<'_> {
    fn board(&self) -> std::sync::MutexGuard<'_, Board> {
        self.board.lock().expect("BUG: a lane panicked")
    }
}

struct Lane<'l, 'f> {
    floor: &'l Floor<'f>,
    client: Option<Pinned>,
    /// Lanes that had nothing to do when the present piece was taken.
    idle_lanes: usize,
}

impl Lane<'_, '_> {
    /// Tries until it is done, or the fault is definite, or nothing moves any more.
    async fn persist(&mut self, work: Work) -> Result<(), Error> {
        let mut patience = Patience::default();
        loop {
            let before = self.floor.meter.rows();
            let Err(error) = self.attempt(work).await else {
                return Ok(());
            };
            if self.floor.meter.rows() > before {
                patience.renew();
            }
            self.client = None;
            patience
                .wait_after(
                    error,
                    &self.words(work),
                    self.floor.progress,
                    &self.floor.cancel,
                )
                .await?;
        }
    }

    fn words(&self, work: Work) -> String {
        let table = |name: &str| printable(name, 80);
        match work {
            Work::Load(place) => format!("loading {}", table(&self.floor.tasks[place].table)),
            Work::Build(place) => format!("rebuilding {}", table(&self.floor.builds[place].name)),
            Work::Foreign(place) => format!("proving {}", table(&self.floor.foreign[place].name)),
            Work::Analyze(place) => format!(
                "analyzing {}",
                table(&self.floor.import.layout.tables[place].target.name)
            ),
        }
    }

    async fn attempt(&mut self, work: Work) -> Result<(), Error> {
        let floor = self.floor;
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => floor.import.target.connect().await?,
        };
        let outcome = self.do_work(work, &client).await;
        self.client = Some(client);
        outcome
    }

    async fn do_work(&self, work: Work, client: &Client) -> Result<(), Error> {
        let floor = self.floor;
        match work {
            Work::Load(place) => {
                let task = &floor.tasks[place];
                let table = floor
                    .import
                    .layout
                    .tables
                    .iter()
                    .position(|table| table.target.oid == task.target_oid);
                let table = table.expect("BUG: a task's table is in the layout");
                let added = |added: load::Added| {
                    if let Some(report) = floor.meter.added(table, added) {
                        (floor.progress)(report);
                    }
                };
                floor.meter.load_began(table);
                let outcome =
                    load::load(floor.import, client, task, table, &added, &floor.cancel).await;
                floor.meter.load_ended(table);
                outcome
            }
            Work::Build(place) => {
                let definition = &floor.builds[place];
                self.announce(work, false);
                rebuild::build(
                    floor.import,
                    client,
                    definition,
                    self.idle_lanes,
                    &floor.cancel,
                )
                .await
            }
            Work::Foreign(place) => {
                let definition = &floor.foreign[place];
                self.announce(work, false);
                rebuild::foreign(floor.import, client, definition, &floor.gate, &floor.cancel).await
            }
            Work::Analyze(place) => {
                let name = &floor.import.layout.tables[place].target.name;
                // Statistics of an index over an expression call its functions.
                let sql = format!(
                    "BEGIN; SET LOCAL search_path = {}; ANALYZE {}.{}; COMMIT",
                    floor.import.search_path,
                    quoted(&floor.import.target.schema),
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
        let floor = self.floor;
        let definition = match work {
            Work::Build(place) => &floor.builds[place],
            Work::Foreign(place) => &floor.foreign[place],
            Work::Load(_) | Work::Analyze(_) => return,
        };
        let (back, total) = floor.board().rebuilt();
        (floor.progress)(Progress::Rebuilding {
            table: definition.table.clone(),
            name: definition.name.clone(),
            done,
            back,
            total,
            filled: floor.board().is_filled(),
            left_ms: floor.meter.left_ms(),
        });
    }
}
