//! The loop's surroundings in production: tasks, probes, channels, disks, files, and this machine's clocks.
//!
//! Not in here: when any of it is asked for (`conduct`, `take_up`, `aside`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::astray::Astray;
use super::conduct::Conduct;
use super::disks::Disks;
use super::heartbeat::{self, Wait};
use super::input::Input;
use super::muster::Muster;
use super::notify::{Desk, Notifier};
use super::outside::{Beside, Compared, Effect, Moment, Outside, Process};
use super::probes::Probes;
use super::room::Room;
use super::signatures::Verifier;
use super::tasks::Tasks;
use super::upkeep::Lookout;
use super::{Error, Orders, guard};
use crate::action;
use crate::claim::{self, Claim};
use crate::clock;
use crate::journal::{self, Folder, Journal, Notes, Scribe, files};
use crate::monitor::{Ground, Monitor};
use crate::session::room::spots;
use crate::session::shape::Shape;
use crate::session::{Event, LineKind, Phase, RehearsalEvidence, Session, StepState};
use crate::sqlite;
use crate::sqlite::fence::{Fence, Quiet};
use crate::sqlite::fingerprint::{Comparison, Fingerprint};
use crate::step::backup::Kept;
use crate::step::closing;
use crate::step::context::{Content, SessionClock, Shared};

/// How long the end of an engine waits for what is still to be told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What the loop reaches at night.
pub struct Real {
    orders: Orders,
    clock: SessionClock,
    scribe: Scribe,
    notes: Notes,
    tasks: Tasks,
    probes: Probes,
    monitor: Arc<Monitor>,
    notifier: Notifier,
    held: watch::Sender<bool>,
    content: watch::Sender<Content>,
    lookout: Lookout,
    _muster: Muster,
    room: Room,
    boot_id: String,
    astray: Astray,
    _disks: Disks,
}

impl Real {
    /// Starts what runs beside the loop. Must be called within a tokio runtime.
    pub fn begin(
        orders: Orders,
        session: &Session,
        astray: Astray,
        clock: SessionClock,
        scribe: Scribe,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Real {
        let (held, is_held) = watch::channel(session.held.is_some());
        let (items, checklist) = watch::channel(Vec::new());
        let (content, content_seen) = watch::channel(Content::default());
        let runbook = &orders.runbook;
        let environment = || Arc::clone(&orders.environment);
        let ground = Ground {
            folder: orders.base.clone(),
            environment: environment(),
        };
        let desk = Desk {
            folder: orders.base.clone(),
            environment: environment(),
        };
        let name = &session.charter.session;
        let notifier = Notifier::start(&runbook.notify, name, &desk, inputs.clone());
        let probes = Probes::start(
            runbook,
            ground.clone(),
            &orders.folder,
            session,
            clock,
            items,
            inputs.clone(),
        );
        let monitor = probes.monitor();
        let shared = Shared {
            fence: Mutex::new(None),
            target_fence: Mutex::new(None),
            feed: probes.feed_handover(),
            content: content_seen,
            checklist,
            held: is_held,
            monitor: Arc::clone(&monitor),
            http: crate::fleet::client(),
            clock,
        };
        let disks = spots(runbook, &orders.base, orders.folder.dir());
        let source = orders.base.join(&runbook.source.file);
        Real {
            lookout: Lookout::begin(runbook, &orders.base, Arc::clone(&monitor), inputs.clone()),
            _muster: Muster::begin(
                runbook,
                ground.clone(),
                Arc::clone(&monitor),
                inputs.clone(),
            ),
            _disks: Disks::watch(disks, source, inputs.clone()),
            room: Room::begin(&orders.folder),
            notes: scribe.notes(),
            tasks: Tasks::new(Arc::new(shared), inputs),
            boot_id: clock::boot_id(),
            astray,
            orders,
            clock,
            scribe,
            probes,
            monitor,
            notifier,
            held,
            content,
        }
    }

    fn source(&self) -> PathBuf {
        self.orders.runbook.source.file.clone()
    }

    fn verifier(&self, session: &Session) -> Verifier {
        Verifier::new(
            &session.charter,
            self.orders.runbook.signatures.as_ref(),
            &self.orders.base,
            self.notes.clone(),
            self.clock,
        )
    }
}

impl Outside for Real {
    type Book = Journal;

    fn now(&self) -> Moment {
        Moment {
            at_ms: self.clock.now_ms(),
            wall: clock::wall(),
        }
    }

    fn process(&self) -> Process {
        Process {
            pid: std::process::id(),
            boot_id: self.boot_id.clone(),
            boot_ms: clock::now_ms(),
        }
    }

