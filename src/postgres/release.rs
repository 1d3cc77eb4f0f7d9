//! The mark that a completed release leaves in the target: the database itself knows that it is in production, whoever looks, from
//! whichever folder or host. It stays when everything else that an import had kept there is dropped.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{Error, own_schema};

/// A release that was completed on this database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Name of the session.
    pub session: String,
    /// When the session was opened, in RFC 3339: tells it from another of its name.
    pub opened: String,
    /// When it was completed, in RFC 3339.
    pub completed: String,
    /// The SQLite file that it came from: its path, and by what it is known.
    pub source: String,
    /// The host that the session was on.
    pub host: String,
}

const DOING: &str = "leave the mark of the release";

const MAKE: &str = "
    CREATE TABLE IF NOT EXISTS cutover.release (
      session text NOT NULL, opened text NOT NULL, completed text NOT NULL, source text NOT NULL, host text NOT NULL,
      PRIMARY KEY (session, opened));
    COMMENT ON TABLE cutover.release IS 'Releases that cutover has completed on this database. While a row is here, no other night empties it.'";

const RECORD: &str = "
    INSERT INTO cutover.release (session, opened, completed, source, host) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING";

/// Leaves the mark; one that is there already stays. Durable once this returns.
///
/// # Errors
/// The server cannot be asked, or the role may not make a schema.
pub async fn record(client: &mut Client, release: &Release) -> Result<(), Error> {
    let failed = |error| Error::of_statement(DOING, &error);
    let begin = format!(
        "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'; {}{MAKE}",
        own_schema::MAKE
    );
    client.batch_execute(&begin).await.map_err(failed)?;
    let Release {
        session,
        opened,
        completed,
        source,
        host,
    } = release;
    client
        .execute(RECORD, &[session, opened, completed, source, host])
        .await
        .map_err(failed)?;
    client.batch_execute("COMMIT").await.map_err(failed)
}

/// The newest release that was completed on this database; `None` where there is none.
///
/// # Errors
/// The server cannot be asked, or the role may not read the mark.
pub async fn newest(client: &Client) -> Result<Option<Release>, Error> {
    Ok(all(client).await?.into_iter().next())
}

/// Every release that was completed on this database, the newest first.
///
/// # Errors
/// The server cannot be asked, or the role may not read the mark.
pub async fn all(client: &Client) -> Result<Vec<Release>, Error> {
    let failed = |error| Error::of_statement("look for the mark of a release", &error);
    let there = "SELECT to_regclass('cutover.release') IS NOT NULL";
    let is_there: bool = client.query_one(there, &[]).await.map_err(failed)?.get(0);
    if !is_there {
        return Ok(Vec::new());
    }
    let read = "SELECT session, opened, completed, source, host FROM cutover.release ORDER BY completed DESC";
    let rows = client.query(read, &[]).await.map_err(failed)?;
    let release = |row: &tokio_postgres::Row| Release {
        session: row.get(0),
        opened: row.get(1),
        completed: row.get(2),
        source: row.get(3),
        host: row.get(4),
    };
    Ok(rows.iter().map(release).collect())
}
