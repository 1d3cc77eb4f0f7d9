//! The language of the scenario files.
//!
//! A file holds scenarios, each begun by `== its name`. Times are seconds of the session or `m:ss`. Lines, in any order of time:
//!
//! ```text
//! speed 60                          runbook time runs 60 times faster
//! baseline SIGNAL VALUE             P3 captured this
//! 0 start F2                        a step begins; `done F2` ends it
//! 0 restart app-3                   an instance is restarted on purpose
//! 0 engine                          the engine has died, and the next one starts with its memory
//! 5 SIGNAL 1.31% of 4210            a sample; `of` says over how many requests
//! 5 SIGNAL 0 partial                … from a part of the fleet
//! 5 SIGNAL nothing                  … that could not be taken
//! 5 @3 SIGNAL 0                     … that arrives at 5 and was taken at 3
//! 0..5:00/5 SIGNAL 0                a sample every 5 seconds, both ends included
//! 5 expect T3b burning 3:12 "5xx"   state, streak, and a part of its reason
//! 5 expect M4 green 1:00 "5xx"      an item: green, red or blind; for how long
//! 5 expect told T3b blind clear     everything that was said about it so far, in order
//! ```

use cutover::runbook::Runbook;
use cutover::session::facts::Baseline;
use cutover::session::{Event, Outcome, Recorded, Session, TriggerPhase, Undo};
use cutover::trigger::{Cadence, Checklist, Judge, Reading, Sample, Verdict};

/// Plays every scenario of a file; what did not come out as expected.
pub fn play(file: &str, text: &str) -> Vec<String> {
    let runbook = super::reference();
    let mut failures = Vec::new();
    let mut scenarios = text.split("\n== ");
    scenarios.next();
    for scenario in scenarios {
        let (name, body) = scenario.split_once('\n').expect("a scenario has lines");
        for failure in Bridge::play(&runbook, body) {
            failures.push(format!("{file}: {name}: {failure}"));
        }
    }
    assert!(text.contains("\n== "), "{file} has no scenario");
    failures
}

/// One thing that happens.
#[derive(Debug, Clone)]
enum Act {
    Happens(Event),
    Engine,
    Sample(Sample),
    Expect(String),
}

struct Bridge {
    session: Session,
    judge: Judge,
    checklist: Checklist,
    cadence: Cadence,
    told: Vec<(String, String)>,
}

impl Bridge {
    fn play(runbook: &Runbook, body: &str) -> Vec<String> {
        let lines = body
            .lines()
            .map(|l| l.split('#').next().unwrap_or(l).trim());
        let lines: Vec<&str> = lines.filter(|l| !l.is_empty()).collect();
        let value = |key: &str| lines.iter().find_map(|l| l.strip_prefix(key));
        let speed = value("speed ").map_or(1.0, |s| s.parse().expect("a speed"));
        let mut bridge = Bridge::new(runbook, speed);
        if let Some(baseline) = value("baseline ") {
            bridge.capture(baseline);
        }
        let mut acts: Vec<(i64, Act)> = Vec::new();
        for line in lines {
            if !line.starts_with("speed ") && !line.starts_with("baseline ") {
                acts.extend(acts_of(line));
            }
        }
        acts.sort_by_key(|(at_ms, _)| *at_ms);
        let mut now_ms = 0;
        let mut failures = Vec::new();
        for (at_ms, act) in acts {
            while now_ms < at_ms {
                now_ms = (now_ms + 500).min(at_ms);
                bridge.tick(now_ms);
            }
            failures.extend(bridge.act(act, at_ms));
        }
        failures
    }

    fn new(runbook: &Runbook, speed: f64) -> Bridge {
        let charter = super::charter(runbook, speed);
        let cadence = Cadence::of(runbook, speed);
        let opened = recorded(
            1,
            0,
            Event::SessionOpened {
                charter: Box::new(charter.clone()),
            },
        );
        Bridge {
            session: Session::open(&opened).expect("a session"),
            judge: Judge::new(&charter, cadence.clone(), None),
            checklist: Checklist::new(&charter, &cadence),
            cadence,
            told: Vec::new(),
        }
    }

