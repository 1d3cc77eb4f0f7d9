//! What a cockpit may ask of the world outside: the engine behind its socket, and in the sandbox the faults. Implemented by `cli`.
//!
//! Calls block; the cockpit makes them from threads of their own, so that the screen never waits for a socket.

use crate::session::{Command, Refusal};

/// The way to the engine. Every call may block for as long as the engine takes; none may wait for ever.
pub trait Bridge: Send + Sync {
    /// Asks the engine to carry out a command. `playing` names the person who is played, in the sandbox alone.
    /// Returns the sequence number of the last event that came of it.
    ///
    /// # Errors
    /// [`BridgeError`]; nothing has changed then, except that the outcome of [`BridgeError::Failed`] shows in the journal alone.
    fn send(&self, command: &Command, playing: Option<&str>) -> Result<u64, BridgeError>;

    /// Says that somebody is here and looks at this view.
    fn present(&self, view: &str, playing: Option<&str>) -> Result<(), BridgeError>;

    /// Starts an engine for this session and returns once it answers.
    ///
    /// # Errors
    /// [`BridgeError::Failed`] with what it said.
    fn start_engine(&self, purpose: Purpose) -> Result<(), BridgeError>;

    /// The faults that can be injected; empty outside the sandbox.
    fn faults(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// Injects a fault, or takes all of them back with `None`. The sandbox alone can do it.
    ///
    /// # Errors
    /// [`BridgeError::Failed`] with what the sandbox said.
    fn inject_fault(&self, name: Option<&str>) -> Result<(), BridgeError> {
        let _ = name;
        Err(BridgeError::Failed {
            why: "faults exist in the sandbox alone".to_owned(),
        })
    }
}

/// What an engine is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To go on with the session.
    GoOn,
    /// To roll back: it begins also where the databases are no longer those of the session, and does nothing else then.
    RollBack,
}

/// A fault that the sandbox can inject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// As `--fault` knows it: `5xx`, `not-ready`.
    pub name: String,
    /// What it does and which row must catch it, in one line.
    pub what: String,
    /// Whether it is active now.
    pub active: bool,
    /// Why this sandbox cannot have it, if it cannot.
    pub unavailable: Option<String>,
}

/// Why the engine did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The rules do not allow it now.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody answers at the engine's socket.
    #[error("no engine answers")]
    NoEngine,
    /// Something went wrong on the way.
    #[error("{why}")]
    Failed { why: String },
}
