//! Finds what was written to PostgreSQL since the switch, table by table, in one read-only moment of the target.
//!
//! A row whose `xmin` the snapshot of `F1` does not see was written later; its key tells whether the backup has it. What the backup
//! has and PostgreSQL has not was deleted: first by counting, and where the count says so by an anti-join. A row that was written
//! again with the values it had is no loss. What one table cannot tell does not keep the others from telling.

mod by_key;
pub(crate) mod difference;
mod looking;
mod target_table;

use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::backup::BackupTable;
use super::cell::Cell;
use super::error::Error;
use super::{Operation, TableCost};
use crate::identity::TargetIdentity;
use crate::parity::{Opening, Sides, TablePair};
use crate::postgres::within::within;
use crate::postgres::{self, Endpoint};
use crate::runbook::transfer::Transfer;
use crate::sqlite::schema::Schema;
pub(crate) use by_key::{Asked, KeyColumn};
use looking::{Looking, Stage};
pub(crate) use target_table::TargetTable;

/// What the server may still need to say that a statement took too long.
const GRACE: Duration = Duration::from_secs(5);
/// Transaction ids in rows wrap around after so many.
const WRAP: u64 = 1 << 31;

/// What is looked for, and where.
#[derive(Debug, Clone)]
pub struct Since {
    /// The verified backup.
    pub backup: PathBuf,
    /// The schema that holds the application's tables.
    pub schema: String,
    /// How its values were converted.
    pub transfer: Transfer,
    /// `pg_current_snapshot()::text` as recorded at `F1`.
    pub snapshot: String,
    /// By what the target of that night is known; `None` where nobody has asked.
    pub target: Option<TargetIdentity>,
    /// How long one statement may take on the server.
    pub statement_limit: Duration,
    /// A folder for scratch files.
    pub scratch: PathBuf,
}

/// A row that was found.
#[derive(Debug)]
pub struct Row<'a> {
    /// Its table in the source.
    pub table: &'a str,
    /// What was done to it.
    pub operation: Operation,
    /// Its key as SQLite spells it; empty where the table has none.
    pub key: Vec<Cell>,
    /// Its columns, those of the key first.
    pub columns: Vec<Column<'a>>,
}

/// One value of it.
#[derive(Debug)]
pub struct Column<'a> {
    /// The column's name in the source.
    pub name: &'a str,
    /// What SQLite would have; NULL in a deleted row.
    pub new: Cell,
    /// What the backup has; NULL in an inserted row.
    pub was: Cell,
    /// PostgreSQL's own text.
    pub target: Option<String>,
    pub changed: bool,
    /// `new` is not what PostgreSQL has, and why.
    pub problem: Option<Problem>,
}

/// Why a value does not come back as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// `new` is the nearest that the column's form holds.
    Nearest,
    /// The column's form has no such value.
    NoForm,
}

impl Problem {
    /// As files have it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::NoForm => "no form",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        [Self::Nearest, Self::NoForm]
            .into_iter()
            .find(|problem| problem.word() == word)
    }
}

/// Takes the rows that are found.
pub trait Sink: Send {
    /// A row of the table that is being looked at.
    ///
    /// # Errors
    /// It cannot be kept; the search ends.
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error>;

    /// The table is done. With [`TableCost::broke_off`] its rows are not to be kept.
    fn table(&mut self, cost: &TableCost) -> Result<(), Error>;
}

