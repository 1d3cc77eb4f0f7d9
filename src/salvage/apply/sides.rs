//! The three sides of a row that has a conflict, for whoever decides: what the backup had, what PostgreSQL had, and what SQLite has now; of the row
//! itself, or of the one that has a value which has to be unique. Not in here: whether it comes in (`row`).

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params_from_iter};
use serde::Serialize;

use super::row::by_key;
use super::{Bringing, Brought, Fate, Means};
use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::salvage::cell::Cell;
use crate::salvage::error::Error;
use crate::salvage::file::{Salvaged, SalvagedRow, SalvagedValue};
use crate::salvage::renumber::Renumbering;
use crate::sqlite::inspect::may_lack_a_function;
use crate::sqlite::open_read_only;
use crate::sqlite::schema::{Schema, Table};
use crate::text::printable;

/// Values longer than this are cut.
const SHOWN: usize = 40;

/// One value of it on all three sides, harmless and cut. A side that has no such row has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    pub table: String,
    /// The key of the row of SQLite that is meant, as a JSON array.
    pub key: String,
    pub column: String,
    /// What the backup had.
    pub was: Option<String>,
    /// What PostgreSQL had, as SQLite would have it; as PostgreSQL writes it where that is not the same.
    pub postgresql: Option<String>,
    pub sqlite: Option<String>,
}

impl Side {
    /// For people.
    pub fn line(&self) -> String {
        let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "no row".to_owned());
        format!(
            "{} {} {}: was {} / PostgreSQL {} / SQLite now {}",
            printable(&self.table, SHOWN),
            printable(&self.key, SHOWN),
            printable(&self.column, SHOWN),
            side(&self.was),
            side(&self.postgresql),
            side(&self.sqlite)
        )
    }
}

/// SQLite as it is, for rows that are looked at and not brought in.
pub struct Now {
    connection: Connection,
    schema: Schema,
}

impl Now {
    /// Opens it for reading.
    pub fn of(file: &Path) -> Result<Self, Error> {
        let connection = open_read_only(file)?;
        let failed = Error::sqlite(format!("reading {}", file.display()));
        let schema = Schema::read(&connection).map_err(failed)?;
        Ok(Self { connection, schema })
    }

    /// The sides of a row that SQLite stands in the way of; none where it does not.
    pub fn sides(&self, row: &SalvagedRow) -> Result<Vec<Side>, Error> {
        let looking = Bringing {
            connection: &self.connection,
            schema: &self.schema,
            means: Means::default(),
            leaves_unwritable: false,
        };
        looking
            .sides(row)
            .map_err(Error::sqlite("reading what SQLite has of it"))
    }
}

