//! How quick the cockpit is: a frame of a large session, the first frame after the start, and what it costs to leave it open.
//!
//! - frame: every view at 200×60, with 500 instances, 60 tables, an hour of samples and a quarter of an hour of what each instance carries, by
//!   the clock around `view::draw`;
//! - start: `cutover join` in a terminal of its own, from the start of the process until its first frame has been written, on a journal with
//!   an hour of samples, beside a process that only says its version;
//! - quiet: the processor's time of a cockpit on a session in which nothing happens, beside `top` at the same refresh (and `htop` and
//!   `pg_activity`, where they are installed, the latter on the server that `CUTOVER_BENCH_SERVER` names), at the same time, each in a terminal of its own.
//!
//! Usage: cargo bench --bench screen -- [frame|start|quiet [SECONDS]]        (default: all, 30 s)

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs
#![allow(clippy::print_stdout)] // whoever runs it reads it
#![allow(dead_code)] // of the stories only a part is told here

#[path = "../tests/cockpit/story.rs"]
mod story;

mod reference;
mod shown;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::{News, Reading};
use cutover::cockpit::theme::Theme;
use cutover::cockpit::{snapshot, view};
use cutover::engine::{self, socket};
use cutover::journal::{self, Folder, Journal, Progress, Retention, count_lease};
use cutover::session::live::{ClientsView, InstanceState, InstanceView, LoadsView};
use cutover::session::{Event, Recorded};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use reference::orders;
use shown::{Shown, cutover, figures};
use story::{MINUTE, Story};
use tokio_util::sync::CancellationToken;

const SIZE: (u16, u16) = (200, 60);
const INSTANCES: usize = 500;
const TABLES: usize = 60;
const HOUR_S: i64 = 3_600;
/// Seconds for which a screen keeps what each instance carries.
const KEPT_S: i64 = 900;
/// Names the URL of a server for `pg_activity` to watch.
const SERVER: &str = "CUTOVER_BENCH_SERVER";
/// Signals that a session of this size samples each second, beside one for each instance.
const SIGNALS: [&str; 24] = [
    "http_5xx_ratio",
    "http_4xx_ratio",
    "requests_per_s",
    "latency_p50_ms",
    "latency_p95_ms",
    "latency_p99_ms",
    "pool_active",
    "pool_idle",
    "pool_waiting",
    "pool_max",
    "pool_used_ratio",
    "pool_timeouts",
    "pg_active",
    "pg_idle",
    "pg_waiting",
    "pg_max",
    "pg_idle_in_transaction",
    "synthetic_failed_ratio",
    "synthetic_read_ms",
    "synthetic_write_ms",
    "unready_ratio",
    "log_database_exception",
    "log_unhandled_exception",
    "instances_booted_ratio",
];

fn main() {
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    let what = args.next();
    let seconds = args.next().map_or(30, |n| n.parse().expect("seconds"));
    let wanted = |name: &str| what.as_deref().is_none_or(|w| w == name);
    if wanted("frame") {
        frame();
    }
    if wanted("start") {
        start();
    }
    if wanted("quiet") {
        quiet(Duration::from_secs(seconds));
    }
}

/// A large session in the midst of its import.
fn large() -> Model {
    let mut story = Story::begin();
    let Event::SessionOpened { charter } = &mut story.entries[0].event else {
        panic!("a session begins with its charter");
    };
    charter.instances = (1..=INSTANCES)
        .map(|n| cutover::session::charter::InstanceLine {
            id: format!("app-{n}"),
            canary: n == 1,
        })
        .collect();
    story.session = cutover::session::Session::replay(&story.entries).expect("a session");
    story
        .pass(50 * MINUTE)
        .reach("D2")
        .pass(1_000)
        .start()
        .pass(60 * MINUTE);
    let mut model = story.seen_by("robin");
    let ids = model.session.charter.instances.iter().map(|i| i.id.clone());
    let fleet: Vec<_> = ids
        .enumerate()
        .map(|(n, id)| InstanceView {
            id,
            canary: n == 0,
            state: match n % 50 {
                49 => InstanceState::NotReady,
                _ => InstanceState::Ready,
            },
            detail: "Postgres, 3 of 3".to_owned(),
        })
        .collect();
    for second in 0..HOUR_S {
        let at_ms = story.at_ms - (HOUR_S - second) * 1_000;
        model.take(News {
            samples: second_of(at_ms, INSTANCES),
            ..News::default()
        });
    }
    let boards = boards(story.at_ms);
    for second in 0..KEPT_S {
        let (mut loads, mut clients) = boards[second as usize % boards.len()].clone();
        loads.at_ms = story.at_ms - (KEPT_S - second) * 1_000;
        clients.at_ms = loads.at_ms;
        model.take(News {
            loads: Some(loads),
            clients: Some(clients),
            ..News::default()
        });
    }
    for n in 0..20 {
        model.tick(Some(story.at_ms + n * 500), model.wall);
        model.take(News {
            progress: Some(progress(story.at_ms + n * 500, n as u64)),
            fleet: Some(fleet.clone()),
            ..News::default()
        });
    }
    model
}

