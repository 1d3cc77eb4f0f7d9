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
use std::time::Instant;

use super::Context;
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
    let log = fleet.log.as_ref()?;
    let log = log.replace("{instance}", &instance.id);
    Some(PathBuf::from(log.replace("{host}", &instance.host)))
}

pub(super) struct Logs {
    context: Context,
    /// Read by a blocking thread, one at a time.
    reader: Arc<Mutex<Reader>>,
    categories: Vec<String>,
    window: VecDeque<(i64, Counts)>,
}

/// The logs and what sorts their lines.
struct Reader {
    rules: Result<Rules, String>,
    logs: Vec<Watched>,
    /// What was sorted and not yet taken: a look that nobody waited for has read its lines all the same.
    sorted: Counts,
}

/// One instance's log, or that of the whole fleet.
struct Watched {
    /// `None` where the lines of all instances are in one.
    instance: Option<String>,
    log: Log,
    /// The newest line that said it had booted.
    booted: Option<Booted>,
}

enum Log {
    File(Follower),
    Command(Box<Source>),
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
    pub(super) fn new(context: Context, rules: &[LogRule], follow: Option<&Action>) -> Logs {
        let reader = Reader {
            rules: Rules::new(rules),
            logs: match follow {
                Some(action) => commands(&context, action),
                None => files(&context),
            },
            sorted: Counts::default(),
        };
        Logs {
            reader: Arc::new(Mutex::new(reader)),
            categories: rules.iter().map(|rule| rule.category.clone()).collect(),
            window: VecDeque::new(),
            context,
        }
    }

    async fn look(&self) -> Result<Look, String> {
        let reader = self.reader.clone();
        let look = tokio::task::spawn_blocking(move || match reader.try_lock() {
            Ok(mut reader) => reader.look(),
            Err(_) => Err("reading the logs still hangs".to_owned()),
        });
        look.await.map_err(|e| e.to_string())?
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

/// Every instance's file.
fn files(context: &Context) -> Vec<Watched> {
    let fleet = &context.runbook.fleet;
    let files = fleet.instances.iter().filter_map(|instance| {
        let follower = Follower::at_end(path_of(fleet, &instance.id)?);
        Some(Watched {
            instance: Some(instance.id.clone()),
            log: Log::File(follower),
            booted: None,
        })
    });
    files.collect()
}

/// The command for every instance, or the one for all of them.
fn commands(context: &Context, action: &Action) -> Vec<Watched> {
    let watched = |instance: Option<&Instance>| Watched {
        instance: instance.map(|instance| instance.id.clone()),
        log: Log::Command(Box::new(Source::new(
            action,
            instance.map(Placeholders::of).unwrap_or_default(),
            context.ground.clone(),
        ))),
        booted: None,
    };
    let instances = context.runbook.fleet.instances.iter();
    match action.is_per_instance() {
        true => instances.map(|instance| watched(Some(instance))).collect(),
        false => vec![watched(None)],
    }
}

impl Counts {
    fn add(&mut self, category: &str, endpoint: Option<String>) {
        *self.by_category.entry(category.to_owned()).or_default() += 1;
        if let Some(endpoint) = endpoint {
            self.by_endpoint.add(&endpoint, 1);
        }
    }
}

impl Reader {
    fn look(&mut self) -> Result<Look, String> {
        let rules = self.rules.as_ref().map_err(Clone::clone)?;
        let mut look = Look {
            total: self.logs.len(),
            ..Look::default()
        };
        for watched in &mut self.logs {
            let (counts, booted) = (&mut self.sorted, &mut watched.booted);
            let mut sort = |line: &[u8], at: Instant, place: Option<Place>| {
                let Some(sorted) = rules.sort(line) else {
                    return;
                };
                if sorted.category == BOOTED {
                    *booted = Some((at, place));
                }
                counts.add(sorted.category, sorted.endpoint);
            };
            let read = match &mut watched.log {
                Log::File(follower) => follower
                    .read(LOOK_LIMIT_BYTES, &mut |line, place| {
                        sort(line, Instant::now(), Some(place));
                    })
                    .map_err(|error| error.to_string()),
                Log::Command(source) => source.read(&mut |line, at| sort(line, at, None)),
            };
            if let Err(why) = &read {
                let whose = watched.instance.as_deref().unwrap_or("the fleet");
                look.failed.push(format!("{whose}: {why}"));
            }
            if let Some(instance) = &watched.instance {
                look.instances.push(Looked {
                    instance: instance.clone(),
                    booted: watched.booted,
                    read: read.is_ok(),
                });
            }
        }
        Ok(look)
    }
}

impl Take for Logs {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let signal = |category: &str| format!("log_{category}");
        let look = match self.look().await {
            Ok(look) => look,
            Err(why) => {
                let all = LogRule::CATEGORIES.iter().map(|c| signal(c));
                let all = all.chain(["instances_booted_ratio".to_owned()]);
                return all.map(|s| (s, Reading::no_data(&why))).collect();
            }
        };
        if let Ok(mut reader) = self.reader.try_lock() {
            let sorted = std::mem::take(&mut reader.sorted);
            self.window.push_back((at_ms, sorted));
        }
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
