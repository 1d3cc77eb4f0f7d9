//! P1, P3 and the operator's own commands: what is said, what is measured, what is run. Not in here: people's confirmations
//! (P2), which are commands to the session.

use std::time::Duration;

use super::context::Context;
use super::facts::{Ended, Spreads};
use crate::action;
use crate::journal::files;
use crate::monitor;
use crate::runbook::Action;
use crate::runbook::action::{Effect, Placeholders};
use crate::runbook::rehearsal::judged_signals;
use crate::secret::masked;
use crate::session::facts::{Announced, Baseline};
use crate::session::{Check, Outcome, Undo};

/// P1: says it in the journal and, where there is a webhook, in the chat (JSON with `text`).
pub async fn run(ctx: &Context, text: &str, webhook: Option<&str>) -> Outcome {
    let freeze_min = ctx.runbook.limits.freeze_ms / 60_000;
    let text = text
        .replace("{name}", &ctx.runbook.name)
        .replace("{freeze}", &format!("{freeze_min} min"));
    // It goes to a chat, too.
    let text = masked(&text).into_owned();
    ctx.reporter.line(&text);
    let said = Outcome::done(format!("announced: {text}")).with_fact(Announced(text.clone()));
    let Some(url) = webhook else { return said };
    match post(ctx, url, &text).await {
        Ok(()) => said,
        Err(why) => Outcome::failed(format!(
            "the announcement did not reach the chat: {why}. Nothing has changed; try again, or tell people yourself and take \
             `webhook` out of the runbook"
        ))
        .passing(),
    }
}

async fn post(ctx: &Context, url: &str, text: &str) -> Result<(), String> {
    let body = serde_json::json!({ "text": text }).to_string();
    let effect = Effect::Http {
        method: "POST".into(),
        url: url.to_owned(),
        headers: vec![("content-type".into(), "application/json".into())],
        body: Some(body),
        expect_status: vec![],
    };
    let action = Action::new(effect, Duration::from_secs(10));
    run_action(ctx, &action, &Placeholders::new(), "announce")
        .await
        .map(|_| ())
}

/// Runs an action of the runbook, its output going to the screen and into the session's artefacts.
pub async fn run_action(
    ctx: &Context,
    action: &Action,
    values: &Placeholders,
    name: &str,
) -> Result<action::Outcome, String> {
    let done = try_action(ctx, action, values, name).await?;
    if done.ok { Ok(done) } else { Err(why(&done)) }
}

/// As [`run_action`], for callers who want to see how a failed one failed.
pub async fn try_action(
    ctx: &Context,
    action: &Action,
    values: &Placeholders,
    name: &str,
) -> Result<action::Outcome, String> {
    let folder = files::folder(&ctx.folder, &files::OUTPUT).map_err(|e| e.to_string())?;
    let output_path = folder.join(format!(
        "{}-{}-{name}.log",
        ctx.reporter.row, ctx.reporter.attempt
    ));
    let reporter = ctx.reporter.clone();
    let run = action::Run {
        action,
        placeholders: values,
        environment: &ctx.environment,
        folder: &ctx.base,
        output_path: &output_path,
    };
    let mut on_line = |line: action::Line| reporter.line(&line.text);
    let done = action::run(run, &mut on_line, &ctx.cancel)
        .await
        .map_err(|e| e.to_string())?;
    if output_path.metadata().is_ok_and(|m| m.len() > 0) {
        ctx.reporter.artefact(name, output_path);
    }
    Ok(done)
}

/// Why an action failed, in a line for people.
pub fn why(done: &action::Outcome) -> String {
    let how = if done.cancelled {
        "it was halted".to_owned()
    } else if done.timed_out {
        format!("it was ended after its time limit of {:.0} s", done.seconds)
    } else if let Some(code) = done.exit_code {
        format!("exit code {code}")
    } else if let Some(signal) = done.signal {
        format!("signal {signal}")
    } else if let Some(status) = done.http_status {
        format!("HTTP {status}")
    } else {
        "it failed".to_owned()
    };
    match done.tail.last() {
        Some(last) => format!("{how}; last line: {last}"),
        None => how,
    }
}

/// A rehearsal in which a signal has not come watches for so many windows in all.
const REHEARSED_WINDOWS: u32 = 2;
/// Where a signal has not come, it is watched for so long at least, in real time: a window of seconds may be over before enough was asked.
const LEAST_MS: i64 = 8_000;
/// How many samples of the slowest probe a window has at least, if it is taken once more.
const SAMPLES: i64 = 3;

