//! Gates and who signed what, what triggers did, what steps checked, the rollback, and planned against actual. Not in here: the
//! rules (`session`); this only tells what they came to.

mod plan;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::rows::{RowReport, Section, rows};
use crate::runbook::Role;
use crate::session::facts::{Baseline, Brought, Counts, Imported, Salvage, TableCost, TableCount};
use crate::session::live::ParityView;
use crate::session::{
    Event, EvidenceView, GateView, LineKind, Recorded, RollbackCause, Session, Signature,
    TriggerPhase,
};

pub(super) use plan::plan;
pub use plan::{Limit, PlanReport};

/// Somebody on the bridge.
#[derive(Debug, Clone, Serialize)]
pub struct PersonReport {
    /// As signatures name them.
    pub id: String,
    pub name: String,
    pub roles: Vec<Role>,
    /// How many rows of the protocol name them.
    pub rows: usize,
}

/// A K row.
#[derive(Debug, Clone, Serialize)]
pub struct GateReport {
    /// `K1`.
    pub id: String,
    /// As the runbook calls it.
    pub title: String,
    /// The step that waited for it.
    pub before: String,
    /// Whether it is green at the end.
    pub green: bool,
    /// Each piece of evidence, at the end.
    pub evidence: Vec<EvidenceView>,
    /// Every signature that was ever given, in order.
    pub signatures: Vec<SignatureReport>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SignatureReport {
    pub by: String,
    pub role: Role,
    /// In whose place, for a deputy.
    pub stands_in_for: Option<String>,
    /// Fingerprint of the SSH key that it was made with; `None` where the engine took the word of the machine's user.
    pub key: Option<String>,
    pub note: Option<String>,
    /// Hash of the evidence that it covers.
    pub evidence_hash: String,
    /// Its entry in the chain.
    pub seq: u64,
    /// When, in session time.
    pub at_ms: i64,
    pub wall: DateTime<Utc>,
    /// Whether it covers what is true at the end.
    pub valid: bool,
    pub void: Option<String>,
}

/// A T row that moved.
#[derive(Debug, Clone, Serialize)]
pub struct TriggerReport {
    /// `T3a`, or `T1a.app-3`.
    pub id: String,
    /// Each change of its state.
    pub moves: Vec<MoveReport>,
}

/// A change of a trigger's state.
#[derive(Debug, Clone, Serialize)]
pub struct MoveReport {
    pub to: TriggerPhase,
    /// In words and numbers.
    pub reason: String,
    /// Session time.
    pub at_ms: i64,
    /// Its entry in the chain.
    pub seq: u64,
}

/// A named result of a step.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    pub step: String,
    pub check: String,
    pub ok: bool,
    /// In words and numbers.
    pub detail: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct RollbackReport {
    /// Who or what began it.
    pub cause: RollbackCause,
    pub reason: String,
    /// Session time at which it began.
    pub started_ms: i64,
    /// Real seconds until the application served from SQLite again.
    pub restored_seconds: Option<f64>,
    /// Real seconds that all of it took.
    pub seconds: Option<f64>,
    /// The agreed RTO in real seconds.
    pub rto_seconds: f64,
    /// Whether the application served again within it.
    pub within_rto: Option<bool>,
    /// Whether it serves from SQLite again.
    pub healthy: Option<bool>,
    /// What users had written to PostgreSQL, by table; empty where nothing was found to be kept.
    pub left_behind: Vec<LeftBehind>,
    /// How much of it the rollback has brought into SQLite, and what stays, in a sentence; none where SQLite has none of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brought_back: Option<String>,
    /// The file in which those rows are kept.
    pub salvaged_to: Option<String>,
    /// What of those rows is not kept, and why; empty where everything is.
    pub not_kept: Vec<String>,
    pub rows: Vec<RowReport>,
}

/// Rows of one table that a rollback left behind in PostgreSQL.
#[derive(Debug, Clone, Serialize)]
pub struct LeftBehind {
    pub table: String,
    /// Rows that users inserted.
    pub inserted: u64,
    /// Rows that they changed.
    pub changed: u64,
    /// Rows that they deleted.
    pub deleted: u64,
}

/// A moment that people go by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mark {
    /// In a word or two.
    pub what: String,
    /// Session time.
    pub at_ms: i64,
}

/// A table, from the backup to the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TableReport {
    pub table: String,
    /// Rows that the restored backup had (A4).
    pub backup_rows: Option<u64>,
    /// Rows that were imported (D2).
    pub imported_rows: Option<u64>,
    /// Rows that the comparison found equal, value by value; from beside the chain.
    pub equal_rows: Option<u64>,
    /// Rows that it found missing, extra or different; from beside the chain.
    pub different_rows: Option<u64>,
}

