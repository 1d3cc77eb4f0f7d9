//! A throwaway PostgreSQL: started from the server programs on this machine, gone when its handle or its process is.
//!
//! Not in here: finding the programs ([`super::programs`]) and the clean-up itself ([`super::reaper`]).

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng;

use super::programs::{self, Missing, Programs};
use super::reaper::{self, Reaper};

/// The superuser that `initdb` makes.
const SUPERUSER: &str = "postgres";
/// The role that owns the databases made here. Not a superuser.
const OWNER: &str = "app_owner";
/// How long the server has to come up.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How often a start is tried again because somebody else took the port in between.
const PORT_ATTEMPTS: u32 = 5;

/// How clients prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Generated passwords. The default: a port is open to every user of this machine.
    Scram,
    /// No passwords.
    Trust,
}

/// What kind of cluster to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `cutover` binary, which becomes the reaper.
    pub reaper: PathBuf,
    /// How clients prove who they are.
    pub auth: Auth,
    /// Whether commits reach the disk. Off for tests.
    pub fsync: bool,
    /// Further lines of `postgresql.conf`, name and value.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Passwords on, fsync off, nothing special. `reaper` is the path of the `cutover` binary.
    pub fn new(reaper: impl Into<PathBuf>) -> Self {
        Self {
            reaper: reaper.into(),
            auth: Auth::Scram,
            fsync: false,
            settings: Vec::new(),
        }
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server programs are not on this machine.
    #[error(transparent)]
    Programs(#[from] Missing),
    /// PostgreSQL refuses to run as root, and there is nobody else to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody` to run it as"
    )]
    NobodyToRunAs,
    /// A file, folder or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which path.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// `initdb` failed.
    #[error("initdb of PostgreSQL {major} failed: {output}")]
    Init {
        /// The major version.
        major: u32,
        /// The end of what it said.
        output: String,
    },
    /// The server did not come up.
    #[error("PostgreSQL {major} did not come up within {} s: {log}", START_LIMIT.as_secs())]
    Start {
        /// The major version.
        major: u32,
        /// The end of its log.
        log: String,
    },
    /// The server refused a statement of ours.
    #[error("preparing the throwaway PostgreSQL on port {port}: {source}")]
    Sql {
        /// Where it listens.
        port: u16,
        /// What it answered.
        source: tokio_postgres::Error,
    },
}

impl Error {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A running throwaway PostgreSQL. Dropping it stops the server and removes its folder; so does the end of this process.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    major: u32,
    superuser_password: Option<String>,
    owner_password: Option<String>,
    server: Child,
    _reaper: Reaper,
}

impl Cluster {
    /// Starts one and waits until it answers. Blocks for a second or two.
    pub fn start(options: Options) -> Result<Self, Error> {
        let programs = programs::find()?;
        let account = Account::for_server()?;
        let mut reaper = Reaper::start(&options.reaper).map_err(Error::io(format!(
            "starting the reaper {}",
            options.reaper.display()
        )))?;
        let folder = make_folder(&account, &mut reaper)?;
        let password = |auth| (auth == Auth::Scram).then(random_password);
        let superuser_password = password(options.auth);
        let layout = Layout {
            folder: &folder,
            programs: &programs,
            account: &account,
        };
        layout.init(superuser_password.as_deref())?;
        let (server, port) = layout.serve(&options)?;
        let cluster = Self {
            folder,
            port,
            major: programs.major,
            superuser_password,
            owner_password: password(options.auth),
            server,
            _reaper: reaper,
        };
        let role = match &cluster.owner_password {
            Some(password) => format!("CREATE ROLE {OWNER} LOGIN PASSWORD '{password}'"),
            None => format!("CREATE ROLE {OWNER} LOGIN"),
        };
        cluster.execute_blocking(vec![role])?;
        Ok(cluster)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.folder.clone()
    }

    /// The server's own log.
    pub fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The major version, for instance 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The URL of a database for the role that owns it, password included.
    pub fn url(&self, database: &str) -> String {
        self.url_for(OWNER, self.owner_password.as_deref(), database)
    }

    /// The URL of a database for the superuser, password included.
    pub fn superuser_url(&self, database: &str) -> String {
        self.url_for(SUPERUSER, self.superuser_password.as_deref(), database)
    }

    /// The URL of a database for any role; `None` leaves the password out.
    pub fn url_for(&self, role: &str, password: Option<&str>, database: &str) -> String {
        let mut url = url::Url::parse("postgresql://127.0.0.1").expect("BUG: a fixed URL parses");
        url.set_port(Some(self.port))
            .expect("BUG: a host takes a port");
        url.set_username(role).expect("BUG: a host takes a user");
        url.set_password(password)
            .expect("BUG: a host takes a password");
        url.set_path(database);
        url.into()
    }

