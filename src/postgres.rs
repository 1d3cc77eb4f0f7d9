//! PostgreSQL: connect, TLS, preflight, roles, migrations, activity.
//!
//! What is here asks and reports; what changes the target is [`script`], which runs the migration script that the runbook pins, and
//! [`writers`], which takes rights away in a rollback and gives them back. Rows are loaded by `transfer`.

pub mod activity;
pub mod bouncer;
pub mod catalogue;
pub mod clients;
mod connect;
pub mod endpoint;
mod error;
pub mod handed;
mod identity;
pub mod load_share;
pub mod migrations;
pub mod observe;
pub mod own_schema;
mod passfile;
pub mod pooler;
pub mod preflight;
pub mod release;
pub mod row_counts;
pub mod script;
pub mod sequences;
pub mod session_settings;
mod silence;
mod socket;
mod tls;
mod url;
pub(crate) mod within;
pub mod write_probe;
pub mod writers;
pub mod written;

pub use endpoint::{Endpoint, SslMode};
pub use error::Error;
pub use identity::identity;
pub use session_settings::{Pinned, session_settings};

pub use crate::text::quoted;

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

/// Names are listed up to so many.
const NAMED: usize = 4;

/// What stands in the way, by name: `migration A, migration B: not in the history`; `None` where nothing does. The same is said once of all
/// of which it is true.
pub fn in_the_way(findings: &[Finding]) -> Option<String> {
    let mut said: Vec<(&str, Vec<&str>)> = Vec::new();
    for finding in findings.iter().filter(|f| f.blocks()) {
        match said
            .iter_mut()
            .find(|(detail, _)| *detail == finding.detail)
        {
            Some((_, names)) => names.push(&finding.name),
            None => said.push((&finding.detail, vec![&finding.name])),
        }
    }
    let parts: Vec<String> = said
        .iter()
        .map(|(detail, names)| {
            let more = match names.len().saturating_sub(NAMED) {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            let shown = names[..names.len().min(NAMED)].join(", ");
            format!("{shown}{more}: {detail}")
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A string between single quotes, whatever `standard_conforming_strings` is.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_the_way_has_a_name_and_is_said_once() {
        let missing = |n: usize| Finding::required(format!("migration {n}"), false, "not there");
        let mut findings = vec![
            Finding::required("history", true, "4 in it"),
            Finding::advice("pg_monitor", false, "missing"),
        ];
        assert_eq!(in_the_way(&findings), None);
        findings.push(missing(1));
        findings.push(Finding::required("tls", false, "plain text"));
        assert_eq!(
            in_the_way(&findings).as_deref(),
            Some("migration 1: not there; tls: plain text")
        );
        findings.extend((2..=6).map(missing));
        assert_eq!(
            in_the_way(&findings).as_deref(),
            Some(
                "migration 1, migration 2, migration 3, migration 4 and 2 more: not there; tls: plain text"
            )
        );
    }
}
