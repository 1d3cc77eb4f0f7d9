//! Threads that wait so that the screen does not: each turns what it waits for into messages. They end with the process, or when
//! nobody listens any more.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossterm::event::{Event, read};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use super::super::bridge::{Bridge, Purpose};
use super::super::follow::Follow;
use super::super::terminal;
use super::super::update::Message;
use crate::session::Command;

/// How often the journal is looked at: what others do, or a death of the engine, shows within one of these.
pub const LOOK: Duration = Duration::from_millis(80);
/// How often the terminal is looked at.
const LOOK_AT_TERMINAL: Duration = Duration::from_millis(250);
/// How long the journal may be unreadable, as while it is replaced, before the screen says so.
const UNREADABLE: Duration = Duration::from_secs(1);
/// How often somebody says that they are still here.
const PRESENT: Duration = Duration::from_secs(5);

/// What the engine is asked.
pub enum Ask {
    /// To carry out a command.
    Command {
        /// Which.
        command: Command,
        /// In words, for the answer.
        asked: String,
        /// Whether an engine must be started first.
        start_engine: bool,
        /// Who is played.
        playing: Option<String>,
    },
    /// To be there.
    StartEngine,
    /// Which faults there are.
    Faults,
    /// A fault, or none any more.
    Inject(Option<String>),
}

/// A step whose output is read.
pub struct Watch {
    /// Which.
    pub step: String,
    /// From 1.
    pub attempt: u32,
}

/// The way to a thread that asks the engine.
pub struct Worker<T> {
    sender: Sender<T>,
    thread: JoinHandle<()>,
}

/// The thread that asks.
pub type Asker = Worker<Ask>;
/// The thread that says who is here: the view, and who is played.
pub type Presenter = Worker<(&'static str, Option<String>)>;

impl<T: Send + 'static> Worker<T> {
    fn start(work: impl FnOnce(Receiver<T>) + Send + 'static) -> Worker<T> {
        let (sender, receiver) = channel();
        Worker {
            sender,
            thread: thread::spawn(move || work(receiver)),
        }
    }

    /// Gives it something to ask.
    pub fn send(&self, work: T) {
        let _ = self.sender.send(work);
    }

    /// Lets it end what it is at, but not for longer than this.
    pub fn end(self, patience: Duration) {
        drop(self.sender);
        let deadline = Instant::now() + patience;
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Keys, the mouse, pastes and sizes.
pub fn keys(to: Sender<Message>) {
    thread::spawn(move || {
        loop {
            let message = match read() {
                Ok(Event::Key(key)) => Message::Key(key),
                Ok(Event::Mouse(event)) => Message::Mouse(event),
                Ok(Event::Paste(text)) => Message::Pasted(text),
                Ok(Event::Resize(..)) => Message::Resized,
                Ok(_) => continue,
                Err(_) => Message::TerminalLost,
            };
            let last = matches!(message, Message::TerminalLost);
            if to.send(message).is_err() || last {
                return;
            }
        }
    });
}

/// Signals.
pub fn signals(to: Sender<Message>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT])?;
    thread::spawn(move || {
        for signal in signals.forever() {
            let message = match signal {
                SIGHUP => Message::TerminalLost,
                SIGTSTP => Message::SuspendAsked,
                SIGCONT => Message::Continued,
                _ => Message::EndAsked,
            };
            if to.send(message).is_err() {
                return;
            }
        }
    });
    Ok(())
}

/// Whether there is a terminal at all: the thread that reads keys cannot tell, a terminal that is gone reads as empty for ever and
/// keeps it spinning until the process ends.
pub fn terminal(to: Sender<Message>) {
    thread::spawn(move || {
        while terminal::is_there() {
            thread::sleep(LOOK_AT_TERMINAL);
        }
        let _ = to.send(Message::TerminalLost);
    });
}

/// The journal. Tells a failure once, and goes on looking: the file may come back.
pub fn journal(mut follow: Follow, to: Sender<Message>) -> Sender<Watch> {
    let (sender, watch) = channel::<Watch>();
    thread::spawn(move || {
        let mut failing: Option<Failing> = None;
        loop {
            match watch.recv_timeout(LOOK) {
                Ok(watch) => follow.watch(watch.step, watch.attempt),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let message = match follow.look() {
                Ok(news) => {
                    // Also where nothing has happened meanwhile, for the screen says that nobody knows.
                    if failing.take().is_some_and(|failing| failing.is_told) {
                        follow.tell_again();
                        continue;
                    }
                    if news.is_empty() {
                        continue;
                    }
                    Message::Came(Box::new(news))
                }
                Err(error) => {
                    let failing = failing.get_or_insert_with(Failing::begins);
                    if failing.is_told || failing.since.elapsed() < UNREADABLE {
                        continue;
                    }
                    failing.is_told = true;
                    Message::FollowFailed(error.to_string())
                }
            };
            if to.send(message).is_err() {
                return;
            }
        }
    });
    sender
}

/// A journal that cannot be read.
struct Failing {
    since: Instant,
    /// The screen has been told.
    is_told: bool,
}

impl Failing {
    fn begins() -> Self {
        Self {
            since: Instant::now(),
            is_told: false,
        }
    }
}

/// The engine, one question at a time.
pub fn asker(bridge: Arc<dyn Bridge>, to: Sender<Message>) -> Asker {
    Worker::start(move |asks| {
        for ask in asks {
            if to.send(answer(&*bridge, ask)).is_err() {
                return;
            }
        }
    })
}

fn answer(bridge: &dyn Bridge, ask: Ask) -> Message {
    match ask {
        Ask::Command {
            command,
            asked,
            start_engine,
            playing,
        } => {
            let started = if start_engine {
                // Only a rollback is asked for where no engine runs.
                bridge.start_engine(Purpose::RollBack)
            } else {
                Ok(())
            };
            let result = started
                .and_then(|()| bridge.send(&command, playing.as_deref()))
                .map(Some);
            Message::Answered { asked, result }
        }
        Ask::StartEngine => Message::Answered {
            asked: "engine started".to_owned(),
            result: bridge.start_engine(Purpose::GoOn).map(|()| None),
        },
        Ask::Faults => Message::FaultsListed(bridge.faults()),
        Ask::Inject(name) => {
            let asked = match &name {
                Some(name) => format!("fault {name} injected"),
                None => "every fault taken back".to_owned(),
            };
            let result = bridge.inject_fault(name.as_deref()).map(|()| None);
            Message::Answered { asked, result }
        }
    }
}

/// Says again and again that somebody is here. Nobody waits for the answer.
pub fn presenter(bridge: Arc<dyn Bridge>) -> Presenter {
    Worker::start(move |places: Receiver<(&'static str, Option<String>)>| {
        let mut here: Option<(&'static str, Option<String>)> = None;
        loop {
            match places.recv_timeout(PRESENT) {
                Ok(place) => here = Some(place),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if let Some((view, playing)) = &here {
                let _ = bridge.present(view, playing.as_deref());
            }
        }
    })
}