impl Bringing<'_> {
    /// Adds the sides of each row that has a conflict.
    pub(super) fn show_sides(
        &self,
        salvaged: &Salvaged,
        renumbering: &Renumbering,
        file: &Path,
        rows: &mut [Brought],
    ) -> Result<(), Error> {
        let failed = || Error::sqlite(format!("reading {}", file.display()));
        for one in rows {
            if let Fate::Conflict(_) = one.fate {
                let mut row = salvaged.row(one.row)?;
                renumbering.rewrite(self.schema, &mut row);
                one.sides = self.sides(&row).map_err(failed())?;
            }
        }
        Ok(())
    }

    /// The sides of a row that SQLite stands in the way of; none where it does not, and where only the application can read the table.
    fn sides(&self, row: &SalvagedRow) -> rusqlite::Result<Vec<Side>> {
        let Some(table) = self.schema.table(&row.table) else {
            return Ok(Vec::new());
        };
        let is_stored = |name: &str| {
            let place = table.column(name);
            place.is_some_and(|place| !table.columns[place].generated)
        };
        let values = row.values.iter().filter(|value| is_stored(&value.name));
        let values: Vec<_> = values.collect();
        if !values.iter().any(|value| value.is_key) {
            return Ok(Vec::new());
        }
        match self.sides_of(table, row, &values) {
            Err(error) if may_lack_a_function(&error) => Ok(Vec::new()),
            sides => sides,
        }
    }

    fn sides_of(
        &self,
        table: &Table,
        row: &SalvagedRow,
        values: &[&SalvagedValue],
    ) -> rusqlite::Result<Vec<Side>> {
        let of: fn(&SalvagedValue) -> &Cell = match row.operation {
            Operation::Inserted => |value| &value.new,
            Operation::Changed | Operation::Deleted => |value| &value.was,
        };
        let there = self.look(table, values, of)?;
        let differing = there.as_deref().map(|there| {
            let other = there.iter().filter(|(_, same)| !same);
            other.map(|(at, _)| *at).collect::<Vec<_>>()
        });
        let shown: Vec<usize> = match (row.operation, differing) {
            (Operation::Deleted, None) => return Ok(Vec::new()),
            (Operation::Deleted | Operation::Inserted, Some(differing)) => differing,
            (Operation::Changed, Some(differing)) if !differing.is_empty() => {
                let as_wanted = self.look(table, values, |value| &value.new)?;
                if as_wanted.is_some_and(|all| all.iter().all(|(_, same)| *same)) {
                    return Ok(Vec::new());
                }
                let all = 0..values.len();
                all.filter(|at| values[*at].changed || differing.contains(at))
                    .collect()
            }
            (Operation::Changed, None) => {
                let all = 0..values.len();
                all.filter(|at| values[*at].changed).collect()
            }
            (Operation::Inserted, None) | (Operation::Changed, Some(_)) => {
                return self.in_the_way(table, row, values);
            }
        };
        let (condition, keys) = by_key(values, 0, of);
        let now = self.now(table, values, &condition, &keys)?;
        let told = |at: usize| side(row, &row.key, values[at], now.as_ref().map(|now| &now[at]));
        Ok(shown.into_iter().map(told).collect())
    }

    /// The sides of another row of SQLite that has what has to be unique in this one.
    fn in_the_way(
        &self,
        table: &Table,
        row: &SalvagedRow,
        values: &[&SalvagedValue],
    ) -> rusqlite::Result<Vec<Side>> {
        for unique in &table.unique_keys {
            let names = unique.columns.iter();
            let names = names.map(|place| table.columns[*place].name.as_str());
            let wanted = names.map(|name| {
                let mut values = values.iter();
                let value = values.find(|value| value.name.eq_ignore_ascii_case(name))?;
                Some(*value).filter(|value| value.new != Cell::Null)
            });
            let Some(wanted) = wanted.collect::<Option<Vec<&SalvagedValue>>>() else {
                continue;
            };
            let parts = wanted.iter().enumerate();
            let parts = parts.map(|(at, value)| format!("{} IS ?{}", quoted(&value.name), at + 1));
            let mut condition = parts.collect::<Vec<_>>().join(" AND ");
            let mut cells: Vec<&Cell> = wanted.iter().map(|value| &value.new).collect();
            if row.operation == Operation::Changed {
                let (own, keys) = by_key(values, cells.len(), |value| &value.was);
                condition.push_str(&format!(" AND NOT ({own})"));
                cells.extend(keys);
            }
            let Some(now) = self.now(table, values, &condition, &cells)? else {
                continue;
            };
            let all = || values.iter().zip(&now);
            let key = all().filter(|(value, _)| value.is_key);
            let key: Vec<_> = key.map(|(_, cell)| cell.json()).collect();
            let key = serde_json::Value::from(key).to_string();
            let is_wanted = |name: &str| wanted.iter().any(|value| value.name == name);
            let shown =
                all().filter(|(value, cell)| !cell.is_same(&value.new) || is_wanted(&value.name));
            return Ok(shown
                .map(|(value, cell)| side(row, &key, value, Some(cell)))
                .collect());
        }
        Ok(Vec::new())
    }

    /// What SQLite has of the row that a condition names.
    fn now(
        &self,
        table: &Table,
        values: &[&SalvagedValue],
        condition: &str,
        cells: &[&Cell],
    ) -> rusqlite::Result<Option<Vec<Cell>>> {
        let names: Vec<_> = values.iter().map(|value| quoted(&value.name)).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {condition} LIMIT 1",
            names.join(", "),
            quoted(&table.name)
        );
        self.connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(cells), |row| {
                let cells = (0..names.len()).map(|at| Ok(Cell::of(row.get_ref(at)?)));
                cells.collect::<rusqlite::Result<Vec<Cell>>>()
            })
            .optional()
    }
}

/// One value, where SQLite has `now` in the row of this key.
fn side(row: &SalvagedRow, key: &str, value: &SalvagedValue, now: Option<&Cell>) -> Side {
    let postgresql = match value.problem {
        Some(_) => printable(value.target.as_deref().unwrap_or("NULL"), SHOWN),
        None => value.new.shown(SHOWN),
    };
    let was = value.was.shown(SHOWN);
    Side {
        table: row.table.clone(),
        key: key.to_owned(),
        column: value.name.clone(),
        was: (row.operation != Operation::Inserted).then_some(was),
        postgresql: (row.operation != Operation::Deleted).then_some(postgresql),
        sqlite: now.map(|now| now.shown(SHOWN)),
    }
}
