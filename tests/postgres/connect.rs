//! Getting in, and being turned away.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use cutover::postgres::activity::{ActivityProbe, ApplicationActivity};
use cutover::postgres::{Endpoint, Error, session_settings};
use tokio::net::TcpListener;

use super::{changed, connect, endpoint, refusal};
use crate::support;

#[tokio::test]
async fn every_form_of_a_url_leads_to_the_database() {
    let database = support::database().await;
    let cluster = support::cluster();
    let url = url::Url::parse(&database.url).unwrap();
    let (user, password, port) = (url.username(), url.password().unwrap(), url.port().unwrap());
    let socket = cluster.socket_dir();
    let encoded = socket.display().to_string().replace('/', "%2F");
    for url in [
        database.url.clone(),
        format!(
            "postgresql://{user}:{password}@localhost:{port}/{}",
            database.name
        ),
        format!(
            "postgres://{user}:{password}@/{}?host={}&port={port}",
            database.name,
            socket.display()
        ),
        format!(
            "postgres://{user}:{password}@{encoded}:{port}/{}?sslmode=verify-full",
            database.name
        ),
        format!(
            "postgres://{user}@127.0.0.1:1,127.0.0.1:{port}/{}?password={password}&target_session_attrs=read-write",
            database.name
        ),
        format!(
            "postgres://{user}:{password}@nowhere.invalid,x:1,{port}/{}?host=a,b&hostaddr=127.0.0.1,127.0.0.1&port=1,{port}",
            database.name
        ),
    ] {
        let client = connect(&url).await;
        let row = client
            .query_one(
                "SELECT current_database()::text, current_setting('application_name')",
                &[],
            )
            .await
            .unwrap();
        assert_eq!(
            (row.get::<_, &str>(0), row.get::<_, &str>(1)),
            (database.name.as_str(), "cutover")
        );
    }
}

#[tokio::test]
async fn the_password_comes_from_the_environment_or_the_password_file() {
    let database = support::database().await;
    let url = url::Url::parse(&database.url).unwrap();
    let password = url.password().unwrap().to_owned();
    let without = changed(&database.url, |url| url.set_password(None).unwrap());
    assert!(matches!(refusal(&without).await, Error::NoPassword { .. }));

    let environment = |name: &str| (name == "PGPASSWORD").then(|| password.clone());
    let by_environment = Endpoint::parse_in(&without, &environment).unwrap();
    by_environment.connect().await.unwrap();
    assert!(!by_environment.has_password_in_url() && endpoint(&database.url).has_password_in_url());

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(
        &file,
        format!(
            "other:*:*:*:wrong\n*:{}:{}:*:{password}\n",
            url.port().unwrap(),
            database.name
        ),
    )
    .unwrap();
    let by_file = format!("{without}?passfile={}", file.display());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        matches!(refusal(&by_file).await, Error::NoPassword { .. }),
        "a file that others may read is not used"
    );
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    connect(&by_file).await;
}

