//! What must hold at every effect of an engine, and at the end of a night.
//!
//! Not in here: what is judged at the world's own acts (two databases, undos), which `world` and `tasks` see to.

use std::collections::BTreeSet;

use cutover::engine::outside::{Beside, Effect, Job};
use cutover::runbook::{Condition, Occasion};
use cutover::session::live::TriggerView;
use cutover::session::notice::Notice;
use cutover::session::{Event, Found, Outcome, Phase, Recorded, Session, StepStatus, TriggerPhase};

use super::steps::Kind;
use super::world::{Side, World};

/// So long a signal may be bad before no board shows it clear any more: samples are late by less, and none is no clear one.
const NOTICED_MS: i64 = 6_000;

/// Who does it.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    pub id: u32,
    pub fencing: u64,
}

/// Judges one effect at the moment at which it is wanted.
pub fn judge(world: &mut World, engine: Engine, session: &Session, effect: &Effect<'_>) {
    match effect {
        Effect::Start { job, .. } => starts(world, engine, session, *job),
        Effect::Happened(recorded) => happened(world, session, recorded),
        Effect::Tell(notice) => told(world, session, notice),
        Effect::Note(Beside::Triggers(views)) => shown(world, engine, session, views),
        Effect::Note(Beside::Checklist(items)) => {
            let errors = last_heard(world, engine.id, "http_5xx_ratio").is_some_and(|r| r > 0.01);
            let green = items.iter().any(|i| i.id == "M4" && i.green == Some(true));
            if errors && green {
                world.broken("said", "the checklist shows M4 green over 1 % of 5xx");
            }
        }
        Effect::Cancel { run } => {
            let mut tasks = world.tasks.iter();
            let of = tasks.find(|t| t.run == *run && t.engine == engine.id);
            if of.is_some_and(|t| t.kind == Kind::Row) {
                world.broken("work", "a row of the rollback is cancelled");
            }
        }
        Effect::DropFence
        | Effect::Restarting { .. }
        | Effect::LookAtMaintenance(_)
        | Effect::Hold(_)
        | Effect::Note(_) => {}
    }
}

fn starts(world: &mut World, engine: Engine, session: &Session, job: Job<'_>) {
    world.count("work begun");
    if engine.fencing != world.disk.lease {
        let lease = world.disk.lease;
        world.broken(
            "fencing",
            format!("{job:?} begins under lease {} of {lease}", engine.fencing),
        );
    }
    let Job::Step { step, .. } = job else {
        return;
    };
    let mut tasks = world.tasks.iter();
    let other =
        tasks.find(|t| t.engine == engine.id && t.kind == Kind::Step && t.cancelled_ms.is_none());
    if let Some(other) = other {
        let row = other.row.clone();
        world.broken("work", format!("{step} begins while {row} runs"));
    }
    if session.fired.is_some() || session.phase != Phase::Open {
        world.broken("fired", format!("{step} begins after a trigger fired"));
    }
    if step != "F1" {
        return;
    }
    world.count("switches begun");
    let frozen_ms = session.frozen_ms();
    let proves = |id: &&str| {
        let state = session.step(id);
        state.is_some_and(|s| s.status == StepStatus::Done && s.ended_ms >= frozen_ms)
    };
    if frozen_ms.is_none() || !["E1", "E2", "E3", "E4"].iter().all(proves) {
        world.broken(
            "switch",
            "F1 begins without a green E of the freeze that holds",
        );
    }
    let old = |s: &&cutover::session::StepState| s.is_over() && s.ended_ms < frozen_ms;
    let of_freeze = session.steps.iter().skip_while(|s| s.id != "A1");
    let stale = of_freeze.take_while(|s| s.id != "F1").find(old);
    if let Some(stale) = stale.map(|s| s.id.clone()) {
        world.broken(
            "switch",
            format!("F1 begins, and {stale} is of an earlier freeze"),
        );
    }
    // A second attempt goes on with what the first one did; what was written in between is told of.
    if session.undos.iter().any(|(of, _)| of == "F1") {
        return;
    }
    let kept = world.backup.as_ref().map(|b| b.version);
    if kept != Some(world.sqlite.version) {
        world.broken("switch", "F1 begins although SQLite is not what was proven");
    }
}

fn happened(world: &mut World, session: &Session, recorded: &Recorded) {
    world.count("events");
    match &recorded.event {
        Event::StepFinished { step, outcome, .. }
        | Event::StepFoundOut {
            step,
            found: Found::Done { outcome },
            ..
        } => {
            must_fire(world, session, step, outcome);
            if step == "F4" && outcome.ok && world.written_seen {
                world.broken(
                    "writes",
                    "F4 opens, and SQLite was seen to be written since the switch",
                );
            }
        }
        Event::TriggerFired { trigger, .. } => fired(world, session, trigger),
        Event::AlarmRaised { text, .. } => alarm(world, text),
        Event::DriftFound { .. } => world.count("drift found"),
        Event::WrittenAfterSwitch { detail } => {
            world.written_seen = true;
            alarm(
                world,
                &format!("SQLite was written after the switch: {detail}"),
            );
        }
        Event::StepLost { .. } => world.count("steps lost"),
        _ => {}
    }
}

