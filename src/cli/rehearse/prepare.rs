//! What a rehearsal needs before it begins: that no other one is at work, a scratch database that is proven to be one, a copy of the live
//! file, and a session's folder. Not in here: what may be removed for that (`ours`).

use std::path::Path;

use anyhow::Context as _;

use super::Stage;
use super::unfinished::{self, DRIVER_LOCK};
use crate::claim;
use crate::cli::group;
use crate::cli::load::Loaded;
use crate::journal::Folder;
use crate::journal::folder::make_root;
use crate::ours::folder::OwnFolder;
use crate::ours::lock::{self, Holder, Lock};
use crate::ours::scratch::{self, Claim, Sides};
use crate::ours::{copy, copy::Stage as Copying};
use crate::postgres::Endpoint;
use crate::runbook::rehearsal::own_folder;
use crate::runbook::{Rehearsal, Runbook, StepKind};
use crate::session::Event;

/// Below the folder of all sessions: the evidence of rehearsals, and the lock of the one that is at work.
pub(super) const EVIDENCE: &str = "rehearsals";

/// That no other rehearsal is at work in this folder or with this copy, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Lease {
    _root: Lock,
    _copy: Lock,
    _driver: Lock,
}

/// Prepares everything up to `point`. Where it fails nothing was lost; the error says what stands in the way.
pub(super) async fn begin(
    loaded: &Loaded,
    scratch: &Rehearsal,
    stage: &Stage,
) -> anyhow::Result<(Lease, Folder)> {
    let (live, copy) = (&loaded.runbook.source.file, &scratch.copy);
    copy::look(live, copy)?;
    let evidence = stage.root.join(EVIDENCE);
    make_root(&evidence)?;
    let holder = |what: String| Holder {
        pid: std::process::id(),
        what,
    };
    let root = Lock::take(
        &evidence.join("lock"),
        &holder(format!("a rehearsal of {}", loaded.base.display())),
    )
    .map_err(second)?;
    // Once more, now that no night begins beside this: undoing what an earlier one left may have taken a minute.
    beside_no_session(loaded)?;
    beside_no_session_of_the_target(loaded).await?;
    let name = super::new_name(&stage.root, &loaded.runbook.name);
    let here = holder(format!(
        "rehearsal {name}, see {}",
        stage.root.join(&name).display()
    ));
    let above = copy.parent().context("`rehearsal.copy` names no file")?;
    std::fs::create_dir_all(above).with_context(|| above.display().to_string())?;
    let copy_lock = OwnFolder::make(&own_folder(copy), &name)?
        .lock(&here)
        .map_err(second)?;
    let claim = scratch::claim(
        &sides(&loaded.runbook, scratch)?,
        &name,
        stage.claim_scratch.as_deref(),
    )
    .await?;
    // Another runbook's session may have it, with databases of its own.
    alone_on_staging(loaded, stage)?;
    make_copy(live, copy, &name, stage).await?;
    let folder = Folder::create(&stage.root, &name)?;
    group::let_in(&folder, Some(&stage.root), &loaded.runbook)?;
    let driver = Lock::take(&folder.dir().join(DRIVER_LOCK), &here).map_err(second)?;
    if let Some(slot) = slot(loaded).filter(|_| stage.sandbox.is_none()) {
        claim::staging::take(slot, &claim::Claim::of(&folder)).context(ALONE)?;
    }
    scratch::release(claim);
    let lease = Lease {
        _root: root,
        _copy: copy_lock,
        _driver: driver,
    };
    Ok((lease, folder))
}

/// That no night has the live file: its staging slot would be taken away from it, and what its users write meanwhile would look like harm
/// that the rehearsal did.
pub(super) fn beside_no_session(loaded: &Loaded) -> anyhow::Result<()> {
    let live = loaded.base.join(&loaded.runbook.source.file);
    claim::source::is_free_for(&live, None).context(BESIDE_A_SESSION)
}