/// Counts, and keeps nothing.
impl Sink for () {
    fn row(&mut self, _: &Row<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn table(&mut self, _: &TableCost) -> Result<(), Error> {
        Ok(())
    }
}

/// Both sides, opened.
pub struct Search {
    pub(crate) sides: Sides,
    pub(crate) since: Since,
    pub(crate) cancel: CancellationToken,
}

impl Search {
    /// Opens both sides, within `connect_limit`.
    ///
    /// # Errors
    /// One of them cannot be opened, or the server is not the one of the switch.
    pub async fn open(
        since: Since,
        target: &Endpoint,
        connect_limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Self, Error> {
        let opening = Opening {
            since_snapshot: Some(since.snapshot.clone()),
            statement_limit_ms: u32::try_from(since.statement_limit.as_millis()).ok(),
            ..Opening::default()
        };
        let doing = || format!("asking {}", target.redacted());
        let open = async {
            let sides = Sides::open(
                &since.backup,
                target,
                &since.schema,
                &since.transfer,
                &opening,
            )
            .await?;
            is_of_that_night(&sides, since.target.as_ref()).await?;
            comparable(&sides, &since.snapshot).await?;
            Ok(sides)
        };
        let sides = tokio::select! {
            () = cancel.cancelled() => return Err(Error::Cancelled),
            opened = within(connect_limit, open) => opened.unwrap_or_else(|| {
                Err(Error::Silent { doing: doing(), seconds: connect_limit.as_secs() })
            })?,
        };
        Ok(Self {
            sides,
            since,
            cancel: cancel.clone(),
        })
    }

    /// Looks at every table and gives what it finds to `sink`, which comes back with the counts.
    ///
    /// # Errors
    /// `sink` refuses a row, the backup cannot be read, or somebody cancelled. A table that PostgreSQL does not give is no error: its
    /// cost says what it lacks.
    pub async fn run<S: Sink + 'static>(self, mut sink: S) -> Result<(Vec<TableCost>, S), Error> {
        let handle = Handle::current();
        let work = move || {
            let costs = self.tables(&handle, &mut sink)?;
            Ok((costs, sink))
        };
        tokio::task::spawn_blocking(work)
            .await
            .expect("BUG: the search does not panic")
    }

    fn tables(&self, handle: &Handle, sink: &mut dyn Sink) -> Result<Vec<TableCost>, Error> {
        let doing = format!("reading {}", self.since.backup.display());
        let connection = crate::sqlite::open_read_only(&self.since.backup)?;
        let schema = Schema::read(&connection).map_err(Error::sqlite(doing))?;
        let mut costs = Vec::new();
        for unpaired in &self.sides.pairing.unpaired {
            let cost = TableCost {
                table: unpaired.table.clone(),
                target: unpaired.target.clone(),
                lacks: Some(unpaired.problem.clone()),
                ..TableCost::default()
            };
            sink.table(&cost)?;
            costs.push(cost);
        }
        let mut gone: Option<String> = None;
        for pair in &self.sides.pairing.pairs {
            let mut cost = TableCost {
                table: pair.source.clone(),
                target: pair.target.clone(),
                ..TableCost::default()
            };
            let mut stage = Stage::Counting;
            let looked = match (&gone, schema.table(&pair.source)) {
                (Some(why), _) => Err(Error::NotComparable(why.clone())),
                (None, None) => Err(Error::NotComparable("the backup lacks it".to_owned())),
                (None, Some(table)) => {
                    let scratch = &self.since.scratch;
                    let mut backup =
                        BackupTable::new(&connection, pair, table, scratch, &self.cancel);
                    self.look(handle, &mut backup, pair, sink, &mut cost, &mut stage)
                }
            };
            match looked {
                Ok(()) => {}
                Err(error @ (Error::Server { .. } | Error::Silent { .. })) => {
                    let silent = matches!(error, Error::Silent { .. });
                    if silent || self.undo(handle).is_err() {
                        gone = Some(error.to_string());
                    }
                    cost.lacks = Some(match stage {
                        Stage::Deletions => {
                            format!("which rows were deleted is not known: {error}")
                        }
                        Stage::Counting | Stage::Rows => error.to_string(),
                    });
                }
                Err(Error::NotComparable(why)) => cost.lacks = Some(why),
                Err(error) => return Err(error),
            }
            // Half of the rows would be taken for all; all of them stay, whatever else is not known.
            cost.broke_off = cost.lacks.is_some() && stage == Stage::Rows;
            sink.table(&cost)?;
            costs.push(cost);
        }
        costs.sort_by(|a, b| a.table.cmp(&b.table));
        Ok(costs)
    }

