//! What the scenarios of the sandbox share: one to stand in, and the sample data on the target without `cutover`'s own import.

use std::time::Duration;

use cutover::demo::control::{self, Request};
use cutover::demo::sample::{Script, migration_script};
use cutover::demo::sandbox::{Options, Sandbox};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use serde_json::Value;
use tokio_postgres::{Client, NoTls};

use crate::support;

/// A sandbox of 500 rows, and what it takes to use it.
pub struct Bench {
    pub sandbox: Sandbox,
    pub http: reqwest::Client,
}

impl Bench {
    pub fn start(instances: u32, rate: u32) -> Self {
        let options = Options {
            rows: 500,
            instances,
            rate,
            seed: 7,
            ..Options::small(support::cutover())
        };
        let sandbox = Sandbox::start(options).expect("a sandbox");
        Self {
            sandbox,
            http: support::http(),
        }
    }

    /// A variable of the runbook.
    pub fn variable(&self, name: &str) -> String {
        self.sandbox
            .environment()
            .expect("an environment")
            .remove(name)
            .unwrap_or_else(|| panic!("no {name}"))
    }

    pub fn ask(&self, request: &Request) -> Value {
        control::ask(self.sandbox.dir(), request).expect("an answer")
    }

    pub async fn get(&self, url: String) -> reqwest::Response {
        self.http
            .get(&url)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// What an instance says when asked whether it is ready; its status, 0 where it does not answer.
    pub async fn ready(&self, instance: &str) -> (u16, Value) {
        let url = format!("{}/ready", self.variable(instance));
        match self.http.get(url).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.json().await.expect("JSON")),
            Err(_) => (0, Value::Null),
        }
    }

    pub async fn wait_for(&self, instance: &str, status: u16, provider: &str) {
        support::until(
            &format!("{instance} answers {status} from {provider}"),
            async || {
                let (answered, body) = self.ready(instance).await;
                answered == status && body["provider"] == provider
            },
        )
        .await;
    }

    /// Points an instance at another database and restarts it.
    pub async fn switch(&self, name: &str, provider: &str) {
        let path = self.sandbox.layout().instance_config(name);
        let text = std::fs::read_to_string(&path).expect("a configuration");
        let other = if provider == "Postgres" {
            "Sqlite"
        } else {
            "Postgres"
        };
        let text = text.replace(
            &format!("DatabaseProvider={other}"),
            &format!("DatabaseProvider={provider}"),
        );
        std::fs::write(&path, text).expect("written");
        self.ask(&Request::Restart {
            name: name.to_string(),
            now: false,
        });
    }

    /// The target for the superuser.
    pub async fn target(&self) -> Client {
        connect(&self.sandbox.state().expect("a state").damage_url).await
    }

    /// Runs the migrations as the owner and brings every row over, the seventh digit of a second cut off.
    pub async fn load_target(&self) {
        let client = connect(&self.variable("TARGET_URL")).await;
        client
            .batch_execute(&migration_script(Script::Good))
            .await
            .expect("migrations");
        let source = Connection::open(self.sandbox.layout().live()).expect("the live file");
        for table in TABLES {
            copy(&source, &client, table).await;
        }
    }
}

const TABLES: [&str; 7] = [
    "ToolCategories",
    "ToolContents",
    "ToolFeatures",
    "ToolSteps",
    "Tags",
    "ToolContentTags",
    "ToolContentRelations",
];

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    client
}

async fn copy(source: &Connection, target: &Client, table: &str) {
    let sql = "SELECT column_name::text, udt_name::text FROM information_schema.columns WHERE table_name = $1 ORDER BY ordinal_position";
    let columns: Vec<(String, String)> = target
        .query(sql, &[&table])
        .await
        .expect("columns")
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let names: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let names = names.join(",");
    let values: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(n, (_, kind))| format!("${}::text::{kind}", n + 1))
        .collect();
    let insert = format!(
        "INSERT INTO \"{table}\" ({names}) VALUES ({})",
        values.join(",")
    );
    let insert = target.prepare(&insert).await.expect("an insert");
    let rows = {
        let mut select = source
            .prepare(&format!("SELECT {names} FROM \"{table}\""))
            .expect("a select");
        let read = |row: &rusqlite::Row<'_>| {
            (0..columns.len())
                .map(|n| Ok(text(row.get_ref(n)?, &columns[n].1)))
                .collect()
        };
        select
            .query_map([], read)
            .expect("rows")
            .collect::<Result<Vec<Vec<Option<String>>>, _>>()
            .expect("rows")
    };
    for row in rows {
        let values: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> =
            row.iter().map(|value| value as _).collect();
        target.execute(&insert, &values).await.expect("a row");
    }
    if columns[0].0 == "Id" {
        let align = format!(
            "SELECT setval(pg_get_serial_sequence('\"{table}\"', 'Id'), max(\"Id\")) FROM \"{table}\""
        );
        target.batch_execute(&align).await.expect("a sequence");
    }
}

fn text(value: ValueRef<'_>, kind: &str) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Blob(bytes) => Some(format!(
            "\\x{}",
            bytes
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        )),
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).expect("UTF-8");
            Some(if kind == "timestamptz" {
                format!("{}Z", &text[..26])
            } else {
                text.to_string()
            })
        }
    }
}

/// The lines of a file as JSON; none where there is no file. One that somebody is still writing is not among them.
pub fn json_lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect()
}

/// How long an answer took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = std::time::Instant::now();
    (work.await, began.elapsed())
}
