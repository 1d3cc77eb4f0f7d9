//! What ends a session, or follows its end: `complete`, `rollback`, `retry`, `correct`. What cannot be taken back is confirmed by the session's
//! name. Not in here: the other commands (`super`), and what is looked at afterwards (`close`).

use clap::Args;
use clap_complete::engine::ArgValueCandidates;

use super::super::bridge::SocketBridge;
use super::super::completion as candidates;
use super::super::orders::Standing;
use super::super::{Exit, Which, follow, over, run};
use super::send;
use crate::cockpit::bridge::{Bridge, BridgeError, Purpose};
use crate::engine::amend;
use crate::journal::Folder;
use crate::runbook::StepWord;
use crate::runbook::transfer::TargetRows;
use crate::session::event::given_up;
use crate::session::live::{ItemView, key};
use crate::session::{Command, Phase, Refusal, Session, attempt, completion};
use crate::step::salvage::{has_whole_file, why_not_kept};
use crate::text::printable;

/// What comes after `cutover complete`.
const AFTER_THE_RELEASE: &str = "next: `cutover close`, which looks at what is left. Where a step pointed the staging slot at PostgreSQL for E3, it is on \
     production's database until somebody takes it back: nothing that a tester does there is a test any more";

/// What a rollback leaves in the target, and what the next attempt needs for it.
const ROWS_STAY: &str = "before that rehearsal: the rows of this attempt may still be in the target, and `cutover run` is NO-GO on them until the runbook \
     has `target_rows: replace` under `transfer`, which it had not. Setting it changes the runbook, so that an earlier rehearsal would not count: \
     `cutover check` says whether it is needed";

/// The same where the session's runbook cannot be read any more.
const ROWS_MAY_STAY: &str = "before that rehearsal: the rows of this attempt may still be in the target, and `cutover run` is NO-GO on them unless the \
     runbook has `target_rows: replace` under `transfer`. Setting it changes the runbook, so that an earlier rehearsal would not count: `cutover \
     check` says whether it is needed";

/// Record what was corrected after a rollback.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover correct --what \"the query behind /tools has its index\"
  cutover correct tool-catalogue-1 --what \"PostgreSQL is back, with more memory\"")]
pub struct CorrectArgs {
    #[command(flatten)]
    which: Which,
    /// What was corrected
    #[arg(long)]
    what: String,
    /// Give up what users wrote to PostgreSQL where no salvage file holds it
    #[arg(long)]
    give_up_rows: bool,
}

/// Roll back.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover rollback
  cutover rollback --confirm tool-catalogue-1 --reason \"the search answers slowly\"

Exit codes: 4 the session has ended by a rollback, 3 the same before anything of PostgreSQL was touched, 1 it has not. Rows that are red change none \
of them: the last lines name each, and `cutover retry` runs them again.")]
pub struct RollbackArgs {
    #[command(flatten)]
    which: Which,
    /// The session's name, to confirm; not needed once a trigger has fired
    #[arg(long, value_name = "SESSION", add = ArgValueCandidates::new(candidates::sessions))]
    confirm: Option<String>,
    /// Why
    #[arg(long, default_value = "asked for from a shell")]
    reason: String,
}

/// Run rows of a rollback again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover retry
  cutover retry --row R3

