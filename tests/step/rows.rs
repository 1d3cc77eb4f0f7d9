//! R2, R3 and R4 read every configuration and ask every instance, whether or not this session has an undo of it.

use std::time::Duration;

use cutover::runbook::action::{Action, Effect, HeadersCommand};
use cutover::runbook::{MaintenancePage, StepKind};
use cutover::session::{Event, Undo};

use super::bench::{Bench, POSTGRES, SQLITE, red};
use crate::support;

/// A session that knows nothing of a switch, and a fleet that is on PostgreSQL all the same: another release, or a folder that is older
/// than the switch.
#[tokio::test]
async fn a_rollback_without_an_undo_says_where_the_fleet_is() {
    let mut bench = Bench::new(2).await;
    bench.all_say("on Postgres");
    bench.configure("app-1", POSTGRES);
    bench.configure("app-2", POSTGRES);
    let r2 = bench.row("R2").await;
    assert_eq!(red(&r2), ["configuration_app-1", "configuration_app-2"]);
    let said = &r2.summary;
    says!(said, "This session did not write that and leaves it alone");
    assert!(said.contains("nothing was changed"), "{said}");
    says!(said, "2 of 2 instances serve from PostgreSQL");
    assert_eq!(bench.configuration("app-1"), POSTGRES);

    let r3 = bench.row("R3").await;
    says!(r3.summary, "nothing was restarted");
    let r4 = bench.row("R4").await;
    let red = red(&r4);
    for check in ["configuration_app-1", "serves_app-1", "serves_app-2"] {
        assert!(red.contains(&check), "{red:?}");
    }
}

#[tokio::test]
async fn a_rollback_that_changed_nothing_says_so() {
    let mut bench = Bench::new(2).await;
    let r2 = bench.row("R2").await;
    assert!(r2.ok, "{}", r2.summary);
    assert_eq!(
        r2.summary,
        "this session had switched nothing, so nothing was changed"
    );
    let r3 = bench.row("R3").await;
    assert!(r3.ok, "{}", r3.summary);
    says!(r3.summary, "nothing was restarted");
    let r4 = bench.row("R4").await;
    assert!(r4.ok, "{}", r4.summary);
    says!(r4.summary, "2 instances healthy and on SQLite");
    assert_eq!(bench.configuration("app-1"), SQLITE);
}

/// Writes stay closed until R4 has ended.
#[tokio::test]
async fn r4_asks_a_command_once_that_prints_no_headers() {
    let mut bench = Bench::new(2).await;
    let line = "echo >>runs; exit 3".to_owned();
    let action = Action::new(Effect::Shell { line }, Duration::from_secs(60));
    let command = HeadersCommand {
        action: Box::new(action),
        every: Duration::from_secs(60),
    };
    let mut requests = crate::session::reference().verification.requests;
    requests.truncate(2);
    assert_eq!(requests.len(), 2);
    for request in &mut requests {
        request.headers_command = Some(Box::new(command.clone()));
    }
    bench.runbook.verification.requests = requests;
    let r4 = bench.row("R4").await;
    assert_eq!(red(&r4), ["healthy_app-1", "healthy_app-2"]);
    says!(r4.summary, "exit status: 3");
    let runs = std::fs::read_to_string(bench.path("runs")).expect("it ran");
    assert_eq!(runs.lines().count(), 1, "{runs:?}");
}

/// F1 alone has run, and the rollback restarts instances as the fleet does.
async fn switched(bench: &mut Bench) {
    bench.only(&["F1"]);
    bench.runbook.fleet.restart = crate::fleet::posts("{url}/restart");
    for row in &mut bench.runbook.rollback {
        if let cutover::runbook::RollbackKind::Restart { action } = &mut row.kind {
            *action = None;
        }
    }
    assert!(bench.step("F1").await.ok);
}

/// What F1 switched and F2 has no restart on record of, for somebody else restarted it, is restarted too.
#[tokio::test]
async fn an_instance_that_somebody_else_took_to_postgresql_is_brought_back() {
    let mut bench = Bench::new(2).await;
    switched(&mut bench).await;
    let on = |page: &str| crate::fleet::instance::Reply::Text(200, page.to_owned());
    let back = vec![on("on Postgres"), on("on Sqlite")];
    bench.servers[1].set("/ready", crate::fleet::instance::Reply::InTurn(back));
    bench.servers[1].text("/restart", 200, "");
    let r2 = bench.row("R2").await;
    assert!(r2.ok, "{}", r2.summary);
    says!(r2.summary, "1 of 2 instances serve from PostgreSQL");
    let r3 = bench.row("R3").await;
    assert!(r3.ok, "{}", r3.summary);
    says!(r3.summary, "1 instances restarted, ready and on SQLite");
    assert_eq!(bench.servers[1].asked("/restart"), 1);
    assert_eq!(bench.servers[0].asked("/restart"), 0);
}

