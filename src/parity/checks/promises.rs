//! The schema as part of parity (`T4d`): primary keys, unique keys, foreign keys, exclusions, NOT NULL, checks and indexes that SQLite has, or
//! that PostgreSQL had when the import began, hold in PostgreSQL; and what is still called as it was then says what it said.
//!
//! What PostgreSQL never had is told and is not wrong: the application's own migrations decide what its schema is. What is gone since
//! the import began is wrong, and so is what SQLite has where nobody knows what PostgreSQL had, unless the transfer section accepts it.

use super::super::error::Error;
use super::super::pair::{TablePair, literal};
use super::super::report::Check;
use super::super::sides::Sides;
use super::{Wrong, words};
use crate::text::printable;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// Kinds of promises, in the order of the checks.
const KINDS: &[&str] = &[
    "primary key",
    "unique",
    "foreign key",
    "exclusion",
    "not null",
    "check",
    "index",
];

/// What the migrations of either side spell by means of their own: a type for a check, an index of another kind. Wrong only where it is
/// known that PostgreSQL had it.
const TOLD: &[&str] = &["check", "index"];

/// One promise over columns of one table, by the names of the target. In place of columns stand expressions as the server writes them where
/// a key is over those or over some rows, and all the words of an exclusion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Promise {
    /// One of [`KINDS`].
    kind: &'static str,
    table: String,
    columns: BTreeSet<String>,
    /// The table referred to by a foreign key.
    parent: Option<String>,
    /// What a key over some rows, or over expressions, has beside those: `WHERE (deleted IS NULL)`.
    condition: Option<String>,
}

/// Promises, each with how many constraints or indexes keep it: two checks of one column are two promises.
#[derive(Debug, Default)]
struct Promises(BTreeMap<Promise, usize>);

impl Promises {
    fn of(rows: impl Iterator<Item = Promise>) -> Self {
        let mut all = Self::default();
        for promise in rows {
            *all.0.entry(promise).or_default() += 1;
        }
        all
    }

    /// How many of these keep it. A primary key is a unique key too, whatever it is called.
    fn keep(&self, promise: &Promise) -> usize {
        let by_another = |other: &Promise| {
            let kinds = match (promise.kind, other.kind) {
                ("unique", "primary key") | ("index", "unique" | "primary key") => true,
                (one, other) => one == other,
            };
            kinds
                && other.table == promise.table
                && other.columns == promise.columns
                && other.parent == promise.parent
                && other.condition == promise.condition
        };
        let keeping = self.0.iter().filter(|(other, _)| by_another(other));
        keeping.map(|(_, count)| count).sum()
    }
}

/// One verdict per kind of promise.
pub(super) async fn promises(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    let held = held(sides).await?;
    let recorded = recorded(sides).await?;
    let of_source = of_source(sides).await?;
    let mut checks = Vec::new();
    for kind in KINDS {
        let mut wrong = Wrong::default();
        let (mut holds, mut told) = (0, Vec::new());
        let of_kind = |promise: &&Promise| promise.kind == *kind;
        let had = recorded.iter().flat_map(|had| had.0.keys()).filter(of_kind);
        let promised: BTreeSet<&Promise> = of_source.iter().filter(of_kind).chain(had).collect();
        for promise in promised {
            let had = recorded.as_ref().map_or(0, |had| had.keep(promise));
            let keep = held.keep(promise);
            if keep >= had.max(1) {
                holds += 1;
                continue;
            }
            let name = name(sides, promise);
            let shown = printable(&name, 200);
            if sides.transfer.accepts(&name) {
                told.push(format!("{shown} (accepted)"));
            } else if recorded.is_none() && TOLD.contains(&promise.kind) {
                told.push(shown);
            } else if recorded.is_some() && had == 0 {
                told.push(format!(
                    "{shown} (PostgreSQL did not have it when the import began)"
                ));
            } else {
                let since = match (&recorded, keep) {
                    (Some(_), 0) => {
                        "PostgreSQL had it when the import began and has it no more".to_owned()
                    }
                    (Some(_), _) => {
                        format!("PostgreSQL had {had} of it when the import began, and has {keep}")
                    }
                    (None, _) => "SQLite has it, and PostgreSQL does not".to_owned(),
                };
                wrong.add(|| format!("{shown}: {since}; make it again, or accept it by `accept:`"));
            }
        }
        let many = if *kind == "index" { "indexe" } else { kind };
        checks.push(wrong.verdict(id, format!("schema: {many}s"), || {
            let mut good = format!("{holds} {kind}(s) hold in PostgreSQL");
            if !told.is_empty() {
                good.push_str(&format!("; not there: {}", told.join(", ")));
            }
            printable(&good, 600)
        }));
    }
    if recorded.is_some() {
        checks.push(words::unchanged(sides, id).await?);
    }
    Ok(checks)
}

