//! Another process on the same file: this test binary run again, with one test that does what its environment says.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;

use crate::support;

const TASK: &str = "CUTOVER_TEST_TASK";
const FILE: &str = "CUTOVER_TEST_FILE";
/// What the answer begins with, between the harness's own lines.
const ANSWER: &str = "answer: ";

/// Not a test of its own: what the other process runs. Without a task it does nothing.
#[test]
fn entry() {
    let (Ok(task), Ok(file)) = (std::env::var(TASK), std::env::var(FILE)) else {
        return;
    };
    let path = Path::new(&file);
    match task.as_str() {
        "write" => answer(&write(path)),
        "hold" => hold(path),
        "die behind a fence" => die_behind_a_fence(path),
        "open" => answer(&match cutover::sqlite::open_read_only(path) {
            Ok(_) => "opened".to_owned(),
            Err(error) => format!("{error:?}"),
        }),
        "backup on a full disk" => super::backup::on_a_full_disk(path),
        other => panic!("no task {other}"),
    }
}

/// The command that runs `task` on `path`.
pub fn command(task: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "sqlite::other::entry", "--nocapture"])
        .env(TASK, task)
        .env(FILE, path);
    command
}

/// Runs `task` on `path` in another process and returns its answer.
pub fn ask(task: &str, path: &Path) -> String {
    answer_of(command(task, path))
}

pub fn answer_of(mut command: Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found = text
        .lines()
        .find_map(|line| Some(line.split_once(ANSWER)?.1.to_owned()));
    found.unwrap_or_else(|| {
        panic!(
            "no answer: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

pub fn answer(text: &str) {
    println!("{ANSWER}{text}");
}

fn write(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(Duration::from_millis(100)).unwrap();
    let read: i64 = connection
        .query_row("SELECT count(*) FROM Tools", [], |row| row.get(0))
        .unwrap();
    match connection.execute("INSERT INTO Tools (Slug) VALUES (hex(randomblob(8)))", []) {
        Ok(_) => format!("read {read}, wrote"),
        Err(error) => format!(
            "read {read}, refused: {:?}",
            error.sqlite_error_code().unwrap()
        ),
    }
}

/// An application that writes and an engine that fences, both gone at once as by `kill -9`.
fn die_behind_a_fence(path: &Path) {
    let _application = support::sqlite(path, "DELETE FROM Steps WHERE Id = 3");
    let fence = super::fence::raise_at(path).unwrap();
    answer(&serde_json::to_string(fence.fingerprint()).unwrap());
    std::io::stdout().flush().unwrap();
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}

fn hold(path: &Path) {
    let _open = support::sqlite(path, "BEGIN IMMEDIATE; DELETE FROM Steps WHERE Id = 1");
    answer("held");
    std::io::stdout().flush().unwrap();
    // Until the parent closes the pipe.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// A process in the middle of a transaction, ended on drop.
pub struct Holder(Child);

impl Holder {
    pub fn start(path: &Path) -> Self {
        let mut child = command("hold", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let held = stdout
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("held"));
        assert!(held, "the other process did not get its lock");
        Self(child)
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
