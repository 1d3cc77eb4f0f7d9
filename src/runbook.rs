//! What the operator writes. Pure: text in, a [`Runbook`] or *all* its problems out.
//!
//! Not in here: reading the file and the environment (`cli`), and anything that connects.

pub mod action;
pub mod application;
mod check;
pub mod discovery;
pub mod disks;
pub mod draft;
pub mod feed;
pub mod frameworks;
mod json_path;
pub mod keys;
pub mod kinds;
pub mod model;
mod parse;
pub mod placed;
pub mod placeholders;
pub mod problem;
pub mod production;
mod reader;
mod redact;
pub mod rehearsal;
pub mod rule_sets;
mod sites;
pub mod transfer;
mod tree;

pub use model::*;
pub use parse::{Reading, decode, hash, parse, parse_transfer, read, read_in};
pub use problem::{Problem, Severity, render};
pub use sites::Sites;
