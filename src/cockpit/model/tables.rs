//! The tables that move: how far each has come, what does not fit, what a policy changed, and whether both sides are equal. Not in here:
//! how they look (`view::data`).

use std::collections::{BTreeMap, BTreeSet};

use super::Model;
use super::filter::nearest;
use crate::cockpit::canvas::columns;
use crate::cockpit::theme::Meaning;
use crate::format::{count, counted, short};
use crate::journal::Progress;
use crate::session::facts::{Imported, Order, Policies};
use crate::session::live::{ComparedTable, PlannedTable};
use crate::session::{LineKind, StepState, StepStatus};
use crate::text::printable;

/// Characters of a name by which all that is told of a table is found: as many as progress keeps.
const NAME_CHARS: usize = 200;
/// The widest name or type in the list of columns.
const WIDEST: u16 = 32;

/// A table as it stands now. Its name is foreign text.
#[derive(Debug, Clone, PartialEq)]
pub struct TableLine {
    /// Its name in SQLite.
    pub table: String,
    /// Rows that PostgreSQL has committed.
    pub moved: u64,
    /// Rows that it has, where that is known.
    pub rows: Option<u64>,
    /// Rows per second while it moves, once that says something.
    pub rows_per_s: Option<f64>,
    pub state: TableState,
    /// Values, columns or rows that do not fit.
    pub problems: u64,
    /// Values that a policy of the runbook changed or put aside.
    pub by_policy: u64,
    /// How it compares, once that was begun.
    pub compared: Option<ComparedTable>,
}

/// Where a table is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableState {
    /// Its turn has not come.
    Waiting,
    /// A lane copies it now.
    Moving,
    /// The load stands still in the middle of it.
    Halted,
    /// All of its rows are there.
    Moved,
    /// How far it had come at that time is not recorded.
    Unknown,
}

/// All that is told of tables, by their names: a database may have thousands, and every frame asks.
struct Known<'m> {
    load: Option<&'m StepState>,
    imported: BTreeMap<String, u64>,
    /// What the load said of it can be read, or it has said nothing yet.
    is_imported_known: bool,
    policies: BTreeMap<String, Vec<(String, u64)>>,
    progress: BTreeMap<&'m str, &'m Progress>,
    planned: BTreeMap<&'m str, &'m PlannedTable>,
    compared: BTreeMap<&'m str, &'m ComparedTable>,
}

impl Known<'_> {
    fn of<'m>(model: &'m Model, names: &[String]) -> Known<'m> {
        let imported = model.session.fact();
        let is_imported_known = imported.is_ok();
        let imported = imported.ok().flatten();
        let imported = imported.map_or_else(Vec::new, |Imported(tables)| tables);
        let imported = imported.into_iter();
        let policies = model.policies();
        let steps = &model.session.charter.steps;
        let load = steps.iter().rposition(|s| s.kind == LineKind::Target);
        let load = load.and_then(|at| model.session.steps.get(at));
        // What was reported before this load began is of one that is void.
        let since = load.and_then(|l| l.started_ms);
        let of_this = |p: &&Progress| {
            load.is_some_and(|l| l.id == p.step) && since.is_some_and(|s| p.at_ms >= s)
        };
        let progress = model.progress.iter().filter(of_this);
        // Collected from the last on, so that of two of one name the first is kept.
        Known {
            load,
            is_imported_known,
            imported: imported
                .map(|(table, rows)| (printable(&table, NAME_CHARS), rows))
                .collect(),
            policies: by_table(&policies, names),
            progress: progress.rev().map(|p| (p.item.as_str(), p)).collect(),
            planned: model
                .plan
                .tables
                .iter()
                .rev()
                .map(|p| (p.table.as_str(), p))
                .collect(),
            compared: model
                .parity
                .tables
                .iter()
                .rev()
                .map(|t| (t.table.as_str(), t))
                .collect(),
        }
    }
}

impl Model {
    /// Every table in the order in which they go; empty until that is known.
    pub fn tables(&self) -> Vec<TableLine> {
        let names = self.table_names();
        let known = Known::of(self, &names);
        let lines = names
            .into_iter()
            .map(|table| self.table_line(table, &known));
        lines.collect()
    }

