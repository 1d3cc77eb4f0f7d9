//! What the corpus does not hold: whole tables, rights, keys that the source breaks, files and names of every kind.

use cutover::runbook::transfer::{ColumnPolicy, Pattern, TargetRows, Transfer};
use cutover::transfer::Error;
use cutover::transfer::copy::Options;
use cutover::transfer::plan::{Problem, RowKey};

use super::Pair;
use crate::support::client;

fn with(column: &str, settings: &[(&str, &str)]) -> Transfer {
    let mut policy = ColumnPolicy::default();
    for (key, value) in settings {
        policy.set(key, value).expect("a known setting");
    }
    Transfer {
        columns: vec![(Pattern::new(column), policy)],
        ..Transfer::default()
    }
}

fn rows(problems: &[Problem], table: &str) -> Vec<RowKey> {
    problems
        .iter()
        .filter(|problem| problem.table == table)
        .map(|problem| problem.rowid.clone())
        .collect()
}

async fn problems_of_copy(pair: &Pair, transfer: &Transfer) -> Vec<Problem> {
    match pair.copy(transfer).await {
        Err(Error::Problems(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

#[tokio::test]
async fn names_pair_across_conventions() {
    let pair = Pair::new(
        r#"CREATE TABLE "ToolContents" ("Id" INTEGER PRIMARY KEY, "ExternalId" TEXT, "HTMLBody" TEXT);
           INSERT INTO "ToolContents" VALUES (1, 'x', 'y');
           CREATE TABLE "LOUD" ("A" INTEGER); INSERT INTO "LOUD" VALUES (1);
           CREATE TABLE "Old" ("B" INTEGER); INSERT INTO "Old" VALUES (2);"#,
        r#"CREATE TABLE tool_contents (id bigint PRIMARY KEY, external_id text, html_body text);
           CREATE TABLE loud (a integer); CREATE TABLE fresh (c integer);"#,
    )
    .await;
    let mut transfer = Transfer::default();
    transfer.rename.insert("Old".to_owned(), "fresh".to_owned());
    transfer.rename.insert("Old.B".to_owned(), "c".to_owned());
    assert!(pair.plan(&transfer).await.problems.is_empty());
    assert_eq!(pair.copy(&transfer).await.expect("the import").rows, 3);
    pair.holds("SELECT html_body FROM tool_contents", "y").await;
    pair.holds("SELECT c::text FROM fresh", "2").await;
}

#[tokio::test]
async fn cycles_and_self_references_load() {
    let pair = Pair::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER); CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER, up INTEGER);
         INSERT INTO a VALUES (1, 2), (2, 1); INSERT INTO b VALUES (1, 1, 2), (2, 2, NULL);",
        "CREATE TABLE a (id integer PRIMARY KEY, b integer); CREATE TABLE b (id integer PRIMARY KEY, a integer REFERENCES a, up integer REFERENCES b);
         ALTER TABLE a ADD CONSTRAINT there FOREIGN KEY (b) REFERENCES b;",
    )
    .await;
    let copied = pair.copy(&Transfer::default()).await.expect("the import");
    assert_eq!((copied.rows, copied.constraints_rebuilt), (4, 3));
}

#[tokio::test]
async fn orphans_are_named_before_and_during() {
    let pair = Pair::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (10, 1), (11, 7), (12, NULL);",
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer CONSTRAINT fk REFERENCES p);",
    )
    .await;
    assert_eq!(
        rows(&pair.plan(&Transfer::default()).await.problems, "c"),
        [RowKey::Rowid(11)]
    );
    let Err(Error::Rebuild { name, why, .. }) = pair.copy(&Transfer::default()).await else {
        panic!("the orphan was let in")
    };
    assert_eq!(name, "fk");
    assert!(why.contains("(7)"), "{why}");
    let aside = with("c.p", &[("on_problem", "quarantine")]);
    let transfer = Transfer {
        target_rows: TargetRows::Replace,
        ..aside
    };
    let copied = pair
        .copy(&transfer)
        .await
        .expect("with the orphan put aside");
    assert_eq!(
        (copied.rows, copied.quarantined, copied.constraints_rebuilt),
        (3, 1, 1)
    );
    pair.holds(
        "SELECT content->>'p' FROM cutover.quarantine WHERE source_row = '11'",
        "7",
    )
    .await;
}

