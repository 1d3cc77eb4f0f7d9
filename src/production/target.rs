//! The target's part of the fingerprint. Everything is asked in one read-only transaction, so that one look sees one moment; settings are
//! the transaction's own, and a pooled connection keeps none of them.

use tokio_postgres::{Client, Row};

use super::Fingerprint;
use crate::postgres::{Endpoint, quoted};
use crate::text::printable;

/// Tables are compared row by row up to so many bytes in all, the smallest first.
pub const EXACT_BYTES: i64 = 128 << 20;

/// No statement of ours waits for somebody's lock for long.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
    SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '45s'; SET LOCAL search_path = pg_catalog;
    SET LOCAL application_name = 'cutover rehearsal'";

/// What stands in the schema: each relation with its file, its columns, constraints, triggers and grants.
const RELATIONS: &str = "
    SELECT c.oid, c.relname::text, c.relkind::text, coalesce(pg_relation_size(c.oid), 0),
           c.relkind IN ('r', 'm') AND has_table_privilege(c.oid, 'SELECT'),
           concat_ws('|', c.oid, pg_relation_filenode(c.oid), c.relacl::text, c.relrowsecurity, c.relispartition,
             (SELECT string_agg(concat_ws(',', a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attisdropped, a.attacl::text,
                       (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum)),
                       ';' ORDER BY a.attnum)
                FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
             (SELECT string_agg(concat_ws(',', k.conname, pg_get_constraintdef(k.oid), k.convalidated), ';' ORDER BY k.conname)
                FROM pg_constraint k WHERE k.conrelid = c.oid),
             (SELECT string_agg(concat_ws(',', t.tgname, t.tgenabled), ';' ORDER BY t.tgname)
                FROM pg_trigger t WHERE t.tgrelid = c.oid)),
           pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'm', 'v', 'i', 'I', 'S', 'f')
    ORDER BY 4, 2";
/// Where its sequences stand.
const SEQUENCES: &str = "SELECT sequencename::text, coalesce(last_value::text, 'not used')
    FROM pg_sequences WHERE schemaname = $1";
const SCHEMAS: &str = "SELECT nspname::text FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'";

/// Looks at the database behind a URL.
pub(super) async fn look(url: &str, schema: &str, seen: &mut Fingerprint) -> Result<(), String> {
    let endpoint = Endpoint::parse(url).map_err(|error| error.to_string())?;
    let client = endpoint
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let said = |error: tokio_postgres::Error| {
        let message = error
            .as_db_error()
            .map_or(error.to_string(), |db| db.message().to_owned());
        format!("{}: {}", endpoint.identity(), printable(&message, 300))
    };
    client.batch_execute(BEGIN).await.map_err(said)?;
    let looked = all(&client, schema, seen).await;
    // The connection ends here in any case; behind a pooler the transaction has to.
    let ended = client.batch_execute("COMMIT").await;
    looked.and(ended).map_err(said)
}

async fn all(
    client: &Client,
    schema: &str,
    seen: &mut Fingerprint,
) -> Result<(), tokio_postgres::Error> {
    let mut left_bytes = EXACT_BYTES;
    for row in client.query(RELATIONS, &[&schema]).await? {
        let (name, size_bytes): (String, i64) = (row.get(1), row.get(3));
        let mut state: String = row.get(5);
        if row.get::<_, bool>(4) && size_bytes <= left_bytes {
            left_bytes -= size_bytes;
            state.push_str(&rows(client, schema, &name).await?);
        } else if let Some(written) = row.get::<_, Option<i64>>(6) {
            state.push_str(&format!("|{written}"));
        }
        seen.put(part(&row, schema, &name), state);
    }
    for row in client.query(SEQUENCES, &[&schema]).await? {
        let (name, at): (String, String) = (row.get(0), row.get(1));
        seen.put(
            format!("the value of sequence {schema}.{name} of the target"),
            at,
        );
    }
    for row in client.query(SCHEMAS, &[]).await? {
        let name: String = row.get(0);
        seen.put(format!("schema {name} of the target"), String::new());
    }
    Ok(())
}

/// Which rows there are, and which version of each: by where it is and which transaction wrote it, so that no value is read.
async fn rows(client: &Client, schema: &str, table: &str) -> Result<String, tokio_postgres::Error> {
    let of = format!("{}.{}", quoted(schema), quoted(table));
    let question = format!(
        "SELECT concat_ws('|', count(*), sum(hashtextextended(t.ctid::text || ' ' || t.xmin::text, 0)::numeric)) FROM ONLY {of} t"
    );
    Ok(format!(
        "|{}",
        client.query_one(&question, &[]).await?.get::<_, String>(0)
    ))
}

fn part(row: &Row, schema: &str, name: &str) -> String {
    let kind = match row.get::<_, String>(2).as_str() {
        "r" | "p" => "table",
        "m" => "materialised view",
        "v" => "view",
        "i" | "I" => "index",
        "S" => "sequence",
        _ => "foreign table",
    };
    format!("{kind} {schema}.{name} of the target")
}
