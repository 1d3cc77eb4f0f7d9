//! A disk without room, for real: a small tmpfs in a mount namespace of its own, so that it goes with its process. On it lies either the session's
//! folder, where `feed.db` and `salvage.db` are, or SQLite's file, into which R2+ writes. Whatever R2+ says, SQLite has all of it or none, R3 goes on,
//! and once there is room nothing is lacking; where our link is cut as well, nothing that was committed before the moment that is named then.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use cutover::salvage::file::Salvaged;
use cutover::session::Outcome;
use cutover::session::facts::Brought;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::process::Command;

use super::judged::{self, green};
use super::link::{Link, State};
use super::model::Done;
use super::switched::{Application, Following, Night, pause};
use crate::step::bench::red;
use crate::support::{self, TestDatabase};

/// What the process is told that has the small disk.
const ASKED: &str = "CUTOVER_TEST_SMALL_DISK";
const ROLE: &str = "feed::rollbacks::disk::a_night_on_a_small_disk";
/// Where it is mounted, and a folder on another disk.
const SMALL: &str = "small";
const ROOMY: &str = "roomy";
/// What it says begins so, among the harness's own lines.
const SAID: &str = "> ";

/// A command in a mount namespace of its own, with a small disk at the first argument.
fn with_disk(script: &str, at: &Path) -> std::process::Command {
    let mut command = std::process::Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(at);
    command
}

/// Whether this machine lets us mount one.
pub fn can_be_made() -> bool {
    let place = tempfile::tempdir().expect("a folder");
    let mounted = with_disk("mount -t tmpfs tmpfs \"$0\"", place.path()).status();
    let can = mounted.is_ok_and(|status| status.success());
    if !can {
        println!(
            "NOT RUN: this machine lets nobody mount a tmpfs in a namespace, so that there is no small disk to fill"
        );
    }
    can
}

/// One seed, in a process of its own.
pub async fn played(seed: u64) -> Result<String, String> {
    let place = tempfile::tempdir().expect("a folder");
    for name in [SMALL, ROOMY] {
        std::fs::create_dir(place.path().join(name)).expect("a folder");
    }
    let database = support::database().await;
    let asked = json!({
        "seed": seed,
        "place": place.path(),
        "url": database.url,
        "superuser_url": database.superuser_url,
        "name": database.name,
    });
    let script = "mount -t tmpfs -o size=16m tmpfs \"$0\" && exec \"$@\"";
    let mut command = Command::from(with_disk(script, &place.path().join(SMALL)));
    command
        .arg(std::env::current_exe().expect("this test binary"))
        .args(["--exact", ROLE, "--nocapture", "--test-threads=1"])
        .env(ASKED, asked.to_string())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = text.lines().find_map(|line| line.strip_prefix(SAID));
    match (output.status.success(), said) {
        (true, Some(said)) => Ok(said.to_owned()),
        (true, None) | (false, _) => Err(text.clone() + &String::from_utf8_lossy(&output.stderr)),
    }
}

/// Not a test of its own: what the other process runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_night_on_a_small_disk() {
    let Ok(asked) = std::env::var(ASKED) else {
        return;
    };
    let asked: Value = serde_json::from_str(&asked).expect("what is asked");
    let text = |name: &str| asked[name].as_str().expect(name).to_owned();
    let place = PathBuf::from(text("place"));
    let database = TestDatabase {
        url: text("url"),
        superuser_url: text("superuser_url"),
        name: text("name"),
    };
    let seed = asked["seed"].as_u64().expect("a seed");
    let mut rng = StdRng::seed_from_u64(seed);
    let folders = (place.join(SMALL), place.join(ROOMY));
    let ended = match seed % 3 {
        1 => of_the_session(seed, &mut rng, database, folders).await,
        2 => of_sqlite(seed, &mut rng, database, folders).await,
        _ => of_the_session_and_cut_off(seed, &mut rng, database, folders).await,
    };
    match ended {
        Ok(said) => println!("\n{SAID}{said}"),
        Err(why) => panic!("{why}"),
    }
}

