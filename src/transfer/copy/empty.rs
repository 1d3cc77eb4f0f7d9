//! Emptying under `target_rows: replace`: which tables, whether nothing stands against it, and the one statement. Inside the
//! transaction that [`super::prepare`] opens, under locks that keep writers out.
//!
//! Counting what would be lost is [`crate::transfer::occupied`]'s.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::ours::statements::{self, Emptied, Name};
use crate::postgres::catalogue::{Constraint, RelationKind};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::copy::prepare::Wanted;
use crate::transfer::copy::record::{self, Definition};
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::occupied::obstacles::{Emptying, obstacles};
use crate::transfer::occupied::{self, By, Discard, Occupied};
use crate::transfer::plan::Problem;

/// A table that an unfinished import was to fill and that is not planned any more.
pub struct Abandoned {
    name: Name,
    oid: u32,
    is_partitioned: bool,
    source_table: String,
    rows: u64,
    /// Rows that the import loaded, by its checkpoints.
    loaded: u64,
}

impl Abandoned {
    /// Whether something of the unfinished import may be in it.
    pub fn holds_rows(&self) -> bool {
        self.rows > 0
    }

    /// With `rows` there; those that the import itself loaded are in SQLite.
    fn occupied(&self, rows: u64) -> Occupied {
        let lacking = if rows == self.loaded { 0 } else { rows };
        Occupied {
            table: self.source_table.clone(),
            target: self.name.name.clone(),
            rows: Some(rows),
            lacking: Some(lacking),
            by: By::NotPlanned,
            differing: None,
            going: Vec::new(),
        }
    }

    fn emptied(&self) -> Emptied {
        Emptied {
            table: self.name.clone(),
            is_partitioned: self.is_partitioned,
        }
    }
}

async fn own_rows(client: &Client, name: &Name, is_partitioned: bool) -> Result<u64, Error> {
    let only = if is_partitioned { "" } else { "ONLY " };
    let sql = format!("SELECT count(*) FROM {only}{}", name.quoted());
    let doing = || format!("counting the rows of {}", printable(&name.name, 80));
    crate::transfer::session::count(client, &name.schema, &sql, doing).await
}

/// The tables of the unfinished import `key` that `layout` does not move and into which it has loaded rows.
pub async fn abandoned(
    client: &Client,
    key: &str,
    layout: &Layout,
) -> Result<Vec<Abandoned>, Error> {
    let mut loaded: BTreeMap<(u32, String), u64> = BTreeMap::new();
    for task in record::tasks(client, key).await? {
        let is_planned = |oid| {
            let mut tables = layout.tables.iter();
            tables.any(|table| table.target.oid == oid)
        };
        if task.rows > 0 && !is_planned(task.target_oid) {
            *loaded.entry((task.target_oid, task.table)).or_default() += task.rows;
        }
    }
    let doing = || server("looking at the tables of an import that never ended");
    let mut found = Vec::new();
    for ((oid, source_table), loaded) in loaded {
        let row = client
            .query_opt(
                "SELECT n.nspname::text, c.relname::text, c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.oid = $1",
                &[&oid],
            )
            .await
            .map_err(doing())?;
        // A table that is gone holds nothing.
        let Some(row) = row else { continue };
        let name = Name::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let is_partitioned: bool = row.get(2);
        let rows = own_rows(client, &name, is_partitioned).await?;
        found.push(Abandoned {
            name,
            oid,
            is_partitioned,
            source_table,
            rows,
            loaded,
        });
    }
    Ok(found)
}

/// Keeps writers out of every table that may be emptied, and makes sure that they are still the ones that were read.
pub async fn lock(
    client: &Client,
    schema: &str,
    layout: &Layout,
    abandoned: &[Abandoned],
) -> Result<(), Error> {
    let planned = layout.tables.iter().map(|table| {
        let name = Name::new(schema, &table.target.name);
        let is_partitioned = table.target.kind == RelationKind::Partitioned;
        (name, table.target.oid, is_partitioned)
    });
    let left = abandoned
        .iter()
        .map(|table| (table.name.clone(), table.oid, table.is_partitioned));
    for (name, oid, is_partitioned) in planned.chain(left) {
        let doing = || {
            server(format!(
                "locking {} before it is emptied",
                printable(&name.name, 80)
            ))
        };
        let only = if is_partitioned { "" } else { "ONLY " };
        let relation = name.quoted();
        client
            .batch_execute(&format!(
                "LOCK TABLE {only}{relation} IN SHARE ROW EXCLUSIVE MODE"
            ))
            .await
            .map_err(doing())?;
        let row = client
            .query_one("SELECT to_regclass($1)::oid", &[&relation])
            .await
            .map_err(doing())?;
        if row.get::<_, Option<u32>>(0) != Some(oid) {
            return Err(Error::Changed {
                table: name.name,
                what: "it is another table now".to_owned(),
            });
        }
    }
    Ok(())
}

/// Planned tables that refer to an abandoned one: which of their rows would be orphans was judged by rows that go.
fn children(layout: &Layout, parent: &Abandoned) -> Vec<Problem> {
    let mut found = Vec::new();
    for table in &layout.tables {
        let refers = |constraint: &&Constraint| {
            let to = constraint.references.as_ref();
            to.is_some_and(|(oid, ..)| *oid == parent.oid)
        };
        for constraint in table.target.constraints.iter().filter(refers) {
            let name = printable(&parent.name.name, 80);
            let reason = format!(
                "its foreign key {} refers to {name}, which an unfinished import had begun to fill and which is not planned any more: its rows \
                 would go, and these would be orphans. Bring {name} too, or delete its rows first",
                printable(&constraint.name, 80)
            );
            found.push(structural(&table.source.name, "", reason, None));
        }
    }
    found
}

/// The statement that empties what holds rows; None where nothing does.
///
/// # Errors
/// [`Error::Problems`] names what must not be bypassed, [`Error::Discard`] what nobody agreed to lose.
pub async fn decide(
    client: &Client,
    wanted: &Wanted<'_>,
    abandoned: &[Abandoned],
    open: &[Definition],
    discard: &Discard,
    cancel: &CancellationToken,
) -> Result<Option<String>, Error> {
    let (schema, layout) = (wanted.schema, wanted.layout);
    let mut occupied = Vec::new();
    let mut emptied = Vec::new();
    let mut oids = Vec::new();
    for table in &layout.tables {
        if occupied::rows_there(client, schema, &table.target).await? == Some(0) {
            continue;
        }
        oids.push(table.target.oid);
        emptied.push(Emptied {
            table: Name::new(schema, &table.target.name),
            is_partitioned: table.target.kind == RelationKind::Partitioned,
        });
    }
    let mut problems = Vec::new();
    for table in abandoned {
        // Once more: before the lock, somebody may have written.
        let rows = own_rows(client, &table.name, table.is_partitioned).await?;
        if rows > 0 {
            problems.extend(children(layout, table));
            occupied.push(table.occupied(rows));
            oids.push(table.oid);
            emptied.push(table.emptied());
        }
    }
    let emptying = Emptying {
        source: wanted.source,
        layout,
        emptied: &oids,
        open,
    };
    problems.extend(obstacles(client, &emptying, cancel).await?);
    if !problems.is_empty() {
        return Err(Error::Problems(problems));
    }
    occupied.extend(occupied::count(client, wanted.source, schema, layout, cancel).await?);
    occupied::agreed(&occupied, discard)?;
    Ok(statements::truncate(&emptied))
}
