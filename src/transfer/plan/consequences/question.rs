//! One foreign key between two tables that move, as a query over the source and what is known not to arrive of it. Not in here: what is done
//! about the rows that it finds, and what follows from that ([`super::follow`]).

use std::path::Path;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::postgres::catalogue::Constraint;
use crate::runbook::transfer::names::column_key;
use crate::sqlite::schema::{Position, quoted};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::convert::shown;
use crate::transfer::error::read;
use crate::transfer::layout::{Layout, TableLayout};
use crate::transfer::plan::arrival::{self, Comparison};
use crate::transfer::plan::consequences::{Orphan, is_full, parent, refers, stated, wish};
use crate::transfer::plan::scan::open;
use crate::transfer::plan::spellings::Spellings;
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::rows::Fault;

/// A foreign key between two tables that move.
pub(super) struct Question<'l> {
    /// Place of the table that refers.
    pub child: usize,
    /// Place of the table that it refers to.
    pub parent: usize,
    layout: &'l Layout,
    /// The key.
    pub key: &'l Constraint,
    pairs: Vec<Pair>,
    comparison: Comparison,
    /// Its place among all that are asked.
    pub number: usize,
}

/// A column of a key and the one that it refers to.
struct Pair {
    /// Places among the columns that move.
    here: usize,
    there: usize,
    /// How the target compares them, as [`Spellings`] number it.
    folds: usize,
}

impl<'l> Question<'l> {
    /// The key, where all its columns move, on both sides.
    pub fn of(
        layout: &'l Layout,
        spellings: &Spellings,
        child: usize,
        key: &'l Constraint,
    ) -> Option<Self> {
        let parent = parent(layout, key)?;
        let place = |table: usize, name: &String| {
            let mut columns = layout.tables[table].columns.iter();
            columns.position(|column| column.target.name == *name)
        };
        let mut pairs = Vec::new();
        let mut comparison = Comparison::Raw;
        for (here, there) in key.columns.iter().zip(&key.referenced_columns) {
            let (here, there) = (place(child, here)?, place(parent, there)?);
            let of = |table: usize, column: usize| {
                let table = &layout.tables[table];
                (table, &table.columns[column])
            };
            let folds = spellings.number(layout, (child, here), (parent, there));
            let (child, parent) = (of(child, here), of(parent, there));
            comparison = comparison.max(arrival::comparison(child, parent));
            pairs.push(Pair { here, there, folds });
        }
        (!pairs.is_empty()).then_some(Self {
            child,
            parent,
            layout,
            key,
            pairs,
            comparison,
            number: 0,
        })
    }

