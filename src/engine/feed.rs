//! What is written to PostgreSQL from the switch on, followed into the session's live file until a rollback begins or the release is complete:
//! when it begins and ends, and what of it is shown and told. How far it is behind is told as a signal, like what probes see.
//!
//! Not in here: reading (`feed`), the triggers that note what is written (`step::switch`), and the last read, which is R2+'s.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::input::Input;
use crate::clock;
use crate::feed::live::{About, Begin, Live};
use crate::feed::{self, Error, FeedState, Handover, Reader};
use crate::journal::Folder;
use crate::runbook::Runbook;
use crate::runbook::feed::{LAG_MS, TELL_EVERY_MS};
use crate::salvage::file::NAME;
use crate::session::facts::{Noted, Unreadable};
use crate::session::live::FeedView;
use crate::session::{Event, Phase, Session};
use crate::step::context::SessionClock;
use crate::step::salvage::{NO_RECORD, Wanted, has_no_record};
use crate::text::printable;
use crate::trigger::{Reading, Sample};

/// How often PostgreSQL is read.
const READ_EVERY: Duration = Duration::from_millis(250);
/// How long one statement of a read may take on the server.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// How often it is tried to begin, where that fails.
const TRY_EVERY: Duration = Duration::from_secs(2);
/// How often it is told how far it is behind.
const TELL_EVERY: Duration = Duration::from_millis(TELL_EVERY_MS.unsigned_abs());
/// From this lag on, in milliseconds, a feed that is behind is told as a loss of its own: it reads four times a second.
const FAR_BEHIND_MS: i64 = 5_000;
/// Characters of one thing that a rollback would lose.
const LOST_CHARS: usize = 300;

/// The feed of a session.
pub struct Feed {
    runbook: Arc<Runbook>,
    folder: Folder,
    clock: SessionClock,
    inputs: mpsc::UnboundedSender<Input>,
    state: Arc<Mutex<Option<FeedState>>>,
    /// Session time of the switch: where nothing was read, what was written since is what is not read.
    switched_ms: i64,
    reading: Option<DropGuard>,
    handover: Handover,
}

impl Feed {
    /// Goes on at once where the switch is behind us already.
    pub fn new(
        runbook: &Arc<Runbook>,
        folder: &Folder,
        clock: SessionClock,
        session: &Session,
        inputs: mpsc::UnboundedSender<Input>,
    ) -> Self {
        let mut feed = Self {
            runbook: Arc::clone(runbook),
            folder: folder.clone(),
            clock,
            inputs,
            state: Arc::default(),
            switched_ms: 0,
            reading: None,
            handover: Handover::default(),
        };
        if session.phase == Phase::Open {
            feed.begin(session, Begin::Later);
        }
        feed
    }

    /// Where the reader is once it has ended.
    pub fn handover(&self) -> Handover {
        Arc::clone(&self.handover)
    }

    /// What an event means for it; `session` is as it is after the event.
    pub fn apply(&mut self, event: &Event, session: &Session) {
        let is_over = matches!(
            event,
            Event::RollbackStarted { .. } | Event::SessionCompleted { .. }
        );
        if is_over {
            self.end();
        } else if self.reading.is_none() && matches!(event, Event::StepFinished { .. }) {
            self.begin(session, Begin::AtSwitch);
        }
    }

