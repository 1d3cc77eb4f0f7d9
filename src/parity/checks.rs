//! What the application sees, checked on both sides: each function is one kind of check, for the steps and triggers that name it.
//!
//! Every check compares the backup with the target of [`Sides`](super::Sides). Rows that are new since the switch are set apart. A
//! check that finds something wrong says so in its [`Check`]; an error means that it could not be made, which is not "equal".

mod distributions;
mod import_ended;
mod integrity;
mod joins;
mod lists;
mod promises;
mod relations;
mod row_counts;
mod sequences;
mod slugs;
mod words;

pub use distributions::distributions;
pub use import_ended::import_ended;
pub use integrity::integrity;
pub use joins::joins;
pub use lists::lists;
pub use row_counts::row_counts;
pub use sequences::sequences;
pub use slugs::slugs;

use super::error::Error;
use super::pair::TablePair;
use super::report::{Check, Report};
use super::sides::Sides;
use crate::text::printable;
use std::collections::HashSet;
use std::sync::Arc;

/// Every check there is but the row counts, which a comparison of all rows has made, each under the row of the protocol that names it.
/// `equal` is what that comparison proved.
pub async fn all(sides: &Sides, equal: &Equal) -> Result<Vec<Check>, Error> {
    let mut found = slugs(sides, "T4b").await?;
    found.extend(lists(sides, "T4c").await?);
    found.extend(joins(sides, "E2", equal).await?);
    found.extend(distributions(sides, "E2", equal).await?);
    found.extend(integrity(sides, "T4d").await?);
    found.extend(sequences(sides, "V5").await?);
    Ok(found)
}

/// The tables of which every row of the backup was found in the target with every value, and nothing else: what follows from
/// that need not be read again. Says nothing by default.
#[derive(Debug, Clone, Default)]
pub struct Equal(HashSet<String>);

impl Equal {
    /// What a comparison proved, at the moment of the target that its [`Sides`] sees.
    pub fn of(report: &Report) -> Self {
        let proven = report
            .tables
            .iter()
            .filter(|table| table.is_equal() && table.changed_since_switch == 0);
        Self(proven.map(|table| table.table.clone()).collect())
    }

    /// Nothing is proven of a table whose name a report cannot show as it is.
    fn holds(&self, pair: &TablePair) -> bool {
        self.0.contains(&pair.source) && printable(&pair.source, 80) == pair.source
    }
}

/// How many examples a check lists.
const EXAMPLES: usize = 10;

/// What a check has found wrong so far: all counted, the first kept.
#[derive(Debug, Default)]
struct Wrong {
    count: u64,
    examples: Vec<String>,
}

impl Wrong {
    fn add(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(example());
        }
    }

    /// The verdict: `good` where nothing is wrong, else the first thing that is.
    fn verdict(self, id: &str, name: String, good: impl FnOnce() -> String) -> Check {
        let ok = self.count == 0;
        let detail = match self.examples.first() {
            _ if ok => good(),
            Some(first) if self.count == 1 => first.clone(),
            Some(first) => format!("{first}; and {} more", self.count - 1),
            None => format!("{} wrong", self.count),
        };
        Check {
            id: id.to_owned(),
            name,
            ok,
            detail,
            examples: self.examples,
        }
    }
}

/// The table that a check's configuration names, with the columns it names.
fn named<'a>(
    sides: &'a Sides,
    what: &str,
    table: &str,
    columns: &[&str],
) -> Result<&'a Arc<TablePair>, Error> {
    let unknown = |name: String| Error::Unknown {
        what: what.to_owned(),
        name,
    };
    let pair = sides
        .table(table)
        .ok_or_else(|| unknown(table.to_owned()))?;
    match columns.iter().find(|column| pair.column(column).is_none()) {
        Some(column) => Err(unknown(format!("{table}.{column}"))),
        None => Ok(pair),
    }
}
