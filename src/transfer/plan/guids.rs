//! Columns of foreign keys that refer to each other in two spellings: a GUID as bytes and as text, or as bytes in two orders; a text as bytes. Read as
//! the section would have them, they refer to each other; as they are, every row of the child looks like an orphan, and a plan must not suggest
//! to lose what is there.
//!
//! Not in here: the order of one column's bytes by themselves (`settle`), and rows that have no parent in any reading (`consequences`).

use std::path::Path;
use std::sync::Arc;

use crate::postgres::catalogue::ConstraintKind;
use crate::runbook::transfer::{ColumnPolicy, GuidBytes};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::convert::Class;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, Layout, structural};
use crate::transfer::plan::consequences::{self, is_checked};
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::units::World;
use crate::transfer::plan::{Problem, settle};

/// The orders of a GUID's bytes, with their names in a section.
const ORDERS: [(GuidBytes, &str); 2] = [
    (GuidBytes::Dotnet, "dotnet"),
    (GuidBytes::Rfc4122, "rfc4122"),
];

/// How foreign keys are to be looked at.
pub(super) struct Agreed {
    /// The layout with what a section would say of their columns.
    pub layout: Arc<Layout>,
    /// Columns that need another order than they have, each with the setting.
    pub problems: Vec<Problem>,
}

/// A column, by the places of its table and its own.
type Place = (usize, usize);

/// Two columns of a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ends {
    key: String,
    child: Place,
    parent: Place,
}

/// Reads the columns of foreign keys as the plan's own suggestions have them, and the bytes of GUIDs in one order on both sides where that
/// gives rows their parents.
pub(super) async fn agree(
    layout: &Arc<Layout>,
    source: &Path,
    scanned: &[Scanned],
    world: World,
) -> Result<Agreed, Error> {
    let ends = ends(layout);
    let mut wished = Additions::default();
    if !ends.is_empty() {
        for (table, scanned) in layout.tables.iter().zip(scanned) {
            settle::settle(table, scanned, world, &mut wished);
        }
    }
    let mut assumed = Layout::clone(layout);
    for place in ends.iter().flat_map(|ends| [ends.child, ends.parent]) {
        assume(&mut assumed, place, &wished);
    }
    let open: Vec<Ends> = ends
        .into_iter()
        .filter(|ends| is_open(&assumed, ends, scanned))
        .collect();
    let blobs: Vec<Vec<bool>> = scanned.iter().map(blobs).collect();
    let path = source.to_path_buf();
    let looking = tokio::task::spawn_blocking(move || {
        let mut problems = Vec::new();
        for ends in &open {
            in_one_order(&path, &mut assumed, ends, &blobs, &mut problems)?;
        }
        Ok::<_, Error>(Agreed {
            layout: Arc::new(assumed),
            problems,
        })
    });
    looking
        .await
        .expect("BUG: looking at the GUIDs of foreign keys panicked")
}

/// The pairs of columns of foreign keys between tables that move, where a setting may say how they are spelled.
fn ends(layout: &Layout) -> Vec<Ends> {
    let mut found = Vec::new();
    for (child, table) in layout.tables.iter().enumerate() {
        let keys = table.target.constraints.iter();
        for key in keys.filter(|key| key.kind == ConstraintKind::Foreign && is_checked(key)) {
            let Some(parent) = consequences::parent(layout, key) else {
                continue;
            };
            let place = |table: usize, name: &String| {
                let mut columns = layout.tables[table].columns.iter();
                let at = columns.position(|column| column.target.name == *name)?;
                is_spelled(&layout.tables[table].columns[at]).then_some((table, at))
            };
            for (here, there) in key.columns.iter().zip(&key.referenced_columns) {
                if let (Some(child), Some(parent)) = (place(child, here), place(parent, there)) {
                    let key = key.name.clone();
                    found.push(Ends { key, child, parent });
                }
            }
        }
    }
    found
}

fn is_spelled(column: &ColumnLayout) -> bool {
    matches!(
        column.converter.kind,
        Kind::Uuid | Kind::Text(_) | Kind::Char(_) | Kind::Bytea
    )
}

