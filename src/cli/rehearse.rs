//! `cutover rehearse`: the whole protocol on the scratch side, rollback included. What comes of it is the evidence for K3, K4, K6.

mod evidence;
mod identity;
mod prepare;
pub mod unfinished;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tokio_util::sync::CancellationToken;

use self::evidence::{folded, keep};
pub use self::evidence::{newest, session_of};
pub(super) use self::identity::refuse_production;
use super::bridge::SocketBridge;
use super::load::{self, Loaded};
use super::orders::Standing;
use super::{Exit, follow, run};
use crate::action::{self, Environment};
use crate::cockpit::bridge::{Bridge, Purpose};
use crate::engine::socket;
use crate::history::History;
use crate::journal::{Folder, Follower, files};
use crate::ours::scratch::Claim;
use crate::postgres::{Endpoint, pooler, release};
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, Role, Runbook};
use crate::session::rehearsal::evidence;
use crate::session::{Command, Phase, RehearsalEvidence, Session, StepLine, StepState, StepStatus};
use unfinished::{Pointed, Unfinished};

/// The whole protocol against scratch targets.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover rehearse
  cutover rehearse runbook.yaml --claim-scratch catalogue_scratch")]
pub struct RehearseArgs {
    /// The runbook
    #[arg(default_value = "runbook.yaml")]
    pub runbook: PathBuf,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
    /// Everything in the scratch database may go: its name, as its server calls it
    #[arg(long, value_name = "NAME")]
    pub claim_scratch: Option<String>,
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
    /// The name of a scratch database whose content may go, as a person typed it.
    pub claim_scratch: Option<String>,
    /// Ends the rehearsal: what it did is undone.
    pub stop: CancellationToken,
}

/// `cutover rehearse`
pub async fn run(args: RehearseArgs) -> anyhow::Result<Exit> {
    let Some(loaded) = load::or_say(load::load(&args.runbook).await)? else {
        return Ok(Exit::Usage);
    };
    let stage = Stage {
        root: PathBuf::from(run::ROOT),
        sandbox: None,
        speed: 1.0,
        program: None,
        claim_scratch: args.claim_scratch,
        stop: CancellationToken::new(),
    };
    tokio::spawn(stop_on_signals(stage.stop.clone()));
    let evidence = rehearse(&args.runbook, &loaded, &stage).await?;
    say(&evidence);
    if args.json {
        outln!("{}", serde_json::to_string(&evidence)?);
    }
    Ok(exit_of(&evidence))
}

/// A rehearsal that does not count has failed.
pub fn exit_of(evidence: &RehearsalEvidence) -> Exit {
    match evidence.is_green() {
        true => Exit::Done,
        false => Exit::Failed,
    }
}

/// What it proved, what stands against it, and what it left out: a line each.
fn say(evidence: &RehearsalEvidence) {
    for (_, ok, line) in &evidence.parts {
        errln!("{} {line}", if *ok { "ok    " } else { "FAILED" });
    }
    for line in &evidence.against {
        errln!("does not count: {line}");
    }
    for line in &evidence.not_run {
        errln!("not run: {line}");
    }
    let others = evidence.not_rehearsed.iter();
    let others = others.filter(|(_, line)| !evidence.not_run.contains(line));
    for (_, line) in others {
        errln!("not rehearsed: {line}");
    }
    if !evidence.not_rehearsed.is_empty() {
        errln!(
            "what was not run and not rehearsed is on record, and lowers the night's confidence score: {} in all",
            evidence.not_rehearsed.len()
        );
    }
}

/// Ctrl-C, a polite kill and a lost terminal end the rehearsal in order. None of them ends this process: what was begun is undone first.
async fn stop_on_signals(stop: CancellationToken) {
    super::asked_to_end().await;
    errln!("interrupted: the rehearsal is taken back, which takes a moment");
    stop.cancel();
}

