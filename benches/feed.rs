//! What the feed costs production: writes at a steady pace, over several connections, with what F1 installs and with the engine's reader
//! behind it, in turn with neither. The reader is a process beside the writers, as an engine is, so that its own processor time is counted apart.
//!
//! Not in here: the database, which holds the rows of SQLITE_FILE already (`feed.sh`).
//!
//! Usage: cargo bench --bench feed -- TARGET_URL SQLITE_FILE TRANSFER_FILE [PAIRS [SECONDS]]        (default 20 pairs of 10 s each side)

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs
#![allow(clippy::print_stdout)] // whoever runs it reads it

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cutover::feed::live::{About, Begin};
use cutover::feed::{self, FeedState, Live, Reader, capture};
use cutover::journal::Folder;
use cutover::postgres::Endpoint;
use cutover::runbook::parse_transfer;
use cutover::runbook::transfer::Transfer;
use cutover::salvage::Since;
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
const WARM_UP: Duration = Duration::from_secs(2);
/// Before the first pair: the reader lists the keys of the backup, as after F1.
const FIRST_WARM_UP: Duration = Duration::from_secs(15);
/// The kernel counts processor time in hundredths of a second.
const TICK_MS: f64 = 10.0;
const SESSION: &str = "bench";
/// Users write to the newest tools; pages that were not written since the last checkpoint would fill the log on both sides.
const TOOLS: u64 = 2_000;

/// Of ten writes five insert, four update, and one deletes; each is a transaction of its own.
const INSERT: &str = r#"INSERT INTO "ToolFeatures" ("ToolContentId", "Name", "Value", "Enabled") VALUES ($1, 'bench', 1, true) RETURNING "Id""#;
const UPDATE: &str = r#"UPDATE "ToolContents" SET "Price" = ("Price" + 1) % 1000, "UpdatedAt" = now() WHERE "Id" = $1"#;
const DELETE: &str = r#"DELETE FROM "ToolFeatures" WHERE "Id" = $1"#;

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
            let length = Duration::from_secs(number(1, 10));
            runtime.block_on(measure(&place, number(0, 20), length));
        }
    }
}

