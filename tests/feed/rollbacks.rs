//! "A rollback loses nothing" as a property: an application writes over several connections, at a random moment the rollback's rows R1+ and R2+
//! run as an engine runs them, and every write that was acknowledged is in SQLite then, once, and nothing else is. Where PostgreSQL dies, that
//! holds for what was committed before the moment that the rollback names.
//!
//! Not in here: what the application does (`load`), what its writes come to (`model`), tables and values (`world`), the way to R1+ (`switched`).

mod load;
mod model;
mod switched;
mod world;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cutover::demo::cluster::{self, Cluster};
use cutover::feed::live::LastRead;
use cutover::salvage::file::Salvaged;
use cutover::session::Outcome;
use futures_util::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal};
use tokio_postgres::Client;

use crate::step::bench::red;
use crate::support::{self, Seeds, TestDatabase, client, until};
use model::Done;
use switched::Night;

/// Seeds that are played at the same time.
const PLAYERS: usize = 2;

/// 200 rollbacks, 10 of them in a test.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_that_was_acknowledged_is_in_sqlite_once() {
    let mut seeds = Seeds::of("rollbacks", 10, 190);
    let mut plays = futures_util::stream::iter(seeds.by_ref())
        .map(|seed| told(seed, rolled_back(seed)))
        .buffer_unordered(PLAYERS);
    let mut broken = Vec::new();
    while let Some(ended) = plays.next().await {
        broken.extend(ended.err());
    }
    drop(plays);
    println!("{seeds}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Every second server is killed with all of its processes, every other one stands still.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_server_that_dies_everything_is_there_until_the_moment_that_is_named() {
    let mut seeds = Seeds::of("rollbacks-dead", 3, 30);
    let mut broken = Vec::new();
    for seed in seeds.by_ref() {
        let how = match seed % 2 {
            0 => Signal::STOP,
            _ => Signal::KILL,
        };
        broken.extend(told(seed, died(seed, how)).await.err());
    }
    println!("{seeds}");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// How one seed has ended, with what plays it again.
async fn told(seed: u64, play: impl Future<Output = Result<String, String>>) -> Result<(), String> {
    let ended = AssertUnwindSafe(play).catch_unwind().await;
    match ended.unwrap_or_else(|_| Err("it panicked, above".to_owned())) {
        Ok(said) => {
            println!("seed {seed}: {said}");
            Ok(())
        }
        Err(why) => Err(format!("CUTOVER_SEED={seed}: {why}")),
    }
}

async fn rolled_back(seed: u64) -> Result<String, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    // A table without a key cannot be followed: then the rows are looked for in PostgreSQL.
    let (of_log, is_fenced, dies) = (
        seed.is_multiple_of(4),
        seed.is_multiple_of(2),
        seed.is_multiple_of(3),
    );
    let cluster = support::cluster();
    let mut night = Night::switched(&mut rng, cluster, support::database().await).await;
    if is_fenced {
        night.fence_sqlite().await;
    }
    let application = night.application(seed, of_log).await;
    let every = Duration::from_millis(rng.random_range(10..250));
    let following = night.follow(every).await;
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..900))).await;

    following.stop.cancel();
    green("R1+", &night.bench.row("R1+").await)?;
    let brought = night.bring_back(dies).await?;
    application.halt.cancel();
    let done = application.ended().await;
    following.task.await.expect("no panic");

    let server = client(&night.bench.database.superuser_url).await;
    let mut committed = Vec::new();
    for one in &done {
        if one.acked_ms.is_some() || was_committed(&server, one).await {
            committed.push(one);
        }
    }
    let said = format!("{} transactions; {}", committed.len(), brought.summary);
    if !of_log {
        let read = night.last_read();
        let is_read = |one: &Done| {
            let read = read.as_ref();
            read.is_some_and(|read| model::sees(&read.snapshot, one.xid))
        };
        let written = committed.iter().filter(|one| !one.changes.is_empty());
        let unread = written.filter(|one| !is_read(one)).count();
        if unread > 0 {
            return Err(format!("{unread} transactions were not followed; {said}"));
        }
    }
    let wanted = model::after(&night.first, committed);
    let same = world::is_in_postgres(&server, &wanted).await;
    same.map_err(|why| format!("{why}\nthe test does not know its writes; {said}"))?;
    let same = world::is_in_sqlite(&night.file, &wanted);
    same.map_err(|why| format!("{why}\n{said}"))?;
    drop(server);
    night.leave(cluster).await;
    Ok(said)
}

