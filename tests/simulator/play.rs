//! Plays a night: the engine's loop, and after its death the next one's, in one thread on the world's clock.
//!
//! Not in here: the engine, which is the real one; what must hold (`rules`); what engines hear (`signals`); a script's deeds (`deeds`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use cutover::claim::{self, Claim};
use cutover::engine::conduct::Conduct;
use cutover::engine::ledger::{Book as _, Ledger, to_entry};
use cutover::engine::outside::Process;
use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::resume::session_ms;
use cutover::engine::watch::Watch;
use cutover::engine::{Error, Input, lease};
use cutover::history;
use cutover::journal::{Folder, Journal, count_lease};
use cutover::runbook::Runbook;
use cutover::session::maintenance::Sight;
use cutover::session::{Charter, Command, Event, Opening, Phase, Production, Session};
use cutover::trigger::Memory;
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use super::book::{Crash, Paper};
use super::outside::{Sim, wall};
use super::script::{Sabotage, Script};
use super::world::{Breach, FLEET, Shared, World};
use super::{people, rules, tasks};
use crate::session::language::rehearsal;

const STEP_MS: i64 = 50;
const TICK_MS: i64 = 400;
const HELP_MS: i64 = 350;
const SAMPLE_MS: i64 = 1_000;
const WRITE_MS: i64 = 450;
const DISKS_MS: i64 = 2_000;
/// A night that has not ended by then never ends.
const LIMIT_MS: i64 = 400_000;
/// Runbook time in a world's: the agreed quarter of an hour is a quarter of a minute.
const SPEED: f64 = 60.0;

/// How a night ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Completed,
    RolledBack,
    NoGo,
    NotHealthy,
}

/// What came of a night.
pub struct Night {
    pub end: Result<End, Breach>,
    pub counts: BTreeMap<&'static str, u64>,
    pub recorded: Vec<cutover::session::Recorded>,
}

/// Plays a script.
pub fn night(script: &Script, sabotage: Option<Sabotage>) -> Night {
    let mut play = Play::new(script, sabotage);
    play.all();
    play.ended()
}

fn runbook() -> Arc<Runbook> {
    static RUNBOOK: OnceLock<Arc<Runbook>> = OnceLock::new();
    let make = || {
        let mut runbook = crate::session::reference();
        runbook.fleet.instances.truncate(FLEET.len());
        Arc::new(runbook)
    };
    Arc::clone(RUNBOOK.get_or_init(make))
}

fn opened() -> (String, serde_json::Value) {
    static OPENED: OnceLock<(String, serde_json::Value)> = OnceLock::new();
    let make = || {
        let opening = Opening {
            session: "tonight".into(),
            target: "db:5432/tools".into(),
            production: Production::default(),
            again: None,
            sandbox: true,
            rehearsal: false,
            speed: SPEED,
            wait_before: Vec::new(),
        };
        let charter = Box::new(Charter::new(&runbook(), opening));
        to_entry(&Event::SessionOpened { charter })
    };
    OPENED.get_or_init(make).clone()
}

/// An engine that lives.
pub(super) struct Running {
    pub(super) id: u32,
    pub(super) conduct: Conduct<Sim>,
}

/// A night under way.
pub(super) struct Play<'s> {
    pub(super) script: &'s Script,
    /// Which of its deeds are done.
    pub(super) done: Vec<bool>,
    pub(super) world: Shared,
    pub(super) engines: Vec<Running>,
    /// When the next engine begins, once none lives.
    starts_ms: i64,
    /// Numbers that people were told are done.
    words: Vec<u64>,
    /// Until when maintenance is lifted by hand, and how often it had been lifted otherwise.
    pub(super) by_hand: Option<(i64, u64)>,
    pub(super) is_over: bool,
    /// Where the real journal lies.
    pub(super) root: Option<tempfile::TempDir>,
}

