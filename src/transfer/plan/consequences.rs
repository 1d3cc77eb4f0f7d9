//! Rows that hang on rows: what a row that stays behind makes of its children, followed down the foreign keys until nothing changes.
//!
//! Asked of SQLite ([`question`]), which may never have checked. Only keys between tables that move are followed; parents that the target alone has are
//! the server's to judge ([`super::probe`]).

mod question;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use crate::postgres::catalogue::{Constraint, ConstraintKind};
use crate::runbook::transfer::OnProblem;
use crate::transfer::Error;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout};
use crate::transfer::plan::spellings::Spellings;
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::rows::{Fault, Foreseen};

use question::{Asked, Question};

/// What becomes of rows at fault, per table of the layout.
pub type Fates = Vec<Arc<Foreseen>>;

/// Since when keys have to be asked.
#[derive(Debug, Clone, Copy)]
pub enum Since<'s> {
    /// None was asked yet.
    Ever,
    /// More rows or values of these tables do not arrive.
    Losses(&'s HashSet<usize>),
}

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
    /// Place of the table whose row stays behind, where that is why.
    pub hangs_on: Option<usize>,
}

impl Orphan {
    /// What becomes of the row.
    fn fault(&self) -> Fault {
        Fault {
            column: self.problem.column.clone(),
            reason: self.problem.reason.clone(),
            nulls: self.stated.unwrap_or(self.wished) == Action::Null,
            is_stated: self.stated.is_some(),
        }
    }
}

/// What the transfer section says of rows at fault in this column; all columns together speak for a fault of the whole row.
pub fn action(table: &TableLayout, column: &str) -> Option<Action> {
    let of = |moving: &ColumnLayout| match moving.converter.policy.on_problem {
        Some(OnProblem::Quarantine) => Some(Action::Aside),
        Some(OnProblem::Null) if !moving.converter.not_null => Some(Action::Null),
        Some(OnProblem::Refuse | OnProblem::Null) | None => None,
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
    let columns: Vec<&ColumnLayout> = moving(table, key).collect();
    let full = is_full(key);
    // Under MATCH FULL one NULL is not enough, and a column that loses its value for another key does not settle this one.
    let first = columns
        .iter()
        .find(|column| !full || !may_lose(table, key, column));
    let nullable = columns.iter().find(|column| is_nullable(table, column));
    match (nullable.filter(|_| !full), first.or(columns.first())) {
        (Some(column), _) => (table.source_name(column), Action::Null),
        (None, Some(first)) => (table.source_name(first), Action::Aside),
        (None, None) => ("", Action::Aside),
    }
}

/// The columns of a key that move.
fn moving<'t>(
    table: &'t TableLayout,
    key: &'t Constraint,
) -> impl Iterator<Item = &'t ColumnLayout> {
    key.columns.iter().filter_map(|name| {
        let mut columns = table.columns.iter();
        columns.find(|moving| moving.target.name == *name)
    })
}

fn is_nullable(table: &TableLayout, column: &ColumnLayout) -> bool {
    let mut primary = table.target.constraints.iter();
    let in_key = primary.any(|key| {
        key.kind == ConstraintKind::Primary && key.columns.contains(&column.target.name)
    });
    !column.converter.not_null && !in_key
}

/// Whether another key would have this column lose its value, or the transfer section says that it does.
fn may_lose(table: &TableLayout, key: &Constraint, column: &ColumnLayout) -> bool {
    let mut others = table.target.constraints.iter().filter(|other| {
        other.kind == ConstraintKind::Foreign && other.name != key.name && !is_full(other)
    });
    let name = table.source_name(column);
    action(table, name) == Some(Action::Null)
        || others.any(|other| wish(table, other) == (name, Action::Null))
}

/// What is stated about any of a key's columns, with the column: that of the [`wish`] before the others. A value that becomes NULL settles
/// no key that wants all of its columns or none.
pub fn stated<'t>(table: &'t TableLayout, key: &'t Constraint) -> Option<(&'t str, Action)> {
    let wished = wish(table, key).0;
    let names = moving(table, key).map(|column| table.source_name(column));
    std::iter::once(wished).chain(names).find_map(|name| {
        let stated = action(table, name).filter(|_| !name.is_empty())?;
        let settles = !is_full(key) || stated == Action::Aside;
        settles.then_some((name, stated))
    })
}

