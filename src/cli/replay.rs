//! `cutover replay`: the cockpit over what was recorded. With `--triggers RUNBOOK`: the rules of a runbook over it, to tune thresholds on last
//! week's incident. Reads only. Not in here: the screen (`cockpit::replay`) and the judging (`trigger::replay`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Deserialize;

use super::check::read_runbook;
use super::{Exit, Looks, Named, join, run};
use crate::cockpit::{self, At};
use crate::format::span;
use crate::history;
use crate::journal::{self, Follower};
use crate::runbook::{self, Runbook};
use crate::session::charter::InstanceLine;
use crate::session::facts::Baseline;
use crate::session::{Charter, Event, Opening, Outcome};
use crate::text::printable;
use crate::trigger::cadence::Rhythm;
use crate::trigger::replay::{ItemStory, Moment, Replay, Story, replay};
use crate::trigger::{Cadence, Reading, Sample};

/// What was recorded, on the screen as it was then; or the rules of a runbook over it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cutover replay tool-catalogue-1
  cutover replay --at 1:02:03
  cutover replay tool-catalogue-1 --triggers runbook.yaml")]
pub struct ReplayArgs {
    #[command(flatten)]
    named: Named,
    /// No screen: the runbook whose triggers, checklist and limits judge what was recorded
    #[arg(long, value_name = "RUNBOOK")]
    triggers: Option<PathBuf>,
    /// Begin at this time of the session, by the clock on its screens: 12:04, 1:02:03
    #[arg(long, value_name = "TIME", value_parser = at, conflicts_with = "triggers")]
    at: Option<At>,
    #[command(flatten)]
    looks: Looks,
    /// Samples from this file instead of a session: JSON lines such as {"signal":"http_5xx_ratio","at_ms":0,"value":0.013,"n":4210}, or with
    /// "no_data":"why" in the place of the value
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "session",
        requires = "triggers"
    )]
    samples: Option<PathBuf>,
    /// With --samples: what was normal, such as http_5xx_ratio=0.001
    #[arg(long, value_name = "SIGNAL=VALUE", requires = "samples")]
    baseline: Vec<String>,
    /// One JSON object on stdout
    #[arg(long, requires = "triggers")]
    json: bool,
}

/// A line of a file of samples.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    signal: String,
    at_ms: i64,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    n: Option<u64>,
    #[serde(default)]
    no_data: Option<String>,
}

/// Records over a longer time are not judged.
const LONGEST_DAYS: i64 = 31;

/// What is played.
struct Record {
    charter: Charter,
    cadence: Cadence,
    moments: Vec<(i64, Moment)>,
}

/// Runs `cutover replay`.
///
/// # Errors
/// The runbook is invalid, there is no such session, or a line of the file is no sample.
pub async fn run(args: ReplayArgs) -> anyhow::Result<Exit> {
    let Some(triggers) = &args.triggers else {
        return screen(&args.named, args.at, args.looks).await;
    };
    let reading = read_runbook(triggers).map_err(anyhow::Error::msg)?;
    let Some(runbook) = reading.runbook else {
        errln!("{}", runbook::render(&reading.problems));
        return Ok(Exit::Usage);
    };
    let record = match &args.samples {
        Some(file) => of_file(&runbook, file, &args.baseline)?,
        None => of_session(&runbook, &args.named)?,
    };
    reaches_as_far_as_a_session(&record.moments)?;
    let told = replay(&record.charter, &record.cadence, &record.moments)?;
    match args.json {
        true => outln!(
            "{}",
            serde_json::to_string(&told).expect("BUG: a replay is plain data")
        ),
        false => print(&told),
    }
    Ok(Exit::Done)
}

/// A time in the records that no session reaches would be judged for hours, moment by moment.
fn reaches_as_far_as_a_session(moments: &[(i64, Moment)]) -> anyhow::Result<()> {
    let times = || moments.iter().map(|(at_ms, _)| *at_ms);
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        return Ok(());
    };
    let days = last.saturating_sub(first) / 86_400_000;
    if days > LONGEST_DAYS {
        bail!(
            "what was recorded reaches from {first} ms to {last} ms, over {days} days; more than {LONGEST_DAYS} are not judged. Is a time in it \
             wrong? Nothing was judged"
        );
    }
    Ok(())
}

