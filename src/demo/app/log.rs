//! The application's log: one JSON object per line, as a structured logger of .NET writes it.

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::config::{Config, Provider};
use super::store::StoreError;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Information,
    Warning,
    Error,
    Critical,
}

/// An open log.
pub(super) struct Log {
    file: Mutex<File>,
    instance: String,
    provider: Provider,
}

impl Log {
    pub(super) fn open(config: &Config) -> std::io::Result<Self> {
        let file = File::options()
            .append(true)
            .create(true)
            .open(&config.log_file)?;
        Ok(Self {
            file: Mutex::new(file),
            instance: config.instance.clone(),
            provider: config.provider,
        })
    }

    /// Appends `{"time", "level", "event", "instance", "provider", …fields}`. A log that cannot be written stops nobody.
    pub(super) fn write(&self, level: Level, event: &str, fields: Value) {
        let mut line = json!({
            "time": Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true),
            "level": format!("{level:?}"),
            "event": event,
            "instance": self.instance,
            "provider": self.provider.name(),
        });
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        // One write per line, so that lines of a dying process and its successor do not mix.
        let text = format!("{line}\n");
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = file.write_all(text.as_bytes());
    }

    /// An exception at an endpoint that nothing in the application caught, with the kind that M4 counts by.
    pub(super) fn exception(&self, endpoint: &str, error: &StoreError) {
        let fields = json!({
            "message": format!("Unhandled exception: {}", error.message),
            "endpoint": endpoint,
            "exception": error.kind.exception(self.provider),
            "kind": error.kind.name(),
        });
        self.write(Level::Error, "UnhandledException", fields);
    }
}
