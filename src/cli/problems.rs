//! Problems with values and names as lines for people: one per setting that would settle them, with how many values it covers and an
//! example. Not in here: finding them (`transfer::plan`).

use std::collections::{BTreeMap, BTreeSet};

use crate::text::printable;
use crate::transfer::plan::{Problem, RowKey};

/// Columns that a line names.
const NAMED: usize = 3;

/// Problems that one setting would settle, or that no setting settles for one reason.
struct Group<'p> {
    first: &'p Problem,
    /// Values of rows.
    values: u64,
    /// Columns and tables as a whole: what is said of one is no value of it.
    wholes: u64,
    columns: BTreeSet<(&'p str, &'p str)>,
}

/// The lines. `unlisted` counts problems that were found and not listed, by `table.column`.
pub fn lines(problems: &[Problem], unlisted: &BTreeMap<String, u64>) -> Vec<String> {
    groups(problems, unlisted).iter().map(line).collect()
}

/// How many of the lines are of problems that no setting would settle.
pub fn unsettled(problems: &[Problem]) -> usize {
    let groups = groups(problems, &BTreeMap::new());
    let unsettled = groups.iter().filter(|group| group.first.policy.is_none());
    unsettled.count()
}

fn groups<'p>(problems: &'p [Problem], unlisted: &BTreeMap<String, u64>) -> Vec<Group<'p>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: BTreeMap<(bool, &str), usize> = BTreeMap::new();
    let mut counted: BTreeSet<(&str, &str)> = BTreeSet::new();
    for problem in problems {
        let key = match &problem.policy {
            Some(policy) => (true, policy.as_str()),
            None => (false, problem.reason.as_str()),
        };
        let place = *known.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                first: problem,
                values: 0,
                wholes: 0,
                columns: BTreeSet::new(),
            });
        }
        let column = (problem.table.as_str(), problem.column.as_str());
        let more = unlisted.get(&format!("{}.{}", column.0, column.1));
        match problem.rowid {
            RowKey::None => groups[place].wholes += 1,
            RowKey::Rowid(_) | RowKey::Key(_) => groups[place].values += 1,
        }
        groups[place].columns.insert(column);
        // Nobody wrote down what would settle those; they are told with the first of their column.
        if counted.insert(column) {
            groups[place].values += more.copied().unwrap_or_default();
        }
    }
    groups
}

fn line(group: &Group<'_>) -> String {
    let Group {
        first,
        values,
        wholes,
        columns,
    } = group;
    if values + wholes == 1 {
        return format!("problem: {first}");
    }
    let what = match &first.policy {
        Some(policy) => format!("`{}` would settle", printable(policy, 200)),
        None => "no setting settles".to_owned(),
    };
    let names: Vec<String> = columns
        .iter()
        .take(NAMED)
        .map(|(table, column)| {
            let dot = if column.is_empty() { "" } else { "." };
            format!("{}{dot}{}", printable(table, 80), printable(column, 80))
        })
        .collect();
    let are_tables = columns.iter().all(|(_, column)| column.is_empty());
    let others = match columns.len().saturating_sub(NAMED) {
        0 => String::new(),
        more if are_tables => format!(" and {more} more"),
        more => format!(" and {more} more columns"),
    };
    // What concerns a table as a whole is no value of it.
    let is_each = *wholes == columns.len() as u64;
    let of = match *values {
        0 if are_tables && is_each => format!("{wholes} tables:"),
        0 if is_each => format!("{wholes} columns:"),
        0 => format!("{wholes} of"),
        1 => "1 value of".to_owned(),
        values => format!("{values} values of"),
    };
    let mut example = (*first).clone();
    example.policy = None;
    format!(
        "problem: {what} {of} {}{others}, for example {example}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_thousand_of_one_kind_are_one_line() {
        let problems: Vec<_> = (1..=1000).map(|n| problem("t", "v", n)).collect();
        let told = lines(&problems, &BTreeMap::from([("t.v".to_owned(), 7)]));
        assert_eq!(
            told,
            [
                "problem: no setting settles 1007 values of t.v, for example t.v row 1 'x': is no number"
            ]
        );
    }

    #[test]
    fn one_setting_is_one_line_over_all_columns() {
        let settled = |column: &str, rowid| Problem {
            policy: Some("fraction: truncate".to_owned()),
            ..problem("t", column, rowid)
        };
        let problems = [
            settled("a", 1),
            settled("b", 1),
            settled("c", 2),
            settled("d", 3),
            problem("t", "a", 9),
        ];
        assert_eq!(
            lines(&problems, &BTreeMap::new()),
            [
                "problem: `fraction: truncate` would settle 4 values of t.a, t.b, t.c and 1 more columns, for example t.a row 1 'x': is no \
                 number",
                "problem: t.a row 9 'x': is no number"
            ]
        );
    }

    #[test]
    fn tables_as_a_whole_are_counted_as_tables() {
        let held = |table: &str| Problem {
            rowid: RowKey::None,
            value: String::new(),
            reason: "the target table already holds 1 row(s)".to_owned(),
            policy: Some("target_rows: replace".to_owned()),
            ..problem(table, "", 1)
        };
        let told = lines(&["a", "b", "c", "d"].map(held), &BTreeMap::new());
        assert_eq!(
            told,
            [
                "problem: `target_rows: replace` would settle 4 tables: a, b, c and 1 more, for example a: the target table already holds \
                 1 row(s)"
            ]
        );
    }

    #[test]
    fn what_is_said_of_a_column_is_no_value_of_it() {
        let settled = |rowid: RowKey| Problem {
            rowid,
            policy: Some("on_problem: quarantine".to_owned()),
            ..problem("t", "a", 1)
        };
        let problems = [
            settled(RowKey::Rowid(1)),
            settled(RowKey::Rowid(2)),
            settled(RowKey::None),
            problem("t", "b", 1),
            problem("t", "b", 2),
        ];
        assert_eq!(
            lines(&problems, &BTreeMap::new()),
            [
                "problem: `on_problem: quarantine` would settle 2 values of t.a, for example t.a row 1 'x': is no number",
                "problem: no setting settles 2 values of t.b, for example t.b row 1 'x': is no number"
            ]
        );
        assert_eq!(unsettled(&problems), 1);
    }

    #[test]
    fn what_concerns_no_table_names_none() {
        let mut all = problem("", "", 1);
        (all.rowid, all.value) = (RowKey::None, String::new());
        assert_eq!(lines(&[all], &BTreeMap::new()), ["problem: is no number"]);
    }
}
