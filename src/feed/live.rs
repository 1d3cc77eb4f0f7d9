//! The live file: a SQLite database in the session's folder with every row that PostgreSQL has otherwise than the backup, as of the
//! snapshot that was read last. A row is known by its table and its key; its newest state takes the place of the one before.
//!
//! A commit is on the disk when it returns: rows and the snapshot that they are of go in together, in SQLite's write-ahead log with
//! `synchronous = FULL`. That is one wait for the disk a commit, where a rollback journal has three, and whoever reads the file
//! meanwhile is not waited for.
//!
//! Not in here: where rows come from ([`super::reader`]), and writing the tables (`keep`).

mod give;
mod keep;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

pub use give::Inexact;
pub(super) use keep::{Met, NO_KEY};

use super::Error;
use crate::clock;
use crate::format::recorded_moment;
use crate::journal::Folder;
use crate::journal::files::{self, FEED, FEED_SHM, FEED_WAL};

/// `PRAGMA application_id`: says what kind of SQLite file this is ("cutf").
const APPLICATION_ID: i32 = 0x6375_7466;
/// `PRAGMA user_version`.
const VERSION: i32 = 1;

const SCHEMA: &str = "
CREATE TABLE feed (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE feed_tables (name TEXT PRIMARY KEY, target TEXT NOT NULL, key_columns INTEGER NOT NULL, definition TEXT,
    lacks TEXT, is_whole_due INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE feed_rows (row INTEGER PRIMARY KEY, table_name TEXT NOT NULL, key BLOB NOT NULL, operation TEXT NOT NULL,
    UNIQUE (table_name, key));
CREATE TABLE feed_values (row INTEGER NOT NULL, place INTEGER NOT NULL, name TEXT NOT NULL, changed INTEGER NOT NULL, new, was,
    target TEXT, problem TEXT, PRIMARY KEY (row, place)) WITHOUT ROWID;
CREATE INDEX feed_problems ON feed_values (row, problem) WHERE problem IS NOT NULL;
";

/// What the file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub session: String,
    /// The checksum of the backup that rows are compared with.
    pub backup_sha256: String,
    /// The snapshot of `F1`: where reading begins.
    pub since: String,
}

/// Whether keys may have been noted, and their notes be gone, before the file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Nobody has written yet: at `F1`. A file that is not there is made.
    AtSwitch,
    /// Users write: an engine that takes up its session. Where the file is gone, a new one begins by reading every table.
    Later,
}

/// A read that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRead {
    /// PostgreSQL's snapshot: what it does not see is not in the file.
    pub snapshot: String,
    /// When, RFC 3339, by this machine's clock.
    pub at: String,
    /// When, by the boot clock ([`clock::now_ms`]).
    pub at_ms: i64,
    pub boot: String,
}

impl LastRead {
    /// At this moment; of which snapshot, is told by the server afterwards.
    pub(super) fn begins() -> Self {
        Self {
            snapshot: String::new(),
            at: recorded_moment(clock::wall()),
            at_ms: clock::now_ms(),
            boot: clock::boot_id(),
        }
    }
}

/// A live file, open.
pub struct Live {
    connection: Connection,
    path: PathBuf,
}

impl Live {
    /// Opens a session's file to write, and makes it where there is none. The same session's is gone on with.
    ///
    /// # Errors
    /// It is another session's or of another backup, is broken, is no file of the owner's, or cannot be made.
    pub fn open(folder: &Folder, about: &About, begin: Begin) -> Result<Self, Error> {
        let path = FEED.path(folder);
        let failed = |source| Error::File {
            path: path.clone(),
            source,
        };
        if !may_be_opened(folder)? {
            files::make(folder, &FEED).map_err(failed)?;
        }
        let mut live = Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let is_empty = live.is_empty().map_err(|error| live.judged(error))?;
        if !is_empty {
            live.recognise()?;
            live.check(about)?;
        }
        let durable = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL";
        let set = live.connection.execute_batch(durable);
        set.map_err(live.failed("opening"))?;
        if is_empty {
            let filled = live.fill(about, begin);
            filled.map_err(live.failed("making"))?;
        }
        Ok(live)
    }

    /// Opens a session's file to read, also beside who writes it, and where no PostgreSQL answers.
    ///
    /// # Errors
    /// It is not there, is broken, or is no file of the owner's.
    pub fn open_read(folder: &Folder) -> Result<Self, Error> {
        let path = FEED.path(folder);
        if !may_be_opened(folder)? {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(Error::File { path, source });
        }
        let live = Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        live.recognise()?;
        Ok(live)
    }

