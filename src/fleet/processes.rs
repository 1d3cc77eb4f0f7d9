//! The processes behind an instance, where they are on this host: who listens at its port, which files and connections they have
//! open, since when they run. Read from `/proc`; on other systems nothing is known. Nothing is opened but `/proc`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use crate::identity::SourceIdentity;

/// A process that listens at an instance's port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    pub pid: u32,
    /// When it began, in ticks since the machine started: tells it from a later process of the same number.
    pub started_ticks: u64,
    /// What it is called; foreign text.
    pub name: String,
}

/// Whether an address is one of this host's.
pub fn is_this_host(address: IpAddr) -> bool {
    address.is_loopback() || std::net::UdpSocket::bind((address, 0)).is_ok()
}

/// Who has which sockets open, from one look at all processes of this host: a look costs as much for one instance as for all.
pub struct Sockets {
    connections: Vec<Connection>,
    by_process: Vec<(u32, Vec<u64>)>,
}

impl Sockets {
    /// Looks. Processes that we may not look into have none.
    pub fn look() -> Sockets {
        let of = |pid: u32| Some((pid, sockets_of(pid))).filter(|(_, sockets)| !sockets.is_empty());
        Sockets {
            connections: connections(),
            by_process: pids().into_iter().filter_map(of).collect(),
        }
    }

    /// The processes that listen at a TCP port of this host, those that inherited the socket too. Empty: none, or we may not look.
    pub fn listening_at(&self, port: u16) -> BTreeSet<Process> {
        let listening = self
            .connections
            .iter()
            .filter(|c| c.is_listening && c.local_port == port);
        let sockets: BTreeSet<u64> = listening.map(|c| c.inode).collect();
        let holds = |open: &[u64]| open.iter().any(|socket| sockets.contains(socket));
        let found = self.by_process.iter().filter(|(_, open)| holds(open));
        found.filter_map(|(pid, _)| process(*pid)).collect()
    }

    /// Local ports of every TCP connection that these processes have open.
    pub fn ports_of(&self, processes: &BTreeSet<Process>) -> BTreeSet<u16> {
        let is_one = |pid: u32| processes.iter().any(|process| process.pid == pid);
        let theirs = self.by_process.iter().filter(|(pid, _)| is_one(*pid));
        let sockets: BTreeSet<u64> = theirs.flat_map(|(_, open)| open).copied().collect();
        let open = self
            .connections
            .iter()
            .filter(|c| !c.is_listening && sockets.contains(&c.inode));
        open.map(|c| c.local_port).collect()
    }
}

/// The processes that listen at a TCP port of this host, those that inherited the socket too. Empty: none, or we may not look.
pub fn listening_at(port: u16) -> BTreeSet<Process> {
    Sockets::look().listening_at(port)
}

/// Local ports of every TCP connection that these processes have open.
pub fn ports_of(processes: &BTreeSet<Process>) -> BTreeSet<u16> {
    let by_process = processes
        .iter()
        .map(|p| (p.pid, sockets_of(p.pid)))
        .collect();
    Sockets {
        connections: connections(),
        by_process,
    }
    .ports_of(processes)
}

/// The processes that have this file open, but for our own program's; those that we may not look into are none.
pub fn holding(file: SourceIdentity) -> BTreeSet<Process> {
    let ours = std::fs::read_link("/proc/self/exe").ok();
    let is_ours = |pid: u32| {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        program.is_some() && program == ours
    };
    let others = pids().into_iter().filter_map(process).filter(|process| {
        let one = BTreeSet::from([process.clone()]);
        have_open(&one, file) == Some(true) && !is_ours(process.pid)
    });
    others.collect()
}

/// TCP ports at which a process listens.
pub fn listens_at(process: &Process) -> BTreeSet<u16> {
    let sockets = sockets_of(process.pid);
    let open = connections().into_iter();
    open.filter(|c| c.is_listening && sockets.contains(&c.inode))
        .map(|c| c.local_port)
        .collect()
}

