//! What `plan` says of rows that stay behind, and of values that become NULL, because the transfer section says so. Not in here: finding them
//! (`transfer::plan::aside`).

use crate::format::{count, counted};
use crate::text::printable;
use crate::transfer::plan::aside::{Aside, AsideRow};
use crate::transfer::plan::{Plan, Problem, RowKey};

/// Rows that a line names.
const NAMED: usize = 3;

/// A line per column and setting, or with `all` per row, and the sum of the rows at the end.
pub(super) fn lines(plan: &Plan, all: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for aside in &plan.aside {
        match all {
            true => lines.extend(each(aside)),
            false => lines.push(line(aside)),
        }
    }
    lines.extend(sum(plan));
    lines
}

/// Whether a note says of one row what the lines say.
pub(super) fn is_told(note: &Problem) -> bool {
    let says = |what: &str| note.reason.starts_with(what);
    note.rowid != RowKey::None && (says("put aside: ") || says("becomes NULL: "))
}

fn line(aside: &Aside) -> String {
    let rows = aside.rows.iter().take(NAMED);
    let mut named: Vec<String> = rows.map(row).collect();
    let more = aside.count.saturating_sub(named.len() as u64);
    if more > 0 {
        named.push(format!("and {} more", count(more)));
    }
    format!("{}: {}", head(aside, aside.count), named.join("; "))
}

fn each(aside: &Aside) -> Vec<String> {
    let rows = aside.rows.iter();
    let mut lines: Vec<String> = rows
        .map(|one| format!("{}: {}", head(aside, 1), row(one)))
        .collect();
    let more = aside.count.saturating_sub(lines.len() as u64);
    if more > 0 {
        lines.push(format!("{}, which are not listed", head(aside, more)));
    }
    lines
}

/// What becomes of how many rows or values, and by which setting; in the words of `copy`.
fn head(aside: &Aside, count: u64) -> String {
    let (what, done) = match aside.is_of_rows() {
        true => ("row", "put aside"),
        false => ("value", "becomes NULL"),
    };
    let dot = if aside.column.is_empty() { "" } else { "." };
    format!(
        "{done}: {} of {}{dot}{} by `{}`",
        counted(count, what),
        printable(&aside.table, 80),
        printable(&aside.column, 80),
        aside.policy
    )
}

fn row(row: &AsideRow) -> String {
    let value = match row.value.as_str() {
        "" => String::new(),
        value => format!(" {value}"),
    };
    format!("row {}{value}: {}", row.rowid, printable(&row.reason, 300))
}

/// How many rows of which tables do not arrive; nothing where all do.
fn sum(plan: &Plan) -> Option<String> {
    let of_rows = || plan.aside.iter().filter(|aside| aside.is_of_rows());
    let total: u64 = of_rows().map(|aside| aside.count).sum();
    if total == 0 {
        return None;
    }
    let tables = plan.tables.iter().filter_map(|table| {
        let own = of_rows().filter(|aside| aside.table == table.table);
        let behind: u64 = own.map(|aside| aside.count).sum();
        let rows = count(table.rows);
        (behind > 0).then(|| {
            format!(
                "{} {} of {rows}",
                printable(&table.table, 80),
                count(behind)
            )
        })
    });
    let tables: Vec<String> = tables.collect();
    let stay = if total == 1 { "stays" } else { "stay" };
    Some(format!(
        "{} {stay} behind, kept whole in cutover.quarantine: {}",
        counted(total, "row"),
        tables.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rows_are_named_and_the_others_counted() {
        let rows = (1..=5).map(|rowid| AsideRow {
            rowid: RowKey::Rowid(rowid),
            value: "'x'".to_owned(),
            reason: "is no number".to_owned(),
        });
        let aside = Aside {
            table: "t".to_owned(),
            column: "n".to_owned(),
            policy: "on_problem: quarantine",
            count: 7,
            rows: rows.collect(),
        };
        assert_eq!(
            line(&aside),
            "put aside: 7 rows of t.n by `on_problem: quarantine`: row 1 'x': is no number; row 2 'x': is no number; row 3 'x': is no number; and \
             4 more"
        );
        let all = each(&aside);
        assert_eq!(all.len(), 6);
        assert_eq!(
            all[0],
            "put aside: 1 row of t.n by `on_problem: quarantine`: row 1 'x': is no number"
        );
        assert_eq!(
            all[5],
            "put aside: 2 rows of t.n by `on_problem: quarantine`, which are not listed"
        );
    }
}
