//! Where a step runs by itself: a fleet of test servers with configuration files, a SQLite file, a PostgreSQL database, and a session
//! whose events a test writes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Lock};

use cutover::feed::Handover;
use cutover::fleet;
use cutover::journal::Folder;
use cutover::monitor::{Ground, Monitor};
use cutover::postgres::writers::TargetFence;
use cutover::postgres::{Endpoint, Finding};
use cutover::runbook::{ProviderPage, Runbook};
use cutover::session::facts::{Backup, Fact};
use cutover::session::live::ItemView;
use cutover::session::{Event, Found, Outcome, Undo};
use cutover::sqlite::fence::Fence;
use cutover::step::closing::grants;
use cutover::step::context::{Content, Context, News, Reporter, SessionClock, Shared};
use cutover::step::rollback::{Halted, fence_target};
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

/// What a step says while it runs, with its row and attempt.
type Told = mpsc::UnboundedReceiver<(String, u32, News)>;

pub struct Bench {
    folder: tempfile::TempDir,
    session: Folder,
    pub runbook: Runbook,
    pub servers: Vec<Server>,
    pub database: TestDatabase,
    pub bridge: Bridge,
    /// As the judge has left it.
    pub checklist: Vec<ItemView>,
    pub on_undo: Lock<Option<OnUndo>>,
    /// What a comparison of the file with its backup has found.
    pub content: watch::Sender<Content>,
    /// Whether what ran before a row of the rollback has ended.
    pub halted: Halted,
    /// What steps have said of SQLite having been written after the switch.
    pub written: Lock<Vec<String>>,
    /// SQLite's fence, which an engine holds from one row of the rollback to the next.
    pub fence: Lock<Option<Fence>>,
    /// PostgreSQL's, as [`Bench::row`] leaves it.
    target_fence: Lock<Option<TargetFence>>,
    /// Who has followed what is written, for R2+.
    pub feed: Handover,
}

impl Bench {
    /// So many instances, ready and on SQLite, each with a configuration file of its own.
    pub async fn new(instances: usize) -> Bench {
        Bench::on(instances, support::database().await).await
    }

    /// The same, with this database as the target.
    pub async fn on(instances: usize, database: TestDatabase) -> Bench {
        Bench::below(instances, database, &std::env::temp_dir()).await
    }

