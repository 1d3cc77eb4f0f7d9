//! A fixture for each class of data that the torture corpus has no row of: exact arrival, or the refusal that names it.

use cutover::runbook::transfer::{ColumnPolicy, Pattern, TargetRows, Transfer, Zone};
use cutover::transfer::Error;
use cutover::transfer::copy::Options;
use cutover::transfer::plan::{Problem, RowKey};

use super::Pair;

fn with(settings: &[(&str, &str, &str)]) -> Transfer {
    let policy = |(column, key, value): &(&str, &str, &str)| {
        let mut policy = ColumnPolicy::default();
        policy.set(key, value).expect("a known setting");
        (Pattern::new(*column), policy)
    };
    Transfer {
        columns: settings.iter().map(policy).collect(),
        ..Transfer::default()
    }
}

fn rowids(problems: &[Problem]) -> Vec<i64> {
    let mut rowids: Vec<i64> = problems
        .iter()
        .filter_map(|problem| match problem.rowid {
            RowKey::Rowid(rowid) => Some(rowid),
            _ => None,
        })
        .collect();
    rowids.sort_unstable();
    rowids
}

async fn refused(pair: &Pair, transfer: &Transfer) -> Vec<Problem> {
    match pair.copy(transfer).await {
        Err(Error::Problems(problems)) => problems,
        other => panic!("expected problems, got {other:?}"),
    }
}

/// `c1 TYPE, c2 TYPE, …`
fn columns(count: usize, ty: &str) -> String {
    let columns: Vec<String> = (1..=count).map(|n| format!("c{n} {ty}")).collect();
    columns.join(", ")
}

#[tokio::test]
async fn as_many_columns_as_postgresql_has_arrive_and_one_more_is_refused() {
    let values = |count| {
        let values: Vec<String> = (1..=count).map(|n: usize| n.to_string()).collect();
        values.join(", ")
    };
    let pair = Pair::new(
        &format!(
            "CREATE TABLE wide ({}); INSERT INTO wide VALUES ({});
             CREATE TABLE wider ({}); INSERT INTO wider VALUES ({});",
            columns(1600, "INTEGER"),
            values(1600),
            columns(1601, "INTEGER"),
            values(1601)
        ),
        &format!(
            "CREATE TABLE wide ({}); CREATE TABLE wider ({})",
            columns(1600, "integer"),
            columns(1600, "integer")
        ),
    )
    .await;
    let problems = pair.plan(&Transfer::default()).await.problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(
        (problems[0].table.as_str(), problems[0].column.as_str()),
        ("wider", "c1601")
    );
    let transfer = Transfer {
        exclude: vec![Pattern::new("wider")],
        ..Transfer::default()
    };
    assert_eq!(pair.copy(&transfer).await.expect("the import").rows, 1);
    let sum: Vec<String> = (1..=1600).map(|n| format!("c{n}")).collect();
    pair.holds(
        &format!("SELECT ({})::text FROM wide", sum.join("+")),
        "1280800",
    )
    .await;
}

#[tokio::test]
async fn a_row_that_no_page_holds_is_named() {
    let many = |value: &str| vec![value; 1100].join(", ");
    let pair = Pair::new(
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, {}); INSERT INTO t VALUES (1, {}); INSERT INTO t VALUES (2, {});",
            columns(1100, "INTEGER"),
            many("NULL"),
            many("7")
        ),
        &format!(
            "CREATE TABLE t (id bigint PRIMARY KEY, {})",
            columns(1100, "bigint")
        ),
    )
    .await;
    let planned = pair.plan(&Transfer::default()).await.problems;
    assert_eq!(rowids(&planned), [2], "{planned:?}");
    let problems = refused(&pair, &Transfer::default()).await;
    assert_eq!(rowids(&problems), [2], "{problems:?}");
    let suggested = pair.plan(&Transfer::default()).await.suggested;
    let section = cutover::runbook::parse_transfer("suggested", &suggested).expect("a section");
    assert!(pair.plan(&section).await.problems.is_empty(), "{suggested}");
    let copied = pair.copy(&section).await.expect("the other row");
    assert_eq!((copied.rows, copied.quarantined), (1, 1));
}

#[tokio::test]
async fn an_index_key_that_is_too_long_is_named() {
    // Compressible, PostgreSQL takes it; random, it does not.
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         INSERT INTO t VALUES (1, printf('%.*c', 9000, 'x')), (2, hex(randomblob(4000))), (3, 'short');",
        "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE INDEX ix ON t (v);",
    )
    .await;
    let planned = pair.plan(&Transfer::default()).await.problems;
    assert_eq!(rowids(&planned), [2], "{planned:?}");
    let problems = refused(&pair, &Transfer::default()).await;
    assert_eq!(rowids(&problems), [2], "{problems:?}");
}

