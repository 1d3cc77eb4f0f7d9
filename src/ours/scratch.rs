//! The scratch database of rehearsals: what proves that it is no other than one of ours, how it is claimed and emptied, and the record of
//! what a rehearsal made in it. It is taken when it is empty, or when it holds our record with its own server's system identifier and its
//! own oid and nothing beside what that record lists; else it is refused with the list, and a person may claim it by its name.
//!
//! The rule is in [`super::objects`], the statements in [`super::statements`].

mod error;

use std::collections::BTreeSet;
use std::time::Duration;

use tokio_postgres::{Client, Transaction};

pub use self::error::Error;
use super::objects::{self, Object, Recorded, Verdict, judge};
use super::statements::{self, Kind};
use crate::identity::TargetIdentity;
use crate::postgres::{self, Endpoint, identity};
use crate::text::printable;

/// A rehearsal that was killed may keep its connection for a moment.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Which databases a rehearsal is about.
#[derive(Debug, Clone)]
pub struct Sides {
    /// `rehearsal.url`.
    pub scratch: Endpoint,
    /// `rehearsal.runtime_url`.
    pub scratch_runtime: Endpoint,
    /// `target.url`.
    pub target: Endpoint,
}

/// A scratch database that is ours for as long as this is kept: no other rehearsal gets it.
#[derive(Debug)]
pub struct Claim {
    client: Client,
    database: String,
}

/// Proves that the scratch database is not the target, empties it of what rehearsals made, and records that `session` works in it.
/// `claimed` is the name that a person typed.
///
/// # Errors
/// See [`Error`]; then nothing was changed.
pub async fn claim(sides: &Sides, session: &str, claimed: Option<&str>) -> Result<Claim, Error> {
    let (mut client, name, here) = prove(sides, claimed).await?;
    take_over(&mut client, &name, &here, session, claimed.is_some()).await?;
    Ok(Claim {
        client,
        database: name,
    })
}

/// As [`claim`], for a session that has claimed the database before: what is in it by now was made by what the session ran, and is recorded
/// as such. A database that was made anew meanwhile is claimed like any other.
pub async fn claim_again(
    sides: &Sides,
    session: &str,
    claimed: Option<&str>,
) -> Result<Claim, Error> {
    let (mut client, name, here) = prove(sides, claimed).await?;
    let recorded = read(&client, &here)
        .await
        .map_err(failed(&name, "read our record"))?;
    let is_of_session = match recorded {
        Some(_) => {
            let sql = "SELECT session = $1 FROM cutover.scratch";
            let row = client.query_one(sql, &[&session]).await;
            row.map_err(failed(&name, "read our record"))?.get(0)
        }
        None => false,
    };
    if !is_of_session {
        take_over(&mut client, &name, &here, session, claimed.is_some()).await?;
    }
    let mut claim = Claim {
        client,
        database: name,
    };
    if is_of_session {
        claim.record().await?;
    }
    Ok(claim)
}

/// Connects, proves that it is no production, and keeps other rehearsals out.
async fn prove(
    sides: &Sides,
    claimed: Option<&str>,
) -> Result<(Client, String, TargetIdentity), Error> {
    let database = sides.scratch.database().to_owned();
    let unknown = |which| move |why: String| Error::Unknown { which, why };
    let client = sides
        .scratch
        .connect()
        .await
        .map_err(|e| unknown("rehearsal.url")(e.to_string()))?;
    let here = identity(&client)
        .await
        .map_err(|e| unknown("rehearsal.url")(server_words(&e)))?;
    if identity_of_target(sides).await? == Some(here.clone()) {
        return Err(Error::IsTarget { identity: here });
    }
    let runtime = identity_at(&sides.scratch_runtime, "rehearsal.runtime_url").await?;
    if runtime != here {
        return Err(Error::AnotherRuntime {
            owner: here,
            runtime,
        });
    }
    // A pooler may know it by another name.
    let name: String = client
        .query_one("SELECT pg_catalog.current_database()::text", &[])
        .await
        .map_err(failed(&database, "read its name"))?
        .get(0);
    if let Some(typed) = claimed.filter(|typed| *typed != name) {
        return Err(Error::AnotherName {
            typed: printable(typed, 80),
            database: name,
        });
    }
    lock(&client, &name).await?;
    Ok((client, name, here))
}

/// Lets go of the claim, connection included: what `rehearsal.point` runs may make the database anew.
pub fn release(claim: Claim) {
    drop(claim);
}

