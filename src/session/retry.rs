//! Which rows of a rollback are tried again, after it has ended and until the session is closed. Not in here: who may ask for it
//! (`decide`), and running them (`engine`).

use super::charter::LineKind;
use super::command::Refusal;
use super::state::{Phase, Session, StepStatus};

/// The rows that are run again when `row` is, or the first that failed where none is named: that one, what failed after it, and every
/// later row that the application needs to serve, for those build on it and look at what came of it. Where one of these brings an instance
/// back, users may have written to PostgreSQL by that instance until then: what they wrote is kept again.
///
/// # Errors
/// The rollback has not ended, the session is closed, there is no such row, or none has failed.
pub fn rows(session: &Session, row: Option<&str>) -> Result<Vec<String>, Refusal> {
    let not = |why: &str| Refusal::NoRetry {
        why: why.to_owned(),
    };
    let rollback = match (session.phase, &session.rollback) {
        (Phase::RolledBack, Some(rollback)) => rollback,
        (Phase::RollingBack, _) => {
            return Err(not("the rollback still runs: wait for the end of its list"));
        }
        (Phase::RolledBack, None) | (Phase::Open | Phase::Completed, _) => {
            return Err(not("the session was not rolled back"));
        }
    };
    if session.is_closed {
        return Err(not(
            "the session is closed, and what its engine needs is gone: do it by hand",
        ));
    }
    let has_failed = |at: usize| rollback.rows[at].status == StepStatus::Failed;
    let lines = &session.charter.rollback;
    let first = match row {
        Some(id) => lines.iter().position(|l| l.id == id).ok_or_else(|| {
            let known: Vec<_> = lines.iter().map(|l| l.id.as_str()).collect();
            not(&format!(
                "the rollback has no row {id}; its rows are {}",
                known.join(", ")
            ))
        })?,
        None => (0..lines.len()).find(|at| has_failed(*at)).ok_or_else(|| {
            not("every row of the rollback was done; name the one that is to run again")
        })?,
    };
    let is_open = session.step_of_kind(&LineKind::Reopen);
    let is_open = is_open.is_some_and(|step| step.started_ms.is_some());
    let comes_back = is_open && lines[first].within_rto;
    let again = (first..lines.len()).filter(|at| {
        let line = &lines[*at];
        *at == first || line.within_rto || has_failed(*at) || (line.keeps && comes_back)
    });
    Ok(again.map(|at| lines[at].id.clone()).collect())
}
