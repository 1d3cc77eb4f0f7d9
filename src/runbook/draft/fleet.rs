//! The draft's `fleet` section. What is not known is a `<…>`. Not in here: finding the fleet (`runbook::application`).

use super::known::{Figures, Found, Known, RunBy, comment};

const CONFIG: &str =
    "<the file from which an instance takes its configuration, with {instance} in its path>";
const READY: &str = "<a page that answers 2xx once the instance can serve>";
const LOG: &str = "<the file that an instance logs to, with {instance} in its path>";
const RESTART: &str = "[<program that restarts an instance>, \"{instance}\"]";
const CONNECT: &str = "[<program that connects to PostgreSQL from a host>, \"{host}\"]";

/// A page of an instance, of which the path is known.
pub(super) fn of_instance(path: &Found) -> String {
    // The path stands in quotes or without, and is part of a longer text here. A quote at its end is escaped, and stays.
    let yaml = path.yaml.as_str();
    let inner = yaml
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    format!("\"{{url}}{}\"", inner.unwrap_or(yaml))
}

/// The page that says whether an instance can serve.
pub(super) fn ready(known: &Known) -> String {
    match &known.ready {
        Some(path) => of_instance(path),
        None if known.folder_was_read => READY.to_owned(),
        None => "\"{url}/ready\"".to_owned(),
    }
}

pub(super) fn section(known: &Known) -> String {
    let mut out = "\
# Every process that serves the application; one is the canary. `staging` is asked on PostgreSQL before anybody is switched (E3); you switch it there.
fleet:
"
    .to_owned();
    out.push_str(&run_by(&known.run_by));
    out.push_str(&instances(known));
    out.push_str(&line("config", known.config.as_ref(), CONFIG));
    if known.log.is_some() || !known.is_managed() {
        out.push_str(&line("log", known.log.as_ref(), LOG));
    }
    let ready_at = known.ready.as_ref().map(|found| found.at.as_str());
    let ready_comment = match ready_at {
        None if known.folder_was_read => "   # \"{url}/ready\"".to_owned(),
        Some("") | None => "                  # answers 2xx once the instance can serve".to_owned(),
        Some(at) => comment(at),
    };
    out.push_str(&format!("  ready: {}{ready_comment}\n", ready(known)));
    match &known.provider {
        Some(provider) => out.push_str(&line("provider", Some(provider), "")),
        None => out.push_str("  # provider: { get: \"{url}/<a page>\", sqlite: <regular expression over its body>, postgres: <another> }   # by which an instance says what it serves from\n"),
    }
    out.push_str("  # maintenance: { get: \"{url}/<a page>\", on: <regular expression over its body>, off: <another> }   # by which it says whether it refuses writes\n");
    out.push_str(&metrics(&known.figures));
    if known.restart.is_some() || !known.is_managed() {
        out.push_str(&action(
            "restart",
            known.restart.as_ref(),
            RESTART,
            "60s",
            "",
        ));
    }
    out.push_str(&action(
        "connect",
        known.connect.as_ref(),
        CONNECT,
        "30s",
        "   # B3",
    ));
    out.push_str(
        "\x20 ready_within: 60s                     # how long a restarted instance may take
  ready_successes: 3                    # consecutive answers; one failure starts over

",
    );
    out
}

fn run_by(run_by: &RunBy) -> String {
    match run_by {
        RunBy::Unknown => String::new(),
        RunBy::Systemd(unit) => format!(
            "  kind: systemd\n{}",
            line("unit", Some(unit), "<the unit of an instance>")
        ),
        RunBy::Compose(file) => format!(
            "  kind: compose\n{}",
            line("file", Some(file), "<the file of compose>")
        ),
    }
}

fn instances(known: &Known) -> String {
    let mut out = "  instances:\n".to_owned();
    if known.instances.is_empty() {
        out.push_str("    - { id: app-1, url: <its own base URL>, canary: true }\n");
    }
    for (n, slot) in known.instances.iter().enumerate() {
        let canary = match n {
            0 => ", canary: true",
            _ => "",
        };
        let id = super::word(&slot.id);
        let found = slot.url.comment();
        out.push_str(&format!(
            "    - {{ id: {id}, url: {}{canary} }}{found}\n",
            slot.url.yaml
        ));
    }
    match &known.staging {
        Some(slot) => out.push_str(&format!(
            "  staging: {{ id: {}, url: {} }}{}\n",
            super::word(&slot.id),
            slot.url.yaml,
            slot.url.comment()
        )),
        None => out.push_str("  staging: { id: staging, url: <the base URL of a staging slot> }\n"),
    }
    out
}

fn line(key: &str, found: Option<&Found>, open: &str) -> String {
    match found {
        Some(found) => format!("  {key}: {}{}\n", found.yaml, found.comment()),
        None => format!("  {key}: {open}\n"),
    }
}

fn action(key: &str, found: Option<&Found>, open: &str, limit: &str, hint: &str) -> String {
    let (command, comment) = match found {
        Some(found) => (found.yaml.as_str(), found.comment()),
        None => (open, String::new()),
    };
    let comment = match comment.is_empty() {
        true => hint.to_owned(),
        false => comment,
    };
    format!("  {key}: {{ command: {command}, timeout: {limit} }}{comment}\n")
}

fn metrics(figures: &Figures) -> String {
    let page = "  metrics: \"{url}/metrics\"";
    match figures {
        Figures::Unknown => format!(
            "{page}              # Prometheus' text format; without it, let a `prometheus` or `command` probe make http_5xx_ratio and latency_p95_ms\n"
        ),
        Figures::Library { name, at } => format!("{page}{}\n", comment(&format!("{name}, {at}"))),
        Figures::None { looked_at } => format!(
            "  # no metrics: no library that publishes them is in {}; the probe `figures` stands in\n",
            crate::text::printable(looked_at, 120)
        ),
    }
}
