//! Rows that hang on rows: what a row that stays behind makes of its children, followed down the foreign keys until nothing changes.
//!
//! Asked of SQLite, which may never have checked. Only keys between tables that move are followed; parents that the target alone has are
//! the server's to judge ([`super::probe`]).

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;

use crate::runbook::transfer::OnProblem;
use crate::source::schema::{Position, quoted};
use crate::target::catalogue::{Constraint, ConstraintKind};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::convert::shown;
use crate::transfer::error::read;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout};
use crate::transfer::plan::arrival::{self, Comparison};
use crate::transfer::plan::scan::open;
use crate::transfer::plan::{Problem, RowKey};

/// Rows that do not arrive, per table of the layout.
pub type Gone = Vec<HashSet<RowKey>>;

/// What the transfer section does with a row or value at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The row is put aside.
    Aside,
    /// The value becomes NULL.
    Null,
}

impl Action {
    /// The setting that asks for it.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Aside => "on_problem: quarantine",
            Self::Null => "on_problem: null",
        }
    }
}

/// A row whose parent does not arrive.
#[derive(Debug)]
pub struct Orphan {
    /// Place of its table in the layout.
    pub table: usize,
    /// Which row, and which key. Its policy is the one that would settle it.
    pub problem: Problem,
    /// What the transfer section does about it; nothing where it states nothing.
    pub stated: Option<Action>,
    /// What it would be best to do.
    pub wished: Action,
    /// How many rows up the one is that is missing: 1 where the parent is not in the source at all.
    pub layer: u32,
}

/// What the transfer section says of rows at fault in this column; all columns together speak for a fault of the whole row.
pub fn action(table: &TableLayout, column: &str) -> Option<Action> {
    let of = |moving: &ColumnLayout| match moving.converter.policy.on_problem {
        Some(OnProblem::Quarantine) => Some(Action::Aside),
        Some(OnProblem::Null) if !moving.converter.not_null => Some(Action::Null),
        _ => None,
    };
    if column.is_empty() {
        let aside = |moving: &ColumnLayout| of(moving) == Some(Action::Aside);
        return table.columns.iter().all(aside).then_some(Action::Aside);
    }
    let named = |moving: &&ColumnLayout| table.source_name(moving) == column;
    table.columns.iter().find(named).and_then(of)
}

/// What is best done about a row that refers to nothing: a column that may be NULL loses its value, otherwise the row is put aside. With
/// the source column that says so.
pub fn wish<'t>(table: &'t TableLayout, key: &Constraint) -> (&'t str, Action) {
    let columns: Vec<&ColumnLayout> = key
        .columns
        .iter()
        .filter_map(|name| {
            table
                .columns
                .iter()
                .find(|moving| moving.target.name == *name)
        })
        .collect();
    let in_key = |name: &str| {
        let primary = table.target.constraints.iter();
        primary
            .filter(|other| other.kind == ConstraintKind::Primary)
            .any(|primary| primary.columns.iter().any(|column| column == name))
    };
    let nullable = columns
        .iter()
        .find(|column| !column.converter.not_null && !in_key(&column.target.name))
        .filter(|_| !is_full(key));
    match (nullable, columns.first()) {
        (Some(column), _) => (table.source_name(column), Action::Null),
        (None, Some(first)) => (table.source_name(first), Action::Aside),
        (None, None) => ("", Action::Aside),
    }
}

/// What is stated about any of a key's columns, with the column.
pub fn stated<'t>(table: &'t TableLayout, key: &Constraint) -> Option<(&'t str, Action)> {
    key.columns.iter().find_map(|name| {
        let column = table.columns.iter().find(|c| c.target.name == *name)?;
        let name = table.source_name(column);
        action(table, name).map(|action| (name, action))
    })
}

