//! What `target_rows: replace` would delete: per planned table the rows that it holds, and how many of them SQLite does not have.
//!
//! By key where the target has one over moving columns, else by whole rows. Rows of tables that inherit from a planned one are not its
//! own; rows of a partitioned table's partitions are. For a plan, rows that SQLite has by their key and not by their values are counted
//! too, and some of all that would go are named. Emptying is [`super::copy`]'s business.

mod going;
mod lacking;
pub mod obstacles;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::ours::statements::Name;
use crate::postgres::catalogue::{self, RelationKind};
use crate::runbook::frameworks::speaks_of_history;
use crate::runbook::transfer::names::part;
use crate::runbook::transfer::{TargetRows, Transfer};
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::server;
use crate::transfer::layout::{Layout, structural};
use crate::transfer::plan::Problem;
use crate::transfer::session;

pub(crate) use lacking::lacking;

/// Per source table, how many rows that SQLite does not have a person has agreed to lose.
pub type Discard = BTreeMap<String, u64>;

/// A planned table that holds rows. Serialized as in `plan --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Occupied {
    pub table: String,
    pub target: String,
    /// Rows there; none where row security hides them, until the import lifts it.
    pub rows: Option<u64>,
    /// Rows there that SQLite does not have; none where they are hidden.
    pub lacking: Option<u64>,
    /// How rows were told apart.
    pub by: By,
    /// Rows that SQLite has by this key with other values; none where nobody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differing: Option<u64>,
    /// Some of the rows that SQLite does not have, or not with these values, as PostgreSQL shows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub going: Vec<String>,
}

/// How rows of both sides are recognised as the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By these columns of the target, which are unique there.
    Key(Vec<String>),
    /// By all moving columns: the target has no key over them.
    WholeRows,
    /// Not at all: the table is no longer planned, and every row of it that an unfinished import did not load counts.
    NotPlanned,
}

impl Occupied {
    /// As a problem under `target_rows: refuse`.
    pub fn refused(&self) -> Problem {
        let held = match (self.rows, self.lacking) {
            (Some(rows), Some(lacking)) => {
                let differing = match self.differing.unwrap_or(0) {
                    0 => String::new(),
                    differing => format!(", and {differing} with other values"),
                };
                format!(
                    "{rows} row(s), of which SQLite does not have {lacking}{differing}{}",
                    self.named()
                )
            }
            (rows, _) => held(rows),
        };
        let mut problem = already_holds(&self.table, &held);
        if self.may_be_history() {
            let name = printable(&part(&self.table), 120);
            problem.policy = None;
            problem.reason = format!(
                "{}. By its name it may be the history of migrations, of which each side keeps its own: `exclude: {name}` leaves it as it \
                 is; where its rows are the application's, state `target_rows: replace`",
                problem.reason
            );
        }
        problem
    }

    /// Whether the table is called like a history of migrations and holds rows that SQLite does not have: nobody should empty it by pasting,
    /// because the application would run its migrations on tables that are there.
    pub fn may_be_history(&self) -> bool {
        let goes = self.lacking.unwrap_or(0) > 0 || self.differing.unwrap_or(0) > 0;
        goes && (speaks_of_history(&self.table) || speaks_of_history(&self.target))
    }

    /// Some of the rows that would go, for the end of a sentence.
    fn named(&self) -> String {
        match self.going.as_slice() {
            [] => String::new(),
            going => format!(", such as {}", going.join(", ")),
        }
    }

    /// Which rows of PostgreSQL `target_rows: replace` would take away, for whoever reads a suggested section; none where none would go.
    pub fn loss(&self) -> Option<String> {
        let count = self.lacking.unwrap_or(0) + self.differing.unwrap_or(0);
        let table = printable(&self.target, 80);
        (count > 0).then(|| format!("{count} of {table}{}", self.named()))
    }

    /// The number as `--discard-rows` takes it.
    pub fn option(&self) -> String {
        let table = printable(&self.table, 200);
        format!("--discard-rows {table}={}", self.lacking.unwrap_or(0))
    }
}

impl std::fmt::Display for Occupied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = printable(&self.table, 80);
        let (Some(rows), Some(lacking)) = (self.rows, self.lacking) else {
            return write!(
                f,
                "{table}: row security hides how many rows it holds; the import counts them before it empties anything"
            );
        };
        let by = match &self.by {
            By::Key(columns) => format!("by {}", printable(&columns.join(", "), 200)),
            By::WholeRows => "by whole rows".to_owned(),
            By::NotPlanned => "none is planned any more".to_owned(),
        };
        write!(
            f,
            "{table}: {rows} row(s) there, of which SQLite does not have {lacking} ({by})"
        )
    }
}

