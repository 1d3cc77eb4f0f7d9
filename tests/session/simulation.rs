//! Whole nights by chance: people, outcomes, time and crashes in any order, and what must hold whatever happens. A night is its seed.

use std::collections::BTreeSet;

use cutover::runbook::Role;
use cutover::session::due::{check_triggers, step_ended};
use cutover::session::{
    Check, Command, Event, Found, LineKind, Outcome, Phase, StepStatus, decide,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::language::{Bridge, rehearsal};

const PEOPLE: [&str; 4] = ["robin", "ada", "dan", "quinn"];
/// Moments in a night.
const MOMENTS: usize = 500;

/// How nights ended.
#[derive(Debug, Default)]
pub struct Ends {
    pub completed: u32,
    pub rolled_back: u32,
    pub no_go: u32,
}

impl Ends {
    pub fn count(&mut self, end: End) {
        match end {
            End::Completed => self.completed += 1,
            End::RolledBack => self.rolled_back += 1,
            End::NoGo => self.no_go += 1,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub enum End {
    Completed,
    RolledBack,
    NoGo,
}

/// How much goes wrong in a night.
struct Luck {
    fault: f64,
    crash: f64,
    meddling: f64,
}

/// Plays a night to its end.
pub fn night(seed: u64) -> End {
    let mut rng = StdRng::seed_from_u64(seed);
    let luck = match seed % 3 {
        0 => Luck {
            fault: 0.0,
            crash: 0.05,
            meddling: 0.0,
        },
        1 => Luck {
            fault: 0.02,
            crash: 0.03,
            meddling: 0.005,
        },
        _ => Luck {
            fault: 0.15,
            crash: 0.1,
            meddling: 0.05,
        },
    };
    let mut night = Night {
        bridge: Bridge::open(),
        rng: &mut rng,
        luck,
    };
    for _ in 0..MOMENTS {
        if matches!(
            night.bridge.session.phase,
            Phase::RolledBack | Phase::Completed
        ) {
            break;
        }
        night.moment();
        night.settle();
    }
    night.end()
}

struct Night<'r> {
    bridge: Bridge,
    rng: &'r mut StdRng,
    luck: Luck,
}

impl Night<'_> {
    fn chance(&mut self, p: f64) -> bool {
        self.rng.random_bool(p)
    }

    fn append(&mut self, events: &[Event]) {
        for event in events {
            self.check_before(event);
            self.bridge.append(event.clone());
            self.check_state();
        }
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let events = cutover::session::due::due(&self.bridge.session, self.bridge.now_ms);
            if events.is_empty() {
                return;
            }
            self.append(&events);
        }
        panic!("what is due never ends");
    }

    fn moment(&mut self) {
        self.bridge.now_ms += self.rng.random_range(0..20_000);
        if self.bridge.session.phase == Phase::RollingBack {
            return self.rollback_goes_on();
        }
        if self.bridge.session.rehearsal.is_none() {
            let rehearsal = rehearsal(&self.bridge.session);
            self.append(&[Event::RehearsalRecorded { rehearsal }]);
        }
        if self.chance(self.luck.crash) {
            self.crash();
        } else if self.chance(self.luck.meddling) {
            self.meddle();
        } else if self.chance(0.5) {
            self.step_goes_on();
        } else {
            self.somebody_acts();
        }
    }

    /// The engine dies; the next one takes up what it left.
    fn crash(&mut self) {
        self.bridge.assert_replays();
        let session = &self.bridge.session;
        let lines = session.charter.steps.iter().zip(&session.steps);
        let lost: Vec<Event> = lines
            .filter(|(line, s)| {
                matches!(s.status, StepStatus::Running | StepStatus::Unknown)
                    && !matches!(line.kind, LineKind::Confirm(_))
            })
            .map(|(line, s)| Event::StepLost {
                step: line.id.clone(),
                attempt: s.attempt,
            })
            .collect();
        self.append(&lost);
    }

    fn meddle(&mut self) {
        let session = &self.bridge.session;
        let frozen = session.freeze().is_some() && session.switched_ms().is_none();
        let event = match self.rng.random_range(0..3) {
            0 if frozen => Event::DriftFound {
                detail: "somebody wrote".into(),
            },
            1 if session.switched_ms().is_some() => Event::TriggerFired {
                trigger: "T3b".into(),
                reason: "5xx at 3 %".into(),
            },
            _ => {
                let mut rehearsal = rehearsal(session);
                rehearsal.head = self.rng.random_range(0..1_000).to_string();
                Event::RehearsalRecorded { rehearsal }
            }
        };
        self.append(&[event]);
    }

    fn step_goes_on(&mut self) {
        let Some(state) = self.bridge.session.current_step() else {
            return;
        };
        let (id, status) = (state.id.clone(), state.status);
        let line = self
            .bridge
            .session
            .charter
            .steps
            .iter()
            .find(|l| l.id == id);
        if matches!(line.map(|l| &l.kind), Some(LineKind::Confirm(_))) {
            return;
        }
        let outcome = self.outcome();
        let events = if status == StepStatus::Unknown {
            self.found(id, outcome)
        } else {
            step_ended(&self.bridge.session, &id, outcome)
        };
        self.append(&events);
    }

    fn outcome(&mut self) -> Outcome {
        if !self.chance(self.luck.fault) {
            return Outcome::done(format!("fine {}", self.rng.random_range(0..1_000)));
        }
        let checks = ["migration_exit", "row_counts", "slugs", "verification"];
        let check = *checks.choose(self.rng).expect("some");
        match self.rng.random_range(0..3) {
            0 => Outcome::failed("connection lost").passing(),
            1 => Outcome::failed("disk full"),
            _ => Outcome::done("red").with_check(Check::new(check, false, "differs")),
        }
    }

    fn found(&mut self, step: String, outcome: Outcome) -> Vec<Event> {
        let found = match self.rng.random_range(0..3) {
            0 => Found::Done {
                outcome: outcome.clone(),
            },
            1 => Found::RunAgain {
                detail: "nothing was done".into(),
            },
            _ => Found::AskPerson {
                detail: "cannot tell".into(),
            },
        };
        let judged = match &found {
            Found::Done { outcome } => check_triggers(&self.bridge.session, outcome),
            _ => Vec::new(),
        };
        [
            vec![Event::StepFoundOut {
                step,
                found,
                by: None,
            }],
            judged,
        ]
        .concat()
    }

    fn somebody_acts(&mut self) {
        if self.chance(0.6) {
            return self.somebody_helps();
        }
        let who = *PEOPLE.choose(self.rng).expect("some");
        let command = self.command();
        let actor = self.bridge.actor(who);
        if let Ok(events) = decide(&self.bridge.session, &actor, &command) {
            self.append(&events);
        }
    }

    /// What brings the night on: a signature that is missing, the next step, the end.
    fn somebody_helps(&mut self) {
        let views = self.bridge.session.gates();
        let open = views.iter().filter(|v| v.evidence_is_green());
        let missing: Vec<(String, Role)> = open
            .flat_map(|v| v.missing_roles().into_iter().map(|r| (v.id.clone(), r)))
            .collect();
        let (who, command) = match missing.choose(self.rng) {
            Some((gate, role)) => {
                let (gate, role) = (gate.clone(), *role);
                (
                    role.key(),
                    Command::Sign {
                        gate,
                        role: Some(role),
                        note: None,
                        proof: None,
                    },
                )
            }
            None if self.bridge.session.held.is_some() => ("robin", Command::Resume),
            None if self.bridge.session.next_step().is_none() => ("robin", Command::Complete),
            None => ("robin", Command::StartStep { step: None }),
        };
        let actor = self.bridge.actor(who);
        if let Ok(events) = decide(&self.bridge.session, &actor, &command) {
            self.append(&events);
        }
    }

    fn command(&mut self) -> Command {
        let session = &self.bridge.session;
        let gates: Vec<String> = session.charter.gates.iter().map(|g| g.id.clone()).collect();
        let unknown = session
            .current_step()
            .map(|s| s.id.clone())
            .unwrap_or_else(|| "D2".into());
        let gate = gates.choose(self.rng).expect("some").clone();
        let role = self
            .chance(0.3)
            .then(|| *Role::ALL.choose(self.rng).expect("some"));
        let reason = || "because".to_owned();
        let rare = self.chance(self.luck.meddling);
        match self.rng.random_range(0..20) {
            0..=5 => Command::StartStep { step: None },
            6..=12 => Command::Sign {
                gate,
                role,
                note: None,
                proof: None,
            },
            13..=15 => Command::Confirm { step: None },
            16 => Command::Resume,
            17 => Command::DecideUnknown {
                step: unknown,
                done: self.chance(0.5),
                reason: reason(),
            },
            18 if rare => Command::RollBack {
                reason: reason(),
                confirm: Some("tonight".into()),
            },
            18 => Command::Complete,
            _ if rare => Command::Withdraw { gate, role },
            _ if self.chance(0.1) => Command::Hold { reason: reason() },
            _ if self.chance(0.3) => Command::ExtendFreeze { by_ms: 600_000 },
            _ => Command::Skip {
                step: unknown,
                reason: reason(),
            },
        }
    }

    fn rollback_goes_on(&mut self) {
        if self.chance(self.luck.crash) {
            // The next engine goes on with the row that ran.
            let rows = self.bridge.session.rollback.iter().flat_map(|r| &r.rows);
            let running = rows.filter(|s| s.status == StepStatus::Running);
            let again: Vec<Event> = running
                .map(|s| Event::RollbackRowStarted { row: s.id.clone() })
                .collect();
            return self.append(&again);
        }
        let rollback = self.bridge.session.rollback.as_ref().expect("it runs");
        let running = rollback
            .rows
            .iter()
            .find(|s| s.status == StepStatus::Running);
        if let Some(row) = running.map(|s| s.id.clone()) {
            let outcome = if self.chance(self.luck.fault) {
                Outcome::failed("no")
            } else {
                Outcome::done("yes")
            };
            self.append(&[Event::RollbackRowFinished { row, outcome }]);
        }
        self.somebody_acts();
    }

    /// The night is played to an end: everything goes well, or somebody rolls back.
    fn end(mut self) -> End {
        self.luck = Luck {
            fault: 0.0,
            crash: 0.0,
            meddling: 0.0,
        };
        if self.bridge.session.phase == Phase::Open {
            let robin = self.bridge.actor("robin");
            let confirm = Some("tonight".to_owned());
            let command = Command::RollBack {
                reason: "the night is over".into(),
                confirm,
            };
            let events = decide(&self.bridge.session, &robin, &command)
                .expect("a rollback is always possible");
            self.append(&events);
            self.settle();
        }
        for _ in 0..200 {
            if self.bridge.session.phase != Phase::RollingBack {
                break;
            }
            self.moment();
            self.settle();
        }
        let session = &self.bridge.session;
        assert_ne!(session.phase, Phase::RollingBack, "a rollback always ends");
        self.bridge.assert_replays();
        match session.phase {
            Phase::Completed => End::Completed,
            _ if session.is_no_go() => End::NoGo,
            _ => End::RolledBack,
        }
    }

    /// What must hold when an event is about to happen.
    fn check_before(&self, event: &Event) {
        let session = &self.bridge.session;
        let over = matches!(session.phase, Phase::RolledBack | Phase::Completed);
        assert!(
            !over || matches!(event, Event::NoteWritten { .. }),
            "{event:?} after the end"
        );
        let Event::StepStarted { step, .. } = event else {
            return;
        };
        assert!(
            session.fired.is_none(),
            "{step} starts although a trigger has fired"
        );
        assert_eq!(session.phase, Phase::Open, "{step} starts in a rollback");
        assert!(
            session.held.is_none(),
            "{step} starts although the session is held"
        );
        let index = session
            .charter
            .step_index(step)
            .expect("a step of the charter");
        let earlier = &session.steps[..index];
        assert!(
            earlier.iter().all(|s| s.is_over()),
            "{step} starts before its turn"
        );
        assert!(
            session.gates_in_the_way(index).is_empty(),
            "{step} starts over an open gate"
        );
        if session.charter.steps[index].kind == LineKind::Switch {
            assert!(
                session.gates().iter().all(|g| g.green),
                "the switch starts without a go"
            );
        }
    }

    /// What must hold after every event.
    fn check_state(&self) {
        let session = &self.bridge.session;
        let busy = |s: &&cutover::session::StepState| {
            matches!(s.status, StepStatus::Running | StepStatus::Unknown)
        };
        assert!(
            session.steps.iter().filter(busy).count() <= 1,
            "two steps at once"
        );
        for view in session.gates() {
            let signers: Vec<_> = view
                .signers
                .iter()
                .filter_map(|(_, s)| s.as_ref())
                .collect();
            let people: BTreeSet<&str> = signers.iter().map(|s| s.by.as_str()).collect();
            assert_eq!(
                people.len(),
                signers.len(),
                "one person, two signatures on {}",
                view.id
            );
        }
        if session.phase == Phase::Completed {
            assert!(
                session.steps.iter().all(|s| s.is_over()),
                "completed with something undone"
            );
            assert!(session.fired.is_none() && session.rollback.is_none());
        }
        if let Some(rollback) = &session.rollback {
            assert!(
                rollback
                    .restored_ms
                    .is_none_or(|ms| ms >= rollback.started_ms)
            );
        }
    }
}