#[tokio::test]
async fn each_refusal_has_its_kind_and_no_password() {
    let database = support::database().await;
    let url = &database.url;
    let wrong = refusal(&changed(url, |url| {
        url.set_password(Some("hunter2")).unwrap()
    }))
    .await;
    assert!(
        matches!(
            &wrong,
            Error::WrongPassword {
                password_source: "the URL",
                ..
            }
        ),
        "{wrong:?}"
    );
    assert!(!format!("{wrong} {wrong:?}").contains("hunter2"));
    let unknown = refusal(&changed(url, |url| url.set_path("/nowhere"))).await;
    assert!(
        matches!(&unknown, Error::UnknownDatabase { database, .. } if database == "nowhere"),
        "{unknown:?}"
    );
    let nobody = refusal(&changed(url, |url| {
        url.set_username("nobody\u{1b}").unwrap()
    }))
    .await;
    assert!(matches!(nobody, Error::WrongPassword { .. }), "{nobody:?}");
    let refused = refusal(&changed(url, |url| url.set_port(Some(1)).unwrap())).await;
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
    let host = refusal(&changed(url, |url| {
        url.set_host(Some("db.invalid")).unwrap()
    }))
    .await;
    assert!(matches!(host, Error::UnknownHost { .. }), "{host:?}");
    let socket = refusal("postgres://u@/d?host=/no/such/folder").await;
    assert!(matches!(socket, Error::Unreachable { .. }), "{socket:?}");
    let plain = refusal(&format!("{url}?sslmode=require")).await;
    assert!(matches!(plain, Error::PlainTextRefused { .. }), "{plain:?}");
    let role = refusal(&format!("{url}?target_session_attrs=standby")).await;
    assert!(
        matches!(
            role,
            Error::WrongServerRole {
                wanted: "standby",
                ..
            }
        ),
        "{role:?}"
    );

    let admin = connect(&database.superuser_url).await;
    let statements = format!(
        "CREATE ROLE \"{0}_locked\" NOLOGIN; REVOKE CONNECT ON DATABASE {0} FROM PUBLIC; CREATE ROLE \"{0}_out\" LOGIN PASSWORD 'x'; ALTER ROLE \"{0}_locked\" PASSWORD 'x'",
        database.name
    );
    admin.batch_execute(&statements).await.unwrap();
    let as_role = |role: &str| {
        changed(url, |url| {
            url.set_username(&format!("{}_{role}", database.name))
                .unwrap();
            url.set_password(Some("x")).unwrap();
        })
    };
    let locked = refusal(&as_role("locked")).await;
    assert!(matches!(locked, Error::NotAuthorised { .. }), "{locked:?}");
    let out = refusal(&as_role("out")).await;
    assert!(matches!(out, Error::NoConnect { .. }), "{out:?}");
}

#[tokio::test]
async fn a_server_that_never_answers_and_one_that_hangs_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = refusal(&format!(
        "postgres://u:p@127.0.0.1:{port}/d?connect_timeout=2"
    ))
    .await;
    assert!(
        matches!(silent, Error::Timeout { seconds: 2, .. }),
        "{silent:?}"
    );
    let hang_up = tokio::spawn(async move {
        loop {
            drop(listener.accept().await.unwrap());
        }
    });
    let closed = refusal(&format!("postgres://u:p@127.0.0.1:{port}/d")).await;
    assert!(matches!(closed, Error::Unreachable { .. }), "{closed:?}");
    hang_up.abort();
}

