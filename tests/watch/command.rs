//! The commands for people who are not on the bridge, by the real binary: `watch` with its links, and the plain log of `status --follow`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use cutover::session::Event;
use cutover::watch::viewers::Link;
use rustix::process::Signal;

use super::{Browser, Hand, night, note};
use crate::support;

/// A command that runs, and does not outlive its test.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(root: &Path, arguments: &[&str]) -> Running {
        let mut command = Command::new(support::cutover());
        command.args(arguments).current_dir(root);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("cutover");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Running { child, lines }
    }

    /// Its next line that has this in it.
    fn line(&mut self, part: &str) -> String {
        let mut all = String::new();
        loop {
            let before = all.len();
            let read = self.lines.read_line(&mut all).expect("text");
            assert_ne!(read, 0, "no line with {part}: {all}");
            if all[before..].contains(part) {
                return all[before..].trim_end().to_owned();
            }
        }
    }

    /// Its exit code, and what it said to people.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        let errors = self.child.stderr.as_mut().expect("its messages");
        errors.read_to_string(&mut said).expect("text");
        let status = self.child.wait().expect("an end");
        (status.code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn the_command_prints_a_link_for_each_viewer_and_ends_when_it_is_asked_to() {
    let (root, _folder, _) = night("A1");
    let arguments = [
        "watch",
        "--http",
        "127.0.0.1:0",
        "--viewer",
        "ada",
        "--viewer",
        "wall",
    ];
    let mut running = Running::start(root.path(), &arguments);
    let mut tokens = Vec::new();
    for name in ["ada", "wall"] {
        let line = running.line(name);
        let (_, url) = line.split_once("  http://").expect("a link");
        let (at, token) = url.split_once('/').expect("a path");
        let link = Link {
            name: name.to_owned(),
            token: token.to_owned(),
        };
        let viewer = Browser::of(at.parse().expect("an address"), &link).await;
        says!(viewer.page().await, "<strong>… Not over</strong>");
        tokens.push(link.token);
    }
    support::signal(running.child.id(), Signal::INT);
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(tokens.iter().all(|token| !said.contains(token)), "{said}");
    for (arguments, why) in [
        (&["watch", "--http", "0.0.0.0:0"][..], "--behind-proxy"),
        (
            &[
                "watch",
                "--http",
                "127.0.0.1:0",
                "--viewer",
                "a",
                "--viewer",
                "a",
            ],
            "two viewers",
        ),
        (&["watch"], "--http"),
        (
            &["watch", "--http", "example.org:8800"],
            "an IP address of this host and a port",
        ),
        (&["watch", "--http", "localhost:0", "--as", "robin"], "--as"),
        // Here it is the names that are wrong, not the address.
        (
            &[
                "watch",
                "--http",
                "localhost:0",
                "--viewer",
                "a",
                "--viewer",
                "a",
            ],
            "two viewers",
        ),
    ] {
        let (code, said) = Running::start(root.path(), arguments).end();
        assert_eq!(code, Some(2), "{said}");
        says!(said, why);
    }
}

#[test]
fn status_goes_on_as_a_plain_log_until_the_session_is_over() {
    let (root, folder, bridge) = night("end");
    let mut hand = Hand::of(&folder);
    let mut running = Running::start(root.path(), &["status", "--follow"]);
    running.line("tonight  open");
    hand.write(bridge.now_ms + 1_000, &note("the pool is calm"));
    running.line("the pool is calm");
    let completed = Event::SessionCompleted { by: "robin".into() };
    hand.write(bridge.now_ms + 2_000, &completed);
    running.line("complete");
    // Its engine still lets go of both databases. What it says of that is in the log, which ends after it.
    hand.write(bridge.now_ms + 3_000, &note("the release is marked"));
    running.line("the release is marked");
    assert!(running.child.try_wait().expect("a process").is_none());
    // Who begins to follow it now waits as well, and reads what for.
    let mut late = Running::start(root.path(), &["status", "--follow"]);
    late.line("tonight  completed  its engine still lets go of both databases");
    // Whoever looks at what is left does not look before.
    let mut closing = Running::start(root.path(), &["close"]);
    let mut errors = BufReader::new(closing.child.stderr.take().expect("its messages"));
    let mut said = String::new();
    errors.read_line(&mut said).expect("text");
    says!(
        said,
        "its engine still lets go of both databases: waiting for its end"
    );
    assert!(closing.child.try_wait().expect("a process").is_none());
    drop(hand);
    closing.child.wait().expect("an end");
    assert_eq!(late.end().0, Some(0));
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{said}");
    // Of one that is over there is nothing to follow.
    let mut over = Running::start(root.path(), &["status", "--follow"]);
    over.line("tonight  completed");
    assert_eq!(over.end().0, Some(0));
}
