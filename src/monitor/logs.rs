//! The instances' logs: how many lines of each category in a sliding window, which instances have said that they booted, and at which
//! endpoints exceptions happened.
//!
//! Files are followed from where they ended when the monitor started, across rotation and truncation ([`follow`]); a command is read
//! for as long as it runs ([`stream`]). The first rule of which everything holds decides a line's category ([`rules`]).

pub mod follow;
pub mod rules;
mod stream;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::task::JoinHandle;

use super::Context;
use super::otlp::records::Inbox;
use super::schedule::Take;
use super::tally::{Tally, most};
use crate::action::Placeholders;
use crate::runbook::{Action, Fleet, Instance, LogRule};
use crate::trigger::Reading;
use follow::{Follower, Place};
use rules::Rules;
use stream::Source;

/// Window of the counts, in runbook time.
const WINDOW_MS: i64 = 5 * 60_000;

/// Bytes of one log that one look reads at most; the rest waits for the next, and until then the counts are partial.
const LOOK_LIMIT_BYTES: usize = 4 * 1024 * 1024;

/// Under this name people see the details.
const TOPIC: &str = "logs";

const NO_LOGS: &str = "the runbook names no log";

/// The category that says an instance is up.
const BOOTED: &str = "host_booted";

/// The category of which others are kinds.
const DATABASE: &str = "database_exception";

/// Where an instance's log is; `None` where the runbook does not say, or knows no such instance.
pub(super) fn path_of(fleet: &Fleet, instance: &str) -> Option<PathBuf> {
    let instance = fleet.instances.iter().find(|i| i.id == instance)?;
    Some(instance.file(fleet.log.as_ref()?))
}

pub(super) struct Logs {
    context: Context,
    /// How long one look at a log may take.
    limit: Duration,
    rules: Arc<Result<Rules, String>>,
    logs: Vec<Log>,
    categories: Vec<String>,
    window: VecDeque<(i64, Counts)>,
}

/// One instance's log, or that of the whole fleet. Each is read by a thread of its own: one that hangs keeps no other waiting.
struct Log {
    /// `None` where the lines of all instances are in one.
    instance: Option<String>,
    watched: Arc<Mutex<Watched>>,
    /// Finds where the file ends; `None` once it has.
    beginning: Option<JoinHandle<()>>,
    /// As it was when it was last read.
    booted: Option<Booted>,
}

/// What is read.
struct Watched {
    from: Origin,
    /// The newest line that said it had booted.
    booted: Option<Booted>,
    /// What was sorted and not yet taken: a look that nobody waited for has read its lines all the same.
    sorted: Counts,
}

enum Origin {
    File(Follower),
    Command(Box<Source>),
    /// Records that the application sends.
    Sent(Inbox),
}

/// When a line was read that said it had booted, and where in its file it stands.
type Booted = (Instant, Option<Place>);

/// Lines of one look, or of a window.
#[derive(Debug, Default)]
struct Counts {
    by_category: BTreeMap<String, u64>,
    /// Those that say at which endpoint they happened.
    by_endpoint: Tally,
}

/// What one look at all logs brought.
#[derive(Default)]
struct Look {
    /// Logs that could not be read to their end, and why.
    failed: Vec<String>,
    total: usize,
    instances: Vec<Looked>,
}

/// One instance's log after a look.
struct Looked {
    instance: String,
    booted: Option<Booted>,
    /// Whether it was read to its end.
    read: bool,
}

impl Logs {
    pub(super) fn new(
        context: Context,
        limit: Duration,
        rules: &[LogRule],
        follow: Option<&Action>,
    ) -> Logs {
        let logs = match follow {
            Some(action) => commands(&context, action),
            None => files(&context),
        };
        Logs::of(context, limit, rules, logs)
    }

    /// Those that the application sends, of all instances in one.
    pub(super) fn received(
        context: Context,
        limit: Duration,
        rules: &[LogRule],
        inbox: Inbox,
    ) -> Logs {
        Logs::of(context, limit, rules, vec![log(None, Origin::Sent(inbox))])
    }

    fn of(context: Context, limit: Duration, rules: &[LogRule], logs: Vec<Log>) -> Logs {
        Logs {
            limit,
            rules: Arc::new(Rules::new(rules)),
            logs,
            categories: rules.iter().map(|rule| rule.category.clone()).collect(),
            window: VecDeque::new(),
            context,
        }
    }

