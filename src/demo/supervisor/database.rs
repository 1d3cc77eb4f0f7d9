//! The sandbox's PostgreSQL: two databases, an owner and a runtime role with no more than it needs.

use std::path::{Path, PathBuf};

use crate::demo::cluster::{Cluster, Error, OWNER, Options, create_role, random_password};

/// The database that the application moves to.
const TARGET: &str = "tools";
/// The database that rehearsals use.
const SCRATCH: &str = "tools_rehearsal";
/// The role of the application.
const RUNTIME: &str = "app_runtime";

/// A running PostgreSQL and the URLs of its databases, passwords included.
pub(super) struct Database {
    cluster: Cluster,
    down: bool,
    pub(super) target: String,
    pub(super) target_runtime: String,
    pub(super) scratch: String,
    pub(super) scratch_runtime: String,
}

impl Database {
    /// Starts and furnishes it. Blocks.
    pub(super) fn start(program: &Path) -> Result<Self, Error> {
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
            target: cluster.url(TARGET),
            target_runtime: runtime(TARGET),
            scratch: cluster.url(SCRATCH),
            scratch_runtime: runtime(SCRATCH),
            down: false,
            cluster,
        })
    }

    /// Makes the scratch database anew.
    pub(super) fn empty_scratch(&self) -> Result<(), Error> {
        let drop = format!("DROP DATABASE IF EXISTS {SCRATCH} WITH (FORCE)");
        self.cluster.execute_blocking("postgres", vec![drop])?;
        furnish(&self.cluster, SCRATCH)
    }

    /// The target for the superuser.
    pub(super) fn superuser_url(&self) -> String {
        self.cluster.superuser_url(TARGET)
    }

    /// The server's log.
    pub(super) fn log_path(&self) -> PathBuf {
        self.cluster.log_path()
    }

    /// Stops the server as a crash would.
    pub(super) fn take_down(&mut self) {
        self.cluster.stop();
        self.down = true;
    }

    /// Starts it again, if it was taken down.
    pub(super) fn bring_up(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.down) {
            self.cluster.restart()
        } else {
            Ok(())
        }
    }
}

fn furnish(cluster: &Cluster, database: &str) -> Result<(), Error> {
    cluster.create_database_blocking(database)?;
    cluster.execute_blocking(database, privileges(database))
}

/// What the runtime role may do in a database: read and write rows of the tables that the owner makes, nothing else.
fn privileges(database: &str) -> Vec<String> {
    [
        format!("REVOKE ALL ON DATABASE {database} FROM PUBLIC"),
        format!("GRANT CONNECT ON DATABASE {database} TO {RUNTIME}"),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_string(),
        format!("ALTER SCHEMA public OWNER TO {OWNER}"),
        format!("GRANT USAGE ON SCHEMA public TO {RUNTIME}"),
        format!(
            "ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public \
             GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {RUNTIME}"
        ),
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {RUNTIME}"),
    ]
    .to_vec()
}
