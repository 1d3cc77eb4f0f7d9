//! One key of a `.env` or JSON file, replaced atomically, and put back (`F1`, `R2`).
//!
//! In three steps, so that the undo is on record before it is needed: [`Edit::prepare`] reads the file and works out the new bytes,
//! the caller records [`Edit::former`], [`Edit::apply`] writes. Everything but the one value stays byte for byte. What is on the
//! disk after a crash is told by [`state`]; [`restore`] puts the former bytes back. Blocks.

mod env;
mod json;

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file::{put_back, replace};
use crate::regular_file;
use crate::sqlite::digest;

/// Why a configuration file cannot be read, changed or put back. It is as it was, but for [`Error::Left`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading or writing failed.
    #[error("cannot {doing} {path}: {source}. The file is as it was", path = path.display())]
    Io {
        /// `read`, `replace`, …
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// Writing failed when the file had been changed already.
    #[error("cannot replace {path} for good: {source}. It {holds}", path = path.display())]
    Left {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// What it holds now.
        holds: &'static str,
    },
    /// Not what its name says.
    #[error("{path}:{line}: {problem}. The file is as it was", path = path.display())]
    Syntax {
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        problem: String,
    },
    /// The key is there twice; which one counts differs between readers.
    #[error("{path} holds {key} twice, on lines {first} and {second}; which one counts is not defined. Remove one", path = path.display())]
    Twice {
        path: PathBuf,
        key: String,
        first: usize,
        second: usize,
    },
    /// No such key, and no object to put it into.
    #[error("{path} has no object to put {key} into; add the key by hand with the value it has now", path = path.display())]
    NoPlace { path: PathBuf, key: String },
    /// The value cannot be written in this place.
    #[error("the value for {key} cannot be written to {path}: {problem}", path = path.display())]
    Unfit {
        path: PathBuf,
        key: String,
        problem: &'static str,
    },
    /// Somebody else changed the file between our look and our write.
    #[error("{path} was changed by somebody else just now; nothing was written. Look at it and try again", path = path.display())]
    ChangedMeanwhile { path: PathBuf },
}

/// A change of one key, worked out and not yet made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub path: PathBuf,
    /// Its bytes before; what [`restore`] takes. May hold secrets: keep it where only the engine's user can read.
    pub former: Vec<u8>,
    /// SHA-256 of `former`.
    pub former_sha256: String,
    /// The key's value before; `None` when it was not there.
    pub former_value: Option<String>,
    /// Its bytes after.
    pub written: Vec<u8>,
    /// SHA-256 of `written`.
    pub written_sha256: String,
}

/// What a configuration file holds now, compared with an [`Edit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// What it held before the edit.
    Former,
    /// What the edit wrote.
    Written,
    /// Something else: somebody edited it since.
    Theirs,
    /// Nothing; it is gone.
    Gone,
}

/// What putting a file back did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Restored {
    /// The former bytes are back.
    Done,
    /// They already were there.
    AlreadyThere,
    /// They are back, and what somebody else had made of the file is kept here.
    TheirsKept(PathBuf),
}

/// The value of `key` now; `None` when it is not there.
pub fn value(path: &Path, key: &str) -> Result<Option<String>, Error> {
    let text = read_text(path)?;
    Ok(find(path, &text, key)?.map(|found| found.value))
}

impl Edit {
    /// Works out what the file becomes when `key` gets `value`. In JSON, dots descend; a key that itself holds dots wins. A key that
    /// is not there is added. Writes nothing.
    ///
    /// # Errors
    /// The file cannot be read or understood, the key is there twice, or the value does not fit.
    pub fn prepare(path: &Path, key: &str, value: &str) -> Result<Self, Error> {
        let former = read_text(path)?;
        let found = find(path, &former, key)?;
        let written = match (&found, is_json(path)) {
            (Some(found), _) if found.value == value => former.clone(),
            (Some(found), true) => spliced(
                &former,
                &found.at,
                &json::literal(path, key, &former[found.at.clone()], value)?,
            ),
            (Some(found), false) => spliced(
                &former,
                &found.at,
                &env::literal(path, key, &former[found.at.clone()], value)?,
            ),
            (None, true) => json::insert(path, &former, key, value)?,
            (None, false) => env::append(path, &former, key, value)?,
        };
        // The editor's own proof: what it wrote reads back as what was asked for.
        let reads_back = find(path, &written, key)?.is_some_and(|found| found.value == value);
        if !reads_back {
            return Err(Error::Unfit {
                path: path.to_path_buf(),
                key: key.to_owned(),
                problem: "it would not read back as it is",
            });
        }
        Ok(Self {
            path: path.to_path_buf(),
            former_sha256: digest::of_bytes(former.as_bytes()),
            former_value: found.map(|found| found.value),
            former: former.into_bytes(),
            written_sha256: digest::of_bytes(written.as_bytes()),
            written: written.into_bytes(),
        })
    }

