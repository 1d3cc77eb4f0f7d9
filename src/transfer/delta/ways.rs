//! By which way each changed table goes: its changed rows alone, or the whole table anew. Pure.
//!
//! Rows go by themselves only where both sides agree by which key a row is the same; whatever cannot show that is anew.

use std::collections::BTreeSet;

use crate::delta::{Delta, Way};
use crate::postgres::catalogue::{ConstraintKind, Identity, RelationKind};
use crate::postgres::quoted;
use crate::sqlite::schema::Position;
use crate::transfer::layout::fire::fires;
use crate::transfer::layout::{Layout, TableLayout};

/// A table that moves and has a change.
#[derive(Debug, Clone)]
pub struct Changed {
    /// Its place in the newer layout, and in the older one.
    pub places: [usize; 2],
    /// By which way.
    pub way: By,
    /// Rows of the newer snapshot that the delta tells of.
    pub newer_rows: u64,
    /// Rows of the older one.
    pub older_rows: u64,
}

/// The ways.
#[derive(Debug, Clone)]
pub enum By {
    /// By its changed rows.
    Rows {
        /// Its rows are in the table `rows_<id>` of the delta file.
        id: i64,
        /// The target's columns by which a row is the same.
        key: Vec<String>,
        /// It has columns that no UPDATE may set.
        has_fixed: bool,
    },
    /// As a whole, for this reason.
    Anew(String),
}

/// The changed tables in the order of the newer layout. Tables that do not move have no part in it.
pub fn of(delta: &Delta, newer: &Layout, older: &Layout) -> Vec<Changed> {
    let mut all = Vec::new();
    for (place, table) in newer.tables.iter().enumerate() {
        let before = older
            .tables
            .iter()
            .position(|known| known.source.name == table.source.name);
        // Both layouts pair the same tables, or nobody asks for a way.
        let Some(before) = before else { continue };
        let mut told = delta.tables.iter();
        let told = told.find(|told| told.table == table.source.name);
        let otherwise = !converts_as_before(table, &older.tables[before]);
        let way = match told {
            _ if otherwise => {
                By::Anew("its values are converted otherwise than they were".to_owned())
            }
            None => continue,
            Some(told) => match &told.way {
                Way::Anew(why) => By::Anew(why.sentence().to_owned()),
                Way::Rowid | Way::Key if told.inserted + told.updated + told.deleted == 0 => {
                    continue;
                }
                Way::Rowid => by_rows(newer, table, told.id, is_by_rowid),
                Way::Key => by_rows(newer, table, told.id, |position| *position == Position::Key),
            },
        };
        all.push(Changed {
            places: [place, before],
            way,
            newer_rows: told.map_or(0, |told| told.inserted + told.updated),
            older_rows: told.map_or(0, |told| told.deleted + told.updated),
        });
    }
    all
}

fn is_by_rowid(position: &Position) -> bool {
    matches!(position, Position::Rowid { .. })
}

/// Whether a row that did not change would arrive as it did. A schema that changed around a table may change what its types mean.
fn converts_as_before(table: &TableLayout, before: &TableLayout) -> bool {
    let columns = |of: &TableLayout| {
        let one = |column: &crate::transfer::layout::ColumnLayout| {
            let name = of.source_name(column);
            format!("{name:?} {:?} {:?}", column.target, column.converter)
        };
        of.columns.iter().map(one).collect::<Vec<_>>()
    };
    columns(table) == columns(before)
}

fn by_rows(
    layout: &Layout,
    table: &TableLayout,
    id: i64,
    reads_so: impl Fn(&Position) -> bool,
) -> By {
    let target = &table.target;
    let anew = |why: &str| By::Anew(why.to_owned());
    if !reads_so(&table.source.position) {
        return anew("SQLite cannot look up a single row of it");
    }
    if target.kind != RelationKind::Table || target.is_partition || target.has_children {
        return anew("it is partitioned, or other tables inherit from it");
    }
    if target.rules {
        return anew("it has rules, which apply to statements and not to a load");
    }
    let mut triggers = target.triggers.iter();
    if triggers.any(|trigger| fires(&layout.fire, &target.name, &trigger.name)) {
        return anew("`fire` has triggers of it run for rows that are inserted");
    }
    let Some(key) = key(table) else {
        return anew("no key of the target is the primary key that SQLite declares");
    };
    let fixed = |name: &String| {
        let column = target.column(name);
        column.is_some_and(|column| column.identity == Some(Identity::Always))
    };
    let moving = table.columns.iter().map(|column| &column.target.name);
    let has_fixed = moving.filter(|name| !key.contains(name)).any(fixed);
    By::Rows { id, key, has_fixed }
}

