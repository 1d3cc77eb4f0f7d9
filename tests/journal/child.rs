//! Processes of the tests' own: this binary again, running one hidden test that does nothing unless it was asked for.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cutover::journal::Folder;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

const ROLE: &str = "CUTOVER_TEST_ROLE";
pub const FOLDER: &str = "CUTOVER_TEST_FOLDER";

/// The command that runs the hidden test `role` (its path in this binary) on a session's folder.
pub fn command(role: &str, folder: &Folder) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this test binary"));
    command
        .args(["--exact", role, "--nocapture", "--test-threads=1"])
        .env(ROLE, role)
        .env(FOLDER, folder.dir());
    command
}

/// The session's folder, when this process was started for `role`; `None` in an ordinary test run.
pub fn asked_for(role: &str) -> Option<Folder> {
    if std::env::var(ROLE).ok()? != role {
        return None;
    }
    let dir = std::env::var_os(FOLDER)?;
    Some(Folder::create_at(Path::new(&dir)).expect("the session's folder"))
}

/// Tells the parent something. The line is marked, for the test harness prints lines too.
pub fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n> {what}")
        .and_then(|()| out.flush())
        .expect("a parent that listens");
}

/// A running hidden test; killed when dropped.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    _stdin: ChildStdin,
}

pub fn start(role: &str, folder: &Folder) -> Running {
    run(command(role, folder))
}

/// Starts what [`command`] made.
pub fn run(mut command: Command) -> Running {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child process");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let stdin = child.stdin.take().expect("its input");
    Running {
        child,
        lines,
        _stdin: stdin,
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next thing it says; `None` when it has ended.
    pub fn hear(&mut self) -> Option<String> {
        loop {
            let line = self.lines.next()?.ok()?;
            if let Some(said) = line.strip_prefix("> ") {
                return Some(said.to_owned());
            }
        }
    }

    /// `kill -9`, and the rest of what it had said.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().expect("a kill");
        self.child.wait().expect("its end");
        std::iter::from_fn(|| self.hear()).collect()
    }

    /// Stops it, and waits until it has stopped.
    pub fn stop(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("a signal");
        waitpid(Some(pid), WaitOptions::UNTRACED).expect("it has stopped");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        kill_process(Pid::from_child(&self.child), Signal::CONT).expect("a signal");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits, in a child, until the parent ends or lets go.
pub fn wait_for_the_parent() {
    let mut line = String::new();
    let _ = std::io::stdin().read_line(&mut line);
}
