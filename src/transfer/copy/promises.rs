//! What the target's tables promise when an import begins: kept in `cutover.promise`, so that whoever looks later can tell what is gone
//! since from what was never there. Judging that is `parity`'s.

use tokio_postgres::Client;

use crate::postgres::catalogue::{Constraint, ConstraintKind, Index, Table};
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::Layout;
use crate::transfer::layout::promised::Kept;

/// `condition` is what a key over some rows or over expressions has beside those.
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS cutover.promise (
  import text NOT NULL REFERENCES cutover.import ON DELETE CASCADE, kind text NOT NULL, table_name text NOT NULL, parent_name text,
  columns text[] NOT NULL);
ALTER TABLE cutover.promise ADD COLUMN IF NOT EXISTS condition text;";

/// Whether the table is as it should be: then no lock is taken.
const IS_CURRENT: &str = "
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('cutover.promise') AND attname = 'condition' AND NOT attisdropped)";

const INSERT: &str = "
INSERT INTO cutover.promise (import, kind, table_name, parent_name, columns, condition) VALUES ($1, $2, $3, $4, $5, $6)";

/// Of every table of the schema: the checker looks at all of them. What an import switches off is among its definitions.
const QUIET: &str = "
INSERT INTO cutover.promise (import, kind, table_name, columns)
SELECT $1, 'trigger off', c.relname::text, ARRAY[t.tgname::text] FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $2 AND t.tgenabled IN ('D', 'R') AND NOT t.tgisinternal
   AND NOT EXISTS (SELECT FROM cutover.definition d WHERE d.kind = 'trigger' AND d.table_oid = t.tgrelid AND d.name = t.tgname::text)";

/// Of the tables that are filled, by the server itself: an import takes none of these away.
const NOT_NULL: &str = "
INSERT INTO cutover.promise (import, kind, table_name, columns)
SELECT $1, 'not null', c.relname::text, ARRAY[a.attname::text] FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attrelid = ANY($2) AND a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped";

/// One line of the record.
struct Promise<'t> {
    kind: &'static str,
    table: &'t str,
    parent: Option<&'t str>,
    columns: Vec<String>,
    condition: Option<String>,
}

/// Records what the tables of the layout promise now.
pub async fn record(client: &Client, key: &str, layout: &Layout) -> Result<(), Error> {
    let doing = || "recording the target's keys";
    let current = client.query_one(IS_CURRENT, &[]).await;
    if !current.map_err(server(doing()))?.get::<_, bool>(0) {
        client.batch_execute(TABLE).await.map_err(server(doing()))?;
    }
    client
        .execute(QUIET, &[&key, &layout.schema])
        .await
        .map_err(server(doing()))?;
    let filled: Vec<u32> = layout.tables.iter().map(|table| table.target.oid).collect();
    client
        .execute(NOT_NULL, &[&key, &filled])
        .await
        .map_err(server(doing()))?;
    // Also where there is nothing to record, that it was looked for.
    let looked = Promise {
        kind: "record",
        table: "",
        parent: None,
        columns: Vec::new(),
        condition: None,
    };
    let all = layout.tables.iter().flat_map(|t| promises(&t.target));
    for promise in std::iter::once(looked).chain(all) {
        let Promise {
            kind,
            table,
            parent,
            columns,
            condition,
        } = promise;
        client
            .execute(
                INSERT,
                &[&key, &kind, &table, &parent, &columns, &condition],
            )
            .await
            .map_err(server(doing()))?;
    }
    Ok(())
}

/// What the target's tables promised when this import began; nothing where that is not on record.
pub async fn recorded(client: &Client, key: &str) -> Result<Option<Vec<Kept>>, Error> {
    let doing = || server("reading what the target kept when the import began");
    let exists = "SELECT to_regclass('cutover.promise') IS NOT NULL";
    let exists = client.query_one(exists, &[]).await.map_err(doing())?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    // Keys over whole columns and all rows; an import that an earlier version began has no other, and may lack the column.
    let sql = "SELECT kind, table_name, parent_name, columns FROM cutover.promise p WHERE import = $1 AND to_jsonb(p) ->> 'condition' IS NULL";
    let rows = client.query(sql, &[&key]).await.map_err(doing())?;
    let kept = rows.iter().map(|row| Kept {
        kind: row.get(0),
        table: row.get(1),
        parent: row.get(2),
        columns: row.get::<_, Vec<String>>(3).into_iter().collect(),
    });
    let kept: Vec<Kept> = kept.collect();
    // The first one says that there is a record, also of a schema without any key.
    Ok(kept.iter().any(|one| one.kind == "record").then_some(kept))
}

