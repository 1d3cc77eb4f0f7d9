//! What SQLite's pragmas tell of one table: its columns, keys and indexes. Not in here: what follows from them (`schema`).

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::{Column, ForeignKey, UniqueKey, quoted};

/// Names may hold bytes that are not UTF-8; such a name matches nothing and is reported as it looks.
pub(super) fn lossy(value: rusqlite::types::ValueRef<'_>) -> String {
    value
        .as_bytes()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .unwrap_or_default()
}

pub(super) fn columns(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<(Vec<Column>, Vec<usize>)> {
    let mut statement = connection
        .prepare_cached("SELECT name, type, \"notnull\", pk, hidden, dflt_value FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid")?;
    let mut columns = Vec::new();
    let mut key = BTreeMap::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let place: i64 = row.get(3)?;
        if place > 0 {
            key.insert(place, columns.len());
        }
        columns.push(Column {
            name: lossy(row.get_ref(0)?),
            declared: lossy(row.get_ref(1)?),
            not_null: row.get(2)?,
            generated: row.get::<_, i64>(4)? >= 2,
            default: row.get_ref(5)?.as_str().ok().map(str::to_owned),
            unreadable: false,
            collation: None,
        });
    }
    for column in &mut columns {
        // A name that is no UTF-8 is another one by now; nothing is known of it then.
        let told = connection.column_metadata(Some("main"), table, column.name.as_str());
        let collation = told.ok().and_then(|(_, collation, ..)| collation);
        let collation = collation.map(|name| name.to_string_lossy().into_owned());
        column.collation = collation.filter(|name| !name.eq_ignore_ascii_case("binary"));
    }
    for column in columns.iter_mut().filter(|column| column.generated) {
        let sql = format!(
            "SELECT {} FROM {} LIMIT 0",
            quoted(&column.name),
            quoted(table)
        );
        column.unreadable = connection.prepare(&sql).is_err();
    }
    Ok((columns, key.into_values().collect()))
}

pub(super) fn unique_keys(
    connection: &Connection,
    table: &str,
    columns: &[Column],
) -> rusqlite::Result<(Vec<UniqueKey>, bool)> {
    let mut list = connection
        .prepare_cached("SELECT name, origin FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0 ORDER BY seq")?;
    let mut info = connection.prepare_cached(
        "SELECT name, coll FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno",
    )?;
    let indexes: Vec<(String, String)> = list
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut keys = Vec::new();
    for (index, _) in &indexes {
        let parts: Vec<(Option<String>, String)> = info
            .query_map([index], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let binary = parts.iter().all(|(_, collation)| collation == "BINARY");
        let places: Option<Vec<usize>> = parts
            .iter()
            .map(|(name, _)| {
                name.as_ref()
                    .and_then(|name| columns.iter().position(|column| column.name == *name))
            })
            .collect();
        // An index over an expression says nothing about plain columns.
        keys.extend(places.map(|columns| UniqueKey { columns, binary }));
    }
    Ok((keys, indexes.iter().any(|(_, origin)| origin == "pk")))
}

/// Indexes that are not unique, over whole columns and all rows.
pub(super) fn indexes(
    connection: &Connection,
    table: &str,
    columns: &[Column],
) -> rusqlite::Result<Vec<Vec<usize>>> {
    let mut list = connection.prepare_cached(
        "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 0 AND partial = 0 ORDER BY seq",
    )?;
    let mut info = connection
        .prepare_cached("SELECT name FROM pragma_index_xinfo(?1) WHERE key = 1 ORDER BY seqno")?;
    let names: Vec<String> = list
        .query_map([table], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut indexes = Vec::new();
    for index in &names {
        let parts: Vec<Option<String>> = info
            .query_map([index], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let place = |name: &Option<String>| {
            let name = name.as_ref()?;
            columns.iter().position(|column| column.name == *name)
        };
        indexes.extend(parts.iter().map(place).collect::<Option<Vec<usize>>>());
    }
    Ok(indexes)
}

/// Whether the table's own key is ordered by a collation that only the application knows.
pub(super) fn has_unknown_collation(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM pragma_index_list(?1) AS i, pragma_index_xinfo(i.name) AS c
                WHERE i.origin = 'pk' AND c.key AND upper(c.coll) NOT IN ('BINARY', 'NOCASE', 'RTRIM')";
    let unknown: i64 = connection
        .prepare_cached(sql)?
        .query_row([table], |row| row.get(0))?;
    Ok(unknown > 0)
}

pub(super) fn foreign_keys(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) ORDER BY id, seq",
    )?;
    let mut keys: BTreeMap<i64, ForeignKey> = BTreeMap::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let key = keys.entry(row.get(0)?).or_insert_with(|| ForeignKey {
            columns: Vec::new(),
            references: String::new(),
            referenced_columns: Vec::new(),
        });
        key.references = lossy(row.get_ref(1)?);
        key.columns.push(lossy(row.get_ref(2)?));
        key.referenced_columns
            .extend(row.get::<_, Option<String>>(3)?);
    }
    Ok(keys.into_values().collect())
}
