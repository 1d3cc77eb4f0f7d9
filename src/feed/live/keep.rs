//! Writing a live file: one transaction a read, within it one part a table that can be taken back, and rows by their keys.
//!
//! Not in here: which rows are to be kept.

use rusqlite::{OptionalExtension, params};

use super::{Error, LastRead, Live};
use crate::ours::statements::delete_sqlite_rows;
use crate::salvage::{Problem, Row};

/// What a table lacks whose rows cannot be followed.
pub(in crate::feed) const NO_KEY: &str =
    "it was written to, or may have been, and has no key by which its rows could be followed";

/// A table as the reader finds it on both sides.
#[derive(Debug, Clone)]
pub(in crate::feed) struct Met {
    /// Its name in the source.
    pub(in crate::feed) table: String,
    /// Its name in the target; empty where it has no partner.
    pub(in crate::feed) target: String,
    /// How many columns its key has.
    pub(in crate::feed) key_columns: usize,
    /// By what its notes are read. Another one than when capturing began makes them worthless.
    pub(in crate::feed) definition: String,
    /// Why it cannot be read at all.
    pub(in crate::feed) lacks: Option<String>,
}

impl Live {
    /// Begins what one read keeps. What an earlier one left open is taken back.
    pub(in crate::feed) fn begin(&mut self) -> Result<(), Error> {
        self.take_back();
        let begun = self.connection.execute_batch("BEGIN IMMEDIATE");
        begun.map_err(self.failed("writing"))
    }

    /// Keeps it: on the disk when this returns.
    pub(in crate::feed) fn commit(&mut self, read: &LastRead) -> Result<(), Error> {
        let at_ms = read.at_ms.to_string();
        let pairs = [
            ("snapshot", read.snapshot.as_str()),
            ("at", read.at.as_str()),
            ("at_ms", at_ms.as_str()),
            ("boot", read.boot.as_str()),
        ];
        for (name, value) in pairs {
            self.set(name, value).map_err(self.failed("writing"))?;
        }
        let committed = self.connection.execute_batch("COMMIT");
        committed.map_err(self.failed("writing"))
    }

    /// Forgets what was begun and not committed, if anything.
    pub(in crate::feed) fn take_back(&mut self) {
        if !self.connection.is_autocommit() {
            // Where this fails, SQLite has rolled back by itself, or the next statement says why not.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
    }

    fn set(&self, name: &str, value: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO feed VALUES (?1, ?2)")?
            .execute(params![name, value])
            .map(drop)
    }

    /// Begins what is kept of one table.
    pub(in crate::feed) fn table_begins(&mut self) -> Result<(), Error> {
        let begun = self.connection.execute_batch("SAVEPOINT one_table");
        begun.map_err(self.failed("writing"))
    }

    /// Ends it: all of it counts.
    pub(in crate::feed) fn table_ends(&mut self) -> Result<(), Error> {
        let ended = self.connection.execute_batch("RELEASE one_table");
        ended.map_err(self.failed("writing"))
    }

    /// Ends it: nothing of it counts, and what was kept of the table before stays.
    pub(in crate::feed) fn table_fails(&mut self) -> Result<(), Error> {
        let undone = "ROLLBACK TO one_table; RELEASE one_table";
        let ended = self.connection.execute_batch(undone);
        ended.map_err(self.failed("writing"))
    }

    /// Keeps the newest state of a row.
    pub(in crate::feed) fn put(&mut self, key: &[u8], row: &Row<'_>) -> rusqlite::Result<()> {
        let known = self.number(row.table, key)?;
        let word = row.operation.word();
        let number = match known {
            Some(number) => {
                self.delete("feed_values", "row = ?1", params![number])?;
                self.connection
                    .prepare_cached("UPDATE feed_rows SET operation = ?2 WHERE row = ?1")?
                    .execute(params![number, word])?;
                number
            }
            None => {
                let sql = "INSERT INTO feed_rows (table_name, key, operation) VALUES (?1, ?2, ?3)";
                self.connection
                    .prepare_cached(sql)?
                    .execute(params![row.table, key, word])?;
                self.connection.last_insert_rowid()
            }
        };
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO feed_values VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?;
        for (place, column) in row.columns.iter().enumerate() {
            insert.execute(params![
                number,
                place as i64,
                column.name,
                column.changed,
                column.new,
                column.was,
                column.target,
                column.problem.map(Problem::word)
            ])?;
        }
        Ok(())
    }

    /// Both sides have the row alike, or neither has it.
    pub(in crate::feed) fn forget(&mut self, table: &str, key: &[u8]) -> rusqlite::Result<()> {
        let Some(number) = self.number(table, key)? else {
            return Ok(());
        };
        self.delete("feed_values", "row = ?1", params![number])?;
        self.delete("feed_rows", "row = ?1", params![number])
    }

    /// Forgets every row of a table.
    pub(in crate::feed) fn forget_all(&mut self, table: &str) -> rusqlite::Result<()> {
        let of_table = "row IN (SELECT row FROM feed_rows WHERE table_name = ?1)";
        self.delete("feed_values", of_table, params![table])?;
        self.delete("feed_rows", "table_name = ?1", params![table])
    }

    fn number(&self, table: &str, key: &[u8]) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT row FROM feed_rows WHERE table_name = ?1 AND key = ?2")?
            .query_row(params![table, key], |row| row.get(0))
            .optional()
    }

