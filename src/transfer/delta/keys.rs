//! Foreign keys around changed tables: which of them would act on rows that did not change, and have to be away meanwhile.
//!
//! A key without an action is checked at the end, whatever the order. CASCADE, SET NULL, SET DEFAULT and RESTRICT happen at once, deferred
//! or not: such a key stays only where no row will refer to a value that goes. The questions are asked before anything is changed, for
//! nothing can be taken away amid changes that wait for their check.

use tokio_postgres::Client;

use crate::ours::statements::Name;
use crate::postgres::quoted;
use crate::transfer::Error;
use crate::transfer::delta::ways::Rows;
use crate::transfer::error::server;

/// A foreign key that is enforced, on or to a changed table.
#[derive(Debug, Clone)]
pub struct Key {
    /// The table that it is on.
    pub child: Name,
    /// Its oid.
    pub child_oid: u32,
    /// The table that it refers to.
    pub parent_oid: u32,
    /// Its name.
    pub name: String,
    /// A row that is deleted takes along, changes or minds those that refer to it.
    pub on_delete: bool,
    /// So does a referenced value that changes.
    pub on_update: bool,
    /// Its check can wait until the end.
    pub deferrable: bool,
    /// Its columns, quoted.
    columns: Vec<String>,
    /// Those that they refer to, quoted.
    referenced: Vec<String>,
}

const KEYS: &str = "
SELECT n.nspname::text, c.relname::text, k.conrelid, k.confrelid, k.conname::text, k.confdeltype <> 'a', k.confupdtype <> 'a', k.condeferrable,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, place)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.place)
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY($1) OR k.confrelid = ANY($1))
   AND pg_get_constraintdef(k.oid) NOT LIKE '% NOT ENFORCED%'
 ORDER BY 1, 2, 5";

/// The foreign keys on or to these tables, of any schema.
pub async fn around(client: &Client, tables: &[u32]) -> Result<Vec<Key>, Error> {
    let rows = client
        .query(KEYS, &[&tables])
        .await
        .map_err(server("reading the foreign keys"))?;
    let names = |names: Vec<String>| names.iter().map(|name| quoted(name)).collect();
    let keys = rows.iter().map(|row| Key {
        child: Name::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        child_oid: row.get(2),
        parent_oid: row.get(3),
        name: row.get(4),
        on_delete: row.get(5),
        on_update: row.get(6),
        deferrable: row.get(7),
        columns: names(row.get(8)),
        referenced: names(row.get(9)),
    });
    Ok(keys.collect())
}

impl Key {
    /// Whether it would act on a row that refers to a value which goes, by what is staged. `tables` are in the order in which their rows are
    /// deleted and updated.
    pub async fn acts(&self, client: &Client, tables: &[Rows]) -> Result<bool, Error> {
        let Some(sql) = self.question(tables) else {
            return Ok(false);
        };
        let doing = || {
            let name = crate::text::printable(&self.name, 80);
            format!("looking for rows on which {name} would act")
        };
        let row = client.query_one(&sql, &[]).await.map_err(server(doing()))?;
        Ok(row.get(0))
    }

    /// The question; none where nothing can go to which it refers, or where it has no action.
    fn question(&self, tables: &[Rows]) -> Option<String> {
        let place = |oid| tables.iter().position(|table| table.oid == oid);
        let parent_place = place(self.parent_oid)?;
        let parent = &tables[parent_place];
        let gone = self.gone(parent)?;
        let equal = self.columns.iter().enumerate();
        let equal = equal.map(|(at, column)| format!("c.{column} = r.r{at}"));
        let equal = equal.collect::<Vec<_>>().join(" AND ");
        let list = (0..self.columns.len()).map(|at| format!("r{at}"));
        let list = list.collect::<Vec<_>>().join(", ");
        let refers = |child: &str, beside: &str| {
            format!(
                "EXISTS (SELECT FROM ({gone}) AS r({list}) JOIN {child} AS c ON {equal}{beside})"
            )
        };
        let child = self.child.quoted();
        let child_place = place(self.child_oid);
        Some(match child_place {
            // One statement deletes both; one updates both, and the key acts behind it on rows as they are by then.
            Some(at) if at == parent_place => {
                let beside = format!(" WHERE NOT ({})", parent.goes("c"));
                let as_they_were = refers(&child, &beside);
                match self.moves(parent) {
                    true => format!("SELECT {as_they_were} OR {}", refers(&parent.new, "")),
                    false => format!("SELECT {as_they_were}"),
                }
            }
            // Its rows are by then as they will be, but for those that are inserted later; these count as if they were there.
            Some(at) if at < parent_place && self.moves(&tables[at]) => {
                let rows = &tables[at];
                let untouched = format!(
                    " WHERE NOT EXISTS (SELECT FROM {} AS o WHERE {})",
                    rows.old,
                    rows.same("o", "c")
                );
                format!(
                    "SELECT {} OR {}",
                    refers(&child, &untouched),
                    refers(&rows.new, "")
                )
            }
            // A cycle, a table that does not change, or columns that do not move: its rows are as they were.
            Some(_) | None => format!("SELECT {}", refers(&child, "")),
        })
    }

    /// Whether all of its columns are among those that move: others are not staged.
    fn moves(&self, child: &Rows) -> bool {
        let mut columns = self.columns.iter();
        columns.all(|column| child.columns.contains(column))
    }

    /// SQL: the referenced values of rows that go, or that change them.
    fn gone(&self, parent: &Rows) -> Option<String> {
        let name = parent.name.quoted();
        let values = |of: &str| {
            let values = self
                .referenced
                .iter()
                .map(|column| format!("{of}.{column}"));
            values.collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        if self.on_delete {
            parts.push(format!(
                "SELECT {} FROM ONLY {name} AS p WHERE {}",
                values("p"),
                parent.goes("p")
            ));
        }
        if self.on_update && !parent.again {
            // As text, whatever the column's collation takes for equal: PostgreSQL asks whether the bytes are the same.
            let changes = |column: &String| {
                let moves = parent.columns.contains(column);
                moves.then(|| {
                    format!(
                        "p.{column}::text COLLATE \"C\" IS DISTINCT FROM n.{column}::text COLLATE \"C\""
                    )
                })
            };
            let changes: Vec<String> = self.referenced.iter().filter_map(changes).collect();
            if !changes.is_empty() {
                parts.push(format!(
                    "SELECT {} FROM ONLY {name} AS p JOIN {} AS n ON {} WHERE {}",
                    values("p"),
                    parent.new,
                    parent.same("n", "p"),
                    changes.join(" OR ")
                ));
            }
        }
        (!parts.is_empty()).then(|| parts.join(" UNION ALL "))
    }

    /// SQL that lets its check wait for the end of the transaction.
    pub fn wait(&self) -> String {
        self.alter("DEFERRABLE")
    }

    /// SQL that undoes that.
    pub fn wait_no_more(&self) -> String {
        self.alter("NOT DEFERRABLE")
    }

    fn alter(&self, how: &str) -> String {
        format!(
            "ALTER TABLE {} ALTER CONSTRAINT {} {how}",
            self.child.quoted(),
            quoted(&self.name)
        )
    }
}
