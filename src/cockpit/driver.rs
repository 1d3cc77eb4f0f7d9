//! The edge: threads that wait (for keys, signals, the journal, the engine) and one loop that updates and draws, at most thirty
//! times a second and only when something has changed; a key is answered sooner, and what is measured again and again is shown with the next
//! second of the clock.
//!
//! Not in here: what a message does (`update`) and what a frame looks like (`view`).

mod frames;
mod waiting;

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use chrono::{DateTime, FixedOffset, Local, Offset as _, TimeZone as _, Utc};

pub use self::frames::FRAME;
use self::frames::{Frames, Owed};
pub use self::waiting::LOOK;
use self::waiting::{Ask, Asker, Presenter, Watch};

use super::bridge::{Bridge, BridgeError, Purpose};
use super::follow::Follow;
use super::glyphs::Glyphs;
use super::model::ui::Look;
use super::model::{Model, Seat};
use super::ring::Capabilities;
use super::target::Targets;
use super::terminal::Screen;
use super::theme::{Depth, Theme};
use super::update::{Effect, Message, Parting, update};
use super::{Options, view};
use crate::clock;
use crate::journal::Follower;
use crate::session::state::NotASession;
use crate::session::{Command, Phase};

/// What is being asked when somebody leaves has so long to end.
const GOODBYE: Duration = Duration::from_millis(300);
/// How often clocks are looked at while they run fast.
const FAST_TICK: Duration = Duration::from_millis(200);
/// How often clocks are looked at otherwise.
const SLOW_TICK: Duration = Duration::from_millis(500);

/// Why a cockpit could not be opened or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal cannot be read.
    #[error(transparent)]
    Follow(#[from] crate::history::Error),
    /// It is not one of a session.
    #[error(transparent)]
    NotASession(#[from] NotASession),
    /// There is no terminal to draw on.
    #[error(
        "a cockpit needs a terminal: {0}. Without one, `cutover status` tells how the session stands"
    )]
    Terminal(std::io::Error),
}

/// How a cockpit was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Why.
    pub parting: Parting,
    /// Where the session stood.
    pub phase: Phase,
    /// Name of the session.
    pub session: String,
    /// Whether an engine was at work.
    pub engine: bool,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.session;
        match (self.phase, self.engine) {
            (Phase::Completed, _) => write!(f, "{name} is complete."),
            (Phase::RolledBack, _) => write!(f, "{name} has been rolled back."),
            (_, true) => write!(
                f,
                "You have left the cockpit; nothing is stopped. The engine goes on with {name}: `cutover join {name}` brings you back."
            ),
            (_, false) => write!(
                f,
                "You have left the cockpit. NO ENGINE works on {name}: `cutover run` starts one, `cutover join {name}` brings you back."
            ),
        }
    }
}

/// Opens a cockpit and returns when it is left. Blocks; touches the terminal of this process.
///
/// # Errors
/// [`RunError`]; the terminal is as it was then.
pub fn run(
    options: Options,
    follower: Follower,
    bridge: Arc<dyn Bridge>,
) -> Result<Left, RunError> {
    let (follow, mut model) = open(&options, follower)?;
    model.faults = bridge.faults();
    show(options, follow, model, bridge)
}

/// Opens a cockpit on what has been recorded so far, and returns when it is left. It asks no engine for anything.
///
/// # Errors
/// [`RunError`]; the terminal is as it was then.
pub fn replay(options: Options, follower: Follower, at: Option<At>) -> Result<Left, RunError> {
    let (follow, model) = open_replay(follower, at)?;
    show(options, follow, model, Arc::new(NoBridge))
}

/// What a replay shows of that time, without a terminal.
///
/// # Errors
/// [`RunError`], never about a terminal.
pub fn look_back(follower: Follower, at: At) -> Result<Model, RunError> {
    open_replay(follower, Some(at)).map(|(_, model)| model)
}

fn open_replay(follower: Follower, at: Option<At>) -> Result<(Follow, Model), RunError> {
    let mut follow = Follow::new(follower);
    let tape = follow.tape()?;
    let zone = here_at(tape.wall_at(tape.from_ms()));
    let mut model = Model::replay(tape, zone)?;
    if let Some(At { clock_ms }) = at {
        let at_ms = model.session.charter.real_ms(clock_ms);
        model.seek(at_ms);
    }
    Ok((follow, model))
}

