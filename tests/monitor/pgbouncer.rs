//! A real PgBouncer in front of a real PostgreSQL: clients that wait for a connection are seen.

use std::path::Path;

use cutover::runbook::{PgBouncer, ProbeKind, Runbook};
use cutover::trigger::Reading;
use tokio_postgres::{Client, NoTls};

use super::daemon::{self, Daemon};
use super::{Watch, runbook, servers};
use crate::support;

/// A PgBouncer with one server connection for each database, and its port.
async fn pgbouncer() -> (Daemon, u16) {
    pgbouncer_with("pool_mode = transaction\ndefault_pool_size = 1\n").await
}

/// A PgBouncer with these settings, and its port.
pub async fn pgbouncer_with(settings: &str) -> (Daemon, u16) {
    let (folder, port) = (daemon::folder("pgbouncer"), daemon::port());
    let url = url::Url::parse(&support::cluster().superuser_url("postgres")).expect("a URL");
    let login = format!(
        "user={} password={}",
        url.username(),
        url.password().unwrap_or_default()
    );
    // `any` asks nobody for a password, and logs everybody in as the role that the database names.
    let config = format!(
        "[databases]\n* = host=127.0.0.1 port={} {login}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\nadmin_users = console\nstats_users = console\n{settings}",
        support::cluster().port()
    );
    std::fs::write(folder.join("pgbouncer.ini"), config).expect("written");
    let daemon = Daemon::start("pgbouncer", &["pgbouncer.ini"], Path::new(&folder));
    support::until("PgBouncer is there", async || {
        connect(port, "console", "pgbouncer").await.is_some()
    })
    .await;
    (daemon, port)
}

pub async fn connect(port: u16, user: &str, database: &str) -> Option<Client> {
    let url = format!("postgres://{user}:any@127.0.0.1:{port}/{database}?sslmode=disable");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

fn watching(port: u16, database: &str, server: &crate::fleet::instance::Server) -> Runbook {
    let kind = ProbeKind::PgBouncer(PgBouncer {
        url: format!("postgres://console@127.0.0.1:{port}/pgbouncer"),
        database: Some(database.to_owned()),
    });
    runbook(vec![kind], std::slice::from_ref(server))
}

#[tokio::test]
async fn clients_that_wait_in_a_pgbouncer_are_seen_with_their_time() {
    let database = support::database().await;
    let servers = servers(1).await;
    let (_daemon, port) = pgbouncer().await;
    let mut watch = Watch::start(watching(port, &database.name, &servers[0]));
    let why = format!("PgBouncer has no pool for {}", database.name);
    watch.until_reason("bouncer_waiting", &why).await;

    let one = connect(port, "app", &database.name)
        .await
        .expect("a client");
    let two = connect(port, "app", &database.name).await.expect("another");
    one.batch_execute("BEGIN").await.expect("a transaction");
    watch.until_value("bouncer_waiting", 0.0).await;
    watch.until_value("bouncer_servers_active", 1.0).await;

    let waiting = tokio::spawn(async move { two.batch_execute("SELECT 1").await });
    watch.until_value("bouncer_waiting", 1.0).await;
    watch
        .until("bouncer_maxwait_ms", |r| r.number() > Some(100.0))
        .await;
    one.batch_execute("COMMIT").await.expect("the end of it");
    waiting.await.expect("it ran").expect("it was let in");
    watch.until_value("bouncer_waiting", 0.0).await;
    watch.until_value("bouncer_maxwait_ms", 0.0).await;
    watch
        .until("bouncer_queries_per_s", |r| r.number().is_some())
        .await;
}

#[tokio::test]
async fn a_pgbouncer_that_hangs_or_goes_away_is_no_data_until_it_is_back() {
    let database = support::database().await;
    let servers = servers(1).await;
    let (daemon, port) = pgbouncer().await;
    let client = connect(port, "app", &database.name).await;
    client
        .expect("a client")
        .batch_execute("SELECT 1")
        .await
        .expect("it runs");
    let mut runbook = watching(port, &database.name, &servers[0]);
    runbook.probes[0].timeout_ms = 1_000;
    let mut watch = Watch::start(runbook);
    watch.until_value("bouncer_waiting", 0.0).await;
    daemon.freeze();
    let why = "did not answer within 1000 ms";
    let reading = watch.until_reason("bouncer_waiting", why).await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    daemon.thaw();
    watch.until_value("bouncer_waiting", 0.0).await;
    drop(daemon);
    watch
        .until_reason("bouncer_waiting", "refuses the connection")
        .await;
}
