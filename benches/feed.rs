//! What the feed costs production: writes at a steady pace, over several connections, with what F1 installs and with the engine's reader
//! behind it, and with neither, in pairs and in an order of chance; with commits that wait for the disk, and with such that do not. The reader is a
//! process beside the writers, as an engine is, so that its own processor time is counted apart.
//!
//! Not in here: the database, which holds the rows of SQLITE_FILE already (`feed.sh`), and processor times (`processes`).
//!
//! Usage: cargo bench --bench feed -- TARGET_URL SQLITE_FILE TRANSFER_FILE [PAIRS [SECONDS]]
//! By default 20 pairs of 5 s each side, for either way of committing: some eight minutes and a half.

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs
#![allow(clippy::print_stdout, clippy::print_stderr)] // whoever runs it reads it

mod processes;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cutover::feed::capture::Captured;
use cutover::feed::live::{About, Begin};
use cutover::feed::{self, FeedState, Live, Reader, capture};
use cutover::journal::Folder;
use cutover::postgres::Endpoint;
use cutover::runbook::parse_transfer;
use cutover::runbook::transfer::Transfer;
use cutover::salvage::Since;
use processes::{Family, TICK_MS, ticks};
use rand::Rng;
use rand::seq::SliceRandom;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_postgres::{Client, Statement};
use tokio_util::sync::CancellationToken;

/// Writes each second, by all connections together.
const RATE: u64 = 200;
const CONNECTIONS: u64 = 8;
/// As the engine reads.
const READ_EVERY: Duration = Duration::from_millis(250);
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// Writes before those that are counted, on each side of a pair.
const WARM_UP: Duration = Duration::from_secs(1);
/// Before the first pair: the reader lists the keys of the backup, as after F1, and the application's rows come into memory.
const FIRST_WARM_UP: Duration = Duration::from_secs(10);
const SESSION: &str = "bench";
/// Users write to the newest tools; pages that were not written since the last checkpoint would fill the log on both sides.
const TOOLS: u64 = 2_000;

/// Of ten writes five insert, four update, and one deletes; each is a transaction of its own.
const INSERT: &str = r#"INSERT INTO "ToolFeatures" ("ToolContentId", "Name", "Value", "Enabled") VALUES ($1, 'bench', 1, true) RETURNING "Id""#;
const UPDATE: &str = r#"UPDATE "ToolContents" SET "Price" = ("Price" + 1) % 1000, "UpdatedAt" = now() WHERE "Id" = $1"#;
const DELETE: &str = r#"DELETE FROM "ToolFeatures" WHERE "Id" = $1"#;

/// How the application commits.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    setting: &'static str,
}

const MODES: [Mode; 2] = [
    Mode {
        name: "commits on disk",
        setting: "SET synchronous_commit = on",
    },
    Mode {
        name: "synchronous_commit = off",
        setting: "SET synchronous_commit = off",
    },
];

/// Where everything is.
#[derive(Clone)]
struct Place {
    url: String,
    backup: String,
    transfer: String,
}

impl Place {
    fn endpoint(&self) -> Endpoint {
        Endpoint::parse(&self.url).expect("a URL")
    }

    async fn connect(&self) -> Client {
        self.endpoint().connect().await.expect("a connection")
    }

    fn transfer(&self) -> Transfer {
        let text = std::fs::read_to_string(&self.transfer).expect("a transfer section");
        parse_transfer(&self.transfer, &text).expect("a transfer section")
    }
}