/// That no night has the target, from whatever folder or host.
pub(super) async fn beside_no_session_of_the_target(loaded: &Loaded) -> anyhow::Result<()> {
    let client = Endpoint::parse(&loaded.runbook.target.url)?
        .connect()
        .await?;
    claim::target::is_free(&client)
        .await
        .context(BESIDE_A_SESSION)
}

/// That neither a night nor a rehearsal of another runbook has the staging slot. A sandbox's is its own.
fn alone_on_staging(loaded: &Loaded, stage: &Stage) -> anyhow::Result<()> {
    match slot(loaded).filter(|_| stage.sandbox.is_none()) {
        Some(slot) => claim::staging::is_free_for(slot, None).context(ALONE),
        None => Ok(()),
    }
}

/// The staging slot is back, and another session may have it.
pub(super) fn leave_staging(loaded: &Loaded, folder: &Folder) {
    if let Some(slot) = slot(loaded)
        && let Err(error) = claim::staging::leave(slot, &claim::Claim::of(folder))
    {
        errln!("{error}");
    }
}

/// Where the staging slot is.
fn slot(loaded: &Loaded) -> Option<&str> {
    let staging = loaded.runbook.fleet.staging.as_ref();
    staging.map(|slot| slot.url.as_str())
}

/// Begins what refuses a rehearsal whose staging slot is in use.
const ALONE: &str = "a rehearsal has the staging slot for itself, and another session has it";

/// Begins what refuses a rehearsal beside a session.
const BESIDE_A_SESSION: &str = "no rehearsal runs beside a session, for both use the staging slot";

fn second(error: lock::Error) -> anyhow::Error {
    match error {
        lock::Error::Held { .. } => anyhow::anyhow!(
            "another rehearsal is under way, and two would share a staging slot and a scratch database: {error}. Nothing was done; wait for \
             its end"
        ),
        lock::Error::Io { .. } => error.into(),
    }
}

/// Which databases the rehearsal is about.
pub(super) fn sides(runbook: &Runbook, scratch: &Rehearsal) -> anyhow::Result<Sides> {
    Ok(Sides {
        scratch: Endpoint::parse(&scratch.url)?,
        scratch_runtime: Endpoint::parse(&scratch.runtime_url)?,
        target: Endpoint::parse(&runbook.target.url)?,
    })
}

/// A copy of the live file; the application goes on writing.
async fn make_copy(live: &Path, copy: &Path, name: &str, stage: &Stage) -> anyhow::Result<()> {
    let (live, copy, name) = (live.to_owned(), copy.to_owned(), name.to_owned());
    let stop = stage.stop.clone();
    let making = tokio::task::spawn_blocking(move || {
        let mut between = |_: Copying| match stop.is_cancelled() {
            true => Err(copy::Error::Stopped),
            false => Ok(()),
        };
        copy::make(&live, &copy, &name, &stop, &mut between)
    });
    let made = making.await?;
    anyhow::ensure!(!stage.stop.is_cancelled(), unfinished::INTERRUPTED);
    let made = made?;
    for stranger in &made.strangers {
        errln!(
            "{} lies in the rehearsal's own folder and was not made by one; it stays",
            stranger.display()
        );
    }
    Ok(())
}

/// Whether the end of a step is the moment to record what is in the scratch database: migrations and commands of the operator's own make
/// objects there.
pub(super) fn may_have_made_objects(runbook: &Runbook, event: &Event) -> bool {
    let Event::StepFinished { step, .. } = event else {
        return false;
    };
    let mut steps = runbook.steps.iter().filter(|s| s.id == *step);
    steps.any(|s| matches!(s.kind, StepKind::Migrate { .. } | StepKind::Command { .. }))
}

/// Claims the scratch database again once `point` is done, which may have made it anew.
pub(super) async fn claim_again(
    loaded: &Loaded,
    scratch: &Rehearsal,
    name: &str,
    stage: &Stage,
) -> anyhow::Result<Claim> {
    let sides = sides(&loaded.runbook, scratch)?;
    let claimed = stage.claim_scratch.as_deref();
    Ok(scratch::claim_again(&sides, name, claimed).await?)
}
