//! What several concerns share: databases, sandboxes, waiting for content with a deadline.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use cutover::demo::cluster::{Cluster, Options};
use cutover::engine::{self, Orders, socket};
use cutover::journal::{Folder, files};
use cutover::postgres::Endpoint;
use cutover::runbook::Runbook;
use cutover::session::{Opening, RehearsalEvidence};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A text has this part; where it has not, the text is shown.
macro_rules! says {
    ($text:expr, $part:expr) => {{
        let text = &$text;
        assert!(text.contains($part), "{text}");
    }};
}

/// A text does not have this part.
macro_rules! lacks {
    ($text:expr, $part:expr) => {{
        let text = &$text;
        assert!(!text.contains($part), "{text}");
    }};
}

/// Copies a program to where it is to run. Another process writes it: were this one to, a child that another test starts meanwhile would
/// hold the file open for writing until it has become its own program, and nobody could run it ("text file busy").
pub fn copy_program(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg(from).arg(to).status();
    assert!(
        copied.expect("cp").success(),
        "{} was not copied",
        from.display()
    );
}

/// A file of SQLite, made where it is not there, on which this SQL has been run.
pub fn sqlite(path: &Path, sql: &str) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(path).expect("a file of SQLite");
    let ran = connection.execute_batch(sql);
    ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    connection
}

/// A connection to PostgreSQL.
pub async fn client(url: &str) -> tokio_postgres::Client {
    let endpoint = Endpoint::parse(url).expect("a URL");
    endpoint.connect().await.expect("a connection")
}

/// The binary under test.
pub fn cutover() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_cutover"))
}

/// An empty database of the test's own, on the one throwaway cluster of this test process.
pub struct TestDatabase {
    /// For the role that owns the database and is no superuser.
    pub url: String,
    /// For the superuser.
    pub superuser_url: String,
    /// The database's name.
    pub name: String,
}

/// Drops every table of the schema `public`, and what an import keeps beside it.
pub async fn empty(url: &str) {
    let client = client(url).await;
    let tables = "SELECT format('DROP TABLE %s CASCADE', c.oid::regclass) FROM pg_class c \
                  WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
    for row in client.query(tables, &[]).await.unwrap() {
        client.batch_execute(row.get(0)).await.unwrap();
    }
    let own = "DROP SCHEMA IF EXISTS cutover CASCADE";
    client.batch_execute(own).await.unwrap();
}

/// The cluster that the tests of this process share. Its reaper ends it with the process.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(Options::new(cutover())).expect("a throwaway PostgreSQL"))
}

/// Makes an empty database.
pub async fn database() -> TestDatabase {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let cluster = cluster();
    cluster
        .create_database(&name)
        .await
        .expect("a fresh database");
    TestDatabase {
        url: cluster.url(&name),
        superuser_url: cluster.superuser_url(&name),
        name,
    }
}

/// A real engine in this process, on a session of a test's own.
pub struct Engine {
    folder: Folder,
    stop: CancellationToken,
    task: JoinHandle<Result<(), engine::Error>>,
}

impl Engine {
    /// Starts one and waits until it answers. Nothing of what the runbook names has to be there before a step needs it.
    pub async fn start(
        folder: &Folder,
        runbook: &Runbook,
        sandbox: bool,
        rehearsal: Option<RehearsalEvidence>,
    ) -> Engine {
        Engine::of(folder, Engine::orders(folder, runbook, sandbox, rehearsal)).await
    }

    async fn of(folder: &Folder, orders: Orders) -> Engine {
        let stop = CancellationToken::new();
        let task = tokio::spawn(engine::run(orders, stop.clone()));
        until("the engine answers", async || {
            socket::ping(folder).await.is_ok()
        })
        .await;
        Engine {
            folder: folder.clone(),
            stop,
            task,
        }
    }

    /// One that is started to roll back.
    pub async fn start_to_roll_back(folder: &Folder, runbook: &Runbook) -> Engine {
        let orders = Orders {
            to_roll_back: true,
            ..Engine::orders(folder, runbook, true, None)
        };
        Engine::of(folder, orders).await
    }

