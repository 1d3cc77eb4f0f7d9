//! What SQLite's triggers would have filled: full-text indexes over tables that were written are made anew, as long as that may take, and whatever
//! else a trigger would have written is named. Not in here: bringing the rows in, during which no trigger fires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
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

/// Which full-text indexes are made anew, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anew {
    /// How long all of them together may take.
    pub limit: Duration,
    pub without: BTreeSet<String>,
    /// Of those no others than these, where it is stated.
    pub only: Option<BTreeSet<String>>,
}

impl Anew {
    pub fn within(limit: Duration) -> Self {
        Self {
            limit,
            without: BTreeSet::new(),
            only: None,
        }
    }

    fn takes(&self, index: &str) -> bool {
        let only = self.only.as_ref();
        !self.without.contains(index) && only.is_none_or(|only| only.contains(index))
    }
}

/// A full-text index took too long: SQLite has taken the whole transaction back with it.
pub(super) struct Late {
    pub(super) index: String,
    /// Those that were made anew before it.
    pub(super) made: BTreeSet<String>,
}

/// What was done to which table, by its name.
pub(super) type Touched = BTreeMap<String, BTreeSet<Operation>>;

/// Makes the full-text indexes over these tables anew, in the transaction that is open, each once `say` was told. Gives what stays as it was.
pub(super) fn refresh(
    connection: &Connection,
    schema: &Schema,
    touched: &Touched,
    anew: &Anew,
    say: &dyn Fn(&str),
) -> rusqlite::Result<Result<Unfilled, Late>> {
    let mut unfilled = Unfilled::default();
    if touched.is_empty() {
        return Ok(Ok(unfilled));
    }
    let stale = &mut unfilled.stale;
    let made_anew = match make_anew(connection, schema, touched, anew, say, stale)? {
        Ok(made_anew) => made_anew,
        Err(late) => return Ok(Err(late)),
    };
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
    Ok(Ok(unfilled))
}

/// The indexes that were made anew; those that could not be go to `stale`, a sentence each.
fn make_anew(
    connection: &Connection,
    schema: &Schema,
    touched: &Touched,
    anew: &Anew,
    say: &dyn Fn(&str),
    stale: &mut Vec<String>,
) -> rusqlite::Result<Result<BTreeSet<String>, Late>> {
    let until = Instant::now() + anew.limit;
    let is_touched = |name: &str| {
        let mut tables = touched.keys();
        tables.any(|table| without_blanks(table) == name)
    };
    let is_table = |name: &str| {
        let mut tables = schema.tables.iter();
        tables.any(|table| without_blanks(&table.name) == name)
    };
    let mut made = BTreeSet::new();
    for index in Virtuals::read(connection)?.full_text() {
        // What a view shows of the tables is not told by its name.
        if !is_touched(&index.content) && is_table(&index.content) {
            continue;
        }
        let left = until.saturating_duration_since(Instant::now());
        if !anew.takes(&index.name) || left.is_zero() {
            let name = quoted(&printable(&index.name, 80));
            stale.push(format!(
                "the full-text index {} was not made anew, for that there are {} s for all of them and no more: make it anew where the \
                 application runs, by INSERT INTO {name} ({name}) VALUES ('rebuild')",
                printable(&index.name, 80),
                anew.limit.as_secs()
            ));
            continue;
        }
        say(&format!(
            "the full-text index {} is made anew over all of its table",
            index.name
        ));
        match rebuild(connection, &index.name, left)? {
            Rebuilt::Anew => {
                made.insert(index.name);
            }
            Rebuilt::Late => {
                let index = index.name;
                return Ok(Err(Late { index, made }));
            }
            Rebuilt::AsBefore(error) => stale.push(format!(
                "the full-text index {} could not be made anew ({}): make it anew where the application runs",
                index.name,
                printable(&error.to_string(), 200)
            )),
        }
    }
    Ok(Ok(made))
}

/// What became of an index.
enum Rebuilt {
    /// It is as the table is.
    Anew,
    /// It is as it was, and why.
    AsBefore(rusqlite::Error),
    /// It took too long, and the transaction is gone.
    Late,
}

/// By a savepoint: where an index can be made only by a program that has its tokenizer, it stays as it is.
fn rebuild(connection: &Connection, index: &str, limit: Duration) -> rusqlite::Result<Rebuilt> {
    connection.execute_batch("SAVEPOINT rebuild")?;
    let name = quoted(index);
    let sql = format!("INSERT INTO {name} ({name}) VALUES ('rebuild')");
    let done = within(connection, limit, || connection.execute_batch(&sql));
    match done {
        Ok(()) => {
            connection.execute_batch("RELEASE rebuild")?;
            Ok(Rebuilt::Anew)
        }
        // SQLite takes the transaction of a statement back that it was told to end.
        Err(error) if connection.is_autocommit() => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Rebuilt::Late),
            Some(_) | None => Err(error),
        },
        Err(error) => {
            connection.execute_batch("ROLLBACK TO rebuild; RELEASE rebuild")?;
            Ok(Rebuilt::AsBefore(error))
        }
    }
}

/// Does something on a connection, and has SQLite end it once the time is over.
fn within<T>(connection: &Connection, limit: Duration, work: impl FnOnce() -> T) -> T {
    let interrupt = connection.get_interrupt_handle();
    let (over, ended) = mpsc::channel::<()>();
    let keep_time = move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    };
    std::thread::scope(|scope| {
        let _keeps_time = scope.spawn(keep_time);
        let done = work();
        drop(over);
        done
    })
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