    fn connect(path: &Path, how: OpenFlags) -> Result<Self, Error> {
        let flags = how | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(Error::sqlite(format!("opening {}", path.display())))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    fn failed(&self, doing: &str) -> impl FnOnce(rusqlite::Error) -> Error + use<> {
        Error::sqlite(format!("{doing} {}", self.path.display()))
    }

    fn not_ours(&self, why: impl Into<String>) -> Error {
        Error::NotOurs {
            path: self.path.clone(),
            why: why.into(),
        }
    }

    /// What SQLite says of a file that is none of its own, or no longer whole, is about the file.
    fn judged(&self, error: rusqlite::Error) -> Error {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                self.not_ours(error.to_string())
            }
            _ => self.failed("reading")(error),
        }
    }

    /// Whether it was made and nothing was written into it: an engine ended in between.
    fn is_empty(&self) -> rusqlite::Result<bool> {
        let objects = "SELECT count(*) FROM sqlite_schema";
        let objects: i64 = self.connection.query_row(objects, [], |row| row.get(0))?;
        let id: i32 = self
            .connection
            .pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok(objects == 0 && id == 0)
    }

    fn fill(&mut self, about: &About, begin: Begin) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.execute_batch(SCHEMA)?;
        let mut pairs = vec![
            ("session", about.session.as_str()),
            ("backup_sha256", about.backup_sha256.as_str()),
            ("since", about.since.as_str()),
            ("snapshot", about.since.as_str()),
            ("program", env!("CARGO_PKG_VERSION")),
        ];
        if begin == Begin::Later {
            pairs.push(("is_late", "yes"));
        }
        for (name, value) in pairs {
            transaction.execute("INSERT INTO feed VALUES (?1, ?2)", params![name, value])?;
        }
        transaction.commit()
    }

    /// Refuses what is no live file.
    fn recognise(&self) -> Result<(), Error> {
        let pragma = |name: &str| {
            let value = self
                .connection
                .pragma_query_value(None, name, |row| row.get(0));
            value.map_err(|error| self.judged(error))
        };
        let id: i32 = pragma("application_id")?;
        let version: i32 = pragma("user_version")?;
        match (id, version) {
            (APPLICATION_ID, VERSION) => Ok(()),
            (APPLICATION_ID, other) => Err(self.not_ours(format!(
                "it is of version {other}, this cutover knows {VERSION}"
            ))),
            _ => Err(self.not_ours("it is another SQLite database")),
        }
    }

    /// Refuses a file of something else, and one that is broken.
    fn check(&self, about: &About) -> Result<(), Error> {
        let whole = self
            .connection
            .pragma_query_value(None, "quick_check", |row| row.get(0));
        let whole: String = whole.map_err(|error| self.judged(error))?;
        if whole != "ok" {
            return Err(self.not_ours(format!("it is damaged: {whole}")));
        }
        let found = self.about()?;
        if found.session != about.session {
            return Err(self.not_ours(format!("it is session {}'s", found.session)));
        }
        if found.backup_sha256 != about.backup_sha256 {
            return Err(self.not_ours("its rows were compared with another backup"));
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT value FROM feed WHERE name = ?1";
        let value = self
            .connection
            .query_row(sql, [name], |row| row.get(0))
            .optional();
        value.map_err(self.failed("reading"))
    }

    /// What it says of itself.
    pub fn about(&self) -> Result<About, Error> {
        let get = |name| Ok::<_, Error>(self.get(name)?.unwrap_or_default());
        Ok(About {
            session: get("session")?,
            backup_sha256: get("backup_sha256")?,
            since: get("since")?,
        })
    }

    /// The read whose rows it holds; `None` where nothing was read yet.
    pub fn last_read(&self) -> Result<Option<LastRead>, Error> {
        let (Some(snapshot), Some(at), Some(at_ms)) =
            (self.get("snapshot")?, self.get("at")?, self.get("at_ms")?)
        else {
            return Ok(None);
        };
        Ok(Some(LastRead {
            snapshot,
            at,
            at_ms: at_ms.parse().unwrap_or_default(),
            boot: self.get("boot")?.unwrap_or_default(),
        }))
    }

    /// The snapshot of the last read that it holds; at first that of `F1`.
    pub fn snapshot(&self) -> Result<String, Error> {
        let snapshot = self.get("snapshot")?;
        snapshot.ok_or_else(|| self.not_ours("it does not say how far it was read"))
    }

    /// How many rows it holds.
    pub fn rows(&self) -> Result<u64, Error> {
        let sql = "SELECT count(*) FROM feed_rows";
        let count = self
            .connection
            .query_row(sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.failed("reading"))
    }
}

/// Looks at all that SQLite will open; whether the file itself is there.
fn may_be_opened(folder: &Folder) -> Result<bool, Error> {
    let look = |row: &files::Row| {
        files::look_at(folder, row).map_err(|source| Error::File {
            path: row.path(folder),
            source,
        })
    };
    look(&FEED_WAL)?;
    look(&FEED_SHM)?;
    look(&FEED)
}
