//! Distributions (`E2`): how many NULLs, how many true and false, the first and the last moment of every column agree.
//!
//! A systematic mistake (every instant an hour off, a flag turned round) is named as such here, and not as a million differences.

use super::super::canon::{HEADER_BYTES, Row, Tag, cells};
use super::super::equality::{Kind, from_target};
use super::super::error::Error;
use super::super::look::Look;
use super::super::pair::{ColumnPair, TablePair, quoted};
use super::super::report::Check;
use super::super::sides::Sides;
use super::super::source_rows::SourceRow;
use super::{Equal, Wrong};
use crate::text::printable;
use std::sync::Arc;

/// PostgreSQL gives no more than 1664 expressions at once, of which each column needs four.
const COLUMNS_AT_ONCE: usize = 400;

/// One verdict per table over all of its columns. A table whose rows are known to be equal has nothing systematic to be named.
pub async fn distributions(sides: &Sides, id: &str, equal: &Equal) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for pair in &sides.pairing.pairs {
        checks.push(if equal.holds(pair) {
            Wrong::default().verdict(id, name(pair), || {
                format!(
                    "NULLs, booleans and ranges of {} columns agree: every value is equal",
                    pair.columns.len()
                )
            })
        } else {
            table(sides, id, pair).await?
        });
    }
    Ok(checks)
}

fn name(pair: &TablePair) -> String {
    format!("distributions of {}", printable(&pair.source, 80))
}

/// What is known of one column on one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Spread {
    nulls: u64,
    yes: u64,
    no: u64,
    /// Smallest and largest moment, in microseconds or days.
    range: Option<(i64, i64)>,
}

impl Spread {
    fn take(&mut self, cell: &[u8], kind: &Kind) {
        if cell[0] == Tag::Null as u8 {
            self.nulls += 1;
            return;
        }
        if cell[0] != Tag::Value as u8 {
            return;
        }
        match kind {
            Kind::Boolean if cell[HEADER_BYTES..] == *b"t" => self.yes += 1,
            Kind::Boolean => self.no += 1,
            kind if unit_us(kind).is_some() => {
                if let Some(moment) = moment(cell) {
                    let (low, high) = self.range.unwrap_or((moment, moment));
                    self.range = Some((low.min(moment), high.max(moment)));
                }
            }
            _ => {}
        }
    }
}

/// How long one unit of a moment is, for kinds that are moments.
fn unit_us(kind: &Kind) -> Option<i64> {
    match kind {
        Kind::Instant { .. } | Kind::Timestamp { .. } | Kind::Time { .. } => Some(1),
        Kind::Date => Some(86_400_000_000),
        Kind::Integer
        | Kind::Boolean
        | Kind::Float64
        | Kind::Float32
        | Kind::Numeric { .. }
        | Kind::Text
        | Kind::Padded
        | Kind::Bytes
        | Kind::Interval { .. }
        | Kind::Uuid
        | Kind::Json
        | Kind::JsonText
        | Kind::Address
        | Kind::Label(_)
        | Kind::Array(_)
        | Kind::Verbatim => None,
    }
}

/// The number in a cell that [`Row::number`] wrote.
fn moment(cell: &[u8]) -> Option<i64> {
    let bytes: [u8; 8] = cell.get(HEADER_BYTES..)?.try_into().ok()?;
    Some(i64::from_be_bytes(bytes) ^ i64::MIN)
}

async fn table(sides: &Sides, id: &str, pair: &Arc<TablePair>) -> Result<Check, Error> {
    let look = Look::new(sides, pair);
    let rewritten = look.new_keys().await?;
    let kinds: Vec<_> = pair
        .columns
        .iter()
        .map(|column| column.rule.kind.clone())
        .collect();
    let spreads = vec![Spread::default(); kinds.len()];
    let take = move |spreads: &mut Vec<Spread>, row: &SourceRow<'_>| {
        if !rewritten.contains(&row.canonical[..row.key_bytes]) {
            for ((spread, cell), kind) in spreads.iter_mut().zip(cells(row.canonical)).zip(&kinds) {
                spread.take(cell, kind);
            }
        }
        Ok(())
    };
    let (source, target) =
        tokio::try_join!(look.source("", spreads, take), in_target(sides, pair))?;
    let mut wrong = Wrong::default();
    for ((column, here), there) in pair.columns.iter().zip(&source.0).zip(&target) {
        let title = format!(
            "{}.{}",
            printable(&pair.source, 80),
            printable(&column.source, 80)
        );
        for what in disagreements(&column.rule.kind, here, there) {
            wrong.add(|| format!("{title}: {what}"));
        }
    }
    Ok(wrong.verdict(id, name(pair), || {
        format!(
            "NULLs, booleans and ranges of {} columns agree",
            pair.columns.len()
        )
    }))
}

/// The same from the server's own aggregates, of one snapshot.
async fn in_target(sides: &Sides, pair: &TablePair) -> Result<Vec<Spread>, Error> {
    let mut spreads = Vec::with_capacity(pair.columns.len());
    for columns in pair.columns.chunks(COLUMNS_AT_ONCE) {
        spreads.extend(of_columns(sides, pair, columns).await?);
    }
    Ok(spreads)
}

