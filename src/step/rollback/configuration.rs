//! R2: the undoes of the operators' own steps, the former bytes of every configuration file, or the switch's own undo; and then what every file says, whether or not this
//! session has changed it. A row that changed nothing says so, and one that cannot say by what the fleet starts is red.

use std::time::Duration;

use super::{own_undo, undos};
use crate::action::config_file::{self, Restored, State};
use crate::fleet::provider::Provider;
use crate::runbook::action::Placeholders;
use crate::runbook::{Action, StepKind, SwitchHow};
use crate::session::{Check, Outcome, Undo};
use crate::step::announce::run_action;
use crate::step::configuration::{self, Place, Says};
use crate::step::context::Context;
use crate::step::facts::Served;
use crate::step::serving;
use crate::step::switch::{former, former_path};

/// How long an instance is waited for: the way back waits for nobody.
const LOOK_LIMIT: Duration = Duration::from_secs(1);
/// How long the file system of a configuration is waited for.
const FILE_LIMIT: Duration = Duration::from_secs(10);

/// R2.
pub(super) async fn restore(ctx: &Context) -> Outcome {
    let mut outcome = Outcome::done("");
    let own = ctx.session.own_undos();
    let mut said = own_undo::run(ctx, &own.before_switch_back, &mut outcome).await;
    let mut restored = 0;
    let switched = ctx.session.config_undos();
    let switch_back = switch_back(ctx);
    let has_switched = !switched.is_empty() || switch_back.is_some();
    for undo in switched {
        match put_back_in_time(ctx, undo).await {
            Ok(None) => restored += 1,
            Ok(Some(theirs)) => {
                restored += 1;
                ctx.reporter.line(&theirs);
                said.push(theirs);
            }
            Err(why) => {
                outcome = outcome.with_check(Check::new("configuration_restored", false, why))
            }
        }
    }
    if let Some(action) = switch_back {
        match run_action(ctx, action, &Placeholders::new(), "switch-back").await {
            Ok(_) => restored += 1,
            Err(why) => {
                let why = format!("the switch back failed: {why}. Run it by hand");
                outcome = outcome.with_check(Check::new("configuration_restored", false, why));
            }
        }
    }
    said.extend(own_undo::run(ctx, &own.after_switch_back, &mut outcome).await);
    let all = ctx.clone();
    let looked = tokio::task::spawn_blocking(move || configuration::not_at_from(&all));
    let not_at_from = match tokio::time::timeout(FILE_LIMIT, looked).await {
        Ok(found) => found.expect("BUG: looking at configurations does not panic"),
        Err(_) => {
            let why = "what the configurations say is not known: the file system of one has not answered. Look by hand";
            outcome = outcome.with_check(Check::new("configuration_restored", false, why));
            Vec::new()
        }
    };
    for (place, why) in not_at_from {
        let name = format!("configuration_{}", place.whose());
        let why = by_hand(ctx, &place, &why);
        outcome = outcome.with_check(Check::new(&name, false, why));
    }
    let done = match restored {
        0 if has_switched => "no configuration was put back".to_owned(),
        0 if said.is_empty() => {
            "this session had switched nothing, so nothing was changed".to_owned()
        }
        0 => "this session had switched nothing".to_owned(),
        n => format!("{n} configurations are as they were"),
    };
    let red = outcome
        .checks
        .iter()
        .find(|c| !c.ok)
        .map(|c| c.detail.clone());
    let sentences = red.into_iter().chain([done]).chain(said);
    outcome.summary = sentences.collect::<Vec<_>>().join("; ");
    with_serving(ctx, outcome).await
}

/// Until R3 has restarted them, instances serve as they did. Which are on PostgreSQL is known from here on, for R3.
async fn with_serving(ctx: &Context, mut outcome: Outcome) -> Outcome {
    let instances = &ctx.runbook.fleet.instances;
    let serving = serving::look(ctx, instances, LOOK_LIMIT).await;
    let (on_postgres, unknown) = serving::sorted(&serving, Provider::Postgres);
    let total = instances.len();
    if !on_postgres.is_empty() {
        let n = on_postgres.len();
        outcome.summary.push_str(&format!(
            "; {n} of {total} instances serve from PostgreSQL until they are restarted"
        ));
    }
    if !unknown.is_empty() {
        let n = unknown.len();
        outcome.summary.push_str(&format!(
            "; by which database {n} of {total} instances serve is not known"
        ));
    }
    for words in on_postgres.iter().chain(&unknown) {
        ctx.reporter.line(words);
    }
    outcome.with_fact(Served(serving))
}

