//! Whether a database was written to between two moments, seen by one process that reads it meanwhile.
//!
//! One held connection hears of every commit (`data_version`); device, inode, size and times of the file and its log tell of what is
//! done to them without SQLite. Where only those moved, the content decides ([`super::content`]). Keeping writers out is
//! [`super::fence`]'s.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::content;
use super::error::Error;
use super::open::{open_read_only, sibling};
use super::stamp::Stamp;

/// A database from one moment on.
pub struct Watch {
    path: PathBuf,
    connection: Mutex<Connection>,
    data_version: i64,
    files: [Option<Stamp>; 2],
    content: Option<String>,
}

impl Watch {
    /// Watches from now on. With `by_content`, the content is read whole and hashed, once here and again only where files moved
    /// without a commit.
    ///
    /// # Errors
    /// The file cannot be read, or is written to right now.
    pub fn begin(path: &Path, by_content: bool) -> Result<Self, Error> {
        let connection = open_read_only(path)?;
        let mut watch = Self {
            path: path.to_path_buf(),
            data_version: data_version(&connection, path)?,
            connection: Mutex::new(connection),
            files: files(path),
            content: None,
        };
        if by_content {
            watch.content = Some(content::digest(path)?);
        }
        Ok(watch)
    }

    /// The content's SHA-256, where it was asked for.
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// What happened to the database since; None: nothing.
    pub fn change(&self) -> Result<Option<String>, Error> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if data_version(&connection, &self.path)? != self.data_version {
            return Ok(Some("somebody committed to it".to_owned()));
        }
        drop(connection);
        let now = files(&self.path);
        if now == self.files {
            return Ok(None);
        }
        let identity =
            |stamps: &[Option<Stamp>; 2]| stamps[0].map(|stamp| (stamp.device, stamp.inode));
        if identity(&now) != identity(&self.files) {
            return Ok(Some("another file has taken its place".to_owned()));
        }
        match &self.content {
            Some(before) if content::digest(&self.path)? == *before => Ok(None),
            Some(_) => Ok(Some("its content is another".to_owned())),
            None => Ok(Some("its file or its log was touched".to_owned())),
        }
    }
}

fn data_version(connection: &Connection, path: &Path) -> Result<i64, Error> {
    connection
        .pragma_query_value(None, "data_version", |row| row.get(0))
        .map_err(|source| Error::Sqlite {
            doing: "read",
            path: path.to_path_buf(),
            source,
        })
}

/// The file, and its write-ahead log where it has one with content. Another name or other rights are no change of either.
fn files(path: &Path) -> [Option<Stamp>; 2] {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let stamp = |path: &Path| {
        let stamp = Stamp::of(path).ok()?;
        Some(Stamp {
            changed_ns: 0,
            ..stamp
        })
    };
    [
        stamp(&real),
        stamp(&sibling(&real, "-wal")).filter(|log| log.size_bytes > 0),
    ]
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::Watch;

    fn sample(mode: &str) -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = {mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a');"
            ))
            .unwrap();
        (folder, path, connection)
    }

    #[test]
    fn a_commit_is_seen_in_every_journal_mode_and_reading_is_none() {
        for mode in ["WAL", "DELETE", "TRUNCATE", "PERSIST"] {
            let (_folder, path, writer) = sample(mode);
            let watch = Watch::begin(&path, true).unwrap();
            let count: i64 = Connection::open(&path)
                .unwrap()
                .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
                .unwrap();
            assert_eq!((count, watch.change().unwrap()), (1, None), "{mode}");
            // There and back again: the content is as before, and a reader between saw another.
            writer.execute("UPDATE t SET v = 'b'", []).unwrap();
            writer.execute("UPDATE t SET v = 'a'", []).unwrap();
            assert!(watch.change().unwrap().is_some(), "{mode}");
        }
    }

    #[test]
    fn a_file_that_is_replaced_or_overwritten_is_seen_and_a_touched_one_is_the_same() {
        let (folder, path, writer) = sample("DELETE");
        drop(writer);
        let other = folder.path().join("other.db");
        std::fs::copy(&path, &other).unwrap();
        let watch = Watch::begin(&path, true).unwrap();
        let now = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        let touch = std::fs::File::options().write(true).open(&path).unwrap();
        touch.set_modified(now).unwrap();
        assert_eq!(watch.change().unwrap(), None);

        let connection = Connection::open(&other).unwrap();
        connection.execute("UPDATE t SET v = 'other'", []).unwrap();
        drop(connection);
        let in_place = std::fs::read(&other).unwrap();
        std::fs::write(&path, in_place).unwrap();
        assert!(watch.change().unwrap().is_some());

        let watch = Watch::begin(&path, true).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(watch.change().unwrap().is_some());
    }
}
