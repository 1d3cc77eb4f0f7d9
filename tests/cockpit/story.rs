//! Sessions told as events, by the rules themselves: people give commands, `decide` makes events of them. No database, no clock.

// The benches include this file by its path, from which a module would be looked for beside it.
#[path = "story/beside.rs"]
pub mod beside;

use beside::TABLES;
use chrono::{DateTime, FixedOffset, TimeDelta, Utc};
use cutover::cockpit::model::{Model, Seat};
use cutover::cockpit::news::{Engine, News, Reading};
use cutover::runbook::{self, RehearsalPart, RunbookHash};
use cutover::session::facts::{Baseline, Imported, Order, Policies};
use cutover::session::live::Presence;
use cutover::session::{
    Actor, Charter, Command, Event, Opening, Outcome, Recorded, RehearsalEvidence, Session,
    StepStatus, TriggerPhase, Undo, decide, due,
};

/// A session in the making.
pub struct Story {
    pub entries: Vec<Recorded>,
    pub session: Session,
    pub at_ms: i64,
}

/// A runbook minute at the speed of most stories.
pub const MINUTE: i64 = 60_000;

impl Story {
    /// A session on the reference runbook, in earnest.
    pub fn begin() -> Story {
        Story::open(false, 1.0)
    }

    /// The same in the sandbox, where a minute lasts a second.
    pub fn begin_in_sandbox() -> Story {
        Story::open(true, 60.0)
    }

    fn open(sandbox: bool, speed: f64) -> Story {
        let text = include_str!("../../runbook.yaml");
        let env = |name: &str| {
            Some(match name {
                "APP_SQLITE" => "/srv/app/tools.db".to_owned(),
                n if n.ends_with("_URL") => format!("postgresql://owner@db/{}", n.to_lowercase()),
                n if n.starts_with("APP_") && n != "APP_DIR" => {
                    format!("http://{}:8080", n.to_lowercase().replace('_', "-"))
                }
                "CHAT_WEBHOOK" => "http://chat/hook".to_owned(),
                other => format!("/srv/{}", other.to_lowercase()),
            })
        };
        let runbook = runbook::parse("runbook.yaml", text, &env)
            .unwrap_or_else(|p| panic!("{}", runbook::render(&p)));
        let mut charter = Charter::new(
            &runbook,
            Opening {
                session: "tool-catalogue-7".to_owned(),
                target: "db:5432/tools".into(),
                production: cutover::session::Production::default(),
                again: None,
                sandbox,
                rehearsal: false,
                speed,
                wait_before: Vec::new(),
            },
        );
        // What the screen shows of it must not depend on every comma of the reference runbook.
        charter.runbook_hash = RunbookHash("5f876382ce7e".repeat(6)[..64].to_owned());
        let opened = recorded(
            1,
            0,
            Event::SessionOpened {
                charter: Box::new(charter),
            },
        );
        let session = Session::open(&opened).expect("a session");
        let mut story = Story {
            entries: vec![opened],
            session,
            at_ms: 0,
        };
        story.happen(Event::EngineStarted {
            pid: 4_242,
            version: "0.1.0".to_owned(),
            boot_id: "boot".to_owned(),
            boot_ms: 1_000_000,
        });
        story
    }

    pub fn happen(&mut self, event: Event) -> &mut Story {
        let entry = recorded(self.entries.len() as u64 + 1, self.at_ms, event);
        self.session.apply(&entry);
        self.entries.push(entry);
        self
    }

    pub fn pass(&mut self, ms: i64) -> &mut Story {
        self.at_ms += ms;
        self
    }

    /// Somebody gives a command that the rules allow.
    pub fn command(&mut self, who: &str, command: Command) -> &mut Story {
        let actor = self.actor(who);
        let events = decide(&self.session, &actor, &command)
            .unwrap_or_else(|r| panic!("{who} may not {command:?}: {r}"));
        for event in events {
            self.happen(event);
        }
        self
    }

    pub fn actor(&self, who: &str) -> Actor {
        Actor::identify(&self.session.charter, who, Some(who)).expect("on the bridge")
    }

    pub fn sign(&mut self, who: &str, gates: &[&str]) -> &mut Story {
        // In their own role: Ada is Robin's deputy, and signs as engineer.
        let role = self.actor(who).roles.first().copied();
        for gate in gates {
            let gate = (*gate).to_owned();
            let sign = Command::Sign {
                gate,
                role,
                note: None,
                proof: None,
            };
            self.pass(7_000).command(who, sign);
        }
        self
    }

    /// The next step begins, by hand or by itself.
    pub fn start(&mut self) -> &mut Story {
        let begun = due::due(&self.session, self.at_ms);
        if begun.is_empty() {
            return self.command("robin", Command::StartStep { step: None });
        }
        for event in begun {
            self.happen(event);
        }
        self
    }

    /// The running step ends.
    pub fn end(&mut self, outcome: Outcome) -> &mut Story {
        let step = self.session.current_step().expect("a running step");
        assert_eq!(step.status, StepStatus::Running);
        let id = step.id.clone();
        for event in due::step_ended(&self.session, &id, outcome) {
            self.happen(event);
        }
        self
    }