/// The same in a thread of its own, for so long and no longer: a disk that does not answer keeps no other configuration waiting.
async fn put_back_in_time(ctx: &Context, undo: &Undo) -> Result<Option<String>, String> {
    let (of, taken_back) = (ctx.clone(), undo.clone());
    let putting = tokio::task::spawn_blocking(move || put_back(&of, &taken_back));
    match tokio::time::timeout(FILE_LIMIT, putting).await {
        Ok(done) => done.expect("BUG: putting a file back does not panic"),
        Err(_) => Err(format!(
            "{}: its file system has not answered for {} s. Put it back by hand, and look at it again: it may yet be written",
            match undo {
                Undo::Config { instance, path, .. } => format!("{instance}: {}", path.display()),
                Undo::Maintenance
                | Undo::Fence
                | Undo::SwitchAction
                | Undo::Restart { .. }
                | Undo::Command
                | Undo::TargetGrants { .. } => "a configuration".to_owned(),
            },
            FILE_LIMIT.as_secs()
        )),
    }
}

/// Puts the former bytes of one file back. What somebody else made of it is kept beside it, and named; a file that somebody has set to
/// SQLite already is left as it is.
fn put_back(ctx: &Context, undo: &Undo) -> Result<Option<String>, String> {
    let Undo::Config {
        instance,
        path,
        former_sha256,
        written_sha256,
    } = undo
    else {
        return Ok(None);
    };
    let by_hand = |why: String| format!("{instance}: {why}. Put {} back by hand", path.display());
    let place = Place {
        path: path.clone(),
        instances: vec![instance.clone()],
    };
    let is_theirs = config_file::state(path, former_sha256, written_sha256);
    let is_theirs = matches!(is_theirs, Ok(State::Theirs));
    let key = configuration::key(ctx);
    if is_theirs && key.is_some_and(|key| configuration::says(&place, key) == Says::From) {
        return Ok(Some(format!(
            "{} was edited by somebody else and is set to SQLite: it is left as it is",
            path.display()
        )));
    }
    let former = former(ctx, former_sha256).map_err(|why| {
        by_hand(format!(
            "the former bytes that were kept of it {why}; nothing was written"
        ))
    })?;
    match config_file::restore(path, &former, written_sha256) {
        Ok(Restored::TheirsKept(aside)) => Ok(Some(format!(
            "{} was edited by somebody else; theirs is kept as {}",
            path.display(),
            aside.display()
        ))),
        Ok(Restored::Done | Restored::AlreadyThere) => Ok(None),
        Err(error) => Err(by_hand(error.to_string())),
    }
}

/// What a person does about a file that this session does not put right.
pub(super) fn by_hand(ctx: &Context, place: &Place, why: &str) -> String {
    let undos = ctx.session.config_undos().into_iter();
    let mut of_it = undos.filter_map(|undo| match undo {
        Undo::Config {
            path,
            former_sha256,
            ..
        } if *path == place.path => Some(former_sha256),
        _ => None,
    });
    let (whose, path) = (place.whose(), place.path.display());
    match (of_it.next(), configuration::key(ctx)) {
        (Some(former), _) => format!(
            "{why}. Stop what writes it; then `cutover retry --row R2`, or copy {} to {path} and restart {whose}",
            former_path(ctx, former).display()
        ),
        (None, Some(key)) => format!(
            "{why}. This session did not write that and leaves it alone: set {} to {} there by hand and restart {whose}, if the \
             application is to be on SQLite",
            key.name, key.from
        ),
        (None, None) => why.to_owned(),
    }
}

fn switch_back(ctx: &Context) -> Option<&Action> {
    undos(ctx, |u| *u == Undo::SwitchAction).next()?;
    ctx.runbook.steps.iter().find_map(|s| match &s.kind {
        StepKind::Switch {
            how: SwitchHow::Action { to_source, .. },
        } => Some(to_source),
        _ => None,
    })
}
