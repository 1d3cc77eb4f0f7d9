//! `cutover rehearse`: the whole protocol on the scratch side, rollback included. What comes of it is the evidence for K3, K4, K6.

mod evidence;
mod identity;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use self::evidence::{evidence, folded, keep};
pub use self::evidence::{newest, session_of};
pub(super) use self::identity::refuse_production;
use super::bridge::SocketBridge;
use super::load::{self, Loaded};
use super::orders::Standing;
use super::{Exit, follow, group, run};
use crate::action::{self, Environment};
use crate::cockpit::bridge::Bridge;
use crate::engine::socket;
use crate::journal::{Folder, Follower};
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Role, Runbook};
use crate::session::{
    Command, LineKind, Phase, RehearsalEvidence, Session, StepLine, StepState, StepStatus,
};
use crate::source::{backup, digest, open_read_only};
use crate::target::Endpoint;

/// The whole protocol against scratch targets.
#[derive(Debug, Args)]
pub struct RehearseArgs {
    /// The runbook
    #[arg(default_value = "runbook.yaml")]
    pub runbook: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// How a rehearsal is run.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Where sessions and rehearsals are kept.
    pub root: PathBuf,
    /// The sandbox's folder, where this is one.
    pub sandbox: Option<PathBuf>,
    /// How many times faster the runbook's minutes pass.
    pub speed: f64,
    /// Engines are started from this program; from the one that runs where absent.
    pub program: Option<PathBuf>,
}

/// `cutover rehearse`
pub async fn run(args: RehearseArgs) -> anyhow::Result<Exit> {
    let Some(loaded) = load::load_or_say(&args.runbook)? else {
        return Ok(Exit::Usage);
    };
    let stage = Stage {
        root: PathBuf::from(run::ROOT),
        sandbox: None,
        speed: 1.0,
        program: None,
    };
    let evidence = rehearse(&args.runbook, &loaded, &stage).await?;
    for (_, ok, line) in &evidence.parts {
        errln!("{} {line}", if *ok { "ok    " } else { "FAILED" });
    }
    for line in &evidence.not_run {
        errln!("not run: {line}");
    }
    if args.json {
        outln!("{}", serde_json::to_string(&evidence)?);
    }
    let green = evidence.parts.len() == 3 && evidence.parts.iter().all(|(_, ok, _)| *ok);
    Ok(if green { Exit::Done } else { Exit::Failed })
}

/// Rehearses a runbook and keeps what came of it. Production is neither asked nor told anything.
///
/// # Errors
/// The scratch side is not there, or is not empty and not ours to empty.
pub async fn rehearse(
    path: &Path,
    loaded: &Loaded,
    stage: &Stage,
) -> anyhow::Result<RehearsalEvidence> {
    let scratch = loaded
        .runbook
        .rehearsal
        .clone()
        .context("the runbook has no `rehearsal` section")?;
    if stage.sandbox.is_none() {
        on_the_bridge(&loaded.runbook, &socket::user_of_this_process())?;
    }
    refuse_production(&loaded.runbook, &loaded.base).await?;
    prepare_scratch(&loaded.runbook, &scratch.url).await?;
    copy_source(&loaded.runbook, &scratch.copy).await?;
    let folder = new_folder(&stage.root, &loaded.runbook.name)?;
    group::let_in(&folder, Some(&stage.root), &loaded.runbook)?;
    let mut standing = Standing::new(path, loaded);
    (standing.sandbox, standing.rehearsal, standing.speed) =
        (stage.sandbox.is_some(), true, stage.speed);
    standing.write(&folder)?;
    // Both are the rehearsal's own: what they are given leads to scratch.
    let environment = standing.orders(folder.clone())?.environment;
    act(
        loaded,
        scratch.point.as_ref(),
        &environment,
        &folder,
        "point",
    )
    .await?;
    let played = match staging_is_ready(&loaded.runbook).await {
        Ok(()) => play(&folder, stage).await,
        Err(error) => Err(error),
    };
    act(
        loaded,
        scratch.unpoint.as_ref(),
        &environment,
        &folder,
        "unpoint",
    )
    .await?;
    played?;
    let entries = Follower::open(&folder)?.poll()?;
    let head = entries.last().map(|e| e.hash.to_string());
    let session = folded(entries).context("the rehearsal's journal cannot be read back")?;
    let evidence = evidence(
        &loaded.runbook,
        &session,
        head.unwrap_or_default(),
        crate::clock::wall().timestamp(),
        stage.sandbox.is_some(),
    );
    keep(&stage.root, &evidence)?;
    Ok(evidence)
}

