//! What becomes of each row at fault: rules of the server's, foreign keys and what is done about either change each other. A value that
//! becomes NULL may break a check, a row that is put aside takes its children with it, and what it collided with may stay. So tables are
//! asked parents first, each until nothing changes, with what is known not to arrive left out.
//!
//! Plan and load share this. Values that do not convert are the scan's business.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::consequences::{self, Action, Fates, Orphan, Since, action};
use crate::transfer::plan::probe::{self, Asker, Found, references};
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::spellings::Spellings;
use crate::transfer::plan::{Problem, RowKey};
use crate::transfer::rows::Fault;

/// How often one table is asked at most: each further time, values became NULL since.
const ATTEMPTS: usize = 8;
/// From so many rows on, rows that are all the same under a key are a key that does not fit, and not duplicates.
const MANY_ROWS: u64 = 10;

/// Who looks at what.
pub struct Look<'l> {
    /// The target; nothing where this role may not ask it about rows.
    pub client: Option<&'l Client>,
    /// The SQLite file.
    pub source: &'l Path,
    /// What goes where.
    pub layout: &'l Arc<Layout>,
    /// What the plan's scan found. Without it only what the transfer section states counts, and every row is wanted.
    pub scanned: Option<&'l [Scanned]>,
    /// Tables that are asked about, by their places.
    pub asks: &'l [bool],
    /// Stops it.
    pub cancel: &'l CancellationToken,
}

/// A row that a rule of the server's refuses, and what is done about it.
#[derive(Debug)]
pub struct Settled {
    /// Place of its table in the layout.
    pub table: usize,
    /// The row, with the column whose policy counts.
    pub problem: Problem,
    /// What the transfer section does about it.
    pub stated: Option<Action>,
    /// What it would be best to do.
    pub wished: Action,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Rows that the server's rules refuse.
    pub settled: Vec<Settled>,
    /// Rows without their parents.
    pub orphans: Vec<Orphan>,
    /// Rules that refuse whole tables, with the place of the table.
    pub hopeless: Vec<(usize, Problem)>,
    /// Rules that could not be asked.
    pub notes: Vec<Problem>,
    /// What becomes of the rows.
    pub fates: Fates,
}

/// Finds out what becomes of each row; `fates` are those that are known already.
///
/// # Errors
/// A side cannot be read, or somebody cancelled.
pub async fn tell(look: Look<'_>, fates: Fates) -> Result<Told, Error> {
    let spellings = match look.client {
        Some(client) => Spellings::ask(client, look.source, look.layout).await?,
        None => Spellings::default(),
    };
    let mut telling = Telling {
        look,
        spellings,
        told: Told {
            fates,
            ..Told::default()
        },
        known: HashMap::new(),
        tried: HashMap::new(),
        stale: BTreeSet::new(),
    };
    telling.follow(None).await?;
    telling.stale.clear();
    for place in 0..telling.look.layout.tables.len() {
        telling.visit(place).await?;
    }
    // Tables that refer to each other in a circle.
    while let Some(place) = telling.stale.pop_first() {
        telling.visit(place).await?;
        telling.stale.remove(&place);
    }
    let mut told = telling.told;
    told.settled.retain(|settled| !is_replaced(settled));
    Ok(told)
}

/// An answer that did not help was replaced by another.
fn is_replaced(settled: &Settled) -> bool {
    settled.problem.table.is_empty()
}

/// A row and the rule that refuses it.
type Refused = (usize, String, RowKey);

struct Telling<'l> {
    look: Look<'l>,
    spellings: Spellings,
    told: Told,
    /// Places among the settled.
    known: HashMap<Refused, usize>,
    /// Columns whose NULL did not help.
    tried: HashMap<Refused, Vec<String>>,
    /// Tables of which values became NULL since they were asked.
    stale: BTreeSet<usize>,
}

