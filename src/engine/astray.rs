//! Whether both databases are still those that the session was opened on, looked at when an engine begins, and what follows where they are
//! not: it does not begin, unless a rollback is under way or is what it was started for.
//!
//! Not in here: by what a database is known (`identity`), and the steps that look once more (`step::production`).

use std::time::Duration;

use super::{Error, Orders};
use crate::session::{Phase, Session};
use crate::step::production::{self, Differs};

/// How long the target may take to say by what it is known.
pub const IDENTITY_LIMIT: Duration = Duration::from_secs(1);

/// In what the databases are not those of the opening, a sentence each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Astray {
    /// Another database is there.
    pub differs: Vec<String>,
    /// The SQLite file is one of them.
    pub is_other_file: bool,
    /// Whether it is the same could not be seen.
    pub unseen: Vec<String>,
}

impl Astray {
    /// Looks at both. A target that does not answer is for the steps to tell.
    pub async fn look(orders: &Orders, session: &Session) -> Astray {
        let mut astray = Astray::default();
        if session.phase == Phase::Completed {
            return astray;
        }
        let file = orders.base.join(&orders.runbook.source.file);
        match production::compare_source(session.charter.production.source, &file) {
            Ok(()) => {}
            Err(another @ Differs::Another { .. }) => {
                astray.is_other_file = true;
                astray.differs.push(another.to_string());
            }
            Err(unseen @ Differs::Unseen { .. }) => astray.unseen.push(unseen.to_string()),
        }
        match production::target_of(session) {
            Ok(None) => {}
            Ok(Some(was)) => {
                let now = production::of_target(&orders.runbook, IDENTITY_LIMIT).await;
                if let Some(now) = now.ok().filter(|now| *now != was) {
                    astray.differs.push(format!(
                        "`target.url` leads to another database ({now}) than when the session was opened ({was})"
                    ));
                }
            }
            Err(unreadable) => astray.unseen.push(unreadable.to_string()),
        }
        astray
    }

    /// Whether an engine may begin in this phase. A rollback goes on, for its rows look themselves; and it has to begin where somebody wants it.
    pub fn may_begin(&self, session: &Session, to_roll_back: bool) -> Result<(), Error> {
        let goes_on = match session.phase {
            Phase::Open => to_roll_back,
            Phase::RollingBack | Phase::RolledBack | Phase::Completed => true,
        };
        match self.differs.is_empty() || goes_on {
            true => Ok(()),
            false => Err(Error::OtherDatabases {
                session: session.charter.session.clone(),
                what: self.differs.join("; "),
            }),
        }
    }
}
