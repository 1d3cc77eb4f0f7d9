//! A finished session, or the past of one that runs, on the same screen: the model as it stood at any time of what was recorded.
//!
//! Events are folded anew up to a time, samples and printed lines go in by theirs. What stood on the live board (who was there, what a
//! rollback would have cost, how far a table had come) has no past: it is unknown here, and never shown as of another time. Pure.
//!
//! Not in here: reading the journal (`follow`), the keys (`actions`, `update::replay`), and how it looks (`view::timeline`).

mod tape;

use std::sync::Arc;

pub use self::tape::{Mark, Tape};
use super::model::ui::Overlay;
use super::model::{Model, Seat};
use crate::session::state::NotASession;

/// How many times as fast as it happened.
pub const SPEEDS: [i64; 4] = [1, 4, 16, 60];
/// Parts of the whole by which the arrows move.
const SCRUBS: i64 = 100;
/// The shortest way that the arrows move, in session milliseconds.
const SHORTEST_SCRUB_MS: i64 = 1_000;

/// How to move in what was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Let time go on, or stand.
    PlayPause,
    /// The next of [`SPEEDS`].
    Faster,
    /// The one before.
    Slower,
    /// To the next of these.
    Next(Stop),
    /// To the last of these before.
    Previous(Stop),
    /// Forward by a hundredth of the whole.
    Forward,
    /// Back by a hundredth of the whole.
    Back,
    /// To the first event.
    ToBeginning,
    /// To the last event or sample.
    ToEnd,
}

/// What can be jumped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    Event,
    /// A step, or a row of the rollback, that begins.
    Step,
    /// A signature, given or withdrawn.
    Gate,
    /// A trigger that burns or fires, a step that fails, drift, a rollback.
    Trouble,
}

/// Where a replay is.
#[derive(Debug, Clone)]
pub struct Replay {
    tape: Arc<Tape>,
    at_ms: i64,
    /// Events that the model holds.
    folded: usize,
    /// Up to when the model holds the samples; `None` where they have to be read again.
    sampled_ms: Option<i64>,
    speed: usize,
    playing: bool,
}

impl Replay {
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Whether a rollback is in what was recorded, sooner or later.
    pub fn rolls_back(&self) -> bool {
        self.tape.marks().any(|(_, mark)| mark == Mark::Rollback)
    }

    /// Session time that is shown.
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// How many times as fast as it happened.
    pub fn speed(&self) -> i64 {
        SPEEDS[self.speed]
    }

    /// Whether time goes on.
    pub fn is_playing(&self) -> bool {
        self.playing
    }
}

impl Model {
    /// The screen on what was recorded, at its beginning, standing still. Whoever looks is nobody on its bridge.
    ///
    /// # Errors
    /// The first event does not open a session, or there is none.
    pub fn replay(tape: Tape, zone: chrono::FixedOffset) -> Result<Model, NotASession> {
        let tape = Arc::new(tape);
        let mut model = first_frame(&tape, zone)?;
        model.replay = Some(Replay {
            at_ms: tape.from_ms(),
            tape,
            folded: 1,
            sampled_ms: None,
            speed: 0,
            playing: false,
        });
        model.seek(i64::MIN);
        Ok(model)
    }

    /// Shows what was recorded up to a session time, and nothing of what came after it.
    pub fn seek(&mut self, at_ms: i64) {
        let Some(replay) = &self.replay else { return };
        let tape = Arc::clone(&replay.tape);
        let at_ms = at_ms.clamp(tape.from_ms(), tape.to_ms());
        let events = tape.events_until(at_ms).max(1);
        if events < replay.folded {
            self.rewind(&tape);
        }
        let Some(replay) = &mut self.replay else {
            return;
        };
        let new = &tape.entries()[replay.folded..events];
        (replay.folded, replay.at_ms) = (events, at_ms);
        let sampled_ms = replay.sampled_ms.replace(at_ms);
        self.take_entries(new);
        match sampled_ms {
            Some(before_ms) if before_ms <= at_ms => {
                tape.series_on(&mut self.series, before_ms, at_ms);
            }
            _ => self.series = tape.series_until(at_ms),
        }
        self.progress = tape.progress_until(at_ms, &self.session);
        self.last_line = tape.last_line(at_ms).cloned();
        (self.now_ms, self.wall) = (at_ms, tape.wall_at(at_ms));
        if let Some(Overlay::Output { step, attempt, .. }) = &self.ui.overlay {
            self.output = tape.printed(step, *attempt, at_ms).cloned().collect();
        }
    }

