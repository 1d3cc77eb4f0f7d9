//! `cutover demo`: a sandbox with everything real, and a cutover on it by the reference runbook.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use super::bridge::SocketBridge;
use super::load::{self, Loaded};
use super::operators::{self, Script};
use super::orders::Standing;
use super::rehearse::{self, Stage};
use super::{Exit, Looks, completion, follow, join, run};
use crate::cockpit;
use crate::cockpit::bridge::{Bridge, Purpose};
use crate::demo::faults::Fault;
use crate::demo::guest;
use crate::demo::sandbox::{self, Lifetime, Sandbox};
use crate::journal::holder::read_holder;
use crate::journal::{Folder, is_engine_alive};
use crate::runbook::Role;
use crate::runbook::discovery::Discovered;
use crate::session::{RehearsalEvidence, Session};

/// The runbook that is shipped, word for word.
const RUNBOOK: &str = include_str!("../../runbook.yaml");

/// A sandbox with everything real.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover demo --speed 10
  cutover demo --headless --speed 60 --fault 5xx
  cutover demo --postgres postgres://me@127.0.0.1:5432/postgres
  cutover demo --stop")]
pub struct DemoArgs {
    /// Scripted operators instead of the cockpit; one JSON object on stdout
    #[arg(long)]
    headless: bool,
    /// What goes wrong, and before which step: 5xx, not-ready@F2, …
    #[arg(long, value_name = "NAME[@STEP]", value_parser = fault, add = ArgValueCandidates::new(completion::faults))]
    fault: Option<(Fault, String)>,
    /// How many times faster the runbook's minutes pass
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3600))]
    speed: u32,
    /// The sandbox's folder, which then stays; a temporary one where absent
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Rows of sample data
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(500..))]
    rows: u32,
    /// Requests per second from simulated users
    #[arg(long, default_value_t = 150)]
    rate: u32,
    /// Seed of data and traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A PostgreSQL server that is there, where none can be started: by a role with CREATEDB and CREATEROLE. Two databases and two
    /// roles are made there and dropped at the end, and nothing else is touched. With --stop, also drops what a killed sandbox left there
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// End the sandbox that runs
    #[arg(long)]
    stop: bool,
    #[command(flatten)]
    looks: Looks,
}

fn fault(text: &str) -> Result<(Fault, String), String> {
    let (name, step) = text
        .split_once('@')
        .map_or((text, None), |(n, s)| (n, Some(s)));
    let fault: Fault = name
        .parse()
        .map_err(|e: crate::demo::faults::UnknownFault| e.to_string())?;
    Ok((
        fault,
        step.map_or_else(|| fault.default_step().to_owned(), str::to_owned),
    ))
}

/// `cutover demo`
pub async fn run(args: DemoArgs) -> anyhow::Result<Exit> {
    if args.stop {
        return stop(args.dir.as_deref(), args.postgres.as_deref()).await;
    }
    if let Some(url) = &args.postgres {
        welcome(url, args.fault.as_ref().map(|(fault, _)| *fault)).await?;
    }
    let headless = args.headless || !join::can_show_a_screen();
    errln!("starting a sandbox: application, traffic, PostgreSQL");
    let options = sandbox::Options {
        dir: args.dir.clone(),
        postgres: args.postgres.clone(),
        rows: args.rows,
        seed: args.seed,
        rate: args.rate,
        speed: args.speed,
        lifetime: if headless {
            Lifetime::Starter
        } else {
            Lifetime::Session
        },
        ..sandbox::Options::new(std::env::current_exe()?)
    };
    let sandbox = tokio::task::spawn_blocking(move || Sandbox::start(options)).await??;
    errln!("the sandbox is in {}", sandbox.dir().display());
    let ended = tokio::select! {
        ended = on(&sandbox, &args, headless) => ended,
        () = interrupted(headless) => Err(anyhow::anyhow!("interrupted; the sandbox and everything in it is gone")),
    };
    if headless || ended.is_err() {
        end_engines(sandbox.dir());
        tokio::task::spawn_blocking(move || sandbox.stop()).await??;
    }
    ended
}

