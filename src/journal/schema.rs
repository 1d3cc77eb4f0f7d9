//! The tables of a journal, and how its file is opened: to write, to read beside a living engine, and to read where nothing may be
//! written.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

use super::canonical::FORMAT;
use super::chain::Damage;
use super::error::Error;
use super::files;
use super::folder::Folder;
use super::head::sync_parent;

/// Marks a SQLite file as a journal of ours: "cutj".
const APPLICATION_ID: i64 = 0x6375_746a;

/// How long a statement waits for another connection's write or checkpoint.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE entries (
    seq      INTEGER PRIMARY KEY,
    fencing  INTEGER NOT NULL,
    at_ms    INTEGER NOT NULL,
    wall     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    body     TEXT NOT NULL,
    previous BLOB NOT NULL,
    hash     BLOB NOT NULL
) STRICT;
CREATE TRIGGER entries_are_never_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_are_never_deleted BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never deleted'); END;
CREATE TABLE leases (fencing INTEGER PRIMARY KEY, holder TEXT NOT NULL) STRICT;
CREATE TABLE beat (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    fencing  INTEGER NOT NULL,
    boot_id  TEXT NOT NULL,
    boot_ms  INTEGER NOT NULL
) STRICT;
CREATE TABLE signals (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE samples (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    signal  INTEGER NOT NULL,
    at_ms   INTEGER NOT NULL,
    value   REAL,
    no_data TEXT,
    n       INTEGER
) STRICT;
CREATE INDEX samples_by_signal ON samples (signal, at_ms);
CREATE TABLE thinned (
    only_row  INTEGER PRIMARY KEY CHECK (only_row = 1),
    before_ms INTEGER NOT NULL,
    every_ms  INTEGER NOT NULL,
    gone_before_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE progress (
    step  TEXT NOT NULL,
    item  TEXT NOT NULL,
    done  INTEGER NOT NULL,
    total INTEGER,
    unit  TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (step, item)
) STRICT;
CREATE TABLE outputs (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    step    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream  TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    line    TEXT NOT NULL
) STRICT;
CREATE INDEX outputs_by_step ON outputs (step, attempt, id);
CREATE TABLE output_cuts (
    step    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lines   INTEGER NOT NULL,
    PRIMARY KEY (step, attempt)
) STRICT;
CREATE TABLE artefacts (
    sha256          BLOB NOT NULL,
    name            TEXT NOT NULL,
    kind            TEXT NOT NULL,
    size_bytes      INTEGER NOT NULL,
    full_size_bytes INTEGER NOT NULL,
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (sha256, name)
) STRICT;
CREATE TABLE board (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
";

/// How durable a connection's commits are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Durability {
    /// Each commit is on the disk when it returns: entries and leases.
    Full,
    /// A power cut may take the last commits, never the file's integrity: samples, progress, output.
    Batched,
}

/// Which file lies at a path: tells a file from another one put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Looks with `stat` alone: opening and closing the journal in a process that holds SQLite's locks on it would drop them.
    pub fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        if !found.is_file() {
            let why = "is no plain file: it is neither read nor written";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
        })
    }
}

/// Opens the journal to write, making it where there is none. The caller holds the lease.
pub(super) fn open_to_write(folder: &Folder, durability: Durability) -> Result<Connection, Error> {
    let path = folder.journal_path();
    make_file(folder, &path).map_err(Error::io("make", &path))?;
    FileId::of(&path).map_err(Error::io("open", &path))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let failed = || Error::sqlite("open", &path);
    let mut conn = Connection::open_with_flags(&path, flags).map_err(failed())?;
    prepare(&conn).map_err(failed())?;
    match identify(&conn, &path)? {
        Identity::Ours => check_tables(&conn, &path)?,
        Identity::Empty => make_tables(&mut conn).map_err(Error::sqlite("make", &path))?,
    }
    let mode: String = conn
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(failed())?;
    if mode != "wal" {
        return Err(Error::NotAJournal {
            path,
            why: format!(
                "this file system does not let SQLite use a write-ahead log (it stays in mode {mode})"
            ),
        });
    }
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Batched => "NORMAL",
    };
    conn.pragma_update(None, "synchronous", synchronous)
        .map_err(failed())?;
    // SQLite swallows the errors of its automatic checkpoint, and a failed fsync with them. Ours is called by hand and looked at.
    conn.pragma_update(None, "wal_autocheckpoint", 0)
        .map_err(failed())?;
    Ok(conn)
}

/// A connection that only reads.
pub(super) struct Reading {
    pub conn: Connection,
    /// Nothing may be written beside the file, so what is read is how it lay when it was opened; this is how its log lay then.
    pub frozen: Option<LogState>,
    pub file: FileId,
    /// Where file and log were copied to, for as long as they are read.
    _copy: Option<TempDir>,
}

