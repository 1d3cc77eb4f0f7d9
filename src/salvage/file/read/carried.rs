//! What was brought in from one salvage file counts of the file that takes its place as well. Not in here: making that file.

use std::path::Path;

use super::{Salvaged, TOLD_AGAINST};
use crate::salvage::error::Error;

/// Rows of the file before that were brought in, and into which file; of tables with a key.
const BROUGHT: &str = "
CREATE TEMP TABLE brought AS SELECT e.row, e.table_name, e.operation, e.key, a.file, a.at
    FROM earlier.cutover_rows e JOIN earlier.cutover_applied a ON a.row = e.row WHERE e.key <> '[]';
CREATE INDEX temp.brought_by_key ON brought (key, table_name, operation)";

/// The same rows here. One that has other values now is another row.
const NOTE: &str = "
INSERT OR REPLACE INTO main.cutover_applied (row, file, at)
SELECT r.row, b.file, b.at FROM main.cutover_rows r CROSS JOIN temp.brought b
 WHERE b.key = r.key AND b.table_name = r.table_name AND b.operation = r.operation
   AND NOT EXISTS (SELECT name, new, typeof(new) FROM main.cutover_values WHERE row = r.row
                   EXCEPT SELECT name, new, typeof(new) FROM earlier.cutover_values WHERE row = b.row)";

/// All values of a row `e` in one text, so that rows are equal where these are: as PostgreSQL had them, or where it has them no more, the backup.
fn held(schema: &str) -> String {
    format!(
        "(SELECT group_concat(name || ' ' || typeof(x) || ' ' || CASE typeof(x) WHEN 'real' THEN quote(x) ELSE hex(x) END, char(10))
          FROM (SELECT name, CASE e.operation WHEN 'deleted' THEN was ELSE new END AS x FROM {schema}.cutover_values
                 WHERE row = e.row ORDER BY place))"
    )
}

/// As [`BROUGHT`], of tables without a key. Rows of these may be equal: the first of them, the second and so on are told apart by their number.
fn brought_without_key() -> String {
    let held = held("earlier");
    format!(
        "CREATE TEMP TABLE alike AS
         SELECT table_name, operation, held, file, at, row_number() OVER (PARTITION BY table_name, operation, held, file ORDER BY row) AS nth
           FROM (SELECT e.row, e.table_name, e.operation, a.file, a.at, {held} AS held
                   FROM earlier.cutover_rows e JOIN earlier.cutover_applied a ON a.row = e.row WHERE e.key = '[]');
         CREATE INDEX temp.alike_by_values ON alike (held, nth, table_name, operation)"
    )
}

/// As [`NOTE`], of those: of so many equal rows as were brought in so many are noted, and one that was written since is not.
fn note_without_key() -> String {
    let held = held("main");
    format!(
        "INSERT OR REPLACE INTO main.cutover_applied (row, file, at)
         SELECT r.row, b.file, b.at
           FROM (SELECT row, table_name, operation, held, row_number() OVER (PARTITION BY table_name, operation, held ORDER BY row) AS nth
                   FROM (SELECT e.row, e.table_name, e.operation, {held} AS held FROM main.cutover_rows e WHERE e.key = '[]')) r
          CROSS JOIN temp.alike b
          WHERE b.held = r.held AND b.nth = r.nth AND b.table_name = r.table_name AND b.operation = r.operation"
    )
}

impl Salvaged {
    /// Notes as brought in what the file `before` has noted, where this one has the same rows with the same values.
    ///
    /// # Errors
    /// The file before cannot be read, or this one not be written.
    pub fn note_as_in(&self, before: &Path) -> Result<(), Error> {
        let failed = Error::sqlite(format!("writing {}", self.path.display()));
        let note = || -> rusqlite::Result<()> {
            let attach = "ATTACH DATABASE ?1 AS earlier";
            self.connection
                .execute(attach, [before.to_string_lossy()])?;
            self.connection.execute_batch(BROUGHT)?;
            self.connection.execute(NOTE, [])?;
            self.connection.execute_batch(&brought_without_key())?;
            self.connection.execute(&note_without_key(), [])?;
            self.connection.execute_batch("DETACH DATABASE earlier")
        };
        note().map_err(failed)
    }

    /// Whether rows of it are told against what SQLite had when it was made, and not against the backup.
    pub fn is_told_against(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM cutover_salvage WHERE name = ?1)";
        let found = self
            .connection
            .query_row(sql, [TOLD_AGAINST], |row| row.get(0));
        found.map_err(self.failed())
    }
}
