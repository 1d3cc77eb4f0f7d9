//! The cockpit: what it shows, what its keys do, and how it behaves as a process in a terminal.

mod advice;
mod alone;
mod connected;
mod every_key;
mod forecast;
mod frames;
mod glyphs;
mod habits;
mod hostile;
mod keys;
mod looking;
mod mouse;
mod nights;
mod pictures;
mod price;
mod replay;
mod resize;
mod ring;
mod screens;
#[cfg(target_os = "linux")]
mod soak;
mod states;
mod story;
pub mod terminal;