fn main() {
    let arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let mut arguments: Vec<String> = arguments.collect();
    let follows = arguments.first().is_some_and(|a| a == "--follow");
    if follows {
        arguments.remove(0);
    }
    let [url, backup, transfer, more @ ..] = &arguments[..] else {
        panic!("usage: feed TARGET_URL SQLITE_FILE TRANSFER_FILE [PAIRS [SECONDS]]");
    };
    let place = Place {
        url: url.clone(),
        backup: backup.clone(),
        transfer: transfer.clone(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    match (follows, more) {
        (true, [snapshot, ..]) => runtime.block_on(follow(&place, snapshot)),
        (true, []) => panic!("a snapshot is missing"),
        (false, more) => {
            let number = |n: usize, or: u64| {
                more.get(n)
                    .map_or(or, |text| text.parse().expect("a number"))
            };
            let length = Duration::from_secs(number(1, 5));
            runtime.block_on(measure(&place, number(0, 20), length));
        }
    }
}

/// The engine's part, at every line of its input in turn: begins to follow, ends and says how it stood.
async fn follow(place: &Place, snapshot: &str) {
    // On a disk, as an engine has it, and not in memory, as /tmp may be.
    let beside = Path::new(&place.backup).parent().expect("a folder");
    let root = tempfile::tempdir_in(beside).expect("a folder");
    let folder = Folder::create(root.path(), SESSION).expect("a session's folder");
    let about = About {
        session: SESSION.to_owned(),
        backup_sha256: "0".repeat(64),
        since: snapshot.to_owned(),
    };
    let live = Live::open(&folder, &about, Begin::AtSwitch).expect("a live file");
    let since = Since {
        backup: place.backup.clone().into(),
        schema: "public".to_owned(),
        transfer: place.transfer(),
        snapshot: snapshot.to_owned(),
        target: None,
        statement_limit: STATEMENT_LIMIT,
        scratch: root.path().to_owned(),
    };
    let never = CancellationToken::new();
    let opened = Reader::open(since, &place.endpoint(), live, &never).await;
    let mut reader = opened.unwrap_or_else(|error| panic!("{error}"));
    let mut lines = std::io::stdin().lines();
    while lines.next().is_some() {
        let (cancel, state) = (CancellationToken::new(), Arc::new(Mutex::default()));
        let seen = Arc::clone(&state);
        let view = move |now: FeedState| *seen.lock().expect("a state") = now;
        let following = tokio::spawn(feed::run(reader, READ_EVERY, view, cancel.clone()));
        if lines.next().is_none() {
            return;
        }
        cancel.cancel();
        reader = following.await.expect("the reader");
        let state: FeedState = state.lock().expect("a state").clone();
        let why = state.lost.iter().chain(&state.unknown);
        let why: Vec<&str> = why.map(String::as_str).collect();
        println!("{} {}", state.rows_kept, why.join("; "));
    }
}

/// The process that follows.
struct Follower {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Follower {
    fn start(place: &Place, snapshot: &str) -> Follower {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args(["--follow", &place.url, &place.backup, &place.transfer])
            .arg(snapshot)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the reader");
        let said = BufReader::new(process.stdout.take().expect("its output"));
        Follower { process, said }
    }

    fn turn(&mut self) {
        let orders = self.process.stdin.as_mut().expect("its input");
        orders.write_all(b"turn\n").expect("it listens");
    }

    /// Ends to follow; how many rows are kept. One that did not follow measures nothing.
    fn end(&mut self) -> u64 {
        self.turn();
        let mut line = String::new();
        self.said.read_line(&mut line).expect("an answer");
        let (rows, why) = line.trim_end_matches('\n').split_once(' ').expect("two");
        assert!(why.is_empty(), "the feed did not follow: {why}");
        rows.parse().expect("a number")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What one side of a pair comes to.
#[derive(Clone, Copy)]
struct Side {
    p50_ms: f64,
    p95_ms: f64,
    /// Processor time of the server for a write.
    server_ms: f64,
    /// Bytes of the write-ahead log for a write.
    log_bytes: f64,
}

/// What it is, its unit, and its figure of a side.
type Measure = (&'static str, &'static str, fn(&Side) -> f64);

/// All pairs of one mode.
#[derive(Default)]
struct Pairs {
    without: Vec<Side>,
    with: Vec<Side>,
    /// How much of a core the reader has taken.
    reader: Vec<f64>,
}

impl Pairs {
    fn ratios(&self, of: fn(&Side) -> f64) -> Vec<f64> {
        let pairs = self.with.iter().zip(&self.without);
        pairs.map(|(on, off)| of(on) / of(off)).collect()
    }

    /// Each line of the table: what it is, and its figures.
    fn lines(&self) -> Vec<(String, Vec<f64>)> {
        let measures: [Measure; 4] = [
            ("write latency, p50", "ms", |side| side.p50_ms),
            ("write latency, p95", "ms", |side| side.p95_ms),
            ("processor time of the server", "ms a write", |side| {
                side.server_ms
            }),
            ("growth of the log", "bytes a write", |side| side.log_bytes),
        ];
        let mut lines = Vec::new();
        for (name, unit, of) in measures {
            let all = |sides: &[Side]| sides.iter().map(of).collect();
            lines.push((format!("{name}: with the feed / without"), self.ratios(of)));
            lines.push((format!("    with the feed, {unit}"), all(&self.with)));
            lines.push((format!("    without, {unit}"), all(&self.without)));
        }
        lines.push(("the reader, of a core".to_owned(), self.reader.clone()));
        lines
    }
}

/// What is measured, and by whom.
struct Measuring {
    owner: Client,
    server: Family,
    tables: Vec<Captured>,
    writers: Vec<Writer>,
    follower: Follower,
    /// Rows that the reader has kept.
    kept: u64,
    length: Duration,
}

async fn measure(place: &Place, pairs: u64, length: Duration) {
    let mut measuring = Measuring::begin(place, length).await;
    let mut all = MODES.map(|_| Pairs::default());
    let mut chance = rand::rng();
    // Everything is warm before anything counts.
    measuring.with(FIRST_WARM_UP).await;
    for pair in 1..=pairs {
        // In an order of chance, so that what the machine does besides falls on all sides alike.
        let mut order = [0, 1];
        order.shuffle(&mut chance);
        for at in order {
            let (mode, of_mode) = (MODES[at], &mut all[at]);
            measuring.commits(mode).await;
            let is_first = chance.random_bool(0.5);
            for with in [is_first, !is_first] {
                if with {
                    let (side, reader) = measuring.with(WARM_UP).await;
                    of_mode.with.push(side);
                    of_mode.reader.push(reader);
                } else {
                    of_mode.without.push(measuring.without().await);
                }
            }
            let p95 = of_mode.ratios(|side| side.p95_ms);
            let p95 = p95.last().expect("BUG: a pair was just measured");
            eprintln!("pair {pair} of {pairs}, {}: p95 {p95:.3}", mode.name);
        }
    }
    table(&all, pairs, length);
}

impl Measuring {
    async fn begin(place: &Place, length: Duration) -> Measuring {
        let owner = place.connect().await;
        let fsync: String = owner
            .query_one("SHOW fsync", &[])
            .await
            .expect("fsync")
            .get(0);
        assert_eq!(fsync, "on", "no commit would wait for the disk");
        let row = owner.query_one("SELECT pg_current_snapshot()::text, pg_backend_pid()", &[]);
        let row = row.await.expect("a snapshot");
        let (snapshot, backend): (String, i32) = (row.get(0), row.get(1));
        let (endpoint, transfer) = (place.endpoint(), place.transfer());
        let tables = feed::captured(Path::new(&place.backup), &endpoint, "public", &transfer);
        let mut writers = Vec::new();
        for number in 0..CONNECTIONS {
            writers.push(Writer::connect(place, number).await);
        }
        Measuring {
            tables: tables.await.expect("both schemas"),
            server: Family::of_child(backend),
            follower: Follower::start(place, &snapshot),
            owner,
            writers,
            kept: 0,
            length,
        }
    }

    async fn commits(&self, mode: Mode) {
        for writer in &self.writers {
            let set = writer.client.batch_execute(mode.setting).await;
            set.expect(mode.setting);
        }
    }

    async fn without(&mut self) -> Side {
        write_for(&mut self.writers, WARM_UP).await;
        self.side().await
    }

    /// And how much of a core the reader has taken.
    async fn with(&mut self, warm_up: Duration) -> (Side, f64) {
        let installed = capture::install(&self.owner, SESSION, &self.tables).await;
        installed.unwrap_or_else(|error| panic!("{error}"));
        self.follower.turn();
        write_for(&mut self.writers, warm_up).await;
        let before = ticks(self.follower.process.id());
        let side = self.side().await;
        let used = ticks(self.follower.process.id()) - before;
        let rows = self.follower.end();
        assert!(rows > self.kept, "the feed has kept nothing: {rows} rows");
        self.kept = rows;
        let left = capture::remove(&self.owner).await.expect("removed");
        assert!(left.is_empty(), "{left:?}");
        (side, used * TICK_MS / 1_000.0 / self.length.as_secs_f64())
    }

    async fn side(&mut self) -> Side {
        let (used, wrote) = (self.server.ticks(), self.log_bytes().await);
        let took_ms = write_for(&mut self.writers, self.length).await;
        let writes = took_ms.len() as f64;
        Side {
            p50_ms: at(&took_ms, 0.5),
            p95_ms: at(&took_ms, 0.95),
            server_ms: (self.server.ticks() - used) * TICK_MS / writes,
            log_bytes: (self.log_bytes().await - wrote) / writes,
        }
    }

    async fn log_bytes(&self) -> f64 {
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        let row = self.owner.query_one(sql, &[]).await;
        row.expect("a place in the log").get(0)
    }
}

fn table(all: &[Pairs; 2], pairs: u64, length: Duration) {
    let seconds = length.as_secs();
    println!(
        "{RATE} writes a second over {CONNECTIONS} connections, {pairs} pairs of {seconds} s each side: median (quartiles; least to most)"
    );
    let [one, other] = MODES.map(|mode| mode.name);
    println!("{:<52}{one:<46}{other}", "measure");
    let [first, second] = [all[0].lines(), all[1].lines()];
    for ((name, one), (_, other)) in first.into_iter().zip(second) {
        println!("{name:<52}{:<46}{}", spread(one), spread(other));
    }
    let median = |pairs: &Pairs| at(&sorted(pairs.ratios(|side| side.p95_ms)), 0.5);
    println!(
        "p95 with the feed / without: {:.3} with {}, {:.3} with {}",
        median(&all[0]),
        MODES[0].name,
        median(&all[1]),
        MODES[1].name
    );
}

/// A connection of the application's.
struct Writer {
    client: Client,
    insert: Statement,
    update: Statement,
    delete: Statement,
    /// The newest tool.
    last: u64,
    /// Features that this connection has inserted.
    inserted: Vec<i32>,
    number: u64,
    written: u64,
}

impl Writer {
    async fn connect(place: &Place, number: u64) -> Writer {
        let client = place.connect().await;
        let last = r#"SELECT max("Id") FROM "ToolContents""#;
        let row = client.query_one(last, &[]).await.expect("an id");
        let last: i32 = row.get(0);
        Writer {
            insert: client.prepare(INSERT).await.expect(INSERT),
            update: client.prepare(UPDATE).await.expect(UPDATE),
            delete: client.prepare(DELETE).await.expect(DELETE),
            client,
            last: u64::from(last.unsigned_abs()),
            inserted: Vec::new(),
            number,
            written: 0,
        }
    }

    /// At an even pace, whatever the answers take; milliseconds of each.
    async fn write_for(&mut self, length: Duration) -> Vec<f64> {
        let every = Duration::from_millis(1_000 * CONNECTIONS / RATE);
        let offset = every * self.number as u32 / CONNECTIONS as u32;
        let begun = Instant::now();
        let mut turns = interval_at((begun + offset).into(), every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut took_ms = Vec::new();
        while begun.elapsed() < length {
            turns.tick().await;
            let asked = Instant::now();
            self.write().await;
            took_ms.push(asked.elapsed().as_secs_f64() * 1_000.0);
        }
        took_ms
    }

    async fn write(&mut self) {
        let n = self.written * CONNECTIONS + self.number;
        // Rows that lie apart from each other, one after the other.
        let tool = (self.last - n * 7_919 % TOOLS) as i32;
        match self.written % 10 {
            0..=4 => {
                let row = self.client.query_one(&self.insert, &[&tool]).await;
                self.inserted.push(row.expect("an insert").get(0));
            }
            5..=8 => {
                let updated = self.client.execute(&self.update, &[&tool]).await;
                updated.expect("an update");
            }
            _ => {
                let feature = self.inserted.pop().expect("BUG: five are inserted first");
                let deleted = self.client.execute(&self.delete, &[&feature]).await;
                deleted.expect("a delete");
            }
        }
        self.written += 1;
    }
}

async fn write_for(writers: &mut [Writer], length: Duration) -> Vec<f64> {
    let all = writers.iter_mut().map(|writer| writer.write_for(length));
    sorted(futures_util::future::join_all(all).await.concat())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values; between two of them, in proportion.
fn at(values: &[f64], share: f64) -> f64 {
    let place = (values.len() - 1) as f64 * share;
    let (below, above) = (
        values[place.floor() as usize],
        values[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

fn spread(values: Vec<f64>) -> String {
    let values = sorted(values);
    let [least, quarter, half, three_quarters, most] =
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| at(&values, share));
    format!("{half:.3} ({quarter:.3} to {three_quarters:.3}; {least:.3} to {most:.3})")
}
