//! What R2+ says of the rows that SQLite has, and of those that stay in the salvage file.

use std::collections::BTreeMap;

use super::Place;
use crate::salvage::Error;
use crate::salvage::apply::whole::{Left, Reason};
use crate::salvage::file::{NAME, Salvaged};
use crate::salvage::mark::Mark;
use crate::session::facts::{Brought, BroughtTable};
use crate::session::{Check, Outcome};
use crate::text::printable;

/// Rows that are named in the outcome.
const LISTED: u32 = 20;
/// Characters of a row's key and of why it stays.
const SHOWN: usize = 200;

/// What this row says.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) brought: Brought,
    /// How many rows stay for each kind of reason, with the first of them.
    pub(super) left: BTreeMap<Reason, (u64, String)>,
    /// Why the salvage file does not have it noted.
    pub(super) not_noted: Option<String>,
    /// Full-text indexes that earlier attempts have left as they were.
    pub(super) stale_before: Vec<String>,
}

/// Notes in the salvage file what SQLite has, and says it. What stays of rows that somebody has brought in by hand since does not count.
pub(super) fn told(salvaged: &Salvaged, place: &Place, mark: Mark) -> Result<Told, Error> {
    let staying = salvaged.staying(&place.file, LISTED)?;
    let noted = salvaged.note_brought(&place.file, &mark.at);
    let named = staying.first.iter().map(|left| said(salvaged, left));
    let named = named.collect::<Result<Vec<String>, Error>>()?;
    let mut kinds: BTreeMap<Reason, (u64, String)> = BTreeMap::new();
    for (reason, (rows, first)) in &staying.kinds {
        kinds.insert(*reason, (*rows, said(salvaged, first)?));
    }
    let tables = salvaged.brought(&place.file)?;
    let tables = tables
        .into_iter()
        .map(|(table, [inserted, changed, deleted])| BroughtTable {
            table,
            inserted,
            changed,
            deleted,
        });
    Ok(Told {
        brought: Brought {
            tables: tables.collect(),
            left_rows: staying.rows,
            left: named,
            stale: mark.stays.unfilled.stale,
            not_run: mark.stays.unfilled.not_run,
            noted: noted.is_ok(),
            is_told_against: salvaged.is_told_against()?,
        },
        left: kinds,
        not_noted: noted.err().map(|error| error.to_string()),
        stale_before: Vec::new(),
    })
}

/// A row that stays, and why.
fn said(salvaged: &Salvaged, left: &Left) -> Result<String, Error> {
    let row = salvaged.row(left.row)?;
    Ok(format!(
        "{} {} ({}): {}",
        printable(&row.table, SHOWN),
        printable(&row.key, SHOWN),
        row.operation.word(),
        printable(&left.why, SHOWN)
    ))
}

impl Told {
    /// With what earlier attempts have said of full-text indexes, but for what this one says as well.
    pub(super) fn beside(mut self, mut earlier: Vec<String>) -> Self {
        earlier.retain(|sentence| !self.brought.stale.contains(sentence));
        self.stale_before = earlier;
        self
    }

    pub(super) fn outcome(self) -> Outcome {
        let mut outcome = Outcome::done(self.brought.sentence(NAME));
        for (reason, (rows, first)) in &self.left {
            let detail = format!("{rows} stay in {NAME}, first: {first}");
            outcome
                .checks
                .push(Check::new(check_of(*reason), false, detail));
        }
        for stale in &self.brought.stale {
            let check = Check::new("full_text_index", false, stale.clone());
            outcome.checks.push(check);
        }
        // Whoever runs this again may have made it anew: what nobody looks at is not red.
        for stale in &self.stale_before {
            let detail = format!(
                "an earlier attempt of this row said: {stale}. Whether that was done since is not looked at"
            );
            outcome.summary = format!("{}; {detail}", outcome.summary);
            let check = Check::new("full_text_index_before", true, detail);
            outcome.checks.push(check);
        }
        for trigger in &self.brought.not_run {
            let check = Check::new("trigger_not_run", true, trigger.clone());
            outcome.checks.push(check);
        }
        if let Some(why) = &self.not_noted {
            let detail = format!(
                "the rows ARE in SQLite, and {NAME} could not have it noted: {why}. Do not bring them in by hand; `cutover retry` of this row notes it"
            );
            outcome.summary = format!("{}; {detail}", outcome.summary);
            outcome.checks.push(Check::new("noted", false, detail));
        }
        if let Some(stale) = self.brought.stale.first() {
            outcome.summary = format!("{}; {stale}", outcome.summary);
        }
        // The summary says the same in one sentence.
        outcome.ok = outcome.checks.iter().all(|check| check.ok);
        outcome.with_fact(self.brought)
    }
}

/// Under which name rows are told that stay for this kind of reason.
fn check_of(reason: Reason) -> &'static str {
    match reason {
        Reason::NotExact => "rows_not_exact",
        Reason::Conflict => "rows_in_conflict",
        Reason::Reference => "rows_of_others_that_stay",
    }
}
