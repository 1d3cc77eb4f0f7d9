//! What stands on the page of figures: the session, its steps, gates, triggers and checklist, the feed, and the latest number of every signal. All are
//! gauges, so that the text is the same in Prometheus' format and in OpenMetrics. Pure. Not in here: reading the journal (`figures`).

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use strum::IntoEnumIterator as _;

use crate::journal::{Reading, Sample};
use crate::runbook::feed;
use crate::session::live::{FeedView, ItemView, TriggerView};
use crate::session::{Phase, Session, StepStatus, TriggerPhase};
use crate::text::printable;

/// Signals that are told at most.
const SIGNALS: usize = 2_000;
/// Triggers that are told at most: one that is judged by instance has one for each.
const TRIGGERS: usize = 5_000;
/// Characters of a name.
const NAME_CHARS: usize = 120;

/// The latest sample of each signal.
#[derive(Debug, Default)]
pub struct Latest(BTreeMap<String, Sample>);

impl Latest {
    /// Takes in samples in the order in which they came.
    pub fn take(&mut self, samples: Vec<Sample>) {
        for sample in samples {
            if self.0.len() < SIGNALS || self.0.contains_key(&sample.signal) {
                self.0.insert(sample.signal.clone(), sample);
            }
        }
    }
}

/// All that the page tells.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// The state of the rules.
    pub session: &'a Session,
    /// Triggers as they stand.
    pub triggers: &'a [TriggerView],
    /// The checklist as it stands.
    pub items: &'a [ItemView],
    /// The feed as it stands; `None` where nothing is followed.
    pub feed: Option<&'a FeedView>,
    pub latest: &'a Latest,
}

/// Labels with their values.
type Labels<'l> = &'l [(&'static str, &'l str)];

