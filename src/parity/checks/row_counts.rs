//! Row counts (`E1`, `V1`, `T4a`).

use super::super::error::Error;
use super::super::look::Look;
use super::super::pair::{TablePair, quoted};
use super::super::report::Check;
use super::super::sides::Sides;
use super::super::source_rows::SourceRow;
use super::Wrong;
use crate::text::printable;
use std::collections::HashSet;
use std::sync::Arc;

/// One verdict per table: the backup's rows against PostgreSQL's. `tables` by their names in the source; none means all.
///
/// Rows that a policy left out are not counted. After the switch, rows that the application has written since are counted apart; a
/// row of the backup that it has rewritten still counts as there.
///
/// # Errors
/// A named table is not in the source, or a side could not be read.
pub async fn row_counts(
    sides: &Sides,
    id: &str,
    tables: Option<&[String]>,
) -> Result<Vec<Check>, Error> {
    if let Some(name) = tables.into_iter().flatten().find(|name| !sides.knows(name)) {
        return Err(Error::Unknown {
            what: "row counts".to_owned(),
            name: name.clone(),
        });
    }
    if tables.is_none()
        && let Some(reason) = sides.nothing_to_compare()
    {
        let mut wrong = Wrong::default();
        wrong.add(|| reason);
        return Ok(vec![wrong.verdict(id, "tables".to_owned(), String::new)]);
    }
    let wanted = |name: &str| {
        tables.is_none_or(|tables| tables.iter().any(|table| table.eq_ignore_ascii_case(name)))
    };
    let mut checks = Vec::new();
    for pair in sides
        .pairing
        .pairs
        .iter()
        .filter(|pair| wanted(&pair.source))
    {
        checks.push(table(sides, id, pair).await?);
    }
    for other in sides
        .pairing
        .unpaired
        .iter()
        .filter(|other| wanted(&other.table))
    {
        let mut wrong = Wrong::default();
        wrong.add(|| format!("{}: {}", printable(&other.table, 80), other.problem));
        checks.push(wrong.verdict(id, name(&other.table), String::new));
    }
    Ok(checks)
}

fn name(table: &str) -> String {
    format!("rows of {}", printable(table, 80))
}

async fn table(sides: &Sides, id: &str, pair: &Arc<TablePair>) -> Result<Check, Error> {
    let (source, quarantined) = source_rows(sides, pair).await?;
    let doing = format!("counting the rows of {}", pair.target);
    let all = format!("SELECT count(*) FROM {} WHERE", pair.target_sql());
    let old = sides
        .count(&doing, &format!("{all} {}", sides.old_rows_sql("")))
        .await?;
    let new = Look::new_keys(&Look::new(sides, pair)).await?;
    let rewritten = if new.is_empty() {
        0
    } else {
        among(sides, pair, new.clone()).await?
    };
    let (target, since) = (old + rewritten, new.len() as u64 - rewritten);
    let mut wrong = Wrong::default();
    if source != target {
        let what = if source > target {
            let perhaps = match &sides.connector.since {
                Some(_) => {
                    " (one that the application deleted since the switch counts too: it leaves nothing to tell it by)"
                }
                None => "",
            };
            format!("{} missing{perhaps}", source - target)
        } else {
            format!("{} too many", target - source)
        };
        wrong.add(|| {
            format!(
                "{}: {source} rows in the backup, {target} in PostgreSQL: {what}",
                printable(&pair.source, 80)
            )
        });
    }
    Ok(wrong.verdict(id, name(&pair.source), || {
        let mut good = format!("{source} rows on both sides");
        if quarantined > 0 {
            good.push_str(&format!(", {quarantined} left out by policy"));
        }
        if since + rewritten > 0 {
            good.push_str(&format!(
                "; written since the switch: {since} new, {rewritten} changed"
            ));
        }
        good
    }))
}

/// Rows of the source that the target should hold, and those that a policy left out.
async fn source_rows(sides: &Sides, pair: &Arc<TablePair>) -> Result<(u64, u64), Error> {
    if pair.may_put_aside() {
        let count = |rows: &mut u64, _: &SourceRow<'_>| {
            *rows += 1;
            Ok(())
        };
        let (rows, tally) = Look::new(sides, pair).source("", 0_u64, count).await?;
        return Ok((rows, tally.quarantined));
    }
    let (table, sql) = (
        pair.source.clone(),
        format!("SELECT count(*) FROM {} NOT INDEXED", quoted(&pair.source)),
    );
    let count = move |connection: &rusqlite::Connection| {
        let rows: i64 = connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|source| Error::Read { table, source })?;
        Ok((rows.unsigned_abs(), 0))
    };
    sides.on_source(count).await
}

/// How many of these keys the source has.
async fn among(
    sides: &Sides,
    pair: &Arc<TablePair>,
    keys: HashSet<Box<[u8]>>,
) -> Result<u64, Error> {
    let look = Look::identified(sides, pair, &[]);
    let count = move |rows: &mut u64, row: &SourceRow<'_>| {
        *rows += u64::from(keys.contains(&row.canonical[..row.key_bytes]));
        Ok(())
    };
    Ok(look.source("", 0_u64, count).await?.0)
}