    /// One that finds everything that it needs to end by itself.
    pub async fn runs_to_its_end(folder: &Folder, runbook: &Runbook) {
        let orders = Engine::orders(folder, runbook, true, None);
        let ended = engine::run(orders, CancellationToken::new());
        let ended = tokio::time::timeout(Duration::from_secs(180), ended).await;
        ended.expect("an end").expect("an orderly one");
    }

    /// Why an engine does not begin at all.
    pub async fn refuses(folder: &Folder, runbook: &Runbook) -> engine::Error {
        let orders = Engine::orders(folder, runbook, true, None);
        let ended = engine::run(orders, CancellationToken::new());
        let ended = tokio::time::timeout(Duration::from_secs(180), ended).await;
        ended.expect("an end").expect_err("a refusal")
    }

    fn orders(
        folder: &Folder,
        runbook: &Runbook,
        sandbox: bool,
        rehearsal: Option<RehearsalEvidence>,
    ) -> Orders {
        Orders {
            folder: folder.clone(),
            runbook: Arc::new(runbook.clone()),
            environment: Arc::default(),
            base: folder.dir().to_owned(),
            spare: None,
            to_roll_back: false,
            opening: Opening {
                session: folder.session(),
                target: "db:5432/tools".to_owned(),
                production: cutover::session::Production::default(),
                again: None,
                sandbox,
                rehearsal: false,
                speed: 1.0,
                wait_before: Vec::new(),
            },
            rehearsal,
        }
    }

    /// Ends it in order. Its socket is gone then, so that nobody takes it for the next engine's.
    pub async fn end(self) {
        let Engine { folder, stop, task } = self;
        stop.cancel();
        task.await.expect("an end").expect("an orderly one");
        // It waits two seconds for its listener, and no longer.
        until("its socket is gone", async || {
            !folder.socket_path().exists()
        })
        .await;
    }

    /// It ends by itself, in order.
    pub async fn ended_in_order(self) {
        let ended = tokio::time::timeout(Duration::from_secs(180), self.task).await;
        ended
            .expect("an end")
            .expect("no panic")
            .expect("an orderly one");
    }

    /// Why it ended by itself.
    pub async fn ended_because(self) -> engine::Error {
        let ended = tokio::time::timeout(Duration::from_secs(180), self.task).await;
        let ended = ended.expect("an end").expect("no panic");
        ended.expect_err("it should have given up")
    }
}

