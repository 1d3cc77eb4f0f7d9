//! The sample application.

use serde_json::{Value, json};

use super::bench::{Bench, json_lines};
use crate::support;

#[tokio::test]
async fn answers_are_the_same_from_both_databases() {
    let bench = Bench::start(1, 0);
    bench.load_target().await;
    bench.wait_for("APP_1", 200, "Sqlite").await;
    bench.wait_for("APP_STAGING", 200, "Postgres").await;
    let (sqlite, postgres) = (bench.variable("APP_1"), bench.variable("APP_STAGING"));
    let mut paths: Vec<String> = (1..=4)
        .map(|page| format!("/tools?page={page}&size=20"))
        .collect();
    let list: Value = bench
        .get(format!("{sqlite}/tools?size=500"))
        .await
        .json()
        .await
        .expect("a list");
    let slugs = list["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|tool| tool["slug"].as_str().expect("a slug"));
    paths.extend(slugs.map(|slug| format!("/tools/by-slug/{slug}")));
    assert!(paths.len() > 60, "{} paths", paths.len());
    for path in paths {
        let from_sqlite = bench.get(format!("{sqlite}{path}")).await;
        let from_postgres = bench.get(format!("{postgres}{path}")).await;
        assert_eq!(
            (from_sqlite.status(), from_postgres.status()),
            (200.try_into().unwrap(), 200.try_into().unwrap()),
            "{path}"
        );
        assert_eq!(from_sqlite.headers()["x-provider"], "Sqlite");
        assert_eq!(from_postgres.headers()["x-provider"], "Postgres");
        assert_eq!(
            from_sqlite.text().await.unwrap(),
            from_postgres.text().await.unwrap(),
            "{path}"
        );
    }
}

#[tokio::test]
async fn reads_and_writes_as_a_catalogue_does() {
    let bench = Bench::start(1, 0);
    bench.load_target().await;
    for base in [bench.variable("APP_1"), bench.variable("APP_STAGING")] {
        let found = bench
            .get(format!("{base}/tools/by-slug/%20%20TOOL-1%20"))
            .await;
        assert_eq!(
            found.json::<Value>().await.unwrap()["slug"],
            "tool-1",
            "trimmed, letter case aside"
        );
        assert_eq!(
            bench
                .get(format!("{base}/tools/by-slug/nothing"))
                .await
                .status(),
            404
        );
        assert_eq!(
            bench.get(format!("{base}/tools?size=501")).await.status(),
            400
        );

        let tool = json!({"externalId": "0A0B0C0D-0000-4000-8000-00000000000F", "title": "Mine", "price": "12.50"});
        let post = |body: &Value| bench.http.post(format!("{base}/tools")).json(body).send();
        let created = post(&tool).await.unwrap();
        assert_eq!(created.status(), 201);
        let created = created.text().await.unwrap();
        assert!(created.contains(r#""price":"12.5""#), "{created}");
        let again = post(&tool).await.unwrap();
        assert_eq!(
            (again.status().as_u16(), again.text().await.unwrap()),
            (200, created),
            "the same GUID is the same tool"
        );
        let mut other = tool.clone();
        other["externalId"] = json!("0A0B0C0D-0000-4000-8000-000000000010");
        other["slug"] = json!("tool-1");
        assert_eq!(
            post(&other).await.unwrap().status(),
            409,
            "a slug is taken once"
        );
        assert_eq!(
            post(&json!({"title": "no id"})).await.unwrap().status(),
            400
        );

        let total = async || {
            bench
                .get(format!("{base}/tools"))
                .await
                .json::<Value>()
                .await
                .unwrap()["total"]
                .clone()
        };
        let before = total().await;
        let probe = bench
            .http
            .post(format!("{base}/tools?probe=true"))
            .send()
            .await
            .unwrap();
        assert_eq!(probe.status(), 200);
        assert_eq!(total().await, before, "a probe leaves nothing");
    }
}

#[tokio::test]
async fn maintenance_refuses_writes_and_nothing_else() {
    let bench = Bench::start(1, 0);
    let base = bench.variable("APP_1");
    let write = |token: &str| {
        let id = format!("0A0B0C0D-0000-4000-8000-{:012x}", token.len());
        let body = json!({"externalId": id, "title": "Mine"});
        bench
            .http
            .post(format!("{base}/tools"))
            .header("X-Cutover-Probe", token)
            .json(&body)
            .send()
    };
    std::fs::write(bench.sandbox.layout().maintenance(), "").unwrap();
    let refused = write("guess").await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &"30".parse().unwrap())
    );
    assert_eq!(bench.get(format!("{base}/tools")).await.status(), 200);
    assert_eq!(
        write(&bench.variable("PROBE_TOKEN"))
            .await
            .unwrap()
            .status(),
        201,
        "the bypass"
    );
    let metrics = bench
        .get(format!("{base}/metrics"))
        .await
        .text()
        .await
        .unwrap();
    let gate = r#"http_requests_total{code="503",endpoint="maintenance",method="POST"} 1"#;
    assert!(metrics.lines().any(|line| line == gate), "{metrics}");
    assert!(
        !metrics.contains(r#"code="503",endpoint="/tools""#),
        "a refusal is no error of the endpoint"
    );
    std::fs::remove_file(bench.sandbox.layout().maintenance()).unwrap();
    assert_eq!(
        write("late").await.unwrap().status(),
        201,
        "read per request"
    );
}

#[tokio::test]
async fn logs_say_in_json_how_it_started() {
    let bench = Bench::start(1, 0);
    let mut lines = json_lines(&bench.sandbox.layout().instance_log("app-1"));
    // On a busy machine a question whether it is ready may take long, which is told of too.
    lines.retain(|line| line["event"] != "SlowQuery");
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "HostStarting",
            "ServicesInitialised",
            "MigrationsUpToDate",
            "HostBooted"
        ]
    );
    assert!(
        lines
            .iter()
            .all(|line| line["level"] == "Information" && line["instance"] == "app-1")
    );
    let staging = bench.sandbox.layout().instance_log("staging");
    let pending = || {
        json_lines(&staging)
            .into_iter()
            .find(|line| line["event"] == "MigrationsPending")
    };
    support::until("staging finds that its database is empty", async || {
        pending().is_some()
    })
    .await;
    let pending = pending().unwrap();
    assert_eq!(pending["pending"].as_array().unwrap().len(), 4);
}
