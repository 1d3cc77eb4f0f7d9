//! How many rows the tables of a schema have, all in one moment. Not in here: comparing them with SQLite's (`parity`).

use std::collections::BTreeMap;

use super::{Endpoint, Error, quoted};

const DOING: &str = "count the rows of the schema";
const TABLES: &str = "SELECT c.relname::text FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind = 'r' AND pg_catalog.has_table_privilege(c.oid, 'SELECT') ORDER BY 1";

/// Rows by table, of every table of `schema` that this role may read. Partitions count by themselves.
///
/// # Errors
/// PostgreSQL cannot be reached, or refuses.
pub async fn of_schema(endpoint: &Endpoint, schema: &str) -> Result<BTreeMap<String, i64>, Error> {
    let client = endpoint.connect().await?;
    let fail = |error: tokio_postgres::Error| Error::of_statement(DOING, &error);
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    client.batch_execute(begin).await.map_err(fail)?;
    let mut rows = BTreeMap::new();
    for row in client.query(TABLES, &[&schema]).await.map_err(fail)? {
        let table: String = row.get(0);
        let (of, name) = (quoted(schema), quoted(&table));
        let count = format!("SELECT pg_catalog.count(*) FROM ONLY {of}.{name}");
        let counted = client.query_one(&count, &[]).await.map_err(fail)?;
        rows.insert(table, counted.get(0));
    }
    client.batch_execute("COMMIT").await.map_err(fail)?;
    Ok(rows)
}
