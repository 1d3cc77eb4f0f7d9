//! SQLite: open, schema, write fence, backup, restore drill.
//!
//! The application's file is opened read-only everywhere except in [`fence`], which takes a lock and writes no row, in [`ids`], which
//! raises the numbers that SQLite gives out next, in [`writer`], by which a rollback brings rows back, and by `salvage`, where a person asks
//! for it. Everything here blocks; callers in the engine use `spawn_blocking`. Rows are read by `transfer` and `parity`, each in its own way.
//!
//! POSIX locks belong to a process and a file, and closing *any* descriptor of that file drops them. So nothing in here opens
//! the live file or its `-shm` except through SQLite, which knows about this, or through a process of its own; only the `-wal`,
//! which carries no locks, is read raw, and of the `-shm` a descriptor is held that is never closed (`fence`).

mod adopt;
pub mod backup;
pub mod checks;
pub mod content;
pub mod digest;
pub mod disk;
pub mod drill;
mod error;
pub mod fence;
pub mod fingerprint;
mod holders;
mod identity;
pub mod ids;
pub mod indexes;
pub mod inspect;
pub mod names;
mod open;
pub mod schema;
pub mod shadow;
pub mod shape;
pub mod stamp;
pub mod store;
mod traces;
pub mod triggers;
pub mod watch;
pub mod writer;

pub use error::{Error, Holder};
pub use identity::identity;
pub use open::{
    open_read_only, open_read_only_within, open_read_write, open_read_write_within,
    stand_in_for_collations,
};
