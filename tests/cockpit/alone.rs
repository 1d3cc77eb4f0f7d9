//! The cockpit as a process in a terminal, on a journal that no engine runs: quick, and without any database.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};
use cutover::cockpit::bridge::Purpose;
use cutover::cockpit::driver::LOOK;
use cutover::cockpit::follow::Follow;
use cutover::cockpit::{self, Bridge, BridgeError, Options};
use cutover::engine::lease::Lease;
use cutover::journal::{
    Folder, Follower, Journal, Reading, Retention, Sample, Stream, count_lease,
};
use cutover::session::live::{InstanceState, key};
use rustix::process::Signal;
use serde_json::json;

use super::states;
use super::story::Story;
use super::story::beside::fleet;
use super::terminal::Terminal;
use crate::support;

/// A session's folder whose journal tells this story.
pub struct Told {
    pub root: tempfile::TempDir,
    pub dir: String,
}

pub fn told(story: &Story) -> Told {
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
    terminal.shown("You have left the cockpit");
    terminal.assert_restored();
}

#[test]
fn the_death_of_the_engine_rings_unless_the_terminal_is_to_be_silent() {
    let told = midway();
    let folder = Folder::create_at(Path::new(&told.dir)).expect("a session's folder");
    let lease = Lease::take(&folder).expect("a lease");
    let args = ["join", "--dir", &told.dir];
    let silent = [("CUTOVER_SILENT", "1")];
    let mut ringing = join(&told, (120, 40));
    let mut silent = Terminal::open_with(&args, told.root.path(), (120, 40), &silent);
    ringing.shows("● live");
    silent.shows("● live");
    let pid = lease.holder().pid;
    drop(lease);
    let order =
        format!("\u{7}\u{1b}]9;cutover tool-catalogue-7: The engine (process {pid}) has died");
    ringing.shows("NO ENGINE").hears(&order);
    silent.shows("NO ENGINE").press("q").ends();
    assert!(!silent.has_heard("\u{1b}]9;"));
}

/// A cockpit of somebody whose configuration says this.
fn configured(told: &Told, text: &str) -> Terminal {
    let folder = told.root.path().join("cutover");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), text).expect("written");
    let home = told.root.path().to_str().expect("UTF-8");
    let args = ["join", "--dir", &told.dir];
    let env = [("XDG_CONFIG_HOME", home)];
    Terminal::open_with(&args, told.root.path(), (200, 50), &env)
}

#[test]
fn a_configuration_counts_and_one_that_is_wrong_keeps_nobody_out() {
    let told = midway();
    let mut terminal = configured(&told, "[keys]\nleave = \"Q\"\n");
    terminal.shows("Q leave").press("Q");
    assert_eq!(terminal.ends().exit_code(), 0);
    let wrong = "[keys]\nleave = \"Q\"\nrolback = \"F9\"\n";
    let mut terminal = configured(&told, wrong);
    terminal.shows("config.toml:3: there is no action “rolback”");
    terminal.shows("q leave").press("q");
    assert_eq!(terminal.ends().exit_code(), 0);
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
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("a process");
        if stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
        {
            return;
        }
        assert!(Instant::now() < deadline, "it is not stopped: {stat}");
        std::thread::yield_now();
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it_without_spinning() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    terminal.shows("Go / no-go");
    terminal.hang_up();
    terminal.ends();
}

#[test]
fn a_key_that_comes_with_a_change_of_size_is_not_lost() {
    let told = midway();
    let mut terminal = join(&told, (80, 24));
    terminal.shows("Go / no-go");
    for n in 0..40 {
        terminal.resize(81 + n, 24).press("?").shows("Every key");
        terminal.resize(80, 24).press("?").hides("Every key");
    }
    terminal.press("q").ends();
}

#[test]
fn a_storm_of_sizes_leaves_a_whole_screen() {
    storm(&midway(), "Go / no-go", "Latency");
}