async fn on(sandbox: &Sandbox, args: &DemoArgs, headless: bool) -> anyhow::Result<Exit> {
    let stage = Night::new(sandbox.dir(), RUNBOOK, f64::from(args.speed));
    errln!("rehearsing on a scratch database, rollback included");
    let evidence = stage.rehearse().await?;
    let folder = stage
        .open(
            1,
            evidence,
            args.fault.as_ref().map(|(_, step)| step.as_str()),
        )
        .await?;
    if !headless {
        let playing = Role::ReleaseManager.key().to_owned();
        let options = cockpit::Options {
            guide: true,
            ..join::options(Some(playing), args.looks.clone())
        };
        let dir = sandbox.dir().to_owned();
        let exit = join::cockpit(folder.clone(), options, Some(dir)).await?;
        // It outlives cockpit and session: the application can be looked at. One in a folder of its own is found by that folder alone.
        let of = args
            .dir
            .as_ref()
            .map_or_else(String::new, |dir| format!(" --dir {}", dir.display()));
        errln!("the sandbox goes on for 30 minutes; end it with `cutover demo --stop{of}`");
        return Ok(exit);
    }
    let session = operators::play(&folder, stage.script(args.fault.clone())).await?;
    outln!("{}", summary(&session, &folder));
    Ok(follow::exit_of(&session).unwrap_or(Exit::Failed))
}

/// How often scripted operators start a dead engine again.
const RESTARTS: u32 = 5;

/// A cutover in a sandbox: what is rehearsed, opened and played there.
#[derive(Debug, Clone)]
pub struct Night {
    dir: PathBuf,
    runbook: String,
    speed: f64,
    program: Option<PathBuf>,
}

impl Night {
    /// By a runbook's text, in the sandbox of this folder.
    pub fn new(dir: &Path, runbook: &str, speed: f64) -> Night {
        Night {
            dir: dir.to_owned(),
            runbook: runbook.to_owned(),
            speed,
            program: None,
        }
    }

    /// With engines of another program than the one that runs.
    pub fn with_program(self, program: &Path) -> Night {
        Night {
            program: Some(program.to_owned()),
            ..self
        }
    }

    fn load(&self) -> anyhow::Result<Loaded> {
        let environment = sandbox::environment(&self.dir)?;
        let env = |name: &str| environment.get(name).cloned();
        Ok(load::parse(
            "runbook.yaml",
            self.runbook.clone(),
            self.dir.clone(),
            &env,
            &Discovered::NotAsked,
        )?)
    }

    /// Where the sandbox's sessions are.
    pub fn root(&self) -> PathBuf {
        self.dir.join(run::ROOT)
    }

    /// Rehearses on the scratch database.
    ///
    /// # Errors
    /// The sandbox is gone, or the rehearsal did not come to its end.
    pub async fn rehearse(&self) -> anyhow::Result<RehearsalEvidence> {
        let stage = Stage {
            root: self.root(),
            sandbox: Some(self.dir.clone()),
            speed: self.speed,
            program: self.program.clone(),
            claim_scratch: None,
            stop: CancellationToken::new(),
        };
        rehearse::rehearse(&self.dir.join("runbook.yaml"), &self.load()?, &stage).await
    }

    /// Opens the n-th session and starts its engine. `wait_before` is a step that a person starts, whatever the runbook says.
    pub async fn open(
        &self,
        n: u32,
        evidence: RehearsalEvidence,
        wait_before: Option<&str>,
    ) -> anyhow::Result<Folder> {
        let loaded = self.load()?;
        let path = self.dir.join("runbook.yaml");
        crate::ours::file::replace(&path, self.runbook.as_bytes())
            .with_context(|| path.display().to_string())?;
        let standing = Standing {
            sandbox: true,
            speed: self.speed,
            evidence: Some(evidence),
            wait_before: wait_before.into_iter().map(str::to_owned).collect(),
            ..Standing::new(&path, &loaded)
        };
        let folder = Folder::create(&self.root(), &format!("{}-{n}", loaded.runbook.name))?;
        standing.write(&folder)?;
        let bridge = SocketBridge::new(folder.clone(), None, Some(self.dir.clone()))
            .with_program(self.program.clone());
        tokio::task::spawn_blocking(move || bridge.start_engine(Purpose::GoOn)).await??;
        Ok(folder)
    }