#[tokio::test]
async fn an_index_that_is_rebuilt_names_the_row_whose_key_is_too_long() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
           SELECT i, CASE i WHEN 777 THEN hex(randomblob(4000)) ELSE 'v' || i END FROM n;",
        "CREATE TABLE t (id integer PRIMARY KEY, v text); CREATE INDEX ix ON t (v);",
    )
    .await;
    let Err(Error::Rebuild { name, why, .. }) = pair.copy(&Transfer::default()).await else {
        panic!("the index took it")
    };
    assert_eq!(name, "ix");
    assert!(why.ends_with("the row is 777"), "{why}");

    let aside = Transfer {
        target_rows: TargetRows::Replace,
        ..with(&[("t.v", "on_problem", "quarantine")])
    };
    let copied = pair.copy(&aside).await.expect("the others");
    assert_eq!(
        (copied.rows, copied.quarantined, copied.constraints_rebuilt),
        (29_999, 1, 2)
    );
}

#[tokio::test]
async fn values_that_conversion_makes_equal_are_named() {
    let pair = Pair::new(
        "CREATE TABLE instants (id INTEGER PRIMARY KEY, at TEXT);
         INSERT INTO instants VALUES (1, '2024-01-01 00:00:00.1234561'), (2, '2024-01-01 00:00:00.1234569'), (3, '2024-01-01 00:00:00.1234570');
         CREATE TABLE padded (id INTEGER PRIMARY KEY, code TEXT);
         INSERT INTO padded VALUES (1, 'ab'), (2, 'abc'), (3, 'ab');
         CREATE TABLE folded (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
         INSERT INTO folded VALUES (1, 'straße'), (2, 'Ärger'), (3, 'ärger');",
        "CREATE COLLATION plain_letters (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE instants (id integer PRIMARY KEY, at timestamp UNIQUE);
         CREATE TABLE padded (id integer PRIMARY KEY, code char(4) UNIQUE);
         CREATE TABLE folded (id integer PRIMARY KEY, name text COLLATE plain_letters UNIQUE);",
    )
    .await;
    let transfer = with(&[
        ("instants.at", "fraction", "truncate"),
        ("padded.code", "char_padding", "pad"),
    ]);
    let problems = pair.plan(&transfer).await.problems;
    let named: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{named:?}");
    for (table, row, other) in [
        ("instants", 2, "as row 1"),
        ("padded", 3, "as row 1"),
        ("folded", 3, "as row 2"),
    ] {
        let found = problems.iter().any(|p| {
            p.table == table && p.rowid == RowKey::Rowid(row) && p.reason.ends_with(other)
        });
        assert!(found, "{table}: {named:?}");
    }
}

#[tokio::test]
async fn keys_sorted_by_another_locale_all_arrive_in_batches_of_one() {
    let pair = Pair::new(
        "CREATE TABLE t (k TEXT, n INTEGER, PRIMARY KEY (k, n)) WITHOUT ROWID;
         INSERT INTO t VALUES ('_', 1), ('A', 2), ('a', 3), ('é', 4), ('10', 5), ('9', 6), ('Z', 7), ('z', 8), ('', 9), (' a', 10), ('😀', 11);",
        "CREATE TABLE t (k text COLLATE \"en-x-icu\", n integer, PRIMARY KEY (k, n));",
    )
    .await;
    let options = Options {
        batch_rows: 1,
        ..Options::default()
    };
    let copied = pair
        .copy_with(&Transfer::default(), &options)
        .await
        .expect("the import");
    assert_eq!(copied.rows, 11);
    let kept = pair
        .text("SELECT string_agg(k || n, ',' ORDER BY n) FROM t")
        .await;
    assert_eq!(
        kept.as_deref(),
        Some("_1,A2,a3,é4,105,96,Z7,z8,9, a10,😀11")
    );
}

#[tokio::test]
async fn null_in_a_primary_key_is_refused() {
    let pair = Pair::new(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER); INSERT INTO t VALUES ('a', 1), (NULL, 2), (NULL, 3);",
        "CREATE TABLE t (k text PRIMARY KEY, v integer);",
    )
    .await;
    assert_eq!(
        rowids(&pair.plan(&Transfer::default()).await.problems),
        [2, 3]
    );
    let problems = refused(&pair, &Transfer::default()).await;
    assert_eq!(rowids(&problems), [2, 3]);
    assert!(problems.iter().all(|problem| problem.column == "k"));
}

