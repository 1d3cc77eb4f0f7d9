//! By what a database is known, whatever name it is reached by: a SQLite file by device and inode, a PostgreSQL database by its
//! server's system identifier and its own oid; and by what a file is known to hold what it held (`Stamp`). Values only; `sqlite::identity`,
//! `sqlite::stamp` and `postgres::identity` read them.
//!
//! Two names of one database have one identity, so production is recognised behind another path, host name or pooler.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A file on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Number of the device that holds it.
    pub device: u64,
    pub inode: u64,
}

/// What the system says of a file. A write, a change of its size, a rename or another file at its name moves at least one of these;
/// `ctime` cannot be set back by anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Number of the device that holds it.
    pub device: u64,
    pub inode: u64,
    pub size_bytes: u64,
    /// When its content was last changed, in nanoseconds since 1970.
    pub modified_ns: i64,
    /// When its content, name or rights were last changed, in nanoseconds since 1970.
    pub changed_ns: i64,
}

/// A database on a PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetIdentity {
    /// Made by `initdb`; a physical copy of the server has the same one.
    pub system_identifier: String,
    /// Of the database; one that was dropped and made again under its name has another.
    pub database_oid: u32,
}

impl fmt::Display for SourceIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "device {} inode {}", self.device, self.inode)
    }
}

impl fmt::Display for TargetIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "server {} database {}",
            self.system_identifier, self.database_oid
        )
    }
}
