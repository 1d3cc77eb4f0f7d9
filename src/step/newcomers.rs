//! Asks once more which instances there are, before a step that must not go on beside one that nobody knows: F1, V2, F4, G2 and R4. Where
//! the runbook lists its instances there is nothing to ask.
//!
//! Not in here: what people are told while nothing of this runs (`session::membership`), and processes of this host that are no instances
//! (`holders`).

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::Context;
use super::serving;
use crate::fleet::discovery;
use crate::fleet::provider::{Provider, Serving};
use crate::runbook::Instance;
use crate::runbook::discovery::{Member, Members};

/// How long a newcomer may take to say by which database it serves.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// Whether the fleet is the one of the opening, as F1 needs it: everybody who is there is switched, and everybody who is switched is there.
///
/// # Errors
/// It is not, or nobody knows; in words.
pub async fn none(ctx: &Context) -> Result<(), String> {
    let Some(members) = ask(ctx).await? else {
        return Ok(());
    };
    let there: BTreeSet<&str> = members.all.iter().map(|m| m.name.as_str()).collect();
    let known = known(ctx);
    let new: Vec<&str> = there.difference(&known).copied().collect();
    let gone: Vec<&str> = known.difference(&there).copied().collect();
    let there_now = match (new.as_slice(), gone.as_slice(), members.wanted) {
        ([], [], None) => return all_have_places(ctx, &there),
        ([], [], Some(wanted)) if wanted == there.len() => return all_have_places(ctx, &there),
        ([], [], Some(wanted)) => {
            format!(
                "{wanted} instances should be there, and {} are",
                there.len()
            )
        }
        (new, [], _) => format!("{} came since the session was opened", new.join(", ")),
        ([], gone, _) => format!("{} is there no more", gone.join(", ")),
        (new, gone, _) => format!(
            "{} came since the session was opened, and {} is there no more",
            new.join(", "),
            gone.join(", ")
        ),
    };
    Err(format!(
        "the fleet is not the one that this session was opened with: {there_now}. Let it be as it was, and try again; or roll back and open \
         a session that knows it"
    ))
}

/// That everybody who is there fills a place in the fleet: F2 restarts whoever does, and nobody else.
fn all_have_places(ctx: &Context, there: &BTreeSet<&str>) -> Result<(), String> {
    let fleet = ctx.runbook.fleet.instances.iter();
    let placed: BTreeSet<&str> = fleet.map(Instance::name).collect();
    let without: Vec<&str> = there.difference(&placed).copied().collect();
    match without.as_slice() {
        [] => Ok(()),
        names => Err(format!(
            "{} lost the place that it had in the fleet, for an answer since the opening left it out, so that F2 would not restart it. Try \
             again in a few seconds; where that does not help, roll back and open a session that knows it",
            names.join(", ")
        )),
    }
}

/// Those that came since the opening and are not seen to serve from this database, in words.
///
/// # Errors
/// Nobody knows which instances there are; in words.
pub async fn not_on(ctx: &Context, wanted: Provider) -> Result<Vec<String>, String> {
    let serving = look(ctx).await?;
    let others = serving.iter().filter(|s| s.provider != Some(wanted));
    Ok(others.map(Serving::words).collect())
}

/// By which database those serve that came since the opening.
///
/// # Errors
/// Nobody knows which instances there are; in words.
pub async fn look(ctx: &Context) -> Result<Vec<Serving>, String> {
    let Some(members) = ask(ctx).await? else {
        return Ok(Vec::new());
    };
    // One with the name of a slot that another has come into, or that need not be there any more, was switched by nobody.
    let new = members.all.into_iter();
    let new: Vec<Instance> = new
        .filter(|member| !ctx.shared.monitor.is_in_its_place(member))
        .map(as_instance)
        .collect();
    if new.is_empty() {
        return Ok(Vec::new());
    }
    Ok(serving::look(ctx, &new, LOOK_LIMIT).await)
}

/// The answer of now; `None` where there is nothing to ask.
async fn ask(ctx: &Context) -> Result<Option<Members>, String> {
    let Some(discovery) = &ctx.runbook.fleet.discovery else {
        return Ok(None);
    };
    let asked = discovery::members(discovery, &ctx.environment, &ctx.base).await;
    match asked {
        Ok(members) => Ok(Some(members)),
        Err(why) => Err(format!("which instances there are is not known: {why}")),
    }
}

/// Ids of the instances of the opening.
fn known(ctx: &Context) -> BTreeSet<&str> {
    let lines = ctx.session.charter.instances.iter();
    lines.map(|line| line.id.as_str()).collect()
}

fn as_instance(member: Member) -> Instance {
    Instance {
        id: member.name,
        url: member.url,
        host: member.host,
        canary: false,
        called: None,
    }
}
