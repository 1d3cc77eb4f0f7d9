//! Whether PostgreSQL lets a rollback bring back what users write, asked before the night: whether it can be noted, and whether writers can be
//! shut out. Changes nothing.
//!
//! Not in here: what makes the notes (`capture`), who may write (`postgres::writers`), and which values come back (`salvage::beforehand`).

use std::path::Path;

use serde::Serialize;

use super::{Error, capture};
use crate::format::counted;
use crate::postgres::writers::{self, TableName};
use crate::postgres::{self, Endpoint, pooler};
use crate::runbook::transfer::Transfer;

/// What is in the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Beforehand {
    /// Moved tables that are in the target by now; it is of them alone.
    pub tables: usize,
    /// What keeps writes from being noted, a sentence each.
    pub capture: Vec<String>,
    /// What keeps the runtime role from being shut out, a sentence each; none where nobody said which role that is.
    pub fence: Option<Vec<String>>,
}

/// Why it is not known.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// A side cannot be read.
    #[error(transparent)]
    Sides(#[from] Error),
    /// The server does not answer.
    #[error(transparent)]
    Server(#[from] postgres::Error),
    /// The server does not say what is in the way.
    #[error(transparent)]
    Capture(#[from] capture::Error),
}

/// Asks for the tables of `source` that the target has by now.
///
/// # Errors
/// One of the sides cannot be read. Nothing was changed.
pub async fn look(
    source: &Path,
    target: &Endpoint,
    schema: &str,
    transfer: &Transfer,
    runtime_role: Option<&str>,
) -> Result<Beforehand, Unknown> {
    pooler::refuse(target).await?;
    let tables = super::captured(source, target, schema, transfer).await?;
    let client = target.connect().await?;
    let capture = capture::obstacles(&client, &tables).await?;
    let names = tables.iter();
    let names: Vec<TableName> = names
        .map(|one| (one.schema.clone(), one.table.clone()))
        .collect();
    let fence = match runtime_role {
        Some(role) => Some(writers::may_fence(&client, &names, role).await?),
        None => None,
    };
    Ok(Beforehand {
        tables: tables.len(),
        capture,
        fence,
    })
}

impl Beforehand {
    /// For people: what is in the way, or that nothing is.
    pub fn sentences(&self) -> Vec<String> {
        let noting = self.capture.iter().map(|why| {
            format!("a rollback would look in PostgreSQL itself for what users wrote, for not all of it can be noted: {why}")
        });
        let fencing = self.fence.iter().flatten();
        let fencing =
            fencing.map(|why| format!("a rollback shuts writers out of PostgreSQL: {why}"));
        let mut told: Vec<String> = noting.chain(fencing).collect();
        let of = match self.tables {
            0 => ", as far as is known before its tables are there".to_owned(),
            n => format!(" ({})", counted(n as u64, "table")),
        };
        match (self.capture.is_empty(), &self.fence) {
            (true, Some(fence)) if fence.is_empty() => told.push(format!(
                "what users write to PostgreSQL can be noted for a rollback, and writers can be shut out{of}"
            )),
            (true, _) => told.push(format!(
                "what users write to PostgreSQL can be noted for a rollback{of}"
            )),
            (false, _) => {}
        }
        told
    }
}
