//! The folder of one throwaway server, and starting the server programs in it as the right account.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::ports;
use super::super::programs::Programs;
use super::super::reaper::Reaper;
use super::{Error, Options, SUPERUSER};

/// How long the server has to come up.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a start is tried again because somebody else took the port in between.
const PORT_ATTEMPTS: u32 = 5;

/// Where things go, what runs, and as whom.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) folder: PathBuf,
    pub(super) programs: Programs,
    account: Account,
}

impl Host {
    /// A fresh folder that the server's account owns, known to the reaper before anything is in it.
    pub(super) fn make(programs: Programs, reaper: &mut Reaper) -> Result<Self, Error> {
        let account = Account::for_server()?;
        let root = std::env::temp_dir();
        let made = tempfile::Builder::new()
            .prefix("cutover-pg-")
            .tempdir_in(&root)
            .map_err(Error::io(format!("making a folder in {}", root.display())))?;
        let folder = made
            .path()
            .canonicalize()
            .map_err(Error::io("resolving the folder"))?;
        reaper
            .folder(&folder)
            .map_err(Error::io("telling the reaper"))?;
        reaper
            .cluster(&folder.join("data"))
            .map_err(Error::io("telling the reaper"))?;
        account.give(&folder).map_err(Error::io(format!(
            "giving {} to the server's account",
            folder.display()
        )))?;
        let _ = made.keep();
        Ok(Self {
            folder,
            programs,
            account,
        })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// `initdb`, as the account that will run the server.
    pub(super) fn init(&self, superuser_password: Option<&str>) -> Result<(), Error> {
        let mut command = self.command("initdb");
        command.args([
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--username",
            SUPERUSER,
            "-D",
        ]);
        command.arg(self.data());
        match superuser_password {
            None => {
                command.arg("--auth=trust");
            }
            Some(password) => {
                let file = self.folder.join("superuser-password");
                self.write(&file, password)?;
                command
                    .arg("--auth=scram-sha-256")
                    .arg("--pwfile")
                    .arg(file);
            }
        }
        let output = command.output().map_err(Error::io("running initdb"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(Error::Init {
            major: self.programs.major,
            output: tail(&String::from_utf8_lossy(&said)),
        })
    }

    /// Starts the server on a free port and waits until it takes connections.
    pub(super) fn serve(&self, options: &Options) -> Result<(Child, u16), Error> {
        let mut attempt = 1;
        loop {
            let port = ports::free(1).map_err(Error::io("looking for a free port"))?[0];
            self.configure(port, options)?;
            match self.serve_on(port)? {
                Ok(server) => return Ok((server, port)),
                // Between our look and the server's start somebody else may have taken the port.
                Err(log) if log.contains("could not bind") && attempt < PORT_ATTEMPTS => {
                    attempt += 1
                }
                Err(log) => {
                    return Err(Error::Start {
                        major: self.programs.major,
                        log: tail(&log),
                    });
                }
            }
        }
    }

    fn configure(&self, port: u16, options: &Options) -> Result<(), Error> {
        let onoff = if options.fsync { "on" } else { "off" };
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
             fsync = {onoff}\nsynchronous_commit = {onoff}\nfull_page_writes = {onoff}\n\
             max_connections = 200\nmax_wal_senders = 0\nlogging_collector = off\nlog_line_prefix = '%m [%p] %q%u@%d '\n",
            self.folder.display().to_string().replace('\'', "''"),
        );
        for (name, value) in &options.settings {
            text.push_str(&format!("{name} = '{}'\n", value.replace('\'', "''")));
        }
        self.write(&self.folder.join("data/postgresql.auto.conf"), &text)
    }

    /// The server, or its log where it ended instead of coming up.
    pub(super) fn serve_on(&self, port: u16) -> Result<Result<Child, String>, Error> {
        let log_path = self.log();
        let log = File::create(&log_path)
            .map_err(Error::io(format!("creating {}", log_path.display())))?;
        let both = log.try_clone().map_err(Error::io("sharing the log"))?;
        let mut server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .stdout(log)
            .stderr(both)
            .process_group(0)
            .spawn()
            .map_err(Error::io("starting postgres"))?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if is_ready(&self.data(), port) {
                return Ok(Ok(server));
            }
            let ended = server
                .try_wait()
                .map_err(Error::io("waiting for postgres"))?
                .is_some();
            if ended || Instant::now() > deadline {
                let _ = server.kill();
                let _ = server.wait();
                return Ok(Err(std::fs::read_to_string(&log_path).unwrap_or_default()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.program(program));
        command.stdin(Stdio::null()).current_dir(&self.folder);
        // What libpq and the server read from the environment is the caller's business, not this cluster's.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG"))
        {
            command.env_remove(name);
        }
        self.account.become_for(&mut command);
        command
    }

    /// A file that only the server's account can read.
    fn write(&self, path: &Path, text: &str) -> Result<(), Error> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let write = || -> std::io::Result<()> {
            options.open(path)?.write_all(text.as_bytes())?;
            self.account.give(path)
        };
        write().map_err(Error::io(format!("writing {}", path.display())))
    }
}

/// Whom the server runs as.
#[derive(Debug)]
enum Account {
    /// The user who runs us.
    Ours,
    /// Somebody else, because we are root.
    Other { uid: u32, gid: u32 },
}

impl Account {
    fn for_server() -> Result<Self, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ours);
        }
        let mut names = ["postgres", "nobody"].into_iter();
        names.find_map(Self::named).ok_or(Error::NobodyToRunAs)
    }

    /// Whom the machine's name service has by this name, whatever is on `PATH`; nobody with root's numbers, whatever they are called.
    fn named(name: &str) -> Option<Self> {
        let user = nix::unistd::User::from_name(name).ok().flatten()?;
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        (uid != 0 && gid != 0).then_some(Self::Other { uid, gid })
    }

    fn become_for(&self, command: &mut Command) {
        if let Self::Other { uid, gid } = self {
            command.uid(*uid).gid(*gid);
        }
    }

    fn give(&self, path: &Path) -> std::io::Result<()> {
        match self {
            Self::Ours => Ok(()),
            Self::Other { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }
}

/// Whether the server says that it takes connections, on the port that we gave it.
fn is_ready(data: &Path, port: u16) -> bool {
    let mut text = String::new();
    let read =
        File::open(data.join("postmaster.pid")).and_then(|mut file| file.read_to_string(&mut text));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    read.is_ok()
        && lines.get(3) == Some(&port.to_string().as_str())
        && lines.get(7) == Some(&"ready")
}

/// The last lines of a log, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    let last = lines.into_iter().rev().collect::<Vec<_>>().join(" | ");
    crate::text::printable(&last, 2000)
}
