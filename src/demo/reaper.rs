//! The process that cleans up after us, however we end.
//!
//! It is this binary again, started with the hidden subcommand `reaper`, and it reads from a pipe whose only writer is the
//! process it watches. When that process ends, by whatever means, the kernel closes the pipe; the reaper then ends everything
//! that was listed, removes the listed folders and exits. The ordinary end takes the same path: dropping [`Reaper`] closes the
//! pipe and waits, so there is one way to clean up, and it is always tried.
//!
//! Not in here: deciding what to start. A process is told of before its folder is used and forgotten after it was waited for,
//! so that no number is ever signalled that may have become somebody else's.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, kill_process, kill_process_group, setsid, test_kill_process,
    test_kill_process_group,
};

use crate::ours::guest::{self, Names};

/// The hidden subcommand that runs [`main`].
pub const SUBCOMMAND: &str = "reaper";

/// How long a server that is not the sandbox's own may take to let go of what was made there.
const GUEST_LIMIT: Duration = Duration::from_secs(20);
/// How long processes have to end after being asked, before they are killed.
const GRACE: Duration = Duration::from_secs(5);

/// The handle that the watched process holds. Dropping it cleans up and waits until that is done.
#[derive(Debug)]
pub struct Reaper {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Reaper {
    /// Starts a reaper; `program` is the path of the `cutover` binary.
    pub fn start(program: &Path) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        // The reaper says one line once it is out of reach of the terminal's signals. Waiting for it also tells us that
        // `program` is a binary that knows the subcommand.
        let mut line = String::new();
        let stdout = child
            .stdout
            .take()
            .expect("BUG: stdout was asked to be a pipe");
        BufReader::new(stdout.take(64)).read_line(&mut line)?;
        if line.trim_end() != READY {
            let _ = child.kill();
            let _ = child.wait();
            return Err(std::io::Error::other(format!(
                "{} does not know `{SUBCOMMAND}`",
                program.display()
            )));
        }
        Ok(Self { child, pipe })
    }

    /// A folder to remove at the end; the first that is told of goes last.
    pub fn folder(&mut self, path: &Path) -> std::io::Result<()> {
        self.tell(&Order::Folder(path.to_path_buf()))
    }

    /// A PostgreSQL data folder: at the end the server that runs on it is stopped.
    pub fn cluster(&mut self, data: &Path) -> std::io::Result<()> {
        self.tell(&Order::Cluster(data.to_path_buf()))
    }

    /// What a sandbox makes on a server that is not its own, and by which URL it goes.
    pub fn guest(&mut self, names: &Names, url: &str) -> std::io::Result<()> {
        self.tell(&Order::Guest(names.clone(), url.to_string()))
    }

    /// A process group to end.
    pub fn group(&mut self, leader: u32) -> std::io::Result<()> {
        self.tell(&Order::Group(leader))
    }

    /// A process group that has ended and was waited for.
    pub fn forget(&mut self, leader: u32) -> std::io::Result<()> {
        self.tell(&Order::Forget(leader))
    }

    fn tell(&mut self, order: &Order) -> std::io::Result<()> {
        let pipe = self
            .pipe
            .as_mut()
            .expect("BUG: the pipe lives as long as the handle");
        pipe.write_all(order.line()?.as_bytes())?;
        pipe.flush()
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ = self.child.wait();
    }
}

const READY: &str = "ready";

#[derive(Debug, PartialEq, Eq)]
enum Order {
    Folder(PathBuf),
    Cluster(PathBuf),
    Guest(Names, String),
    Group(u32),
    Forget(u32),
}

impl Order {
    fn line(&self) -> std::io::Result<String> {
        let (word, rest) = match self {
            Order::Folder(path) => ("folder", path_text(path)?),
            Order::Cluster(path) => ("cluster", path_text(path)?),
            Order::Guest(names, url) => ("guest", format!("{} {}", names.number(), url_text(url)?)),
            Order::Group(leader) => ("group", leader.to_string()),
            Order::Forget(leader) => ("forget", leader.to_string()),
        };
        Ok(format!("{word} {rest}\n"))
    }

    fn parse(line: &str) -> Option<Self> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "folder" => Some(Order::Folder(rest.into())),
            "cluster" => Some(Order::Cluster(rest.into())),
            "guest" => {
                let (number, url) = rest.split_once(' ')?;
                Some(Order::Guest(Names::of(number)?, url.to_string()))
            }
            "group" => rest.parse().ok().map(Order::Group),
            "forget" => rest.parse().ok().map(Order::Forget),
            _ => None,
        }
    }
}

/// A path as it goes through the pipe: absolute, on one line.
fn path_text(path: &Path) -> std::io::Result<String> {
    match path.to_str() {
        Some(text) if path.is_absolute() && !text.contains('\n') => Ok(text.to_string()),
        _ => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            format!(
                "{}: a path to clean up must be absolute, UTF-8 and on one line",
                path.display()
            ),
        )),
    }
}

/// A URL as it goes through the pipe: on one line.
fn url_text(url: &str) -> std::io::Result<&str> {
    match url.trim() {
        text if text.contains('\n') => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "a URL must be on one line",
        )),
        text => Ok(text),
    }
}

#[derive(Debug, Default)]
struct Estate {
    /// In the order in which they were told of.
    folders: Vec<PathBuf>,
    clusters: BTreeSet<PathBuf>,
    guests: Vec<(Names, String)>,
    groups: BTreeSet<u32>,
}

