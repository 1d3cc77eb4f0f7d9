//! What the checker needs to know of both schemas, read by the checker itself: a table that the import's own reading overlooked
//! must not be overlooked here too.

use super::equality::Kind;
use super::error::Error;
use super::source_value::Encoding;
use rusqlite::Connection;
use std::collections::{BTreeMap, HashMap};
use tokio_postgres::Client;

/// A table of the source.
#[derive(Debug, Clone)]
pub(crate) struct SourceTable {
    /// Its name.
    pub(crate) name: String,
    /// Its columns in their order, generated ones included.
    pub(crate) columns: Vec<String>,
    /// Those of them that SQLite computes.
    pub(crate) generated: Vec<String>,
    /// The columns of its primary key, in the key's order.
    pub(crate) key: Vec<String>,
    /// Its rows have no rowid.
    pub(crate) without_rowid: bool,
    /// The name by which SQLite gives the rowid, unless there is none or columns shadow all of its names.
    pub(crate) rowid: Option<&'static str>,
    /// Its foreign keys.
    pub(crate) foreign_keys: Vec<SourceForeignKey>,
}

/// A foreign key as the source declares it. SQLite may never have checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceForeignKey {
    /// The referring columns.
    pub(crate) columns: Vec<String>,
    /// The table referred to.
    pub(crate) parent: String,
    /// The columns referred to; empty for the parent's primary key.
    pub(crate) parent_columns: Vec<String>,
}

/// Everything in the source that holds rows, and what does not count as a table.
#[derive(Debug, Default)]
pub(crate) struct SourceSchema {
    /// How the file stores text.
    pub(crate) encoding: Encoding,
    /// Ordinary tables by name.
    pub(crate) tables: Vec<SourceTable>,
    /// Other names, with the reason.
    pub(crate) others: Vec<(String, &'static str)>,
}

/// Reads the source's schema.
pub(crate) fn source(connection: &Connection) -> Result<SourceSchema, Error> {
    let failed = |source| Error::Read {
        table: "sqlite_schema".to_owned(),
        source,
    };
    let encoding: String = connection
        .pragma_query_value(None, "encoding", |row| row.get(0))
        .map_err(failed)?;
    let mut schema = SourceSchema {
        encoding: Encoding::named(&encoding),
        ..SourceSchema::default()
    };
    let mut list = connection
        .prepare("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")
        .map_err(failed)?;
    let virtuals = crate::sqlite::shadow::Virtuals::read(connection).map_err(failed)?;
    let mut rows = list.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let (name, kind, without_rowid): (String, String, bool) = (
            row.get(0).map_err(failed)?,
            row.get(1).map_err(failed)?,
            row.get(2).map_err(failed)?,
        );
        match kind.as_str() {
            "table" => schema
                .tables
                .push(source_table(connection, name, without_rowid).map_err(failed)?),
            "virtual" => schema
                .others
                .push((name, "a virtual table: SQLite derives its content")),
            "shadow" if virtuals.is_ordinary(connection, &name).map_err(failed)? => schema
                .tables
                .push(source_table(connection, name, without_rowid).map_err(failed)?),
            "shadow" => schema.others.push((name, "belongs to a virtual table")),
            _ => schema.others.push((name, "a view")),
        }
    }
    Ok(schema)
}

