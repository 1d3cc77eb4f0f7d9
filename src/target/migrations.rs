//! What the migrations left behind: the history (`C2`, `T2b`) and the schema that must be there (`T2c`). Asks only.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{Error, Finding, quoted};
use crate::text::printable;

/// Where a framework writes down which migrations it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryTable {
    /// Its schema.
    pub schema: String,
    /// EF Core: `__EFMigrationsHistory`; Django: `django_migrations`.
    pub table: String,
    /// EF Core: `MigrationId`; Django: `name`.
    pub column: String,
}

/// What must exist after the migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredSchema {
    /// Table names.
    pub tables: Vec<String>,
    /// Table and column.
    pub columns: Vec<(String, String)>,
    /// Index names; each must also be valid.
    pub indexes: Vec<String>,
}

/// Checks that the history holds every expected id. One finding for the table, then one per id.
///
/// # Errors
/// The questions could not be asked.
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
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&history.schema, &history.table, &history.column];
    let exists: bool = client
        .query_one(exists, &parameters)
        .await
        .map_err(fail)?
        .get(0);
    let place = format!(
        "{}.{}.{}",
        quoted(&history.schema),
        quoted(&history.table),
        quoted(&history.column)
    );
    if !exists {
        let detail = format!(
            "there is no {place}: the migrations have not run here, or record themselves elsewhere"
        );
        return Ok(vec![Finding::required(
            "migration history",
            false,
            printable(&detail, 300),
        )]);
    }
    let query = format!(
        "SELECT {}::text FROM {}.{}",
        quoted(&history.column),
        quoted(&history.schema),
        quoted(&history.table)
    );
    // As text, whatever the column's type.
    let answer = client.simple_query(&query).await.map_err(fail)?;
    let applied: HashSet<&str> = answer
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        })
        .collect();
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

/// Checks that everything required exists in `schema`, and that indexes are valid. One finding each.
///
/// # Errors
/// The questions could not be asked.
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
