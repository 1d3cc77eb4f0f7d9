//! What a read needs to know of the target's tables besides what the checker has paired: the types of their keys' columns.

use std::collections::BTreeMap;

use tokio::runtime::Handle;
use tokio_postgres::SimpleQueryMessage;

use crate::postgres::literal;
use crate::salvage::search::KeyColumn;
use crate::salvage::{Error, Search};

/// Columns by their table's name and their own.
pub(super) type Columns = BTreeMap<(String, String), KeyColumn>;

/// Reads the columns of the schema, in the transaction of the search.
pub(super) fn columns(search: &Search, handle: &Handle) -> Result<Columns, Error> {
    let sql = format!(
        "SELECT c.relname, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {}
           JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE c.relkind IN ('r', 'p')",
        literal(&search.since.schema)
    );
    let rows = ask(search, handle, "reading the types of keys", &sql)?;
    let column = |row: Vec<Option<String>>| {
        let [table, name, type_sql, not_null] = <[Option<String>; 4]>::try_from(row).ok()?;
        let column = KeyColumn {
            type_sql: type_sql?,
            not_null: not_null.as_deref() == Some("t"),
        };
        Some(((table?, name?), column))
    };
    Ok(rows.into_iter().filter_map(column).collect())
}

/// In which files the rows of each table are at this moment, whatever the transaction's snapshot sees: a table that is emptied by TRUNCATE has new ones,
/// and its rows of before are gone for older snapshots as well.
pub(super) fn files(search: &Search, handle: &Handle) -> Result<BTreeMap<String, String>, Error> {
    let sql = format!(
        "WITH RECURSIVE moved AS (
             SELECT c.oid AS whole, c.oid FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {}
              WHERE c.relkind IN ('r', 'p')
             UNION SELECT m.whole, i.inhrelid FROM moved m JOIN pg_catalog.pg_inherits i ON i.inhparent = m.oid)
         SELECT c.relname, pg_catalog.string_agg(coalesce(pg_catalog.pg_relation_filenode(m.oid)::text, '-'), ' ' ORDER BY m.oid)
           FROM moved m JOIN pg_catalog.pg_class c ON c.oid = m.whole GROUP BY c.oid, c.relname",
        literal(&search.since.schema)
    );
    let rows = ask(search, handle, "looking whether a table was emptied", &sql)?;
    let files = |row: Vec<Option<String>>| {
        let [table, files] = <[Option<String>; 2]>::try_from(row).ok()?;
        Some((table?, files?))
    };
    Ok(rows.into_iter().filter_map(files).collect())
}

/// The rows of a query, every value as the server's text.
pub(super) fn ask(
    search: &Search,
    handle: &Handle,
    doing: &str,
    sql: &str,
) -> Result<Vec<Vec<Option<String>>>, Error> {
    let messages = search.within(handle, doing, search.sides.client.simple_query(sql))?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            let texts = (0..row.len()).map(|at| row.get(at).map(str::to_owned));
            Some(texts.collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}