/// At the end of a rehearsal somebody rolls back, and that is for people on the bridge alone: better known before it begins.
fn on_the_bridge(runbook: &Runbook, account: &str) -> anyhow::Result<()> {
    if runbook.people.iter().any(|p| p.user == account) {
        return Ok(());
    }
    let shown = crate::text::printable(account, 80);
    anyhow::bail!(
        "`{shown}` is the account of nobody in the runbook's `people`, and a rehearsal ends with a rollback, which is begun by one of them. \
         Rehearse from the account of one of them. Nothing was touched."
    )
}

/// The scratch database must be another one than the target, and everything in its schema goes.
async fn prepare_scratch(runbook: &Runbook, url: &str) -> anyhow::Result<()> {
    let (scratch, target) = (Endpoint::parse(url)?, Endpoint::parse(&runbook.target.url)?);
    let identity =
        "SELECT system_identifier::text || '/' || current_database() FROM pg_control_system()";
    let client = scratch.connect().await?;
    let here: String = client.query_one(identity, &[]).await?.get(0);
    if let Ok(other) = target.connect().await {
        let there: String = other.query_one(identity, &[]).await?.get(0);
        anyhow::ensure!(
            here != there,
            "`rehearsal.url` is the target itself; a rehearsal empties its database, so nothing was done"
        );
    }
    empty(&scratch, &runbook.target.schema).await
}

/// Drops every table of a schema, and what `cutover` keeps beside it. For scratch databases only.
///
/// # Errors
/// PostgreSQL cannot be reached, or refuses.
pub async fn empty(scratch: &Endpoint, schema: &str) -> anyhow::Result<()> {
    let client = scratch.connect().await?;
    let drops = "SELECT format('DROP TABLE %I.%I CASCADE', n.nspname, c.relname) \
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition";
    let rows = client
        .query(drops, &[&schema])
        .await
        .context("looking into the scratch database")?;
    for row in rows {
        client
            .batch_execute(&row.get::<_, String>(0))
            .await
            .context("emptying the scratch database")?;
    }
    client
        .batch_execute("DROP SCHEMA IF EXISTS cutover CASCADE")
        .await
        .context("emptying the scratch database")
}

/// A copy of the live file, by SQLite's own backup; the application goes on writing.
async fn copy_source(runbook: &Runbook, copy: &Path) -> anyhow::Result<()> {
    let (file, copy) = (runbook.source.file.clone(), copy.to_owned());
    tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        if let Some(folder) = copy.parent() {
            // A place of our own: what an earlier rehearsal left there goes.
            let _ = std::fs::remove_dir_all(folder);
            std::fs::create_dir_all(folder)?;
        }
        backup::take(&file, &copy, &mut |_| {}, &CancellationToken::new())?;
        // The rehearsed application writes to it.
        let mut permissions = std::fs::metadata(&copy)?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o660);
        std::fs::set_permissions(&copy, permissions)?;
        std::fs::remove_file(digest::file_beside(&copy))?;
        // A backup is laid to rest in one file; the application finds its database as it left it.
        let mode: String =
            open_read_only(&file)?.query_row("PRAGMA journal_mode", [], |r| r.get(0))?;
        rusqlite::Connection::open(&copy)?.pragma_update_and_check(
            None,
            "journal_mode",
            mode,
            |_| Ok(()),
        )?;
        Ok(())
    })
    .await?
}

fn new_folder(root: &Path, runbook: &str) -> anyhow::Result<Folder> {
    let name = (1..)
        .map(|n| format!("{runbook}-rehearsal-{n}"))
        .find(|name| !root.join(name).exists())
        .expect("BUG: there are more numbers than sessions");
    Ok(Folder::create(root, &name)?)
}

