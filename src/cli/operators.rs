//! Scripted operators: the people of the sandbox, who sign, start, complete, inject the fault that was asked for, and roll back where
//! a person would. They see what a cockpit sees and send what a cockpit sends.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::bridge::SocketBridge;
use super::follow;
use crate::cockpit::bridge::{Bridge, BridgeError, Purpose};
use crate::demo::faults::{self, Fault};
use crate::engine::LETS_GO_WITHIN;
use crate::history::History;
use crate::journal::Folder;
use crate::runbook::Role;
use crate::session::decide::may_start;
use crate::session::{
    Command, EvidenceState, GateView, LineKind, Phase, Refusal, Session, StepStatus,
};

/// How long the people of the script watch a red checklist before one of them rolls back, in runbook time.
const PATIENCE_MS: i64 = 20 * 60_000;
/// Where nothing was made to go wrong, what is red is a busy machine: then so long at least, in real time.
const BUSY_MS: i64 = 180_000;
/// After so long somebody at a cockpit sees that the engine is gone. By then its guard has told people.
const UNSEEN: Duration = Duration::from_millis(500);

/// What the script has to do beside its job.
#[derive(Debug, Clone)]
pub struct Script {
    /// The sandbox.
    pub dir: PathBuf,
    /// What goes wrong, and before which step.
    pub fault: Option<(Fault, String)>,
    /// Nothing may take longer, all in all.
    pub limit: Duration,
    /// How often a dead engine is started again before the script gives up.
    pub restarts: u32,
    /// Engines are started from this program; from the one that runs where absent.
    pub program: Option<PathBuf>,
}

/// Plays a session to its end, which is that of its engine, too: whoever goes on finds both databases free.
///
/// # Errors
/// It did not end within the limit, or its engine could not be kept alive.
pub async fn play(folder: &Folder, script: Script) -> anyhow::Result<Session> {
    let (folder, handle) = (folder.clone(), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || {
        let _entered = handle.enter();
        Play::new(&folder, script)?.run()
    })
    .await?
}

struct Play {
    folder: Folder,
    script: Script,
    bridge: SocketBridge,
    history: History,
    injected: bool,
    restarts: u32,
    /// Since when no engine has run.
    gone_since: Option<Instant>,
}

impl Play {
    fn new(folder: &Folder, script: Script) -> anyhow::Result<Play> {
        Ok(Play {
            bridge: SocketBridge::new(folder.clone(), None, Some(script.dir.clone()))
                .with_program(script.program.clone()),
            history: History::open(folder)?,
            folder: folder.clone(),
            script,
            injected: false,
            restarts: 0,
            gone_since: None,
        })
    }

