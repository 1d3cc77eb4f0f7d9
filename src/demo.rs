//! The sandbox: a sample application, a throwaway PostgreSQL (or two databases on one that is there), a fleet, traffic and faults, all real.
//!
//! Not in here: what a cutover does (that is [`crate::engine`] and [`crate::step`]); they treat the sandbox like any other
//! application and know nothing of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the sandbox's folder is made for it alone, and refused where something is in it"
)]

pub mod app;
pub mod cluster;
pub mod control;
pub mod faults;
pub mod guest;
pub mod hidden;
pub mod layout;
mod ports;
pub mod programs;
pub mod reaper;
pub mod sample;
pub mod sandbox;
mod second_writer;
mod supervisor;
mod traffic;