impl Claim {
    /// Records what is in the database now as made by this rehearsal, so that the next one may drop it.
    ///
    /// # Errors
    /// The database no longer is what was claimed, or PostgreSQL refused.
    pub async fn record(&mut self) -> Result<(), Error> {
        let database = self.database.clone();
        let here = identity(&self.client)
            .await
            .map_err(failed(&database, "read its identity"))?;
        let Some(recorded) = read(&self.client, &here)
            .await
            .map_err(failed(&database, "read our record"))?
        else {
            return Err(Error::Unknown {
                which: "rehearsal.url",
                why: "our record is gone from it".to_owned(),
            });
        };
        let found = objects::list(&self.client)
            .await
            .map_err(failed(&database, "list what is there"))?;
        let Verdict::Ours { go, .. } = judge(&found, Some(&recorded), true) else {
            // What no rehearsal can have made is left for the next one to refuse.
            return Ok(());
        };
        let made = to_json(&recorded.made.union(&go).cloned().collect());
        self.client
            .execute(
                "UPDATE cutover.scratch SET made = $1::text::jsonb",
                &[&made],
            )
            .await
            .map_err(failed(&database, "record what was made"))?;
        Ok(())
    }
}

async fn identity_at(endpoint: &Endpoint, which: &'static str) -> Result<TargetIdentity, Error> {
    let unknown = |why: String| Error::Unknown { which, why };
    let client = endpoint
        .connect()
        .await
        .map_err(|e| unknown(e.to_string()))?;
    identity(&client)
        .await
        .map_err(|e| unknown(server_words(&e)))
}

/// The target's identity; `None` where its server answers, and says that it has no such database yet.
async fn identity_of_target(sides: &Sides) -> Result<Option<TargetIdentity>, Error> {
    let unknown = |why: String| Error::Unknown {
        which: "target.url",
        why,
    };
    let absent = match sides.target.connect().await {
        Ok(client) => {
            let known = identity(&client).await;
            return Ok(Some(known.map_err(|e| unknown(server_words(&e)))?));
        }
        Err(error @ postgres::Error::UnknownDatabase { .. }) => error.to_string(),
        Err(error) => return Err(unknown(error.to_string())),
    };
    // A pooler says the same of a name that it does not know; the server's own list decides.
    for other in [sides.scratch.database(), "postgres", "template1"] {
        let Ok(client) = sides.target.with_database(other).connect().await else {
            continue;
        };
        let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)";
        let known = client.query_one(sql, &[&sides.target.database()]).await;
        match known.map(|row| row.get(0)) {
            Ok(false) => return Ok(None),
            Ok(true) => return Err(unknown(absent)),
            Err(error) => return Err(unknown(server_words(&error))),
        }
    }
    Err(unknown(absent))
}

fn server_words(error: &tokio_postgres::Error) -> String {
    postgres::Error::of_statement("read its identity", error).to_string()
}

fn failed(
    database: &str,
    doing: &'static str,
) -> impl FnOnce(tokio_postgres::Error) -> Error + use<> {
    let database = database.to_owned();
    move |error| Error::Server {
        database,
        source: postgres::Error::of_statement(doing, &error),
    }
}