/// The cockpit over what was recorded, until it is left.
async fn screen(named: &Named, at: Option<At>, looks: Looks) -> anyhow::Result<Exit> {
    let folder = run::find(named)?;
    if !join::can_show_a_screen() {
        bail!(
            "a replay needs a terminal. Without one: `cutover snapshot --at 12:04` draws one moment, `cutover report` writes all of it, \
             `cutover replay --triggers RUNBOOK` judges it again"
        );
    }
    let follower = Follower::open(&folder)?;
    let options = join::options(None, looks);
    tokio::task::spawn_blocking(move || cockpit::replay(options, follower, at)).await??;
    Ok(Exit::Done)
}

/// A time of a session by the clock on its screens.
pub fn at(text: &str) -> Result<At, String> {
    let part = |part: &str| part.parse::<i64>().ok().filter(|n| (0..6_000).contains(n));
    let parts: Option<Vec<i64>> = text.split(':').map(part).collect();
    let seconds = match parts.as_deref() {
        Some([m, s]) if *s < 60 => Some(m * 60 + s),
        Some([h, m, s]) if *m < 60 && *s < 60 => Some(h * 3_600 + m * 60 + s),
        _ => None,
    };
    let seconds =
        seconds.ok_or("minutes and seconds, such as 12:04, or hours before them, 1:02:03")?;
    Ok(At {
        clock_ms: seconds * 1_000,
    })
}

/// A session's events and samples, under the runbook's rules.
fn of_session(runbook: &Runbook, named: &Named) -> anyhow::Result<Record> {
    let folder = run::find(named)?;
    let (mut history, session) = history::of(&folder)?;
    let then = session.charter;
    let events = history.events().iter();
    let mut moments: Vec<_> = events
        .map(|entry| (entry.at_ms, Moment::Happened(entry.event.clone())))
        .collect();
    loop {
        let samples = history.samples()?;
        if samples.is_empty() {
            break;
        }
        let samples = samples.into_iter().map(sample);
        moments.extend(samples.map(|s| (s.at_ms, Moment::Sampled(s))));
    }
    moments.sort_by_key(|(at_ms, _)| *at_ms);
    Ok(Record {
        cadence: Cadence::of(runbook, then.speed),
        charter: Charter {
            triggers: runbook.triggers.clone(),
            monitoring: runbook.monitoring.clone(),
            limits: runbook.limits.clone(),
            ..then
        },
        moments,
    })
}

/// A sample as the judge knows it.
fn sample(kept: journal::Sample) -> Sample {
    let n = kept.n;
    let reading = match kept.reading {
        journal::Reading::Value(value) => Reading::over(value, n),
        journal::Reading::Partial(value, why) => Reading::over(value, n).partial(why),
        journal::Reading::NoData(why) => Reading::no_data(why),
    };
    Sample::new(kept.signal, kept.at_ms, reading)
}

/// A file's samples in a session in which every step has begun with the first of them. A signal's rhythm is that of the file.
fn of_file(runbook: &Runbook, file: &Path, baseline: &[String]) -> anyhow::Result<Record> {
    let samples = read_samples(file)?;
    let from_ms = samples.first().map_or(0, |sample| sample.at_ms);
    let mut charter = Charter::new(
        runbook,
        Opening {
            session: "replay".to_owned(),
            target: String::new(),
            production: crate::session::Production::default(),
            again: None,
            sandbox: false,
            rehearsal: false,
            speed: 1.0,
            wait_before: Vec::new(),
        },
    );
    // A replay asks nobody, and what tells of an instance names it.
    if runbook.fleet.is_unasked() {
        charter.instances = told_of(&samples);
    }
    let mut moments = begun(&charter, from_ms);
    moments.push((from_ms, captured(&charter, baseline)?));
    let cadence = rhythms(runbook, &samples);
    moments.extend(samples.into_iter().map(|s| (s.at_ms, Moment::Sampled(s))));
    Ok(Record {
        charter,
        cadence,
        moments,
    })
}