/// Gives a column the settings that are suggested for it, but for what becomes of values at fault.
fn assume(layout: &mut Layout, (table, column): Place, wished: &Additions) {
    let table = &mut layout.tables[table];
    let name = table.source_name(&table.columns[column]).to_owned();
    let key = (table.source.name.clone(), name);
    if let Some(addition) = wished.columns.get(&key) {
        let settings = ColumnPolicy {
            on_problem: None,
            ..addition.policy.clone()
        };
        table.columns[column].converter.policy.overlay(&settings);
    }
}

/// Whether both are GUIDs whose order is not the same, or not known.
fn is_open(layout: &Layout, ends: &Ends, scanned: &[Scanned]) -> bool {
    let column = |(table, column): Place| &layout.tables[table].columns[column].converter;
    let (child, parent) = (column(ends.child), column(ends.parent));
    let is_undecided = |(table, column): Place| {
        let order = layout.tables[table].columns[column]
            .converter
            .policy
            .guid_bytes;
        order.is_none() && scanned[table].guids.contains_key(&column)
    };
    child.kind == Kind::Uuid
        && parent.kind == Kind::Uuid
        && (child.policy.guid_bytes != parent.policy.guid_bytes
            || is_undecided(ends.child)
            || is_undecided(ends.parent))
}

/// Whether each column of a table holds bytes.
fn blobs(scanned: &Scanned) -> Vec<bool> {
    let looks = scanned.looks.iter();
    looks
        .map(|look| look.classes[Class::Blob as usize] > 0)
        .collect()
}

/// Takes the order under which most rows find their parents, where it is another than now; nothing where both are as good and neither is stated
/// or suggested.
fn in_one_order(
    source: &Path,
    layout: &mut Layout,
    ends: &Ends,
    blobs: &[Vec<bool>],
    problems: &mut Vec<Problem>,
) -> Result<(), Error> {
    let now = consequences::missing(source, layout, ends.child.0, &ends.key)?;
    if now == 0 {
        return Ok(());
    }
    let mut tried = Vec::new();
    for (order, name) in ORDERS {
        let mut other = layout.clone();
        set(&mut other, ends, order);
        let missing = consequences::missing(source, &other, ends.child.0, &ends.key)?;
        tried.push((missing, order, name));
    }
    let of = |(table, column): Place| {
        layout.tables[table].columns[column]
            .converter
            .policy
            .guid_bytes
    };
    let known = of(ends.parent).or(of(ends.child));
    let least = tried.iter().map(|(missing, ..)| *missing).min();
    tried.retain(|(missing, ..)| Some(*missing) == least && *missing < now);
    let is_known = |order: &GuidBytes| known == Some(*order);
    let chosen = match tried.as_slice() {
        [] => return Ok(()),
        [only] => *only,
        several => match several.iter().find(|(_, order, _)| is_known(order)) {
            Some(same) => *same,
            None => {
                let (_, order, _) = several[0];
                set(layout, ends, order);
                return Ok(());
            }
        },
    };
    let (missing, order, name) = chosen;
    for place in [ends.child, ends.parent] {
        let (table, column) = (&layout.tables[place.0], place.1);
        if of(place) == Some(order) || !blobs[place.0].get(column).copied().unwrap_or(false) {
            continue;
        }
        let reason = format!(
            "{} row(s) of {} find their row for {} only where GUIDs are read in one order of their bytes on both sides",
            now - missing,
            printable(&layout.tables[ends.child.0].source.name, 80),
            printable(&ends.key, 80)
        );
        problems.push(structural(
            &table.source.name,
            table.source_name(&table.columns[column]),
            reason,
            Some(format!("guid_bytes: {name}")),
        ));
    }
    set(layout, ends, order);
    Ok(())
}

/// Reads both columns in this order.
fn set(layout: &mut Layout, ends: &Ends, order: GuidBytes) {
    for (table, column) in [ends.child, ends.parent] {
        layout.tables[table].columns[column]
            .converter
            .policy
            .guid_bytes = Some(order);
    }
}