    fn capture(&mut self, baseline: &str) {
        let (signal, value) = baseline.split_once(' ').expect("a signal and its baseline");
        let baseline = Baseline([(signal.to_owned(), number(value))].into());
        self.happens(
            0,
            Event::StepFinished {
                step: "P3".to_owned(),
                attempt: 1,
                outcome: Outcome::done("captured").with_fact(baseline),
            },
        );
    }

    fn happens(&mut self, at_ms: i64, event: Event) {
        let recorded = recorded(self.session.seq + 1, at_ms, event);
        self.session.apply(&recorded);
        self.judge.apply(&recorded);
    }

    fn tick(&mut self, now_ms: i64) {
        for verdict in self.judge.tick(&self.session, now_ms) {
            self.told.push(match &verdict {
                Verdict::Moved { trigger, phase, .. } => (trigger.clone(), word(*phase)),
                Verdict::Fired { trigger, .. } => (trigger.clone(), "fired".to_owned()),
                Verdict::BlindTooLong { trigger, .. } => (trigger.clone(), "alarm".to_owned()),
            });
            self.happens(now_ms, verdict.into());
        }
    }

    fn act(&mut self, act: Act, at_ms: i64) -> Option<String> {
        match act {
            Act::Happens(event) => self.happens(at_ms, event),
            Act::Engine => {
                let memory = serde_json::to_string(&self.judge.memory()).expect("plain data");
                let memory = serde_json::from_str(&memory).expect("plain data");
                let charter = &self.session.charter;
                self.judge = Judge::new(charter, self.cadence.clone(), Some(memory));
                self.checklist = Checklist::new(charter, &self.cadence);
                self.happens(
                    at_ms,
                    Event::EngineStarted {
                        pid: 1,
                        version: String::new(),
                        boot_id: String::new(),
                        boot_ms: 0,
                    },
                );
            }
            Act::Sample(sample) => {
                self.judge.observe(&sample, &self.session);
                self.checklist.observe(&sample, &self.session);
                self.tick(at_ms);
            }
            Act::Expect(expected) => {
                self.tick(at_ms);
                return self.expect(&expected, at_ms);
            }
        }
        None
    }

    /// What is not as expected.
    fn expect(&self, expected: &str, now_ms: i64) -> Option<String> {
        let (expected, text) = match expected.split_once(" \"") {
            Some((expected, text)) => (expected, text.trim_end_matches('"')),
            None => (expected, ""),
        };
        let words: Vec<&str> = expected.split_whitespace().collect();
        let (found, reason) = match words[..] {
            ["told", id, ..] => {
                let told = self.told.iter().filter(|(trigger, _)| trigger == id);
                let told: Vec<&str> = told.map(|(_, what)| what.as_str()).collect();
                (format!("told {id} {}", told.join(" ")), String::new())
            }
            [id, ..] if id.starts_with('M') => {
                let views = self.checklist.views(&self.session, now_ms);
                let item = views.into_iter().find(|v| v.id == id).expect("an item");
                let state = match item.green {
                    Some(true) => "green",
                    Some(false) => "red",
                    None => "blind",
                };
                let shown = shown(&words, item.green_for_ms);
                (format!("{id} {state}{shown}"), item.reason)
            }
            [id, ..] => {
                let views = self.judge.views(&self.session, now_ms);
                let fuse = views.into_iter().find(|v| v.id == id).expect("a trigger");
                let state = match fuse.armed || fuse.phase == TriggerPhase::Fired {
                    true => word(fuse.phase),
                    false => "unarmed".to_owned(),
                };
                let shown = shown(&words, fuse.streak_ms);
                (format!("{id} {state}{shown}"), fuse.reason)
            }
            [] => panic!("nothing is expected"),
        };
        let right = found.trim_end() == words.join(" ") && reason.contains(text);
        (!right).then(|| {
            let at = cutover::format::span(now_ms);
            format!("at {at} expected {expected} {text:?}, found {found} {reason:?}")
        })
    }
}

