//! What steps and rows of the rollback do to the world, as lists of small acts; between any two of them an engine may die. The order of
//! record and effect is that of the real steps.
//!
//! Not in here: what the acts come to (`tasks`).

use std::collections::VecDeque;

use cutover::engine::outside::Job;
use cutover::session::facts::Baseline;
use cutover::session::{Check, Found, Outcome, Session, Undo};
use tokio::sync::oneshot;

use super::script::Mishap;
use super::world::{FLEET, Side, World};

/// Work under way.
pub struct Task {
    pub engine: u32,
    pub run: u64,
    pub row: String,
    pub attempt: u32,
    pub kind: Kind,
    pub acts: VecDeque<Act>,
    pub next_ms: i64,
    pub began_ms: i64,
    pub cancelled_ms: Option<i64>,
    /// For so long it does not hear that it was cancelled.
    pub deaf_ms: i64,
    pub after: Vec<u64>,
    pub waits: Option<oneshot::Receiver<()>>,
    /// The answer is replaced by that it got lost.
    pub loses_answer: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Step,
    FindOut,
    Row,
}

/// One thing that a step does.
#[derive(Debug, Clone)]
pub enum Act {
    Wait(i64),
    Undo(Undo),
    Maintenance(bool),
    RaiseFence,
    ReleaseFence,
    Backup,
    Schema,
    Import,
    Compare,
    Configure(usize, Side),
    Restart(usize),
    /// F2 goes on once it is ready.
    Ready(usize),
    LookForDrift,
    /// G2: the checklist has been green for so long.
    Green(i64),
    /// R3: every instance that was restarted, or serves from PostgreSQL.
    BringBack,
    Validate,
    /// R1+: nothing is written to PostgreSQL any more.
    FenceTarget,
    /// R2+: what PostgreSQL alone has comes into SQLite.
    BringRows,
    Salvage,
    People,
    Fails(Outcome),
    Ends(Outcome),
    Finds(Found),
}

/// How an instance's configuration goes on record.
pub fn config_undo(n: usize) -> Undo {
    Undo::Config {
        instance: FLEET[n].to_owned(),
        path: format!("/{}.env", FLEET[n]).into(),
        former_sha256: "former".to_owned(),
        written_sha256: "written".to_owned(),
    }
}

pub fn restart_undo(n: usize) -> Undo {
    Undo::Restart {
        instance: FLEET[n].to_owned(),
    }
}

impl Task {
    /// Work as an engine asks for it.
    pub fn new(
        world: &mut World,
        session: &Session,
        engine: u32,
        run: u64,
        job: Job<'_>,
        after: &[u64],
    ) -> Task {
        let (kind, row, attempt) = match job {
            Job::Step { step, attempt } => (Kind::Step, step, attempt),
            Job::FindOut { step, attempt } => (Kind::FindOut, step, attempt),
            Job::Row { row } => (Kind::Row, row, 1),
        };
        let mishap = match kind {
            Kind::Step if row != "P2" => world.faults.next.take(),
            Kind::Step | Kind::FindOut | Kind::Row => None,
        };
        let acts = match kind {
            Kind::Step => step(world, session, row),
            Kind::FindOut => finds(world, row, run),
            Kind::Row => rollback(world, session, row),
        };
        let mut task = Task {
            engine,
            run,
            row: row.to_owned(),
            attempt,
            kind,
            acts: acts.into(),
            next_ms: world.now_ms,
            began_ms: world.now_ms,
            cancelled_ms: None,
            // Nobody cancels the look at what a step had done.
            deaf_ms: if kind == Kind::FindOut { 60_000 } else { 0 },
            after: after.to_vec(),
            waits: None,
            loses_answer: false,
        };
        if let Some(mishap) = mishap {
            task.meets(mishap);
        }
        task
    }

    fn meets(&mut self, mishap: Mishap) {
        let fail = |outcome| Act::Fails(outcome);
        match mishap {
            Mishap::Passing => {
                let outcome = Outcome::failed("connection lost").passing();
                self.acts.insert(1.min(self.acts.len()), fail(outcome));
            }
            Mishap::Fails => {
                let at = self.acts.len() / 2;
                self.acts.insert(at, fail(Outcome::failed("no such thing")));
            }
            Mishap::Red => {
                let red = Outcome::done("red").with_check(Check::new(
                    checked(&self.row),
                    false,
                    "it differs",
                ));
                let at = self.acts.len().saturating_sub(1);
                self.acts.insert(at, fail(red));
            }
            Mishap::LostAnswer => self.loses_answer = true,
            Mishap::Deaf => {
                self.deaf_ms = 9_000;
                self.acts.insert(1.min(self.acts.len()), Act::Wait(6_000));
            }
            Mishap::Slow => self.acts.insert(1.min(self.acts.len()), Act::Wait(3_000)),
        }
    }
}

/// What a step's red check is called.
fn checked(row: &str) -> &'static str {
    match row {
        "C1" => "migration_exit",
        "C2" => "schema",
        "E1" => "row_counts",
        "E2" => "slugs",
        "V1" | "V2" | "V3" | "V4" | "V5" | "F4" => "verification",
        _ => "other",
    }
}

