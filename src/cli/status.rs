//! `cutover status`: where a session stands, for a shell.

use chrono::Local;
use clap::Args;

use super::{Exit, Named, follow, run};
use crate::history;
use crate::journal::{EngineState, Folder};
use crate::session::advice::next_line;
use crate::session::decide::status as word;
use crate::session::live::{CostView, FeedView, key};
use crate::session::{Phase, Session, StepState, cost, forecast};
use crate::text::printable;
use crate::{claim, clock};

/// Where a session stands.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover status
  cutover status tool-catalogue-1 --json
  cutover status --follow")]
pub struct StatusArgs {
    #[command(flatten)]
    named: Named,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
    /// Then one line per event as it comes, until the session is over
    #[arg(long, conflicts_with = "json")]
    follow: bool,
}

/// `cutover status`
pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.named)?;
    let (history, session) = history::of(&folder)?;
    let follower = history.follower();
    let engine = follower.engine()?;
    let left = left(&folder);
    let cost: Option<CostView> = follower.board(key::COST)?;
    let feed: Option<FeedView> = follower.board(key::FEED)?;
    let feed = match engine.is_alive() {
        true => feed,
        false => feed.map(FeedView::unfollowed),
    };
    if args.json {
        let gates = session.gates();
        let confidence = crate::session::confidence::confidence(&session);
        let whole = serde_json::json!({
            "session": session, "gates": gates, "confidence": confidence, "engine_alive": engine.is_alive(),
            "rehearsal": session.charter.rehearsal, "over": claim::is_over(&session, engine.is_alive()), "rollback_cost": cost, "rollback_feed": feed,
            "left_behind": left,
        });
        outln!("{whole}");
        return Ok(Exit::Done);
    }
    print(&session, &engine);
    let at_ms = session.now_ms(&clock::boot_id(), clock::now_ms());
    let freeze = forecast::sentence(&session, at_ms.unwrap_or(session.at_ms));
    if let Some(freeze) = freeze.filter(|_| !claim::is_over(&session, engine.is_alive())) {
        outln!("freeze: {}", shown(&freeze));
    }
    if session.phase == Phase::Open && !claim::is_over(&session, engine.is_alive()) {
        let zone = *Local::now().offset();
        let sentence = cost::sentence(&session, cost.as_ref(), feed.as_ref(), zone);
        for lost in feed.iter().flat_map(cost::would_lose) {
            outln!("rollback: {}", shown(&lost));
        }
        outln!("rollback: {}", shown(&sentence));
    }
    if let Some(night) = other_night(&args.named, &folder, &session) {
        outln!("the newest session of a night is {night}: `cutover status {night}`");
    }
    for line in left {
        outln!("{}", printable(&line, 500));
    }
    // What its engine says while it lets go of both databases is the end of the log.
    if args.follow && (engine.is_alive() || !claim::is_over(&session, false)) {
        outln!("");
        follow::until_over_from(&folder, follow::To::Stdout, session.seq + 1).await?;
    }
    Ok(Exit::Done)
}

/// What processes of ours that were killed left behind, a line each.
fn left(folder: &Folder) -> Vec<String> {
    let root = folder.dir().parent().unwrap_or(folder.dir());
    let rehearsals = super::rehearse::unfinished::find(root);
    let rehearsals = rehearsals.iter().map(|dir| {
        format!(
            "rehearsal {} was interrupted, and what it did is not undone yet: the next `cutover rehearse`, `run` or `close` does that",
            dir.file_name().unwrap_or_default().to_string_lossy()
        )
    });
    let files = super::leftovers::of_session(folder);
    let files = files.iter().map(|path| {
        format!("{} is what a process of ours that was killed left: the next `cutover run` or `close` removes it", path.display())
    });
    rehearsals.chain(files).collect()
}

/// Where a rehearsal is what is newest, the night beside it.
fn other_night(named: &Named, folder: &Folder, session: &Session) -> Option<String> {
    if !session.charter.rehearsal || named.session.is_some() || named.dir.is_some() {
        return None;
    }
    let night = run::newest_night(folder.dir().parent()?).ok()??;
    Some(night.session())
}

/// Words of others, in one line that no terminal obeys.
fn shown(text: &str) -> String {
    printable(text, 2_000)
}

