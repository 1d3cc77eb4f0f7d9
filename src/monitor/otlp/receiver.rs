//! What listens for exports, and what came. Not in here: the server (`crate::listen`), and what the figures come to (`monitor::metrics`).

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::{Method, StatusCode};

use super::accounts::{Accounts, Naming, Refused};
use super::decode::{Format, UNPACKED_LIMIT_BYTES};
use super::messages::{ExportLogs, ExportMetrics};
use super::records::{self, Inbox};
use crate::clock;
use crate::listen::{self, Answer, Answers, Asked, Listening};
use crate::monitor::Clock;
use crate::monitor::maintenance::{Maintenance, Stage};
use crate::monitor::metrics::scrape::Selection;
use crate::runbook::{Fleet, OtlpReceiver};

const METRICS: &str = "/v1/metrics";
const LOGS: &str = "/v1/logs";
const TRACES: &str = "/v1/traces";

/// The receiver of a probe.
pub(in crate::monitor) struct Receiver {
    at: SocketAddr,
    silent_ms: i64,
    desk: Arc<Desk>,
    listening: Result<Listening, String>,
}

/// What answers exports.
struct Desk {
    selection: Selection,
    clock: Clock,
    maintenance: Maintenance,
    /// One export at a time is read: its messages take many times the memory of its body.
    accounts: Mutex<Accounts>,
    /// Where the probe takes logs.
    inbox: Option<Inbox>,
}

/// Who answers, for a server.
struct AtDesk(Arc<Desk>);

impl Receiver {
    pub(in crate::monitor) fn new(
        otlp: &OtlpReceiver,
        fleet: &Fleet,
        selection: Selection,
        clock: Clock,
        maintenance: Maintenance,
        inbox: Option<Inbox>,
    ) -> Receiver {
        let named = |id: &String| {
            let own = otlp.instances.iter().find(|(instance, _)| instance == id);
            own.map_or_else(|| id.clone(), |(_, value)| value.clone())
        };
        let ids = fleet.instances.iter().map(|instance| &instance.id);
        let naming = Naming {
            attribute: otlp.attribute.clone(),
            instances: ids.map(|id| (named(id), id.clone())).collect(),
        };
        let began_ns = clock::wall().timestamp_nanos_opt().unwrap_or_default();
        Receiver {
            at: otlp.listen,
            silent_ms: otlp.silent_ms(),
            desk: Arc::new(Desk {
                selection,
                clock,
                maintenance,
                accounts: Mutex::new(Accounts::new(naming, began_ns.unsigned_abs())),
                inbox,
            }),
            listening: Err("nobody listens yet".to_owned()),
        }
    }

    /// Listens, if it does not yet.
    ///
    /// # Errors
    /// Somebody else does; in words.
    pub(in crate::monitor) async fn listen(&mut self) -> Result<(), String> {
        if self.listening.is_err() {
            let desk = AtDesk(Arc::clone(&self.desk));
            let listening = listen::at(self.at, desk).await;
            self.listening = listening.map_err(|error| {
                format!(
                    "cannot listen on {} for what the application exports: {error}",
                    self.at
                )
            });
        }
        self.is_listening()
    }

    fn is_listening(&self) -> Result<(), String> {
        self.listening.as_ref().map(drop).map_err(String::clone)
    }

    /// The instances whose log records may be missing, by id, and why.
    ///
    /// # Errors
    /// Nobody listens, or no instance has ever sent one; in words.
    pub(in crate::monitor) fn without_logs(&self) -> Result<Vec<(String, String)>, String> {
        self.is_listening()?;
        let at_ms = (self.desk.clock)();
        self.desk.accounts().without_logs(at_ms, self.silent_ms)
    }

    /// An instance's page, and where maintenance stood when it was last heard.
    ///
    /// # Errors
    /// It has sent nothing for too long; in words.
    pub(in crate::monitor) fn page(&self, id: &str) -> Result<(Stage, String), String> {
        let at_ms = (self.desk.clock)();
        self.desk.accounts().page(id, at_ms, self.silent_ms)
    }

    /// Who sends and is of no instance, a line for people each.
    pub(in crate::monitor) fn strangers(&self) -> Vec<String> {
        self.desk.accounts().strangers()
    }
}

impl Desk {
    fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().expect("BUG: no holder panics")
    }

    fn metrics(&self, format: Format, asked: &Asked, body: &[u8]) -> Result<Answer, Answer> {
        let mut accounts = self.accounts();
        let export: ExportMetrics = format.decode(&asked.headers, body)?;
        let (at_ms, stage) = ((self.clock)(), self.maintenance.stage());
        let is_read = |name: &str| self.selection.reads(name);
        let Refused { count, why } = accounts.take(&export, at_ms, stage, &is_read);
        Ok(format.answer(count, why, "rejectedDataPoints"))
    }

    fn logs(&self, format: Format, asked: &Asked, body: &[u8]) -> Result<Answer, Answer> {
        let mut accounts = self.accounts();
        let export: ExportLogs = format.decode(&asked.headers, body)?;
        let at_ms = (self.clock)();
        let (mut rejected, mut why) = (0, None);
        for logs in &export.resource_logs {
            let resource = logs.resource.as_ref();
            let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
            match (accounts.instance_of(attributes), &self.inbox) {
                (Ok(id), Some(inbox)) => {
                    for line in records::lines(logs) {
                        inbox.put(line);
                        accounts.logged(&id, at_ms);
                    }
                }
                (Ok(_), None) => {}
                (Err(stranger), _) => {
                    rejected += records::lines(logs).count() as i64;
                    why = Some(stranger);
                }
            }
        }
        Ok(format.answer(rejected, why, "rejectedLogRecords"))
    }
}

impl Answers for AtDesk {
    const BODY_LIMIT_BYTES: usize = UNPACKED_LIMIT_BYTES;

    fn admit(&self, asked: &Asked) -> Result<(), Answer> {
        let takes_logs = self.0.inbox.is_some();
        match asked.path.as_str() {
            METRICS => {}
            LOGS if takes_logs => {}
            LOGS => {
                return Err(Answer::line(
                    StatusCode::NOT_FOUND,
                    "this probe takes no logs, for it has no `rules`: set OTEL_LOGS_EXPORTER=none",
                ));
            }
            TRACES => {
                return Err(Answer::line(
                    StatusCode::NOT_FOUND,
                    "this takes no traces: set OTEL_TRACES_EXPORTER=none",
                ));
            }
            _ => {
                let what =
                    format!("this is a receiver of OTLP over HTTP: {METRICS} is what it takes");
                return Err(Answer::line(StatusCode::NOT_FOUND, what));
            }
        }
        if asked.method != Method::POST {
            let what = format!("{} takes POST", asked.path);
            return Err(Answer::line(StatusCode::METHOD_NOT_ALLOWED, what));
        }
        Format::of(&asked.headers).map(drop)
    }

    fn answer(&self, asked: &Asked, body: &[u8]) -> Answer {
        let answered = Format::of(&asked.headers).and_then(|format| match asked.path == LOGS {
            true => self.0.logs(format, asked, body),
            false => self.0.metrics(format, asked, body),
        });
        answered.unwrap_or_else(|refusal| refusal)
    }
}