impl Telling<'_> {
    /// Asks about one table until nothing changes.
    async fn visit(&mut self, place: usize) -> Result<(), Error> {
        let Some(client) = self.look.client.filter(|_| self.look.asks[place]) else {
            return Ok(());
        };
        let layout = self.look.layout.clone();
        let table = &layout.tables[place];
        let scanned = self.look.scanned.and_then(|all| all.get(place));
        let mut stops = true;
        let (mut unasked, mut lacking) = (Vec::new(), Vec::new());
        for _ in 0..ATTEMPTS {
            self.stale.remove(&place);
            let asker = Asker {
                client,
                source: self.look.source,
                encoding: layout.encoding,
                cancel: self.look.cancel,
            };
            let fates = &self.told.fates;
            let mut probed = probe::probe(asker, table, scanned, &fates[place], stops).await?;
            let lists = scanned.is_some();
            let unmoved = references::probe(asker, &layout, place, fates, lists).await?;
            probed.found.extend(unmoved.0);
            // What could not be asked at first may be asked once the rows are out of the way for which it fails.
            unasked = probed.notes;
            lacking = probed.lacking;
            unasked.extend(unmoved.1);
            if self.take(place, probed.found) {
                self.follow(Some(place)).await?;
            }
            stops = self.stale.contains(&place);
            if !stops && !probed.is_open {
                break;
            }
        }
        let is_new = |note: &Problem| !self.told.notes.contains(note);
        let unasked: Vec<Problem> = unasked.into_iter().filter(is_new).collect();
        self.told.notes.extend(unasked);
        for problem in lacking {
            let lacks = (place, problem);
            if !self.told.hopeless.contains(&lacks) {
                self.told.hopeless.push(lacks);
            }
        }
        Ok(())
    }

    /// Follows the foreign keys: all of them, or those that losses of one table concern.
    async fn follow(&mut self, losses: Option<usize>) -> Result<(), Error> {
        let (path, layout) = (self.look.source.to_path_buf(), self.look.layout.clone());
        let mut fates = std::mem::take(&mut self.told.fates);
        let spellings = self.spellings.clone();
        let following = tokio::task::spawn_blocking(move || {
            let lost: HashSet<usize> = losses.into_iter().collect();
            let since = match losses {
                Some(_) => Since::Losses(&lost),
                None => Since::Ever,
            };
            let orphans = consequences::follow(&path, &layout, &spellings, &mut fates, since)?;
            Ok::<_, Error>((orphans, fates))
        });
        let (orphans, fates) = following
            .await
            .expect("BUG: following the foreign keys panicked")?;
        self.told.fates = fates;
        let nulls = orphans
            .iter()
            .filter(|orphan| orphan.stated.unwrap_or(orphan.wished) == Action::Null);
        self.stale.extend(nulls.map(|orphan| orphan.table));
        self.told.orphans.extend(orphans);
        Ok(())
    }

    /// Takes in what the server refuses; whether more rows or values do not arrive.
    fn take(&mut self, place: usize, found: Vec<Found>) -> bool {
        let mut by_rule: BTreeMap<String, u64> = BTreeMap::new();
        for one in &found {
            *by_rule.entry(one.rule.clone()).or_default() += 1;
        }
        let mut changed = false;
        for one in found {
            let count = by_rule.get(&one.rule).copied().unwrap_or_default();
            changed |= self.settle(place, one, count);
        }
        changed
    }

    /// Decides about one row; whether more does not arrive.
    fn settle(&mut self, place: usize, found: Found, count: u64) -> bool {
        let refused: Refused = (place, found.rule.clone(), found.problem.rowid.clone());
        if found.problem.rowid != RowKey::None && !self.is_open(&refused) {
            return false;
        }
        let columns = columns(&found);
        let stated = self.stated(place, &refused, &columns);
        if stated.is_none() && self.is_hopeless(place, &found, count) {
            self.give_up(place, &found, count);
            return false;
        }
        let (column, wished) = self.wish(place, &refused, &found, &columns);
        let lost = self.nulled(&refused);
        let mut problem = found.problem;
        let (column, stated) = match stated {
            Some((column, action)) => (column, Some(action)),
            None => (column, None),
        };
        problem.column = column;
        if let Some(lost) = lost.iter().find(|name| columns.contains(name)) {
            problem.reason = format!("{}, once {} is NULL", problem.reason, printable(lost, 80));
        }
        let taken = stated.unwrap_or(wished);
        let counts = stated.is_some() || self.look.scanned.is_some();
        let fault = Fault {
            column: problem.column.clone(),
            reason: problem.reason.clone(),
            nulls: taken == Action::Null,
            is_stated: stated.is_some(),
        };
        let is_row = problem.rowid != RowKey::None;
        if !is_row
            && self
                .told
                .settled
                .iter()
                .any(|known| known.problem == problem)
        {
            return false;
        }
        self.known.insert(refused.clone(), self.told.settled.len());
        self.told.settled.push(Settled {
            table: place,
            problem,
            stated,
            wished,
        });
        if !is_row || !counts {
            return false;
        }
        if fault.nulls {
            self.stale.insert(place);
        }
        let fates = Arc::make_mut(&mut self.told.fates[place]);
        fates.entry(refused.2).or_default().push(fault);
        true
    }

    /// Whether something is still to be decided about a row. A value that became NULL for this very rule did not help, and is taken back.
    fn is_open(&mut self, refused: &Refused) -> bool {
        let Some(at) = self.known.get(refused).copied() else {
            return true;
        };
        let settled = &mut self.told.settled[at];
        if settled.stated.unwrap_or(settled.wished) == Action::Aside {
            return false;
        }
        let column = std::mem::take(&mut settled.problem.column);
        settled.problem.table.clear();
        let fates = Arc::make_mut(&mut self.told.fates[refused.0]);
        if let Some(faults) = fates.get_mut(&refused.2) {
            faults.retain(|fault| !fault.nulls || fault.column != column);
        }
        self.known.remove(refused);
        self.tried.entry(refused.clone()).or_default().push(column);
        true
    }

    /// Columns of the row that become NULL.
    fn nulled(&self, (place, _, row): &Refused) -> Vec<String> {
        let faults = self.told.fates[*place].get(row);
        let nulled = faults.into_iter().flatten().filter(|fault| fault.nulls);
        nulled.map(|fault| fault.column.clone()).collect()
    }

    /// Whether a NULL in this column would change nothing.
    fn is_spent(&self, refused: &Refused, column: &String) -> bool {
        let tried = self.tried.get(refused);
        tried.is_some_and(|tried| tried.contains(column)) || self.nulled(refused).contains(column)
    }

    /// What the transfer section says, by the first column that settles it.
    fn stated(
        &self,
        place: usize,
        refused: &Refused,
        columns: &[String],
    ) -> Option<(String, Action)> {
        let table = &self.look.layout.tables[place];
        columns.iter().find_map(|column| {
            let stated = action(table, column)?;
            let helps = stated == Action::Aside || !self.is_spent(refused, column);
            helps.then(|| (column.clone(), stated))
        })
    }

    /// What is best done, and by which column.
    fn wish(
        &self,
        place: usize,
        refused: &Refused,
        found: &Found,
        columns: &[String],
    ) -> (String, Action) {
        let table = &self.look.layout.tables[place];
        let first = &found.problem.column;
        if found.wished == Action::Null && !self.is_spent(refused, first) {
            return (first.clone(), Action::Null);
        }
        let is_free = |column: &&String| {
            action(table, column) != Some(Action::Null) && !self.is_spent(refused, column)
        };
        let column = columns.iter().find(is_free).unwrap_or(first);
        (column.clone(), Action::Aside)
    }

    /// Whether the rule refuses the whole table, or all but the first row: not faulty rows, but a rule that does not fit.
    fn is_hopeless(&self, place: usize, found: &Found, count: u64) -> bool {
        let scanned = self.look.scanned.and_then(|all| all.get(place));
        let Some(rows) = scanned.map(|scanned| scanned.rows) else {
            return false;
        };
        if found.problem.rowid == RowKey::None {
            return false;
        }
        let others = if found.of_several && rows >= MANY_ROWS {
            1
        } else {
            0
        };
        let all = rows > 1 && count + others >= rows;
        found.reads.is_empty() || (found.wished == Action::Aside && all)
    }

    fn give_up(&mut self, place: usize, found: &Found, count: u64) {
        let table = &self.look.layout.tables[place];
        let scanned = self.look.scanned.and_then(|all| all.get(place));
        let rows = scanned.map_or(0, |scanned| scanned.rows);
        let mend = match found.mend.as_str() {
            "" => "mend the values in the source",
            mend => mend,
        };
        let reason = format!(
            "{}: {count} of {rows} row(s), so that it is not the rows that are at fault, and `on_problem:` would lose them; {mend}",
            found.reason
        );
        let reason = printable(&reason, 900);
        let problem = structural(&table.source.name, &found.problem.column, reason, None);
        let is_told = |(at, known): &(usize, Problem)| {
            *at == place && known.reason.starts_with(&found.reason)
        };
        if !self.told.hopeless.iter().any(is_told) {
            self.told.hopeless.push((place, problem));
        }
    }
}

/// The columns that a policy about the row can be put on, the best first.
fn columns(found: &Found) -> Vec<String> {
    let mut columns = vec![found.problem.column.clone()];
    for column in &found.reads {
        if !columns.contains(column) {
            columns.push(column.clone());
        }
    }
    columns
}
