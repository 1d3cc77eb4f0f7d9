//! Problems with values and names as lines for people, a few per column. Not in here: finding them (`transfer::plan`).

use std::collections::BTreeMap;

use crate::text::printable;
use crate::transfer::plan::Problem;

/// Problems of one column that are told one by one.
const SHOWN_PER_COLUMN: u64 = 5;

/// The lines. `unlisted` counts problems that were found and not listed, by `table.column`.
pub fn lines(problems: &[Problem], unlisted: &BTreeMap<String, u64>) -> Vec<String> {
    let mut lines = Vec::new();
    let mut counts: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for problem in problems {
        let count = counts.entry((&problem.table, &problem.column)).or_default();
        *count += 1;
        if *count <= SHOWN_PER_COLUMN {
            lines.push(format!("problem: {problem}"));
        }
    }
    for ((table, column), listed) in counts {
        let unlisted = unlisted.get(&format!("{table}.{column}"));
        let more =
            (listed + unlisted.copied().unwrap_or_default()).saturating_sub(SHOWN_PER_COLUMN);
        if more > 0 {
            let (table, column) = (printable(table, 80), printable(column, 80));
            lines.push(format!("problem: {table}.{column}: and {more} more"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::plan::RowKey;

    fn problem(table: &str, column: &str, rowid: i64) -> Problem {
        Problem {
            table: table.to_owned(),
            column: column.to_owned(),
            rowid: RowKey::Rowid(rowid),
            value: "'x'".to_owned(),
            reason: "is no number".to_owned(),
            policy: None,
        }
    }

    #[test]
    fn a_thousand_of_one_kind_are_six_lines() {
        let problems: Vec<_> = (1..=1000).map(|n| problem("t", "v", n)).collect();
        let told = lines(&problems, &BTreeMap::from([("t.v".to_owned(), 7)]));
        assert_eq!(told.len(), 6);
        assert_eq!(told[0], "problem: t.v row 1 'x': is no number");
        assert_eq!(told[5], "problem: t.v: and 1002 more");
    }

    #[test]
    fn what_concerns_no_table_names_none() {
        let mut all = problem("", "", 1);
        (all.rowid, all.value) = (RowKey::None, String::new());
        assert_eq!(lines(&[all], &BTreeMap::new()), ["problem: is no number"]);
    }
}