fn show(
    options: Options,
    follow: Follow,
    mut model: Model,
    bridge: Arc<dyn Bridge>,
) -> Result<Left, RunError> {
    let themes = Themes::of_this_terminal();
    let (theme, no_theme) = themes.choose(options.theme.as_deref());
    model.ui.look = Look::of(&theme.name, themes.no_color);
    let (glyphs, no_glyphs) = Glyphs::choose(options.glyphs.as_deref(), variable);
    model.ui.glyphs = glyphs;
    model.ui.settle_in(&options.habits);
    let warnings = options.unread.into_iter().chain(no_theme);
    let warnings: Vec<String> = warnings.chain(no_glyphs).collect();
    if !warnings.is_empty() {
        model.warn(warnings.join("; "));
    }
    if options.guide {
        model.ui.overlay = Some(super::model::ui::Overlay::Guide);
    }
    let title = format!(
        "cutover {}",
        crate::text::printable(&model.session.charter.session, 80)
    );
    let title: String = title.chars().map(|c| glyphs.instead_of(c)).collect();
    model.ui.no_mouse = options.no_mouse;
    let screen = Screen::take(&title, !options.no_mouse).map_err(RunError::Terminal)?;
    let (sender, messages) = channel();
    waiting::keys(sender.clone());
    waiting::signals(sender.clone()).map_err(RunError::Terminal)?;
    waiting::terminal(sender.clone());
    let driver = Driver {
        watch: waiting::journal(follow, sender.clone()),
        asker: waiting::asker(Arc::clone(&bridge), sender),
        presenter: waiting::presenter(bridge),
        title,
        theme,
        themes,
        screen,
        capabilities: capabilities(),
        silent: options.silent,
        aside: false,
        model,
    };
    Ok(driver.drive(&messages))
}

/// What a cockpit that is opened now shows first, without a terminal.
///
/// # Errors
/// [`RunError`], never about a terminal.
pub fn look(options: &Options, follower: Follower) -> Result<Model, RunError> {
    open(options, follower).map(|(_, model)| model)
}

fn open(options: &Options, follower: Follower) -> Result<(Follow, Model), RunError> {
    let mut follow = Follow::new(follower);
    let entries = follow.entries()?;
    let seat = Seat {
        user: options.user.clone(),
        playing: options.playing.clone(),
        zone: here_at(clock::wall()),
    };
    let mut model = Model::open(entries, seat)?;
    model.take(follow.look()?);
    model.tick(session_now(&model), clock::wall());
    Ok((follow, model))
}

/// The themes, as this terminal can show them.
#[derive(Clone, Copy)]
struct Themes {
    no_color: bool,
    depth: Depth,
}

impl Themes {
    fn of_this_terminal() -> Themes {
        Themes {
            no_color: variable("NO_COLOR").is_some(),
            depth: Depth::of(
                variable("COLORTERM").as_deref(),
                variable("TERM").as_deref(),
            ),
        }
    }

    fn choose(self, theme: Option<&str>) -> (Theme, Option<String>) {
        Theme::choose(theme, self.no_color, self.depth)
    }
}

/// A variable of the environment, where it says something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn capabilities() -> Capabilities {
    Capabilities::of(
        variable("TERM").as_deref(),
        variable("TERM_PROGRAM").as_deref(),
        variable("TMUX").as_deref(),
    )
}

fn session_now(model: &Model) -> Option<i64> {
    let live = model.live();
    live.session.now_ms(&clock::boot_id(), clock::now_ms())
}

/// A moment of a session, by the clock that its screens show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Runbook milliseconds since the session was opened.
    pub clock_ms: i64,
}

/// A replay commands nothing: there is no engine behind it.
struct NoBridge;

impl NoBridge {
    fn refusal() -> BridgeError {
        BridgeError::Failed {
            why: "this is a replay".to_owned(),
        }
    }
}

impl Bridge for NoBridge {
    fn send(&self, _: &Command, _: Option<&str>) -> Result<u64, BridgeError> {
        Err(NoBridge::refusal())
    }

    fn present(&self, _: &str, _: Option<&str>) -> Result<(), BridgeError> {
        Err(NoBridge::refusal())
    }

    fn start_engine(&self, _: Purpose) -> Result<(), BridgeError> {
        Err(NoBridge::refusal())
    }
}

struct Driver {
    model: Model,
    theme: Theme,
    themes: Themes,
    title: String,
    screen: Screen,
    /// What the terminal takes beside what is drawn.
    capabilities: Capabilities,
    /// Nobody wants it to ring.
    silent: bool,
    /// Put aside: nothing is drawn until it goes on.
    aside: bool,
    asker: Asker,
    presenter: Presenter,
    watch: Sender<Watch>,
}