    /// Makes the change, in one step. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] when the file is no longer what was prepared for, or it cannot be written.
    pub fn apply(&self) -> Result<(), Error> {
        match state(&self.path, &self.former_sha256, &self.written_sha256)? {
            State::Written => Ok(()),
            State::Former => write(&self.path, &self.written),
            State::Theirs | State::Gone => Err(Error::ChangedMeanwhile {
                path: self.path.clone(),
            }),
        }
    }
}

/// What the file holds now.
///
/// # Errors
/// It is there and cannot be read.
pub fn state(path: &Path, former_sha256: &str, written_sha256: &str) -> Result<State, Error> {
    let sha256 = match regular_file::read(path) {
        Ok(bytes) => digest::of_bytes(&bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Gone),
        Err(source) => {
            return Err(Error::Io {
                doing: "read",
                path: path.to_path_buf(),
                source,
            });
        }
    };
    Ok(match sha256 {
        now if now == written_sha256 => State::Written,
        now if now == former_sha256 => State::Former,
        _ => State::Theirs,
    })
}

/// Puts the former bytes back. What somebody else made of the file meanwhile is kept beside it first. Doing it again changes nothing.
pub fn restore(path: &Path, former: &[u8], written_sha256: &str) -> Result<Restored, Error> {
    match state(path, &digest::of_bytes(former), written_sha256)? {
        State::Former => Ok(Restored::AlreadyThere),
        State::Written | State::Gone => back(path, former).map(|()| Restored::Done),
        State::Theirs => {
            let aside = keep_aside(path)?;
            back(path, former)?;
            Ok(Restored::TheirsKept(aside))
        }
    }
}

/// A copy with the same mode, under a name that says what it is and is the same for the same bytes.
fn keep_aside(path: &Path) -> Result<PathBuf, Error> {
    let fail = |source| Error::Io {
        doing: "keep a copy of",
        path: path.to_path_buf(),
        source,
    };
    let bytes = regular_file::read(path).map_err(fail)?;
    let sha256 = digest::of_bytes(&bytes);
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".theirs-{}", &sha256[..8]));
    let aside = PathBuf::from(name);
    // The same bytes have the same name, and are kept once.
    if regular_file::read(&aside).is_ok_and(|kept| kept == bytes) {
        return Ok(aside);
    }
    let like = std::fs::metadata(path).map_err(fail)?.permissions();
    crate::ours::file::write_beside(&aside, &bytes, Some(like)).map_err(fail)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    written_by(replace, path, bytes)
}

fn back(path: &Path, former: &[u8]) -> Result<(), Error> {
    written_by(put_back, path, former)
}

/// That a file is as it was is said where it is: a disk may refuse what came after the new content had its name.
fn written_by(
    way: fn(&Path, &[u8]) -> std::io::Result<()>,
    path: &Path,
    bytes: &[u8],
) -> Result<(), Error> {
    let content = || regular_file::read(path).ok();
    let before = content();
    let Err(source) = way(path, bytes) else {
        return Ok(());
    };
    let now = content();
    let path = path.to_path_buf();
    let holds = match now.as_deref() {
        _ if now == before => {
            return Err(Error::Io {
                doing: "replace",
                path,
                source,
            });
        }
        Some(now) if now == bytes => {
            "holds the new content, and the disk does not confirm that it stays"
        }
        _ => "holds neither its former nor the new content: put it right by hand",
    };
    Err(Error::Left {
        path,
        source,
        holds,
    })
}

fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = regular_file::read(path).map_err(|source| Error::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line = 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        syntax(path, line, "not UTF-8")
    })
}

/// A key that was found.
struct Found {
    value: String,
    /// Where its value stands, quotes included.
    at: Range<usize>,
}

fn find(path: &Path, text: &str, key: &str) -> Result<Option<Found>, Error> {
    if is_json(path) {
        json::find(path, text, key)
    } else {
        env::find(path, text, key)
    }
}

fn is_json(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

fn spliced(text: &str, at: &Range<usize>, with: &str) -> String {
    [&text[..at.start], with, &text[at.end..]].concat()
}

fn syntax(path: &Path, line: usize, problem: impl Into<String>) -> Error {
    Error::Syntax {
        path: path.to_path_buf(),
        line,
        problem: problem.into(),
    }
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at.min(text.len())]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
}
