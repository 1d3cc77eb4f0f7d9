//! The import against a real SQLite file and a real server: what arrives, what is refused, what survives.

mod classes;
mod emptying;
mod ended;
mod loader;
mod property;
mod resume;
mod rules;
mod since;
mod stops;
pub mod torture;
mod unfinished;
mod values;

use std::path::{Path, PathBuf};

use cutover::postgres::Endpoint;
use cutover::runbook::transfer::{Pattern, Transfer};
use cutover::transfer::Error;
use cutover::transfer::copy::{Copied, Options, copy};
use cutover::transfer::plan::{Plan, Scan, plan};
use tokio_util::sync::CancellationToken;

use crate::support::{TestDatabase, client, database, sqlite};

/// A SQLite file and an empty database with a schema, both of this test's own.
struct Pair {
    _folder: tempfile::TempDir,
    file: PathBuf,
    database: TestDatabase,
}

impl Pair {
    /// Makes both by SQL; the target's schema belongs to its ordinary owner.
    async fn new(source: &str, target: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("app.db");
        sqlite(&file, source);
        let pair = Self {
            _folder: folder,
            file,
            database: database().await,
        };
        pair.execute(target).await;
        pair
    }

    /// With an empty target in a locale of its own.
    async fn in_locale(source: &str, locale: &str) -> Self {
        let mut pair = Self::new(source, "SELECT 1").await;
        let superuser = client(&pair.database.superuser_url).await;
        let name = format!(
            "{}_{}",
            pair.database.name,
            locale.to_lowercase().replace(['.', '-'], "_")
        );
        let owner: String = superuser
            .query_one(
                "SELECT pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = $1",
                &[&pair.database.name],
            )
            .await
            .expect("the owner")
            .get(0);
        superuser
            .batch_execute(&format!("CREATE DATABASE {name} OWNER \"{owner}\" TEMPLATE template0 LOCALE '{locale}' ENCODING 'UTF8'"))
            .await
            .expect("a database in that locale");
        for url in [&mut pair.database.url, &mut pair.database.superuser_url] {
            *url = url.replace(&format!("/{}", pair.database.name), &format!("/{name}"));
        }
        pair.database.name = name;
        pair
    }

    async fn client(&self) -> tokio_postgres::Client {
        self.endpoint().connect().await.expect("a connection")
    }

    async fn execute(&self, sql: &str) {
        self.client()
            .await
            .batch_execute(sql)
            .await
            .expect("the target's SQL");
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.database.url).expect("a URL")
    }

    /// A plan for an application that gives the ids itself: who fills a key is the matter of `tests/reports/`.
    async fn plan(&self, transfer: &Transfer) -> Plan {
        let mut transfer = transfer.clone();
        transfer.accept.push(Pattern::new("next id *"));
        plan(
            &self.file,
            &self.endpoint(),
            "public",
            &transfer,
            Scan::Full,
            &|_| {},
            &CancellationToken::new(),
        )
        .await
        .expect("a plan")
    }

    async fn copy(&self, transfer: &Transfer) -> Result<Copied, Error> {
        self.copy_with(transfer, &Options::default()).await
    }

    async fn copy_with(&self, transfer: &Transfer, options: &Options) -> Result<Copied, Error> {
        copy(
            &self.file,
            &self.endpoint(),
            "public",
            transfer,
            options,
            &|_| {},
            &CancellationToken::new(),
        )
        .await
    }

    /// The target gives this text for a query.
    async fn holds(&self, sql: &str, expected: &str) {
        assert_eq!(self.text(sql).await.as_deref(), Some(expected), "{sql}");
    }

    /// One text value from the target.
    async fn text(&self, sql: &str) -> Option<String> {
        let rows = self.client().await.query(sql, &[]).await.expect(sql);
        rows.first().and_then(|row| row.get(0))
    }
}

/// A fixture's path.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/transfer")
        .join(name)
}
