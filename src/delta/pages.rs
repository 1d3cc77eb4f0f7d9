//! Way 2 of [`super`]: which rows of two snapshots may differ, by the pages that differ. An own reader of SQLite's file format, which only reads.
//!
//! Every row that differs is named, and rows that do not differ may be named too: way 1 looks at what is named. What this reader does
//! not know for certain is [`NotUnderstood`], and way 1 looks at everything. It takes both files' bytes once, in their order, and of what
//! changed the inner pages of trees and the leaves; memory is about an eighth of a byte a page for each of a handful of sets, and the ranges.
//!
//! Whoever asks has neither file open through SQLite in this process: closing a file drops the locks that the process has on it.
//!
//! Not in here: what a row holds.

mod between;
mod bitmap;
mod compare;
mod header;
mod node;
mod overflow;
mod ranges;
mod schema;
mod snapshot;
mod source;
mod tree;

use std::ffi::OsString;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

pub use between::between;
pub use source::{InMemory, Source};

use crate::identity::Stamp;
use crate::regular_file;

/// The rows of a table that may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidates {
    /// The table.
    pub table: String,
    /// Its rows.
    pub rows: Rows,
}

/// Which rows may differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Those with a rowid in one of these ranges, which are in order and do not touch each other; where there is no range, none differs.
    Ranges(Vec<RangeInclusive<i64>>),
    /// Any.
    Whole(Why),
}

/// Why any row of a table may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The table is in one of the two snapshots.
    InOneAlone,
    /// Its statement is another.
    OtherSchema,
    /// It is WITHOUT ROWID, and a page of it changed.
    WithoutRowid,
    /// The pages that changed are all over the table.
    Scattered,
}

impl Why {
    /// As a part of a sentence about the table.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::InOneAlone => "it is in one of the two snapshots alone",
            Self::OtherSchema => "its CREATE TABLE is another",
            Self::WithoutRowid => "it is WITHOUT ROWID, and a page of it changed",
            Self::Scattered => "the pages that changed are all over it",
        }
    }
}

/// Why pages cannot tell, so that rows have to.
#[derive(Debug, thiserror::Error)]
pub enum NotUnderstood {
    /// A file cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A log or a journal with content lies beside a file.
    #[error("{} belongs to the database, and is not looked at", .0.display())]
    Log(PathBuf),
    /// A file was written to while it was read.
    #[error("{} changed while it was read", .0.display())]
    Written(PathBuf),
    /// A file's header.
    #[error("the file's header {what}")]
    Header {
        /// What it does.
        what: &'static str,
    },
    /// A page means something else in the other file.
    #[error("the files differ in their {what}")]
    Unlike {
        /// In what.
        what: &'static str,
    },
    /// A page.
    #[error("page {page} {what}")]
    Page {
        /// Its number.
        page: u32,
        /// What it does.
        what: &'static str,
    },
    /// Nobody wants to know any more.
    #[error("it was stopped")]
    Stopped,
}

/// The rows that may differ in two snapshots that nobody writes to, for each table that one of the two has, by its name. `stop` is asked often.
///
/// # Errors
/// Pages cannot tell, or `stop` says so.
pub fn candidates(
    older: &Path,
    newer: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Candidates>, NotUnderstood> {
    let [before, after] = [stamp(older)?, stamp(newer)?];
    let mut older_file = source::Open::of(regular_file::open(older)?, before.size_bytes);
    let mut newer_file = source::Open::of(regular_file::open(newer)?, after.size_bytes);
    let found = between(&mut older_file, &mut newer_file, stop)?;
    for (path, stamped) in [(older, before), (newer, after)] {
        if stamp(path)? != stamped {
            return Err(NotUnderstood::Written(path.to_path_buf()));
        }
    }
    Ok(found)
}

/// By what a file is known that is the whole database: no log and no journal with content lies beside it.
fn stamp(path: &Path) -> Result<Stamp, NotUnderstood> {
    let real = path.canonicalize()?;
    for suffix in ["-wal", "-journal"] {
        let mut name = OsString::from(&real);
        name.push(suffix);
        let beside = PathBuf::from(name);
        match beside.metadata() {
            Ok(metadata) if metadata.len() > 0 => return Err(NotUnderstood::Log(beside)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Stamp::of(&real)?)
}
