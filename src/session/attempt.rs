//! Whether the same databases may be attempted again: not after a release that was completed, and after a rollback only once what was
//! wrong has been corrected (R6). Not in here: finding the sessions that came before, and asking the target itself.

use super::event::{RehearsalEvidence, RollbackCause};
use super::facts::{Brought, Salvage};
use super::state::{Phase, Session};
use crate::identity::{SourceIdentity, TargetIdentity};

/// Why it may not, yet. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// The cutover is done.
    #[error(
        "session {session} has completed this cutover: {what}, so PostgreSQL {target} is in production, and another night would empty it. \
         Nothing was touched. Whoever means to begin all over types the database's name: `cutover run --again {name}`"
    )]
    Completed {
        /// The session that completed it.
        session: String,
        /// What both have in common.
        what: String,
        /// The target, as the new session calls it.
        target: String,
        /// What has to be typed.
        name: String,
    },
    /// What users wrote to PostgreSQL is nowhere else.
    #[error(
        "session {session} was rolled back, and of what users wrote to PostgreSQL not all is known to be anywhere but there: {why}. Another night \
         on this target would delete it. {keeping}. Whoever gives it up says so: `cutover correct \
         {session} --what \"…\" --give-up-rows`"
    )]
    Unsalvaged {
        /// The session that was rolled back.
        session: String,
        why: String,
        /// What would keep it.
        keeping: String,
    },
    /// Nobody has said what was corrected.
    #[error(
        "session {session} was rolled back from this target ({cause}), and nobody has recorded what was corrected since. \
         `cutover correct {session} --what \"…\"` does; then rehearse anew"
    )]
    Uncorrected {
        /// The session that was rolled back.
        session: String,
        /// By whom or what, and why.
        cause: String,
    },
    /// The correction has not been rehearsed.
    #[error(
        "session {session} was rolled back from this target; {by} has recorded what was corrected ({what}), and no green rehearsal of \
         this runbook is newer than that. Run `cutover rehearse`"
    )]
    Unrehearsed {
        /// The session that was rolled back.
        session: String,
        /// Who recorded the correction.
        by: String,
        what: String,
    },
}

/// What a new session is about to be opened on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ground {
    /// The target: `host:port/name`.
    pub target: String,
    /// Its name alone.
    pub database: String,
    /// By what it is known; `None` where it does not answer.
    pub target_identity: Option<TargetIdentity>,
    /// By what the SQLite file is known; `None` where it is not there.
    pub source_identity: Option<SourceIdentity>,
}

impl Ground {
    /// What an earlier session has in common with this one, in words.
    fn shared_with(&self, earlier: &Session) -> Option<&'static str> {
        let charter = &earlier.charter;
        let same_target =
            self.target_identity.is_some() && self.target_identity == charter.production.target;
        let same_source =
            self.source_identity.is_some() && self.source_identity == charter.production.source;
        match () {
            () if same_target => Some("it is the same database"),
            () if charter.target == self.target => Some("it is the same host and database name"),
            () if same_source => Some("it began with the same SQLite file"),
            () => None,
        }
    }

    fn has_target_of(&self, earlier: &Session) -> bool {
        let known = &earlier.charter.production.target;
        let same = known.is_some() && *known == self.target_identity;
        same || earlier.charter.target == self.target
    }
}

/// The name of R5's check that everything is kept that users wrote to PostgreSQL.
pub const SALVAGED: &str = "salvaged";

/// The name of the check by which a row of the rollback says that PostgreSQL takes no write any more, whoever is still connected to it.
pub const TARGET_CLOSED: &str = "target_closed";

/// Whether a row of the rollback has seen to it that nobody can write to PostgreSQL any more.
pub fn is_target_closed(session: &Session) -> bool {
    let rows = session.rollback.iter().flat_map(|rollback| &rollback.rows);
    let outcomes = rows.filter_map(|row| row.outcome.as_ref());
    let mut checks = outcomes.flat_map(|outcome| &outcome.checks);
    checks.any(|check| check.name == TARGET_CLOSED && check.ok)
}

/// Why what users wrote to PostgreSQL was not kept whole by the rollback; `None` where it was, where there was nothing, or where somebody has
/// given it up since. Whether `cutover salvage make` has kept it later is not in the journal.
pub fn unsalvaged(session: &Session) -> Option<&str> {
    let gives_up = session.correction.as_ref().is_some_and(|c| c.gives_up_rows);
    let rows = session.rollback.iter().flat_map(|rollback| &rollback.rows);
    let outcomes = rows.filter_map(|row| row.outcome.as_ref());
    let mut checks = outcomes.flat_map(|outcome| &outcome.checks);
    let red = checks.find(|check| check.name == SALVAGED && !check.ok);
    red.filter(|_| !gives_up).map(|check| check.detail.as_str())
}