    fn carry_out(&mut self, session: &Session, effect: Effect<'_>) {
        match effect {
            Effect::Start { run, job, after } => {
                self.tasks.start(&self.orders, session, run, job, after);
            }
            Effect::Cancel { run } => self.tasks.cancel(run),
            Effect::DropFence => self.tasks.drop_fence(),
            Effect::Happened(recorded) => self.probes.apply(recorded, session),
            Effect::Restarting { instance } => self.probes.restarted(instance),
            Effect::LookAtMaintenance(wanted) => self.lookout.heed(wanted),
            Effect::Hold(is_held) => {
                self.held.send_replace(is_held);
            }
            Effect::Tell(notice) => self.notifier.tell(notice),
            Effect::Note(beside) => {
                if let Beside::Checklist(items) = &beside {
                    self.probes.show(items, &self.notes);
                }
                beside.put(&self.notes);
            }
        }
    }

    fn drift(&mut self) -> Option<String> {
        self.tasks.drift()
    }

    fn waits(&mut self) -> Vec<Wait> {
        heartbeat::look(clock::now_ms())
    }

    fn is_coming_up(&self, instance: &str) -> bool {
        self.monitor.is_coming_up(instance)
    }

    fn keep_room(&mut self, at_ms: i64, has_all: bool) -> Option<String> {
        let told = self.room.look(at_ms, has_all);
        self.scribe.spare_room(self.room.is_scarce());
        told
    }

    fn flush(&mut self, at_ms: i64) -> Result<(), journal::Error> {
        self.scribe.flush(at_ms, &self.boot_id, clock::now_ms())
    }

    fn keep_file(&mut self, name: &str, kind: &str, path: &Path, at_ms: i64) -> Result<(), String> {
        let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
        let kept = self.notes.publish(name, kind, at_ms, &bytes);
        kept.map(drop).map_err(|e| e.to_string())
    }

    fn untold(&mut self) -> Vec<String> {
        guard::take_untold(&self.orders.folder)
    }

    async fn end_left(&mut self) -> Vec<String> {
        let outputs = files::OUTPUT.path(&self.orders.folder);
        action::end_left(&outputs).await
    }

    fn rehearsal(&self) -> Option<RehearsalEvidence> {
        self.orders.rehearsal.clone()
    }

    fn astray(&self) -> Astray {
        self.astray.clone()
    }

    async fn source_shape(&mut self) -> Option<Shape> {
        let path = self.source();
        let transfer = self.orders.runbook.transfer.clone();
        let read = tokio::task::spawn_blocking(move || {
            let connection = sqlite::open_read_only(&path).ok()?;
            sqlite::shape::read(&connection, &|table| transfer.excludes_table(table)).ok()
        });
        let read = read.await.expect("BUG: reading a schema does not panic");
        read.map(Shape)
    }

    async fn raise_fence(&mut self, session: &Session) -> Compared {
        let freeze = session.step_of_kind(&LineKind::Freeze);
        let before = freeze.map_or(Ok(None), StepState::fact::<Fingerprint>);
        let path = self.source();
        let quiet = Quiet {
            period: Duration::ZERO,
            ..Quiet::default()
        };
        let raised = tokio::task::spawn_blocking(move || {
            Fence::raise(&path, &quiet, &CancellationToken::new())
        });
        match raised.await.expect("BUG: the fence does not panic") {
            Ok(fence) => {
                // Who opens a file first after a crash moves all of its log into it once more: compared is what was there before we did.
                let compared = before.map(|before| before.map(|b| b.compare(&fence.found())));
                *self.tasks.shared().fence.lock().await = Some(fence);
                match compared {
                    Ok(Some(Comparison::Same)) => Compared::Same,
                    Ok(Some(Comparison::Changed(why))) => Compared::Changed(why),
                    Ok(Some(Comparison::Undecided(why))) => Compared::Undecided(why),
                    Ok(None) => {
                        Compared::Unproven("there is nothing to compare the file with".to_owned())
                    }
                    Err(unreadable) => Compared::Unproven(unreadable.to_string()),
                }
            }
            Err(error) => {
                Compared::Unproven(format!("the fence could not be raised again: {error}"))
            }
        }
    }

    async fn differs(&mut self, kept: Kept) -> Option<String> {
        let file = self.source();
        let reading = tokio::task::spawn_blocking(move || kept.differs_from(&file));
        reading.await.expect("BUG: comparing does not panic")
    }

    fn differs_later(&mut self, kept: Kept, why: String) {
        let (file, inputs) = (self.source(), self.tasks.inputs());
        let content = self.content.clone();
        content.send_replace(Content::BeingRead);
        let reading = tokio::task::spawn_blocking(move || kept.differs_from(&file));
        tokio::spawn(async move {
            let differs = reading.await.expect("BUG: comparing does not panic");
            let found = match differs.map(|differs| format!("{why}, and {differs}")) {
                None => Content::Settled,
                Some(detail) => {
                    // Without a loop that takes it in, the session has no engine any more: the next one compares again.
                    let _ = inputs.send(Input::Drifted {
                        detail: detail.clone(),
                    });
                    Content::Differs(detail)
                }
            };
            content.send_replace(found);
        });
    }