#[tokio::test]
async fn foreign_keys_of_two_columns_and_to_a_unique_column_come_back() {
    let source = "CREATE TABLE p (a INTEGER, b INTEGER, code TEXT UNIQUE, PRIMARY KEY (a, b));
         CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, code TEXT,
           FOREIGN KEY (a, b) REFERENCES p (a, b), FOREIGN KEY (code) REFERENCES p (code));
         INSERT INTO p VALUES (1, 2, 'x'), (3, 4, 'y');
         INSERT INTO c VALUES (1, 1, 2, 'y'), (2, 3, NULL, NULL);";
    let target = "CREATE TABLE p (a integer, b integer, code text UNIQUE, PRIMARY KEY (a, b));
         CREATE TABLE c (id integer PRIMARY KEY, a integer, b integer, code text REFERENCES p (code), FOREIGN KEY (a, b) REFERENCES p (a, b));";
    let pair = Pair::new(source, target).await;
    assert!(
        pair.plan(&Transfer::default()).await.problems.is_empty(),
        "half a key refers to nothing"
    );
    let copied = pair.copy(&Transfer::default()).await.expect("the import");
    assert_eq!((copied.rows, copied.constraints_rebuilt), (4, 2));

    let orphans =
        "PRAGMA foreign_keys = OFF; INSERT INTO c VALUES (3, 1, 4, NULL), (4, NULL, NULL, 'z');";
    let pair = Pair::new(&format!("{source} {orphans}"), target).await;
    let problems = pair.plan(&Transfer::default()).await.problems;
    assert_eq!(rowids(&problems), [3, 4], "{problems:?}");
}

#[tokio::test]
async fn types_without_a_conversion_are_named_in_the_plan() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, cash TEXT, doc TEXT, span TEXT, grid TEXT, at TEXT);
         INSERT INTO t VALUES (1, '1.00', '<a/>', '[1,2)', '[[1]]', '10:00+00');",
        "CREATE TABLE t (id integer PRIMARY KEY, cash money, doc xml, span int4range, grid point, at timetz);",
    )
    .await;
    let problems = pair.plan(&Transfer::default()).await.problems;
    let mut named: Vec<&str> = problems.iter().map(|p| p.column.as_str()).collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, ["at", "cash", "doc", "grid", "span"], "{problems:?}");
}

#[tokio::test]
async fn rules_and_defaults_of_the_target_change_nothing_that_arrives() {
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'kept'), (2, NULL);",
        "CREATE TABLE t (id integer PRIMARY KEY, v text DEFAULT 'default', added integer NOT NULL DEFAULT 7);
         CREATE RULE swallow AS ON INSERT TO t DO INSTEAD NOTHING;",
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
        "SELECT string_agg(concat_ws('|', id, coalesce(v, 'null'), added), ' ' ORDER BY id) FROM t",
        "1|kept|7 2|null|7",
    )
    .await;
    pair.holds(
        "SELECT rulename::text FROM pg_rules WHERE tablename = 't'",
        "swallow",
    )
    .await;
}

#[tokio::test]
async fn the_ends_of_ranges_arrive_and_what_is_beyond_is_refused() {
    let digits = "9".repeat(1000);
    let pair = Pair::new(
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, o INTEGER, d TEXT, us INTEGER, g BLOB, f REAL);
             INSERT INTO t VALUES (1, 4294967295, '{digits}.5', 1709210096123456, x'a1b2c3d4e5f6471188 99aabbccddeeff', 5e-324);
             INSERT INTO t VALUES (2, 0, '-{digits}', -1, NULL, -0.0);
             INSERT INTO t VALUES (3, 4294967296, NULL, NULL, NULL, NULL), (4, -1, NULL, NULL, NULL, NULL);"
        )
        .replace("88 99", "8899"),
        "CREATE TABLE t (id integer PRIMARY KEY, o oid, d numeric, us timestamptz, g uuid, f double precision);",
    )
    .await;
    let mut transfer = with(&[("t.us", "epoch", "us"), ("t.g", "guid_bytes", "rfc4122")]);
    assert_eq!(rowids(&pair.plan(&transfer).await.problems), [3, 4]);
    transfer
        .columns
        .extend(with(&[("t.o", "on_problem", "quarantine")]).columns);
    pair.copy(&transfer).await.expect("the others");
    for (sql, expected) in [
        ("SELECT o::text FROM t WHERE id = 1", "4294967295"),
        (
            "SELECT d::text FROM t WHERE id = 1",
            &format!("{digits}.5")[..],
        ),
        ("SELECT d::text FROM t WHERE id = 2", &format!("-{digits}")),
        (
            "SELECT (us AT TIME ZONE 'UTC')::text FROM t WHERE id = 1",
            "2024-02-29 12:34:56.123456",
        ),
        (
            "SELECT (us AT TIME ZONE 'UTC')::text FROM t WHERE id = 2",
            "1969-12-31 23:59:59.999999",
        ),
        (
            "SELECT g::text FROM t WHERE id = 1",
            "a1b2c3d4-e5f6-4711-8899-aabbccddeeff",
        ),
        (
            "SELECT encode(float8send(f), 'hex') FROM t WHERE id = 1",
            "0000000000000001",
        ),
        (
            "SELECT encode(float8send(f), 'hex') FROM t WHERE id = 2",
            "0000000000000000",
        ),
    ] {
        pair.holds(sql, expected).await;
    }
}

