//! The independent checker against real pairs: what is equal, what is named when it is not, and what happens when one side goes away.

mod broken;
mod checks;
mod command;
mod compare;
mod imported;
mod mutations;
pub mod pair;
mod production;
mod stored;