/// Follows `gone` down the foreign keys, adding to it, until nothing changes. What nobody has stated anything about is taken to be done as
/// it would be best, so that the layers below it are found in the same look.
pub fn follow(source: &Path, layout: &Layout, gone: &mut Gone) -> Result<Vec<Orphan>, Error> {
    let mut questions: Vec<Question<'_>> = layout
        .tables
        .iter()
        .enumerate()
        .flat_map(|(place, table)| {
            let keys = table.target.constraints.iter();
            keys.filter(|key| key.kind == ConstraintKind::Foreign && is_checked(key))
                .filter_map(move |key| Question::of(layout, place, key))
        })
        .collect();
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    for (number, question) in questions.iter_mut().enumerate() {
        question.number = number;
    }
    let asked = Asked::open(source, layout)?;
    for (place, rows) in gone.iter().enumerate() {
        asked.add(place, rows.iter())?;
    }
    let mut found: Vec<Orphan> = Vec::new();
    // A key that was asked sees its parent's losses; one whose parent loses more has to be asked again.
    let mut open: Vec<bool> = vec![true; questions.len()];
    let mut nulled: Vec<HashSet<RowKey>> = vec![HashSet::new(); questions.len()];
    let mut layer = 1;
    while open.iter().any(|open| *open) {
        let round = std::mem::replace(&mut open, vec![false; questions.len()]);
        let mut lost: BTreeMap<usize, Vec<RowKey>> = BTreeMap::new();
        for (at, question) in questions.iter().enumerate().filter(|(at, _)| round[*at]) {
            for (row, value, is_missing) in asked.ask(question)? {
                if nulled[at].contains(&row) {
                    continue;
                }
                let orphan = question.orphan(row, value, is_missing, layer);
                let row = orphan.problem.rowid.clone();
                match orphan.stated.unwrap_or(orphan.wished) {
                    Action::Null => {
                        nulled[at].insert(row);
                    }
                    Action::Aside => lost.entry(question.child).or_default().push(row),
                }
                found.push(orphan);
            }
        }
        for (place, rows) in lost {
            asked.add(place, rows.iter())?;
            gone[place].extend(rows);
            for (at, question) in questions.iter().enumerate() {
                open[at] |= question.parent == place;
            }
        }
        layer += 1;
    }
    // One row may hang on several; it is put aside once, and named for the first.
    let mut seen: HashSet<(usize, RowKey)> = HashSet::new();
    found.retain(|orphan| {
        let null = orphan.stated.unwrap_or(orphan.wished) == Action::Null;
        null || orphan.problem.rowid == RowKey::None
            || seen.insert((orphan.table, orphan.problem.rowid.clone()))
    });
    Ok(found)
}

/// A key that vouches for no row that is there asks for nothing.
pub fn is_checked(key: &Constraint) -> bool {
    key.validated && !key.definition.contains(" NOT ENFORCED")
}

/// Whether the key wants all of its columns or none of them.
pub fn is_full(key: &Constraint) -> bool {
    key.definition.contains(" MATCH FULL")
}

/// SQL: whether a row with these values refers to something at all. Under MATCH FULL one value is enough, and then all are wanted.
pub fn refers<'v>(key: &Constraint, values: impl Iterator<Item = &'v String>) -> String {
    let filled: Vec<String> = values.map(|value| format!("{value} IS NOT NULL")).collect();
    let how = if is_full(key) { " OR " } else { " AND " };
    format!("({})", filled.join(how))
}

/// A foreign key between two tables that move.
struct Question<'l> {
    child: usize,
    parent: usize,
    layout: &'l Layout,
    key: &'l Constraint,
    pairs: Vec<Pair>,
    comparison: Comparison,
    /// Its place among all that are asked.
    number: usize,
}

/// A column of a key and the one that it refers to.
struct Pair {
    /// Places among the columns that move.
    here: usize,
    there: usize,
    /// The target ignores letter case in one of them.
    folds: bool,
}

