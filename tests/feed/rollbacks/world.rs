//! The tables of the seeded rollbacks on both sides, the values that their columns hold on either, and a reading of both that shares no code
//! with the program.

use std::collections::BTreeMap;
use std::path::Path;

use rand::Rng;
use rand::rngs::StdRng;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::model::State;

/// A row as PostgreSQL writes it, NULL as `None`.
pub type Row = Vec<Option<String>>;
/// A value as PostgreSQL writes it, and as SQLite's `quote()` does.
type Pair = (&'static str, &'static str);

/// How SQLite holds what PostgreSQL has.
pub enum Form {
    Number,
    Text,
    /// One of these.
    Listed(&'static [Pair]),
}

pub struct Column {
    pub name: &'static str,
    pub form: Form,
}

pub struct Table {
    pub name: &'static str,
    /// So many of its columns are the key.
    pub key: usize,
    pub columns: &'static [Column],
}

pub const ACCOUNTS: usize = 0;
/// Its rows go with their account, and follow its key.
pub const ENTRIES: usize = 1;
pub const TAGS: usize = 2;
pub const KINDS: usize = 3;
pub const EVENTS: usize = 4;
/// It has no key on either side; no text comes twice.
pub const LOG: usize = 5;

const fn number(name: &'static str) -> Column {
    let form = Form::Number;
    Column { name, form }
}

const fn text(name: &'static str) -> Column {
    let form = Form::Text;
    Column { name, form }
}

const fn listed(name: &'static str, pairs: &'static [Pair]) -> Column {
    let form = Form::Listed(pairs);
    Column { name, form }
}

pub static TABLES: [Table; 6] = [
    Table {
        name: "Accounts",
        key: 1,
        columns: &[number("Id"), text("Name"), number("N")],
    },
    Table {
        name: "Entries",
        key: 2,
        columns: &[number("AccountId"), number("Line"), text("Body")],
    },
    Table {
        name: "Tags",
        key: 1,
        columns: &[text("Name"), number("Weight")],
    },
    Table {
        name: "Kinds",
        key: 1,
        columns: &[
            number("Id"),
            listed("Small", &[("1", "1"), ("-2", "-2"), ("32767", "32767")]),
            listed(
                "Big",
                &[
                    ("9007199254740993", "9007199254740993"),
                    ("-3", "-3"),
                    ("-9223372036854775807", "-9223372036854775807"),
                ],
            ),
            listed(
                "Price",
                &[
                    ("1.50", "'1.50'"),
                    ("-0.25", "'-0.25'"),
                    ("100.00", "'100.00'"),
                ],
            ),
            listed("Large", &[("7", "7"), ("18446744073709551615", "-1")]),
            listed(
                "Rate",
                &[
                    ("0.5", "0.5"),
                    ("1.5", "1.5"),
                    ("-2.75", "-2.75"),
                    ("0.1", "0.1"),
                ],
            ),
            listed("Single", &[("0.5", "0.5"), ("1.25", "1.25")]),
            listed("Flag", &[("t", "1"), ("f", "0")]),
            listed(
                "Name",
                &[
                    ("one", "'one'"),
                    ("it's \\ \"so\"", "'it''s \\ \"so\"'"),
                    ("", "''"),
                    ("Fünf 日本", "'Fünf 日本'"),
                ],
            ),
            listed("Code", &[("abcd", "'abcd'"), ("wxyz", "'wxyz'")]),
            listed(
                "Guid",
                &[
                    (
                        "a1b2c3d4-e5f6-4711-8899-aabbccddee01",
                        "'A1B2C3D4-E5F6-4711-8899-AABBCCDDEE01'",
                    ),
                    (
                        "a1b2c3d4-e5f6-4711-8899-aabbccddee02",
                        "'A1B2C3D4-E5F6-4711-8899-AABBCCDDEE02'",
                    ),
                ],
            ),
            listed(
                "Raw",
                &[
                    ("\\x00ff", "X'00FF'"),
                    ("\\x", "X''"),
                    ("\\x27225c", "X'27225C'"),
                ],
            ),
            listed(
                "Day",
                &[
                    ("2024-02-29", "'2024-02-29'"),
                    ("1999-12-31", "'1999-12-31'"),
                ],
            ),
            listed(
                "Clock",
                &[("01:02:03", "'01:02:03'"), ("23:59:59", "'23:59:59'")],
            ),
            listed(
                "At",
                &[
                    ("2024-02-29 12:34:56", "'2024-02-29 12:34:56'"),
                    ("1999-12-31 23:59:59.25", "'1999-12-31 23:59:59.25'"),
                ],
            ),
            listed(
                "Moment",
                &[
                    ("2024-02-29 12:34:56.5+00", "'2024-02-29 12:34:56.5'"),
                    ("1999-12-31 23:59:59+00", "'1999-12-31 23:59:59'"),
                ],
            ),
            listed(
                "Epoch",
                &[
                    ("2024-02-29 12:34:56+00", "1709210096"),
                    ("1970-01-01 00:00:00+00", "0"),
                    ("2025-01-01 00:00:00+00", "1735689600"),
                ],
            ),
            listed(
                "Span",
                &[
                    ("01:02:03", "'01:02:03'"),
                    ("1 day 02:03:04", "'1.02:03:04'"),
                ],
            ),
            listed(
                "Doc",
                &[
                    ("{\"a\": 1}", "'{\"a\":1}'"),
                    ("[]", "'[]'"),
                    ("[1, 2.50, null]", "'[1,2.50,null]'"),
                ],
            ),
            listed(
                "Plain",
                &[
                    ("{\"b\":2,\"a\":[1,2]}", "'{\"b\":2,\"a\":[1,2]}'"),
                    ("[]", "'[]'"),
                ],
            ),
            listed("Host", &[("10.0.0.1", "'10.0.0.1'"), ("::1", "'::1'")]),
            listed(
                "Net",
                &[
                    ("10.0.0.0/8", "'10.0.0.0/8'"),
                    ("192.168.0.0/16", "'192.168.0.0/16'"),
                ],
            ),
            listed("Mood", &[("calm", "'calm'"), ("wild", "'wild'")]),
            listed("Bits", &[("101", "'101'"), ("000", "'000'")]),
            listed("More", &[("10110", "'10110'"), ("1", "'1'")]),
            listed(
                "List",
                &[
                    ("{a,b}", "'[\"a\",\"b\"]'"),
                    ("{}", "'[]'"),
                    ("{\"b c\"}", "'[\"b c\"]'"),
                ],
            ),
            listed("Numbers", &[("{1,2}", "'[1,2]'"), ("{}", "'[]'")]),
            listed("Object", &[("26", "26"), ("0", "0")]),
        ],
    },
    Table {
        name: "Events",
        key: 1,
        columns: &[number("Id"), text("Body")],
    },
    Table {
        name: "Log",
        key: 1,
        columns: &[text("V")],
    },
];

pub const TRANSFER: &str =
    "zone: UTC\ncolumns: { Kinds.Epoch: { epoch: s }, Kinds.Large: { unsigned: wrap } }";

const SOURCE: &str = r#"
    CREATE TABLE Accounts (Id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, Name TEXT NOT NULL UNIQUE, N INTEGER);
    CREATE TABLE Entries (AccountId INTEGER NOT NULL REFERENCES Accounts (Id) ON DELETE CASCADE ON UPDATE CASCADE, Line INTEGER NOT NULL,
        Body TEXT, PRIMARY KEY (AccountId, Line));
    CREATE TABLE Tags (Name TEXT NOT NULL PRIMARY KEY, Weight INTEGER) WITHOUT ROWID;
    CREATE TABLE Kinds (Id INTEGER PRIMARY KEY, Small INTEGER, Big INTEGER, Price TEXT, Large INTEGER, Rate REAL, Single REAL, Flag INTEGER,
        Name TEXT, Code TEXT, Guid TEXT, Raw BLOB, Day TEXT, Clock TEXT, At TEXT, Moment TEXT, Epoch INTEGER, Span TEXT, Doc TEXT, Plain TEXT,
        Host TEXT, Net TEXT, Mood TEXT, Bits TEXT, More TEXT, List TEXT, Numbers TEXT, Object INTEGER);
    CREATE TABLE Events (Id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, Body TEXT);
    CREATE TABLE Log (V TEXT);
"#;

/// Made by the owner. The turn of a transaction that holds its locks says when it was committed among those that wanted the same rows.
pub const TARGET: &str = r#"
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE "Accounts" ("Id" integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "Name" text NOT NULL UNIQUE, "N" integer);
    CREATE TABLE "Entries" ("AccountId" integer REFERENCES "Accounts" ON DELETE CASCADE ON UPDATE CASCADE, "Line" integer, "Body" text,
        PRIMARY KEY ("AccountId", "Line"));
    CREATE TABLE "Tags" ("Name" text PRIMARY KEY, "Weight" integer);
    CREATE TABLE "Kinds" ("Id" integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "Small" smallint, "Big" bigint, "Price" numeric(12,2),
        "Large" numeric(20,0), "Rate" double precision, "Single" real, "Flag" boolean, "Name" varchar(40), "Code" char(4), "Guid" uuid,
        "Raw" bytea, "Day" date, "Clock" time, "At" timestamp, "Moment" timestamptz, "Epoch" timestamptz, "Span" interval, "Doc" jsonb,
        "Plain" json, "Host" inet, "Net" cidr, "Mood" mood, "Bits" bit(3), "More" varbit(8), "List" text[], "Numbers" integer[],
        "Object" oid);
    CREATE TABLE "Events" ("Id" bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, "Body" text);
    CREATE TABLE "Log" ("V" text);
    CREATE SCHEMA app;
    CREATE SEQUENCE app.turn;
"#;

/// Text between quotation marks, for either side.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A value for PostgreSQL's SQL.
pub fn sql(value: Option<&str>) -> String {
    value.map_or_else(|| "NULL".to_owned(), literal)
}

/// A value of a column, or NULL now and then.
pub fn any_value(column: &Column, rng: &mut StdRng) -> Option<&'static str> {
    match column.form {
        Form::Listed(pairs) if rng.random_bool(0.85) => {
            Some(pairs[rng.random_range(0..pairs.len())].0)
        }
        Form::Listed(_) => None,
        Form::Number | Form::Text => panic!("{}: any value will do", column.name),
    }
}