fn print_row(id: &str, title: &str, state: &StepState) {
    let what = state.outcome.as_ref();
    let what = what.map_or(title, |o| o.summary.as_str());
    let status = word(state.status);
    outln!("{:<4} {status:<8} {}", shown(id), shown(what));
}

fn print(session: &Session, engine: &EngineState) {
    let is_over = claim::is_over(session, engine.is_alive());
    print_phase(session, engine, is_over);
    outln!("");
    print_gates(session);
    outln!("");
    print_rows(session);
    print_what_follows(session, engine, is_over);
}

fn print_phase(session: &Session, engine: &EngineState, is_over: bool) {
    let phase = match session.phase {
        Phase::Open | Phase::RollingBack if is_over => "interrupted",
        Phase::Open => "open",
        Phase::RollingBack => "ROLLING BACK",
        Phase::RolledBack => "rolled back",
        Phase::Completed => "completed",
    };
    let alive = match (engine.is_alive(), is_over) {
        (true, false) => "engine runs",
        (true, true) => "its engine still lets go of both databases",
        (false, true) => "over",
        (false, false) => "NO ENGINE RUNS",
    };
    let kind = match session.charter.rehearsal {
        true => "rehearsal ",
        false => "",
    };
    outln!(
        "{kind}{}  {phase}  {alive}",
        shown(&session.charter.session)
    );
    if session.charter.sandbox {
        outln!("SANDBOX, time ×{}", session.charter.speed);
    }
    if let Some(held) = &session.held {
        outln!("HELD by {}: {}", shown(&held.by), shown(&held.reason));
    }
    if let Some(fired) = &session.fired {
        outln!(
            "TRIGGER {} FIRED: {}",
            shown(&fired.trigger),
            shown(&fired.reason)
        );
    }
}

fn print_gates(session: &Session) {
    for gate in session.gates() {
        let missing: Vec<_> = gate.missing_roles().iter().map(|r| r.title()).collect();
        let state = match (gate.green, gate.evidence_is_green()) {
            (true, _) => "green".to_owned(),
            (false, true) => format!("to be signed by {}", missing.join(", ")),
            (false, false) => "evidence is not green".to_owned(),
        };
        outln!("{:<4} {state}", shown(&gate.id));
    }
}

fn print_rows(session: &Session) {
    for (line, state) in session.lines() {
        print_row(&line.id, &line.title, state);
        if let Some(question) = &state.question {
            outln!("     decide: {}", shown(question));
        }
    }
    if let Some(rollback) = &session.rollback {
        outln!("\nrollback: {}", shown(&rollback.reason));
        if let Some(after_ms) = session.first_undo_after_ms() {
            outln!(
                "first undo {:.1} s after it was asked for, countdown included",
                after_ms as f64 / 1000.0
            );
        }
        for (line, state) in session.charter.rollback.iter().zip(&rollback.rows) {
            print_row(&line.id, &line.title, state);
        }
    }
}

fn print_what_follows(session: &Session, engine: &EngineState, is_over: bool) {
    match (session.phase, is_over) {
        (Phase::Open | Phase::RollingBack, true) => {
            outln!("\n{}", shown(&super::over::of(session)))
        }
        (Phase::RollingBack, false) if !engine.is_alive() => outln!(
            "\nrolling back, but NO ENGINE RUNS, so nothing goes on: `cutover rollback` starts one, and the rollback goes on where it was"
        ),
        (Phase::Open, false) if !engine.is_alive() => {
            outln!(
                "\nNO ENGINE RUNS, so nothing is watched: `cutover run` starts one, which goes on; `cutover rollback` starts one and rolls back"
            );
            if session.charter.keeps_writes && session.switched_ms().is_some() {
                outln!(
                    "What is written to PostgreSQL is noted there all the same (cutover.feed_notes, some 100 bytes for each row), and no note is \
                     deleted until an engine runs"
                );
            }
        }
        (Phase::Open | Phase::RollingBack, false) | (Phase::RolledBack | Phase::Completed, _) => {
            outln!("\n{}", shown(&next_line(session)))
        }
    }
    if matches!(session.phase, Phase::Completed | Phase::RolledBack) {
        outln!("{}", shown(&super::over::of(session)));
    }
}
