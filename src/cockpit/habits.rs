//! What somebody has configured for all their cockpits, in `cutover/config.toml` of their own configuration: looks, keys, filters.
//!
//! ```toml
//! theme = "gruvbox"               # or a theme file, relative to this one
//! glyphs = "braille"
//! mouse = false
//! [keys]                          # by the names that `cutover keys` prints
//! hold = "F8"
//! page-down = ["PgDn", "^D"]
//! [filters]                       # gates, steps, events, tables, instances
//! events = "gate_"
//! ```
//!
//! A file in which anything is wrong counts for nothing: whoever is called to a rollback finds the keys of the manual, and no mixture. Not in
//! here: which actions may have the same key (`actions::Keys`), and what arguments and environment say first (`cli`).

mod read;

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::actions::Keys;
use super::model::ui::Filters;
use crate::regular_file;
use crate::text::printable;

/// No configuration is longer.
const MAX_BYTES: u64 = 64 << 10;

/// Characters of a path or a word that a message shows.
const SHOWN_CHARS: usize = 300;

/// What somebody has configured; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habits {
    /// The theme: an embedded one, or a file.
    pub theme: Option<String>,
    /// The glyphs, by their name.
    pub glyphs: Option<String>,
    /// Whether the cockpit takes the mouse.
    pub mouse: Option<bool>,
    /// Which keys actions have.
    pub keys: Keys,
    /// What lists show from the start.
    pub filters: Filters,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, and the line where it is known.
    pub place: String,
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Where the configuration is, by these variables of the environment: `XDG_CONFIG_HOME`, else `HOME`.
pub fn path(variable: impl Fn(&'static str) -> Option<OsString>) -> Option<PathBuf> {
    // A relative path would be another one in every folder; the specification says to pass it over.
    let absolute = |name: &'static str| {
        let path = variable(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let folder = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")));
    Some(folder?.join("cutover").join("config.toml"))
}

/// What is configured in this file; nothing where there is none.
pub fn load(path: &Path) -> Result<Habits, Vec<Problem>> {
    match text(path) {
        Ok(Some(text)) => read::habits(path, &text),
        Ok(None) => Ok(Habits::default()),
        Err(error) => Err(vec![Problem {
            place: printable(&path.to_string_lossy(), SHOWN_CHARS),
            why: format!("it is not read: {error}"),
        }]),
    }
}

/// All of the file, if it is one and nobody else could have written it: it says what keys do.
fn text(path: &Path) -> io::Result<Option<String>> {
    let file = match regular_file::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = file.metadata()?;
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != me {
        let why = format!("it is user {}'s, and you are user {me}", found.uid());
        return Err(io::Error::other(why));
    }
    if found.mode() & 0o002 != 0 {
        return Err(io::Error::other(
            "anybody can write it: `chmod o-w` it once you have looked at it",
        ));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|error| io::Error::other(error.utf8_error()))?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests;