/// That a rehearsal is at work below `root`, in a sentence; `None` where none is. It has the staging slot until its end.
pub fn under_way(root: &Path) -> Option<String> {
    let lock = root.join(prepare::EVIDENCE).join("lock");
    crate::ours::lock::is_held(&lock).then(|| {
        "a rehearsal is under way in this folder, and has the staging slot until its end: wait for it, or end it with Ctrl-C where it runs. \
         Nothing was touched"
            .to_owned()
    })
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
        not_in_production(&loaded.runbook).await?;
    }
    prepare::beside_no_session(loaded)?;
    refuse_production(&loaded.runbook, &loaded.base).await?;
    for url in [&loaded.runbook.target.url, &scratch.url] {
        pooler::refuse_early(&Endpoint::parse(url)?).await?;
    }
    prepare::beside_no_session_of_the_target(loaded).await?;
    if stage.sandbox.is_none() {
        let source = loaded.base.join(&loaded.runbook.source.file);
        let ahead = run::ahead::look_at_rows(&loaded.runbook, &source).await;
        if let Some(why) = ahead.refused {
            errln!(
                "warning: this rehearsal will not count for the night, which would be NO-GO: {why}"
            );
        }
        if let Some(why) = ahead.to_discard {
            errln!("warning: no rehearsal shows it, for the scratch database is loaded: {why}");
        }
    }
    // Whatever an earlier one left goes first: its staging slot is this one's too.
    unfinished::undo_all(&stage.root, stage.program.as_deref()).await;
    for line in super::leftovers::remove(&loaded.runbook, &stage.root) {
        errln!("{line}");
    }
    let (_lease, folder) = prepare::begin(loaded, &scratch, stage).await?;
    let mut standing = Standing::new(path, loaded);
    (standing.sandbox, standing.rehearsal, standing.speed) =
        (stage.sandbox.is_some(), true, stage.speed);
    standing.write(&folder)?;
    super::leftovers::keep_places(&folder, &loaded.runbook)?;
    let mut claim = None;
    let driven = drive(loaded, &scratch, &folder, stage, &mut claim).await;
    let unfinished = Unfinished::of(folder.clone(), standing);
    let lines = unfinished
        .end_work(stage.program.as_deref(), driven.is_err())
        .await;
    // Only now does nothing more come: what C1 had made when it was interrupted is this rehearsal's too, and the next one may drop it.
    if driven.is_err()
        && let Some(claim) = &mut claim
        && let Err(error) = claim.record().await
    {
        errln!("what this rehearsal made on the scratch database is not on record: {error}");
    }
    // `unpoint` may take the database away, so that no connection of ours stays.
    drop(claim);
    let undone = unfinished.give_back(lines).await;
    for line in &undone.lines {
        errln!("{line}");
    }
    if undone.is_whole {
        prepare::leave_staging(loaded, &folder);
    }
    driven?;
    anyhow::ensure!(
        undone.is_whole,
        "the rehearsal did not come to its end: {}",
        undone.lines.join("; ")
    );
    let entries = Follower::open(&folder)?.poll()?;
    let head = entries.last().map(|e| e.hash.to_string());
    let session = folded(&entries).context("the rehearsal's journal cannot be read back")?;
    let ended = crate::clock::wall().timestamp();
    let evidence = evidence(&session, head.unwrap_or_default(), ended);
    keep(&stage.root, &evidence)?;
    Ok(evidence)
}

