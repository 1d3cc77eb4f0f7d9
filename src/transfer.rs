//! Rows from SQLite to PostgreSQL: plan, encode, lanes, constraints, checkpoints (`D1`–`D4`).
//!
//! The target's schema decides the types; every value arrives exactly, is refused by name, or is changed by a policy that the runbook
//! states. The source is a file nobody writes to: a verified backup, or a file of its own for `cutover copy`.
//!
//! Not in here: comparing both sides afterwards ([`crate::parity`] does that with code of its own, and shares only
//! [`matching`]), reading the runbook, connecting.

pub mod convert;
pub mod copy;
mod defaults;
pub mod delta;
pub mod error;
pub mod kind;
pub mod layout;
pub mod matching;
pub mod occupied;
mod page;
pub mod plan;
pub mod progress;
mod pump;
pub mod reader;
pub mod rows;
mod session;

pub use error::Error;
pub use progress::Progress;
