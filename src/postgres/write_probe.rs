//! A write that is rolled back, as the role that the application connects with: so that the first real write is not the first.
//!
//! It copies one row of the table without what the server generates, in a transaction that never commits. Rights, defaults, checks,
//! triggers and the key's sequence answer as they will answer the application; a row that is there already is what a unique key
//! other than the generated one may rightly refuse. The sequence gives one id away. Not in here: which tables may be written to.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::quoted;
use crate::text::printable;

/// Bounds for the statement: nobody waits behind a probe.
const LIMITS: &str = "SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '2s'";

/// What a table answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Whether the application's writes reach the table.
    pub ok: bool,
    pub detail: String,
}

/// Columns that are written: not those that the server generates, identities and serials among them.
const COLUMNS: &str = "
SELECT a.attname::text FROM pg_catalog.pg_attribute a
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''
  AND coalesce(pg_get_expr(d.adbin, d.adrelid), '') NOT LIKE 'nextval(%'
ORDER BY a.attnum";

/// The unique indexes that hold a generated key: one of these refusing means that the sequence gives ids that are taken.
const GENERATED_KEYS: &str = "
SELECT c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indnkeyatts = 1
  AND (a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval(%')";

/// Writes one row to `table` of `schema` and takes it back.
///
/// # Errors
/// The connection was lost; a refusal is an answer, not an error.
pub async fn probe(
    client: &mut Client,
    schema: &str,
    table: &str,
) -> Result<Probed, tokio_postgres::Error> {
    let relation = format!("{}.{}", quoted(schema), quoted(table));
    let columns: Vec<String> = names(client, COLUMNS, &relation).await?;
    let generated = names(client, GENERATED_KEYS, &relation).await?;
    if columns.is_empty() {
        return Ok(Probed {
            ok: false,
            detail: format!(
                "{}: there is no such table, or the role cannot see it",
                shown(table)
            ),
        });
    }
    let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let list = list.join(", ");
    let insert = format!("INSERT INTO {relation} ({list}) SELECT {list} FROM {relation} LIMIT 1");
    let transaction = client.transaction().await?;
    transaction.batch_execute(LIMITS).await?;
    let answer = transaction.execute(&insert, &[]).await;
    transaction.rollback().await?;
    match answer {
        Ok(0) => Ok(Probed {
            ok: true,
            detail: format!("{}: the role may write; the table is empty", shown(table)),
        }),
        Ok(_) => Ok(Probed {
            ok: true,
            detail: format!("{}: a row was written and rolled back", shown(table)),
        }),
        Err(error) => refused(table, &generated, error),
    }
}

async fn names(
    client: &Client,
    query: &str,
    relation: &str,
) -> Result<Vec<String>, tokio_postgres::Error> {
    // The application may come through a pooler, where a prepared statement would stay behind.
    let rows = client
        .query_typed(query, &[(&relation, Type::TEXT)])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn refused(
    table: &str,
    generated: &[String],
    error: tokio_postgres::Error,
) -> Result<Probed, tokio_postgres::Error> {
    let Some(db) = error.as_db_error() else {
        return Err(error);
    };
    let constraint = db.constraint().unwrap_or_default();
    let taken = generated.iter().any(|index| index == constraint);
    let table = shown(table);
    if *db.code() == SqlState::UNIQUE_VIOLATION && !taken {
        let key = printable(constraint, 80);
        return Ok(Probed {
            ok: true,
            detail: format!("{table}: the write came as far as its unique key {key}"),
        });
    }
    let message = printable(db.message(), 200);
    let why = match taken {
        true => "the sequence gives an id that is taken; align it, or every insert fails",
        false => "the application's own writes would be refused the same way",
    };
    Ok(Probed {
        ok: false,
        detail: format!("{table}: {message} ({}): {why}", db.code().code()),
    })
}

fn shown(table: &str) -> String {
    printable(table, 80)
}
