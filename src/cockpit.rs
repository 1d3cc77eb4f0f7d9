//! The terminal UI of a session: any number of people look at the same journal and send commands to the one engine.
//!
//! - [`model`]: what the screen knows: the fold of the journal, what lies beside it, and where the cursor is. Nothing durable.
//! - [`update`]: one message enum, one controller: a message and the model in; effects out.
//! - [`actions`]: the one table of keys. Dispatch, footer and help derive from it.
//! - [`view`]: panels: pure functions of model, theme and area.
//! - [`split`]: how areas are divided among panels, and where lines between them were moved to.
//! - [`target`]: what was drawn where, for the mouse.
//! - [`theme`]: colours by meaning; beside it `canvas` and `chart`, with which panels draw.
//! - [`glyphs`]: what a terminal can show of what is drawn, and what stands in for the rest.
//! - [`habits`]: what somebody has configured for all their cockpits: looks, keys, filters.
//! - [`follow`]: from the journal to [`news`].
//! - [`driver`] and `terminal`: the edge: raw mode, signals, threads, the loop that draws.
//! - [`mod@replay`]: the model as it stood at any time of what was recorded.
//! - [`snapshot`]: a frame as text or picture.
//!
//! Not in here: whether a command is allowed (`session::decide`), the engine's socket (the [`Bridge`] that `cli` hands in), and
//! both databases, which no cockpit ever touches.

pub mod actions;
pub mod bridge;
pub(crate) mod canvas;
mod chart;
pub mod driver;
pub mod follow;
pub mod glyphs;
pub mod habits;
pub mod model;
pub mod news;
pub mod replay;
pub mod ring;
pub mod snapshot;
pub mod split;
pub mod target;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

use habits::Habits;

pub use bridge::{Bridge, BridgeError, Fault};
pub use driver::{At, Left, RunError, look, look_back, replay, run};

/// How a cockpit is opened.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Account of the operating system under which the engine knows the person at this terminal.
    pub user: String,
    /// Whom they play: a person's id or a role's key. Honoured in the sandbox alone.
    pub playing: Option<String>,
    /// Theme: the name of an embedded one, or a path to a TOML file.
    pub theme: Option<String>,
    /// Glyphs, by their name; what the environment says where absent.
    pub glyphs: Option<String>,
    /// Never ring, whatever the runbook says.
    pub silent: bool,
    /// Leave the mouse to the terminal, which selects text with it.
    pub no_mouse: bool,
    /// Open the first-minute guide at once (`cutover demo`).
    pub guide: bool,
    /// Keys and filters of the person's own.
    pub habits: Habits,
    /// Why their configuration was not read, in a line; then everything is as usual.
    pub unread: Option<String>,
}
