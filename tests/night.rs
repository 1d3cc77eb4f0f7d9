//! Whole nights in a real sandbox, played by scripted operators: the clean one, one per fault, and ones whose engine is killed.
//!
//! Each ends with the application serving from where it must, with every row and every acknowledged write. Not in here: the
//! screen.

mod counts;
mod endings;
mod faults;
mod maintenance;
mod moments;
mod rehearsal;
mod rollback;
mod secrets;
mod stage;

/// A minute of the runbook lasts a second.
const SPEED: f64 = 60.0;
