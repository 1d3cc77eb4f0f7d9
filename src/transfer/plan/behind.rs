//! What would be lost with tables and columns that have no place in the target. Leaving something behind is suggested for use only where
//! nothing is lost; otherwise it is told with what it would cost, for whoever decides.

use std::path::Path;

use crate::runbook::transfer::names::part;
use crate::sqlite::schema::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::read;
use crate::transfer::plan::scan::open;
use crate::transfer::plan::suggest::Additions;
use crate::transfer::plan::{Problem, Scan};

/// Settles which `exclude:` of these problems are for use and which are for people.
pub(crate) async fn weigh(
    source: &Path,
    scan: Scan,
    problems: &mut [Problem],
    additions: &mut Additions,
) -> Result<(), Error> {
    let wanted: Vec<(usize, String, String)> = problems
        .iter()
        .enumerate()
        .filter_map(|(at, problem)| {
            let name = problem.policy.as_deref()?.strip_prefix("exclude: ")?;
            let column = if name == part(&problem.table) {
                String::new()
            } else {
                problem.column.clone()
            };
            Some((at, problem.table.clone(), column))
        })
        .collect();
    let path = source.to_path_buf();
    let counting = tokio::task::spawn_blocking(move || {
        let connection = open(&path)?;
        let count = |(at, table, column): (usize, String, String)| {
            let what = if column.is_empty() {
                "*".to_owned()
            } else {
                quoted(&column)
            };
            let sql = format!("SELECT count({what}) FROM {} NOT INDEXED", quoted(&table));
            let count = match scan {
                Scan::Full if column.is_empty() => Some(
                    connection
                        .query_row(&sql, [], |row| row.get::<_, i64>(0))
                        .map_err(read(&path, &table))?
                        .unsigned_abs(),
                ),
                // A column may be one that only the application can compute.
                Scan::Full => connection
                    .query_row(&sql, [], |row| row.get::<_, i64>(0))
                    .ok()
                    .map(i64::unsigned_abs),
                Scan::SchemaOnly => None,
            };
            Ok((at, column.is_empty(), count))
        };
        wanted
            .into_iter()
            .map(count)
            .collect::<Result<Vec<_>, Error>>()
    });
    for (at, is_table, count) in counting.await.expect("BUG: counting panicked")? {
        let problem = &mut problems[at];
        let Some(name) = problem
            .policy
            .as_deref()
            .and_then(|policy| policy.strip_prefix("exclude: "))
            .map(str::to_owned)
        else {
            continue;
        };
        if count == Some(0) {
            continue;
        }
        let what = if is_table { "row(s)" } else { "value(s)" };
        let loses = match count {
            Some(count) => format!("{count} {what} would stay behind"),
            None => format!("its {what} would stay behind"),
        };
        let shown = printable(&name, 120);
        let first = if is_table && problem.reason.starts_with("missing in the target") {
            "; run the application's migrations first where they make it"
        } else {
            ""
        };
        problem.reason = format!("{}{first}; with `exclude: {shown}` {loses}", problem.reason);
        problem.policy = None;
        additions.behind.insert(name, loses);
    }
    Ok(())
}
