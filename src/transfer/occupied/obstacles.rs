//! What must not be bypassed by emptying a table: its own triggers on TRUNCATE, and rows of tables that are not planned and refer to rows
//! that SQLite does not have, so that they would hang in the air. Each is named before anything is touched.

use std::path::Path;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::ours::statements::Name;
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::record::{Definition, DefinitionKind};
use crate::transfer::error::{server, server_message};
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::{Problem, probe};

/// What is to be emptied, and what comes instead.
pub struct Emptying<'e> {
    pub source: &'e Path,
    pub layout: &'e Layout,
    /// Oids of the tables that hold rows and would be emptied, planned or not.
    pub emptied: &'e [u32],
    /// What an unfinished import has away, and comes back.
    pub open: &'e [Definition],
}

/// Obstacles, inside the caller's transaction. A key that an unfinished import has away is proven when it comes back.
pub async fn obstacles(
    client: &Client,
    emptying: &Emptying<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<Problem>, Error> {
    let mut found = triggers(client, emptying.emptied, emptying.open).await?;
    for key in keys_from_elsewhere(client, emptying).await? {
        found.extend(key.look(client, emptying, cancel).await?);
    }
    Ok(found)
}

/// Triggers that are meant to hear of a TRUNCATE, or to forbid it; but for those that an earlier session's feed has left.
async fn triggers(
    client: &Client,
    emptied: &[u32],
    open: &[Definition],
) -> Result<Vec<Problem>, Error> {
    let rows = client
        .query(
            "SELECT c.oid, c.relname::text, t.tgname::text, t.tgenabled IN ('O', 'A')
             FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
             WHERE t.tgrelid = ANY($1) AND NOT t.tgisinternal AND t.tgtype & 32 <> 0
               AND NOT (starts_with(t.tgname::text, 'cutover_feed_')
                 AND t.tgfoid IN (SELECT p.oid FROM pg_proc p WHERE p.pronamespace = to_regnamespace('cutover')))
             ORDER BY 2, 3",
            &[&emptied],
        )
        .await
        .map_err(server("looking for triggers on TRUNCATE"))?;
    let mut found = Vec::new();
    for row in rows {
        let (oid, table, trigger): (u32, String, String) = (row.get(0), row.get(1), row.get(2));
        let is_disabled_by_us = open.iter().any(|definition| {
            definition.kind == DefinitionKind::Trigger
                && definition.table_oid == oid
                && definition.name == trigger
        });
        if row.get::<_, bool>(3) || is_disabled_by_us {
            let reason = format!(
                "`target_rows: replace` would empty it, and its trigger {} on TRUNCATE would not fire: empty the table yourself, or \
                 disable the trigger, if that is meant",
                printable(&trigger, 80)
            );
            found.push(structural(&table, "", reason, None));
        }
    }
    Ok(found)
}

/// A foreign key of a table that is not planned.
struct KeyFromElsewhere {
    child: Name,
    columns: Vec<String>,
    constraint: String,
    parent: String,
    parent_oid: u32,
    referenced: Vec<String>,
}

async fn keys_from_elsewhere(
    client: &Client,
    emptying: &Emptying<'_>,
) -> Result<Vec<KeyFromElsewhere>, Error> {
    let tables = emptying.layout.tables.iter();
    let mut mine: Vec<u32> = tables.map(|table| table.target.oid).collect();
    mine.extend(emptying.emptied);
    let rows = client
        .query(
            "WITH mine AS (SELECT unnest($2::oid[]) AS oid UNION
                           SELECT p.relid::oid FROM unnest($2::oid[]) AS u(oid), pg_partition_tree(u.oid::regclass) AS p)
             SELECT n.nspname::text, c.relname::text, k.conname::text, p.relname::text, p.oid,
                    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, place)
                          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.place),
                    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, place)
                          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.place)
             FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_class p ON p.oid = k.confrelid
             WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY($1) AND k.conrelid NOT IN (SELECT oid FROM mine)
             ORDER BY 1, 2, 3",
            &[&emptying.emptied, &mine],
        )
        .await
        .map_err(server("looking for tables that refer to the planned ones"))?;
    Ok(rows
        .iter()
        .map(|row| KeyFromElsewhere {
            child: Name::new(row.get::<_, String>(0), row.get::<_, String>(1)),
            constraint: row.get(2),
            parent: row.get(3),
            parent_oid: row.get(4),
            columns: row.get(5),
            referenced: row.get(6),
        })
        .collect())
}

impl KeyFromElsewhere {
    /// A problem where rows refer to what SQLite does not have, or where that cannot be found out.
    async fn look(
        &self,
        client: &Client,
        emptying: &Emptying<'_>,
        cancel: &CancellationToken,
    ) -> Result<Option<Problem>, Error> {
        let doing = || {
            server(format!(
                "looking for rows of {} that refer to planned tables",
                printable(&self.child.quoted(), 160)
            ))
        };
        client
            .batch_execute("SAVEPOINT elsewhere")
            .await
            .map_err(doing())?;
        let sql = self.question(client, emptying, cancel).await?;
        let refer = match client.query_one(&sql, &[]).await {
            Ok(row) if row.get::<_, i64>(0) == 0 => None,
            Ok(row) => Some(format!("{} row(s) of", row.get::<_, i64>(0))),
            Err(error) if error.as_db_error().is_some() => Some(format!(
                "rows, which cannot be counted ({}), may be in",
                server_message(&error)
            )),
            Err(error) => return Err(doing()(error)),
        };
        client
            .batch_execute("ROLLBACK TO SAVEPOINT elsewhere; RELEASE SAVEPOINT elsewhere")
            .await
            .map_err(doing())?;
        Ok(refer.map(|rows| {
            let reason = format!(
                "`target_rows: replace` would empty it, and {rows} {}, which is not planned, refer by {} to rows that SQLite does not \
                 have: take those away first, or move that table too",
                printable(&self.child.quoted(), 160),
                printable(&self.constraint, 80)
            );
            structural(&self.parent, "", reason, None)
        }))
    }

    /// Counts rows whose parent is not among SQLite's keys; all that refer at all where the key does not move.
    async fn question(
        &self,
        client: &Client,
        emptying: &Emptying<'_>,
        cancel: &CancellationToken,
    ) -> Result<String, Error> {
        let not_null: String = self
            .columns
            .iter()
            .map(|column| format!(" AND c.{} IS NOT NULL", quoted(column)))
            .collect();
        let count = format!(
            "SELECT count(*) FROM {} AS c WHERE true{not_null}",
            self.child.quoted()
        );
        let mut tables = emptying.layout.tables.iter();
        let Some(parent) = tables.find(|table| table.target.oid == self.parent_oid) else {
            return Ok(count);
        };
        let place = |name: &String| {
            let mut columns = parent.columns.iter();
            columns.position(|column| column.target.name == *name)
        };
        let Some(places) = self
            .referenced
            .iter()
            .map(place)
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(count);
        };
        let encoding = emptying.layout.encoding;
        probe::fill(client, emptying.source, parent, encoding, &places, cancel).await?;
        let pairs = self.columns.iter().zip(&self.referenced);
        let equal: Vec<String> = pairs
            .map(|(here, there)| format!("k.{} = c.{}", quoted(there), quoted(here)))
            .collect();
        Ok(format!(
            "{count} AND NOT EXISTS (SELECT FROM pg_temp.cutover_probe AS k WHERE {})",
            equal.join(" AND ")
        ))
    }
}