Exit codes: 0 no row of the rollback is red any more, 1 one is, or nothing was run.")]
pub struct RetryArgs {
    /// The row to begin with, such as R2; the first that failed where absent
    #[arg(long, value_name = "ROW", add = ArgValueCandidates::new(candidates::rollback_rows))]
    row: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// Complete the release.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover complete
  cutover complete --confirm tool-catalogue-1")]
pub struct CompleteArgs {
    /// The session's name, typed: a release cannot be taken back by the rollback key
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    #[command(flatten)]
    which: Which,
}

/// `cutover complete`
pub async fn complete(args: CompleteArgs) -> anyhow::Result<Exit> {
    let folder = run::find_to_act(&args.which.named)?;
    let (history, session) = crate::history::of(&folder)?;
    // The engine would refuse it too, and name the first row alone.
    if session.phase == Phase::Open && history.follower().engine()?.is_alive() {
        let items: Option<Vec<ItemView>> = history.follower().board(key::CHECKLIST)?;
        if let Some(why) = completion::open(&session, &items.unwrap_or_default()) {
            errln!("refused: {}", Refusal::NotComplete { why });
            return Ok(Exit::Failed);
        }
    }
    let (name, known) = (session.charter.session, session.seq);
    let lost = session.written_after_switch.as_deref();
    let lost = lost.map_or_else(String::new, |detail| format!(" {}.", given_up(detail)));
    let what = format!(
        "This completes {}: SQLite is history then, and the rollback key is gone.{lost}",
        printable(&name, 80)
    );
    let confirm = args.confirm.or_else(|| ask_for_name(&what));
    if confirm.as_ref() != Some(&name) {
        errln!(
            "refused: {what} Say so by its name: `{}`. Nothing was done",
            confirming("complete", &args.which, &name)
        );
        return Ok(Exit::Failed);
    }
    let exit = send(args.which, Command::Complete).await?;
    if exit == Exit::Done {
        // What the engine still does then is part of the release, and `close` looks at what came of it.
        follow::until_over_from(&folder, follow::To::Stderr, known + 1).await?;
        errln!("{AFTER_THE_RELEASE}");
    }
    Ok(exit)
}

/// `cutover rollback`: starts an engine when none runs.
pub async fn rollback(args: RollbackArgs) -> anyhow::Result<Exit> {
    let folder = run::find_night(&args.which.named)?;
    if let Some(over) = over::sentence(&folder) {
        anyhow::bail!("{over}");
    }
    let confirm = args.confirm.or_else(|| ask_for_confirmation(&folder));
    let command = Command::RollBack {
        reason: args.reason,
        confirm,
    };
    let bridge = SocketBridge::new(folder.clone(), args.which.claim.clone(), None);
    let sent = tokio::task::spawn_blocking(move || match bridge.send(&command, None) {
        Err(BridgeError::NoEngine) => {
            errln!("no engine runs; starting one");
            bridge.start_engine(Purpose::RollBack)?;
            bridge.send(&command, None)
        }
        other => other,
    })
    .await?;
    if matches!(sent, Err(BridgeError::Refused(Refusal::AlreadyRollingBack))) {
        // Whoever or whatever began it, it is this rollback that was asked for.
        errln!("the rollback has already begun; this follows it to its end");
    } else if let Err(error) = sent {
        if let BridgeError::Refused(Refusal::ConfirmRollback { session }) = &error {
            anyhow::bail!(
                "{error}: `{}`. Nothing was done",
                confirming("rollback", &args.which, session)
            );
        }
        // Whoever cannot have an engine needs the way on foot, on a disk that can be written to.
        if matches!(error, BridgeError::Failed { .. }) {
            anyhow::bail!(
                "{error}\nWithout an engine: `cutover report --sheet --out DIR {}` writes how to roll back by hand, DIR being on a disk that \
                 can be written to",
                printable(&folder.session(), 80)
            );
        }
        anyhow::bail!("{error}");
    }
    let began = follow::rollback_began(&folder)?;
    let exit = follow::until_over_from(&folder, follow::To::Stderr, began).await?;
    summarise(&crate::history::session(&folder)?);
    Ok(exit)
}

/// What the rollback came to, behind its log.
fn summarise(session: &Session) {
    if let Some(summary) = follow::summary(session) {
        errln!("{summary}");
    }
}

/// `cutover retry`: rows of a rollback that has ended, by an engine that is started for them.
pub async fn retry(args: RetryArgs) -> anyhow::Result<Exit> {
    let folder = run::find_night(&args.which.named)?;
    let bridge = SocketBridge::new(folder.clone(), args.which.claim, None);
    let command = Command::Retry { row: args.row };
    let asked = match tokio::task::spawn_blocking(move || bridge.send(&command, None)).await? {
        Ok(seq) => seq,
        Err(BridgeError::Refused(refusal)) => {
            let name = folder.session();
            errln!("refused by session {name}: {refusal}");
            let (history, session) = crate::history::of(&folder)?;
            if session.phase == Phase::RollingBack && !history.follower().engine()?.is_alive() {
                errln!(
                    "but no engine runs: `cutover rollback {name}` starts one, and the rollback goes on where it was"
                );
            }
            return Ok(Exit::Failed);
        }
        Err(error) => anyhow::bail!("{error}"),
    };
    follow::until_over_from(&folder, follow::To::Stderr, asked).await?;
    let session = crate::history::session(&folder)?;
    summarise(&session);
    Ok(follow::exit_of_retry(&session))
}

/// `cutover correct`: the session is over and has no engine any more.
pub async fn correct(args: CorrectArgs) -> anyhow::Result<Exit> {
    let folder = run::find_night(&args.which.named)?;
    let session = folder.session();
    let known = crate::history::session(&folder)?;
    if !args.give_up_rows
        && let Err(not_yet) = attempt::rows_are_kept(&known, has_whole_file(&folder))
    {
        errln!("refused: {}", why_not_kept(&folder, &not_yet));
        return Ok(Exit::Failed);
    }
    let rows_stay = rows_stay(&folder, &known);
    let command = Command::Correct {
        what: args.what,
        gives_up_rows: args.give_up_rows,
    };
    let claim = args.which.claim;
    // Whoever writes waits for an engine that still ends, and nobody waits for the end of a session that is not over.
    if let Err(refusal) = amend::may_amend(&known, claim.as_deref(), &command) {
        errln!("refused: {refusal}");
        return Ok(Exit::Failed);
    }
    let written =
        tokio::task::spawn_blocking(move || amend::amend(&folder, claim.as_deref(), &command));
    match written.await?? {
        Ok(()) => {
            errln!(
                "recorded in {session}; a rehearsal newer than this opens the way to the next attempt"
            );
            if let Some(rows_stay) = rows_stay {
                errln!("{rows_stay}");
            }
            Ok(Exit::Done)
        }
        Err(refusal) => {
            errln!("refused: {refusal}");
            Ok(Exit::Failed)
        }
    }
}

/// What to say of the rows that were loaded and stay in the target; `None` where they stand in nobody's way, for none was loaded, or the runbook
/// has the tables emptied.
fn rows_stay(folder: &Folder, session: &Session) -> Option<&'static str> {
    let lines = session.charter.steps.iter().zip(&session.steps);
    let mut begun = lines.filter(|(_, state)| state.attempt > 0);
    let may_have_loaded =
        begun.any(|(line, _)| line.word.is_none_or(|word| word == StepWord::Import));
    if !session.target_touched || !may_have_loaded {
        return None;
    }
    let loaded = Standing::read(folder).and_then(|standing| standing.loaded());
    match loaded.map(|loaded| loaded.runbook.transfer.target_rows) {
        Ok(TargetRows::Replace) => None,
        Ok(TargetRows::Refuse) => Some(ROWS_STAY),
        Err(_) => Some(ROWS_MAY_STAY),
    }
}

