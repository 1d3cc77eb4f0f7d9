//! Who may write to tables of the target: read, taken away, and given back as it was.
//!
//! Taking rights away concerns every role but the owner and superusers: those are kept out by a lock alone (`lock`). Giving back is in
//! [`give_back`], whether all of it can be done in [`may_fence`].

mod back;
mod lock;
mod may;

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::{Error, quoted};
use crate::session::grants::{ColumnGrants, FormerGrants, Grant, Right};

pub use back::{GivenBack, give_back};
pub use lock::{Drained, TargetFence, lock};
pub use may::{LOCK_ALONE, may_fence};

/// Schema and name of a table.
pub type TableName = (String, String);

/// The tables of these names, and all that are parts of them or inherit from them.
const MOVED: &str = "
    WITH RECURSIVE moved AS (
      SELECT c.oid FROM unnest($1::text[], $2::text[]) AS named(of_schema, of_table)
        JOIN pg_catalog.pg_namespace n ON n.nspname = named.of_schema
        JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = named.of_table
      UNION
      SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN moved m ON i.inhparent = m.oid)";

/// The tables of these oids.
const KNOWN: &str = "WITH moved AS (SELECT unnest($1::oid[]) AS oid)";

/// Their rights, a row for each entry of an access list; of a table without any entry one row.
const RIGHTS: &str = ",
    held AS (
      SELECT m.oid, 0::int2 AS number, NULL::text AS name, x.grantee, x.grantor, x.privilege_type, x.is_grantable
        FROM moved m JOIN pg_catalog.pg_class c ON c.oid = m.oid CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) x
      UNION ALL
      SELECT m.oid, a.attnum, a.attname::text, x.grantee, x.grantor, x.privilege_type, x.is_grantable
        FROM moved m JOIN pg_catalog.pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped
        CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) x),
    entry AS (
      SELECT oid, number, name, grantee, grantor,
             array_agg(privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END ORDER BY privilege_type) AS rights
        FROM held GROUP BY oid, number, name, grantee, grantor)
    SELECT c.oid, n.nspname::text, c.relname::text, c.relowner, c.relacl IS NOT NULL, e.number, e.name, e.grantee,
           CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(e.grantee)::text END,
           e.grantor, pg_catalog.pg_get_userbyid(e.grantor)::text, e.rights
      FROM moved m JOIN pg_catalog.pg_class c ON c.oid = m.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN entry e ON e.oid = c.oid
     WHERE c.relkind IN ('r', 'p', 'f')
     ORDER BY c.oid, e.number, e.grantor, e.grantee";

/// The rights on these tables, on their parts and on all that inherits from them, as they are now. A table that is not there is passed
/// over.
pub async fn former(client: &Client, tables: &[TableName]) -> Result<Vec<FormerGrants>, Error> {
    let (schemas, names) = columns(tables);
    read(client, MOVED, &[&schemas, &names]).await
}

/// The rights on tables that are known by their oids. One that is gone is passed over.
async fn present(client: &Client, oids: &[u32]) -> Result<Vec<FormerGrants>, Error> {
    read(client, KNOWN, &[&oids]).await
}

fn columns(tables: &[TableName]) -> (Vec<&str>, Vec<&str>) {
    let pairs = tables.iter().map(|(of, name)| (of.as_str(), name.as_str()));
    pairs.unzip()
}

