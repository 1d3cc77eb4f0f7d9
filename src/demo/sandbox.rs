//! The handle on a sandbox: starting one, finding what runs, ending it.
//!
//! The sandbox itself is a process of its own ([`super::supervisor`]), so that it outlives a terminal where it should.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::control::{self, Request, State};
use super::layout::Layout;
use super::sample;
use super::supervisor::{POSTGRES, READY, SUBCOMMAND};
use crate::postgres::{self, Endpoint};

pub use super::supervisor::Lifetime;

/// The beginning of the name of a folder that goes with its sandbox.
const PREFIX: &str = "cutover-demo-";
/// How long a sandbox may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(45);

/// What kind of sandbox.
#[derive(Debug, Clone)]
pub struct Options {
    /// The `cutover` binary, which is every process of the sandbox.
    pub program: PathBuf,
    /// Its folder, which then stays when the sandbox goes. `None`: a temporary one that goes with it.
    pub dir: Option<PathBuf>,
    /// Rows of sample data, 500 or more.
    pub rows: u32,
    /// The seed of data and traffic.
    pub seed: u64,
    /// How many times faster the runbook's minutes pass. The sandbox only keeps it for others to read.
    pub speed: u32,
    /// Production instances, `app-1` and on; a staging instance comes on top.
    pub instances: u32,
    /// Requests per second from simulated users; 0 for none.
    pub rate: u32,
    /// A PostgreSQL server that is there, by the URL of a role that may make databases and roles; `None`: one of the sandbox's own.
    pub postgres: Option<String>,
    /// When it ends without being asked.
    pub lifetime: Lifetime,
    /// For a sandbox of a session: how long nobody needs to be there.
    pub idle_limit: Duration,
}

impl Options {
    /// The demo: 50,000 rows, six instances, 150 requests per second, until nobody has been there for half an hour.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            dir: None,
            rows: sample::DEFAULT_ROWS,
            seed: 1,
            speed: 1,
            instances: 6,
            rate: 150,
            postgres: None,
            lifetime: Lifetime::Session,
            idle_limit: Duration::from_secs(30 * 60),
        }
    }

    /// For tests: 2,000 rows, three instances, 40 requests per second, ends with the process that started it.
    pub fn small(program: impl Into<PathBuf>) -> Self {
        Self {
            rows: 2_000,
            instances: 3,
            rate: 40,
            lifetime: Lifetime::Starter,
            ..Self::new(program)
        }
    }
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its folder holds something already.
    #[error("{} is not empty; a sandbox wants a folder of its own", .dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder, file or process could not be made.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The supervisor gave up, and said why. Everything that had started is gone.
    #[error("the sandbox did not start: {reason}")]
    Start {
        /// In the supervisor's words.
        reason: String,
    },
    /// It has ended, and its roles still get into the server on which it was a guest.
    #[error(
        "the sandbox has ended, and what it made on {host} is still there: {user} and what belongs to it. With the URL that it was started with, \
         `cutover demo --stop --postgres URL` takes it away"
    )]
    Left {
        /// The server.
        host: String,
        /// Its owner there.
        user: String,
    },
    /// As [`Error::Left`], and the server does not answer.
    #[error(
        "the sandbox has ended, and whether what it made on its server is gone is not known: {why}. Once it answers, \
         `cutover demo --stop --postgres URL` looks, with the URL that the sandbox was started with"
    )]
    LeftUnknown {
        /// What was said.
        why: Box<postgres::Error>,
    },
    /// It runs, but does not answer.
    #[error(transparent)]
    Control(#[from] control::Error),
}

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}

/// A running sandbox that this process started. Dropping it ends a sandbox of the starter's lifetime, and leaves that of a
/// session alone.
#[derive(Debug)]
pub struct Sandbox {
    layout: Layout,
    supervisor: Child,
    lifetime: Lifetime,
}

