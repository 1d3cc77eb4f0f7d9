//! R2, R3 and R4 read every configuration and ask every instance, whether or not this session has an undo of it.

use super::bench::{Bench, POSTGRES, SQLITE, red};

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
    assert!(
        said.contains("This session did not write that and leaves it alone"),
        "{said}"
    );
    assert!(said.contains("nothing was changed"), "{said}");
    assert!(
        said.contains("2 of 2 instances serve from PostgreSQL"),
        "{said}"
    );
    assert_eq!(bench.configuration("app-1"), POSTGRES);

    let r3 = bench.row("R3").await;
    assert!(
        r3.summary.contains("nothing was restarted"),
        "{}",
        r3.summary
    );
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
    assert!(
        r3.ok && r3.summary.contains("nothing was restarted"),
        "{}",
        r3.summary
    );
    let r4 = bench.row("R4").await;
    assert!(
        r4.ok && r4.summary.contains("2 instances healthy and on SQLite"),
        "{}",
        r4.summary
    );
    assert_eq!(bench.configuration("app-1"), SQLITE);
}

/// What F1 switched and F2 has no restart on record of, for somebody else restarted it, is restarted too.
#[tokio::test]
async fn an_instance_that_somebody_else_took_to_postgresql_is_brought_back() {
    let mut bench = Bench::new(2).await;
    bench.only(&["F1"]);
    bench.runbook.fleet.restart = crate::fleet::posts("{url}/restart");
    for row in &mut bench.runbook.rollback {
        if let cutover::runbook::RollbackKind::Restart { action } = &mut row.kind {
            *action = None;
        }
    }
    assert!(bench.step("F1").await.ok);
    let on = |page: &str| crate::fleet::instance::Reply::Text(200, page.to_owned());
    let back = vec![on("on Postgres"), on("on Sqlite")];
    bench.servers[1].set("/ready", crate::fleet::instance::Reply::InTurn(back));
    bench.servers[1].text("/restart", 200, "");
    let r2 = bench.row("R2").await;
    assert!(r2.ok, "{}", r2.summary);
    assert!(
        r2.summary
            .contains("1 of 2 instances serve from PostgreSQL"),
        "{}",
        r2.summary
    );
    let r3 = bench.row("R3").await;
    assert!(r3.ok, "{}", r3.summary);
    assert!(
        r3.summary
            .contains("1 instances restarted, ready and on SQLite"),
        "{}",
        r3.summary
    );
    assert_eq!(bench.servers[1].asked("/restart"), 1);
    assert_eq!(bench.servers[0].asked("/restart"), 0);
}

/// A restart that does not load the former configuration has brought nobody back.
#[tokio::test]
async fn r3_is_red_where_postgresql_answers_after_the_restart() {
    let mut bench = Bench::new(1).await;
    bench.only(&["F1"]);
    bench.runbook.fleet.restart = crate::fleet::posts("{url}/restart");
    for row in &mut bench.runbook.rollback {
        if let cutover::runbook::RollbackKind::Restart { action } = &mut row.kind {
            *action = None;
        }
    }
    assert!(bench.step("F1").await.ok);
    bench.all_say("on Postgres");
    bench.servers[0].text("/restart", 200, "");
    assert!(bench.row("R2").await.ok);
    let r3 = bench.row("R3").await;
    assert_eq!(red(&r3), ["instance_back"], "{}", r3.summary);
    assert!(
        r3.summary.contains("did not load the former configuration"),
        "{}",
        r3.summary
    );
}
