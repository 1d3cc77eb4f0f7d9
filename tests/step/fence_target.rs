//! R1+: PostgreSQL's tables are closed to writers, once it is on record how they were open; and how they are opened again.

use cutover::identity::TargetIdentity;
use cutover::postgres::Endpoint;
use cutover::session::attempt::TARGET_CLOSED;
use cutover::session::facts::{GrantsGivenBack, Imported, Snapshot};
use cutover::session::{Event, Outcome, Undo};

use super::bench::{Bench, red};
use crate::report::journal_called;
use crate::session::language::Bridge;
use crate::support;

/// A night that has switched, with a runtime role that may write.
async fn switched() -> Bench {
    let mut bench = Bench::new(0).await;
    let role = format!("{}_app", bench.database.name);
    let admin = support::client(&bench.database.superuser_url).await;
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'of-a-test'");
    admin.batch_execute(&make).await.expect("a role");
    let tables = format!(
        "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE TABLE other (id integer);
         GRANT SELECT, INSERT, UPDATE, DELETE ON t, other TO {role}"
    );
    bench.on_target(&tables).await;
    let cluster = support::cluster();
    let url = cluster.url_for(&role, Some("of-a-test"), &bench.database.name);
    bench.runbook.target.runtime_url = url;
    bench.left_behind("D2", Imported(vec![("t".to_owned(), 2)]));
    bench.left_behind("F1", Snapshot("1:1:".to_owned()));
    bench
}

/// Whether the runtime role may write to a table.
async fn may_write(bench: &Bench, table: &str) -> bool {
    let admin = support::client(&bench.database.superuser_url).await;
    let role = format!("{}_app", bench.database.name);
    let sql = format!("SELECT has_table_privilege('{role}', '{table}', 'INSERT')");
    admin.query_one(&sql, &[]).await.expect("asked").get(0)
}

/// Whether the row says that nobody writes once the lock is let go.
fn is_closed(outcome: &Outcome) -> bool {
    outcome.checks.iter().any(|c| c.name == TARGET_CLOSED)
}

#[tokio::test]
async fn a_night_that_has_switched_nothing_leaves_postgresql_as_it_is() {
    let mut bench = Bench::new(0).await;
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(outcome.ok && lock.is_none(), "{}", outcome.summary);
    says!(outcome.summary, "had switched nothing");
    assert_eq!(bench.rights_at_close().await, None);
}

#[tokio::test]
async fn who_may_write_is_on_record_once_whatever_dies_amid_it() {
    let mut bench = switched().await;
    assert!(may_write(&bench, "t").await);
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "nobody writes to PostgreSQL any more");
    assert!(is_closed(&outcome));
    assert!(lock.is_some_and(|lock| lock.is_held()));
    assert!(!may_write(&bench, "t").await);
    assert!(may_write(&bench, "other").await, "it was not moved");
    let former = bench.bridge.session.former_grants();
    assert_eq!(former.len(), 1, "{former:?}");
    assert!(!former[0].writes_of_others().is_empty());

    // Whoever runs the row again sees the rights as they were left, and records nothing of that.
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(outcome.ok && lock.is_some(), "{}", outcome.summary);
    drop(lock);
    assert_eq!(bench.bridge.session.former_grants(), former);
    assert_eq!(bench.bridge.session.undos.len(), 1);
    let lock = bench.lock_for_the_last_read().await.expect("the lock anew");
    assert!(lock.is_held());
    drop(lock);

    let closed = bench.rights_at_close().await.expect("a finding");
    assert!(closed.ok, "{closed:?}");
    says!(closed.detail, "given back: the rights on 1 table");
    assert!(may_write(&bench, "t").await);
    // On record as the close writes it, it is not done again.
    bench.bridge.append(Event::SessionClosed {
        by: "robin".into(),
        found: vec![format!("ok   {}: {}", closed.name, closed.detail)],
        stays_open: true,
    });
    assert_eq!(bench.rights_at_close().await, None);
    // A row that runs again takes them anew.
    bench.bridge.append(Event::RollbackRetried {
        by: "robin".into(),
        rows: vec!["R1+".into()],
    });
    assert!(bench.rights_at_close().await.is_some());
}

#[tokio::test]
async fn another_database_and_one_that_does_not_answer_are_left_alone() {
    let mut bench = switched().await;
    let another = TargetIdentity {
        system_identifier: "1".to_owned(),
        database_oid: 1,
    };
    bench.bridge.session.charter.production.target = Some(another);
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(lock.is_none());
    assert_eq!(red(&outcome), ["target_fenced"]);
    says!(outcome.summary, "another database");
    assert!(may_write(&bench, "t").await);

    bench.bridge.session.charter.production.target = None;
    bench.runbook.target.url = "postgres://nobody@127.0.0.1:1/none".to_owned();
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(lock.is_none());
    assert_eq!(red(&outcome), ["target_fenced"]);
    says!(outcome.summary, "cutover salvage make");
    assert!(bench.bridge.session.former_grants().is_empty());
}