impl Page<'_> {
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.of_session(&mut text);
        self.of_steps(&mut text);
        self.of_triggers(&mut text);
        self.of_checklist(&mut text);
        self.of_feed(&mut text);
        self.of_signals(&mut text);
        text.push_str("# EOF\n");
        text
    }

    fn of_session(&self, text: &mut String) {
        let (session, charter) = (self.session, &self.session.charter);
        family(text, "cutover_session", "The session that this is about.");
        let kind = match (charter.sandbox, charter.rehearsal) {
            (_, true) => "rehearsal",
            (true, false) => "sandbox",
            (false, false) => "night",
        };
        line(
            text,
            "cutover_session",
            &[("session", &charter.session), ("kind", kind)],
            1.0,
        );
        family(text, "cutover_phase", "1 for the phase that it is in.");
        for phase in Phase::iter() {
            let is_now = flag(phase == session.phase);
            line(text, "cutover_phase", &[("phase", phase.into())], is_now);
        }
        family(text, "cutover_held", "Whether somebody holds it.");
        line(text, "cutover_held", &[], flag(session.held.is_some()));
        family(text, "cutover_events", "Entries of its journal.");
        line(text, "cutover_events", &[], session.seq as f64);
        family(
            text,
            "cutover_event_seconds",
            "Session time of the newest entry.",
        );
        line(
            text,
            "cutover_event_seconds",
            &[],
            session.at_ms as f64 / 1_000.0,
        );
        let frozen = session.freeze().is_some_and(|(_, end_ms)| end_ms.is_none());
        family(text, "cutover_frozen", "Whether writes are stopped.");
        line(text, "cutover_frozen", &[], flag(frozen));
    }

    fn of_steps(&self, text: &mut String) {
        family(text, "cutover_step", "1 for the state that a step is in.");
        let rollback = self
            .session
            .rollback
            .iter()
            .flat_map(|rollback| &rollback.rows);
        for step in self.session.steps.iter().chain(rollback) {
            for status in StepStatus::iter() {
                let labels = [("step", step.id.as_str()), ("state", status.into())];
                line(text, "cutover_step", &labels, flag(status == step.status));
            }
        }
        family(
            text,
            "cutover_gate_green",
            "Whether a gate is green: evidence and signatures.",
        );
        for gate in self.session.gates() {
            line(
                text,
                "cutover_gate_green",
                &[("gate", &gate.id)],
                flag(gate.green),
            );
        }
    }

    fn of_triggers(&self, text: &mut String) {
        let triggers = || self.triggers.iter().take(TRIGGERS);
        family(
            text,
            "cutover_trigger",
            "1 for the state that a trigger is in.",
        );
        for trigger in triggers() {
            for phase in TriggerPhase::iter() {
                let labels = [("trigger", trigger.id.as_str()), ("state", phase.into())];
                line(
                    text,
                    "cutover_trigger",
                    &labels,
                    flag(phase == trigger.phase),
                );
            }
        }
        family(
            text,
            "cutover_trigger_armed",
            "Whether a trigger can fire now.",
        );
        for trigger in triggers() {
            let labels = [("trigger", trigger.id.as_str())];
            line(text, "cutover_trigger_armed", &labels, flag(trigger.armed));
        }
        family(
            text,
            "cutover_trigger_burned_ratio",
            "How much of the time for which its condition has to hold it has held.",
        );
        for trigger in triggers() {
            let burned = match (trigger.phase, trigger.full_ms) {
                (TriggerPhase::Fired, _) => 1.0,
                (_, 0) => 0.0,
                (_, full_ms) => (trigger.streak_ms as f64 / full_ms as f64).clamp(0.0, 1.0),
            };
            let labels = [("trigger", trigger.id.as_str())];
            line(text, "cutover_trigger_burned_ratio", &labels, burned);
        }
    }

    fn of_checklist(&self, text: &mut String) {
        family(
            text,
            "cutover_item_green",
            "Whether an item of the checklist is green; missing where too little is known.",
        );
        for item in self.items {
            if let Some(green) = item.green {
                line(
                    text,
                    "cutover_item_green",
                    &[("item", &item.id)],
                    flag(green),
                );
            }
        }
    }

    /// Once a rollback has begun, or the release is complete, nothing is followed any more, and what was last told does not hold.
    fn of_feed(&self, text: &mut String) {
        let is_open = self.session.phase == Phase::Open;
        let view = self.feed.filter(|_| is_open);
        family(
            text,
            "cutover_feed_lag_seconds",
            "How long ago PostgreSQL was last read for a rollback; missing where that is not known.",
        );
        let latest = self.latest.0.get(feed::LAG_MS);
        let lag_ms = latest.and_then(|sample| sample.reading.value());
        if let (Some(_), Some(lag_ms)) = (view, lag_ms) {
            line(text, "cutover_feed_lag_seconds", &[], lag_ms / 1_000.0);
        }
        let counts = [
            (
                "cutover_feed_rows",
                "Rows that a rollback would bring back into SQLite.",
                view.map(|view| view.rows),
            ),
            (
                "cutover_feed_waiting_rows",
                "Writes to PostgreSQL that were noted and whose rows are yet to be read.",
                view.map(|view| view.waiting),
            ),
            (
                "cutover_feed_losses",
                "Things that a rollback would lose or leave in a file.",
                view.map(|view| view.lost.len() as u64),
            ),
        ];
        for (name, help, count) in counts {
            family(text, name, help);
            if let Some(count) = count {
                line(text, name, &[], count as f64);
            }
        }
    }

    fn of_signals(&self, text: &mut String) {
        let value = |sample: &Sample| match &sample.reading {
            Reading::Value(value) => Some((*value, "whole")),
            Reading::Partial(value, _) => Some((*value, "partial")),
            Reading::NoData(_) => None,
        };
        family(
            text,
            "cutover_signal",
            "The latest number of a signal; missing where there is none.",
        );
        for (signal, sample) in &self.latest.0 {
            if let Some((value, data)) = value(sample).filter(|(value, _)| value.is_finite()) {
                let labels = [("signal", signal.as_str()), ("data", data)];
                line(text, "cutover_signal", &labels, value);
            }
        }
        family(
            text,
            "cutover_signal_seconds",
            "Session time at which a signal was last asked for.",
        );
        for (signal, sample) in &self.latest.0 {
            let labels = [("signal", signal.as_str())];
            line(
                text,
                "cutover_signal_seconds",
                &labels,
                sample.at_ms as f64 / 1_000.0,
            );
        }
    }
}

fn family(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn line(text: &mut String, name: &str, labels: Labels<'_>, value: f64) {
    let _ = match labels {
        [] => writeln!(text, "{name} {value}"),
        labels => writeln!(text, "{name}{{{}}} {value}", Written(labels)),
    };
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// `a="1",b="2"`; what could end a value early is escaped.
struct Written<'l>(Labels<'l>);

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (label, value)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            let value = printable(value, NAME_CHARS);
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            write!(f, "{comma}{label}=\"{value}\"")?;
        }
        Ok(())
    }
}
