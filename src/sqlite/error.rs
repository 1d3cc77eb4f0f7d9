//! What can go wrong on the SQLite side, by kind, each with what to do next.

use std::path::{Path, PathBuf};

/// An error of the source. None of these leaves the application's file changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there. `cutover` never creates a source.
    #[error("there is no file at {path}; nothing was created. Look whether its path is right and its disk is there", path = path.display())]
    Missing { path: PathBuf },
    /// A directory, socket or device.
    #[error("{path} is a {what}, not a file. Name the database file itself", path = path.display())]
    NotAFile {
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Zero bytes.
    #[error("{path} is empty (0 bytes). Is this the file that the application opens? An application started in another folder makes an empty one", path = path.display())]
    Empty { path: PathBuf },
    /// It begins like something else.
    #[error("{path} is not a SQLite database: it does not begin with `SQLite format 3`. Name the file that the application opens", path = path.display())]
    NotSqlite { path: PathBuf },
    /// Whole pages of bytes without any order: an encrypted database (SQLCipher, SEE).
    #[error("{path} looks encrypted: whole pages, and no readable header. Decrypt a copy with the application's own tool (for SQLCipher `sqlcipher_export`) and use that", path = path.display())]
    Encrypted { path: PathBuf },
    /// Shorter than its own header says.
    #[error("{path} is cut short: {size_bytes} bytes, and its header counts {expected_bytes}. It is an incomplete copy; take it again with `sqlite3 FILE \".backup COPY\"`", path = path.display())]
    Truncated {
        path: PathBuf,
        size_bytes: u64,
        /// What its header says.
        expected_bytes: u64,
    },
    /// SQLite itself finds it damaged.
    #[error("{path} is damaged: {}. Stop here and restore a sound backup, or repair a copy with `sqlite3 FILE .recover`", findings.join("; "), path = path.display())]
    Corrupt {
        path: PathBuf,
        /// What the check found, the first few.
        findings: Vec<String>,
    },
    /// A transaction was cut off, and its journal still has to be rolled back by a writer.
    #[error("{path} has a hot journal ({journal}): a writer died in the middle of a transaction. Start and stop the application once, or open the file with `sqlite3` and run any query, so that the transaction is rolled back; never delete the journal", path = path.display(), journal = journal.display())]
    HotJournal { path: PathBuf, journal: PathBuf },
    /// Opening a live WAL database as somebody else can leave a `-shm` that the application cannot write.
    #[error("{path} is in WAL mode and belongs to user {owner_uid}, and we are user {our_uid}: opening it could leave files beside it that the application cannot write. Run cutover as the owner or as root", path = path.display())]
    NotOwner {
        path: PathBuf,
        owner_uid: u32,
        our_uid: u32,
    },
    /// The operating system says no.
    #[error("no permission to {doing} {path}. Run cutover as the file's owner or give that right", path = path.display())]
    Permission {
        /// `read`, `write`, `create`.
        doing: &'static str,
        path: PathBuf,
    },
    /// A WAL database where the files beside it can be neither read nor made.
    #[error("{path} is in WAL mode and its folder is read-only, so that it cannot be opened. Make the folder writable for the owner, or copy the file together with its -wal", path = path.display())]
    ReadOnlyFolder { path: PathBuf },
    /// Somebody else holds a lock for longer than we wait.
    #[error("{path} is locked by another process for more than {waited_ms} ms. {}", holders(holders_found), path = path.display())]
    Busy {
        path: PathBuf,
        /// How long we asked.
        waited_ms: u64,
        /// Processes that have the file open, where the system tells.
        holders_found: Vec<Holder>,
    },
    /// Commits went on while nobody should write.
    #[error("{path} is still being written: {changes} change(s) seen in {watched_ms} ms of the quiet period. Maintenance mode does not hold every writer. {} The file is not fenced", holders(holders_found), path = path.display())]
    StillWriting {
        path: PathBuf,
        /// How many times the file was seen changed.
        changes: u32,
        /// How long was watched until it was clear.
        watched_ms: u64,
        /// Processes that have the file open, where the system tells.
        holders_found: Vec<Holder>,
    },
    /// Somebody could write past the fence, so there is none.
    #[error("{path} cannot be fenced: {way}. The file is not fenced, and nothing was changed", path = path.display())]
    PastTheFence {
        path: PathBuf,
        way: super::names::OtherName,
    },
    /// An index or column sorts by a collation that only the application knows.
    #[error("{path} uses the collation {collation:?} ({used_by}), which only the application defines; its order cannot be checked. Rebuild that index or column with a built-in collation in a copy, or leave the table out", path = path.display())]
    UnknownCollation {
        path: PathBuf,
        collation: String,
        /// The first index or table that uses it.
        used_by: String,
    },
    /// Not enough room, known before or met on the way.
    #[error("the disk of {disk} is full: {needed_bytes} bytes are needed there and {free_bytes} are free. Nothing was left at the final name; make room on that disk, or choose another folder", disk = disk.display())]
    DiskFull {
        /// The mount point of the disk.
        disk: PathBuf,
        /// For all of it.
        needed_bytes: u64,
        /// At the time.
        free_bytes: u64,
    },
    /// A backup is never overwritten.
    #[error("{path} is already there and is never overwritten: it is no copy that was left for the present attempt. Look whether it is still needed, move it away with its `.sha256`, and try again", path = path.display())]
    AlreadyThere {
        /// The final name.
        path: PathBuf,
    },
    /// The bytes are not the ones whose checksum was recorded.
    #[error("{path} does not have the recorded checksum: SHA-256 is {found}, recorded is {recorded}. Do not use it; take the backup again", path = path.display())]
    Checksum {
        path: PathBuf,
        recorded: String,
        found: String,
    },
    /// The `.sha256` file holds no line for its database.
    #[error("{path} is not a checksum file: expected `<64 hex digits>  <file name>`", path = path.display())]
    ChecksumFile { path: PathBuf },
    /// A sample query of the restore drill failed.
    #[error("the sample query {query:?} failed on {path}: {source}", path = path.display())]
    SampleQuery {
        path: PathBuf,
        /// As the runbook has it.
        query: String,
        source: rusqlite::Error,
    },
    /// Asked to stop. What was half done is gone.
    #[error("cancelled; nothing was left at the final name")]
    Cancelled,
    /// Reading or writing failed.
    #[error("cannot {doing} {path}: {source}", path = path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// SQLite said something that has no kind of its own here.
    #[error("SQLite cannot {doing} {path}: {source}", path = path.display())]
    Sqlite {
        doing: &'static str,
        path: PathBuf,
        source: rusqlite::Error,
    },
}

/// A process that has the database open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its command name, made harmless.
    pub name: String,
}

fn holders(found: &[Holder]) -> String {
    if found.is_empty() {
        return "Find the process with `fuser -v FILE` and stop its writes.".to_owned();
    }
    let list: Vec<String> = found
        .iter()
        .map(|holder| format!("{} ({})", holder.name, holder.pid))
        .collect();
    format!("Processes that have it open: {}.", list.join(", "))
}

impl Error {
    /// An I/O error with the disk-full and permission cases told apart.
    pub(crate) fn from_io(
        doing: &'static str,
        path: &Path,
        needed_bytes: u64,
        source: std::io::Error,
    ) -> Self {
        use std::io::ErrorKind;
        let path = path.to_path_buf();
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                let disk = super::disk::of(&path);
                Self::DiskFull {
                    disk: disk.mount,
                    needed_bytes,
                    free_bytes: disk.free_bytes,
                }
            }
            ErrorKind::PermissionDenied => Self::Permission { doing, path },
            ErrorKind::NotFound if doing == "read" => Self::Missing { path },
            _ => Self::Io {
                doing,
                path,
                source,
            },
        }
    }
}