    /// Steps run, and gates are signed, until the next step is this one.
    pub fn reach(&mut self, step: &str) -> &mut Story {
        while let Some((line, _)) = self.session.next_step() {
            let id = line.id.clone();
            if id == step {
                return self;
            }
            self.prepare(&id);
            self.pass(1_000).start();
            self.undo_of(&id);
            if id == "P2" {
                for who in ["robin", "ada", "dan", "quinn"] {
                    self.pass(4_000)
                        .command(who, Command::Confirm { step: None });
                }
                continue;
            }
            self.pass(lasts(&id)).end(outcome(&id));
        }
        assert_eq!(step, "the end", "no such step");
        self
    }

    /// Signs what a step waits for.
    fn prepare(&mut self, step: &str) {
        match step {
            "A1" => {
                self.rehearsed();
                self.sign("ada", &["K3", "K4", "K8"])
                    .sign("robin", &["K6", "K7", "K8"])
                    .sign("quinn", &["K8"]);
            }
            "B1" => {
                self.sign("dan", &["K1", "K2"]);
            }
            "F1" => {
                self.sign("quinn", &["K5"]);
            }
            _ => {}
        }
    }

    pub fn rehearsed(&mut self) -> &mut Story {
        let part = |part, line: &str| (part, true, line.to_owned());
        let rehearsal = RehearsalEvidence {
            session: "rehearsal-3".to_owned(),
            runbook_hash: self.session.charter.runbook_hash.clone(),
            sandbox: self.session.charter.sandbox,
            head: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            ended_unix_s: 1_790_000_000,
            source: None,
            parts: vec![
                part(
                    RehearsalPart::Migrations,
                    "2 migrations, schema complete, 0:08",
                ),
                part(
                    RehearsalPart::Import,
                    "412 350 rows in 9 tables, all equal, 1:31",
                ),
                part(
                    RehearsalPart::Rollback,
                    "R1–R4+ took 1:12 of the agreed 10:00",
                ),
            ],
            rollback_ms: 72_000,
            took_ms: vec![],
            not_run: Vec::new(),
            against: Vec::new(),
            not_rehearsed: Vec::new(),
        };
        self.happen(Event::RehearsalRecorded { rehearsal })
    }

    fn undo_of(&mut self, step: &str) {
        let undos = match step {
            "A1" => vec![Undo::Maintenance, Undo::Fence],
            "F1" => (1..=6)
                .map(|n| Undo::Config {
                    instance: format!("app-{n}"),
                    path: format!("/srv/app/instances/app-{n}/app.env").into(),
                    former_sha256: "aa".repeat(32),
                    written_sha256: "bb".repeat(32),
                })
                .collect(),
            "F2" => (1..=6)
                .map(|n| Undo::Restart {
                    instance: format!("app-{n}"),
                })
                .collect(),
            _ => Vec::new(),
        };
        for undo in undos {
            self.happen(Event::UndoRecorded {
                step: step.to_owned(),
                undo,
            });
        }
    }

    pub fn burn(&mut self, trigger: &str, reason: &str) -> &mut Story {
        self.happen(Event::TriggerMoved {
            trigger: trigger.to_owned(),
            state: TriggerPhase::Burning,
            reason: reason.to_owned(),
        })
    }

    pub fn fire(&mut self, trigger: &str, reason: &str) -> &mut Story {
        self.happen(Event::TriggerFired {
            trigger: trigger.to_owned(),
            reason: reason.to_owned(),
        })
    }

    /// Rows of the rollback end well until this one is the next to run.
    pub fn roll_back_to(&mut self, row: &str) -> &mut Story {
        loop {
            let due = due::due(&self.session, self.at_ms);
            let Some(event) = due.into_iter().next() else {
                return self;
            };
            let begun = match &event {
                Event::RollbackRowStarted { row } => Some(row.clone()),
                _ => None,
            };
            self.happen(event);
            match begun {
                None => {}
                Some(begun) if begun == row => return self,
                Some(begun) => {
                    let summary = match begun.as_str() {
                        "R1" => "G1 cancelled; nothing new starts",
                        "R1+" => "nobody writes to PostgreSQL any more",
                        "R2" => "6 configurations put back, byte for byte",
                        "R2+" => "nothing was written to PostgreSQL since the switch",
                        "R3" => "fence released; 6 instances restarted and ready",
                        "R4" => "health, list and detail answer; 4 critical tables hold their rows",
                        "R4+" => "maintenance is off: writes go to SQLite",
                        "R5" => "14 artefacts kept, with hashes",
                        _ => "the incident review is open: /srv/app_dir/incident.md",
                    };
                    self.pass(9_000).happen(Event::RollbackRowFinished {
                        row: begun,
                        outcome: Outcome::done(summary),
                    });
                }
            }
        }
    }

