//! A sandbox as a guest of a PostgreSQL server that was there before it: it makes two roles and two databases there. Whether that server will
//! do is told by [`fit`]. What of it is ours and how it goes is the business of [`crate::ours::guest`].

mod fit;

use std::path::Path;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};

use super::cluster::{create_role, random_password};
use super::faults::Fault;
use crate::ours::guest::{self, Names};
use crate::postgres::{self, Endpoint, identity, pooler, quoted};
use crate::text::printable;
use fit::{Facts, look};

pub use fit::{endpoint, examine};

/// How long a role that was just made may take to log in.
const LOGIN_LIMIT: Duration = Duration::from_secs(10);

/// Why a sandbox does not begin on a server. Nothing of it is there then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL alone says that it will not do.
    #[error("--postgres: {problem}. {wanted}")]
    Url {
        /// What is wrong.
        problem: String,
        /// What is wanted instead.
        wanted: &'static str,
    },
    /// No connection, or no answer.
    #[error("--postgres: {0}. Nothing of a sandbox is there")]
    Server(#[from] postgres::Error),
    /// The server, or what the role may do there.
    #[error("--postgres: {host} cannot hold a sandbox for {role}: {}. Nothing was made there", problems.join("; and "))]
    Unfit {
        /// Host and port.
        host: String,
        /// Who logs in.
        role: String,
        /// What is missing, and what would give it.
        problems: Vec<String>,
    },
    /// Something was made, and the sandbox's own roles cannot use it.
    #[error(
        "--postgres: {host} does not let {role} into {database}, which were just made there: {why}. {wanted}"
    )]
    NotLetIn {
        /// Host and port.
        host: String,
        /// The new role.
        role: String,
        /// The new database.
        database: String,
        /// What the server said.
        why: String,
        /// What would help.
        wanted: String,
    },
}

/// What a fault needs that this server does not give; `None` where it is available on a server that is not the sandbox's own.
pub fn unavailable(fault: Fault) -> Option<&'static str> {
    let why = "not available: it stops the server, which is not the sandbox's own";
    fault.needs_own_server().then_some(why)
}

/// Two databases and two roles on a server that is somebody else's.
pub(super) struct Guest {
    admin: Endpoint,
    /// Holds the lock by which everybody knows that the sandbox lives.
    client: Client,
    names: Names,
    facts: Facts,
    passwords: Passwords,
}

struct Passwords {
    owner: String,
    runtime: String,
}

impl Guest {
    /// Makes both roles and both databases. The reaper knows the names already; where this fails it is told nothing more, and takes away
    /// what is there.
    pub(super) async fn make(url: &str, names: Names, instances: u32) -> Result<Guest, Error> {
        let admin = endpoint(url)?;
        pooler::refuse(&admin).await?;
        let client = admin
            .with_application_name("cutover demo")
            .connect()
            .await?;
        let facts = look(&admin, &client, instances).await?;
        guest::hold(&client, &names).await?;
        let mut made = Guest {
            admin,
            client,
            names,
            facts,
            passwords: Passwords {
                owner: random_password(),
                runtime: random_password(),
            },
        };
        made.make_roles().await?;
        for database in [made.names.target(), made.names.scratch()] {
            made.furnish(&database).await?;
        }
        Ok(made)
    }

    pub(super) fn url(&self, database: &str) -> String {
        let (role, password) = (self.names.owner(), &self.passwords.owner);
        self.admin.url_for(&role, password, database)
    }

