//! The independent checker: is what PostgreSQL holds what the verified backup holds (`E1`, `E2`, `V1`, `V3`–`V5`, `T4a`–`T4d`)?
//!
//! [`compare`] looks at every row and every value. The [`checks`] look at what the application sees: slugs, ordered lists, joins,
//! distributions, integrity, sequences. Both read SQLite through no index and PostgreSQL as its own text, inside one read-only
//! transaction. Nothing here writes to either database.
//!
//! Shares no conversion code with `transfer`: the checker must not inherit the copier's mistakes. It reads both schemas itself, and
//! has only the pairing of names in common. What *equal* means per type is in `docs/equality.md`.

mod aside;
mod canon;
pub mod checks;
mod compare;
mod differ;
mod equality;
mod error;
mod fingerprint;
mod look;
pub mod moment;
mod pair;
mod pairing;
mod report;
mod schema;
mod shown;
mod sides;
mod snapshot;
mod source_rows;
mod source_value;
mod target_rows;

// What a value or a row is to the checker: `salvage` reads them by the same code.
pub(crate) use canon::Row as Canonical;
pub(crate) use equality::{Kind as ValueKind, Rule, Taken, from_source, from_target};
pub(crate) use equality::{json, shortest};
pub(crate) use error::server_message;
pub(crate) use pair::TablePair;

pub use compare::{Options, tables};
pub use error::Error;
pub use report::{
    ByPolicy, Check, Compared, Difference, Kind, Progress, Report, Skipped, TableReport,
};
pub use sides::{APPLICATION_NAME, Opening, Sides};

use crate::postgres::Endpoint;
use crate::runbook::transfer::Transfer;
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// Opens `source` (a backup) and `schema` of `target`, and compares all their rows: [`Sides::open`] and [`tables`] in one.
///
/// # Errors
/// Whatever keeps the comparison from coming to its end. A difference is no error.
pub async fn compare(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
    options: &Options,
    progress: &(dyn Fn(Progress) + Sync),
    cancel: &CancellationToken,
) -> Result<Report, Error> {
    let sides = Sides::open(source, target, schema, transfer, &options.opening).await?;
    tables(&sides, options, progress, cancel).await
}
