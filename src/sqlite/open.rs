//! Opening a database, nearly always to read it: never creating, never repairing, never leaving a file behind for the application to trip over.
//!
//! What cannot be opened is looked at more closely to say why. That look is a raw read and happens only after SQLite has refused
//! the file, when no lock of ours can be on it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::error::Error;
use super::fence;

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long a reader waits for a writer's commit.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A read-only connection to a database that is there, is SQLite and can be read. Symbolic links are followed first, so that
/// the `-wal` and `-journal` beside the real file are the ones used.
///
/// # Errors
/// One variant per kind of bad file: missing (never created), not a file, empty, not SQLite, encrypted, truncated, corrupt, hot
/// journal, somebody else's WAL database, no permission.
pub fn open_read_only(path: &Path) -> Result<Connection, Error> {
    open_read_only_within(path, BUSY_TIMEOUT)
}

/// As [`open_read_only`]; each statement waits `busy_limit` for a writer's commit.
pub fn open_read_only_within(path: &Path, busy_limit: Duration) -> Result<Connection, Error> {
    let file = Candidate::look(path)?;
    file.refuse_foreign_wal()?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(&file.real, flags)?;
        connection.busy_timeout(busy_limit)?;
        // Nothing is read before the first statement; this one reads the header, the schema and the WAL's index.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
            row.get::<_, i64>(0)
        })?;
        Ok(connection)
    };
    let connection = open().map_err(|error| file.explain_after(error, busy_limit))?;
    file.refuse_short(&connection)?;
    Ok(connection)
}

/// Lets a connection read tables whose columns sort by a collation that only the application has: SQLite refuses to read some of them
/// without one. What stands in for it compares bytes, so nothing may be looked up by such a column, nor its order be believed.
pub fn stand_in_for_collations(connection: &Connection) -> rusqlite::Result<()> {
    connection.collation_needed(|connection, name| {
        connection.create_collation(name, |one: &str, other: &str| one.cmp(other))
    })
}

/// A connection that can write to a database that is there; it waits for other writers, and creates nothing.
///
/// # Errors
/// As [`open_read_only`]; that the file cannot be written shows at the first write.
pub fn open_read_write(path: &Path) -> Result<Connection, Error> {
    open_read_write_within(path, BUSY_TIMEOUT)
}

/// As [`open_read_write`]; each statement waits `busy_limit` for other writers.
pub fn open_read_write_within(path: &Path, busy_limit: Duration) -> Result<Connection, Error> {
    drop(open_read_only_within(path, busy_limit)?);
    let file = Candidate::look(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(&file.real, flags)?;
        connection.busy_timeout(busy_limit)?;
        Ok(connection)
    };
    open().map_err(|error| file.explain_after(error, busy_limit))
}

/// A path that could be a database, before SQLite has looked at it.
pub(super) struct Candidate {
    /// As the operator wrote it: what messages say.
    pub(super) named: PathBuf,
    /// With links followed.
    pub(super) real: PathBuf,
    size_bytes: u64,
    owner_uid: u32,
    identity: fence::FileIdentity,
}

impl Candidate {
    /// Looks from outside, without opening.
    pub(super) fn look(path: &Path) -> Result<Self, Error> {
        let named = path.to_path_buf();
        let read = |source| Error::from_io("read", path, 0, source);
        let real = path.canonicalize().map_err(read)?;
        let metadata = real.metadata().map_err(read)?;
        let kind = metadata.file_type();
        let what = match () {
            () if kind.is_file() => None,
            () if kind.is_dir() => Some("directory"),
            () if kind.is_socket() => Some("socket"),
            () if kind.is_fifo() => Some("pipe"),
            () => Some("device"),
        };
        if let Some(what) = what {
            return Err(Error::NotAFile { path: named, what });
        }
        let size_bytes = metadata.len();
        if size_bytes == 0 && sibling(&real, "-wal").metadata().map_or(0, |wal| wal.len()) == 0 {
            return Err(Error::Empty { path: named });
        }
        let identity = fence::FileIdentity::of(&metadata);
        Ok(Self {
            named,
            real,
            size_bytes,
            owner_uid: metadata.uid(),
            identity,
        })
    }

    /// As neither owner nor root, a first read could create a `-shm` that the owner cannot write.
    pub(super) fn refuse_foreign_wal(&self) -> Result<(), Error> {
        let our_uid = rustix::process::geteuid().as_raw();
        if our_uid == 0 || our_uid == self.owner_uid {
            return Ok(());
        }
        match self.header() {
            Some(header) if header.is_wal() => Err(Error::NotOwner {
                path: self.named.clone(),
                owner_uid: self.owner_uid,
                our_uid,
            }),
            _ => Ok(()),
        }
    }

    /// As [`Self::explain`], of a statement that waited so long for others.
    fn explain_after(&self, error: rusqlite::Error, busy_limit: Duration) -> Error {
        match self.explain(error) {
            Error::Busy {
                path,
                holders_found,
                ..
            } => Error::Busy {
                path,
                waited_ms: u64::try_from(busy_limit.as_millis()).unwrap_or(u64::MAX),
                holders_found,
            },
            other => other,
        }
    }

