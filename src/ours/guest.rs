//! What a sandbox makes on a PostgreSQL server that is not its own: two roles and two databases, by what they are known as ours, and how they go.
//!
//! A role is ours by a comment on it that holds its server's system identifier and its own oid, written in the transaction that made it. A
//! database is ours where it has one of a sandbox's two names and belongs to the owner of that sandbox, and that role is ours. A comment that
//! was copied (`pg_dumpall` copies it) names another role and counts for nothing. What only has such a name stays, and is named.
//!
//! A sandbox that lives holds an advisory lock of its number ([`hold`]), which anybody on the server can see: nobody else takes away what it has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient};

use super::statements;
use crate::identity::TargetIdentity;
use crate::postgres::{self, Endpoint, literal, quoted};

/// The beginning of every name that is made.
const PREFIX: &str = "cutover_demo_";
/// Somebody who looks at every database may be in one of ours for a moment.
const TRIES_FOR: Duration = Duration::from_secs(10);
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// The names of everything that one sandbox makes on a server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Names {
    number: u64,
}

impl Names {
    /// Of a sandbox that begins.
    pub fn fresh() -> Names {
        // Half of the numbers: an advisory lock's is signed.
        let number = rand::rng().random::<u64>() >> 1;
        Names { number }
    }

    /// Those of the sandbox with this number, as [`Names::number`] writes it.
    pub fn of(number: &str) -> Option<Names> {
        let is_written_so = number.len() == 16 && number.bytes().all(|b| b.is_ascii_hexdigit());
        let parsed = u64::from_str_radix(number, 16).ok()?;
        let names = Names { number: parsed };
        (is_written_so && names.number() == number && parsed >> 63 == 0).then_some(names)
    }

    /// The sandbox's number, in sixteen digits.
    pub fn number(&self) -> String {
        format!("{:016x}", self.number)
    }

    /// The role that owns both databases. It has not the name of one: the URL of the other would name it, and look as if it led to production.
    pub fn owner(&self) -> String {
        format!("{PREFIX}{}_owner", self.number())
    }

    /// The role of the application.
    pub fn runtime(&self) -> String {
        format!("{PREFIX}{}_app", self.number())
    }

    /// The database that the application moves to.
    pub fn target(&self) -> String {
        format!("{PREFIX}{}", self.number())
    }

    /// The database that rehearsals use.
    pub fn scratch(&self) -> String {
        format!("{PREFIX}{}_rehearsal", self.number())
    }

    fn databases(&self) -> [String; 2] {
        [self.target(), self.scratch()]
    }

    fn roles(&self) -> [String; 2] {
        // The owner goes last: by it the databases are known.
        [self.runtime(), self.owner()]
    }

    fn key(&self) -> i64 {
        self.number.cast_signed()
    }
}

/// Why something of a sandbox is still on a server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server was not reached, or refused.
    #[error(transparent)]
    Server(#[from] postgres::Error),
    /// These could not be dropped.
    #[error("{host} still has {}: {why}. Who may drops them by: {}", left.join(", "), statements.join("; "))]
    Left {
        /// Host and port.
        host: String,
        /// What, by kind and name.
        left: Vec<String>,
        /// What PostgreSQL said.
        why: String,
        /// By which they go.
        statements: Vec<String>,
    },
}

/// Says that the sandbox of these names lives, for as long as the client does.
///
/// # Errors
/// What PostgreSQL said.
pub async fn hold(client: &Client, names: &Names) -> Result<(), postgres::Error> {
    let failed =
        |e: tokio_postgres::Error| postgres::Error::of_statement("say that a sandbox lives", &e);
    // A server may end sessions that do nothing.
    let settings = "SET idle_session_timeout = 0";
    client.batch_execute(settings).await.map_err(failed)?;
    let lock = "SELECT pg_catalog.pg_advisory_lock($1)";
    let held = client.execute(lock, &[&names.key()]).await;
    held.map(drop).map_err(failed)
}

/// The statement of the comment by which a role is known as ours.
pub fn mark_role(here: &TargetIdentity, role: &str, oid: u32) -> String {
    let mark = literal(&mark(&here.system_identifier, oid));
    format!("COMMENT ON ROLE {} IS {mark}", quoted(role))
}

