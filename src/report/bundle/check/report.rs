//! Whether the report, and the runbook beside it, are those of the events. Not in here: whether the events hold.

use serde_json::Value;

use super::{Checker, SHOWN_CHARS};
use crate::report::bundle::{EVENTS, HTML, JSON, MARKDOWN, RUNBOOK, RUNBOOK_VALUES};
use crate::report::{Material, Report};
use crate::text::printable;

impl Checker<'_> {
    /// The report says what follows from the rest of the bundle.
    pub(super) fn report(&mut self, material: &Material) -> Option<Report> {
        let report = match material.report() {
            Ok(report) => report,
            Err(error) => {
                self.finding(EVENTS, None, error.to_string());
                return None;
            }
        };
        let (theirs, ours) = (&material.beside.cutover, env!("CARGO_PKG_VERSION"));
        if theirs != ours || material.beside.report != report.report {
            self.not_checked(format!(
                "whether the report says what the events say: it was written by cutover {}, this is {ours}",
                printable(theirs, 40)
            ));
            return Some(report);
        }
        let before = self.verdict.findings.len();
        let json = self.read(JSON).unwrap_or_default();
        match serde_json::from_slice::<Value>(&json) {
            Ok(found) => {
                if let Some((at, found, expected)) = difference(&found, &report.to_json(), "") {
                    let what = format!("{at} is {found}; from the events follows {expected}");
                    self.finding(JSON, None, what);
                }
            }
            Err(error) => self.finding(JSON, Some(error.line() as u64), error.to_string()),
        }
        for (name, text) in [
            (JSON, report.to_json_text()),
            (MARKDOWN, report.to_markdown()),
            (HTML, report.to_html()),
        ] {
            let found = self.read(name).unwrap_or_default();
            let already = self.verdict.findings[before..]
                .iter()
                .any(|f| f.file == name);
            if found != text.as_bytes() && !already {
                let line = first_other_line(&found, text.as_bytes());
                self.finding(name, Some(line), "is not what follows from the events");
            }
        }
        if self.verdict.findings.len() == before {
            self.holds("the report says what follows from the events".to_owned());
        }
        Some(report)
    }

    pub(super) fn runbook(&mut self, report: &Report) {
        let (Some(text), Some(values)) = (self.read(RUNBOOK), self.read(RUNBOOK_VALUES)) else {
            return;
        };
        let text = String::from_utf8(text);
        let values = serde_json::from_slice(&values);
        let hash = match (text, values) {
            (Ok(text), Ok(values)) => crate::runbook::hash(&text, &values).0,
            (Err(_), _) => return self.finding(RUNBOOK, None, "is not UTF-8"),
            (_, Err(error)) => {
                let line = Some(error.line() as u64);
                return self.finding(RUNBOOK_VALUES, line, error.to_string());
            }
        };
        if hash == report.runbook_hash {
            self.holds("the runbook, with what it took from the environment, is the one that the session was opened with".to_owned());
        } else {
            let what = format!(
                "with {RUNBOOK_VALUES} it has the hash {hash}; the session was opened with {}",
                report.runbook_hash
            );
            self.finding(RUNBOOK, None, what);
        }
    }
}

/// The first place at which two values differ, what is found there and what should be.
fn difference(found: &Value, expected: &Value, at: &str) -> Option<(String, String, String)> {
    let shown = |value: Option<&Value>| match value {
        Some(value) => printable(&value.to_string(), SHOWN_CHARS),
        None => "absent".to_owned(),
    };
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|k| !a.contains_key(*k)));
            keys.into_iter().find_map(|key| {
                let at = format!("{at}/{}", printable(key, SHOWN_CHARS));
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, &at),
                    (a, b) => Some((at, shown(a), shown(b))),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len())).find_map(|n| {
            let at = format!("{at}/{n}");
            match (a.get(n), b.get(n)) {
                (Some(a), Some(b)) => difference(a, b, &at),
                (a, b) => Some((at, shown(a), shown(b))),
            }
        }),
        (a, b) if a == b => None,
        (a, b) => Some((at.to_owned(), shown(Some(a)), shown(Some(b)))),
    }
}

/// From 1.
fn first_other_line(found: &[u8], expected: &[u8]) -> u64 {
    let lines = |bytes: &[u8]| {
        bytes
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect::<Vec<_>>()
    };
    let (found, expected) = (lines(found), lines(expected));
    let same = found.iter().zip(&expected).take_while(|(a, b)| a == b);
    same.count() as u64 + 1
}
