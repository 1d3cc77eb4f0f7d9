//! `headers_command`: tokens that expire, for pages, servers and actions that want one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover::action::{self, Action, Effect, Environment, HeadersCommand, Placeholders, Run};
use cutover::fleet::signed::Tokens;
use cutover::runbook::{
    MetricsPage, ProbeKind, PromQuery, PrometheusServer, Request, RequestClass,
};
use cutover::secret::masked;
use cutover::trigger::Reading;
use tokio_util::sync::CancellationToken;

use super::{Watch, request, runbook, servers};
use crate::fleet::instance::Reply;

const ANSWER: &str = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"7"]}]}}"#;

/// How long a command may take, and a request that is made once.
const LONG: Duration = Duration::from_secs(60);

/// Prints what stands in `token`, and notes each time that it is run.
fn printing(folder: &Path, every: Duration) -> HeadersCommand {
    let folder = folder.display();
    let line = format!("echo >>{folder}/runs; cat {folder}/token");
    HeadersCommand {
        action: Box::new(Action::new(Effect::Shell { line }, LONG)),
        every,
    }
}

fn runs(folder: &Path) -> usize {
    let noted = std::fs::read_to_string(folder.join("runs"));
    noted.unwrap_or_default().lines().count()
}

fn hand_out(folder: &Path, token: &str) {
    std::fs::write(folder.join("token"), token).expect("written");
}

fn to(token: &str, body: &str) -> Reply {
    let reply = Reply::Text(200, body.to_owned());
    Reply::To(format!("Bearer {token}"), Box::new(reply))
}