    /// Makes a database that belongs to the owner role, encoded in UTF-8 and ordered bytewise.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let create = format!(
            "CREATE DATABASE {} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
            quoted(name)
        );
        self.execute(&[create]).await
    }

    /// Runs statements as superuser, one transaction each.
    pub async fn execute(&self, statements: &[String]) -> Result<(), Error> {
        execute(&self.superuser_url("postgres"), statements)
            .await
            .map_err(|source| Error::Sql {
                port: self.port,
                source,
            })
    }

    /// Like [`Cluster::execute`], from code that is not async. A thread of its own, for the caller may stand inside a runtime.
    pub fn execute_blocking(&self, statements: Vec<String>) -> Result<(), Error> {
        let url = self.superuser_url("postgres");
        let ran = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            Ok::<_, std::io::Error>(runtime.block_on(execute(&url, &statements)))
        })
        .join()
        .expect("BUG: running statements panicked");
        ran.map_err(Error::io("starting a runtime"))?
            .map_err(|source| Error::Sql {
                port: self.port,
                source,
            })
    }

    /// Stops the server as a crash would, and leaves the folder. [`Drop`] removes it.
    pub fn stop(&mut self) {
        reaper::stop_cluster(&self.data_dir());
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn execute(url: &str, statements: &[String]) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    let driver = tokio::spawn(connection);
    for statement in statements {
        client.batch_execute(statement).await?;
    }
    drop(client);
    let _ = driver.await;
    Ok(())
}

/// Where things go, what runs, and as whom.
struct Layout<'a> {
    folder: &'a Path,
    programs: &'a Programs,
    account: &'a Account,
}

impl Layout<'_> {
    /// `initdb`, as the account that will run the server.
    fn init(&self, superuser_password: Option<&str>) -> Result<(), Error> {
        let mut command = self.command("initdb");
        command.args([
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
            "--username",
            SUPERUSER,
            "-D",
        ]);
        command.arg(self.folder.join("data"));
        match superuser_password {
            None => drop(command.arg("--auth=trust")),
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
    fn serve(&self, options: &Options) -> Result<(Child, u16), Error> {
        let mut attempt = 1;
        loop {
            let port = free_port().map_err(Error::io("looking for a free port"))?;
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
    fn serve_on(&self, port: u16) -> Result<Result<Child, String>, Error> {
        let log_path = self.folder.join("server.log");
        let log = File::create(&log_path)
            .map_err(Error::io(format!("creating {}", log_path.display())))?;
        let both = log.try_clone().map_err(Error::io("sharing the log"))?;
        let mut server = self
            .command("postgres")
            .arg("-D")
            .arg(self.folder.join("data"))
            .stdout(log)
            .stderr(both)
            .process_group(0)
            .spawn()
            .map_err(Error::io("starting postgres"))?;
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if is_ready(&self.folder.join("data"), port) {
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
        command.stdin(Stdio::null()).current_dir(self.folder);
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
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| {
                Some(Self::Other {
                    uid: id_of(name, "-u")?,
                    gid: id_of(name, "-g")?,
                })
            })
            .ok_or(Error::NobodyToRunAs)
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

/// What `id` says of this account; not root's number, whatever it is called.
fn id_of(name: &str, flag: &str) -> Option<u32> {
    let output = Command::new("id").args([flag, name]).output().ok()?;
    let id: u32 = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    (output.status.success() && id != 0).then_some(id)
}

/// A fresh folder that the server's account owns, known to the reaper before anything is in it.
fn make_folder(account: &Account, reaper: &mut Reaper) -> Result<PathBuf, Error> {
    let root = std::env::temp_dir();
    let folder = tempfile::Builder::new()
        .prefix("cutover-pg-")
        .tempdir_in(&root)
        .map_err(Error::io(format!("making a folder in {}", root.display())))?;
    let path = folder
        .path()
        .canonicalize()
        .map_err(Error::io("resolving the folder"))?;
    reaper
        .folder(&path)
        .map_err(Error::io("telling the reaper"))?;
    reaper
        .cluster(&path.join("data"))
        .map_err(Error::io("telling the reaper"))?;
    account.give(&path).map_err(Error::io(format!(
        "giving {} to the server's account",
        path.display()
    )))?;
    let _ = folder.keep();
    Ok(path)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
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

fn random_password() -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(24)
        .map(char::from)
        .collect()
}

/// An identifier as PostgreSQL wants it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The last lines of a log, on one line.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    let last = lines.into_iter().rev().collect::<Vec<_>>().join(" | ");
    crate::text::printable(&last, 2000)
}
