//! Readiness of every instance: `ready.<instance>`, and `unready_ratio` over the fleet with the start-up grace applied. Over the fleet as it
//! should be, and not over those that happen to answer.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Context;
use super::schedule::Take;
use crate::fleet::{NotReady, ready_once};
use crate::session::live::{InstanceState, InstanceView};
use crate::session::membership::{Stand, Whereabouts};
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

/// Questions on their way at the same time.
pub(super) const IN_FLIGHT: usize = 512;

/// What was seen of one slot of the fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Its instance is ready.
    Ready,
    /// It refuses, is late, or answers wrongly; or somebody else answers where it was.
    Failed(String),
    /// We could not ask.
    Unasked(String),
    /// It should be there, and nobody has come yet.
    Unfilled,
}

/// One slot of the fleet, looked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    pub id: String,
    pub seen: Seen,
    /// It was restarted on purpose, or began to be wanted, so short a time ago that its start-up is no failure of the fleet.
    pub in_grace: bool,
}

/// What these looks come to: `ready.<slot>` for each, and the share of all that should be there and are not ready.
pub fn readings(fleet: &[Looked]) -> Vec<(String, Reading)> {
    let of_slot = |looked: &Looked| {
        let reading = match &looked.seen {
            Seen::Ready => Reading::value(1.0),
            Seen::Failed(_) => Reading::value(0.0),
            Seen::Unasked(why) => {
                Reading::no_data(format!("{} could not be asked: {why}", looked.id))
            }
            Seen::Unfilled => Reading::no_data(format!(
                "{} should be there, and no instance has come for it yet",
                looked.id
            )),
        };
        (format!("ready.{}", looked.id), reading)
    };
    let mut readings: Vec<_> = fleet.iter().map(of_slot).collect();
    let has_failed =
        |l: &&Looked| matches!(l.seen, Seen::Failed(_) | Seen::Unfilled) && !l.in_grace;
    let failed = fleet.iter().filter(has_failed).count();
    let unasked = fleet
        .iter()
        .filter(|looked| matches!(looked.seen, Seen::Unasked(_)));
    let unasked: Vec<&str> = unasked.map(|looked| looked.id.as_str()).collect();
    let ratio = Reading::value(failed as f64 / fleet.len() as f64);
    let ratio = match unasked.len() {
        0 => ratio,
        n if n == fleet.len() => Reading::no_data("no instance could be asked"),
        _ => ratio.partial(format!("could not ask {}", unasked.join(", "))),
    };
    readings.push(("unready_ratio".to_owned(), ratio));
    readings
}

pub(super) struct Readiness {
    context: Context,
    limit: Duration,
}

impl Readiness {
    pub(super) fn new(context: Context, rhythm: Rhythm) -> Readiness {
        let limit = rhythm.limit();
        Readiness { context, limit }
    }

    /// What each slot's instance answers, in the runbook's order.
    async fn ask(&self, stands: &[Stand]) -> Vec<Seen> {
        let questions: Vec<_> = stands.iter().map(|stand| self.look(stand)).collect();
        stream::iter(questions).buffered(IN_FLIGHT).collect().await
    }

    async fn look(&self, stand: &Stand) -> Seen {
        let Context {
            client, runbook, ..
        } = &self.context;
        match stand.whereabouts {
            Whereabouts::Known => {}
            Whereabouts::TakenOver => {
                return Seen::Failed("gone; another instance is at its address".to_owned());
            }
            Whereabouts::Unfilled => return Seen::Unfilled,
        }
        let standstill = &self.context.standstill;
        let lost = standstill.lost();
        match ready_once(client, &runbook.fleet, &stand.instance, self.limit).await {
            Ok(()) => Seen::Ready,
            Err(error) if error.is_ours() => Seen::Unasked(error.to_string()),
            // Its answer may have come in time, and nobody was there to read it.
            Err(error @ NotReady::NoAnswer(_)) if standstill.lost() > lost => {
                Seen::Unasked(format!("{error}, and this process stood still meanwhile"))
            }
            Err(error) => Seen::Failed(error.to_string()),
        }
    }

    fn in_grace(&self, stand: &Stand) -> bool {
        let grace = self.context.grace();
        let has_just_joined = stand.joined_ms.is_some_and(|joined_ms| {
            let since_ms = (self.context.clock)() - joined_ms;
            u128::try_from(since_ms).is_ok_and(|since_ms| since_ms < grace.as_millis())
        });
        has_just_joined || self.context.restarts.in_grace(&stand.instance.id, grace)
    }
}

impl Take for Readiness {
    async fn take(&mut self, _at_ms: i64) -> Vec<(String, Reading)> {
        let stands = self.context.stands();
        let seen = self.ask(&stands).await;
        let fleet = stands.iter().zip(seen).map(|(stand, seen)| Looked {
            id: stand.instance.id.clone(),
            seen,
            in_grace: self.in_grace(stand),
        });
        let fleet: Vec<Looked> = fleet.collect();
        let views = stands.iter().zip(&fleet).map(|(s, l)| view(s, l)).collect();
        *self.context.board() = views;
        readings(&fleet)
    }
}

/// As screens show it.
fn view(stand: &Stand, looked: &Looked) -> InstanceView {
    let (state, how) = match &looked.seen {
        Seen::Ready => (InstanceState::Ready, "ready"),
        Seen::Unasked(why) => (InstanceState::Unknown, why.as_str()),
        Seen::Failed(why) if looked.in_grace => (InstanceState::Restarting, why.as_str()),
        Seen::Failed(why) => (InstanceState::NotReady, why.as_str()),
        Seen::Unfilled => (InstanceState::NotReady, "no instance has come for it yet"),
    };
    let detail = match &stand.instance.called {
        Some(name) => format!("{name}: {how}"),
        None => how.to_owned(),
    };
    InstanceView {
        id: looked.id.clone(),
        canary: stand.instance.canary,
        state,
        detail,
    }
}
