//! What the target's tables promise when an import begins: kept in `cutover.promise`, so that whoever looks later can tell what is gone
//! since from what was never there. Judging that is `parity`'s.

use tokio_postgres::Client;

use crate::postgres::catalogue::{ConstraintKind, Table};
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::Layout;
use crate::transfer::layout::promised::Kept;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS cutover.promise (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, kind text NOT NULL, table_name text NOT NULL, parent_name text,
  columns text[] NOT NULL)";

/// Records what the tables of the layout promise now.
pub async fn record(client: &Client, key: &str, layout: &Layout) -> Result<(), Error> {
    let doing = || "recording the target's keys";
    client.batch_execute(TABLE).await.map_err(server(doing()))?;
    let insert = "INSERT INTO cutover.promise (import, kind, table_name, parent_name, columns) VALUES ($1, $2, $3, $4, $5)";
    // Also where there is nothing to record, that it was looked for.
    let nothing: Vec<&str> = Vec::new();
    client
        .execute(insert, &[&key, &"record", &"", &None::<&str>, &nothing])
        .await
        .map_err(server(doing()))?;
    // Of every table of the schema: the checker looks at all of them. What an import switches off is among its definitions.
    let quiet = "INSERT INTO cutover.promise (import, kind, table_name, columns)
        SELECT $1, 'trigger off', c.relname::text, ARRAY[t.tgname::text] FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $2 AND t.tgenabled IN ('D', 'R') AND NOT t.tgisinternal
           AND NOT EXISTS (SELECT FROM cutover.definition d WHERE d.kind = 'trigger' AND d.table_oid = t.tgrelid AND d.name = t.tgname::text)";
    client
        .execute(quiet, &[&key, &layout.schema])
        .await
        .map_err(server(doing()))?;
    for (kind, table, parent, columns) in layout.tables.iter().flat_map(|t| promises(&t.target)) {
        client
            .execute(insert, &[&key, &kind, &table, &parent, &columns])
            .await
            .map_err(server(doing()))?;
    }
    Ok(())
}

/// What the target's tables promised when this import began; nothing where that is not on record.
pub async fn recorded(client: &Client, key: &str) -> Result<Option<Vec<Kept>>, Error> {
    let doing = || server("reading what the target kept when the import began");
    let exists = "SELECT to_regclass('cutover.promise') IS NOT NULL";
    let exists = client.query_one(exists, &[]).await.map_err(doing())?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql =
        "SELECT kind, table_name, parent_name, columns FROM cutover.promise WHERE import = $1";
    let rows = client.query(sql, &[&key]).await.map_err(doing())?;
    let kept = rows.iter().map(|row| Kept {
        kind: row.get(0),
        table: row.get(1),
        parent: row.get(2),
        columns: row.get::<_, Vec<String>>(3).into_iter().collect(),
    });
    let kept: Vec<Kept> = kept.collect();
    // The first one says that there is a record, also of a schema without any key.
    Ok(kept.iter().any(|one| one.kind == "record").then_some(kept))
}

type Promise<'t> = (&'static str, &'t str, Option<&'t str>, Vec<&'t str>);

fn promises(table: &Table) -> Vec<Promise<'_>> {
    let primary = table
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Primary)
        .map(|key| key.name.as_str());
    let primary: Vec<&str> = primary.collect();
    let plain = table
        .indexes
        .iter()
        .filter(|index| index.valid && index.predicate.is_none());
    let mut all: Vec<Promise<'_>> = plain
        .filter_map(|index| {
            let columns: Option<Vec<&str>> = index.columns.iter().map(Option::as_deref).collect();
            let constraint = index.constraint.as_deref();
            let kind = if constraint.is_some_and(|name| primary.contains(&name)) {
                "primary key"
            } else if !index.unique {
                "index"
            } else {
                "unique"
            };
            Some((kind, table.name.as_str(), None, columns?))
        })
        .collect();
    all.extend(
        table
            .constraints
            .iter()
            .filter(|check| check.kind == ConstraintKind::Check && !check.columns.is_empty())
            .map(|check| {
                let columns = check.columns.iter().map(String::as_str).collect();
                ("check", table.name.as_str(), None, columns)
            }),
    );
    all.extend(
        table
            .constraints
            .iter()
            .filter(|constraint| constraint.kind == ConstraintKind::Foreign)
            .filter_map(|key| {
                let (_, _, parent) = key.references.as_ref()?;
                let columns = key.columns.iter().map(String::as_str).collect();
                Some((
                    "foreign key",
                    table.name.as_str(),
                    Some(parent.as_str()),
                    columns,
                ))
            }),
    );
    all
}
