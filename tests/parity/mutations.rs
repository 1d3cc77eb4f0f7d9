//! Random single changes on either side of a loaded pair: every one found and named, and no false alarm in between.

use super::pair::Pair;
use cutover::parity::checks::Equal;
use cutover::parity::{self, Check, Kind, Options, Report, Sides, checks};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;

/// How many changes `make test` makes, and how many `make soak` does.
const CHANGES: [u32; 2] = [250, 10_000];

/// A change and what has to be said about it.
#[derive(Debug)]
struct Change {
    on_source: bool,
    sql: String,
    table: &'static str,
    said: Said,
}

#[derive(Debug)]
enum Said {
    /// So many rows of a kind, the first under this key, in this column.
    Rows {
        kind: Kind,
        rows: u64,
        key: Option<String>,
        column: Option<&'static str>,
    },
    /// A check whose name begins so.
    Check(&'static str),
}

/// A column that can be changed: how, in either dialect, so that the value is another one for certain.
struct Cell {
    table: &'static str,
    column: &'static str,
    source: &'static str,
    target: &'static str,
}

const CELLS: &[Cell] = &[
    Cell {
        table: "Tools",
        column: "Title",
        source: "\"Title\" || ' '",
        target: "\"Title\" || ' '",
    },
    Cell {
        table: "Tools",
        column: "Title",
        source: "upper(\"Title\")",
        target: "upper(\"Title\")",
    },
    Cell {
        table: "Tools",
        column: "Slug",
        source: "\"Slug\" || '-x'",
        target: "\"Slug\" || '-x'",
    },
    Cell {
        table: "Tools",
        column: "Body",
        source: "CASE WHEN \"Body\" IS NULL THEN '' END",
        target: "CASE WHEN \"Body\" IS NULL THEN '' END",
    },
    Cell {
        table: "Tools",
        column: "Published",
        source: "1 - \"Published\"",
        target: "NOT \"Published\"",
    },
    Cell {
        table: "Tools",
        column: "Price",
        source: "\"Price\" || '1'",
        target: "\"Price\" + 0.01",
    },
    Cell {
        table: "Tools",
        column: "Rating",
        source: "coalesce(\"Rating\" * (1 + 1e-15), 0)",
        target: "coalesce(\"Rating\" * (1 + 1e-15::float8), 0)",
    },
    Cell {
        table: "Tools",
        column: "ExternalId",
        source: "'F' || substr(\"ExternalId\", 2)",
        target: "('f' || substr(\"ExternalId\"::text, 2))::uuid",
    },
    Cell {
        table: "Tools",
        column: "CreatedAt",
        source: "'2001' || substr(\"CreatedAt\", 5, 23)",
        target: "\"CreatedAt\" + interval '1 microsecond'",
    },
    Cell {
        table: "Tools",
        column: "CreatedAt",
        source: "datetime(\"CreatedAt\", '+1 hour')",
        target: "\"CreatedAt\" + interval '1 hour'",
    },
    Cell {
        table: "Tools",
        column: "Day",
        source: "coalesce(date(\"Day\", '+1 day'), '2024-02-29')",
        target: "coalesce(\"Day\" + 1, '2024-02-29')",
    },
    Cell {
        table: "Tools",
        column: "Opens",
        source: "CASE WHEN \"Opens\" IS NULL THEN '00:00:00' END",
        target: "coalesce(\"Opens\" + interval '1 second', '00:00')",
    },
    Cell {
        table: "Tools",
        column: "Took",
        source: "CASE WHEN \"Took\" IS NULL THEN '00:00:00' ELSE '-' || \"Took\" END",
        target: "coalesce(-\"Took\", interval '0')",
    },
    Cell {
        table: "Tools",
        column: "Meta",
        source: "coalesce(json_set(\"Meta\", '$.n', -1), 'null')",
        target: "coalesce(\"Meta\" || '{\"n\": -1}', 'null')",
    },
    Cell {
        table: "Tools",
        column: "Payload",
        source: "CASE WHEN \"Payload\" IS NULL THEN x'' ELSE \"Payload\" || x'00' END",
        target: "coalesce(\"Payload\" || '\\x00', '')",
    },
    Cell {
        table: "Tools",
        column: "Code",
        source: "coalesce(\"Code\" || 'x', '')",
        target: "coalesce(trim(\"Code\") || 'x', '')",
    },
    Cell {
        table: "Tools",
        column: "CategoryId",
        source: "\"CategoryId\" % 12 + 1",
        target: "\"CategoryId\" % 12 + 1",
    },
    Cell {
        table: "Categories",
        column: "Name",
        source: "'ı'",
        target: "'ı'",
    },
    Cell {
        table: "Categories",
        column: "ParentId",
        source: "CASE WHEN \"ParentId\" IS NULL THEN 1 END",
        target: "CASE WHEN \"ParentId\" IS NULL THEN 1 END",
    },
    Cell {
        table: "ToolTags",
        column: "Weight",
        source: "\"Weight\" + 1",
        target: "\"Weight\" + 1",
    },
];

/// A row that can be named, by an order that both sides share.
fn row_of(random: &mut StdRng, table: &str) -> (String, String) {
    match table {
        "ToolTags" => {
            let tool = random.random_range(1..=200);
            let tag = format!("tag-{}", 1 + tool % 5);
            (
                format!("\"ToolId\" = {tool} AND \"Tag\" = '{tag}'"),
                format!("Tag='{tag}', ToolId={tool}"),
            )
        }
        _ => {
            let id = random.random_range(1..=if table == "Tools" { 200 } else { 12 });
            (format!("\"Id\" = {id}"), format!("Id={id}"))
        }
    }
}

fn change(random: &mut StdRng) -> Change {
    let on_source = random.random_bool(0.5);
    match random.random_range(0..10) {
        0..=4 => cell(random, on_source),
        5 => less(random, on_source),
        6 => more(random, on_source),
        7 => swapped(random, on_source),
        8 => keyless(random, on_source),
        _ => machinery(random),
    }
}

fn cell(random: &mut StdRng, on_source: bool) -> Change {
    let Cell {
        table,
        column,
        source,
        target,
    } = CELLS.choose(random).expect("there are some");
    let (condition, key) = row_of(random, table);
    let value = if on_source { source } else { target };
    let said = Said::Rows {
        kind: Kind::Different,
        rows: 1,
        key: Some(key),
        column: Some(column),
    };
    Change {
        on_source,
        sql: format!("UPDATE \"{table}\" SET \"{column}\" = {value} WHERE {condition}"),
        table,
        said,
    }
}

fn less(random: &mut StdRng, on_source: bool) -> Change {
    let table = ["Tools", "Categories", "ToolTags"]
        .choose(random)
        .expect("there are some");
    let (condition, key) = row_of(random, table);
    let kind = if on_source {
        Kind::Extra
    } else {
        Kind::Missing
    };
    let said = Said::Rows {
        kind,
        rows: 1,
        key: Some(key),
        column: None,
    };
    Change {
        on_source,
        sql: format!("DELETE FROM \"{table}\" WHERE {condition}"),
        table,
        said,
    }
}

fn more(random: &mut StdRng, on_source: bool) -> Change {
    let id = random.random_range(1000..9000);
    let kind = if on_source {
        Kind::Missing
    } else {
        Kind::Extra
    };
    let (table, sql, key) = match random.random_range(0..2) {
        0 => (
            "Categories",
            format!("INSERT INTO \"Categories\" VALUES ({id}, 'new-{id}', 'New', NULL)"),
            format!("Id={id}"),
        ),
        _ => (
            "ToolTags",
            format!("INSERT INTO \"ToolTags\" VALUES ({id}, 'new', 1)"),
            format!("Tag='new', ToolId={id}"),
        ),
    };
    Change {
        on_source,
        sql,
        table,
        said: Said::Rows {
            kind,
            rows: 1,
            key: Some(key),
            column: None,
        },
    }
}

/// Two rows whose titles change places: sums over a column stay what they were.
fn swapped(random: &mut StdRng, on_source: bool) -> Change {
    let (a, b) = (random.random_range(1..=100), random.random_range(101..=200));
    let sql = format!(
        "UPDATE \"Tools\" SET \"Title\" = CASE \"Id\" WHEN {a} THEN (SELECT \"Title\" FROM pristine.\"Tools\" WHERE \"Id\" = {b})
            ELSE (SELECT \"Title\" FROM pristine.\"Tools\" WHERE \"Id\" = {a}) END WHERE \"Id\" IN ({a}, {b})"
    );
    let said = Said::Rows {
        kind: Kind::Different,
        rows: 2,
        key: Some(format!("Id={a}")),
        column: Some("Title"),
    };
    Change {
        on_source,
        sql,
        table: "Tools",
        said,
    }
}

/// A row of a table that has no key, among others just like it.
fn keyless(random: &mut StdRng, on_source: bool) -> Change {
    let address = if on_source { "rowid" } else { "ctid" };
    let line = if random.random_bool(0.5) {
        "same line".to_owned()
    } else {
        format!("line {}", random.random_range(1..=30))
    };
    let sql = format!(
        "DELETE FROM \"Log\" WHERE {address} = (SELECT {address} FROM \"Log\" WHERE \"Line\" = '{line}' LIMIT 1)"
    );
    let kind = if on_source {
        Kind::Extra
    } else {
        Kind::Missing
    };
    Change {
        on_source,
        sql,
        table: "Log",
        said: Said::Rows {
            kind,
            rows: 1,
            key: None,
            column: None,
        },
    }
}

/// What is no row: a sequence, a trigger.
fn machinery(random: &mut StdRng) -> Change {
    match random.random_range(0..3) {
        0 => {
            let behind = random.random_range(1..200);
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('public.\"Tools\"', 'Id'), {behind})"
            );
            Change {
                on_source: false,
                sql,
                table: "Tools",
                said: Said::Check("sequence of Tools.Id"),
            }
        }
        1 => {
            let ahead = random.random_range(201..999);
            let sql = format!("UPDATE sqlite_sequence SET seq = {ahead} WHERE name = 'Tools'");
            Change {
                on_source: true,
                sql,
                table: "Tools",
                said: Said::Check("sequence of Tools.Id"),
            }
        }
        _ => {
            let sql = "ALTER TABLE \"Tools\" DISABLE TRIGGER stamp".to_owned();
            Change {
                on_source: false,
                sql,
                table: "Tools",
                said: Said::Check("triggers enabled"),
            }
        }
    }
}

