//! Integrity (`T4d`, `V5`): no orphans, declared or not; nothing in the target left switched off, unproven or broken.

use super::super::error::Error;
use super::super::pair::{TablePair, literal, quoted};
use super::super::report::Check;
use super::super::sides::Sides;
use super::relations::{self, Declared, Relation};
use super::{EXAMPLES, Wrong};
use crate::text::printable;

/// Whether the import has ended ([`import_ended`](super::import_ended())), one verdict per relation (orphans), one each for constraints, indexes
/// and triggers of the schema, one per kind of key that the schemas promise ([`promises`](super::promises)), and one for a transfer section some of
/// whose keys name nothing.
///
/// Orphans under a foreign key of the target that vouches for all rows are always wrong. Where there is none, orphans that the backup has as well are told,
/// and are not the cutover's doing.
pub async fn integrity(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    // What an import has away explains what is missing below.
    let mut checks = super::import_ended(sides, id).await?;
    for relation in relations::all(sides).await? {
        checks.push(orphans(sides, id, &relation).await?);
    }
    let known = known_unvalidated(sides).await?;
    let shown: Vec<String> = known.iter().map(|name| printable(name, 80)).collect();
    let good = if known.is_empty() {
        "every constraint is validated".to_owned()
    } else {
        format!(
            "every constraint is as it was; rows that are there are not held to {}, which was not validated before",
            shown.join(", ")
        )
    };
    let names: Vec<String> = known.iter().map(|name| literal(name)).collect();
    let unvalidated = UNVALIDATED.replace("$known", &format!("ARRAY[{}]", names.join(", ")));
    checks.push(listing(sides, id, "constraints validated", &unvalidated, &good).await?);
    checks.push(
        listing(
            sides,
            id,
            "indexes valid",
            INVALID_INDEXES,
            "every index is valid and ready",
        )
        .await?,
    );
    checks.push(triggers(sides, id).await?);
    checks.push(unique_keys(sides, id).await?);
    checks.extend(super::promises::promises(sides, id).await?);
    if !sides.pairing.strays.is_empty() {
        let mut wrong = Wrong::default();
        for stray in &sides.pairing.strays {
            wrong.add(|| stray.clone());
        }
        checks.push(wrong.verdict(id, "transfer section".to_owned(), String::new));
    }
    Ok(checks)
}

/// A foreign key that was NOT VALID before the import comes back as it was.
const UNVALIDATED: &str = "
    SELECT format('%s on %s is not validated', f.conname, c.relname)
      FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT f.convalidated AND n.nspname = $schema AND NOT f.conname = ANY ($known::text[]) ORDER BY 1";

/// Constraints that are as they were before the import: not validated by the application's own wish, or accepted.
async fn known_unvalidated(sides: &Sides) -> Result<Vec<String>, Error> {
    let doing = "reading which constraints were not validated before the import";
    let sql = format!(
        "SELECT f.conname, f.contype FROM pg_constraint f JOIN pg_namespace n ON n.oid = f.connamespace
          WHERE NOT f.convalidated AND n.nspname = {}",
        literal(&sides.schema)
    );
    let readable = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'cutover' AND c.relname = 'definition'
           AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";
    let has_record = sides.count(doing, readable).await? == 1;
    let recorded = "SELECT name FROM cutover.definition WHERE kind = 'foreign' AND put_back LIKE '%NOT VALID' AND prove IS NULL";
    let mut as_before: Vec<String> = Vec::new();
    if has_record {
        let rows = sides.ask(doing, recorded).await?;
        as_before = rows.into_iter().flatten().flatten().collect();
    }
    let mut known = Vec::new();
    for row in sides.ask(doing, &sql).await? {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let (name, kind) = (text(0), text(1));
        // An import never takes a check away: one that is not validated now was not before.
        let was_so = as_before.contains(&name) || (has_record && kind == "c");
        if was_so || sides.transfer.accepts(&format!("constraint {name}")) {
            known.push(name);
        }
    }
    Ok(known)
}

const INVALID_INDEXES: &str = "
    SELECT format('%s on %s is invalid', x.relname, c.relname)
      FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class c ON c.oid = i.indrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE NOT (i.indisvalid AND i.indisready AND i.indislive) AND n.nspname = $schema ORDER BY 1";

