//! A throwaway PostgreSQL: started from the server programs on this machine, gone when its handle or its process is.
//!
//! Not in here: finding the programs ([`super::programs`]) and the clean-up itself ([`super::reaper`]).

mod host;

use std::path::PathBuf;
use std::process::Child;

use rand::Rng;

use super::programs::{self, Missing};
use super::reaper::{self, Reaper};
use crate::postgres::quoted;
use host::Host;

/// The superuser that `initdb` makes.
const SUPERUSER: &str = "postgres";
/// The role that owns the databases made here. Not a superuser.
pub(super) const OWNER: &str = "app_owner";
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
    #[error("PostgreSQL {major} did not come up: {log}")]
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
    host: Host,
    port: u16,
    superuser_password: Option<String>,
    owner_password: Option<String>,
    server: Child,
    _reaper: Reaper,
}

impl Cluster {
    /// Starts one and waits until it answers. Blocks for a second or two.
    pub fn start(options: Options) -> Result<Self, Error> {
        let programs = programs::find()?;
        let mut reaper = Reaper::start(&options.reaper).map_err(Error::io(format!(
            "starting the reaper {}",
            options.reaper.display()
        )))?;
        let host = Host::make(programs, &mut reaper)?;
        let password = |auth| (auth == Auth::Scram).then(random_password);
        let superuser_password = password(options.auth);
        host.init(superuser_password.as_deref())?;
        let (server, port) = host.serve(&options)?;
        let cluster = Self {
            host,
            port,
            superuser_password,
            owner_password: password(options.auth),
            server,
            _reaper: reaper,
        };
        let role = create_role(OWNER, cluster.owner_password.as_deref());
        cluster.execute_blocking("postgres", vec![role])?;
        Ok(cluster)
    }

    /// Where it listens on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.host.folder.clone()
    }

    /// The server's own log.
    pub fn log_path(&self) -> PathBuf {
        self.host.log()
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.host.data()
    }

    /// The major version, for instance 15.
    pub fn major(&self) -> u32 {
        self.host.programs.major
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
        self.execute("postgres", &[create_database(name)]).await
    }

    /// Like [`Cluster::create_database`], from code that is not async.
    pub fn create_database_blocking(&self, name: &str) -> Result<(), Error> {
        self.execute_blocking("postgres", vec![create_database(name)])
    }

    /// Runs statements as superuser in a database, one transaction each.
    pub async fn execute(&self, database: &str, statements: &[String]) -> Result<(), Error> {
        let ran = execute(&self.superuser_url(database), statements).await;
        ran.map_err(|source| Error::Sql {
            port: self.port,
            source,
        })
    }

    /// Like [`Cluster::execute`], from code that is not async. A thread of its own, for the caller may stand inside a runtime.
    pub fn execute_blocking(&self, database: &str, statements: Vec<String>) -> Result<(), Error> {
        let url = self.superuser_url(database);
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

    /// Starts the server again after [`Cluster::stop`], on the same port and data.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        let major = self.major();
        self.server = self
            .host
            .serve_on(self.port)?
            .map_err(|log| Error::Start { major, log })?;
        Ok(())
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

/// Letters and digits, safe in a URL and in SQL.
pub(super) fn random_password() -> String {
    rand::rng()
        .sample_iter(rand::distr::Alphanumeric)
        .take(24)
        .map(char::from)
        .collect()
}

fn create_database(name: &str) -> String {
    format!(
        "CREATE DATABASE {} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'",
        quoted(name)
    )
}

/// The statement for a role that may log in and nothing else.
pub(super) fn create_role(name: &str, password: Option<&str>) -> String {
    let password = password
        .map(|password| format!(" PASSWORD '{password}'"))
        .unwrap_or_default();
    format!("CREATE ROLE {} LOGIN{password}", quoted(name))
}
