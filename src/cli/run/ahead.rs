//! What would stop the night later, and can be known before a session is opened: rows in tables that the import wants empty, and a rehearsal
//! that does not count any more. `cutover check` and `cutover run` ask the same. Not in here: whether a session may be opened after others
//! (`attempt`).

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::runbook::transfer::TargetRows;
use crate::runbook::{EvidenceRef, Runbook};
use crate::session::RehearsalEvidence;
use crate::session::gates::RehearsalGround;
use crate::session::shape::Shape;
use crate::source;
use crate::target::Endpoint;
use crate::text::printable;
use crate::transfer::plan::{self, Scan};

/// How long the target may be asked. What is not known by then is no reason against a night.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// Tables that a message names.
const TABLES_NAMED: usize = 3;

/// Why D1 would refuse the target as it is, in words.
pub async fn occupied(runbook: &Runbook, source: &Path) -> Option<String> {
    if runbook.transfer.target_rows == TargetRows::Replace {
        return None;
    }
    let endpoint = Endpoint::parse(&runbook.target.url).ok()?;
    let cancel = CancellationToken::new();
    let schema = &runbook.target.schema;
    let nobody = |_| {};
    let planning = plan::plan(
        source,
        &endpoint,
        schema,
        &runbook.transfer,
        Scan::SchemaOnly,
        &nobody,
        &cancel,
    );
    let plan = tokio::time::timeout(ASK_LIMIT, planning).await.ok()?.ok()?;
    let held = plan.occupied.iter().map(|found| match found.rows {
        Some(rows) => format!("{} ({rows} rows)", printable(&found.target, 80)),
        None => printable(&found.target, 80),
    });
    let held: Vec<String> = held.collect();
    let more = match held.len().saturating_sub(TABLES_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    (!held.is_empty()).then(|| {
        format!(
            "tables that are to be loaded hold rows already: {}{more}. D1 would refuse in the middle of the freeze. `target_rows: replace` \
             under `transfer` empties them before the load, as after a rollback; then rehearse again. `cutover plan` says what SQLite does \
             not have of these rows",
            held.iter()
                .take(TABLES_NAMED)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        )
    })
}

/// Why the newest rehearsal of this runbook, which some gate wants, would not count in a session that is opened now.
pub async fn stale(
    runbook: &Runbook,
    source: &Path,
    sandbox: bool,
    rehearsal: &RehearsalEvidence,
) -> Option<String> {
    let mut evidence = runbook.gates.iter().flat_map(|gate| &gate.evidence);
    if !evidence.any(|evidence| matches!(evidence, EvidenceRef::Rehearsal(_))) {
        return None;
    }
    let (file, transfer) = (source.to_owned(), runbook.transfer.clone());
    let read = tokio::task::spawn_blocking(move || {
        let connection = source::open_read_only(&file).ok()?;
        source::shape::read(&connection, &|table| transfer.excludes_table(table)).ok()
    });
    let shape = read.await.expect("BUG: reading a schema does not panic");
    let ground = RehearsalGround {
        runbook_hash: &runbook.hash,
        sandbox,
        opened_unix_s: clock::wall().timestamp(),
        max_age_ms: runbook.rehearsal.as_ref().map(|r| r.max_age_ms),
        shape: shape.map(Shape),
    };
    let why = ground.does_not_count(rehearsal)?;
    Some(format!("{}: {why}", printable(&rehearsal.session, 80)))
}
