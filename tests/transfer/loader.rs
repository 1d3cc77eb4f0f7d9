//! What an import owes whoever starts it: it loses no row silently, and goes on after any stop. What it may empty is in
//! `emptying.rs`. The same over random schemas and random stops is in `stops.rs`.

use cutover::runbook::transfer::Transfer;
use cutover::transfer::copy::{Copied, Options, copy};
use cutover::transfer::{Error, Progress};
use tokio_util::sync::CancellationToken;

use super::Pair;
use crate::support::sqlite;

/// A transfer section from its YAML.
pub(super) fn section(yaml: &str) -> Transfer {
    cutover::runbook::parse_transfer("transfer.yaml", yaml).expect(yaml)
}

fn small_batches() -> Options {
    Options {
        lanes: 1,
        batch_rows: 7,
        ..Options::default()
    }
}

/// Starts the same import again and again, each time stopped after its first committed batch, until it ends.
async fn in_small_steps(
    pair: &Pair,
    transfer: &Transfer,
    batch_rows: u64,
) -> Result<Copied, Error> {
    for _ in 0..200 {
        let cancel = CancellationToken::new();
        let reports = std::sync::atomic::AtomicU32::new(0);
        let stop = |report: Progress| {
            let is_batch = matches!(report, Progress::Rows { .. });
            if is_batch && reports.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                cancel.cancel();
            }
        };
        let endpoint = pair.endpoint();
        let options = Options {
            batch_rows,
            ..small_batches()
        };
        let import = copy(
            &pair.file, &endpoint, "public", transfer, &options, &stop, &cancel,
        );
        match import.await {
            Err(Error::Cancelled) => {}
            ended => return ended,
        }
    }
    panic!("it never ended")
}

pub(super) async fn count(pair: &Pair, table: &str) -> i64 {
    let sql = format!("SELECT count(*)::text FROM {table}");
    pair.text(&sql).await.expect(table).parse().expect(table)
}

const CHILD_FIRST: (&str, &str) = (
    "CREATE TABLE a_child (id INTEGER PRIMARY KEY, parent_id INTEGER, price REAL);
     CREATE TABLE b_parent (id INTEGER PRIMARY KEY, name TEXT);
     INSERT INTO b_parent WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) SELECT i, 'p' || i FROM n;
     INSERT INTO a_child WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       SELECT i, 1 + i % 10, i / 7.0 FROM n;",
    "CREATE TABLE b_parent (id integer PRIMARY KEY, name text);
     CREATE TABLE a_child (id integer PRIMARY KEY, parent_id integer REFERENCES b_parent, price numeric(10,2));",
);

#[tokio::test]
async fn a_policy_added_after_a_stop_loses_no_row() {
    let pair = Pair::new(CHILD_FIRST.0, CHILD_FIRST.1).await;
    let Err(Error::Problems(_)) = pair.copy(&Transfer::default()).await else {
        panic!("the prices were let in")
    };
    let settled = section(
        "target_rows: replace\ncolumns: { a_child.price: { real: shortest, scale: round } }",
    );
    let copied = pair.copy(&settled).await.expect("the import");
    assert_eq!(copied.rows, 1010);
    assert_eq!(count(&pair, "a_child").await, 1000);
    assert_eq!(count(&pair, "b_parent").await, 10);
}

#[tokio::test]
async fn the_same_command_goes_on_where_only_the_target_has_the_foreign_key() {
    let target = CHILD_FIRST.1.replace("numeric(10,2)", "double precision");
    let pair = Pair::new(CHILD_FIRST.0, &target).await;
    let copied = in_small_steps(&pair, &Transfer::default(), 150)
        .await
        .expect("the import");
    assert_eq!(copied.rows, 1010);
    assert_eq!(count(&pair, "a_child").await, 1000);
    assert_eq!(copied.constraints_rebuilt, 1);
}