impl Sandbox {
    /// Starts one and waits until every instance is ready. Blocks for a few seconds.
    pub fn start(options: Options) -> Result<Self, Error> {
        let (dir, remove) = match &options.dir {
            Some(dir) => (own_folder(dir)?, false),
            None => (temporary_folder()?, true),
        };
        let layout = Layout { dir };
        let started = spawn(&options, &layout, remove).and_then(wait_until_ready);
        match started {
            Ok(supervisor) => Ok(Self {
                layout,
                supervisor,
                lifetime: options.lifetime,
            }),
            Err(error) => {
                // The supervisor's reaper cleans up too, unless it ended before it had one.
                layout.unmake();
                if remove {
                    let _ = std::fs::remove_dir_all(&layout.dir);
                }
                Err(error)
            }
        }
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.layout.dir
    }

    /// The process number of the supervisor.
    pub fn supervisor_pid(&self) -> u32 {
        self.supervisor.id()
    }

    /// What the supervisor wrote about itself.
    pub fn state(&self) -> Result<State, Error> {
        Ok(control::state(self.dir())?)
    }

    /// The variables that the sandbox's runbook reads, secrets included.
    pub fn environment(&self) -> Result<BTreeMap<String, String>, Error> {
        environment(self.dir())
    }

    /// Ends everything and waits until it is gone.
    ///
    /// # Errors
    /// Something of it is still on the server on which it was a guest.
    pub fn stop(mut self) -> Result<(), Error> {
        let owner = owner_on_foreign_server(&self.layout.dir);
        self.end();
        owner.map_or(Ok(()), |owner| is_shut_out(&owner))
    }

    /// Asks, then insists; the supervisor's reapers do the rest, and are waited for.
    fn end(&mut self) {
        let state = control::state(&self.layout.dir);
        let _ = control::ask(&self.layout.dir, &Request::Shutdown);
        drop(self.supervisor.stdin.take());
        let deadline = Instant::now() + STOP_LIMIT;
        while matches!(self.supervisor.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.supervisor.kill();
                let _ = self.supervisor.wait();
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Ok(state) = state {
            is_gone_within(STOP_LIMIT, &state);
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Starter {
            self.end();
        }
    }
}

/// The variables that the runbook of the sandbox in this folder reads, secrets included.
pub fn environment(dir: &Path) -> Result<BTreeMap<String, String>, Error> {
    let layout = Layout {
        dir: dir.to_path_buf(),
    };
    layout.environment().map_err(io(format!(
        "reading {}",
        layout.environment_file().display()
    )))
}

/// Ends the sandbox of this folder, whoever started it, and waits until everything of it is gone.
pub fn stop(dir: &Path) -> Result<(), Error> {
    let state = control::state(dir)?;
    let owner = owner_on_foreign_server(dir);
    control::ask(dir, &Request::Shutdown)?;
    match is_gone_within(STOP_LIMIT, &state) {
        true => owner.map_or(Ok(()), |owner| is_shut_out(&owner)),
        false => Err(Error::Start {
            reason: format!(
                "it was asked to end and still runs after {} s",
                STOP_LIMIT.as_secs()
            ),
        }),
    }
}

/// The database of a sandbox that is a guest, as the role that owns it there; read before its folder goes.
fn owner_on_foreign_server(dir: &Path) -> Option<Endpoint> {
    control::state(dir).ok()?.foreign_server?;
    let variables = environment(dir).ok()?;
    Endpoint::parse(variables.get("TARGET_URL")?).ok()
}

/// A role that is gone is let in nowhere. A thread of its own, for the caller may stand inside a runtime.
fn is_shut_out(owner: &Endpoint) -> Result<(), Error> {
    let endpoint = owner.clone();
    let asked = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok::<_, std::io::Error>(runtime.block_on(endpoint.connect()).map(drop))
    });
    let answer = asked.join().expect("BUG: connecting panicked");
    match answer.map_err(io("starting a runtime"))? {
        Ok(()) => Err(Error::Left {
            host: owner.host_label(),
            user: owner.user().to_owned(),
        }),
        Err(
            postgres::Error::WrongPassword { .. }
            | postgres::Error::NotAuthorised { .. }
            | postgres::Error::UnknownDatabase { .. },
        ) => Ok(()),
        Err(why) => Err(Error::LeftUnknown { why: Box::new(why) }),
    }
}