/// What stands against emptying: numbers that nobody agreed to, or that are no longer right. Pure.
///
/// # Errors
/// [`Error::Discard`] with every such table.
pub fn agreed(occupied: &[Occupied], discard: &Discard) -> Result<(), Error> {
    let mut against = Vec::new();
    let mut named: Discard = discard.clone();
    for table in occupied {
        let given = [&table.table, &table.target]
            .into_iter()
            .find_map(|name| named.remove(name));
        if given.unwrap_or(0) != table.lacking.unwrap_or(0) {
            against.push(Disagreement {
                table: table.table.clone(),
                given,
                found: Some(table.clone()),
            });
        }
    }
    // A number for a table that holds no row, or is not planned, was meant for something else.
    against.extend(
        named
            .into_iter()
            .filter(|(_, given)| *given > 0)
            .map(|(table, given)| Disagreement {
                table,
                given: Some(given),
                found: None,
            }),
    );
    if against.is_empty() {
        Ok(())
    } else {
        Err(Error::Discard(against))
    }
}

/// A number of rows to lose that was not given, or not rightly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// Source table, or the name that was given.
    pub table: String,
    pub given: Option<u64>,
    /// What is there; none where nothing would be emptied.
    pub found: Option<Occupied>,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.found, self.given) {
            (Some(found), None) => write!(f, "{found}: say `{}` to lose them", found.option()),
            (Some(found), Some(given)) => write!(f, "{found}, and {given} was said"),
            (None, given) => write!(
                f,
                "{}: {} was said, and no row of such a table would be emptied",
                printable(&self.table, 80),
                given.unwrap_or_default()
            ),
        }
    }
}

impl Disagreement {
    /// As a problem of the plan.
    pub fn problem(&self) -> Problem {
        let (table, text) = (self.table.clone(), self.to_string());
        let prefix = format!("{}: ", printable(&table, 80));
        let reason = text.strip_prefix(&prefix).unwrap_or(&text).to_owned();
        structural(&table, "", reason, None)
    }
}

/// Per planned table that holds rows, what `target_rows: replace` would delete, by what was read already. Writes nothing that outlives its
/// transaction.
pub(crate) async fn look(
    client: &Client,
    source: &Path,
    schema: &str,
    layout: &Layout,
    cancel: &CancellationToken,
) -> Result<Vec<Occupied>, Error> {
    let doing = || server("counting rows that SQLite does not have");
    client.batch_execute("BEGIN").await.map_err(doing())?;
    let found = count_and_name(client, source, schema, layout, cancel).await;
    let rolled_back = client.batch_execute("ROLLBACK").await.map_err(doing());
    let found = found?;
    rolled_back?;
    Ok(found)
}

/// Inside a transaction, with the rows that would go by name.
async fn count_and_name(
    client: &Client,
    source: &Path,
    schema: &str,
    layout: &Layout,
    cancel: &CancellationToken,
) -> Result<Vec<Occupied>, Error> {
    let mut found = count(client, source, schema, layout, cancel).await?;
    for occupied in &mut found {
        let mut tables = layout.tables.iter();
        if let Some(table) = tables.find(|table| table.source.name == occupied.table) {
            going::name(client, source, layout, table, occupied, cancel).await?;
        }
    }
    Ok(found)
}

/// The same inside the caller's transaction, which decides what else may happen to the tables meanwhile.
pub(crate) async fn count(
    client: &Client,
    source: &Path,
    schema: &str,
    layout: &Layout,
    cancel: &CancellationToken,
) -> Result<Vec<Occupied>, Error> {
    let mut found = Vec::new();
    for table in layout.tables.iter().filter(|table| table.target.owned) {
        let rows = rows_there(client, schema, &table.target).await?;
        if rows == Some(0) || (rows.is_none() && !has_pages(client, table.target.oid).await?) {
            continue;
        }
        let by = lacking::by(table);
        let lacking = match rows {
            Some(_) => Some(lacking(client, source, schema, layout, table, &by, cancel).await?),
            None => None,
        };
        found.push(Occupied {
            table: table.source.name.clone(),
            target: table.target.name.clone(),
            rows,
            lacking,
            by,
            differing: None,
            going: Vec::new(),
        });
    }
    Ok(found)
}

/// Planned tables that already hold rows, unless the runbook says to replace them.
pub async fn refused(
    client: &Client,
    schema: &str,
    layout: &Layout,
    transfer: &Transfer,
) -> Result<Vec<Problem>, Error> {
    let mut problems = Vec::new();
    if transfer.target_rows == TargetRows::Replace {
        return Ok(problems);
    }
    for table in layout.tables.iter().filter(|table| table.target.owned) {
        match rows_there(client, schema, &table.target).await? {
            Some(0) => {}
            // Its policies would hide rows from a count; its size they cannot hide.
            None if !has_pages(client, table.target.oid).await? => {}
            rows => problems.push(already_holds(&table.source.name, &held(rows))),
        }
    }
    Ok(problems)
}

