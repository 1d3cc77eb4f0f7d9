//! What is written to PostgreSQL, read as it is written: after every kind of write the live file holds what a search of everything finds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutover::feed::capture;
use cutover::feed::live::{About, Begin};
use cutover::feed::{self, FeedState, Live, Reader, captured, run};
use cutover::journal::Folder;
use cutover::journal::files::{FEED, FEED_SHM, FEED_WAL};
use cutover::salvage::file::{About as AboutSalvage, Choice, Salvaged, Writer};
use cutover::salvage::{Error, Row, Sink, TableCost};
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::salvage::Night;
use crate::support::{assert_known_files, client, sqlite, until};

const SOURCE: &str = include_str!("../salvage/source.sql");
const TARGET: &str = include_str!("../salvage/target.sql");
const WRITES: &str = include_str!("../salvage/writes.sql");
const TRANSFER: &str = "zone: UTC\ncolumns: { Orders.At: { epoch: s }, Tools.Price: { scale: round }, Tools.Blob: { guid_bytes: dotnet } }";

const KINDS: &str = r#"
    CREATE TABLE Kinds (Id TEXT NOT NULL PRIMARY KEY, Small INTEGER, Big INTEGER, Price TEXT, Rate REAL, Flag INTEGER, Name TEXT, Day TEXT,
        At TEXT, Span TEXT, Doc TEXT, Raw BLOB, Mood TEXT, Tags TEXT, Host TEXT, Bits TEXT);
    INSERT INTO Kinds VALUES
        ('A1B2C3D4-E5F6-4711-8899-AABBCCDDEE01', 1, 9007199254740993, '1.50', 0.1, 1, 'one', '2024-02-29', '2024-02-29 12:34:56',
            '01:02:03', '{"a":1}', x'00ff', 'calm', '["a","b"]', '10.0.0.1', '101'),
        ('A1B2C3D4-E5F6-4711-8899-AABBCCDDEE02', NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL, NULL, x'', NULL, '[]', NULL, NULL),
        ('A1B2C3D4-E5F6-4711-8899-AABBCCDDEE03', -2, -3, '-0.25', 1e300, 0, 'it''s \ "so"', '1999-12-31', '1999-12-31 23:59:59', '00:00:01',
            '[]', x'01', 'wild', '["x"]', '::1', '000');
    CREATE TABLE Odd (Flag INTEGER NOT NULL, Code TEXT NOT NULL, Moment TEXT NOT NULL, N INTEGER, PRIMARY KEY (Flag, Code, Moment));
    INSERT INTO Odd VALUES (1, 'abcd', '2024-01-01 00:00:00', 1), (0, 'abcd', '2024-01-01 00:00:00', 2), (0, 'wxyz', '2024-06-01 12:00:00', 3);
"#;

const KINDS_TARGET: &str = r#"
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE "Kinds" ("Id" uuid PRIMARY KEY, "Small" smallint, "Big" bigint, "Price" numeric(12,2), "Rate" double precision, "Flag" boolean,
        "Name" varchar(40), "Day" date, "At" timestamp, "Span" interval, "Doc" jsonb, "Raw" bytea, "Mood" mood, "Tags" text[], "Host" inet,
        "Bits" bit(3));
    CREATE TABLE "Odd" ("Flag" boolean, "Code" char(4), "Moment" timestamptz, "N" integer, PRIMARY KEY ("Flag", "Code", "Moment"));
"#;

/// A night whose writes are noted.
struct Bench {
    night: Night,
    application: Client,
    folder: Folder,
    _root: tempfile::TempDir,
}