/// Writes a line to an engine's socket by hand, past everything of ours, and reads what comes back.
pub async fn say(folder: &Folder, line: &str) -> String {
    let mut stream = UnixStream::connect(folder.socket_path())
        .await
        .expect("a connection");
    let line = line.to_owned() + "\n";
    stream.write_all(line.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    answer
}

/// Everything in a session's folder is in the table of its files, with the mode and the owner that it must have.
pub fn assert_known_files(folder: &Folder) {
    use std::os::unix::fs::MetadataExt;
    let owner = rustix::process::geteuid().as_raw();
    let below = |dir: &Path| {
        let listed = std::fs::read_dir(dir).expect("a folder");
        listed
            .map(|e| e.expect("an entry").path())
            .collect::<Vec<_>>()
    };
    let mut found = below(folder.dir());
    found.extend(below(folder.shared_dir()));
    for path in found {
        let name = path.strip_prefix(folder.dir()).expect("below it");
        let shown = name.to_string_lossy();
        // What a process that was killed had not finished writing.
        let whole = shown.strip_suffix(".new").unwrap_or(&shown);
        if whole.ends_with(".partial") {
            continue;
        }
        let row = files::row_of(Path::new(whole));
        let row = row.unwrap_or_else(|| panic!("{name:?} is in no row"));
        // SQLite's own come and go.
        let Ok(is) = path.symlink_metadata() else {
            continue;
        };
        assert_eq!(is.uid(), owner, "{name:?}");
        // Others are kept out by the folder; commands of a runbook go by their umask.
        let others = 0o005;
        let beyond = is.mode() & 0o777 & !(row.mode() & 0o777 | others);
        assert_eq!(beyond, 0, "{name:?} has mode {:o}", is.mode());
    }
}

/// An HTTP client.
pub fn http() -> reqwest::Client {
    // reqwest wants one to be there, even for plain HTTP. A second installation is refused and does no harm.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(15))
        .build()
        .expect("an HTTP client")
}

/// Asks again until it is so. Fails after three minutes, naming what was waited for.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(180);
    while !is_so().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a signal to a process.
pub fn signal(process: u32, signal: Signal) {
    let pid = Pid::from_raw(process as i32).expect("a process number");
    rustix::process::kill_process(pid, signal).expect("a process of ours");
}

/// From here on the process can make no file longer: what a full disk is to it.
pub fn no_more_room(process: u32) {
    let pid = Pid::from_raw(process as i32).expect("a process number");
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // It may have ended by itself.
    let _ = rustix::process::prlimit(Some(pid), Resource::Fsize, none);
}

/// Whether a process runs; one that has ended and was not waited for does not.
pub fn is_alive(process: u32) -> bool {
    let pid = Pid::from_raw(process as i32).expect("a process number");
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let ended = stat
        .rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with('Z'));
    !ended && rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// The seeds of a property: always the same ones in `make test`, and in `make soak` those that follow the last soak's, as many as are
/// wanted or as the time allows (`CUTOVER_SOAK_SECONDS`). `CUTOVER_SEED` plays one alone.
pub struct Seeds {
    name: &'static str,
    first: u64,
    next: u64,
    step: u64,
    end: u64,
    began: Instant,
    until: Option<Instant>,
}

impl Seeds {
    /// Of the property `name`: so many in a test, so many in a soak without a time.
    pub fn of(name: &'static str, in_test: u64, in_soak: u64) -> Self {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let began = Instant::now();
        let seconds = number("CUTOVER_SOAK_SECONDS");
        let (first, end) = match number("CUTOVER_SEED") {
            Some(seed) => (seed, seed + 1),
            None if seconds.is_some() => (Self::after_the_last(name, in_test), u64::MAX),
            None if std::env::var_os("CUTOVER_SOAK").is_some() => {
                let first = Self::after_the_last(name, in_test);
                (first, first + in_soak)
            }
            None => (1, in_test + 1),
        };
        Self {
            name,
            first,
            next: first,
            step: 1,
            end,
            began,
            until: seconds.map(|seconds| began + Duration::from_secs(seconds)),
        }
    }

    /// Only every so-manieth of these, from the n-th on: one property as several tests that are played side by side.
    pub fn part(mut self, n: u64, of: u64) -> Self {
        while self.first % of != n % of {
            self.first += 1;
        }
        self.next = self.first;
        self.step = of;
        self
    }

    fn record(name: &str) -> std::path::PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/soak");
        folder.join(format!("{name}.seed"))
    }

    fn after_the_last(name: &str, in_test: u64) -> u64 {
        let last = std::fs::read_to_string(Self::record(name)).ok();
        last.and_then(|seed| seed.trim().parse::<u64>().ok())
            .unwrap_or(in_test)
            + 1
    }

    /// How many were played.
    pub fn played(&self) -> u64 {
        (self.next - self.first) / self.step
    }
}

impl Iterator for Seeds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let is_over = self.until.is_some_and(|until| Instant::now() >= until);
        if self.next >= self.end || is_over {
            return None;
        }
        let seed = self.next;
        self.next += self.step;
        if std::env::var_os("CUTOVER_SOAK").is_some() {
            let record = Self::record(self.name);
            let folder = record.parent().expect("a folder");
            std::fs::create_dir_all(folder).expect("a folder for the last seed");
            std::fs::write(&record, seed.to_string()).expect("the last seed");
        }
        Some(seed)
    }
}

impl std::fmt::Display for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (last, seconds) = (
            self.next.saturating_sub(self.step),
            self.began.elapsed().as_secs(),
        );
        write!(
            f,
            "{}: seeds {} to {last}{} in {seconds} s",
            self.name,
            self.first,
            match self.step {
                1 => String::new(),
                step => format!(", one in {step}"),
            }
        )
    }
}
