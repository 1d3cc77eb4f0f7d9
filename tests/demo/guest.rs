//! A sandbox as a guest of a server that is not its own: what it makes there goes, and nothing else is touched.

use cutover::demo::cluster::{Cluster, Options as ClusterOptions};
use cutover::demo::control::{self, Request};
use cutover::demo::faults::{self, Fault};
use cutover::demo::guest;
use cutover::demo::sandbox::{self, Lifetime, Options, Sandbox};
use cutover::ours;
use cutover::postgres::Endpoint;
use rustix::process::Signal;
use tokio::process::Command;

use super::bench::Bench;
use crate::support;

/// Somebody's server, with a role that may make databases and roles and no more, and a database in it that has nothing to do with us.
struct Theirs {
    cluster: Cluster,
    url: String,
}

impl Theirs {
    async fn start() -> Theirs {
        let cluster =
            Cluster::start(ClusterOptions::new(support::cutover())).expect("somebody's server");
        let statements = [
            "CREATE ROLE guest LOGIN PASSWORD 'let-me-in' CREATEDB CREATEROLE",
            "CREATE ROLE plain LOGIN PASSWORD 'let-me-in'",
            // One who has such a name, and a comment that somebody copied.
            "CREATE ROLE cutover_demo_0123456789abcdef_owner",
            "COMMENT ON ROLE cutover_demo_0123456789abcdef_owner IS 'made by cutover demo, and goes with its sandbox: server 1 role 2'",
        ]
        .map(str::to_owned);
        cluster.execute("postgres", &statements).await.unwrap();
        cluster.create_database("shop").await.unwrap();
        let rows = [
            "CREATE TABLE orders (id int PRIMARY KEY, what text)",
            "INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 500) n",
            "GRANT SELECT ON orders TO plain",
        ]
        .map(str::to_owned);
        cluster.execute("shop", &rows).await.unwrap();
        let url = cluster.url_for("guest", Some("let-me-in"), "postgres");
        Theirs { cluster, url }
    }

    /// Every role, membership, database and setting of the server, and everything in the other databases.
    async fn all(&self) -> Vec<String> {
        const SERVER: &str = "
            SELECT to_jsonb(r)::text FROM pg_authid r UNION ALL SELECT to_jsonb(m)::text FROM pg_auth_members m
            UNION ALL SELECT (to_jsonb(d) - 'datfrozenxid' - 'datminmxid')::text FROM pg_database d
            UNION ALL SELECT to_jsonb(s)::text FROM pg_db_role_setting s UNION ALL SELECT to_jsonb(t)::text FROM pg_tablespace t
            UNION ALL SELECT to_jsonb(c)::text FROM pg_shdescription c UNION ALL SELECT to_jsonb(d)::text FROM pg_shdepend d
            ORDER BY 1";
        const DATABASE: &str = "
            SELECT to_jsonb(o)::text FROM orders o
            UNION ALL SELECT c.oid || ' ' || c.relname || ' ' || c.relowner || ' ' || coalesce(c.relacl::text, '') FROM pg_class c
            UNION ALL SELECT n.oid || ' ' || n.nspname || ' ' || coalesce(n.nspacl::text, '') FROM pg_namespace n
            UNION ALL SELECT p.oid || ' ' || p.proname FROM pg_proc p
            ORDER BY 1";
        let mut all = Vec::new();
        for (database, sql) in [("postgres", SERVER), ("shop", DATABASE)] {
            let client = support::client(&self.cluster.superuser_url(database)).await;
            let rows = client.query(sql, &[]).await.unwrap();
            all.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        }
        all
    }

