//! G1 and G2: watching after the switch, and holding completion until the checklist has stayed green. The judging is
//! `trigger`'s; this only waits for its verdicts.

use super::context::Context;
use super::holders;
use super::newcomers;
use crate::fleet::provider::Provider;
use crate::format::lasting;
use crate::runbook::rehearsal::longest_look_ms;
use crate::session::facts::Unproven;
use crate::session::live::ItemView;
use crate::session::{Check, Outcome};

/// A step that an engine has just started began no longer ago.
const BEGINS_WITHIN_MS: i64 = 2_000;

/// From one look at who has the file open to the next.
const LOOK_AGAIN_MS: i64 = 1_000;

/// G1: elevated monitoring for a window. A trigger that fires ends it from outside. Time in which no engine ran counts for nothing: the
/// window of an engine begins with that engine.
pub async fn watch(ctx: &Context, window_ms: i64) -> Outcome {
    let real_ms = ctx.real_ms(window_ms);
    let from_ms = ctx.shared.clock.now_ms();
    let started_ms = ctx
        .session
        .step(&ctx.reporter.row)
        .and_then(|s| s.started_ms);
    if started_ms.is_some_and(|started_ms| from_ms - started_ms > BEGINS_WITHIN_MS) {
        ctx.reporter
            .line("the window begins anew: nobody watched while no engine ran");
    }
    loop {
        let gone_ms = ctx.shared.clock.now_ms() - from_ms;
        ctx.reporter.progress(
            "window",
            gone_ms.clamp(0, real_ms) as u64,
            real_ms as u64,
            "ms",
        );
        if gone_ms >= real_ms {
            return Outcome::done(format!(
                "watched for {} min, no trigger fired",
                window_ms / 60_000
            ));
        }
        if let Err(halted) = ctx.pause((real_ms / 100).clamp(50, 1_000)).await {
            return halted;
        }
    }
}

/// What a rehearsal waits for items that it cannot see, beyond the time in which they could have turned green, in real time.
const PATIENCE_MS: i64 = 30_000;

/// G2: every item green for the window, without a break. Waits as long as it takes; people decide whether to roll back instead. In a
/// rehearsal nobody decides, so it ends.
///
/// Nor does it end while somebody who is no instance has the SQLite file open, or while an instance that came since the opening is not seen on
/// PostgreSQL: after completion nothing refuses their writes any more.
pub async fn checklist(ctx: &Context, stays_green_ms: i64) -> Outcome {
    let mut said = None;
    let mut patience = match ctx.session.charter.rehearsal {
        true => Some(Patience::begin(ctx, stays_green_ms)),
        false => None,
    };
    if patience.is_some() && ctx.runbook.monitoring.is_empty() {
        let why = "no item of the checklist can be judged in a rehearsal";
        return Outcome::done(why).with_fact(Unproven(why.to_owned()));
    }
    loop {
        let items = ctx.shared.checklist.borrow().clone();
        let green = |i: &ItemView| i.green == Some(true) && i.green_for_ms >= stays_green_ms;
        let ready = items.iter().filter(|i| green(i)).count();
        ctx.reporter
            .progress("items", ready as u64, items.len() as u64, "items");
        let all_green = !items.is_empty() && ready == items.len();
        let others = if all_green {
            left_behind(ctx).await
        } else {
            None
        };
        if all_green && others.is_none() {
            let outcome = Outcome::done(format!(
                "{} items green for {}",
                items.len(),
                lasting(stays_green_ms)
            ));
            return items.iter().fold(outcome, |o, i| {
                o.with_check(Check::new(&i.id, true, i.reason.clone()))
            });
        }
        let is_over = |patience: &mut Patience| patience.is_over(&items, ctx.shared.clock.now_ms());
        if patience.as_mut().is_some_and(is_over) {
            return others.map_or_else(|| not_green(&items, stays_green_ms), Outcome::failed);
        }
        let pause_ms = if others.is_some() { LOOK_AGAIN_MS } else { 200 };
        if others.is_some() && others != said {
            others.iter().for_each(|line| ctx.reporter.line(line));
            said = others;
        }
        if let Err(halted) = ctx.pause(pause_ms).await {
            return halted;
        }
    }
}

/// Who would write, or serve, where nobody looks any more: a process that has the SQLite file open, or an instance that came since the opening
/// and is not seen on PostgreSQL. Nor does anything end where nobody knows which instances there are.
async fn left_behind(ctx: &Context) -> Option<String> {
    if let Some(others) = holders::others(ctx).await {
        return Some(still_open(others));
    }
    match newcomers::not_on(ctx, Provider::Postgres).await {
        Ok(others) => others.into_iter().next().map(|first| {
            format!(
                "every item is green, but an instance came since the session was opened: {first}. Switch it or stop it"
            )
        }),
        Err(why) => Some(format!("every item is green, but {why}")),
    }
}

/// Why nothing ends although every item is green.
fn still_open(others: String) -> String {
    format!(
        "every item is green, but {others}. Once the session is complete the fence is gone, and what is written there is read by nobody. Switch \
         it or stop it, or name its program under `source.also_open`"
    )
}

/// How long a rehearsal waits for the checklist, in real time.
struct Patience {
    /// In which every figure looks at the time after the freeze alone, and has then been green twice as long as it has to.
    needed_ms: i64,
    began_ms: i64,
    /// Since when some item has been red at every look.
    red_since_ms: Option<i64>,
}

impl Patience {
    fn begin(ctx: &Context, stays_green_ms: i64) -> Patience {
        let needed_ms = longest_look_ms(&ctx.runbook) + 2 * stays_green_ms;
        Patience {
            needed_ms: ctx.real_ms(needed_ms),
            began_ms: ctx.shared.clock.now_ms(),
            red_since_ms: None,
        }
    }

    /// What stays red for all that time does not get well; what is blind may be a busy machine.
    fn is_over(&mut self, items: &[ItemView], now_ms: i64) -> bool {
        let is_red = items.iter().any(|item| item.green == Some(false));
        self.red_since_ms = match is_red {
            true => self.red_since_ms.or(Some(now_ms)),
            false => None,
        };
        let is_red = |since_ms: i64| now_ms - since_ms > self.needed_ms;
        self.red_since_ms.is_some_and(is_red)
            || now_ms - self.began_ms > self.needed_ms + PATIENCE_MS
    }
}

/// Which items did not stay green, each with its reason.
fn not_green(items: &[ItemView], stays_green_ms: i64) -> Outcome {
    let (green, others): (Vec<&ItemView>, Vec<&ItemView>) =
        items.iter().partition(|item| item.green == Some(true));
    let words = |item: &&ItemView| {
        let how = match item.green {
            Some(false) => "is red",
            Some(true) | None => "is blind",
        };
        format!("{} {how}: {}", item.id, item.reason)
    };
    let reasons: Vec<String> = others.iter().map(words).collect();
    let reasons = match reasons.is_empty() {
        true => "each turned green, and none stayed so for long enough".to_owned(),
        false => reasons.join("; "),
    };
    let outcome = Outcome::failed(format!(
        "{} of {} items of the checklist did not stay green for {}: {reasons}",
        items.len() - green.len(),
        items.len(),
        lasting(stays_green_ms)
    ));
    others.iter().fold(outcome, |outcome, item| {
        outcome.with_check(Check::new(&item.id, false, item.reason.clone()))
    })
}
