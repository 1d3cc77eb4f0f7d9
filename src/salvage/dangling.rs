//! Rows that point to none: what `foreign_key_check` finds in the tables concerned, before rows are brought in and after. Not in here: what
//! follows from it (`apply`).

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;

use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::schema::Schema;

/// How many rows of which table point nowhere in which other.
pub(super) type Violations = BTreeMap<(String, Option<i64>, String), u64>;

/// Looks at every table that was touched, and at those that point to one.
pub(super) fn violations(
    connection: &Connection,
    schema: &Schema,
    touched: &BTreeSet<String>,
) -> rusqlite::Result<Violations> {
    let mut found = Violations::new();
    let each = |table: &str, row, parent: &str| {
        let key = (table.to_owned(), row, parent.to_owned());
        *found.entry(key).or_default() += 1;
        Ok(())
    };
    each_violation(connection, schema, touched, |error| error, each)?;
    Ok(found)
}

/// The same, one after the other: gives the table of each row that points nowhere, its number where it has one, and the table that it points to.
pub(super) fn each_violation<E>(
    connection: &Connection,
    schema: &Schema,
    touched: &BTreeSet<String>,
    failed: impl Fn(rusqlite::Error) -> E,
    mut each: impl FnMut(&str, Option<i64>, &str) -> Result<(), E>,
) -> Result<(), E> {
    let is_touched = |name: &str| touched.iter().any(|table| table.eq_ignore_ascii_case(name));
    for table in &schema.tables {
        let mut keys = table.foreign_keys.iter();
        let concerned = is_touched(&table.name) || keys.any(|key| is_touched(&key.references));
        if !concerned || table.foreign_keys.is_empty() {
            continue;
        }
        let sql = "SELECT rowid, parent FROM pragma_foreign_key_check(?1)";
        let mut statement = connection.prepare(sql).map_err(&failed)?;
        let mut rows = statement.query([&table.name]).map_err(&failed)?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => break,
                // Of a key that refers to columns without a unique index, or that sorts as only the application knows, nothing can be said.
                Err(error) if may_lack_a_function(&error) => break,
                Err(error) => return Err(failed(error)),
            };
            let number = row.get(0).map_err(&failed)?;
            let parent: String = row.get(1).map_err(&failed)?;
            each(&table.name, number, &parent)?;
        }
    }
    Ok(())
}

/// Those that are more than before: table, rowid and parent of each.
fn more_than<'a>(
    before: &'a Violations,
    after: &'a Violations,
) -> impl Iterator<Item = &'a (String, Option<i64>, String)> {
    let more = after
        .iter()
        .filter(|(place, count)| before.get(*place).is_none_or(|was| was < *count));
    more.map(|(place, _)| place)
}

pub(super) fn new_ones(before: &Violations, after: &Violations) -> Vec<String> {
    let more = more_than(before, after);
    more.map(|(table, rowid, parent)| {
        let row = rowid.map_or_else(String::new, |rowid| format!(" row {rowid}"));
        format!("{table}{row} points to a row of {parent} that is not there")
    })
    .collect()
}
