//! What a rehearsal proves: which rows K3, K4 and K6 rest on, what would have ended the night, and what was not rehearsed. Pure.
//!
//! Not in here: whether a rehearsal counts for a night (`gates`), what a rehearsal leaves out beforehand (`runbook::rehearsal`), and where
//! its evidence is kept.

use strum::IntoEnumIterator as _;

use super::charter::StepLine;
use super::event::{Outcome, RehearsalEvidence, TriggerPhase};
use super::facts::{Unproven, WriteLeftRows};
use super::state::{Rollback, Session, StepState, StepStatus};
use crate::runbook::{RehearsalPart, StepWord};

/// Under this name an outcome says that production was changed.
pub const UNTOUCHED: &str = "production_untouched";

/// Which part of a rehearsal a row of this kind belongs to; `None` for what every part builds on.
pub fn part_of(word: StepWord) -> Option<RehearsalPart> {
    use StepWord as W;
    match word {
        W::Migrate | W::MigrationHistory => Some(RehearsalPart::Migrations),
        W::ExportOrder
        | W::Import
        | W::Sequences
        | W::Constraints
        | W::RowCounts
        | W::Samples
        | W::Smoke
        | W::ParityGate => Some(RehearsalPart::Import),
        W::Switch
        | W::Rollout
        | W::RollbackReady
        | W::VerifyCounts
        | W::VerifyEndpoints
        | W::VerifySlugs
        | W::VerifyOrder
        | W::VerifyIntegrity
        | W::Reopen
        | W::Stabilise
        | W::Checklist => Some(RehearsalPart::Rollback),
        W::Announce
        | W::Confirm
        | W::Baseline
        | W::Freeze
        | W::Backup
        | W::StoreBackup
        | W::RestoreDrill
        | W::TargetCheck
        | W::Privileges
        | W::Connectivity
        | W::KeepArtefacts
        | W::Command => None,
    }
}

/// Kinds without a row of which a part is not proven. Smoke checks are the runbook's choice.
fn needed(part: RehearsalPart) -> impl Iterator<Item = StepWord> {
    StepWord::iter().filter(move |word| part_of(*word) == Some(part) && *word != StepWord::Smoke)
}

/// What the rehearsal of this session proved. `head` is its journal's.
pub fn evidence(session: &Session, head: String, ended_unix_s: i64) -> RehearsalEvidence {
    let seen = Seen { session };
    let charter = &session.charter;
    let not_run = charter.unrehearsed.iter().filter(|u| u.is_not_run);
    RehearsalEvidence {
        session: charter.session.clone(),
        runbook_hash: charter.runbook_hash.clone(),
        sandbox: charter.sandbox,
        head,
        ended_unix_s,
        // A step of this very process left it behind.
        source: session.shape().ok().flatten(),
        parts: vec![
            seen.part(
                RehearsalPart::Migrations,
                seen.all_done(
                    RehearsalPart::Migrations,
                    "migrations rehearsed, schema complete",
                ),
            ),
            seen.part(
                RehearsalPart::Import,
                seen.all_done(
                    RehearsalPart::Import,
                    "import rehearsed, parity fully green",
                ),
            ),
            seen.part(RehearsalPart::Rollback, seen.rolled_back()),
        ],
        rollback_ms: seen.rollback_ms(),
        took_ms: took(session),
        not_run: not_run.map(|u| u.why.clone()).collect(),
        against: seen.against(),
        not_rehearsed: seen.not_rehearsed(),
    }
}

/// A rehearsal that is over.
struct Seen<'s> {
    session: &'s Session,
}

