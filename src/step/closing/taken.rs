//! Foreign keys of tables that an import was not to fill. It takes them away where they lead into tables that it loads; one that did not end
//! has not put them back, and nothing else will: the next night may begin on another database. Looks, and puts nothing back itself.

use tokio_postgres::Client;

use crate::postgres::Finding;
use crate::text::printable;

/// Characters of a name.
const NAME: usize = 120;

/// What unfinished imports have on record of such keys: the table, the key, whether the catalogue has it, what puts it back, what proves its
/// rows, and what puts back the keys that it leads to, where these are away as well. One that is in force, or whose tables are gone, is no
/// matter any more.
const TAKEN: &str = "
SELECT format('%I.%I', n.nspname, c.relname), d.name, k.oid IS NOT NULL, d.put_back, d.prove,
       ARRAY(SELECT o.put_back FROM cutover.definition o
              WHERE o.import = d.import AND o.table_oid = d.other_oid AND o.kind IN ('key', 'index') AND o.state = 'away' ORDER BY o.number)
  FROM cutover.definition d JOIN cutover.import i ON i.key = d.import
  JOIN pg_catalog.pg_class c ON c.oid = d.table_oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = d.table_oid AND k.conname = d.name
 WHERE i.finished IS NULL AND d.kind = 'foreign' AND d.state IN ('away', 'unproven')
   AND NOT EXISTS (SELECT FROM cutover.task t WHERE t.import = d.import AND t.target_oid = d.table_oid)
   AND EXISTS (SELECT FROM pg_catalog.pg_class o WHERE o.oid = d.other_oid)
   AND (k.oid IS NULL OR NOT (k.convalidated OR d.prove IS NULL))
 ORDER BY d.import, d.number";

/// A finding for each key that is not as it was, with the statements that put it back.
pub async fn foreign_keys(client: &Client) -> Result<Vec<Finding>, tokio_postgres::Error> {
    let known = "SELECT to_regclass('cutover.definition') IS NOT NULL AND to_regclass('cutover.task') IS NOT NULL";
    if !client.query_one(known, &[]).await?.get::<_, bool>(0) {
        return Ok(Vec::new());
    }
    let rows = client.query(TAKEN, &[]).await?;
    Ok(rows.iter().map(finding).collect())
}

fn finding(row: &tokio_postgres::Row) -> Finding {
    let (table, key): (&str, &str) = (row.get(0), row.get(1));
    let (table, key) = (printable(table, NAME), printable(key, NAME));
    let (is_there, put_back): (bool, &str) = (row.get(2), row.get(3));
    let (prove, before): (Option<&str>, Vec<&str>) = (row.get(4), row.get(5));
    let name = format!("foreign key {key} of {table}");
    let proven = prove.map_or_else(String::new, |prove| {
        format!(
            "`{prove}` proves the rows that are there; where it names one that does not fit, the key holds new rows to it all the same"
        )
    });
    if is_there {
        return Finding::advice(name, false, format!("it is back, NOT VALID. {proven}"));
    }
    let statements: Vec<&str> = before.into_iter().chain([put_back]).collect();
    let statements = statements.join("; ").replace('\n', " ");
    Finding::required(
        name,
        false,
        format!(
            "an import that did not end has taken it away, and the table is none of those that it was to fill. Put it back by `BEGIN; {statements}; \
             COMMIT`. {proven}"
        ),
    )
}
