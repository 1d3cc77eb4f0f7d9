//! Real PgBouncers before a real PostgreSQL: those that share connections are recognised and refused before anything is set, and behind
//! none of them anything of ours stays.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use cutover::postgres::observe::Observer;
use cutover::postgres::{
    Error, Pinned, activity, pooler, preflight, session_settings, write_probe,
};
use cutover::runbook::transfer::Transfer;
use cutover::transfer::copy::{Options, copy};
use cutover::transfer::plan::{Scan, plan};
use tokio_util::sync::CancellationToken;

use super::endpoint;
use crate::monitor::daemon::Daemon;
use crate::monitor::pgbouncer::{connect, pgbouncer_with};
use crate::support::{self, TestDatabase};

const SHARED: [&str; 3] = [
    "pool_mode = transaction\ndefault_pool_size = 1\n",
    "pool_mode = transaction\ndefault_pool_size = 4\nmin_pool_size = 4\nserver_round_robin = 1\n",
    "pool_mode = statement\ndefault_pool_size = 2\n",
];
/// Keeps a server connection with its client, and hands it on as the client left it.
const SESSION: &str = "pool_mode = session\ndefault_pool_size = 30\nserver_reset_query =\n";

/// A pooler before a database with one table, and a SQLite file with the same.
struct Stage {
    _daemon: Daemon,
    port: u16,
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn set(settings: &str) -> Stage {
        let database = support::database().await;
        let direct = super::connect(&database.superuser_url).await;
        direct
            .batch_execute(
                "CREATE TABLE items(id bigint PRIMARY KEY, v text NOT NULL); CREATE INDEX ON items(v)",
            )
            .await
            .expect("a table");
        let folder = tempfile::tempdir().expect("a folder");
        let source = rusqlite::Connection::open(folder.path().join("app.db")).expect("a file");
        let sql = "CREATE TABLE items(id INTEGER PRIMARY KEY, v TEXT NOT NULL);
            INSERT INTO items VALUES (1, 'a'), (2, 'b'), (3, 'c')";
        source.execute_batch(sql).expect("rows");
        let (daemon, port) = pgbouncer_with(settings).await;
        Stage {
            _daemon: daemon,
            port,
            database,
            folder,
        }
    }

    fn url(&self) -> String {
        format!(
            "postgres://app:any-password@127.0.0.1:{}/{}?sslmode=disable",
            self.port, self.database.name
        )
    }

    /// What the application finds: settings, prepared statements, locks and temporary tables of each of `count` connections that are open
    /// at once, by the server process that answers.
    async fn found(&self, count: usize) -> BTreeMap<String, String> {
        let mut clients = Vec::new();
        let mut found = BTreeMap::new();
        for _ in 0..count {
            let client = connect(self.port, "app", &self.database.name).await;
            clients.push(client.expect("a connection"));
        }
        for client in &clients {
            let query = "SELECT pg_backend_pid(), (SELECT string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM pg_settings)
                || (SELECT ' prepared ' || count(*) FROM pg_prepared_statements)
                || (SELECT ' locks ' || count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
                || (SELECT ' temporary ' || count(*) FROM pg_class WHERE relnamespace = pg_my_temp_schema())
                || (SELECT ' channels ' || count(*) FROM pg_listening_channels()) || current_user";
            let answer = client.simple_query(query).await.expect("an answer");
            for message in answer {
                if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                    found.insert(
                        row.get(0).unwrap().to_owned(),
                        row.get(1).unwrap().to_owned(),
                    );
                }
            }
        }
        found
    }

    async fn rows(&self) -> i64 {
        let direct = super::connect(&self.database.superuser_url).await;
        let row = direct.query_one("SELECT count(*) FROM items", &[]).await;
        row.expect("a count").get(0)
    }
}

