//! `cutover run`: opens a session, or resumes what is unfinished; starts its engine where none runs; then shows it.

pub mod ahead;
mod attempt;

use std::path::{Path, PathBuf};

use clap::Args;

use super::bridge::SocketBridge;
use super::load::{self, Loaded};
use super::orders::Standing;
use super::{Exit, Looks, Named, follow, group, join};
use crate::claim::{self, Claim};
use crate::cockpit::bridge::{Bridge, Purpose};
use crate::demo::sandbox;
use crate::journal::Folder;
use crate::postgres::{Endpoint, pooler};
use crate::runbook::Runbook;
use crate::session::{Phase, RehearsalEvidence};
use crate::text::printable;
use attempt::Answer;

/// Open or resume a session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover run runbook.yaml
  cutover run runbook.yaml --session tool-catalogue-friday --spare /var/spool/cutover
  cutover run --log")]
pub struct RunArgs {
    /// The runbook
    #[arg(default_value = "runbook.yaml")]
    pub runbook: PathBuf,
    /// The session's own folder, instead of .cutover/SESSION
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Name of a new session; RUNBOOK-NAME-1, -2, … where absent
    #[arg(long)]
    pub session: Option<String>,
    /// Begin all over on a target that a release was completed on: the database's name, typed. What is in it may be emptied
    #[arg(long, value_name = "NAME")]
    pub again: Option<String>,
    /// A folder on another disk, for events for which that of the session has no room; instead of the runbook's `bridge.spare`
    #[arg(long, value_name = "DIR")]
    pub spare: Option<PathBuf>,
    /// A plain running log instead of the cockpit
    #[arg(long)]
    pub log: bool,
    /// How the cockpit looks
    #[command(flatten)]
    pub looks: Looks,
}

/// `cutover run`
pub async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let Some(loaded) = load::or_say(load::without_fleet(&args.runbook))? else {
        return Ok(Exit::Usage);
    };
    super::rehearse::unfinished::undo_all(Path::new(ROOT), None).await;
    for line in super::leftovers::remove(&loaded.runbook, Path::new(ROOT)) {
        errln!("{line}");
    }
    let staging = loaded.runbook.fleet.staging.as_ref();
    let slot = staging.map(|slot| slot.url.clone());
    let folder = match unfinished(&args, &loaded.runbook.name)? {
        Some(folder) => resumed(&args, folder, &loaded)?,
        None => match opened(&args, loaded).await? {
            Ok(folder) => folder,
            Err(exit) => return Ok(exit),
        },
    };
    start_engine(&folder).await?;
    // Looked at before; somebody may have been faster, and this session is open by now. One that is resumed may have lost its claim with the
    // folder for temporary files.
    if let Some(url) = slot
        && let Err(error) = claim::staging::take(&url, &Claim::of(&folder))
    {
        errln!("{error}");
    }
    if args.log || !join::can_show_a_screen() {
        return follow::until_over(&folder, follow::To::Stdout).await;
    }
    join::cockpit(folder, join::options(None, args.looks), None).await
}

/// The session that goes on.
fn resumed(args: &RunArgs, folder: Folder, loaded: &Loaded) -> anyhow::Result<Folder> {
    errln!("resuming session {}", folder.session());
    if let Some(why) = keeps_to_its_text(&folder, &loaded.runbook, &args.runbook) {
        errln!("{why}");
    }
    if let Some(spare) = &args.spare {
        let mut standing = Standing::read(&folder)?;
        standing.spare = Some(spare_folder(spare)?);
        standing.write(&folder)?;
    }
    Ok(folder)
}

