//! `cutover demo`: a sandbox with everything real, and a cutover on it by the reference runbook.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use super::load;
use super::operators::{self, Script};
use super::orders::Standing;
use super::rehearse::{self, Stage};
use super::{Exit, follow, join, run};
use crate::demo::control::{self, Request};
use crate::demo::faults::Fault;
use crate::demo::sandbox::{self, Lifetime, Sandbox};
use crate::journal::holder::read_holder;
use crate::journal::{Folder, is_engine_alive};
use crate::runbook::Role;
use crate::session::Session;

/// The runbook that is shipped, word for word.
const RUNBOOK: &str = include_str!("../../runbook.yaml");

/// A sandbox with everything real.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Scripted operators instead of the cockpit; one JSON object on stdout
    #[arg(long)]
    headless: bool,
    /// What goes wrong, and before which step: 5xx, not-ready@F2, …
    #[arg(long, value_name = "NAME[@STEP]", value_parser = fault)]
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
    /// Seed of data and traffic
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// End the sandbox that runs
    #[arg(long)]
    stop: bool,
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
        return stop(args.dir.as_deref());
    }
    let headless = args.headless || !join::can_show_a_screen();
    eprintln!("starting a sandbox: application, traffic, PostgreSQL");
    let options = sandbox::Options {
        dir: args.dir.clone(),
        rows: args.rows,
        seed: args.seed,
        speed: args.speed,
        lifetime: if headless {
            Lifetime::Starter
        } else {
            Lifetime::Session
        },
        ..sandbox::Options::new(std::env::current_exe()?)
    };
    let sandbox = tokio::task::spawn_blocking(move || Sandbox::start(options)).await??;
    eprintln!("the sandbox is in {}", sandbox.dir().display());
    let ended = tokio::select! {
        ended = on(&sandbox, &args, headless) => ended,
        () = interrupted() => Err(anyhow::anyhow!("interrupted; the sandbox and everything in it is gone")),
    };
    if headless || ended.is_err() {
        tokio::task::spawn_blocking(move || sandbox.stop()).await??;
    }
    ended
}

async fn on(sandbox: &Sandbox, args: &DemoArgs, headless: bool) -> anyhow::Result<Exit> {
    let folder = open(sandbox.dir(), args).await?;
    adopt_engine(sandbox.dir(), &folder);
    if !headless {
        let exit = join::cockpit(
            folder.clone(),
            Some(Role::ReleaseManager.key().to_owned()),
            Some(sandbox.dir().to_owned()),
            true,
        )
        .await?;
        if is_engine_alive(&folder)? {
            eprintln!("the sandbox goes on for 30 minutes; end it with `cutover demo --stop`");
        }
        return Ok(exit);
    }
    let script = Script {
        dir: sandbox.dir().to_owned(),
        fault: args.fault.clone(),
        limit: Duration::from_secs(120 + 3 * 3600 / u64::from(args.speed)),
    };
    let session = operators::play(&folder, script).await?;
    println!("{}", summary(&session, &folder));
    Ok(follow::exit_of(&session).unwrap_or(Exit::Failed))
}

/// Rehearses, opens a session and starts its engine.
async fn open(dir: &Path, args: &DemoArgs) -> anyhow::Result<Folder> {
    let environment = sandbox::environment(dir)?;
    let path = dir.join("runbook.yaml");
    std::fs::write(&path, RUNBOOK).with_context(|| path.display().to_string())?;
    let env = |name: &str| environment.get(name).cloned();
    let loaded = load::parse("runbook.yaml", RUNBOOK.to_owned(), dir.to_owned(), &env)?;
    let root = dir.join(run::ROOT);
    let speed = f64::from(args.speed);
    eprintln!("rehearsing on a scratch database, rollback included");
    let evidence = rehearse::rehearse(
        &path,
        &loaded,
        &Stage {
            root: root.clone(),
            sandbox: true,
            speed,
        },
    )
    .await?;
    let mut standing = Standing::new(&path, &loaded);
    standing.sandbox = true;
    standing.speed = speed;
    standing.evidence = Some(evidence);
    standing.wait_before = args.fault.iter().map(|(_, step)| step.clone()).collect();
    let folder = Folder::create(&root, &format!("{}-1", loaded.runbook.name))?;
    standing.write(&folder)?;
    run::start_engine(&folder).await?;
    Ok(folder)
}

/// The sandbox ends the engine with everything else.
fn adopt_engine(dir: &Path, folder: &Folder) {
    if let Some(engine) = read_holder(folder)
        && let Err(error) = control::ask(dir, &Request::Adopt { leader: engine.pid })
    {
        eprintln!(
            "the engine {} will outlive the sandbox: {error}",
            engine.pid
        );
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

fn stop(dir: Option<&Path>) -> anyhow::Result<Exit> {
    let found = dir.map_or_else(sandbox::running, |d| vec![d.to_owned()]);
    if found.is_empty() {
        eprintln!("no sandbox runs");
    }
    for dir in found {
        sandbox::stop(&dir)?;
        eprintln!("{} has ended", dir.display());
    }
    Ok(Exit::Done)
}

/// Ctrl-C, a closed terminal or a polite kill: the sandbox goes with us.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
        () = wait(SignalKind::hangup()) => {}
    }
}
