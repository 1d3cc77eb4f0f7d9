//! What goes on inside the target: connections against the server's limit, locks waited for and by whom, deadlocks, conflicts,
//! temporary files, and statements slower than agreed. Over a connection of its own that is held between samples.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::Context;
use super::schedule::Take;
use crate::postgres::observe::{Counted, Look, Observer, Settings, Statement};
use crate::postgres::{Endpoint, Error};
use crate::runbook::{Probe, ProbeKind};
use crate::text::printable;
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

/// Under this name people see the details.
const TOPIC: &str = "database";

/// How often the server's settings are asked for, in real milliseconds.
const SETTINGS_EVERY_MS: i64 = 60_000;

/// Of each list that people are shown.
const SHOWN: usize = 5;

/// Characters of a name that somebody gave themselves.
const NAME_CHARS: usize = 30;

/// Characters of a process with its name and state.
const HOLDER_CHARS: usize = 90;

pub(super) struct Postgres {
    context: Context,
    limit: Duration,
    slow_ms: i64,
    window_ms: i64,
    observer: Option<Observer>,
    /// What the server allows, and when it was asked.
    settings: Option<(i64, Settings)>,
    before: Before,
    /// What was counted between two looks.
    window: VecDeque<(i64, Grown)>,
}

/// What had been counted at the last look.
#[derive(Default)]
struct Before {
    counted: Option<Counted>,
    statements: Option<BTreeMap<i64, Statement>>,
    /// Slow statements that ran then, so that each counts once.
    running: BTreeSet<(i32, String)>,
}

/// What has been counted between two looks.
#[derive(Default, Clone, Copy)]
struct Grown {
    deadlocks: i64,
    conflicts: i64,
    temp_files: i64,
    slow: i64,
}

impl Postgres {
    pub(super) fn new(context: Context, rhythm: Rhythm, slow_ms: i64, window_ms: i64) -> Postgres {
        Postgres {
            limit: rhythm.limit(),
            slow_ms,
            window_ms: context.real_ms(window_ms),
            observer: None,
            settings: None,
            before: Before::default(),
            window: VecDeque::new(),
            context,
        }
    }

    async fn look(&mut self, at_ms: i64) -> Result<Look, Error> {
        let kept = self
            .observer
            .take()
            .filter(|observer| !observer.is_closed());
        let observer = match kept {
            Some(observer) => observer,
            None => {
                let endpoint = Endpoint::parse(&self.context.runbook.target.url)?;
                Observer::open(&endpoint, self.limit).await?
            }
        };
        // Whatever an error left on the connection, the next look has a new one.
        let look = observer.look().await?;
        let age_ms = self.settings.as_ref().map(|(asked_ms, _)| at_ms - asked_ms);
        if age_ms.is_none_or(|age_ms| !(0..SETTINGS_EVERY_MS).contains(&age_ms)) {
            // They are for people; without them the look is as good.
            self.settings = match observer.settings().await {
                Ok(settings) => Some((at_ms, settings)),
                Err(_) => None,
            };
        }
        self.observer = Some(observer);
        Ok(look)
    }

    /// What has been counted since the last look; counters that were reset began at zero.
    fn grown(&mut self, look: &Look) -> Grown {
        let since = |now: i64, before: i64| if now < before { now } else { now - before };
        let before = self.before.counted.replace(look.counted);
        let before = before.unwrap_or(look.counted);
        Grown {
            deadlocks: since(look.counted.deadlocks, before.deadlocks),
            conflicts: since(look.counted.conflicts, before.conflicts),
            temp_files: since(look.counted.temp_files, before.temp_files),
            slow: match &look.statements {
                Some(statements) => self.slow_by_statistics(statements),
                None => self.slow_by_age(look),
            },
        }
    }

    /// Calls of statements whose mean time since the last look was beyond the limit.
    fn slow_by_statistics(&mut self, statements: &[Statement]) -> i64 {
        let now: BTreeMap<i64, Statement> = statements.iter().map(|s| (s.id, *s)).collect();
        let Some(before) = self.before.statements.replace(now) else {
            return 0;
        };
        let slow = statements.iter().filter_map(|statement| {
            let former = before.get(&statement.id);
            let former = former.filter(|former| former.calls <= statement.calls);
            let calls = statement.calls - former.map_or(0, |former| former.calls);
            let total_ms = statement.total_ms - former.map_or(0.0, |former| former.total_ms);
            (calls > 0 && total_ms / calls as f64 > self.slow_ms as f64).then_some(calls)
        });
        slow.sum()
    }

    /// Statements that were seen to run beyond the limit and had not been seen so before.
    fn slow_by_age(&mut self, look: &Look) -> i64 {
        let slow = look.sessions.iter().filter(|session| {
            session
                .running_ms
                .is_some_and(|ms| ms > self.slow_ms as f64)
        });
        let running: BTreeSet<_> = slow.map(|s| (s.pid, s.statement.clone())).collect();
        let new = running.difference(&self.before.running).count();
        self.before.running = running;
        new as i64
    }

