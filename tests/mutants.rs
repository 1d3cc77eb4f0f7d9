//! The tests of the modules whose mutation score is measured (`make mutants`), and no others: each mutant builds and runs them once. They run
//! as part of `it` otherwise.

#![allow(dead_code, unused_macros)] // what they share with the others
#![allow(clippy::unwrap_used)] // a test that unwraps says where it failed
#![allow(clippy::disallowed_methods)] // tests make and remove what is theirs
#![allow(clippy::print_stdout, clippy::print_stderr)] // read by whoever runs the tests

#[macro_use]
mod support;

mod action;
mod aside;
mod astray;
mod fleet;
mod session;
mod simulator;
mod sqlite;
mod trigger;
