//! Whether a new session may be opened on these databases: by every session that is on record beside it, and by what the target itself
//! says. The rules are `session::attempt`'s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ROOT, RunArgs};
use crate::cli::load::Loaded;
use crate::journal::Folder;
use crate::session::RehearsalEvidence;
use crate::session::attempt::{self, Ground};
use crate::source;
use crate::step::production;
use crate::step::salvage::has_whole_file;
use crate::target::Endpoint;
use crate::target::release::{self, Release};
use crate::text::printable;

/// How long the target may take to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What comes of the question.
pub(super) enum Answer {
    /// It may be opened. `Some`: on a target that was released to before, whose name was typed.
    Open(Option<String>),
    /// It may not, and what has to be done first.
    NoGo(String),
}

/// Whether every session on record lets these databases be attempted, and the target too.
///
/// # Errors
/// The target's URL is none, or the records cannot be listed.
pub(super) async fn may_open(
    args: &RunArgs,
    loaded: &Loaded,
    rehearsal: Option<&RehearsalEvidence>,
) -> anyhow::Result<Answer> {
    let endpoint = Endpoint::parse(&loaded.runbook.target.url)?;
    let file = loaded.base.join(&loaded.runbook.source.file);
    let asked = tokio::time::timeout(ASK_LIMIT, ask(&endpoint)).await.ok();
    let (identity, released) = asked.flatten().unwrap_or_default();
    let ground = Ground {
        target: endpoint.identity(),
        database: endpoint.database().to_owned(),
        target_identity: identity,
        source_identity: source::identity(&file).ok(),
    };
    if let Some(typed) = args
        .again
        .as_ref()
        .filter(|typed| **typed != ground.database)
    {
        return Ok(Answer::NoGo(format!(
            "`--again {}` is not the name of the target database, which is {}",
            printable(typed, 80),
            ground.database
        )));
    }
    let mut needs_again = false;
    for folder in on_record(args)? {
        let earlier = match crate::history::session(&folder) {
            Ok(earlier) => earlier,
            Err(error) => {
                // What came of it cannot be known; people decide.
                errln!(
                    "session {} cannot be read, so nobody knows whether it was completed or asks for a correction: {error}",
                    folder.session()
                );
                continue;
            }
        };
        let has_file = has_whole_file(&folder);
        if let Err(not_yet) = attempt::rows_are_kept_on(&earlier, &ground, has_file) {
            return Ok(Answer::NoGo(not_yet.to_string()));
        }
        if let Err(not_yet) =
            attempt::may_follow(&earlier, &ground, rehearsal, args.again.is_some())
        {
            return Ok(Answer::NoGo(not_yet.to_string()));
        }
        needs_again |= attempt::may_follow(&earlier, &ground, rehearsal, false).is_err();
    }
    if let Some(released) = released {
        if args.again.is_none() {
            return Ok(Answer::NoGo(says(&released, &ground)));
        }
        needs_again = true;
    }
    let again = args.again.clone().filter(|_| needs_again);
    if args.again.is_some() && again.is_none() {
        errln!(
            "`--again` was not needed: no release is on record on {}",
            ground.target
        );
    }
    Ok(Answer::Open(again))
}

/// Every session's folder beside the new one.
fn on_record(args: &RunArgs) -> anyhow::Result<Vec<Folder>> {
    let mut roots = vec![PathBuf::from(ROOT)];
    if let Some(dir) = &args.dir {
        roots.extend(std::path::absolute(dir)?.parent().map(Path::to_owned));
    }
    let mut folders = Vec::new();
    for root in roots {
        folders.extend(Folder::list(&root)?.into_iter().map(|found| found.folder));
    }
    Ok(folders)
}

/// What the target says of itself; nothing of what it does not say.
async fn ask(
    endpoint: &Endpoint,
) -> Option<(Option<crate::identity::TargetIdentity>, Option<Release>)> {
    let client = endpoint.connect().await.ok()?;
    let identity = production::identified(&client).await.ok();
    Some((identity, release::newest(&client).await.ok().flatten()))
}

/// Another host or folder has completed it; this one has no record of that.
fn says(release: &Release, ground: &Ground) -> String {
    format!(
        "PostgreSQL {} is in production: session {} on {} completed its release at {}, from {}. Another night would empty it. Nothing was \
         touched. Whoever means to begin all over types the database's name: `cutover run --again {}`",
        ground.target,
        printable(&release.session, 80),
        printable(&release.host, 80),
        printable(&release.completed, 40),
        printable(&release.source, 200),
        ground.database
    )
}
