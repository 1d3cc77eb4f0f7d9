//! The instances of the sample application, started and stopped as a service manager would.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::POSTGRES;
use crate::demo::layout::Layout;
use crate::demo::reaper::Reaper;

/// How long an instance has to end after being asked.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How long an instance that ended by itself stays down.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// How often ended instances are looked for.
const LOOK: Duration = Duration::from_millis(100);

/// There is no instance of this name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("there is no instance `{name}`; there are {known}")]
    Unknown { name: String, known: String },
    #[error("starting {name}: {source}")]
    Start {
        name: String,
        source: std::io::Error,
    },
}

/// What can be started and must not be left behind.
pub(super) struct Starter {
    program: PathBuf,
    reaper: Arc<Mutex<Reaper>>,
}

impl Starter {
    /// Starts our binary with a hidden subcommand; it ends with us by its standard input and by the reaper.
    pub(super) fn start(&self, arguments: &[&Path], errors: &Path) -> std::io::Result<Child> {
        let errors = File::options().append(true).create(true).open(errors)?;
        let child = Command::new(&self.program)
            .args(arguments)
            .env_remove(POSTGRES)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        if let Some(leader) = child.id() {
            self.reaper
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .group(leader)?;
        }
        Ok(child)
    }

    /// Ends a process and waits for it: TERM, then KILL.
    pub(super) async fn end(&self, child: Child) {
        self.end_within(STOP_LIMIT, child).await;
    }

    async fn end_within(&self, limit: Duration, mut child: Child) {
        let Some(leader) = child.id() else { return };
        let group = i32::try_from(leader).ok().and_then(Pid::from_raw);
        let signal = |signal| group.map(|group| kill_process_group(group, signal));
        signal(Signal::TERM);
        if tokio::time::timeout(limit, child.wait()).await.is_err() {
            signal(Signal::KILL);
            let _ = child.wait().await;
        }
        self.forget(leader);
    }

    fn forget(&self, leader: u32) {
        // The reaper is gone only when we are about to be.
        let _ = self
            .reaper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forget(leader);
    }
}

struct Instance {
    name: String,
    config: PathBuf,
    errors: PathBuf,
    process: Option<Child>,
    /// Whether it is meant to run.
    wanted: bool,
    /// When it ended by itself.
    ended_at: Option<Instant>,
}

impl Instance {
    fn start(&mut self, starter: &Starter) -> Result<(), Error> {
        self.wanted = true;
        self.ended_at = None;
        if self.process.is_some() {
            return Ok(());
        }
        let arguments = [
            Path::new("app"),
            Path::new("--supervised"),
            Path::new("--config"),
            &self.config,
        ];
        let started = starter.start(&arguments, &self.errors);
        self.process = Some(started.map_err(|source| Error::Start {
            name: self.name.clone(),
            source,
        })?);
        Ok(())
    }

    async fn stop(&mut self, starter: &Starter) {
        self.stop_within(STOP_LIMIT, starter).await;
    }

    async fn stop_within(&mut self, limit: Duration, starter: &Starter) {
        self.wanted = false;
        if let Some(process) = self.process.take() {
            starter.end_within(limit, process).await;
        }
    }

    /// Starts it again where it ended by itself a while ago.
    fn look_after(&mut self, starter: &Starter) {
        if let Some(process) = &mut self.process {
            let leader = process.id();
            if let (Ok(Some(_)), Some(leader)) = (process.try_wait(), leader) {
                starter.forget(leader);
                self.process = None;
                self.ended_at = Some(Instant::now());
            }
        }
        if self.wanted
            && self.process.is_none()
            && self.ended_at.is_none_or(|at| at.elapsed() > RESTART_PAUSE)
        {
            let _ = self.start(starter).inspect_err(|error| errln!("{error}"));
        }
    }
}

/// All instances, staging included.
pub(super) struct Fleet {
    instances: BTreeMap<String, Arc<tokio::sync::Mutex<Instance>>>,
    pub(super) starter: Arc<Starter>,
}

impl Fleet {
    /// Instances that do not run yet, and the watch over them.
    pub(super) fn new<'a>(
        layout: &Layout,
        names: impl Iterator<Item = &'a String>,
        program: &Path,
        reaper: Arc<Mutex<Reaper>>,
        stop: CancellationToken,
    ) -> Self {
        let instance = |name: &String| Instance {
            name: name.clone(),
            config: layout.instance_config(name),
            errors: layout.instance(name).join("stderr.log"),
            process: None,
            wanted: false,
            ended_at: None,
        };
        let instances: BTreeMap<_, _> = names
            .map(|name| {
                (
                    name.clone(),
                    Arc::new(tokio::sync::Mutex::new(instance(name))),
                )
            })
            .collect();
        let starter = Arc::new(Starter {
            program: program.to_path_buf(),
            reaper,
        });
        tokio::spawn(watch(
            instances.values().cloned().collect(),
            starter.clone(),
            stop,
        ));
        Self { instances, starter }
    }

    pub(super) async fn start_all(&self) -> std::io::Result<()> {
        for instance in self.instances.values() {
            instance
                .lock()
                .await
                .start(&self.starter)
                .map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    pub(super) async fn stop_all(&self) {
        let stops = self
            .instances
            .values()
            .map(async |instance| instance.lock().await.stop(&self.starter).await);
        futures_util::future::join_all(stops).await;
    }

    pub(super) async fn start(&self, name: &str) -> Result<(), Error> {
        self.find(name)?.lock().await.start(&self.starter)
    }

    pub(super) async fn stop(&self, name: &str) -> Result<(), Error> {
        self.find(name)?.lock().await.stop(&self.starter).await;
        Ok(())
    }

    /// Stops and starts; the new process reads its configuration as it is now.
    /// Without waiting for its requests where `now` says so.
    pub(super) async fn restart(&self, name: &str, now: bool) -> Result<(), Error> {
        let mut instance = self.find(name)?.lock().await;
        let limit = if now { Duration::ZERO } else { STOP_LIMIT };
        instance.stop_within(limit, &self.starter).await;
        instance.start(&self.starter)
    }

    /// The process number of each instance that runs.
    pub(super) async fn processes(&self) -> BTreeMap<String, Option<u32>> {
        let mut processes = BTreeMap::new();
        for (name, instance) in &self.instances {
            processes.insert(
                name.clone(),
                instance.lock().await.process.as_ref().and_then(Child::id),
            );
        }
        processes
    }

    fn find(&self, name: &str) -> Result<&tokio::sync::Mutex<Instance>, Error> {
        self.instances
            .get(name)
            .map(Arc::as_ref)
            .ok_or_else(|| Error::Unknown {
                name: name.to_string(),
                known: self
                    .instances
                    .keys()
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

async fn watch(
    instances: Vec<Arc<tokio::sync::Mutex<Instance>>>,
    starter: Arc<Starter>,
    stop: CancellationToken,
) {
    while stop
        .run_until_cancelled(tokio::time::sleep(LOOK))
        .await
        .is_some()
    {
        for instance in &instances {
            // Whoever holds it is starting or stopping it just now.
            if let Ok(mut instance) = instance.try_lock() {
                instance.look_after(&starter);
            }
        }
    }
}
