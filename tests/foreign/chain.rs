//! The chain that a stranger goes: `plan`, paste what it suggests, `copy`, `verify`; then the application on PostgreSQL shows what it
//! showed, and writes into every table. On a Django application, and on Optuna, which keeps its studies with SQLAlchemy and Alembic.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::application::{python, said};
use super::place::Place;
use crate::support;

/// So often what `plan` suggests may have to be pasted.
const ROUNDS: usize = 3;

/// A file and a database whose tables are there.
struct Chain<'a> {
    from: &'a Path,
    to: &'a str,
    transfer: PathBuf,
}

impl Chain<'_> {
    fn run(&self, what: &str) -> (Option<i32>, Value) {
        let mut command = Command::new(support::cutover());
        command.arg(what).arg("--from").arg(self.from);
        command.args(["--to", self.to, "--json"]);
        if self.transfer.exists() {
            command.arg("--transfer").arg(&self.transfer);
        }
        let output = command.output().expect("cutover");
        let json = serde_json::from_slice(&output.stdout);
        let json = json.unwrap_or_else(|e| panic!("{what}: {e}: {}", said(&output)));
        (output.status.code(), json)
    }

    /// Pastes what `plan` suggests until it has no problem left, each time instead of what was pasted before.
    fn paste(&self) {
        let mut rounds = 0;
        loop {
            let (code, plan) = self.run("plan");
            if code == Some(0) {
                return;
            }
            let suggested = plan["suggested"].as_str().unwrap_or_default();
            assert!(
                rounds < ROUNDS && !suggested.is_empty(),
                "after {rounds} rounds: {:#}",
                plan["problems"]
            );
            std::fs::write(&self.transfer, suggested).expect("a transfer section");
            rounds += 1;
        }
    }

    fn copy_and_verify(&self) {
        self.paste();
        let pasted = std::fs::read_to_string(&self.transfer).unwrap_or_default();
        let (code, copied) = self.run("copy");
        assert_eq!(code, Some(0), "{copied:#}\n{pasted}");
        let (code, verified) = self.run("verify");
        assert_eq!(code, Some(0), "{verified:#}\n{pasted}");
        assert_eq!(verified["equal"], true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_django_application_shows_on_postgresql_what_it_showed_and_writes_everywhere() {
    let place = Place::make(60).await;
    let library = &place.application;
    library.start_slot("app-1").await;
    let pages = library.pages("app-1").await;
    let canaries = place.look().await;

    let postgres = [("DB", "postgres"), ("DATABASE_URL", &place.target.url)];
    library.manage(&["migrate", "-v0"], &postgres);
    let chain = Chain {
        from: &library.file(),
        to: &place.target.url,
        transfer: place.dir().join("state/transfer.yaml"),
    };
    chain.copy_and_verify();
    place
        .assert_untouched("after a copy and a comparison", &canaries)
        .await;

    library.serve_from_postgres("app-1").await;
    assert_eq!(library.database_of("app-1").await, "postgresql");
    assert_eq!(library.pages("app-1").await, pages);
    let postgres = [
        ("DB", "postgres"),
        ("DATABASE_URL", &place.target.runtime_url),
    ];
    let without = library.manage(&["one_more"], &postgres);
    assert_eq!(without.trim(), "", "tables that got no row");
}

/// Optuna on whichever database its URL names.
fn study(storage: &str, arguments: &[&str]) -> String {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/optuna/study.py");
    let mut command = Command::new(python());
    command.arg(program).args(arguments).env("STORAGE", storage);
    let output = command.output().expect("Python");
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_on_alembic_shows_on_postgresql_what_it_showed_and_writes_everywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("studies.db");
    let on_sqlite = format!("sqlite:///{}", file.display());
    study(&on_sqlite, &["fill", "30"]);
    let shown = study(&on_sqlite, &["show"]);
    let database = support::database().await;
    let on_postgres = database
        .url
        .replace("postgresql://", "postgresql+psycopg://");
    study(&on_postgres, &["make"]);

    let chain = Chain {
        from: &file,
        to: &database.url,
        transfer: folder.path().join("transfer.yaml"),
    };
    chain.copy_and_verify();
    assert_eq!(study(&on_postgres, &["show"]), shown);
    let before = rows_by_table(&database.url).await;
    study(&on_postgres, &["add"]);
    let after = rows_by_table(&database.url).await;
    let grown = |(table, rows): &(String, i64)| {
        let now = after.iter().find(|(name, _)| name == table);
        now.is_some_and(|(_, now)| now > rows)
    };
    let same: Vec<&str> = before
        .iter()
        .filter(|table| !grown(table))
        .map(|(table, _)| table.as_str())
        .collect();
    // One row each, which tells of the version.
    assert_eq!(same, ["alembic_version", "version_info"]);
}

async fn rows_by_table(url: &str) -> Vec<(String, i64)> {
    let client = super::canaries::connect(url).await;
    let count = "SELECT relname::text, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I', relname), false, true, '')))[1]::text::bigint
        FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1";
    let rows = client.query(count, &[]).await.expect("counts");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