/// Opens the journal to read, beside an engine that may be writing it, after one that died, or in a folder that nobody may write to.
pub(super) fn open_to_read(folder: &Folder) -> Result<Reading, Error> {
    let path = folder.journal_path();
    let file = FileId::of(&path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::Missing { path: path.clone() },
        _ => Error::io("read", &path)(e),
    })?;
    let log = LogState::of(&path);
    let reading = |conn, frozen, copy| Reading {
        conn,
        frozen,
        file,
        _copy: copy,
    };
    let at_home = OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match connect_to_read(&path, at_home, false) {
        Ok(conn) => Ok(reading(conn, None, None)),
        // A write-ahead log needs an index beside it. Where none can be made, the file is read as it lies, if its log is empty; else
        // from a copy. Leaving the log aside would show an older state and look sound.
        Err(Error::Sqlite { source, .. }) if cannot_write_beside(&source) => {
            if log_size_bytes(&path) == 0 {
                return Ok(reading(
                    connect_to_read(&path, at_home, true)?,
                    Some(log),
                    None,
                ));
            }
            let copy = copy_with_log(&path).map_err(Error::io("copy, to read it,", &path))?;
            let none = OpenFlags::empty();
            let conn = connect_to_read(&copy.path().join("journal.db"), none, false)?;
            Ok(reading(conn, Some(log), Some(copy)))
        }
        Err(e) => Err(e),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "into a temporary folder that was just made"
)]
fn copy_with_log(path: &Path) -> io::Result<TempDir> {
    let copy = TempDir::with_prefix("cutover-journal-")?;
    let to = copy.path().join("journal.db");
    for (from, to) in [(path, &to), (&log_path(path), &log_path(&to))] {
        io::copy(&mut files::look_into(from)?, &mut fs::File::create(to)?)?;
    }
    Ok(copy)
}

fn connect_to_read(path: &Path, more: OpenFlags, frozen: bool) -> Result<Connection, Error> {
    let flags = more
        | OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let failed = || Error::sqlite("read", path);
    let conn = Connection::open_with_flags(uri(path, frozen), flags).map_err(failed())?;
    prepare(&conn).map_err(failed())?;
    match identify(&conn, path)? {
        Identity::Ours => check_tables(&conn, path)?,
        Identity::Empty => {
            return Err(Error::Missing {
                path: path.to_owned(),
            });
        }
    }
    Ok(conn)
}

/// A `file:` URI in which nothing of the path is taken for a parameter.
fn uri(path: &Path, frozen: bool) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(byte.into()),
            b if b.is_ascii_alphanumeric() => uri.push(b.into()),
            b => uri.push_str(&format!("%{b:02X}")),
        }
    }
    uri.push_str(if frozen { "?immutable=1" } else { "" });
    uri
}

fn cannot_write_beside(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    )
}

/// The write-ahead log's path.
pub(super) fn log_path(journal: &Path) -> PathBuf {
    let mut path = journal.to_owned().into_os_string();
    path.push("-wal");
    path.into()
}

/// Tells a write-ahead log from itself after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogState {
    size_bytes: u64,
    modified: Option<SystemTime>,
}

impl LogState {
    pub fn of(journal: &Path) -> Self {
        let meta = fs::metadata(log_path(journal)).ok();
        Self {
            size_bytes: meta.as_ref().map_or(0, fs::Metadata::len),
            modified: meta.and_then(|m| m.modified().ok()),
        }
    }
}

pub(super) fn log_size_bytes(journal: &Path) -> u64 {
    fs::metadata(log_path(journal)).map_or(0, |m| m.len())
}

/// Copies the log into the file as far as readers let it. Its fsync errors count like those of a commit.
pub(super) fn checkpoint(conn: &Connection, path: &Path) -> Result<(), Error> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .map_err(Error::sqlite("checkpoint", path))
}

fn make_file(folder: &Folder, path: &Path) -> io::Result<()> {
    match files::make(folder, &files::JOURNAL)? {
        Some(_) => sync_parent(path),
        None => Ok(()),
    }
}

/// Settings that write nothing, for any connection.
fn prepare(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    // macOS: only this makes an fsync reach the platter.
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)
}

enum Identity {
    Ours,
    Empty,
}

fn identify(conn: &Connection, path: &Path) -> Result<Identity, Error> {
    let pragma = |name| {
        conn.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(Error::sqlite("read", path))
    };
    let tables: i64 = conn
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(Error::sqlite("read", path))?;
    match (pragma("application_id")?, pragma("user_version")?, tables) {
        (0, 0, 0) => Ok(Identity::Empty),
        (APPLICATION_ID, version, _) if version == i64::from(FORMAT) => Ok(Identity::Ours),
        (APPLICATION_ID, found, _) if found > i64::from(FORMAT) => Err(Error::Newer {
            path: path.to_owned(),
            found,
        }),
        _ => Err(Error::NotAJournal {
            path: path.to_owned(),
            why: "it is some other SQLite database".to_owned(),
        }),
    }
}

fn make_tables(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction()?;
    tx.execute_batch(TABLES)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", FORMAT)?;
    tx.commit()
}

/// Tables, indexes and triggers are exactly those of [`TABLES`]: a trigger that somebody added would run inside our writes.
fn check_tables(conn: &Connection, path: &Path) -> Result<(), Error> {
    let list = |conn: &Connection| {
        conn.prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<Vec<(String, String, String)>>>()
    };
    let expected = || {
        let conn = Connection::open_in_memory()?;
        conn.execute_batch(TABLES)?;
        list(&conn)
    };
    let expected = expected().expect("BUG: the journal's own tables cannot be made");
    let found = list(conn).map_err(Error::sqlite("read", path))?;
    let odd = expected
        .iter()
        .find(|e| !found.contains(e))
        .or_else(|| found.iter().find(|f| !expected.contains(f)));
    match odd {
        None => Ok(()),
        Some((what, name, _)) => Err(Error::Damaged {
            path: path.to_owned(),
            damage: Damage::File {
                why: format!(
                    "its {what} “{}” is not as cutover made it",
                    crate::text::printable(name, 64)
                ),
            },
        }),
    }
}
