//! The loop: the only caller that starts steps and the only one that appends to the journal.

pub mod protocol;
