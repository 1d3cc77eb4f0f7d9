//! Changed rows that are in each other's way, with values that have to be unique: two that have swapped theirs, or a ring of them. All of the
//! ring are taken out of their table, and put back with their new values. Not in here: rows that somebody else's row is in the way of.

use rusqlite::{OptionalExtension, params_from_iter};

use super::Rounds;
use super::scratch::{Lifted, Start};
use crate::ours::statements::delete_sqlite_rows;
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::apply::row::by_key;
use crate::salvage::apply::{Bringing, Fate};
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::file::SalvagedRow;
use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::schema::Position;

impl Rounds<'_> {
    /// Gives the number and the table of each row that got in this way to `done`; every other one is as it was.
    pub(super) fn lift(
        &self,
        mut done: impl FnMut(i64, &str) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scratch.nobody_is_lifted()?;
        let mut last = None;
        while let Some((number, _)) = self.scratch.next_waiting(Start::First, last)? {
            last = Some(number);
            let row = self.salvaged.row(number)?;
            match self.bringing.liftable(&row) {
                Ok(Some(lifted)) => self.scratch.lift(&lifted)?,
                Ok(None) => {}
                Err(error) if may_lack_a_function(&error) => {}
                Err(error) => return Err(self.not_written(error)),
            }
        }
        // One that cannot be put back keeps its old values, which another may want.
        while self.scratch.lifted()? > 1 {
            self.run("SAVEPOINT lift")?;
            self.swap()?;
            let is_whole = !self.scratch.without_stuck()?;
            if is_whole {
                self.run("RELEASE lift")?;
                return self.each_lifted(|lifted| done(lifted.number, &lifted.table));
            }
            self.run("ROLLBACK TO lift; RELEASE lift")?;
        }
        Ok(())
    }

    /// Takes all of them out and puts them back; those that SQLite did not take back are stuck.
    fn swap(&self) -> Result<(), Error> {
        let write = |sql: &str, cells: &[Cell]| {
            let done = self.bringing.execute(sql, cells.iter());
            done.map_err(|error| self.not_written(error))
        };
        self.each_lifted(|lifted| write(&lifted.take_out, &lifted.key).map(drop))?;
        self.each_lifted(|lifted| match write(&lifted.put_back, &lifted.cells)? {
            Fate::Applied => Ok(()),
            Fate::Already | Fate::Conflict(_) | Fate::Skipped(_) => {
                self.scratch.is_stuck(lifted.number)
            }
        })
    }

    fn each_lifted(&self, mut each: impl FnMut(&Lifted) -> Result<(), Error>) -> Result<(), Error> {
        let mut after = i64::MIN;
        while let Some(lifted) = self.scratch.next_lifted(after)? {
            after = lifted.number;
            each(&lifted)?;
        }
        Ok(())
    }
}

impl Bringing<'_> {
    /// A changed row that SQLite still has as the backup had it.
    fn liftable(&self, row: &SalvagedRow) -> rusqlite::Result<Option<Lifted>> {
        let Some(table) = self.schema.table(&row.table) else {
            return Ok(None);
        };
        let is_stored = |name: &str| {
            let place = table.column(name);
            place.is_some_and(|place| !table.columns[place].generated)
        };
        let values = row.values.iter().filter(|value| is_stored(&value.name));
        let values: Vec<_> = values.collect();
        if row.operation != Operation::Changed || self.unfaithful(&values).is_some() {
            return Ok(None);
        }
        match self.look(table, &values, |value| &value.was)? {
            Some(there) if there.iter().all(|(_, same)| *same) => {}
            Some(_) | None => return Ok(None),
        }
        let stored = table.columns.iter().filter(|column| !column.generated);
        let mut names: Vec<&str> = stored.map(|column| column.name.as_str()).collect();
        if let Position::Rowid { name, alias: None } = &table.position {
            names.push(name);
        }
        let (condition, key) = by_key(&values, 0, |value| &value.was);
        let columns: Vec<_> = names.iter().map(|name| quoted(name)).collect();
        let columns = columns.join(", ");
        let name = quoted(&table.name);
        let sql = format!("SELECT {columns} FROM {name} WHERE {condition}");
        let found = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(&key), |row| {
                let places = 0..names.len();
                let cells = places.map(|at| Ok(Cell::of(row.get_ref(at)?)));
                cells.collect::<rusqlite::Result<Vec<Cell>>>()
            })
            .optional()?;
        let Some(mut cells) = found else {
            return Ok(None);
        };
        for value in values.iter().filter(|value| value.changed) {
            let place = names
                .iter()
                .position(|name| name.eq_ignore_ascii_case(&value.name));
            if let Some(place) = place {
                cells[place] = value.new.clone();
            }
        }
        let marks: Vec<_> = (1..=names.len()).map(|at| format!("?{at}")).collect();
        let marks = marks.join(", ");
        Ok(Some(Lifted {
            number: row.row,
            table: row.table.clone(),
            take_out: delete_sqlite_rows(&table.name, &condition),
            key: key.into_iter().cloned().collect(),
            put_back: format!("INSERT OR ABORT INTO {name} ({columns}) VALUES ({marks})"),
            cells,
        }))
    }
}
