//! Probes: one map per kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::super::action::{Action, Effect};
use super::super::keys;
use super::super::model::{
    LogRule, MetricsPage, OtlpReceiver, PgBouncer, Probe, ProbeKind, ProbeWord, PromQuery,
    PrometheusServer,
};
use super::super::reader::{Fields, Item, Reader};
use super::super::rule_sets;
use super::super::tree::Value;
use super::steps::of_kind;
use super::{actions, metrics, sections};

/// Where applications export to, unless they are told otherwise.
const OTLP_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4318);

/// The one signal that has a series per instance.
const PER_INSTANCE: &str = "ready";

pub(super) fn probe(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Probe> {
    let (fields, kind) = of_kind::<ProbeWord>(reader, item, keys::PROBE)?;
    let timeout_ms = reader.want(&fields, "timeout", Reader::positive_duration);
    let timeout_ms = timeout_ms.unwrap_or(3_000);
    Some(Probe {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        kind: probe_kind(reader, &fields, kind, timeout_ms),
        interval_ms: reader
            .want(&fields, "interval", Reader::positive_duration)
            .unwrap_or(5_000),
        timeout_ms,
    })
}

fn probe_kind(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    kind: Option<ProbeWord>,
    timeout_ms: i64,
) -> ProbeKind {
    match kind {
        Some(ProbeWord::Metrics) => {
            let window_ms = reader.want(fields, "window", Reader::positive_duration);
            ProbeKind::Metrics {
                window_ms: window_ms.unwrap_or(300_000),
            }
        }
        Some(ProbeWord::Otlp) => ProbeKind::Otlp(otlp(reader, fields)),
        Some(ProbeWord::Synthetic) => ProbeKind::Synthetic,
        Some(ProbeWord::Pool) => ProbeKind::Pool,
        Some(ProbeWord::Logs) => {
            let rules = reader.need(fields, "rules", log_rules);
            let follows = fields.has("command") || fields.has("shell");
            let effect = match follows {
                true => Some(program(reader, fields).unwrap_or_else(none)),
                false => None,
            };
            ProbeKind::Logs {
                rules: rules.unwrap_or_default(),
                follow: effect.map(|effect| limited(effect, timeout_ms)),
            }
        }
        Some(ProbeWord::Postgres) => {
            let slow_ms = reader.want(fields, "slow", Reader::positive_duration);
            let window_ms = reader.want(fields, "window", Reader::positive_duration);
            ProbeKind::Postgres {
                slow_ms: slow_ms.unwrap_or(1_000),
                window_ms: window_ms.unwrap_or(300_000),
            }
        }
        Some(ProbeWord::PgBouncer) => ProbeKind::PgBouncer(PgBouncer {
            url: reader
                .need(fields, "url", sections::database_url)
                .unwrap_or_default(),
            database: reader.want(fields, "database", Reader::text),
        }),
        Some(ProbeWord::Prometheus) => ProbeKind::Prometheus(prometheus(reader, fields)),
        Some(ProbeWord::Command) => {
            let effect = program(reader, fields).unwrap_or_else(none);
            let limit = Duration::from_millis(timeout_ms.unsigned_abs());
            let action = actions::with_surroundings(reader, fields, Some(effect), limit);
            let signals = reader.need(fields, "signals", |r, i| r.list(i, signal));
            ProbeKind::Command {
                action: action.unwrap_or_else(|| limited(none(), timeout_ms)),
                signals: signals.unwrap_or_default(),
            }
        }
        // Also in the place of one that was not understood, which has been reported.
        Some(ProbeWord::Readiness) | None => ProbeKind::Readiness,
    }
}

/// In the place of one that was not understood, which has been reported.
fn none() -> Effect {
    Effect::Shell {
        line: String::new(),
    }
}

fn otlp(reader: &mut Reader<'_>, fields: &Fields<'_>) -> OtlpReceiver {
    let window_ms = reader.want(fields, "window", Reader::positive_duration);
    let every_ms = reader.want(fields, "every", Reader::positive_duration);
    let map = reader.want(fields, "map", metrics::map);
    let leave_out = reader.want(fields, "leave_out", |r, i| r.list(i, Reader::text));
    OtlpReceiver {
        listen: reader
            .want(fields, "listen", |r, i| address(r, i, "127.0.0.1:4318"))
            .unwrap_or(OTLP_ADDRESS),
        window_ms: window_ms.unwrap_or(300_000),
        every_ms: every_ms.unwrap_or(10_000),
        attribute: reader
            .want(fields, "attribute", Reader::text)
            .unwrap_or_else(|| "service.instance.id".to_owned()),
        instances: reader.want(fields, "instances", texts).unwrap_or_default(),
        rules: reader.want(fields, "rules", log_rules).unwrap_or_default(),
        page: MetricsPage {
            map: map.unwrap_or_default(),
            leave_out: leave_out.unwrap_or_default(),
            ..MetricsPage::at("")
        },
    }
}

/// Keys with a text each, in their order.
fn texts(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let entries = reader.entries(item);
    let read = entries.into_iter().filter_map(|(key, item)| {
        let text = reader.text(&item)?;
        Some((key.text.clone(), text))
    });
    Some(read.collect())
}

/// Where something of ours listens: an address and a port.
pub(super) fn address(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    example: &str,
) -> Option<SocketAddr> {
    let expected = &format!("an IP address and a port, such as {example}");
    let text = reader.text_as(item, expected)?;
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 => Some(address),
        _ => reader.wrong(item, expected, None),
    }
}