fn differences(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut found = Vec::new();
    for (pid, was) in before {
        let Some(is) = after.get(pid) else { continue };
        // A library that a server process has loaded brings settings of its own, at their defaults.
        let own = |line: &&str| !line.starts_with("plpgsql.");
        let (was, is): (Vec<_>, Vec<_>) = (
            was.lines().filter(own).collect(),
            is.lines().filter(own).collect(),
        );
        assert_eq!(was.len(), is.len(), "{was:?} became {is:?}");
        let pairs = was.iter().zip(&is).filter(|(was, is)| was != is);
        found.extend(pairs.map(|(was, is)| format!("{was} became {is}")));
    }
    assert!(
        before.keys().any(|pid| after.contains_key(pid)),
        "no server connection was there before and after"
    );
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_connections_is_refused_before_anything_is_set() {
    for settings in SHARED {
        let stage = Stage::set(settings).await;
        let before = stage.found(4).await;
        let there = endpoint(&stage.url());
        let seen = pooler::look(&there).await.expect("a look");
        assert!(seen.is_some(), "{settings} was taken for PostgreSQL itself");
        let refused = pooler::refuse(&there).await.expect_err("refused");
        assert!(matches!(refused, Error::Pooled { .. }), "{refused}");
        let words = refused.to_string();
        for part in ["pooler", "Nothing was set", "address of PostgreSQL itself"] {
            assert!(words.contains(part), "{words}");
        }
        for subcommand in ["plan", "copy", "verify"] {
            let told = Command::new(support::cutover())
                .arg(subcommand)
                .args(["--to", &stage.url(), "--from"])
                .arg(stage.folder.path().join("app.db"))
                .output()
                .expect("it runs");
            let said = String::from_utf8_lossy(&told.stderr);
            assert_eq!(told.status.code(), Some(1), "{subcommand}: {said}");
            assert!(said.contains("connection pooler"), "{subcommand}: {said}");
            assert!(!said.contains("any-password"), "{subcommand}: {said}");
        }
        let client = pooler::connect(&there).await.expect("a connection");
        let findings = preflight::database(&client, &there, "public").await;
        assert_eq!(super::failed(&findings.expect("findings")), ["direct"]);
        drop(client);
        assert_eq!(stage.rows().await, 0, "{settings}");
        let after = stage.found(4).await;
        assert_eq!(differences(&before, &after), [""; 0], "{settings}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_asks_as_the_application_leaves_nothing_behind_in_its_pooler() {
    let stage = Stage::set(SHARED[0]).await;
    let before = stage.found(4).await;
    let there = endpoint(&stage.url());
    let limit = Duration::from_secs(60);
    let mut client = pooler::connect(&there).await.expect("a connection");
    let probed = write_probe::probe(&mut client, "public", "items").await;
    assert!(probed.expect("an answer").ok);
    drop(client);
    let observer = Observer::open(&there, limit).await.expect("an observer");
    observer.look().await.expect("a look");
    observer.settings().await.expect("settings");
    drop(observer);
    let mut probe = activity::ActivityProbe::open(&there, limit)
        .await
        .expect("a probe");
    probe.sample().await.expect("a sample");
    drop(probe);
    let after = stage.found(4).await;
    assert_eq!(differences(&before, &after), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_keeps_a_connection_for_its_client_gets_it_back_as_it_was() {
    let stage = Stage::set(SESSION).await;
    let there = endpoint(&stage.url());
    let before = stage.found(20).await;
    assert_eq!(before.len(), 20, "a server connection each");
    assert_eq!(pooler::look(&there).await.expect("a look"), None);
    let (source, transfer) = (stage.folder.path().join("app.db"), Transfer::default());
    let cancel = CancellationToken::new();
    plan(
        &source,
        &there,
        "public",
        &transfer,
        Scan::Full,
        &|_| (),
        &cancel,
    )
    .await
    .expect("a plan");
    let options = Options::default();
    copy(
        &source,
        &there,
        "public",
        &transfer,
        &options,
        &|_| (),
        &cancel,
    )
    .await
    .expect("a copy");
    let pinned = Pinned::open(&there, "public").await;
    let pinned = pinned.expect("a session");
    pinned
        .batch_execute(
            "SET work_mem = '77MB'; SET ROLE pg_monitor; LISTEN news; CREATE TEMP TABLE mine(); PREPARE mine AS SELECT 1;
             SELECT pg_advisory_lock(1)",
        )
        .await
        .expect("whatever a script may do");
    // Also in a transaction that has failed.
    pinned
        .batch_execute("BEGIN; SELECT 1/0")
        .await
        .expect_err("no division");
    drop(pinned);
    session_settings::all_put_back().await;
    assert_eq!(stage.rows().await, 3);
    let after = stage.found(20).await;
    assert_eq!(differences(&before, &after), [""; 0]);
}
