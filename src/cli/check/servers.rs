//! Servers beside the application. Those that probes ask are asked. Of probes that listen for what the application sends nothing can be asked
//! beforehand, so it is said how the application is pointed at them, and whether somebody else listens there.
//!
//! Not in here: asking and listening (`monitor`).

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use super::environment::of_night;
use crate::fleet;
use crate::monitor::{self, Ground};
use crate::postgres::Finding;
use crate::runbook::{OtlpReceiver, Runbook};
use crate::text::printable;
use crate::trigger::Reading;

/// Characters of a name.
const NAME_CHARS: usize = 80;

/// Servers that probes ask answer now: one that says nothing leaves triggers blind tonight. What a query does not know yet is advice.
pub(super) async fn asked(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let client = fleet::client();
    let ground = Ground {
        folder: folder.to_owned(),
        environment: of_night(runbook, folder),
    };
    let mut findings = Vec::new();
    for probe in &runbook.probes {
        let Some(readings) = monitor::ask_once(client.clone(), probe, &ground).await else {
            continue;
        };
        let name = format!("probe {}", probe.id);
        let silent: Vec<_> = readings
            .iter()
            .filter_map(|(signal, reading)| match reading {
                Reading::NoData { reason } => Some(format!("{signal}: {reason}")),
                Reading::Value { .. } | Reading::Partial { .. } => None,
            })
            .collect();
        let known = readings.len() - silent.len();
        let detail = printable(
            &match silent.first() {
                None => format!("all of its signals ({known})"),
                Some(first) => format!("{known} of {} signals; {first}", readings.len()),
            },
            300,
        );
        findings.push(match known {
            0 => Finding::required(name, false, detail),
            _ => Finding::advice(name, silent.is_empty(), detail),
        });
    }
    findings
}

/// Two findings at most for each probe that listens.
pub(super) fn listening(runbook: &Runbook) -> Vec<Finding> {
    let probes = runbook.probes.iter();
    let receivers = probes.filter_map(|probe| {
        let receiver = probe.kind.receiver()?;
        Some((format!("probe {}", printable(&probe.id, 60)), receiver))
    });
    receivers
        .flat_map(|(name, receiver)| {
            let told = Finding::advice(name.clone(), true, how(runbook, receiver));
            [Some(told), is_free(&name, receiver.listen)]
        })
        .flatten()
        .collect()
}

/// Whether the engine could offer its figures where the runbook says.
pub(super) fn figures(runbook: &Runbook) -> Option<Finding> {
    is_free("bridge.metrics", runbook.bridge_metrics?)
}

/// How the application is pointed at it.
fn how(runbook: &Runbook, receiver: &OtlpReceiver) -> String {
    let first = runbook.fleet.instances.first();
    let id = first.map_or("INSTANCE", |instance| instance.id.as_str());
    let own = receiver.instances.iter().find(|(named, _)| named == id);
    let value = own.map_or(id, |(_, value)| value.as_str());
    let open = match receiver.listen.ip().is_loopback() {
        true => "",
        false => {
            ". Whoever reaches this address can send figures: let a firewall leave it to the instances"
        }
    };
    format!(
        "nothing can be asked beforehand, for the application sends: start each instance with OTEL_EXPORTER_OTLP_ENDPOINT=http://{}, \
         OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, OTEL_METRIC_EXPORT_INTERVAL={}, and {} ({}={} in {id}). A rehearsal and P3 show whether it comes{open}",
        receiver.listen,
        receiver.every_ms,
        "its own name in OTEL_RESOURCE_ATTRIBUTES",
        printable(&receiver.attribute, NAME_CHARS),
        printable(value, NAME_CHARS),
    )
}

/// Whether this process could listen there now. An engine of ours that runs is one that does.
fn is_free(name: &str, at: SocketAddr) -> Option<Finding> {
    let why = TcpListener::bind(at).err()?;
    let detail = format!(
        "nobody else may listen on {at} when the night begins, but now it cannot be listened on: {why}"
    );
    Some(Finding::advice(format!("{name}, address"), false, detail))
}