    /// What the scripted operators do in it.
    pub fn script(&self, fault: Option<(Fault, String)>) -> Script {
        Script {
            dir: self.dir.clone(),
            fault,
            restarts: RESTARTS,
            limit: Duration::from_secs_f64(240.0 + 3.0 * 3600.0 / self.speed),
            program: self.program.clone(),
        }
    }
}

/// One JSON object: per protocol row, what was done, by whom, and for how long.
fn summary(session: &Session, folder: &Folder) -> serde_json::Value {
    let confidence = crate::session::confidence::confidence(session);
    serde_json::json!({
        "session": session.charter.session,
        "folder": folder.dir(),
        "speed": session.charter.speed,
        "phase": session.phase,
        "exit": follow::exit_of(session).map(|e| e as u8),
        "fired": session.fired,
        "rows": crate::report::rows(session),
        "confidence": confidence.score,
    })
}

/// Whether a server that is there will do, before anything begins; what sandboxes that were killed have left on it goes.
async fn welcome(url: &str, fault: Option<Fault>) -> anyhow::Result<()> {
    if let Some((fault, why)) = fault.and_then(|fault| Some((fault, guest::unavailable(fault)?))) {
        anyhow::bail!("--fault {fault} is {why}");
    }
    guest::examine(url, sandbox::Options::new("").instances).await?;
    sweep(url).await.map(drop)
}

/// Whether all is gone that is known as ours and that no living sandbox has.
async fn sweep(url: &str) -> anyhow::Result<bool> {
    let admin = guest::endpoint(url)?;
    let swept = crate::ours::guest::sweep(&admin).await?;
    for names in &swept.gone {
        errln!(
            "{}: what a sandbox left that was killed is gone: databases {} and {}, and its roles",
            admin.host_label(),
            names.target(),
            names.scratch()
        );
    }
    for names in &swept.living {
        let (host, owner) = (admin.host_label(), names.owner());
        errln!("{host}: the sandbox of {owner} lives, and keeps what it has");
    }
    for left in &swept.left {
        errln!("{left}");
    }
    Ok(swept.left.is_empty())
}

async fn stop(dir: Option<&Path>, postgres: Option<&str>) -> anyhow::Result<Exit> {
    let found = dir.map_or_else(sandbox::running, |d| vec![d.to_owned()]);
    if found.is_empty() {
        errln!(
            "no sandbox runs in a temporary folder; one in a folder of its own is ended with --dir DIR"
        );
    }
    for dir in found {
        end_engines(&dir);
        let ending = dir.clone();
        tokio::task::spawn_blocking(move || sandbox::stop(&ending)).await??;
        errln!("{} has ended", dir.display());
    }
    if let Some(url) = postgres
        && !sweep(url).await?
    {
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// Ctrl-C, a closed terminal or a polite kill: without a cockpit the sandbox goes with us. A cockpit minds its own signals, and a
/// terminal that is closed stops nothing.
async fn interrupted(headless: bool) {
    if !headless {
        return std::future::pending().await;
    }
    super::asked_to_end().await;
}

/// Engines go before what they work on, so that none takes the end of its sandbox for a night that went wrong.
fn end_engines(dir: &Path) {
    for listed in Folder::list(&dir.join(run::ROOT)).unwrap_or_default() {
        let alive = is_engine_alive(&listed.folder).unwrap_or(false);
        let holder = read_holder(&listed.folder).filter(|_| alive);
        if let Some(pid) = holder.and_then(|h| Pid::from_raw(h.pid.cast_signed())) {
            // It may have ended by itself in between.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}