    async fn number(&self, sql: &str) -> i64 {
        let client = support::client(&self.cluster.superuser_url("postgres")).await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Databases and roles of sandboxes.
    async fn made(&self) -> (i64, i64) {
        (
            self.number("SELECT count(*) FROM pg_database WHERE datname LIKE 'cutover_demo_%'")
                .await,
            self.number("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cutover_demo_%'")
                .await
                - 1,
        )
    }

    async fn is_as_before(&self, before: &[String]) {
        support::until("everything that the sandbox made is gone", async || {
            self.made().await == (0, 0)
        })
        .await;
        assert_eq!(self.all().await, before);
    }

    fn options(&self) -> Options {
        Options {
            rows: 500,
            instances: 1,
            rate: 20,
            postgres: Some(self.url.clone()),
            ..Options::small(support::cutover())
        }
    }
}

async fn demo(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(support::cutover())
        .arg("demo")
        .args(arguments)
        .output()
        .await
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[tokio::test]
async fn makes_its_own_and_leaves_the_server_as_it_was() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    let sandbox = Sandbox::start(theirs.options()).unwrap();
    assert_eq!(theirs.made().await, (2, 2));
    let bench = Bench {
        http: support::http(),
        sandbox,
    };
    bench.load_target().await;
    let dir = bench.sandbox.dir().to_path_buf();

    // The application serves from there by a role that may do no more than it must; the owner sees its sessions.
    bench.switch("app-1", "Postgres").await;
    bench.wait_for("APP_1", 200, "Postgres").await;
    let runtime = support::client(&bench.variable("TARGET_RUNTIME_URL")).await;
    let refused = runtime.batch_execute("CREATE TABLE mine (id int)").await;
    assert!(refused.is_err(), "the runtime role makes no tables");
    let owner = support::client(&bench.variable("TARGET_URL")).await;
    let hidden = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename IS NOT NULL AND state IS NULL";
    let row = owner.query_one(hidden, &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);

    // A rehearsal gets an empty scratch database, each time.
    let scratch = bench.variable("SCRATCH_URL");
    for _ in 0..2 {
        bench.ask(&Request::BeginRehearsal);
        let client = support::client(&scratch).await;
        client
            .batch_execute("CREATE TABLE t (id int)")
            .await
            .unwrap();
        drop(client);
        bench.ask(&Request::EndRehearsal);
    }

    // Data is damaged by the owner; what would stop somebody's server is refused in words.
    faults::inject(&dir, Fault::RowLoss).unwrap();
    faults::inject(&dir, Fault::OrderMismatch).unwrap();
    faults::inject(&dir, Fault::Orphan).unwrap();
    let refused = faults::inject(&dir, Fault::TargetDown).unwrap_err();
    says!(
        refused.to_string(),
        "target-down is not available: it stops the server"
    );
    faults::heal(&dir).unwrap();

    let log = std::fs::read_to_string(bench.variable("TARGET_LOG")).unwrap();
    says!(log, "is not its own");
    drop((runtime, owner));
    bench.sandbox.stop().unwrap();
    assert_eq!(theirs.made().await, (0, 0), "it said that it is gone");
    assert_eq!(theirs.all().await, before);
}

#[tokio::test]
async fn killed_it_is_cleaned_up_after_all_the_same() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    let sandbox = Sandbox::start(theirs.options()).unwrap();
    // Somebody looks at one of its databases meanwhile.
    let _guest = support::client(&sandbox.environment().unwrap()["TARGET_URL"]).await;
    support::signal(sandbox.supervisor_pid(), Signal::KILL);
    theirs.is_as_before(&before).await;
}

#[tokio::test]
async fn what_was_killed_with_its_reaper_goes_with_the_next_look_and_a_living_one_stays() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    // As a sandbox would leave it whose machine lost its power: made, and nobody holds it.
    let admin = Endpoint::parse(&theirs.url).unwrap();
    let mut client = admin.connect().await.unwrap();
    let names = ours::guest::Names::fresh();
    let here = cutover::postgres::identity(&client).await.unwrap();
    let transaction = client.transaction().await.unwrap();
    for role in [names.owner(), names.runtime()] {
        let make = format!("CREATE ROLE {role}; GRANT {role} TO guest");
        transaction.batch_execute(&make).await.unwrap();
        let oid = format!("SELECT '{role}'::regrole::oid");
        let oid = transaction.query_one(&oid, &[]).await.unwrap().get(0);
        let mark = ours::guest::mark_role(&here, &role, oid);
        transaction.batch_execute(&mark).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let make = format!("CREATE DATABASE {} OWNER {}", names.target(), names.owner());
    client.batch_execute(&make).await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let alive = Sandbox::start(Options {
        dir: Some(folder.path().join("alive")),
        lifetime: Lifetime::Session,
        ..theirs.options()
    })
    .unwrap();
    assert_eq!(theirs.made().await, (3, 4));
    let swept = ours::guest::sweep(&admin).await.unwrap();
    assert_eq!(swept.gone, [names]);
    assert_eq!(swept.living.len(), 1);
    says!(
        swept.left.join("\n"),
        "role cutover_demo_0123456789abcdef_owner has the name of a sandbox's and no mark of ours: it stays"
    );
    assert_eq!(theirs.made().await, (2, 2), "the living one's");
    control::ask(alive.dir(), &Request::Status).expect("it lives");
    drop(client);
    sandbox::stop(alive.dir()).unwrap();
    drop(alive);
    theirs.is_as_before(&before).await;
}

