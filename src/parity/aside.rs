//! What the import has on record as put aside (`on_problem: quarantine`), in `cutover.quarantine` of the target.
//!
//! The record is the import's word that a row was left out on purpose. A row that is not there and not on record is missing, whatever
//! its values are. Where there is no record, because another tool loaded the target, the checker judges by the values alone.

use super::error::{Error, server};
use crate::format::hex;
use crate::text::printable;
use rusqlite::types::ValueRef;
use std::collections::HashMap;
use tokio_postgres::Client;

/// What is on record, by table of the source.
pub(crate) type Aside = HashMap<String, Vec<Record>>;

/// One row on record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The column at fault; empty for a rule of the whole row.
    pub(crate) column: String,
    /// The row, as the record names it: its rowid, or its key's values between parentheses.
    pub(crate) row: String,
}

/// Characters of a text, and bytes of a blob, by which a record names a row.
const NAMED_CHARS: usize = 60;
const NAMED_BYTES: usize = 16;

/// A row without a rowid, as the record names it.
pub(crate) fn row_name<'v>(key: impl Iterator<Item = ValueRef<'v>>) -> String {
    let part = |value: ValueRef<'_>| match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(integer) => integer.to_string(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(text) => {
            let head = &text[..text.len().min(4 * NAMED_CHARS + 4)];
            let head = printable(&String::from_utf8_lossy(head), NAMED_CHARS);
            format!("'{head}'")
        }
        ValueRef::Blob(bytes) => {
            let hex = hex(&bytes[..bytes.len().min(NAMED_BYTES)]);
            if bytes.len() > NAMED_BYTES {
                format!("x'{hex}…' ({} bytes)", bytes.len())
            } else {
                format!("x'{hex}'")
            }
        }
    };
    let parts: Vec<String> = key.map(part).collect();
    format!("({})", parts.join(", "))
}

const READABLE: &str = "
    SELECT count(*) = 2
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'cutover' AND c.relname IN ('quarantine', 'import')
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";

const RECORDED: &str = "
    SELECT q.source_table, q.source_column, q.source_row
      FROM cutover.quarantine q
     WHERE q.import = (SELECT i.key FROM cutover.import i WHERE i.target_schema = $1 ORDER BY i.began DESC LIMIT 1)
       AND q.source_row ~ '^(-?[0-9]{1,19}$|[(])'";

/// The record of the last import into a schema, if there is one that may be read.
pub(crate) async fn recorded(client: &Client, schema: &str) -> Result<Option<Aside>, Error> {
    let failed = server("reading what the import put aside");
    if !client
        .query_one(READABLE, &[])
        .await
        .map_err(failed)?
        .get::<_, bool>(0)
    {
        return Ok(None);
    }
    let mut aside = Aside::new();
    for row in client.query(RECORDED, &[&schema]).await.map_err(failed)? {
        aside.entry(row.get(0)).or_default().push(Record {
            column: row.get(1),
            row: row.get(2),
        });
    }
    Ok(Some(aside))
}
