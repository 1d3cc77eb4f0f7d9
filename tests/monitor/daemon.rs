//! Servers of others, started for a test on a port and in a folder of its own, and gone with it however it ends.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use cutover::demo::reaper::Reaper;
use rand::Rng as _;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::support;

/// Whom a server runs as that refuses to be root's.
const ACCOUNTS: [&str; 2] = ["postgres", "nobody"];

/// A running server.
pub struct Daemon {
    child: Child,
    reaper: Option<Reaper>,
}

/// A folder that everybody may read, for a server's configuration and data. Gone with the [`Daemon`] that it is given to.
pub fn folder(name: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(&format!("cutover-test-{name}-"))
        .tempdir()
        .expect("a folder")
        .keep();
    if let Some((uid, gid)) = account() {
        std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).expect("given away");
    }
    folder
}

/// A port of 127.0.0.1 on which nobody listens, below those that outgoing connections take.
pub fn port() -> u16 {
    let mut random = rand::rng();
    (0..200)
        .map(|_| random.random_range(10_240..30_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

impl Daemon {
    /// Starts a program, as somebody else where we are root; its folder goes when it does.
    pub fn start(program: &str, arguments: &[&str], folder: &Path) -> Daemon {
        let mut reaper = Reaper::start(support::cutover()).expect("a reaper");
        reaper.folder(folder).expect("told");
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        // Distributions put some servers where only root looks.
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0);
        if let Some((uid, gid)) = account() {
            command.uid(uid).gid(gid);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; `make programs` installs it"));
        reaper.group(child.id()).expect("told");
        Daemon {
            child,
            reaper: Some(reaper),
        }
    }

    /// Stops it from answering, without ending it.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id() as i32).expect("a process number");
        kill_process_group(pid, signal).expect("a process of ours");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.reaper.take());
    }
}

/// Number and group of the account; `None` where we are not root.
fn account() -> Option<(u32, u32)> {
    let is_root = rustix::process::geteuid().is_root();
    let names = ACCOUNTS.iter().filter(|_| is_root);
    let mut found = names.filter_map(|name| Some((id(name, "-u")?, id(name, "-g")?)));
    found.next()
}

fn id(name: &str, flag: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