    fn table_line(&self, table: String, known: &Known<'_>) -> TableLine {
        let load = known.load;
        let since = load.and_then(|l| l.started_ms);
        let progress = known.progress.get(table.as_str());
        let planned = known.planned.get(table.as_str());
        let done = known.imported.get(&table).copied();
        let rows = done
            .or(progress.and_then(|p| p.total))
            .or(planned.map(|p| p.rows));
        let moved = done.or(progress.map(|p| p.done)).unwrap_or(0);
        let runs = load.is_some_and(|l| l.status == StepStatus::Running);
        let state = match progress {
            _ if done.is_some() => TableState::Moved,
            _ if !known.is_imported_known => TableState::Unknown,
            Some(p) if p.total.is_none_or(|total| p.done >= total) => TableState::Moved,
            Some(p) if p.done > 0 && runs => TableState::Moving,
            Some(p) if p.done > 0 => TableState::Halted,
            None if self.replay.is_some() && since.is_some() => TableState::Unknown,
            _ => TableState::Waiting,
        };
        let policies = known.policies.get(&table);
        TableLine {
            moved,
            rows,
            rows_per_s: load
                .filter(|_| state == TableState::Moving && !self.is_stale())
                .and_then(|l| self.pace.part_per_s(&l.id, &table)),
            state,
            problems: planned.map_or(0, |p| p.problems.len() as u64 + p.more_problems),
            by_policy: policies.map_or(0, |of| of.iter().map(|(_, n)| n).sum()),
            compared: known.compared.get(table.as_str()).map(|t| (*t).clone()),
            table,
        }
    }

    /// By the plan; where that is not at hand (in a replay) by what the steps left behind.
    fn table_names(&self) -> Vec<String> {
        if !self.plan.tables.is_empty() {
            return self.plan.tables.iter().map(|t| t.table.clone()).collect();
        }
        let order = self.session.fact().ok().flatten();
        let order = order.map_or_else(Vec::new, |Order(tables)| tables);
        order
            .iter()
            .map(|name| printable(name, NAME_CHARS))
            .collect()
    }

    fn planned(&self, table: &str) -> Option<&PlannedTable> {
        self.plan.tables.iter().find(|t| t.table == table)
    }

    /// How often each policy was used, as far as that is known.
    fn policies(&self) -> BTreeMap<String, u64> {
        let policies = self.session.fact().ok().flatten();
        policies.map_or_else(BTreeMap::new, |Policies(policies)| policies)
    }

    /// What steps left behind of the tables and this version cannot read, in words.
    pub fn unreadable(&self) -> Vec<String> {
        let order = self.session.fact::<Order>().err();
        let imported = self.session.fact::<Imported>().err();
        let policies = self.session.fact::<Policies>().err();
        let all = [order, imported, policies].into_iter().flatten();
        all.map(|unreadable| unreadable.to_string()).collect()
    }

    /// Position of the table under the cursor: the chosen one, else the first that moves, else the first that is not equal.
    pub fn selected_table_index(&self) -> usize {
        self.selected_among(&self.tables())
    }

    /// The same, where all tables are at hand; where a filter hides that one, the shown one before it.
    pub fn selected_among(&self, tables: &[TableLine]) -> usize {
        let at = self.wanted_among(tables);
        nearest(&self.shown_tables(tables), at).unwrap_or(at)
    }

    fn wanted_among(&self, tables: &[TableLine]) -> usize {
        let last = tables.len().saturating_sub(1);
        let moves = |t: &TableLine| matches!(t.state, TableState::Moving | TableState::Halted);
        let differs = |t: &TableLine| t.compared.as_ref().is_some_and(ComparedTable::differs);
        self.ui
            .table
            .or_else(|| tables.iter().position(moves))
            .or_else(|| tables.iter().position(differs))
            .unwrap_or(0)
            .min(last)
    }

    /// The table under the cursor; none where a filter hides every table.
    pub fn selected_table(&self) -> Option<TableLine> {
        let tables = self.tables();
        let at = self.selected_among(&tables);
        let is_shown = self.shown_tables(&tables).contains(&at);
        tables.into_iter().nth(at).filter(|_| is_shown)
    }
}

/// All of a table: how it stands, its columns with their types on both sides, what does not fit, what was changed, which rows differ.
pub fn whole(model: &Model, table: &str) -> Vec<(String, Meaning)> {
    let Some(line) = model.tables().into_iter().find(|t| t.table == table) else {
        return vec![(
            "It is not one of the tables that move.".to_owned(),
            Meaning::Muted,
        )];
    };
    let planned = model.planned(table);
    let mut all = stands(&line, planned);
    all.extend(planned.map(columns_of).unwrap_or_default());
    if planned.is_none() {
        let why = "Its columns are not recorded.";
        all.push((why.to_owned(), Meaning::Muted));
    }
    if let Some(planned) = planned.filter(|p| !p.problems.is_empty()) {
        head(&mut all, "Does not fit");
        all.extend(
            planned
                .problems
                .iter()
                .map(|p| (p.clone(), Meaning::Danger)),
        );
        if planned.more_problems > 0 {
            let more = format!(
                "and {} more: `cutover plan` lists them",
                planned.more_problems
            );
            all.push((more, Meaning::Danger));
        }
    }
    let unreadable = model.unreadable().into_iter();
    all.extend(unreadable.map(|why| (why, Meaning::Danger)));
    let mut policies = by_table(&model.policies(), &model.table_names());
    if let Some(used) = policies.remove(table) {
        head(&mut all, "Changed or put aside by policy");
        let used = used.into_iter();
        all.extend(
            used.map(|(what, n)| (format!("{what}: {}", counted(n, "time")), Meaning::Warn)),
        );
    }
    if let Some(compared) = line.compared.filter(ComparedTable::differs) {
        head(&mut all, "Rows that differ, SQLite's value first");
        let examples = compared.examples.iter();
        all.extend(examples.map(|e| (e.clone(), Meaning::Danger)));
        let told = compared.examples.len() as u64;
        let rest = compared.found.map_or(0, |(_, n)| n).saturating_sub(told);
        if rest > 0 {
            all.push((format!("and {} more", count(rest)), Meaning::Danger));
        }
    }
    all
}