/// The pair, an untouched copy of both sides to undo changes from, and a client that no foreign key stops.
struct Bench {
    _pair: Pair,
    source: rusqlite::Connection,
    target: tokio_postgres::Client,
    sides: Sides,
}

const TABLES: [&str; 4] = ["Categories", "Tools", "ToolTags", "Log"];

impl Bench {
    async fn new() -> Self {
        let pair = Pair::load().await;
        pair.on_target(
            "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER stamp BEFORE UPDATE ON \"Tools\" FOR EACH ROW EXECUTE FUNCTION stamp(); CREATE SCHEMA pristine;",
        )
        .await;
        let source = rusqlite::Connection::open(&pair.source).expect("the file");
        source.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY; ATTACH ':memory:' AS pristine").expect("a copy");
        for table in TABLES {
            pair.on_target(&format!(
                "CREATE TABLE pristine.\"{table}\" AS TABLE public.\"{table}\""
            ))
            .await;
            source
                .execute_batch(&format!(
                    "CREATE TABLE pristine.\"{table}\" AS SELECT * FROM main.\"{table}\""
                ))
                .expect("a copy");
        }
        let superuser =
            cutover::postgres::Endpoint::parse(&pair.database.superuser_url).expect("a URL");
        let target = superuser.connect().await.expect("a connection");
        target
            .batch_execute("SET session_replication_role = replica; SET timezone = 'UTC'")
            .await
            .expect("a setting");
        let sides = pair.sides().await;
        Self {
            _pair: pair,
            source,
            target,
            sides,
        }
    }