/// The engine's part, at every line of its input in turn: begins to follow, ends and says how it stood.
async fn follow(place: &Place, snapshot: &str) {
    let root = tempfile::tempdir().expect("a folder");
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

async fn measure(place: &Place, pairs: u64, length: Duration) {
    let owner = place.connect().await;
    let row = owner.query_one("SELECT pg_current_snapshot()::text", &[]);
    let snapshot: String = row.await.expect("a snapshot").get(0);
    let (endpoint, transfer) = (place.endpoint(), place.transfer());
    let tables = feed::captured(Path::new(&place.backup), &endpoint, "public", &transfer);
    let tables = tables.await.expect("both schemas");
    let mut writers = Vec::new();
    for number in 0..CONNECTIONS {
        writers.push(Writer::connect(place, number).await);
    }
    let server = Server::of(&owner).await;
    let mut follower = Follower::start(place, &snapshot);
    let mut kept = 0;
    let (mut without, mut with, mut reader) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..pairs {
        // Each side first in turn, so that what the machine does in the long run falls on both alike.
        for side in [pair % 2, 1 - pair % 2] {
            if side == 0 {
                write_for(&mut writers, WARM_UP).await;
                without.push(of_side(&owner, &server, &mut writers, length).await);
                continue;
            }
            let installed = capture::install(&owner, SESSION, &tables).await;
            installed.unwrap_or_else(|error| panic!("{error}"));
            follower.turn();
            let warm_up = if with.is_empty() {
                FIRST_WARM_UP
            } else {
                WARM_UP
            };
            write_for(&mut writers, warm_up).await;
            let before = ticks(&follower.process.id().to_string(), &OWN);
            with.push(of_side(&owner, &server, &mut writers, length).await);
            let used = ticks(&follower.process.id().to_string(), &OWN) - before;
            reader.push(used * TICK_MS / 1_000.0 / length.as_secs_f64());
            let rows = follower.end();
            assert!(rows > kept, "the feed has kept nothing: {rows} rows");
            kept = rows;
            let left = capture::remove(&owner).await.expect("removed");
            assert!(left.is_empty(), "{left:?}");
        }
        if let (Some(off), Some(on)) = (without.last(), with.last()) {
            println!(
                "p50 {:.2} / {:.2} ms  p95 {:.2} / {:.2} ms  server {:.2} / {:.2} ms a write  log {:.0} / {:.0} bytes a write",
                on.p50_ms,
                off.p50_ms,
                on.p95_ms,
                off.p95_ms,
                on.server_ms,
                off.server_ms,
                on.log_bytes,
                off.log_bytes
            );
        }
    }
    println!("with the feed / without, {pairs} pairs at {RATE} writes a second:");
    let ratio = |of: fn(&Side) -> f64| -> Vec<f64> {
        let pairs = with.iter().zip(&without);
        pairs.map(|(on, off)| of(on) / of(off)).collect()
    };
    spread("write latency, p50", ratio(|side| side.p50_ms));
    spread("write latency, p95", ratio(|side| side.p95_ms));
    spread("processor time of the server", ratio(|side| side.server_ms));
    spread("growth of the log", ratio(|side| side.log_bytes));
    spread("the reader, of a core", reader);
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
    let mut took_ms = futures_util::future::join_all(all).await.concat();
    took_ms.sort_by(f64::total_cmp);
    took_ms
}

async fn of_side(
    owner: &Client,
    server: &Server,
    writers: &mut [Writer],
    length: Duration,
) -> Side {
    let log = async || {
        let sql = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8";
        let row = owner.query_one(sql, &[]).await.expect("a place in the log");
        row.get::<_, f64>(0)
    };
    let (used, wrote) = (server.ticks(), log().await);
    let took_ms = write_for(writers, length).await;
    let writes = took_ms.len() as f64;
    Side {
        p50_ms: at(&took_ms, 0.5),
        p95_ms: at(&took_ms, 0.95),
        server_ms: (server.ticks() - used) * TICK_MS / writes,
        log_bytes: (log().await - wrote) / writes,
    }
}

/// All processes of the server.
struct Server {
    main: String,
}

/// Fields of a process's `stat` after its name: its parent; its own time; that of its children that have ended.
const PARENT: usize = 1;
const OWN: [usize; 2] = [11, 12];
const ENDED: [usize; 2] = [13, 14];

impl Server {
    /// The one that serves this connection, on this machine.
    async fn of(client: &Client) -> Server {
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
        let backend: i32 = row.expect("a process").get(0);
        let fields = stat(&backend.to_string()).expect("a server on this machine");
        Server {
            main: fields[PARENT].clone(),
        }
    }

    fn ticks(&self) -> f64 {
        let entries = std::fs::read_dir("/proc").expect("processes").flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let children = names.filter(|name| {
            let fields = stat(name);
            fields.is_some_and(|fields| fields[PARENT] == self.main)
        });
        let running: f64 = children.map(|child| ticks(&child, &OWN)).sum();
        running + ticks(&self.main, &OWN) + ticks(&self.main, &ENDED)
    }
}

/// Processor time in the kernel's ticks; none of a process that has just ended.
fn ticks(process: &str, fields: &[usize]) -> f64 {
    let Some(all) = stat(process) else {
        return 0.0;
    };
    let ticks = fields.iter().map(|n| all[*n].parse::<f64>());
    ticks.map(|n| n.expect("a number")).sum()
}

fn stat(process: &str) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// Of sorted values.
fn at(values: &[f64], share: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    values[(last as f64 * share).round() as usize]
}

fn spread(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let [least, quarter, half, three_quarters, most] =
        [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| at(&values, share));
    println!(
        "{name:<32} median {half:.3}  quartiles {quarter:.3} to {three_quarters:.3}  min {least:.3}  max {most:.3}"
    );
}
