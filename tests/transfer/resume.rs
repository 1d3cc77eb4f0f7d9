//! Interruptions: `kill -9` of the real binary at seeded moments, lost connections, a second importer. Every row is there exactly once.

use std::process::{Command, Stdio};
use std::time::Duration;

use cutover::runbook::transfer::Transfer;
use cutover::transfer::Progress;
use cutover::transfer::copy::{Options, copy};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::Pair;

const ROWS: i64 = 60_000;

const SOURCE: &str = r#"
CREATE TABLE "Parents" ("Id" INTEGER PRIMARY KEY AUTOINCREMENT, "Name" TEXT NOT NULL UNIQUE, "BossId" INTEGER REFERENCES "Parents");
CREATE TABLE "Children" ("Id" INTEGER PRIMARY KEY, "ParentId" INTEGER NOT NULL REFERENCES "Parents", "Body" BLOB, "At" TEXT);
CREATE TABLE "Pairs" ("A" TEXT NOT NULL, "B" INTEGER NOT NULL, "V" REAL, PRIMARY KEY ("A", "B")) WITHOUT ROWID;
CREATE TABLE "Bare" (rowid TEXT, oid INTEGER, _rowid_ TEXT);
INSERT INTO "Parents" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  SELECT i, 'parent ' || i, CASE WHEN i > 9 THEN i - 9 END FROM n;
INSERT INTO "Children" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
  SELECT i * 3 - 40000, 1 + i % 20000, zeroblob(i % 90), '2024-02-29 12:34:' || printf('%02d', i % 60) FROM n;
INSERT INTO "Pairs" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) SELECT 'k' || (i % 77), i, i / 7.0 FROM n;
INSERT INTO "Bare" WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) SELECT 'r' || i, i, NULL FROM n;
"#;