#[tokio::test]
async fn duplicates_under_the_targets_rules_are_named() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, price TEXT, code TEXT);
         INSERT INTO t VALUES (1, '1.0', 'ab'), (2, '1.00', 'AB'), (3, '2', 'c');",
        "CREATE TABLE t (id integer PRIMARY KEY, price numeric UNIQUE, code text); CREATE UNIQUE INDEX folded ON t (lower(code)) WHERE id > 0;",
    )
    .await;
    let plan = pair.plan(&Transfer::default()).await;
    // Both rules refuse it beside row 1; once the first one has, it is not asked any more.
    assert_eq!(rows(&plan.problems, "t"), [RowKey::Rowid(2)]);
    assert!(
        plan.problems
            .iter()
            .all(|problem| problem.reason.ends_with("as row 1")),
        "{:?}",
        plan.problems
    );
    let problems = problems_of_copy(&pair, &Transfer::default()).await;
    assert_eq!(rows(&problems, "t"), [RowKey::Rowid(2)], "{problems:?}");
}

#[tokio::test]
async fn a_failed_rebuild_names_the_rows_and_loses_no_definition() {
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)";
    let pair = Pair::new(
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t {many} SELECT i, CASE i WHEN 29999 THEN 'v5' ELSE 'v' || i END FROM n;"
        ),
        "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE UNIQUE INDEX ix ON t (v);",
    )
    .await;
    let Err(Error::Rebuild { why, .. }) = pair.copy(&Transfer::default()).await else {
        panic!("the duplicate was let in")
    };
    assert!(why.contains("29999 and 5"), "{why}");
    pair.holds(
        "SELECT state FROM cutover.definition WHERE name = 'ix'",
        "away",
    )
    .await;
    pair.execute("UPDATE t SET v = 'other' WHERE id = 29999")
        .await;
    let copied = pair
        .copy(&Transfer::default())
        .await
        .expect("after the row was mended");
    assert_eq!(copied.constraints_rebuilt, 2);
    let back = pair
        .text("SELECT indexdef FROM pg_indexes WHERE indexname = 'ix'")
        .await;
    assert_eq!(
        back.as_deref(),
        Some("CREATE UNIQUE INDEX ix ON public.t USING btree (v)")
    );
}

#[tokio::test]
async fn a_new_import_after_one_that_never_ended_takes_everything_away_again() {
    let pair = Pair::new(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER, v TEXT);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (10, 1, 'kept'), (11, 7, 'orphan');",
        "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer CONSTRAINT fk REFERENCES p, v text);
         CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'spoiled'; RETURN NEW; END $$;
         CREATE TRIGGER spoiling BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION spoil();",
    )
    .await;
    let Err(Error::Rebuild { .. }) = pair.copy(&Transfer::default()).await else {
        panic!("the orphan was let in")
    };
    let transfer = Transfer {
        target_rows: TargetRows::Replace,
        ..with("c.p", &[("on_problem", "quarantine")])
    };
    pair.copy(&transfer).await.expect("the import");
    pair.holds("SELECT string_agg(v, ',') FROM c", "kept").await;
    pair.holds(
        "SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'spoiling'",
        "O",
    )
    .await;
    pair.holds(
        "SELECT convalidated::text FROM pg_constraint WHERE conname = 'fk'",
        "true",
    )
    .await;
}

#[tokio::test]
async fn rows_in_the_target_are_refused_or_replaced() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);",
        "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (7); CREATE TABLE other (id integer); INSERT INTO other VALUES (1);",
    )
    .await;
    let problems = problems_of_copy(&pair, &Transfer::default()).await;
    assert_eq!(problems[0].policy.as_deref(), Some("target_rows: replace"));
    let transfer = Transfer {
        target_rows: TargetRows::Replace,
        ..Transfer::default()
    };
    let options = Options {
        discard: [("t".to_owned(), 1)].into(),
        ..Options::default()
    };
    pair.copy_with(&transfer, &options)
        .await
        .expect("the import");
    pair.holds("SELECT string_agg(id::text, ',') FROM t", "1")
        .await;
    assert_eq!(
        pair.text("SELECT count(*)::text FROM other")
            .await
            .as_deref(),
        Some("1"),
        "what is not planned is not emptied"
    );
}