    /// How it stands, with how old that is now; `None` where nothing is followed.
    pub fn view(&self) -> Option<FeedView> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state.as_ref()?;
        let read_at_ms = state.read_at_ms;
        let at_ms = read_at_ms.map_or(self.switched_ms, |at| at + self.clock.offset_ms);
        let behind_ms = (self.clock.now_ms() - at_ms).max(0);
        let mut lost = losses(state, self.runbook.feed.nearest);
        lost.extend(far_behind(state, behind_ms));
        Some(FeedView {
            at_ms,
            behind_ms,
            rows: state.rows_kept,
            waiting: state.rows_waiting,
            lost,
            unknown: state.unknown.as_ref().map(|why| printable(why, LOST_CHARS)),
        })
    }

    fn end(&mut self) {
        self.reading = None;
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Begins to read where F1 has what is written noted.
    fn begin(&mut self, session: &Session, begin: Begin) {
        let wanted = match session.fact::<Noted>() {
            Ok(None) if session.charter.keeps_writes && has_no_record(session) => {
                Err(NO_RECORD.to_owned())
            }
            Ok(None) => return,
            Ok(Some(Noted(None))) => Ground::of(&self.folder, session, &self.runbook, begin),
            Ok(Some(Noted(Some(why)))) => Err(why),
            Err(unreadable) => Err(Unreadable::to_string(&unreadable)),
        };
        self.switched_ms = session.switched_ms().unwrap_or_default();
        let cancel = CancellationToken::new();
        self.reading = Some(cancel.clone().drop_guard());
        let telling = tell_lag(self.clock, Arc::clone(&self.state), self.inputs.clone());
        tokio::spawn(cancel.clone().run_until_cancelled_owned(telling));
        let mut told = Told {
            state: Arc::clone(&self.state),
            inputs: self.inputs.clone(),
            nearest: self.runbook.feed.nearest,
            lost: BTreeSet::new(),
        };
        match wanted {
            Ok(Some(ground)) => {
                let following = follow(ground, told, cancel.clone(), self.handover());
                tokio::spawn(following);
            }
            Ok(None) => {}
            Err(why) => told.take(FeedState {
                unknown: Some("what is written to it is not followed".to_owned()),
                lost: vec![why],
                ..FeedState::default()
            }),
        }
    }
}

/// What a rollback would lose, or leave in a file, a sentence each. With `nearest` it brings in what comes nearest to a value.
fn losses(state: &FeedState, nearest: bool) -> Vec<String> {
    let left = state.inexact.iter().filter(|of| of.has_no_form || !nearest);
    let left = left.map(|of| {
        let table = printable(&of.table, LOST_CHARS);
        format!("a rollback would leave rows of {table} in {NAME}, for SQLite's column has no exact form for a value of theirs")
    });
    let lost = state.lost.iter().map(|lost| would_be_lost(lost));
    lost.chain(left).collect()
}

/// What a PostgreSQL that ends now would take along. While it does not answer, the moment of the last read says the same.
fn far_behind(state: &FeedState, behind_ms: i64) -> Option<String> {
    let is_far = behind_ms > FAR_BEHIND_MS && state.unknown.is_none();
    is_far.then(|| {
        let seconds = behind_ms / 1_000;
        would_be_lost(&format!("nothing of the last {seconds} s is read yet"))
    })
}

/// Tells how far the reads are behind, whether they go on or not.
async fn tell_lag(
    session: SessionClock,
    state: Arc<Mutex<Option<FeedState>>>,
    inputs: mpsc::UnboundedSender<Input>,
) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let reading = {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            lag(state.as_ref(), clock::now_ms())
        };
        let sample = Sample::new(LAG_MS, session.now_ms(), reading);
        if inputs.send(Input::Sampled(sample)).is_err() {
            return;
        }
    }
}

/// How long ago PostgreSQL was last read. A number as well while it cannot be read: then it grows.
fn lag(state: Option<&FeedState>, now_ms: i64) -> Reading {
    let read_at_ms = state.and_then(|state| state.read_at_ms);
    if let Some(read_at_ms) = read_at_ms {
        return Reading::value((now_ms - read_at_ms).max(0) as f64);
    }
    let why = state.and_then(|state| state.unknown.as_ref().or(state.lost.first()));
    let why = why.map_or("PostgreSQL was not read yet", String::as_str);
    Reading::no_data(printable(why, LOST_CHARS))
}

/// What a rollback could not bring back from the live file.
fn would_be_lost(lost: &str) -> String {
    let when = match lost {
        NO_RECORD => "",
        _ => "if PostgreSQL does not answer then, ",
    };
    let lost = printable(lost, LOST_CHARS);
    format!("{when}a rollback would lose what users wrote: {lost}")
}

/// What the reader needs.
struct Ground {
    wanted: Wanted,
    folder: Folder,
    about: About,
    begin: Begin,
}