    pub(super) fn runtime_url(&self, database: &str) -> String {
        let (role, password) = (self.names.runtime(), &self.passwords.runtime);
        self.admin.url_for(&role, password, database)
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Host and port.
    pub(super) fn host(&self) -> String {
        self.admin.host_label()
    }

    /// Makes the scratch database anew.
    pub(super) async fn empty_scratch(&self) -> Result<(), Error> {
        // The one that holds the lock may have been ended with its server; what is made then is known by its owner all the same.
        let client = self.admin.connect().await?;
        guest::drop_scratch(&client, &self.names).await?;
        self.furnish(&self.names.scratch()).await
    }

    /// Both in one transaction with the comments by which they are ours.
    async fn make_roles(&mut self) -> Result<(), postgres::Error> {
        let failed = |e: tokio_postgres::Error| {
            postgres::Error::of_statement("make the sandbox's roles", &e)
        };
        let here = identity(&self.client).await.map_err(failed)?;
        let (owner, runtime) = (self.names.owner(), self.names.runtime());
        let transaction = self.client.transaction().await.map_err(failed)?;
        for (role, password) in [
            (&owner, &self.passwords.owner),
            (&runtime, &self.passwords.runtime),
        ] {
            let create = create_role(role, Some(password));
            transaction.batch_execute(&create).await.map_err(failed)?;
            let oid = "SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1";
            let row = transaction.query_one(oid, &[role]).await.map_err(failed)?;
            let mark = guest::mark_role(&here, role, row.get(0));
            transaction.batch_execute(&mark).await.map_err(failed)?;
            if !self.facts.is_superuser {
                // To give it a database, and to end its sessions when that goes.
                let how = match self.facts.version >= 160_000 {
                    true => " WITH INHERIT TRUE, SET TRUE",
                    false => "",
                };
                let grant = format!(
                    "GRANT {} TO {}{how}",
                    quoted(role),
                    quoted(&self.facts.role)
                );
                transaction.batch_execute(&grant).await.map_err(failed)?;
            }
        }
        // Either shows the owner what the application's sessions do; the first is what a night would have.
        let monitor = format!("GRANT pg_monitor TO {}", quoted(&owner));
        let see = format!("GRANT {} TO {}", quoted(&runtime), quoted(&owner));
        transaction
            .batch_execute("SAVEPOINT one")
            .await
            .map_err(failed)?;
        match transaction.batch_execute(&monitor).await {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                let back = transaction.batch_execute("ROLLBACK TO SAVEPOINT one").await;
                back.map_err(failed)?;
                transaction.batch_execute(&see).await.map_err(failed)?;
            }
            Err(error) => return Err(failed(error)),
        }
        transaction.commit().await.map_err(failed)
    }

    /// Makes a database, and lets the application's role read and write rows of the tables that the owner makes in it.
    async fn furnish(&self, database: &str) -> Result<(), Error> {
        let failed = |e: tokio_postgres::Error| {
            postgres::Error::of_statement("make the sandbox's databases", &e)
        };
        let admin = self.admin.connect().await?;
        let (owner, runtime) = (self.names.owner(), self.names.runtime());
        // A server whose own order is that of ICU would give it to this one, too.
        let provider = match self.facts.version >= 150_000 {
            true => " LOCALE_PROVIDER libc",
            false => "",
        };
        let create = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'{provider}",
            quoted(database),
            quoted(&owner)
        );
        admin.batch_execute(&create).await.map_err(failed)?;
        self.let_in(&owner, &self.url(database), database).await?;
        // From PostgreSQL 15 on the schema `public` is the owner's already; before, only a superuser can give it.
        let furnishing = match self.facts.is_superuser {
            true => self.admin.with_database(database).connect().await?,
            false => Endpoint::parse(&self.url(database))?.connect().await?,
        };
        for statement in super::supervisor::privileges(database, &owner, &runtime) {
            furnishing.batch_execute(&statement).await.map_err(failed)?;
        }
        self.let_in(&runtime, &self.runtime_url(database), database)
            .await
    }

    /// Whether a role is let in as the application connects: without TLS.
    async fn let_in(&self, role: &str, url: &str, database: &str) -> Result<(), Error> {
        let config: tokio_postgres::Config = url.parse().map_err(|_| Error::Url {
            problem: "the way to this server cannot be given to the sample application".to_owned(),
            wanted: "Name the server by host and port",
        })?;
        let not_let_in = |why: String| {
            Error::NotLetIn {
            host: self.admin.host_label(),
            role: role.to_owned(),
            database: database.to_owned(),
            why,
            wanted: "Wanted is a line in the server's pg_hba.conf that lets new roles into new databases with a password, from this machine and \
                     without TLS, such as: host all all 127.0.0.1/32 scram-sha-256. By a Unix socket with peer, and through a pooler, no new \
                     role gets in: name the server by its own host and port"
                .to_owned(),
        }
        };
        match tokio::time::timeout(LOGIN_LIMIT, config.connect(NoTls)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(not_let_in(match error.as_db_error() {
                Some(said) => printable(said.message(), 400),
                None => printable(&error.to_string(), 400),
            })),
            Err(_) => Err(not_let_in(format!(
                "no answer within {} s",
                LOGIN_LIMIT.as_secs()
            ))),
        }
    }
}

/// What stands where the log of the sandbox's own server would: R5 keeps it.
pub(super) fn write_no_log(path: &Path, host: &str) -> std::io::Result<()> {
    let text = format!(
        "PostgreSQL of this sandbox is {host}, which is not its own (cutover demo --postgres): the log is there, and was not read.\n"
    );
    std::fs::write(path, text)
}