#[tokio::test]
async fn sequences_work_for_the_next_insert() {
    let pair = Pair::new(
        "CREATE TABLE always (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO always VALUES (41), (42); DELETE FROM always WHERE id = 42;
         CREATE TABLE negative (id INTEGER PRIMARY KEY); INSERT INTO negative VALUES (-5);
         CREATE TABLE empty (id INTEGER PRIMARY KEY);
         CREATE TABLE down (id INTEGER PRIMARY KEY); INSERT INTO down VALUES (-3);
         CREATE TABLE full_up (id INTEGER PRIMARY KEY); INSERT INTO full_up VALUES (32767);",
        "CREATE TABLE always (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
         CREATE TABLE negative (id serial PRIMARY KEY); CREATE TABLE empty (id smallserial PRIMARY KEY);
         CREATE TABLE down (id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY -1) PRIMARY KEY);
         CREATE TABLE full_up (id smallserial PRIMARY KEY);",
    )
    .await;
    let copied = pair.copy(&Transfer::default()).await.expect("the import");
    for (table, next) in [
        ("always", "43"),
        ("negative", "1"),
        ("empty", "1"),
        ("down", "-4"),
    ] {
        let sql = format!("INSERT INTO {table} DEFAULT VALUES RETURNING id::text");
        assert_eq!(pair.text(&sql).await.as_deref(), Some(next), "{table}");
    }
    let unproven: Vec<&str> = copied
        .sequences
        .iter()
        .filter(|one| !one.proven)
        .map(|one| one.table.as_str())
        .collect();
    assert_eq!(unproven, ["full_up"]);
    assert_eq!(rows(&copied.problems, "full_up"), [RowKey::None]);
}

#[tokio::test]
async fn forced_row_security_is_lifted_and_comes_back() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);",
        "CREATE TABLE t (id integer PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY;
         CREATE POLICY nobody ON t USING (false);",
    )
    .await;
    assert_eq!(
        pair.copy(&Transfer::default())
            .await
            .expect("the import")
            .rows,
        2
    );
    pair.holds(
        "SELECT relforcerowsecurity::text FROM pg_class WHERE relname = 't'",
        "true",
    )
    .await;
}

#[tokio::test]
async fn partitions_receive_their_rows() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO t VALUES (1, '2024-01-01'), (2, '2025-01-01');",
        "CREATE TABLE t (id integer, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE t24 PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE t25 PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');",
    )
    .await;
    assert_eq!(
        pair.copy(&Transfer::default())
            .await
            .expect("the import")
            .rows,
        2
    );
    pair.holds("SELECT count(*)::text FROM t25", "1").await;
}

#[tokio::test]
async fn utf16_files_arrive_and_half_pairs_are_refused() {
    let pair = Pair::new(
        "PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         INSERT INTO t VALUES (1, 'é😀'), (2, CAST(x'3dd8' AS TEXT)), (3, NULL);",
        "CREATE TABLE t (id integer PRIMARY KEY, v text);",
    )
    .await;
    assert_eq!(
        rows(&pair.plan(&Transfer::default()).await.problems, "t"),
        [RowKey::Rowid(2)]
    );
    pair.copy(&with("t.v", &[("on_problem", "quarantine")]))
        .await
        .expect("the others");
    pair.holds("SELECT v FROM t WHERE id = 1", "é😀").await;
}

#[tokio::test]
async fn missing_rights_are_named_with_their_grant() {
    let pair = Pair::new("CREATE TABLE t (id INTEGER PRIMARY KEY);", "SELECT 1").await;
    let superuser = client(&pair.database.superuser_url).await;
    superuser
        .batch_execute(
            "CREATE TABLE public.t (id integer PRIMARY KEY); GRANT SELECT ON public.t TO PUBLIC",
        )
        .await
        .expect("a foreign table");
    let problems = problems_of_copy(&pair, &Transfer::default()).await;
    assert!(
        problems
            .iter()
            .any(|problem| problem.reason.contains("OWNER TO")),
        "{problems:?}"
    );
}

