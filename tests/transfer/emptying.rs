//! `target_rows: replace`: what may be emptied, what is counted before, and what is refused by name with nothing touched.

use cutover::runbook::transfer::Transfer;
use cutover::transfer::Error;
use cutover::transfer::copy::Options;

use super::Pair;
use super::loader::{count, section};
use crate::support;

/// Three rows of which SQLite has two, by three kinds of keys.
const OCCUPIED: (&str, &str) = (
    "CREATE TABLE keyed (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO keyed VALUES (1, 'a'), (2, 'b'), (4, 'd');
     CREATE TABLE pairs (a TEXT, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pairs VALUES ('x', 1, 'a'), ('x', 2, 'b');
     CREATE TABLE bare (v TEXT, n INTEGER); INSERT INTO bare VALUES ('twice', 1), ('once', 2);",
    "CREATE TABLE keyed (id integer PRIMARY KEY, v text); INSERT INTO keyed VALUES (1, 'changed'), (2, 'b'), (3, 'written to PostgreSQL alone');
     CREATE TABLE pairs (a text, b integer, v text, PRIMARY KEY (a, b)); INSERT INTO pairs VALUES ('x', 1, 'a'), ('y', 1, 'a'), ('x', 2, 'b');
     CREATE TABLE bare (v text, n integer); INSERT INTO bare VALUES ('twice', 1), ('twice', 1), ('once', 2);",
);

/// Every row of the three tables, in an order.
async fn all_rows(pair: &Pair) -> Option<String> {
    pair.text(
        "SELECT string_agg(line, E'\n' ORDER BY line) FROM (SELECT 'keyed ' || t::text AS line FROM keyed t
         UNION ALL SELECT 'pairs ' || t::text FROM pairs t UNION ALL SELECT 'bare ' || t::text FROM bare t) AS lines",
    )
    .await
}

fn losing(numbers: &[(&str, u64)]) -> Options {
    let owned = |(table, rows): &(&str, u64)| ((*table).to_owned(), *rows);
    Options {
        discard: numbers.iter().map(owned).collect(),
        ..Options::default()
    }
}

#[tokio::test]
async fn rows_that_sqlite_lacks_go_only_by_their_very_number() {
    let pair = Pair::new(OCCUPIED.0, OCCUPIED.1).await;
    let before = all_rows(&pair).await;
    let replace = section("target_rows: replace");
    let plan = pair.plan(&replace).await;
    let lacking: Vec<(&str, Option<u64>, Option<u64>)> = plan
        .occupied
        .iter()
        .map(|table| (table.table.as_str(), table.rows, table.lacking))
        .collect();
    let one_of_three = |table| (table, Some(3), Some(1));
    assert_eq!(
        lacking,
        [
            one_of_three("bare"),
            one_of_three("keyed"),
            one_of_three("pairs")
        ]
    );
    for wrong in [
        losing(&[]),
        losing(&[("keyed", 1), ("pairs", 1)]),
        losing(&[("keyed", 2), ("pairs", 1), ("bare", 1)]),
        losing(&[("keyed", 1), ("pairs", 1), ("bare", 1), ("other", 1)]),
    ] {
        let refused = pair.copy_with(&replace, &wrong).await;
        let Err(Error::Discard(against)) = refused else {
            panic!("{wrong:?}: {refused:?}")
        };
        assert!(!against.is_empty());
        assert_eq!(all_rows(&pair).await, before, "{wrong:?}");
        let record = pair.text("SELECT to_regnamespace('cutover')::text").await;
        assert_eq!(record, None, "a refusal leaves nothing behind");
    }
    let right = losing(&[("keyed", 1), ("pairs", 1), ("bare", 1)]);
    let copied = pair.copy_with(&replace, &right).await.expect("the import");
    assert_eq!(copied.rows, 7);
    assert!(copied.account.iter().all(|table| table.adds_up()));
    assert_eq!(count(&pair, "keyed WHERE id = 3").await, 0);
    // Nothing that SQLite lacks is left, so that nothing needs to be said now.
    pair.copy(&replace).await.expect("once more");
}

