//! What was brought in from one salvage file counts of the file that takes its place as well. Not in here: making that file.

use std::path::Path;

use super::Salvaged;
use crate::salvage::error::Error;

/// Rows of the file before that were brought in, and into which file.
const BROUGHT: &str = "
CREATE TEMP TABLE brought AS SELECT e.row, e.table_name, e.operation, e.key, a.file, a.at
    FROM earlier.cutover_rows e JOIN earlier.cutover_applied a ON a.row = e.row;
CREATE INDEX temp.brought_by_key ON brought (key, table_name, operation)";

/// The same rows here. One that has other values now is another row.
const NOTE: &str = "
INSERT OR REPLACE INTO main.cutover_applied (row, file, at)
SELECT r.row, b.file, b.at FROM main.cutover_rows r CROSS JOIN temp.brought b
 WHERE b.key = r.key AND b.table_name = r.table_name AND b.operation = r.operation
   AND NOT EXISTS (SELECT name, new, typeof(new) FROM main.cutover_values WHERE row = r.row
                   EXCEPT SELECT name, new, typeof(new) FROM earlier.cutover_values WHERE row = b.row)";

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
            self.connection.execute_batch("DETACH DATABASE earlier")
        };
        note().map_err(failed)
    }
}