    fn table(&self, place: usize) -> &'l TableLayout {
        &self.layout.tables[place]
    }

    /// The name of a column that moves, quoted.
    fn name(&self, table: usize, column: usize) -> String {
        let table = self.table(table);
        quoted(&table.source.columns[table.columns[column].source].name)
    }

    /// SQL for what a value of `alias` will be in the target.
    fn arriving(&self, (table, alias): (usize, &str), column: usize, folds: usize) -> String {
        let name = self.name(table, column);
        format!("cutover_arrives({table}, {column}, {folds}, {alias}.{name})")
    }

    /// SQL for a value of the child; NULL where it is known to become NULL, which counts under MATCH FULL.
    fn kept(&self, column: usize, value: String) -> String {
        if !is_full(self.key) {
            return value;
        }
        format!(
            "CASE WHEN {} THEN NULL ELSE {value} END",
            self.becomes_null((self.child, "c"), &[column])
        )
    }

    /// SQL: whether the row of `alias` loses a value in one of these columns.
    fn becomes_null(&self, (table, alias): (usize, &str), columns: &[usize]) -> String {
        let layout = self.table(table);
        let names = columns
            .iter()
            .map(|column| literal(layout.source_name(&layout.columns[*column])));
        format!(
            "{} IN (SELECT id FROM temp.cutover_nulled_{table} WHERE name IN ({}))",
            row_id(layout, alias),
            names.collect::<Vec<_>>().join(", ")
        )
    }

    /// SQL for rows at fault, by the values as they are. By their bytes: a parent's own collation may find what the target will not.
    fn raw_sql(&self) -> String {
        let pairs = self.pairs.iter().map(|pair| {
            let value = self.kept(pair.here, format!("c.{}", self.name(self.child, pair.here)));
            let parent = self.name(self.parent, pair.there);
            (format!("p.{parent} = {value} COLLATE BINARY"), value)
        });
        let parent = self.table(self.parent);
        let from = format!("{} AS p", quoted(&parent.source.name));
        self.sql(&from, &row_id(parent, "p"), pairs.unzip(), None)
    }

    /// SQL for rows at fault, by what the values will be, and what makes the table of parents for it first.
    fn arriving_sql(&self) -> (String, String) {
        let places = 0..self.pairs.len();
        let keys: Vec<String> = places.map(|place| format!("k{place}")).collect();
        // One for each key, which stays while the same is asked again.
        let table = format!("cutover_parents_{}", self.number);
        let made = self.pairs.iter().enumerate().map(|(place, pair)| {
            let made = self.arriving((self.parent, "p"), pair.there, pair.folds);
            let name = self.name(self.parent, pair.there);
            format!("{made} AS k{place}, p.{name} AS meant{place}")
        });
        let parent = self.table(self.parent);
        let make = format!(
            "CREATE TABLE IF NOT EXISTS temp.{table} AS SELECT {made}, {id} AS id FROM {from} AS p;
             CREATE INDEX IF NOT EXISTS temp.{table}_by_key ON {table} ({columns});
             CREATE INDEX IF NOT EXISTS temp.{table}_by_meant ON {table} ({meant})",
            columns = keys.join(", "),
            meant = keys
                .iter()
                .map(|key| key.replacen('k', "meant", 1))
                .collect::<Vec<_>>()
                .join(", "),
            made = made.collect::<Vec<_>>().join(", "),
            id = row_id(parent, "p"),
            from = quoted(&parent.source.name),
        );
        let pairs = self.pairs.iter().zip(&keys).map(|(pair, key)| {
            let value = self.arriving((self.child, "c"), pair.here, pair.folds);
            let value = self.kept(pair.here, value);
            (format!("p.{key} = {value}"), value)
        });
        let meant = self.pairs.iter().enumerate().map(|(place, pair)| {
            let value = self.kept(pair.here, format!("c.{}", self.name(self.child, pair.here)));
            format!("p.meant{place} = {value} COLLATE BINARY")
        });
        let meant = meant.collect::<Vec<_>>().join(" AND ");
        let from = format!("temp.{table} AS p");
        (make, self.sql(&from, "p.id", pairs.unzip(), Some(meant)))
    }

    /// Whether the transfer section says that rows with one key in the target are one, whatever their keys in the source.
    fn are_one(&self) -> bool {
        let parent = self.table(self.parent);
        let mut there = self.pairs.iter().map(|pair| &parent.columns[pair.there]);
        there.any(|column| column.converter.policy.duplicates_one)
    }

    /// SQL for rows at fault: what names each, its key's value, and what there is of the parent. With `meant`, by which a parent has the very
    /// value that the child has in the source, a child of one that does not arrive is no child of another that is the same in the target; and
    /// one whose own parent has another key in the target, or none, is no child of whatever its converted value finds.
    fn sql(
        &self,
        parents: &str,
        parent_id: &str,
        (equal, values): (Vec<String>, Vec<String>),
        meant: Option<String>,
    ) -> String {
        let id = row_id(self.table(self.child), "c");
        let there = format!("SELECT 1 FROM {parents} WHERE {}", equal.join(" AND "));
        let names = |table: usize, columns: Vec<usize>| {
            let layout = self.table(table);
            let names = columns
                .iter()
                .map(|column| literal(layout.source_name(&layout.columns[*column])));
            names.collect::<Vec<_>>().join(", ")
        };
        let gone = format!("temp.cutover_gone_{}", self.parent);
        let nulled = format!("temp.cutover_nulled_{}", self.parent);
        let read = names(
            self.parent,
            self.pairs.iter().map(|pair| pair.there).collect(),
        );
        let loses = format!("{parent_id} IN (SELECT id FROM {nulled} WHERE name IN ({read}))");
        let arrives = format!("{there} AND {parent_id} NOT IN (SELECT id FROM {gone})");
        let keeps = format!("{arrives} AND NOT {loses}");
        // What `duplicates: one` says nothing about: the two parents are not one by what the target makes of them.
        let elsewhere = meant.as_ref().map_or("0".to_owned(), |meant| {
            format!(
                "(NOT EXISTS ({there} AND {meant}) AND EXISTS (SELECT 1 FROM {parents} WHERE {meant}))"
            )
        });
        let of_another = match meant.filter(|_| !self.are_one()) {
            // What is asked once comes first: mostly every parent arrives.
            Some(meant) => format!(
                "((EXISTS (SELECT 1 FROM {gone}) OR EXISTS (SELECT 1 FROM {nulled}))
                  AND EXISTS ({there} AND ({parent_id} IN (SELECT id FROM {gone}) OR {loses}))
                  AND NOT EXISTS ({keeps} AND {meant}))"
            ),
            None => "0".to_owned(),
        };
        let here: Vec<usize> = self.pairs.iter().map(|pair| pair.here).collect();
        let refers = if is_full(self.key) {
            refers(self.key, values.iter())
        } else {
            format!(
                "{} AND NOT {}",
                refers(self.key, values.iter()),
                self.becomes_null((self.child, "c"), &here)
            )
        };
        format!(
            "SELECT {id}, c.{first},
                    CASE WHEN EXISTS ({keeps}) THEN CASE WHEN {elsewhere} THEN 4 ELSE 3 END
                         WHEN EXISTS ({arrives}) THEN 2 WHEN EXISTS ({there}) THEN 1 ELSE 0 END
               FROM {table} AS c NOT INDEXED WHERE {refers} AND (NOT EXISTS ({keeps}) OR {of_another} OR {elsewhere})
               AND {id} NOT IN (SELECT id FROM temp.cutover_gone_{child})",
            first = self.name(self.child, self.pairs[0].here),
            table = quoted(&self.table(self.child).source.name),
            child = self.child,
        )
    }

    /// The first column that the key refers to, as the transfer section names it.
    fn referenced(&self) -> String {
        let parent = self.table(self.parent);
        let column = self.pairs.first().map(|pair| &parent.columns[pair.there]);
        let column = column.map_or("", |column| parent.source_name(column));
        printable(&column_key(&parent.source.name, column), 120)
    }

    /// A row at fault, with what is stated and wished about it.
    pub fn orphan(&self, row: AtFault, layer: u32) -> Orphan {
        let table = self.table(self.child);
        let (key, parent) = (
            printable(&self.key.name, 80),
            printable(&self.table(self.parent).source.name, 80),
        );
        let (column, wished) = wish(table, self.key);
        let stated = stated(table, self.key);
        let column = stated.map_or(column, |(column, _)| column);
        let reason = match row.parent {
            Parent::Missing if is_full(self.key) => format!(
                "no such row in {parent}, or a part of the key is NULL: {key} wants all of it (MATCH FULL)"
            ),
            Parent::Missing => format!("no such row in {parent}, which {key} wants"),
            Parent::Behind => {
                format!("its row in {parent}, which {key} wants, stays behind (layer {layer})")
            }
            Parent::Nulled => {
                format!("its row in {parent} loses the value that {key} wants: it becomes NULL")
            }
            Parent::Another => format!(
                "its row in {parent} does not arrive, and {key} would find another one, whose key is the same in PostgreSQL; where both are \
                 one, `duplicates: one` for {}",
                self.referenced()
            ),
            Parent::Elsewhere => format!(
                "{key} would refer to another row of {parent} than in SQLite: its value becomes the key of that one, and that of its own row does not"
            ),
        };
        Orphan {
            table: self.child,
            stated: stated.map(|(_, action)| action),
            wished,
            hangs_on: match row.parent {
                Parent::Behind | Parent::Another => Some(self.parent),
                Parent::Missing | Parent::Nulled | Parent::Elsewhere => None,
            },
            layer: match row.parent {
                Parent::Missing | Parent::Elsewhere => 1,
                Parent::Behind | Parent::Nulled | Parent::Another => layer,
            },
            problem: Problem {
                table: table.source.name.clone(),
                column: column.to_owned(),
                rowid: row.id,
                value: row.value,
                reason,
                policy: Some(wished.policy().to_owned()),
            },
        }
    }
}

