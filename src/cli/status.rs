//! `cutover status`: where a session stands, for a shell.

use clap::Args;

use super::{Exit, Which, run};
use crate::history;
use crate::journal::{EngineState, Folder};
use crate::session::cost;
use crate::session::decide::status as word;
use crate::session::forecast;
use crate::session::live::{CostView, key};
use crate::session::{Phase, Session, StepStatus};
use crate::text::printable;
use crate::{claim, clock};

/// Where a session stands.
#[derive(Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    which: Which,
    /// One JSON object on stdout
    #[arg(long)]
    json: bool,
}

/// `cutover status`
pub async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let folder = run::find(&args.which)?;
    let (history, session) = history::of(&folder)?;
    let follower = history.follower();
    let engine = follower.engine()?;
    let left = left(&folder);
    let cost: Option<CostView> = follower.board(key::COST)?;
    if args.json {
        let gates = session.gates();
        let confidence = crate::session::confidence::confidence(&session);
        let whole = serde_json::json!({
            "session": session, "gates": gates, "confidence": confidence, "engine_alive": engine.is_alive(),
            "rehearsal": session.charter.rehearsal, "over": claim::is_over(&session, engine.is_alive()), "rollback_cost": cost, "left_behind": left,
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
        let sentence = cost::sentence(&session, cost.as_ref());
        outln!("rollback: {}", shown(&sentence));
    }
    if let Some(night) = other_night(&args.which, &folder, &session) {
        outln!("the newest session of a night is {night}: `cutover status {night}`");
    }
    for line in left {
        outln!("{}", printable(&line, 500));
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
fn other_night(which: &Which, folder: &Folder, session: &Session) -> Option<String> {
    if !session.charter.rehearsal || which.session.is_some() || which.dir.is_some() {
        return None;
    }
    let night = run::newest_night(folder.dir().parent()?).ok()??;
    Some(night.session())
}

/// Words of others, in one line that no terminal obeys.
fn shown(text: &str) -> String {
    printable(text, 2_000)
}

fn print(session: &Session, engine: &EngineState) {
    let is_over = claim::is_over(session, engine.is_alive());
    let phase = match session.phase {
        Phase::Open | Phase::RollingBack if is_over => "interrupted",
        Phase::Open => "open",
        Phase::RollingBack => "ROLLING BACK",
        Phase::RolledBack => "rolled back",
        Phase::Completed => "completed",
    };
    let alive = if engine.is_alive() {
        "engine runs"
    } else if is_over {
        "over"
    } else {
        "NO ENGINE RUNS"
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
    outln!("");
    for gate in session.gates() {
        let missing: Vec<_> = gate.missing_roles().iter().map(|r| r.title()).collect();
        let state = match (gate.green, gate.evidence_is_green()) {
            (true, _) => "green".to_owned(),
            (false, true) => format!("to be signed by {}", missing.join(", ")),
            (false, false) => "evidence is not green".to_owned(),
        };
        outln!("{:<4} {state}", shown(&gate.id));
    }
    outln!("");
    for (line, state) in session.charter.steps.iter().zip(&session.steps) {
        let what = state
            .outcome
            .as_ref()
            .map_or(line.title.as_str(), |o| o.summary.as_str());
        outln!(
            "{:<4} {:<8} {}",
            shown(&line.id),
            word(state.status),
            shown(what)
        );
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
            let what = state
                .outcome
                .as_ref()
                .map_or(line.title.as_str(), |o| o.summary.as_str());
            outln!(
                "{:<4} {:<8} {}",
                shown(&line.id),
                word(state.status),
                shown(what)
            );
        }
    }
    match (session.phase, is_over) {
        (Phase::Open | Phase::RollingBack, true) => {
            outln!("\n{}", shown(&super::over::of(session)))
        }
        (Phase::RollingBack, false) if !engine.is_alive() => outln!(
            "\nrolling back, but NO ENGINE RUNS, so nothing goes on: `cutover rollback` starts one, and the rollback goes on where it was"
        ),
        (Phase::Open, false) if !engine.is_alive() => outln!(
            "\nNO ENGINE RUNS, so nothing is watched: `cutover run` starts one, which goes on; `cutover rollback` starts one and rolls back"
        ),
        _ => outln!("\n{}", shown(&next(session))),
    }
    if matches!(session.phase, Phase::Completed | Phase::RolledBack) {
        outln!("{}", shown(&super::over::of(session)));
    }
}

/// One line: what to do next.
fn next(session: &Session) -> String {
    match session.phase {
        Phase::Completed => "complete: nothing is left to do".into(),
        Phase::RolledBack => match session.rollback.as_ref().and_then(|r| r.healthy) {
            Some(true) => "over: the application is on SQLite".into(),
            _ => "over, and NOT HEALTHY: where the application serves from is not proven. `cutover retry` runs what failed again".into(),
        },
        Phase::RollingBack => "rolling back: wait".into(),
        Phase::Open => match crate::session::decide::may_start(session) {
            Ok(step) => format!("next: cutover start --step {step}"),
            Err(refusal) => match session.current_step() {
                Some(s) if s.status == StepStatus::Running => format!("running: {}", s.id),
                _ => format!("next: {refusal}"),
            },
        },
    }
}
