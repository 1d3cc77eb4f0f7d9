//! What the operator writes. Pure: text in, a [`Runbook`] or *all* its problems out.
//!
//! Not in here: reading the file and the environment (`cli`), and anything that connects.

pub mod action;
pub mod model;
pub mod transfer;

pub use model::*;