impl Driver {
    fn drive(mut self, messages: &Receiver<Message>) -> Left {
        self.present();
        let mut frames = Frames::begin();
        let mut ticked = Instant::now();
        let parting = loop {
            if !self.aside && frames.due_in(Instant::now()) == Some(Duration::ZERO) {
                if self.draw().is_err() {
                    break Parting::TerminalLost;
                }
                frames.drawn(Instant::now());
            }
            let tick_due = self.tick().saturating_sub(ticked.elapsed());
            let frame_due = frames.due_in(Instant::now()).filter(|_| !self.aside);
            let wait = frame_due.map_or(tick_due, |due| due.min(tick_due));
            let message = match messages.recv_timeout(wait) {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout)
                    if !self.tick().saturating_sub(ticked.elapsed()).is_zero() =>
                {
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let passed = ticked.elapsed();
                    ticked = Instant::now();
                    self.keep_zone();
                    self.ticked(passed)
                }
                Err(RecvTimeoutError::Disconnected) => break Parting::Ended,
            };
            let played = self.is_playing();
            let owed = owed_for(&message);
            let outcome = update(&mut self.model, message);
            if self.is_playing() != played {
                ticked = Instant::now();
            }
            if outcome.redraw {
                frames.owe(owed);
            }
            if let Some(parting) = outcome.effects.into_iter().find_map(|e| self.carry_out(e)) {
                break parting;
            }
        };
        let live = self.model.live();
        let left = Left {
            parting,
            phase: live.session.phase,
            session: live.session.charter.session.clone(),
            engine: live.engine.is_live(),
        };
        // The terminal first; then what is being asked may end, but nobody waits long for it.
        drop(self.screen);
        self.asker.end(GOODBYE);
        self.presenter.end(GOODBYE);
        left
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let (model, theme) = (&self.model, &self.theme);
        let mut targets = Targets::default();
        self.screen
            .draw(|buf| targets = view::draw(model, theme, buf))?;
        update(&mut self.model, Message::Drawn(targets));
        Ok(())
    }

    fn is_playing(&self) -> bool {
        self.model.replay.as_ref().is_some_and(|r| r.is_playing())
    }

    /// A night may have a change of clocks in it. All times of a screen are told alike, by this machine's clocks at the moment that it shows.
    fn keep_zone(&mut self) {
        if self.model.replay.is_none() {
            self.model.live_mut().zone = here_at(clock::wall());
        }
    }

    fn ticked(&self, passed: Duration) -> Message {
        match self.model.replay {
            Some(_) => Message::Passed {
                // A process that was stopped has played nothing meanwhile.
                ms: passed.min(2 * SLOW_TICK).as_millis() as i64,
            },
            None => Message::Ticked {
                now_ms: session_now(&self.model),
                wall: clock::wall(),
            },
        }
    }

    fn tick(&self) -> Duration {
        if self.model.replay.is_some() {
            return if self.is_playing() { FRAME } else { SLOW_TICK };
        }
        let live = self.model.live();
        let fast = live.session.charter.speed != 1.0 || live.session.fired.is_some();
        if fast && !live.is_over() {
            FAST_TICK
        } else {
            SLOW_TICK
        }
    }

    fn present(&self) {
        let view = self.model.ui.view.title();
        self.presenter.send((view, self.model.playing.clone()));
    }

    /// Carries out an effect; says why the cockpit is left, if it is.
    fn carry_out(&mut self, effect: Effect) -> Option<Parting> {
        let playing = self.model.playing.clone();
        let ask = match effect {
            Effect::Send {
                command,
                asked,
                start_engine,
            } => Ask::Command {
                command,
                asked,
                start_engine,
                playing,
            },
            Effect::StartEngine => Ask::StartEngine,
            Effect::ListFaults => Ask::Faults,
            Effect::Inject(name) => Ask::Inject(name),
            Effect::Present(_) => {
                self.present();
                return None;
            }
            Effect::Watch { step, attempt } => {
                let _ = self.watch.send(Watch { step, attempt });
                return None;
            }
            Effect::Ring(_) if self.silent => return None,
            Effect::Ring(ringing) => {
                return lost(self.screen.send(&self.capabilities.bytes(&ringing)));
            }
            Effect::Mouse(taken) => return lost(self.screen.take_mouse(taken)),
            Effect::Copy(text) => return lost(self.screen.send(&self.capabilities.copying(&text))),
            Effect::SetTheme(name) => {
                let (theme, warning) = self.themes.choose(Some(&name));
                self.theme = theme;
                if let Some(warning) = warning {
                    self.model.warn(warning);
                }
                return None;
            }
            Effect::Repaint if self.aside => return None,
            Effect::Repaint => return lost(self.screen.repaint()),
            Effect::Suspend => {
                self.aside = true;
                return lost(self.screen.set_aside());
            }
            Effect::GoOn if self.aside => {
                self.aside = false;
                return lost(self.screen.go_on(&self.title));
            }
            Effect::GoOn => return lost(self.screen.repaint()),
            Effect::Leave(parting) => return Some(parting),
        };
        self.asker.send(ask);
        None
    }
}

/// What this machine's clocks are set by at a moment.
fn here_at(wall: DateTime<Utc>) -> FixedOffset {
    Local.offset_from_utc_datetime(&wall.naive_utc()).fix()
}

/// What a frame shows of it, if it changes anything: somebody at the terminal waits to see what they did.
fn owed_for(message: &Message) -> Owed {
    match message {
        Message::Key(_) | Message::Mouse(_) | Message::Pasted(_) => Owed::Answer,
        Message::Came(news) if news.is_measured() => Owed::Measured,
        Message::Came(_)
        | Message::Resized
        | Message::Drawn(_)
        | Message::Ticked { .. }
        | Message::Passed { .. }
        | Message::FollowFailed(_)
        | Message::Answered { .. }
        | Message::FaultsListed(_)
        | Message::SuspendAsked
        | Message::Continued
        | Message::EndAsked
        | Message::TerminalLost => Owed::Change,
    }
}

/// A terminal that cannot be written to is gone.
fn lost(done: std::io::Result<()>) -> Option<Parting> {
    done.err().map(|_| Parting::TerminalLost)
}