/// A final outcome with a red check fires the armed triggers that judge it, in the same append.
fn must_fire(world: &mut World, session: &Session, step: &str, outcome: &Outcome) {
    let line = session.charter.steps.iter().find(|l| l.id == step);
    let attempt = session.step(step).map_or(0, |s| s.attempt);
    let goes_on = outcome.passing && line.is_some_and(|l| attempt < l.attempts);
    let red = |check: &str| outcome.checks.iter().any(|c| !c.ok && c.name == check);
    let mut triggers = session.charter.triggers.iter();
    let judged = triggers.find(|t| {
        let judges = matches!(&t.when, Condition::Check { check } if red(check));
        judges && session.armed_ms(t).is_some()
    });
    if let Some(trigger) = judged.filter(|_| !goes_on && session.fired.is_none()) {
        let id = trigger.id.clone();
        world.broken(
            "fired",
            format!("{step} is red, and {id} has not fired with it"),
        );
    }
}

/// A trigger on a signal fires only by what engines heard: bad for as long as it says, and nothing good in between.
fn fired(world: &mut World, session: &Session, trigger: &str) {
    world.count("triggers fired");
    let (family, _) = trigger.split_once('.').unwrap_or((trigger, ""));
    let rule = session.charter.triggers.iter().find(|t| t.id == family);
    let Some(Condition::Signal { for_ms, .. }) = rule.map(|t| &t.when) else {
        return;
    };
    let full_ms = session.charter.real_ms(*for_ms);
    let mut heard = world
        .heard
        .get(signal_of(trigger))
        .cloned()
        .unwrap_or_default();
    heard.sort_by_key(|(_, at_ms, _)| *at_ms);
    let (mut since, mut longest) = (None, -1);
    for (_, at_ms, value) in heard {
        match value.map(|value| is_bad(session, family, value)) {
            Some(true) => longest = longest.max(at_ms - *since.get_or_insert(at_ms)),
            Some(false) => since = None,
            None => {}
        }
    }
    if longest < full_ms {
        world.broken(
            "said",
            format!("{trigger} fires, and was bad for {longest} ms at most"),
        );
    }
}

/// What an alarm says is so.
fn alarm(world: &mut World, text: &str) {
    world.alarms.push(text.to_owned());
    if text.starts_with("SQLite was written after the switch") && world.past_fence_ms.is_empty() {
        world.broken("said", format!("nobody wrote SQLite: {text}"));
    }
    if text.contains("little room on") && world.disk_seen_full == 0 {
        world.broken("said", format!("there was room: {text}"));
    }
    if text.contains("is NOT in maintenance") && !world.seen_off {
        world.broken("said", format!("nobody saw it: {text}"));
    }
}

fn told(world: &mut World, session: &Session, notice: &Notice) {
    world.count("notices");
    let text = &notice.text;
    let first = text.split_whitespace().next().unwrap_or_default();
    let wrong = match notice.occasion {
        Occasion::Signature => {
            let mut views = session.gates().into_iter();
            let view = views.find(|v| v.id == first);
            !view.is_some_and(|v| v.evidence_is_green() && !v.missing_roles().is_empty())
        }
        Occasion::Decision => {
            let state = session.step(first);
            !state.is_some_and(|s| s.status == StepStatus::Failed || s.question.is_some())
        }
        Occasion::Fired => session.fired.is_none(),
        Occasion::Engine => world.engines < 2,
        Occasion::RolledBack => is_false_end(world, text),
        Occasion::AllClear if text.contains("release is complete") => {
            let on_postgres = |i: &super::world::Instance| i.serves == Side::Postgres;
            session.phase != Phase::Completed || !world.instances.iter().all(on_postgres)
        }
        Occasion::AllClear => {
            let family = first.to_owned();
            let mut heard = world.heard.iter();
            heard.any(|(signal, all)| {
                let of = signal_of(&family);
                let last = all.last().and_then(|(_, _, value)| *value);
                let concerns = signal == of || signal.starts_with(&format!("{of}."));
                concerns && last.is_some_and(|value| is_bad(session, &family, value))
            })
        }
        Occasion::Freeze => session.freeze().is_none(),
        Occasion::Blind | Occasion::Burning => false,
    };
    if wrong {
        world.broken("said", format!("it is not so: {text}"));
    }
}

