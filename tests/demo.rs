//! The sandbox: what it starts, what it serves, what can go wrong in it, and that nothing of it is left.

#![allow(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on has failed"
)]

mod app;
mod bench;
mod cluster;
mod ending;
mod faults;
mod fleet;
mod guest;
