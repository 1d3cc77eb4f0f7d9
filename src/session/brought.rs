//! What became of what users wrote to PostgreSQL, once a rollback has run, in words. Not in here: bringing it into SQLite
//! (`step::rollback`), what a rollback would cost (`cost`), and whether everything is kept somewhere (`attempt`).

use super::facts::Brought;
use super::state::Session;
use crate::format::counted;

/// `, with 312 rows that users wrote to PostgreSQL`: after what says that the application is back. Empty where none were brought.
pub fn clause(session: &Session) -> String {
    // What cannot be read is not claimed.
    let brought = session.rollback_fact::<Brought>().ok().flatten();
    match brought.map_or(0, |brought| brought.rows()) {
        0 => String::new(),
        n => format!(
            ", with {} that users wrote to PostgreSQL",
            counted(n, "row")
        ),
    }
}

/// What each row of the rollback that is about users' writes said of them, and what it found red: what came back, what did not, and why.
pub fn told(session: &Session) -> Vec<String> {
    let mut told = Vec::new();
    let states = session.rollback.iter().flat_map(|rollback| &rollback.rows);
    for (line, state) in session.charter.rollback.iter().zip(states) {
        let outcome = state.outcome.as_ref();
        let Some(outcome) = outcome.filter(|_| line.brings || line.keeps) else {
            continue;
        };
        let word = if outcome.ok { "" } else { "FAILED: " };
        told.push(format!("{}: {word}{}", line.id, outcome.summary));
        let red = outcome.checks.iter().filter(|check| !check.ok);
        // A row's headline often is what its first red check says.
        let more = red.filter(|check| !outcome.summary.contains(&check.detail));
        told.extend(more.map(|check| format!("{}: {}", line.id, check.detail)));
    }
    told
}
