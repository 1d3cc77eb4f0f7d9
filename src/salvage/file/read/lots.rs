//! Rows of a salvage file one after the other, in the order of their numbers, so that memory does not grow with how many there are. Not in here: what
//! is done with them.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::params;

use super::Salvaged;
use crate::salvage::Operation;
use crate::salvage::error::Error;

/// A row that was not brought into the file `?1`.
const NOT_IN: &str =
    "NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = r.row AND a.file = ?1)";

impl Salvaged {
    /// The folder that the file lies in.
    pub(in crate::salvage) fn folder(&self) -> &Path {
        let folder = self.path.parent();
        let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
        folder.unwrap_or(Path::new("."))
    }

    /// Gives the number of every row to `each`.
    pub(in crate::salvage) fn each(
        &self,
        mut each: impl FnMut(i64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT row FROM cutover_rows ORDER BY row";
        let mut statement = self.connection.prepare(sql).map_err(self.failed())?;
        let mut rows = statement.query([]).map_err(self.failed())?;
        while let Some(row) = rows.next().map_err(self.failed())? {
            each(row.get(0).map_err(self.failed())?)?;
        }
        Ok(())
    }

    /// Gives the number and the table of each row that was not brought into `file` to `each`: of those of one operation, or of all.
    pub(in crate::salvage) fn each_not_in(
        &self,
        file: &Path,
        operation: Option<Operation>,
        mut each: impl FnMut(i64, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = format!(
            "SELECT row, table_name FROM cutover_rows r WHERE {NOT_IN} AND (?2 IS NULL OR operation = ?2) ORDER BY row"
        );
        let (file, word) = (file.to_string_lossy(), operation.map(Operation::word));
        let mut statement = self.connection.prepare(&sql).map_err(self.failed())?;
        let mut rows = statement
            .query(params![file, word])
            .map_err(self.failed())?;
        while let Some(row) = rows.next().map_err(self.failed())? {
            let number = row.get(0).map_err(self.failed())?;
            let table: String = row.get(1).map_err(self.failed())?;
            each(number, &table)?;
        }
        Ok(())
    }

    /// Gives the number of each row of a table with a key that was brought into `file` to `each`.
    pub(in crate::salvage) fn each_brought(
        &self,
        file: &Path,
        table: &str,
        mut each: impl FnMut(i64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let sql = "SELECT row FROM cutover_rows r WHERE table_name = ?2 AND key <> '[]'
               AND EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = r.row AND a.file = ?1) ORDER BY row";
        let file = file.to_string_lossy();
        let mut statement = self.connection.prepare(sql).map_err(self.failed())?;
        let mut rows = statement
            .query(params![file, table])
            .map_err(self.failed())?;
        while let Some(row) = rows.next().map_err(self.failed())? {
            each(row.get(0).map_err(self.failed())?)?;
        }
        Ok(())
    }

    /// How many rows were not brought into a file.
    pub fn rows_not_in(&self, file: &Path) -> Result<u64, Error> {
        let sql = format!("SELECT count(*) FROM cutover_rows r WHERE {NOT_IN}");
        let count = self
            .connection
            .query_row(&sql, [file.to_string_lossy()], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.failed())
    }

    /// The tables of those rows.
    pub(in crate::salvage) fn tables_not_in(&self, file: &Path) -> Result<BTreeSet<String>, Error> {
        let sql = format!("SELECT DISTINCT table_name FROM cutover_rows r WHERE {NOT_IN}");
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            let mut statement = self.connection.prepare(&sql)?;
            let names = statement.query_map([file.to_string_lossy()], |row| row.get(0))?;
            names.collect()
        };
        read().map_err(self.failed())
    }
}
