//! Changed rows that are in each other's way, with values that have to be unique: two that have swapped theirs, or a ring of them. All of the
//! ring are taken out of their table, and put back with their new values. Not in here: rows that somebody else's row is in the way of.

use std::collections::BTreeSet;

use rusqlite::{OptionalExtension, params_from_iter};

use super::row::by_key;
use super::{Bringing, Fate, Waiting};
use crate::ours::statements::delete_sqlite_rows;
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::cell::Cell;
use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::schema::Position;

/// A row as it will be put back: whole, its rowid and columns that did not change included.
struct Lifted {
    number: i64,
    take_out: String,
    key: Vec<Cell>,
    put_back: String,
    cells: Vec<Cell>,
}

impl Bringing<'_> {
    /// The numbers of those rows that got in this way; every other one is as it was.
    pub(super) fn lift(&self, waiting: &[Waiting]) -> rusqlite::Result<BTreeSet<i64>> {
        let mut ring = Vec::new();
        for waits in waiting {
            match self.liftable(waits) {
                Ok(lifted) => ring.extend(lifted),
                Err(error) if may_lack_a_function(&error) => {}
                Err(error) => return Err(error),
            }
        }
        // One that cannot be put back keeps its old values, which another may want.
        while ring.len() > 1 {
            self.connection.execute_batch("SAVEPOINT lift")?;
            let stuck = self.swap(&ring)?;
            if stuck.is_empty() {
                self.connection.execute_batch("RELEASE lift")?;
                return Ok(ring.iter().map(|lifted| lifted.number).collect());
            }
            let back = "ROLLBACK TO lift; RELEASE lift";
            self.connection.execute_batch(back)?;
            ring.retain(|lifted| !stuck.contains(&lifted.number));
        }
        Ok(BTreeSet::new())
    }

    /// A changed row that SQLite still has as the backup had it.
    fn liftable(&self, waits: &Waiting) -> rusqlite::Result<Option<Lifted>> {
        let row = &waits.row;
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
            take_out: delete_sqlite_rows(&table.name, &condition),
            key: key.into_iter().cloned().collect(),
            put_back: format!("INSERT OR ABORT INTO {name} ({columns}) VALUES ({marks})"),
            cells,
        }))
    }

    /// Takes all of them out and puts them back; gives the numbers of those that SQLite did not take back.
    fn swap(&self, ring: &[Lifted]) -> rusqlite::Result<BTreeSet<i64>> {
        for lifted in ring {
            self.execute(&lifted.take_out, lifted.key.iter())?;
        }
        let mut stuck = BTreeSet::new();
        for lifted in ring {
            match self.execute(&lifted.put_back, lifted.cells.iter())? {
                Fate::Applied => {}
                Fate::Already | Fate::Conflict(_) | Fate::Skipped(_) => {
                    stuck.insert(lifted.number);
                }
            }
        }
        Ok(stuck)
    }
}
