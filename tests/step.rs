//! Single steps and rows of the rollback, run on real files, real HTTP instances and a real pair of databases, without an engine: what
//! they refuse, and that they say no more than they saw.

pub mod bench;
mod bring_back;
mod discard;
mod drift;
mod fence_target;
mod holders;
mod in_use;
mod lost;
mod newcomers;
mod noted;
mod provider;
mod rows;
mod switch;
mod taken;
