//! The one integration-test binary. A concern is a file here and a folder of data beside it.

mod action;
mod check;
mod demo;
mod fleet;
mod journal;
mod monitor;
mod parity;
mod runbook;
mod source;
mod support;
mod target;
mod trigger;