    /// The same, with its files below this folder.
    pub async fn below(instances: usize, database: TestDatabase, above: &Path) -> Bench {
        let folder = tempfile::tempdir_in(above).expect("a folder");
        let session = Folder::create(folder.path(), "tonight").expect("a session's folder");
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
        fleet.ready_within_ms = 60_000;
        fleet.ready_successes = 1;
        let bench = Bench {
            folder,
            session,
            runbook,
            servers,
            database,
            bridge: Bridge::open(),
            checklist: Vec::new(),
            on_undo: Lock::default(),
            content: watch::channel(Content::default()).0,
            halted: Halted::Wholly,
            written: Lock::default(),
            fence: Lock::default(),
            target_fence: Lock::default(),
            feed: Handover::default(),
        };
        let rows = "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
        support::sqlite(&bench.path("app.db"), rows);
        for server in &bench.servers {
            server.text("/ready", 200, "on Sqlite");
            bench.configure(&server.instance.id, SQLITE);
        }
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The session's folder.
    pub fn session(&self) -> &Folder {
        &self.session
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
    pub fn left_behind(&mut self, step: &str, fact: impl Fact) {
        let outcome = Outcome::done("done").with_fact(fact);
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
        let (ctx, mut news) = self.context(step, index.unwrap_or(0));
        let heard = self.heard(&mut news, cutover::step::in_use::is_free(&ctx));
        heard.await.0
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
        let (ctx, mut news) = self.context(id, index.expect("a step of the runbook"));
        let (outcome, undos) = self.heard(&mut news, cutover::step::run(&ctx)).await;
        self.undone(id, undos);
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
        let (ctx, mut news) = self.context(id, index.expect("a step of the runbook"));
        let heard = self.heard(&mut news, cutover::step::find_out(&ctx));
        heard.await.0
    }

    /// Runs a row of the rollback, which begins with the first.
    pub async fn row(&mut self, id: &str) -> Outcome {
        let outcome = self.row_that_dies(id).await;
        self.bridge.append(Event::RollbackRowFinished {
            row: id.to_owned(),
            outcome: outcome.clone(),
        });
        outcome
    }

    /// The same by an engine that dies before it can put the outcome on record.
    pub async fn row_that_dies(&mut self, id: &str) -> Outcome {
        if self.bridge.session.rollback.is_none() {
            self.bridge.append(Event::RollbackStarted {
                cause: cutover::session::RollbackCause::Person { by: "robin".into() },
                reason: "a test".into(),
            });
        }
        let index = self.runbook.rollback.iter().position(|r| r.id == id);
        self.bridge
            .append(Event::RollbackRowStarted { row: id.to_owned() });
        let (ctx, mut news) = self.context(id, index.expect("a row of the runbook"));
        let fences = (held(&self.fence), held(&self.target_fence));
        *ctx.shared.fence.lock().await = fences.0;
        *ctx.shared.target_fence.lock().await = fences.1;
        // On the heap: a test that plays a whole rollback has a stack of its own thread alone.
        let row = Box::pin(cutover::step::rollback::run(&ctx, self.halted));
        let (outcome, undos) = self.heard(&mut news, row).await;
        self.undone(id, undos);
        self.fence = Lock::new(ctx.shared.fence.lock().await.take());
        self.target_fence = Lock::new(fence_target::take(&ctx).await);
        outcome
    }

    /// R1+, and the lock where it is held when the row has ended.
    pub async fn fence_target(&mut self, drain_ms: i64) -> (Outcome, Option<TargetFence>) {
        let (ctx, mut news) = self.context("R1+", 0);
        let fencing = fence_target::fence(&ctx, drain_ms);
        let (outcome, undos) = self.heard(&mut news, fencing).await;
        self.undone("R1+", undos);
        (outcome, fence_target::take(&ctx).await)
    }

    /// What takes the lock for R2+.
    pub async fn lock_for_the_last_read(&self) -> Result<TargetFence, String> {
        let (ctx, _news) = self.context("R2+", 0);
        fence_target::ensure(&ctx).await
    }

    /// What `close` says of rights that R1+ took away.
    pub async fn rights_at_close(&self) -> Option<Finding> {
        let (session, entries) = (&self.bridge.session, &self.bridge.journal);
        grants::at_close(&self.runbook, &self.session, session, entries).await
    }

    /// What B1 does about rights that earlier sessions took away.
    pub async fn rights_at_b1(&self) -> Outcome {
        let (ctx, _news) = self.context("B1", 0);
        grants::before_the_next(&ctx, Outcome::done("B1")).await
    }

    /// What a step or a row returns, with the undos that it recorded. All that it had said when it returned has been heard then.
    async fn heard<T>(&self, news: &mut Told, act: impl Future<Output = T>) -> (T, Vec<Undo>) {
        let mut undos = Vec::new();
        let mut act = std::pin::pin!(act);
        let returned = loop {
            tokio::select! {
                biased;
                Some((_, _, news)) = news.recv() => self.hear(news, &mut undos),
                returned = &mut act => break returned,
            }
        };
        while let Ok((_, _, news)) = news.try_recv() {
            self.hear(news, &mut undos);
        }
        (returned, undos)
    }

    fn hear(&self, news: News, undos: &mut Vec<Undo>) {
        if let News::Written { detail } = &news {
            let mut written = self.written.lock().expect("what was seen");
            written.push(detail.clone());
        }
        if let News::Undo { undo, durable } = news {
            if let Some(act) = self.on_undo.lock().expect("an act").as_ref() {
                act(&undo);
            }
            undos.push(undo);
            durable.send(()).expect("a step that waits");
        }
    }

    fn undone(&mut self, id: &str, undos: Vec<Undo>) {
        for undo in undos {
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

    fn context(&self, row: &str, index: usize) -> (Context, Told) {
        let (news, received) = mpsc::unbounded_channel();
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
            target_fence: Mutex::new(None),
            feed: Arc::clone(&self.feed),
            content: self.content.subscribe(),
            checklist: watch::channel(self.checklist.clone()).1,
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
        (ctx, received)
    }
}

/// What is held, for who holds it next.
fn held<T>(fence: &Lock<Option<T>>) -> Option<T> {
    fence.lock().expect("a fence").take()
}

/// Checks of an outcome that failed, by name.
pub fn red(outcome: &Outcome) -> Vec<&str> {
    let red = outcome.checks.iter().filter(|c| !c.ok);
    red.map(|c| c.name.as_str()).collect()
}

/// A backup as the journal of a session has it.
pub fn backup_of(json: serde_json::Value) -> Backup {
    serde_json::from_value(json).expect("a backup")
}
