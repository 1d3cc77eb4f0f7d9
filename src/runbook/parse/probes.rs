//! Probes: one map per kind.

use std::time::Duration;

use super::super::action::{Action, Effect};
use super::super::keys;
use super::super::model::{LogRule, PgBouncer, Probe, ProbeKind, PromQuery, PrometheusServer};
use super::super::reader::{Fields, Item, Reader};
use super::steps::of_kind;
use super::{actions, sections};

/// The one signal that has a series per instance.
const PER_INSTANCE: &str = "ready";

pub(super) fn probe(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Probe> {
    let (fields, kind) = of_kind(reader, item, keys::PROBE, keys::PROBE_KINDS)?;
    let timeout_ms = reader.want(&fields, "timeout", Reader::positive_duration);
    let timeout_ms = timeout_ms.unwrap_or(3_000);
    Some(Probe {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        kind: probe_kind(reader, &fields, kind, timeout_ms)?,
        interval_ms: reader
            .want(&fields, "interval", Reader::positive_duration)
            .unwrap_or(5_000),
        timeout_ms,
    })
}

fn probe_kind(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    kind: Option<&str>,
    timeout_ms: i64,
) -> Option<ProbeKind> {
    Some(match kind {
        Some("metrics") => {
            let window_ms = reader.want(fields, "window", Reader::positive_duration);
            ProbeKind::Metrics {
                window_ms: window_ms.unwrap_or(300_000),
            }
        }
        Some("synthetic") => ProbeKind::Synthetic,
        Some("pool") => ProbeKind::Pool,
        Some("logs") => ProbeKind::Logs {
            rules: reader
                .need(fields, "rules", |r, i| r.list(i, log_rule))
                .unwrap_or_default(),
        },
        Some("pgbouncer") => ProbeKind::PgBouncer(PgBouncer {
            url: reader
                .need(fields, "url", sections::database_url)
                .unwrap_or_default(),
            database: reader.want(fields, "database", Reader::text),
        }),
        Some("prometheus") => ProbeKind::Prometheus(prometheus(reader, fields)),
        Some("command") => {
            let effect = program(reader, fields);
            let signals = reader.need(fields, "signals", |r, i| r.list(i, signal));
            ProbeKind::Command {
                action: Action {
                    effect: effect?,
                    time_limit: Duration::from_millis(timeout_ms.unsigned_abs()),
                },
                signals: signals.unwrap_or_default(),
            }
        }
        _ => ProbeKind::Readiness,
    })
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

/// `command` or `shell`, exactly one of them.
fn program(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Effect> {
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

fn log_rule(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<LogRule> {
    let fields = reader.fields(item, keys::LOG_RULE)?;
    let categories: Vec<_> = LogRule::CATEGORIES.iter().map(|c| (*c, *c)).collect();
    let category = reader.need(&fields, "category", |r, i| r.one_of(i, &categories));
    let pattern = reader.need(&fields, "match", |r, i| {
        let pattern = r.text(i)?;
        match regex::Regex::new(&pattern) {
            Ok(_) => Some(pattern),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default();
                let why = why.trim_start_matches("error: ");
                r.wrong(
                    i,
                    "a regular expression",
                    Some(crate::text::printable(why, 200)),
                )
            }
        }
    });
    Some(LogRule {
        category: category?.to_owned(),
        pattern: pattern?,
    })
}