#[tokio::test]
async fn rows_put_aside_move_no_checkpoint() {
    // No name of the rowid is free, so that a reader goes on by counting.
    let pair = Pair::new(
        "CREATE TABLE bare (rowid TEXT, oid INTEGER, _rowid_ TEXT);
         INSERT INTO bare WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 90)
           SELECT 'r' || i, CASE i % 3 WHEN 0 THEN 'no number' ELSE i END, NULL FROM n;",
        "CREATE TABLE bare (rowid text, oid bigint, _rowid_ text);",
    )
    .await;
    let aside = section("columns: { bare.oid: { on_problem: quarantine } }");
    let copied = in_small_steps(&pair, &aside, 11).await.expect("the import");
    assert_eq!((copied.rows, copied.quarantined), (60, 30));
    let distinct = "SELECT count(DISTINCT rowid)::text || ' of ' || count(*) FROM bare";
    pair.holds(distinct, "60 of 60").await;
}

#[tokio::test]
async fn a_key_that_is_no_utf8_ends_no_table() {
    let pair = Pair::new(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER) WITHOUT ROWID;
         INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
           SELECT CASE i WHEN 7 THEN CAST(x'6B3037FF' AS TEXT) ELSE printf('k%02d', i) END, i FROM n;",
        "CREATE TABLE t (k text PRIMARY KEY, v bigint);",
    )
    .await;
    let replaced = section("columns: { t.k: { invalid_utf8: replace } }");
    let copied = in_small_steps(&pair, &replaced, 7)
        .await
        .expect("the import");
    assert_eq!(copied.rows, 50);
    assert_eq!(count(&pair, "t").await, 50);
}

#[tokio::test]
async fn the_foreseen_is_foreseen_again_after_a_stop() {
    // While the unique index is away, nothing in the catalogue tells that rows 2 and 25002 collide.
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25010)
           SELECT i, CASE i WHEN 25002 THEN 'v2' ELSE 'v' || i END FROM n;
         CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER); INSERT INTO c VALUES (1, 1), (2, 5);",
        "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE UNIQUE INDEX ix ON t (v);
         CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p);",
    )
    .await;
    let aside =
        section("columns: { t.v: { on_problem: quarantine }, c.p: { on_problem: quarantine } }");
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        if matches!(report, Progress::Rows { .. }) {
            cancel.cancel();
        }
    };
    let options = Options {
        lanes: 1,
        batch_rows: 1000,
        ..Options::default()
    };
    let endpoint = pair.endpoint();
    let stopped = copy(
        &pair.file, &endpoint, "public", &aside, &options, &stop, &cancel,
    )
    .await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let copied = pair.copy(&aside).await.expect("the rest");
    assert_eq!((copied.rows, copied.quarantined), (25_011, 2));
}

/// A source in WAL mode, so that writers need not wait for readers.
const LEDGER: (&str, &str) = (
    "PRAGMA journal_mode = WAL;
     CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT);
     INSERT INTO a WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i, 'a' || i FROM n;
     INSERT INTO b WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) SELECT i, 'b' || i FROM n;",
    "CREATE TABLE a (id integer PRIMARY KEY, v text); CREATE TABLE b (id integer PRIMARY KEY, v text);",
);

#[tokio::test]
async fn a_source_that_is_written_while_it_is_read_is_no_success() {
    let pair = Pair::new(LEDGER.0, LEDGER.1).await;
    let moved = std::sync::atomic::AtomicBool::new(false);
    // Row 100 goes from the second table to the first, whose last batch has been read: it would arrive in neither.
    let writer = |report: Progress| {
        let is_loaded = matches!(&report, Progress::Rows { table, done: true, .. } if table == "a");
        if is_loaded && !moved.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let write =
                "BEGIN; DELETE FROM b WHERE id = 100; INSERT INTO a VALUES (101, 'b100'); COMMIT;";
            sqlite(&pair.file, write);
        }
    };
    let endpoint = pair.endpoint();
    let options = small_batches();
    let cancel = CancellationToken::new();
    let transfer = Transfer::default();
    let ended = copy(
        &pair.file, &endpoint, "public", &transfer, &options, &writer, &cancel,
    )
    .await;
    assert!(moved.into_inner(), "nothing was written");
    let error = ended.expect_err("a torn copy");
    assert!(error.to_string().contains("written"), "{error}");
}