fn read_samples(file: &Path) -> anyhow::Result<Vec<Sample>> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let mut samples = Vec::new();
    for (n, text) in lines {
        let at = || format!("{name}:{}", n + 1);
        let line: Line =
            serde_json::from_str(text).with_context(|| format!("{} is no sample", at()))?;
        let reading = match (line.value, line.no_data) {
            (Some(value), None) => Reading::over(value, line.n),
            (Some(value), Some(why)) => Reading::over(value, line.n).partial(printable(&why, 400)),
            (None, Some(why)) => Reading::no_data(printable(&why, 400)),
            (None, None) => bail!("{}: expected `value`, `no_data` or both", at()),
        };
        samples.push(Sample::new(line.signal, line.at_ms, reading));
    }
    samples.sort_by_key(|sample| sample.at_ms);
    Ok(samples)
}

/// The instances of which samples tell whether they are ready.
fn told_of(samples: &[Sample]) -> Vec<InstanceLine> {
    let ids = samples
        .iter()
        .filter_map(|sample| sample.signal.strip_prefix("ready."));
    let ids: BTreeSet<&str> = ids.collect();
    let line = |id: &str| InstanceLine {
        id: id.to_owned(),
        canary: false,
    };
    ids.into_iter().map(line).collect()
}

fn begun(charter: &Charter, at_ms: i64) -> Vec<(i64, Moment)> {
    let steps = charter.steps.iter();
    let started = steps.map(|step| Event::StepStarted {
        step: step.id.clone(),
        attempt: 1,
        by: None,
    });
    started.map(|e| (at_ms, Moment::Happened(e))).collect()
}

/// The outcome of the first step, which carries the baseline.
fn captured(charter: &Charter, baseline: &[String]) -> anyhow::Result<Moment> {
    let mut values = BTreeMap::new();
    for given in baseline {
        let pair = given.split_once('=');
        let pair = pair.and_then(|(signal, value)| Some((signal, value.parse::<f64>().ok()?)));
        let (signal, value) = pair.with_context(|| {
            format!("--baseline {given}: expected SIGNAL=VALUE, such as http_5xx_ratio=0.001")
        })?;
        values.insert(signal.to_owned(), value);
    }
    let first = charter.steps.first().context("the runbook has no steps")?;
    Ok(Moment::Happened(Event::StepFinished {
        step: first.id.clone(),
        attempt: 1,
        outcome: Outcome::done("given").with_fact(Baseline(values)),
    }))
}

/// As far apart as a signal's samples usually are.
fn rhythms(runbook: &Runbook, samples: &[Sample]) -> Cadence {
    let mut times: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for sample in samples {
        times.entry(&sample.signal).or_default().push(sample.at_ms);
    }
    let mut cadence = Cadence::of(runbook, 1.0);
    for (signal, times) in times {
        let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        if let Some(usual_ms) = gaps.get(gaps.len() / 2) {
            let rhythm = Rhythm {
                interval_ms: (*usual_ms).max(1),
                ..cadence.rhythm(signal)
            };
            cadence = cadence.with(signal, rhythm);
        }
    }
    cadence
}

fn print(told: &Replay) {
    outln!(
        "samples from {} to {} of the session",
        span(told.from_ms),
        span(told.to_ms)
    );
    for story in &told.triggers {
        outln!("{:<14} {}", story.trigger, sentence(story));
    }
    for story in &told.checklist {
        outln!("{:<14} {}", story.item, item_sentence(story));
    }
}

/// What a trigger would have done, in a line.
fn sentence(story: &Story) -> String {
    let blind = match story.blind_ms {
        0 => String::new(),
        ms => format!("; blind for {}", span(ms)),
    };
    match (story.fired_ms, story.armed_ms) {
        (Some(at_ms), _) => format!("FIRED at {}: {}{blind}", span(at_ms), story.reason),
        (None, None) => "never armed".to_owned(),
        (None, Some(_)) if story.burned == 0 => format!("did not burn{blind}"),
        (None, Some(_)) => format!(
            "did not fire: burned {} times, for {} of {} at most{blind}",
            story.burned,
            span(story.longest_streak_ms),
            span(story.full_ms)
        ),
    }
}

fn item_sentence(story: &ItemStory) -> String {
    let blind = match story.blind_ms {
        0 => String::new(),
        ms => format!("; blind for {}", span(ms)),
    };
    match &story.red {
        Some((at_ms, reason)) => format!(
            "red for {}, first at {}: {reason}{blind}",
            span(story.red_ms),
            span(*at_ms)
        ),
        None => format!("never red{blind}"),
    }
}