/// A row that refers to nothing.
pub(super) struct AtFault {
    /// What names it.
    pub id: RowKey,
    value: String,
    parent: Parent,
}

/// What there is of the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parent {
    /// Nothing: it is not even in the source.
    Missing,
    /// It stays behind.
    Behind,
    /// It arrives, and without the value that is referred to.
    Nulled,
    /// It does not arrive with its value, and another row does with one that is the same in the target.
    Another,
    /// It is there with another key in the target, or with none, and another row has the one that the child's value becomes.
    Elsewhere,
}

/// A text as SQLite's SQL has it.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// SQL for what names a row of the table `alias`. Rows that nothing names are never among those that are gone.
fn row_id(table: &TableLayout, alias: &str) -> String {
    match &table.source.position {
        Position::Rowid { name, .. } => format!("{alias}.{}", quoted(name)),
        Position::Key => {
            let key = table.source.primary_key.iter();
            let key =
                key.map(|place| format!("{alias}.{}", quoted(&table.source.columns[*place].name)));
            format!("cutover_row_key({})", key.collect::<Vec<_>>().join(", "))
        }
        Position::Ordinal => "''".to_owned(),
    }
}

/// The source with what is gone beside it, in temporary tables.
pub(super) struct Asked<'s> {
    connection: rusqlite::Connection,
    source: &'s Path,
    layout: &'s Layout,
}