impl Seen<'_> {
    /// A part's verdict and its line. What changed production proves nothing, and what was not run proves nothing of its own part.
    fn part(
        &self,
        part: RehearsalPart,
        proven: Result<String, String>,
    ) -> (RehearsalPart, bool, String) {
        let mut left_out = self.session.charter.unrehearsed.iter();
        let unproven = left_out.find(|u| u.costs_part && u.part == part);
        let refused = self.changed().or(unproven.map(|u| u.why.clone()));
        if let Some(why) = refused {
            return (part, false, why);
        }
        match (proven, self.not_run(part)) {
            (Ok(line), None) => (part, true, line),
            (Ok(line), Some(names)) => {
                let line = format!("{line}; not run, so not proven: {names}");
                (part, true, line)
            }
            (Err(line), _) => (part, false, line),
        }
    }

    /// Actions of a part that were not run, by name.
    fn not_run(&self, part: RehearsalPart) -> Option<String> {
        let all = self.session.charter.unrehearsed.iter();
        let of_part = all.filter(|u| u.is_not_run && u.part == part);
        let names: Vec<&str> = of_part.map(|u| u.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn steps(&self) -> impl Iterator<Item = (&StepLine, &StepState)> {
        self.session.lines()
    }

    fn rows(&self) -> impl Iterator<Item = &StepState> {
        self.session.rollback.iter().flat_map(|r| &r.rows)
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let all = self.session.steps.iter().chain(self.rows());
        all.filter_map(|row| row.outcome.as_ref())
    }

    /// That an action changed production, and which.
    fn changed(&self) -> Option<String> {
        let mut checks = self.outcomes().flat_map(|outcome| &outcome.checks);
        let red = checks.find(|check| check.name == UNTOUCHED && !check.ok)?;
        Some(red.detail.clone())
    }

    /// Every row of a part is done, and the runbook has one of each kind that it takes.
    fn all_done(&self, part: RehearsalPart, good: &str) -> Result<String, String> {
        let of_part = |line: &StepLine| line.word.and_then(part_of) == Some(part);
        let mut open = self
            .steps()
            .filter(|(line, state)| of_part(line) && state.status != StepStatus::Done);
        if let Some((_, state)) = open.next() {
            return Err(self.why_not(state));
        }
        match needed(part).find(|word| self.row_of(*word).is_none()) {
            None => Ok(good.to_owned()),
            Some(word) => Err(no_row(word)),
        }
    }

    fn row_of(&self, word: StepWord) -> Option<&StepState> {
        let mut rows = self.steps().filter(|(line, _)| line.word == Some(word));
        rows.next().map(|(_, state)| state)
    }

    /// Why a step is not done: what it said itself, or what stopped the rehearsal before it.
    fn why_not(&self, step: &StepState) -> String {
        let said = |state: &StepState| state.outcome.as_ref().map(|o| o.summary.clone());
        let id = &step.id;
        if let Some(why) = said(step) {
            return format!("{id}: {why}");
        }
        let mut steps = self.session.steps.iter();
        let stopped = steps.find(|s| s.status == StepStatus::Failed);
        match stopped.and_then(|s| Some((&s.id, said(s)?))) {
            Some((failed, why)) => format!("{id}: it was not reached, for {failed} failed: {why}"),
            None => format!("{id}: it was not reached"),
        }
    }

    /// Which rows the representative write left behind, for the end of a line.
    fn left_rows(&self) -> String {
        match self.session.fact() {
            Ok(None) => String::new(),
            Ok(Some(WriteLeftRows(said))) => format!("; {said}"),
            Err(unreadable) => format!("; {unreadable}"),
        }
    }

    fn rollback_ms(&self) -> i64 {
        let rollback = self.session.rollback.as_ref();
        let restored = rollback.and_then(|r| Some(r.restored_ms? - r.started_ms));
        restored.unwrap_or(i64::MAX)
    }

    /// What would have ended the night, a line each. A rehearsal ends by a person's word once everything is done; whatever else ended it
    /// would have rolled production back, or left the night where nobody could complete it.
    fn against(&self) -> Vec<String> {
        let Some(rollback) = &self.session.rollback else {
            return vec!["it did not come to its rollback".to_owned()];
        };
        let mut lines: Vec<String> = self.changed().into_iter().collect();
        lines.extend(self.failed_before(rollback));
        lines.extend(self.fired_before(rollback));
        let not_reached = self.not_reached();
        // What was armed a moment ago has seen nothing yet.
        if lines.is_empty() && not_reached.is_none() {
            lines.extend(self.blind());
        }
        lines.extend(not_reached);
        lines.extend(self.failed_rows());
        lines
    }

    fn failed_before(&self, rollback: &Rollback) -> Option<String> {
        let mut failed = self.session.steps.iter().filter(|state| {
            let in_time = |ended: i64| ended < rollback.started_ms;
            state.status == StepStatus::Failed && state.ended_ms.is_some_and(in_time)
        });
        failed.next().map(|step| {
            let said = step.outcome.as_ref().map_or("", |o| o.summary.as_str());
            format!("{} failed: {said}", step.id)
        })
    }

    fn fired_before(&self, rollback: &Rollback) -> Option<String> {
        let fired = self.session.fired.as_ref()?;
        (fired.at_ms <= rollback.started_ms)
            .then(|| format!("trigger {} fired: {}", fired.trigger, fired.reason))
    }

    /// Triggers that saw nothing to the end, at least for as long as the checklist was looked at: one moment of it is a busy machine.
    fn blind(&self) -> impl Iterator<Item = String> {
        let looked_ms = self.row_of(StepWord::Checklist);
        let looked_ms = looked_ms.and_then(|row| row.started_ms);
        let all = self.session.triggers.iter();
        let blind = all.filter(move |(_, state)| {
            let is_long = looked_ms.is_none_or(|looked_ms| state.since_ms < looked_ms);
            state.phase == TriggerPhase::Blind && is_long
        });
        blind.map(|(id, state)| format!("trigger {id} was blind to the end: {}", state.reason))
    }

    /// Steps that were not done and did not fail by themselves.
    fn not_reached(&self) -> Option<String> {
        let failed = self.session.rollback.as_ref();
        let failed = failed.and_then(|rollback| {
            let of_itself = |s: &&StepState| {
                s.status == StepStatus::Failed
                    && s.ended_ms.is_some_and(|ended| ended < rollback.started_ms)
            };
            self.session.steps.iter().find(of_itself)
        });
        let is_open = |state: &&StepState| {
            state.status != StepStatus::Done && failed.is_none_or(|failed| failed.id != state.id)
        };
        let open: Vec<&StepState> = self.session.steps.iter().filter(is_open).collect();
        match open.as_slice() {
            [] => None,
            [one] => Some(format!("{} was not reached", one.id)),
            [first, more @ ..] => Some(format!(
                "{} and {} rows after it were not reached",
                first.id,
                more.len()
            )),
        }
    }

    /// Rows of the rollback that failed, whether or not the application came back by them.
    fn failed_rows(&self) -> impl Iterator<Item = String> {
        let failed = self.rows().filter(|row| row.status == StepStatus::Failed);
        failed.map(|row| {
            let said = row.outcome.as_ref().map_or("", |o| o.summary.as_str());
            format!("{} of the rollback failed: {said}", row.id)
        })
    }

    /// What was left out beforehand, and what steps did not see.
    fn not_rehearsed(&self) -> Vec<(RehearsalPart, String)> {
        let beforehand = self.session.charter.unrehearsed.iter();
        let beforehand = beforehand.map(|u| (u.part, u.why.clone()));
        let unseen = self.steps().filter_map(|(line, state)| {
            let unproven = match state.outcome.as_ref()?.fact(&state.id) {
                Ok(found) => found.map(|Unproven(why)| why)?,
                Err(unreadable) => unreadable.to_string(),
            };
            let part = line.word.and_then(part_of);
            let part = part.unwrap_or(RehearsalPart::Rollback);
            Some((part, format!("{}: {unproven}", state.id)))
        });
        beforehand.chain(unseen).collect()
    }

    /// K6: the way back from PostgreSQL, once all that comes before it went as it must in the night.
    fn rolled_back(&self) -> Result<String, String> {
        let charter = &self.session.charter;
        let rollback_ms = self.rollback_ms();
        let in_time = rollback_ms <= charter.real_ms(charter.limits.rto_ms);
        let rollback = self.session.rollback.as_ref();
        let healthy = rollback.is_some_and(|r| r.healthy == Some(true));
        let seconds = rollback_ms as f64 / 1000.0;
        let Some(rollout) = self.row_of(StepWord::Rollout) else {
            return Err(no_row(StepWord::Rollout));
        };
        if !healthy {
            return Err("the application was not healthy after the rollback".to_owned());
        }
        if !in_time {
            return Err(format!("the rollback took {seconds:.1} s, beyond the RTO"));
        }
        if rollout.status != StepStatus::Done {
            return Err(format!(
                "{} was not reached, so no rollback from PostgreSQL was rehearsed; {}",
                rollout.id,
                self.why_not(rollout)
            ));
        }
        let against = self.against();
        if against.is_empty() {
            return Ok(format!(
                "rolled back from PostgreSQL in {seconds:.1} s, within the RTO{}",
                self.left_rows()
            ));
        }
        let is_of_rollback = against.len() == self.failed_rows().count();
        Err(match is_of_rollback {
            true => against.join("; "),
            false => format!("{}; the night would have ended there", against.join("; ")),
        })
    }
}

fn no_row(word: StepWord) -> String {
    let word: &str = word.into();
    format!("the runbook has no step of kind `{word}`, so nothing of it was rehearsed")
}

/// What each step, and each row of the rollback, took.
fn took(session: &Session) -> Vec<(String, i64)> {
    let rollback = session.rollback.iter().flat_map(|r| &r.rows);
    let rows = session.steps.iter().chain(rollback);
    let took = |row: &StepState| Some((row.id.clone(), row.ended_ms? - row.started_ms?));
    rows.filter(|row| row.status == StepStatus::Done)
        .filter_map(took)
        .collect()
}
