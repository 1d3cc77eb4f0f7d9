//! The instances' log files: how many lines of each category in a sliding window, and which instances have said that they booted.
//!
//! Files are followed from where they ended when the monitor started, across rotation and truncation ([`follow`]). The first rule that
//! matches a line decides its category.

pub mod follow;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use regex::bytes::RegexSet;

use super::Context;
use super::schedule::Take;
use crate::runbook::{Fleet, LogRule};
use crate::trigger::Reading;
use follow::{Follower, Place};

/// Window of the counts, in runbook time.
const WINDOW_MS: i64 = 5 * 60_000;

/// Bytes of one log that one look reads at most; the rest waits for the next, and until then the counts are partial.
const LOOK_LIMIT_BYTES: usize = 4 * 1024 * 1024;

const NO_LOGS: &str = "the runbook names no log file";

/// The category that says an instance is up.
const BOOTED: &str = "host_booted";

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
    window: VecDeque<(i64, BTreeMap<String, u64>)>,
}

/// The files and what sorts their lines.
struct Reader {
    rules: Result<RegexSet, String>,
    /// One per rule.
    categories: Vec<String>,
    files: Vec<Watched>,
}

/// One instance's file.
struct Watched {
    instance: String,
    follower: Follower,
    /// The newest line that said it had booted.
    booted: Option<(Instant, Place)>,
}

/// What one look at all files brought.
#[derive(Default)]
struct Look {
    counts: BTreeMap<String, u64>,
    /// Files that could not be read to their end, and why.
    failed: Vec<String>,
    files: Vec<Looked>,
}

/// One file after a look.
struct Looked {
    instance: String,
    booted: Option<(Instant, Place)>,
    /// Whether it was read to its end.
    read: bool,
}

impl Logs {
    pub(super) fn new(context: Context, rules: &[LogRule]) -> Logs {
        let fleet = &context.runbook.fleet;
        let files = fleet.instances.iter().filter_map(|instance| {
            Some(Watched {
                instance: instance.id.clone(),
                follower: Follower::at_end(path_of(fleet, &instance.id)?),
                booted: None,
            })
        });
        let patterns = rules.iter().map(|r| r.pattern.as_str());
        let categories: Vec<_> = rules.iter().map(|r| r.category.clone()).collect();
        let reader = Reader {
            rules: RegexSet::new(patterns).map_err(|e| e.to_string()),
            categories: categories.clone(),
            files: files.collect(),
        };
        Logs {
            reader: Arc::new(Mutex::new(reader)),
            categories,
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

    /// The sliding window's sum of a category.
    fn count(&self, category: &str) -> u64 {
        let rounds = self.window.iter();
        rounds.filter_map(|(_, counts)| counts.get(category)).sum()
    }

    fn booted_ratio(&self, look: &Look) -> Reading {
        let booted = look.files.iter().filter(|file| self.has_booted(file));
        let ratio = Reading::value(booted.count() as f64 / look.files.len() as f64);
        let unread = look.files.iter().filter(|file| !file.read);
        let unread: Vec<_> = unread.map(|file| file.instance.as_str()).collect();
        match unread.len() {
            _ if look.files.is_empty() => Reading::no_data(NO_LOGS),
            0 => ratio,
            _ => ratio.partial(format!("the logs of {} cannot be read", unread.join(", "))),
        }
    }

    /// Whether an instance has said that it booted since it was restarted on purpose, if it was.
    fn has_booted(&self, file: &Looked) -> bool {
        let Some(restart) = self.context.restarts.of(&file.instance) else {
            return true;
        };
        file.booted.is_some_and(|(at, place)| {
            let after_mark = restart
                .log_end
                .is_none_or(|(number, end)| place.file != number || place.offset >= end);
            at >= restart.at && (after_mark || place.since > restart.at)
        })
    }

    /// A category's sum over the window, and what may be missing from it.
    fn reading(&self, category: &str, look: &Look) -> Reading {
        let count = self.count(category);
        let (failed, total) = (look.failed.len(), look.files.len());
        if total == 0 {
            return Reading::no_data(NO_LOGS);
        }
        if !self.categories.iter().any(|c| c == category) {
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
}

impl Reader {
    fn look(&mut self) -> Result<Look, String> {
        let rules = self.rules.as_ref().map_err(Clone::clone)?;
        let mut look = Look::default();
        for file in &mut self.files {
            let (counts, booted, categories) =
                (&mut look.counts, &mut file.booted, &self.categories);
            let sort = &mut |line: &[u8], place: Place| {
                let Some(rule) = rules.matches(line).iter().next() else {
                    return;
                };
                let category = &categories[rule];
                *counts.entry(category.clone()).or_default() += 1;
                if category == BOOTED {
                    *booted = Some((Instant::now(), place));
                }
            };
            let read = file.follower.read(LOOK_LIMIT_BYTES, sort);
            if let Err(why) = &read {
                look.failed.push(format!("{}: {why}", file.instance));
            }
            look.files.push(Looked {
                instance: file.instance.clone(),
                booted: file.booted,
                read: read.is_ok(),
            });
        }
        Ok(look)
    }
}

impl Take for Logs {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let signal = |category: &str| format!("log_{category}");
        let mut look = match self.look().await {
            Ok(look) => look,
            Err(why) => {
                let all = LogRule::CATEGORIES.iter().map(|c| signal(c));
                let all = all.chain(["instances_booted_ratio".to_owned()]);
                return all.map(|s| (s, Reading::no_data(&why))).collect();
            }
        };
        let oldest_ms = at_ms - self.context.real_ms(WINDOW_MS);
        self.window
            .push_back((at_ms, std::mem::take(&mut look.counts)));
        self.window.retain(|(round_ms, _)| *round_ms > oldest_ms);
        let all = LogRule::CATEGORIES.iter();
        let mut readings: Vec<_> = all.map(|c| (signal(c), self.reading(c, &look))).collect();
        let ratio = self.booted_ratio(&look);
        readings.push(("instances_booted_ratio".to_owned(), ratio));
        readings
    }
}