fn head(all: &mut Vec<(String, Meaning)>, text: &str) {
    all.push((String::new(), Meaning::Text));
    all.push((text.to_owned(), Meaning::Title));
}

fn stands(line: &TableLine, planned: Option<&PlannedTable>) -> Vec<(String, Meaning)> {
    let rows = line.rows.map_or_else(|| "?".to_owned(), count);
    let mut all = Vec::new();
    if let Some(planned) = planned {
        let renamed = match planned.target == line.table {
            true => String::new(),
            false => format!(", in PostgreSQL {}", planned.target),
        };
        let bytes = short(planned.bytes as f64);
        all.push((
            format!("{rows} rows, {bytes} bytes of values{renamed}"),
            Meaning::Text,
        ));
    }
    all.push(match line.state {
        TableState::Waiting => ("· not begun".to_owned(), Meaning::Muted),
        TableState::Moving => (
            format!(
                "▸ {} of {rows} rows moved{}",
                count(line.moved),
                line.rows_per_s
                    .map_or_else(String::new, |r| format!(", {}/s", short(r)))
            ),
            Meaning::Running,
        ),
        TableState::Halted => (
            format!("■ halted at {} of {rows} rows", count(line.moved)),
            Meaning::Warn,
        ),
        TableState::Unknown => (
            "? how far it had come is not recorded".to_owned(),
            Meaning::Unknown,
        ),
        TableState::Moved => (format!("✓ {} rows moved", count(line.moved)), Meaning::Ok),
    });
    all.extend(line.compared.as_ref().map(parity));
    all
}

/// How a table compares, in words.
pub fn parity(compared: &ComparedTable) -> (String, Meaning) {
    match compared.found {
        None => (
            format!("▸ {} compared", count(compared.compared)),
            Meaning::Running,
        ),
        Some((equal, 0)) => (format!("✓ all {} equal", count(equal)), Meaning::Ok),
        Some((equal, different)) => {
            let text = format!("✗ {} differ, {} equal", count(different), count(equal));
            (text, Meaning::Danger)
        }
    }
}

/// `Price      NUMERIC       → numeric(10,2)    as text, exact`: aligned.
fn columns_of(planned: &PlannedTable) -> Vec<(String, Meaning)> {
    let mut all = Vec::new();
    head(&mut all, "Columns");
    let widest = |texts: &dyn Fn(usize) -> String| {
        let widths = (0..planned.columns.len()).map(|n| columns(&texts(n)));
        widths.max().unwrap_or(0).min(WIDEST)
    };
    let name = widest(&|n| planned.columns[n].column.clone());
    let source = widest(&|n| planned.columns[n].source.clone());
    let target = widest(&|n| planned.columns[n].target.clone());
    all.extend(planned.columns.iter().map(|c| {
        let text = format!(
            "{}  {} → {}  {}",
            padded(&c.column, name),
            padded(&c.source, source),
            padded(&c.target, target),
            c.conversion
        );
        (text, Meaning::Text)
    }));
    all
}

fn padded(text: &str, width: u16) -> String {
    let lacks = width.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(usize::from(lacks)))
}

/// Uses of policies on a table's columns, `Table.Column: policy`. Of two names that begin it, such as `a` and `a.b`, the longer one is meant.
fn by_table(
    policies: &BTreeMap<String, u64>,
    names: &[String],
) -> BTreeMap<String, Vec<(String, u64)>> {
    let names: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let mut all: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for (of, n) in policies {
        let mut begins = of.rmatch_indices('.').map(|(at, _)| of.split_at(at));
        if let Some((name, rest)) = begins.find(|(name, _)| names.contains(name)) {
            let used = all.entry(name.to_owned()).or_default();
            used.push((rest[1..].to_owned(), *n));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_whose_name_begins_with_another_has_its_policies_to_itself() {
        let policies = [("a.x: trim", 1), ("a.b.x: trim", 2), ("gone.x: trim", 4)];
        let policies = policies.map(|(of, n)| (of.to_owned(), n)).into();
        let all = by_table(&policies, &["a".to_owned(), "a.b".to_owned()]);
        let used = |n| vec![("x: trim".to_owned(), n)];
        assert_eq!(
            all,
            [("a".to_owned(), used(1)), ("a.b".to_owned(), used(2))].into()
        );
    }
}
