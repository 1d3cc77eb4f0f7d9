//! What a database's schema says, object by object, in a form that outlives the process: a rehearsal is evidence for the schema that it
//! ran on, and for no other. Not in here: what the schema means (`schema`), and comparing (`session::shape`).

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::digest::of_bytes;
use crate::ours::statements::BROUGHT_BACK;

/// Characters of a hash that are kept: enough to tell two texts apart, short enough for the journal.
const HASH_CHARS: usize = 16;

/// Each table, index, view and trigger by kind and name, with a hash of the text that made it. SQLite's own objects are left out: they
/// come and go with the rows. So is what belongs to a table that stays behind, and the mark of a rollback, which is ours.
pub fn read(
    connection: &Connection,
    stays_behind: &dyn Fn(&str) -> bool,
) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut objects = connection.prepare(
        r"SELECT type || ' ' || name, sql, tbl_name FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'",
    )?;
    let mut rows = objects.query([])?;
    let mut shape = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let table: String = row.get(2)?;
        if stays_behind(&table) || table == BROUGHT_BACK {
            continue;
        }
        let sql: String = row.get(1)?;
        let mut hash = of_bytes(sql.as_bytes());
        hash.truncate(HASH_CHARS);
        shape.insert(row.get(0)?, hash);
    }
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_behind_is_no_part_of_it() {
        let connection = Connection::open_in_memory().expect("memory");
        let read = || read(&connection, &|table| table == "Lock").expect("a schema");
        connection
            .execute_batch("CREATE TABLE Tools(Id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE INDEX Named ON Tools(Id)")
            .expect("tables");
        let before = read();
        let names: Vec<_> = before.keys().map(String::as_str).collect();
        assert_eq!(names, ["index Named", "table Tools"]);
        connection
            .execute_batch("CREATE TABLE Lock(Id INTEGER); CREATE INDEX Locked ON Lock(Id)")
            .expect("tables");
        assert_eq!(read(), before);
        connection
            .execute_batch("CREATE TABLE cutover_brought_back (session TEXT)")
            .expect("the mark of a rollback");
        assert_eq!(read(), before);
        connection
            .execute_batch("ALTER TABLE Tools ADD COLUMN Name TEXT")
            .expect("a column");
        assert_ne!(read(), before);
    }
}