/// Whether the last word says that the application is back, and it is not.
fn is_false_end(world: &World, text: &str) -> bool {
    let says = text.contains("serves from SQLite again") || text.contains("serves from SQLite as");
    let is_back = world.instances.iter().all(|i| i.serves == Side::Sqlite);
    says && !(is_back && (!world.maintenance || world.faults.by_hand))
}

/// No fuse stands otherwise than by what this engine heard last.
fn shown(world: &mut World, engine: Engine, session: &Session, views: &[TriggerView]) {
    for view in views {
        let (family, _) = view.id.split_once('.').unwrap_or((&view.id, ""));
        let signal = signal_of(&view.id);
        let bad_ms = world
            .bad_since_ms
            .get(signal)
            .map(|since| world.now_ms - since);
        if view.phase == TriggerPhase::Clear && bad_ms.is_some_and(|ms| ms > NOTICED_MS) {
            let id = view.id.clone();
            world.broken("said", format!("the board shows {id} clear, and it is bad"));
        }
        let Some(value) = last_heard(world, engine.id, signal) else {
            continue;
        };
        let bad = is_bad(session, family, value);
        let wrong = match view.phase {
            TriggerPhase::Clear => bad,
            TriggerPhase::Burning => !bad,
            TriggerPhase::Blind | TriggerPhase::Fired => false,
        };
        if wrong {
            let (id, phase) = (view.id.clone(), view.phase);
            world.broken("said", format!("the board shows {id} {phase:?} at {value}"));
        }
    }
}

fn last_heard(world: &World, engine: u32, signal: &str) -> Option<f64> {
    let heard = world.heard.get(signal)?;
    let (of, _, value) = heard.last()?;
    value.filter(|_| *of == engine)
}

/// The signal of a trigger of the reference runbook.
fn signal_of(trigger: &str) -> &'static str {
    match trigger {
        "T1a.app-1" => "ready.app-1",
        "T1a.app-2" => "ready.app-2",
        "T1a.app-3" => "ready.app-3",
        "T1a" => "ready",
        "T1b" => "unready_ratio",
        "T3a" | "T3b" => "http_5xx_ratio",
        _ => "none",
    }
}

/// Whether a value counts against a trigger.
fn is_bad(session: &Session, family: &str, value: f64) -> bool {
    match family {
        "T1a" => value < 1.0,
        "T1b" => value > 0.2,
        "T3a" => {
            let baseline = session.baseline("http_5xx_ratio");
            baseline.is_some_and(|b| value > (2.0 * b).max(0.001))
        }
        "T3b" => value > 0.01,
        _ => false,
    }
}

/// What must hold once a night is over. `session` is the fold of the journal.
pub fn at_the_end(world: &mut World, session: &Session) {
    let has_fired = session.fired.is_some();
    if has_fired && session.phase != Phase::RolledBack {
        world.broken(
            "fired",
            "a trigger fired, and the session was not rolled back",
        );
    }
    let serves = match session.phase {
        Phase::Completed => Side::Postgres,
        Phase::RolledBack => Side::Sqlite,
        Phase::Open | Phase::RollingBack => {
            return world.broken("ends", "the night does not end");
        }
    };
    let healthy = session.rollback.as_ref().and_then(|r| r.healthy);
    let wrong = |i: &&super::world::Instance| i.config != serves;
    if healthy != Some(false) && world.instances.iter().any(|i| wrong(&i)) {
        world.broken(
            "ends",
            format!("{serves:?} serves, and a configuration says otherwise"),
        );
    }
    let there = match serves {
        Side::Sqlite => &world.sqlite.rows,
        Side::Postgres => &world.postgres.rows,
    };
    let missing = |(row, _): &(&u32, &Side)| !there.contains(row);
    let lost: Vec<(u32, Side)> = world
        .acknowledged
        .iter()
        .filter(missing)
        .map(|(row, side)| (*row, *side))
        .collect();
    let unnamed: BTreeSet<u32> = lost
        .into_iter()
        .filter(|(row, side)| !is_named(world, session, *row, *side))
        .map(|(row, _)| row)
        .collect();
    if !unnamed.is_empty() {
        let n = unnamed.len();
        let phase = session.phase;
        world.broken(
            "writes",
            format!("{phase:?}, and {n} rows are nowhere named: {unnamed:?}"),
        );
    }
}

fn is_named(world: &World, session: &Session, row: u32, side: Side) -> bool {
    let healthy = session.rollback.as_ref().and_then(|r| r.healthy);
    match side {
        Side::Sqlite => {
            let words = [
                "SQLite was written after the switch",
                "whether SQLite was written",
            ];
            let mut alarms = world.alarms.iter();
            alarms.any(|text| words.iter().any(|w| text.contains(w)))
        }
        Side::Postgres => world.salvaged.contains(&row) || healthy == Some(false),
    }
}