pub(super) fn people(session: &Session) -> Vec<PersonReport> {
    let people = session.charter.people.iter();
    let rows = rows(session);
    people
        .map(|person| PersonReport {
            id: person.id.clone(),
            name: person.name.clone(),
            roles: person.roles.clone(),
            rows: rows.iter().filter(|r| r.by.contains(&person.id)).count(),
        })
        .collect()
}

pub(super) fn gates(session: &Session, recorded: &[Recorded]) -> Vec<GateReport> {
    let charter = &session.charter;
    let views = session.gates();
    charter
        .gates
        .iter()
        .zip(views)
        .map(|(gate, view)| GateReport {
            id: gate.id.clone(),
            title: gate.title.clone(),
            before: gate.before.clone(),
            green: view.green,
            signatures: signatures(recorded, &gate.id)
                .map(|(entry, signature)| {
                    let void = void(&view, recorded, signature, entry.seq);
                    SignatureReport {
                        by: signature.by.clone(),
                        role: signature.role,
                        stands_in_for: signature.stands_in_for.clone(),
                        key: signature.ssh.as_ref().map(|ssh| ssh.key.clone()),
                        note: signature.note.clone(),
                        evidence_hash: signature.evidence_hash.clone(),
                        seq: entry.seq,
                        at_ms: entry.at_ms,
                        wall: entry.wall,
                        valid: void.is_none(),
                        void,
                    }
                })
                .collect(),
            evidence: view.evidence,
        })
        .collect()
}

fn signatures<'r>(
    recorded: &'r [Recorded],
    gate: &'r str,
) -> impl Iterator<Item = (&'r Recorded, &'r Signature)> {
    recorded.iter().filter_map(move |entry| match &entry.event {
        Event::GateSigned { gate: g, signature } if g == gate => Some((entry, signature)),
        _ => None,
    })
}

/// Why a signature does not count (any more).
fn void(view: &GateView, recorded: &[Recorded], given: &Signature, seq: u64) -> Option<String> {
    let since = recorded.iter().filter(|entry| entry.seq > seq);
    let ended = since.filter_map(|entry| match &entry.event {
        Event::GateSigned { gate, signature }
            if *gate == view.id && signature.role == given.role =>
        {
            Some(format!("given again in event {}", entry.seq))
        }
        Event::SignatureWithdrawn { gate, role, by } if *gate == view.id && *role == given.role => {
            Some(format!("withdrawn by {by} in event {}", entry.seq))
        }
        Event::SignatureVoided {
            gate, role, why, ..
        } if *gate == view.id && *role == given.role => Some(why.clone()),
        _ => None,
    });
    let stands = |(_, s): &(Role, Option<Signature>)| s.as_ref() == Some(given);
    ended.take(1).next().or_else(|| {
        let void = !view.signers.iter().any(stands);
        void.then(|| "what it covers has changed since".to_owned())
    })
}

pub(super) fn triggers(session: &Session, recorded: &[Recorded]) -> Vec<TriggerReport> {
    let mut reports: Vec<TriggerReport> = Vec::new();
    for entry in recorded {
        let (id, to, reason) = match &entry.event {
            Event::TriggerMoved {
                trigger,
                state,
                reason,
            } => (trigger, *state, reason),
            Event::TriggerFired { trigger, reason } => (trigger, TriggerPhase::Fired, reason),
            _ => continue,
        };
        let step = MoveReport {
            to,
            reason: reason.clone(),
            at_ms: entry.at_ms,
            seq: entry.seq,
        };
        match reports.iter_mut().find(|r| r.id == *id) {
            Some(report) => report.moves.push(step),
            None => reports.push(TriggerReport {
                id: id.clone(),
                moves: vec![step],
            }),
        }
    }
    let triggers = &session.charter.triggers;
    let place = |id: &str| {
        let own = id.split('.').next();
        triggers.iter().position(|t| Some(t.id.as_str()) == own)
    };
    reports.sort_by_key(|r| place(&r.id).unwrap_or(usize::MAX));
    reports
}

pub(super) fn checks(session: &Session) -> Vec<CheckReport> {
    let outcomes = session
        .steps
        .iter()
        .filter_map(|s| Some((&s.id, s.outcome.as_ref()?)));
    outcomes
        .flat_map(|(step, outcome)| {
            outcome.checks.iter().map(|check| CheckReport {
                step: step.clone(),
                check: check.name.clone(),
                ok: check.ok,
                detail: check.detail.clone(),
            })
        })
        .collect()
}

fn seconds(from_ms: i64, to_ms: i64) -> f64 {
    (to_ms - from_ms).max(0) as f64 / 1_000.0
}

fn real_seconds(session: &Session, runbook_ms: i64) -> f64 {
    session.charter.real_ms(runbook_ms) as f64 / 1_000.0
}

