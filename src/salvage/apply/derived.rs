//! What SQLite's triggers would have filled: full-text indexes over tables that were written are made anew, and whatever else a trigger would
//! have written is named. Not in here: bringing the rows in, during which no trigger fires.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::postgres::quoted;
use crate::salvage::Operation;
use crate::sqlite::schema::Schema;
use crate::sqlite::shadow::Virtuals;
use crate::sqlite::triggers::{self, Fires};
use crate::text::printable;

/// What stays as it was, a sentence for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfilled {
    /// Full-text indexes that could not be made anew.
    pub stale: Vec<String>,
    /// Triggers that were not run, and that fill something else.
    pub not_run: Vec<String>,
}

/// What was done to which table, by its name.
pub(super) type Touched = BTreeMap<String, BTreeSet<Operation>>;

/// Makes the full-text indexes over these tables anew, in the transaction that is open, each once `say` was told. Gives what stays as it was.
pub(super) fn refresh(
    connection: &Connection,
    schema: &Schema,
    touched: &Touched,
    say: &dyn Fn(&str),
) -> rusqlite::Result<Unfilled> {
    let mut unfilled = Unfilled::default();
    if touched.is_empty() {
        return Ok(unfilled);
    }
    let is_touched = |name: &str| {
        let mut tables = touched.keys();
        tables.any(|table| without_blanks(table) == name)
    };
    let is_table = |name: &str| {
        let mut tables = schema.tables.iter();
        tables.any(|table| without_blanks(&table.name) == name)
    };
    let mut made_anew = Vec::new();
    for index in Virtuals::read(connection)?.full_text() {
        // What a view shows of the tables is not told by its name.
        if !is_touched(&index.content) && is_table(&index.content) {
            continue;
        }
        say(&format!(
            "the full-text index {} is made anew over all of its table",
            index.name
        ));
        match rebuild(connection, &index.name) {
            Ok(()) => made_anew.push(index.name),
            Err(error) => unfilled.stale.push(format!(
                "the full-text index {} could not be made anew ({}): make it anew where the application runs",
                index.name,
                printable(&error.to_string(), 200)
            )),
        }
    }
    for trigger in triggers::read(connection)? {
        let on = |(table, _): &(&String, &BTreeSet<Operation>)| {
            table.eq_ignore_ascii_case(&trigger.table)
        };
        let Some((table, operations)) = touched.iter().find(on) else {
            continue;
        };
        let fires = trigger.fires.is_none_or(|fires| {
            let mut operations = operations.iter();
            operations.any(|operation| fires_on(*operation) == fires)
        });
        let is_made_anew = |name: &String| {
            let mut indexes = made_anew.iter();
            indexes.any(|index: &String| index.eq_ignore_ascii_case(name))
        };
        if fires && !trigger.writes.iter().all(is_made_anew) {
            unfilled.not_run.push(format!(
                "trigger {} on {table} was not run; what it fills is as before ({})",
                trigger.name,
                trigger.writes.join(", ")
            ));
        }
    }
    Ok(unfilled)
}

/// By a savepoint: where an index can be made only by a program that has its tokenizer, it stays as it is.
fn rebuild(connection: &Connection, index: &str) -> rusqlite::Result<()> {
    connection.execute_batch("SAVEPOINT rebuild")?;
    let name = quoted(index);
    let done = connection.execute_batch(&format!("INSERT INTO {name} ({name}) VALUES ('rebuild')"));
    let end = match done {
        Ok(()) => "RELEASE rebuild",
        Err(_) => "ROLLBACK TO rebuild; RELEASE rebuild",
    };
    connection.execute_batch(end)?;
    done
}

fn fires_on(operation: Operation) -> Fires {
    match operation {
        Operation::Inserted => Fires::Insert,
        Operation::Changed => Fires::Update,
        Operation::Deleted => Fires::Delete,
    }
}

/// As the statement of a full-text index names a table here.
fn without_blanks(name: &str) -> String {
    let name = name.to_lowercase();
    name.chars().filter(|c| !c.is_whitespace()).collect()
}