    fn delete(
        &self,
        table: &str,
        condition: &str,
        values: impl rusqlite::Params,
    ) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(&delete_sqlite_rows(table, condition))?
            .execute(values)
            .map(drop)
    }

    /// What a table lacks, and whether all of it is to be read before it can be told.
    pub(in crate::feed) fn set_lacks(
        &mut self,
        table: &str,
        lacks: Option<&str>,
        is_whole_due: bool,
    ) -> Result<(), Error> {
        let set = || {
            self.connection
                .prepare_cached(
                    "UPDATE feed_tables SET lacks = ?2, is_whole_due = ?3 WHERE name = ?1",
                )?
                .execute(params![table, lacks, is_whole_due])
        };
        set().map(drop).map_err(self.failed("writing"))
    }

    /// The tables of which all is to be read.
    pub(in crate::feed) fn due(&self) -> Result<Vec<String>, Error> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql = "SELECT name FROM feed_tables WHERE is_whole_due ORDER BY name";
            let mut statement = self.connection.prepare_cached(sql)?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect()
        };
        read().map_err(self.failed("reading"))
    }

    /// Takes note of the tables that there are: at first of all, later of what is no longer as it was then. Gives the names in the
    /// source of those whose notes can be read.
    pub(in crate::feed) fn meet(&mut self, tables: &[Met]) -> Result<Vec<String>, Error> {
        self.begin()?;
        let met = self.meet_all(tables).map_err(self.failed("writing"));
        match met {
            Ok(readable) => {
                let committed = self.connection.execute_batch("COMMIT");
                committed.map_err(self.failed("writing"))?;
                Ok(readable)
            }
            Err(error) => {
                self.take_back();
                Err(error)
            }
        }
    }

    fn meet_all(&self, tables: &[Met]) -> rusqlite::Result<Vec<String>> {
        let value = |name: &str| -> rusqlite::Result<Option<String>> {
            self.connection
                .prepare_cached("SELECT value FROM feed WHERE name = ?1")?
                .query_row([name], |row| row.get(0))
                .optional()
        };
        let program = env!("CARGO_PKG_VERSION");
        // Another version may have another form of keys: its rows could not be found by them.
        let is_anothers = value("program")?.as_deref() != Some(program);
        let is_late = value("is_late")?.is_some();
        if is_anothers {
            self.connection
                .execute("UPDATE feed_tables SET is_whole_due = key_columns > 0", [])?;
            self.set("program", program)?;
        }
        let mut readable = Vec::new();
        for met in tables {
            if self.meet_one(met, is_late)? {
                readable.push(met.table.clone());
            }
        }
        let mut known = self.connection.prepare("SELECT name FROM feed_tables")?;
        let known = known.query_map([], |row| row.get::<_, String>(0))?;
        for name in known.collect::<rusqlite::Result<Vec<_>>>()? {
            if !tables.iter().any(|met| met.table == name) {
                self.no_longer(&name)?;
            }
        }
        Ok(readable)
    }

    fn meet_one(&self, met: &Met, is_late: bool) -> rusqlite::Result<bool> {
        let known: Option<Option<String>> = self
            .connection
            .prepare_cached("SELECT definition FROM feed_tables WHERE name = ?1")?
            .query_row([&met.table], |row| row.get(0))
            .optional()?;
        match known {
            None => {
                let is_readable = met.lacks.is_none();
                let is_followed = met.key_columns > 0;
                let unknown = (is_late && !is_followed).then_some(NO_KEY);
                self.connection
                    .prepare_cached("INSERT INTO feed_tables VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
                    .execute(params![
                        met.table,
                        met.target,
                        met.key_columns as i64,
                        is_readable.then_some(&met.definition),
                        met.lacks.as_deref().or(unknown),
                        is_late && is_readable && is_followed
                    ])?;
                Ok(is_readable)
            }
            Some(definition)
                if met.lacks.is_none() && definition.as_ref() == Some(&met.definition) =>
            {
                Ok(true)
            }
            // It could not be read before: what is there now was never noted.
            Some(None) => Ok(false),
            Some(Some(_)) => self.no_longer(&met.table).map(|()| false),
        }
    }

    fn no_longer(&self, table: &str) -> rusqlite::Result<()> {
        let why = "its table, its columns or its key in PostgreSQL are no longer what they were at the switch: what was written since is not known";
        self.connection
            .prepare_cached(
                "UPDATE feed_tables SET lacks = ?2, is_whole_due = 0 WHERE name = ?1 AND definition IS NOT NULL",
            )?
            .execute(params![table, why])
            .map(drop)
    }
}
