//! Where a step runs by itself: a fleet of test servers with configuration files, a SQLite file, a PostgreSQL database, and a session
//! whose events a test writes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Lock};

use cutover::fleet;
use cutover::journal::Folder;
use cutover::monitor::{Ground, Monitor};
use cutover::runbook::{ProviderPage, Runbook};
use cutover::session::{Event, Found, Outcome, Undo};
use cutover::step::context::{Context, News, Reporter, SessionClock, Shared};
use cutover::target::Endpoint;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::fleet::instance::Server;
use crate::session::language::Bridge;
use crate::support::{self, TestDatabase};

/// The key of the switch, as the reference runbook has it.
pub const SQLITE: &str = "DatabaseProvider=Sqlite\n";
pub const POSTGRES: &str = "DatabaseProvider=Postgres\n";

/// Something that a test does the moment an undo is durable.
type OnUndo = Box<dyn Fn(&Undo) + Send + Sync>;

pub struct Bench {
    folder: tempfile::TempDir,
    session: Folder,
    pub runbook: Runbook,
    pub servers: Vec<Server>,
    pub database: TestDatabase,
    pub bridge: Bridge,
    pub on_undo: Arc<Lock<Option<OnUndo>>>,
}

impl Bench {
    /// So many instances, ready and on SQLite, each with a configuration file of its own.
    pub async fn new(instances: usize) -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let session = Folder::create(folder.path(), "tonight").expect("a session's folder");
        let database = support::database().await;
        let mut servers = Vec::new();
        for n in 1..=instances {
            servers.push(Server::start(&format!("app-{n}")).await);
        }
        let mut runbook = crate::session::reference();
        runbook.probes.clear();
        runbook.verification.requests.clear();
        runbook.verification.write = None;
        runbook.target.url.clone_from(&database.url);
        runbook.target.runtime_url.clone_from(&database.url);
        runbook.source.file = folder.path().join("app.db");
        let fleet = &mut runbook.fleet;
        fleet.instances = servers.iter().map(|s| s.instance.clone()).collect();
        fleet.staging = None;
        fleet.metrics = None;
        fleet.config = Some("{instance}.env".to_owned());
        fleet.provider = Some(ProviderPage {
            url: "{url}/ready".to_owned(),
            sqlite: "on Sqlite".to_owned(),
            postgres: "on Postgres".to_owned(),
        });
        fleet.ready_within_ms = 2_000;
        fleet.ready_successes = 1;
        let bench = Bench {
            folder,
            session,
            runbook,
            servers,
            database,
            bridge: Bridge::open(),
            on_undo: Arc::default(),
        };
        rusqlite::Connection::open(bench.path("app.db"))
            .expect("a file")
            .execute_batch("CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
            .expect("rows");
        for server in &bench.servers {
            server.text("/ready", 200, "on Sqlite");
            bench.configure(&server.instance.id, SQLITE);
        }
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes an instance's configuration.
    pub fn configure(&self, instance: &str, text: &str) {
        std::fs::write(self.path(&format!("{instance}.env")), text).expect("written");
    }

    pub fn configuration(&self, instance: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{instance}.env"))).expect("a configuration")
    }

    /// Every instance says this of itself from now on.
    pub fn all_say(&self, page: &str) {
        self.servers
            .iter()
            .for_each(|s| s.text("/ready", 200, page));
    }

    /// Only these steps are in the runbook.
    pub fn only(&mut self, steps: &[&str]) {
        self.runbook
            .steps
            .retain(|s| steps.contains(&s.id.as_str()));
    }

    pub async fn on_target(&self, sql: &str) {
        let client = Endpoint::parse(&self.database.url)
            .expect("a URL")
            .connect()
            .await;
        let done = client.expect("a connection").batch_execute(sql).await;
        done.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    /// A step has left something behind for later ones.
    pub fn left_behind(&mut self, step: &str, fact: &str, value: impl serde::Serialize) {
        let outcome = Outcome::done("done").with_fact(fact, value);
        self.finished(step, outcome);
    }

    pub fn finished(&mut self, step: &str, outcome: Outcome) {
        let step = step.to_owned();
        self.bridge.append(Event::StepStarted {
            step: step.clone(),
            attempt: 1,
            by: None,
        });
        self.bridge.append(Event::StepFinished {
            step,
            attempt: 1,
            outcome,
        });
    }

    /// Whether a step may change the target.
    pub async fn is_free(&self, step: &str) -> Result<(), Outcome> {
        let index = self.runbook.steps.iter().position(|s| s.id == step);
        let (ctx, _) = self.context(step, index.unwrap_or(0));
        cutover::step::in_use::is_free(&ctx).await
    }

    /// Runs a step as an engine would, and appends what comes of it.
    pub async fn step(&mut self, id: &str) -> Outcome {
        let started = Event::StepStarted {
            step: id.to_owned(),
            attempt: 1,
            by: None,
        };
        self.step_after(id, &[started]).await
    }

    /// The same, after events that start it.
    pub async fn step_after(&mut self, id: &str, events: &[Event]) -> Outcome {
        let index = self.runbook.steps.iter().position(|s| s.id == id);
        self.bridge.append_all(events);
        let (ctx, undos) = self.context(id, index.expect("a step of the runbook"));
        let outcome = cutover::step::run(&ctx).await;
        self.undone(id, &undos);
        self.bridge.append(Event::StepFinished {
            step: id.to_owned(),
            attempt: 1,
            outcome: outcome.clone(),
        });
        outcome
    }

    /// What an engine finds out about a step that another one had begun.
    pub async fn found(&self, id: &str) -> Found {
        let index = self.runbook.steps.iter().position(|s| s.id == id);
        let (ctx, _) = self.context(id, index.expect("a step of the runbook"));
        cutover::step::find_out(&ctx).await
    }

    /// Runs a row of the rollback, which begins with the first.
    pub async fn row(&mut self, id: &str) -> Outcome {
        if self.bridge.session.rollback.is_none() {
            self.bridge.append(Event::RollbackStarted {
                cause: cutover::session::RollbackCause::Person { by: "robin".into() },
                reason: "a test".into(),
            });
        }
        let index = self.runbook.rollback.iter().position(|r| r.id == id);
        self.bridge
            .append(Event::RollbackRowStarted { row: id.to_owned() });
        let (ctx, undos) = self.context(id, index.expect("a row of the runbook"));
        let outcome = cutover::step::rollback::run(&ctx).await;
        self.undone(id, &undos);
        self.bridge.append(Event::RollbackRowFinished {
            row: id.to_owned(),
            outcome: outcome.clone(),
        });
        outcome
    }

    fn undone(&mut self, id: &str, undos: &Lock<Vec<Undo>>) {
        for undo in undos.lock().expect("undos").drain(..) {
            self.bridge.append(Event::UndoRecorded {
                step: id.to_owned(),
                undo,
            });
        }
    }

    /// How to put files back, as this session has recorded it.
    pub fn undos(&self) -> Vec<(String, PathBuf)> {
        let undos = self.bridge.session.config_undos().into_iter();
        let file = |undo: &Undo| match undo {
            Undo::Config { instance, path, .. } => Some((instance.clone(), path.clone())),
            _ => None,
        };
        undos.filter_map(file).collect()
    }

    fn context(&self, row: &str, index: usize) -> (Context, Arc<Lock<Vec<Undo>>>) {
        let (news, mut ear) = mpsc::unbounded_channel::<(String, u32, News)>();
        let undos: Arc<Lock<Vec<Undo>>> = Arc::default();
        let (kept, on_undo) = (Arc::clone(&undos), Arc::clone(&self.on_undo));
        tokio::spawn(async move {
            while let Some((_, _, news)) = ear.recv().await {
                if let News::Undo { undo, durable } = news {
                    if let Some(act) = on_undo.lock().expect("an act").as_ref() {
                        act(&undo);
                    }
                    kept.lock().expect("undos").push(undo);
                    durable.send(()).expect("a step that waits");
                }
            }
        });
        let runbook = Arc::new(self.runbook.clone());
        let base: &Path = self.folder.path();
        let ground = Ground {
            folder: base.to_owned(),
            environment: Arc::default(),
        };
        let (samples, _) = mpsc::channel(1);
        let monitor = Monitor::start(Arc::clone(&runbook), ground, Arc::new(|| 0), 1.0, samples);
        let shared = Shared {
            fence: Mutex::new(None),
            checklist: watch::channel(Vec::new()).1,
            held: watch::channel(false).1,
            monitor: Arc::new(monitor),
            http: fleet::client(),
            clock: SessionClock { offset_ms: 0 },
        };
        let ctx = Context {
            runbook,
            session: Arc::new(self.bridge.session.clone()),
            folder: self.session.clone(),
            base: base.to_owned(),
            environment: Arc::default(),
            index,
            reporter: Reporter {
                row: row.to_owned(),
                attempt: 1,
                news,
            },
            cancel: CancellationToken::new(),
            shared: Arc::new(shared),
        };
        (ctx, undos)
    }
}

/// Checks of an outcome that failed, by name.
pub fn red(outcome: &Outcome) -> Vec<&str> {
    let red = outcome.checks.iter().filter(|c| !c.ok);
    red.map(|c| c.name.as_str()).collect()
}
