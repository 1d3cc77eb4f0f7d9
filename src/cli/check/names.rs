//! Names of tables and columns in a runbook that are on neither side: each with its line, and the name that is likely meant. Not in here: whether
//! pairs of tables fit (`transfer::plan`), and whether migrations made what they should (`postgres::migrations`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::postgres::{Endpoint, migrations, pooler};
use crate::runbook::frameworks::book_of;
use crate::runbook::transfer::names::{column_key, means_column, means_table, part};
use crate::runbook::transfer::{OrderedList, Pattern};
use crate::runbook::{Problem, Runbook, Severity, Sites};
use crate::sqlite;

/// Tables with their columns.
type Known = BTreeMap<String, Vec<String>>;

/// What both sides lack, where they can be looked at; that one cannot is told elsewhere.
pub async fn examine(runbook: &Runbook, folder: &Path, sites: &Sites) -> Vec<Problem> {
    let file = folder.join(&runbook.source.file);
    let reading = tokio::task::spawn_blocking(move || of_source(file));
    let source = reading
        .await
        .expect("BUG: reading the source does not panic");
    let target = of_target(runbook).await;
    let mut problems = source.map_or_else(Vec::new, |known| {
        in_source(runbook, &known, target.as_ref(), sites)
    });
    if let Some(known) = &target {
        problems.extend(in_target(runbook, known, sites));
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    problems
}

fn of_source(file: PathBuf) -> Option<Known> {
    let connection = sqlite::open_read_only(&file).ok()?;
    let schema = sqlite::schema::Schema::read(&connection).ok()?;
    let tables = schema.tables.into_iter().map(|table| {
        let columns = table.columns.into_iter().map(|column| column.name);
        (table.name, columns.collect::<Vec<String>>())
    });
    let others = schema.others.into_iter();
    let others = others.map(|other| (other.name, Vec::new()));
    Some(tables.chain(others).collect())
}

async fn of_target(runbook: &Runbook) -> Option<Known> {
    let endpoint = Endpoint::parse(&runbook.target.url).ok()?;
    let client = pooler::connect(&endpoint).await.ok()?;
    let schema = &runbook.target.schema;
    migrations::tables(&client, schema).await.ok()
}

fn in_source(
    runbook: &Runbook,
    known: &Known,
    target: Option<&Known>,
    sites: &Sites,
) -> Vec<Problem> {
    let transfer = &runbook.transfer;
    let mut found = Vec::new();
    for (n, slug) in transfer.slugs.iter().enumerate() {
        let at = format!("transfer.slugs[{n}]");
        let column = (format!("{at}.column"), slug.column.as_str());
        found.extend(lacking(known, sites, &at, &slug.table, &[column]));
    }
    for list in &transfer.lists {
        let at = format!("transfer.lists[{}]", list.name);
        let columns = list.order_by.iter().enumerate().map(|(n, part)| {
            let (column, _) = OrderedList::direction(part);
            (format!("{at}.order_by[{n}]"), column)
        });
        let columns: Vec<(String, &str)> = columns.collect();
        found.extend(lacking(known, sites, &at, &list.table, &columns));
    }
    let keys: Vec<String> = columns(known).map(|(t, c)| column_key(t, c)).collect();
    let tables: Vec<String> = known.keys().map(|table| part(table)).collect();
    let all = || tables.iter().chain(&keys).map(String::as_str);
    for (pattern, _) in &transfer.columns {
        if columns(known).any(|(t, c)| pattern.matches_column(t, c)) {
            continue;
        }
        let path = format!("transfer.columns[{}].key", pattern.as_str());
        let expected = "a column of the SQLite file";
        let keys = keys.iter().map(String::as_str);
        found.push(sites.unknown(severity(pattern), &path, expected, pattern.as_str(), keys));
    }
    let history = part(&runbook.target.history.table);
    for (n, pattern) in transfer.exclude.iter().enumerate() {
        // What the target alone has stays there by itself: to say so is right as well.
        let mut tables = known.keys().chain(target.into_iter().flat_map(Known::keys));
        let is_there = tables.any(|table| pattern.matches_table(table))
            || columns(known).any(|(t, c)| pattern.matches_column(t, c));
        if !is_there && pattern.as_str() != history {
            let path = format!("transfer.exclude[{n}]");
            let expected = "a table or column of the SQLite file";
            // Books of migrations stay behind in any case.
            let is_book = book_of(pattern.as_str(), std::iter::empty::<&str>()).is_some();
            let severity = match is_book || target.is_none() {
                true => Severity::Warning,
                false => severity(pattern),
            };
            found.push(sites.unknown(severity, &path, expected, pattern.as_str(), all()));
        }
    }
    for key in transfer.rename.keys() {
        let is_there = known.keys().any(|table| means_table(key, table))
            || columns(known).any(|(t, c)| means_column(key, t, c));
        if !is_there {
            let path = format!("transfer.rename[{key}].key");
            let expected = "a table or column of the SQLite file";
            found.push(sites.unknown(Severity::Error, &path, expected, key, all()));
        }
    }
    found
}

/// A pattern may be there for columns that another release of the application has; a name means one.
fn severity(pattern: &Pattern) -> Severity {
    match pattern.as_str().contains('*') {
        true => Severity::Warning,
        false => Severity::Error,
    }
}

fn columns(known: &Known) -> impl Iterator<Item = (&str, &str)> {
    known.iter().flat_map(|(table, columns)| {
        let columns = columns.iter();
        columns.map(move |column| (table.as_str(), column.as_str()))
    })
}

/// A table at `at` that is not there, or those of its columns that are not, by their paths.
fn lacking(
    known: &Known,
    sites: &Sites,
    at: &str,
    table: &str,
    columns: &[(String, &str)],
) -> Vec<Problem> {
    let is = |(name, _): &(&String, &Vec<String>)| name.eq_ignore_ascii_case(table);
    let Some((_, there)) = known.iter().find(is) else {
        let path = format!("{at}.table");
        let expected = "a table of the SQLite file";
        let tables = known.keys().map(String::as_str);
        return vec![sites.unknown(Severity::Error, &path, expected, table, tables)];
    };
    let missing = columns
        .iter()
        .filter(|(_, column)| !there.iter().any(|name| name.eq_ignore_ascii_case(column)));
    let problem = |(path, column): &(String, &str)| {
        let expected = format!("a column of {}", crate::text::printable(table, 80));
        let names = there.iter().map(String::as_str);
        sites.unknown(Severity::Error, path, &expected, column, names)
    };
    missing.map(problem).collect()
}

/// Where the target has tables already. A history that is not among them may be made tonight, but hardly beside one of nearly that name.
fn in_target(runbook: &Runbook, known: &Known, sites: &Sites) -> Option<Problem> {
    let history = &runbook.target.history;
    let (at, expected) = ("target.history", "a table of the target");
    match known.get(&history.table) {
        None if known.is_empty() => None,
        None => {
            let tables = known.keys().map(String::as_str);
            let path = format!("{at}.table");
            let problem = sites.unknown(Severity::Warning, &path, expected, &history.table, tables);
            let severity = match problem.hint {
                Some(_) => Severity::Error,
                None => Severity::Warning,
            };
            Some(Problem {
                severity,
                ..problem
            })
        }
        Some(columns) if columns.contains(&history.column) => None,
        Some(columns) => {
            let expected = format!("a column of {}", crate::text::printable(&history.table, 80));
            let names = columns.iter().map(String::as_str);
            let path = format!("{at}.column");
            Some(sites.unknown(Severity::Error, &path, &expected, &history.column, names))
        }
    }
}