async fn read(
    client: &Client,
    which: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<FormerGrants>, Error> {
    let sql = format!("{which}{RIGHTS}");
    let rows = client.query(&sql, values).await;
    let rows = rows.map_err(|error| Error::of_statement("read the rights on tables", &error))?;
    let mut tables: Vec<FormerGrants> = Vec::new();
    for row in &rows {
        let oid: u32 = row.get(0);
        if tables.last().is_none_or(|table| table.oid != oid) {
            let is_granted: bool = row.get(4);
            tables.push(FormerGrants {
                schema: row.get(1),
                table: row.get(2),
                oid,
                owner: row.get(3),
                grants: is_granted.then(Vec::new),
                columns: Vec::new(),
            });
        }
        let table = tables.last_mut().expect("BUG: it was put there");
        put(table, row);
    }
    Ok(tables)
}

/// Adds the entry of one row, where it has one.
fn put(table: &mut FormerGrants, row: &Row) {
    let Some(number) = row.get::<_, Option<i16>>(5) else {
        return;
    };
    let grant = Grant {
        to: row.get(7),
        to_name: row.get(8),
        by: row.get(9),
        by_name: row.get(10),
        rights: row.get(11),
    };
    if number == 0 {
        table.grants.get_or_insert_default().push(grant);
        return;
    }
    match table.columns.last_mut().filter(|c| c.number == number) {
        Some(column) => column.grants.push(grant),
        None => table.columns.push(ColumnGrants {
            column: row.get(6),
            number,
            grants: vec![grant],
        }),
    }
}

/// What became of rights that were taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revoked {
    /// On how many tables nobody but the owner may write any more, who could before.
    pub tables: usize,
    /// What somebody can still write, and why, a line each.
    pub still: Vec<String>,
}

/// Takes away every right to change rows of these tables that somebody else than their owner has, on the table or on a column, and
/// whatever hangs on it. What cannot be taken is named. `of` is what [`former`] has read; it is on record by now.
///
/// # Errors
/// The server does not answer; some of it may be taken.
pub async fn revoke(client: &Client, of: &[FormerGrants]) -> Result<Revoked, Error> {
    let written: Vec<&FormerGrants> = of
        .iter()
        .filter(|table| !table.writes_of_others().is_empty())
        .collect();
    let oids: Vec<u32> = written.iter().map(|table| table.oid).collect();
    let mut why: BTreeMap<u32, String> = BTreeMap::new();
    let statements: Vec<(u32, String)> = written
        .iter()
        .filter_map(|table| Some((table.oid, revoke_sql(table)?)))
        .collect();
    run_all(client, &statements, &mut why).await?;
    // What another role granted on a column by its right on the whole table outlives that right.
    let left = present(client, &oids).await?;
    let orphans: Vec<(u32, String)> = left
        .iter()
        .flat_map(|table| {
            let rights = table.writes_of_others();
            let orphans = rights.iter().filter(|right| right.by != table.owner);
            let of_table = orphans.filter_map(|right| Some((table.oid, orphan_sql(table, right)?)));
            of_table.collect::<Vec<_>>()
        })
        .collect();
    run_all(client, &orphans, &mut why).await?;
    let left = match orphans.is_empty() {
        true => left,
        false => present(client, &oids).await?,
    };
    let still = left.iter().filter_map(|table| {
        let rights = table.writes_of_others();
        let first = rights.first()?;
        let why = why.get(&table.oid).map_or("", String::as_str);
        let more = match rights.len() {
            1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        Some(format!(
            "{}: {}{more} could not be taken away{why}",
            table.name(),
            words(table, first)
        ))
    });
    let still: Vec<String> = still.collect();
    Ok(Revoked {
        tables: written.len() - still.len(),
        still,
    })
}

/// Takes away what the owner has granted. The server takes along what is granted on columns, and what hangs on a right to grant on. A table
/// that has no access list of its own is given none.
fn revoke_sql(table: &FormerGrants) -> Option<String> {
    let (rights, owner) = (table.writes_of_others(), table.owner);
    let by_owner = || rights.iter().filter(move |right| right.by == owner);
    let roles = |column: Option<i16>| {
        let of_column = by_owner().filter(|right| column.is_none_or(|c| c == right.column));
        let roles: BTreeSet<String> = of_column.filter_map(|r| role(table, r.to)).collect();
        roles.into_iter().collect::<Vec<_>>().join(", ")
    };
    let name = sql_name(table);
    if by_owner().any(|right| right.column == 0) {
        let from = roles(None);
        return Some(format!(
            "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON TABLE {name} FROM {from} CASCADE"
        ));
    }
    let columns = table.columns.iter().filter_map(|column| {
        let from = roles(Some(column.number));
        let column = quoted(&column.column);
        (!from.is_empty()).then(|| {
            format!(
                "REVOKE INSERT ({column}), UPDATE ({column}) ON TABLE {name} FROM {from} CASCADE"
            )
        })
    });
    let columns: Vec<String> = columns.collect();
    (!columns.is_empty()).then(|| columns.join("; "))
}

/// Takes away what somebody else than the owner has granted, whoever we are: what is granted by a role goes with that role's own right.
fn orphan_sql(table: &FormerGrants, right: &Right) -> Option<String> {
    let (by, on) = (role(table, right.by)?, on_sql(table, right)?);
    Some(format!(
        "GRANT {on} TO {by} WITH GRANT OPTION; REVOKE {on} FROM {by} CASCADE"
    ))
}

/// `UPDATE ("a") ON TABLE "public"."t"`.
fn on_sql(table: &FormerGrants, right: &Right) -> Option<String> {
    let column = match right.column {
        0 => String::new(),
        number => {
            let column = table.columns.iter().find(|c| c.number == number)?;
            format!(" ({})", quoted(&column.column))
        }
    };
    Some(format!(
        "{}{column} ON TABLE {}",
        right.plain(),
        sql_name(table)
    ))
}

fn sql_name(table: &FormerGrants) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.table))
}