impl Ground {
    /// `None` where the session has not switched.
    fn of(
        folder: &Folder,
        session: &Session,
        runbook: &Runbook,
        begin: Begin,
    ) -> Result<Option<Self>, String> {
        let Some(mut wanted) = Wanted::of(folder, session, runbook)? else {
            return Ok(None);
        };
        wanted.since.statement_limit = STATEMENT_LIMIT;
        Ok(Some(Self {
            about: About {
                session: wanted.about.session.clone(),
                backup_sha256: wanted.about.backup_sha256.clone(),
                since: wanted.since.snapshot.clone(),
            },
            wanted,
            folder: folder.clone(),
            begin,
        }))
    }

    /// How far an engine before this one had read.
    fn read_before(&self) -> FeedState {
        let Ok(live) = Live::open_read(&self.folder) else {
            return FeedState::default();
        };
        let last = live.last_read().ok().flatten();
        let last = last.filter(|last| last.boot == clock::boot_id());
        FeedState {
            read_at_ms: last.map(|last| last.at_ms),
            rows_kept: live.rows().unwrap_or_default(),
            ..FeedState::default()
        }
    }

    async fn open(&self, cancel: &CancellationToken) -> Result<Reader, Error> {
        let live = Live::open(&self.folder, &self.about, self.begin)?;
        let since = self.wanted.since.clone();
        Reader::open(since, &self.wanted.endpoint, live, cancel).await
    }
}

async fn follow(ground: Ground, mut told: Told, cancel: CancellationToken, handover: Handover) {
    let reader = loop {
        match ground.open(&cancel).await {
            Ok(reader) => break reader,
            Err(error) => told.take(FeedState {
                unknown: Some(error.to_string()),
                ..ground.read_before()
            }),
        }
        let waited = cancel.run_until_cancelled(tokio::time::sleep(TRY_EVERY));
        if waited.await.is_none() {
            return;
        }
    };
    let stop = cancel.clone();
    let view = move |state| {
        // What ends has nothing to show any more.
        if !stop.is_cancelled() {
            told.take(state);
        }
    };
    let reader = feed::run(reader, READ_EVERY, view, cancel).await;
    *handover.lock().await = Some(reader);
}

/// Where the state goes; what a rollback would lose is said once to everybody.
struct Told {
    state: Arc<Mutex<Option<FeedState>>>,
    inputs: mpsc::UnboundedSender<Input>,
    nearest: bool,
    lost: BTreeSet<String>,
}

impl Told {
    fn take(&mut self, state: FeedState) {
        for lost in losses(&state, self.nearest) {
            if self.lost.insert(lost.clone()) {
                // A closed channel means that the engine is ending.
                let _ = self.inputs.send(Input::Lost { text: lost });
            }
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_grows_while_nobody_answers_and_is_not_known_before_the_first_read() {
        let state = |read_at_ms, unknown: Option<&str>, lost: &[&str]| FeedState {
            read_at_ms,
            unknown: unknown.map(str::to_owned),
            lost: lost.iter().map(|one| (*one).to_owned()).collect(),
            ..FeedState::default()
        };
        let unread = "PostgreSQL was not read yet";
        for (state, expected) in [
            (None, Reading::no_data(unread)),
            (Some(state(None, None, &[])), Reading::no_data(unread)),
            (
                Some(state(None, Some("gone"), &[])),
                Reading::no_data("gone"),
            ),
            (
                Some(state(None, None, &["no key"])),
                Reading::no_data("no key"),
            ),
            (
                Some(state(Some(9_750), None, &["no key"])),
                Reading::value(250.0),
            ),
            (
                Some(state(Some(4_000), Some("gone"), &[])),
                Reading::value(6_000.0),
            ),
            (Some(state(Some(10_001), None, &[])), Reading::value(0.0)),
        ] {
            assert_eq!(lag(state.as_ref(), 10_000), expected, "{state:?}");
        }
    }

    #[test]
    fn a_feed_that_is_far_behind_is_a_loss_of_its_own() {
        let answering = FeedState::default();
        let silent = FeedState {
            unknown: Some("no answer".to_owned()),
            ..FeedState::default()
        };
        assert_eq!(far_behind(&answering, 5_000), None);
        let told = far_behind(&answering, 7_900).expect("a sentence");
        assert!(
            told.ends_with("nothing of the last 7 s is read yet"),
            "{told}"
        );
        assert_eq!(far_behind(&silent, 7_900), None);
    }
}
