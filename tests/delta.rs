//! What differs between two snapshots of a SQLite file: against brute force, and as a person or a script is told.

mod brute;
mod command;
mod pages;
pub mod property;
mod ways;
pub mod workload;