    /// Reads every log, and gives what was sorted beside how that went.
    async fn look(&mut self) -> Result<(Look, Counts), String> {
        if let Err(why) = self.rules.as_ref() {
            return Err(why.clone());
        }
        let (rules, limit) = (&self.rules, self.limit);
        let looks = self.logs.iter_mut().map(|log| read(log, rules, limit));
        let looks = join_all(looks).await;
        let mut sum = Counts::default();
        let mut look = Look {
            total: self.logs.len(),
            ..Look::default()
        };
        for (log, looked) in self.logs.iter_mut().zip(looks) {
            let read = match looked {
                Ok((read, booted)) => {
                    log.booted = booted;
                    read
                }
                Err(why) => Err(why),
            };
            if let Ok(mut watched) = log.watched.try_lock() {
                sum.merge(std::mem::take(&mut watched.sorted));
            }
            if let Err(why) = &read {
                let whose = log.instance.as_deref().unwrap_or("the fleet");
                look.failed.push(format!("{whose}: {why}"));
            }
            if let Some(instance) = &log.instance {
                look.instances.push(Looked {
                    instance: instance.clone(),
                    booted: log.booted,
                    read: read.is_ok(),
                });
            }
        }
        Ok((look, sum))
    }

    /// The sliding window's sum of a category, its kinds included.
    fn count(&self, category: &str) -> u64 {
        let is_counted = |of: &str| of == category || is_kind(of, category);
        let rounds = self
            .window
            .iter()
            .flat_map(|(_, counts)| &counts.by_category);
        let counted = rounds.filter(|(of, _)| is_counted(of));
        counted.map(|(_, count)| count).sum()
    }

    fn booted_ratio(&self, look: &Look) -> Reading {
        let logs = &look.instances;
        let booted = logs.iter().filter(|log| self.has_booted(log));
        let ratio = Reading::value(booted.count() as f64 / logs.len() as f64);
        let unread = logs.iter().filter(|log| !log.read);
        let unread: Vec<_> = unread.map(|log| log.instance.as_str()).collect();
        match unread.len() {
            _ if look.total == 0 => Reading::no_data(NO_LOGS),
            _ if logs.is_empty() => Reading::no_data("no instance has a log of its own"),
            0 => ratio,
            _ => ratio.partial(format!("the logs of {} cannot be read", unread.join(", "))),
        }
    }

    /// Whether an instance has said that it booted since it was restarted on purpose, if it was.
    fn has_booted(&self, log: &Looked) -> bool {
        let Some(restart) = self.context.restarts.of(&log.instance) else {
            return true;
        };
        log.booted.is_some_and(|(at, place)| {
            let after_mark = |place: Place| {
                let beyond = restart
                    .log_end
                    .is_none_or(|(number, end)| place.file != number || place.offset >= end);
                beyond || place.since > restart.at
            };
            at >= restart.at && place.is_none_or(after_mark)
        })
    }

    /// A category's sum over the window, and what may be missing from it.
    fn reading(&self, category: &str, look: &Look) -> Reading {
        let count = self.count(category);
        let (failed, total) = (look.failed.len(), look.total);
        if total == 0 {
            return Reading::no_data(NO_LOGS);
        }
        let mut categories = self.categories.iter();
        if !categories.any(|c| c == category || is_kind(c, category)) {
            return Reading::no_data(format!("no rule sorts lines into {category}"));
        }
        let reading = Reading::value(count as f64);
        match look.failed.first() {
            Some(first) if failed == total && count == 0 => Reading::no_data(first),
            Some(first) => {
                reading.partial(format!("{failed} of {total} logs cannot be read, {first}"))
            }
            None => reading,
        }
    }

    /// What people see beside the numbers: where exceptions happened, and of which kinds those of the database were.
    fn details(&self) -> Vec<String> {
        let mut endpoints = Tally::default();
        for (_, counts) in &self.window {
            endpoints.merge(&counts.by_endpoint);
        }
        let kinds = LogRule::DATABASE_KINDS.map(|kind| {
            let word = kind.strip_prefix("database_").unwrap_or(kind);
            (word, self.count(kind))
        });
        let of_kind: u64 = kinds.iter().map(|(_, count)| count).sum();
        let other = ("other", self.count(DATABASE) - of_kind);
        let kinds = kinds.into_iter().chain([other]);
        let lines = [("exceptions", endpoints.words()), ("database", most(kinds))];
        let lines = lines.into_iter().filter(|(_, said)| !said.is_empty());
        lines
            .map(|(what, said)| format!("{what}: {said}"))
            .collect()
    }
}

fn is_kind(of: &str, category: &str) -> bool {
    category == DATABASE && LogRule::DATABASE_KINDS.contains(&of)
}

