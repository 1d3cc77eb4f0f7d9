//! Which session has a database, so that no second one begins on it from another folder: a file beside the SQLite file and a row in
//! the target, each naming the session and where it is; and which has the staging slot, by a file of this host's. A claim lasts as long as its
//! session, with or without an engine, and until the engine of one that is over has let go.
//!
//! Not in here: which engine runs a session (`engine::lease`), and whether a target may be attempted again (`session::attempt`).

pub mod source;
pub mod staging;
pub mod target;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::history;
use crate::journal::{Folder, files};
use crate::ours::lock;
use crate::session::{Phase, Session};
use crate::text::printable;

/// The name of this host, as leases and claims have it.
pub fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .chars()
        .take(64)
        .collect()
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// `the SQLite file PATH`, `the target`, `the staging slot URL`.
    pub what: String,
    /// The other session.
    pub session: String,
    pub folder: String,
    pub host: String,
    /// It is over, and its engine still lets go of both databases.
    pub is_ending: bool,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            session,
            folder,
            host,
            is_ending,
        } = self;
        write!(
            f,
            "{what} belongs to session {session}, whose folder is {folder} on {host}, and "
        )?;
        match is_ending {
            false => write!(
                f,
                "that session is not over. Nothing was touched. Go on there with `cutover join --dir {folder}`, or end it there (`cutover rollback \
                 --dir {folder}`) and begin again"
            ),
            true => write!(
                f,
                "that session is over, but its engine still lets go of both databases. Nothing was touched. Begin again in a moment: `cutover status \
                 --dir {folder}` says when it has ended"
            ),
        }
    }
}

impl std::error::Error for Refused {}

/// How far a session has come that has a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// Somebody may go on with it.
    GoesOn,
    /// It is over, and its engine still lets go of both databases.
    Ends,
    /// Nobody will ever go on with it.
    IsOver,
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

    /// Whether nobody will ever go on with that session, and no engine holds anything for it: it is over and its engine has ended, its folder is
    /// gone, or it is a rehearsal whose engine has ended. A session of another host, and one whose folder may not be read, counts as going on.
    pub fn is_over(&self) -> bool {
        self.stands() == Stands::IsOver
    }

    fn stands(&self) -> Stands {
        if self.host != host_name() {
            return Stands::GoesOn;
        }
        match self.folder.try_exists() {
            Ok(false) => return Stands::IsOver,
            Ok(true) => {}
            Err(_) => return Stands::GoesOn,
        }
        match Folder::open_at(&self.folder) {
            Ok(folder) => stands(&folder).unwrap_or(Stands::GoesOn),
            Err(_) if is_given_up(&self.folder) => Stands::IsOver,
            Err(_) => Stands::GoesOn,
        }
    }

    fn refuse(&self, what: String) -> Refused {
        Refused {
            what,
            session: printable(&self.session, 80),
            folder: printable(&self.folder.to_string_lossy(), 300),
            host: printable(&self.host, 80),
            is_ending: self.stands() == Stands::Ends,
        }
    }
}

/// Whether a folder is that of a rehearsal which ended before it had a journal.
fn is_given_up(dir: &Path) -> bool {
    let driver = dir.join(files::REHEARSAL_LOCK.name);
    driver.exists() && !lock::is_held(&driver)
}

/// `None` where its journal cannot be read. While somebody drives the rehearsal it goes on: what it did is undone after its engine has ended.
fn stands(folder: &Folder) -> Option<Stands> {
    if lock::is_held(&files::REHEARSAL_LOCK.path(folder)) {
        return Some(Stands::GoesOn);
    }
    let (history, session) = history::of(folder).ok()?;
    let is_engine_alive = history.follower().engine().ok()?.is_alive();
    Some(
        match (is_over(&session, is_engine_alive), is_engine_alive) {
            (false, _) => Stands::GoesOn,
            (true, true) => Stands::Ends,
            (true, false) => Stands::IsOver,
        },
    )
}

/// Whether nobody will ever go on with a session: it has ended, or it is a rehearsal without an engine, for nobody takes one up again.
pub fn is_over(session: &Session, is_engine_alive: bool) -> bool {
    match session.phase {
        Phase::Completed | Phase::RolledBack => true,
        Phase::Open | Phase::RollingBack => session.charter.rehearsal && !is_engine_alive,
    }
}