/// From `point` to the end of the rollback. Whatever comes of it, `point` is on record before it is done, so that anybody can undo it.
async fn drive(
    loaded: &Loaded,
    scratch: &crate::runbook::Rehearsal,
    folder: &Folder,
    stage: &Stage,
    claimed: &mut Option<Claim>,
) -> anyhow::Result<Session> {
    let stop = &stage.stop;
    unfinished::record(folder, Pointed::Begun)?;
    // Both `point` and `unpoint` are the rehearsal's own: what they are given leads to scratch.
    let environment = Standing::read(folder)?.orders(folder.clone())?.environment;
    act(
        loaded,
        scratch.point.as_ref(),
        &environment,
        folder,
        "point",
        stop,
    )
    .await?;
    // `point` may have made the database anew.
    let claim = prepare::claim_again(loaded, scratch, &folder.session(), stage).await?;
    let claim = claimed.insert(claim);
    staging_is_ready(&loaded.runbook, stop).await?;
    play(&loaded.runbook, folder, stage, claim).await
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

/// A target that users write to changes while a rehearsal compares production around its actions; and nobody has anything to rehearse there.
/// One that cannot be asked is for the looks that follow.
async fn not_in_production(runbook: &Runbook) -> anyhow::Result<()> {
    let Ok(client) = pooler::connect(&Endpoint::parse(&runbook.target.url)?).await else {
        return Ok(());
    };
    match release::newest(&client).await {
        Ok(Some(release)) => anyhow::bail!(
            "the target is in production: session {} completed its release on it at {}. A rehearsal would take what users write for its own \
             doing. Nothing was touched",
            crate::text::printable(&release.session, 80),
            release.completed
        ),
        Ok(None) | Err(_) => Ok(()),
    }
}

fn new_name(root: &Path, runbook: &str) -> String {
    (1..)
        .map(|n| format!("{runbook}-rehearsal-{n}"))
        .find(|name| !root.join(name).exists())
        .expect("BUG: there are more numbers than sessions")
}

async fn act(
    loaded: &Loaded,
    action: Option<&Action>,
    environment: &Environment,
    folder: &Folder,
    name: &str,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let Some(action) = action else { return Ok(()) };
    let action = &action.clone().cleared();
    let output = files::folder(folder, &files::OUTPUT)?.join(format!("rehearsal-{name}.log"));
    let run = action::Run {
        action,
        placeholders: &Placeholders::new(),
        environment,
        folder: &loaded.base,
        output_path: &output,
    };
    let done = action::run(run, &mut |_| {}, stop).await?;
    anyhow::ensure!(!stop.is_cancelled(), unfinished::INTERRUPTED);
    anyhow::ensure!(
        done.ok,
        "rehearsal.{name} failed: {}",
        crate::step::announce::why(&done)
    );
    Ok(())
}

/// The staging slot serves from the copy before anything is rehearsed on it.
async fn staging_is_ready(runbook: &Runbook, stop: &CancellationToken) -> anyhow::Result<()> {
    let Some(staging) = &runbook.fleet.staging else {
        anyhow::bail!("a rehearsal needs `fleet.staging`")
    };
    let fleet = &runbook.fleet;
    let within = Duration::from_millis(fleet.ready_within_ms.max(0).cast_unsigned());
    let client = crate::fleet::client();
    let ready = crate::fleet::wait_ready(&client, fleet, staging, 1, within, stop).await;
    anyhow::ensure!(!stop.is_cancelled(), unfinished::INTERRUPTED);
    ready?;
    Ok(())
}

/// Lets the engine go through every step by itself, then rolls back, as a person would who waits for that.
async fn play(
    runbook: &Runbook,
    folder: &Folder,
    stage: &Stage,
    claim: &mut Claim,
) -> anyhow::Result<Session> {
    let bridge = bridge_to(folder, stage.sandbox.clone(), stage.program.as_deref());
    let starting = bridge.clone();
    tokio::task::spawn_blocking(move || starting.start_engine(Purpose::GoOn)).await??;
    let roll_back = Command::RollBack {
        reason: "the end of the rehearsal".into(),
        confirm: Some(folder.session()),
    };
    let mut history = History::open(folder)?;
    let mut asked = false;
    loop {
        // Looked at before its last words are read: an engine that has just come to its end is not lost.
        let is_alive = history.follower().engine()?.is_alive();
        anyhow::ensure!(!stage.stop.is_cancelled(), unfinished::INTERRUPTED);
        for recorded in history.read_on()? {
            if let Some(line) = follow::line(recorded) {
                errln!("  rehearsal {line}");
            }
            if prepare::may_have_made_objects(runbook, &recorded.event) {
                claim.record().await?;
            }
        }
        let session = match history.session() {
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
            Phase::Open | Phase::RollingBack => anyhow::ensure!(
                is_alive,
                "the rehearsal's engine is gone; see {}",
                folder.log_path().display()
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The way to a rehearsal's engine. In a sandbox the release manager is played.
fn bridge_to(folder: &Folder, sandbox: Option<PathBuf>, program: Option<&Path>) -> SocketBridge {
    let claim = sandbox
        .as_ref()
        .map(|_| Role::ReleaseManager.key().to_owned());
    SocketBridge::new(folder.clone(), claim, sandbox).with_program(program.map(Path::to_owned))
}

/// Every step is done, or something has failed for good.
fn is_through(session: &Session) -> bool {
    let done = session.next_step().is_none();
    let stuck = session.current_step().is_none()
        && session
            .next_step()
            .is_some_and(|(line, s)| s.status == StepStatus::Failed && !will_retry(line, s));
    done || stuck
}

/// Only what may pass by itself is tried again by itself.
fn will_retry(line: &StepLine, state: &StepState) -> bool {
    let passing = state.outcome.as_ref().is_some_and(|o| o.passing);
    passing && state.attempt < line.attempts
}
