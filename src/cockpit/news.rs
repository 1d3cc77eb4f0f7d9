//! What has come in since the screen last looked: the one shape in which anything reaches the model from outside.
//! Not in here: where it comes from (`follow`).

use crate::journal::{OutputLine, Progress};
use crate::session::Recorded;
use crate::session::live::{
    ClientsView, CostView, DetailView, FeedView, InstanceView, ItemView, LoadsView, ParityView,
    PlanView, Presence, TriggerView,
};

/// What has come in. Parts that are `None` have not changed.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// New events, in order.
    pub entries: Vec<Recorded>,
    /// New samples, in order.
    pub samples: Vec<Reading>,
    /// How far every part of every step has come.
    pub progress: Option<Vec<Progress>>,
    /// New lines of the step that is looked at.
    pub output: Vec<OutputLine>,
    /// The last line that any step printed.
    pub last_line: Option<OutputLine>,
    /// Triggers as fuses.
    pub triggers: Option<Vec<TriggerView>>,
    /// The monitoring checklist.
    pub checklist: Option<Vec<ItemView>>,
    pub fleet: Option<Vec<InstanceView>>,
    /// Who is at the bridge.
    pub presence: Option<Vec<Presence>>,
    /// What a rollback would cost.
    pub cost: Option<CostView>,
    /// What the feed has read of what is written to PostgreSQL.
    pub feed: Option<FeedView>,
    /// What probes tell people beside their numbers.
    pub details: Option<Vec<DetailView>>,
    /// The comparison of every row.
    pub parity: Option<ParityView>,
    /// What moves, in which order.
    pub plan: Option<PlanView>,
    /// What every instance carries.
    pub loads: Option<LoadsView>,
    /// Who is connected to the target.
    pub clients: Option<ClientsView>,
    /// Whether an engine runs.
    pub engine: Option<Engine>,
}

impl News {
    /// Whether nothing has come in.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.samples.is_empty()
            && self.output.is_empty()
            && self.progress.is_none()
            && self.last_line.is_none()
            && self.triggers.is_none()
            && self.checklist.is_none()
            && self.fleet.is_none()
            && self.presence.is_none()
            && self.cost.is_none()
            && self.feed.is_none()
            && self.details.is_none()
            && self.parity.is_none()
            && self.plan.is_none()
            && self.loads.is_none()
            && self.clients.is_none()
            && self.engine.is_none()
    }

    /// Whether all of it is measured again and again, so that nobody waits to see it at once: no event, no fuse, no instance, no engine, and
    /// nothing of a step.
    pub fn is_measured(&self) -> bool {
        let News {
            entries,
            progress,
            output,
            last_line,
            triggers,
            fleet,
            cost,
            feed,
            parity,
            plan,
            engine,
            samples: _,
            checklist: _,
            presence: _,
            details: _,
            loads: _,
            clients: _,
        } = self;
        let of_a_step = !output.is_empty()
            || progress.is_some()
            || last_line.is_some()
            || parity.is_some()
            || plan.is_some();
        let of_a_rollback = triggers.is_some() || cost.is_some() || feed.is_some();
        entries.is_empty() && !of_a_step && !of_a_rollback && fleet.is_none() && engine.is_none()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Name of the signal.
    pub signal: String,
    /// Session time.
    pub at_ms: i64,
    /// The value; `None` where we could not ask.
    pub value: Option<f64>,
}

/// Whether an engine runs the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    Live {
        pid: u32,
    },
    /// Its process is there and gives no sign of life.
    Silent {
        pid: u32,
    },
    /// Nobody can tell: the session's folder cannot be read.
    Unknown {
        why: String,
    },
    /// There is none.
    Gone {
        /// The last one, and whether it ended in an orderly way; `None` where there never was one.
        last: Option<(u32, bool)>,
    },
}

impl Engine {
    /// Whether what is on the screen may count as live.
    pub fn is_live(&self) -> bool {
        matches!(self, Engine::Live { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_waits_for_is_not_only_measured() {
        let sample = Reading {
            signal: "latency_p95_ms".to_owned(),
            at_ms: 1_000,
            value: Some(4.0),
        };
        let measured = News {
            samples: vec![sample],
            presence: Some(Vec::new()),
            ..News::default()
        };
        assert!(measured.is_measured());
        let with_an_engine = News {
            engine: Some(Engine::Live { pid: 1 }),
            ..measured.clone()
        };
        assert!(!with_an_engine.is_measured());
        let with_a_fuse = News {
            triggers: Some(Vec::new()),
            ..measured
        };
        assert!(!with_a_fuse.is_measured());
    }
}