/// One window of the baseline; `None` where it was halted.
async fn watched(ctx: &Context, window_ms: i64) -> Option<monitor::Baseline> {
    let began_ms = ctx.shared.clock.now_ms();
    let real_ms = ctx.real_ms(window_ms);
    let window = ctx.shared.monitor.baseline(window_ms, &ctx.cancel);
    tokio::pin!(window);
    loop {
        let gone_ms = (ctx.shared.clock.now_ms() - began_ms).min(real_ms);
        ctx.reporter
            .progress("window", gone_ms as u64, real_ms as u64, "ms");
        let slice = Duration::from_millis((real_ms / 50).max(100) as u64);
        if let Ok(seen) = tokio::time::timeout(slice, &mut window).await {
            return seen;
        }
    }
}

/// Signals of which every night needs a baseline and that were not seen, with the reason. Who makes one may be production's: a rehearsal does
/// not ask for it then, and its evidence says so.
fn unseen(ctx: &Context, baseline: &monitor::Baseline) -> Vec<String> {
    let made = judged_signals(&ctx.runbook);
    let is_wanted = |signal: &str| !ctx.session.charter.rehearsal || made.contains(signal);
    ["http_5xx_ratio", "latency_p95_ms", "unready_ratio"]
        .into_iter()
        .filter(|s| is_wanted(s) && !baseline.values.contains_key(*s))
        .map(|s| {
            let why = baseline.missing.get(s).map_or("no sample", String::as_str);
            format!("{s}: {why}")
        })
        .collect()
}

/// P3: error rate, latency and start-up health, seen over a window.
pub async fn baseline(ctx: &Context, window_ms: i64) -> Outcome {
    let began_ms = ctx.shared.clock.now_ms();
    let slowest_ms = ctx
        .runbook
        .probes
        .iter()
        .map(|probe| probe.interval_ms)
        .max();
    let longer_ms = window_ms.max(slowest_ms.unwrap_or_default().saturating_mul(SAMPLES));
    let mut windows = 0;
    let baseline = loop {
        let this_ms = if windows == 0 { window_ms } else { longer_ms };
        let Some(baseline) = watched(ctx, this_ms).await else {
            return Outcome::failed("halted before the window was over");
        };
        windows += 1;
        let gone_ms = ctx.shared.clock.now_ms() - began_ms;
        // Nobody but us uses what is rehearsed, and a busy machine asks it less often.
        let is_asked_seldom = ctx.session.charter.rehearsal && windows < REHEARSED_WINDOWS;
        let may_go_on = is_asked_seldom || gone_ms < LEAST_MS;
        if !may_go_on || unseen(ctx, &baseline).is_empty() {
            break baseline;
        }
        ctx.reporter
            .line("not every signal came within the window: it is taken once more");
    };
    let value = |signal: &str| baseline.values.get(signal).copied();
    let shown = |text: Option<String>| text.unwrap_or_else(|| "unknown".to_owned());
    let summary = format!(
        "5xx {}, p95 {}, {} signals over {}",
        shown(value("http_5xx_ratio").map(|r| format!("{:.3} %", r * 100.0))),
        shown(value("latency_p95_ms").map(|ms| format!("{ms:.0} ms"))),
        baseline.values.len(),
        match window_ms / 60_000 {
            0 => format!("{} s", window_ms / 1_000),
            minutes => format!("{minutes} min"),
        },
    );
    let missing = unseen(ctx, &baseline);
    let seen = missing.is_empty();
    let detail = if missing.is_empty() {
        "error rate, latency and health were seen".into()
    } else {
        missing.join("; ")
    };
    let unready = value("unready_ratio").unwrap_or_default();
    let never = baseline.unseen(&ctx.session.charter.monitoring);
    let no_item = never.is_empty();
    let of_checklist = match no_item {
        true => "every signal that the checklist needs of the instances was seen".to_owned(),
        false => never.join("; "),
    };
    Outcome::done(summary)
        .with_check(Check::new("checklist_signals", no_item, of_checklist))
        .with_check(Check::new("baseline_seen", seen, detail))
        .with_check(Check::new(
            "fleet_healthy",
            unready == 0.0,
            format!("{:.0} % not ready on average", unready * 100.0),
        ))
        .with_fact(Baseline(baseline.values))
        .with_fact(Spreads(&baseline.spread))
}

/// A command of the operator's own; its undo is recorded first.
pub async fn command(ctx: &Context, action: &Action, has_undo: bool) -> Outcome {
    if let Some(why) = ctx.not_rehearsed(action) {
        return Outcome::done(why);
    }
    if has_undo && let Err(gone) = ctx.reporter.undo(Undo::Command).await {
        return Outcome::failed(gone.to_string());
    }
    match run_action(ctx, action, &Placeholders::new(), "command").await {
        Ok(done) => {
            Outcome::done(format!("ended well after {:.1} s", done.seconds)).with_fact(Ended(&done))
        }
        Err(why) => Outcome::failed(why),
    }
}