/// What `accept:` and reports call it, by the names of the source where there are any: `foreign key Orders(CustomerId)`.
fn name(sides: &Sides, promise: &Promise) -> String {
    let pair = sides
        .pairing
        .pairs
        .iter()
        .find(|pair| pair.target == promise.table);
    let table = pair.map_or(promise.table.as_str(), |pair| pair.source.as_str());
    let column = |target: &String| {
        let of = pair.and_then(|pair| pair.columns.iter().find(|c| c.target == *target));
        of.map_or(target.clone(), |column| column.source.clone())
    };
    let columns: Vec<String> = promise.columns.iter().map(column).collect();
    let condition = promise.condition.as_ref();
    let beside = condition.map_or_else(String::new, |words| format!(" {words}"));
    format!("{} {table}({}){beside}", promise.kind, columns.join(", "))
}

/// Indexes over expressions or over some rows, and exclusions, by the words that the server has for them.
const BY_WORDS: &str = "
    SELECT CASE WHEN i.is_unique THEN 'unique' ELSE 'index' END, i.table_name, NULL, i.apart, i.condition FROM ($indexes) AS i
     WHERE i.is_by_words
     UNION ALL
    SELECT 'exclusion', c.relname::text, NULL, regexp_replace(pg_get_constraintdef(f.oid), '^EXCLUDE USING ', ''), NULL
      FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $schema
      JOIN pg_index i ON i.indexrelid = f.conindid WHERE f.contype = 'x' AND i.indisvalid";

