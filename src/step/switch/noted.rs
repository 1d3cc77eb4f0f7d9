//! F1: from here on it is noted in PostgreSQL which keys are written to the moved tables, so that a rollback can bring the rows back. It begins
//! before the snapshot of the switch is taken: what that does not see is noted.
//!
//! What keeps it from being made is no reason not to switch: it is on record and on every screen, and a rollback then looks for the rows in
//! PostgreSQL itself. Not in here: the triggers (`feed::capture`), and who reads the notes (`engine::feed`).

use std::time::Duration;

use crate::feed::{self, capture};
use crate::session::facts::Noted;
use crate::step::context::Context;
use crate::step::target::owner;

/// How long PostgreSQL may take for all of it. Nobody but staging and our probes uses the tables yet.
const LIMIT: Duration = Duration::from_secs(30);

/// Begins it, where the runbook's rollback brings rows back; else `None`.
pub(super) async fn begin(ctx: &Context) -> Option<Noted> {
    if !ctx.session.charter.keeps_writes {
        return None;
    }
    let installed = tokio::time::timeout(LIMIT, install(ctx)).await;
    let late = || {
        Err(format!(
            "PostgreSQL did not answer within {} s",
            LIMIT.as_secs()
        ))
    };
    let why_not = installed.unwrap_or_else(|_| late()).err();
    if let Some(why) = &why_not {
        ctx.reporter.line(why);
    }
    Some(Noted(why_not))
}

async fn install(ctx: &Context) -> Result<(), String> {
    let copies = ctx.session.backups().map_err(|why| why.to_string())?;
    let backup = copies.into_iter().find(|copy| copy.path.is_file());
    let backup = backup.ok_or("neither copy of the backup is where it was put")?;
    let endpoint = owner(ctx).map_err(|outcome| outcome.summary)?;
    let runbook = &ctx.runbook;
    let tables = feed::captured(
        &backup.path,
        &endpoint,
        &runbook.target.schema,
        &runbook.transfer,
    );
    let tables = tables.await.map_err(|error| error.to_string())?;
    let client = endpoint.connect().await.map_err(|e| e.to_string())?;
    let installed = capture::install(&client, &ctx.session.charter.session, &tables).await;
    installed.map_err(|error| error.to_string())
}
