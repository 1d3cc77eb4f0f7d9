//! The evidence of a session, as Markdown and JSON.

pub mod rows;

pub use rows::{RowReport, RowStatus, rows};