async fn of_columns(
    sides: &Sides,
    pair: &TablePair,
    asked: &[ColumnPair],
) -> Result<Vec<Spread>, Error> {
    let columns: Vec<_> = asked.iter().flat_map(aggregates).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE {}",
        columns.join(", "),
        pair.target_sql(),
        sides.old_rows_sql("")
    );
    let rows = sides
        .ask_rows(&format!("summing up {}", pair.target), &sql)
        .await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let mut spreads = Vec::with_capacity(asked.len());
    for (column, found) in asked.iter().zip(row.chunks(4)) {
        let count = |at: usize| {
            found
                .get(at)
                .cloned()
                .flatten()
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        let mut spread = Spread {
            nulls: count(0),
            ..Spread::default()
        };
        if column.rule.kind == Kind::Boolean {
            (spread.yes, spread.no) = (count(1), count(2));
        } else if let [_, Some(low), Some(high), _] = found {
            spread.range = Some((read(low, column)?, read(high, column)?));
        }
        spreads.push(spread);
    }
    Ok(spreads)
}

/// Four expressions per column, so that an answer can be cut by fours.
fn aggregates(column: &ColumnPair) -> [String; 4] {
    let name = quoted(&column.target);
    let nulls = format!("count(*) FILTER (WHERE {name} IS NULL)");
    let none = || "NULL".to_owned();
    match &column.rule.kind {
        Kind::Boolean => [
            nulls,
            format!("count(*) FILTER (WHERE {name})"),
            format!("count(*) FILTER (WHERE NOT {name})"),
            none(),
        ],
        kind if unit_us(kind).is_some() => [
            nulls,
            format!("min({name})"),
            format!("max({name})"),
            none(),
        ],
        _ => [nulls, none(), none(), none()],
    }
}

fn read(text: &str, column: &ColumnPair) -> Result<i64, Error> {
    let mut row = Row::default();
    let unreadable = || Error::Unreadable {
        table: String::new(),
        column: column.target.clone(),
        value: printable(text, 80),
    };
    from_target(Some(text.as_bytes()), &column.rule.kind, &mut row).map_err(|_| unreadable())?;
    moment(row.bytes()).ok_or_else(unreadable)
}

fn disagreements(kind: &Kind, here: &Spread, there: &Spread) -> Vec<String> {
    let mut found = Vec::new();
    if here.nulls != there.nulls {
        found.push(format!(
            "{} NULLs in the backup, {} in PostgreSQL",
            here.nulls, there.nulls
        ));
    }
    if (here.yes, here.no) != (there.yes, there.no) {
        let turned = (here.yes, here.no) == (there.no, there.yes);
        let hint = if turned {
            ": the flag looks turned round"
        } else {
            ""
        };
        found.push(format!(
            "{} true and {} false in the backup, {} and {} in PostgreSQL{hint}",
            here.yes, here.no, there.yes, there.no
        ));
    }
    match (here.range, there.range) {
        (Some(a), Some(b)) if a != b => {
            let unit = unit_us(kind).unwrap_or(1);
            let (first, last) = (
                i128::from(b.0) - i128::from(a.0),
                i128::from(b.1) - i128::from(a.1),
            );
            found.push(if first == last {
                format!(
                    "first and last are both off by {}: every value looks shifted",
                    span(first * i128::from(unit))
                )
            } else {
                format!(
                    "the first is off by {}, the last by {}",
                    span(first * i128::from(unit)),
                    span(last * i128::from(unit))
                )
            });
        }
        (Some(_), None) => {
            found.push("has moments in the backup and none in PostgreSQL".to_owned())
        }
        (None, Some(_)) => {
            found.push("has moments in PostgreSQL and none in the backup".to_owned())
        }
        _ => {}
    }
    found
}

/// A span for people: `+01:00:00`, `-3 d 00:00:00.000001`.
fn span(us: i128) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    let all = us.unsigned_abs();
    let (days, rest) = (all / 86_400_000_000, all % 86_400_000_000);
    let (seconds, fraction) = (rest / 1_000_000, rest % 1_000_000);
    let days = if days > 0 {
        format!("{days} d ")
    } else {
        String::new()
    };
    let fraction = if fraction > 0 {
        format!(".{fraction:06}")
    } else {
        String::new()
    };
    format!(
        "{sign}{days}{:02}:{:02}:{:02}{fraction}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_systematic_mistake_is_named_as_such() {
        let instant = Kind::Instant { digits: 6 };
        let at = |low, high| Spread {
            range: Some((low, high)),
            ..Spread::default()
        };
        let hour = 3_600_000_000;
        let said = disagreements(&instant, &at(0, 5 * hour), &at(hour, 6 * hour));
        assert_eq!(
            said,
            ["first and last are both off by +01:00:00: every value looks shifted"]
        );
        let said = disagreements(&instant, &at(0, 5), &at(0, 4));
        assert_eq!(
            said,
            ["the first is off by +00:00:00, the last by -00:00:00.000001"]
        );
        let flags = |yes, no| Spread {
            yes,
            no,
            ..Spread::default()
        };
        let said = disagreements(&Kind::Boolean, &flags(3, 5), &flags(5, 3));
        assert_eq!(
            said,
            [
                "3 true and 5 false in the backup, 5 and 3 in PostgreSQL: the flag looks turned round"
            ]
        );
        assert!(disagreements(&Kind::Date, &at(1, 2), &at(1, 2)).is_empty());
        assert_eq!(
            disagreements(&Kind::Date, &at(1, 2), &at(2, 3)),
            ["first and last are both off by +1 d 00:00:00: every value looks shifted"]
        );
    }
}
