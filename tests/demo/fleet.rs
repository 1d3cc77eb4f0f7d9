//! The fleet, its users and the people's chat room.

use cutover::demo::control::{self, Request};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::bench::{Bench, json_lines};
use crate::support;

#[tokio::test]
async fn a_restart_reads_the_configuration_anew() {
    let bench = Bench::start(2, 0);
    bench.load_target().await;
    let (_, before) = bench.ready("APP_1").await;
    bench.switch("app-1", "Postgres").await;
    bench.wait_for("APP_1", 200, "Postgres").await;
    let (_, after) = bench.ready("APP_1").await;
    assert_ne!(before["generation"], after["generation"]);
    assert_ne!(before["pid"], after["pid"]);
    assert_eq!(
        bench.ready("APP_2").await.1["provider"],
        "Sqlite",
        "one instance at a time"
    );
    bench.switch("app-1", "Sqlite").await;
    bench.wait_for("APP_1", 200, "Sqlite").await;
    assert_eq!(
        bench.ready("APP_1").await.1["generation"],
        before["generation"]
    );
}

#[tokio::test]
async fn a_stopped_instance_stays_down_and_a_fallen_one_comes_back() {
    let bench = Bench::start(2, 0);
    bench.ask(&Request::Stop {
        name: "app-2".into(),
    });
    assert_eq!(bench.ready("APP_2").await.0, 0);
    bench.ask(&Request::Start {
        name: "app-2".into(),
    });
    bench.wait_for("APP_2", 200, "Sqlite").await;

    let pid = bench.ready("APP_1").await.1["pid"].as_i64().unwrap();
    support::signal(pid as u32, rustix::process::Signal::KILL);
    support::until("app-1 is another process", async || {
        let (status, body) = bench.ready("APP_1").await;
        status == 200 && body["pid"] != pid
    })
    .await;
    let error = control::ask(
        bench.sandbox.dir(),
        &Request::Restart {
            name: "app-9".into(),
            now: false,
        },
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no instance `app-9`; there are app-1, app-2, staging"
    );
}

#[tokio::test]
async fn every_acknowledged_write_is_in_the_file() {
    let bench = Bench::start(3, 120);
    let layout = bench.sandbox.layout();
    let traffic = || bench.ask(&Request::Status)["traffic"].clone();
    support::until("thirty acknowledged writes", async || {
        traffic()["acknowledged"].as_u64() >= Some(30)
    })
    .await;
    // In the midst of it: an instance restarts, and then writes stop.
    bench.ask(&Request::Restart {
        name: "app-2".into(),
        now: false,
    });
    std::fs::write(layout.maintenance(), "").unwrap();
    support::until("a refusal", async || {
        traffic()["refused_in_maintenance"].as_u64() >= Some(1)
    })
    .await;

    let file = Connection::open(layout.live()).unwrap();
    let stored = |id: &str| -> bool {
        let sql = r#"SELECT count(*) FROM "ToolContents" WHERE "ExternalId" = upper(?1)"#;
        file.query_row(sql, [id], |row| row.get::<_, u32>(0))
            .unwrap()
            == 1
    };
    let acknowledged = json_lines(&layout.acknowledged());
    assert!(acknowledged.len() >= 30);
    for write in &acknowledged {
        assert!(stored(write["id"].as_str().unwrap()), "{write}");
        assert_eq!(write["provider"], "Sqlite");
    }
    let instances: std::collections::BTreeSet<&str> = acknowledged
        .iter()
        .map(|write| write["instance"].as_str().unwrap())
        .collect();
    assert_eq!(
        instances.into_iter().collect::<Vec<_>>(),
        ["app-1", "app-2", "app-3"]
    );
    let reads = traffic()["reads"].as_u64();
    support::until("reads go on", async || traffic()["reads"].as_u64() > reads).await;
}

#[tokio::test]
async fn the_chat_room_keeps_what_it_is_told() {
    let bench = Bench::start(1, 0);
    let say = |message: Value| {
        bench
            .http
            .post(bench.variable("CHAT_WEBHOOK"))
            .json(&message)
            .send()
    };
    assert_eq!(
        say(json!({"text": "Freeze begins"}))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(say(json!({"no": "text"})).await.unwrap().status(), 400);
    let kept = json_lines(&bench.sandbox.layout().chat());
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["message"]["text"], "Freeze begins");
}

#[tokio::test]
async fn staging_is_lent_to_a_rehearsal_and_comes_back() {
    let bench = Bench::start(1, 0);
    let layout = bench.sandbox.layout();
    let own = std::fs::read_to_string(layout.instance_config("staging")).unwrap();
    bench.ask(&Request::BeginRehearsal);
    let source = Connection::open(layout.live()).unwrap();
    let copy = layout.rehearsal().join("tools.db");
    source
        .execute("VACUUM INTO ?1", [copy.to_str().unwrap()])
        .unwrap();
    let copied = Connection::open(&copy).unwrap();
    copied.pragma_update(None, "journal_mode", "WAL").unwrap();
    bench.wait_for("APP_STAGING", 200, "Sqlite").await;
    let connect = |name: &str| {
        let mut command = std::process::Command::new(support::cutover());
        command
            .args(["appctl", "--dir"])
            .arg(bench.sandbox.dir())
            .args(["connect", name])
            .output()
            .unwrap()
    };
    let said = |name: &str| String::from_utf8(connect(name).stdout).unwrap();
    assert_eq!(
        said("staging"),
        "staging: connected to tools_rehearsal as app_runtime\n"
    );
    assert_eq!(said("app-1"), "app-1: connected to tools as app_runtime\n");
    bench.ask(&Request::EndRehearsal);
    assert_eq!(
        std::fs::read_to_string(layout.instance_config("staging")).unwrap(),
        own
    );
    bench.wait_for("APP_STAGING", 503, "Postgres").await;
    assert_eq!(connect("app-7").status.code(), Some(1));
}