/// The countdown to a rollback has the screen, whatever size that gets meanwhile.
#[test]
fn a_storm_of_sizes_leaves_the_countdown() {
    let fired = states::fired_story();
    storm(&told(&fired), "T3a FIRED", "NO ENGINE WORKS");
}

fn storm(told: &Told, first: &str, whole: &str) {
    let mut terminal = join(told, (120, 40));
    terminal.shows(first);
    for n in 0..60u16 {
        terminal.resize(1 + n * 37 % 200, 1 + n * 23 % 60);
    }
    terminal.resize(0, 0).resize(120, 40).press("\u{c}");
    terminal.until("the whole screen", |text| {
        let lines: Vec<&str> = text.lines().collect();
        lines.len() == 40 && lines[39].contains("q leave") && text.contains(whole)
    });
    terminal.press("q");
    terminal.ends();
    terminal.assert_restored();
}

/// The night of a change of clocks: what is told from then on is told by the new ones, as by every other clock in the room.
#[test]
fn a_change_of_clocks_shows_on_a_screen_that_is_open() {
    let change = Utc::now() + TimeDelta::seconds(20);
    // Five hours more from that moment on, for two days.
    let (day, time) = (change.ordinal0(), change.format("%H:%M:%S"));
    let zone = format!("AAA0BBB-5,{day}/{time},{}/0", (day + 2) % 365);
    let told = midway();
    let args = ["join", "--dir", &told.dir];
    let env = [("TZ", zone.as_str())];
    let mut terminal = Terminal::open_with(&args, told.root.path(), (120, 40), &env);
    let shows = |text: &str, moments: &[DateTime<Utc>]| {
        moments
            .iter()
            .any(|at| text.contains(&format!("  {}", at.format("%H:%M:"))))
    };
    let around = |at: DateTime<Utc>| [-1, 0, 1, 2, 3, 4, 5].map(|n| at + TimeDelta::minutes(n));
    terminal.until("the time before", |text| shows(text, &around(change)));
    let after = around(change + TimeDelta::hours(5));
    // Without an engine nothing but a key draws this screen.
    let deadline = Instant::now() + Duration::from_secs(180);
    while !shows(&terminal.text(), &after) {
        assert!(Instant::now() < deadline, "{}", terminal.text());
        terminal.press("?").shows("Every key");
        terminal.press("?").hides("Every key");
    }
    terminal.press("q").ends();
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
fn a_terminal_gets_what_it_can_show() {
    let told = midway();
    let join = ["join", "--dir", &told.dir];
    let with = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&join, args].concat();
        let mut terminal = Terminal::open_with(&args, told.root.path(), (120, 40), env);
        terminal.shows("Go / no-go").shows("Latency");
        terminal
    };
    let mut terminal = with(&[], &[("LANG", "C")]);
    terminal.shows("+ev").press("45?").shows("Every key");
    terminal.press("\u{1b}").hides("Every key");
    terminal.press("q").ends();
    assert!(terminal.has_heard_ascii_alone());
    with(&[], &[("TERM", "linux")])
        .shows("√ev")
        .press("q")
        .ends();
    let asked = with(&["--glyphs", "blocks"], &[("LANG", "C")])
        .shows("√ev")
        .press("q")
        .ends();
    assert!(asked.success());
    let mut terminal = with(&[], &[("CUTOVER_GLYPHS", "runes")]);
    terminal.shows("there are no glyphs “runes”: braille, blocks or ascii; using braille");
    terminal.shows("✓ev").press("q").ends();
}

#[test]
fn a_theme_is_chosen_at_the_start_and_while_it_is_open() {
    let told = midway();
    let args = ["join", "--dir", &told.dir, "--theme", "mono"];
    let env = [("CUTOVER_THEME", "light")];
    let mut terminal = Terminal::open_with(&args, told.root.path(), (80, 24), &env);
    terminal.shows("Go / no-go");
    assert_eq!(terminal.colours(), 0, "what was said wins");
    terminal.press("T").shows("Choose colours");
    terminal.press("1").hides("Choose colours");
    assert!(terminal.colours() > 0);
    terminal.press("q").ends();
}