    /// The screen of somebody who looks at this, with an engine at work.
    pub fn seen_by(&self, user: &str) -> Model {
        let zone = FixedOffset::east_opt(2 * 3_600).expect("a zone");
        let seat = Seat {
            user: user.to_owned(),
            playing: None,
            zone,
        };
        let mut model = Model::open(self.entries.clone(), seat).expect("a session");
        model.tick(Some(self.at_ms), wall(self.at_ms));
        model.take(News {
            engine: Some(Engine::Live { pid: 4_242 }),
            presence: Some(self.presence(self.at_ms)),
            ..News::default()
        });
        model
    }

    pub fn presence(&self, at_ms: i64) -> Vec<Presence> {
        let here = [("robin", "Bridge"), ("quinn", "Gates"), ("ada", "Steps")];
        here.iter()
            .map(|(person, view)| Presence {
                person: (*person).to_owned(),
                roles: self.actor(person).roles,
                view: (*view).to_owned(),
                seen_ms: at_ms - 1_000,
            })
            .collect()
    }

    /// Twenty minutes of samples up to now, every five seconds; errors rise by this factor in the last six.
    pub fn traffic(&self, errors: f64) -> Vec<Reading> {
        let mut samples = Vec::new();
        for n in 0..240 {
            let at_ms = self.at_ms - (239 - n) * 5_000;
            let wave = ((n as f64) / 9.0).sin() * 0.5 + 0.5;
            let late = if n > 239 - 75 { errors } else { 1.0 };
            let values = [
                (
                    "http_5xx_ratio",
                    Some((0.0011 + wave * 0.0004) * late).filter(|_| !(100..108).contains(&n)),
                ),
                ("http_4xx_ratio", Some(0.021)),
                ("requests_per_s", Some(184.0 + wave * 20.0)),
                ("latency_p50_ms", Some(11.0 + wave * 2.0)),
                ("latency_p95_ms", Some(38.0 + wave * 9.0 * late)),
                ("latency_p99_ms", Some(74.0 + wave * 22.0 * late)),
                ("pool_active", Some((9.0 + wave * 5.0).round())),
                ("pool_idle", Some((31.0 - wave * 5.0).round())),
                ("pool_waiting", Some(0.0)),
                ("pool_max", Some(60.0)),
                ("pool_used_ratio", Some(0.2 + wave * 0.05)),
                ("pg_active", Some(8.0)),
                ("pg_idle", Some(33.0)),
                ("pg_waiting", Some(0.0)),
                ("pg_max", Some(100.0)),
                ("pg_idle_in_transaction", Some(0.0)),
                ("synthetic_failed_ratio", Some(0.0)),
                ("synthetic_read_ms", Some(14.2)),
            ];
            for (signal, value) in values {
                samples.push(Reading {
                    signal: signal.to_owned(),
                    at_ms,
                    value,
                });
            }
        }
        samples
    }
}

fn wall(at_ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000, 0).expect("a time") + TimeDelta::milliseconds(at_ms)
}

fn recorded(seq: u64, at_ms: i64, event: Event) -> Recorded {
    Recorded {
        seq,
        at_ms,
        wall: wall(at_ms),
        event,
    }
}

/// How long a step lasts in a story.
fn lasts(step: &str) -> i64 {
    match step {
        "P3" => 5 * MINUTE,
        "A2" | "C1" => 12_000,
        "D2" => 94_000,
        "F2" => 48_000,
        "G1" => 60 * MINUTE,
        "G2" => 10 * MINUTE,
        _ => 3_000,
    }
}

fn outcome(step: &str) -> Outcome {
    match step {
        "P1" => Outcome::done("announced in the chat and in the journal"),
        "P3" => {
            let baseline = [("http_5xx_ratio", 0.0012), ("latency_p95_ms", 41.0)];
            let baseline = baseline.map(|(signal, value)| (signal.to_owned(), value));
            Outcome::done("5xx 0.12 %, p95 41 ms, 6 of 6 ready over 5:00")
                .with_fact(Baseline(baseline.into()))
        }
        "A1" => Outcome::done("maintenance is on; nothing was written for 5 s; fence raised"),
        "A2" => Outcome::done("412 350 rows, 96 MB, sha256 9f86d081884c"),
        "A3" => Outcome::done("second copy read back, sha256 equal"),
        "A4" => Outcome::done("both copies open; 2 queries agree"),
        "D1" => Outcome::done("as it should be")
            .with_fact(Order(TABLES.map(|(table, _)| table.to_owned()).into())),
        "D2" => Outcome::done("412 350 rows in 6 tables, 4.4k rows/s")
            .with_fact(Imported(
                TABLES.map(|(table, rows)| (table.to_owned(), rows)).into(),
            ))
            .with_fact(Policies(
                [
                    ("ToolContents.CreatedAt: assume UTC".to_owned(), 118),
                    ("ToolSteps.Text: strip NUL".to_owned(), 3),
                ]
                .into(),
            )),
        "E4" => Outcome::done("counts, samples and smoke are green"),
        "F2" => Outcome::done("canary and 5 more are ready on PostgreSQL"),
        _ => Outcome::done("as it should be"),
    }
}
