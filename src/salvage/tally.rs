//! The sums of what was found, as numbers and as sentences. A sum of tables that could not all be told never passes for an exact one.

use std::path::Path;

use super::TableCost;

/// Inserted, changed, deleted.
pub fn sums(costs: &[TableCost]) -> [u64; 3] {
    costs.iter().fold([0; 3], |[i, c, d], cost| {
        [i + cost.inserted, c + cost.changed, d + cost.deleted]
    })
}

/// The sum; where a table could not be told, what there is at least.
pub fn total(costs: &[TableCost]) -> String {
    let [inserted, changed, deleted] = sums(costs);
    let rows = inserted + changed + deleted;
    let found = format!(
        "{rows} rows were written to PostgreSQL since the switch and are not in SQLite: {inserted} inserted, {changed} changed, \
         {deleted} deleted"
    );
    match costs.iter().filter(|cost| cost.lacks.is_some()).count() {
        0 => found,
        untold => format!("at least {found}; {untold} tables could not be told"),
    }
}

/// The sum of what a salvage file holds, what it does not hold, and how much of it is in SQLite again.
pub fn held(costs: &[TableCost], applied: u64, source: &Path) -> String {
    let kept = costs.iter().filter(|cost| !cost.broke_off).cloned();
    let [inserted, changed, deleted] = sums(&kept.collect::<Vec<_>>());
    let rows = inserted + changed + deleted;
    let mut held = format!(
        "{rows} rows are in this file: {inserted} inserted, {changed} changed, {deleted} deleted"
    );
    let lacking = costs.iter().filter(|cost| cost.lacks.is_some()).count();
    if lacking > 0 {
        held.push_str(&format!("; of {lacking} tables it is not complete"));
    }
    if applied > 0 {
        let source = source.display();
        held.push_str(&format!("; {applied} of them were brought into {source}"));
    }
    held
}
