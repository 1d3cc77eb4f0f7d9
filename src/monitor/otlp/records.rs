//! From log records to lines that log rules are about, and the queue in which they wait for the probe. A line is a JSON object: `severity`,
//! `body`, and every attribute under its own name (`exception.type`, `http.route`).
//!
//! Not in here: the rules (`monitor::logs`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::messages::{LogRecord, ResourceLogs};

/// Lines that wait at most; what comes beyond is counted.
const LINES: usize = 20_000;
/// Bytes of a line at most; what is longer is cut.
const LINE_BYTES: usize = 32 * 1024;

/// Lines that were sent and not yet sorted. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Inbox(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<String>,
    lost: u64,
}

impl Inbox {
    /// Puts a line in, or counts it as lost.
    pub fn put(&self, line: String) {
        let mut waiting = self.lock();
        match waiting.lines.len() < LINES {
            true => waiting.lines.push_back(line),
            false => waiting.lost += 1,
        }
    }

    /// Takes all lines out.
    ///
    /// # Errors
    /// Some were lost; in words.
    pub fn drain(&self, on_line: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        let waiting = std::mem::take(&mut *self.lock());
        waiting
            .lines
            .iter()
            .for_each(|line| on_line(line.as_bytes()));
        match waiting.lost {
            0 => Ok(()),
            lost => Err(format!(
                "{lost} records came faster than they are read, and were lost"
            )),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().expect("BUG: no holder panics")
    }
}

/// The lines of one reporter.
pub fn lines(logs: &ResourceLogs) -> impl Iterator<Item = String> {
    let records = logs.scope_logs.iter().flat_map(|scope| &scope.log_records);
    records.map(line)
}

fn line(record: &LogRecord) -> String {
    let mut object = Map::new();
    for attribute in &record.attributes {
        if let Some(value) = attribute.value.as_ref().and_then(|value| value.text()) {
            object.insert(attribute.key.clone(), cut(value));
        }
    }
    let body = record.body.as_ref().and_then(|body| body.text());
    object.insert("body".to_owned(), cut(body.unwrap_or_default()));
    let severity = match record.severity_text.is_empty() {
        false => record.severity_text.clone(),
        true => severity(record.severity_number).to_owned(),
    };
    object.insert("severity".to_owned(), cut(severity));
    Value::Object(object).to_string()
}

/// As OpenTelemetry calls its numbers.
fn severity(number: i32) -> &'static str {
    match number {
        1..=4 => "TRACE",
        5..=8 => "DEBUG",
        9..=12 => "INFO",
        13..=16 => "WARN",
        17..=20 => "ERROR",
        21..=24 => "FATAL",
        _ => "",
    }
}

fn cut(mut text: String) -> Value {
    if text.len() > LINE_BYTES {
        let end = (0..=LINE_BYTES).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
    }
    Value::String(text)
}