/// A new session, or how this command ends where none is to be opened, which it has said then.
async fn opened(args: &RunArgs, loaded: Loaded) -> anyhow::Result<Result<Folder, Exit>> {
    let asked = load::with_fleet(&args.runbook, loaded).await;
    let Some(loaded) = load::or_say(asked)? else {
        return Ok(Err(Exit::Usage));
    };
    let source = loaded.base.join(&loaded.runbook.source.file);
    if let Some(why) = ahead::out_of_reach(&source) {
        errln!("NO-GO: {why}. No session was opened");
        return Ok(Err(Exit::NoGo));
    }
    let lent = super::rehearse::under_way(Path::new(ROOT));
    if let Some(why) = lent.or_else(|| super::rehearse::unfinished::still_lent(Path::new(ROOT))) {
        errln!("NO-GO: {why}");
        return Ok(Err(Exit::NoGo));
    }
    pooler::refuse_early(&Endpoint::parse(&loaded.runbook.target.url)?).await?;
    let mut standing = Standing::new(&args.runbook, &loaded);
    standing.spare = args.spare.as_deref().map(spare_folder).transpose()?;
    standing.evidence = super::rehearse::newest(Path::new(ROOT), &loaded.runbook);
    let of_this = |e: &&RehearsalEvidence| e.runbook_hash == loaded.runbook.hash;
    let rehearsed = standing.evidence.as_ref().filter(of_this);
    standing.again = match attempt::may_open(args, &loaded, rehearsed).await? {
        Answer::Open(again) => again,
        Answer::NoGo(why) => {
            errln!("NO-GO: {why}");
            return Ok(Err(Exit::NoGo));
        }
        Answer::Rehearse(why) => {
            errln!("NO-GO: {why}");
            // One more rehearsal is to settle both.
            if let Some(why) = ahead::look(&loaded.runbook, &source).await.refused {
                errln!("NO-GO: {why}");
            }
            return Ok(Err(Exit::NoGo));
        }
    };
    if is_claimed(claim::source::is_free_for(&source, None))? {
        return Ok(Err(Exit::NoGo));
    }
    if let Some(slot) = &loaded.runbook.fleet.staging
        && is_claimed(claim::staging::is_free_for(&slot.url, None))?
    {
        return Ok(Err(Exit::NoGo));
    }
    let sandbox = standing.sandbox;
    let stale = match standing.evidence.as_ref().filter(of_this) {
        Some(kept) => ahead::stale(&loaded.runbook, &source, sandbox, kept).await,
        None => None,
    };
    let ahead = ahead::look(&loaded.runbook, &source).await;
    if let Some(why) = &ahead.to_discard {
        errln!("warning: {why}");
    }
    let stands: Vec<String> = stale.into_iter().chain(ahead.refused).collect();
    for why in &stands {
        errln!("NO-GO: {why}. No session was opened");
    }
    if !stands.is_empty() {
        return Ok(Err(Exit::NoGo));
    }
    let folder = create(
        args.dir.as_deref(),
        args.session.as_deref(),
        &loaded.runbook,
    )?;
    standing.write(&folder)?;
    super::leftovers::keep_places(&folder, &loaded.runbook)?;
    Ok(Ok(folder))
}

