//! The loop: the only caller that starts steps and the only one that appends to the journal.

pub mod detach;
pub mod lease;
pub mod protocol;
pub mod socket;