impl Estate {
    fn apply(&mut self, order: Order) {
        match order {
            Order::Folder(path) if self.folders.contains(&path) => {}
            Order::Folder(path) => self.folders.push(path),
            Order::Cluster(path) => drop(self.clusters.insert(path)),
            Order::Guest(names, url) => self.guests.push((names, url)),
            Order::Group(leader) => drop(self.groups.insert(leader)),
            Order::Forget(leader) => drop(self.groups.remove(&leader)),
        }
    }

    /// The folder that was told of first goes last: whoever waits for the end looks at it.
    fn in_order_of_removal(&self) -> impl Iterator<Item = &PathBuf> {
        self.folders.iter().rev()
    }

    fn clear(&self) {
        let groups: Vec<Pid> = self
            .groups
            .iter()
            .filter_map(|leader| pid(*leader))
            .collect();
        for group in &groups {
            let _ = kill_process_group(*group, Signal::TERM);
        }
        self.clusters.iter().for_each(|data| stop_cluster(data));
        let deadline = Instant::now() + GRACE;
        for group in groups {
            if !wait_until(deadline, || group_is_gone(group)) {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
        // After those who work on them, and before the folder that whoever waits for the end looks at.
        for (names, url) in &self.guests {
            unmake(names, url);
        }
        for folder in self.in_order_of_removal() {
            // A process on its way out may still be writing: the second attempt comes after the first one's files are gone.
            wait_until(Instant::now() + GRACE, || {
                match std::fs::remove_dir_all(folder) {
                    Ok(()) => true,
                    Err(error) => error.kind() == std::io::ErrorKind::NotFound,
                }
            });
        }
    }
}

/// The body of the reaper process: reads orders until the watched process is gone, then cleans up.
pub fn main() {
    // Out of the terminal's session: neither Ctrl-C nor a hang-up reaches us. It fails only where we lead a session already.
    let _ = setsid();
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
    let mut estate = Estate::default();
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(order) = Order::parse(&line) {
            estate.apply(order);
        }
    }
    estate.clear();
}

/// Takes away what a sandbox made on a server that is not its own. Nobody hears us: whoever ends a sandbox looks by itself whether it is gone,
/// and the next one on that server takes away what was left.
fn unmake(names: &Names, url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let (Ok(runtime), Ok(admin)) = (runtime, super::guest::endpoint(url)) else {
        return;
    };
    let _ = runtime
        .block_on(async { tokio::time::timeout(GUEST_LIMIT, guest::unmake(&admin, names)).await });
}

/// Immediate shutdown of the server on this data folder: it is a throwaway, there is nothing to checkpoint.
pub fn stop_cluster(data: &Path) {
    let Some(postmaster) = postmaster_pid(data) else {
        return;
    };
    let _ = kill_process(postmaster, Signal::QUIT);
    if !wait_until(Instant::now() + GRACE * 2, || process_is_gone(postmaster)) {
        let _ = kill_process(postmaster, Signal::KILL);
    }
}

/// The process number in the first line of `postmaster.pid`.
fn postmaster_pid(data: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    pid(text.lines().next()?.trim().parse().ok()?)
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// Whether the process has ended; one that nobody has waited for yet has ended.
fn process_is_gone(process: Pid) -> bool {
    if test_kill_process(process) == Err(rustix::io::Errno::SRCH) {
        return true;
    }
    std::fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero()))
        .ok()
        .and_then(|stat| {
            stat.rsplit_once(") ")
                .map(|(_, rest)| rest.starts_with('Z'))
        })
        .unwrap_or(false)
}

fn group_is_gone(leader: Pid) -> bool {
    test_kill_process_group(leader) == Err(rustix::io::Errno::SRCH) || process_is_gone(leader)
}

fn wait_until(deadline: Instant, mut done: impl FnMut() -> bool) -> bool {
    loop {
        if done() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_pipe() {
        for order in [
            Order::Folder("/tmp/a b".into()),
            Order::Cluster("/x".into()),
            Order::Guest(Names::fresh(), "postgres://ann:a%20b@h/d".into()),
            Order::Group(7),
            Order::Forget(7),
        ] {
            let line = order.line().expect("a plain path");
            assert_eq!(Order::parse(line.trim_end_matches('\n')), Some(order));
        }
    }

    #[test]
    fn refuses_paths_that_could_mean_another_folder() {
        for path in ["relative", "/tmp/two\nlines"] {
            assert!(Order::Folder(path.into()).line().is_err(), "{path:?}");
        }
        let two_lines = Order::Guest(Names::fresh(), "postgres://h/a\nfolder /".into());
        assert!(two_lines.line().is_err());
    }

    #[test]
    fn the_folder_that_was_told_of_first_goes_last() {
        let mut estate = Estate::default();
        for folder in ["/tmp/a", "/tmp/b", "/tmp/a"] {
            estate.apply(Order::Folder(folder.into()));
        }
        let folders: Vec<&PathBuf> = estate.in_order_of_removal().collect();
        assert_eq!(folders, [Path::new("/tmp/b"), Path::new("/tmp/a")]);
    }

    #[test]
    fn a_forgotten_process_is_not_signalled() {
        let mut estate = Estate::default();
        estate.apply(Order::Group(7));
        estate.apply(Order::Forget(7));
        assert!(estate.groups.is_empty());
    }
}
