//! From what the scan found to what would settle it: settings for whole columns where all of their values agree, and plain words where
//! they do not. Pure; writing the section is in [`super::suggest`].

mod nothing;
mod resolved;
mod stands;

use std::collections::BTreeSet;

use crate::postgres::quoted;
use crate::runbook::transfer::Replacement;
use crate::text::printable;
use crate::transfer::convert::text::BLANK_AT_THE_END;
use crate::transfer::convert::{Class, NO_NULL};
use crate::transfer::kind::Kind;
use crate::transfer::layout::{TableLayout, structural};
use crate::transfer::plan::scan::Scanned;
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::units::World;
use crate::transfer::plan::wish::Wish;
use crate::transfer::plan::{Problem, mend};

use nothing::{Nothing, is_undecided, nothing};
use resolved::{Resolved, leaves_over, resolve, shown};
pub(super) use stands::beside;
use stands::{Stands, stands};

/// Adds what would settle one table's values, and gives back its problems with the settings that settle them.
pub fn settle(
    table: &TableLayout,
    scanned: &Scanned,
    world: World,
    additions: &mut Additions,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut mended: BTreeSet<&str> = BTreeSet::new();
    for (name, wish) in &scanned.wishes {
        let column = Wished {
            table,
            scanned,
            world,
            name,
            place: place_of(table, name),
            wish,
        };
        if column.settle(additions, &mut problems) {
            mended.insert(name);
        }
    }
    for problem in &scanned.problems {
        let place = place_of(table, &problem.column);
        let policy = match scanned.wishes.get(&problem.column) {
            Some(wish) => {
                let column = Wished {
                    table,
                    scanned,
                    world,
                    name: &problem.column,
                    place,
                    wish,
                };
                column.policy_of(problem, mended.contains(problem.column.as_str()))
            }
            None => Some(problem.policy.clone().unwrap_or_else(quarantine)),
        };
        problems.push(Problem {
            policy,
            reason: reason(table, place, problem),
            ..problem.clone()
        });
    }
    problems
}

fn place_of(table: &TableLayout, column: &str) -> Option<usize> {
    let mut columns = table.columns.iter();
    columns.position(|moving| table.source_name(moving) == column)
}

fn quarantine() -> String {
    "on_problem: quarantine".to_owned()
}

/// A column with values at fault.
struct Wished<'s> {
    table: &'s TableLayout,
    scanned: &'s Scanned,
    world: World,
    name: &'s str,
    place: Option<usize>,
    wish: &'s Wish,
}