/// Where nothing could be put back, nobody is told that nothing had been switched.
#[tokio::test]
async fn r2_without_the_former_bytes_says_that_nothing_was_put_back() {
    let mut bench = Bench::new(2).await;
    switched(&mut bench).await;
    let switched = bench.configuration("app-1");
    assert_ne!(switched, SQLITE);
    let former = cutover::journal::files::FORMER.path(bench.session());
    std::fs::remove_dir_all(former).expect("gone");
    let r2 = bench.row("R2").await;
    assert!(
        red(&r2).contains(&"configuration_restored"),
        "{}",
        r2.summary
    );
    says!(r2.summary, "no configuration was put back");
    lacks!(r2.summary, "had switched nothing");
    assert_eq!(bench.configuration("app-1"), switched);
}

/// A restart that does not load the former configuration has brought nobody back.
#[tokio::test]
async fn r3_is_red_where_postgresql_answers_after_the_restart() {
    let mut bench = Bench::new(1).await;
    switched(&mut bench).await;
    bench.all_say("on Postgres");
    bench.servers[0].text("/restart", 200, "");
    assert!(bench.row("R2").await.ok);
    let r3 = bench.row("R3").await;
    assert_eq!(red(&r3), ["instance_back"], "{}", r3.summary);
    says!(r3.summary, "did not load the former configuration");
}

/// PostgreSQL is asked who is still connected, also where the instances have answered before it; where it does not say, R4 says why.
#[tokio::test(flavor = "multi_thread")]
async fn r4_says_who_is_still_connected_to_postgresql_or_why_that_is_not_known() {
    let not_known = "who is still connected to PostgreSQL is not known: ";
    let mut bench = Bench::new(1).await;
    switched(&mut bench).await;
    let application = support::client(&bench.database.url).await;
    let named = application.batch_execute("SET application_name = 'app-9'");
    named.await.expect("a name");
    let r4 = bench.row("R4").await;
    says!(
        r4.summary,
        "PostgreSQL still has connections of the application (1 from app-9)"
    );
    lacks!(r4.summary, not_known);

    bench.runbook.target.url = "postgres://nobody@127.0.0.1:1/none".to_owned();
    let r4 = bench.row("R4").await;
    says!(r4.summary, not_known);
    lacks!(r4.summary, "has not answered");

    // The kernel lets clients in, and nobody says anything to them.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    bench.runbook.target.url = format!("postgres://nobody@127.0.0.1:{port}/none");
    let r4 = bench.row("R4").await;
    says!(r4.summary, not_known);
    says!(r4.summary, "it has not answered within ");
}

/// Before F4 users cannot write: what was changed in PostgreSQL all the same may be what the rollback is for.
#[tokio::test]
async fn r2_plus_brings_nothing_before_writes_are_open() {
    let mut bench = Bench::new(1).await;
    switched(&mut bench).await;
    let r2 = bench.row("R2+").await;
    assert!(r2.ok, "{}", r2.summary);
    says!(r2.summary, "no row of it was brought into SQLite");
}

/// The rollback goes on, and nobody is told that nothing runs.
#[tokio::test]
async fn r1_says_what_it_has_not_seen_ended() {
    let mut bench = Bench::new(0).await;
    let r1 = bench.row("R1").await;
    assert!(r1.ok, "{}", r1.summary);
    bench.halted = cutover::step::rollback::Halted::NotWithin { limit_ms: 6_000 };
    let r1 = bench.row("R1").await;
    assert!(!r1.ok, "{}", r1.summary);
    says!(r1.summary, "has not ended within 6 s");
}

/// The runbook's action says that it went well, and an instance's own page says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn r4_plus_is_red_where_an_instance_is_still_in_maintenance() {
    let mut bench = Bench::new(2).await;
    bench.runbook.fleet.maintenance = Some(MaintenancePage {
        url: "{url}/maintenance".to_owned(),
        on: "on".to_owned(),
        off: "off".to_owned(),
    });
    for step in &mut bench.runbook.steps {
        if let StepKind::Freeze { off, .. } = &mut step.kind {
            off.effect = Effect::Command {
                argv: vec!["true".to_owned()],
            };
        }
    }
    bench.bridge.append(Event::UndoRecorded {
        step: "A1".to_owned(),
        undo: Undo::Maintenance,
    });
    bench.servers[0].text("/maintenance", 200, "off");
    bench.servers[1].text("/maintenance", 200, "on");
    let lifted = bench.row("R4+").await;
    assert!(!lifted.ok, "{}", lifted.summary);
    says!(lifted.summary, "app-2 is still in maintenance");
    bench.servers[1].text("/maintenance", 200, "off");
    let lifted = bench.row("R4+").await;
    assert!(lifted.ok, "{}", lifted.summary);
}
