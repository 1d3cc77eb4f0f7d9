//! Rows that refer to a row that is skipped, and are skipped with it: an inserted or changed row by its foreign key, however long the chain, and a
//! deleted one that a row refers to whose own deletion is skipped. A key that SQLite has given to another row since means that other row, so what
//! refers to it is skipped too. Not in here: which rows have a conflict (`row`), and references that are not declared, which nobody knows.

use std::collections::BTreeMap;
use std::path::Path;

use super::referrers::{cells_of, referenced};
use super::{Bringing, Brought, Fate, Lots};
use crate::salvage::Operation;
use crate::salvage::error::Error;
use crate::salvage::file::{Salvaged, SalvagedRow};
use crate::salvage::renumber::Renumbering;
use crate::sqlite::schema::{ForeignKey, Table};
use crate::text::printable;

/// A name or a key longer than this is cut in what people read.
const SHOWN: usize = 60;

/// A foreign key, and the rows on both of its ends that are skipped, by the values of its columns.
struct Tie<'s> {
    child: &'s Table,
    key: &'s ForeignKey,
    referenced: Vec<String>,
    /// Rows that would be referred to, and whether one is inserted: then nothing may refer to what SQLite has under its key.
    parents: BTreeMap<String, (String, bool)>,
    /// Rows that go on referring, for they are deleted or changed in PostgreSQL alone.
    children: BTreeMap<String, String>,
}

impl Bringing<'_> {
    /// As [`Self::all`], without the rows that refer to one that has a conflict. It goes in rounds: what is skipped may be what made room for
    /// another row. Each round skips more, so that they end.
    pub(super) fn all_that_can(
        &self,
        salvaged: &Salvaged,
        lots: &Lots,
        file: &Path,
        renumbering: &Renumbering,
    ) -> Result<Vec<Brought>, Error> {
        let run = |sql: &str| {
            let doing = format!("writing {}", file.display());
            let connection = self.connection;
            connection.execute_batch(sql).map_err(Error::sqlite(doing))
        };
        let mut skipped: BTreeMap<i64, Brought> = BTreeMap::new();
        loop {
            run("SAVEPOINT skipping")?;
            let rest: Lots = lots.clone().map(|(operation, mut lot)| {
                lot.retain(|number| !skipped.contains_key(number));
                (operation, lot)
            });
            let mut brought = self.all(salvaged, &rest, file, renumbering)?;
            let stood = skipped.len();
            self.skip(salvaged, renumbering, file, &brought, &mut skipped)?;
            if skipped.len() == stood {
                run("RELEASE skipping")?;
                brought.extend(skipped.into_values());
                brought.sort_by_key(|row| row.row);
                return Ok(brought);
            }
            run("ROLLBACK TO skipping; RELEASE skipping")?;
        }
    }

    /// Adds those of the rows that were brought in to the skipped ones that have to be skipped because of others.
    fn skip(
        &self,
        salvaged: &Salvaged,
        renumbering: &Renumbering,
        file: &Path,
        brought: &[Brought],
        skipped: &mut BTreeMap<i64, Brought>,
    ) -> Result<(), Error> {
        let row = |number: i64| -> Result<SalvagedRow, Error> {
            let mut row = salvaged.row(number)?;
            renumbering.rewrite(self.schema, &mut row);
            Ok(row)
        };
        let failed = || Error::sqlite(format!("reading {}", file.display()));
        let refused = brought.iter().filter(|row| is_conflict(row));
        let mut out: Vec<i64> = refused.map(|row| row.row).collect();
        out.extend(skipped.keys());
        while !out.is_empty() {
            let rows = out.iter().map(|number| row(*number));
            let ties = self.ties(&rows.collect::<Result<Vec<_>, _>>()?);
            out.clear();
            for one in brought.iter().filter(|row| row.fate == Fate::Applied) {
                let concerned = ties.iter().any(|tie| tie.may_concern(&one.table));
                if !concerned || skipped.contains_key(&one.row) {
                    continue;
                }
                let why = self.tied(&ties, &row(one.row)?).map_err(failed())?;
                let Some(why) = why else {
                    continue;
                };
                let fate = Fate::Skipped(why);
                skipped.insert(
                    one.row,
                    Brought {
                        fate,
                        ..one.clone()
                    },
                );
                out.push(one.row);
            }
        }
        Ok(())
    }

    /// The foreign keys on which one of these rows is, which stay as they are in SQLite.
    fn ties(&self, stay: &[SalvagedRow]) -> Vec<Tie<'_>> {
        let mut ties = Vec::new();
        for child in &self.schema.tables {
            for key in &child.foreign_keys {
                let mut tie = Tie {
                    child,
                    key,
                    referenced: referenced(key, self.parent_of(key)),
                    parents: BTreeMap::new(),
                    children: BTreeMap::new(),
                };
                stay.iter().for_each(|row| tie.takes(row));
                if !tie.parents.is_empty() || !tie.children.is_empty() {
                    ties.push(tie);
                }
            }
        }
        ties
    }

    /// Why a row that was brought in has to be skipped; `None` where it has not.
    fn tied(&self, ties: &[Tie<'_>], row: &SalvagedRow) -> rusqlite::Result<Option<String>> {
        for tie in ties {
            let (child, parent) = (&tie.child.name, &tie.key.references);
            if row.operation != Operation::Deleted
                && row.table == *child
                && let Some(cells) = cells_of(row, &tie.key.columns, |value| &value.new)
                && let Some((named, inserted)) = tie.parents.get(&format!("{cells:?}"))
                && (*inserted || !self.has_row(parent, &tie.referenced, &cells)?)
            {
                return Ok(Some(format!("refers to {named}, which was skipped")));
            }
            if row.operation != Operation::Inserted
                && row.table.eq_ignore_ascii_case(parent)
                && let Some(cells) = cells_of(row, &tie.referenced, |value| &value.was)
                && let Some(named) = tie.children.get(&format!("{cells:?}"))
                && !self.has_row(parent, &tie.referenced, &cells)?
                && self.has_row(child, &tie.key.columns, &cells)?
            {
                return Ok(Some(format!("{named} refers to it, which was skipped")));
            }
        }
        Ok(None)
    }
}

impl Tie<'_> {
    /// Notes a row that is skipped, where it is on one of the ends.
    fn takes(&mut self, row: &SalvagedRow) {
        let named = || {
            let (table, key) = (printable(&row.table, SHOWN), printable(&row.key, SHOWN));
            format!("{table} {key}")
        };
        if row.operation != Operation::Deleted
            && row.table.eq_ignore_ascii_case(&self.key.references)
            && let Some(cells) = cells_of(row, &self.referenced, |value| &value.new)
        {
            let inserted = row.operation == Operation::Inserted;
            let cells = format!("{cells:?}");
            self.parents.insert(cells, (named(), inserted));
        }
        if row.operation != Operation::Inserted
            && row.table == self.child.name
            && let Some(cells) = cells_of(row, &self.key.columns, |value| &value.was)
        {
            self.children.insert(format!("{cells:?}"), named());
        }
    }

    /// Whether rows of this table may be on one of its ends.
    fn may_concern(&self, table: &str) -> bool {
        self.child.name == table || self.key.references.eq_ignore_ascii_case(table)
    }
}

fn is_conflict(row: &Brought) -> bool {
    matches!(row.fate, Fate::Conflict(_))
}
