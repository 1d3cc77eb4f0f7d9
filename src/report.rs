//! The evidence of a session, as Markdown and JSON.

pub mod rows;

pub use rows::{RowReport, RowStatus, Section, rows, rows_seen};