impl Wished<'_> {
    /// Adds what would settle its values, and what people have to decide. Whether a statement in the source mends all of them.
    fn settle(&self, additions: &mut Additions, problems: &mut Vec<Problem>) -> bool {
        let before = problems.len();
        self.tell_nothing(additions, problems);
        let is_mended = self.tell_statements(problems);
        self.add_settings(additions, problems);
        let lost = self.wish.hopeless + self.add_values(additions, problems);
        // Where something is to be decided first, the values that wait for it would be put aside too.
        let is_decided = problems.len() == before;
        if !is_mended && is_lost(self.wish, self.scanned, self.place) {
            let why = nothing_left(self.scanned.rows, values_of(self.scanned, self.place));
            self.tell(why, problems);
        } else if is_decided && (lost > 0 || leaves_over(self.table, self.place, self.wish)) {
            self.add(&quarantine(), additions);
            self.explain("on_problem", lost, Vec::new(), additions);
        }
        is_mended
    }

    fn tell(&self, why: String, problems: &mut Vec<Problem>) {
        problems.push(structural(&self.table.source.name, self.name, why, None));
    }

    fn add(&self, setting: &str, additions: &mut Additions) {
        additions.add(&self.table.source.name, self.name, setting);
    }

    fn replace(&self, value: &str, by: &Replacement, additions: &mut Additions) {
        additions.replace(&self.table.source.name, self.name, value, by);
    }

    fn explain(&self, key: &str, values: u64, examples: Vec<String>, additions: &mut Additions) {
        additions.explain(&self.table.source.name, self.name, key, values, examples);
    }

    fn is_undecided(&self) -> bool {
        is_undecided(self.table, self.place, self.wish, self.scanned)
    }

    fn is_beside_one(&self) -> bool {
        self.place
            .is_some_and(|place| self.scanned.ones.contains(&place))
    }

    fn resolve(&self, policy: &str) -> Resolved {
        let Self {
            table,
            scanned,
            world,
            place,
            wish,
            name: _,
        } = *self;
        resolve(policy, table, place, wish, scanned, world)
    }

    /// Values that stand for none, where the target wants one.
    fn tell_nothing(&self, additions: &mut Additions, problems: &mut Vec<Problem>) {
        let found = self
            .place
            .and_then(|place| nothing(self.table, place, self.wish, self.scanned));
        match found {
            Some(Nothing::First) => {
                self.replace("0", &Replacement::MinusInfinity, additions);
                let count = self.wish.habits.nothing.values().sum();
                self.explain("values", count, Vec::new(), additions);
            }
            Some(Nothing::Unknown { why, .. }) => self.tell(why, problems),
            None => {}
        }
    }

    /// Statements for the source that mend the column as a whole; whether there is one.
    fn tell_statements(&self, problems: &mut Vec<Problem>) -> bool {
        let Some(place) = self.place else {
            return false;
        };
        let before = problems.len();
        if let Some(why) = mend::told(self.table, place, self.wish, self.scanned) {
            self.tell(why, problems);
        }
        if let Some(why) = rewritten(self.table, place, self.wish)
            && is_all_rewritten(self.table, place, self.wish)
        {
            self.tell(why, problems);
        }
        problems.len() > before
    }

    /// The settings that the scan wished for, filled in by what the whole column tells.
    fn add_settings(&self, additions: &mut Additions, problems: &mut Vec<Problem>) {
        for (policy, count) in &self.wish.policies {
            let key = policy.split_once(": ").map_or(*policy, |(key, _)| key);
            // It would settle moments whose day is to be asked about, too.
            if *policy == "time: drop" && self.wish.policies.contains_key("time: ?") {
                continue;
            }
            // With the unit alone, what was to be decided would be 1970.
            if *policy == "epoch: ?" && self.is_undecided() {
                continue;
            }
            match self.resolve(policy) {
                Resolved::Setting(setting, examples) => {
                    self.add(&setting, additions);
                    self.explain(key, *count, examples, additions);
                }
                Resolved::Values(values) => {
                    for (value, by) in values {
                        self.replace(&value, &Replacement::Value(by), additions);
                    }
                    self.explain("values", *count, Vec::new(), additions);
                }
                Resolved::Covered => self.explain(key, *count, Vec::new(), additions),
                Resolved::Unknown(why) => {
                    let why = match *policy {
                        "epoch: ?" => format!("{why}{}", stands::waiting(self.wish)),
                        _ => why,
                    };
                    self.tell(why, problems);
                }
            }
        }
    }

    /// Values that seem to stand for something else. Gives how many of them are values like the others, and fit under no setting.
    fn add_values(&self, additions: &mut Additions, problems: &mut Vec<Problem>) -> u64 {
        let table = &self.table.source.name;
        let mut lost = 0;
        for (value, (by, count)) in &self.wish.values {
            if self.is_beside_one() && value == "-1" {
                // Among other values that are neither 0 nor 1 it is one of them.
                if self.wish.hopeless > 0 {
                    lost += count;
                    continue;
                }
                let why = format!(
                    "{count} × -1 beside 1: true, false or unknown; state which, such as `values: {{ -1: null }}`"
                );
                self.tell(why, problems);
                continue;
            }
            match stands(self.table, self.place, value, self.wish, self.scanned) {
                Stands::Other => {
                    self.replace(value, by, additions);
                    let becomes = format!("{count} × {} → {}", printable(value, 40), by.written());
                    additions.show_replaced(table, self.name, becomes);
                    self.explain("values", *count, Vec::new(), additions);
                }
                Stands::Itself(_) => {
                    additions.advise(table, self.name, stands::of_zero(*count));
                }
                Stands::Open => {}
            }
        }
        lost
    }

    /// The setting that settles one value, where one does.
    fn policy_of(&self, problem: &Problem, is_mended: bool) -> Option<String> {
        let Some(policies) = &problem.policy else {
            let has_none = is_mended || is_lost(self.wish, self.scanned, self.place);
            return (!has_none).then(quarantine);
        };
        let meant = stands::replaced(policies)
            .map(|value| stands(self.table, self.place, value, self.wish, self.scanned));
        match meant {
            Some(Stands::Open) => return None,
            Some(itself @ Stands::Itself(_)) => return itself.policy(),
            Some(Stands::Other) | None => {}
        }
        if self.is_beside_one() && policies.contains("-1: ") {
            return (self.wish.hopeless > 0).then(quarantine);
        }
        if policies.contains("epoch: ?") && self.is_undecided() {
            return None;
        }
        let is_of_the_column = |setting: &&str| policies.contains(*setting);
        if !OF_THE_COLUMN.iter().any(is_of_the_column) {
            return Some(policies.clone());
        }
        // Several settings may be needed at once; each is filled in by itself.
        let settings = policies
            .split(", ")
            .map(|policy| match self.resolve(policy) {
                Resolved::Setting(setting, _) => Some(setting),
                Resolved::Values(values) => Some(shown(&values)),
                Resolved::Covered => Some("bytes: text".to_owned()),
                Resolved::Unknown(_) => None,
            });
        let settings: Option<Vec<String>> = settings.collect();
        settings.map(|settings| settings.join(", "))
    }
}