impl Play<'_> {
    fn new(script: &Script, sabotage: Option<Sabotage>) -> Play<'_> {
        let mut world = World::new(script.seed, sabotage);
        world.disk.has_spare = world.roll("spare", 4) == 0 && !script.real;
        let root = script.real.then(|| {
            let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
            let root = root.expect("a folder");
            std::fs::write(root.path().join("source.db"), "").expect("a file");
            world.disk.folder = Some(Folder::create(root.path(), "tonight").expect("a folder"));
            root
        });
        Play {
            done: vec![false; script.deeds.len()],
            script,
            starts_ms: world.now_ms,
            world: Rc::new(world.into()),
            engines: Vec::new(),
            words: Vec::new(),
            by_hand: None,
            is_over: false,
            root,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.world.borrow().now_ms
    }

    fn is_broken(&self) -> bool {
        self.world.borrow().breach.is_some()
    }

    fn all(&mut self) {
        let began_ms = self.now_ms();
        while !self.is_over && !self.is_broken() {
            let now_ms = self.now_ms() + STEP_MS;
            self.world.borrow_mut().now_ms = now_ms;
            if now_ms - began_ms > LIMIT_MS {
                return self
                    .world
                    .borrow_mut()
                    .broken("ends", "the night does not end");
            }
            let due = |every_ms: i64| now_ms % every_ms == 0;
            self.deeds(now_ms - began_ms);
            tasks::all(&mut self.world.borrow_mut());
            if due(WRITE_MS) {
                self.world.borrow_mut().users_write();
            }
            if due(SAMPLE_MS) {
                self.samples();
            }
            if due(DISKS_MS) {
                self.disks();
            }
            self.deliver();
            if due(TICK_MS) {
                for id in self.ids() {
                    self.turn(id, Input::Tick);
                }
            }
            if due(HELP_MS) {
                self.help();
            }
            if self.engines.is_empty() && now_ms >= self.starts_ms && !self.is_over {
                self.start();
            }
            self.world.borrow_mut().check_sides();
        }
    }

    pub(super) fn ids(&self) -> Vec<u32> {
        self.engines.iter().map(|e| e.id).collect()
    }

    fn deliver(&mut self) {
        loop {
            let now_ms = self.now_ms();
            let next = {
                let inputs = &mut self.world.borrow_mut().inputs;
                let at = inputs.iter().position(|(at_ms, ..)| *at_ms <= now_ms);
                at.and_then(|at| inputs.remove(at))
            };
            let Some((_, engine, input)) = next else {
                return;
            };
            if let Input::Sampled(sample) = &input {
                let heard = (engine, sample.at_ms, sample.reading.number());
                let world = &mut *self.world.borrow_mut();
                world
                    .heard
                    .entry(sample.signal.clone())
                    .or_default()
                    .push(heard);
            }
            if let Input::Upkeep(seen) = &input {
                let off = seen.iter().any(|s| s.sight == Sight::Off);
                self.world.borrow_mut().seen_off |= off;
            }
            self.turn(engine, input);
        }
    }

    /// One turn of an engine's loop; it may die in it, or end by it.
    pub(super) fn turn(&mut self, id: u32, input: Input) {
        let Some(at) = self.engines.iter().position(|e| e.id == id) else {
            return;
        };
        let has_lease = {
            let world = self.world.borrow();
            world.holder == Some(id) || world.is_sabotaged(Sabotage::Unfenced)
        };
        let lease = || match has_lease {
            true => Ok(()),
            false => Err(lease::Error::Lost {
                path: "lease".into(),
            }),
        };
        let conduct = &mut self.engines[at].conduct;
        let ended = catch_unwind(AssertUnwindSafe(|| conduct.turn(input, lease)));
        match ended {
            Ok(None) => {}
            Ok(Some(Ok(()))) => {
                self.is_over = true;
                self.goes(id);
            }
            Ok(Some(Err(error))) => {
                self.world.borrow_mut().count(kind_of(&error));
                self.goes(id);
            }
            Err(payload) if payload.is::<Crash>() => self.died(id),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }

    /// The process is gone, whatever ended it.
    fn goes(&mut self, id: u32) {
        self.engines.retain(|e| e.id != id);
        let world = &mut *self.world.borrow_mut();
        world.drop_process(id);
        world.claimed &= !self.is_over;
        let later_ms = 200 + world.roll(&format!("gone {id}"), 2_000) as i64;
        self.starts_ms = world.now_ms + later_ms;
    }

    fn died(&mut self, id: u32) {
        let fault = self.world.borrow_mut().faults.crash.take();
        self.goes(id);
        if fault.is_some_and(|(_, _, reboots)| reboots) {
            for id in self.ids() {
                self.goes(id);
            }
            let world = &mut *self.world.borrow_mut();
            world.boots += 1;
            world.booted_ms = world.now_ms;
        }
    }

    /// An engine begins as `engine::resume` lets it.
    pub(super) fn start(&mut self) {
        self.world.borrow_mut().engines += 1;
        let id = self.world.borrow().engines;
        let began = catch_unwind(AssertUnwindSafe(|| self.begin(id)));
        match began {
            Ok(Ok(conduct)) => self.engines.push(Running { id, conduct }),
            Ok(Err(error)) => {
                self.world.borrow_mut().count(kind_of(&error));
                self.goes(id);
            }
            Err(payload) if payload.is::<Crash>() => self.died(id),
            Err(payload) => std::panic::resume_unwind(payload),
        }
    }

    fn begin(&self, engine: u32) -> Result<Conduct<Sim>, Error> {
        let folder = self.world.borrow().disk.folder.clone();
        let fencing = {
            let world = &mut *self.world.borrow_mut();
            world.holder = Some(engine);
            world.claimed = true;
            world.disk.lease += 1;
            world.disk.lease
        };
        let mut journal = None;
        if let Some(folder) = &folder {
            let counted = count_lease(folder, &serde_json::json!({}))?;
            assert_eq!(counted, fencing, "the model counts as the journal does");
            let (opened, entries) = Journal::open(folder, fencing)?;
            let known = self.world.borrow().disk.entries.len();
            assert_eq!(entries.len(), known, "the journal has what was written");
            claim::source::take(&self.source(), &Claim::of(folder))?;
            journal = Some(opened);
        }
        let mut paper = Paper {
            engine,
            fencing,
            world: Rc::clone(&self.world),
            journal,
        };
        if self.world.borrow().disk.found().is_empty() {
            let first = || Ok::<_, std::convert::Infallible>(vec![opened()]);
            let opens = paper.append_with(0, wall(self.now_ms()), first);
            if opens.is_err() {
                self.world.borrow_mut().count("not opened");
            }
            let _ = opens?;
        }
        let entries = self.world.borrow().disk.found();
        let recorded = history::events(&entries).expect("what was written is read");
        let session = Session::replay(&recorded).expect("a session");
        self.check_words();
        let now = Process {
            pid: engine,
            boot_id: format!("boot-{}", self.world.borrow().boots),
            boot_ms: self.world.borrow().boot_ms(),
        };
        let last = entries.last().map(|e| e.wall);
        let now_ms = self.now_ms();
        let at_ms = session_ms(&session, last, &now, wall(now_ms));
        let memory = self.world.borrow().memory.1.clone();
        let memory: Option<Memory> = memory.and_then(|m| serde_json::from_value(m).ok());
        let watch = Watch::new(&runbook(), &session, memory);
        let sim = Sim {
            engine,
            fencing,
            offset_ms: at_ms - now_ms,
            world: Rc::clone(&self.world),
            rehearsal: rehearsal(&session),
        };
        let mut conduct = Conduct::new(sim, Ledger::over(paper, session), watch);
        conduct
            .take_up()
            .now_or_never()
            .expect("nothing in a model is waited for")?;
        Ok(conduct)
    }

    pub(super) fn source(&self) -> std::path::PathBuf {
        let root = self.root.as_ref().expect("a folder");
        root.path().join("source.db")
    }

    /// What people were told is done is in the journal.
    fn check_words(&self) {
        let kept = self.world.borrow().disk.last_kept();
        if let Some(word) = self.words.iter().find(|word| **word > kept) {
            let what = format!("event {word} was answered, and the journal ends with {kept}");
            self.world.borrow_mut().broken("words", what);
        }
    }

    fn help(&mut self) {
        let Some(engine) = self.engines.last() else {
            return;
        };
        let session = engine.conduct.session();
        if let Some((who, command)) = people::help(session) {
            self.ask(who, command);
        }
    }

    /// Somebody asks the newest engine for something.
    pub(super) fn ask(&mut self, who: &str, command: Command) {
        let Some(id) = self.engines.last().map(|e| e.id) else {
            return;
        };
        // That a rollback begins may be in memory alone, on a full disk.
        let may_be_lost = matches!(command, Command::RollBack { .. });
        let completes = command == Command::Complete;
        let knew = self.world.borrow().written_seen;
        let (answer, answered) = oneshot::channel();
        let request = Request {
            claim: Some(who.to_owned()),
            ask: Ask::Command { command },
        };
        let user = "nobody".to_owned();
        let mut answered = answered;
        self.turn(
            id,
            Input::Asked {
                request,
                user,
                answer,
            },
        );
        let answered = answered.try_recv();
        let is_done = matches!(answered, Ok(Answer::Done { .. }));
        if completes && is_done && !knew && self.world.borrow().written_seen {
            self.world.borrow_mut().broken(
                "told",
                "the release is completed in the moment in which SQLite is first seen to have been written",
            );
        }
        if let Ok(Answer::Done { seq }) = answered
            && !may_be_lost
        {
            self.words.push(seq);
            self.forgets(id);
        }
    }

    /// Sabotage: what was answered is lost with the engine.
    fn forgets(&mut self, id: u32) {
        if self.world.borrow().is_sabotaged(Sabotage::ForgetsWords) && self.words.len() == 9 {
            self.world.borrow_mut().disk.entries.pop();
            self.died(id);
        }
    }

    fn ended(self) -> Night {
        let entries = self.world.borrow().disk.found();
        if self.is_over {
            self.check_words();
        }
        let recorded = history::events(&entries).expect("what was written is read");
        let session = Session::replay(&recorded).expect("a session");
        let world = &mut *self.world.borrow_mut();
        if world.breach.is_none() {
            rules::at_the_end(world, &session);
        }
        let healthy = session.rollback.as_ref().and_then(|r| r.healthy);
        let end = match &world.breach {
            Some(breach) => Err(breach.clone()),
            None if session.phase == Phase::Completed => Ok(End::Completed),
            None if session.is_no_go() => Ok(End::NoGo),
            None if healthy == Some(true) => Ok(End::RolledBack),
            None => Ok(End::NotHealthy),
        };
        Night {
            end,
            counts: std::mem::take(&mut world.counts),
            recorded,
        }
    }
}

fn kind_of(error: &Error) -> &'static str {
    match error {
        Error::Lease(_) => "lease lost",
        Error::Journal(cutover::journal::Error::Fenced { .. }) => "fenced",
        Error::Journal(cutover::journal::Error::DiskFull { .. }) => "ended by a full disk",
        Error::Journal(_)
        | Error::Socket(_)
        | Error::NotASession { .. }
        | Error::Folder(_)
        | Error::Claimed(_)
        | Error::OtherDatabases { .. }
        | Error::RunbookChanged { .. } => "ended by another error",
    }
}
