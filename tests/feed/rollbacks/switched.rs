//! A session that has switched, as R1+ finds it: both databases with the same rows, what is written noted and followed, the application at work.
//!
//! Not in here: when it is rolled back, and what has to be true then (`rollbacks`).

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cutover::feed::live::{About, Begin, LastRead};
use cutover::feed::{self, FeedState, Live, Reader, capture};
use cutover::postgres::Endpoint;
use cutover::runbook::parse_transfer;
use cutover::salvage::apply::derived::Anew;
use cutover::salvage::apply::whole;
use cutover::salvage::file::{BEFORE, NAME, Salvaged};
use cutover::session::Outcome;
use cutover::session::facts::{Brought, Imported, Noted, Snapshot};
use cutover::sqlite::digest;
use cutover::sqlite::fence::{Fence, Quiet};
use cutover::sqlite::writer::Writer;
use cutover::step::salvage::{Wanted, make};
use cutover::transfer::copy::{self, copy};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::judged::green;
use super::link::Link;
use super::model::{Done, State};
use super::{load, world};
use crate::step::bench::{Bench, backup_of};
use crate::support::{self, TestDatabase, client, until};

/// Connections of the application.
const WRITERS: u64 = 4;
const PASSWORD: &str = "of-a-test";
/// What a step of the feed may take on the server, as the engine has it.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// How long whoever else has SQLite's file is waited for.
const BUSY_LIMIT: Duration = Duration::from_secs(60);
/// What the application calls itself: whoever calls itself cutover is not ended by R1+.
const APPLICATION: &str = "web";

/// A moment of chance, in milliseconds.
pub async fn pause(rng: &mut StdRng, ms: Range<u64>) {
    let ms = rng.random_range(ms);
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// The feed as an engine has it.
pub struct Following {
    pub stop: CancellationToken,
    pub state: Arc<Mutex<FeedState>>,
    pub task: JoinHandle<Reader>,
}

impl Following {
    /// It has something to bring back.
    pub async fn keeps_rows(&self) {
        until("rows are kept", async || {
            self.state.lock().expect("a state").rows_kept > 0
        })
        .await;
    }

    async fn ended(self) -> Reader {
        self.stop.cancel();
        self.task.await.expect("no panic")
    }
}

/// The application's connections.
pub struct Application {
    pub halt: CancellationToken,
    writers: Vec<JoinHandle<Vec<Done>>>,
}

impl Application {
    /// It ends now; what it has committed, or may have.
    pub async fn halted(self) -> Vec<Done> {
        self.halt.cancel();
        self.ended().await
    }

    /// What it has committed, or may have.
    pub async fn ended(self) -> Vec<Done> {
        let mut done = Vec::new();
        for writer in self.writers {
            done.extend(writer.await.expect("no panic"));
        }
        done
    }
}

/// A session that has switched: its writes are noted from here on.
pub struct Night {
    pub bench: Bench,
    /// SQLite's file.
    pub file: PathBuf,
    /// What it held at the switch.
    pub first: State,
    /// By which the application may write, and nothing else.
    runtime_url: String,
    role: String,
}

/// The same database for another role.
fn of_role(url: &str, role: &str) -> String {
    let mut url = Url::parse(url).expect("a URL");
    url.set_username(role).expect("a role");
    url.set_password(Some(PASSWORD)).expect("a password");
    url.into()
}

/// Makes the owner's tables, and the role by which the application may write to them.
async fn role_and_tables(database: &TestDatabase) -> String {
    let owner = client(&database.url).await;
    let made = owner.batch_execute(world::TARGET).await;
    made.expect("the tables");
    let role = format!("{}_app", database.name);
    let rights = format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; GRANT {role} TO app_owner; GRANT USAGE ON SCHEMA app TO {role};
         GRANT USAGE ON SEQUENCE app.turn TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {role}"
    );
    let superuser = client(&database.superuser_url).await;
    superuser.batch_execute(&rights).await.expect("a role");
    role
}

/// The program's own copy.
async fn import(bench: &Bench, backup: &Path) {
    let endpoint = Endpoint::parse(&bench.database.url).expect("a URL");
    let (transfer, options) = (&bench.runbook.transfer, copy::Options::default());
    let cancel = CancellationToken::new();
    let copying = copy(
        backup,
        &endpoint,
        "public",
        transfer,
        &options,
        &|_| {},
        &cancel,
    );
    copying.await.unwrap_or_else(|error| panic!("{error}"));
}

