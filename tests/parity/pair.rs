//! A small loaded pair of databases, and how tests change and compare it.

use crate::support::{self, TestDatabase};
use cutover::parity::{self, Opening, Options, Progress, Report, Sides};
use cutover::postgres::Endpoint;
use cutover::runbook::transfer::{ColumnPolicy, OrderedList, Pattern, Slug, Transfer, Zone};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

/// `source.sql` and `target.sql`, loaded.
pub struct Pair {
    _folder: TempDir,
    pub source: PathBuf,
    pub database: TestDatabase,
    pub transfer: Transfer,
    /// A client that may write to the target.
    pub client: Client,
}

impl Pair {
    pub async fn load() -> Self {
        let folder = TempDir::new().expect("a folder");
        let source = folder.path().join("source.db");
        support::sqlite(&source, include_str!("source.sql"));
        let database = support::database().await;
        let client = support::client(&database.url).await;
        client
            .batch_execute("SET timezone = 'UTC'")
            .await
            .expect("UTC");
        client
            .batch_execute(include_str!("target.sql"))
            .await
            .expect("target.sql");
        Self {
            _folder: folder,
            source,
            database,
            transfer: transfer(),
            client,
        }
    }

    /// Runs SQL on the source.
    pub fn on_source(&self, sql: &str) {
        // As many applications leave it: SQLite checks no foreign key unless it is told to.
        let sql = format!("PRAGMA foreign_keys = OFF; {sql}");
        support::sqlite(&self.source, &sql);
    }

    /// Runs SQL on the target.
    pub async fn on_target(&self, sql: &str) {
        self.client
            .batch_execute(sql)
            .await
            .unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// What the target's transactions see now, as F1 records it.
    pub async fn snapshot(&self) -> String {
        let sql = "SELECT pg_current_snapshot()::text";
        let row = self.client.query_one(sql, &[]).await;
        row.expect("a snapshot").get(0)
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.database.url).expect("a URL")
    }

    pub async fn sides(&self) -> Sides {
        self.sides_at(&Opening::default()).await
    }

    pub async fn sides_at(&self, opening: &Opening) -> Sides {
        Sides::open(
            &self.source,
            &self.endpoint(),
            "public",
            &self.transfer,
            opening,
        )
        .await
        .expect("both sides")
    }

    pub async fn compare(&self) -> Report {
        self.compare_with(&Options::default()).await
    }

    pub async fn compare_with(&self, options: &Options) -> Report {
        self.try_compare(options, &|_| (), &CancellationToken::new())
            .await
            .expect("a report")
    }

    /// For what does not come to its end.
    pub async fn try_compare(
        &self,
        options: &Options,
        progress: &(dyn Fn(Progress) + Sync),
        cancel: &CancellationToken,
    ) -> Result<Report, parity::Error> {
        parity::compare(
            &self.source,
            &self.endpoint(),
            "public",
            &self.transfer,
            options,
            progress,
            cancel,
        )
        .await
    }
}

/// What is found between a file and the schema `public`.
pub async fn compared(source: &Path, target: &Endpoint, transfer: &Transfer) -> Report {
    let cancel = CancellationToken::new();
    let options = Options::default();
    parity::compare(
        source,
        target,
        "public",
        transfer,
        &options,
        &|_| (),
        &cancel,
    )
    .await
    .expect("a report")
}

fn transfer() -> Transfer {
    let mut truncate = ColumnPolicy::default();
    truncate.set("fraction", "truncate").expect("a setting");
    Transfer {
        zone: Some(Zone::UTC),
        exclude: vec![Pattern::new("Ignored")],
        columns: vec![(Pattern::new("*.CreatedAt"), truncate)],
        lists: vec![OrderedList {
            name: "tools".into(),
            table: "Tools".into(),
            order_by: vec!["Slug".into(), "Id".into()],
            limit: Some(100),
        }],
        slugs: vec![Slug {
            table: "Tools".into(),
            column: "Slug".into(),
            trim: true,
            ignore_case: true,
        }],
        ..Transfer::default()
    }
}
