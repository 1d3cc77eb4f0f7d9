//! Which rows of a newer snapshot of an SQLite database are not those of an older one.
//!
//! No PostgreSQL in here.

pub mod pages;
