//! How an engine begins: a new session is opened; an unfinished one is folded from its journal, and belongs to the runbook and the user
//! that it should. Not in here: what is found out then (`take_up`).

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::astray::{Astray, IDENTITY_LIMIT};
use super::conduct::Conduct;
use super::input::Input;
use super::lease::Lease;
use super::ledger::{Ledger, may_wait, reads, to_entry};
use super::outside::Process;
use super::real::Real;
use super::watch::{MEMORY, Watch};
use super::{Error, Orders};
use crate::claim::{self, Claim};
use crate::clock;
use crate::history;
use crate::journal::{self, Entry, Folder, Follower, Journal, Retention, Spare};
use crate::secret;
use crate::session::{Charter, Event, Phase, Production, Session};
use crate::sqlite;
use crate::step::context::SessionClock;
use crate::step::production;

/// Everything that the loop needs, with what is unfinished already on its way.
///
/// # Errors
/// See [`Error`]; nothing was done.
pub async fn begin(
    orders: Orders,
    lease: &Lease,
    inputs: mpsc::UnboundedSender<Input>,
) -> Result<Conduct<Real>, Error> {
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
    let astray = Astray::look(&orders, &session).await;
    astray.may_begin(&session, orders.to_roll_back)?;
    let file = orders.base.join(&orders.runbook.source.file);
    claim::source::take(&file, &Claim::of(&orders.folder))?;
    let clock = session_clock(&session, &entries);
    let memory = Follower::open(&orders.folder)?.board(MEMORY)?;
    let scribe = journal.scribe(Retention::default())?;
    let ledger = Ledger::new(journal, session);
    let watch = Watch::new(&orders.runbook, ledger.session(), memory);
    let outside = Real::begin(orders, ledger.session(), astray, clock, scribe, inputs);
    let mut conduct = Conduct::new(outside, ledger, watch);
    conduct.take_up().await?;
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
        source: sqlite::identity(&file).ok(),
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

/// The session's clock, as this process reads it.
pub(super) fn session_clock(session: &Session, entries: &[Entry]) -> SessionClock {
    let now_ms = clock::now_ms();
    let now = Process {
        pid: std::process::id(),
        boot_id: clock::boot_id(),
        boot_ms: now_ms,
    };
    let last = entries.last().map(|e| e.wall);
    SessionClock {
        offset_ms: session_ms(session, last, &now, clock::wall()) - now_ms,
    }
}

/// Session time goes on where it was. On the same boot the boot clock tells how long nobody was there; after a restart of the
/// machine the wall clock has to. `last` is the wall clock at the last event.
pub fn session_ms(
    session: &Session,
    last: Option<DateTime<Utc>>,
    now: &Process,
    wall: DateTime<Utc>,
) -> i64 {
    let session_ms = match &session.engine {
        Some(engine) if engine.boot_id == now.boot_id => engine
            .at_ms
            .saturating_add(now.boot_ms.saturating_sub(engine.boot_ms)),
        Some(_) => session.at_ms + (wall - last.unwrap_or(wall)).num_milliseconds().max(0),
        None => session.at_ms,
    };
    session_ms.max(session.at_ms)
}
