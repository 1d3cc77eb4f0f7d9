//! One pass over all rows that do not stay: what was deleted makes room for what was changed, and both for what was inserted. A row that another one
//! of its kind is in the way of waits for it; what waits until the end is tried in rings (`lift`), and what is not in then stays.

use super::scratch::Start;
use super::{Reason, Rounds};
use crate::salvage::Operation;
use crate::salvage::apply::derived::Touched;
use crate::salvage::apply::{Fate, ORDER};
use crate::salvage::error::Error;
use crate::salvage::file::SalvagedRow;

/// What a pass has come to.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Rows that SQLite has now, those included that it had already.
    pub(super) rows: u64,
    /// What was done to which table.
    pub(super) touched: Touched,
}

impl Passed {
    fn count(&mut self, row: &SalvagedRow, fate: &Fate) {
        self.rows += 1;
        if *fate == Fate::Applied {
            self.is_touched(&row.table, row.operation);
        }
    }

    fn is_touched(&mut self, table: &str, operation: Operation) {
        let operations = self.touched.entry(table.to_owned()).or_default();
        operations.insert(operation);
    }
}

impl Rounds<'_> {
    /// Every row that does not stay, once, and those again that wait for others.
    pub(super) fn pass(&self) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        for operation in ORDER {
            self.scratch.nobody_waits()?;
            self.first(operation, &mut passed)?;
            self.again(&mut passed)?;
            self.swap_rings(&mut passed)?;
            self.refuse_those_that_wait()?;
        }
        Ok(passed)
    }

    fn first(&self, operation: Operation, passed: &mut Passed) -> Result<(), Error> {
        let (file, scratch) = (self.file, &self.scratch);
        self.salvaged
            .each_not_in(file, Some(operation), |number, _| {
                if scratch.stays(number)? {
                    return Ok(());
                }
                let row = self.salvaged.row(number)?;
                match self.attempt(&row)? {
                    // Another row of this kind may be in its way, with a value that has to be unique.
                    Fate::Conflict(why) => scratch.wait(number, &why),
                    fate => {
                        passed.count(&row, &fate);
                        Ok(())
                    }
                }
            })
    }

    fn attempt(&self, row: &SalvagedRow) -> Result<Fate, Error> {
        let doing = format!("writing {}", self.file.display());
        let fate = self.bringing.attempt(row, false);
        fate.map_err(Error::sqlite(doing))
    }

    /// Tries rows that wait until none gets through any more: from the last and from the first in turn, for where each is in the way of the one
    /// before, all of them get through in one go from one end, and one by one from the other.
    fn again(&self, passed: &mut Passed) -> Result<(), Error> {
        for from in [Start::Last, Start::First].into_iter().cycle() {
            let (mut last, mut is_through) = (None, false);
            while let Some((number, _)) = self.scratch.next_waiting(from, last)? {
                last = Some(number);
                let row = self.salvaged.row(number)?;
                match self.attempt(&row)? {
                    Fate::Conflict(why) => self.scratch.wait(number, &why)?,
                    fate => {
                        self.scratch.waits_no_more(number)?;
                        passed.count(&row, &fate);
                        is_through = true;
                    }
                }
            }
            if !is_through {
                break;
            }
        }
        Ok(())
    }

    fn swap_rings(&self, passed: &mut Passed) -> Result<(), Error> {
        self.lift(|number, table| {
            self.scratch.waits_no_more(number)?;
            passed.rows += 1;
            passed.is_touched(table, Operation::Changed);
            Ok(())
        })
    }

    /// Something is in the way of what waits still.
    fn refuse_those_that_wait(&self) -> Result<(), Error> {
        let mut last = None;
        while let Some((number, why)) = self.scratch.next_waiting(Start::First, last)? {
            last = Some(number);
            let row = self.salvaged.row(number)?;
            let values: Vec<_> = row.values.iter().collect();
            let reason = match self.bringing.unfaithful(&values) {
                Some(_) => Reason::NotExact,
                None => Reason::Conflict,
            };
            self.scratch.stay(&row, reason, &why)?;
        }
        self.scratch.nobody_waits()
    }
}