    async fn void_signatures(&mut self, session: &Session) -> Vec<Event> {
        self.verifier(session).void(session).await
    }
}

impl Conduct<Real> {
    pub fn folder(&self) -> &Folder {
        &self.outside.orders.folder
    }

    /// Who looks at SSH signatures before this loop sees them.
    pub fn verifier(&self) -> Verifier {
        self.outside.verifier(self.session())
    }

    /// A release that is complete is marked in the target, so that no other night takes it for a database that may be emptied. What
    /// keeps that from being done is said; `cutover close` tries again.
    pub async fn mark_release(&mut self) -> Result<(), Error> {
        if self.session().phase != Phase::Completed {
            return Ok(());
        }
        let orders = &self.outside.orders;
        let marked = closing::mark_release(&orders.runbook, &orders.base, self.session()).await;
        match marked {
            Ok(()) => Ok(()),
            Err(why) => self.append(vec![Event::alarm(format!(
                "the release could not be marked in PostgreSQL, so that only the records on this host know of it: {why}. `cutover close` \
                 marks it"
            ))]),
        }
    }

    /// Once the session is over nobody needs to know any more what is written to PostgreSQL: what notes it there is taken away. Where that
    /// cannot be done it is said; `cutover close` tries again.
    pub async fn end_feed(&mut self) -> Result<(), Error> {
        let session = self.session();
        let switch = session.step_of_kind(&LineKind::Switch);
        // An F1 that failed has left it too, and says nothing of it.
        let may_be_noted =
            session.charter.keeps_writes && switch.is_some_and(|s| s.started_ms.is_some());
        if !self.is_over() || !may_be_noted {
            return Ok(());
        }
        // Who locks the tables keeps us from them too.
        drop(self.outside.tasks.shared().target_fence.lock().await.take());
        let runbook = &self.outside.orders.runbook;
        if let Err(why) = closing::grants::after_a_rehearsal(runbook, session).await {
            tracing::warn!(%why, "the rehearsal's database is left without the rights to write");
        }
        let why = match closing::capture::end_of(session, runbook).await {
            Ok(left) if left.is_empty() => return Ok(()),
            Ok(left) => left.join("; "),
            Err(why) => why,
        };
        self.append(vec![Event::alarm(format!(
            "what notes writes to PostgreSQL is still there, and could not be taken away: {why}. It costs each write to PostgreSQL a \
             little until `cutover close` takes it away"
        ))])
    }

    /// Once the session is over, both databases are free for another one. Where the target does not answer, whoever looks there finds out
    /// from this session's folder.
    pub fn leave_claims(&self) {
        if !self.is_over() {
            return;
        }
        let orders = &self.outside.orders;
        let file = orders.base.join(&orders.runbook.source.file);
        if let Err(error) = claim::source::leave(&file, &Claim::of(&orders.folder)) {
            tracing::warn!(%error, "the claim on the source is still there");
        }
        let slot = orders.runbook.fleet.staging.as_ref();
        if let Some(slot) = slot
            && let Err(error) = claim::staging::leave(&slot.url, &Claim::of(&orders.folder))
        {
            tracing::warn!(%error, "the claim on the staging slot is still there");
        }
    }

    /// Once no engine is started any more, the values of the environment that one is started with go; before the lease does, so that nobody who
    /// takes the session for ended finds them. Those of a rehearsal go with what it lent, which whoever drives it gives back.
    pub fn leave_orders(&self) {
        let session = self.session();
        let needs_no_engine = match session.phase {
            Phase::Open | Phase::RollingBack => false,
            Phase::Completed => true,
            Phase::RolledBack => session.is_closed,
        };
        if !needs_no_engine || session.charter.rehearsal {
            return;
        }
        let path = files::ORDERS.path(self.folder());
        if let Err(error) = crate::ours::file::remove(&path) {
            tracing::warn!(%error, "the values that an engine is started with are still there");
        }
    }

    /// Waits a moment for the notices that are still on their way. What could not be told comes back as an input.
    pub async fn tell_the_last(&mut self) {
        self.outside.notifier.end(LAST_WORDS).await;
    }

    /// Ends in order: what runs is cancelled, what is known is written.
    pub async fn end(self) {
        let over = self.is_over();
        let at_ms = self.now_ms();
        let Conduct {
            mut outside,
            ledger,
            ..
        } = self;
        outside.tasks.end(over).await;
        if over {
            outside.room.end();
        }
        if let Err(error) = outside.flush(at_ms) {
            tracing::error!(%error, "what lies beside the chain could not be written");
        }
        drop(outside.scribe);
        if over && let Err(error) = ledger.finish() {
            tracing::error!(%error, "the journal could not be finished");
        }
    }
}
