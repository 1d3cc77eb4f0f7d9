//! How a loop takes up a session, new or left by an engine that died: what became true meanwhile is found out and recorded, what is drifted
//! is void, and what ran then is looked into. The same over any [`Outside`].
//!
//! Not in here: the journal, the lease and the claim, which `resume` sees to before.

use super::Error;
use super::astray::Astray;
use super::conduct::Conduct;
use super::outside::{Compared, Outside};
use crate::session::facts::Backup;
use crate::session::{Event, LineKind, Phase, StepStatus};

impl<O: Outside> Conduct<O> {
    /// Takes the session up. After this the loop may take inputs.
    pub async fn take_up(&mut self) -> Result<(), Error> {
        let process = self.outside.process();
        self.append(vec![Event::EngineStarted {
            pid: process.pid,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: process.boot_id,
            boot_ms: process.boot_ms,
        }])?;
        self.take_up_left().await?;
        self.take_up_untold()?;
        let is_other_file = self.take_up_identities()?;
        // Another file is not fenced, and nothing is said of it as if it were the session's own.
        if !is_other_file {
            self.take_up_source().await?;
            self.take_up_rehearsal()?;
            self.restore_fence().await?;
            self.take_up_signatures().await?;
        }
        self.take_up_lost_work()
    }

    /// A command that a killed engine left running would act beside what is done from now on.
    async fn take_up_left(&mut self) -> Result<(), Error> {
        let left = self.outside.end_left().await;
        if left.is_empty() {
            return Ok(());
        }
        self.append(left.into_iter().map(Event::alarm).collect())
    }

    /// What a guard could not tell while no engine ran is said now.
    fn take_up_untold(&mut self) -> Result<(), Error> {
        let untold = self.outside.untold();
        if untold.is_empty() {
            return Ok(());
        }
        self.append(untold.into_iter().map(Event::alarm).collect())
    }

    /// Whether paths and URLs still lead where they did: people hear of it where they do not. An engine that begins all the same, for it is
    /// to roll back, does nothing else. Gives whether the SQLite file is another one.
    fn take_up_identities(&mut self) -> Result<bool, Error> {
        let Astray {
            differs,
            is_other_file,
            unseen,
        } = self.outside.astray();
        self.only_rolls_back = !differs.is_empty();
        let told: Vec<Event> = differs
            .into_iter()
            .chain(unseen)
            .map(Event::alarm)
            .collect();
        if !told.is_empty() {
            self.append(told)?;
        }
        Ok(is_other_file)
    }

    /// Until the freeze, the source's schema is what it is now; A1 looks once more. A file that cannot be read now is for the steps to
    /// tell.
    async fn take_up_source(&mut self) -> Result<(), Error> {
        if self.session().phase != Phase::Open || self.session().freeze().is_some() {
            return Ok(());
        }
        let Some(shape) = self.outside.source_shape().await else {
            return Ok(());
        };
        if self.session().source_shape.as_ref() == Some(&shape) {
            return Ok(());
        }
        self.append(vec![Event::SourceSeen { shape }])
    }

    /// The rehearsal that the operator's machine knows counts as evidence, once.
    fn take_up_rehearsal(&mut self) -> Result<(), Error> {
        let Some(rehearsal) = self.outside.rehearsal() else {
            return Ok(());
        };
        if self.session().rehearsal.as_ref() == Some(&rehearsal)
            || self.session().phase != Phase::Open
        {
            return Ok(());
        }
        self.append(vec![Event::RehearsalRecorded { rehearsal }])
    }

    /// The fence died with the last engine. While SQLite must stay as it is, it is raised again and what happened meanwhile is found
    /// out: before the switch drift voids what was built on the freeze, after it people are told.
    async fn restore_fence(&mut self) -> Result<(), Error> {
        let session = self.session();
        let frozen = session
            .step_of_kind(&LineKind::Freeze)
            .is_some_and(|s| s.status == StepStatus::Done);
        if !frozen || session.phase != Phase::Open {
            return Ok(());
        }
        match self.outside.raise_fence(self.ledger.session()).await {
            Compared::Same => Ok(()),
            Compared::Changed(why) => self.drifted(while_away(&why)),
            // Before the switch what is not proven does not count; after it nobody says more than is known.
            Compared::Unproven(why) if self.session().has_switched() => {
                self.append(vec![Event::alarm(format!(
                    "whether SQLite was written after the switch is not known: {}. Look at the file by hand",
                    while_away(&why)
                ))])
            }
            Compared::Unproven(why) => self.drifted(while_away(&why)),
            Compared::Undecided(why) => self.compare_content(why).await,
        }
    }

    /// Where fingerprints cannot tell whether somebody wrote, the backup can: it is what the file held when it was frozen. Before the
    /// switch nothing goes on until that is known. After it only F4 waits for two whole files to be read.
    async fn compare_content(&mut self, why: String) -> Result<(), Error> {
        let kept = match self.session().revealed_fact() {
            Ok(Some(Backup(kept))) => kept,
            Ok(None) => return self.drifted(while_away(&why)),
            Err(unreadable) => return self.drifted(while_away(&format!("{why}; {unreadable}"))),
        };
        if self.session().has_switched() {
            self.outside.differs_later(kept, while_away(&why));
            return Ok(());
        }
        match self.outside.differs(kept).await {
            Some(differs) => self.drifted(format!("{}, and {differs}", while_away(&why))),
            None => Ok(()),
        }
    }

    /// Before the switch, SSH signatures of a journal that nobody watched are checked anew; after it they have had their say, and
    /// `cutover report --verify` is who looks at them.
    async fn take_up_signatures(&mut self) -> Result<(), Error> {
        if self.session().phase != Phase::Open || self.session().switched_ms().is_some() {
            return Ok(());
        }
        let voided = self.outside.void_signatures(self.ledger.session()).await;
        if voided.is_empty() {
            return Ok(());
        }
        self.append(voided)
    }

    /// What ran when the last engine died: a step is unknown until its kind has found out; a rollback row simply goes on, for each
    /// is idempotent; people's confirmations were never ours.
    fn take_up_lost_work(&mut self) -> Result<(), Error> {
        let session = self.session();
        let lost: Vec<Event> = session
            .lines()
            .filter(|(line, s)| {
                matches!(s.status, StepStatus::Running | StepStatus::Unknown)
                    && !matches!(line.kind, LineKind::Confirm(_))
                    && session.phase == Phase::Open
            })
            .map(|(line, s)| Event::StepLost {
                step: line.id.clone(),
                attempt: s.attempt,
            })
            .collect();
        let rows: Vec<Event> = session
            .rollback
            .iter()
            .filter(|_| session.phase == Phase::RollingBack)
            .flat_map(|r| r.rows.iter().filter(|s| s.status == StepStatus::Running))
            .map(|s| Event::RollbackRowStarted { row: s.id.clone() })
            .collect();
        let events: Vec<Event> = lost.into_iter().chain(rows).collect();
        if events.is_empty() {
            Ok(())
        } else {
            self.append(events)
        }
    }
}

fn while_away(detail: &str) -> String {
    format!("while no engine ran: {detail}")
}
