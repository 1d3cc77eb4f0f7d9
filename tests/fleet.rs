//! The fleet over real HTTP: readiness that must hold, requests that are answered badly, and the rollout.

mod discovered;
pub(crate) mod instance;
mod managed;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use cutover::action::Environment;
use cutover::fleet::request::{ask, judge};
use cutover::fleet::{
    AskError, Means, Mismatch, NotReady, Plan, RolloutError, RolloutHooks, Turn, client,
    ready_once, rollout, wait_ready,
};
use cutover::runbook::action::{Action, Effect};
use cutover::runbook::{CompareBody, Fleet, Request, RequestClass};
use cutover::session::live::{InstanceState, InstanceView};
use instance::{Reply, Server, absent};
use tokio_util::sync::CancellationToken;

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(120);
/// What is waited for in vain. So long that everything else has come about by then, also where this machine pauses meanwhile.
const IN_VAIN: Duration = Duration::from_secs(10);

/// A fleet whose instances are restarted by a request to themselves.
fn fleet(servers: &[Server]) -> Fleet {
    let mut fleet = crate::trigger::reference().fleet;
    fleet.instances = servers.iter().map(|s| s.instance.clone()).collect();
    fleet.ready_within_ms = 10_000;
    fleet.restart = posts("{url}/restart");
    fleet
}

/// An action that posts to this address.
pub(crate) fn posts(url: &str) -> Action {
    Action::new(
        Effect::Http {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: vec![],
            body: None,
            expect_status: vec![],
        },
        LONG,
    )
}

async fn servers(count: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    for n in 1..=count {
        let server = Server::start(&format!("app-{n}")).await;
        server.text("/ready", 200, "ready");
        server.text("/restart", 200, "");
        servers.push(server);
    }
    servers
}

fn times(status: u16, n: usize) -> Vec<Reply> {
    vec![Reply::Text(status, "as told".to_owned()); n]
}

#[tokio::test]
async fn readiness_must_hold_and_one_failure_starts_over() {
    let servers = servers(1).await;
    let replies = [times(200, 2), times(503, 1), times(200, 3)].concat();
    servers[0].set("/ready", Reply::InTurn(replies));
    let fleet = fleet(&servers);
    let never = CancellationToken::new();
    let waited = wait_ready(&client(), &fleet, &fleet.instances[0], 3, LONG, &never).await;
    assert_eq!(waited.map(|r| r.asked), Ok(6));
}

#[tokio::test]
async fn a_readiness_that_comes_too_late_is_named_with_its_last_answer() {
    let servers = servers(1).await;
    servers[0].text("/ready", 503, "warming \u{1b}[2J up");
    let fleet = fleet(&servers);
    let never = CancellationToken::new();
    let waited = wait_ready(&client(), &fleet, &fleet.instances[0], 3, IN_VAIN, &never).await;
    let message = waited.expect_err("it is never ready").to_string();
    assert!(
        message.starts_with("app-1 was not ready within 10 s"),
        "{message}"
    );
    assert!(
        message.contains("503: `warming \\u{1b}[2J up`"),
        "{message}"
    );
}

#[tokio::test]
async fn waiting_ends_when_it_is_cancelled() {
    let servers = servers(1).await;
    servers[0].set("/ready", Reply::Silence);
    let fleet = fleet(&servers);
    let cancel = CancellationToken::new();
    cancel.cancel();
    let waited = wait_ready(&client(), &fleet, &fleet.instances[0], 3, LONG, &cancel).await;
    assert!(
        matches!(waited, Err(NotReady::Cancelled { .. })),
        "{waited:?}"
    );
}

#[tokio::test]
async fn whoever_refuses_hangs_or_sends_elsewhere_is_not_ready() {
    let servers = servers(1).await;
    let mut fleet = fleet(&servers);
    let http = client();
    let bad = [
        Reply::Loop,
        Reply::Silence,
        Reply::Endless,
        Reply::Announced,
        Reply::Trickle,
    ];
    for reply in bad {
        servers[0].set("/ready", reply.clone());
        let error = ready_once(&http, &fleet, &fleet.instances[0], SHORT).await;
        let error = error.expect_err("it is not ready");
        assert!(!error.is_ours(), "{reply:?}: {error}");
    }
    let gone = absent("app-9");
    let error = ready_once(&http, &fleet, &gone, LONG)
        .await
        .expect_err("it is gone");
    assert!(
        error.to_string().contains("refused") && !error.is_ours(),
        "{error}"
    );

    fleet.ready = "not an address".to_owned();
    let error = ready_once(&http, &fleet, &fleet.instances[0], SHORT).await;
    assert!(error.expect_err("it cannot be asked").is_ours());
}