/// `R` fires only on a replica, which an application's session is not. Internal triggers enforce foreign keys.
const DISABLED_TRIGGERS: &str = "
    SELECT format('%s on %s %s', t.tgname, c.relname, CASE t.tgenabled WHEN 'D' THEN 'is disabled' ELSE 'fires on replicas only' END)
      FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE t.tgenabled IN ('D', 'R') AND n.nspname = $schema
       AND NOT format('%s on %s', t.tgname, c.relname) = ANY ($known::text[]) ORDER BY 1";

/// Every trigger runs as before the import: one that the application's own migrations had switched off stays so.
async fn triggers(sides: &Sides, id: &str) -> Result<Check, Error> {
    let off = "SELECT format('%s on %s', t.tgname, c.relname), t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
          JOIN pg_namespace n ON n.oid = c.relnamespace WHERE t.tgenabled IN ('D', 'R') AND n.nspname = $schema ORDER BY 1"
        .replace("$schema", &literal(&sides.schema));
    let before = super::promises::triggers_off(sides).await?;
    let mut known = Vec::new();
    for row in sides.ask("reading which triggers are off", &off).await? {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        let is_accepted = sides.transfer.accepts(&format!("trigger {}", text(1)));
        if is_accepted || before.contains(&text(0)) {
            known.push(text(0));
        }
    }
    let good = if known.is_empty() {
        "every trigger is enabled".to_owned()
    } else {
        let shown: Vec<String> = known.iter().map(|name| printable(name, 80)).collect();
        format!(
            "every trigger is as it was; off before the import already, or accepted: {}",
            shown.join(", ")
        )
    };
    let names: Vec<String> = known.iter().map(|name| literal(name)).collect();
    let sql = DISABLED_TRIGGERS.replace("$known", &format!("ARRAY[{}]", names.join(", ")));
    listing(sides, id, "triggers enabled", &sql, &good).await
}

async fn listing(
    sides: &Sides,
    id: &str,
    name: &str,
    sql: &str,
    good: &str,
) -> Result<Check, Error> {
    let sql = sql.replace("$schema", &literal(&sides.schema));
    let mut wrong = Wrong::default();
    for text in sides
        .ask(&format!("checking: {name}"), &sql)
        .await?
        .into_iter()
        .flatten()
        .flatten()
    {
        wrong.add(|| printable(&text, 200));
    }
    Ok(wrong.verdict(id, name.to_owned(), || good.to_owned()))
}

async fn orphans(sides: &Sides, id: &str, relation: &Relation) -> Result<Check, Error> {
    let condition = format!(
        "{} AND {}",
        relation.target_orphan_sql(),
        sides.judged_rows_sql("c.")
    );
    let from = format!(
        "FROM {} AS c WHERE {condition}",
        relation.child.target_sql()
    );
    let doing = format!("looking for orphans of {}", relation.title());
    let target = sides
        .count(&doing, &format!("SELECT count(*) {from}"))
        .await?;
    // Under a foreign key there must be none; elsewhere the backup says how many are not the cutover's doing.
    let tolerated = match (target, relation.declared) {
        (0, _) | (_, Declared::InTarget) => 0,
        (_, Declared::InSource | Declared::ByName) => source_orphans(sides, relation).await?,
    };
    let mut wrong = Wrong::default();
    if target > tolerated {
        let names: Vec<_> = named_columns(relation)
            .iter()
            .map(|name| format!("c.{}", quoted(name)))
            .collect();
        let some = format!(
            "SELECT {} {from} ORDER BY {} LIMIT {EXAMPLES}",
            names.join(", "),
            names.join(", ")
        );
        for row in sides.ask_rows(&doing, &some).await? {
            wrong.add(|| orphan(relation, &row));
        }
        wrong.count = target - tolerated;
    }
    let how = match relation.declared {
        Declared::InTarget => "a foreign key of PostgreSQL",
        Declared::InSource => "a foreign key of SQLite that PostgreSQL does not have",
        Declared::ByName => "no foreign key, recognised by name",
    };
    Ok(wrong.verdict(
        id,
        format!("orphans {}", relation.title()),
        || match target {
            0 => format!("no orphans ({how})"),
            some => format!(
                "{some} orphans, and {tolerated} in the backup, those of parents that were put aside included ({how}): not the cutover's doing"
            ),
        },
    ))
}

/// The key of the child, then the columns that refer, by their target names.
fn named_columns(relation: &Relation) -> Vec<String> {
    let child: &TablePair = &relation.child;
    let key = child.columns[..child.key_columns]
        .iter()
        .map(|column| column.target.clone());
    let refer = relation
        .columns
        .iter()
        .filter_map(|name| child.column(name))
        .map(|column| column.target.clone());
    key.chain(refer).collect()
}