#[tokio::test]
async fn no_default_of_the_database_changes_a_session_of_ours() {
    let database = support::database().await;
    let admin = connect(&database.superuser_url).await;
    let settings = [
        ("timezone", "'Asia/Kolkata'", "UTC"),
        ("datestyle", "'SQL, DMY'", "ISO, YMD"),
        // Long enough for one statement on a machine that is busy.
        ("statement_timeout", "2000", "0"),
        ("lock_timeout", "1", "0"),
        ("default_transaction_read_only", "on", "off"),
        ("search_path", "pg_temp", "\"my schema\""),
        ("row_security", "on", "off"),
        ("bytea_output", "escape", "hex"),
    ];
    for (name, value, _) in settings {
        // One at a time, and from a session of its own: the next one would already be read-only.
        admin
            .batch_execute(&format!(
                "ALTER DATABASE {} SET {name} = {value}",
                database.name
            ))
            .await
            .unwrap();
    }
    let client = connect(&database.url).await;
    session_settings(&client, "my schema").await.unwrap();
    for (name, _, expected) in settings {
        let row = client
            .query_one("SELECT current_setting($1)", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), expected, "{name}");
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_on_the_server() {
    let database = support::database().await;
    let endpoint = endpoint(&database.url);
    let client = endpoint.connect().await.unwrap();
    let token = client.cancel_token();
    let watcher = endpoint.connect().await.unwrap();
    let (slept, ()) = tokio::join!(client.batch_execute("SELECT pg_sleep(60)"), async {
        let running = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        while watcher
            .query_one(running, &[])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {}
        endpoint.cancel(&token).await.unwrap();
    });
    let error = Error::of_statement("sleep", &slept.unwrap_err());
    assert!(
        matches!(&error, Error::Sql { sqlstate, .. } if sqlstate == "57014"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_terminated_session_is_lost_and_not_failed() {
    let database = support::database().await;
    let client = connect(&database.url).await;
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0);
    let admin = connect(&database.superuser_url).await;
    let terminate = format!("SELECT pg_terminate_backend({pid})");
    let (slept, _) = tokio::join!(
        client.batch_execute("SELECT pg_sleep(60)"),
        admin.batch_execute(&terminate)
    );
    let error = Error::of_statement("sleep", &slept.unwrap_err());
    assert!(matches!(error, Error::Lost { .. }), "{error:?}");
    let again = client.batch_execute("SELECT 1").await.unwrap_err();
    assert!(
        matches!(Error::of_statement("ask", &again), Error::Lost { .. }),
        "{again:?}"
    );
}

#[tokio::test]
async fn the_pool_panel_counts_and_says_what_it_cannot_see() {
    let database = support::database().await;
    let admin = connect(&database.superuser_url).await;
    admin
        .batch_execute("SET application_name = 'app of another role'")
        .await
        .unwrap();
    let mut probe = ActivityProbe::open(&endpoint(&database.url), Duration::from_secs(60))
        .await
        .unwrap();
    let holder = connect(&database.url).await;
    holder
        .batch_execute("CREATE TABLE t (a int)")
        .await
        .unwrap();
    holder.batch_execute("BEGIN; LOCK TABLE t").await.unwrap();
    let idle = connect(&database.url).await;
    idle.batch_execute("SET application_name = 'nightly job'")
        .await
        .unwrap();
    let waiter = connect(&database.url).await;
    let waiting = tokio::spawn(async move { waiter.batch_execute("SELECT * FROM t").await });
    let deadline = Instant::now() + Duration::from_secs(120);
    let seen = loop {
        let activity = probe.sample().await.unwrap();
        let seen = activity.pool;
        // The superuser's own session is there, and its state is hidden from the owner; so is an autovacuum that passes by.
        if (seen.waiting, seen.idle, seen.hidden) == (1, 1, 1) {
            let of = |name: &str| {
                let mut all = activity.applications.iter();
                all.find(|of| of.application == name).cloned()
            };
            let nightly = of("nightly job").expect("named by itself");
            assert_eq!((nightly.active, nightly.idle), (0, 1), "{activity:?}");
            let sum = |count: fn(&ApplicationActivity) -> u32| -> u32 {
                activity.applications.iter().map(count).sum()
            };
            assert_eq!(sum(|of| of.active), seen.active, "{activity:?}");
            assert_eq!(sum(|of| of.waiting), seen.waiting, "{activity:?}");
            let in_transaction = sum(|of| of.idle_in_transaction);
            assert_eq!(in_transaction, seen.idle_in_transaction, "{activity:?}");
            let foreign = of("app of another role").expect("its name is not hidden");
            assert_eq!((foreign.idle, foreign.hidden), (0, 1), "{activity:?}");
            assert_eq!(sum(|of| of.hidden), seen.hidden, "{activity:?}");
            break seen;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
    };
    assert_eq!((seen.active, seen.idle_in_transaction), (1, 1), "{seen:?}");
    assert!(seen.server_limit > 10 && seen.server_total >= 5, "{seen:?}");
    holder.batch_execute("ROLLBACK").await.unwrap();
    waiting.await.unwrap().unwrap();

    let pid = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()";
    admin.query(pid, &[&database.name]).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while probe.sample().await.is_err() {
        assert!(Instant::now() < deadline, "it connects again");
    }
}

/// A database, a role or a server may answer a commit before it is on the disk; what we record there must be there after a power cut.
#[tokio::test]
async fn what_we_commit_is_durable_whatever_the_database_says() {
    let database = support::database().await;
    let name = &database.name;
    let loosen = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    let superuser = connect(&database.superuser_url).await;
    superuser.batch_execute(&loosen).await.expect("set");
    let shown = "SHOW synchronous_commit";
    let plain = connect(&database.url).await.query_one(shown, &[]).await;
    assert_eq!(plain.expect("a row").get::<_, &str>(0), "off");
    let pinned = cutover::postgres::Pinned::open(&endpoint(&database.url), "public").await;
    let ours = pinned.expect("a session").query_one(shown, &[]).await;
    assert_eq!(ours.expect("a row").get::<_, &str>(0), "on");
}
