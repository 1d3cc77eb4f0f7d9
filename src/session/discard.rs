//! Rows of the target that the source does not have and an import would delete: it begins only once a person has typed their number. Not
//! in here: counting them (`transfer`), and looking once more before they go (`step::import`).

use std::collections::BTreeMap;

use super::command::Refusal;
use super::facts::Discard;
use super::state::{Session, StepState};

/// How many rows, by table.
pub type Rows = BTreeMap<String, u64>;

/// What a step asks a person to agree to; empty where it asks for nothing. What it asked and this version cannot read counts as nothing: the
/// step then begins with nothing agreed to, deletes nothing, and asks anew.
pub fn asked_by(state: &StepState) -> Rows {
    let has_failed = state.outcome.as_ref().is_some_and(|outcome| !outcome.ok);
    let asked = state.fact::<Discard>().ok().flatten();
    let asked = asked
        .filter(|_| has_failed)
        .map_or_else(Rows::new, |asked| asked.0);
    asked.into_iter().filter(|(_, rows)| *rows > 0).collect()
}

/// What the next step asks a person to agree to.
pub fn asked_next(session: &Session) -> Rows {
    session
        .next_step()
        .map_or_else(Rows::new, |(_, state)| asked_by(state))
}

/// Whether the numbers that somebody typed are those that were asked for.
///
/// # Errors
/// They are not: in words, with what to type.
pub fn agree(step: &str, asked: &Rows, typed: &Rows) -> Result<(), Refusal> {
    if asked == typed {
        return Ok(());
    }
    let options = asked
        .iter()
        .map(|(table, rows)| format!(" --discard-rows '{table}={rows}'"));
    let options: String = options.collect();
    Err(match asked.is_empty() {
        true => Refusal::NothingToDiscard {
            step: step.to_owned(),
        },
        false => Refusal::DiscardNeeded {
            step: step.to_owned(),
            rows: words(asked),
            options,
        },
    })
}

/// `12 of Tools, 3 of Tags`.
pub fn words(rows: &Rows) -> String {
    let each = rows
        .iter()
        .map(|(table, rows)| format!("{rows} of {table}"));
    each.collect::<Vec<_>>().join(", ")
}