pub fn key_of(table: usize, row: &Row) -> Vec<String> {
    let key = row.iter().take(TABLES[table].key).cloned();
    key.map(|part| part.expect("a key")).collect()
}

/// What SQLite has at first. Every value that is listed occurs in it, so that their spellings are known.
pub fn first_rows(rng: &mut StdRng) -> State {
    let mut state = State::new();
    let mut put = |table: usize, row: Row| state.insert((table, key_of(table, &row)), row);
    for id in 1..=6_u32 {
        let n = rng.random_range(0..100_u32).to_string();
        put(
            ACCOUNTS,
            vec![Some(id.to_string()), Some(format!("it's {id}")), Some(n)],
        );
        for line in 0..rng.random_range(0..3_u32) {
            let body = Some(format!("line {line}"));
            put(
                ENTRIES,
                vec![Some(id.to_string()), Some(line.to_string()), body],
            );
        }
    }
    for n in 0..12_u32 {
        put(TAGS, vec![Some(tag(n)), Some(n.to_string())]);
        put(
            EVENTS,
            vec![Some((n + 1).to_string()), Some(format!("event {n}"))],
        );
    }
    for id in 0..4_usize {
        let values = TABLES[KINDS]
            .columns
            .iter()
            .skip(1)
            .map(|column| match column.form {
                Form::Listed(pairs) => Some(pairs[id % pairs.len()].0.to_owned()),
                Form::Number | Form::Text => None,
            });
        put(
            KINDS,
            std::iter::once(Some((id + 1).to_string()))
                .chain(values)
                .collect(),
        );
    }
    put(LOG, vec![Some("before".to_owned())]);
    state
}