    /// Everything but where the cursor is, as it was at the first event.
    fn rewind(&mut self, tape: &Tape) {
        let ui = std::mem::take(&mut self.ui);
        let replay = self.replay.take().map(|replay| Replay {
            folded: 1,
            sampled_ms: None,
            ..replay
        });
        let fresh = first_frame(tape, self.zone);
        *self = fresh.expect("BUG: this tape was opened before");
        self.replay = replay;
        self.ui = ui;
    }

    /// Real time has passed; says whether the screen may differ. At the end it stands still.
    pub fn play_on(&mut self, real_ms: i64) -> bool {
        let Some(replay) = self.replay.as_ref().filter(|r| r.playing) else {
            return false;
        };
        let second = |model: &Model| model.runbook_ms(model.now_ms) / 1_000;
        let (before, seq, samples) = (second(self), self.session.seq, self.series.samples());
        self.seek(replay.at_ms + real_ms * replay.speed());
        let ended = self.is_at_end();
        if let Some(replay) = self.replay.as_mut().filter(|_| ended) {
            replay.playing = false;
        }
        ended
            || before != second(self)
            || seq != self.session.seq
            || samples != self.series.samples()
    }

    fn is_at_end(&self) -> bool {
        let at_end = |r: &Replay| r.at_ms >= r.tape.to_ms();
        self.replay.as_ref().is_some_and(at_end)
    }

    /// Moves; says why not, if there is nothing that way.
    pub fn transport(&mut self, transport: Transport) -> Result<(), String> {
        let at_end = self.is_at_end();
        let Some(replay) = &mut self.replay else {
            return Ok(());
        };
        let (from_ms, to_ms) = (replay.tape.from_ms(), replay.tape.to_ms());
        let scrub_ms = ((to_ms - from_ms) / SCRUBS).max(SHORTEST_SCRUB_MS);
        let to = match transport {
            Transport::PlayPause => {
                replay.playing = !replay.playing;
                // What has ended begins again.
                match replay.playing && at_end {
                    true => from_ms,
                    false => return Ok(()),
                }
            }
            Transport::Faster => {
                replay.speed = (replay.speed + 1).min(SPEEDS.len() - 1);
                return Ok(());
            }
            Transport::Slower => {
                replay.speed = replay.speed.saturating_sub(1);
                return Ok(());
            }
            Transport::Next(stop) => replay.tape.next(replay.at_ms, stop).ok_or(none(stop))?,
            Transport::Previous(stop) => {
                let found = replay.tape.previous(replay.at_ms, stop);
                found.ok_or(none_before(stop))?
            }
            Transport::Forward => replay.at_ms + scrub_ms,
            Transport::Back => replay.at_ms - scrub_ms,
            Transport::ToBeginning => from_ms,
            Transport::ToEnd => to_ms,
        };
        self.seek(to);
        Ok(())
    }

    /// More has been recorded meanwhile; what is shown stays as it is.
    pub fn record(&mut self, news: super::news::News) {
        if let Some(replay) = &mut self.replay {
            Arc::make_mut(&mut replay.tape).extend(news);
            replay.sampled_ms = None;
        }
    }
}

fn none(stop: Stop) -> String {
    format!("no {} after this", word(stop))
}

fn none_before(stop: Stop) -> String {
    format!("no {} before this", word(stop))
}

fn word(stop: Stop) -> &'static str {
    match stop {
        Stop::Event => "event",
        Stop::Step => "step begins",
        Stop::Gate => "signature",
        Stop::Trouble => "trouble",
    }
}

fn first_frame(tape: &Tape, zone: chrono::FixedOffset) -> Result<Model, NotASession> {
    let first = tape.entries().iter().take(1).cloned().collect();
    let seat = Seat {
        user: String::new(),
        playing: None,
        zone,
    };
    Model::open(first, seat)
}
