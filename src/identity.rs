//! By what a database is known, whatever name it is reached by: a SQLite file by device and inode, a PostgreSQL database by its
//! server's system identifier and its own oid. Values only; `source::identity` and `target::identity` read them.
//!
//! Two names of one database have one identity, so production is recognised behind another path, host name or pooler.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A file on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Number of the device that holds it.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
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