async fn act(
    loaded: &Loaded,
    action: Option<&Action>,
    environment: &Environment,
    folder: &Folder,
    name: &str,
) -> anyhow::Result<()> {
    let Some(action) = action else { return Ok(()) };
    let action = &action.clone().cleared();
    let output = folder.dir().join(format!("{name}.log"));
    let run = action::Run {
        action,
        placeholders: &Placeholders::new(),
        environment,
        folder: &loaded.base,
        output_path: &output,
    };
    let done = action::run(run, &mut |_| {}, &CancellationToken::new()).await?;
    anyhow::ensure!(
        done.ok,
        "rehearsal.{name} failed: {}",
        crate::step::announce::why(&done)
    );
    Ok(())
}

/// The staging slot serves from the copy before anything is rehearsed on it.
async fn staging_is_ready(runbook: &Runbook) -> anyhow::Result<()> {
    let Some(staging) = &runbook.fleet.staging else {
        anyhow::bail!("a rehearsal needs `fleet.staging`")
    };
    let fleet = &runbook.fleet;
    let within = Duration::from_millis(fleet.ready_within_ms.max(0).cast_unsigned());
    let client = crate::fleet::client();
    crate::fleet::wait_ready(
        &client,
        fleet,
        staging,
        1,
        within,
        &CancellationToken::new(),
    )
    .await?;
    Ok(())
}

/// Lets the engine go through every step by itself, then rolls back, as somebody would with the finger on the key.
async fn play(folder: &Folder, stage: &Stage) -> anyhow::Result<Session> {
    let claim = stage
        .sandbox
        .as_ref()
        .map(|_| Role::ReleaseManager.key().to_owned());
    let bridge = SocketBridge::new(folder.clone(), claim, stage.sandbox.clone())
        .with_program(stage.program.clone());
    let starting = bridge.clone();
    tokio::task::spawn_blocking(move || starting.start_engine()).await??;
    let roll_back = Command::RollBack {
        reason: "the end of the rehearsal".into(),
        confirm: Some(folder.session()),
    };
    let mut follower = Follower::open(folder)?;
    let mut entries = Vec::new();
    let mut asked = false;
    loop {
        // Looked at before its last words are read: an engine that has just come to its end is not lost.
        let is_alive = follower.engine()?.is_alive();
        for entry in follower.poll()? {
            let recorded = crate::engine::ledger::from_entry(&entry)?;
            if let Some(line) = follow::line(&recorded) {
                errln!("  rehearsal {line}");
            }
            entries.push(recorded);
        }
        let session = match Session::replay(&entries) {
            Ok(session) => session,
            Err(_) => continue,
        };
        match session.phase {
            Phase::RolledBack | Phase::Completed => return Ok(session),
            Phase::Open if !asked && session.fired.is_none() && is_through(&session) => {
                asked = true;
                let (bridge, command) = (bridge.clone(), roll_back.clone());
                tokio::task::spawn_blocking(move || bridge.send(&command, None))
                    .await?
                    .map_err(|e| anyhow::anyhow!("the rollback of the rehearsal: {e}"))?;
            }
            _ => anyhow::ensure!(
                is_alive,
                "the rehearsal's engine is gone; see {}",
                folder.log_path().display()
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Everything up to reopened writes is done, or something has failed for good.
fn is_through(session: &Session) -> bool {
    let reopened = session
        .step_of_kind(&LineKind::Reopen)
        .is_some_and(|s| s.status == StepStatus::Done);
    let stuck = session.current_step().is_none()
        && session
            .next_step()
            .is_some_and(|(line, s)| s.status == StepStatus::Failed && !will_retry(line, s));
    reopened || stuck
}

/// Only what may pass by itself is tried again by itself.
fn will_retry(line: &StepLine, state: &StepState) -> bool {
    let passing = state.outcome.as_ref().is_some_and(|o| o.passing);
    passing && state.attempt < line.attempts
}
