//! The session's durable memory: events chained by hash, samples and progress beside them.
//!
//! One SQLite file per session folder. Its `entries` are append-only, written with `synchronous=FULL`, and each is chained to the
//! one before by a SHA-256 over a [canonical form](canonical); the chain's [head](head) is also kept outside the file. Samples,
//! progress, step output and the list of artefacts lie in tables beside them: not chained, written in batches, bounded.
//!
//! - The engine alone writes, through [`Journal`] (entries) and [`Scribe`] (what lies beside), and only while it holds the lease.
//! - Everyone else reads, through [`Follower`].
//!
//! Not in here: what an entry means. An entry is a kind and a JSON body; `session` gives it its meaning.

mod artefact;
pub mod canonical;
mod chain;
mod error;
pub mod files;
pub mod folder;
mod follower;
pub mod head;
pub mod holder;
pub mod lines;
mod notes;
mod record;
mod reserve;
mod schema;
mod spare;
mod writer;

pub use artefact::{ARTEFACT_MAX_BYTES, ARTEFACTS_MAX_BYTES};
pub use canonical::Hash;
pub use chain::{Damage, Verified, verify};
pub use error::Error;
pub use folder::{Folder, Found};
pub use follower::Follower;
pub use head::{Head, sealed};
pub use holder::{Beat, EngineState, Holder, is_engine_alive};
pub use notes::{FIRST_LINES, LAST_LINES, MAX_LINE_CHARS, Notes, Retention, Scribe};
pub use record::{
    Artefact, Entry, Output, OutputLine, Progress, Reading, Sample, Stream, Thinned, within_reach,
};
pub use reserve::{RESERVE_BYTES, Reserve};
pub use spare::Spare;
pub use writer::{Journal, MayWait, Reads, View, count_lease};
