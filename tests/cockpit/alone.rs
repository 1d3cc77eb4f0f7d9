//! The cockpit as a process in a terminal, on a journal that no engine runs: quick, and without any database.

use cutover::journal::{Folder, Journal, count_lease};
use rustix::process::Signal;
use serde_json::json;

use super::story::Story;
use super::terminal::Terminal;

/// A session's folder whose journal tells this story.
struct Told {
    root: tempfile::TempDir,
    dir: String,
}

fn told(story: &Story) -> Told {
    let root = tempfile::tempdir().expect("a folder");
    let name = &story.session.charter.session;
    let folder = Folder::create(root.path(), name).expect("a session's folder");
    let fencing = count_lease(&folder, &json!({})).expect("a lease");
    let (mut journal, _) = Journal::open(&folder, fencing).expect("a journal");
    for entry in &story.entries {
        let (kind, body) = cutover::engine::ledger::to_entry(&entry.event);
        journal
            .append(entry.at_ms, entry.wall, &[(&kind, &body)])
            .expect("written");
    }
    journal.finish().expect("closed");
    let dir = folder.dir().to_str().expect("UTF-8").to_owned();
    Told { root, dir }
}

fn midway() -> Told {
    let mut story = Story::begin();
    story.pass(2_000).reach("D2").pass(1_000).start();
    told(&story)
}

fn join(told: &Told, size: (u16, u16)) -> Terminal {
    Terminal::open(&["join", "--dir", &told.dir], told.root.path(), size)
}

#[test]
fn without_an_engine_it_says_so_at_once_and_offers_one() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    terminal.shows("NO ENGINE").shows("E starts").shows("STALE");
    terminal.press("q");
    assert_eq!(terminal.ends().exit_code(), 0);
    terminal.assert_restored();
    assert!(
        terminal.text().contains("You have left the cockpit"),
        "{}",
        terminal.text()
    );
}

#[test]
fn ctrl_c_leaves_as_q_does() {
    let told = midway();
    let mut terminal = join(&told, (80, 24));
    terminal.shows("Go / no-go").press("\u{3}");
    assert_eq!(terminal.ends().exit_code(), 0);
    terminal.assert_restored();
}

#[test]
fn a_polite_kill_gives_the_terminal_back() {
    let told = midway();
    let mut terminal = join(&told, (80, 24));
    terminal.shows("Go / no-go").signal(Signal::TERM);
    terminal.ends();
    terminal.assert_restored();
}

#[test]
fn suspended_it_gives_the_terminal_back_and_takes_it_again() {
    let told = midway();
    let mut terminal = join(&told, (80, 24));
    terminal.shows("Go / no-go").press("\u{1a}");
    terminal.assert_restored();
    stopped(terminal.process());
    terminal.signal(Signal::CONT).shows("Go / no-go");
    terminal.signal(Signal::TSTP);
    terminal.assert_restored();
    stopped(terminal.process());
    terminal.signal(Signal::CONT).shows("Go / no-go").press("q");
    terminal.ends();
    terminal.assert_restored();
}

/// Waits until the process is stopped.
fn stopped(process: u32) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
        if stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
        {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "it is not stopped: {stat}"
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it_without_spinning() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    terminal.shows("Go / no-go");
    let began = std::time::Instant::now();
    terminal.hang_up();
    terminal.ends();
    assert!(began.elapsed() < std::time::Duration::from_secs(10));
}

#[test]
fn a_storm_of_sizes_leaves_a_whole_screen() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    terminal.shows("Go / no-go");
    for n in 0..60u16 {
        terminal.resize(1 + n * 37 % 200, 1 + n * 23 % 60);
    }
    terminal.resize(0, 0).resize(120, 40).press("\u{c}");
    terminal.until("the whole screen", |text| {
        let lines: Vec<&str> = text.lines().collect();
        lines.len() == 40 && lines[39].contains("q leave") && text.contains("Latency")
    });
    terminal.press("q");
    terminal.ends();
    terminal.assert_restored();
}

#[test]
fn help_explains_every_key_and_a_paste_is_no_command() {
    let told = midway();
    let mut terminal = join(&told, (120, 60));
    terminal.shows("Go / no-go").press("?");
    terminal
        .shows("Every key")
        .shows("ROLL BACK")
        .shows("Not now:");
    terminal.press("\u{1b}").hides("Every key");
    terminal.press("\u{1b}[200~q\r\u{1b}[201~");
    terminal.shows("pasted text is taken only where something is typed");
    terminal.press("q");
    terminal.ends();
}

#[test]
fn no_color_means_no_colour_and_a_broken_theme_warns() {
    let told = midway();
    let args = ["join", "--dir", &told.dir];
    let env = [("NO_COLOR", "1")];
    let mut terminal = Terminal::open_with(&args, told.root.path(), (80, 24), &env);
    terminal.shows("Go / no-go");
    assert_eq!(terminal.colours(), 0);
    terminal.press("q").ends();
    let env = [("CUTOVER_THEME", "no-such-theme")];
    let mut terminal = Terminal::open_with(&args, told.root.path(), (120, 24), &env);
    terminal.shows("there is no theme “no-such-theme”");
    assert!(terminal.colours() > 3);
    terminal.press("q").ends();
}

#[test]
fn an_engine_that_dies_shows_within_two_seconds() {
    let mut story = Story::begin();
    story.pass(2_000);
    let told = told(&story);
    // A process that holds the lease as an engine does.
    let lease = std::fs::File::create(format!("{}/engine.lease", told.dir)).expect("a lease");
    rustix::fs::flock(&lease, rustix::fs::FlockOperation::LockExclusive).expect("held");
    let mut terminal = join(&told, (120, 40));
    terminal.shows("● live");
    drop(lease);
    let died = std::time::Instant::now();
    terminal.shows("NO ENGINE");
    assert!(
        died.elapsed() < std::time::Duration::from_secs(2),
        "{:?}",
        died.elapsed()
    );
    terminal.press("q").ends();
}