fn mark(system_identifier: &str, oid: u32) -> String {
    format!(
        "made by cutover demo, and goes with its sandbox: server {system_identifier} role {oid}"
    )
}

/// Drops everything of these names that is ours; what is gone already is no matter. `admin` is whoever made it, or another role that may.
///
/// # Errors
/// See [`Error`]; what could be dropped is gone then.
pub async fn unmake(admin: &Endpoint, names: &Names) -> Result<(), Error> {
    let client = admin.connect().await?;
    let mut why = String::new();
    let deadline = Instant::now() + TRIES_FOR;
    loop {
        let there = Found::read(&client, names).await?;
        if there.is_nothing() {
            return Ok(());
        }
        let mut is_worth_another_try = false;
        for statement in there.statements() {
            if let Err(error) = client.batch_execute(&statement).await {
                is_worth_another_try = error.code().is_some_and(passes);
                let error = postgres::Error::of_statement("drop what a sandbox made", &error);
                why = error.to_string();
                break;
            }
        }
        let left = Found::read(&client, names).await?;
        if left.is_nothing() {
            return Ok(());
        }
        if !is_worth_another_try || Instant::now() > deadline {
            return Err(left.as_error(admin.host_label(), why));
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

/// Whether a refusal may pass by itself: somebody whose session we may not end is in a database, or it was just being made when whoever made it
/// was killed.
fn passes(state: &SqlState) -> bool {
    [
        SqlState::OBJECT_IN_USE,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::DEPENDENT_OBJECTS_STILL_EXIST,
    ]
    .contains(state)
}

/// What was there of sandboxes.
#[derive(Debug, Default)]
pub struct Swept {
    /// Of which sandboxes everything is gone now.
    pub gone: Vec<Names>,
    /// Sandboxes that live, and keep what they have.
    pub living: Vec<Names>,
    /// What has such a name, and is not known to be ours or could not be dropped; in words.
    pub left: Vec<String>,
}

/// Drops what sandboxes have left on this server that were killed together with whoever cleans up after them. What a living one has stays.
///
/// # Errors
/// The server was not reached, or cannot be asked.
pub async fn sweep(admin: &Endpoint) -> Result<Swept, postgres::Error> {
    let client = admin.connect().await?;
    let failed = |e: tokio_postgres::Error| {
        postgres::Error::of_statement("look for what sandboxes have left", &e)
    };
    let sql = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE pg_catalog.starts_with(rolname::text, $1)
               UNION SELECT datname::text FROM pg_catalog.pg_database WHERE pg_catalog.starts_with(datname::text, $1)";
    let rows = client.query(sql, &[&PREFIX]).await.map_err(failed)?;
    let all: BTreeSet<Names> = rows
        .iter()
        .filter_map(|row| {
            let name: String = row.get(0);
            let names = Names::of(name.strip_prefix(PREFIX)?.get(..16)?)?;
            // A longer name that begins alike is somebody else's.
            (names.roles().contains(&name) || names.databases().contains(&name)).then_some(names)
        })
        .collect();
    let mut swept = Swept::default();
    for names in all {
        if lives(&client, &names).await.map_err(failed)? {
            swept.living.push(names);
            continue;
        }
        match unmake(admin, &names).await {
            Ok(()) => match strangers(&client, &names).await.map_err(failed)? {
                none if none.is_empty() => swept.gone.push(names),
                strangers => swept.left.extend(strangers),
            },
            Err(error) => swept.left.push(error.to_string()),
        }
    }
    Ok(swept)
}

/// Whether a sandbox holds its lock, or anybody is in one of its databases.
async fn lives(client: &Client, names: &Names) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objsubid = 1
                   AND (classid::bigint << 32) | objid::bigint = $1)
               OR EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = ANY ($2))";
    let databases: Vec<String> = names.databases().into();
    let row = client.query_one(sql, &[&names.key(), &databases]).await?;
    Ok(row.get(0))
}