/// On a terminal, the name is asked for; in a script it must be an argument.
fn ask_for_confirmation(folder: &Folder) -> Option<String> {
    let session = crate::history::session(folder).ok()?;
    if session.fired.is_some() {
        return None;
    }
    ask_for_name(&format!(
        "This takes {} back to SQLite.",
        printable(&session.charter.session, 80)
    ))
}

/// The whole command line that confirms with a session's name, as it is to be typed.
fn confirming(command: &str, which: &Which, name: &str) -> String {
    let name = printable(name, 80);
    let place = match (&which.named.dir, &which.named.session) {
        (Some(dir), _) => format!(" --dir {}", printable(&dir.display().to_string(), 400)),
        (None, Some(_)) => format!(" {name}"),
        (None, None) => String::new(),
    };
    let claim = which.claim.as_ref();
    let claim = claim.map_or_else(String::new, |who| format!(" --as {}", printable(who, 80)));
    format!("cutover {command}{place} --confirm {name}{claim}")
}

/// What somebody at a terminal types; nothing without one.
fn ask_for_name(what: &str) -> Option<String> {
    use std::io::{IsTerminal, Write};
    if !std::io::stdin().is_terminal() {
        return None;
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{what} Type its name to go on: ")
        .and_then(|()| terminal.flush())
        .ok()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::cli::Named;

    #[test]
    fn the_whole_command_line_names_the_session_as_it_was_named() {
        let mut which = Which {
            named: Named {
                session: None,
                dir: None,
            },
            claim: None,
        };
        assert_eq!(
            confirming("rollback", &which, "tonight"),
            "cutover rollback --confirm tonight"
        );
        which.named.session = Some("tonight".to_owned());
        which.claim = Some("robin".to_owned());
        assert_eq!(
            confirming("complete", &which, "tonight"),
            "cutover complete tonight --confirm tonight --as robin"
        );
        which.named.dir = Some(PathBuf::from("/srv/night"));
        assert_eq!(
            confirming("rollback", &which, "tonight"),
            "cutover rollback --dir /srv/night --confirm tonight --as robin"
        );
    }
}