/// What a setting has in it that only the whole column can fill in.
const OF_THE_COLUMN: &[&str] = &[
    "?",
    "guid_bytes",
    "unsigned",
    "scale: ",
    "split",
    "bytes: utf8",
    "enum: ordinal",
];

/// Why a value does not fit; for a NULL, with the default that does not help, and for a blank, with the type that keeps it.
fn reason(table: &TableLayout, place: Option<usize>, problem: &Problem) -> String {
    let Some(column) = place.map(|place| &table.columns[place]) else {
        return problem.reason.clone();
    };
    let default = column.target.expression.as_deref();
    match (default, &column.converter.kind) {
        (Some(default), _) if problem.reason == NO_NULL && !mend::is_number_key(table, column) => {
            format!(
                "{NO_NULL}; its default {} is no constant that fits, so that `null: default` cannot take it: UPDATE {} SET {} = … WHERE {} IS NULL in \
                 the source says what these are",
                printable(default, 80),
                quoted(&table.source.name),
                quoted(table.source_name(column)),
                quoted(table.source_name(column))
            )
        }
        (_, Kind::Char(length)) if problem.reason == BLANK_AT_THE_END => format!(
            "{BLANK_AT_THE_END}: ALTER TABLE {} ALTER COLUMN {} TYPE varchar({length}) in the target keeps it",
            quoted(&table.target.name),
            quoted(&column.target.name),
        ),
        (Some(_) | None, _) => problem.reason.clone(),
    }
}

/// Statements for the source that lose nothing, beside settings that do.
pub fn beside_settings(table: &TableLayout, scanned: &Scanned) -> Vec<Problem> {
    let told = scanned.wishes.iter().filter_map(|(column, wish)| {
        let place = place_of(table, column)?;
        let why = rewritten(table, place, wish)?;
        let is_note = !is_all_rewritten(table, place, wish);
        is_note.then(|| structural(&table.source.name, column, why, None))
    });
    told.collect()
}

/// The statement for the source that writes texts of this column as the target wants them.
fn rewritten(table: &TableLayout, place: usize, wish: &Wish) -> Option<String> {
    let column = &table.columns[place];
    let (kind, name) = (&column.converter.kind, table.source_name(column));
    wish.habits.rewritten.told(kind, &table.source.name, name)
}

/// Whether such a statement settles all that fits under no setting, and nothing is lost by it.
fn is_all_rewritten(table: &TableLayout, place: usize, wish: &Wish) -> bool {
    let rewritten = &wish.habits.rewritten;
    rewritten.is_certain(&table.columns[place].converter.kind) && rewritten.count == wish.hopeless
}

/// Whether a setting of this column would put every row of the table aside that has a value, so that nobody should get it by pasting.
fn is_lost(wish: &Wish, scanned: &Scanned, place: Option<usize>) -> bool {
    let values = values_of(scanned, place);
    wish.hopeless > 0 && wish.habits.is_one_way_of_writing(scanned.rows, values)
}

/// How many rows have a value in a column.
fn values_of(scanned: &Scanned, place: Option<usize>) -> u64 {
    let look = place.and_then(|place| scanned.looks.get(place));
    let nulls = look.map_or(0, |look| look.classes[Class::Null as usize]);
    scanned.rows.saturating_sub(nulls)
}

fn nothing_left(rows: u64, values: u64) -> String {
    // Where NULL is what does not fit, it is so in every row.
    let (none, aside) = match values == 0 || values == rows {
        true => ("no row of the table".to_owned(), format!("all {rows} rows")),
        false => (
            format!("none of the {values} values"),
            format!("all {values} rows that have one"),
        ),
    };
    format!(
        "{none} fits: state by `values:` what each value stands for, where they are few, mend them in the source, or give the \
         target's column a type that holds them; `on_problem: quarantine` would put {aside} aside"
    )
}
