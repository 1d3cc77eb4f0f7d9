//! What the scan found of each value, and what the server and SQLite say of whole rows, taken into the plan: as a problem with what would settle
//! it, or as a note where the transfer section does. Not in here: finding them (`scan`, `fates`, `consequences`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::consequences::{self, Action};
use super::fates::{self, Look};
use super::scan::{self, Scanned};
use super::suggest::Additions;
use super::units::World;
use super::{Plan, Problem, RowKey, aside, guess, guids, settle};
use crate::transfer::Error;
use crate::transfer::layout::{self as pairs, Layout, TableLayout};
use crate::transfer::rows::Fault;

/// Takes in what the scan found, then asks the server and SQLite for what only they can judge.
#[allow(clippy::too_many_arguments)]
pub(super) async fn judge(
    layout: &Arc<Layout>,
    source: &Path,
    client: Option<&tokio_postgres::Client>,
    scanned: &[Scanned],
    plan: &mut Plan,
    additions: &mut Additions,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let world = World {
        beside: settle::beside(layout, scanned),
        ..layout.world()
    };
    let start = scanned.iter().map(|scanned| {
        let behind = scanned.behind.iter();
        Arc::new(
            behind
                .map(|row| (row.clone(), vec![Fault::of_values()]))
                .collect(),
        )
    });
    let agreed = guids::agree(layout, source, scanned, world).await?;
    plan.problems.extend(agreed.problems);
    let look = Look {
        client,
        source,
        layout: &agreed.layout,
        scanned: Some(scanned),
        asks: &vec![true; scanned.len()],
        cancel,
    };
    let told = fates::tell(look, start.collect()).await?;
    plan.aside = aside::collect(layout, scanned, &told.settled, &told.orphans);
    let mut settled = told.settled;
    let mut beyond = Beyond::default();
    for (place, (table, scanned)) in layout.tables.iter().zip(scanned).enumerate() {
        take_in(table, scanned, world, plan, additions);
        let hopeless = told.hopeless.iter().filter(|(at, _)| *at == place);
        plan.problems
            .extend(hopeless.map(|(_, problem)| problem.clone()));
        let (own, others) = settled.into_iter().partition(|one| one.table == place);
        settled = others;
        let mut listed: BTreeMap<String, u64> = BTreeMap::new();
        for one in Vec::<fates::Settled>::from_iter(own) {
            if one.stated.is_none() && one.problem.rowid != RowKey::None {
                additions.count_row(&one.problem.table, &one.problem.column);
            }
            let of = format!("{}.{}", one.problem.table, one.problem.column);
            let count = listed.entry(of).or_default();
            *count += 1;
            if *count <= scan::LISTED_PER_COLUMN {
                take_fault(one.problem, one.stated, one.wished, plan, additions);
            } else {
                beyond.take(one);
            }
        }
    }
    beyond.note(plan);
    plan.notes.extend(told.notes);
    let orphans = told.orphans;
    note_layers(&orphans, plan);
    take_orphans(orphans, layout, plan, additions);
    let emptied = emptied(layout, scanned, &told.fates, additions);
    for (table, rows) in emptied {
        spare(table, rows, plan, additions);
    }
    Ok(())
}

/// Rows without their parents.
fn take_orphans(
    orphans: Vec<consequences::Orphan>,
    layout: &Layout,
    plan: &mut Plan,
    additions: &mut Additions,
) {
    let mut listed: BTreeMap<String, u64> = BTreeMap::new();
    for orphan in orphans {
        if let Some(parent) = orphan.hangs_on
            && orphan.stated.unwrap_or(orphan.wished) == Action::Aside
        {
            let parent = layout.tables[parent].source.name.clone();
            let pair = (parent, orphan.problem.table.clone());
            additions.hanging.insert(pair);
        }
        if orphan.stated.is_none() {
            additions.count_row(&orphan.problem.table, &orphan.problem.column);
        }
        let of = format!("{}.{}", orphan.problem.table, orphan.problem.column);
        let count = listed.entry(of.clone()).or_default();
        *count += 1;
        if *count > scan::LISTED_PER_COLUMN {
            // What is settled is counted with what is put aside.
            if orphan.stated.is_none() {
                *plan.unlisted.entry(of).or_default() += 1;
            }
            continue;
        }
        take_fault(
            orphan.problem,
            orphan.stated,
            orphan.wished,
            plan,
            additions,
        );
    }
}

/// Tables, with their rows, of which nothing would be left by what is suggested, be it for one reason or for many. Where all of it is stated, somebody
/// has said so.
fn emptied<'l>(
    layout: &'l Layout,
    scanned: &[Scanned],
    fates: &consequences::Fates,
    additions: &Additions,
) -> Vec<(&'l str, u64)> {
    let is_emptied = |place: usize| {
        let rows = scanned[place].rows;
        let faults = fates[place].values();
        let lost = faults.filter(|faults| faults.iter().any(|fault| !fault.nulls));
        let loses = additions.puts_aside(&layout.tables[place].source.name);
        rows > 1 && loses && lost.count() as u64 >= rows
    };
    let places = 0..layout.tables.len();
    places
        .filter(|place| is_emptied(*place))
        .map(|place| {
            (
                layout.tables[place].source.name.as_str(),
                scanned[place].rows,
            )
        })
        .collect()
}