async fn died(seed: u64, how: Signal) -> Result<String, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut options = cluster::Options::new(support::cutover());
    // In its folder, which goes with it: it cannot put anything away any more.
    let memory = "dynamic_shared_memory_type".to_owned();
    options.settings.push((memory, "mmap".to_owned()));
    let cluster = Cluster::start(options).expect("a server");
    cluster.create_database("dies").await.expect("a database");
    let database = TestDatabase {
        url: cluster.url("dies"),
        superuser_url: cluster.superuser_url("dies"),
        name: "dies".to_owned(),
    };
    let mut night = Night::switched(&mut rng, &cluster, database).await;
    let following = night.follow(Duration::from_millis(100)).await;
    let application = night.application(seed, false).await;
    let state = Arc::clone(&following.state);
    until("rows are kept", async || {
        state.lock().expect("a state").rows_kept > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;

    let processes = processes(&cluster.data_dir());
    send(&processes, how);
    following.stop.cancel();
    drop(following.task.await.expect("no panic"));
    application.halt.cancel();
    let done = application.ended().await;
    let read = night.last_read().expect("it was read");
    let fenced = night.bench.row("R1+").await;
    let brought = night.bench.row("R2+").await;
    send(&processes, Signal::KILL);

    if red(&fenced) != ["target_fenced"] || brought.ok {
        return Err(format!("R1+: {}; R2+: {}", fenced.summary, brought.summary));
    }
    names_the_moment(&night, &brought, &read)?;
    let visible = done
        .iter()
        .filter(|one| model::sees(&read.snapshot, one.xid));
    let visible: Vec<&Done> = visible.collect();
    let is_lost = |one: &&Done| !model::sees(&read.snapshot, one.xid);
    let lost: Vec<&Done> = done.iter().filter(is_lost).collect();
    let is_before = |one: &&&Done| one.acked_ms.is_some_and(|ms| ms < read.at_ms);
    let before = lost.iter().filter(is_before).count();
    let said = format!(
        "{} transactions are there, {} were committed later; {}",
        visible.len(),
        lost.len(),
        brought.summary
    );
    if before > 0 {
        return Err(format!(
            "{before} are lost that were acknowledged before {}; {said}",
            read.at
        ));
    }
    let wanted = model::after(&night.first, visible);
    let same = world::is_in_sqlite(&night.file, &wanted);
    same.map_err(|why| format!("{why}\n{said}"))?;
    Ok(said)
}

/// R2+ says since when writes are lost, and so does what the salvage file lacks of each table.
fn names_the_moment(night: &Night, brought: &Outcome, read: &LastRead) -> Result<(), String> {
    if !brought.summary.contains(&read.at) {
        return Err(format!(
            "R2+ does not name {}: {}",
            read.at, brought.summary
        ));
    }
    let salvaged = Salvaged::open(&night.salvage()).expect("a salvage file");
    let tables = salvaged.tables().expect("its tables");
    let is_silent = |lacks: &Option<String>| {
        let mut lacks = lacks.iter();
        !lacks.any(|why| why.contains(&read.at))
    };
    match tables.iter().find(|table| is_silent(&table.lacks)) {
        None => Ok(()),
        Some(table) => Err(format!("{} lacks {:?}", table.table, table.lacks)),
    }
}

fn green(row: &str, outcome: &Outcome) -> Result<(), String> {
    match outcome.ok {
        true => Ok(()),
        false => Err(format!("{row}: {} ({:?})", outcome.summary, red(outcome))),
    }
}

/// What became of a transaction whose commit nobody answered.
async fn was_committed(server: &Client, one: &Done) -> bool {
    let status = format!("SELECT pg_xact_status('{}')", one.xid);
    let row = server
        .query_one(&status, &[])
        .await
        .expect("what became of it");
    row.get::<_, Option<&str>>(0) == Some("committed")
}

/// The server's own processes, and those that serve its connections.
fn processes(data: &Path) -> Vec<Pid> {
    let lock = std::fs::read_to_string(data.join("postmaster.pid")).expect("a server that runs");
    let server = lock.lines().next().expect("its number").trim().to_owned();
    let listed = std::fs::read_dir("/proc").expect("the processes");
    let is_its = |number: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        // `number (name) state parent …`
        let parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1));
        parent == Some(server.as_str())
    };
    let children = listed.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let children: Vec<String> = children.filter(is_its).collect();
    let numbers = std::iter::once(&server).chain(&children);
    let pids = numbers.filter_map(|number| Pid::from_raw(number.parse().ok()?));
    pids.collect()
}

fn send(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(*process, signal);
    }
}
