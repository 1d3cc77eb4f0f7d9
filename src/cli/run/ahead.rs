//! What would stop the night later, and can be known before a session is opened: rows in tables that the import wants empty, and a rehearsal
//! that does not count any more. `cutover check` and `cutover run` ask the same. Not in here: whether a session may be opened after others
//! (`attempt`).

use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::format::counted;
use crate::postgres::Endpoint;
use crate::runbook::transfer::TargetRows;
use crate::runbook::{EvidenceRef, Runbook};
use crate::session::RehearsalEvidence;
use crate::session::gates::RehearsalGround;
use crate::session::shape::Shape;
use crate::sqlite;
use crate::text::printable;
use crate::transfer::plan::{self, Plan, Scan};

/// How long the target may be asked. What is not known by then is no reason against a night.
const ASK_LIMIT: Duration = Duration::from_secs(20);
/// How long the values of the source may be looked at.
const VALUES_LIMIT: Duration = Duration::from_secs(30);
/// Tables that a message names.
const TABLES_NAMED: usize = 3;

/// Why this account cannot hold the source: the session's engine runs as whoever opens the session, and holds the fence.
pub fn out_of_reach(source: &Path) -> Option<String> {
    use rustix::fs::{Access, access};
    let folder = source
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let may = |path: &Path| access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    // That it is not there is told by whoever opens it.
    let meta = source.metadata().ok()?;
    if may(source) && may(folder) {
        return None;
    }
    let owner = printable(&owner_of(&meta), 60);
    Some(format!(
        "{} and its folder cannot be written by this account, and the session's engine, which holds that file, would run as it. Let {owner} run \
         it; everybody else joins with `cutover join`",
        printable(&source.display().to_string(), 200)
    ))
}

fn owner_of(meta: &std::fs::Metadata) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(meta.uid()));
    user.ok()
        .flatten()
        .map_or_else(|| format!("user {}", meta.uid()), |user| user.name)
}

/// Why D1 would refuse the target as it is, or values of the source as they are, in words.
pub async fn refused(runbook: &Runbook, source: &Path) -> Option<String> {
    let plan = planned(runbook, source, Scan::SchemaOnly, ASK_LIMIT).await?;
    if let Some(why) = occupied(runbook, &plan) {
        return Some(why);
    }
    // Before its migrations a target takes no value, which says nothing of the values.
    if !plan.problems.is_empty() {
        return None;
    }
    let plan = planned(runbook, source, Scan::Full, VALUES_LIMIT).await?;
    let first = plan.problems.first()?;
    Some(format!(
        "SQLite holds values now that the import does not take ({}), first: {}. D1 would refuse them in the middle of the freeze, where nobody \
         can mend them. `cutover plan` lists them, with what settles each; then rehearse again",
        counted(plan.problems.len() as u64, "problem"),
        printable(&first.to_string(), 300)
    ))
}

/// Rows that stand in the way of the night, whatever a rehearsal comes to: it loads the scratch database, where there are none.
pub async fn rows_in_the_way(runbook: &Runbook, source: &Path) -> Option<String> {
    if runbook.transfer.target_rows == TargetRows::Replace {
        return None;
    }
    let plan = planned(runbook, source, Scan::SchemaOnly, ASK_LIMIT).await?;
    occupied(runbook, &plan)
}

/// What D1 would come to now; `None` where that cannot be known, or not in time.
async fn planned(runbook: &Runbook, source: &Path, scan: Scan, limit: Duration) -> Option<Plan> {
    let endpoint = Endpoint::parse(&runbook.target.url).ok()?;
    let cancel = CancellationToken::new();
    let nobody = |_| {};
    let planning = plan::plan(
        source,
        &endpoint,
        &runbook.target.schema,
        &runbook.transfer,
        scan,
        &nobody,
        &cancel,
    );
    let _ends = cancel.clone().drop_guard();
    tokio::time::timeout(limit, planning).await.ok()?.ok()
}

/// Tables that the import wants empty and that are not.
fn occupied(runbook: &Runbook, plan: &Plan) -> Option<String> {
    if runbook.transfer.target_rows == TargetRows::Replace {
        return None;
    }
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
        let connection = sqlite::open_read_only(&file).ok()?;
        sqlite::shape::read(&connection, &|table| transfer.excludes_table(table)).ok()
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