fn source_table(
    connection: &Connection,
    name: String,
    without_rowid: bool,
) -> Result<SourceTable, rusqlite::Error> {
    let (mut columns, mut generated) = (Vec::new(), Vec::new());
    let mut key = Vec::new();
    let mut info = connection.prepare(
        "SELECT name, pk, hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
    )?;
    let mut rows = info.query([&name])?;
    while let Some(row) = rows.next()? {
        let (column, place): (String, u32) = (row.get(0)?, row.get(1)?);
        if row.get::<_, u32>(2)? > 1 {
            if !can_be_read(connection, &name, &column)? {
                // Its expression calls a function that only the application has: there is no value to compare.
                continue;
            }
            generated.push(column.clone());
        }
        if place > 0 {
            key.push((place, column.clone()));
        }
        columns.push(column);
    }
    key.sort();
    let shadowed = |rowid: &&str| {
        columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(rowid))
    };
    let rowid = if without_rowid {
        None
    } else {
        ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|rowid| !shadowed(rowid))
    };
    let foreign_keys = source_foreign_keys(connection, &name)?;
    Ok(SourceTable {
        name,
        columns,
        generated,
        key: key.into_iter().map(|(_, column)| column).collect(),
        without_rowid,
        rowid,
        foreign_keys,
    })
}