/// A text that is a key.
pub fn tag(n: u32) -> String {
    match n % 4 {
        0 => format!("tag {n}"),
        1 => format!("it's \"{n}\""),
        2 => format!("{n}"),
        _ => format!("{{\\{n}, NULL}}"),
    }
}

pub fn source_sql(state: &State) -> String {
    let inserts = state.iter().map(|((table, _), row)| {
        format!(
            "INSERT INTO {} VALUES ({});",
            TABLES[*table].name,
            in_sqlite_form(*table, row)
        )
    });
    SOURCE.to_owned() + &inserts.collect::<String>()
}

/// A row as SQLite should have it, as SQL.
fn in_sqlite_form(table: usize, row: &Row) -> String {
    let columns = TABLES[table].columns.iter().zip(row);
    let values = columns.map(|(column, value)| match (&column.form, value) {
        (_, None) => "NULL".to_owned(),
        (Form::Number, Some(number)) => number.clone(),
        (Form::Text, Some(text)) => literal(text),
        (Form::Listed(pairs), Some(value)) => {
            let found = pairs.iter().find(|(there, _)| *there == value.as_str());
            let (_, here) = found.unwrap_or_else(|| panic!("{} is {value}", column.name));
            (*here).to_owned()
        }
    });
    values.collect::<Vec<_>>().join(", ")
}