fn promises(table: &Table) -> Vec<Promise<'_>> {
    let mut all: Vec<Promise<'_>> = table
        .indexes
        .iter()
        .filter(|index| index.valid)
        .filter_map(|index| of_index(table, index))
        .collect();
    all.extend(
        table
            .constraints
            .iter()
            .filter_map(|constraint| of_constraint(table, constraint)),
    );
    all.extend(definitions(table));
    all
}

/// An index over whole columns and all rows by those; another one by what its definition says.
fn of_index<'t>(table: &'t Table, index: &Index) -> Option<Promise<'t>> {
    let constraint = table
        .constraints
        .iter()
        .find(|constraint| Some(&constraint.name) == index.constraint.as_ref());
    let is = |kind: ConstraintKind| constraint.is_some_and(|constraint| constraint.kind == kind);
    let kind = if is(ConstraintKind::Primary) {
        "primary key"
    } else if index.unique {
        "unique"
    } else {
        "index"
    };
    let whole: Option<Vec<String>> = index.columns.iter().cloned().collect();
    let (columns, condition) = match whole {
        Some(columns) if index.predicate.is_none() => (columns, None),
        // That of an exclusion says nothing more than the exclusion.
        _ if is(ConstraintKind::Exclusion) => return None,
        _ => (index.expressions.clone(), condition(index)),
    };
    Some(Promise {
        kind,
        table: &table.name,
        parent: None,
        columns,
        condition,
    })
}

fn of_constraint<'t>(table: &'t Table, constraint: &'t Constraint) -> Option<Promise<'t>> {
    let (kind, parent, columns) = match constraint.kind {
        ConstraintKind::Check if !constraint.columns.is_empty() => {
            ("check", None, constraint.columns.clone())
        }
        ConstraintKind::Foreign => {
            let (_, _, parent) = constraint.references.as_ref()?;
            let columns = constraint.columns.clone();
            ("foreign key", Some(parent.as_str()), columns)
        }
        ConstraintKind::Exclusion => {
            let rule = constraint.definition.strip_prefix("EXCLUDE USING ")?;
            ("exclusion", None, vec![rule.to_owned()])
        }
        ConstraintKind::Check
        | ConstraintKind::Primary
        | ConstraintKind::Unique
        | ConstraintKind::Other => return None,
    };
    Some(Promise {
        kind,
        table: &table.name,
        parent,
        columns,
        condition: None,
    })
}

/// The words of every constraint and of every other index, by its name: one that is there with other words is not the same any more.
fn definitions(table: &Table) -> impl Iterator<Item = Promise<'_>> {
    let known = table
        .constraints
        .iter()
        .filter(|constraint| constraint.kind != ConstraintKind::Other);
    let constraints = known.map(move |constraint| {
        let words = constraint.definition.as_str();
        let words = words.strip_suffix(" NOT VALID").unwrap_or(words);
        definition(table, "constraint", &constraint.name, words.to_owned())
    });
    let others = table
        .indexes
        .iter()
        .filter(|index| index.valid && index.constraint.is_none());
    let indexes = others.map(move |index| {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let beside = condition(index).map_or_else(String::new, |words| format!(" {words}"));
        let words = format!("{unique}({}){beside}", index.expressions.join(", "));
        definition(table, "index", &index.name, words)
    });
    constraints.chain(indexes)
}

fn definition<'t>(table: &'t Table, what: &str, name: &str, words: String) -> Promise<'t> {
    Promise {
        kind: "definition",
        table: &table.name,
        parent: None,
        columns: vec![what.to_owned(), name.to_owned(), words],
        condition: None,
    }
}

/// What an index has beside its columns and expressions.
fn condition(index: &Index) -> Option<String> {
    let nulls = index
        .nulls_not_distinct
        .then(|| "NULLS NOT DISTINCT".to_owned());
    let rows = index
        .predicate
        .as_ref()
        .map(|predicate| format!("WHERE {predicate}"));
    let words: Vec<String> = nulls.into_iter().chain(rows).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