/// What every instance carries, and who is connected: different scrapes, of which a second has one.
fn boards(at_ms: i64) -> Vec<(LoadsView, ClientsView)> {
    let loads = story::beside::loads(at_ms, INSTANCES).into_iter();
    loads
        .zip(story::beside::clients(at_ms, INSTANCES))
        .collect()
}

fn second_of(at_ms: i64, instances: usize) -> Vec<Reading> {
    let reading = |signal: String, value| Reading {
        signal,
        at_ms,
        value: Some(value),
    };
    let second = at_ms as f64 / 1_000.0;
    let signals = SIGNALS.iter().enumerate().map(|(n, signal)| {
        let wave = (second / (7.0 + n as f64)).sin().abs();
        let of = if signal.ends_with("ratio") {
            0.01
        } else {
            60.0
        };
        reading((*signal).to_owned(), wave * of)
    });
    let ready = (1..=instances).map(|n| reading(format!("ready.app-{n}"), 1.0));
    signals.chain(ready).collect()
}

fn progress(at_ms: i64, n: u64) -> Vec<Progress> {
    let table = |t: usize| Progress {
        step: "D2".to_owned(),
        item: format!("Table{t:02}"),
        done: (t as u64 * 900 + n * 40).min(30_000),
        total: Some(30_000),
        unit: "rows".to_owned(),
        at_ms,
    };
    (0..TABLES).map(table).collect()
}

fn frame() {
    let mut model = large();
    let theme = Theme::standard();
    let drawn = snapshot::text(&model, &theme, SIZE.0, SIZE.1);
    assert!(
        drawn.contains("D2") && drawn.contains("490 of 500 ready"),
        "{drawn}"
    );
    println!(
        "a frame at {}×{}: {INSTANCES} instances, {TABLES} tables, an hour of {} signals",
        SIZE.0,
        SIZE.1,
        SIGNALS.len() + INSTANCES
    );
    model.ui.view = View::Pool;
    let drawn = snapshot::text(&model, &theme, SIZE.0, SIZE.1);
    assert!(drawn.contains("clients wait in 1 of 500"), "{drawn}");
    let mut buf = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    for view in View::ALL {
        model.ui.view = view;
        let took = (0..400).map(|_| {
            let begun = Instant::now();
            view::draw(&model, &theme, &mut buf);
            begun.elapsed()
        });
        figures(&format!("  {}", view.title()), took.skip(50).collect());
    }
    let took = (0..200).map(|n| {
        let news = News {
            samples: second_of(model.now_ms + n * 1_000, INSTANCES),
            ..News::default()
        };
        let begun = Instant::now();
        model.take(news);
        begun.elapsed()
    });
    figures("  taking in a second of samples", took.collect());
    let text = |n: usize| {
        let (loads, clients) = boards(model.now_ms).swap_remove(n);
        let text = |value: serde_json::Result<String>| value.expect("JSON");
        (
            text(serde_json::to_string(&loads)),
            text(serde_json::to_string(&clients)),
        )
    };
    let texts = [text(60), text(119)];
    println!(
        "  the boards of what instances carry and of who is connected: {} and {} kB",
        texts[0].0.len() / 1_000,
        texts[0].1.len() / 1_000
    );
    let took = (0..200).map(|n| {
        let begun = Instant::now();
        let (loads, clients) = &texts[n % 2];
        let mut loads: LoadsView = serde_json::from_str(loads).expect("a board");
        let mut clients: ClientsView = serde_json::from_str(clients).expect("a board");
        loads.at_ms = model.now_ms + n as i64 * 1_000;
        clients.at_ms = loads.at_ms;
        model.take(News {
            loads: Some(loads),
            clients: Some(clients),
            ..News::default()
        });
        begun.elapsed()
    });
    figures("  reading both boards and taking them in", took.collect());
}