#[tokio::test]
async fn what_forbids_or_hears_of_emptying_is_named_and_nothing_is_touched() {
    let pair = Pair::new(
        "CREATE TABLE guarded (id INTEGER PRIMARY KEY); INSERT INTO guarded VALUES (1);
         CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1);",
        "CREATE TABLE guarded (id integer PRIMARY KEY); INSERT INTO guarded VALUES (1);
         CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'never'; END $$;
         CREATE TRIGGER never_empty BEFORE TRUNCATE ON guarded FOR EACH STATEMENT EXECUTE FUNCTION forbid();
         CREATE TABLE parent (id integer PRIMARY KEY); INSERT INTO parent VALUES (1);
         CREATE TABLE audit (id integer PRIMARY KEY, parent integer CONSTRAINT audited REFERENCES parent);
         INSERT INTO parent VALUES (2); INSERT INTO audit VALUES (1, NULL), (2, 1), (3, 2);",
    )
    .await;
    let replace = section("target_rows: replace");
    let planned: Vec<String> = pair
        .plan(&replace)
        .await
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    let refused = pair.copy(&replace).await;
    let Err(Error::Problems(problems)) = refused else {
        panic!("{refused:?}")
    };
    let named: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(named, planned);
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named[0].contains("never_empty"), "{named:?}");
    assert!(
        named[1].contains("1 row(s)") && named[1].contains("audited"),
        "{named:?}"
    );
    assert_eq!(
        count(&pair, "pg_constraint WHERE conname = 'audited'").await,
        1
    );
    assert_eq!(count(&pair, "parent").await, 2);
    assert_eq!(count(&pair, "guarded").await, 1);
    // A row that refers to what SQLite has too stands against nothing.
    pair.execute("DROP TRIGGER never_empty ON guarded; DELETE FROM audit WHERE parent = 2; DELETE FROM parent WHERE id = 2")
        .await;
    pair.copy(&replace).await.expect("the import");
    assert_eq!(count(&pair, "audit WHERE parent = 1").await, 1);
}

#[tokio::test]
async fn a_child_by_inheritance_is_neither_emptied_nor_counted() {
    let pair = Pair::new(
        "CREATE TABLE log (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO log VALUES (1, 'a'), (2, 'b');",
        "CREATE TABLE log (id integer PRIMARY KEY, v text); CREATE TABLE log_archive (why text) INHERITS (log);
         INSERT INTO log_archive VALUES (1, 'kept', 'for ever'), (9, 'kept', 'for ever'); INSERT INTO log VALUES (1, 'old');",
    )
    .await;
    let copied = pair
        .copy(&section("target_rows: replace"))
        .await
        .expect("the import");
    assert_eq!(copied.rows, 2);
    assert_eq!(count(&pair, "ONLY log").await, 2);
    assert_eq!(count(&pair, "log_archive").await, 2);
    // Done once, it is found done: the child's rows are not the parent's.
    let again = pair.copy(&Transfer::default()).await;
    assert!(again.is_err(), "another section, and the table is full");
}

/// A row that SQLite cannot bring back is one that the target alone has, whatever its key.
#[tokio::test]
async fn a_row_whose_successor_is_put_aside_is_counted_as_lost() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO a VALUES (1, '2024-01-01'), (2, 'garbage');",
        "CREATE TABLE a (id integer PRIMARY KEY, at date); INSERT INTO a VALUES (2, '2020-02-02');",
    )
    .await;
    let replace = section("target_rows: replace\ncolumns:\n  a.at: { on_problem: quarantine }");
    let refused = pair.copy(&replace).await;
    assert!(matches!(refused, Err(Error::Discard(_))), "{refused:?}");
    assert_eq!(count(&pair, "a WHERE at = '2020-02-02'").await, 1);
    let copied = pair.copy_with(&replace, &losing(&[("a", 1)])).await;
    assert_eq!(copied.expect("the import").rows, 1);
}