/// Whether everything of a sandbox is gone, once it was. Its reaper removes the socket's folder last, after what it made on a server that is
/// not its own; PostgreSQL of its own has a reaper of its own.
fn is_gone_within(limit: Duration, state: &State) -> bool {
    let own_log = match state.foreign_server {
        None => state.postgres_log.parent(),
        Some(_) => None,
    };
    let last = [state.socket.parent(), own_log];
    let deadline = Instant::now() + limit;
    while last.iter().flatten().any(|folder| folder.exists()) {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// The folders of running sandboxes of this user that were started without a folder of their own.
pub fn running() -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else {
        return Vec::new();
    };
    let ours = rustix::process::geteuid().as_raw();
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| {
            entry
                .metadata()
                .is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == ours)
        })
        .map(|entry| entry.path())
        .filter(|dir| control::ask(dir, &Request::Status).is_ok())
        .collect();
    found.sort();
    found
}

fn temporary_folder() -> Result<PathBuf, Error> {
    let folder = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir()
        .map_err(io("making a temporary folder"))?;
    let path = folder
        .path()
        .canonicalize()
        .map_err(io("resolving the temporary folder"))?;
    let _ = folder.keep();
    Ok(path)
}

/// The folder that was asked for, made where it is missing. One that holds anything, a former sandbox or somebody's files, is not taken.
fn own_folder(dir: &Path) -> Result<PathBuf, Error> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir);
    made.map_err(io(format!("making {}", dir.display())))?;
    let dir = dir
        .canonicalize()
        .map_err(io(format!("resolving {}", dir.display())))?;
    let mut there =
        std::fs::read_dir(&dir).map_err(io(format!("looking into {}", dir.display())))?;
    if there.next().is_some() {
        return Err(Error::NotEmpty { dir });
    }
    Ok(dir)
}

/// Waits for the supervisor's first line. One that gives up has ended when this returns.
fn wait_until_ready(mut supervisor: Child) -> Result<Child, Error> {
    let stdout = supervisor
        .stdout
        .take()
        .expect("BUG: stdout was asked to be a pipe");
    let mut line = String::new();
    let read = BufReader::new(stdout).read_line(&mut line);
    if read.is_ok() && line.trim_end() == READY {
        return Ok(supervisor);
    }
    drop(supervisor.stdin.take());
    let _ = supervisor.wait();
    let reason = match line.trim_end() {
        "" => "its supervisor ended without a word".to_string(),
        said => said.to_string(),
    };
    Err(Error::Start { reason })
}

fn spawn(options: &Options, layout: &Layout, remove: bool) -> Result<Child, Error> {
    let log = layout.dir.join("supervisor.log");
    let log = File::create(&log).map_err(io(format!("creating {}", log.display())))?;
    let lifetime = match options.lifetime {
        Lifetime::Starter => "starter",
        Lifetime::Session => "session",
    };
    let mut command = Command::new(&options.program);
    command
        .arg(SUBCOMMAND)
        .arg("--dir")
        .arg(&layout.dir)
        .args(["--lifetime", lifetime]);
    for (name, value) in [
        ("--rows", options.rows.to_string()),
        ("--seed", options.seed.to_string()),
        ("--speed", options.speed.to_string()),
        ("--instances", options.instances.to_string()),
        ("--rate", options.rate.to_string()),
        ("--idle-seconds", options.idle_limit.as_secs().to_string()),
    ] {
        command.args([name, &value]);
    }
    if remove {
        command.arg("--remove-dir");
    }
    // Its password is nothing for a list of processes.
    command.env_remove(POSTGRES);
    if let Some(url) = &options.postgres {
        command.env(POSTGRES, url);
    }
    let stdin = if options.lifetime == Lifetime::Starter {
        Stdio::piped()
    } else {
        Stdio::null()
    };
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(log)
        .current_dir("/")
        .process_group(0);
    command
        .spawn()
        .map_err(io(format!("starting {}", options.program.display())))
}
