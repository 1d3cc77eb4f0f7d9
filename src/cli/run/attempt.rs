//! Whether a new session may be opened on these databases: by every session that is on record beside it, and by what the target itself
//! says. The rules are `session::attempt`'s.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ROOT, RunArgs};
use crate::claim::{self, Claim, host_name};
use crate::cli::load::Loaded;
use crate::identity::TargetIdentity;
use crate::journal::Folder;
use crate::postgres::Endpoint;
use crate::postgres::release::{self, Release};
use crate::session::RehearsalEvidence;
use crate::session::attempt::{self, Ground, NotYet};
use crate::sqlite;
use crate::step::production;
use crate::step::salvage::{has_whole_file, why_not_kept};
use crate::text::printable;

/// How long the target may take to say what it knows.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// What comes of the question.
pub(super) enum Answer {
    /// It may be opened. `Some`: on a target that was released to before, whose name was typed.
    Open(Option<String>),
    /// It may not, and what has to be done first.
    NoGo(String),
    /// It may not until something is corrected or rehearsed: what else wants another rehearsal is said beside it.
    Rehearse(String),
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
    let Known {
        identity,
        released,
        last,
    } = asked.flatten().unwrap_or_default();
    let ground = Ground {
        target: endpoint.identity(),
        database: endpoint.database().to_owned(),
        target_identity: identity,
        source_identity: sqlite::identity(&file).ok(),
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
    for folder in on_record(args, last)? {
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
            return Ok(Answer::NoGo(why_not_kept(&folder, &not_yet)));
        }
        if let Err(not_yet) =
            attempt::may_follow(&earlier, &ground, rehearsal, args.again.is_some())
        {
            let why = not_yet.to_string();
            return Ok(match not_yet {
                NotYet::Completed { .. } | NotYet::Unsalvaged { .. } => Answer::NoGo(why),
                NotYet::Uncorrected { .. } | NotYet::Unrehearsed { .. } => Answer::Rehearse(why),
            });
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

/// Every session's folder beside the new one, and that of the session which had the target last, wherever it is.
fn on_record(args: &RunArgs, last: Option<Claim>) -> anyhow::Result<Vec<Folder>> {
    let mut roots = vec![PathBuf::from(ROOT)];
    if let Some(dir) = &args.dir {
        roots.extend(std::path::absolute(dir)?.parent().map(Path::to_owned));
    }
    let mut folders = Vec::new();
    for root in roots {
        folders.extend(Folder::list(&root)?.into_iter().map(|found| found.folder));
    }
    let Some(last) = last else { return Ok(folders) };
    match Folder::open_at(&last.folder) {
        Ok(folder) if last.host == host_name() => {
            if folders.iter().all(|known| known.dir() != folder.dir()) {
                folders.push(folder);
            }
        }
        // Whether it asks for a correction stands in its folder alone.
        _ => errln!(
            "session {} had the target last, from {} on {}, which cannot be read here: look there how it ended, and whether what was wrong is corrected",
            printable(&last.session, 80),
            printable(&last.folder.to_string_lossy(), 300),
            printable(&last.host, 80)
        ),
    }
    Ok(folders)
}

/// What the target says of itself; nothing of what it does not say.
#[derive(Debug, Default)]
struct Known {
    identity: Option<TargetIdentity>,
    released: Option<Release>,
    /// The session that had it last.
    last: Option<Claim>,
}

async fn ask(endpoint: &Endpoint) -> Option<Known> {
    let client = endpoint.connect().await.ok()?;
    Some(Known {
        identity: production::identified(&client).await.ok(),
        released: release::newest(&client).await.ok().flatten(),
        last: claim::target::last(&client).await.ok().flatten(),
    })
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
