//! Nights on the library: rehearsed, rolled back, completed, and begun a second time. After each of them every canary is as it was.

use cutover::runbook::Role;
use cutover::session::{Phase, discard};

use super::application::INSTANCES;
use super::canaries;
use super::place::Place;
use super::walk;

/// Enough books for more than one page, few enough for a second.
const BOOKS: u32 = 120;

#[tokio::test(flavor = "multi_thread")]
async fn nights_on_a_foreign_application_touch_nothing_that_nobody_named() {
    let place = Place::make(BOOKS).await;
    let library = &place.application;
    let bridge = place.operators().await;
    library.start().await;
    let before = place.look().await;

    let (code, said) = bridge.types(&["check"]).await;
    assert_eq!(code, Some(0), "{said}");
    place.assert_untouched("after check", &before).await;

    let pages = library.pages("app-1").await;
    let production = place.rows_in(&place.target).await;
    let (code, said) = bridge.types(&["rehearse"]).await;
    assert_eq!(code, Some(0), "{said}");
    walk::says(walk::REHEARSAL, &said);
    place.assert_untouched("after a rehearsal", &before).await;
    canaries::assert_same(
        "after a rehearsal, in production",
        &production,
        &place.rows_in(&place.target).await,
    );
    assert_eq!(library.served_by().await, ["sqlite"]);
    assert_eq!(library.pages("app-1").await, pages);

    // A night that is rolled back when users write to PostgreSQL already.
    let mut night = bridge.opens("runbook.yaml").await;
    let session = night.until(Some("G1")).await;
    assert!(
        session.step("G1").is_some_and(|g| g.attempt > 0),
        "{}",
        night.told(&session)
    );
    assert_eq!(library.served_by().await, ["postgresql"]);
    let added = library.add_book(INSTANCES[1], "not-lost").await;
    assert_eq!(added["database"], "postgresql");
    let session = night.roll_back().await;
    assert_eq!(
        session.rollback.as_ref().and_then(|r| r.healthy),
        Some(true),
        "{}",
        night.told(&session)
    );
    assert_eq!(night.terminal_ended().await.code(), Some(4));
    place.assert_untouched("after a rollback", &before).await;
    assert_eq!(library.served_by().await, ["sqlite"]);
    // The book came back with the application, and nothing else has changed.
    let (book, page) = (library.book("app-1", "not-lost").await, &pages[0]);
    assert_eq!(book["id"], added["id"], "{}", night.told(&session));
    let all = library.pages("app-1").await;
    assert_eq!(all[0]["all"].as_i64(), page["all"].as_i64().map(|n| n + 1));
    assert_eq!(all[1..], pages[1..]);
    library.add_book(INSTANCES[2], "on-sqlite-again").await;
    // PostgreSQL has nothing that SQLite lacks, until somebody adds a book there by hand.
    let by_hand = "INSERT INTO lending_book SELECT (jsonb_populate_record(b, '{\"id\": 9001, \"slug\": \"by-hand\", \"title\": \"By hand\",
        \"barcode\": \"00000000-0000-4000-8000-000000009001\"}')).* FROM lending_book b WHERE slug = 'not-lost'";
    place.execute(&place.target, by_hand).await;

    // What was corrected is on record, and the next attempt is rehearsed.
    let (code, said) = bridge
        .types(&["correct", "--what", "the template of the pages"])
        .await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = bridge.types(&["rehearse"]).await;
    assert_eq!(code, Some(0), "{said}");
    place
        .assert_untouched("after a second rehearsal", &before)
        .await;

    let pages = library.pages("app-1").await;
    let mut night = bridge.opens("runbook.yaml").await;
    // Somebody has switched an instance beforehand. Nothing is migrated or emptied before it is put back.
    library.configure(INSTANCES[2], "DB=sqlite", "DB=postgres");
    let session = night.until(Some("B2")).await;
    let looked = session.step("B1").and_then(|s| s.outcome.as_ref());
    let why = looked.map_or("", |outcome| outcome.summary.as_str());
    assert!(why.contains(INSTANCES[2]), "{}", night.told(&session));
    let migrated = session.step("C1").map_or(0, |c1| c1.attempt);
    assert_eq!(migrated, 0, "{}", night.told(&session));
    library.configure(INSTANCES[2], "DB=postgres", "DB=sqlite");
    let again = ["start", "--step", "B1"];
    let (code, said) = night.types(Role::ReleaseManager, &again).await;
    assert_eq!(code, Some(0), "{said}");
    // The rights that the first night's rollback took away are back. What somebody has added by hand goes only by the number that is typed.
    let session = night.until(Some("D3")).await;
    let asked: Vec<_> = discard::asked_next(&session).into_iter().collect();
    let wanted = [("lending_book".to_owned(), 1)];
    assert_eq!(asked, wanted, "{}", night.told(&session));
    let agreed = ["start", "--step", "D2", "--discard-rows", "lending_book=1"];
    let (code, said) = night.types(Role::ReleaseManager, &agreed).await;
    assert_eq!(code, Some(0), "{said}");
    let session = night.until(None).await;
    assert_eq!(session.phase, Phase::Completed, "{}", night.told(&session));
    assert_eq!(night.terminal_ended().await.code(), Some(0));
    place
        .assert_untouched("after a completed night", &before)
        .await;
    assert_eq!(library.served_by().await, ["postgresql"]);
    assert_eq!(library.pages("app-1").await, pages);

    // Users go on. Whatever is run now by habit, their rows stay.
    let added = library.add_book(INSTANCES[0], "only-in-postgres").await;
    assert_eq!(added["database"], "postgresql");
    let live = place.rows_in(&place.target).await;
    for habit in [
        &["run", "--log", "runbook.yaml"][..],
        &["copy", "runbook.yaml"],
    ] {
        let (code, said) = bridge.types(habit).await;
        assert_ne!(code, Some(0), "{habit:?}: {said}");
        let now = place.rows_in(&place.target).await;
        canaries::assert_same(&format!("after {habit:?}, in production"), &live, &now);
        place
            .assert_untouched(&format!("after {habit:?}"), &before)
            .await;
    }
    assert_eq!(library.served_by().await, ["postgresql"]);
}
