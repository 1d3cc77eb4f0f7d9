//! One log file, followed line by line across rotation (another file under the name) and truncation (the same file, shorter).
//!
//! Blocking. A file that is cut and grows beyond its former length between two looks cannot be told from one that grew.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Instant;

use crate::regular_file;

/// Bytes of a line that are kept; the rest of it is passed over.
const LINE_LIMIT_BYTES: usize = 64 * 1024;

/// Where a line began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The file's number.
    pub file: u64,
    /// Its first byte.
    pub offset: u64,
    /// Since when this content is followed: since the file was opened, or was last cut.
    pub since: Instant,
}

/// Why a log was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// There is no such file now.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    /// There is more than one look may read.
    #[error("{} grows faster than it is read", .0.display())]
    Behind(PathBuf),
}

/// A file that is followed.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    open: Option<Open>,
    /// Whether the file's content from before we came is passed over.
    skip_to_end: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    number: u64,
    since: Instant,
    /// Bytes read of it.
    offset: u64,
    /// The line that has not ended yet: where it began, and as much of it as is kept.
    line: Vec<u8>,
    line_offset: u64,
}

impl Follower {
    /// Follows a file from where it ends now, which is read off at once. One that does not exist yet is read from its beginning once
    /// it does.
    pub fn at_end(path: PathBuf) -> Follower {
        let mut follower = Follower::new(path);
        follower.begin();
        follower
    }

    /// The same, from where the file ends at [`Follower::begin`], or at the first look.
    pub fn new(path: PathBuf) -> Follower {
        Follower {
            path,
            open: None,
            skip_to_end: true,
        }
    }

    /// Finds the file's end, unless that was done.
    pub fn begin(&mut self) {
        if self.skip_to_end {
            // What goes wrong here goes wrong again at the first look, which can say so.
            let _ = self.open();
            self.skip_to_end = false;
        }
    }

    /// Reads what has been written since the last look, at most so many bytes, and gives out each complete line without its end.
    ///
    /// # Errors
    /// What was there has been read; why that may not be all.
    pub fn read(
        &mut self,
        limit_bytes: usize,
        each: &mut dyn FnMut(&[u8], Place),
    ) -> Result<(), FollowError> {
        let mut left = limit_bytes;
        self.begin();
        loop {
            self.open()?;
            let path = &self.path;
            let unreadable = |source| FollowError::Unreadable {
                path: path.clone(),
                source,
            };
            let open = self.open.as_mut().expect("BUG: just opened");
            open.read(&mut left, each).map_err(unreadable)?;
            if left == 0 {
                return Err(FollowError::Behind(self.path.clone()));
            }
            let now = match std::fs::metadata(&self.path) {
                Ok(now) => now,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    return Err(FollowError::Missing(self.path.clone()));
                }
                Err(source) => return Err(unreadable(source)),
            };
            if now.ino() != open.number {
                open.end_line(each);
                self.open = None;
            } else if now.len() < open.offset {
                open.begin_again().map_err(unreadable)?;
            } else {
                return Ok(());
            }
        }
    }

    fn open(&mut self) -> Result<(), FollowError> {
        if self.open.is_some() {
            return Ok(());
        }
        let opened = Open::new(&self.path, self.skip_to_end);
        self.open = Some(opened.map_err(|source| match source.kind() {
            ErrorKind::NotFound => FollowError::Missing(self.path.clone()),
            _ => FollowError::Unreadable {
                path: self.path.clone(),
                source,
            },
        })?);
        Ok(())
    }
}

impl Open {
    fn new(path: &std::path::Path, at_end: bool) -> std::io::Result<Open> {
        let mut file = regular_file::open(path)?;
        let offset = match at_end {
            true => file.seek(SeekFrom::End(0))?,
            false => 0,
        };
        Ok(Open {
            number: file.metadata()?.ino(),
            file,
            since: Instant::now(),
            offset,
            line: Vec::new(),
            line_offset: offset,
        })
    }

    fn begin_again(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        (self.offset, self.line_offset) = (0, 0);
        self.line.clear();
        self.since = Instant::now();
        Ok(())
    }

    fn read(
        &mut self,
        left: &mut usize,
        each: &mut dyn FnMut(&[u8], Place),
    ) -> std::io::Result<()> {
        let mut buffer = [0; 32 * 1024];
        while *left > 0 {
            let want = buffer.len().min(*left);
            let got = match self.file.read(&mut buffer[..want]) {
                Ok(0) => return Ok(()),
                Ok(got) => got,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            *left -= got;
            self.take(&buffer[..got], each);
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8], each: &mut dyn FnMut(&[u8], Place)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let room = LINE_LIMIT_BYTES - self.line.len();
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            self.offset += piece.len() as u64;
            if piece.ends_with(b"\n") {
                self.end_line(each);
            }
        }
    }

    fn end_line(&mut self, each: &mut dyn FnMut(&[u8], Place)) {
        let line = self.line.trim_ascii_end();
        if !line.is_empty() {
            let place = Place {
                file: self.number,
                offset: self.line_offset,
                since: self.since,
            };
            each(line, place);
        }
        self.line.clear();
        self.line_offset = self.offset;
    }
}
