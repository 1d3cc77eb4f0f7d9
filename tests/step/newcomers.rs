//! Fleets that are asked for again: F1 switches the fleet of the opening or nobody, and V2 and R4 look at whoever came since.

use std::time::Duration;

use cutover::runbook::action::{Action, Effect};
use cutover::runbook::discovery::{Discovery, Member, Prints};
use cutover::session::facts::Unproven;
use cutover::session::membership::Change;
use cutover::session::{Check, Event};

use super::bench::{Bench, POSTGRES, SQLITE, red};
use crate::fleet::instance::Server;

/// Has the instances asked for, in a file that a test writes.
fn asks(bench: &mut Bench) {
    let argv = ["cat", "fleet.json"].map(str::to_owned).to_vec();
    bench.runbook.fleet.discovery = Some(Discovery {
        action: Action::new(Effect::Command { argv }, Duration::from_secs(60)),
        prints: Prints::Instances,
    });
}

/// What is answered: the instances of the bench, and this.
fn answers(bench: &Bench, more: &str) {
    let line = |server: &Server| {
        let instance = &server.instance;
        format!(
            "{{\"id\":\"{}\",\"url\":\"{}\"}}\n",
            instance.id, instance.url
        )
    };
    let known: String = bench.servers.iter().map(line).collect();
    std::fs::write(bench.path("fleet.json"), known + more).expect("written");
}

fn also(server: &Server) -> String {
    format!("{{\"id\":\"app-9\",\"url\":\"{}\"}}", server.instance.url)
}

/// The charter of the bench has six instances.
const ALL: usize = 6;

#[tokio::test]
async fn f1_switches_nobody_where_the_fleet_is_not_that_of_the_opening() {
    let mut bench = Bench::new(ALL).await;
    bench.only(&["F1"]);
    asks(&mut bench);
    let came = Server::start("app-9").await;
    let gone = r#"{"id":"app-1","url":"http://127.0.0.1:1"}"#;
    for (answer, why) in [
        (None, "which instances there are is not known"),
        (Some(also(&came)), "app-9 came since the session was opened"),
        (
            Some(r#"{"wanted":7}"#.to_owned()),
            "7 instances should be there, and 6 are",
        ),
    ] {
        if let Some(more) = answer {
            answers(&bench, &more);
        }
        let outcome = bench.step("F1").await;
        assert!(!outcome.ok && outcome.passing, "{}", outcome.summary);
        assert!(outcome.summary.contains(why), "{}", outcome.summary);
        assert_eq!(bench.configuration("app-1"), SQLITE);
        assert_eq!(bench.undos(), []);
    }
    std::fs::write(bench.path("fleet.json"), gone).expect("written");
    let outcome = bench.step("F1").await;
    let why = "app-2, app-3, app-4, app-5, app-6 is there no more";
    assert!(outcome.summary.contains(why), "{}", outcome.summary);

    answers(&bench, r#"{"wanted":6}"#);
    let outcome = bench.step("F1").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert_eq!(bench.configuration("app-6"), POSTGRES);
}

#[tokio::test]
async fn v2_is_red_where_somebody_came_who_serves_from_sqlite() {
    let mut bench = Bench::new(1).await;
    bench.only(&["V2"]);
    bench.all_say("on Postgres");
    asks(&mut bench);
    let came = Server::start("app-9").await;
    came.text("/ready", 200, "on Sqlite");
    answers(&bench, &also(&came));
    let outcome = bench.step("V2").await;
    assert_eq!(red(&outcome), ["verification"], "{}", outcome.summary);
    let why = "came since the session was opened: app-9 serves from SQLite";
    assert!(outcome.summary.contains(why), "{}", outcome.summary);

    came.text("/ready", 200, "on Postgres");
    let outcome = bench.step("V2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert!(!outcome.summary.contains("app-9"), "{}", outcome.summary);

    // Nobody knows: that is no difference, and no proof.
    std::fs::remove_file(bench.path("fleet.json")).expect("removed");
    let outcome = bench.step("V2").await;
    assert!(outcome.ok, "{}", outcome.summary);
    let why = "which instances there are is not known";
    assert!(outcome.summary.contains(why), "{}", outcome.summary);
    let unproven = outcome.fact::<Unproven>("V2").expect("readable");
    assert!(unproven.is_some_and(|Unproven(said)| said.contains(why)));
}

/// `app-1` was left out of an answer, and `app-9` has come into its place: F2 restarts `app-9`, and nobody the instance that is called `app-1`.
fn is_displaced(bench: &mut Bench, by: &Server) {
    let member = |name: &str, server: &Server| Member {
        name: name.to_owned(),
        url: server.instance.url.clone(),
        host: server.instance.host.clone(),
        revision: None,
        started_unix_s: None,
    };
    let slot = "app-1".to_owned();
    let changes = vec![
        Change::Missing { slot: slot.clone() },
        Change::Filled {
            slot,
            by: member("app-9", by),
        },
        Change::Appeared {
            who: member("app-1", &bench.servers[0]),
        },
    ];
    bench.bridge.append(Event::MembershipChanged { changes });
    let fleet = &bench.runbook.fleet.instances;
    bench.runbook.fleet.instances = bench.bridge.session.roster.instances(fleet);
}

#[tokio::test]
async fn one_that_has_lost_its_place_is_looked_at_whatever_its_name() {
    let mut bench = Bench::new(1).await;
    bench.only(&["V2"]);
    asks(&mut bench);
    let came = Server::start("app-9").await;
    came.text("/ready", 200, "on Postgres");
    answers(&bench, &also(&came));
    is_displaced(&mut bench, &came);
    let outcome = bench.step("V2").await;
    assert_eq!(red(&outcome), ["verification"], "{}", outcome.summary);
    let why = "came since the session was opened: app-1 serves from SQLite";
    assert!(outcome.summary.contains(why), "{}", outcome.summary);

    bench.all_say("on Postgres");
    let outcome = bench.step("V2").await;
    assert!(outcome.ok, "{}", outcome.summary);

    // Nobody has taken it back either.
    came.text("/ready", 200, "on Sqlite");
    let outcome = bench.row("R4").await;
    let is_told = |check: &Check| check.name == "serves_app-1" && !check.ok;
    assert!(outcome.checks.iter().any(is_told), "{:?}", outcome.checks);
}

#[tokio::test]
async fn f1_switches_nobody_where_an_instance_has_lost_its_place() {
    let mut bench = Bench::new(ALL).await;
    bench.only(&["F1"]);
    asks(&mut bench);
    answers(&bench, "");
    let came = Server::start("app-9").await;
    is_displaced(&mut bench, &came);
    let outcome = bench.step("F1").await;
    assert!(!outcome.ok && outcome.passing, "{}", outcome.summary);
    let why = "app-1 lost the place that it had in the fleet";
    assert!(outcome.summary.contains(why), "{}", outcome.summary);
    assert_eq!(bench.undos(), []);
}
