//! How long it takes from a key to the screen while an import runs: a night of the sandbox plays by itself, with rows enough for an import
//! of some seconds; a cockpit in a terminal of its own is sent from view to view by its digits as long as the import runs. Beside it, key by
//! key in turn, a terminal in which a program only gives back what it gets: what the terminal and the busy machine take by themselves.
//!
//! Usage: cargo bench --bench keystroke -- [ROWS]        (default 5000000)

#![allow(clippy::disallowed_methods)] // benches make and remove what is theirs
#![allow(clippy::print_stdout)] // whoever runs it reads it

mod shown;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use cutover::cockpit::follow::Follow;
use cutover::journal::{Folder, Follower};
use cutover::session::{Phase, Session};
use shown::{Shown, cutover, figures};

/// The step that imports.
const IMPORT: &str = "D2";
/// A key that does not show within this is a failure, not a figure.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Rests between two keys, and what they vary by, so that keys meet every moment between two frames.
const SHORTEST_GAP_MS: u64 = 10;
const VARIES_BY_MS: u64 = 41;

fn main() {
    let first = std::env::args().skip(1).find(|a| a != "--bench");
    let rows = first.unwrap_or_else(|| "5000000".to_owned());
    let root = tempfile::tempdir().expect("a folder");
    let night = Night::begin(&root.path().join("sandbox"), &rows);
    let mut import = night.import();
    import.until_running();
    let mut cockpit = Answering::start(&cutover(), &["join", "--dir", &import.dir]);
    cockpit.until(|text| text.contains("1 Bridge◂"));
    let mut echo = Answering::start(
        Path::new("/bin/sh"),
        &["-c", "stty raw -echo; echo ready; exec cat"],
    );
    echo.until(|text| text.contains("ready"));
    let (mut shown, mut echoed) = (Vec::new(), Vec::new());
    while import.runs() {
        let view = shown.len() % 9 + 1;
        let digit = char::from_digit(view as u32 % 9 + 1, 10).expect("BUG: a digit");
        shown.push(cockpit.took(digit, |text| is_view(text, digit)));
        let before = echo.text().matches(digit).count();
        echoed.push(echo.took(digit, |text| text.matches(digit).count() > before));
        std::thread::sleep(gap(shown.len() as u64));
    }
    println!(
        "from a key to the screen while {IMPORT} imports {rows} rows, {} keys each, in turn",
        shown.len()
    );
    figures("  a cockpit's next view", shown);
    figures("  a program that gives the key back", echoed);
}

fn gap(n: u64) -> Duration {
    Duration::from_millis(SHORTEST_GAP_MS + n * 29 % VARIES_BY_MS)
}

/// Whether the row of views marks this one.
fn is_view(text: &str, digit: char) -> bool {
    let views = text.lines().find(|l| l.starts_with(" 1 Bridge"));
    let marked = views.and_then(|line| line.split_once('◂'));
    marked.is_some_and(|(before, _)| {
        let name = before.rsplit("  ").next().unwrap_or_default();
        name.trim_start().starts_with(digit)
    })
}

/// A program in a terminal, and what that shows.
struct Answering {
    program: Shown,
    chunks: Receiver<(Instant, Vec<u8>)>,
    screen: vt100::Parser,
}

impl Answering {
    fn start(program: &Path, args: &[&str]) -> Answering {
        let mut program = Shown::start(program, args);
        Answering {
            chunks: program.chunks(),
            program,
            screen: vt100::Parser::new(
                40.try_into().expect("rows"),
                120.try_into().expect("columns"),
                0,
            ),
        }
    }

    fn text(&mut self) -> String {
        for (_, bytes) in self.chunks.try_iter() {
            self.screen.process(&bytes);
        }
        self.screen.screen().contents()
    }

    /// Waits until it shows this; when the last byte that it needs came.
    fn until(&mut self, is_so: impl Fn(&str) -> bool) -> Instant {
        let deadline = Instant::now() + GIVE_UP;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let chunk = self.chunks.recv_timeout(left);
            let (at, bytes) =
                chunk.unwrap_or_else(|_| panic!("in vain:\n{}", self.screen.screen().contents()));
            self.screen.process(&bytes);
            if is_so(&self.screen.screen().contents()) {
                return at;
            }
        }
    }

    fn took(&mut self, key: char, is_so: impl Fn(&str) -> bool) -> Duration {
        self.text();
        let begun = Instant::now();
        self.program.press(&key.to_string());
        self.until(is_so) - begun
    }
}

/// A night that plays by itself. Ends with the bench.
struct Night {
    sandbox: PathBuf,
    demo: Child,
}

impl Night {
    fn begin(sandbox: &Path, rows: &str) -> Night {
        let demo = Command::new(cutover())
            .args(["demo", "--headless", "--speed", "60", "--rate", "20"])
            .args(["--rows", rows, "--dir"])
            .arg(sandbox)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a night");
        Night {
            sandbox: sandbox.to_owned(),
            demo,
        }
    }

    /// The import of its session, once there is one.
    fn import(&self) -> Import {
        let dir = self.sandbox.join(".cutover/tool-catalogue-1");
        loop {
            let folder = Folder::open_at(&dir);
            if let Some(follower) = folder.ok().and_then(|f| Follower::open(&f).ok()) {
                let mut follow = Follow::new(follower);
                let entries = follow.entries().expect("a journal");
                if let Ok(session) = Session::replay(&entries) {
                    let dir = dir.to_str().expect("UTF-8").to_owned();
                    return Import {
                        dir,
                        follow,
                        session,
                    };
                }
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Night {
    fn drop(&mut self) {
        let _ = Command::new(cutover())
            .args(["demo", "--stop", "--dir"])
            .arg(&self.sandbox)
            .output();
        let _ = self.demo.kill();
        let _ = self.demo.wait();
    }
}

struct Import {
    dir: String,
    follow: Follow,
    session: Session,
}

impl Import {
    fn until_running(&mut self) {
        while !self.runs() {
            let phase = self.session.phase;
            assert!(phase == Phase::Open, "the night ended before: {phase:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn runs(&mut self) -> bool {
        let news = self.follow.look().expect("a journal");
        for entry in &news.entries {
            self.session.apply(entry);
        }
        let current = self.session.current_step();
        current.is_some_and(|s| s.id == IMPORT)
    }
}
