//! Whether both databases are still those that the session was opened on. What a path and a URL lead to can change; by what a database is
//! known does not.
//!
//! Not in here: reading an identity (`sqlite::identity`, `postgres::identity`).

use std::path::Path;
use std::time::Duration;

use tokio_postgres::Client;

use super::context::Context;
use super::target::{failed, owner};
use crate::identity::{SourceIdentity, TargetIdentity};
use crate::postgres::{self, Endpoint, Error};
use crate::runbook::Runbook;
use crate::session::facts::Unreadable;
use crate::session::{Outcome, Session};
use crate::sqlite;

/// The target's identity, by a connection of its own.
///
/// # Errors
/// It does not answer within the limit, or its role may not ask.
pub async fn of_target(runbook: &Runbook, limit: Duration) -> Result<TargetIdentity, String> {
    let endpoint = Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?;
    let asked = async {
        let client = endpoint.connect().await.map_err(|e| e.to_string())?;
        identified(&client).await.map_err(|e| e.to_string())
    };
    let answered = tokio::time::timeout(limit, asked).await;
    answered.unwrap_or_else(|_| Err(format!("no answer in {} ms", limit.as_millis())))
}

/// By what the connected database is known.
///
/// # Errors
/// The server does not answer, or the role may not ask.
pub async fn identified(client: &Client) -> Result<TargetIdentity, Error> {
    let asked = postgres::identity(client).await;
    asked.map_err(|error| {
        Error::of_statement(
            "ask by what the database is known (pg_control_system)",
            &error,
        )
    })
}

/// By what the target was known: when the session was opened, or to B1.
pub fn target_of(session: &Session) -> Result<Option<TargetIdentity>, Unreadable> {
    match &session.charter.production.target {
        Some(opened) => Ok(Some(opened.clone())),
        None => session.fact(),
    }
}

/// Both are what they were. Gives the connection by which that was seen.
///
/// # Errors
/// One is another, or cannot be looked at: a failed outcome that says so. Nothing was changed.
pub async fn same(ctx: &Context) -> Result<Client, Outcome> {
    if let Err(why) = same_source(ctx) {
        return Err(Outcome::failed(format!(
            "{why}. Nothing was changed; open a new session"
        )));
    }
    let endpoint = owner(ctx)?;
    let client = endpoint.connect().await.map_err(failed)?;
    let now = identified(&client).await;
    let now = now.map_err(|error| {
        Outcome::failed(format!(
            "whether this is the database that the session was opened on cannot be seen: {error}. Nothing was changed; GRANT EXECUTE ON \
             FUNCTION pg_control_system() TO {}",
            endpoint.user()
        ))
    })?;
    match target_of(&ctx.session)? {
        Some(was) if was != now => Err(Outcome::failed(format!(
            "`target.url` leads to another database ({now}) than when the session was opened ({was}). Nothing was changed; open a new \
             session"
        ))),
        _ => Ok(client),
    }
}

/// The SQLite file is the one that the session was opened on.
///
/// # Errors
/// It is another, or is not there: in words.
pub fn same_source(ctx: &Context) -> Result<(), String> {
    let path = ctx.base.join(&ctx.runbook.source.file);
    compare_source(ctx.session.charter.production.source, &path).map_err(|e| e.to_string())
}

/// What is wrong with the SQLite file by which it is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Differs {
    /// Another file is there.
    #[error("{path} is another file ({now}) than when the session was opened ({was})")]
    Another {
        path: String,
        /// By what it was known.
        was: SourceIdentity,
        /// By what the one that is there is known.
        now: SourceIdentity,
    },
    /// It cannot be looked at.
    #[error("{path}, which was {was} when the session was opened, cannot be looked at: {why}")]
    Unseen {
        path: String,
        /// By what it was known.
        was: SourceIdentity,
        why: String,
    },
}

/// Whether the file at `path` is the one that was known as `was`.
pub fn compare_source(was: Option<SourceIdentity>, path: &Path) -> Result<(), Differs> {
    let Some(was) = was else { return Ok(()) };
    let shown = path.display().to_string();
    match sqlite::identity(path) {
        Ok(now) if now == was => Ok(()),
        Ok(now) => Err(Differs::Another {
            path: shown,
            was,
            now,
        }),
        Err(error) => Err(Differs::Unseen {
            path: shown,
            was,
            why: error.to_string(),
        }),
    }
}
