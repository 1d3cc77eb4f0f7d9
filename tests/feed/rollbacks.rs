//! "A rollback loses nothing" as a property: an application writes over several connections, at a random moment the rollback's rows R1+ and R2+
//! run as an engine runs them, and every write that was acknowledged is in SQLite then, once, and nothing else is. Where PostgreSQL dies, that
//! holds for what was committed before the moment that the rollback names; so it does where our link alone is cut (`cut`) and where a disk is full
//! (`disk`), and once either is over, what is not there is found.
//!
//! Not in here: what the application does (`load`), what its writes come to (`model`), tables and values (`world`), the way to R1+ (`switched`), what
//! has to be true in the end (`judged`).

mod cut;
mod disk;
mod judged;
mod link;
mod load;
mod model;
mod switched;
mod world;

use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::time::Duration;

use cutover::demo::cluster::{self, Cluster};
use futures_util::{FutureExt, StreamExt};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rustix::process::{Pid, Signal};

use crate::step::bench::red;
use crate::support::{self, Seeds, TestDatabase, client};
use judged::green;
use model::Done;
use switched::Night;

/// Seeds that are played at the same time.
const PLAYERS: usize = 2;

/// 200 rollbacks, 10 of them in a test.
#[tokio::test(flavor = "multi_thread")]
async fn every_write_that_was_acknowledged_is_in_sqlite_once() {
    all(Seeds::of("rollbacks", 10, 190), rolled_back).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn of_a_link_that_is_cut_everything_is_there_until_the_moment_that_is_named() {
    all(Seeds::of("rollbacks-cut", 3, 57), cut::cut_off).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_room_loses_nothing_and_leaves_nothing_half() {
    if disk::can_be_made() {
        all(Seeds::of("rollbacks-full", 3, 57), disk::played).await;
    }
}

/// Plays all of these, some at a time.
async fn all<P: Future<Output = Result<String, String>>>(
    mut seeds: Seeds,
    play: impl Fn(u64) -> P,
) {
    let mut plays = futures_util::stream::iter(seeds.by_ref())
        .map(|seed| told(seed, Box::pin(play(seed))))
        .buffer_unordered(PLAYERS);
    let mut broken = Vec::new();
    while let Some(ended) = plays.next().await {
        broken.extend(ended.err());
    }
    drop(plays);
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
    let mut night = Night::switched(&mut rng, support::database().await).await;
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
    let committed = judged::committed(&server, &done).await;
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
    judged::has_all(&night, &server, committed, &said).await?;
    drop(server);
    night.leave().await;
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
    let mut night = Night::switched(&mut rng, database).await;
    let following = night.follow(Duration::from_millis(100)).await;
    let application = night.application(seed, false).await;
    following.keeps_rows().await;
    tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;

    let processes = processes(&cluster.data_dir());
    send(&processes, how);
    following.stop.cancel();
    drop(following.task.await.expect("no panic"));
    application.halt.cancel();
    let done = application.ended().await;
    let fenced = night.bench.row("R1+").await;
    let brought = night.bench.row("R2+").await;
    send(&processes, Signal::KILL);

    if red(&fenced) != ["target_fenced"] || brought.ok {
        return Err(format!("R1+: {}; R2+: {}", fenced.summary, brought.summary));
    }
    let done: Vec<&Done> = done.iter().collect();
    judged::has_all_until_then(&night, &brought, &done)
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