fn role(table: &FormerGrants, oid: u32) -> Option<String> {
    match oid {
        0 => Some("PUBLIC".to_owned()),
        oid => table.name_of(oid).map(quoted),
    }
}

/// `UPDATE on column a, which app has by owner`.
fn words(table: &FormerGrants, right: &Right) -> String {
    let column = table.columns.iter().find(|c| c.number == right.column);
    let column = column.map_or_else(String::new, |c| format!(" on column {}", c.column));
    let name = |role: u32| match role {
        0 => "PUBLIC",
        role => table.name_of(role).unwrap_or("a role that is gone"),
    };
    let text = format!(
        "{}{column}, which {} has by {}",
        right.right,
        name(right.to),
        name(right.by)
    );
    crate::text::printable(&text, 300)
}

/// Runs statements, each about a table: all in one transaction, or where one of them fails each in its own. Why one failed is noted by table.
async fn run_all(
    client: &Client,
    statements: &[(u32, String)],
    why: &mut BTreeMap<u32, String>,
) -> Result<(), Error> {
    if statements.is_empty() {
        return Ok(());
    }
    let all: Vec<&str> = statements.iter().map(|(_, sql)| sql.as_str()).collect();
    if refused(client, &all.join("; ")).await?.is_none() {
        return Ok(());
    }
    for (table, sql) in statements {
        if let Some(error) = refused(client, sql).await? {
            why.insert(*table, format!(": {error}"));
        }
    }
    Ok(())
}

/// How often rights are changed that another transaction was in the way of: one that empties or analyses the table changes the same entry of the
/// catalogue, and the server then gives up with an internal error.
const TRIES: usize = 20;

/// Runs statements in one transaction; gives the server's refusal, where it refused. A standby is not waited for: nobody would wait for it in
/// a rollback.
async fn refused(client: &Client, sql: &str) -> Result<Option<Error>, Error> {
    let whole = format!(
        "BEGIN READ WRITE; SET LOCAL synchronous_commit = local; SET LOCAL lock_timeout = '1s'; {sql}; COMMIT"
    );
    let mut tries = 1;
    loop {
        let Err(error) = client.batch_execute(&whole).await else {
            return Ok(None);
        };
        let is_refusal = error.as_db_error().is_some() && !client.is_closed();
        let is_passing = error.code() == Some(&SqlState::INTERNAL_ERROR) && tries < TRIES;
        let error = Error::of_statement("change the rights on a table", &error);
        if !is_refusal {
            return Err(error);
        }
        let ended = client.batch_execute("ROLLBACK").await;
        ended.map_err(|error| Error::of_statement("end a transaction", &error))?;
        if !is_passing {
            return Ok(Some(error));
        }
        tries += 1;
    }
}
