//! The way from a terminal to the engine: its socket, and starting it. Who we are is for the engine to see.

use crate::cockpit::bridge::{Bridge, BridgeError, Fault};
use crate::demo::control;
use crate::engine::protocol::{Answer, Ask, Request};
use crate::engine::{detach, socket};
use crate::journal::Folder;
use crate::session::Command;

/// A session's engine behind its socket.
#[derive(Debug, Clone)]
pub struct SocketBridge {
    folder: Folder,
    claim: Option<String>,
    sandbox: Option<std::path::PathBuf>,
    program: Option<std::path::PathBuf>,
    runtime: tokio::runtime::Handle,
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
        }
    }

    /// The same bridge, but engines are started from this program instead of the one that runs.
    pub fn with_program(mut self, program: Option<std::path::PathBuf>) -> SocketBridge {
        self.program = program;
        self
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
        match self.ask(
            Ask::Command {
                command: command.clone(),
            },
            playing,
        )? {
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

    fn start_engine(&self) -> Result<(), BridgeError> {
        let failed = |why: String| BridgeError::Failed { why };
        let started = match &self.program {
            Some(program) => {
                let mut engine = std::process::Command::new(program);
                engine.arg("engine").arg("--dir").arg(self.folder.dir());
                self.runtime
                    .block_on(detach::spawn_command(&self.folder, engine))
            }
            None => self.runtime.block_on(detach::spawn(&self.folder, &[])),
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
        if control::state(dir).is_err() {
            return Vec::new();
        }
        crate::demo::faults::Fault::ALL
            .iter()
            .map(|f| Fault {
                name: f.name().into(),
                what: f.what().into(),
                active: false,
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