fn prometheus(reader: &mut Reader<'_>, fields: &Fields<'_>) -> PrometheusServer {
    PrometheusServer {
        url: reader
            .need(fields, "url", |r, i| {
                let url = actions::url(r, i)?;
                Some(url.trim_end_matches('/').to_owned())
            })
            .unwrap_or_default(),
        headers: reader
            .want(fields, "headers", actions::headers)
            .unwrap_or_default(),
        headers_command: reader.want(fields, "headers_command", actions::headers_command),
        queries: reader
            .need(fields, "queries", |r, i| r.list(i, query))
            .unwrap_or_default(),
        baseline_ms: reader.want(fields, "baseline", Reader::positive_duration),
    }
}

fn query(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<PromQuery> {
    let fields = reader.fields(item, keys::QUERY)?;
    let signal = reader.need(&fields, "signal", signal);
    let query = reader.need(&fields, "query", Reader::text);
    let requests = reader.want(&fields, "requests", Reader::text);
    Some(PromQuery {
        signal: signal?,
        query: query?,
        requests,
    })
}

/// An effect with a probe's or a channel's own time limit.
pub(super) fn limited(effect: Effect, timeout_ms: i64) -> Action {
    Action::new(effect, Duration::from_millis(timeout_ms.unsigned_abs()))
}

/// `command` or `shell`, exactly one of them.
pub(super) fn program(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Effect> {
    match (fields.get("command"), fields.get("shell")) {
        (Some(command), None) => Some(Effect::Command {
            argv: actions::argv(reader, &command)?,
        }),
        (None, Some(shell)) => Some(Effect::Shell {
            line: reader.text(&shell)?,
        }),
        (command, _) => {
            let found = if command.is_some() { "both" } else { "neither" };
            let expected = "either `command` or `shell`";
            reader.problem(fields.place, &fields.path, expected, found, None);
            None
        }
    }
}

/// The name of a signal of the runbook's own. A dot would make it an instance's, `ready` is one series per instance.
fn signal(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "a signal's name of small letters, digits and _ (at most 40), such as queue_depth, cache_hit_ratio or commit_ms";
    let text = reader.text_as(item, expected)?;
    let fits = text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits && text != PER_INSTANCE {
        return Some(text);
    }
    reader.wrong(item, expected, None)
}

/// The name of a ready-made set, or a list of rules and such names.
fn log_rules(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<LogRule>> {
    if matches!(item.node.value, Value::Scalar { .. }) {
        return rule_set(reader, item);
    }
    let lists = reader.list(item, |reader, item| match item.node.value {
        Value::Scalar { .. } => rule_set(reader, item),
        _ => log_rule(reader, item).map(|rule| vec![rule]),
    })?;
    Some(lists.concat())
}

fn rule_set(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<LogRule>> {
    let names = rule_sets::names().map(|name| (name, name));
    reader.one_of(item, &names).map(rule_sets::rules)
}

fn log_rule(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<LogRule> {
    let fields = reader.fields(item, keys::LOG_RULE)?;
    let categories: Vec<_> = LogRule::CATEGORIES.iter().map(|c| (*c, *c)).collect();
    let category = reader.need(&fields, "category", |r, i| r.one_of(i, &categories));
    let pattern = reader.want(&fields, "match", regular_expression);
    let of_json = reader.want(&fields, "fields", |r, i| {
        let entries = r.entries(i);
        let read = entries.into_iter().filter_map(|(key, item)| {
            let pattern = regular_expression(r, &item)?;
            Some((key.text.clone(), pattern))
        });
        Some(read.collect::<Vec<_>>())
    });
    let endpoint = reader.want(&fields, "endpoint", |r, i| match i.node.value {
        Value::List(_) => r.list(i, Reader::text),
        _ => r.text(i).map(|path| vec![path]),
    });
    if !fields.has("match") && !fields.has("fields") {
        let expected = "`match`, `fields` or both";
        reader.problem(fields.place, &fields.path, expected, "neither", None);
    }
    Some(LogRule {
        category: category?.to_owned(),
        pattern,
        fields: of_json.unwrap_or_default(),
        endpoint: endpoint.unwrap_or_default(),
    })
}

pub(super) fn regular_expression(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let pattern = reader.text(item)?;
    match regex::Regex::new(&pattern) {
        Ok(_) => Some(pattern),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default();
            let why = why.trim_start_matches("error: ");
            let hint = Some(crate::text::printable(why, 200));
            reader.wrong(item, "a regular expression", hint)
        }
    }
}
