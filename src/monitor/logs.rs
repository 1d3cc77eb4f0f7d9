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
    booted: Vec<(String, Option<(Instant, Place)>, bool)>,
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
        let total = look.booted.len();
        let (mut booted, mut unread) = (0_u32, Vec::new());
        for (instance, marker, read) in &look.booted {
            let restart = self.context.restarts.of(instance);
            let up = match (restart, marker) {
                (None, _) => {
                    if !read {
                        unread.push(instance.as_str());
                    }
                    true
                }
                (Some(restart), Some((at, place))) => {
                    *at >= restart.at
                        && (place.since > restart.at
                            || restart.log_end.is_none_or(|(file, length)| {
                                place.file != file || place.offset >= length
                            }))
                }
                (Some(_), None) => false,
            };
            booted += u32::from(up);
        }
        match (total, unread.is_empty()) {
            (0, _) => Reading::no_data("the runbook names no log file"),
            (_, true) => Reading::value(f64::from(booted) / total as f64),
            (_, false) => Reading::value(f64::from(booted) / total as f64)
                .partial(format!("the logs of {} cannot be read", unread.join(", "))),
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
            let state = (file.instance.clone(), file.booted, read.is_ok());
            look.booted.push(state);
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
        let nobody = look.booted.len() == look.failed.len();
        let mut readings = Vec::with_capacity(LogRule::CATEGORIES.len() + 1);
        for category in LogRule::CATEGORIES {
            let reading = if !self.categories.iter().any(|c| c == category) {
                Reading::no_data(format!("no rule sorts lines into {category}"))
            } else if look.booted.is_empty() {
                Reading::no_data("the runbook names no log file")
            } else {
                Reading::value(self.count(category) as f64)
            };
            let reading = match look.failed.first() {
                Some(first) if nobody && self.count(category) == 0 => Reading::no_data(first),
                Some(first) => reading.partial(format!(
                    "{} of {} logs cannot be read, {first}",
                    look.failed.len(),
                    look.booted.len()
                )),
                None => reading,
            };
            readings.push((signal(category), reading));
        }
        let ratio = self.booted_ratio(&look);
        readings.push(("instances_booted_ratio".to_owned(), ratio));
        readings
    }
}
