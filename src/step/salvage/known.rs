//! Whether a salvage file is the one that its session has on record: R5's outcome, and the note of `cutover salvage make`, hold a digest of
//! its rows. Not in here: taking the digest (`salvage::file`).

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::Record;
use crate::salvage::file::Salvaged;
use crate::session::Session;
use crate::session::facts::Unreadable;
use crate::sqlite::digest;

/// How the note of `cutover salvage make` begins.
const NOTE: &str = "salvaged after the rollback: ";
/// What stands before the digest in that note.
const ROWS: &str = " (SHA-256 of its rows: ";

/// What `cutover salvage make` puts on record.
pub fn note(record: &Record) -> String {
    let rows = record.rows_sha256.as_ref();
    let rows = rows.map_or_else(String::new, |hash| format!("{ROWS}{hash})"));
    format!("{NOTE}{}{rows}", record.sentence())
}

/// A warning, where an earlier version put the file on record and its rows can no longer be compared; none where it is the one on record.
///
/// # Errors
/// It is another session's, or not what is on record; nothing of it should be brought in.
pub fn look(session: &Session, path: &Path, salvaged: &Salvaged) -> Result<Option<String>, String> {
    let shown = path.display();
    let name = &session.charter.session;
    let about = salvaged.about().map_err(|error| error.to_string())?;
    if about.session != *name {
        return Err(format!(
            "{shown} says that it is of session {}, and this is {name}",
            about.session
        ));
    }
    let records = records(session).map_err(|unreadable| unreadable.to_string())?;
    let notes = || {
        let texts = session.notes.iter().map(|(_, _, text)| text.as_str());
        texts.filter_map(|text| text.strip_prefix(NOTE))
    };
    let noted = notes().filter_map(|text| text.rsplit_once(ROWS)?.1.strip_suffix(')'));
    let kept = records.iter().filter_map(|r| r.rows_sha256.as_deref());
    let digests: Vec<&str> = kept.chain(noted).collect();
    if !digests.is_empty() {
        let now = salvaged.rows_sha256().map_err(|error| error.to_string())?;
        return match digests.contains(&now.as_str()) {
            true => Ok(None),
            false => Err(format!(
                "{shown} is not the file that session {name} has on record: its rows have the SHA-256 {now}, those on record {}",
                digests.join(", ")
            )),
        };
    }
    let older: Vec<&str> = records.iter().filter_map(|r| r.sha256.as_deref()).collect();
    if older.is_empty() && notes().next().is_none() {
        return Err(format!(
            "session {name} has no salvage file on record, so nobody can say whose {shown} is"
        ));
    }
    let whole = digest::of_file(path, &CancellationToken::new()).map_err(|e| e.to_string())?;
    let has_notes = salvaged.has_notes().map_err(|error| error.to_string())?;
    match (
        older.contains(&whole.as_str()),
        has_notes || older.is_empty(),
    ) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(format!(
            "an earlier version of cutover put {shown} on record, without a digest of its rows: whether they are those of R5 cannot be checked"
        ))),
        (false, false) => Err(format!(
            "{shown} is not the file that session {name} has on record: it has the SHA-256 {whole}, the one on record {}",
            older.join(", ")
        )),
    }
}

/// What rows of the rollback have put on record.
fn records(session: &Session) -> Result<Vec<Record>, Unreadable> {
    let rows = session.rollback.iter().flat_map(|rollback| &rollback.rows);
    rows.filter_map(|row| row.fact().transpose()).collect()
}