/// One rehearsal per database: an advisory lock of the session, which the server lets go when the process dies.
async fn lock(client: &Client, database: &str) -> Result<(), Error> {
    let sql = "SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('cutover rehearsal', 0))";
    for _ in 0..TRIES {
        let row = client.query_one(sql, &[]).await;
        if row.map_err(failed(database, "lock"))?.get(0) {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    // Whoever has the lock has claimed the database, and their record says which session that is.
    let session = client
        .query_one("SELECT session FROM cutover.scratch", &[])
        .await;
    Err(Error::Busy {
        database: database.to_owned(),
        by: session.map_or_else(
            |_| String::new(),
            |row| format!(": session {}", printable(row.get(0), 80)),
        ),
    })
}

/// Our record, if the database has one that was made for this very database.
async fn read(
    client: &impl tokio_postgres::GenericClient,
    here: &TargetIdentity,
) -> Result<Option<Recorded>, tokio_postgres::Error> {
    let sql = "SELECT pg_catalog.to_regclass('cutover.scratch') IS NOT NULL";
    if !client.query_one(sql, &[]).await?.get::<_, bool>(0) {
        return Ok(None);
    }
    let sql = "SELECT before::text, made::text FROM cutover.scratch WHERE system_identifier = $1 AND database_oid = $2";
    let row = client
        .query_opt(sql, &[&here.system_identifier, &here.database_oid])
        .await?;
    Ok(row.map(|row| Recorded {
        before: from_json(row.get(0)),
        made: from_json(row.get(1)),
    }))
}

/// What cannot be read lists nothing, so that everything in the database is somebody's.
fn from_json(text: &str) -> BTreeSet<Object> {
    serde_json::from_str(text).unwrap_or_default()
}

fn to_json(objects: &BTreeSet<Object>) -> String {
    serde_json::to_string(objects).expect("BUG: objects are plain data")
}

/// Looks, drops and records in one transaction.
async fn take_over(
    client: &mut Client,
    database: &str,
    here: &TargetIdentity,
    session: &str,
    is_claimed: bool,
) -> Result<(), Error> {
    let transaction = client
        .transaction()
        .await
        .map_err(failed(database, "begin"))?;
    // What hangs on an object of the list is seen by the drop, which takes nothing along.
    let settings = "SET LOCAL lock_timeout = '30s'; SET LOCAL search_path = pg_catalog; SET LOCAL client_min_messages = warning";
    transaction
        .batch_execute(settings)
        .await
        .map_err(failed(database, "begin"))?;
    let recorded = read(&transaction, here)
        .await
        .map_err(failed(database, "read our record"))?;
    let found = objects::list(&transaction)
        .await
        .map_err(failed(database, "list what is there"))?;
    let (go, before) = match judge(&found, recorded.as_ref(), is_claimed) {
        Verdict::Ours { go, before } => (go, before),
        Verdict::Strangers(strangers) => {
            return Err(Error::NotOurs {
                database: database.to_owned(),
                strangers,
            });
        }
    };
    drop_all(&transaction, database, go).await?;
    let create = format!(
        "{}; CREATE SCHEMA cutover; CREATE TABLE cutover.scratch (\
         system_identifier text NOT NULL, database_oid oid NOT NULL, session text NOT NULL, \
         claimed timestamptz NOT NULL DEFAULT pg_catalog.now(), before jsonb NOT NULL, made jsonb NOT NULL)",
        statements::drop_own_tables(&[])
    );
    transaction
        .batch_execute(&create)
        .await
        .map_err(failed(database, "record the claim"))?;
    let insert = "INSERT INTO cutover.scratch (system_identifier, database_oid, session, before, made) \
                  VALUES ($1, $2, $3, $4::text::jsonb, '[]')";
    transaction
        .execute(
            insert,
            &[
                &here.system_identifier,
                &here.database_oid,
                &session,
                &to_json(&before),
            ],
        )
        .await
        .map_err(failed(database, "record the claim"))?;
    transaction
        .commit()
        .await
        .map_err(failed(database, "record the claim"))
}

/// Drops the objects, each kind in one statement where that goes, else one by one until none is left or none goes any more.
async fn drop_all(
    transaction: &Transaction<'_>,
    database: &str,
    mut left: BTreeSet<Object>,
) -> Result<(), Error> {
    let mut why = String::new();
    while !left.is_empty() {
        let before = left.len();
        for kind in Kind::ALL {
            let of_kind: Vec<Object> = left
                .iter()
                .filter(|o| Kind::of_word(&o.kind) == Some(kind))
                .cloned()
                .collect();
            let (mut groups, singles) = (vec![of_kind.clone()], of_kind.chunks(1));
            groups.extend(singles.map(<[Object]>::to_vec));
            for group in groups {
                if group.is_empty() || !group.iter().all(|o| left.contains(o)) {
                    continue;
                }
                match attempt(transaction, database, kind, &group).await? {
                    None => left.retain(|o| !group.contains(o)),
                    Some(said) => why = said,
                }
            }
        }
        if left.len() == before {
            return Err(Error::Entangled {
                database: database.to_owned(),
                left,
                why,
            });
        }
    }
    Ok(())
}

/// What PostgreSQL said where it did not drop them.
async fn attempt(
    transaction: &Transaction<'_>,
    database: &str,
    kind: Kind,
    group: &[Object],
) -> Result<Option<String>, Error> {
    let identities: Vec<String> = group.iter().map(|o| o.identity.clone()).collect();
    let Some(statement) = statements::drop_objects(kind, &identities) else {
        return Ok(None);
    };
    let mark = |sql: &'static str| async move {
        let done = transaction.batch_execute(sql).await;
        done.map_err(failed(database, "empty"))
    };
    mark("SAVEPOINT one").await?;
    match transaction.batch_execute(&statement).await {
        Ok(()) => {
            mark("RELEASE SAVEPOINT one").await?;
            Ok(None)
        }
        Err(error) => {
            let said = postgres::Error::of_statement("drop", &error).to_string();
            mark("ROLLBACK TO SAVEPOINT one").await?;
            Ok(Some(said))
        }
    }
}