/// What a query answered, every value as the server's text.
pub fn rows(messages: &[SimpleQueryMessage]) -> Vec<Row> {
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
            Some(values.collect())
        }
        _ => None,
    });
    rows.collect()
}

/// Whether PostgreSQL has exactly this.
pub async fn is_in_postgres(client: &Client, state: &State) -> Result<(), String> {
    let set = "SET TIME ZONE 'UTC'";
    client.batch_execute(set).await.expect(set);
    let mut found = Vec::new();
    for table in &TABLES {
        let select = format!("SELECT * FROM \"{}\"", table.name);
        let answered = client.simple_query(&select).await.expect("its rows");
        let rows = rows(&answered);
        found.extend(rows.iter().map(|row| format!("{}: {row:?}", table.name)));
    }
    let wanted = state.iter();
    let wanted = wanted.map(|((table, _), row)| format!("{}: {row:?}", TABLES[*table].name));
    same("PostgreSQL", &wanted.collect::<Vec<_>>(), &found)
}

/// Whether SQLite has exactly this, in the application's own spelling.
pub fn is_in_sqlite(file: &Path, state: &State) -> Result<(), String> {
    let connection = rusqlite::Connection::open(file).expect("the file");
    let mut found = Vec::new();
    for table in &TABLES {
        let quoted = table
            .columns
            .iter()
            .map(|column| format!("quote(\"{}\")", column.name));
        let quoted: Vec<String> = quoted.collect();
        let select = format!("SELECT {} FROM \"{}\"", quoted.join(", "), table.name);
        let mut statement = connection.prepare(&select).expect("a table");
        let lines = statement.query_map([], |row| {
            let values = (0..table.columns.len()).map(|at| row.get::<_, String>(at));
            let values = values.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(format!("{}: {}", table.name, values.join(", ")))
        });
        found.extend(lines.expect("rows").map(|line| line.expect("a row")));
    }
    let wanted = state.iter().map(|((table, _), row)| {
        format!("{}: {}", TABLES[*table].name, in_sqlite_form(*table, row))
    });
    same("SQLite", &wanted.collect::<Vec<_>>(), &found)
}

/// Each of these once, and nothing else.
fn same(whose: &str, wanted: &[String], found: &[String]) -> Result<(), String> {
    let (lacks, more) = (without(wanted, found), without(found, wanted));
    if lacks.is_empty() && more.is_empty() {
        return Ok(());
    }
    let shown = |lines: &[String]| {
        let first: Vec<&str> = lines.iter().take(4).map(String::as_str).collect();
        format!("{}:\n  {}", lines.len(), first.join("\n  "))
    };
    Err(format!(
        "{whose} lacks {}\nand has too many {}",
        shown(&lacks),
        shown(&more)
    ))
}

/// What is left where each of `gone` takes one away.
fn without(all: &[String], gone: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in gone {
        *counts.entry(line).or_default() += 1;
    }
    let mut left = Vec::new();
    for line in all {
        match counts.get_mut(line.as_str()) {
            Some(count) if *count > 0 => *count -= 1,
            _ => left.push(line.clone()),
        }
    }
    left
}