/// What has a sandbox's names and is not known to be ours, in words.
async fn strangers(client: &Client, names: &Names) -> Result<Vec<String>, tokio_postgres::Error> {
    let sql = "SELECT 'role ' || rolname FROM pg_catalog.pg_roles WHERE rolname = ANY ($1)
               UNION ALL SELECT 'database ' || datname FROM pg_catalog.pg_database WHERE datname = ANY ($2)";
    let (roles, databases): (Vec<String>, Vec<String>) =
        (names.roles().into(), names.databases().into());
    let rows = client.query(sql, &[&roles, &databases]).await?;
    let said = |row: &tokio_postgres::Row| {
        format!(
            "{} has the name of a sandbox's and no mark of ours: it stays",
            row.get::<_, &str>(0)
        )
    };
    Ok(rows.iter().map(said).collect())
}

/// What is there of a sandbox and ours.
struct Found {
    databases: Vec<String>,
    roles: Vec<String>,
}

impl Found {
    async fn read(client: &impl GenericClient, names: &Names) -> Result<Found, postgres::Error> {
        let failed = |e: tokio_postgres::Error| {
            postgres::Error::of_statement("look at what a sandbox made", &e)
        };
        let sql = "SELECT r.rolname::text, r.oid, pg_catalog.shobj_description(r.oid, 'pg_authid'),
                          (SELECT system_identifier::text FROM pg_catalog.pg_control_system())
                   FROM pg_catalog.pg_roles r WHERE r.rolname = ANY ($1)";
        let wanted: Vec<String> = names.roles().into();
        let rows = client.query(sql, &[&wanted]).await.map_err(failed)?;
        let ours: Vec<(String, u32)> = rows
            .iter()
            .filter(|row| row.get::<_, Option<String>>(2) == Some(mark(row.get(3), row.get(1))))
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let oid_of = |name: &str| {
            ours.iter()
                .find(|(role, _)| role == name)
                .map(|(_, oid)| *oid)
        };
        let databases = match oid_of(&names.owner()) {
            Some(owner) => {
                let sql = "SELECT datname::text FROM pg_catalog.pg_database WHERE datdba = $1 AND datname = ANY ($2) ORDER BY 1";
                let wanted: Vec<String> = names.databases().into();
                let rows = client.query(sql, &[&owner, &wanted]).await;
                rows.map_err(failed)?.iter().map(|row| row.get(0)).collect()
            }
            None => Vec::new(),
        };
        let roles = names
            .roles()
            .into_iter()
            .filter(|role| oid_of(role).is_some());
        Ok(Found {
            databases,
            roles: roles.collect(),
        })
    }

    fn is_nothing(&self) -> bool {
        self.databases.is_empty() && self.roles.is_empty()
    }

    /// Databases before the roles that they belong to.
    fn statements(&self) -> Vec<String> {
        let databases = self.databases.iter().map(|d| statements::drop_database(d));
        let roles = self.roles.iter().map(|r| statements::drop_role(r));
        databases.chain(roles).collect()
    }

    fn as_error(&self, host: String, why: String) -> Error {
        let databases = self.databases.iter().map(|d| format!("database {d}"));
        let roles = self.roles.iter().map(|r| format!("role {r}"));
        Error::Left {
            host,
            left: databases.chain(roles).collect(),
            why,
            statements: self.statements(),
        }
    }
}

/// Drops one database of a sandbox, if it is ours. Whether it was is told.
///
/// # Errors
/// The server refused.
pub async fn drop_scratch(client: &Client, names: &Names) -> Result<bool, postgres::Error> {
    let scratch = names.scratch();
    let found = Found::read(client, names).await?;
    if !found.databases.contains(&scratch) {
        return Ok(false);
    }
    let dropped = client
        .batch_execute(&statements::drop_database(&scratch))
        .await;
    dropped.map_err(|e| postgres::Error::of_statement("drop the rehearsal's database", &e))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_leads_back_to_its_names_and_nothing_else_does() {
        let names = Names::fresh();
        assert_eq!(Names::of(&names.number()), Some(names.clone()));
        assert!(names.owner().len() < 64 && names.scratch().len() < 64);
        for other in [
            "",
            "123",
            "00000000000000zz",
            "00000000000000AB",
            "f000000000000000",
        ] {
            assert_eq!(Names::of(other), None, "{other}");
        }
    }
}