/// What PostgreSQL keeps now.
async fn held(sides: &Sides) -> Result<Promises, Error> {
    let schema = literal(&sides.schema);
    let sql = format!(
        "SELECT CASE WHEN i.indisprimary THEN 'primary key' ELSE 'unique' END, c.relname, NULL,
                (SELECT string_agg(a.attname, chr(1)) FROM unnest(i.indkey) WITH ORDINALITY AS k(n, place)
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE k.place <= i.indnkeyatts)
           FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {schema}
          WHERE i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          UNION ALL
         SELECT 'foreign key', c.relname, p.relname,
                (SELECT string_agg(a.attname, chr(1)) FROM unnest(f.conkey) AS k(n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n)
           FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {schema}
           JOIN pg_class p ON p.oid = f.confrelid WHERE f.contype = 'f'
          UNION ALL
         SELECT 'index', c.relname, NULL,
                (SELECT string_agg(a.attname, chr(1)) FROM unnest(i.indkey) WITH ORDINALITY AS k(n, place)
                   JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n WHERE k.place <= i.indnkeyatts)
           FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {schema}
          WHERE NOT i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
          UNION ALL
         SELECT 'check', c.relname, NULL,
                (SELECT string_agg(a.attname, chr(1)) FROM unnest(f.conkey) AS k(n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.n)
           FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {schema}
          WHERE f.contype = 'c' AND f.conkey IS NOT NULL
          UNION ALL
         SELECT 'not null', c.relname, NULL, a.attname
           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = {schema}
          WHERE a.attnum > 0 AND a.attnotnull AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f')"
    );
    let rows = sides.ask("reading keys and foreign keys", &sql).await?;
    let by_words = BY_WORDS
        .replace("$indexes", words::INDEXES)
        .replace("$schema", &schema);
    let others = sides.ask("reading keys by their words", &by_words).await?;
    let all = rows.iter().chain(&others);
    Ok(Promises::of(all.filter_map(|row| of_row(row))))
}

/// What PostgreSQL kept when the import began, if that is on record.
async fn recorded(sides: &Sides) -> Result<Option<Promises>, Error> {
    let rows = record(
        sides,
        // An older record knows no conditions.
        "p.kind, p.table_name, p.parent_name, array_to_string(p.columns, chr(1)), to_jsonb(p) ->> 'condition'",
    )
    .await?;
    // The first one says that there is a record, also of a schema without any key.
    let is_there = rows.iter().any(|row| {
        row.first()
            .is_some_and(|kind| kind.as_deref() == Some("record"))
    });
    Ok(is_there.then(|| Promises::of(rows.iter().filter_map(|row| of_row(row)))))
}

/// Triggers that did not run for the application when the import began, as `trigger on table`.
pub(super) async fn triggers_off(sides: &Sides) -> Result<BTreeSet<String>, Error> {
    let rows = record(
        sides,
        "p.kind, format('%s on %s', p.columns[1], p.table_name)",
    )
    .await?;
    let off = rows.into_iter().filter_map(|row| match row.as_slice() {
        [Some(kind), Some(name)] if kind == "trigger off" => Some(name.clone()),
        _ => None,
    });
    Ok(off.collect())
}

/// What the last import into this schema has recorded of it; nothing where there is no record, or none that can be read.
pub(super) async fn record(sides: &Sides, what: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
    let doing = "reading what PostgreSQL kept when the import began";
    let readable = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'cutover' AND c.relname IN ('promise', 'import')
           AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')";
    if sides.count(doing, readable).await? != 2 {
        return Ok(Vec::new());
    }
    let last = format!(
        "(SELECT i.key FROM cutover.import i WHERE i.target_schema = {} ORDER BY i.began DESC LIMIT 1)",
        literal(&sides.schema)
    );
    let sql = format!("SELECT {what} FROM cutover.promise p WHERE p.import = {last}");
    sides.ask(doing, &sql).await
}

fn of_row(row: &[Option<String>]) -> Option<Promise> {
    let text = |at: usize| row.get(at).cloned().flatten();
    let kind = text(0)?;
    Some(Promise {
        kind: KINDS.iter().find(|known| **known == kind)?,
        table: text(1)?,
        parent: text(2),
        columns: text(3)?.split('\u{1}').map(str::to_owned).collect(),
        condition: text(4),
    })
}

/// What SQLite keeps, of tables and columns that are compared.
async fn of_source(sides: &Sides) -> Result<BTreeSet<Promise>, Error> {
    let keyed = sides.on_source(keyed).await?;
    let checked = sides
        .on_source(|connection| {
            crate::sqlite::checks::read(connection).map_err(|source| Error::Read {
                table: "sqlite_schema".to_owned(),
                source,
            })
        })
        .await?;
    let mut promises = BTreeSet::new();
    let mut add =
        |kind: &'static str, pair: &TablePair, columns: &[String], parent: Option<String>| {
            let targets: Option<BTreeSet<String>> = columns
                .iter()
                .map(|name| pair.column(name).map(|column| column.target.clone()))
                .collect();
            if let Some(columns) = targets.filter(|columns| !columns.is_empty()) {
                promises.insert(Promise {
                    kind,
                    table: pair.target.clone(),
                    columns,
                    parent,
                    condition: None,
                });
            }
        };
    for table in &sides.source_schema.tables {
        let Some(pair) = sides.table(&table.name) else {
            continue;
        };
        add("primary key", pair, &table.key, None);
        for key in &table.foreign_keys {
            let parent = sides
                .pairing
                .pairs
                .iter()
                .find(|other| other.source.eq_ignore_ascii_case(&key.parent));
            // A key to a table that does not move, or that SQLite does not even have, binds nobody.
            if let Some(parent) = parent {
                add(
                    "foreign key",
                    pair,
                    &key.columns,
                    Some(parent.target.clone()),
                );
            }
        }
        for (_, columns, unique) in keyed.iter().filter(|(name, ..)| *name == table.name) {
            let kind = if *unique { "unique" } else { "index" };
            add(kind, pair, columns, None);
        }
        for check in checked.iter().filter(|check| check.table == table.name) {
            let named = check.columns(&table.columns);
            add("check", pair, &named, None);
        }
    }
    Ok(promises)
}

/// Unique keys and indexes over whole columns and all rows, the primary key's apart; and whether they are unique.
fn keyed(connection: &Connection) -> Result<Vec<(String, Vec<String>, bool)>, Error> {
    let failed = |source| Error::Read {
        table: "sqlite_schema".to_owned(),
        source,
    };
    let sql = "SELECT t.name, group_concat(c.name, char(1)), count(*) = count(c.name), i.\"unique\"
                 FROM pragma_table_list AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c
                WHERE t.schema = 'main' AND t.type = 'table' AND NOT i.partial AND i.origin <> 'pk' AND c.key
                GROUP BY t.name, i.name";
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        // An expression has no column name: such an index says nothing of columns.
        if row.get::<_, bool>(2).map_err(failed)? {
            let columns: String = row.get(1).map_err(failed)?;
            let columns = columns.split('\u{1}').map(str::to_owned).collect();
            keys.push((
                row.get(0).map_err(failed)?,
                columns,
                row.get(3).map_err(failed)?,
            ));
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_a_kind_are_two() {
        let promise = |kind: &'static str, column: &str| Promise {
            kind,
            table: "t".to_owned(),
            columns: BTreeSet::from([column.to_owned()]),
            parent: None,
            condition: None,
        };
        let all = [
            promise("check", "n"),
            promise("check", "n"),
            promise("primary key", "id"),
            promise("unique", "id"),
            promise("index", "id"),
        ];
        let held = Promises::of(all.into_iter());
        assert_eq!(held.keep(&promise("check", "n")), 2);
        assert_eq!(held.keep(&promise("check", "id")), 0);
        assert_eq!(held.keep(&promise("primary key", "id")), 1);
        assert_eq!(held.keep(&promise("unique", "id")), 2);
        assert_eq!(held.keep(&promise("index", "id")), 3);
    }
}