    /// What SQLite's refusal means.
    pub(super) fn explain(&self, error: rusqlite::Error) -> Error {
        let path = self.named.clone();
        let extended = error.sqlite_error().map_or(0, |inner| inner.extended_code);
        let journal = sibling(&self.real, "-journal");
        match (error.sqlite_error_code(), extended) {
            (_, ffi::SQLITE_READONLY_ROLLBACK) => Error::HotJournal { path, journal },
            (Some(ErrorCode::NotADatabase), _) => self.not_a_database(),
            (Some(ErrorCode::DatabaseCorrupt), _) => self.corrupt(&error),
            (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => Error::Busy {
                path,
                waited_ms: u64::try_from(BUSY_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
                holders_found: super::holders::of(&self.real),
            },
            (
                Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied),
                _,
            ) => self.cannot_open(error),
            _ => Error::Sqlite {
                doing: "open",
                path,
                source: error,
            },
        }
    }

    /// A file shorter than its header says; SQLite itself notices only when it reads past the end.
    fn refuse_short(&self, connection: &Connection) -> Result<(), Error> {
        if sibling(&self.real, "-wal")
            .metadata()
            .is_ok_and(|wal| wal.len() > 0)
        {
            return Ok(()); // the pages may be there; integrity_check reads them all
        }
        let pragma =
            |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let expected = pragma("page_count").and_then(|pages| Ok(pages * pragma("page_size")?));
        let expected_bytes = expected
            .map_err(|error| self.explain(error))?
            .cast_unsigned();
        if self.size_bytes < expected_bytes {
            // Measured again: the application may have grown the file between the two looks.
            let size_bytes = self
                .real
                .metadata()
                .map_or(self.size_bytes, |metadata| metadata.len());
            if size_bytes < expected_bytes {
                return Err(Error::Truncated {
                    path: self.named.clone(),
                    size_bytes,
                    expected_bytes,
                });
            }
        }
        Ok(())
    }

    fn not_a_database(&self) -> Error {
        let path = self.named.clone();
        match self.header() {
            Some(header) if self.size_bytes.is_multiple_of(512) && header.looks_random() => {
                Error::Encrypted { path }
            }
            _ => Error::NotSqlite { path },
        }
    }

    fn corrupt(&self, error: &rusqlite::Error) -> Error {
        let path = self.named.clone();
        let expected_bytes = self
            .header()
            .and_then(|header| header.expected_bytes())
            .unwrap_or(0);
        if self.size_bytes < expected_bytes {
            return Error::Truncated {
                path,
                size_bytes: self.size_bytes,
                expected_bytes,
            };
        }
        Error::Corrupt {
            path,
            findings: vec![crate::text::printable(&error.to_string(), 200)],
        }
    }

    fn cannot_open(&self, error: rusqlite::Error) -> Error {
        let path = self.named.clone();
        let readable = rustix::fs::access(&self.real, rustix::fs::Access::READ_OK).is_ok();
        if !readable {
            return Error::Permission {
                doing: "read",
                path,
            };
        }
        if self.header().is_some_and(|header| header.is_wal()) {
            return Error::ReadOnlyFolder { path };
        }
        Error::Sqlite {
            doing: "open",
            path,
            source: error,
        }
    }

    /// The header, read raw: never while this process holds the fence on the file, for closing it would drop the fence.
    fn header(&self) -> Option<Header> {
        if fence::is_held(self.identity) {
            return None;
        }
        let mut bytes = [0; 100];
        let mut file = File::open(&self.real).ok()?;
        file.read_exact(&mut bytes).ok()?;
        Some(Header(bytes))
    }
}

/// `path` with `suffix` appended to its name, as SQLite names the files beside a database.
pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// The first 100 bytes of a database file.
struct Header([u8; 100]);

impl Header {
    fn is_sqlite(&self) -> bool {
        self.0.starts_with(MAGIC)
    }

    fn is_wal(&self) -> bool {
        self.is_sqlite() && (self.0[18] == 2 || self.0[19] == 2)
    }

    /// Pages times page size.
    fn expected_bytes(&self) -> Option<u64> {
        let page_size = match u16::from_be_bytes([self.0[16], self.0[17]]) {
            1 => 65_536,
            size => u64::from(size),
        };
        let pages = u32::from_be_bytes([self.0[28], self.0[29], self.0[30], self.0[31]]);
        self.is_sqlite().then_some(page_size * u64::from(pages))
    }

    /// Whether the bytes have no structure: no long runs, hardly any value more than a few times, not mostly readable text.
    fn looks_random(&self) -> bool {
        let mut counts = [0u8; 256];
        for &byte in &self.0 {
            counts[usize::from(byte)] += 1;
        }
        let distinct = counts.iter().filter(|&&count| count > 0).count();
        let readable = self
            .0
            .iter()
            .filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
            .count();
        distinct > 60 && readable < 70
    }
}