/// What is written from here on is noted, and on record is what a rollback needs.
async fn switch(bench: &mut Bench, backup: &Path) {
    let sha256 = digest::of_file(backup, &CancellationToken::new()).expect("its checksum");
    let size = backup.metadata().expect("a file").len();
    let kept = json!({ "path": backup, "sha256": sha256, "size_bytes": size, "keep_ms": 1_000 });
    bench.left_behind("A2", backup_of(kept));
    let tables = world::TABLES.iter().map(|table| (table.name.to_owned(), 1));
    bench.left_behind("D2", Imported(tables.collect()));

    let endpoint = Endpoint::parse(&bench.database.url).expect("a URL");
    let captured = feed::captured(backup, &endpoint, "public", &bench.runbook.transfer).await;
    let captured = captured.expect("both schemas");
    let owner = client(&bench.database.url).await;
    let session = bench.session().session();
    let installed = capture::install(&owner, &session, &captured).await;
    installed.expect("the capture");
    let snapshot = owner
        .query_one("SELECT pg_current_snapshot()::text", &[])
        .await;
    let snapshot = Snapshot(snapshot.expect("a snapshot").get(0));
    let switched = Outcome::done("done")
        .with_fact(snapshot)
        .with_fact(Noted(None));
    bench.finished("F1", switched);
    bench.finished("F4", Outcome::done("writes are open"));
}

impl Night {
    pub async fn switched(rng: &mut StdRng, database: TestDatabase) -> Night {
        let bench = Bench::on(0, database).await;
        let file = bench.path("app.db");
        Night::of(rng, bench, file).await
    }

    /// The same, with the session's folder in `above`, and SQLite's file in `beside`.
    pub async fn switched_in(
        rng: &mut StdRng,
        database: TestDatabase,
        above: &Path,
        beside: &Path,
    ) -> Night {
        let bench = Bench::below(0, database, above).await;
        Night::of(rng, bench, beside.join("app.db")).await
    }

    async fn of(rng: &mut StdRng, mut bench: Bench, file: PathBuf) -> Night {
        let backup = bench.path("backup.db");
        let first = world::first_rows(rng);
        std::fs::remove_file(bench.path("app.db")).expect("the bench's own");
        bench.runbook.source.file.clone_from(&file);
        drop(support::sqlite(&file, &world::source_sql(&first)));
        std::fs::copy(&file, &backup).expect("a backup");
        let mode = if rng.random_bool(0.5) {
            "wal"
        } else {
            "delete"
        };
        drop(support::sqlite(
            &file,
            &format!("PRAGMA journal_mode = {mode}"),
        ));

        let role = role_and_tables(&bench.database).await;
        let runtime_url = of_role(&bench.database.url, &role);
        bench.runbook.target.runtime_url.clone_from(&runtime_url);
        bench.runbook.transfer = parse_transfer("transfer", world::TRANSFER).expect("a section");
        bench.runbook.feed.drain_ms = [20, 200, 2_000][rng.random_range(0..3)];
        import(&bench, &backup).await;
        switch(&mut bench, &backup).await;
        Night {
            bench,
            file,
            first,
            runtime_url,
            role,
        }
    }

    pub fn salvage(&self) -> PathBuf {
        self.bench.session().dir().join(NAME)
    }

    /// What the live file says of its last read.
    pub fn last_read(&self) -> Option<LastRead> {
        let live = Live::open_read(self.bench.session()).expect("the live file");
        live.last_read().expect("its last read")
    }

    pub async fn fence_sqlite(&self) {
        let file = self.file.clone();
        let quiet = Quiet {
            period: Duration::from_millis(40),
            ..Quiet::default()
        };
        let raise = move || Fence::raise(&file, &quiet, &CancellationToken::new());
        let raised = tokio::task::spawn_blocking(raise).await.expect("no panic");
        let fence = raised.expect("a fence");
        *self.bench.fence.lock().expect("nobody holds it") = Some(fence);
    }

    pub async fn application(&self, seed: u64, of_log: bool) -> Application {
        let halt = CancellationToken::new();
        let endpoint = Endpoint::parse(&self.runtime_url).expect("a URL");
        let endpoint = endpoint.with_application_name(APPLICATION);
        let mut writers = Vec::new();
        for n in 0..WRITERS {
            let connection = endpoint.connect().await.expect("a connection");
            let write = load::write(connection, seed * WRITERS + n, of_log, halt.clone());
            writers.push(tokio::spawn(write));
        }
        Application { halt, writers }
    }

