//! What a database's schema says, object by object, in a form that outlives the process: a rehearsal is evidence for the schema that it
//! ran on, and for no other. Not in here: what the schema means (`schema`), and comparing (`session::shape`).

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::digest::of_bytes;

/// Characters of a hash that are kept: enough to tell two texts apart, short enough for the journal.
const HASH_CHARS: usize = 16;

/// Each table, index, view and trigger by kind and name, with a hash of the text that made it. SQLite's own objects are left out: they
/// come and go with the rows.
///
/// # Errors
/// The schema cannot be read.
pub fn read(connection: &Connection) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut objects = connection.prepare(
        r"SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\_%' ESCAPE '\'",
    )?;
    let objects = objects.query_map([], |row| {
        let sql: String = row.get(1)?;
        let mut hash = of_bytes(sql.as_bytes());
        hash.truncate(HASH_CHARS);
        Ok((row.get(0)?, hash))
    })?;
    objects.collect()
}