    async fn make(&self, change: &Change) {
        if change.on_source {
            self.source
                .execute_batch(&change.sql)
                .unwrap_or_else(|e| panic!("{change:?}: {e}"));
        } else {
            self.target
                .batch_execute(&change.sql)
                .await
                .unwrap_or_else(|e| panic!("{change:?}: {e}"));
        }
    }

    async fn undo(&self, change: &Change) {
        let table = change.table;
        if change.on_source {
            let sql = format!(
                "DELETE FROM main.\"{table}\"; INSERT INTO main.\"{table}\" SELECT * FROM pristine.\"{table}\" ORDER BY rowid;
                 UPDATE sqlite_sequence SET seq = CASE name WHEN 'Tools' THEN 200 ELSE 12 END"
            );
            self.source.execute_batch(&sql).expect("undone");
        } else {
            let sql = format!(
                "DELETE FROM public.\"{table}\"; INSERT INTO public.\"{table}\" SELECT * FROM pristine.\"{table}\";
                 SELECT setval(pg_get_serial_sequence('public.\"Tools\"', 'Id'), 200); ALTER TABLE \"Tools\" ENABLE TRIGGER stamp"
            );
            self.target.batch_execute(&sql).await.expect("undone");
        }
    }

    /// All rows, and the checks that a change may concern; all of them for `every`.
    async fn verify(&mut self, every: bool, machinery: bool) -> (Report, Vec<Check>) {
        self.sides.renew().await.expect("the present moment");
        let options = Options {
            lanes: 1,
            ..Options::default()
        };
        let report = parity::tables(&self.sides, &options, &|_| (), &CancellationToken::new())
            .await
            .expect("a report");
        (report, self.checks(every, machinery).await)
    }