/// Whether SQLite can compute a generated column here.
fn can_be_read(
    connection: &Connection,
    table: &str,
    column: &str,
) -> Result<bool, rusqlite::Error> {
    use rusqlite::{Error, ErrorCode};
    let (column, table) = (
        crate::postgres::quoted(column),
        crate::postgres::quoted(table),
    );
    let sql = format!("SELECT {column} FROM {table} LIMIT 0");
    match connection.prepare(&sql) {
        Ok(_) => Ok(true),
        // SQLite has no code of its own for a function that it does not know.
        Err(Error::SqlInputError { error, .. } | Error::SqliteFailure(error, _))
            if error.code == ErrorCode::Unknown =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn source_foreign_keys(
    connection: &Connection,
    table: &str,
) -> Result<Vec<SourceForeignKey>, rusqlite::Error> {
    let mut list = connection.prepare(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut rows = list.query([table])?;
    let mut keys: BTreeMap<i64, SourceForeignKey> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (id, parent): (i64, String) = (row.get(0)?, row.get(1)?);
        let key = keys.entry(id).or_insert_with(|| SourceForeignKey {
            columns: Vec::new(),
            parent,
            parent_columns: Vec::new(),
        });
        key.columns.push(row.get(2)?);
        key.parent_columns.extend(row.get::<_, Option<String>>(3)?);
    }
    Ok(keys.into_values().collect())
}

/// A table of the target.
#[derive(Debug, Clone, Default)]
pub(crate) struct TargetTable {
    /// Its name.
    pub(crate) name: String,
    /// Its columns in their order.
    pub(crate) columns: Vec<TargetColumn>,
    /// The columns of its primary key, in the key's order.
    pub(crate) key: Vec<String>,
    /// Some values are kept outside the rows.
    pub(crate) has_long_values: bool,
    /// The server computes some columns, which `COPY` does not give without a query.
    pub(crate) has_computed: bool,
    /// Size of the table itself.
    pub(crate) size_bytes: u64,
    /// Its rows are in its parts; otherwise rows of tables that inherit from it are none of its own.
    pub(crate) is_partitioned: bool,
    /// It is a part of a partitioned table itself.
    pub(crate) is_part: bool,
}

/// A column of the target.
#[derive(Debug, Clone)]
pub(crate) struct TargetColumn {
    /// Its name.
    pub(crate) name: String,
    /// How its values are compared.
    pub(crate) kind: Kind,
    /// The server computes it from other columns.
    pub(crate) computed: bool,
    /// The constant that it has for its default, as the server writes it, where it is NOT NULL.
    pub(crate) default: Option<String>,
}

/// Reads the tables of one schema of the target.
pub(crate) async fn target(client: &Client, schema: &str) -> Result<Vec<TargetTable>, Error> {
    let failed = |source| Error::Server {
        doing: format!("reading the catalogue of schema {schema}"),
        source,
    };
    let types = types(client).await.map_err(failed)?;
    let rows = client.query(TABLES, &[&schema]).await.map_err(failed)?;
    let mut tables: Vec<TargetTable> = Vec::new();
    let mut asked: Vec<((usize, usize), String, String, bool)> = Vec::new();
    for row in rows {
        let name: String = row.get("relname");
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(TargetTable {
                name,
                has_long_values: row.get("long"),
                has_computed: row.get("computed"),
                size_bytes: row.get::<_, i64>("size").unsigned_abs(),
                is_partitioned: row.get("partitioned"),
                is_part: row.get("part"),
                key: row.get::<_, Option<Vec<String>>>("key").unwrap_or_default(),
                columns: Vec::new(),
            });
        }
        if let (Some(table), Some(name)) =
            (tables.last_mut(), row.get::<_, Option<String>>("attname"))
        {
            table.columns.push(TargetColumn {
                name,
                kind: types.kind(row.get("atttypid"), row.get("atttypmod")),
                computed: row.get::<_, Option<bool>>("is_computed").unwrap_or(false),
                default: None,
            });
            if let Some(expression) = row.get::<_, Option<String>>("default") {
                let place = (tables.len() - 1, table_columns(&tables) - 1);
                let may_cut = row.get::<_, Option<bool>>("may_cut").unwrap_or(false);
                asked.push((place, expression, row.get("shown"), may_cut));
            }
        }
    }
    for ((table, column), expression, shown, may_cut) in asked {
        if !is_literal(&expression) {
            continue;
        }
        // A cast cuts what is too long; an insert that takes the default fails on it.
        let whole = match may_cut {
            true => format!(
                " WHERE pg_catalog.rtrim(CAST(CAST(({expression}) AS {shown}) AS text), ' ') = pg_catalog.rtrim(CAST(({expression}) AS text), ' ')"
            ),
            false => String::new(),
        };
        let sql = format!("SELECT pg_catalog.format('%s', CAST(({expression}) AS {shown})){whole}");
        let row = client.query_opt(sql.as_str(), &[]).await.map_err(failed)?;
        tables[table].columns[column].default = row.and_then(|row| row.get(0));
    }
    Ok(tables)
}

fn table_columns(tables: &[TargetTable]) -> usize {
    tables.last().map_or(0, |table| table.columns.len())
}

/// Whether a default is a literal, so that it is the same for every row: no name outside of quotes but `true`, `false`, the empty array
/// and those of types behind `::`, and none of the words that stand for today.
fn is_literal(expression: &str) -> bool {
    let mut outside = String::new();
    let mut inside = String::new();
    for (at, part) in expression.split('\'').enumerate() {
        if at % 2 == 0 {
            outside.push_str(part);
        } else {
            inside.push_str(&part.to_ascii_lowercase());
            inside.push(' ');
        }
    }
    if outside.contains("||")
        || ["now", "today", "tomorrow", "yesterday"]
            .iter()
            .any(|word| inside.trim_start().starts_with(word))
    {
        return false;
    }
    let mut types = outside.split("::");
    let literal = types.next().unwrap_or_default();
    let is_literal = ["", "true", "false", "ARRAY[]"]
        .contains(&literal.trim_matches(['(', ')', ' ']))
        || literal
            .chars()
            .all(|c| c.is_ascii_digit() || "-.() ".contains(c));
    // A type may have numbers in parentheses, and nothing is computed from it.
    let is_type = |name: &str| {
        name.chars()
            .all(|c| c.is_alphanumeric() || " _\".,()[]".contains(c))
    };
    is_literal && types.all(is_type)
}

/// Ordinary and partitioned tables. The parts of a partitioned table are read through it, unless the source has tables of their names.
const TABLES: &str = "
    SELECT c.relname::text, a.attname::text, a.atttypid, a.atttypmod, coalesce(a.attgenerated <> '', false) AS generated,
           pg_catalog.pg_total_relation_size(c.oid) AS size,
           c.relkind = 'p' AS partitioned,
           c.relispartition AS part,
           c.relkind = 'p'
             OR (c.reltoastrelid <> 0 AND pg_catalog.pg_relation_size(c.reltoastrelid) > 0) AS long,
           a.attgenerated <> '' AS is_computed,
           CASE WHEN (a.attnotnull OR dt.typnotnull) AND a.attgenerated = '' THEN
             coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), CASE WHEN dt.typtype = 'd' THEN pg_catalog.pg_get_expr(dt.typdefaultbin, 0) END) END AS \"default\",
           CASE WHEN dt.typtype = 'd' THEN pg_catalog.format_type(dt.typbasetype, dt.typtypmod)
                ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END AS shown,
           dt.typcategory IN ('S', 'V') AS may_cut,
           EXISTS (SELECT FROM pg_catalog.pg_attribute g WHERE g.attrelid = c.oid AND g.attgenerated <> '') AS computed,
           (SELECT pg_catalog.array_agg(k.attname::text ORDER BY n.place)
              FROM pg_catalog.pg_index i
             CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS n(attnum, place)
              JOIN pg_catalog.pg_attribute k ON k.attrelid = c.oid AND k.attnum = n.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary) AS key
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = $1
      LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_type dt ON dt.oid = a.atttypid
      LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE c.relkind IN ('r', 'p')
     ORDER BY c.relname, a.attnum";