/// Every instance's file. Where each ends now is found beside, so that no slow file system delays the monitor.
fn files(context: &Context) -> Vec<Log> {
    let fleet = &context.runbook.fleet;
    let files = fleet.instances.iter().filter_map(|instance| {
        let follower = Follower::new(path_of(fleet, &instance.id)?);
        let mut log = log(Some(instance), Origin::File(follower));
        let watched = Arc::clone(&log.watched);
        log.beginning = Some(tokio::task::spawn_blocking(move || {
            if let Ok(mut watched) = watched.lock()
                && let Origin::File(follower) = &mut watched.from
            {
                follower.begin();
            }
        }));
        Some(log)
    });
    files.collect()
}

/// The command for every instance, or the one for all of them.
fn commands(context: &Context, action: &Action) -> Vec<Log> {
    let followed = |instance: Option<&Instance>| {
        let source = Source::new(
            action,
            instance.map(Placeholders::of).unwrap_or_default(),
            context.ground.clone(),
        );
        log(instance, Origin::Command(Box::new(source)))
    };
    let instances = context.runbook.fleet.instances.iter();
    match action.is_per_instance() {
        true => instances.map(|instance| followed(Some(instance))).collect(),
        false => vec![followed(None)],
    }
}

fn log(instance: Option<&Instance>, from: Origin) -> Log {
    Log {
        instance: instance.map(|instance| instance.id.clone()),
        watched: Arc::new(Mutex::new(Watched {
            from,
            booted: None,
            sorted: Counts::default(),
        })),
        beginning: None,
        booted: None,
    }
}

impl Counts {
    fn merge(&mut self, other: Counts) {
        for (category, count) in other.by_category {
            *self.by_category.entry(category).or_default() += count;
        }
        self.by_endpoint.merge(&other.by_endpoint);
    }

    fn add(&mut self, category: &str, endpoint: Option<String>) {
        *self.by_category.entry(category.to_owned()).or_default() += 1;
        if let Some(endpoint) = endpoint {
            self.by_endpoint.add(&endpoint, 1);
        }
    }
}

/// How reading a log went, and the newest line that said it had booted.
type Told = (Result<(), String>, Option<Booted>);

/// Reads one log, for so long and no longer. Where an earlier look still hangs, it is not read again.
async fn read(
    log: &mut Log,
    rules: &Arc<Result<Rules, String>>,
    limit: Duration,
) -> Result<Told, String> {
    let hangs = || "reading it still hangs".to_owned();
    let (watched, rules) = (Arc::clone(&log.watched), Arc::clone(rules));
    let beginning = &mut log.beginning;
    let look = async move {
        if let Some(task) = beginning {
            task.await.map_err(|error| error.to_string())?;
            *beginning = None;
        }
        let look = tokio::task::spawn_blocking(move || {
            let mut watched = watched.try_lock().ok()?;
            let rules = rules.as_ref().as_ref().ok()?;
            Some((watched.read(rules), watched.booted))
        });
        let told = look.await.map_err(|error| error.to_string())?;
        told.ok_or_else(hangs)
    };
    let looked = tokio::time::timeout(limit, look).await;
    looked.unwrap_or_else(|_| Err(hangs()))
}

impl Watched {
    fn read(&mut self, rules: &Rules) -> Result<(), String> {
        let (counts, booted) = (&mut self.sorted, &mut self.booted);
        let mut sort = |line: &[u8], at: Instant, place: Option<Place>| {
            let Some(sorted) = rules.sort(line) else {
                return;
            };
            if sorted.category == BOOTED {
                *booted = Some((at, place));
            }
            counts.add(sorted.category, sorted.endpoint);
        };
        match &mut self.from {
            Origin::File(follower) => follower
                .read(LOOK_LIMIT_BYTES, &mut |line, place| {
                    sort(line, Instant::now(), Some(place));
                })
                .map_err(|error| error.to_string()),
            Origin::Command(source) => source.read(&mut |line, at| sort(line, at, None)),
            Origin::Sent(inbox) => inbox.drain(&mut |line| sort(line, Instant::now(), None)),
        }
    }
}

impl Take for Logs {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let signal = |category: &str| format!("log_{category}");
        let (look, sorted) = match self.look().await {
            Ok(looked) => looked,
            Err(why) => {
                let all = LogRule::CATEGORIES.iter().map(|c| signal(c));
                let all = all.chain(["instances_booted_ratio".to_owned()]);
                return all.map(|s| (s, Reading::no_data(&why))).collect();
            }
        };
        self.window.push_back((at_ms, sorted));
        let oldest_ms = at_ms - self.context.real_ms(WINDOW_MS);
        self.window.retain(|(round_ms, _)| *round_ms > oldest_ms);
        self.context.tell(TOPIC, self.details());
        let all = LogRule::CATEGORIES.iter();
        let mut readings: Vec<_> = all.map(|c| (signal(c), self.reading(c, &look))).collect();
        let ratio = self.booted_ratio(&look);
        readings.push(("instances_booted_ratio".to_owned(), ratio));
        readings
    }
}