fn held(rows: Option<u64>) -> String {
    rows.map_or_else(
        || "rows, which row security hides".to_owned(),
        |rows| format!("{rows} row(s)"),
    )
}

fn already_holds(source_table: &str, held: &str) -> Problem {
    let reason = format!("the target table already holds {held}");
    let policy = Some("target_rows: replace".to_owned());
    structural(source_table, "", reason, policy)
}

/// What names a table's own rows in FROM: without those of tables that inherit from it, with those of its partitions.
pub(crate) fn own_rows(schema: &str, table: &catalogue::Table) -> String {
    let only = match table.kind {
        RelationKind::Partitioned => "",
        RelationKind::Table | RelationKind::View | RelationKind::Foreign => "ONLY ",
    };
    format!("{only}{}", Name::new(schema, &table.name).quoted())
}

/// How many rows the table has of its own; None where row security would hide some.
pub(crate) async fn rows_there(
    client: &Client,
    schema: &str,
    table: &catalogue::Table,
) -> Result<Option<u64>, Error> {
    let doing = || format!("counting the rows of {}", printable(&table.name, 80));
    let hidden = client
        .query_one("SELECT row_security_active($1::oid)", &[&table.oid])
        .await
        .map_err(server(doing()))?;
    if hidden.get(0) {
        return Ok(None);
    }
    let sql = format!("SELECT count(*) FROM {}", own_rows(schema, table));
    Ok(Some(session::count(client, schema, &sql, doing).await?))
}

async fn has_pages(client: &Client, oid: u32) -> Result<bool, Error> {
    let row = client
        .query_one("SELECT pg_relation_size($1::oid) > 0", &[&oid])
        .await
        .map_err(server("looking for rows in the target"))?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, rows: u64, lacking: u64) -> Occupied {
        Occupied {
            table: name.to_owned(),
            target: name.to_lowercase(),
            rows: Some(rows),
            lacking: Some(lacking),
            by: By::Key(vec!["id".to_owned()]),
            differing: None,
            going: Vec::new(),
        }
    }

    fn given(pairs: &[(&str, u64)]) -> Discard {
        let owned = |(table, rows): &(&str, u64)| ((*table).to_owned(), *rows);
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn only_the_very_number_is_agreed() {
        let found = [table("A", 9, 0), table("B", 9, 2)];
        assert!(agreed(&found[..1], &Discard::new()).is_ok());
        assert!(agreed(&found, &given(&[("B", 2)])).is_ok());
        assert!(
            agreed(&found, &given(&[("b", 2)])).is_ok(),
            "by its name in the target"
        );
        for wrong in [
            given(&[]),
            given(&[("B", 1)]),
            given(&[("B", 3)]),
            given(&[("A", 2)]),
            given(&[("B", 2), ("A", 1)]),
            given(&[("B", 2), ("C", 1)]),
        ] {
            assert!(agreed(&found, &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_message_says_what_to_type() {
        let Err(Error::Discard(against)) = agreed(&[table("B", 9, 2)], &Discard::new()) else {
            panic!("agreed")
        };
        let problem = against[0].problem();
        assert_eq!(problem.table, "B");
        assert_eq!(
            problem.reason,
            "9 row(s) there, of which SQLite does not have 2 (by id): say `--discard-rows B=2` to lose them"
        );
    }

    #[test]
    fn rows_that_would_go_are_named() {
        let same = table("A", 9, 0);
        assert_eq!(same.loss(), None);
        assert_eq!(
            same.refused().policy.as_deref(),
            Some("target_rows: replace")
        );
        let other = Occupied {
            differing: Some(1),
            going: vec!["(1,old)".to_owned()],
            ..table("A", 9, 0)
        };
        assert_eq!(other.loss().as_deref(), Some("1 of a, such as (1,old)"));
        let problem = other.refused();
        assert_eq!(
            problem.reason,
            "the target table already holds 9 row(s), of which SQLite does not have 0, and 1 with other values, such as (1,old)"
        );
        assert_eq!(problem.policy.as_deref(), Some("target_rows: replace"));
        let history = Occupied {
            differing: Some(1),
            ..table("our_migrations", 9, 0)
        };
        let problem = history.refused();
        assert_eq!(problem.policy, None);
        assert!(problem.reason.contains("`exclude: our_migrations`"));
        assert!(!table("our_migrations", 9, 0).may_be_history());
    }
}