/// The types of the server, to follow a domain to what it is made of.
struct Types(HashMap<u32, Type>);

struct Type {
    name: String,
    built_in: bool,
    labels: Option<Vec<String>>,
    base: Option<(u32, i32)>,
    /// Of an array.
    element: Option<u32>,
}

async fn types(client: &Client) -> Result<Types, tokio_postgres::Error> {
    let rows = client
        .query(
            "SELECT t.oid, t.typname::text, t.typtype = 'd' AS is_domain, t.typbasetype, t.typtypmod,
                    CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem END AS element,
                    n.nspname = 'pg_catalog' OR t.typname = 'citext' AS built_in,
                    (SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) AS labels
               FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
              WHERE t.typtype IN ('b', 'd', 'e')",
            &[],
        )
        .await?;
    let known = rows.iter().map(|row| {
        let base = row
            .get::<_, bool>("is_domain")
            .then(|| (row.get("typbasetype"), row.get("typtypmod")));
        let kind = Type {
            name: row.get("typname"),
            built_in: row.get("built_in"),
            labels: row.get("labels"),
            element: row.get("element"),
            base,
        };
        (row.get("oid"), kind)
    });
    Ok(Types(known.collect()))
}

impl Types {
    fn kind(&self, oid: u32, modifier: i32) -> Kind {
        match self.0.get(&oid) {
            Some(Type {
                base: Some((base, of_domain)),
                ..
            }) => self.kind(
                *base,
                if *of_domain >= 0 {
                    *of_domain
                } else {
                    modifier
                },
            ),
            Some(Type {
                labels: Some(labels),
                ..
            }) => Kind::Label(labels.clone()),
            Some(known) if known.built_in => Kind::of(&known.name, modifier),
            Some(Type {
                element: Some(element),
                ..
            }) => match self.kind(*element, modifier) {
                Kind::Verbatim | Kind::Array(_) => Kind::Verbatim,
                kind => Kind::Array(Box::new(kind)),
            },
            _ => Kind::Verbatim,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_literal;

    #[test]
    fn a_default_that_is_computed_for_each_row_is_no_literal() {
        for expression in [
            "0",
            "'-1'::integer",
            "(0)::numeric(10,2)",
            "true",
            "'now and then'::text",
            "'{}'::jsonb",
            "ARRAY[]::text[]",
            "'it''s'::character varying",
        ] {
            assert_eq!(
                is_literal(expression),
                expression != "'now and then'::text",
                "{expression}"
            );
        }
        for expression in [
            "now()",
            "CURRENT_TIMESTAMP",
            "nextval('s'::regclass)",
            "('now'::text)::date",
            "(1 + 1)",
            "lower('A'::text)",
            "'a'::text || 'b'::text",
            "NULL::text",
        ] {
            assert!(!is_literal(expression), "{expression}");
        }
    }
}
