//! What an application exports by OpenTelemetry's protocol (OTLP over HTTP, protobuf or JSON) where `OTEL_EXPORTER_OTLP_ENDPOINT` points
//! at us. Nothing is asked: what each instance has sent stands in for the page that the `metrics` probe would have asked it for, so that
//! the same names, sums, windows and rules hold.
//!
//! - [`messages`], [`decode`]: the protocol's messages, and how a body holds them.
//! - [`points`]: series under the names that the table of the `metrics` probe knows.
//! - [`accounts`]: what they come to over time; `instance`: of one instance; `series`: of one reporter; `lives`: of one count.
//! - `receiver`: what listens. [`records`]: lines of logs, where the probe has rules for them.
//!
//! Nobody can ask for logs either: where none ever came, or the receiver does not listen, that there were no errors is not known.

pub mod accounts;
pub mod decode;
mod instance;
mod lenient;
mod lives;
pub mod messages;
pub mod points;
pub(super) mod receiver;
pub mod records;
mod series;

use super::Context;
use super::logs::Logs;
use super::maintenance::Marks;
use super::metrics::Metrics;
use super::metrics::scrape::Selection;
use super::schedule::Take;
use crate::runbook::OtlpReceiver;
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;
use receiver::Receiver;
use records::Inbox;

/// Only instances that write a log of their own tell it.
const OF_LOGS_OF_INSTANCES: &str = "instances_booted_ratio";

pub(super) struct Otlp {
    context: Context,
    metrics: Metrics,
    /// Where the probe takes logs.
    logs: Option<Logs>,
}

impl Otlp {
    pub(super) fn new(context: Context, rhythm: Rhythm, otlp: &OtlpReceiver) -> Otlp {
        let inbox = (!otlp.rules.is_empty()).then(Inbox::default);
        let logs = inbox
            .clone()
            .map(|inbox| Logs::received(context.clone(), rhythm.limit(), &otlp.rules, inbox));
        let page = Some(&otlp.page);
        let marks = Marks::of(&context.runbook);
        let left_out = super::metrics::left_out(&context.runbook.fleet);
        let selection = Selection::leaving_out(page, left_out).marking(marks.label());
        let receiver = Receiver::new(
            otlp,
            &context.runbook.fleet,
            selection.clone(),
            context.clock.clone(),
            context.maintenance.clone(),
            inbox,
        );
        Otlp {
            metrics: Metrics::of_receiver(context.clone(), otlp, selection, receiver),
            logs,
            context,
        }
    }

    /// The instances whose log records may be missing, in words; those that were just restarted on purpose are silent for a while.
    ///
    /// # Errors
    /// No record can be there at all; in words.
    fn without_logs(&self) -> Result<Option<String>, String> {
        let Some(receiver) = self.metrics.receiver() else {
            return Ok(None);
        };
        let grace = self.context.grace();
        let restarts = &self.context.restarts;
        let silent = receiver.without_logs()?.into_iter();
        let silent: Vec<String> = silent
            .filter(|(id, _)| !restarts.in_grace(id, grace))
            .map(|(id, why)| format!("{id} {why}"))
            .collect();
        Ok(super::metrics::named("not heard", &silent))
    }
}

/// What a count of log lines says, by whose records may be missing from it.
fn judged(reading: Reading, without: &Result<Option<String>, String>) -> Reading {
    match (reading, without) {
        (reading @ Reading::NoData { .. }, _) => reading,
        (Reading::Value { .. } | Reading::Partial { .. }, Err(why)) => Reading::no_data(why),
        (reading, Ok(Some(silent))) => reading.partial(silent),
        (reading, Ok(None)) => reading,
    }
}

impl Take for Otlp {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let mut readings = self.metrics.take(at_ms).await;
        // Before the records are taken out: the first that comes in between is seen by the next look.
        let without = self.without_logs();
        if let Some(logs) = &mut self.logs {
            let counted = logs.take(at_ms).await;
            let of_lines = counted
                .into_iter()
                .filter(|(signal, _)| signal != OF_LOGS_OF_INSTANCES);
            readings.extend(of_lines.map(|(signal, reading)| (signal, judged(reading, &without))));
        }
        readings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_log_lines_is_no_better_than_who_is_heard() {
        let (none, five) = (Reading::value(0.0), Reading::value(5.0));
        let nobody = Err("no instance has sent a log record yet".to_owned());
        let told = judged(none.clone(), &nobody);
        assert!(matches!(told, Reading::NoData { .. }), "{told:?}");
        let one = Ok(Some(
            "not heard: app-2 has sent nothing for 1:00".to_owned(),
        ));
        let told = judged(five.clone(), &one);
        assert!(
            matches!(told, Reading::Partial { value: 5.0, .. }),
            "{told:?}"
        );
        assert_eq!(judged(none.clone(), &Ok(None)), none);
        let lost = Reading::no_data("4 records came faster than they are read");
        assert_eq!(judged(lost.clone(), &nobody), lost);
    }
}