fn start() {
    const TIMES: usize = 20;
    let root = tempfile::tempdir().expect("a folder");
    let folder = recorded(root.path());
    let dir = folder.dir().to_str().expect("UTF-8").to_owned();
    println!("from the start of the process until the first frame, {TIMES} times in turn");
    let (mut joined, mut said) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let join = Shown::at_a_key(&cutover(), &["join", "--dir", &dir]);
        joined.push(join.took("Go / no-go"));
        let version = Shown::at_a_key(&cutover(), &["--version"]);
        said.push(version.took("cutover 0."));
    }
    figures("  cutover join, an hour of samples", joined);
    figures("  cutover --version", said);
}

/// A journal with an hour of samples of a fleet of six.
fn recorded(root: &Path) -> Folder {
    let mut story = Story::begin();
    story.pass(2_000).reach("D2").pass(1_000).start();
    let folder = Folder::create(root, "bench").expect("a session's folder");
    let fencing = count_lease(&folder, &serde_json::json!({})).expect("a lease");
    let (mut journal, _) = Journal::open(&folder, fencing).expect("a journal");
    for Recorded {
        at_ms, wall, event, ..
    } in &story.entries
    {
        let (kind, body) = engine::ledger::to_entry(event);
        journal
            .append(*at_ms, *wall, &[(&kind, &body)])
            .expect("written");
    }
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let notes = scribe.notes();
    for second in 0..HOUR_S {
        for reading in second_of(second * 1_000, 6) {
            notes.sample(journal::Sample {
                signal: reading.signal,
                at_ms: reading.at_ms,
                reading: journal::Reading::Value(reading.value.unwrap_or_default()),
                n: None,
            });
        }
        if second % 60 == 59 {
            scribe.flush(second * 1_000, "boot", 0).expect("written");
        }
    }
    drop(scribe);
    journal.finish().expect("closed");
    folder
}

fn quiet(seconds: Duration) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "bench").expect("a session's folder");
    let stop = CancellationToken::new();
    let engine = runtime.spawn(engine::run(orders(&folder), stop.clone()));
    while runtime.block_on(socket::ping(&folder)).is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let dir = folder.dir().to_str().expect("UTF-8").to_owned();
    let mut shown = vec![(
        "cutover join",
        Shown::start(&cutover(), &["join", "--dir", &dir, "--as", "robin"]),
    )];
    shown[0].1.until("Go / no-go");
    let server = std::env::var(SERVER).unwrap_or_default();
    let others: [(&str, &[&str]); 3] = [
        ("top", &["-d", "1"]),
        ("htop", &["-d", "10"]),
        ("pg_activity", &["--refresh", "1", &server]),
    ];
    for (name, args) in others {
        match program(name) {
            Some(_) if args.contains(&"") => println!("{name} is left out: no {SERVER}"),
            Some(path) => shown.push((name, Shown::start(&path, args))),
            None => println!("{name} is not installed here, and left out"),
        }
    }
    for (_, one) in &mut shown {
        one.drain();
    }
    // What starting costs is not what staying costs.
    std::thread::sleep(Duration::from_secs(3));
    for (name, one) in &mut shown {
        assert!(one.is_running(), "{name} has ended");
    }
    println!(
        "processor time of leaving it open for {} s, all at the same time, refreshed each second",
        seconds.as_secs()
    );
    let before: Vec<f64> = shown.iter().map(|(_, one)| one.cpu_s()).collect();
    std::thread::sleep(seconds);
    for ((name, one), before) in shown.iter().zip(before) {
        let used = one.cpu_s() - before;
        println!(
            "  {name:<38} {used:6.2} s  {:5.2} % of a core",
            used / seconds.as_secs_f64() * 100.0
        );
    }
    drop(shown);
    stop.cancel();
    runtime
        .block_on(engine)
        .expect("an end")
        .expect("an orderly one");
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