    fn readings(&self, look: &Look) -> Vec<Reading> {
        let sum = |of: fn(&Grown) -> i64| {
            let sum: i64 = self.window.iter().map(|(_, grown)| of(grown)).sum();
            Reading::value(sum as f64)
        };
        let visible = |reading: Reading| match look.hidden {
            0 => reading,
            hidden => reading.partial(format!(
                "the state of {hidden} connections is hidden; grant pg_monitor to see it"
            )),
        };
        let running = look
            .sessions
            .iter()
            .filter_map(|session| session.running_ms);
        let waits = look.waits.first().map_or(0.0, |wait| wait.for_ms);
        let used = f64::from(look.server_total) / f64::from(look.server_limit.max(1));
        vec![
            Reading::value(used),
            Reading::value(look.waits.len() as f64),
            Reading::value(waits),
            visible(Reading::value(running.fold(0.0, f64::max))),
            match &look.statements {
                Some(_) => sum(|grown| grown.slow),
                None => visible(sum(|grown| grown.slow)),
            },
            sum(|grown| grown.deadlocks),
            sum(|grown| grown.conflicts),
            sum(|grown| grown.temp_files),
        ]
    }

    fn signals(&self) -> Vec<String> {
        let probe = Probe {
            id: String::new(),
            kind: ProbeKind::Postgres {
                slow_ms: self.slow_ms,
                window_ms: self.window_ms,
            },
            interval_ms: 0,
            timeout_ms: 0,
        };
        probe.signals()
    }

    fn nothing(&self, why: &str) -> Vec<(String, Reading)> {
        self.context
            .tell(TOPIC, vec![format!("no word from PostgreSQL: {why}")]);
        let signals = self.signals().into_iter();
        signals.map(|s| (s, Reading::no_data(why))).collect()
    }
}

impl Take for Postgres {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let answer = tokio::time::timeout(self.limit, self.look(at_ms)).await;
        let look = match answer {
            Ok(Ok(look)) => look,
            Ok(Err(error)) => return self.nothing(&error.to_string()),
            Err(_) => {
                let limit_ms = self.limit.as_millis();
                return self.nothing(&format!("PostgreSQL did not answer within {limit_ms} ms"));
            }
        };
        let grown = self.grown(&look);
        self.window.push_back((at_ms, grown));
        let oldest_ms = at_ms - self.window_ms;
        self.window.retain(|(round_ms, _)| *round_ms > oldest_ms);
        let settings = self.settings.as_ref().map(|(_, settings)| settings);
        let allowed = settings.map(allowed).unwrap_or_default();
        let lines = details(&look).into_iter().chain(allowed).collect();
        self.context.tell(TOPIC, lines);
        let readings = self.readings(&look);
        self.signals().into_iter().zip(readings).collect()
    }
}

/// Who is there, what they wait for, and who waits for whom.
fn details(look: &Look) -> Vec<String> {
    let mut lines = Vec::new();
    let applications = look.sessions.iter().map(|s| s.application.as_str());
    lines.extend(counted("clients", applications));
    let events = look.sessions.iter().filter_map(|s| s.waits_for.as_deref());
    lines.extend(counted("waiting for", events));
    for wait in look.waits.iter().take(SHOWN) {
        let holders = wait.holders.iter().take(SHOWN);
        let holders: Vec<_> = holders.map(|h| printable(h, HOLDER_CHARS)).collect();
        lines.push(format!(
            "{} ({}) waits {:.1} s for {}",
            wait.pid,
            name(&wait.application),
            wait.for_ms / 1_000.0,
            match holders.is_empty() {
                true => "nobody any more".to_owned(),
                false => holders.join(", "),
            }
        ));
    }
    lines
}

/// The settings that decide about connections and waiting.
fn allowed(settings: &Settings) -> [String; 2] {
    let value = |name: &str| settings.values.get(name).map(|v| printable(v, NAME_CHARS));
    let number = |name: &str| value(name).and_then(|v| v.parse::<u64>().ok());
    let reserved = ["superuser_reserved_connections", "reserved_connections"];
    let reserved: u64 = reserved.into_iter().filter_map(number).sum();
    let limits = [
        ("statement", "statement_timeout"),
        ("lock", "lock_timeout"),
        ("transaction", "transaction_timeout"),
        ("idle in transaction", "idle_in_transaction_session_timeout"),
        ("idle", "idle_session_timeout"),
    ];
    let limits = limits.into_iter().filter_map(|(what, name)| {
        Some(match number(name)? {
            0 => format!("{what} none"),
            ms if ms % 1_000 == 0 => format!("{what} {} s", ms / 1_000),
            ms => format!("{what} {ms} ms"),
        })
    });
    let limits: Vec<_> = limits.collect();
    [
        format!(
            "server: max_connections {}, {reserved} of them reserved; ssl {}",
            value("max_connections").unwrap_or_default(),
            value("ssl").unwrap_or_default(),
        ),
        format!(
            "time-outs of {}: {}",
            name(&settings.role),
            limits.join(", ")
        ),
    ]
}

/// `clients: app-1 12, app-2 11`, the most first; nothing where there is nothing.
fn counted<'w>(what: &str, words: impl Iterator<Item = &'w str>) -> Option<String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown = counts.iter().take(SHOWN);
    let shown: Vec<_> = shown
        .map(|(word, n)| format!("{} {n}", name(word)))
        .collect();
    (!shown.is_empty()).then(|| format!("{what}: {}", shown.join(", ")))
}

fn name(text: &str) -> String {
    match text {
        "" => "no name".to_owned(),
        text => printable(text, NAME_CHARS),
    }
}
