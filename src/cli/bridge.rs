//! The way from a terminal to the engine: its socket, and starting it. Who we are is for the engine to see.

use std::ffi::OsString;

use super::orders::Standing;
use super::{join, over};
use crate::clock;
use crate::cockpit::bridge::{Bridge, BridgeError, Fault, Purpose};
use crate::demo::control;
use crate::engine::guard::attend;
use crate::engine::protocol::{Answer, Ask, Request};
use crate::engine::{amend, detach, socket};
use crate::journal::{Folder, folder};
use crate::session::decide::statement;
use crate::session::signing::Proof;
use crate::session::{Actor, Command};
use crate::ssh::{self, Passphrase};
use crate::step::salvage::later_attempt;

/// A session's engine behind its socket.
#[derive(Debug, Clone)]
pub struct SocketBridge {
    folder: Folder,
    claim: Option<String>,
    sandbox: Option<std::path::PathBuf>,
    program: Option<std::path::PathBuf>,
    runtime: tokio::runtime::Handle,
    key: Option<std::path::PathBuf>,
    passphrase: Passphrase,
}

impl SocketBridge {
    /// The bridge to a session, from within a runtime; its calls block, so they are made from threads that may. `claim` is whom we
    /// play by default, `sandbox` the sandbox's folder if it is one.
    pub fn new(
        folder: Folder,
        claim: Option<String>,
        sandbox: Option<std::path::PathBuf>,
    ) -> SocketBridge {
        SocketBridge {
            folder,
            claim,
            sandbox,
            program: None,
            runtime: tokio::runtime::Handle::current(),
            key: None,
            passphrase: Passphrase::ByAskpass,
        }
    }

    /// The same bridge, but engines are started from this program instead of the one that runs.
    pub fn with_program(mut self, program: Option<std::path::PathBuf>) -> SocketBridge {
        self.program = program;
        self
    }

    /// The same bridge, but gates are signed with this SSH key (where absent, the one that the environment names, or a usual one),
    /// whose passphrase is asked for like this.
    pub fn signing(mut self, key: Option<std::path::PathBuf>, passphrase: Passphrase) -> Self {
        (self.key, self.passphrase) = (key, passphrase);
        self
    }

    /// The command with a signature by the SSH key of whoever runs this process, where the gate asks for one. Where the rules would
    /// refuse it anyway it stays as it is: the engine says why.
    fn with_proof(&self, command: &Command, playing: Option<&str>) -> Result<Command, BridgeError> {
        let mut command = command.clone();
        let Command::Sign {
            gate,
            role,
            note,
            proof: proof @ None,
        } = &mut command
        else {
            return Ok(command);
        };
        let failed = |why: String| BridgeError::Failed { why };
        let session = crate::history::session(&self.folder).map_err(|e| failed(e.to_string()))?;
        let claim = playing.or(self.claim.as_deref());
        let actor = Actor::identify(&session.charter, &join::user_name(), claim);
        let note = note.as_deref();
        let now = clock::wall();
        let Some(Ok(says)) = actor.map(|me| statement(&session, &me, gate, *role, note, now))
        else {
            return Ok(command);
        };
        if !session.charter.wants_ssh(&says.gate) {
            return Ok(command);
        }
        let message = says.text();
        let signed = ssh::sign(self.key.as_deref(), &message, self.passphrase);
        let signature = self.runtime.block_on(signed);
        *role = Some(says.role);
        *proof = Some(Box::new(Proof {
            message,
            signature: signature.map_err(|e| failed(e.to_string()))?,
            checked: None,
        }));
        Ok(command)
    }

    /// A session that is over has no engine: what is to be done again is recorded first, and an engine is started for it.
    fn retry(&self, command: &Command, playing: Option<&str>) -> Result<u64, BridgeError> {
        let claim = playing.or(self.claim.as_deref());
        let failed = |why: String| BridgeError::Failed { why };
        let session = crate::history::session(&self.folder).map_err(|e| failed(e.to_string()))?;
        // What its rows would take back or keep is the later session's by now.
        if let Some(later) = later_attempt(&self.folder, &session) {
            return Err(failed(format!(
                "session {later} was opened for the same target after {}, so nothing of its rollback is run again. Nothing was \
                 changed",
                session.charter.session
            )));
        }
        amend::may_amend(&session, claim, command).map_err(BridgeError::Refused)?;
        // Without what an engine is started with, nothing is put on record that nobody could carry out.
        Standing::read(&self.folder).map_err(|e| failed(format!("{e:#}")))?;
        let recorded = amend::amend(&self.folder, claim, command);
        recorded
            .map_err(|e| failed(e.to_string()))?
            .map_err(BridgeError::Refused)?;
        let session = crate::history::session(&self.folder).map_err(|e| failed(e.to_string()))?;
        self.start_engine(Purpose::GoOn)?;
        Ok(session.seq)
    }

