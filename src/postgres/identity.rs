//! Which database a connection has reached, whatever name led there.

use tokio_postgres::{Client, Error};

use crate::identity::TargetIdentity;

/// The identity of the database that this client is connected to.
///
/// # Errors
/// The server does not answer, or the role may not ask `pg_control_system()`; who needs to know must then refuse.
pub async fn identity(client: &Client) -> Result<TargetIdentity, Error> {
    let row = client
        .query_one(
            "SELECT (pg_catalog.pg_control_system()).system_identifier::text, d.oid
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
            &[],
        )
        .await?;
    Ok(TargetIdentity {
        system_identifier: row.get(0),
        database_oid: row.get(1),
    })
}
