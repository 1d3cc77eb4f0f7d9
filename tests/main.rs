//! The one integration-test binary. A concern is a file here and a folder of data beside it.

mod demo;
mod journal;
mod parity;
mod runbook;
mod support;