pub(super) fn rollback(session: &Session) -> Option<RollbackReport> {
    let rollback = session.rollback.as_ref()?;
    let rto_seconds = real_seconds(session, session.charter.limits.rto_ms);
    let salvage = session.rollback_fact().unwrap_or_else(|unreadable| {
        let lacks = vec![unreadable.to_string()];
        Some(Salvage {
            lacks,
            ..Salvage::default()
        })
    });
    let salvage = salvage.unwrap_or_default();
    let file = salvage.file.map(|file| file.display().to_string());
    let brought_back = match session.rollback_fact::<Brought>() {
        Ok(brought) => {
            let shown = file.as_deref().unwrap_or("no file");
            brought.map(|brought| brought.sentence(shown))
        }
        Err(unreadable) => Some(unreadable.to_string()),
    };
    let restored = rollback
        .restored_ms
        .map(|ms| seconds(rollback.started_ms, ms));
    Some(RollbackReport {
        cause: rollback.cause.clone(),
        reason: rollback.reason.clone(),
        started_ms: rollback.started_ms,
        restored_seconds: restored,
        seconds: rollback.ended_ms.map(|ms| seconds(rollback.started_ms, ms)),
        rto_seconds,
        within_rto: match (restored, rollback.ended_ms) {
            (Some(took), _) => Some(took <= rto_seconds),
            (None, Some(_)) => Some(false),
            (None, None) => None,
        },
        healthy: rollback.healthy,
        left_behind: salvage.tables.into_iter().map(left_behind).collect(),
        brought_back,
        salvaged_to: file,
        not_kept: salvage.lacks,
        rows: rows(session)
            .into_iter()
            .filter(|r| r.section == Section::Rollback)
            .collect(),
    })
}

fn left_behind(cost: TableCost) -> LeftBehind {
    LeftBehind {
        table: cost.table,
        inserted: cost.inserted,
        changed: cost.changed,
        deleted: cost.deleted,
    }
}

/// The moments that tell one part of the night from the next.
pub(super) fn marks(session: &Session, recorded: &[Recorded]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut mark = |what: &str, at_ms: Option<i64>| {
        let what = what.to_owned();
        marks.extend(at_ms.map(|at_ms| Mark { what, at_ms }));
    };
    let reopened = session.step_of_kind(&LineKind::Reopen);
    mark("freeze", session.freeze().map(|(since, _)| since));
    mark("switch", session.switched_ms());
    let reopened = reopened.filter(|step| step.is_over());
    mark("writes reopened", reopened.and_then(|step| step.ended_ms));
    if let Some(fired) = &session.fired {
        mark(&format!("{} fired", fired.trigger), Some(fired.at_ms));
    }
    let rollback = session.rollback.as_ref();
    mark("rollback", rollback.map(|r| r.started_ms));
    mark("on SQLite again", rollback.and_then(|r| r.restored_ms));
    let completed = |e: &&Recorded| matches!(e.event, Event::SessionCompleted { .. });
    mark(
        "completed",
        recorded.iter().find(completed).map(|e| e.at_ms),
    );
    marks.sort_by_key(|mark| mark.at_ms);
    marks
}

/// What a report tells from and steps left behind in a form that this version does not know, in words.
pub(super) fn unreadable(session: &Session) -> Vec<String> {
    let baseline = session.fact::<Baseline>().err();
    let counts = session.fact::<Counts>().err();
    let imported = session.fact::<Imported>().err();
    let all = [baseline, counts, imported].into_iter().flatten();
    all.map(|unreadable| unreadable.to_string()).collect()
}

/// Every table of which a step or the comparison has said something. What cannot be read is in [`unreadable`].
pub(super) fn tables(session: &Session, seen: &ParityView) -> Vec<TableReport> {
    let mut tables: Vec<TableReport> = Vec::new();
    let counts = session.fact().ok().flatten();
    let counts = counts.map_or_else(Vec::new, |Counts(tables)| tables);
    let imported = session.fact().ok().flatten();
    let imported = imported.map_or_else(Vec::new, |Imported(tables)| tables);
    for TableCount { table, rows } in counts {
        entry(&mut tables, &table).backup_rows = Some(rows);
    }
    for (table, rows) in imported {
        entry(&mut tables, &table).imported_rows = Some(rows);
    }
    for compared in &seen.tables {
        let entry = entry(&mut tables, &compared.table);
        entry.equal_rows = compared.found.map(|(equal, _)| equal);
        entry.different_rows = compared.found.map(|(_, different)| different);
    }
    tables
}

fn entry<'t>(tables: &'t mut Vec<TableReport>, name: &str) -> &'t mut TableReport {
    let place = tables.iter().position(|t| t.table == name);
    let place = place.unwrap_or_else(|| {
        tables.push(TableReport {
            table: name.to_owned(),
            backup_rows: None,
            imported_rows: None,
            equal_rows: None,
            different_rows: None,
        });
        tables.len() - 1
    });
    &mut tables[place]
}
