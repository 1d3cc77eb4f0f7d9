//! How an engine begins: a new session is opened; an unfinished one is folded from its journal, what ran when the last engine died
//! becomes unknown, and the fence is raised again and compared.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::conduct::Conduct;
use super::guard;
use super::input::Input;
use super::lease::Lease;
use super::ledger::{Ledger, may_wait, reads, to_entry};
use super::notify::{Desk, Notifier};
use super::watch::{MEMORY, Watch};
use super::work::Work;
use super::{Error, Orders};
use crate::claim::{self, Claim};
use crate::clock;
use crate::history;
use crate::journal::{self, Entry, Folder, Follower, Journal, Retention, Spare};
use crate::monitor::Ground;
use crate::secret;
use crate::session::shape::Shape;
use crate::session::{Charter, Event, LineKind, Phase, Production, Session, StepStatus};
use crate::source::fence::{Fence, Quiet};
use crate::source::fingerprint::{Comparison, Fingerprint};
use crate::source::{self, content};
use crate::step::backup::Kept;
use crate::step::context::{SessionClock, Shared};
use crate::step::production;

/// How long the target may take to say by what it is known.
const IDENTITY_LIMIT: Duration = Duration::from_secs(1);

/// Everything that the loop needs, with what is unfinished already on its way.
///
/// # Errors
/// See [`Error`]; nothing was done.
pub async fn begin(
    orders: Orders,
    lease: &Lease,
    inputs: mpsc::UnboundedSender<Input>,
) -> Result<Conduct, Error> {
    let sealed = journal::sealed(&orders.folder)?;
    let (mut journal, entries) = Journal::open(&orders.folder, lease.fencing())?;
    check_what_follows(&orders.folder, &entries, sealed)?;
    journal.keep_readable(reads);
    let mut entries = if entries.is_empty() {
        open(&mut journal, &orders).await?
    } else {
        entries
    };
    let spare = spare_of(&orders, &entries);
    entries.extend(journal.keep_spare(spare, may_wait)?);
    let session = fold(&orders.folder, &entries)?;
    check_runbook(&orders, &session)?;
    let file = orders.base.join(&orders.runbook.source.file);
    claim::source::take(&file, &Claim::of(&orders.folder))?;
    let clock = session_clock(&session, &entries);
    let memory = Follower::open(&orders.folder)?.board(MEMORY)?;
    let scribe = journal.scribe(Retention::default())?;
    let ledger = Ledger::new(journal, session, clock);

    let (held, is_held) = watch::channel(ledger.session().held.is_some());
    let (items, checklist) = watch::channel(Vec::new());
    let ground = Ground {
        folder: orders.base.clone(),
        environment: Arc::clone(&orders.environment),
    };
    let desk = Desk {
        folder: orders.base.clone(),
        environment: Arc::clone(&orders.environment),
    };
    let name = ledger.session().charter.session.clone();
    let notifier = Notifier::start(&orders.runbook.notify, &name, &desk, inputs.clone());
    let watch = Watch::start(
        &orders.runbook,
        ground,
        &ledger,
        memory,
        items,
        inputs.clone(),
    );
    let shared = Shared {
        fence: Mutex::new(None),
        checklist,
        held: is_held,
        monitor: watch.monitor(),
        http: crate::fleet::client(),
        clock,
    };
    let work = Work::new(Arc::new(shared), inputs);
    let mut conduct = Conduct::new(orders, ledger, scribe, work, watch, notifier, held);
    conduct.append(vec![Event::EngineStarted {
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: clock::boot_id(),
        boot_ms: clock::now_ms(),
    }])?;
    conduct.take_up_untold()?;
    conduct.take_up_identities().await?;
    conduct.take_up_source().await?;
    conduct.take_up_rehearsal()?;
    restore_fence(&mut conduct).await?;
    conduct.take_up_signatures().await?;
    conduct.take_up_lost_work()?;
    Ok(conduct)
}

