//! Which rows a rollback has left in the salvage file, and why: written before SQLite's commit, so that whoever finds the mark there finds them
//! here. Not in here: which rows those are (`salvage::apply::whole`).

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::params;

use super::Salvaged;
use crate::ours::statements::delete_sqlite_rows;
use crate::salvage::Operation;
use crate::salvage::apply::whole::{Left, Reason};
use crate::salvage::error::Error;

const TABLE: &str = "cutover_staying";

/// Rows that stay, but for those that somebody has brought into the file `?1` since.
const STAYING: &str = "cutover_staying s WHERE NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = s.row AND a.file = ?1)";

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Staying {
    pub rows: u64,
    /// How many for each kind of reason, and the first of them.
    pub kinds: BTreeMap<Reason, (u64, Left)>,
    /// The first of all.
    pub first: Vec<Left>,
}

impl Salvaged {
    /// Has down which rows stay, in the place of those that an earlier attempt left. `next` gives the one after a number. How many they are.
    pub(in crate::salvage) fn keep_staying(
        &self,
        mut next: impl FnMut(i64) -> Result<Option<Left>, Error>,
    ) -> Result<u64, Error> {
        let failed = || Error::sqlite(format!("writing {}", self.path.display()));
        let transaction = self.connection.unchecked_transaction().map_err(failed())?;
        let make = "CREATE TABLE IF NOT EXISTS cutover_staying (row INTEGER PRIMARY KEY, reason TEXT NOT NULL, why TEXT NOT NULL)";
        transaction.execute_batch(make).map_err(failed())?;
        let clear = delete_sqlite_rows(TABLE, "TRUE");
        transaction.execute(&clear, []).map_err(failed())?;
        let (mut rows, mut after) = (0, i64::MIN);
        while let Some(left) = next(after)? {
            let mut insert = transaction
                .prepare_cached("INSERT INTO cutover_staying VALUES (?1, ?2, ?3)")
                .map_err(failed())?;
            insert
                .execute(params![left.row, left.reason.word(), left.why])
                .map_err(failed())?;
            after = left.row;
            rows += 1;
        }
        transaction.commit().map_err(failed())?;
        Ok(rows)
    }

    /// What a rollback has left here, and nobody has brought into `file` since; the first `most` of the rows by themselves.
    pub fn staying(&self, file: &Path, most: u32) -> Result<Staying, Error> {
        let file = file.to_string_lossy();
        let left = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Left> {
            let word: String = row.get(1)?;
            Ok(Left {
                row: row.get(0)?,
                reason: Reason::named(&word).ok_or(rusqlite::Error::InvalidQuery)?,
                why: row.get(2)?,
            })
        };
        let read = || -> rusqlite::Result<Staying> {
            let mut staying = Staying::default();
            let sql = format!("SELECT row, reason, why FROM {STAYING} ORDER BY row LIMIT ?2");
            let mut first = self.connection.prepare(&sql)?;
            let first = first.query_map(params![file, most], left)?;
            staying.first = first.collect::<rusqlite::Result<_>>()?;
            // SQLite takes the other columns from the row that has the least number.
            let sql =
                format!("SELECT min(row), reason, why, count(*) FROM {STAYING} GROUP BY reason");
            let mut kinds = self.connection.prepare(&sql)?;
            let mut kinds = kinds.query(params![file])?;
            while let Some(row) = kinds.next()? {
                let (first, rows) = (left(row)?, row.get::<_, i64>(3)?.unsigned_abs());
                staying.rows += rows;
                staying.kinds.insert(first.reason, (rows, first));
            }
            Ok(staying)
        };
        read().map_err(self.failed())
    }

    /// What `file` has of the rows in here once those are in that do not stay: inserted, changed and deleted ones, by table.
    pub fn brought(&self, file: &Path) -> Result<BTreeMap<String, [u64; 3]>, Error> {
        let sql = format!(
            "SELECT table_name, operation, count(*) FROM cutover_rows r WHERE NOT EXISTS (SELECT 1 FROM {STAYING} AND s.row = r.row)
             GROUP BY table_name, operation"
        );
        let read = || -> rusqlite::Result<BTreeMap<String, [u64; 3]>> {
            let mut counts: BTreeMap<String, [u64; 3]> = BTreeMap::new();
            let mut statement = self.connection.prepare(&sql)?;
            let mut rows = statement.query([file.to_string_lossy()])?;
            while let Some(row) = rows.next()? {
                let (table, word): (String, String) = (row.get(0)?, row.get(1)?);
                let place = match Operation::named(&word) {
                    Some(Operation::Inserted) => 0,
                    Some(Operation::Changed) => 1,
                    Some(Operation::Deleted) => 2,
                    None => return Err(rusqlite::Error::InvalidQuery),
                };
                let count = row.get::<_, i64>(2)?.unsigned_abs();
                counts.entry(table).or_default()[place] = count;
            }
            Ok(counts)
        };
        read().map_err(self.failed())
    }

    /// Notes as brought into `file` every row that does not stay.
    pub fn note_brought(&self, file: &Path, at: &str) -> Result<(), Error> {
        let sql = "INSERT OR REPLACE INTO cutover_applied (row, file, at) SELECT r.row, ?1, ?2 FROM cutover_rows r
             WHERE NOT EXISTS (SELECT 1 FROM cutover_applied a WHERE a.row = r.row AND a.file = ?1)
               AND NOT EXISTS (SELECT 1 FROM cutover_staying s WHERE s.row = r.row)";
        let noted = self
            .connection
            .execute(sql, params![file.to_string_lossy(), at]);
        let doing = format!("writing {}", self.path.display());
        noted.map(drop).map_err(Error::sqlite(doing))
    }
}