/// Whether another session has it, which is said then.
fn is_claimed(free: Result<(), claim::source::Error>) -> anyhow::Result<bool> {
    match free {
        Ok(()) => Ok(false),
        Err(claim::source::Error::Refused(refused)) => {
            errln!("NO-GO: {refused}");
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// What to say where the runbook's file is not what the session was opened with any more.
fn keeps_to_its_text(folder: &Folder, runbook: &Runbook, file: &Path) -> Option<String> {
    let session = crate::history::session(folder).ok()?;
    let was = &session.charter.runbook_hash;
    (*was != runbook.hash).then(|| {
        format!(
            "{} has changed since this session was opened and does not count in it: the session keeps to {}, which its signatures cover. To go \
             by the new text, end this session and open another",
            printable(&file.display().to_string(), 200),
            folder.dir().join("runbook.yaml").display()
        )
    })
}

/// The spare folder, so that an engine finds it from anywhere.
fn spare_folder(named: &Path) -> anyhow::Result<PathBuf> {
    let folder = std::path::absolute(named)?;
    anyhow::ensure!(
        folder.is_dir(),
        "--spare {}: there is no such folder; nothing was started",
        folder.display()
    );
    Ok(folder)
}

/// Where sessions are, below the folder that `cutover` is started in.
pub const ROOT: &str = ".cutover";

/// Starts the session's engine where none runs.
///
/// # Errors
/// It does not start; the end of its log says why.
pub async fn start_engine(folder: &Folder) -> anyhow::Result<()> {
    let bridge = SocketBridge::new(folder.clone(), None, None);
    tokio::task::spawn_blocking(move || bridge.start_engine(Purpose::GoOn))
        .await?
        .map_err(|e| anyhow::anyhow!("{e}"))
}

/// A folder for a new session.
///
/// # Errors
/// It is there already, cannot be made, or cannot be kept from others.
pub fn create(
    dir: Option<&Path>,
    session: Option<&str>,
    runbook: &Runbook,
) -> anyhow::Result<Folder> {
    if let Some(dir) = dir {
        let folder = Folder::create_at(dir)?;
        group::let_in(&folder, None, runbook)?;
        return Ok(folder);
    }
    let root = Path::new(ROOT);
    let name = match session {
        Some(name) => name.to_owned(),
        None => (1..)
            .map(|n| format!("{}-{n}", runbook.name))
            .find(|name| !root.join(name).exists())
            .expect("BUG: there are more numbers than sessions"),
    };
    let folder = Folder::create(root, &name)?;
    group::let_in(&folder, Some(root), runbook)?;
    Ok(folder)
}

/// The folder of the session that the arguments name.
///
/// # Errors
/// There is none; the message lists those that are there.
pub fn find(named: &Named) -> anyhow::Result<Folder> {
    Ok(match &named.dir {
        Some(dir) => Folder::open_at(dir)?,
        None => here_or_in_a_sandbox(named.session.as_deref())?,
    })
}

/// The folder of the session in which somebody wants to do something: without a name the newest one, and not a rehearsal that has ended where
/// a night is there.
pub fn find_to_act(named: &Named) -> anyhow::Result<Folder> {
    let newest = find(named)?;
    let has_ended = |folder: &Folder| {
        crate::history::session(folder).is_ok_and(|session| {
            let is_over = matches!(session.phase, Phase::RolledBack | Phase::Completed);
            session.charter.rehearsal && is_over
        })
    };
    let is_named = named.dir.is_some() || named.session.is_some();
    if is_named || !has_ended(&newest) {
        return Ok(newest);
    }
    let Some(root) = newest.dir().parent() else {
        return Ok(newest);
    };
    Ok(newest_night(root)?.unwrap_or(newest))
}

/// As [`find`], for what is about the rows of a night, or about its rollback: without a name, no rehearsal where a night is there.
pub fn find_night(named: &Named) -> anyhow::Result<Folder> {
    let newest = find(named)?;
    let root = newest.dir().parent().map(Path::to_owned);
    let Some(root) = root.filter(|_| named.dir.is_none() && named.session.is_none()) else {
        return Ok(newest);
    };
    Ok(newest_night(&root)?.unwrap_or(newest))
}

/// The night below a folder that was written last. What cannot be read may be one.
pub fn newest_night(root: &Path) -> anyhow::Result<Option<Folder>> {
    let is_night = |folder: &Folder| {
        crate::history::session(folder).map_or(true, |session| !session.charter.rehearsal)
    };
    let mut all = Folder::list(root)?.into_iter().map(|found| found.folder);
    Ok(all.find(is_night))
}

/// A session below this folder; where there is none, that of a sandbox of this user, which has a folder of its own.
fn here_or_in_a_sandbox(session: Option<&str>) -> anyhow::Result<Folder> {
    Folder::find(Path::new(ROOT), session).or_else(|error| {
        let in_sandboxes = sandbox::running().into_iter();
        let mut found = in_sandboxes.filter_map(|d| Folder::find(&d.join(ROOT), session).ok());
        found.next().ok_or_else(|| error.into())
    })
}

/// The session of this runbook that is not over, if there is one.
fn unfinished(args: &RunArgs, runbook: &str) -> anyhow::Result<Option<Folder>> {
    let folders: Vec<Folder> = match (&args.dir, &args.session) {
        (Some(dir), _) => Folder::open_at(dir).into_iter().collect(),
        (None, Some(name)) if Path::new(ROOT).join(name).exists() => {
            vec![Folder::find(Path::new(ROOT), Some(name))?]
        }
        (None, Some(_)) => vec![],
        (None, None) => Folder::list(Path::new(ROOT))
            .unwrap_or_default()
            .into_iter()
            .filter(|f| f.folder.session().starts_with(runbook))
            .map(|f| f.folder)
            .collect(),
    };
    for folder in folders {
        let Ok(session) = crate::history::session(&folder) else {
            continue;
        };
        let is_named = args.dir.is_some() || args.session.is_some();
        // A rehearsal ends with whoever drives it: nobody takes one up again, whether or not it came to its end.
        if session.charter.rehearsal {
            anyhow::ensure!(
                !is_named,
                "{}",
                super::over::sentence(&folder).unwrap_or_else(|| format!(
                    "{} is a rehearsal that is under way: `cutover join` shows it, and nobody takes it over",
                    folder.session()
                ))
            );
            continue;
        }
        if matches!(session.phase, Phase::Open | Phase::RollingBack) {
            return Ok(Some(folder));
        }
        if is_named {
            anyhow::bail!("session {} is over; name another one", folder.session());
        }
    }
    Ok(None)
}