/// Whether one of these processes has this file open; `None` where we may not look at all of them.
pub fn have_open(processes: &BTreeSet<Process>, file: SourceIdentity) -> Option<bool> {
    use std::os::unix::fs::MetadataExt;
    let mut all_seen = !processes.is_empty();
    for process in processes {
        let Ok(open) = std::fs::read_dir(format!("/proc/{}/fd", process.pid)) else {
            all_seen = false;
            continue;
        };
        let is_it = |path: &Path| {
            let meta = std::fs::metadata(path);
            meta.is_ok_and(|m| (m.dev(), m.ino()) == (file.device, file.inode))
        };
        if open.flatten().any(|entry| is_it(&entry.path())) {
            return Some(true);
        }
    }
    all_seen.then_some(false)
}

/// The variables that a process was started with; none where we may not look.
pub fn variables_of(process: &Process) -> Vec<(String, String)> {
    let all = std::fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    let pairs = all.split(|byte| *byte == 0).filter_map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        let (name, value) = pair.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

struct Connection {
    local_port: u16,
    is_listening: bool,
    inode: u64,
}

fn connections() -> Vec<Connection> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let texts = tables
        .iter()
        .filter_map(|t| std::fs::read_to_string(t).ok());
    texts
        .flat_map(|text| text.lines().filter_map(connection).collect::<Vec<_>>())
        .collect()
}

/// A line of `/proc/net/tcp`: `0: 0100007F:1F90 00000000:0000 0A … … … … … INODE …`.
fn connection(line: &str) -> Option<Connection> {
    const LISTEN: &str = "0A";
    let words: Vec<&str> = line.split_whitespace().collect();
    let (_, port) = words.get(1)?.rsplit_once(':')?;
    Some(Connection {
        local_port: u16::from_str_radix(port, 16).ok()?,
        is_listening: *words.get(3)? == LISTEN,
        inode: words.get(9)?.parse().ok()?,
    })
}

fn pids() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect()
}

fn sockets_of(pid: u32) -> Vec<u64> {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let links = open
        .flatten()
        .filter_map(|e| std::fs::read_link(e.path()).ok());
    links
        .filter_map(|link| {
            let text = link.to_str()?.strip_prefix("socket:[")?;
            text.strip_suffix(']')?.parse().ok()
        })
        .collect()
}

fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold blanks and brackets itself; the start is the 20th word after it.
    let (before, after) = stat.rsplit_once(')')?;
    Some(Process {
        pid,
        started_ticks: after.split_whitespace().nth(19)?.parse().ok()?,
        name: crate::text::printable(before.split_once('(')?.1, 32),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    /// Asks again until it is so: a process that another test has forked has all that this one has, until it begins its own program.
    fn until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_listener_its_file_and_its_connections_are_found() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let here = || listening_at(address.port());
        until("this process alone listens", || {
            here().iter().map(|p| p.pid).eq([std::process::id()])
        });
        let is_own = |p: &Process| p.pid == std::process::id();
        let processes: BTreeSet<Process> = here().into_iter().filter(is_own).collect();
        let client = TcpStream::connect(address).expect("a connection");
        let port = client.local_addr().expect("an address").port();
        assert!(ports_of(&processes).contains(&port));

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.db");
        let file = std::fs::File::create(&path).expect("a file");
        let identity = crate::sqlite::identity(&path).expect("its identity");
        assert_eq!(have_open(&processes, identity), Some(true));
        drop(file);
        assert_eq!(have_open(&processes, identity), Some(false));
        assert_eq!(have_open(&BTreeSet::new(), identity), None);
        drop(listener);
        until("nobody listens", || here().is_empty());
    }

    #[test]
    fn the_loopback_is_this_host_and_a_documentation_address_is_not() {
        assert!(is_this_host(Ipv4Addr::LOCALHOST.into()));
        assert!(!is_this_host(Ipv4Addr::new(192, 0, 2, 1).into()));
    }
}