    fn run(mut self) -> anyhow::Result<Session> {
        let began = Instant::now();
        let mut over_since: Option<Instant> = None;
        loop {
            // Looked at before its last lines are read: what an engine that is gone has written is all there.
            let is_alive = self.history.follower().engine()?.is_alive();
            for entry in self.history.read_on()? {
                if let Some(line) = follow::line(entry) {
                    errln!("{line}");
                }
            }
            self.keep_alive(is_alive)?;
            if let Ok(session) = self.history.session() {
                if is_over(&session) {
                    let waited = over_since.get_or_insert_with(Instant::now).elapsed();
                    if !is_alive || waited > LETS_GO_WITHIN {
                        return Ok(session);
                    }
                }
                if session.phase == Phase::Open && session.fired.is_none() {
                    self.act(&session)?;
                }
            }
            anyhow::ensure!(
                began.elapsed() < self.script.limit,
                "the session did not end within {} s; see {}",
                self.script.limit.as_secs(),
                self.folder.dir().display()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Somebody at a cockpit sees that the engine is gone before its session is over, and starts the next one.
    fn keep_alive(&mut self, is_alive: bool) -> anyhow::Result<()> {
        if is_alive || self.history.session().is_ok_and(|s| is_over(&s)) {
            self.gone_since = None;
            return Ok(());
        }
        if self.gone_since.get_or_insert_with(Instant::now).elapsed() < UNSEEN {
            return Ok(());
        }
        self.gone_since = None;
        self.restart()
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        self.restarts += 1;
        anyhow::ensure!(
            self.restarts <= self.script.restarts,
            "the engine died {} times; see {}",
            self.restarts,
            self.folder.log_path().display()
        );
        errln!("the engine is gone; starting another");
        // One that does not come up is no different from one that dies a moment later.
        if let Err(error) = self.bridge.start_engine(Purpose::GoOn) {
            errln!("{error}");
        }
        Ok(())
    }

    /// The one thing that somebody would do now, if there is one.
    fn act(&mut self, session: &Session) -> anyhow::Result<()> {
        if let Some(running) = session.current_step() {
            return self.while_running(session, &running.id.clone());
        }
        let Some((line, state)) = session.next_step() else {
            return self.send(Command::Complete, Role::ReleaseManager);
        };
        if state.attempt == 0 {
            self.inject_what_is_due(&line.id);
        }
        if state.status == StepStatus::Failed && state.attempt >= line.attempts {
            let why = state.outcome.as_ref().map_or("", |o| o.summary.as_str());
            return self.roll_back(session, &format!("{} failed: {why}", line.id));
        }
        match may_start(session) {
            Ok(step) => self.send(
                Command::StartStep { step: Some(step) },
                Role::ReleaseManager,
            ),
            Err(Refusal::NoGo { .. }) => self.sign(session),
            Err(_) => Ok(()),
        }
    }

    /// Signs what can be signed; a gate whose evidence is red is a no-go.
    fn sign(&self, session: &Session) -> anyhow::Result<()> {
        for gate in session.gates().into_iter().filter(|g| !g.green) {
            if gate.evidence_is_green() {
                for role in gate.missing_roles() {
                    self.send(
                        Command::Sign {
                            gate: gate.id.clone(),
                            role: Some(role),
                            note: None,
                            proof: None,
                        },
                        role,
                    )?;
                }
            } else if let Some(why) = why_no_go(&gate) {
                return self.roll_back(session, &format!("{} is a no-go: {why}", gate.id));
            }
        }
        Ok(())
    }

    fn while_running(&mut self, session: &Session, step: &str) -> anyhow::Result<()> {
        let line = session.charter.steps.iter().find(|l| l.id == step);
        let state = session.step(step);
        match (line.map(|l| &l.kind), state) {
            (Some(LineKind::Confirm(roles)), Some(state)) => {
                for role in roles.iter().filter(|r| !state.confirmed.contains_key(r)) {
                    self.send(Command::Confirm { step: None }, *role)?;
                }
                Ok(())
            }
            (Some(LineKind::Checklist), Some(state)) => {
                let waited_ms = self.now_ms(session) - state.started_ms.unwrap_or(0);
                if waited_ms < self.patience_ms(session) {
                    return Ok(());
                }
                self.roll_back(session, &self.what_is_red())
            }
            (_, Some(state)) if state.question.is_some() => {
                self.roll_back(session, &format!("{step} cannot be found out"))
            }
            _ => Ok(()),
        }
    }

    fn patience_ms(&self, session: &Session) -> i64 {
        let patience_ms = session.charter.real_ms(PATIENCE_MS);
        match self.script.fault {
            Some(_) => patience_ms,
            None => patience_ms.max(BUSY_MS),
        }
    }

    fn what_is_red(&self) -> String {
        use crate::session::live::{ItemView, key};
        let items: Vec<ItemView> = self
            .history
            .follower()
            .board(key::CHECKLIST)
            .ok()
            .flatten()
            .unwrap_or_default();
        let red: Vec<String> = items
            .iter()
            .filter(|i| i.green != Some(true))
            .map(|i| format!("{}: {}", i.id, i.reason))
            .collect();
        format!("the checklist has not turned green; {}", red.join("; "))
    }

    fn now_ms(&self, session: &Session) -> i64 {
        session.engine.as_ref().map_or(session.at_ms, |e| {
            e.at_ms + crate::clock::now_ms() - e.boot_ms
        })
    }

    /// Injects the fault once everything before its step is done. That step waits for a person, whatever the runbook says (see
    /// `Opening::wait_before`), so that nothing runs meanwhile.
    fn inject_what_is_due(&mut self, next: &str) {
        let Some((fault, step)) = self
            .script
            .fault
            .clone()
            .filter(|(_, s)| !self.injected && s == next)
        else {
            return;
        };
        self.injected = true;
        errln!("injecting {fault} before {step}");
        if let Err(error) = faults::inject(&self.script.dir, fault) {
            errln!("the fault could not be injected: {error}");
        }
    }

    fn roll_back(&self, session: &Session, reason: &str) -> anyhow::Result<()> {
        let confirm = Some(session.charter.session.clone());
        self.send(
            Command::RollBack {
                reason: reason.to_owned(),
                confirm,
            },
            Role::ReleaseManager,
        )
    }

    /// A refusal is no failure of the script: things may have moved on since it looked.
    fn send(&self, command: Command, role: Role) -> anyhow::Result<()> {
        match self.bridge.send(&command, Some(role.key())) {
            Ok(_) | Err(BridgeError::Refused(_) | BridgeError::NoEngine) => Ok(()),
            Err(error) => {
                errln!("{error}");
                Ok(())
            }
        }
    }
}

fn is_over(session: &Session) -> bool {
    matches!(session.phase, Phase::RolledBack | Phase::Completed)
}

/// What is red in the evidence of a gate, and why; `None` where nothing is.
fn why_no_go(gate: &GateView) -> Option<String> {
    let mut evidence = gate.evidence.iter();
    let red = evidence.find(|one| one.state == EvidenceState::Red)?;
    Some(format!("{}: {}", red.name, red.detail))
}
