//! The feed: what is written to PostgreSQL from the switch to the release or the rollback is noted there, key by key, and followed from
//! here, so that a rollback loses nothing of it, and need not ask a server that may be dead.
//!
//! [`capture`] makes the notes: triggers on the moved tables. [`reader`] reads them and the rows of their keys, again and again, and puts
//! what SQLite does not have into the session's [`live`] file: the state of each row, not what was done to it one after the other.
//!
//! Whether all this can be made is asked [`beforehand`].
//!
//! Not in here: when a session begins and ends the feed (`step`), and how rows are compared and get into SQLite (`salvage`).

pub mod beforehand;
pub mod capture;
mod error;
pub mod live;
pub mod reader;

pub use error::Error;
pub use live::Live;
pub use reader::{FeedState, Reader, Reading, captured, run};

use std::sync::Arc;

use tokio::sync::Mutex;

/// Where a reader is left that has ended, with all that it has learned of the backup, for who reads the last of what was written.
pub type Handover = Arc<Mutex<Option<Reader>>>;
