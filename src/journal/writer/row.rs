//! One entry as a row of the journal's file: its body's text, its link to the one before, and the statement that writes it.
//!
//! Not in here: transactions, and what is done where there is no room.

use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde_json::Value;
use std::path::Path;

use super::super::canonical::{self, Link};
use super::super::error::Error;
use super::super::head::Head;
use super::super::record::Entry;
use super::{MAX_BODY_BYTES, MAX_KIND_BYTES};

/// Writes an event after this one. Gives it as an entry.
pub(super) fn insert(
    conn: &Connection,
    path: &Path,
    (tail, fencing): (Head, u64),
    (at_ms, wall): (i64, DateTime<Utc>),
    kind: String,
    body: Value,
) -> Result<Entry, Error> {
    let text = body_text(&kind, &body)?;
    let wall_text = canonical::wall_text(wall);
    let link = Link {
        previous: tail.hash,
        seq: tail.seq + 1,
        fencing,
        at_ms,
        wall: &wall_text,
        kind: &kind,
        body: &text,
    };
    let entry = Entry {
        seq: link.seq,
        fencing,
        at_ms,
        wall,
        hash: link.hash(),
        kind,
        body,
    };
    store(conn, path, tail, &entry)?;
    Ok(entry)
}

/// Writes an entry that follows this one.
pub(super) fn store(
    conn: &Connection,
    path: &Path,
    previous: Head,
    entry: &Entry,
) -> Result<(), Error> {
    conn.prepare_cached(
        "INSERT INTO entries (seq, fencing, at_ms, wall, kind, body, previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            entry.seq.cast_signed(),
            entry.fencing.cast_signed(),
            entry.at_ms,
            canonical::wall_text(entry.wall),
            entry.kind,
            canonical::json(&entry.body),
            previous.hash.as_bytes(),
            entry.hash.as_bytes()
        ])
    })
    .map_err(Error::sqlite("write", path))?;
    Ok(())
}

/// The body's canonical form, sure to read back as the same body.
pub(super) fn body_text(kind: &str, body: &Value) -> Result<String, Error> {
    let refused = |why: String| Error::Entry {
        kind: crate::text::printable(kind, MAX_KIND_BYTES),
        why,
    };
    if kind.is_empty() || kind.len() > MAX_KIND_BYTES {
        return Err(refused(format!(
            "its kind has {} bytes; 1 to {MAX_KIND_BYTES} are allowed",
            kind.len()
        )));
    }
    let text = canonical::json(body);
    if text.len() > MAX_BODY_BYTES {
        return Err(refused(format!(
            "its body has {} bytes; the limit is {MAX_BODY_BYTES}, and what is larger belongs into an artefact",
            text.len()
        )));
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(back) if back == *body => Ok(text),
        Ok(_) => Err(refused("its body would read back as another".to_owned())),
        Err(e) => Err(refused(format!("its body would not read back: {e}"))),
    }
}