fn request(path: &str) -> Request {
    Request {
        name: "list".to_owned(),
        class: RequestClass::Read,
        method: "GET".to_owned(),
        url: format!("{{url}}{path}"),
        headers: vec![("x-token".to_owned(), "hunter2".to_owned())],
        headers_command: None,
        body: None,
        status: 200,
        contains: None,
        compare_body: CompareBody::Bytes,
        leaves_rows: false,
    }
}

#[tokio::test]
async fn an_answer_is_compared_by_status_content_and_body() {
    let server = Server::start("app-1").await;
    server.text("/tools", 200, "[1,2,3]");
    let (http, url) = (client(), server.instance.url.clone());
    let mut list = request("/tools");
    let answer = ask(&http, &list, &url, LONG).await.expect("an answer");
    assert_eq!(judge(&list, &answer, None), Ok(()));
    assert_eq!(judge(&list, &answer, Some(b"[1,2,3]")), Ok(()));
    let differs = judge(&list, &answer, Some(b"[1,2,4]")).expect_err("it differs");
    assert!(matches!(differs, Mismatch::Body { at: 5, .. }), "{differs}");
    let shorter = judge(&list, &answer, Some(b"[1,2")).expect_err("it differs");
    assert!(
        shorter
            .to_string()
            .contains("from byte 4 on: `,3]` instead of nothing"),
        "{shorter}"
    );

    list.contains = Some("4".to_owned());
    assert!(matches!(
        judge(&list, &answer, None),
        Err(Mismatch::Content { .. })
    ));
    list.status = 201;
    assert!(matches!(
        judge(&list, &answer, None),
        Err(Mismatch::Status { status: 200, .. })
    ));

    let elsewhere = request("/elsewhere");
    server.set("/elsewhere", Reply::Loop);
    let answer = ask(&http, &elsewhere, &url, LONG).await.expect("an answer");
    let message = judge(&elsewhere, &answer, None)
        .expect_err("a redirect")
        .to_string();
    assert!(
        message.contains("302 instead of 200: a redirect to /elsewhere"),
        "{message}"
    );
}

#[tokio::test]
async fn answers_are_limited_in_size_and_time() {
    let server = Server::start("app-1").await;
    let (http, url) = (client(), server.instance.url.clone());
    for reply in [Reply::Endless, Reply::Announced] {
        server.set("/tools", reply);
        let error = ask(&http, &request("/tools"), &url, LONG).await;
        assert!(matches!(error, Err(AskError::TooLong { .. })), "{error:?}");
    }
    for reply in [Reply::Trickle, Reply::Silence] {
        server.set("/tools", reply);
        let error = ask(&http, &request("/tools"), &url, SHORT).await;
        assert_eq!(error, Err(AskError::TimedOut { limit_ms: 300 }));
    }
    let mut list = request("/tools");
    list.headers = vec![("not a header".to_owned(), "hunter2\n".to_owned())];
    let error = ask(&http, &list, &url, LONG)
        .await
        .expect_err("it cannot be asked");
    assert!(
        error.is_ours() && !error.to_string().contains("hunter2"),
        "{error}"
    );
}

/// Hooks that write down what happened.
#[derive(Default)]
struct Bridge {
    log: Mutex<Vec<String>>,
    batches_allowed: usize,
    shown: Mutex<Vec<InstanceView>>,
}

impl RolloutHooks for Bridge {
    async fn before_restart(&self, instance: &str) -> Result<(), String> {
        self.log.lock().expect("log").push(instance.to_owned());
        Ok(())
    }

    async fn may_go_on(&self, next: &[&str]) -> bool {
        let mut log = self.log.lock().expect("log");
        log.push(format!("batch {}", next.join(" ")));
        log.iter().filter(|line| line.starts_with("batch")).count() <= self.batches_allowed
    }

    fn progress(&self, fleet: &[InstanceView]) {
        *self.shown.lock().expect("shown") = fleet.to_vec();
    }
}