#[test]
fn a_line_between_panels_is_dragged_with_the_mouse_and_moved_with_keys() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    let columns = |text: &str| {
        let (left, _) = text.lines().find_map(|line| line.split_once("┓┌"))?;
        Some(left.chars().count())
    };
    let is_at = |wanted: usize| move |text: &str| columns(text) == Some(wanted);
    terminal.until("two columns", is_at(59));
    terminal.drag("┓┌", (10, 0)).until("wider gates", is_at(69));
    terminal
        .press("\u{1b}[1;5D")
        .until("by Ctrl and an arrow", is_at(67));
    terminal.press("=").until("two columns", is_at(59));
    terminal.press("q").ends();
    terminal.assert_restored();
}

#[test]
fn the_mouse_is_taken_unless_it_is_to_be_left_and_given_back() {
    let told = midway();
    let mut terminal = join(&told, (120, 40));
    terminal.shows("Go / no-go");
    assert!(terminal.has_the_mouse());
    terminal.click("7 Journal").shows("Enter all of it");
    terminal.press("y").hears("\u{1b}]52;c;");
    terminal.press("M").shows("the mouse selects text");
    assert!(!terminal.has_the_mouse());
    terminal.press("M").shows("the mouse clicks");
    assert!(terminal.has_the_mouse());
    terminal.press("\u{1a}");
    terminal.assert_restored();
    stopped(terminal.process());
    terminal.signal(Signal::CONT).shows("Journal");
    terminal.click("leave");
    assert_eq!(terminal.ends().exit_code(), 0);
    terminal.assert_restored();
    let args = ["join", "--dir", &told.dir];
    let left = [("CUTOVER_MOUSE", "off")];
    let mut terminal = Terminal::open_with(&args, told.root.path(), (80, 24), &left);
    terminal.shows("Go / no-go");
    assert!(!terminal.has_the_mouse());
    terminal.press("q").ends();
}

#[test]
fn an_engine_that_dies_shows() {
    // Whether one works is looked at so often that it shows within two seconds.
    const { assert!(2 * LOOK.as_millis() < 2_000) };
    let mut story = Story::begin();
    story.pass(2_000);
    let told = told(&story);
    // A process that holds the lease as an engine does.
    let lease = std::fs::File::create(format!("{}/shared/engine.lease", told.dir));
    let lease = lease.expect("a lease");
    rustix::fs::flock(&lease, rustix::fs::FlockOperation::LockExclusive).expect("held");
    let mut terminal = join(&told, (120, 40));
    terminal.shows("● live");
    drop(lease);
    terminal.shows("NO ENGINE");
    terminal.press("q").ends();
}

/// Set in the process that [`a_panic_in_any_thread_gives_the_terminal_back`] starts of itself: the session's folder.
const TO_PANIC: &str = "CUTOVER_TEST_TO_PANIC";

/// A bridge that is broken.
struct Broken;

impl Bridge for Broken {
    fn send(&self, _: &cutover::session::Command, _: Option<&str>) -> Result<u64, BridgeError> {
        Err(BridgeError::NoEngine)
    }

    fn present(&self, _: &str, _: Option<&str>) -> Result<(), BridgeError> {
        panic!("a bolt is loose")
    }

    fn start_engine(&self, _: Purpose) -> Result<(), BridgeError> {
        Err(BridgeError::NoEngine)
    }
}

#[test]
fn a_panic_in_any_thread_gives_the_terminal_back() {
    if let Some(dir) = std::env::var_os(TO_PANIC) {
        let folder = Folder::open_at(Path::new(&dir)).expect("a folder");
        let follower = Follower::open(&folder).expect("a journal");
        let left = cockpit::run(Options::default(), follower, Arc::new(Broken));
        panic!("the cockpit outlived a panic: {left:?}");
    }
    let told = midway();
    let program = std::env::current_exe().expect("this program");
    let name = "cockpit::alone::a_panic_in_any_thread_gives_the_terminal_back";
    let (args, env) = (["--exact", name, "--nocapture"], [(TO_PANIC, &*told.dir)]);
    let mut terminal = Terminal::of(&program, &args, told.root.path(), (120, 40), &env);
    assert_eq!(terminal.ends().exit_code(), 70);
    terminal.assert_restored();
    terminal.shown("a bolt is loose");
}

