//! Which session has a database, so that no second one begins on it from another folder: a file beside the SQLite file and a row in
//! the target, each naming the session and where it is; and which has the staging slot, by a file of this host's. A claim lasts as long as its
//! session, with or without an engine.
//!
//! Not in here: which engine runs a session (`engine::lease`), and whether a target may be attempted again (`session::attempt`).

pub mod source;
pub mod staging;
pub mod target;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::lease::host_name;
use crate::history;
use crate::journal::{Folder, files};
use crate::ours::lock;
use crate::session::{Phase, Session};
use crate::text::printable;

/// Who has a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Name of the session.
    pub session: String,
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// The host on which it is.
    pub host: String,
}

/// Another session has the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} belongs to session {session}, whose folder is {folder} on {host}, and that session is not over. Nothing was touched. Go on there \
     with `cutover join --dir {folder}`, or end it there (`cutover rollback --dir {folder}`) and begin again"
)]
pub struct Refused {
    /// `the SQLite file PATH`, `the target`, `the staging slot URL`.
    pub what: String,
    /// The other session.
    pub session: String,
    /// Its folder.
    pub folder: String,
    /// Its host.
    pub host: String,
}

impl Claim {
    /// The claim of a session of this host.
    pub fn of(folder: &Folder) -> Self {
        Self {
            session: folder.session(),
            folder: folder.dir().to_owned(),
            host: host_name(),
        }
    }

    /// Whether nobody will ever go on with that session: it is over, its folder is gone, or it is a rehearsal whose engine has ended. A session of another host, and one whose
    /// folder may not be read, counts as going on.
    pub fn is_over(&self) -> bool {
        if self.host != host_name() {
            return false;
        }
        match self.folder.try_exists() {
            Ok(false) => return true,
            Ok(true) => {}
            Err(_) => return false,
        }
        match Folder::open_at(&self.folder) {
            Ok(folder) => nobody_goes_on_with(&folder),
            Err(_) => is_given_up(&self.folder),
        }
    }

    fn refuse(&self, what: String) -> Refused {
        Refused {
            what,
            session: printable(&self.session, 80),
            folder: printable(&self.folder.to_string_lossy(), 300),
            host: printable(&self.host, 80),
        }
    }
}

/// Whether a folder is that of a rehearsal which ended before it had a journal.
fn is_given_up(dir: &Path) -> bool {
    let driver = dir.join(files::REHEARSAL_LOCK.name);
    driver.exists() && !lock::is_held(&driver)
}

/// False where its journal cannot be read, and while somebody drives the rehearsal: what it did is undone after its engine has ended.
fn nobody_goes_on_with(folder: &Folder) -> bool {
    if lock::is_held(&files::REHEARSAL_LOCK.path(folder)) {
        return false;
    }
    let look = || {
        let (history, session) = history::of(folder).ok()?;
        Some(is_over(
            &session,
            history.follower().engine().ok()?.is_alive(),
        ))
    };
    look().unwrap_or(false)
}

/// Whether nobody will ever go on with a session: it has ended, or it is a rehearsal without an engine, for nobody takes one up again.
pub fn is_over(session: &Session, is_engine_alive: bool) -> bool {
    match session.phase {
        Phase::Completed | Phase::RolledBack => true,
        Phase::Open | Phase::RollingBack => session.charter.rehearsal && !is_engine_alive,
    }
}
