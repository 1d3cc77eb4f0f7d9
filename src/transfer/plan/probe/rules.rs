//! The SQL that asks about one rule over the probe table: checks, unique keys, exclusions, the length of index entries. Not in here: which
//! of them are asked ([`super::questions`]). Pure.

use crate::postgres::catalogue::{Constraint, Index};
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::plan::consequences::Action;
use crate::transfer::plan::probe::guard::INDEX_ROW_BYTES;
use crate::transfer::plan::probe::questions::{PROBE, Question, ROW};

/// Whether an expression of the server's names this column.
pub(super) fn mentions(expression: &str, name: &str) -> bool {
    let quoted = quoted(name);
    if expression.contains(&quoted) {
        return true;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    expression.match_indices(name).any(|(at, _)| {
        let before = expression[..at].chars().next_back();
        let after = expression[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(|c| is_part(c) || c == '(')
    })
}

pub(super) fn refused_by(column: String, name: &str, what: &str, expression: &str) -> Question {
    let reason = format!("refused by {what} {}", printable(name, 80));
    let mut question = Question::of_rows(name, column, &format!("NOT ({expression})"), reason);
    question.evaluated = format!("({expression})");
    question
}

/// Rows that are the same by these keys as one before them, among those that `covered` is true of.
pub(super) fn collides(
    column: String,
    name: &str,
    keys: &[String],
    covered: &[String],
    nulls_not_distinct: bool,
) -> Question {
    let not_null = keys.iter().map(|key| format!("({key}) IS NOT NULL"));
    let mut conditions: Vec<String> = if nulls_not_distinct {
        Vec::new()
    } else {
        not_null.collect()
    };
    conditions.extend(covered.iter().map(|condition| format!("({condition})")));
    let keys = keys.join(", ");
    let condition = if conditions.is_empty() {
        "true".to_owned()
    } else {
        conditions.join(" AND ")
    };
    Question {
        name: name.to_owned(),
        column,
        before: String::new(),
        sql: format!(
            "SELECT p, k, ARRAY[first] FROM (
               SELECT \"cutover place\" AS p, \"cutover key\" AS k, row_number() OVER w AS n, first_value({ROW}) OVER w AS first
               FROM {PROBE} WHERE {condition} WINDOW w AS (PARTITION BY {keys} ORDER BY \"cutover place\")) AS numbered
             WHERE n > 1 ORDER BY p"
        ),
        evaluated: keys,
        index: None,
        reason: format!(
            "the same under the target's unique {} as",
            printable(name, 80)
        ),
        pairwise: false,
        of_several: true,
        reads: Vec::new(),
        wished: Action::Aside,
        mend: String::new(),
    }
}

pub(super) fn excluded(column: String, constraint: &Constraint, index: &Index) -> Question {
    let elements: Vec<String> = index
        .expressions
        .iter()
        .enumerate()
        .map(|(n, element)| format!("({element}) AS e{n}"))
        .collect();
    let meet: Vec<String> = constraint
        .operators
        .iter()
        .enumerate()
        .map(|(n, operator)| format!("a.e{n} {operator} b.e{n}"))
        .collect();
    let covered = index
        .predicate
        .as_ref()
        .map(|predicate| format!(" WHERE {predicate}"))
        .unwrap_or_default();
    let side = format!(
        "(SELECT \"cutover place\" AS p, \"cutover key\" AS k, {ROW} AS r, {} FROM {PROBE}{covered})",
        elements.join(", ")
    );
    let how = index
        .definition
        .split_once(" USING ")
        .map_or("gist (\"cutover place\")", |(_, how)| how);
    Question {
        name: constraint.name.clone(),
        column,
        before: format!("CREATE INDEX ON {PROBE} USING {how}; ANALYZE {PROBE}"),
        sql: format!(
            "SELECT a.p, a.k, array_agg(b.r ORDER BY b.p) FROM {side} AS a JOIN {side} AS b ON b.p < a.p AND {} GROUP BY a.p, a.k ORDER BY 1",
            meet.join(" AND ")
        ),
        evaluated: index.expressions.join(", "),
        index: None,
        reason: format!(
            "excluded by the target's {} beside",
            printable(&constraint.name, 80)
        ),
        pairwise: true,
        of_several: true,
        reads: Vec::new(),
        wished: Action::Aside,
        mend: String::new(),
    }
}

/// The probe table has compressed its values as the index would.
pub(super) fn too_long(column: String, index: &Index) -> Question {
    let sizes: Vec<String> = index
        .expressions
        .iter()
        .map(|key| format!("coalesce(pg_column_size({key}), 0)"))
        .collect();
    let covered = index
        .predicate
        .iter()
        .map(|predicate| format!(" AND ({predicate})"));
    let condition = format!(
        "8 + {} > {INDEX_ROW_BYTES}{}",
        sizes.join(" + "),
        covered.collect::<String>()
    );
    let reason = format!(
        "longer than the {INDEX_ROW_BYTES} bytes that the index {} can take, compressed",
        printable(&index.name, 80)
    );
    Question::of_rows(&index.name, column, &condition, reason)
}
