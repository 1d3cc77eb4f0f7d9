//! The rights to write to PostgreSQL's tables that a rollback took away (R1+): given back when the session is closed, or by B1 of the next one
//! on the same database, whichever comes first. Each is on record, so that nobody gives back twice what somebody has taken on purpose since.
//!
//! Not in here: taking them (`rollback::fence_target`), and the statements (`postgres::writers`).

use std::path::Path;
use std::time::Duration;

use tokio_postgres::Client;

use crate::history;
use crate::journal::Folder;
use crate::postgres::writers::{self, GivenBack};
use crate::postgres::{Endpoint, Finding};
use crate::runbook::Runbook;
use crate::session::facts::GrantsGivenBack;
use crate::session::grants::FormerGrants;
use crate::session::{Check, Event, Outcome, Recorded, Session};
use crate::step::context::Context;
use crate::step::production;
use crate::step::salvage::later_attempt;

/// What the finding is called.
const NAME: &str = "write rights";
/// How it begins where the rights are back; a closed session's record is searched for it.
const BACK: &str = "write rights: given back";
/// How long the target may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Gives back what this session took away, and says so; `None` where it took nothing, or it is back on record.
pub async fn at_close(
    runbook: &Runbook,
    folder: &Folder,
    session: &Session,
    entries: &[Recorded],
) -> Option<Finding> {
    let former = session.former_grants();
    if former.is_empty() || is_back(entries) {
        return None;
    }
    if let Some(later) = later_attempt(folder, session) {
        let detail = format!(
            "left as they are: session {later} was opened for the same target since, and its B1 gives back what this one took away"
        );
        return Some(Finding::advice(NAME, true, detail));
    }
    let giving = async {
        let endpoint = Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?;
        let client = endpoint.connect().await.map_err(|e| e.to_string())?;
        match elsewhere(&client, session).await? {
            Some(why) => Err(why),
            None => give_back(&client, &former).await,
        }
    };
    let given = tokio::time::timeout(LIMIT, giving).await;
    let given = given.unwrap_or_else(|_| Err(format!("no answer in {} s", LIMIT.as_secs())));
    Some(match given {
        Ok(given) => {
            let is_as_before = given.differs.is_empty();
            let detail = format!("given back: {}", given.sentence());
            Finding::advice(NAME, is_as_before, detail)
        }
        Err(why) => Finding::required(
            NAME,
            false,
            format!(
                "R1+ took away who may write to {} in PostgreSQL, and they could not be given back: {why}. `cutover close` tries again, as does B1 of \
                 the next session on this target",
                crate::format::counted(former.len() as u64, "table")
            ),
        ),
    })
}

/// Why nothing is given back here, where this is not the database in which it was taken: another one's tables have the same numbers.
async fn elsewhere(client: &Client, session: &Session) -> Result<Option<String>, String> {
    let was = production::target_of(session).map_err(|why| why.to_string())?;
    let Some(was) = was else { return Ok(None) };
    let now = production::identified(client).await;
    let now = now.map_err(|e| e.to_string())?;
    Ok((now != was).then(|| {
        format!(
            "`target.url` leads to another database ({now}) than that of the night ({was}), and nothing was changed there"
        )
    }))
}

/// Gives back what a rehearsal took away in its own database, which nobody closes: the next look at it would find the application's role without its
/// rights.
pub async fn after_a_rehearsal(runbook: &Runbook, session: &Session) -> Result<(), String> {
    let former = session.former_grants();
    if !session.charter.rehearsal || former.is_empty() {
        return Ok(());
    }
    let giving = async {
        let endpoint = Endpoint::parse(&runbook.target.url).map_err(|e| e.to_string())?;
        let client = endpoint.connect().await.map_err(|e| e.to_string())?;
        match elsewhere(&client, session).await? {
            Some(why) => Err(why),
            None => give_back(&client, &former).await.map(drop),
        }
    };
    let given = tokio::time::timeout(LIMIT, giving).await;
    given.unwrap_or_else(|_| Err(format!("no answer in {} s", LIMIT.as_secs())))
}

async fn give_back(client: &Client, former: &[FormerGrants]) -> Result<GivenBack, String> {
    let given = writers::give_back(client, former).await;
    given.map_err(|e| e.to_string())
}

/// B1: what earlier sessions on this database took away and nobody has given back since.
pub async fn before_the_next(ctx: &Context, outcome: Outcome) -> Outcome {
    if ctx.session.charter.rehearsal {
        return outcome;
    }
    let Some(root) = ctx.folder.dir().parent().map(Path::to_owned) else {
        return outcome;
    };
    let own = ctx.session.clone();
    let looking = tokio::task::spawn_blocking(move || not_given_back(&root, &own)).await;
    let earlier = looking.expect("BUG: reading sessions does not panic");
    if earlier.is_empty() {
        return outcome;
    }
    let client = match production::same(ctx).await {
        Ok(client) => client,
        Err(outcome) => return outcome,
    };
    let (mut sessions, mut said) = (Vec::new(), Vec::new());
    for session in &earlier {
        let name = &session.charter.session;
        let given = match elsewhere(&client, session).await {
            // Nobody can write there less than before: that database was dropped and made anew, or is another one.
            Ok(Some(why)) => {
                said.push(format!("what {name} took away is not in here: {why}"));
                continue;
            }
            Ok(None) => give_back(&client, &session.former_grants()).await,
            Err(why) => Err(why),
        };
        match given {
            Ok(given) => {
                given.differs.iter().for_each(|d| ctx.reporter.line(d));
                said.push(format!("after {name} {}", given.sentence()));
                sessions.push(name.clone());
            }
            Err(why) => {
                let why = format!(
                    "session {name} took away who may write to PostgreSQL's tables when it was rolled back, and they could not be given back: {why}. \
                     The application could not write after F4"
                );
                return outcome.with_check(Check::new(NAME, false, why));
            }
        }
    }
    outcome
        .with_check(Check::new(NAME, true, said.join("; ")))
        .with_fact(GrantsGivenBack(sessions))
}

/// Whether `cutover close` has given the rights of this session back, and no row of its rollback was run again since: R1+ takes them anew.
fn is_back(entries: &[Recorded]) -> bool {
    let mut last = entries.iter().rev().filter_map(|entry| {
        if let Event::SessionClosed { found, .. } = &entry.event {
            let is_back = found.iter().any(|line| line.contains(BACK));
            return is_back.then_some(true);
        }
        matches!(entry.event, Event::RollbackRetried { .. }).then_some(false)
    });
    last.next().unwrap_or(false)
}

/// Sessions below `root` on the same target that were opened before this one and whose rights are not back, the oldest first.
fn not_given_back(root: &Path, own: &Session) -> Vec<Session> {
    let beside = Folder::list(root).unwrap_or_default();
    let mut back: Vec<String> = Vec::new();
    let mut earlier: Vec<Session> = Vec::new();
    for other in beside {
        let Ok((history, session)) = history::of(&other.folder) else {
            continue;
        };
        if let Ok(Some(GrantsGivenBack(sessions))) = session.fact() {
            back.extend(sessions);
        }
        let charter = &session.charter;
        let is_earlier = charter.target == own.charter.target && session.opened < own.opened;
        let has_taken = !charter.rehearsal && !session.former_grants().is_empty();
        if is_earlier && has_taken && !is_back(history.events()) {
            earlier.push(session);
        }
    }
    earlier.retain(|session| !back.contains(&session.charter.session));
    earlier.sort_by_key(|session| session.opened);
    earlier
}
