//! Readiness of one instance: asked once, or waited for until it has held.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::request::{self, AskError};
use crate::runbook::{Fleet, Instance};

/// How long one readiness question may take while waiting.
const ASK_LIMIT: Duration = Duration::from_secs(3);

/// From one question to the next while waiting.
const POLL: Duration = Duration::from_millis(100);

/// A readiness answer longer than this is none.
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// An instance that has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Since waiting began.
    pub after_ms: i64,
    pub asked: u32,
}

/// Why an instance does not count as ready.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It answered that it is not.
    #[error("answered {status}: {start}")]
    Answered {
        status: u16,
        /// How the answer begins.
        start: String,
    },
    /// It did not answer, or could not be asked.
    #[error(transparent)]
    NoAnswer(#[from] AskError),
    /// Time ran out.
    #[error(
        "{instance} was not ready within {within_s} s ({row} good answers in a row of {needed} needed, {asked} questions); last bad answer: {last}"
    )]
    TooLate {
        instance: String,
        within_s: u64,
        /// Good answers in a row at the end.
        row: u32,
        /// Good answers in a row that were needed.
        needed: u32,
        asked: u32,
        /// The last bad answer.
        last: String,
    },
    #[error("waiting for {instance} was cancelled")]
    Cancelled { instance: String },
}

impl NotReady {
    /// Whether we could not ask, so that nothing is known about the instance.
    pub fn is_ours(&self) -> bool {
        matches!(self, NotReady::NoAnswer(error) if error.is_ours())
    }

    /// Whether its answer did not come in the time that it had.
    fn is_late(&self) -> bool {
        matches!(self, NotReady::NoAnswer(AskError::TimedOut { .. }))
    }
}

/// Asks an instance for its readiness, once. Any 2xx is yes; a redirect is no.
///
/// # Errors
/// It is not ready, or could not be asked ([`NotReady::is_ours`]).
pub async fn ready_once(
    client: &reqwest::Client,
    fleet: &Fleet,
    instance: &Instance,
    time_limit: Duration,
) -> Result<(), NotReady> {
    let url = fleet.ready.replace("{url}", &instance.url);
    let answer = request::get(client, &url, time_limit, BODY_LIMIT_BYTES).await?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    Err(NotReady::Answered {
        status: answer.status,
        start: answer.start(),
    })
}

/// Waits until an instance has answered its readiness `successes` times in a row; one failure starts over. Real time.
///
/// # Errors
/// It did not within `within`, or it was cancelled.
pub async fn wait_ready(
    client: &reqwest::Client,
    fleet: &Fleet,
    instance: &Instance,
    successes: u32,
    within: Duration,
    cancel: &CancellationToken,
) -> Result<Ready, NotReady> {
    let place = || instance.clone();
    wait_ready_at(client, fleet, place, successes, within, cancel).await
}

/// The same of an instance that may come up at another address: before each question `place` says where it is. Good answers of one place say
/// nothing of another.
pub async fn wait_ready_at(
    client: &reqwest::Client,
    fleet: &Fleet,
    place: impl Fn() -> Instance,
    successes: u32,
    within: Duration,
    cancel: &CancellationToken,
) -> Result<Ready, NotReady> {
    let began = Instant::now();
    let left = || within.saturating_sub(began.elapsed());
    let mut instance = place();
    let id = instance.id.clone();
    let cancelled = || NotReady::Cancelled {
        instance: id.clone(),
    };
    let (mut row, mut asked) = (0, 0);
    let mut last = None;
    while !left().is_zero() {
        let now = place();
        if now.url != instance.url {
            (instance, row) = (now, 0);
        }
        let limit = ASK_LIMIT.min(left());
        let question = ready_once(client, fleet, &instance, limit);
        let answer = cancel.run_until_cancelled(question).await;
        asked += 1;
        match answer.ok_or_else(cancelled)? {
            Ok(()) => row += 1,
            Err(error) => {
                row = 0;
                // That the last question was cut short tells nothing beside what was answered before.
                let is_cut = limit < ASK_LIMIT && error.is_late();
                if !is_cut || last.is_none() {
                    last = Some(error.to_string());
                }
            }
        }
        if row >= successes {
            return Ok(Ready {
                after_ms: began.elapsed().as_millis() as i64,
                asked,
            });
        }
        let pause = tokio::time::sleep(POLL.min(left()));
        cancel
            .run_until_cancelled(pause)
            .await
            .ok_or_else(cancelled)?;
    }
    Err(NotReady::TooLate {
        instance: id,
        within_s: within.as_secs(),
        row,
        needed: successes,
        asked,
        last: last.unwrap_or_else(|| "none".to_owned()),
    })
}
