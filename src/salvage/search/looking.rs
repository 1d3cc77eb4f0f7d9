//! What was done to one table since the switch.

use super::target_table::{Age, TargetRow, TargetTable};
use super::{Error, Row, Sink, TableCost, difference};
use crate::salvage::back::Reverse;
use crate::salvage::backup::{BackupRow, BackupTable, Bag};

/// One table being looked at.
pub(super) struct Looking<'a, 'b> {
    pub(super) target: TargetTable<'a>,
    pub(super) backup: &'a mut BackupTable<'b>,
    pub(super) sink: &'a mut dyn Sink,
    pub(super) cost: &'a mut TableCost,
    pub(super) stage: &'a mut Stage,
}

/// How far looking at a table has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// No row was given yet.
    Counting,
    /// Rows are being given: an end here is one in the middle.
    Rows,
    /// Every newer row was given; what was deleted is looked for.
    Deletions,
}

impl Looking<'_, '_> {
    /// Counts and gives every row.
    pub(super) fn look(mut self) -> Result<(), Error> {
        let (old, new) = self.target.count()?;
        let imported = self.backup.imported()?;
        if new == 0 && imported == Some(old) {
            return Ok(());
        }
        if self.target.pair.key_columns == 0 {
            return self.look_without_key(new, imported == Some(old));
        }
        *self.stage = Stage::Rows;
        let known = if new == 0 { 0 } else { self.newer_rows()? };
        *self.stage = Stage::Deletions;
        let left = imported.map(|rows| i128::from(rows) - i128::from(old) - i128::from(known));
        match left {
            Some(0) => Ok(()),
            left => self.deleted_rows(left),
        }
    }

    fn strangers(&self, rows: i128) -> Error {
        Error::NotComparable(format!(
            "{rows} rows of {} are older than the switch and not in the backup: something wrote to PostgreSQL between the import and \
             the switch, and what was written later cannot be told apart from it",
            self.target.pair.target
        ))
    }

    /// Rows written since the switch; how many of them were imported before.
    fn newer_rows(&mut self) -> Result<u64, Error> {
        let reverses = self.backup.reverses()?;
        let (target, key_columns) = (self.target, self.target.pair.key_columns);
        let mut known = 0;
        target.rows(target.pair.columns.len(), Age::Newer, |row| {
            let key = row.canonical[..key_columns].concat();
            let spelled = difference::spelled(&row.texts[..key_columns], &reverses);
            let before = self.backup.find(&key, &spelled)?;
            known += u64::from(before.as_ref().is_some_and(|row| !row.aside));
            self.found(&row, before.as_ref(), &reverses)
        })?;
        Ok(known)
    }

    /// A row that PostgreSQL has.
    fn found(
        &mut self,
        row: &TargetRow,
        before: Option<&BackupRow>,
        reverses: &[Reverse],
    ) -> Result<(), Error> {
        match difference::present(self.target.pair, row, before, reverses) {
            Some(row) => give(&row, self.sink, self.cost),
            None => {
                self.cost.rewritten += 1;
                Ok(())
            }
        }
    }

    /// What the backup has and PostgreSQL has not, whatever its age.
    fn deleted_rows(&mut self, expected: Option<i128>) -> Result<(), Error> {
        let bag = Bag::new(&self.target.search.since.scratch)?;
        let key = self.target.pair.key_columns;
        self.target
            .rows(key, Age::Any, |row| bag.put(&row.canonical.concat()))?;
        let found = self.lost_rows(&bag)?;
        match expected.map(|expected| i128::from(found) - expected) {
            Some(more) if more > 0 => Err(self.strangers(more)),
            _ => Ok(()),
        }
    }

    /// Rows of the backup that are not in the bag.
    fn lost_rows(&mut self, bag: &Bag) -> Result<u64, Error> {
        let Self {
            target,
            backup,
            sink,
            cost,
            ..
        } = self;
        let mut found = 0;
        backup.rows(|row| {
            if bag.take(&backup.key_of(&row))? {
                return Ok(());
            }
            found += 1;
            give(&difference::absent(target.pair, row), &mut **sink, cost)
        })?;
        Ok(found)
    }

    /// A table without a key is a bag of rows: of a changed row, the old one counts as deleted and the new one as inserted.
    fn look_without_key(&mut self, new: u64, old_are_whole: bool) -> Result<(), Error> {
        let (target, width) = (self.target, self.target.pair.columns.len());
        let reverses = self.backup.reverses()?;
        if old_are_whole {
            *self.stage = Stage::Rows;
            return target.rows(width, Age::Newer, |row| self.found(&row, None, &reverses));
        }
        if new == 0 {
            *self.stage = Stage::Deletions;
        }
        let bag = Bag::new(&target.search.since.scratch)?;
        target.rows(width, Age::Older, |row| bag.put(&row.canonical.concat()))?;
        if new == 0 {
            self.lost_rows(&bag)?;
            return Ok(());
        }
        // What the backup has beyond the older rows may have been written again as it was.
        let lost = Bag::new(&target.search.since.scratch)?;
        self.backup.rows(|row| {
            let key = self.backup.key_of(&row);
            if bag.take(&key)? {
                return Ok(());
            }
            lost.put(&key)
        })?;
        let kept = Bag::new(&target.search.since.scratch)?;
        target.rows(width, Age::Older, |row| kept.put(&row.canonical.concat()))?;
        *self.stage = Stage::Rows;
        target.rows(width, Age::Newer, |row| {
            let key = row.canonical.concat();
            if lost.take(&key)? {
                self.cost.rewritten += 1;
                return kept.put(&key);
            }
            self.found(&row, None, &reverses)
        })?;
        self.lost_rows(&kept).map(drop)
    }
}

/// Counts a row and gives it on.
fn give(row: &Row<'_>, sink: &mut dyn Sink, cost: &mut TableCost) -> Result<(), Error> {
    cost.count(row.operation);
    sink.row(row)
}
