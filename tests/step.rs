//! Single steps and rows of the rollback, run on real files, real HTTP instances and a real pair of databases, without an engine: what
//! they refuse, and that they say no more than they saw.

mod bench;
mod discard;
mod drift;
mod in_use;
mod lost;
mod provider;
mod rows;
mod switch;