const TARGET: &str = r#"
CREATE TABLE "Parents" ("Id" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" text NOT NULL UNIQUE DEFERRABLE,
  "BossId" integer CONSTRAINT "FK_Boss" REFERENCES "Parents" ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE "Children" ("Id" serial PRIMARY KEY, "ParentId" integer NOT NULL CONSTRAINT "FK_Parent" REFERENCES "Parents" ON DELETE CASCADE,
  "Body" bytea, "At" timestamp);
CREATE TABLE "Pairs" ("A" text NOT NULL, "B" bigint NOT NULL, "V" double precision, PRIMARY KEY ("A", "B"));
CREATE TABLE "Bare" ("rowid" text, "oid" bigint, "_rowid_" text);
CREATE INDEX "IX_Children_ParentId" ON "Children" ("ParentId") INCLUDE ("At") WITH (fillfactor = 80) WHERE "ParentId" > 0;
CREATE INDEX "IX_Children_Lower" ON "Children" (lower("Id"::text) DESC NULLS LAST);
COMMENT ON INDEX "IX_Children_ParentId" IS 'it''s commented \ twice';
COMMENT ON CONSTRAINT "FK_Parent" ON "Children" IS 'a key';
ALTER INDEX "IX_Children_Lower" ALTER COLUMN 1 SET STATISTICS 77;
ALTER TABLE "Children" CLUSTER ON "Children_pkey";
ALTER TABLE "Parents" REPLICA IDENTITY USING INDEX "Parents_pkey";
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."At" := now(); RETURN NEW; END $$;
CREATE TRIGGER always BEFORE INSERT ON "Children" FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE "Children" ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER off BEFORE INSERT ON "Children" FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE "Children" DISABLE TRIGGER off;
CREATE TRIGGER replica BEFORE INSERT ON "Children" FOR EACH ROW EXECUTE FUNCTION spoil();
ALTER TABLE "Children" ENABLE REPLICA TRIGGER replica;
CREATE VIEW "Named" AS SELECT * FROM "Parents";
"#;

/// Everything that a load takes away, in one text.
const DEFINITIONS: &str = r#"
SELECT string_agg(line, E'\n' ORDER BY line) FROM (
  SELECT pg_get_indexdef(i.indexrelid) || ' ' || i.indisclustered || i.indisreplident || i.indisvalid || ' '
         || coalesce(obj_description(i.indexrelid, 'pg_class'), '') || ' '
         || coalesce((SELECT string_agg(a.attstattarget::text, ',') FROM pg_attribute a WHERE a.attrelid = i.indexrelid), '') AS line
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL
  SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated || ' '
         || coalesce(obj_description(oid, 'pg_constraint'), '')
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
  UNION ALL
  SELECT tgrelid::regclass || ' ' || tgname || ' ' || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal) AS lines
"#;

/// What both sides say about every row.
const CONTENT: &[(&str, &str)] = &[
    (
        r#"SELECT "Id" || '|' || "Name" || '|' || ifnull("BossId", '-') FROM "Parents" ORDER BY 1"#,
        r#"SELECT ("Id" || '|' || "Name" || '|' || coalesce("BossId"::text, '-')) COLLATE "C" FROM "Parents" ORDER BY 1"#,
    ),
    (
        r#"SELECT "Id" || '|' || "ParentId" || '|' || length("Body") || '|' || "At" FROM "Children" ORDER BY 1"#,
        r#"SELECT ("Id" || '|' || "ParentId" || '|' || length("Body") || '|' || "At") COLLATE "C" FROM "Children" ORDER BY 1"#,
    ),
    (
        r#"SELECT "A" || '|' || "B" FROM "Pairs" ORDER BY 1"#,
        r#"SELECT ("A" || '|' || "B") COLLATE "C" FROM "Pairs" ORDER BY 1"#,
    ),
    (
        r#"SELECT "rowid" || '|' || "oid" FROM "Bare" ORDER BY 1"#,
        r#"SELECT ("rowid" || '|' || "oid") COLLATE "C" FROM "Bare" ORDER BY 1"#,
    ),
];

async fn assert_equal(pair: &Pair) {
    let source = rusqlite::Connection::open(&pair.file).expect("the file");
    let target = pair.client().await;
    for (there, here) in CONTENT {
        let mut statement = source.prepare(there).expect(there);
        let expected: Vec<String> = statement
            .query_map([], |row| row.get(0))
            .expect(there)
            .collect::<Result<_, _>>()
            .expect(there);
        let found: Vec<String> = target
            .query(*here, &[])
            .await
            .expect(here)
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(found.len(), expected.len(), "{here}");
        assert!(found == expected, "{here}");
    }
}

/// The binary, started on the pair. Its output goes nowhere, so that it never waits for a reader.
fn start(pair: &Pair) -> tokio::process::Child {
    let mut command = Command::new(crate::support::cutover());
    command
        .args(["copy", "--json", "--batch-rows", "500", "--from"])
        .arg(&pair.file)
        .args(["--to", &pair.database.url]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).spawn().expect("the binary")
}

#[tokio::test]
async fn killed_at_any_moment_it_ends_as_if_it_had_not_been() {
    let kills: u32 = if std::env::var_os("CUTOVER_SOAK").is_some() {
        500
    } else {
        20
    };
    let seed = std::env::var("CUTOVER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| rand::rng().random());
    println!("CUTOVER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let pair = Pair::new(SOURCE, TARGET).await;
    let before = pair.text(DEFINITIONS).await;
    let (mut killed, mut ended) = (0, 0);
    while killed < kills || ended == 0 {
        let mut child = start(&pair);
        let moment = Duration::from_millis(if killed < kills {
            random.random_range(20..1200)
        } else {
            120_000
        });
        match tokio::time::timeout(moment, child.wait()).await {
            Err(_) => {
                child.kill().await.expect("kill -9");
                killed += 1;
                if killed % 50 == 0 {
                    println!("{killed} kills, {ended} arrivals");
                }
            }
            Ok(status) => {
                assert_eq!(status.expect("its end").code(), Some(0));
                ended += 1;
                assert_equal(&pair).await;
                assert_eq!(pair.text(DEFINITIONS).await, before);
                pair.execute(r#"TRUNCATE "Parents", "Children", "Pairs", "Bare""#)
                    .await;
            }
        }
    }
    assert!(ended >= 1, "{killed} kills");
}

#[tokio::test]
async fn a_lost_connection_is_taken_up_again() {
    let pair = Pair::new(SOURCE, TARGET).await;
    let before = pair.text(DEFINITIONS).await;
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let progress = |report: Progress| drop(sender.send(report));
    let options = Options {
        batch_rows: 500,
        ..Options::default()
    };
    let (cancel, transfer, endpoint) = (
        CancellationToken::new(),
        Transfer::default(),
        pair.endpoint(),
    );
    let importing = copy(
        &pair.file, &endpoint, "public", &transfer, &options, &progress, &cancel,
    );
    let cutting = async {
        let client = pair.client().await;
        let (mut cuts, mut retries) = (0, 0);
        while let Some(report) = receiver.recv().await {
            match report {
                Progress::Rows { .. } if cuts < 5 => {
                    cuts += 1;
                    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                               WHERE application_name LIKE 'cutover import%' AND datname = current_database() AND state <> 'idle'";
                    client.execute(cut, &[]).await.expect("the cut");
                }
                Progress::Retrying { .. } => retries += 1,
                Progress::Phase { phase: "sequences" } => break,
                _ => {}
            }
        }
        retries
    };
    let (copied, retries) = tokio::join!(importing, cutting);
    let copied = copied.expect("the import");
    assert!(retries > 0);
    assert_eq!(copied.rows, ROWS as u64);
    assert_equal(&pair).await;
    assert_eq!(pair.text(DEFINITIONS).await, before);
}

#[tokio::test]
async fn where_nobody_listens_it_says_so_without_trying_again() {
    let pair = Pair::new(SOURCE, "").await;
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = taken.local_addr().expect("its number").port();
    drop(taken);
    let url = format!("postgresql://somebody@127.0.0.1:{port}/nothing");
    let retried = std::sync::atomic::AtomicBool::new(false);
    let progress = |report: Progress| {
        if matches!(report, Progress::Retrying { .. }) {
            retried.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let refused = copy(
        &pair.file,
        &cutover::postgres::Endpoint::parse(&url).expect("a URL"),
        "public",
        &Transfer::default(),
        &Options::default(),
        &progress,
        &CancellationToken::new(),
    )
    .await;
    assert!(
        matches!(refused, Err(cutover::transfer::Error::Connect { .. })),
        "{refused:?}"
    );
    assert!(!retried.into_inner());
}

#[tokio::test]
async fn cancelled_it_stops_and_goes_on_later() {
    let pair = Pair::new(SOURCE, TARGET).await;
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        if matches!(report, Progress::Rows { .. }) {
            cancel.cancel();
        }
    };
    let options = Options {
        batch_rows: 500,
        ..Options::default()
    };
    let stopped = copy(
        &pair.file,
        &pair.endpoint(),
        "public",
        &Transfer::default(),
        &options,
        &stop,
        &cancel,
    )
    .await;
    assert!(
        matches!(stopped, Err(cutover::transfer::Error::Cancelled)),
        "{stopped:?}"
    );
    let copied = pair
        .copy_with(&Transfer::default(), &options)
        .await
        .expect("the rest");
    assert_eq!(copied.rows, ROWS as u64);
    assert_equal(&pair).await;
    let again = pair
        .copy_with(&Transfer::default(), &options)
        .await
        .expect("nothing left to do");
    assert_eq!(
        (again.rows, again.constraints_rebuilt),
        (copied.rows, copied.constraints_rebuilt)
    );
    assert_equal(&pair).await;
}