/// The duration, where one is expected.
fn shown(words: &[&str], ms: i64) -> String {
    match words.len() {
        3 => format!(" {}", cutover::format::span(ms)),
        _ => String::new(),
    }
}

fn acts_of(line: &str) -> Vec<(i64, Act)> {
    let (times, what) = line.split_once(' ').expect("a time and what happens then");
    let (first_ms, last_ms, step_ms) = match times.split_once("..") {
        Some((first, rest)) => {
            let (last, step) = rest.split_once('/').expect("a step");
            (ms(first), ms(last), ms(step))
        }
        None => (ms(times), ms(times), 1),
    };
    let mut acts = Vec::new();
    let mut at_ms = first_ms;
    while at_ms <= last_ms {
        acts.push((at_ms, act_of(what.trim(), at_ms)));
        at_ms += step_ms;
    }
    acts
}

fn act_of(what: &str, at_ms: i64) -> Act {
    let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
    match verb {
        "start" => Act::Happens(Event::StepStarted {
            step: rest.to_owned(),
            attempt: 1,
            by: None,
        }),
        "done" => Act::Happens(Event::StepFinished {
            step: rest.to_owned(),
            attempt: 1,
            outcome: Outcome::done("done"),
        }),
        "restart" => Act::Happens(Event::UndoRecorded {
            step: "F2".to_owned(),
            undo: Undo::Restart {
                instance: rest.to_owned(),
            },
        }),
        "engine" => Act::Engine,
        "expect" => Act::Expect(rest.to_owned()),
        _ => match verb.strip_prefix('@') {
            Some(taken) => Act::Sample(sample(rest, ms(taken))),
            None => Act::Sample(sample(what, at_ms)),
        },
    }
}

fn sample(text: &str, at_ms: i64) -> Sample {
    let words: Vec<&str> = text.split_whitespace().collect();
    let reading = match words[1..] {
        ["nothing"] => Reading::no_data("we could not ask"),
        [value] => Reading::value(number(value)),
        [value, "partial"] => Reading::value(number(value)).partial("app-3 refused"),
        [value, "of", n] => Reading::over(number(value), Some(n.parse().expect("a count"))),
        [value, "of", n, "partial"] => {
            Reading::over(number(value), Some(n.parse().expect("a count"))).partial("app-3 refused")
        }
        _ => panic!("no sample: {text}"),
    };
    Sample::new(words[0], at_ms, reading)
}

fn number(text: &str) -> f64 {
    let parsed = |t: &str| {
        t.parse::<f64>()
            .unwrap_or_else(|_| panic!("no number: {text}"))
    };
    text.strip_suffix('%')
        .map_or_else(|| parsed(text), |t| parsed(t) / 100.0)
}

/// `90`, `1:30`, `0.5`.
fn ms(text: &str) -> i64 {
    let s = |t: &str| {
        t.parse::<f64>()
            .unwrap_or_else(|_| panic!("no time: {text}"))
    };
    let seconds = text
        .split_once(':')
        .map_or_else(|| s(text), |(m, rest)| s(m) * 60.0 + s(rest));
    (seconds * 1_000.0) as i64
}

fn word(phase: TriggerPhase) -> String {
    let word = match phase {
        TriggerPhase::Clear => "clear",
        TriggerPhase::Burning => "burning",
        TriggerPhase::Blind => "blind",
        TriggerPhase::Fired => "fired",
    };
    word.to_owned()
}

fn recorded(seq: u64, at_ms: i64, event: Event) -> Recorded {
    Recorded {
        seq,
        at_ms,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    }
}