/// The file on the spare folder, where the runbook or the command line names one.
fn spare_of(orders: &Orders, entries: &[Entry]) -> Option<Spare> {
    let named = orders
        .spare
        .as_ref()
        .or(orders.runbook.bridge_spare.as_ref())?;
    let first = entries.first()?;
    let folder = orders.base.join(named);
    Some(Spare::of(&folder, &orders.folder.session(), first.hash))
}

/// The first event of a new session.
async fn open(journal: &mut Journal, orders: &Orders) -> Result<Vec<Entry>, Error> {
    let mut opening = orders.opening.clone();
    let file = orders.base.join(&orders.runbook.source.file);
    opening.production = Production {
        source: source::identity(&file).ok(),
        // A target that does not answer yet is B1's to find, and to record.
        target: production::of_target(&orders.runbook, IDENTITY_LIMIT)
            .await
            .ok(),
    };
    let charter = Box::new(Charter::new(&orders.runbook, opening));
    let (kind, body) = to_entry(&Event::SessionOpened { charter });
    Ok(journal.append(0, clock::wall(), &[(&kind, &body)])?)
}

/// The session that a journal's entries tell of.
pub(super) fn fold(folder: &Folder, entries: &[Entry]) -> Result<Session, Error> {
    let broken = |why: String| Error::NotASession {
        folder: folder.dir().to_owned(),
        why,
    };
    let events = history::events(entries).map_err(|e| broken(e.to_string()))?;
    Session::replay(&events).map_err(|e| broken(e.to_string()))
}

/// What follows upon the last event that an engine of this user wrote was written by members of the bridge, who may write the journal's file.
/// They record things of a session that is over; before, nobody but an engine writes.
fn check_what_follows(
    folder: &Folder,
    entries: &[Entry],
    sealed: Option<u64>,
) -> Result<(), Error> {
    let Some(sealed) = sealed.filter(|sealed| *sealed > 0) else {
        return Ok(());
    };
    let written = entries.iter().filter(|e| e.seq <= sealed).count();
    if written == entries.len() {
        return Ok(());
    }
    match fold(folder, &entries[..written])?.phase {
        Phase::RolledBack | Phase::Completed => Ok(()),
        Phase::Open | Phase::RollingBack => Err(Error::NotASession {
            folder: folder.dir().to_owned(),
            why: format!(
                "what follows upon event {sealed} was written by somebody else than the engine of the session's owner, while the session was \
                 not over. Neither database was touched; keep the folder as evidence"
            ),
        }),
    }
}

/// What signatures cover must be what runs; and what the journal says of gates and people is what the runbook says of them, for the
/// rules go by the journal, which lay there while nobody watched it.
fn check_runbook(orders: &Orders, session: &Session) -> Result<(), Error> {
    let was = &session.charter.runbook_hash;
    if *was != orders.runbook.hash {
        return Err(Error::RunbookChanged {
            session: session.charter.session.clone(),
            was: was.0.clone(),
            is: orders.runbook.hash.0.clone(),
        });
    }
    let by_runbook = Charter::new(&orders.runbook, orders.opening.clone());
    let is = |c: &Charter| {
        let parts = (
            (&c.people, &c.gates, &c.signing, c.rehearsal_max_age_ms),
            (c.sandbox, c.rehearsal),
        );
        let mut parts = serde_json::to_value(parts).expect("BUG: a charter is plain data");
        // As the journal has them, which may have been masked.
        secret::mask_json(&mut parts, |_| true);
        parts
    };
    let (was, now) = (&session.charter.target, &by_runbook.target);
    if !was.is_empty() && was != now {
        return Err(Error::NotASession {
            folder: orders.folder.dir().to_owned(),
            why: format!(
                "it was opened for the target {was}, and the orders lead to {now}. Neither database was touched; put the former orders back, \
                 or open a new session"
            ),
        });
    }
    match is(&session.charter) == is(&by_runbook) {
        true => Ok(()),
        false => Err(Error::NotASession {
            folder: orders.folder.dir().to_owned(),
            why: "what its first event says of people, gates or their signatures is not what the runbook says: it was not written \
                  by an engine"
                .to_owned(),
        }),
    }
}

