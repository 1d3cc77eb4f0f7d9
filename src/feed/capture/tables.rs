//! What the catalogue says of the moved tables and of our triggers on them; and which triggers each table is to have. Asks only.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::statements::{Hears, Noting, PREFIX, create_trigger, function_name, trigger_name};
use super::{Captured, Error, server};
use crate::ours::statements::Name;

/// A moved table, or a part of one: a partition, or a table that inherits from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) name: Name,
    /// `relkind`: `r` is plain, `p` partitioned.
    pub(super) kind: String,
    /// It has partitions, is one, or inherits or is inherited from.
    pub(super) has_relatives: bool,
    pub(super) owner: String,
    /// Whether we may do what its owner may.
    pub(super) is_ours: bool,
    pub(super) columns: Vec<String>,
    /// The columns' types, by their oids.
    types: Vec<u32>,
    /// Its columns, with numbers and types: only to be compared.
    pub(super) shape: String,
}

/// A moved table as the catalogue has it.
#[derive(Debug)]
pub(super) struct Moved<'a> {
    pub(super) table: &'a Captured,
    pub(super) root: Relation,
    pub(super) parts: Vec<Relation>,
}

/// A trigger that a relation is to have.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) relation: &'a Relation,
    pub(super) trigger: String,
    number: i32,
    hears: Hears,
    /// PostgreSQL makes it, as the copy of the one on the whole.
    pub(super) is_clone: bool,
}

/// A trigger of ours that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) table: Name,
    pub(super) is_clone: bool,
    enabled: String,
    bits: i32,
    function: String,
}

/// Triggers of ours by relation and name.
pub(super) type Triggers = BTreeMap<(u32, String), Present>;

/// A function of ours.
pub(super) struct Function {
    pub(super) body: String,
    /// It runs as its owner, who may write notes.
    pub(super) may_note: bool,
    pub(super) is_ours: bool,
}

impl Moved<'_> {
    /// Whether a statement may write its rows without naming it.
    pub(super) fn by_row(&self) -> bool {
        self.root.has_relatives
    }

    /// How its function comes to the keys. A column that is not there has no type.
    pub(super) fn noting(&self) -> Noting {
        let type_of = |column: &String| {
            let mut columns = self.root.columns.iter().zip(&self.root.types);
            let found = columns.find(|(name, _)| *name == column);
            found.map_or(0, |(_, oid)| *oid)
        };
        match self.by_row() {
            true => Noting::ByRow {
                key_types: self.table.key.iter().map(type_of).collect(),
            },
            false => Noting::ByStatement,
        }
    }

    /// The whole and its parts, with the table's number.
    pub(super) fn numbered(&self) -> Vec<(i32, &Relation)> {
        self.relations()
            .map(|relation| (self.table.number, relation))
            .collect()
    }

    pub(super) fn relations(&self) -> impl Iterator<Item = &Relation> {
        std::iter::once(&self.root).chain(&self.parts)
    }

    /// Every trigger that it and its parts are to have.
    pub(super) fn wanted(&self) -> Vec<Wanted<'_>> {
        let hears: &[Hears] = match self.by_row() {
            true => &[Hears::Rows, Hears::Truncate],
            false => &[Hears::Insert, Hears::Update, Hears::Delete, Hears::Truncate],
        };
        let is_partitioned = self.root.kind == "p";
        let (number, whole) = (self.table.number, self.root.oid);
        let wanted = self.relations().flat_map(move |relation| {
            hears.iter().map(move |&hears| Wanted {
                relation,
                trigger: trigger_name(number, hears),
                number,
                hears,
                is_clone: is_partitioned && hears == Hears::Rows && relation.oid != whole,
            })
        });
        wanted.collect()
    }
}

impl Wanted<'_> {
    pub(super) fn create(&self) -> String {
        let and_parts = self.hears == Hears::Rows && self.relation.kind == "p";
        create_trigger(self.number, self.hears, &self.relation.name, and_parts)
    }

    /// What is wrong with it; `None` where it is there and notes.
    pub(super) fn fault(&self, present: &Triggers) -> Option<&'static str> {
        let Some(found) = present.get(&(self.relation.oid, self.trigger.clone())) else {
            return Some("is not there");
        };
        if found.enabled != "A" {
            return Some("was disabled, or no longer fires always");
        }
        let is_same =
            found.bits == self.hears.bits() && found.function == function_name(self.number);
        (!is_same).then_some("is another one")
    }
}