/// Who owns the tables, or may take their owner's role, is kept out as long as the lock is held and no longer.
#[tokio::test]
async fn whom_the_lock_alone_keeps_out_is_not_said_to_be_kept_out_for_good() {
    let mut bench = switched().await;
    let owner = Endpoint::parse(&bench.database.url).expect("a URL");
    let (owner, role) = (owner.user(), format!("{}_app", bench.database.name));
    let admin = support::client(&bench.database.superuser_url).await;
    let member = format!("ALTER ROLE {role} NOINHERIT; GRANT {owner} TO {role}");
    admin.batch_execute(&member).await.expect("a member");
    for url in [
        bench.runbook.target.runtime_url.clone(),
        bench.database.url.clone(),
    ] {
        bench.runbook.target.runtime_url = url;
        let (outcome, lock) = bench.fence_target(0).await;
        assert!(outcome.ok && lock.is_some(), "{}", outcome.summary);
        says!(outcome.summary, "the lock alone is the fence");
        assert!(!is_closed(&outcome));
    }
}

/// A table that the import filled and that nobody finds is no reason to leave the others open, and is named.
#[tokio::test]
async fn a_table_that_is_not_found_is_named() {
    let mut bench = switched().await;
    let imported = vec![("t".to_owned(), 2), ("lost".to_owned(), 1)];
    bench.left_behind("D2", Imported(imported));
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(lock.is_some());
    assert_eq!(red(&outcome), ["tables_found"]);
    assert!(!is_closed(&outcome), "what is not found is not closed");
    says!(outcome.summary, "lost");
    assert!(!may_write(&bench, "t").await);
}

/// Rows of a rollback may be tried again until the session is closed. Who writes to the target by then may write for the next one.
#[tokio::test]
async fn nobody_is_shut_out_who_writes_for_a_later_session() {
    let mut bench = switched().await;
    let mut charter = crate::session::charter();
    charter.session = "later".to_owned();
    let later = Bridge::on(charter);
    journal_called(&bench.path(""), "later", &later.journal);
    bench.bridge.session.opened -= chrono::TimeDelta::days(1);
    bench.bridge.append(Event::CorrectionRecorded {
        by: "robin".into(),
        what: "more room".into(),
        gives_up_rows: false,
    });
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(lock.is_none());
    assert_eq!(red(&outcome), ["target_fenced"]);
    says!(outcome.summary, "session later was opened");
    assert!(may_write(&bench, "t").await);
}

/// A database that was dropped and made anew has nothing to be given back, and does not stop the next night.
#[tokio::test]
async fn what_was_taken_away_in_another_database_does_not_stop_b1() {
    let mut bench = switched().await;
    let (_, lock) = bench.fence_target(0).await;
    drop(lock);
    let former = bench.bridge.session.former_grants();
    let mut charter = crate::session::charter();
    charter.session = "before".to_owned();
    charter.production.target = Some(TargetIdentity {
        system_identifier: "1".to_owned(),
        database_oid: 1,
    });
    let mut before = Bridge::on(charter);
    before.append(Event::UndoRecorded {
        step: "R1+".to_owned(),
        undo: Undo::TargetGrants { former },
    });
    journal_called(&bench.path(""), "before", &before.journal);
    bench.bridge = Bridge::open();
    bench.bridge.session.opened += chrono::TimeDelta::days(1);
    let b1 = bench.rights_at_b1().await;
    assert!(b1.ok, "{}", b1.summary);
    says!(b1.checks[0].detail, "another database");
    assert!(!may_write(&bench, "t").await, "nothing was changed here");
}

/// Whoever opens the next night on this database without having closed the one before finds the rights back after B1.
#[tokio::test]
async fn b1_of_the_next_night_gives_back_what_nobody_has() {
    let mut bench = switched().await;
    let (outcome, lock) = bench.fence_target(0).await;
    assert!(outcome.ok && lock.is_some(), "{}", outcome.summary);
    drop(lock);
    let former = bench.bridge.session.former_grants();
    let mut charter = crate::session::charter();
    charter.session = "before".to_owned();
    let mut before = Bridge::on(charter);
    before.append(Event::UndoRecorded {
        step: "R1+".to_owned(),
        undo: Undo::TargetGrants { former },
    });
    let root = bench.path("");
    journal_called(&root, "before", &before.journal);

    bench.bridge = Bridge::open();
    let untouched = bench.rights_at_b1().await;
    assert!(
        untouched.checks.is_empty(),
        "a session that is no earlier one"
    );
    bench.bridge.session.opened += chrono::TimeDelta::days(1);
    let b1 = bench.rights_at_b1().await;
    assert!(b1.ok, "{}", b1.summary);
    says!(b1.checks[0].detail, "after before the rights on 1 table");
    assert!(may_write(&bench, "t").await);
    let back = b1.fact::<GrantsGivenBack>("B1").expect("readable");
    assert_eq!(back, Some(GrantsGivenBack(vec!["before".to_owned()])));
}