#[tokio::test]
async fn what_converts_in_other_classes() {
    let pair = Pair::new(
        r#"CREATE TABLE t (id INTEGER PRIMARY KEY, span TEXT, tags TEXT, bytes, julian REAL, ticks INTEGER, guid BLOB, net TEXT, bits TEXT, small TEXT);
           INSERT INTO t VALUES (1, '-1.02:03:04.5', '["a","b,\"c",null]', 'text', 2451544.5, 630822816000000000,
             x'd4c3b2a1f6e511478899aabbccddeeff', '10.0.0.0/8', '101', '2024-02-29 12:34:56.123');
           INSERT INTO t VALUES (2, '10:00:00', '[]', 7, NULL, NULL, NULL, NULL, NULL, NULL);
           INSERT INTO t VALUES (3, '10:00', '[1.5]', x'00', NULL, NULL, x'00', '10.0.0.1/8', '12', '2024-02-29 12:34:56.1234');"#,
        "CREATE TABLE t (id integer PRIMARY KEY, span interval, tags text[], bytes bytea, julian timestamptz, ticks timestamp, guid uuid,
           net cidr, bits bit(3), small timestamp(3));",
    )
    .await;
    let mut transfer = with("t.bytes", &[("bytes", "utf8")]);
    for (column, settings) in [
        ("t.julian", &[("epoch", "julian")][..]),
        ("t.ticks", &[("epoch", "ticks")]),
        ("t.guid", &[("guid_bytes", "dotnet")]),
        ("*", &[("on_problem", "null")]),
    ] {
        transfer.columns.extend(with(column, settings).columns);
    }
    let copied = pair.copy(&transfer).await.expect("the import");
    assert_eq!(
        copied.quarantined, 6,
        "every value of row 3 that does not fit"
    );
    for (sql, expected) in [
        (
            "SELECT span::text FROM t WHERE id = 1",
            "-1 days -02:03:04.5",
        ),
        (
            "SELECT tags::text FROM t WHERE id = 1",
            r#"{a,"b,\"c",NULL}"#,
        ),
        ("SELECT tags::text FROM t WHERE id = 2", "{}"),
        ("SELECT bytes::text FROM t WHERE id = 2", "\\x37"),
        (
            "SELECT (julian AT TIME ZONE 'UTC')::text FROM t WHERE id = 1",
            "2000-01-01 00:00:00",
        ),
        (
            "SELECT ticks::text FROM t WHERE id = 1",
            "2000-01-01 00:00:00",
        ),
        (
            "SELECT guid::text FROM t WHERE id = 1",
            "a1b2c3d4-e5f6-4711-8899-aabbccddeeff",
        ),
        ("SELECT net::text FROM t WHERE id = 1", "10.0.0.0/8"),
        ("SELECT bits::text FROM t WHERE id = 1", "101"),
        (
            "SELECT small::text FROM t WHERE id = 1",
            "2024-02-29 12:34:56.123",
        ),
    ] {
        pair.holds(sql, expected).await;
    }
    pair.holds(
        "SELECT num_nonnulls(span, tags, guid, net, bits, small)::text FROM t WHERE id = 3",
        "0",
    )
    .await;
}

#[tokio::test]
async fn large_values_go_in_pieces() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b BLOB, c TEXT); INSERT INTO t VALUES (1, 'x', zeroblob(5000000), 'y');
         UPDATE t SET a = replace(hex(b), '0', 'é'), c = hex(b);",
        "CREATE TABLE t (id integer PRIMARY KEY, a text, b bytea, c text);",
    )
    .await;
    pair.copy(&Transfer::default()).await.expect("the import");
    let lengths = pair
        .text("SELECT concat_ws(' ', length(a), octet_length(a), length(b), length(c)) FROM t")
        .await;
    assert_eq!(
        lengths.as_deref(),
        Some("10000000 20000000 5000000 10000000")
    );
    pair.holds("SELECT (a = repeat('é', 10000000))::text FROM t", "true")
        .await;
}

#[tokio::test]
async fn a_file_that_is_missing_is_not_made() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER);",
        "CREATE TABLE t (id integer)",
    )
    .await;
    std::fs::remove_file(&pair.file).expect("gone");
    assert!(matches!(
        pair.copy(&Transfer::default()).await,
        Err(Error::Source { .. })
    ));
    assert!(!pair.file.exists());
}