/// Index partitions are relatives of indexes, and never reached from a table.
const RELATIONS: &str = "
WITH RECURSIVE part (number, oid, is_root) AS (
  SELECT w.number, c.oid, true
    FROM unnest($1::int4[], $2::text[], $3::text[]) AS w (number, schema, name)
    JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
    JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  UNION
  SELECT p.number, i.inhrelid, false FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
)
SELECT p.number, p.is_root, c.oid, n.nspname::text, c.relname::text, c.relkind::text,
       c.relispartition OR c.relkind = 'p' OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
       pg_catalog.pg_get_userbyid(c.relowner)::text, pg_catalog.pg_has_role(c.relowner, 'USAGE'),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
       coalesce((SELECT string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.attname), ', ' ORDER BY a.attnum)
                   FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '')
  FROM part p JOIN pg_catalog.pg_class c ON c.oid = p.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY p.number, NOT p.is_root, n.nspname, c.relname";

/// The tables with their parts. One that is not in the target is not in the answer.
pub(super) async fn moved<'a>(
    client: &Client,
    tables: &'a [Captured],
) -> Result<Vec<Moved<'a>>, Error> {
    let numbers: Vec<i32> = tables.iter().map(|table| table.number).collect();
    let schemas: Vec<&str> = tables.iter().map(|table| table.schema.as_str()).collect();
    let names: Vec<&str> = tables.iter().map(|table| table.table.as_str()).collect();
    let rows = client
        .query(RELATIONS, &[&numbers, &schemas, &names])
        .await
        .map_err(server("look at the moved tables"))?;
    let mut found: Vec<Moved<'a>> = Vec::new();
    for row in rows {
        let (number, is_root): (i32, bool) = (row.get(0), row.get(1));
        let relation = Relation {
            oid: row.get(2),
            name: Name::new(row.get::<_, String>(3), row.get::<_, String>(4)),
            kind: row.get(5),
            has_relatives: row.get(6),
            owner: row.get(7),
            is_ours: row.get(8),
            columns: row.get(9),
            types: row.get(10),
            shape: row.get(11),
        };
        if is_root {
            let table = tables.iter().find(|table| table.number == number);
            found.push(Moved {
                table: table.expect("BUG: only what was asked for is answered"),
                root: relation,
                parts: Vec::new(),
            });
        } else if let Some(whole) = found.last_mut() {
            whole.parts.push(relation);
        }
    }
    Ok(found)
}

/// Known by the name and by the function's schema.
const TRIGGERS: &str = "
SELECT t.tgrelid, t.tgname::text, n.nspname::text, c.relname::text, t.tgparentid <> 0, t.tgenabled::text, t.tgtype::int4, p.proname::text
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE p.pronamespace = pg_catalog.to_regnamespace('cutover') AND pg_catalog.starts_with(t.tgname::text, $1)";

/// Every trigger of ours in the database, of whichever session.
pub(super) async fn present(client: &Client) -> Result<Triggers, Error> {
    let rows = client
        .query(TRIGGERS, &[&PREFIX])
        .await
        .map_err(server("look for the triggers of the capture"))?;
    let trigger = |row: &tokio_postgres::Row| {
        let present = Present {
            table: Name::new(row.get::<_, String>(2), row.get::<_, String>(3)),
            is_clone: row.get(4),
            enabled: row.get(5),
            bits: row.get(6),
            function: row.get(7),
        };
        ((row.get(0), row.get(1)), present)
    };
    Ok(rows.iter().map(trigger).collect())
}

/// A right is asked for by the tables' oids: nobody has to be able to see the schema.
const FUNCTIONS: &str = "
SELECT p.proname::text, p.prosrc,
       p.prosecdef AND coalesce((SELECT pg_catalog.has_schema_privilege(p.proowner, p.pronamespace, 'USAGE')
                                        AND pg_catalog.has_table_privilege(p.proowner, c.oid, 'INSERT')
                                   FROM pg_catalog.pg_class c WHERE c.relnamespace = p.pronamespace AND c.relname = 'feed_notes'), false),
       pg_catalog.pg_has_role(p.proowner, 'USAGE')
  FROM pg_catalog.pg_proc p
 WHERE p.pronamespace = pg_catalog.to_regnamespace('cutover') AND p.pronargs = 0
   AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype AND p.proname ~ '^feed_-?[0-9]+$'";

/// Every function of ours, by name.
pub(super) async fn functions(client: &Client) -> Result<BTreeMap<String, Function>, Error> {
    let rows = client
        .query(FUNCTIONS, &[])
        .await
        .map_err(server("look for the functions of the capture"))?;
    let function = |row: &tokio_postgres::Row| {
        let function = Function {
            body: row.get(1),
            may_note: row.get(2),
            is_ours: row.get(3),
        };
        (row.get(0), function)
    };
    Ok(rows.iter().map(function).collect())
}

/// Whether the tables of the capture are there; both or none are made.
pub(super) async fn are_ours_there(client: &Client) -> Result<bool, Error> {
    let there = "SELECT count(*) = 2 FROM pg_catalog.pg_class c
        WHERE c.relnamespace = pg_catalog.to_regnamespace('cutover') AND c.relname IN ('feed_notes', 'feed_tables')";
    let row = client.query_one(there, &[]).await;
    Ok(row
        .map_err(server("look for the tables of the capture"))?
        .get(0))
}
