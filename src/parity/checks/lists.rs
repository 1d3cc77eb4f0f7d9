//! Ordered lists (`T4c`, `V4`): the application's lists, under their own order, show the same records in the same places.
//!
//! Each side orders as it does for the application: SQLite by bytes (or the column's collation) with NULL first, PostgreSQL by its
//! own collation with NULL last. Where they part, the first pair is shown, and which collation would agree.

use super::super::canon::cells;
use super::super::error::Error;
use super::super::fingerprint::HashKey;
use super::super::look::{Apart, Look};
use super::super::pair::quoted;
use super::super::report::Check;
use super::super::sides::Sides;
use super::super::source_rows::SourceRow;
use super::super::target_rows::TargetRow;
use super::{Wrong, named};
use crate::runbook::transfer::OrderedList;
use crate::text::printable;

/// One verdict per configured list.
///
/// # Errors
/// A configured table or column is not there, or a side could not be read.
pub async fn lists(sides: &Sides, id: &str) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    for list in &sides.transfer.lists {
        checks.push(Ordered::new(sides, list)?.check(id).await?);
    }
    Ok(checks)
}

/// One column of an order.
#[derive(Debug, Clone)]
struct By {
    source: String,
    target: String,
    descending: bool,
    is_text: bool,
}

/// One place of a list: which record is there, and what it is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    record: u128,
    ordered_by: u128,
}

struct Ordered<'a> {
    sides: &'a Sides,
    list: &'a OrderedList,
    look: Look<'a>,
    by: Vec<By>,
    hash: HashKey,
}

impl<'a> Ordered<'a> {
    fn new(sides: &'a Sides, list: &'a OrderedList) -> Result<Self, Error> {
        let what = format!("list {}", printable(&list.name, 80));
        let parts: Vec<_> = list
            .order_by
            .iter()
            .map(|part| OrderedList::direction(part))
            .collect();
        let columns: Vec<_> = parts.iter().map(|(column, _)| *column).collect();
        let pair = named(sides, &what, &list.table, &columns)?;
        let by = parts.iter().filter_map(|(source, descending)| {
            let column = pair.column(source)?;
            let is_text = column.rule.kind.is_text();
            Some(By {
                source: column.source.clone(),
                target: column.target.clone(),
                descending: *descending,
                is_text,
            })
        });
        let by: Vec<_> = by.collect();
        let names: Vec<_> = by.iter().map(|by| by.source.clone()).collect();
        Ok(Self {
            sides,
            list,
            look: Look::identified(sides, pair, &names),
            by,
            hash: HashKey::random(),
        })
    }

    async fn check(&self, id: &str) -> Result<Check, Error> {
        let new = self.look.apart().await?;
        // What was written since the switch is set apart on both sides; so many more have to be read to fill the list.
        let limit = self.list.limit.map(|limit| limit + self.set_apart(&new));
        let source = self.source(limit, &new).await?;
        let target = self.target(limit, Orders::Own, &new).await?;
        let shown = self.list.limit.map_or(usize::MAX, |limit| {
            usize::try_from(limit).unwrap_or(usize::MAX)
        });
        let (source, target) = (
            &source[..source.len().min(shown)],
            &target[..target.len().min(shown)],
        );
        let mut wrong = Wrong::default();
        let parting = parting(source, target);
        if let Some(at) = parting.first {
            let agreeing = self.agreeing(limit, source, shown, &new).await?;
            let (here, there) = (
                self.source_at(at, &new).await?,
                self.target_at(at, &new).await?,
            );
            let title = printable(&self.list.name, 80);
            wrong.add(|| format!("list {title}, place {}: {here} in the backup, {there} in PostgreSQL; {agreeing}", at + 1));
        }
        Ok(wrong.verdict(id, format!("list {}", printable(&self.list.name, 80)), || match parting.ties {
            0 => format!("{} records in the same order", source.len()),
            ties => format!(
                "{} records in the same order, except that {ties} share their place with others: the list's order does not say which \
                 comes first, so neither database has to agree with the other or with itself",
                source.len()
            ),
        }))
    }