impl Bridge {
    fn allowing(batches_allowed: usize) -> Bridge {
        Bridge {
            batches_allowed,
            ..Bridge::default()
        }
    }

    fn batches(&self) -> Vec<String> {
        let log = self.log.lock().expect("log");
        log.iter()
            .filter_map(|l| l.strip_prefix("batch "))
            .map(str::to_owned)
            .collect()
    }

    fn states(&self) -> Vec<InstanceState> {
        self.shown
            .lock()
            .expect("shown")
            .iter()
            .map(|v| v.state)
            .collect()
    }
}

async fn roll(
    fleet: &Fleet,
    already: &[&str],
    hooks: &Bridge,
    cancel: &CancellationToken,
) -> Result<Vec<Turn>, RolloutError> {
    let outputs = tempfile::tempdir().expect("a folder");
    let already: BTreeSet<String> = already.iter().map(|s| (*s).to_owned()).collect();
    let plan = Plan {
        fleet,
        batch: 2,
        already: &already,
        means: Means {
            folder: Path::new("/"),
            environment: &Environment::default(),
            outputs: outputs.path(),
        },
    };
    rollout(&client(), plan, hooks, cancel).await
}

#[tokio::test]
async fn the_canary_goes_first_then_batches() {
    let servers = servers(6).await;
    let mut fleet = fleet(&servers);
    fleet.instances[2].canary = true;
    let bridge = Bridge::allowing(9);
    let turns = roll(&fleet, &["app-6"], &bridge, &CancellationToken::new()).await;
    let turns = turns.expect("a rollout");
    assert_eq!(bridge.batches(), ["app-3", "app-1 app-2", "app-4 app-5"]);
    let order: Vec<_> = turns
        .iter()
        .map(|t| (t.instance.as_str(), t.batch))
        .collect();
    let expected = [
        ("app-3", 0),
        ("app-1", 1),
        ("app-2", 1),
        ("app-4", 2),
        ("app-5", 2),
    ];
    assert_eq!(order, expected);
    let restarted: Vec<_> = servers.iter().map(|s| s.asked("/restart")).collect();
    assert_eq!(restarted, [1, 1, 1, 1, 1, 0]);
    assert_eq!(bridge.states(), [InstanceState::Ready; 6]);
}

#[tokio::test]
async fn an_instance_that_does_not_come_up_stops_what_comes_after_its_batch() {
    let servers = servers(5).await;
    servers[1].text("/ready", 503, "no");
    let mut fleet = fleet(&servers);
    fleet.instances[0].canary = true;
    let bridge = Bridge::allowing(9);
    let error = roll(&fleet, &[], &bridge, &CancellationToken::new()).await;
    let error = error.expect_err("app-2 is not ready").to_string();
    assert!(
        error.starts_with("app-2 was not ready within 10 s"),
        "{error}"
    );
    assert!(error.contains("2 of 5 instances are through"), "{error}");
    let restarted: Vec<_> = servers.iter().map(|s| s.asked("/restart")).collect();
    assert_eq!(restarted, [1, 1, 1, 0, 0]);
    use InstanceState::{NotReady, Ready, Unknown};
    assert_eq!(bridge.states(), [Ready, NotReady, Ready, Unknown, Unknown]);
}

#[tokio::test]
async fn a_restart_that_fails_says_how() {
    let servers = servers(2).await;
    servers[0].text("/restart", 500, "no such unit");
    let error = roll(
        &fleet(&servers),
        &[],
        &Bridge::allowing(9),
        &CancellationToken::new(),
    )
    .await;
    let error = error.expect_err("it failed").to_string();
    assert!(
        error.contains("app-1: restart failed with status 500"),
        "{error}"
    );
}

#[tokio::test]
async fn a_rollout_halts_when_it_may_not_go_on_or_is_cancelled() {
    let servers = servers(4).await;
    let fleet = fleet(&servers);
    let halted = roll(&fleet, &[], &Bridge::allowing(1), &CancellationToken::new()).await;
    assert!(
        matches!(halted, Err(RolloutError::Halted { done: 2, total: 4 })),
        "{halted:?}"
    );
    let cancel = CancellationToken::new();
    cancel.cancel();
    let halted = roll(&fleet, &[], &Bridge::allowing(9), &cancel).await;
    assert!(
        matches!(halted, Err(RolloutError::Halted { done: 0, total: 4 })),
        "{halted:?}"
    );
}