/// Says that all rows of a table would stay behind, instead of suggesting it.
fn spare(table: &str, rows: u64, plan: &mut Plan, additions: &mut Additions) {
    additions.keep_rows(table);
    for problem in plan
        .problems
        .iter_mut()
        .filter(|known| known.table == table)
    {
        let policy = problem.policy.as_deref().unwrap_or_default();
        if policy.starts_with("on_problem: ") {
            problem.policy = None;
        }
    }
    let reason = format!(
        "{rows} of {rows} row(s) would stay behind, each for itself or because it hangs on one that does, and nothing would be left: \
         `on_problem:` would lose the whole table; mend the values in the source"
    );
    plan.problems
        .push(pairs::structural(table, "", reason, None));
}

/// A fault that the transfer section settles is a note; one that it does not is a problem, with what would.
fn take_fault(
    problem: Problem,
    stated: Option<Action>,
    wished: Action,
    plan: &mut Plan,
    additions: &mut Additions,
) {
    if problem.rowid != RowKey::None || (problem.value.is_empty() && stated.is_none()) {
        let done = match stated {
            Some(Action::Aside) => Some("put aside"),
            Some(Action::Null) => Some("becomes NULL"),
            None => None,
        };
        if let Some(done) = done {
            plan.notes.push(Problem {
                reason: format!("{done}: {}", problem.reason),
                policy: None,
                ..problem
            });
            return;
        }
        additions.add(&problem.table, &problem.column, wished.policy());
        plan.problems.push(Problem {
            policy: Some(wished.policy().to_owned()),
            ..problem
        });
        return;
    }
    // Rows of the target's own: no policy reaches them.
    plan.problems.push(Problem {
        policy: None,
        ..problem
    });
}

/// Rows at fault that are not listed: as problems they are counted, and where the transfer section settles them a note has their number.
#[derive(Default)]
struct Beyond {
    /// By table and column, how many are problems.
    unsettled: BTreeMap<String, u64>,
    /// By table and column, one that is settled, and how many there are.
    settled: BTreeMap<String, (Problem, u64)>,
}

impl Beyond {
    fn take(&mut self, one: fates::Settled) {
        let of = format!("{}.{}", one.problem.table, one.problem.column);
        match one.stated {
            None => *self.unsettled.entry(of).or_default() += 1,
            Some(_) => self.settled.entry(of).or_insert((one.problem, 0)).1 += 1,
        }
    }

    fn note(self, plan: &mut Plan) {
        for (of, more) in self.unsettled {
            *plan.unlisted.entry(of).or_default() += more;
        }
        for (like, more) in self.settled.into_values() {
            plan.notes.push(Problem {
                reason: format!("and {more} more, which are not listed: {}", like.reason),
                rowid: RowKey::None,
                policy: None,
                ..like
            });
        }
    }
}

/// How many rows hang on rows that stay behind, layer by layer.
fn note_layers(orphans: &[consequences::Orphan], plan: &mut Plan) {
    let mut layers: BTreeMap<(u32, &str, &str), u64> = BTreeMap::new();
    for orphan in orphans {
        let problem = &orphan.problem;
        let at = (
            orphan.layer,
            problem.table.as_str(),
            problem.column.as_str(),
        );
        *layers.entry(at).or_default() += 1;
    }
    if layers.keys().all(|(layer, ..)| *layer == 1) {
        return;
    }
    for ((layer, table, column), rows) in layers {
        let reason = format!("layer {layer}: {rows} row(s) without their parent");
        plan.notes
            .push(pairs::structural(table, column, reason, None));
    }
}

/// The problems and wishes of one table's values.
fn take_in(
    table: &TableLayout,
    scanned: &Scanned,
    world: World,
    plan: &mut Plan,
    additions: &mut Additions,
) {
    let name = &table.source.name;
    plan.problems
        .extend(settle::settle(table, scanned, world, additions));
    plan.notes.extend(settle::beside_settings(table, scanned));
    plan.unlisted.extend(
        scanned
            .unlisted
            .iter()
            .map(|(column, count)| (format!("{name}.{column}"), *count)),
    );
    for (column, look) in table.columns.iter().zip(&scanned.looks) {
        additions.look(name, table.source_name(column), look);
        if let Some(reason) = guess::odd_classes(&column.converter.kind, look) {
            plan.notes.push(pairs::structural(
                name,
                table.source_name(column),
                reason,
                None,
            ));
        }
    }
}