#[tokio::test]
async fn values_that_changed_since_are_not_taken_for_done() {
    let pair = Pair::new(LEDGER.0, LEDGER.1).await;
    pair.copy(&Transfer::default()).await.expect("the import");
    sqlite(&pair.file, "UPDATE a SET v = 'changed' WHERE id = 5");
    let refused = pair.copy(&Transfer::default()).await;
    assert!(matches!(refused, Err(Error::Problems(_))), "{refused:?}");
    pair.copy(&section("target_rows: replace"))
        .await
        .expect("the import of the changed file");
    pair.holds("SELECT v FROM a WHERE id = 5", "changed").await;
}

#[tokio::test]
async fn a_checkpoint_between_two_runs_is_no_change() {
    let pair = Pair::new(LEDGER.0, LEDGER.1).await;
    // A connection that stays keeps the log; closing it moves the log's content into the file.
    let keeper = sqlite(&pair.file, "UPDATE a SET v = 'in the log' WHERE id = 5");
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        if matches!(report, Progress::Rows { .. }) {
            cancel.cancel();
        }
    };
    let endpoint = pair.endpoint();
    let transfer = Transfer::default();
    let options = small_batches();
    let stopped = copy(
        &pair.file, &endpoint, "public", &transfer, &options, &stop, &cancel,
    )
    .await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    drop(keeper);
    let copied = pair.copy(&transfer).await.expect("the same import goes on");
    assert_eq!(copied.rows, 200);
}

#[tokio::test]
async fn a_table_left_out_after_a_stop_is_as_in_a_run_without_it() {
    let pair = Pair::new(CHILD_FIRST.0, CHILD_FIRST.1).await;
    let whole = section("columns: { a_child.price: { real: shortest, scale: round } }");
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        let is_child = matches!(&report, Progress::Rows { table, rows, .. } if table == "a_child" && *rows >= 500);
        if is_child {
            cancel.cancel();
        }
    };
    let endpoint = pair.endpoint();
    let options = small_batches();
    let stopped = copy(
        &pair.file, &endpoint, "public", &whole, &options, &stop, &cancel,
    )
    .await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    let without = "exclude: [a_child]";
    let refused = pair.copy(&section(without)).await;
    let Err(Error::OtherImport { why, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(why.contains("tables"), "{why}");
    let replace = format!("target_rows: replace\n{without}");
    pair.copy(&section(&replace)).await.expect("the parents");
    assert_eq!(count(&pair, "a_child").await, 0, "what was loaded is gone");
    assert_eq!(count(&pair, "b_parent").await, 10);
    assert_eq!(
        count(
            &pair,
            "pg_constraint WHERE conname = 'a_child_parent_id_fkey' AND convalidated"
        )
        .await,
        1
    );
}

#[tokio::test]
async fn keys_whose_record_was_lost_are_told() {
    let source = CHILD_FIRST.0.replace(
        "parent_id INTEGER,",
        "parent_id INTEGER REFERENCES b_parent,",
    );
    let pair = Pair::new(&source, CHILD_FIRST.1).await;
    let policy = "columns: { a_child.price: { real: shortest, scale: round } }";
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        if matches!(report, Progress::Rows { .. }) {
            cancel.cancel();
        }
    };
    let (endpoint, options) = (pair.endpoint(), small_batches());
    let transfer = section(policy);
    let stopped = copy(
        &pair.file, &endpoint, "public", &transfer, &options, &stop, &cancel,
    )
    .await;
    assert!(matches!(stopped, Err(Error::Cancelled)), "{stopped:?}");
    pair.execute("DROP SCHEMA cutover CASCADE").await;
    let again = section(&format!("target_rows: replace\n{policy}"));
    let copied = pair.copy(&again).await.expect("every row");
    assert_eq!(copied.rows, 1010);
    let told: Vec<&str> = copied
        .notes
        .iter()
        .map(|note| note.reason.as_str())
        .collect();
    let told = told.join("\n");
    assert!(told.contains("foreign key a_child(parent_id)"), "{told}");
}