#[test]
fn a_snapshot_is_what_the_screen_shows() {
    let told = midway();
    let snapshot = |options: &[&str]| {
        let mut command = Command::new(support::cutover());
        command.args(["snapshot", "--dir", &told.dir]).args(options);
        let output = command.output().expect("cutover");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, text, _) = snapshot(&["--text", "--width", "100", "--height", "30"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("NO ENGINE") && text.contains("D2"), "{text}");
    assert_eq!(text.lines().count(), 30);
    let (_, gates, _) = snapshot(&["--view", "gates"]);
    let (_, same, _) = snapshot(&["--view", "6"]);
    assert!(gates.contains("Go / no-go"), "{gates}");
    // The title tells the time of day, which goes on between the two.
    let below = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(below(&gates), below(&same));
    let (_, plain, _) = snapshot(&["--glyphs", "ascii"]);
    assert!(plain.is_ascii() && plain.contains("+ev"), "{plain}");
    let (code, _, said) = snapshot(&["--glyphs", "runes"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no glyphs “runes”"), "{said}");
    let (code, picture, _) = snapshot(&["--svg", "--theme", "light"]);
    assert_eq!(code, Some(0));
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    let (code, _, said) = snapshot(&["--view", "cellar"]);
    assert_eq!(code, Some(2));
    assert!(said.contains("bridge, steps, pool"), "{said}");
    let (code, _, said) = snapshot(&["--theme", "nowhere.toml"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("nowhere.toml"), "{said}");
}

#[test]
fn a_look_at_a_quiet_journal_misses_nothing_of_what_comes_beside_the_events() {
    let told = midway();
    let folder = Folder::open_at(Path::new(&told.dir)).expect("a folder");
    let fencing = count_lease(&folder, &json!({})).expect("a lease");
    let (mut journal, _) = Journal::open(&folder, fencing).expect("a journal");
    let mut scribe = journal.scribe(Retention::default()).expect("a scribe");
    let notes = scribe.notes();
    let mut follow = Follow::new(Follower::open(&folder).expect("a journal"));
    assert!(!follow.look().expect("news").entries.is_empty());
    assert!(follow.look().expect("news").is_empty());
    notes.board(key::FLEET, &fleet("Postgres", &[InstanceState::Ready]));
    notes.output("D2", 1, Stream::Step, 1_000, "a line");
    notes.sample(Sample {
        signal: "pool_active".to_owned(),
        at_ms: 1_000,
        reading: Reading::Value(3.0),
        n: None,
    });
    scribe.flush(1_000, "boot", 1_000).expect("written");
    let news = follow.look().expect("news");
    assert_eq!(news.fleet, Some(fleet("Postgres", &[InstanceState::Ready])));
    assert_eq!(news.samples.len(), 1);
    assert_eq!(news.last_line.expect("a line").line, "a line");
    assert!(news.output.is_empty());
    assert!(follow.look().expect("news").is_empty());
    // Nothing was written since; what is asked for now was there before.
    follow.watch("D2".to_owned(), 1);
    assert_eq!(follow.look().expect("news").output[0].line, "a line");
    assert!(follow.look().expect("news").is_empty());
    notes.board(key::FLEET, &fleet("Postgres", &[InstanceState::Ready; 2]));
    scribe.flush(2_000, "boot", 2_000).expect("written");
    let news = follow.look().expect("news");
    assert_eq!(
        news.fleet,
        Some(fleet("Postgres", &[InstanceState::Ready; 2]))
    );
    journal
        .append(
            3_000,
            Utc::now(),
            &[("note_written", &json!({"by": "ada", "text": "x"}))],
        )
        .expect("written");
    assert_eq!(follow.look().expect("news").entries.len(), 1);
}