/// Takes all the room that is left.
fn fill(disk: &Path) -> PathBuf {
    let path = disk.join("other");
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let mut file = file.expect("a file");
    for size in [64 * 1024, 4096, 512, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
    path
}

/// The application at work, and the feed behind it.
async fn at_work(
    seed: u64,
    rng: &mut StdRng,
    night: &Night,
    of_log: bool,
) -> (Following, Application) {
    if rng.random_bool(0.5) {
        night.fence_sqlite().await;
    }
    let every = Duration::from_millis(rng.random_range(10..250));
    let following = night.follow(every).await;
    let application = night.application(seed, of_log).await;
    following.keeps_rows().await;
    pause(rng, 100..900).await;
    (following, application)
}

/// What R2+ has done: all is in SQLite, all until the moment that it names, or nothing.
async fn as_it_says(
    night: &Night,
    server: &tokio_postgres::Client,
    brought: &Outcome,
    committed: &[&Done],
) -> Result<(), String> {
    match Said::of(brought) {
        Said::All | Said::NotNoted => {
            judged::has_all(night, server, committed.to_vec(), &brought.summary).await
        }
        Said::UntilThen => judged::has_all_until_then(night, brought, committed).map(drop),
        Said::Nothing => judged::has_nothing_new(night, brought),
    }
}

/// What R2+ says that it has brought in.
enum Said {
    All,
    /// All, and the salvage file has found no room to have it down.
    NotNoted,
    UntilThen,
    Nothing,
}

impl Said {
    fn of(brought: &Outcome) -> Said {
        let told = brought.fact::<Brought>("R2+").expect("readable");
        match (brought.ok, told) {
            (true, _) => Said::All,
            (false, Some(_)) if red(brought) == ["noted"] => Said::NotNoted,
            (false, Some(_)) => Said::UntilThen,
            (false, None) => Said::Nothing,
        }
    }
}

/// Nothing that is not whole lies in the session's folder.
fn leaves_nothing_half(night: &Night) -> Result<(), String> {
    let listed = std::fs::read_dir(night.bench.session().dir()).expect("the session's folder");
    let names = listed.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let half = names.filter(|name| name.contains(".partial") || name.ends_with(".scratch"));
    match half.collect::<Vec<_>>() {
        half if half.is_empty() => Ok(()),
        half => Err(format!("left behind: {half:?}")),
    }
}

/// The session's folder is full from some moment on, before the rollback or until there is room after it.
async fn of_the_session(
    seed: u64,
    rng: &mut StdRng,
    database: TestDatabase,
    (small, roomy): (PathBuf, PathBuf),
) -> Result<String, String> {
    let mut night = Night::switched_in(rng, database, &small, &roomy).await;
    let of_log = rng.random_bool(0.3);
    let (following, application) = at_work(seed, rng, &night, of_log).await;
    let other = fill(&small);
    pause(rng, 100..900).await;
    let is_over = seed.is_multiple_of(2);
    if is_over {
        std::fs::remove_file(&other).expect("room");
        pause(rng, 0..900).await;
    }
    night.hand_over(rng, following).await;
    night.bench.row("R1+").await;
    let done = application.halted().await;
    let server = night.without_application().await;
    if !is_over {
        fill(&small);
    }
    let brought = night.bench.row("R2+").await;
    leaves_nothing_half(&night)?;
    green("R3", &night.bench.row("R3").await)?;
    if !is_over {
        std::fs::remove_file(&other).expect("room");
    }
    let committed = judged::committed(&server, &done).await;
    as_it_says(&night, &server, &brought, &committed).await?;
    let is_again = match Said::of(&brought) {
        Said::All => None,
        Said::NotNoted => Some(true),
        Said::UntilThen => Some(false),
        Said::Nothing => Some(rng.random_bool(0.5)),
    };
    match is_again {
        None => {}
        Some(true) => green("R2+ again", &night.bench.row("R2+").await)?,
        Some(false) => night.made_anew().await?,
    }
    let said = format!("{} transactions; {}", committed.len(), brought.summary);
    judged::has_all(&night, &server, committed, &said).await?;
    drop(server);
    night.leave().await;
    Ok(said)
}

/// The same, and PostgreSQL is out of reach when the rollback comes, and when there is room.
async fn of_the_session_and_cut_off(
    seed: u64,
    rng: &mut StdRng,
    database: TestDatabase,
    (small, roomy): (PathBuf, PathBuf),
) -> Result<String, String> {
    let link = Link::to(&database.url).await;
    let mut night = Night::switched_in(rng, database, &small, &roomy).await;
    night.by_way_of(&link);
    let (following, application) = at_work(seed, rng, &night, false).await;
    let other = fill(&small);
    pause(rng, 100..900).await;
    link.set(match rng.random_bool(0.5) {
        true => State::Silent,
        false => State::Reset,
    });
    pause(rng, 0..900).await;
    night.hand_over(rng, following).await;
    fill(&small);
    night.bench.row("R1+").await;
    let first = night.bench.row("R2+").await;
    if first.ok {
        return Err(format!("nobody answered: {}", first.summary));
    }
    leaves_nothing_half(&night)?;
    green("R3", &night.bench.row("R3").await)?;
    let done = application.halted().await;
    let server = night.without_application().await;
    std::fs::remove_file(&other).expect("room");
    let committed = judged::committed(&server, &done).await;
    as_it_says(&night, &server, &first, &committed).await?;
    let again = night.bench.row("R2+").await;
    let said = judged::has_all_until_then(&night, &again, &committed)?;
    link.set(State::Up);
    night.made_anew().await?;
    judged::has_all(&night, &server, committed, &said).await?;
    drop(server);
    night.leave().await;
    Ok(said)
}

/// R2+ finds no room for SQLite's file: all of it is in the salvage file.
async fn of_sqlite(
    seed: u64,
    rng: &mut StdRng,
    database: TestDatabase,
    (small, roomy): (PathBuf, PathBuf),
) -> Result<String, String> {
    let mut night = Night::switched_in(rng, database, &roomy, &small).await;
    let of_log = rng.random_bool(0.3);
    let (following, application) = at_work(seed, rng, &night, of_log).await;
    night.hand_over(rng, following).await;
    let fenced = night.bench.row("R1+").await;
    let done = application.halted().await;
    let server = night.without_application().await;
    let other = fill(&small);
    let brought = night.bench.row("R2+").await;
    if !brought.ok {
        is_kept(&night, &fenced, &brought)?;
    }
    green("R3", &night.bench.row("R3").await)?;
    std::fs::remove_file(&other).expect("room");
    let committed = judged::committed(&server, &done).await;
    as_it_says(&night, &server, &brought, &committed).await?;
    if !brought.ok {
        green("R2+ again", &night.bench.row("R2+").await)?;
    }
    let said = format!("{} transactions; {}", committed.len(), brought.summary);
    judged::has_all(&night, &server, committed, &said).await?;
    drop(server);
    night.leave().await;
    Ok(said)
}

/// Where R1+ has had its answers, nothing is lacking in the file, and none of its rows counts as brought in.
fn is_kept(night: &Night, fenced: &Outcome, brought: &Outcome) -> Result<(), String> {
    let salvaged = Salvaged::open(&night.salvage());
    let salvaged = salvaged.map_err(|why| format!("{why}; {}", brought.summary))?;
    let tables = salvaged.tables().expect("its tables");
    let lacking: Vec<_> = tables
        .iter()
        .filter(|table| table.lacks.is_some())
        .collect();
    if fenced.ok && !lacking.is_empty() {
        return Err(format!("{lacking:?}; {}", brought.summary));
    }
    match salvaged.is_untouched().expect("its notes") {
        true => Ok(()),
        false => Err(format!("rows count as brought in: {}", brought.summary)),
    }
}
