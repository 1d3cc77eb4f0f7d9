//! What is left of the feed in the target of a session that is over: triggers that go on to note what the application writes. Takes it away,
//! unless another session has the target.

use std::time::Duration;

use tokio_postgres::Client;

use crate::claim::{Refused, target};
use crate::feed::capture;
use crate::identity::TargetIdentity;
use crate::postgres::{Endpoint, Finding};
use crate::runbook::Runbook;
use crate::session::Session;
use crate::step::production;

/// How long the target may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Why something of it is still there.
#[derive(Debug, thiserror::Error)]
pub enum Left {
    /// Another session has the target, and needs it.
    #[error("{0}. What notes writes to the target stays, and is that session's")]
    Theirs(Refused),
    /// It could not all be taken away.
    #[error("{}. `cutover close` tries again", .0.join("; "))]
    Ours(Vec<String>),
    /// The target does not answer.
    #[error("what notes writes to the target could not be taken away: {0}")]
    Unknown(capture::Error),
}

/// Takes it away before the next session begins: nothing else of a session needs it. Tables from which it could not be taken are named.
///
/// # Errors
/// The target does not answer within ten seconds, in words.
pub async fn end(runbook: &Runbook) -> Result<Vec<String>, String> {
    end_in(runbook, None).await
}

/// The same at the end of the session that made it: in the database of that night alone, and not where another session has that by now.
///
/// # Errors
/// As there; also where `target.url` leads to another database.
pub async fn end_of(session: &Session, runbook: &Runbook) -> Result<Vec<String>, String> {
    let was = production::target_of(session).map_err(|why| why.to_string())?;
    end_in(runbook, Some((session, was))).await
}

async fn end_in(
    runbook: &Runbook,
    of: Option<(&Session, Option<TargetIdentity>)>,
) -> Result<Vec<String>, String> {
    let taking = async {
        let endpoint = Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?;
        let client = endpoint.connect().await.map_err(|e| e.to_string())?;
        if let Some((session, was)) = of {
            if let Some(was) = was {
                let now = production::identified(&client).await;
                let now = now.map_err(|e| e.to_string())?;
                if now != was {
                    return Err(format!(
                        "`target.url` leads to another database ({now}) than that of the night ({was}), and nothing was changed there"
                    ));
                }
            }
            let claim = target::last(&client).await.map_err(|e| e.to_string())?;
            let theirs = claim.filter(|claim| claim.session != session.charter.session);
            if theirs.is_some_and(|claim| !claim.is_over()) {
                return Ok(Vec::new());
            }
        }
        let left = capture::left(&client).await.map_err(|e| e.to_string())?;
        if left.is_empty() {
            return Ok(left);
        }
        capture::remove(&client).await.map_err(|e| e.to_string())
    };
    let taken = tokio::time::timeout(LIMIT, taking).await;
    taken.unwrap_or_else(|_| Err(format!("no answer in {} s", LIMIT.as_secs())))
}

/// Takes it away. Whether there was anything.
///
/// # Errors
/// What is still there, and why.
pub async fn take_away(client: &Client) -> Result<bool, Left> {
    let found = capture::left(client).await.map_err(Left::Unknown)?;
    if found.is_empty() {
        return Ok(false);
    }
    target::is_free(client).await.map_err(|error| match error {
        target::Error::Refused(refused) => Left::Theirs(refused),
        target::Error::Target(error) => Left::Unknown(error.into()),
    })?;
    let left = capture::remove(client).await.map_err(Left::Unknown)?;
    if left.is_empty() {
        Ok(true)
    } else {
        Err(Left::Ours(left))
    }
}

/// The same, as a finding; `None` where there was nothing.
pub(super) async fn taken_away(client: &Client) -> Option<Finding> {
    match take_away(client).await {
        Ok(false) => None,
        Ok(true) => Some(Finding::required(
            "feed",
            true,
            "what noted writes to the target was taken away",
        )),
        Err(left @ Left::Theirs(_)) => Some(Finding::advice("feed", false, left.to_string())),
        Err(left @ (Left::Ours(_) | Left::Unknown(_))) => {
            Some(Finding::required("feed", false, left.to_string()))
        }
    }
}
