//! The sandbox's PostgreSQL: two databases, an owner and a runtime role with no more than it needs. On a server of its own, or as a guest of
//! one that was there.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use super::Arguments;
use crate::demo::cluster::{Cluster, Error, OWNER, Options, create_role, random_password};
use crate::demo::faults::Fault;
use crate::demo::guest::{self, Guest};
use crate::demo::layout::Layout;
use crate::demo::reaper::Reaper;
use crate::ours::guest::Names;
use crate::postgres::quoted;

/// The database that the application moves to.
const TARGET: &str = "tools";
/// The database that rehearsals use.
const SCRATCH: &str = "tools_rehearsal";
/// The role of the application.
const RUNTIME: &str = "app_runtime";

/// A running PostgreSQL and the URLs of its databases, passwords included.
pub(super) struct Database {
    server: Server,
    log: PathBuf,
    pub(super) target: String,
    pub(super) target_runtime: String,
    pub(super) scratch: String,
    pub(super) scratch_runtime: String,
}

enum Server {
    Own {
        cluster: Box<Cluster>,
        is_down: bool,
    },
    Guest(Box<Guest>),
}

/// Why the sandbox has no PostgreSQL.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Own(#[from] Error),
    #[error(transparent)]
    Guest(#[from] guest::Error),
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        source: std::io::Error,
    },
    #[error("{0} is {1}")]
    Unavailable(Fault, &'static str),
}

impl Database {
    /// Starts and furnishes a server, or makes what is needed on the one that the arguments name. Blocks, within a runtime.
    pub(super) fn start(
        program: &Path,
        layout: &Layout,
        arguments: &Arguments,
        reaper: &Mutex<Reaper>,
    ) -> Result<Self, Failure> {
        match &arguments.postgres {
            None => Ok(Self::own(program)?),
            Some(url) => Self::guest(url, layout, arguments.instances, reaper),
        }
    }

    fn own(program: &Path) -> Result<Self, Error> {
        let cluster = Cluster::start(Options::new(program))?;
        let password = random_password();
        let roles = vec![
            create_role(RUNTIME, Some(&password)),
            // To see other sessions in pg_stat_activity.
            format!("GRANT pg_monitor TO {OWNER}"),
        ];
        cluster.execute_blocking("postgres", roles)?;
        for database in [TARGET, SCRATCH] {
            furnish(&cluster, database)?;
        }
        let runtime = |database| cluster.url_for(RUNTIME, Some(&password), database);
        Ok(Self {
            log: cluster.log_path(),
            target: cluster.url(TARGET),
            target_runtime: runtime(TARGET),
            scratch: cluster.url(SCRATCH),
            scratch_runtime: runtime(SCRATCH),
            server: Server::Own {
                cluster: Box::new(cluster),
                is_down: false,
            },
        })
    }

    fn guest(
        url: &str,
        layout: &Layout,
        instances: u32,
        reaper: &Mutex<Reaper>,
    ) -> Result<Self, Failure> {
        let io = |what| move |source| Failure::Io { what, source };
        let names = Names::fresh();
        // Told of before anything is made: whatever happens from here on, it goes.
        reaper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .guest(&names, url)
            .map_err(io("telling the reaper"))?;
        let guest = Handle::current().block_on(Guest::make(url, names, instances))?;
        let log = layout.foreign_log();
        guest::write_no_log(&log, &guest.host()).map_err(io("writing what R5 keeps"))?;
        let (target, scratch) = (guest.names().target(), guest.names().scratch());
        Ok(Self {
            log,
            target: guest.url(&target),
            target_runtime: guest.runtime_url(&target),
            scratch: guest.url(&scratch),
            scratch_runtime: guest.runtime_url(&scratch),
            server: Server::Guest(Box::new(guest)),
        })
    }

    /// Makes the scratch database anew. Blocks, within a runtime.
    pub(super) fn empty_scratch(&self) -> Result<(), Failure> {
        match &self.server {
            Server::Own { cluster, .. } => {
                let drop = format!("DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)");
                cluster.execute_blocking("postgres", vec![drop])?;
                Ok(furnish(cluster, SCRATCH)?)
            }
            Server::Guest(guest) => Ok(Handle::current().block_on(guest.empty_scratch())?),
        }
    }

    /// The target for whoever damages it: the superuser of a server of its own, on another one the owner.
    pub(super) fn damage_url(&self) -> String {
        match &self.server {
            Server::Own { cluster, .. } => cluster.superuser_url(TARGET),
            Server::Guest(_) => self.target.clone(),
        }
    }

    /// The server's log, or a file that says where it is.
    pub(super) fn log_path(&self) -> PathBuf {
        self.log.clone()
    }

    /// The server that is not the sandbox's own, by host and port.
    pub(super) fn host(&self) -> Option<String> {
        match &self.server {
            Server::Own { .. } => None,
            Server::Guest(guest) => Some(guest.host()),
        }
    }

    /// Stops the server as a crash would.
    pub(super) fn take_down(&mut self) -> Result<(), Failure> {
        match &mut self.server {
            Server::Own { cluster, is_down } => {
                cluster.stop();
                *is_down = true;
                Ok(())
            }
            Server::Guest(_) => {
                let fault = Fault::TargetDown;
                Err(Failure::Unavailable(
                    fault,
                    guest::unavailable(fault).expect("BUG: this fault stops a server"),
                ))
            }
        }
    }

    /// Starts it again, if it was taken down.
    pub(super) fn bring_up(&mut self) -> Result<(), Failure> {
        match &mut self.server {
            Server::Own { cluster, is_down } => {
                if std::mem::take(is_down) {
                    cluster.restart()?;
                }
                Ok(())
            }
            Server::Guest(_) => Ok(()),
        }
    }
}

fn furnish(cluster: &Cluster, database: &str) -> Result<(), Error> {
    cluster.create_database_blocking(database)?;
    cluster.execute_blocking(database, privileges(database, OWNER, RUNTIME))
}

/// What the runtime role may do in a database: read and write rows of the tables that the owner makes, nothing else.
pub(in crate::demo) fn privileges(database: &str, owner: &str, runtime: &str) -> Vec<String> {
    let (database, owner, runtime) = (quoted(database), quoted(owner), quoted(runtime));
    [
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
        format!("GRANT CONNECT ON DATABASE {database} TO {runtime}"),
        format!("ALTER SCHEMA public OWNER TO {owner}"),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_string(),
        format!("GRANT USAGE ON SCHEMA public TO {runtime}"),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public \
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {runtime}"
        ),
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {runtime}"),
    ]
    .to_vec()
}
