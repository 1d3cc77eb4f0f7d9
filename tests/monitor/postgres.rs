//! A real PostgreSQL with few connections: what goes on inside it is seen, also when nobody else gets in.

use cutover::demo::cluster::{Cluster, Options};
use cutover::runbook::{ProbeKind, Runbook};
use cutover::trigger::Reading;
use tokio_postgres::{Client, NoTls};

use super::{DEADLINE, Watch, runbook, servers};
use crate::support;

const KIND: ProbeKind = ProbeKind::Postgres {
    slow_ms: 300,
    window_ms: 600_000,
};

/// Of twelve connections three are the superuser's.
const ORDINARY: usize = 9;

/// A cluster that has few connections and counts its statements.
fn small() -> Cluster {
    let mut options = Options::new(support::cutover());
    options.settings = [
        ("max_connections", "12"),
        ("shared_preload_libraries", "pg_stat_statements"),
        ("deadlock_timeout", "50ms"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    Cluster::start(options).expect("a small cluster")
}

async fn client(url: &str, application: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = url.parse().expect("a URL");
    config.application_name(application);
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn watching(url: &str) -> Runbook {
    let mut runbook = runbook(vec![KIND], &servers(1).await);
    runbook.target.url = url.to_owned();
    runbook
}

/// Everything that is said of the database.
fn said(watch: &Watch) -> String {
    let details = watch.monitor.details();
    let database = details.iter().find(|detail| detail.topic == "database");
    database.map_or(String::new(), |detail| detail.lines.join("\n"))
}

/// Waits for a look of which this is said.
async fn until_said(watch: &mut Watch, wanted: &str) {
    let search = async {
        while !said(watch).contains(wanted) {
            watch.until("pg_used_ratio", |_| true).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, search).await;
    assert!(found.is_ok(), "not {wanted}: {}", said(watch));
}

#[tokio::test]
async fn an_exhausted_server_is_still_watched() {
    let cluster = small();
    cluster.create_database("app").await.expect("a database");
    let url = cluster.url("app");
    let mut watch = Watch::start(watching(&url).await);
    watch
        .until_value("pg_used_ratio", 1.0 / ORDINARY as f64)
        .await;
    let mut clients = Vec::new();
    let refused = loop {
        match client(&url, "crowd").await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    let refused = refused
        .as_db_error()
        .expect("a refusal")
        .message()
        .to_owned();
    assert!(refused.contains("remaining connection slots"), "{refused}");
    assert_eq!(clients.len(), ORDINARY - 1, "all but the one that watches");
    watch.until_value("pg_used_ratio", 1.0).await;
    // Sessions are read before they are counted: those that came in between are named by the next look.
    until_said(&mut watch, "clients: crowd 8").await;
    drop(clients);
    watch
        .until_value("pg_used_ratio", 1.0 / ORDINARY as f64)
        .await;
}

#[tokio::test]
async fn who_waits_for_whom_deadlocks_and_slow_statements_are_seen() {
    let cluster = small();
    cluster.create_database("app").await.expect("a database");
    let url = cluster.superuser_url("app");
    let setup = client(&url, "setup").await.expect("a client");
    setup
        .batch_execute(
            "CREATE EXTENSION pg_stat_statements; CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)",
        )
        .await
        .expect("a table");
    let mut watch = Watch::start(watching(&url).await);
    watch.until_value("pg_slow_statements", 0.0).await;

    let holder = client(&url, "holder").await.expect("a client");
    let waiter = client(&url, "waiter\u{1b}[2J").await.expect("a client");
    let take = |id: u32| format!("SELECT id FROM t WHERE id = {id} FOR UPDATE");
    holder
        .batch_execute(&format!("BEGIN; {}", take(1)))
        .await
        .expect("a lock");
    waiter
        .batch_execute(&format!("BEGIN; {}", take(2)))
        .await
        .expect("another");
    let second = take(1);
    let waiting = tokio::spawn(async move { waiter.batch_execute(&second).await });
    watch.until_value("pg_lock_waits", 1.0).await;
    watch
        .until("pg_lock_wait_ms", |r| r.number() > Some(100.0))
        .await;
    watch
        .until("pg_running_ms", |r| r.number() > Some(100.0))
        .await;
    let text = said(&watch);
    assert!(text.contains("waiting for: Lock 1"), "{text}");
    assert!(text.contains("(holder, idle in transaction)"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");

    // The circle closes; one of the two is sent away.
    let ours = holder.batch_execute(&take(2)).await;
    let theirs = waiting.await.expect("it ran");
    assert!(ours.is_err() != theirs.is_err(), "{ours:?} {theirs:?}");
    holder
        .batch_execute("ROLLBACK")
        .await
        .expect("the end of it");
    watch.until_value("pg_deadlocks", 1.0).await;
    watch.until_value("pg_lock_waits", 0.0).await;

    holder
        .batch_execute("SELECT pg_sleep(0.4)")
        .await
        .expect("slept");
    watch
        .until("pg_slow_statements", |r| r.number() >= Some(1.0))
        .await;
    holder
        .batch_execute("SET work_mem = '64kB'; SELECT count(*) FROM (SELECT n FROM generate_series(1, 50000) n ORDER BY n DESC) s")
        .await
        .expect("sorted");
    watch
        .until("pg_temp_files", |r| r.number() >= Some(1.0))
        .await;
    watch.until_value("pg_conflicts", 0.0).await;
}

#[tokio::test]
async fn without_statistics_a_slow_statement_counts_once_by_its_age() {
    let database = support::database().await;
    let url = database.superuser_url.clone();
    let mut watch = Watch::start(watching(&url).await);
    watch.until_value("pg_slow_statements", 0.0).await;
    // A statement that runs for as long as this is held, so that a look sees it however late that comes.
    let holder = client(&url, "holder").await.expect("a client");
    let hold = holder.batch_execute("SELECT pg_advisory_lock(1)").await;
    hold.expect("a lock");
    let slow = client(&url, "slow").await.expect("a client");
    let waits = tokio::spawn(async move { slow.batch_execute("SELECT pg_advisory_lock(1)").await });
    watch.until_value("pg_slow_statements", 1.0).await;
    watch.until_next_look("pg_running_ms").await;
    watch.until_value("pg_slow_statements", 1.0).await;
    let let_go = holder.batch_execute("SELECT pg_advisory_unlock(1)").await;
    let_go.expect("the end of it");
    waits.await.expect("it ran").expect("it had its turn");
    watch
        .until("pg_running_ms", |r| *r == Reading::value(0.0))
        .await;
    watch.until_value("pg_slow_statements", 1.0).await;
}

#[tokio::test]
async fn a_role_that_may_not_look_says_so() {
    let database = support::database().await;
    let _other = client(&database.superuser_url, "other")
        .await
        .expect("a client");
    let mut watch = Watch::start(watching(&database.url).await);
    watch
        .until_reason("pg_running_ms", "grant pg_monitor")
        .await;
    watch.until_value("pg_lock_waits", 0.0).await;
}

#[tokio::test]
async fn the_servers_settings_are_those_that_others_begin_with_and_not_our_own() {
    let cluster = small();
    cluster.create_database("app").await.expect("a database");
    let setup = client(&cluster.superuser_url("app"), "setup")
        .await
        .expect("a client");
    let role: String = {
        let owner = client(&cluster.url("app"), "owner")
            .await
            .expect("a client");
        let row = owner
            .query_one("SELECT quote_ident(session_user)", &[])
            .await;
        row.expect("a role").get(0)
    };
    setup
        .batch_execute(&format!(
            "ALTER ROLE {role} SET statement_timeout = '90s'; ALTER ROLE {role} SET lock_timeout = '1500ms'"
        ))
        .await
        .expect("a role with limits");
    let mut watch = Watch::start(watching(&cluster.url("app")).await);
    watch.until("pg_used_ratio", |r| r.number().is_some()).await;
    let text = said(&watch);
    assert!(
        text.contains("server: max_connections 12, 3 of them reserved; ssl off"),
        "{text}"
    );
    let limits = "statement 90 s, lock 1500 ms, idle in transaction none, idle none";
    assert!(text.contains(limits), "{text}");
}