#[tokio::test]
async fn a_token_is_kept_asked_for_again_when_refused_and_never_shown() {
    let servers = servers(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    hand_out(folder.path(), "token-of-monday\n");
    servers[0].set("/api/v1/query", to("token-of-monday", ANSWER));
    servers[0].set("/metrics", to("token-of-monday", "db_pool_max 7\n"));
    let hour = Duration::from_secs(3_600);
    let server = ProbeKind::Prometheus(PrometheusServer {
        url: servers[0].instance.url.clone(),
        headers: Vec::new(),
        headers_command: Some(printing(folder.path(), hour)),
        queries: vec![PromQuery {
            signal: "queue_depth".to_owned(),
            query: "x".to_owned(),
            requests: None,
        }],
        baseline_ms: None,
    });
    let mut runbook = runbook(
        vec![server, ProbeKind::Metrics { window_ms: 60_000 }],
        &servers,
    );
    runbook.fleet.metrics = Some(MetricsPage {
        headers_command: Some(printing(folder.path(), hour)),
        ..MetricsPage::at("{url}/metrics")
    });
    let mut watch = Watch::start(runbook);
    watch.until_value("queue_depth", 7.0).await;
    watch.until_value("pool_max", 7.0).await;
    let asked = servers[0].asked("/api/v1/query");
    crate::support::until("it is asked some times more", async || {
        servers[0].asked("/api/v1/query") > asked + 3
    })
    .await;
    assert_eq!(runs(folder.path()), 2, "once for each probe");
    assert!(!masked("it said token-of-monday").contains("monday"));
    // Another token, which the command does not have yet; then it has.
    servers[0].set("/api/v1/query", to("token-of-tuesday", ANSWER));
    let reading = watch.until_reason("queue_depth", "401").await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    hand_out(folder.path(), "token-of-tuesday\n");
    watch.until_value("queue_depth", 7.0).await;
    assert!(!masked("it said token-of-tuesday").contains("tuesday"));
}

#[tokio::test]
async fn a_token_is_asked_for_again_before_it_expires() {
    let servers = servers(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    hand_out(folder.path(), "Authorization: Bearer token-of-a-second\n");
    servers[0].set("/metrics", to("token-of-a-second", "db_pool_max 7\n"));
    let mut runbook = runbook(vec![ProbeKind::Metrics { window_ms: 60_000 }], &servers);
    runbook.fleet.metrics = Some(MetricsPage {
        headers_command: Some(printing(folder.path(), Duration::from_millis(300))),
        ..MetricsPage::at("{url}/metrics")
    });
    let mut watch = Watch::start(runbook);
    watch.until_value("pool_max", 7.0).await;
    crate::support::until("it is asked for again", async || runs(folder.path()) > 2).await;
    watch.until_value("pool_max", 7.0).await;
}

#[tokio::test]
async fn a_command_that_prints_no_headers_is_no_data_and_says_none_of_it() {
    let servers = servers(1).await;
    for (line, why) in [
        (
            "echo hidden-word; exit 3",
            "headers_command: the command failed: exit status: 3",
        ),
        ("true", "headers_command: the command printed nothing"),
        (
            "echo hidden-word; echo hidden word",
            "headers_command: line 1 of what the command printed is no header",
        ),
    ] {
        let mut runbook = runbook(vec![ProbeKind::Metrics { window_ms: 60_000 }], &servers);
        let line = line.to_owned();
        let action = Action::new(Effect::Shell { line }, LONG);
        runbook.fleet.metrics = Some(MetricsPage {
            headers_command: Some(HeadersCommand {
                action: Box::new(action),
                every: Duration::from_secs(60),
            }),
            ..MetricsPage::at("{url}/metrics")
        });
        let mut watch = Watch::start(runbook);
        let reading = watch.until_reason("pool_max", why).await;
        assert!(!format!("{reading:?}").contains("hidden"), "{reading:?}");
    }
}

#[tokio::test]
async fn an_action_sends_what_its_command_prints() {
    let servers = servers(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    hand_out(folder.path(), "token-of-an-action\n");
    servers[0].set(
        "/flag",
        to("token-of-an-action", "token-of-an-action is fine"),
    );
    let action = Action {
        headers_command: Some(Box::new(printing(folder.path(), Duration::from_secs(60)))),
        ..Action::new(
            Effect::Http {
                method: "PUT".to_owned(),
                url: format!("{}/flag", servers[0].instance.url),
                headers: Vec::new(),
                body: None,
                expect_status: Vec::new(),
            },
            LONG,
        )
    };
    let output_path = folder.path().join("output");
    let run = async || {
        let run = Run {
            action: &action,
            placeholders: &Placeholders::new(),
            environment: &Environment::default(),
            folder: folder.path(),
            output_path: &output_path,
        };
        let never = CancellationToken::new();
        action::run(run, &mut |_| {}, &never).await.expect("tried")
    };
    assert!(run().await.ok);
    let output = std::fs::read_to_string(&output_path).expect("kept");
    assert!(output.contains("is fine"), "{output}");
    assert!(!output.contains("token-of-an-action"), "{output}");
    // Refused twice: asked for again once, and no more.
    servers[0].set("/flag", to("token-of-another", "no"));
    let before = runs(folder.path());
    let outcome = run().await;
    assert_eq!(outcome.http_status, Some(401));
    assert_eq!(runs(folder.path()) - before, 2);
}

/// A request that is answered `yes`, with what this command prints.
fn signed(name: &str, class: RequestClass, command: HeadersCommand) -> Request {
    Request {
        headers_command: Some(Box::new(command)),
        ..request(name, class)
    }
}

#[tokio::test]
async fn requests_share_a_token_and_ask_for_another_once_it_has_expired() {
    let servers = servers(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    let valid = |token: &str| {
        hand_out(folder.path(), &format!("{token}\n"));
        servers[0].set("/list", to(token, "yes"));
        servers[0].set("/save", to(token, "yes"));
    };
    let command = printing(folder.path(), Duration::from_secs(3_600));
    let list = signed("list", RequestClass::Read, command.clone());
    let save = Request {
        method: "POST".to_owned(),
        ..signed("save", RequestClass::Write, command)
    };
    let tokens = Tokens::new(&Arc::default(), folder.path());
    let (http, url) = (cutover::fleet::client(), &servers[0].instance.url);
    let status = async |request: &Request| {
        let answer = tokens.ask(&http, request, url, LONG).await;
        answer.expect("an answer").status
    };
    valid("token-of-a-read");
    assert_eq!((status(&list).await, status(&save).await), (200, 200));
    assert_eq!(runs(folder.path()), 1);
    // What writes is sent again, for whoever answers 401 has not done it.
    valid("token-of-a-write");
    assert_eq!((status(&save).await, status(&list).await), (200, 200));
    assert_eq!(runs(folder.path()), 2);
    let asked = |path: &str| servers[0].asked(path);
    assert_eq!((asked("/list"), asked("/save")), (2, 3));
    assert!(!masked("it said token-of-a-write").contains("write"));
    // Refused twice: that is the answer.
    servers[0].set("/list", to("token-of-nobody", "yes"));
    assert_eq!(status(&list).await, 401);
    assert_eq!((runs(folder.path()), asked("/list")), (3, 4));
    let refused = Request {
        status: 401,
        ..list
    };
    assert_eq!(status(&refused).await, 401);
    assert_eq!((runs(folder.path()), asked("/list")), (3, 5));
}

#[tokio::test]
async fn a_request_without_headers_was_not_made_and_says_none_of_what_was_printed() {
    let servers = servers(1).await;
    servers[0].text("/list", 200, "yes");
    let folder = tempfile::tempdir().expect("a folder");
    let line = "echo hidden-word; exit 3".to_owned();
    let command = HeadersCommand {
        action: Box::new(Action::new(Effect::Shell { line }, LONG)),
        every: Duration::from_secs(60),
    };
    let list = signed("list", RequestClass::Read, command);
    let tokens = Tokens::new(&Arc::default(), folder.path());
    let (http, url) = (cutover::fleet::client(), &servers[0].instance.url);
    let asked = tokens.ask(&http, &list, url, LONG).await;
    let error = asked.expect_err("no headers");
    assert!(error.is_ours(), "{error}");
    let said = error.to_string();
    let why = "headers_command: the command failed: exit status: 3";
    assert!(said.contains(why) && !said.contains("hidden"), "{said}");
    assert_eq!(servers[0].asked("/list"), 0);
    // To the probe that is no data, and no failure.
    let mut runbook = runbook(vec![ProbeKind::Synthetic], &servers);
    runbook.verification.requests = vec![list];
    let mut watch = Watch::start(runbook);
    let why = "no synthetic request could be made";
    watch.until_reason("synthetic_failed_ratio", why).await;
}

#[tokio::test]
async fn synthetic_requests_ask_for_their_token_before_it_expires() {
    let servers = servers(1).await;
    let folder = tempfile::tempdir().expect("a folder");
    hand_out(folder.path(), "token-of-a-probe\n");
    servers[0].set("/list", to("token-of-a-probe", "yes"));
    let command = printing(folder.path(), Duration::from_millis(300));
    let mut runbook = runbook(vec![ProbeKind::Synthetic], &servers);
    runbook.verification.requests = vec![signed("list", RequestClass::Read, command)];
    let mut watch = Watch::start(runbook);
    watch.until_value("synthetic_failed_ratio", 0.0).await;
    crate::support::until("it is asked for again", async || runs(folder.path()) > 2).await;
}
