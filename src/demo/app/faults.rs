//! What the sandbox wants to go wrong in this process. Only on PostgreSQL, so that going back heals.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::App;
use super::config::{Config, Provider};
use super::store::Store;

/// How long a hoarded pool is kept, and then given back, in turn.
const HOLD: Duration = Duration::from_secs(4);
const RELEASE: Duration = Duration::from_millis(300);
/// How often the file is looked at while nothing is wrong.
const LOOK: Duration = Duration::from_millis(200);

/// The content of the faults file. Absent file, absent key: nothing is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppFaults {
    /// Instances that answer 503 when asked whether they are ready.
    pub not_ready: Vec<String>,
    /// Processes end while they start.
    pub crash_on_start: Vec<String>,
    /// Every so many requests one is answered 500.
    pub error_every: Option<u64>,
    /// Requests take this much longer.
    pub delay_ms: Option<u64>,
    /// All connections of the pool are taken and held.
    pub hold_pool: bool,
}

impl AppFaults {
    /// What the file says; one that is absent or half written says nothing.
    pub fn read(path: &Path) -> Self {
        std::fs::read(path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }
}

/// What is wrong in this process now.
pub(super) fn current(config: &Config) -> AppFaults {
    match (&config.faults_file, config.provider) {
        (Some(path), Provider::Postgres) => AppFaults::read(path),
        (None, _) | (Some(_), Provider::Sqlite) => AppFaults::default(),
    }
}

/// Takes every connection of the pool for as long as the fault stands, with short gaps: what waits in between is what
/// exhaustion looks like from outside.
pub(super) async fn hold_pool_while_asked(app: Arc<App>) {
    let Store::Postgres(store) = &app.store else {
        return;
    };
    loop {
        if !current(&app.config).hold_pool {
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let mut held = Vec::new();
        while held.len() < app.config.pool_max {
            match store.connection().await {
                Ok(connection) => held.push(connection),
                Err(_) => break,
            }
        }
        tokio::time::sleep(HOLD).await;
        drop(held);
        tokio::time::sleep(RELEASE).await;
    }
}
