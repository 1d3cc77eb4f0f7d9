//! The one integration-test binary. A concern is a file here and a folder of data beside it.

#![allow(clippy::unwrap_used)] // a test that unwraps says where it failed
#![allow(clippy::disallowed_methods)] // tests make and remove what is theirs
#![allow(clippy::print_stdout, clippy::print_stderr)] // read by whoever runs the tests

#[macro_use] // `says!` and `lacks!`
mod support;

mod action;
mod architecture;
mod aside;
mod astray;
mod attempt;
mod check;
mod claim;
mod cockpit;
mod delta;
mod demo;
mod feed;
mod figures;
mod fleet;
mod foreign;
mod init;
mod journal;
mod manual;
mod monitor;
mod night;
mod notify;
mod ours;
mod parity;
mod people;
mod postgres;
mod promise;
mod replay;
mod report;
mod reports;
mod runbook;
mod salvage;
mod secret;
mod session;
mod signatures;
mod simulator;
mod sqlite;
mod step;
mod transfer;
mod trigger;
mod watch;