/// The columns of the target that are unique there, never NULL, and just the partners of the declared primary key.
fn key(table: &TableLayout) -> Option<Vec<String>> {
    let target = &table.target;
    let partner = |place: &usize| {
        let mut columns = table.columns.iter();
        let column = columns.find(|column| column.source == *place)?;
        Some(column.target.name.as_str())
    };
    let declared: Option<BTreeSet<&str>> = table.source.primary_key.iter().map(partner).collect();
    let declared = declared.filter(|declared| !declared.is_empty())?;
    let primary = target
        .constraints
        .iter()
        .filter(|constraint| constraint.kind == ConstraintKind::Primary)
        .map(|constraint| constraint.columns.clone());
    let is_full = |name: &String| target.column(name).is_some_and(|column| column.not_null);
    let unique = target
        .indexes
        .iter()
        .filter(|index| index.unique && index.valid && index.predicate.is_none())
        .filter_map(|index| index.columns.iter().cloned().collect::<Option<Vec<_>>>())
        .filter(|columns| columns.iter().all(is_full));
    primary.chain(unique).find(|columns| {
        let columns: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
        columns == declared
    })
}

/// A table whose changed rows are staged, as statements name it and them.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Its oid.
    pub oid: u32,
    /// Its name, for messages.
    pub shown: String,
    /// Its name, for SQL.
    pub name: crate::ours::statements::Name,
    /// Its columns that move, quoted.
    pub columns: Vec<String>,
    /// Those that an UPDATE may set, quoted.
    pub settable: Vec<String>,
    /// Those by which a row is the same, quoted.
    pub key: Vec<String>,
    /// The temporary table with the changed rows as they are.
    pub new: String,
    /// The temporary table with the changed rows as they were.
    pub old: String,
    /// Rows whose key stays are deleted and inserted: two of them exchange a value that is unique.
    pub again: bool,
}

impl Rows {
    /// What the statements need of a table that goes by its rows; none for one that goes anew.
    pub fn of(changed: &Changed, layout: &Layout) -> Option<Self> {
        let By::Rows { id, key, has_fixed } = &changed.way else {
            return None;
        };
        let table = &layout.tables[changed.places[0]];
        let names = table.columns.iter().map(|column| &column.target);
        let settable = names
            .clone()
            .filter(|column| column.identity != Some(Identity::Always));
        let settable: Vec<String> = settable.map(|column| quoted(&column.name)).collect();
        Some(Self {
            oid: table.target.oid,
            shown: crate::text::printable(&table.target.name, 80),
            name: crate::ours::statements::Name::new(&table.schema, &table.target.name),
            columns: names.map(|column| quoted(&column.name)).collect(),
            key: key.iter().map(|name| quoted(name)).collect(),
            new: format!("pg_temp.cutover_new_{id}"),
            old: format!("pg_temp.cutover_old_{id}"),
            again: *has_fixed || settable.is_empty(),
            settable,
        })
    }

    /// SQL: whether two rows have the same key.
    pub fn same(&self, one: &str, other: &str) -> String {
        let equal = self
            .key
            .iter()
            .map(|name| format!("{one}.{name} = {other}.{name}"));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// SQL: whether two rows hold the same values. As text, since not every type knows what is equal, and whatever a collation takes for equal.
    pub fn unchanged(&self, one: &str, other: &str) -> String {
        let text = |of: &str, name: &String| format!("{of}.{name}::text COLLATE \"C\"");
        let equal = self.columns.iter().map(|name| {
            let [one, other] = [one, other].map(|of| text(of, name));
            format!("{one} IS NOT DISTINCT FROM {other}")
        });
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// SQL: whether a row of the table is deleted.
    pub fn goes(&self, row: &str) -> String {
        let was = format!(
            "EXISTS (SELECT FROM {} AS o WHERE {})",
            self.old,
            self.same("o", row)
        );
        if self.again {
            return was;
        }
        format!("{was} AND NOT {}", self.stays(row))
    }

    /// SQL: whether a row has a partner among the changed rows as they are.
    pub fn stays(&self, row: &str) -> String {
        format!(
            "EXISTS (SELECT FROM {} AS n WHERE {})",
            self.new,
            self.same("n", row)
        )
    }
}
