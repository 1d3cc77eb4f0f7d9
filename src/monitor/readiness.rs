//! Readiness of every instance: `ready.<instance>`, and `unready_ratio` over the fleet with the start-up grace applied.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use super::Context;
use super::schedule::Take;
use crate::fleet::{NotReady, ready_once};
use crate::session::live::InstanceState;
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

/// Questions on their way at the same time.
pub(super) const IN_FLIGHT: usize = 512;

pub(super) struct Readiness {
    context: Context,
    limit: Duration,
}

impl Readiness {
    pub(super) fn new(context: Context, rhythm: Rhythm) -> Readiness {
        let limit = rhythm.limit();
        Readiness { context, limit }
    }

    /// Every instance's answer, in the runbook's order.
    async fn ask(&self) -> Vec<Result<(), NotReady>> {
        let Context {
            client, runbook, ..
        } = &self.context;
        let fleet = &runbook.fleet;
        let ask = |instance| ready_once(client, fleet, instance, self.limit);
        let questions: Vec<_> = fleet.instances.iter().map(ask).collect();
        stream::iter(questions).buffered(IN_FLIGHT).collect().await
    }
}

impl Take for Readiness {
    async fn take(&mut self, _at_ms: i64) -> Vec<(String, Reading)> {
        let answers = self.ask().await;
        let grace = self.context.grace();
        let mut readings = Vec::with_capacity(answers.len() + 1);
        let (mut failed, mut unasked) = (0_u32, Vec::new());
        let mut board = self.context.board();
        for (view, answer) in board.iter_mut().zip(&answers) {
            let starting = self.context.restarts.in_grace(&view.id, grace);
            let reading = match answer {
                Ok(()) => Reading::value(1.0),
                Err(error) if error.is_ours() => {
                    unasked.push(view.id.as_str());
                    Reading::no_data(format!("{} could not be asked: {error}", view.id))
                }
                Err(_) => {
                    failed += u32::from(!starting);
                    Reading::value(0.0)
                }
            };
            readings.push((format!("ready.{}", view.id), reading));
            (view.state, view.detail) = match answer {
                Ok(()) => (InstanceState::Ready, "ready".to_owned()),
                Err(error) if error.is_ours() => (InstanceState::Unknown, error.to_string()),
                Err(error) if starting => (InstanceState::Restarting, error.to_string()),
                Err(error) => (InstanceState::NotReady, error.to_string()),
            };
        }
        let ratio = Reading::value(f64::from(failed) / answers.len() as f64);
        let ratio = match unasked.len() {
            0 => ratio,
            n if n == answers.len() => Reading::no_data("no instance could be asked"),
            _ => ratio.partial(format!("could not ask {}", unasked.join(", "))),
        };
        readings.push(("unready_ratio".to_owned(), ratio));
        readings
    }
}