impl<'s> Asked<'s> {
    /// Opens the source.
    pub fn open(
        source: &'s Path,
        layout: &'s Layout,
        spellings: &Spellings,
    ) -> Result<Self, Error> {
        let connection = open(source)?;
        let asked = || -> rusqlite::Result<()> {
            // Where no index helps, SQLite builds one for the query; it may be large, so it goes to a file.
            connection.pragma_update(None, "temp_store", "FILE")?;
            connection.create_scalar_function(
                "cutover_row_key",
                -1,
                FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
                |context| {
                    let parts = (0..context.len()).map(|at| shown(context.get_raw(at)));
                    Ok(format!("({})", parts.collect::<Vec<_>>().join(", ")))
                },
            )?;
            arrival::register(&connection, layout, spellings)?;
            for place in 0..layout.tables.len() {
                connection.execute_batch(&format!(
                    "CREATE TABLE temp.cutover_gone_{place} (id PRIMARY KEY) WITHOUT ROWID;
                     CREATE TABLE temp.cutover_nulled_{place} (id, name, PRIMARY KEY (name, id)) WITHOUT ROWID"
                ))?;
            }
            Ok(())
        };
        asked().map_err(read(source, "its settings"))?;
        Ok(Self {
            connection,
            source,
            layout,
        })
    }

    /// Takes in what becomes of rows of a table.
    pub fn add<'r>(
        &self,
        table: usize,
        rows: impl Iterator<Item = (&'r RowKey, &'r Vec<Fault>)>,
    ) -> Result<(), Error> {
        let gone = format!("INSERT OR IGNORE INTO temp.cutover_gone_{table} VALUES (?1)");
        let nulled = format!("INSERT OR IGNORE INTO temp.cutover_nulled_{table} VALUES (?1, ?2)");
        let add = || -> rusqlite::Result<()> {
            let mut gone = self.connection.prepare_cached(&gone)?;
            let mut nulled = self.connection.prepare_cached(&nulled)?;
            for (row, faults) in rows {
                let id: &dyn rusqlite::ToSql = match row {
                    RowKey::Rowid(rowid) => rowid,
                    RowKey::Key(key) => key,
                    RowKey::None => continue,
                };
                if faults.iter().any(|fault| !fault.nulls) {
                    gone.execute([id])?;
                }
                for fault in faults.iter().filter(|fault| fault.nulls) {
                    nulled.execute(rusqlite::params![id, fault.column])?;
                }
            }
            Ok(())
        };
        add().map_err(read(self.source, &self.layout.tables[table].source.name))
    }

    /// The rows that a key finds no parent for.
    pub fn ask(&self, question: &Question<'_>) -> Result<Vec<AtFault>, Error> {
        let name = &self.layout.tables[question.child].source.name;
        let raw = || self.query(&question.raw_sql());
        let arriving = || {
            let (make, sql) = question.arriving_sql();
            self.connection.execute_batch(&make)?;
            self.query(&sql)
        };
        let found = match question.comparison {
            Comparison::Raw => raw(),
            Comparison::Arriving => arriving(),
            // Plain comparison uses the parent's index; only what it misses is worth a slower look.
            Comparison::RawFirst => match raw() {
                Ok(found) if !found.is_empty() => arriving(),
                found => found,
            },
        };
        found.map_err(read(self.source, name))
    }

    fn query(&self, sql: &str) -> rusqlite::Result<Vec<AtFault>> {
        let mut statement = self.connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let key = match row.get_ref(0)? {
                ValueRef::Integer(rowid) => RowKey::Rowid(rowid),
                ValueRef::Text(text) if !text.is_empty() => {
                    RowKey::Key(String::from_utf8_lossy(text).into_owned())
                }
                _ => RowKey::None,
            };
            found.push(AtFault {
                id: key,
                value: shown(row.get_ref(1)?),
                parent: match row.get(2)? {
                    4 => Parent::Elsewhere,
                    3 => Parent::Another,
                    2 => Parent::Nulled,
                    1 => Parent::Behind,
                    _ => Parent::Missing,
                },
            });
        }
        Ok(found)
    }
}
