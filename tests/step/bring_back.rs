//! R2+: what the feed had read comes into SQLite, also where PostgreSQL ends before the last of it is read; and what nobody has on record is not
//! taken for nothing.

use cutover::feed::live::{About, Begin};
use cutover::feed::{Live, Reader, capture, captured};
use cutover::salvage::file::{NAME, Salvaged};
use cutover::salvage::mark::remove_mark;
use cutover::session::facts::{Noted, Snapshot};
use cutover::session::{Event, Outcome};
use cutover::sqlite::digest;
use cutover::step::salvage::Wanted;
use serde_json::json;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use super::bench::{Bench, backup_of, red};
use crate::support;

/// A night that has switched, whose writes are noted; and the application's connection.
async fn followed() -> (Bench, Client) {
    let mut bench = Bench::new(0).await;
    bench
        .on_target(
            "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        )
        .await;
    let backup = bench.path("backup.db");
    std::fs::copy(bench.path("app.db"), &backup).expect("a backup");
    let sha256 = digest::of_file(&backup, &CancellationToken::new()).expect("its checksum");
    let size = backup.metadata().expect("a file").len();
    let kept = json!({ "path": backup, "sha256": sha256, "size_bytes": size, "keep_ms": 1_000 });
    bench.left_behind("A2", backup_of(kept));
    let endpoint = cutover::postgres::Endpoint::parse(&bench.database.url).expect("a URL");
    let (schema, transfer) = (&bench.runbook.target.schema, &bench.runbook.transfer);
    let tables = captured(&backup, &endpoint, schema, transfer).await;
    let application = support::client(&bench.database.url).await;
    capture::install(&application, "tonight", &tables.expect("both schemas"))
        .await
        .expect("the capture");
    let snapshot = application
        .query_one("SELECT pg_current_snapshot()::text", &[])
        .await
        .expect("a snapshot");
    let switched = Outcome::done("switched")
        .with_fact(Snapshot(snapshot.get(0)))
        .with_fact(Noted(None));
    bench.finished("F1", switched);
    bench.finished("F4", Outcome::done("writes are open"));
    (bench, application)
}

async fn write(application: &Client, sql: &str) {
    let written = application.batch_execute(sql).await;
    written.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// What SQLite has in `t`.
fn rows(bench: &Bench) -> String {
    let file = rusqlite::Connection::open(bench.path("app.db")).expect("the application's file");
    let sql = "SELECT group_concat(id || v, ' ') FROM (SELECT id, v FROM t ORDER BY id)";
    file.query_row(sql, [], |row| row.get(0)).expect(sql)
}

/// R1+ has had its answer, and R2+ gets none: three rows were read before, and one was not.
async fn cut_off() -> (Bench, Outcome) {
    let (mut bench, application) = followed().await;
    let wanted = Wanted::of(bench.session(), &bench.bridge.session, &bench.runbook);
    let wanted = wanted.expect("facts").expect("a switch");
    let about = About {
        session: wanted.about.session.clone(),
        backup_sha256: wanted.about.backup_sha256.clone(),
        since: wanted.since.snapshot.clone(),
    };
    let live = Live::open(bench.session(), &about, Begin::AtSwitch).expect("a live file");
    let cancel = CancellationToken::new();
    let reader = Reader::open(wanted.since, &wanted.endpoint, live, &cancel).await;
    let mut reader = reader.expect("a reader");
    let written = "INSERT INTO t VALUES (3, 'c'); UPDATE t SET v = 'B' WHERE id = 2; DELETE FROM t WHERE id = 1";
    write(&application, written).await;
    let reading = reader.read(&cancel).await.expect("a read");
    assert_eq!(reading.rows_kept, 3);
    drop(reader);
    write(&application, "INSERT INTO t VALUES (4, 'late')").await;
    bench.runbook.target.url = "postgres://nobody@127.0.0.1:1/none".to_owned();
    let outcome = bench.row("R2+").await;
    (bench, outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_ends_after_r1_costs_no_more_than_was_not_read() {
    let (bench, outcome) = cut_off().await;
    assert_eq!(rows(&bench), "2B 3c", "{}", outcome.summary);
    assert_eq!(red(&outcome), ["all_read"], "{}", outcome.summary);
    says!(
        outcome.summary,
        "3 rows that users wrote to PostgreSQL are in SQLite: 1 inserted, 1 changed, 1 deleted"
    );
    says!(outcome.summary, "is not in here");
}

/// PostgreSQL is asked again, what was lacking comes in, and nothing comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_read_comes_in_where_the_row_is_tried_again() {
    let (mut bench, _) = cut_off().await;
    // As R3 does, once the outcome is on record.
    assert!(remove_mark(&bench.path("app.db")).expect("a file"));
    let again = |bench: &mut Bench| {
        bench.bridge.append(Event::RollbackRetried {
            by: "robin".into(),
            rows: vec!["R2+".into()],
        });
    };
    again(&mut bench);
    let outcome = bench.row("R2+").await;
    assert_eq!(red(&outcome), ["all_read"], "{}", outcome.summary);
    assert_eq!(rows(&bench), "2B 3c", "it does not answer yet");

    bench.runbook.target.url.clone_from(&bench.database.url);
    again(&mut bench);
    let outcome = bench.row("R2+").await;
    assert!(outcome.ok, "{}", outcome.summary);
    assert_eq!(rows(&bench), "2B 3c 4late", "{}", outcome.summary);
    says!(
        outcome.summary,
        "4 rows that users wrote to PostgreSQL are in SQLite: 2 inserted, 1 changed, 1 deleted"
    );
}

/// As on a full disk, where SQLite cannot even make the index beside its log.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_keeps_nobody_from_keeping_what_users_wrote() {
    let (mut bench, application) = followed().await;
    let written = "INSERT INTO t VALUES (3, 'c'); DELETE FROM t WHERE id = 1";
    write(&application, written).await;
    let file = bench.path("app.db");
    let whole = std::fs::read(&file).expect("the application's file");
    let broken = [b"no database at all".as_slice(), &whole[18..]].concat();
    std::fs::write(&file, broken).expect("written");
    let outcome = bench.row("R2+").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "no row was brought into SQLite");
    let salvaged = Salvaged::open(&bench.session().dir().join(NAME)).expect("a salvage file");
    assert_eq!(salvaged.rows_not_brought().expect("a count"), 2);
    drop(salvaged);

    std::fs::write(&file, whole).expect("written");
    let again = bench.row("R2+").await;
    assert_eq!(rows(&bench), "2b 3c", "{}", again.summary);
    assert!(again.ok, "{}", again.summary);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_that_somebody_found_done_does_not_prove_that_nothing_was_written() {
    let mut bench = Bench::new(0).await;
    bench.finished("F1", Outcome::done("robin found it done: the files say so"));
    bench.finished("F4", Outcome::done("writes are open"));
    let outcome = bench.row("R2+").await;
    assert!(!outcome.ok, "{}", outcome.summary);
    says!(outcome.summary, "is not on record");
    assert_eq!(rows(&bench), "1a 2b");
}