#[tokio::test]
async fn a_server_that_will_not_do_is_refused_with_what_is_wanted() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    let plain = theirs
        .cluster
        .url_for("plain", Some("let-me-in"), "postgres");
    let (code, said) = demo(&["--headless", "--postgres", &plain]).await;
    assert_eq!(code, Some(1), "{said}");
    says!(said, "\"plain\" lacks CREATEDB and CREATEROLE");
    says!(said, "ALTER ROLE \"plain\" CREATEDB CREATEROLE");
    says!(said, "Nothing was made there");
    lacks!(said, "let-me-in");

    let nameless = theirs.cluster.url_for("guest", Some("let-me-in"), "");
    let (code, said) = demo(&["--headless", "--postgres", &nameless]).await;
    assert_eq!(code, Some(1), "{said}");
    says!(said, "the URL names no database");

    let (code, said) = demo(&[
        "--headless",
        "--fault",
        "target-down",
        "--postgres",
        &theirs.url,
    ])
    .await;
    assert_eq!(code, Some(1), "{said}");
    says!(
        said,
        "--fault target-down is not available: it stops the server"
    );

    // Most of what it has is taken: there is no room for an application.
    let small = "ALTER ROLE guest CONNECTION LIMIT 1".to_owned();
    theirs.cluster.execute("postgres", &[small]).await.unwrap();
    let one = Endpoint::parse(&theirs.url)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let refused = guest::examine(&theirs.url, 1)
        .await
        .unwrap_err()
        .to_string();
    says!(refused, "Nothing of a sandbox is there");
    drop(one);
    let no_limit = "ALTER ROLE guest CONNECTION LIMIT -1".to_owned();
    theirs
        .cluster
        .execute("postgres", &[no_limit])
        .await
        .unwrap();
    let many = guest::examine(&theirs.url, 30)
        .await
        .unwrap_err()
        .to_string();
    says!(many, "max_connections");
    theirs.is_as_before(&before).await;
}

#[tokio::test]
async fn new_roles_that_the_server_does_not_let_in_are_told_and_gone() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    let data = theirs.cluster.data_dir();
    std::fs::write(
        data.join("pg_hba.conf"),
        "host all postgres,guest 127.0.0.1/32 scram-sha-256\n",
    )
    .unwrap();
    let reload = "SELECT pg_reload_conf()".to_owned();
    theirs.cluster.execute("postgres", &[reload]).await.unwrap();
    let options = theirs.options();
    let refused = tokio::task::spawn_blocking(move || Sandbox::start(options).map(drop));
    let refused = refused.await.unwrap().unwrap_err().to_string();
    says!(refused, "does not let cutover_demo_");
    says!(refused, "pg_hba.conf");
    theirs.is_as_before(&before).await;
}

/// A whole night on it, by the reference runbook, rehearsal and rollback included.
#[tokio::test]
async fn a_night_on_it_ends_as_on_a_server_of_its_own() {
    let theirs = Theirs::start().await;
    let before = theirs.all().await;
    let url = theirs.url.as_str();
    let (code, said) = demo(&[
        "--headless",
        "--speed",
        "120",
        "--rows",
        "2000",
        "--rate",
        "40",
        "--fault",
        "5xx",
        "--postgres",
        url,
    ])
    .await;
    assert_eq!(code, Some(4), "{said}");
    lacks!(said, "let-me-in");
    theirs.is_as_before(&before).await;
}