/// Follows the fates down the foreign keys, adding to them, until nothing changes. What nobody has stated anything about is taken to be done
/// as it would be best, so that the layers below it are found in the same look.
pub fn follow(
    source: &Path,
    layout: &Layout,
    spellings: &Spellings,
    fates: &mut Fates,
    since: Since<'_>,
) -> Result<Vec<Orphan>, Error> {
    let questions = questions(layout, spellings);
    // A key that was asked sees its parent's losses; one whose parent loses more has to be asked again.
    let hangs_on = |question: &Question<'_>, tables: &HashSet<usize>| {
        tables.contains(&question.parent)
            || (is_full(question.key) && tables.contains(&question.child))
    };
    let mut open: Vec<bool> = questions
        .iter()
        .map(|question| match since {
            Since::Ever => true,
            Since::Losses(tables) => hangs_on(question, tables),
        })
        .collect();
    if !open.contains(&true) {
        return Ok(Vec::new());
    }
    let asked = Asked::open(source, layout, spellings)?;
    for (place, rows) in fates.iter().enumerate() {
        asked.add(place, rows.iter())?;
    }
    let mut found: Vec<Orphan> = Vec::new();
    // Rows that nothing names are found again and again; they are told once.
    let mut were_asked = vec![matches!(since, Since::Losses(_)); questions.len()];
    let mut layer = 1;
    while open.contains(&true) {
        let round = std::mem::replace(&mut open, vec![false; questions.len()]);
        let mut lost: HashSet<usize> = HashSet::new();
        let mut now: Vec<(usize, RowKey, Fault)> = Vec::new();
        for (at, question) in questions.iter().enumerate().filter(|(at, _)| round[*at]) {
            for row in asked.ask(question)? {
                if row.id == RowKey::None && were_asked[at] {
                    continue;
                }
                let orphan = question.orphan(row, layer);
                now.push((question.child, orphan.problem.rowid.clone(), orphan.fault()));
                found.push(orphan);
            }
            were_asked[at] = true;
        }
        for (place, row, fault) in now {
            if row != RowKey::None {
                asked.add(place, [(&row, &vec![fault.clone()])].into_iter())?;
                let known = Arc::make_mut(&mut fates[place]).entry(row).or_default();
                known.push(fault);
                lost.insert(place);
            }
        }
        for (at, question) in questions.iter().enumerate() {
            open[at] |= hangs_on(question, &lost);
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

/// How many rows of a table find no parent for a key, whatever becomes of the parents that are there.
///
/// # Errors
/// The source could not be read.
pub fn missing(source: &Path, layout: &Layout, child: usize, key: &str) -> Result<u64, Error> {
    let spellings = Spellings::default();
    let mut keys = layout.tables[child].target.constraints.iter();
    let question = keys
        .find(|known| known.name == key)
        .and_then(|key| Question::of(layout, &spellings, child, key));
    let Some(question) = question else {
        return Ok(0);
    };
    let asked = Asked::open(source, layout, &spellings)?;
    Ok(asked.ask(&question)?.len() as u64)
}

/// The foreign keys between tables that move.
fn questions<'l>(layout: &'l Layout, spellings: &Spellings) -> Vec<Question<'l>> {
    let tables = layout.tables.iter().enumerate();
    let mut questions: Vec<Question<'l>> = tables
        .flat_map(|(place, table)| {
            let keys = table.target.constraints.iter();
            keys.filter(|key| key.kind == ConstraintKind::Foreign && is_checked(key))
                .filter_map(move |key| Question::of(layout, spellings, place, key))
        })
        .collect();
    for (number, question) in questions.iter_mut().enumerate() {
        question.number = number;
    }
    questions
}

/// The place of the table that a foreign key refers to, where it moves: also where the key names one of its partitions.
pub fn parent(layout: &Layout, key: &Constraint) -> Option<usize> {
    let (oid, ..) = key.references.as_ref()?;
    let is = |table: &TableLayout| table.target.oid == *oid || table.target.parts.contains(oid);
    layout.tables.iter().position(is)
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
