//! What the migrations left behind: the history (`C2`, `T2b`) and the schema that must be there (`T2c`). Asks only.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Error, Finding, quoted};
use crate::text::printable;

/// Where a framework writes down which migrations it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryTable {
    pub schema: String,
    /// EF Core: `__EFMigrationsHistory`; Django: `django_migrations`.
    pub table: String,
    /// EF Core: `MigrationId`; Django: `name`.
    pub column: String,
    /// Django: `app`, within which a name is unique; ids are then `app.name`.
    pub within: Option<String>,
}

/// What must exist after the migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredSchema {
    /// Table names.
    pub tables: Vec<String>,
    pub columns: Vec<(String, String)>,
    /// Index names; each must also be valid.
    pub indexes: Vec<String>,
}

/// Checks that the history holds every expected id. One finding for the table, then one per id.
pub async fn history(
    client: &Client,
    history: &HistoryTable,
    expected: &[String],
) -> Result<Vec<Finding>, Error> {
    let doing = "read the migration history";
    let fail = |error| Error::of_statement(doing, &error);
    let exists = "SELECT EXISTS (SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
                    JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = $3 AND NOT a.attisdropped)";
    let place_of = |column: &String| {
        format!(
            "{}.{}.{}",
            quoted(&history.schema),
            quoted(&history.table),
            quoted(column)
        )
    };
    for column in history.within.iter().chain([&history.column]) {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&history.schema, &history.table, column];
        let asked = client.query_one(exists, &parameters).await;
        let exists: bool = asked.map_err(fail)?.get(0);
        if !exists {
            let place = place_of(column);
            let detail = format!(
                "there is no {place}: the migrations have not run here, or record themselves elsewhere"
            );
            return Ok(vec![Finding::required(
                "migration history",
                false,
                printable(&detail, 300),
            )]);
        }
    }
    let place = place_of(&history.column);
    let applied = applied(client, history).await?;
    let applied: HashSet<&str> = applied.iter().map(String::as_str).collect();
    let mut findings = vec![Finding::required(
        "migration history",
        true,
        printable(&format!("{} in {place}", applied.len()), 300),
    )];
    let absent = printable(
        &format!(
            "not among the {} in {place}: not run, or called otherwise there",
            applied.len()
        ),
        300,
    );
    findings.extend(expected.iter().map(|id| {
        let found = applied.contains(id.as_str());
        let detail = if found { "applied" } else { absent.as_str() };
        Finding::required(format!("migration {}", printable(id, 150)), found, detail)
    }));
    Ok(findings)
}

/// The ids that the history holds, as a runbook's `expected` names them, in the order of the names. The table has to be there.
pub async fn applied(client: &Client, history: &HistoryTable) -> Result<Vec<String>, Error> {
    let column = quoted(&history.column);
    // As text, whatever the columns' types.
    let id = match &history.within {
        Some(within) => format!("{}::text || '.' || {column}::text", quoted(within)),
        None => format!("{column}::text"),
    };
    let query = format!(
        "SELECT {id} AS id FROM {}.{} ORDER BY 1",
        quoted(&history.schema),
        quoted(&history.table)
    );
    let answer = client.simple_query(&query).await;
    let answer =
        answer.map_err(|error| Error::of_statement("read the migration history", &error))?;
    let ids = answer.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Ok(ids.collect())
}

/// The tables of a schema with their columns.
pub async fn tables(client: &Client, schema: &str) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let fail = |error| Error::of_statement("look at the target's tables", &error);
    let sql = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'f') ORDER BY c.relname, a.attnum";
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in client.query(sql, &[&schema]).await.map_err(fail)? {
        tables.entry(row.get(0)).or_default().push(row.get(1));
    }
    Ok(tables)
}

/// Checks that everything required exists in `schema`, and that indexes are valid. One finding each.
pub async fn required(
    client: &Client,
    schema: &str,
    wanted: &RequiredSchema,
) -> Result<Vec<Finding>, Error> {
    let doing = "look for the required schema";
    let fail = |error| Error::of_statement(doing, &error);
    let mut findings = Vec::new();
    for table in &wanted.tables {
        let found = client
            .query_opt(TABLE, &[&schema, table])
            .await
            .map_err(fail)?
            .is_some();
        findings.push(presence("table", table, found));
    }
    for (table, column) in &wanted.columns {
        let found = client
            .query_opt(COLUMN, &[&schema, table, column])
            .await
            .map_err(fail)?
            .is_some();
        findings.push(presence("column", &format!("{table}.{column}"), found));
    }
    for index in &wanted.indexes {
        let row = client
            .query_opt(INDEX, &[&schema, index])
            .await
            .map_err(fail)?;
        findings.push(match row.map(|row| row.get::<_, bool>(0)) {
            Some(false) => Finding::required(
                name("index", index),
                false,
                "there, but not valid: a concurrent build failed; REINDEX INDEX CONCURRENTLY, or drop and create it",
            ),
            found => presence("index", index, found.is_some()),
        });
    }
    Ok(findings)
}

const TABLE: &str = "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')";
const COLUMN: &str = "SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p') AND a.attname = $3 AND a.attnum > 0 AND NOT a.attisdropped";
const INDEX: &str =
    "SELECT i.indisvalid AND i.indisready FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2";

fn presence(kind: &str, what: &str, found: bool) -> Finding {
    let detail = if found {
        "there"
    } else {
        "missing: compare its spelling, letter case included, with what the migrations create"
    };
    Finding::required(name(kind, what), found, detail)
}

fn name(kind: &str, what: &str) -> String {
    format!("{kind} {}", printable(what, 150))
}