#[tokio::test]
async fn a_stop_before_the_first_row_needs_no_replacing() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT); INSERT INTO t VALUES (1, 'no number');
         CREATE TABLE u (id INTEGER PRIMARY KEY, t INTEGER);",
        "CREATE TABLE t (id integer PRIMARY KEY, n integer); CREATE TABLE u (id integer PRIMARY KEY, t integer REFERENCES t);",
    )
    .await;
    let refused = pair.copy(&Transfer::default()).await;
    assert!(matches!(refused, Err(Error::Problems(_))), "{refused:?}");
    let aside = section("columns: { t.n: { on_problem: quarantine } }");
    let copied = pair.copy(&aside).await.expect("the import");
    assert_eq!(
        (copied.rows, copied.quarantined, copied.constraints_rebuilt),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn a_row_too_many_in_the_target_is_an_error_whatever_else_went_well() {
    let pair = Pair::new(LEDGER.0, LEDGER.1).await;
    let client = pair.client().await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let progress = |report: Progress| drop(sender.send(report));
    let intruding = async {
        while let Some(report) = receiver.recv().await {
            if matches!(report, Progress::Rows { .. }) {
                client
                    .execute("INSERT INTO a VALUES (1000, 'somebody else')", &[])
                    .await
                    .expect("a row");
                return;
            }
        }
    };
    let endpoint = pair.endpoint();
    let (options, transfer, cancel) = (
        small_batches(),
        Transfer::default(),
        CancellationToken::new(),
    );
    let importing = copy(
        &pair.file, &endpoint, "public", &transfer, &options, &progress, &cancel,
    );
    let (ended, ()) = tokio::join!(importing, intruding);
    let Err(Error::Account { wrong, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!(wrong.len(), 1);
    assert_eq!((wrong[0].source_rows, wrong[0].target_rows), (100, 101));
}

#[tokio::test]
async fn the_command_says_that_nothing_was_done_and_counts_both_sides() {
    let pair = Pair::new(LEDGER.0, LEDGER.1).await;
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::support::cutover());
        command.args(["copy", "--from"]).arg(&pair.file);
        command.args(["--to", &pair.database.url]).args(arguments);
        let output = command.output().expect("the binary");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, _, errors) = run(&[]);
    assert_eq!(code, Some(0), "{errors}");
    let (code, said, _) = run(&[]);
    assert_eq!(code, Some(0));
    assert!(said.contains("nothing was done"), "{said}");
    says!(
        said,
        "200 rows in SQLite = 200 sent + 0 put aside; PostgreSQL counts 200"
    );
    let (_, said, _) = run(&["--json"]);
    let copied: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(copied["was_done"], true);
    assert_eq!(copied["account"][1]["source_rows"], 100);

    pair.execute("INSERT INTO a VALUES (999, 'users wrote this')")
        .await;
    let mut planning = std::process::Command::new(crate::support::cutover());
    planning.args(["plan", "--from"]).arg(&pair.file);
    let planned = planning.args(["--to", &pair.database.url]).output();
    let planned = String::from_utf8(planned.expect("the binary").stdout).expect("text");
    let wanted = "their number is said, to `plan` and to `copy`: --discard-rows a=1\n";
    assert!(planned.contains(wanted), "{planned}");
    let section = pair.file.with_extension("yaml");
    std::fs::write(&section, "target_rows: replace\n").expect("a section");
    let section = section.to_str().expect("a path");
    let (code, said, errors) = run(&["--json", "--transfer", section]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(said.contains("--discard-rows a=1"), "{said}");
    assert_eq!(count(&pair, "a").await, 101);
    let (code, _, errors) = run(&["--transfer", section, "--discard-rows", "a=1"]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(count(&pair, "a").await, 100);
}