impl Bench {
    async fn new(source: &str, target: &str, transfer: &str) -> Self {
        let mut night = Night::import(source, target, transfer).await;
        let application = client(&night.database.url).await;
        let endpoint = night.endpoint();
        let tables = captured(&night.source, &endpoint, "public", &night.transfer).await;
        let tables = tables.expect("both schemas");
        capture::install(&application, "tonight", &tables)
            .await
            .expect("the capture");
        let snapshot = application.query_one("SELECT pg_current_snapshot()::text", &[]);
        night.snapshot = snapshot.await.expect("a snapshot").get(0);
        let root = tempfile::tempdir().expect("a folder");
        let folder = Folder::create(&root.path().join(".cutover"), "tonight");
        Self {
            night,
            application,
            folder: folder.expect("a session's folder"),
            _root: root,
        }
    }

    async fn write(&self, sql: &str) {
        write(&self.application, sql).await;
    }

    fn about(&self) -> About {
        About {
            session: "tonight".to_owned(),
            backup_sha256: "0".repeat(64),
            since: self.night.snapshot.clone(),
        }
    }

    fn live(&self, begin: Begin) -> Result<Live, feed::Error> {
        Live::open(&self.folder, &self.about(), begin)
    }

    async fn reader(&self, begin: Begin) -> Reader {
        let live = self.live(begin).expect("a live file");
        let cancel = CancellationToken::new();
        let reader = Reader::open(self.night.since(), &self.night.endpoint(), live, &cancel).await;
        reader.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Reads, and compares what is kept with what a search finds. How many rows there are.
    async fn alike(&self, reader: &mut Reader, what: &str) -> usize {
        let cancel = CancellationToken::new();
        let reading = reader.read(&cancel).await;
        let reading = reading.unwrap_or_else(|error| panic!("{what}: {error}"));
        let (told, kept) = reader.give(Rows::default()).await.expect("rows");
        let (costs, found) = self.night.search(self.night.since(), Rows::default()).await;
        assert_eq!(kept.sorted(), found.sorted(), "{what}");
        assert_eq!(reading.rows_kept, kept.0.len() as u64, "{what}");
        for cost in told.iter().filter(|cost| cost.lacks.is_none()) {
            let other = costs.iter().find(|other| other.table == cost.table);
            let counts = |cost: &TableCost| [cost.inserted, cost.changed, cost.deleted];
            assert_eq!(Some(counts(cost)), other.map(counts), "{what}: {cost:?}");
        }
        let again = reader.read(&cancel).await.expect("a read");
        assert_eq!((again.notes, again.rows), (0, 0), "{what}");
        kept.0.len()
    }
}

async fn write(application: &Client, sql: &str) {
    let written = application.batch_execute(sql).await;
    written.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// Every row that has a key, with all of its values.
#[derive(Debug, Default)]
struct Rows(Vec<String>);

impl Rows {
    fn sorted(&self) -> Vec<String> {
        let mut rows = self.0.clone();
        rows.sort();
        rows
    }
}

impl Sink for Rows {
    fn row(&mut self, row: &Row<'_>) -> Result<(), Error> {
        if !row.key.is_empty() {
            self.0.push(format!("{row:?}"));
        }
        Ok(())
    }

    fn table(&mut self, _: &TableCost) -> Result<(), Error> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_kind_of_write_the_file_holds_what_a_search_finds() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let mut reader = bench.reader(Begin::AtSwitch).await;
    assert_eq!(bench.alike(&mut reader, "nothing").await, 0);
    for sql in [
        WRITES,
        // A key changes, and one takes the place of another.
        r#"UPDATE "Tools" SET "Id" = "Id" + 100 WHERE "Id" IN (3, 4)"#,
        r#"UPDATE "Tools" SET "Id" = 3 WHERE "Id" = 104"#,
        // Deleted and made again: as it was, and otherwise.
        r#"BEGIN; DELETE FROM "Tags" WHERE "Name" = 'a'; INSERT INTO "Tags" VALUES ('a', 1, 1), ('a', 2, 7); COMMIT"#,
        // Unique values swapped.
        r#"BEGIN; UPDATE "Tools" SET "Slug" = '-' WHERE "Id" = 1; UPDATE "Tools" SET "Slug" = 'one' WHERE "Id" = 2;
           UPDATE "Tools" SET "Slug" = 'zwei' WHERE "Id" = 1; COMMIT"#,
        // Savepoints, one of them undone.
        r#"BEGIN; INSERT INTO "Orders" ("Id", "ToolId") VALUES (70, 1); SAVEPOINT a; UPDATE "Orders" SET "ToolId" = 2 WHERE "Id" = 1;
           DELETE FROM "Orders" WHERE "Id" = 70; ROLLBACK TO a; SAVEPOINT b; INSERT INTO "Orders" ("Id", "ToolId") VALUES (71, 1); RELEASE b; COMMIT"#,
        // Nothing at all.
        r#"BEGIN; DELETE FROM "Orders"; ROLLBACK"#,
        // By a foreign key.
        r#"DELETE FROM "Tools" WHERE "Id" = 2"#,
        // More keys than one statement asks for.
        r#"INSERT INTO "Tags" SELECT 'n''' || n, 1, n FROM generate_series(1, 2300) n"#,
        r#"UPDATE "Tags" SET "Weight" = -"Weight" WHERE "Weight" > 40"#,
        r#"DELETE FROM "Tags" WHERE "Weight" < -200"#,
        // All keys.
        r#"TRUNCATE "Tags""#,
        r#"INSERT INTO "Tags" VALUES ('a', 1, 1), ('z', 9, 9)"#,
        r#"BEGIN; TRUNCATE "Tags"; INSERT INTO "Tags" VALUES ('b', 1, 3), ('a', 2, 3); COMMIT"#,
        // As it was before the switch.
        r#"BEGIN; DELETE FROM "Tags"; INSERT INTO "Tags" VALUES ('a', 1, 1), ('a', 2, 2), ('b', 1, 3); COMMIT"#,
    ] {
        bench.write(sql).await;
        bench.alike(&mut reader, sql).await;
    }
    let (costs, _) = reader.give(Rows::default()).await.expect("rows");
    let lacking = costs.iter().filter(|cost| cost.lacks.is_some());
    let lacking: Vec<&str> = lacking.map(|cost| cost.table.as_str()).collect();
    assert_eq!(lacking, ["Notes"], "it has no key, and was written to");
    assert_known_files(&bench.folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_value_and_of_key() {
    let bench = Bench::new(KINDS, KINDS_TARGET, "zone: UTC").await;
    let mut reader = bench.reader(Begin::AtSwitch).await;
    for sql in [
        r#"INSERT INTO "Kinds" VALUES ('a1b2c3d4-e5f6-4711-8899-aabbccddee04', 7, 8, 9.99, 'NaN', true, 'Fünf \ ''5''', 'infinity', 'infinity',
            '1 mon 2 days 03:04:05.000006', '{"b": [1, 2.50, null]}', '\x27225c', 'wild', '{a,"b c",NULL,"NULL","\"\\"}', '10.0.0.0/8', '011')"#,
        r#"UPDATE "Kinds" SET "Small" = 2, "Big" = -9223372036854775808, "Price" = 100, "Rate" = 0.30000000000000004, "Flag" = false,
            "Day" = '2025-01-01', "At" = '2025-01-01 00:00:00.000001', "Span" = '1 day', "Doc" = '{"a": 1.0}', "Raw" = NULL, "Mood" = 'wild',
            "Tags" = '{}', "Host" = '10.0.0.2', "Bits" = '110' WHERE "Id" = 'a1b2c3d4-e5f6-4711-8899-aabbccddee01'"#,
        r#"UPDATE "Kinds" SET "Name" = repeat('long ', 8) WHERE "Id" = 'a1b2c3d4-e5f6-4711-8899-aabbccddee02'"#,
        r#"UPDATE "Kinds" SET "Raw" = decode(repeat('ab', 100000), 'hex') WHERE "Id" = 'a1b2c3d4-e5f6-4711-8899-aabbccddee02'"#,
        r#"DELETE FROM "Kinds" WHERE "Id" = 'a1b2c3d4-e5f6-4711-8899-aabbccddee03'"#,
        r#"UPDATE "Odd" SET "N" = 10 WHERE "Flag""#,
        r#"UPDATE "Odd" SET "Code" = 'a', "Moment" = '2024-01-01 00:00:00.5+05:30' WHERE "N" = 2"#,
        r#"SET TimeZone = 'Asia/Kolkata'; SET DateStyle = 'German'; SET extra_float_digits = -15; SET bytea_output = 'escape';
           UPDATE "Odd" SET "Moment" = "Moment" + interval '1 hour'; INSERT INTO "Odd" VALUES (true, 'q', '01.02.2024 03:04:05', 4)"#,
        r#"DELETE FROM "Odd" WHERE "Code" = 'wxyz'"#,
    ] {
        bench.write(sql).await;
        bench.alike(&mut reader, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_read_once_it_has() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let mut reader = bench.reader(Begin::AtSwitch).await;
    let late = client(&bench.night.database.url).await;
    let insert = |id: u32| format!("INSERT INTO \"Orders\" (\"Id\", \"ToolId\") VALUES ({id}, 1)");
    // Its transaction is older than all that are read before it.
    write(&late, &format!("BEGIN; {}", insert(50))).await;
    for id in 51..54 {
        bench.write(&insert(id)).await;
        let rows = bench.alike(&mut reader, "one is open").await;
        assert_eq!(rows, id as usize - 50);
    }
    write(&late, &format!("SAVEPOINT a; {}", insert(54))).await;
    assert_eq!(bench.alike(&mut reader, "still open").await, 3);
    write(&late, "COMMIT").await;
    assert_eq!(bench.alike(&mut reader, "it has ended").await, 5);
    write(&late, &format!("BEGIN; {}", insert(55))).await;
    bench.write(&insert(56)).await;
    bench.alike(&mut reader, "another is open").await;
    write(&late, "ROLLBACK").await;
    assert_eq!(bench.alike(&mut reader, "it was undone").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_reader_goes_on_where_the_file_ends() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let cancel = CancellationToken::new();
    let mut first = bench.reader(Begin::AtSwitch).await;
    bench.write(WRITES).await;
    let read = first.read(&cancel).await.expect("a read");
    assert_eq!(read.kept_snapshot, read.snapshot);
    let pruned = capture::prune(&bench.application, &read.kept_snapshot).await;
    assert_eq!(pruned.expect("the notes"), read.notes);
    drop(first);
    bench.write(r#"DELETE FROM "Orders" WHERE "Id" = 1; UPDATE "Tools" SET "Title" = 'Vier' WHERE "Id" = 4"#).await;
    let mut second = bench.reader(Begin::Later).await;
    let rows = bench.alike(&mut second, "another reader").await;
    assert!(rows > 5, "{rows}");

    // Without the file, and without the notes that were read, every table is read.
    let read = second.read(&cancel).await.expect("a read");
    capture::prune(&bench.application, &read.snapshot)
        .await
        .expect("the notes");
    drop(second);
    for row in [FEED, FEED_WAL, FEED_SHM] {
        let path = row.path(&bench.folder);
        if path.exists() {
            std::fs::remove_file(path).expect("gone");
        }
    }
    let mut third = bench.reader(Begin::Later).await;
    let (costs, _) = third.give(Rows::default()).await.expect("rows");
    assert!(costs.iter().all(|cost| cost.lacks.is_some()), "{costs:?}");
    third.read(&cancel).await.expect("a read");
    assert_eq!(bench.alike(&mut third, "no file").await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_salvage_file_is_made_of_it_without_postgresql() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let mut reader = bench.reader(Begin::AtSwitch).await;
    bench.write(WRITES).await;
    let rows = bench.alike(&mut reader, "the writes").await;
    let live = Live::open_read(&bench.folder).expect("beside who writes it");
    assert!(live.last_read().expect("a file").is_some());
    drop(live);
    drop(reader);
    let path = bench.night.folder.path().join("salvage.db");
    let about = AboutSalvage {
        session: "tonight".to_owned(),
        source: bench.night.source.clone(),
        backup: bench.night.source.clone(),
        backup_sha256: "0".repeat(64),
        snapshot: bench.night.snapshot.clone(),
        made: "2026-01-01T00:00:00Z".to_owned(),
    };
    let mut writer = Writer::create(&path, &about).expect("a writer");
    let live = Live::open_read(&bench.folder).expect("the file alone");
    live.give(&mut writer).expect("its rows");
    let salvaged = Salvaged::open(&writer.finish().expect("a file")).expect("a salvage file");
    let chosen = salvaged.chosen(&Choice::default()).expect("rows");
    assert_eq!(chosen.len(), rows);
    let tables = salvaged.tables().expect("tables");
    let lacking = tables.iter().filter(|table| table.lacks.is_some());
    assert_eq!(
        lacking.map(|t| t.table.as_str()).collect::<Vec<_>>(),
        ["Notes"]
    );
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).expect("a file")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_this_sessions_file_is_left_as_it_is() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    drop(bench.live(Begin::AtSwitch).expect("made"));
    let path: PathBuf = FEED.path(&bench.folder);
    let before = bytes(&path);
    let others = [
        About {
            session: "another".to_owned(),
            ..bench.about()
        },
        About {
            backup_sha256: "1".repeat(64),
            ..bench.about()
        },
    ];
    for about in others {
        let refused = Live::open(&bench.folder, &about, Begin::AtSwitch).map(drop);
        let refused = refused.expect_err("it is another's").to_string();
        says!(refused, "left as it is");
        assert_eq!(bytes(&path), before);
    }
    for damage in [
        b"no database, whatever its name says".to_vec(),
        before[..512].to_vec(),
    ] {
        std::fs::write(&path, &damage).expect("written");
        let refused = bench.live(Begin::Later).map(drop);
        let refused = refused.expect_err("it is broken").to_string();
        says!(refused, "feed.db");
        assert_eq!(bytes(&path), damage);
    }
    std::fs::write(&path, b"").expect("an engine ended in between");
    drop(bench.live(Begin::AtSwitch).expect("made after all"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_read_does_not_keep_the_others_from_it() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let cancel = CancellationToken::new();
    let mut reader = bench.reader(Begin::AtSwitch).await;
    bench
        .write(
            r#"ALTER TABLE "Orders" RENAME TO "Elsewhere"; UPDATE "Elsewhere" SET "ToolId" = 1;
               UPDATE "Tags" SET "Weight" = 5 WHERE "Name" = 'b'"#,
        )
        .await;
    let read = reader.read(&cancel).await.expect("a read");
    assert_eq!(read.rows_kept, 1);
    let [lacking] = read.lacks.as_slice() else {
        panic!("{:?}", read.lacks);
    };
    says!(lacking, "Orders: what was written since is not known");
    bench
        .write(r#"ALTER TABLE "Elsewhere" RENAME TO "Orders""#)
        .await;
    until("it is read again", async || {
        let read = reader.read(&cancel).await.expect("a read");
        read.lacks.is_empty()
    })
    .await;
    bench.alike(&mut reader, "all of them").await;
}

/// A rollback names the moment of the last read as the one until which it has everything: a file that cannot be written keeps nothing of a read.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_cannot_be_kept_whole_is_not_kept_at_all() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let cancel = CancellationToken::new();
    let mut reader = bench.reader(Begin::AtSwitch).await;
    bench.alike(&mut reader, "nothing").await;
    let before = reader.read(&cancel).await.expect("a read");
    let path = FEED.path(&bench.folder);
    let full = "CREATE TRIGGER full BEFORE INSERT ON feed_rows WHEN new.table_name = 'Tools' BEGIN SELECT RAISE(ABORT, 'no room'); END";
    drop(sqlite(&path, full));
    bench
        .write(
            r#"UPDATE "Tags" SET "Weight" = 5 WHERE "Name" = 'b'; UPDATE "Tools" SET "Title" = 'other' WHERE "Id" = 2"#,
        )
        .await;
    let failed = reader.read(&cancel).await.expect_err("it cannot be kept");
    says!(failed.to_string(), "no room");
    let live = Live::open_read(&bench.folder).expect("beside who writes it");
    let kept = (live.rows().expect("rows"), live.snapshot().expect("one"));
    assert_eq!(kept, (0, before.kept_snapshot));
    drop(live);
    drop(sqlite(&path, "DROP TRIGGER full"));
    assert_eq!(bench.alike(&mut reader, "there is room").await, 2);
}

/// What SQLite's column has no form for does not come back by itself: it is told while it is there, and no longer.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_rollback_would_leave_in_the_file_are_told() {
    let bench = Bench::new(
        "CREATE TABLE T (Id INTEGER PRIMARY KEY, At TEXT); INSERT INTO T VALUES (1, '2024-01-01 00:00:00')",
        r#"CREATE TABLE "T" ("Id" integer PRIMARY KEY, "At" timestamp)"#,
        "zone: UTC",
    )
    .await;
    let cancel = CancellationToken::new();
    let mut reader = bench.reader(Begin::AtSwitch).await;
    bench.write(r#"UPDATE "T" SET "At" = 'infinity'"#).await;
    let read = reader.read(&cancel).await.expect("a read");
    let tables: Vec<&str> = read.inexact.iter().map(|of| of.table.as_str()).collect();
    assert_eq!(tables, ["T"]);
    bench
        .write(r#"UPDATE "T" SET "At" = '2024-01-02 00:00:00'"#)
        .await;
    let read = reader.read(&cancel).await.expect("a read");
    assert_eq!((read.rows_kept, read.inexact.len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_goes_on_until_it_is_stopped_and_tells_what_is_lost() {
    let bench = Bench::new(SOURCE, TARGET, TRANSFER).await;
    let reader = bench.reader(Begin::AtSwitch).await;
    let (state, cancel) = (
        Arc::new(Mutex::new(FeedState::default())),
        CancellationToken::new(),
    );
    let told = Arc::clone(&state);
    let view = move |state: FeedState| *told.lock().expect("a state") = state;
    let feed = tokio::spawn(run(reader, Duration::from_millis(20), view, cancel.clone()));
    let now = || state.lock().expect("a state").clone();
    let insert = |id: u32| format!("INSERT INTO \"Orders\" (\"Id\", \"ToolId\") VALUES ({id}, 1)");
    bench.write(&insert(50)).await;
    until("a row is kept", async || now().rows_kept == 1).await;
    assert_eq!(now().lost, Vec::<String>::new());
    assert!(now().read_at_ms.is_some());
    until("what was read is pruned", async || {
        let notes = bench
            .application
            .query_one("SELECT count(*) FROM cutover.feed_notes", &[]);
        notes.await.expect("notes").get::<_, i64>(0) == 0
    })
    .await;

    // Its connections are cut; it comes back by itself.
    let own = bench
        .application
        .query_one("SELECT pg_backend_pid()", &[])
        .await;
    let own: i32 = own.expect("a number").get(0);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid NOT IN ($1, pg_backend_pid())";
    let superuser = client(&bench.night.database.superuser_url).await;
    superuser.query(cut, &[&own]).await.expect("cut");
    bench.write(&insert(51)).await;
    until("the next is kept", async || {
        now().rows_kept == 2 && now().unknown.is_none()
    })
    .await;

    bench
        .write(r#"ALTER TABLE "Orders" DISABLE TRIGGER USER"#)
        .await;
    until("it is told", async || {
        now().lost.iter().any(|lost| lost.contains("Orders"))
    })
    .await;
    cancel.cancel();
    let mut reader = feed.await.expect("no panic");
    bench.alike(&mut reader, "the last read").await;
}