#[tokio::test]
async fn instants_that_only_a_guess_could_read_are_refused() {
    let odd = [
        "2024-01-01 00:00:00 Europe/Berlin",
        "2024-01-01 00:00:00 CET",
        "01/02/2024",
        "2024-02-30 00:00:00Z",
        "0000-00-00 00:00:00",
        "2024-01-01 24:00:00Z",
        "2024-01-01 23:59:60Z",
        "-0001-01-01 00:00:00Z",
        "2024-W01-1",
        "20240101",
        "yesterday",
        "-infinity",
        "2024-01-01 00:00:00+25:00",
    ];
    let rows: Vec<String> = odd
        .iter()
        .enumerate()
        .map(|(place, text)| format!("({}, '{text}')", place + 2))
        .collect();
    let pair = Pair::new(
        &format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO t VALUES (1, '2024-01-01 00:00:00Z'); INSERT INTO t VALUES {};",
            rows.join(", ")
        ),
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz);",
    )
    .await;
    let mut transfer = with(&[
        ("t.at", "offset", "to_utc"),
        ("t.at", "midnight", "allow"),
        ("t.at", "far_years", "keep"),
    ]);
    transfer.zone = Some(Zone::UTC);
    let expected: Vec<i64> = (2..odd.len() as i64 + 2).collect();
    assert_eq!(rowids(&pair.plan(&transfer).await.problems), expected);
}

#[tokio::test]
async fn a_zone_with_daylight_saving_is_refused_by_name() {
    let Err(problems) = cutover::runbook::parse_transfer("transfer", "zone: Europe/Berlin\n")
    else {
        panic!("an hour of every autumn would have been guessed")
    };
    let said = cutover::runbook::render(&problems);
    assert!(said.contains("Europe/Berlin"), "{said}");
    let fixed =
        cutover::runbook::parse_transfer("transfer", "zone: '+02:00'\n").expect("an offset");
    let pair = Pair::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT); INSERT INTO t VALUES (1, '2024-10-27 02:30:00');",
        "CREATE TABLE t (id integer PRIMARY KEY, at timestamptz);",
    )
    .await;
    assert_eq!(
        rowids(&pair.plan(&Transfer::default()).await.problems),
        [1],
        "no zone is stated"
    );
    pair.copy(&fixed).await.expect("the import");
    pair.holds(
        "SELECT (at AT TIME ZONE 'UTC')::text FROM t",
        "2024-10-27 00:30:00",
    )
    .await;
}

#[tokio::test]
async fn names_with_control_characters_and_noncharacters_arrive_exactly() {
    let pair = Pair::new(
        "CREATE TABLE \"new\nline\" (\"tab\there\" INTEGER PRIMARY KEY, \"back\\slash\" TEXT);
         INSERT INTO \"new\nline\" VALUES (1, char(65534) || char(65535) || char(128512) || 'e' || char(769));",
        "CREATE TABLE \"new\nline\" (\"tab\there\" integer PRIMARY KEY, \"back\\slash\" text);
         CREATE INDEX \"in\ndex\" ON \"new\nline\" (\"back\\slash\");",
    )
    .await;
    pair.copy(&Transfer::default()).await.expect("the import");
    pair.holds(
        "SELECT encode(convert_to(\"back\\slash\", 'UTF8'), 'hex') FROM \"new\nline\"",
        "efbfbeefbfbff09f988065cc81",
    )
    .await;
}

#[tokio::test]
async fn json_that_postgresql_would_change_or_reject_is_refused() {
    let pair = Pair::new(
        r#"CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
           INSERT INTO t VALUES (1, '{"a":"\ud83d\ude00"}'), (2, '"\u0000"'), (3, '"\ud83d"'), (4, '{"a":1,"a":2}'), (5, '{a:1}'), (6, '[1,]'), (7, '1 2');"#,
        "CREATE TABLE t (id integer PRIMARY KEY, v jsonb);",
    )
    .await;
    assert_eq!(
        rowids(&pair.plan(&Transfer::default()).await.problems),
        [2, 3, 4, 5, 6, 7]
    );
    pair.copy(&with(&[("t.v", "on_problem", "quarantine")]))
        .await
        .expect("the first");
    pair.holds("SELECT v->>'a' FROM t", "😀").await;
}