/// Session time goes on where it was. On the same boot the boot clock tells how long nobody was there; after a restart of the
/// machine the wall clock has to.
pub(super) fn session_clock(session: &Session, entries: &[Entry]) -> SessionClock {
    let now_ms = clock::now_ms();
    let session_ms = match &session.engine {
        Some(engine) if engine.boot_id == clock::boot_id() => engine
            .at_ms
            .saturating_add(now_ms.saturating_sub(engine.boot_ms)),
        Some(_) => {
            let last = entries.last().map_or_else(clock::wall, |e| e.wall);
            session.at_ms + (clock::wall() - last).num_milliseconds().max(0)
        }
        None => session.at_ms,
    };
    SessionClock {
        offset_ms: session_ms.max(session.at_ms) - now_ms,
    }
}

/// The fence died with the last engine. While SQLite must stay as it is, it is raised again and what happened meanwhile is found
/// out: before the switch drift voids what was built on the freeze, after it people are told.
async fn restore_fence(conduct: &mut Conduct) -> Result<(), Error> {
    let session = conduct.session();
    let frozen = session
        .step_of_kind(&LineKind::Freeze)
        .is_some_and(|s| s.status == StepStatus::Done);
    if !frozen || session.phase != Phase::Open {
        return Ok(());
    }
    let before: Option<Fingerprint> = session
        .step_of_kind(&LineKind::Freeze)
        .and_then(|s| s.outcome.as_ref())
        .and_then(|o| serde_json::from_value(o.facts.get("fingerprint")?.clone()).ok());
    let path = conduct.runbook().source.file.clone();
    let quiet = Quiet {
        period: Duration::ZERO,
        ..Quiet::default()
    };
    let raised =
        tokio::task::spawn_blocking(move || Fence::raise(&path, &quiet, &CancellationToken::new()))
            .await
            .expect("BUG: the fence does not panic");
    let why = match raised {
        Ok(fence) => {
            // Who opens a file first after a crash moves all of its log into it once more: compared is what was there before we did.
            let compared = before.map(|b| b.compare(&fence.found()));
            conduct.hold_fence(fence).await;
            match compared {
                Some(Comparison::Same) => return Ok(()),
                Some(Comparison::Changed(why)) => why,
                Some(Comparison::Undecided(why)) => return conduct.compare_content(why).await,
                None => "there is nothing to compare the file with".to_owned(),
            }
        }
        Err(error) => format!("the fence could not be raised again: {error}"),
    };
    conduct.drifted(while_away(&why))
}

fn while_away(detail: &str) -> String {
    format!("while no engine ran: {detail}")
}

/// In what a file differs from its backup, in words. Blocks, and reads both whole.
fn differs(file: &Path, kept: &Kept) -> Option<String> {
    let is_same = || {
        kept.unchanged()?;
        let digest = |path| content::digest(path).map_err(|error| error.to_string());
        Ok::<bool, String>(digest(file)? == digest(&kept.path)?)
    };
    match is_same() {
        Ok(true) => None,
        Ok(false) => Some("its content is no longer that of the backup".to_owned()),
        Err(why) => Some(format!(
            "its content cannot be compared with the backup: {why}"
        )),
    }
}

