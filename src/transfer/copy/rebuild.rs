//! Putting back what was taken away, proven, and naming the rows at fault where PostgreSQL refuses (`D4`).

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::Import;
use crate::transfer::copy::record::{Definition, DefinitionState, set_state};
use crate::transfer::error::{server, server_message};

/// Rows at fault that a message names.
const ROWS_NAMED: i64 = 10;

/// Adding foreign keys takes strong locks on two tables for a moment; one at a time, two of them never wait for each other in a circle.
#[derive(Debug, Default)]
pub struct ForeignGate(tokio::sync::Mutex<()>);

/// Builds an index or key and marks it as back, in one transaction. The build may share its sorting among as many of the server's
/// parallel workers as there are idle lanes; a lone lane leaves that to the server's own setting.
pub async fn build(
    import: &Import,
    client: &Client,
    definition: &Definition,
    idle_lanes: usize,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let workers = if import.options.lanes > 1 {
        format!(
            "SELECT pg_catalog.set_config('max_parallel_maintenance_workers',
               least({idle_lanes}, current_setting('max_parallel_maintenance_workers')::int)::text, true);\n"
        )
    } else {
        String::new()
    };
    match state(import, client, definition).await? {
        DefinitionState::Away => {
            put_back(
                import,
                client,
                definition,
                &format!("{workers}{}", definition.put_back),
                DefinitionState::Back,
                cancel,
            )
            .await
        }
        DefinitionState::Recorded
        | DefinitionState::Kept
        | DefinitionState::Unproven
        | DefinitionState::Back => Ok(()),
    }
}

/// Puts a foreign key back and proves every row against it.
pub async fn foreign(
    import: &Import,
    client: &Client,
    definition: &Definition,
    gate: &ForeignGate,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let mut now = state(import, client, definition).await?;
    if now == DefinitionState::Away {
        now = if definition.prove.is_some() {
            DefinitionState::Unproven
        } else {
            DefinitionState::Back
        };
        let _turn = gate.0.lock().await;
        put_back(
            import,
            client,
            definition,
            &definition.put_back,
            now,
            cancel,
        )
        .await?;
    }
    match &definition.prove {
        Some(prove) if now == DefinitionState::Unproven => {
            put_back(
                import,
                client,
                definition,
                prove,
                DefinitionState::Back,
                cancel,
            )
            .await
        }
        _ => Ok(()),
    }
}

/// Puts a trigger or row security back.
pub async fn restore(
    import: &Import,
    client: &Client,
    definition: &Definition,
) -> Result<(), Error> {
    put_back(
        import,
        client,
        definition,
        &definition.put_back,
        DefinitionState::Back,
        &CancellationToken::new(),
    )
    .await
}

/// Where the definition stands now. Waits for a transaction that an earlier connection may have left at work on it.
async fn state(
    import: &Import,
    client: &Client,
    definition: &Definition,
) -> Result<DefinitionState, Error> {
    let sql = "SELECT state FROM cutover.definition WHERE import = $1 AND number = $2 FOR UPDATE";
    let row = client
        .query_one(sql, &[&import.key, &definition.number])
        .await;
    let row = row.map_err(server(format!(
        "looking at {}",
        printable(&definition.name, 80)
    )))?;
    Ok(DefinitionState::of_word(row.get(0)))
}

/// The new state first: its row stays locked while the work goes on, which is what [`state`] waits for.
async fn put_back(
    import: &Import,
    client: &Client,
    definition: &Definition,
    sql: &str,
    next: DefinitionState,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let state = set_state(&import.key, definition.number, next);
    run(
        import,
        client,
        definition,
        &format!("BEGIN;\n{}{state};\n{sql};\nCOMMIT", import.build_settings),
        cancel,
    )
    .await
}

async fn run(
    import: &Import,
    client: &Client,
    definition: &Definition,
    sql: &str,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let doing = || {
        format!(
            "rebuilding {} on {}",
            printable(&definition.name, 80),
            printable(&definition.table, 80)
        )
    };
    let outcome = tokio::select! {
        outcome = client.batch_execute(sql) => outcome,
        () = cancel.cancelled() => {
            if let Err(error) = import.target.endpoint.cancel(&client.cancel_token()).await {
                tracing::warn!(%error, "the rebuild could not be cancelled; its connection is dropped");
            }
            return Err(Error::Cancelled);
        }
    };
    let Err(error) = outcome else { return Ok(()) };
    let Some(code) = error.code().cloned() else {
        return Err(server(doing())(error));
    };
    // The failed transaction is still open.
    client
        .batch_execute("ROLLBACK")
        .await
        .map_err(server(doing()))?;
    let message = server_message(&error);
    let rows = match code {
        SqlState::FOREIGN_KEY_VIOLATION => orphans(client, definition).await,
        SqlState::UNIQUE_VIOLATION => duplicates(client, import, definition).await,
        SqlState::PROGRAM_LIMIT_EXCEEDED => too_long(client, import, definition, &error).await,
        _ if crate::transfer::error::is_passing(&error) => return Err(server(doing())(error)),
        _ => Ok(String::new()),
    };
    let rows = rows.unwrap_or_default();
    Err(Error::Rebuild {
        table: definition.table.clone(),
        name: definition.name.clone(),
        why: format!("{message}{rows}"),
    })
}