    async fn source(&self, limit: Option<u64>, new: &Apart) -> Result<Vec<Place>, Error> {
        let (cut, new) = (self.cut(), new.clone());
        let take = move |places: &mut Vec<Place>, row: &SourceRow<'_>| {
            if !new.has_source(row) {
                places.push(cut.place(row.canonical, row.key_bytes));
            }
            Ok(())
        };
        Ok(self
            .look
            .source(&self.source_order(limit), Vec::new(), take)
            .await?
            .0)
    }

    async fn target(
        &self,
        limit: Option<u64>,
        orders: Orders,
        new: &Apart,
    ) -> Result<Vec<Place>, Error> {
        let (cut, mut places) = (self.cut(), Vec::new());
        let take = |row: &TargetRow<'_>| {
            if !new.has_target(row) {
                places.push(cut.place(row.canonical, row.key_bytes));
            }
        };
        self.look
            .target(&self.target_order(limit, orders), take)
            .await?;
        Ok(places)
    }

    /// How many rows at most are read and not shown: new ones, and those that the import put aside.
    fn set_apart(&self, new: &Apart) -> u64 {
        (new.len()
            + self
                .look
                .pair()
                .aside
                .as_ref()
                .map_or(0, |aside| aside.len())) as u64
    }

    fn cut(&self) -> Cut {
        let places = self
            .by
            .iter()
            .filter_map(|by| self.look.place(&by.source))
            .collect();
        Cut {
            hash: self.hash,
            places,
        }
    }

    fn source_order(&self, limit: Option<u64>) -> String {
        let by = self.by.iter().map(|by| {
            format!(
                "{}{}",
                quoted(&by.source),
                if by.descending { " DESC" } else { "" }
            )
        });
        ordered(by.collect(), limit)
    }

    fn target_order(&self, limit: Option<u64>, orders: Orders) -> String {
        let by = self.by.iter().map(|by| {
            let name = quoted(&by.target);
            let (value, collate) = match orders {
                _ if !by.is_text => (name, String::new()),
                Orders::Own => (name, String::new()),
                Orders::Bytes => (name, " COLLATE \"C\"".to_owned()),
                Orders::NoCase => (format!("lower({name} COLLATE \"C\")"), String::new()),
                Orders::Icu => (name, " COLLATE \"und-x-icu\"".to_owned()),
            };
            let nulls = match (orders, by.descending) {
                (Orders::Own, _) => "",
                (_, false) => " NULLS FIRST",
                (_, true) => " NULLS LAST",
            };
            format!(
                "{value}{collate}{}{nulls}",
                if by.descending { " DESC" } else { "" }
            )
        });
        ordered(by.collect(), limit)
    }

    /// Which way of ordering would make PostgreSQL agree.
    async fn agreeing(
        &self,
        limit: Option<u64>,
        source: &[Place],
        shown: usize,
        new: &Apart,
    ) -> Result<String, Error> {
        let mut ways = vec![
            (Orders::Bytes, "COLLATE \"C\" with NULL first"),
            (Orders::NoCase, "lower(… COLLATE \"C\") with NULL first"),
        ];
        let icu = "SELECT count(*) FROM pg_catalog.pg_collation WHERE collname = 'und-x-icu'";
        if self.sides.count("reading the collations", icu).await? > 0 {
            ways.push((Orders::Icu, "COLLATE \"und-x-icu\" with NULL first"));
        }
        for (orders, name) in ways {
            let target = self.target(limit, orders, new).await?;
            if parting(source, &target[..target.len().min(shown)])
                .first
                .is_none()
            {
                return Ok(format!("ordered by {name}, PostgreSQL agrees"));
            }
        }
        Ok("no collation makes PostgreSQL agree: the records differ".to_owned())
    }

    fn names(&self) -> Vec<String> {
        let columns = self.look.pair().columns.iter();
        columns.map(|column| column.source.clone()).collect()
    }

    /// The record at a place of the source's list, for people.
    async fn source_at(&self, at: usize, new: &Apart) -> Result<String, Error> {
        let limit = at as u64 + 1 + self.set_apart(new);
        let (new, mut left) = (new.clone(), at);
        let names = self.names();
        let take = move |found: &mut Option<String>, row: &SourceRow<'_>| {
            if new.has_source(row) {
                return Ok(());
            }
            if left == 0 && found.is_none() {
                *found = Some(record(&names, &row.shown()?));
            }
            left = left.saturating_sub(1);
            Ok(())
        };
        let (found, _) = self
            .look
            .source(&self.source_order(Some(limit)), None, take)
            .await?;
        Ok(found.unwrap_or_else(|| "nothing".to_owned()))
    }

    /// The record at a place of the target's list, for people.
    async fn target_at(&self, at: usize, new: &Apart) -> Result<String, Error> {
        let names = self.names();
        let (mut found, mut left) = (None, at);
        let limit = at as u64 + 1 + self.set_apart(new);
        let take = |row: &TargetRow<'_>| {
            if new.has_target(row) {
                return;
            }
            if left == 0 && found.is_none() {
                found = Some(record(&names, &row.shown()));
            }
            left = left.saturating_sub(1);
        };
        self.look
            .target(&self.target_order(Some(limit), Orders::Own), take)
            .await?;
        Ok(found.unwrap_or_else(|| "nothing".to_owned()))
    }
}