impl Conduct {
    /// Where fingerprints cannot tell whether somebody wrote, the backup can: it is what the file held when it was frozen. Before the
    /// switch nothing goes on until that is known. After it nobody waits for two whole files to be read; an alarm may come later.
    async fn compare_content(&mut self, why: String) -> Result<(), Error> {
        let file = self.runbook().source.file.clone();
        let steps = self.session().steps.iter().rev();
        let mut kept = steps.filter_map(|s| s.outcome.as_ref()?.facts.get("backup"));
        let kept = kept.find_map(|v| serde_json::from_value::<Kept>(secret::revealed_json(v)).ok());
        let Some(kept) = kept else {
            return self.drifted(while_away(&why));
        };
        let reading = tokio::task::spawn_blocking(move || {
            differs(&file, &kept).map(|differs| while_away(&format!("{why}, and {differs}")))
        });
        if self.session().switched_ms().is_none() {
            return match reading.await.expect("BUG: comparing does not panic") {
                Some(detail) => self.drifted(detail),
                None => Ok(()),
            };
        }
        let inputs = self.inputs();
        tokio::spawn(async move {
            if let Ok(Some(detail)) = reading.await {
                // Without a loop that takes it in, the session has no engine any more: the next one compares again.
                let _ = inputs.send(Input::Drifted { detail });
            }
        });
        Ok(())
    }

    /// What a guard could not tell while no engine ran is said now.
    fn take_up_untold(&mut self) -> Result<(), Error> {
        let untold = guard::take_untold(&self.orders.folder);
        if untold.is_empty() {
            return Ok(());
        }
        self.append(untold.into_iter().map(Event::alarm).collect())
    }

    /// Whether paths and URLs still lead where they did. C1, D2 and F1 refuse where they do not; people hear of it at once.
    async fn take_up_identities(&mut self) -> Result<(), Error> {
        let session = self.session();
        if session.phase == Phase::Completed {
            return Ok(());
        }
        let file = self.orders.base.join(&self.runbook().source.file);
        let was = session.charter.production.source;
        let mut differ: Vec<String> = production::compare_source(was, file)
            .err()
            .into_iter()
            .collect();
        if let Some(was) = production::target_of(session) {
            let now = production::of_target(self.runbook(), IDENTITY_LIMIT).await;
            // One that does not answer is for the steps to tell.
            if let Some(now) = now.ok().filter(|now| *now != was) {
                differ.push(format!(
                    "`target.url` leads to another database ({now}) than when the session was opened ({was})"
                ));
            }
        }
        if differ.is_empty() {
            return Ok(());
        }
        self.append(differ.into_iter().map(Event::alarm).collect())
    }

    /// Until the freeze, the source's schema is what it is now; A1 looks once more. A file that cannot be read now is for the steps to
    /// tell.
    async fn take_up_source(&mut self) -> Result<(), Error> {
        let session = self.session();
        if session.phase != Phase::Open || session.freeze().is_some() {
            return Ok(());
        }
        let path = self.runbook().source.file.clone();
        let transfer = self.runbook().transfer.clone();
        let read = tokio::task::spawn_blocking(move || {
            let connection = source::open_read_only(&path).ok()?;
            source::shape::read(&connection, &|table| transfer.excludes_table(table)).ok()
        });
        let Some(read) = read.await.expect("BUG: reading a schema does not panic") else {
            return Ok(());
        };
        let shape = Shape(read);
        if self.session().source_shape.as_ref() == Some(&shape) {
            return Ok(());
        }
        self.append(vec![Event::SourceSeen { shape }])
    }

    /// The rehearsal that the operator's machine knows counts as evidence, once.
    fn take_up_rehearsal(&mut self) -> Result<(), Error> {
        let Some(rehearsal) = self.orders.rehearsal.clone() else {
            return Ok(());
        };
        if self.session().rehearsal.as_ref() == Some(&rehearsal)
            || self.session().phase != Phase::Open
        {
            return Ok(());
        }
        self.append(vec![Event::RehearsalRecorded { rehearsal }])
    }

    /// Before the switch, SSH signatures of a journal that nobody watched are checked anew; after it they have had their say, and
    /// `cutover report --verify` is who looks at them.
    async fn take_up_signatures(&mut self) -> Result<(), Error> {
        let session = self.session();
        if session.phase != Phase::Open || session.switched_ms().is_some() {
            return Ok(());
        }
        let voided = self.verifier().void(session).await;
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
            .charter
            .steps
            .iter()
            .zip(&session.steps)
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
