//! What would stop the night later, and can be known before a session is opened: rows in tables that the import wants empty, rows that it would
//! delete and asks about, and a rehearsal that does not count any more. `cutover check`, `cutover rehearse` and `cutover run` ask the same. Not in
//! here: whether a session may be opened after others (`attempt`), and which rows an import would delete (`transfer::occupied`).

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
use crate::transfer::Error;
use crate::transfer::occupied::{self, Discard};
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

/// What the target's rows and the source's values come to, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Why D1 would refuse.
    pub refused: Option<String>,
    /// What D2 would ask for before it deletes anything.
    pub to_discard: Option<String>,
}

/// Looks at the target as it is, and at the values of the source as they are.
pub async fn look(runbook: &Runbook, source: &Path) -> Ahead {
    match planned(runbook, source, Scan::SchemaOnly, ASK_LIMIT).await {
        Ok(plan) => Ahead {
            refused: refused(runbook, source, &plan).await,
            to_discard: to_discard(runbook, &plan),
        },
        Err(unknown) => unknown.ahead(runbook),
    }
}

/// As [`look`], of the target's rows alone: they stand in the way of the night whatever a rehearsal comes to, for it loads the scratch database.
pub async fn look_at_rows(runbook: &Runbook, source: &Path) -> Ahead {
    match planned(runbook, source, Scan::SchemaOnly, ASK_LIMIT).await {
        Ok(plan) => Ahead {
            refused: not_empty(runbook, &plan),
            to_discard: to_discard(runbook, &plan),
        },
        Err(unknown) => unknown.ahead(runbook),
    }
}

/// Why D1 would refuse.
async fn refused(runbook: &Runbook, source: &Path, plan: &Plan) -> Option<String> {
    if let Some(why) = not_empty(runbook, plan) {
        return Some(why);
    }
    // Before its migrations a target takes no value, which says nothing of the values.
    if !plan.problems.is_empty() {
        return None;
    }
    let plan = planned(runbook, source, Scan::Full, VALUES_LIMIT).await;
    let plan = plan.ok()?;
    let first = plan.problems.first()?;
    Some(format!(
        "SQLite holds values now that the import does not take ({}), first: {}. D1 would refuse them in the middle of the freeze, where nobody \
         can mend them. `cutover plan` lists them, with what settles each; then rehearse again",
        counted(plan.problems.len() as u64, "problem"),
        printable(&first.to_string(), 300)
    ))
}

/// Why it is not known what D1 would come to.
enum Unknown {
    /// One of the sides cannot be read, which is told elsewhere.
    Unreadable,
    /// It took longer than this.
    Late(Duration),
}

impl Unknown {
    /// That nobody is asked about rows yet is no sign that nobody will be.
    fn ahead(self, runbook: &Runbook) -> Ahead {
        let to_discard = match (self, runbook.transfer.target_rows) {
            (Self::Late(limit), TargetRows::Replace) => Some(format!(
                "which rows of PostgreSQL the import would delete could not be counted within {} s. D2 counts them, and asks for their number \
                 where SQLite does not have them all: `cutover plan` counts them now",
                limit.as_secs()
            )),
            (Self::Late(_), TargetRows::Refuse) | (Self::Unreadable, _) => None,
        };
        Ahead {
            refused: None,
            to_discard,
        }
    }
}

/// What D1 would come to now.
async fn planned(
    runbook: &Runbook,
    source: &Path,
    scan: Scan,
    limit: Duration,
) -> Result<Plan, Unknown> {
    let endpoint = Endpoint::parse(&runbook.target.url).map_err(|_| Unknown::Unreadable)?;
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
    let planned = tokio::time::timeout(limit, planning).await;
    let planned = planned.map_err(|_| Unknown::Late(limit))?;
    planned.map_err(|_| Unknown::Unreadable)
}

/// Rows that the import would delete and that SQLite does not have, by the rule of D2.
fn to_discard(runbook: &Runbook, plan: &Plan) -> Option<String> {
    if runbook.transfer.target_rows == TargetRows::Refuse {
        return None;
    }
    let Err(Error::Discard(against)) = occupied::agreed(&plan.occupied, &Discard::new()) else {
        return None;
    };
    let found: Vec<_> = against
        .iter()
        .filter_map(|one| one.found.as_ref())
        .collect();
    let named = found.iter().take(TABLES_NAMED);
    let (told, options): (Vec<String>, Vec<String>) = named
        .map(|found| (found.to_string(), found.option()))
        .unzip();
    let more = match found.len().saturating_sub(TABLES_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more tables, which `cutover plan` names"),
    };
    (!found.is_empty()).then(|| {
        format!(
            "the import would delete rows of PostgreSQL that SQLite does not have: {}{more}. D2 stops in the middle of the freeze and goes on only \
             once a person has typed their number ({}). Look now whose they are: what somebody needs, bring into SQLite, or leave its table out \
             of the import; what nobody needs, delete there before the night, or know the number",
            told.join("; "),
            options.join(" ")
        )
    })
}

/// Tables that the import wants empty and that are not.
fn not_empty(runbook: &Runbook, plan: &Plan) -> Option<String> {
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