    pub async fn follow(&self, every: Duration) -> Following {
        let (session, runbook) = (&self.bench.bridge.session, &self.bench.runbook);
        let wanted = Wanted::of(self.bench.session(), session, runbook).expect("its facts");
        let mut wanted = wanted.expect("a session that has switched");
        wanted.since.statement_limit = STATEMENT_LIMIT;
        let about = About {
            session: wanted.about.session,
            backup_sha256: wanted.about.backup_sha256,
            since: wanted.since.snapshot.clone(),
        };
        let live = Live::open(self.bench.session(), &about, Begin::AtSwitch);
        let live = live.expect("a live file");
        let stop = CancellationToken::new();
        let reader = Reader::open(wanted.since, &wanted.endpoint, live, &stop).await;
        let reader = reader.unwrap_or_else(|error| panic!("{error}"));
        let state = Arc::new(Mutex::new(FeedState::default()));
        let seen = Arc::clone(&state);
        let view = move |now: FeedState| *seen.lock().expect("a state") = now;
        let task = tokio::spawn(feed::run(reader, every, view, stop.clone()));
        Following { stop, state, task }
    }

    /// R2+; where its engine dies between SQLite's commit and the journal, another one does it again and says the same.
    pub async fn bring_back(&mut self, dies: bool) -> Result<Outcome, String> {
        if !dies {
            let outcome = self.bench.row("R2+").await;
            return green("R2+", &outcome).map(|()| outcome);
        }
        let first = self.bench.row_that_dies("R2+").await;
        green("R2+ that dies", &first)?;
        if self.salvage().exists() {
            // Nor had it noted there what SQLite has.
            drop(support::sqlite(
                &self.salvage(),
                "DELETE FROM cutover_applied",
            ));
        }
        let again = self.bench.row("R2+").await;
        green("R2+ again", &again)?;
        let brought = |outcome: &Outcome| outcome.fact::<Brought>("R2+").expect("readable");
        match brought(&first) == brought(&again) {
            true => Ok(again),
            false => Err(format!("first {}; again {}", first.summary, again.summary)),
        }
    }

    /// From here on our own way to PostgreSQL is this link; the application keeps its own.
    pub fn by_way_of(&mut self, link: &Link) {
        let url = link.by_way_of(&self.bench.database.url);
        self.bench.runbook.target.url = url;
    }

    /// The feed ends, as a rollback begins. An engine that has followed until then has the reader; one that was started since has none.
    pub async fn hand_over(&self, rng: &mut StdRng, following: Following) {
        let reader = following.ended().await;
        if rng.random_bool(0.5) {
            *self.bench.feed.lock().await = Some(reader);
        }
    }

    /// The server, once no connection of the application's is open: what became of each transaction stands then.
    pub async fn without_application(&self) -> Client {
        let server = client(&self.bench.database.superuser_url).await;
        let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1";
        until("the application's connections end", async || {
            let row = server.query_one(open, &[&APPLICATION]).await;
            row.expect("a count").get::<_, i64>(0) == 0
        })
        .await;
        server
    }

    /// `cutover salvage make`, once PostgreSQL answers; then all that it names and SQLite has not comes in, as R2+ would bring it.
    pub async fn made_anew(&self) -> Result<(), String> {
        let (path, session) = (self.salvage(), self.bench.session());
        let before = path.with_file_name(BEFORE);
        if before.exists() {
            std::fs::rename(&before, self.bench.path("aside.db")).expect("moved aside");
        }
        let wanted = Wanted::of(session, &self.bench.bridge.session, &self.bench.runbook);
        let mut wanted = wanted.expect("its facts").expect("a switch");
        wanted.even_if_empty = true;
        wanted.before = path.exists().then_some(before);
        let is_anew = wanted.before.clone();
        let made = make(wanted, &CancellationToken::new()).await;
        let record = made.map_err(|why| format!("salvage make: {why}"))?;
        if !record.lacks.is_empty() {
            return Err(format!("salvage make lacks {:?}", record.lacks));
        }
        let salvaged = Salvaged::open(&path).expect("a salvage file");
        if let Some(before) = is_anew {
            salvaged.note_as_in(&before).expect("noted");
        }
        let file = self.file.canonicalize().expect("its name");
        let writer = Writer::begin(&file, BUSY_LIMIT).expect("the write lock");
        let anew = Anew::within(BUSY_LIMIT);
        let whole = whole::bring(writer.connection(), &salvaged, &file, false, &anew, &|_| ());
        whole.map_err(|why| format!("what salvage make found: {why}"))?;
        writer.commit().expect("a commit");
        let stays = salvaged.staying(&file, 3).expect("what stays");
        match stays.rows {
            0 => Ok(()),
            rows => Err(format!("{rows} rows stay: {:?}", stays.first)),
        }
    }

    /// Makes room for others.
    pub async fn leave(self) {
        let mut postgres = Url::parse(&self.bench.database.superuser_url).expect("a URL");
        postgres.set_path("postgres");
        let server = client(postgres.as_str()).await;
        let name = &self.bench.database.name;
        let gone = format!("DROP DATABASE {name} WITH (FORCE)");
        server.batch_execute(&gone).await.expect("room");
        let gone = format!("DROP ROLE {}", self.role);
        server.batch_execute(&gone).await.expect("room");
    }
}
