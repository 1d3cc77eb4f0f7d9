//! PostgreSQL: connect, TLS, preflight, roles, migrations, activity.
//!
//! What is here asks and reports; the one thing that changes the target is [`script`], which runs the migration script that the
//! runbook pins. Rows are loaded by `transfer`.

pub mod activity;
pub mod bouncer;
pub mod catalogue;
mod connect;
pub mod endpoint;
mod error;
pub mod load_share;
pub mod migrations;
pub mod observe;
mod passfile;
pub mod preflight;
pub mod script;
pub mod sequences;
pub mod session_settings;
mod tls;
mod url;
pub mod write_probe;
pub mod written;

pub use endpoint::{Endpoint, SslMode};
pub use error::Error;
pub use session_settings::session_settings;

use serde::{Deserialize, Serialize};

/// One thing that was checked on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was asked, short and stable: `server version`, `runtime role: superuser`.
    pub name: String,
    /// Whether the answer is the wanted one.
    pub ok: bool,
    /// Whether the cutover may not go on without it; the others are advice.
    pub required: bool,
    /// What was found, and when it is not ok, what to do. Made harmless.
    pub detail: String,
}

impl Finding {
    /// A check that must be ok.
    pub fn required(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            required: true,
            detail: detail.into(),
        }
    }

    /// A check whose failure is advice.
    pub fn advice(name: impl Into<String>, ok: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ok,
            required: false,
            detail: detail.into(),
        }
    }

    /// Whether the cutover cannot go on because of this.
    pub fn blocks(&self) -> bool {
        self.required && !self.ok
    }
}

/// An identifier between double quotes, for SQL.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