/// Rows that users wrote to PostgreSQL, that the rollback put into the salvage file, and that it has not brought into SQLite: that has them once
/// somebody brings them in, which is not in the journal.
pub fn salvaged_rows(session: &Session) -> u64 {
    let Ok(Some(salvage)) = session.rollback_fact::<Salvage>() else {
        return 0;
    };
    let has_file = salvage.file.is_some();
    let kept = salvage.tables.iter().filter(|t| has_file && !t.broke_off);
    let rows: u64 = kept.map(|t| t.inserted + t.changed + t.deleted).sum();
    let brought = session.rollback_fact::<Brought>().ok().flatten();
    rows.saturating_sub(brought.map_or(0, |brought| brought.rows()))
}

/// Whether everything that users wrote to PostgreSQL during `earlier` is kept, or given up. `has_file`: a whole salvage file lies in its folder.
///
/// # Errors
/// [`NotYet::Unsalvaged`].
pub fn rows_are_kept(earlier: &Session, has_file: bool) -> Result<(), NotYet> {
    match unsalvaged(earlier) {
        Some(why) if !has_file => Err(NotYet::Unsalvaged {
            session: earlier.charter.session.clone(),
            why: why.to_owned(),
            keeping: keeping(earlier),
        }),
        _ => Ok(()),
    }
}

/// What would keep what the rollback could not: trying again, or not even that.
pub fn keeping(session: &Session) -> String {
    let again = || {
        let session = &session.charter.session;
        format!("`cutover salvage make {session}` keeps it, once PostgreSQL answers")
    };
    match session.rollback_fact::<Salvage>() {
        Ok(Some(record)) if record.for_good => {
            "Nothing keeps it as things stand: only the database of that night has it".to_owned()
        }
        Ok(_) => again(),
        Err(unreadable) => format!("{}, unless R5 said that nothing can: {unreadable}", again()),
    }
}

/// As [`rows_are_kept`], where the ground is that session's.
pub fn rows_are_kept_on(earlier: &Session, ground: &Ground, has_file: bool) -> Result<(), NotYet> {
    match ground.has_target_of(earlier) && !earlier.charter.rehearsal {
        true => rows_are_kept(earlier, has_file),
        false => Ok(()),
    }
}

/// Whether `earlier` lets this ground be attempted again, given the newest rehearsal of the runbook. `again`: somebody has typed the
/// target's name to begin all over after a release.
///
/// A session that ended before it touched the target is a no-go, not a rollback: it asks for nothing.
///
/// # Errors
/// What has to be done first.
pub fn may_follow(
    earlier: &Session,
    ground: &Ground,
    rehearsal: Option<&RehearsalEvidence>,
    again: bool,
) -> Result<(), NotYet> {
    let charter = &earlier.charter;
    if charter.rehearsal {
        return Ok(());
    }
    let session = charter.session.clone();
    if earlier.phase == Phase::Completed {
        return match ground.shared_with(earlier) {
            Some(what) if !again => Err(NotYet::Completed {
                session,
                what: what.to_owned(),
                target: ground.target.clone(),
                name: ground.database.clone(),
            }),
            _ => Ok(()),
        };
    }
    let rolled_back = earlier.phase == Phase::RolledBack && !earlier.is_no_go();
    if !rolled_back || !ground.has_target_of(earlier) {
        return Ok(());
    }
    let Some(correction) = &earlier.correction else {
        return Err(NotYet::Uncorrected {
            session,
            cause: cause(earlier),
        });
    };
    match rehearsal.filter(|r| r.is_green()) {
        Some(r) if r.ended_unix_s > correction.unix_s => Ok(()),
        _ => Err(NotYet::Unrehearsed {
            session,
            by: correction.by.clone(),
            what: correction.what.clone(),
        }),
    }
}

fn cause(earlier: &Session) -> String {
    let Some(rollback) = &earlier.rollback else {
        return "nobody recorded why".to_owned();
    };
    match &rollback.cause {
        RollbackCause::Person { by } => format!("{by}: {}", rollback.reason),
        RollbackCause::Trigger { trigger } => format!("{trigger}: {}", rollback.reason),
    }
}