/// What an import put aside goes with its record, so nobody replaces the record but who brings the same tables.
#[tokio::test]
async fn rows_that_an_earlier_import_put_aside_stay() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO a VALUES (1, 'garbage');
         CREATE TABLE b (id INTEGER PRIMARY KEY); INSERT INTO b VALUES (1);",
        "CREATE TABLE a (id integer PRIMARY KEY, at date); CREATE TABLE b (id integer PRIMARY KEY);",
    )
    .await;
    let first = section("exclude: [b]\ncolumns:\n  a.at: { on_problem: quarantine }");
    pair.copy(&first).await.expect("the import");
    let other = section("exclude: [a]");
    let refused = pair.copy(&other).await;
    assert!(
        matches!(&refused, Err(Error::PutAside { rows: 1, table, .. }) if table == "a"),
        "{refused:?}"
    );
    assert_eq!(count(&pair, "cutover.quarantine").await, 1);
    assert_eq!(count(&pair, "b").await, 0);
    pair.execute("DELETE FROM cutover.quarantine").await;
    pair.copy(&other).await.expect("the import");
}

/// What is done after the import may delete rows: that is told, and the same command has nothing to do.
#[tokio::test]
async fn rows_that_went_after_the_import_are_told_and_no_loss() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1), (2), (3);",
        "CREATE TABLE a (id integer PRIMARY KEY);",
    )
    .await;
    let after = section("after_import:\n  - DELETE FROM a WHERE id = 1");
    let copied = pair.copy(&after).await.expect("the import");
    let told: Vec<String> = copied.notes.iter().map(ToString::to_string).collect();
    assert!(
        told.iter().any(|note| note.contains("left 2 rows where 3")),
        "{told:?}"
    );
    let again = pair.copy(&after).await.expect("nothing to do");
    assert!(again.was_done);
    assert_eq!(count(&pair, "a").await, 2);
    pair.execute("DELETE FROM a WHERE id = 2").await;
    let refused = pair.copy(&after).await;
    assert!(refused.is_err(), "{refused:?}");
}

/// What `after_import` has left and the end are on record together: a connection that is lost in between leaves neither.
#[tokio::test]
async fn a_connection_lost_before_the_end_is_recorded_costs_no_complete_import() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1), (2), (3);",
        "CREATE TABLE a (id integer PRIMARY KEY);",
    )
    .await;
    let after = section(
        "after_import:\n  - DELETE FROM a WHERE id = 1\n  - SELECT pg_advisory_xact_lock(4711)",
    );
    let gate = pair.client().await;
    gate.batch_execute("SELECT pg_advisory_lock(4711)")
        .await
        .expect("a lock");
    let watcher = pair.client().await;
    // Whoever waits for a lock of this kind, once somebody does.
    let waiting = async |kind: &str| {
        let sql = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = $1 AND datname = current_database()";
        let mut pid: Option<i32> = None;
        support::until(
            &format!("a lock of kind {kind} is waited for"),
            async || {
                let found = watcher.query_opt(sql, &[&kind]).await.expect("an answer");
                pid = found.map(|row| row.get(0));
                pid.is_some()
            },
        )
        .await;
        pid.expect("a process")
    };
    let interfere = async {
        waiting("advisory").await;
        // The statements are held up; the record of what they leave is held up next.
        let block = "BEGIN; LOCK TABLE cutover.account IN ACCESS EXCLUSIVE MODE; SELECT pg_advisory_unlock(4711)";
        gate.batch_execute(block).await.expect("locked");
        let pid = waiting("relation").await;
        watcher
            .execute("SELECT pg_terminate_backend($1)", &[&pid])
            .await
            .expect("ended");
        gate.batch_execute("COMMIT").await.expect("let go");
    };
    let (copied, ()) = tokio::join!(pair.copy(&after), interfere);
    assert_eq!(copied.expect("the import").rows, 3);
    let again = pair.copy(&after).await.expect("nothing to do");
    assert!(again.was_done);
    assert_eq!(count(&pair, "a").await, 2);
}