    /// Asks the engine.
    ///
    /// # Errors
    /// [`BridgeError::NoEngine`] when nobody answers.
    pub fn ask(&self, ask: Ask, playing: Option<&str>) -> Result<Answer, BridgeError> {
        let claim = playing.map(str::to_owned).or_else(|| self.claim.clone());
        let request = Request { claim, ask };
        match self
            .runtime
            .block_on(socket::send::<Request, Answer>(&self.folder, &request))
        {
            Ok(answer) => Ok(answer),
            Err(socket::Error::NoEngine) => Err(BridgeError::NoEngine),
            Err(error) => Err(BridgeError::Failed {
                why: error.to_string(),
            }),
        }
    }
}

impl Bridge for SocketBridge {
    fn send(&self, command: &Command, playing: Option<&str>) -> Result<u64, BridgeError> {
        let command = self.with_proof(command, playing)?;
        if matches!(command, Command::Retry { .. }) {
            return self.retry(&command, playing);
        }
        match self.ask(Ask::Command { command }, playing)? {
            Answer::Done { seq } => Ok(seq),
            Answer::Refused { refusal } => Err(BridgeError::Refused(refusal)),
            Answer::Failed { why } => Err(BridgeError::Failed { why }),
            Answer::Here { .. } => Err(BridgeError::Failed {
                why: "the engine misunderstood".into(),
            }),
        }
    }

    fn present(&self, view: &str, playing: Option<&str>) -> Result<(), BridgeError> {
        self.ask(
            Ask::Present {
                view: view.to_owned(),
            },
            playing,
        )
        .map(|_| ())
    }

    fn start_engine(&self, purpose: Purpose) -> Result<(), BridgeError> {
        let failed = |why: String| BridgeError::Failed { why };
        if let Some(over) = over::sentence(&self.folder) {
            return Err(failed(over));
        }
        // What an engine is started with is its owner's, and so is whoever starts one.
        if let Err(folder::Error::Anothers { owner, .. }) = self.folder.mine() {
            let owner = socket::user_called(owner);
            let wish = match purpose {
                Purpose::GoOn => attend::Wish::Engine,
                Purpose::RollBack => attend::Wish::EngineToRollBack,
            };
            let asked = attend::ask(&self.folder, &owner, wish);
            return self.runtime.block_on(asked).map(drop).map_err(failed);
        }
        let args: &[OsString] = match purpose {
            Purpose::GoOn => &[],
            Purpose::RollBack => &["--to-roll-back".into()],
        };
        let started = match &self.program {
            Some(program) => {
                let mut engine = std::process::Command::new(program);
                engine.arg("engine").arg("--dir").arg(self.folder.dir());
                engine.args(args);
                self.runtime
                    .block_on(detach::spawn_command(&self.folder, engine))
            }
            None => self.runtime.block_on(detach::spawn(&self.folder, args)),
        };
        let leader = started.map_err(|e| failed(e.to_string()))?.pid;
        // The sandbox ends its engines with everything else.
        match &self.sandbox {
            Some(dir) => control::ask(dir, &control::Request::Adopt { leader })
                .map(drop)
                .map_err(|e| failed(format!("the engine {leader} will outlive the sandbox: {e}"))),
            None => Ok(()),
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let Some(dir) = &self.sandbox else {
            return Vec::new();
        };
        let Ok(state) = control::state(dir) else {
            return Vec::new();
        };
        let is_guest = state.foreign_server.is_some();
        crate::demo::faults::Fault::ALL
            .iter()
            .map(|f| Fault {
                name: f.name().into(),
                what: f.what().into(),
                active: false,
                unavailable: crate::demo::guest::unavailable(*f)
                    .filter(|_| is_guest)
                    .map(str::to_owned),
            })
            .collect()
    }

    fn inject_fault(&self, name: Option<&str>) -> Result<(), BridgeError> {
        let failed = |why: String| BridgeError::Failed { why };
        let Some(dir) = &self.sandbox else {
            return Err(failed("faults exist in the sandbox alone".into()));
        };
        match name {
            Some(name) => {
                let fault = name
                    .parse()
                    .map_err(|e: crate::demo::faults::UnknownFault| failed(e.to_string()))?;
                crate::demo::faults::inject(dir, fault).map_err(|e| failed(e.to_string()))
            }
            None => crate::demo::faults::heal(dir).map_err(|e| failed(e.to_string())),
        }
    }
}