/// Children without a parent, found by anti-join over the key's own columns.
async fn orphans(
    client: &Client,
    definition: &Definition,
) -> Result<String, tokio_postgres::Error> {
    // The key is not there to ask; its columns stand in the definition, which the server itself wrote.
    let Some((columns, references)) = key_parts(&definition.put_back) else {
        return Ok(String::new());
    };
    let Some((parent, parent_columns)) = references.split_once('(') else {
        return Ok(String::new());
    };
    let relation = relation_name(client, definition.table_oid).await?;
    let equal: Vec<String> = columns
        .split(", ")
        .zip(parent_columns.split(", "))
        .map(|(here, there)| format!("c.{here} = p.{there}"))
        .collect();
    let not_null: Vec<String> = columns
        .split(", ")
        .map(|here| format!("c.{here} IS NOT NULL"))
        .collect();
    let list: Vec<String> = columns
        .split(", ")
        .map(|here| format!("c.{here}::text"))
        .collect();
    let sql = format!(
        "SELECT concat_ws(', ', {}), count(*) FROM {relation} c WHERE {} AND NOT EXISTS (SELECT FROM {parent} p WHERE {})
         GROUP BY 1 ORDER BY 1 LIMIT {ROWS_NAMED}",
        list.join(", "),
        not_null.join(" AND "),
        equal.join(" AND ")
    );
    let rows = client.query(&sql, &[]).await?;
    let named: Vec<String> = rows
        .iter()
        .map(|row| {
            format!(
                "({columns}) = ({}) in {} row(s)",
                row.get::<_, &str>(0),
                row.get::<_, i64>(1)
            )
        })
        .collect();
    Ok(printable(&format!("; orphans: {}", named.join("; ")), 1000))
}

/// `FOREIGN KEY (a, b) REFERENCES p(c, d)`: the columns here, and `p(c, d` without the end.
fn key_parts(put_back: &str) -> Option<(&str, &str)> {
    let after = put_back.split_once("FOREIGN KEY (")?.1;
    let (columns, after) = after.split_once(") REFERENCES ")?;
    Some((columns, after.split_once(')')?.0))
}

/// The rows that share the key which PostgreSQL names.
async fn duplicates(
    client: &Client,
    import: &Import,
    definition: &Definition,
) -> Result<String, tokio_postgres::Error> {
    let Some(table) = import
        .layout
        .tables
        .iter()
        .find(|table| table.target.oid == definition.table_oid)
    else {
        return Ok(String::new());
    };
    let Some(index) = table.target.indexes.iter().find(|index| {
        index.name == definition.name || index.constraint.as_ref() == Some(&definition.name)
    }) else {
        return Ok(String::new());
    };
    let keys = index.expressions.join(", ");
    let row = row_name(&table.target);
    let condition = index
        .predicate
        .as_ref()
        .map(|predicate| format!("WHERE {predicate}"))
        .unwrap_or_default();
    let relation = relation_name(client, definition.table_oid).await?;
    let sql = format!(
        "SELECT string_agg(k, ' and ' ORDER BY k) FROM (SELECT {row} AS k, dense_rank() OVER (ORDER BY {keys}) AS g,
           count(*) OVER (PARTITION BY {keys}) AS n FROM {relation} {condition}) AS ranked WHERE n > 1 GROUP BY g ORDER BY g LIMIT {ROWS_NAMED}"
    );
    let rows = client.query(&sql, &[]).await?;
    let named: Vec<String> = rows
        .iter()
        .map(|row| row.get::<_, Option<String>>(0).unwrap_or_default())
        .collect();
    Ok(printable(
        &format!("; rows with the same key: {}", named.join("; ")),
        1000,
    ))
}

/// The row whose entry is too long for the index, which PostgreSQL names by its place in the table.
async fn too_long(
    client: &Client,
    import: &Import,
    definition: &Definition,
    error: &tokio_postgres::Error,
) -> Result<String, tokio_postgres::Error> {
    let tables = &import.layout.tables;
    let table = tables
        .iter()
        .find(|table| table.target.oid == definition.table_oid);
    let detail = error.as_db_error().and_then(|said| said.detail());
    let place = detail
        .and_then(|said| said.split_once("references tuple ")?.1.split_once(')'))
        .map(|(place, _)| format!("{place})"));
    let (Some(table), Some(place)) = (table, place) else {
        return Ok(String::new());
    };
    let sql = format!(
        "SELECT {} FROM {} WHERE ctid = $1::text::tid",
        row_name(&table.target),
        relation_name(client, definition.table_oid).await?
    );
    let row = client.query_opt(&sql, &[&place]).await?;
    let named = row.and_then(|row| row.get::<_, Option<String>>(0));
    Ok(named.map_or_else(String::new, |row| {
        printable(&format!("; the row is {row}"), 1000)
    }))
}

/// SQL that names a row: its primary key, or where it lies.
fn row_name(table: &crate::postgres::catalogue::Table) -> String {
    let primary = table
        .constraints
        .iter()
        .find(|constraint| constraint.kind == crate::postgres::catalogue::ConstraintKind::Primary);
    let names: Vec<String> = primary
        .map(|key| key.columns.iter().map(|name| quoted(name)).collect())
        .unwrap_or_default();
    if names.is_empty() {
        "ctid::text".to_owned()
    } else {
        format!("concat_ws(', ', {})", names.join(", "))
    }
}

async fn relation_name(client: &Client, oid: u32) -> Result<String, tokio_postgres::Error> {
    let row = client
        .query_one(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1",
            &[&oid],
        )
        .await?;
    Ok(row.get(0))
}