fn orphan(relation: &Relation, row: &[Option<String>]) -> String {
    let keys = relation.child.key_columns;
    let text = |cells: &[Option<String>]| {
        let parts: Vec<_> = cells
            .iter()
            .map(|cell| printable(cell.as_deref().unwrap_or("NULL"), 80))
            .collect();
        parts.join(", ")
    };
    let (key, refer) = row.split_at(keys.min(row.len()));
    let (child, parent) = (
        printable(&relation.child.source, 80),
        printable(&relation.parent.source, 80),
    );
    let who = if keys == 0 {
        child
    } else {
        format!("{child} {}", text(key))
    };
    format!(
        "{who}: its {} {} is no row of {parent}",
        printable(&relation.columns.join(","), 80),
        text(refer)
    )
}

async fn source_orphans(sides: &Sides, relation: &Relation) -> Result<u64, Error> {
    let sql = format!(
        "SELECT count(*) FROM {} AS c WHERE {}",
        quoted(&relation.child.source),
        relation.source_orphan_sql()
    );
    let table = relation.child.source.clone();
    let count = move |connection: &rusqlite::Connection| {
        let rows: i64 = connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|source| Error::Read { table, source })?;
        Ok(rows.unsigned_abs())
    };
    sides.on_source(count).await
}

/// Every unique key of the source holds in the target, whether the target enforces it or not.
async fn unique_keys(sides: &Sides, id: &str) -> Result<Check, Error> {
    let mut wrong = Wrong::default();
    let keys = sides.on_source(unique_in_source).await?;
    let mut checked = 0;
    for (table, columns) in &keys {
        let Some(pair) = sides.table(table) else {
            continue;
        };
        let targets: Option<Vec<_>> = columns
            .iter()
            .map(|name| pair.column(name).map(|column| quoted(&column.target)))
            .collect();
        let Some(targets) = targets else { continue };
        checked += 1;
        let list = targets.join(", ");
        let filled: Vec<_> = targets
            .iter()
            .map(|name| format!("{name} IS NOT NULL"))
            .collect();
        let sql = format!(
            "SELECT {list}, count(*) FROM {} WHERE {} AND {} GROUP BY {list} HAVING count(*) > 1 ORDER BY {list} LIMIT {EXAMPLES}",
            pair.target_sql(),
            filled.join(" AND "),
            sides.judged_rows_sql("")
        );
        for row in sides
            .ask_rows(&format!("checking that {table} has no doubles"), &sql)
            .await?
        {
            let cells: Vec<_> = row
                .iter()
                .map(|cell| printable(cell.as_deref().unwrap_or("NULL"), 80))
                .collect();
            let (count, key) = cells
                .split_last()
                .map_or((String::new(), String::new()), |(count, key)| {
                    (count.clone(), key.join(", "))
                });
            wrong.add(|| {
                format!(
                    "{}: {} {key} occurs {count} times",
                    printable(table, 80),
                    printable(&columns.join(","), 80)
                )
            });
        }
    }
    Ok(wrong.verdict(id, "unique keys".to_owned(), || {
        format!("{checked} unique keys of the backup hold in PostgreSQL")
    }))
}

/// Table and columns of every unique key and index over whole columns.
fn unique_in_source(
    connection: &rusqlite::Connection,
) -> Result<Vec<(String, Vec<String>)>, Error> {
    let failed = |source| Error::Read {
        table: "sqlite_schema".to_owned(),
        source,
    };
    let sql = "SELECT t.name, i.name, c.name
                 FROM pragma_table_list AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c
                WHERE t.schema = 'main' AND t.type = 'table' AND i.\"unique\" AND NOT i.partial AND c.key
                ORDER BY t.name, i.name, c.seqno";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut keys: Vec<(String, String, Option<Vec<String>>)> = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let (table, index): (String, String) =
            (row.get(0).map_err(failed)?, row.get(1).map_err(failed)?);
        let column: Option<String> = row.get(2).map_err(failed)?;
        if keys
            .last()
            .is_none_or(|last| (&last.0, &last.1) != (&table, &index))
        {
            keys.push((table, index, Some(Vec::new())));
        }
        if let Some((_, _, columns)) = keys.last_mut() {
            // An expression has no column name: such an index is left to the server.
            *columns = columns.take().and_then(|mut columns| {
                column.map(|name| {
                    columns.push(name);
                    columns
                })
            });
        }
    }
    Ok(keys
        .into_iter()
        .filter_map(|(table, _, columns)| Some((table, columns?)))
        .collect())
}