/// How PostgreSQL is asked to order text and NULL.
#[derive(Debug, Clone, Copy)]
enum Orders {
    /// As it does for the application.
    Own,
    /// By bytes, as SQLite does.
    Bytes,
    /// By bytes without letter case, as SQLite's NOCASE does.
    NoCase,
    /// By the root collation of ICU.
    Icu,
}

fn ordered(by: Vec<String>, limit: Option<u64>) -> String {
    let limit = limit
        .map(|limit| format!(" LIMIT {limit}"))
        .unwrap_or_default();
    if by.is_empty() {
        limit
    } else {
        format!(" ORDER BY {}{limit}", by.join(", "))
    }
}

struct Cut {
    hash: HashKey,
    places: Vec<usize>,
}

impl Cut {
    fn place(&self, row: &[u8], key_bytes: usize) -> Place {
        let cells: Vec<_> = cells(row).collect();
        let by: Vec<u8> = self
            .places
            .iter()
            .flat_map(|at| cells[*at].iter().copied())
            .collect();
        Place {
            record: self.hash.hash(&row[..key_bytes]),
            ordered_by: self.hash.hash(&by),
        }
    }
}

/// Where two lists part.
#[derive(Debug, PartialEq, Eq)]
struct Parting {
    /// The first place that shows different records which the order could tell apart.
    first: Option<usize>,
    /// Places that show different records only because the order says nothing about them.
    ties: usize,
}

fn parting(source: &[Place], target: &[Place]) -> Parting {
    let mut ties = 0;
    for at in 0..source.len().max(target.len()) {
        match (source.get(at), target.get(at)) {
            (Some(here), Some(there)) if here.record == there.record => {}
            (Some(here), Some(there)) if here.ordered_by == there.ordered_by => ties += 1,
            _ => {
                return Parting {
                    first: Some(at),
                    ties,
                };
            }
        }
    }
    Parting { first: None, ties }
}

fn record(names: &[String], shown: &[String]) -> String {
    let parts: Vec<_> = names
        .iter()
        .zip(shown)
        .map(|(name, value)| format!("{}={value}", printable(name, 80)))
        .collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(list: &[(u128, u128)]) -> Vec<Place> {
        list.iter()
            .map(|&(record, ordered_by)| Place { record, ordered_by })
            .collect()
    }

    #[test]
    fn ties_are_no_divergence_and_everything_else_is() {
        let source = places(&[(1, 10), (2, 20), (3, 20), (4, 30)]);
        let parted = |target: &[(u128, u128)]| parting(&source, &places(target));
        assert_eq!(
            parted(&[(1, 10), (2, 20), (3, 20), (4, 30)]),
            Parting {
                first: None,
                ties: 0
            }
        );
        assert_eq!(
            parted(&[(1, 10), (3, 20), (2, 20), (4, 30)]),
            Parting {
                first: None,
                ties: 2
            }
        );
        assert_eq!(parted(&[(2, 20), (1, 10), (3, 20), (4, 30)]).first, Some(0));
        assert_eq!(parted(&[(1, 10), (2, 20), (3, 20)]).first, Some(3));
    }
}
