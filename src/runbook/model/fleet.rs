//! The application's processes, and the pages by which they say what they do. Not in here: who starts and stops them (`manager`), what their
//! figures are called (`metrics`).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Action, Discovery, Manager, MetricsPage};

/// The application's processes and how each is told what.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Who starts and stops the instances.
    pub manager: Manager,
    /// Production instances, canary marked. None where they are to be discovered, and nobody has asked yet.
    pub instances: Vec<Instance>,
    /// Where instances are asked for that the runbook does not list.
    pub discovery: Option<Discovery>,
    /// The staging slot that points at PostgreSQL for E3.
    pub staging: Option<Instance>,
    /// Configuration file; `{instance}` and `{host}` are replaced.
    pub config: Option<String>,
    /// Log file; `{instance}` and `{host}` are replaced.
    pub log: Option<String>,
    /// Readiness URL; `{url}` is replaced.
    pub ready: String,
    /// The page that says which database an instance serves from.
    pub provider: Option<ProviderPage>,
    /// The page that says whether an instance is in maintenance.
    pub maintenance: Option<MaintenancePage>,
    /// By what answers are known that maintenance gave.
    pub maintenance_answer: MaintenanceAnswer,
    /// Where each instance tells its figures.
    pub metrics: Option<MetricsPage>,
    /// Restarts one instance.
    pub restart: Action,
    /// Opens a connection to the target from the instance's own host (B3).
    pub connect: Option<Action>,
    /// Real time that a restarted instance may take to become ready.
    pub ready_within_ms: i64,
    /// Consecutive good answers that count as ready.
    pub ready_successes: u32,
}

impl Fleet {
    /// Whether the instances are to be discovered, and nobody has asked yet: that there are none says nothing then.
    pub fn is_unasked(&self) -> bool {
        self.discovery.is_some() && self.instances.is_empty()
    }
}

/// A page of the application that says which database an instance serves from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPage {
    /// `{url}` is replaced. Its status does not matter: an instance that is not ready may say it too.
    pub url: String,
    /// Regular expression that matches the body of an instance that serves from SQLite.
    pub sqlite: String,
    /// The same for PostgreSQL.
    pub postgres: String,
}

/// A page of the application that says whether an instance is in maintenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaintenancePage {
    /// `{url}` is replaced. Its status does not matter.
    pub url: String,
    /// Regular expression that matches the body of an instance that refuses writes.
    pub on: String,
    /// The same of one that lets them in.
    pub off: String,
}

/// By what answers are known that maintenance gave, and not the application. Nothing of it need be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MaintenanceAnswer {
    /// Their status; that of the freeze where absent.
    pub status: Option<u16>,
    /// A header that no other answer has, and its value where that matters.
    pub header: Option<(String, Option<String>)>,
    /// Regular expression that matches the body of no other answer.
    pub body: Option<String>,
    /// A label, and its value, of the series that count them and nothing else.
    pub label: Option<(String, String)>,
}

/// One process of the application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Short and unique.
    pub id: String,
    /// Base URL, without a slash at the end.
    pub url: String,
    /// Host for the host's own commands; the URL's host where absent.
    pub host: String,
    /// Restarted first.
    pub canary: bool,
    /// The name that it goes by now, where that is another than its id: it was replaced while a session ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
}

impl Instance {
    /// What `{instance}` stands for: the name that it goes by now.
    pub fn name(&self) -> &str {
        self.called.as_deref().unwrap_or(&self.id)
    }

    /// A file of this instance, by a pattern of the fleet: `{instance}` is its id there, whatever name it goes by now.
    pub fn file(&self, pattern: &str) -> PathBuf {
        let path = pattern.replace("{instance}", &self.id);
        PathBuf::from(path.replace("{host}", &self.host))
    }
}
