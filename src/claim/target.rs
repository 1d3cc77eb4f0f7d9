//! The claim on a PostgreSQL database: the one row of `cutover.session` in it. It is written before a session first changes the
//! target, for a session that ends before that leaves nothing there.

use tokio_postgres::Client;

use super::{Claim, Refused};
use crate::postgres::{Error as Unreached, own_schema};

/// Why a database cannot be claimed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another session has it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The server cannot be asked, or refuses.
    #[error(transparent)]
    Target(#[from] Unreached),
}

const MAKE: &str = "
    CREATE TABLE IF NOT EXISTS cutover.session (
      one boolean PRIMARY KEY DEFAULT true CHECK (one), session text NOT NULL, folder text NOT NULL, host text NOT NULL);
    COMMENT ON TABLE cutover.session IS 'The cutover session that has this database. While its row is here, no other one begins.'";

/// The row, locked against a second session that asks at the same moment.
const READ: &str = "SELECT session, folder, host FROM cutover.session FOR UPDATE";

/// Claims the database; a claim of this session, or of one that is over, is taken over.
///
/// # Errors
/// [`Error::Refused`] where another session has it.
pub async fn take(client: &mut Client, mine: &Claim) -> Result<(), Error> {
    let failed = |error| Unreached::of_statement("claim the database for this session", &error);
    let transaction = client.transaction().await.map_err(failed)?;
    transaction
        .batch_execute("SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s'")
        .await
        .map_err(failed)?;
    transaction
        .batch_execute(&format!("{}{MAKE}", own_schema::MAKE))
        .await
        .map_err(failed)?;
    let folder = mine.folder.to_string_lossy();
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
        [&mine.session, &folder, &mine.host];
    let insert = "INSERT INTO cutover.session (session, folder, host) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    transaction.execute(insert, &values).await.map_err(failed)?;
    let row = transaction.query_one(READ, &[]).await.map_err(failed)?;
    let found = claim(&row);
    if found != *mine {
        if !found.is_over() {
            return Err(found.refuse("the target".to_owned()).into());
        }
        let update = "UPDATE cutover.session SET session = $1, folder = $2, host = $3";
        transaction.execute(update, &values).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(())
}

/// The session that had the database last, whatever became of it; `None` where none has. Changes nothing.
///
/// # Errors
/// The server refuses to tell.
pub async fn last(client: &Client) -> Result<Option<Claim>, Unreached> {
    let failed = |error| Unreached::of_statement("ask which session has the database", &error);
    let there = "SELECT to_regclass('cutover.session') IS NOT NULL";
    let is_there: bool = client.query_one(there, &[]).await.map_err(failed)?.get(0);
    if !is_there {
        return Ok(None);
    }
    let read = "SELECT session, folder, host FROM cutover.session";
    let row = client.query_opt(read, &[]).await.map_err(failed)?;
    Ok(row.as_ref().map(claim))
}

/// That no session which is not over has the database. Changes nothing.
///
/// # Errors
/// [`Error::Refused`] where one has.
pub async fn is_free(client: &Client) -> Result<(), Error> {
    match last(client).await? {
        Some(other) if !other.is_over() => Err(other.refuse("the target".to_owned()).into()),
        _ => Ok(()),
    }
}

fn claim(row: &tokio_postgres::Row) -> Claim {
    Claim {
        session: row.get(0),
        folder: row.get::<_, String>(1).into(),
        host: row.get(2),
    }
}