impl<'l> Question<'l> {
    fn of(layout: &'l Layout, child: usize, key: &'l Constraint) -> Option<Self> {
        let (oid, ..) = key.references.as_ref()?;
        let parent = layout.tables.iter().position(|t| t.target.oid == *oid)?;
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
            let (child, parent) = (of(child, here), of(parent, there));
            comparison = comparison.max(arrival::comparison(child, parent));
            let folds = child.1.target.folds || parent.1.target.folds;
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
    fn arriving(&self, (table, alias): (usize, &str), column: usize, folds: bool) -> String {
        let name = self.name(table, column);
        format!(
            "cutover_arrives({table}, {column}, {}, {alias}.{name})",
            i32::from(folds)
        )
    }

    /// SQL for rows at fault, by the values as they are. By their bytes: a parent's own collation may find what the target will not.
    fn raw_sql(&self) -> String {
        let pairs = self.pairs.iter().map(|pair| {
            let value = format!("c.{}", self.name(self.child, pair.here));
            let parent = self.name(self.parent, pair.there);
            (format!("p.{parent} = {value} COLLATE BINARY"), value)
        });
        let parent = self.table(self.parent);
        let from = format!("{} AS p", quoted(&parent.source.name));
        self.sql(&from, &row_id(parent, "p"), pairs.unzip())
    }

    /// SQL for rows at fault, by what the values will be, and what makes the table of parents for it first.
    fn arriving_sql(&self) -> (String, String) {
        let places = 0..self.pairs.len();
        let keys: Vec<String> = places.map(|place| format!("k{place}")).collect();
        // One for each key, which stays while the same is asked again.
        let table = format!("cutover_parents_{}", self.number);
        let made = self.pairs.iter().zip(&keys).map(|(pair, key)| {
            let made = self.arriving((self.parent, "p"), pair.there, pair.folds);
            format!("{made} AS {key}")
        });
        let parent = self.table(self.parent);
        let make = format!(
            "CREATE TABLE IF NOT EXISTS temp.{table} AS SELECT {made}, {id} AS id FROM {from} AS p;
             CREATE INDEX IF NOT EXISTS temp.{table}_by_key ON {table} ({columns})",
            columns = keys.join(", "),
            made = made.collect::<Vec<_>>().join(", "),
            id = row_id(parent, "p"),
            from = quoted(&parent.source.name),
        );
        let pairs = self.pairs.iter().zip(&keys).map(|(pair, key)| {
            let value = self.arriving((self.child, "c"), pair.here, pair.folds);
            (format!("p.{key} = {value}"), value)
        });
        (
            make,
            self.sql(&format!("temp.{table} AS p"), "p.id", pairs.unzip()),
        )
    }

    /// SQL for rows at fault: what names each, its key's value, and whether the parent is not even in the source.
    fn sql(
        &self,
        parents: &str,
        parent_id: &str,
        (equal, values): (Vec<String>, Vec<String>),
    ) -> String {
        let id = row_id(self.table(self.child), "c");
        let there = format!("SELECT 1 FROM {parents} WHERE {}", equal.join(" AND "));
        format!(
            "SELECT {id}, c.{first}, NOT EXISTS ({there}) FROM {table} AS c NOT INDEXED WHERE {refers}
               AND NOT EXISTS ({there} AND {parent_id} NOT IN (SELECT id FROM temp.cutover_gone_{parent}))
               AND {id} NOT IN (SELECT id FROM temp.cutover_gone_{child})",
            first = self.name(self.child, self.pairs[0].here),
            table = quoted(&self.table(self.child).source.name),
            refers = refers(self.key, values.iter()),
            parent = self.parent,
            child = self.child,
        )
    }

    fn orphan(&self, rowid: RowKey, value: String, is_missing: bool, layer: u32) -> Orphan {
        let table = self.table(self.child);
        let (key, parent) = (
            printable(&self.key.name, 80),
            printable(&self.table(self.parent).source.name, 80),
        );
        let (column, wished) = wish(table, self.key);
        let stated = stated(table, self.key);
        let column = stated.map_or(column, |(column, _)| column);
        let reason = if is_missing && is_full(self.key) {
            format!(
                "no such row in {parent}, or a part of the key is NULL: {key} wants all of it (MATCH FULL)"
            )
        } else if is_missing {
            format!("no such row in {parent}, which {key} wants")
        } else {
            format!("its row in {parent}, which {key} wants, stays behind (layer {layer})")
        };
        Orphan {
            table: self.child,
            stated: stated.map(|(_, action)| action),
            wished,
            layer: if is_missing { 1 } else { layer },
            problem: Problem {
                table: table.source.name.clone(),
                column: column.to_owned(),
                rowid,
                value,
                reason,
                policy: Some(wished.policy().to_owned()),
            },
        }
    }
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
struct Asked<'s> {
    connection: rusqlite::Connection,
    source: &'s Path,
    layout: &'s Layout,
}

impl<'s> Asked<'s> {
    fn open(source: &'s Path, layout: &'s Layout) -> Result<Self, Error> {
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
            arrival::register(&connection, layout)?;
            for place in 0..layout.tables.len() {
                connection.execute_batch(&format!(
                    "CREATE TABLE temp.cutover_gone_{place} (id PRIMARY KEY) WITHOUT ROWID"
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

    fn add<'r>(&self, table: usize, rows: impl Iterator<Item = &'r RowKey>) -> Result<(), Error> {
        let sql = format!("INSERT OR IGNORE INTO temp.cutover_gone_{table} VALUES (?1)");
        let add = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(&sql)?;
            for row in rows {
                match row {
                    RowKey::Rowid(rowid) => statement.execute([rowid])?,
                    RowKey::Key(key) => statement.execute([key])?,
                    RowKey::None => 0,
                };
            }
            Ok(())
        };
        add().map_err(read(self.source, &self.layout.tables[table].source.name))
    }

    fn ask(&self, question: &Question<'_>) -> Result<Vec<(RowKey, String, bool)>, Error> {
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

    fn query(&self, sql: &str) -> rusqlite::Result<Vec<(RowKey, String, bool)>> {
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
            found.push((key, shown(row.get_ref(1)?), row.get(2)?));
        }
        Ok(found)
    }
}