    async fn checks(&self, every: bool, machinery: bool) -> Vec<Check> {
        let sides = &self.sides;
        match (every, machinery) {
            (true, _) => checks::all(sides, &Equal::default()).await.expect("checks"),
            (_, true) => {
                let mut found = checks::sequences(sides, "V5").await.expect("sequences");
                found.extend(checks::integrity(sides, "V5").await.expect("integrity"));
                found
            }
            _ => Vec::new(),
        }
    }
}

/// What is wrong with the verdict on a change; nothing if it was found and named, and nothing else was.
fn complaint(change: &Change, report: &Report, checks: &[Check]) -> Option<String> {
    let differing: Vec<_> = report
        .tables
        .iter()
        .filter(|table| !table.is_equal())
        .collect();
    match &change.said {
        Said::Check(name) => {
            let red: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
            let named = matches!(red.as_slice(), [only] if only.name.starts_with(name));
            (!named || !report.equal).then(|| format!("expected {name} alone to be red: {red:#?}"))
        }
        Said::Rows {
            kind,
            rows,
            key,
            column,
        } => {
            let [table] = differing.as_slice() else {
                return Some(format!("expected one table to differ: {differing:#?}"));
            };
            let counted = (table.missing, table.extra, table.different);
            let expected = match kind {
                Kind::Missing => (*rows, 0, 0),
                Kind::Extra => (0, *rows, 0),
                Kind::Different => (0, 0, *rows),
            };
            let first = table.examples.first();
            let named = first.is_some_and(|first| {
                first.kind == *kind
                    && key.as_ref().is_none_or(|key| first.key == *key)
                    && column.is_none_or(|column| first.column == column)
            });
            let right = table.table == change.table && counted == expected && named;
            (!right).then(|| {
                format!(
                    "expected {expected:?} under {key:?} in {}: {table:#?}",
                    change.table
                )
            })
        }
    }
}

#[tokio::test]
async fn every_single_change_is_found_and_named() {
    let seed = std::env::var("CUTOVER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_240_229);
    let changes = CHANGES[usize::from(std::env::var_os("CUTOVER_SOAK").is_some())];
    println!("CUTOVER_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut bench = Bench::new().await;
    for n in 0..changes {
        let change = change(&mut random);
        bench.make(&change).await;
        let (report, checks) = bench
            .verify(false, matches!(change.said, Said::Check(_)))
            .await;
        if let Some(complaint) = complaint(&change, &report, &checks) {
            panic!("seed {seed}, change {n}: {change:#?}\n{complaint}");
        }
        bench.undo(&change).await;
        if n % 100 == 0 {
            let (report, checks) = bench.verify(true, true).await;
            let red: Vec<_> = checks.iter().filter(|check| !check.ok).collect();
            assert!(
                report.equal && red.is_empty(),
                "seed {seed}, after change {n}, a false alarm: {report:#?} {red:#?}"
            );
        }
        if (n + 1) % 1_000 == 0 {
            println!("{} changes, each found and named", n + 1);
        }
    }
}