fn step(world: &mut World, session: &Session, row: &str) -> Vec<Act> {
    let took = 100 + world.roll(&format!("took {row}"), 500) as i64;
    let wait = Act::Wait(took);
    let done = |text: &str| Act::Ends(Outcome::done(text));
    match row {
        "P2" => vec![Act::People],
        "P3" => {
            let normal = [("http_5xx_ratio", 0.0005), ("latency_p95_ms", 50.0)];
            let normal = normal
                .map(|(signal, value)| (signal.to_owned(), value))
                .into();
            vec![
                wait,
                Act::Ends(Outcome::done("watched").with_fact(Baseline(normal))),
            ]
        }
        "A1" => vec![
            Act::Undo(Undo::Maintenance),
            Act::Undo(Undo::Fence),
            Act::Maintenance(true),
            wait,
            Act::RaiseFence,
            done("fence raised"),
        ],
        "A2" => vec![wait, Act::Backup, done("kept")],
        "C1" => vec![wait, Act::Schema, done("migrated")],
        "D2" => vec![wait, Act::Import, done("imported")],
        "E1" | "E2" => vec![wait, Act::Compare, done("the same")],
        "F1" => {
            let each = (0..FLEET.len()).flat_map(|n| {
                let already = session.config_undos().contains(&&config_undo(n))
                    && world.instances[n].config == Side::Postgres;
                match already {
                    true => Vec::new(),
                    false => vec![
                        Act::Undo(config_undo(n)),
                        Act::Configure(n, Side::Postgres),
                        Act::Wait(50),
                    ],
                }
            });
            let compare = [Act::Compare].into_iter();
            compare.chain(each).chain([done("switched")]).collect()
        }
        "F2" => {
            let opens = world.is_sabotaged(super::script::Sabotage::OpensEarly);
            let each = (0..FLEET.len()).flat_map(|n| {
                let known = session.undos.iter().any(|(_, u)| *u == restart_undo(n));
                let through = known && world.instances[n].serves == Side::Postgres;
                match through {
                    true => Vec::new(),
                    false => vec![Act::Undo(restart_undo(n)), Act::Restart(n), Act::Ready(n)],
                }
            });
            let first = opens.then_some([Act::ReleaseFence, Act::Maintenance(false)]);
            let first = first.into_iter().flatten();
            first.chain(each).chain([done("restarted")]).collect()
        }
        "F4" if session.written_after_switch.is_some() => {
            let written = session.written_after_switch.clone().unwrap_or_default();
            let red = Check::new("verification", false, written);
            vec![
                wait,
                Act::Fails(Outcome::failed("SQLite was written").with_check(red)),
            ]
        }
        "F4" => vec![
            wait,
            Act::LookForDrift,
            Act::Maintenance(false),
            done("open"),
        ],
        "G1" => vec![Act::Wait(4_000), done("watched")],
        "G2" => vec![Act::Green(1_500), done("green")],
        _ => vec![wait, done("fine")],
    }
}

/// What a step had done when an engine died, as it is looked for.
fn finds(world: &mut World, row: &str, run: u64) -> Vec<Act> {
    let took = 100 + world.roll(&format!("look {row} {run}"), 2_500) as i64;
    let again = Found::RunAgain {
        detail: "nothing was done".to_owned(),
    };
    let found = match (row, world.roll(&format!("found {row} {run}"), 5)) {
        ("C1", 0) => Found::AskPerson {
            detail: "cannot tell".to_owned(),
        },
        ("C1", 1) => Found::Done {
            outcome: Outcome::done("ended").with_check(Check::new(
                "migration_exit",
                false,
                "exit 1",
            )),
        },
        ("C1", _) if world.has_schema => Found::Done {
            outcome: Outcome::done("migrated"),
        },
        ("A3", 0..=2) => Found::Done {
            outcome: Outcome::done("a copy is there"),
        },
        _ => again,
    };
    vec![Act::Wait(took), Act::Finds(found)]
}

fn rollback(world: &mut World, session: &Session, row: &str) -> Vec<Act> {
    let wait = Act::Wait(30 + world.roll(&format!("took {row}"), 300) as i64);
    let done = |text: &str| Act::Ends(Outcome::done(text));
    match row {
        "R2" => {
            let configs = (0..FLEET.len()).filter(|n| {
                let undos = session.config_undos();
                undos.contains(&&config_undo(*n))
            });
            let back = configs.map(|n| Act::Configure(n, Side::Sqlite));
            [wait]
                .into_iter()
                .chain(back)
                .chain([done("as they were")])
                .collect()
        }
        "R1+" => vec![wait, Act::FenceTarget, done("fenced")],
        "R2+" => vec![wait, Act::BringRows, done("brought")],
        "R3" => vec![Act::ReleaseFence, wait, Act::BringBack, done("on SQLite")],
        "R4" => vec![wait, Act::Validate, done("healthy")],
        "R4+" => {
            let on_record = session.undos.iter().any(|(_, u)| *u == Undo::Maintenance);
            let lift = on_record.then_some(Act::Maintenance(false));
            let first = [wait, Act::ReleaseFence].into_iter();
            first.chain(lift).chain([done("writes are open")]).collect()
        }
        "R5" => vec![wait, Act::Salvage],
        _ => vec![wait, done("done")],
    }
}
