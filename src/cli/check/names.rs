//! Names of tables and columns in a runbook that are on neither side: each with its line, and the name that is likely meant. Not in here: whether
//! pairs of tables fit (`transfer::plan`), and whether migrations made what they should (`postgres::migrations`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::postgres::{Endpoint, migrations, pooler};
use crate::runbook::transfer::names::column_key;
use crate::runbook::transfer::{KeyOf, OrderedList, Pattern, Slug, Transfer};
use crate::runbook::{Problem, Runbook, Severity, Sites};
use crate::sqlite;
use crate::text::printable;
use crate::transfer::matching::stray::{self, Part, Stray, Weight};

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

/// What the SQLite file has.
struct Source {
    tables: Known,
    /// Views and the like.
    others: Vec<String>,
}

fn of_source(file: PathBuf) -> Option<Source> {
    let connection = sqlite::open_read_only(&file).ok()?;
    let schema = sqlite::schema::Schema::read(&connection).ok()?;
    let tables = schema.tables.into_iter().map(|table| {
        let columns = table.columns.into_iter().map(|column| column.name);
        (table.name, columns.collect::<Vec<String>>())
    });
    let others = schema.others.into_iter().map(|other| other.name);
    Some(Source {
        tables: tables.collect(),
        others: others.collect(),
    })
}

async fn of_target(runbook: &Runbook) -> Option<Known> {
    let endpoint = Endpoint::parse(&runbook.target.url).ok()?;
    let client = pooler::connect(&endpoint).await.ok()?;
    let schema = &runbook.target.schema;
    migrations::tables(&client, schema).await.ok()
}

/// Keys of the transfer section that name nothing, by the rule of the import and of the parity check. What only the target could have is no error
/// while that cannot be looked at.
fn in_source(
    runbook: &Runbook,
    source: &Source,
    target: Option<&Known>,
    sites: &Sites,
) -> Vec<Problem> {
    let transfer = &runbook.transfer;
    let nothing = Known::new();
    let strays = stray::strays(
        transfer,
        &stray::Known {
            source: tables(&source.tables),
            others: source.others.iter().map(String::as_str).collect(),
            target: tables(target.unwrap_or(&nothing)),
            constraints: None,
            triggers: None,
        },
    );
    let told = strays.iter().map(|stray| {
        let is_unread = match stray.of {
            KeyOf::Exclude => target.is_none(),
            // What the migrations make may be accepted before they ran.
            KeyOf::Accept => target.is_none_or(Known::is_empty),
            KeyOf::Columns | KeyOf::Rename | KeyOf::Lists | KeyOf::Slugs => false,
        };
        let severity = match stray.weight {
            Weight::Import | Weight::Check if !is_unread => Severity::Error,
            Weight::Import | Weight::Check | Weight::Nothing => Severity::Warning,
        };
        let (path, expected, name) = place(transfer, stray);
        let hint = Some(stray.hint.clone()).filter(|hint| !hint.is_empty());
        sites.named(severity, &path, &expected, &name, hint)
    });
    told.collect()
}

fn tables(known: &Known) -> Vec<stray::Table<'_>> {
    known
        .iter()
        .map(|(name, columns)| stray::Table {
            name,
            columns: columns.iter().map(String::as_str).collect(),
        })
        .collect()
}

/// Where in the runbook a key stands, what it should name, and what is written there.
fn place(transfer: &Transfer, stray: &Stray) -> (String, String, String) {
    let key = stray.key.as_str();
    let at = |patterns: &[Pattern]| {
        let place = patterns.iter().position(|pattern| pattern.as_str() == key);
        place.unwrap_or_default()
    };
    let any = "a table or column of the SQLite file".to_owned();
    let whole = |path: String, expected: String| (path, expected, key.to_owned());
    match stray.of {
        KeyOf::Columns => whole(
            format!("transfer.columns[{key}].key"),
            "a column of the SQLite file".to_owned(),
        ),
        KeyOf::Exclude => whole(format!("transfer.exclude[{}]", at(&transfer.exclude)), any),
        KeyOf::Rename => whole(format!("transfer.rename[{key}].key"), any),
        KeyOf::Accept => whole(
            format!("transfer.accept[{}]", at(&transfer.accept)),
            "a name that `plan` or `verify` gives".to_owned(),
        ),
        KeyOf::Lists => {
            let at = format!("transfer.lists[{key}]");
            let list = transfer.lists.iter().find(|list| list.name == key);
            let columns = list.into_iter().flat_map(|list| &list.order_by);
            let columns = columns.map(|part| OrderedList::direction(part).0);
            part(&at, "order_by", columns.collect(), stray)
        }
        KeyOf::Slugs => {
            let is = |slug: &Slug| column_key(&slug.table, &slug.column) == key;
            let place = transfer.slugs.iter().position(is).unwrap_or_default();
            part(
                &format!("transfer.slugs[{place}]"),
                "column",
                Vec::new(),
                stray,
            )
        }
    }
}

/// The table or the column that a list or a slug is about; `columns` where there are several.
fn part(at: &str, column_key: &str, columns: Vec<&str>, stray: &Stray) -> (String, String, String) {
    match &stray.part {
        Part::Column { table, column } => {
            let place = columns.iter().position(|known| known == column);
            let place = place.map_or_else(String::new, |place| format!("[{place}]"));
            let expected = format!("a column of {}", printable(table, 80));
            (
                format!("{at}.{column_key}{place}"),
                expected,
                column.clone(),
            )
        }
        Part::Table(table) => {
            let expected = "a table of the SQLite file".to_owned();
            (format!("{at}.table"), expected, table.clone())
        }
        Part::Whole => (
            at.to_owned(),
            "a table of the SQLite file".to_owned(),
            stray.key.clone(),
        ),
    }
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
            let expected = format!("a column of {}", printable(&history.table, 80));
            let names = columns.iter().map(String::as_str);
            let path = format!("{at}.column");
            Some(sites.unknown(Severity::Error, &path, &expected, &history.column, names))
        }
    }
}
