//! What users wrote to PostgreSQL since the switch: counted, kept, brought back. Against real pairs of databases.

mod back;
mod beforehand;
mod bring;
mod cost;
mod ids;
mod known;
mod property;
mod seen;
mod sides;
mod skipped;
mod tally;
mod whole;

use std::path::PathBuf;
use std::time::Duration;

use cutover::postgres::Endpoint;
use cutover::runbook::parse_transfer;
use cutover::runbook::transfer::Transfer;
use cutover::salvage::cell::Cell;
use cutover::salvage::{Error, Operation, Row, Search, Since, Sink, TableCost};
use cutover::transfer::copy::{self, copy};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDatabase, database, sqlite};

/// A source, and a target that holds its rows since a snapshot.
pub(crate) struct Night {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) source: PathBuf,
    pub(crate) database: TestDatabase,
    pub(crate) transfer: Transfer,
    pub(crate) snapshot: String,
}

/// The corpus' target has a row that SQLite does not have.
fn losing_the_preloaded(target: &str) -> copy::Options {
    let rows = target
        .contains("\"Preloaded\"")
        .then(|| ("Preloaded".to_owned(), 1));
    copy::Options {
        discard: rows.into_iter().collect(),
        ..copy::Options::default()
    }
}

impl Night {
    /// Imports what `source` makes into what `target` makes, and takes the snapshot of the switch.
    pub(crate) async fn import(source: &str, target: &str, transfer: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("backup.db");
        sqlite(&file, source);
        let mut night = Self {
            folder,
            source: file,
            database: database().await,
            transfer: parse_transfer("transfer", transfer).expect("a transfer section"),
            snapshot: String::new(),
        };
        night.on_target(target).await;
        let copied = copy(
            &night.source,
            &night.endpoint(),
            "public",
            &night.transfer,
            &losing_the_preloaded(target),
            &|_| {},
            &CancellationToken::new(),
        )
        .await;
        copied.unwrap_or_else(|error| panic!("{error}"));
        let client = night.endpoint().connect().await.expect("a connection");
        let row = client.query_one("SELECT pg_current_snapshot()::text", &[]);
        night.snapshot = row.await.expect("a snapshot").get(0);
        night
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.database.url).expect("a URL")
    }

    async fn on_target(&self, sql: &str) {
        let client = self.endpoint().connect().await.expect("a connection");
        client.batch_execute(sql).await.expect(sql);
    }

    pub(crate) fn since(&self) -> Since {
        Since {
            backup: self.source.clone(),
            schema: "public".to_owned(),
            transfer: self.transfer.clone(),
            snapshot: self.snapshot.clone(),
            target: None,
            statement_limit: Duration::from_secs(60),
            scratch: self.folder.path().to_owned(),
        }
    }

    pub(crate) async fn search<S: Sink + 'static>(
        &self,
        since: Since,
        sink: S,
    ) -> (Vec<TableCost>, S) {
        let limit = Duration::from_secs(30);
        let cancel = CancellationToken::new();
        let search = Search::open(since, &self.endpoint(), limit, &cancel).await;
        let search = search.unwrap_or_else(|error| panic!("{error}"));
        search
            .run(sink)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    async fn found(&self) -> (Vec<TableCost>, Found) {
        self.search(self.since(), Found::default()).await
    }
}

/// One row as a test sees it.
#[derive(Debug, Clone)]
struct Seen {
    table: String,
    operation: Operation,
    key: Vec<Cell>,
    /// Name, new value, former value.
    columns: Vec<(String, Cell, Cell)>,
    problems: Vec<String>,
}

/// Keeps what was found.
#[derive(Debug, Default)]
struct Found {
    rows: Vec<Seen>,
}

impl Sink for Found {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        let columns = row.columns.iter();
        self.rows.push(Seen {
            table: row.table.to_owned(),
            operation: row.operation,
            key: row.key.clone(),
            columns: columns
                .clone()
                .map(|c| (c.name.to_owned(), c.new.clone(), c.was.clone()))
                .collect(),
            problems: columns
                .filter_map(|c| Some(format!("{} {:?}", c.name, c.problem?)))
                .collect(),
        });
        Ok(())
    }

    fn table(&mut self, _: &TableCost) -> Result<(), Error> {
        Ok(())
    }
}

fn counts(costs: &[TableCost]) -> Vec<(&str, [u64; 4])> {
    let told = |cost: &&TableCost| cost.rows() + cost.rewritten > 0;
    let count = |cost: &'_ TableCost| [cost.inserted, cost.changed, cost.deleted, cost.rewritten];
    costs
        .iter()
        .filter(told)
        .map(|cost| (cost.table.as_str(), count(cost)))
        .collect()
}
