//! Moments that a driver takes for local time: node-postgres reads and writes `timestamp without time zone` by the wall clock of the application's
//! process, and the frameworks above it that are told here keep UTC in SQLite. Not in here: what text without an offset means on the way (`zone:`).

use std::path::Path;

use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::Error;
use crate::transfer::error::read;
use crate::transfer::kind::Kind;
use crate::transfer::layout::{ColumnLayout, Layout, TableLayout, structural};
use crate::transfer::plan::Plan;
use crate::transfer::plan::scan::open;

/// Frameworks on Knex, which keeps moments as numbers of UTC; text there is what the application wrote, and stays that.
const ON_KNEX: [&str; 3] = ["Knex", "Directus", "Strapi"];
/// Columns that are named; the others are counted.
const NAMED: usize = 3;

/// Adds a note where moments of UTC go into columns that the application's driver reads as local time.
pub(super) fn note(source: &Path, layout: &Layout, plan: &mut Plan) -> Result<(), Error> {
    let keeps_book = |name: &str| {
        let why = format!("migration history of {name};");
        let mut skipped = layout.skipped.iter();
        skipped.any(|skipped| skipped.why.starts_with(&why))
    };
    let is_counted = |column: &ColumnLayout| column.converter.policy.epoch.is_some();
    let on_knex = ON_KNEX.into_iter().find(|name| keeps_book(name));
    let (keeper, columns) = if let Some(name) = on_knex {
        (name, wall_clocks(layout, is_counted))
    } else {
        let columns = wall_clocks(layout, |_| true);
        // Entities that are synchronized have no book; the names of their keys tell as well.
        if columns.is_empty() || !(keeps_book("TypeORM") || names_of_typeorm(source)?) {
            return Ok(());
        }
        ("TypeORM", columns)
    };
    if let Some(reason) = reason(keeper, &columns) {
        plan.notes.push(structural("", "", reason, None));
    }
    Ok(())
}

/// Target table and column of moments without a zone.
fn wall_clocks(layout: &Layout, is_utc: impl Fn(&ColumnLayout) -> bool) -> Vec<(String, String)> {
    let of_table = |table: &TableLayout| {
        let columns = table
            .columns
            .iter()
            .filter(|column| matches!(column.converter.kind, Kind::Timestamp(_)) && is_utc(column));
        let named = columns.map(|column| (table.target.name.clone(), column.target.name.clone()));
        named.collect::<Vec<_>>()
    };
    layout.tables.iter().flat_map(of_table).collect()
}

/// Whether keys or indexes bear the names that TypeORM makes: what they are, and the digits of a hash.
fn names_of_typeorm(source: &Path) -> Result<bool, Error> {
    let digits = |count: usize| "[0-9a-f]".repeat(count);
    let key = format!("*CONSTRAINT \"[FU][KQ]_{}\" *", digits(27));
    let index = format!("IDX_{}", digits(26));
    let sql =
        "SELECT count(*) FROM sqlite_schema WHERE sql GLOB ?1 OR type = 'index' AND name GLOB ?2";
    let count: i64 = open(source)?
        .query_row(sql, [key, index], |row| row.get(0))
        .map_err(read(source, "sqlite_schema"))?;
    Ok(count > 0)
}

fn reason(keeper: &str, columns: &[(String, String)]) -> Option<String> {
    let (table, column) = columns.first()?;
    let named: Vec<String> = columns
        .iter()
        .take(NAMED)
        .map(|(table, column)| format!("{}.{}", printable(table, 80), printable(column, 80)))
        .collect();
    let others = match columns.len().saturating_sub(NAMED) {
        0 => String::new(),
        others => format!(" and {others} more column(s)"),
    };
    Some(format!(
        "{keeper} keeps moments in SQLite as UTC, and its driver for PostgreSQL takes `timestamp without time zone` for local time of the \
         application's process: {}{others} come out right where that runs in UTC (TZ=UTC). Elsewhere let its migrations make them \
         `timestamp with time zone` first (ALTER TABLE {} ALTER COLUMN {} TYPE timestamptz)",
        named.join(", "),
        printable(&quoted(table), 120),
        printable(&quoted(column), 120)
    ))
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn some_columns_are_named_and_the_others_counted() {
        assert_eq!(reason("TypeORM", &[]), None);
        let columns: Vec<_> = (1..=5)
            .map(|n| ("post".to_owned(), format!("at{n}")))
            .collect();
        let said = reason("TypeORM", &columns).expect("a note");
        assert!(
            said.contains("post.at1, post.at2, post.at3 and 2 more column(s) come out right"),
            "{said}"
        );
        assert!(
            said.contains("ALTER TABLE \"post\" ALTER COLUMN \"at1\" TYPE timestamptz"),
            "{said}"
        );
    }
}