    fn look(
        &self,
        handle: &Handle,
        backup: &mut BackupTable<'_>,
        pair: &TablePair,
        sink: &mut dyn Sink,
        cost: &mut TableCost,
        stage: &mut Stage,
    ) -> Result<(), Error> {
        let target = TargetTable {
            search: self,
            handle,
            pair,
        };
        let looking = Looking {
            target,
            backup,
            sink,
            cost,
            stage,
        };
        looking.look()
    }

    /// Looks at one table, all of it or not at all: the rows that were given to `sink` before an error are not to be kept.
    ///
    /// # Errors
    /// What keeps the table from being told.
    pub(crate) fn whole(
        &self,
        handle: &Handle,
        backup: &mut BackupTable<'_>,
        pair: &TablePair,
        sink: &mut dyn Sink,
    ) -> Result<(), Error> {
        let (mut cost, mut stage) = (TableCost::default(), Stage::Counting);
        self.look(handle, backup, pair, sink, &mut cost, &mut stage)
    }

    /// Goes on after a statement that failed.
    pub(crate) fn undo(&self, handle: &Handle) -> Result<(), Error> {
        self.within(handle, "going on after an error", async {
            self.sides
                .client
                .batch_execute("ROLLBACK TO table_begins")
                .await
        })
    }

    /// Waits for the server as long as a statement may take, and a little longer.
    pub(crate) fn within<T>(
        &self,
        handle: &Handle,
        doing: &str,
        ask: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        let limit = self.since.statement_limit + GRACE;
        handle.block_on(async {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => Err(Error::Cancelled),
                answer = tokio::time::timeout(limit, ask) => match answer {
                    Ok(answer) => answer.map_err(|source| Error::Server { doing: doing.to_owned(), source }),
                    Err(_) => Err(Error::Silent { doing: doing.to_owned(), seconds: limit.as_secs() }),
                },
            }
        })
    }
}

/// Refuses another database than that of the night: what is in it, and what is not, says nothing of what users wrote.
async fn is_of_that_night(sides: &Sides, was: Option<&TargetIdentity>) -> Result<(), Error> {
    let Some(was) = was else { return Ok(()) };
    let now = postgres::identity(&sides.client).await;
    let now = now.map_err(|source| Error::Server {
        doing: "asking by what the database is known, which needs EXECUTE on pg_control_system()"
            .to_owned(),
        source,
    })?;
    match now == *was {
        true => Ok(()),
        false => Err(Error::AnotherTarget {
            now,
            was: was.clone(),
        }),
    }
}

/// Refuses a server whose transaction ids say nothing about the snapshot: another one, or one that has given out too many since.
async fn comparable(sides: &Sides, snapshot: &str) -> Result<(), Error> {
    let row = sides
        .client
        .query_one("SELECT pg_current_snapshot()::text", &[])
        .await;
    let row = row.map_err(|source| Error::Server {
        doing: "asking for the present snapshot".to_owned(),
        source,
    })?;
    let next = |text: &str| -> Option<u64> { text.split(':').nth(1)?.parse().ok() };
    let now: String = row.get(0);
    match (next(snapshot), next(&now)) {
        (Some(then), Some(now)) if now < then => Err(Error::NotComparable(format!(
            "PostgreSQL's transaction ids went back from {then} to {now}: this is not the server of the switch, or it was restored"
        ))),
        (Some(then), Some(now)) if now - then < WRAP => Ok(()),
        (Some(then), Some(now)) => Err(Error::NotComparable(format!(
            "PostgreSQL has given out {} transaction ids since the switch; after {WRAP} the age of a row can no longer be told",
            now - then
        ))),
        _ => Err(Error::NotComparable(format!(
            "{} is no snapshot",
            crate::text::printable(snapshot, 80)
        ))),
    }
}
