//! Fleets whose instances come, go, move and change their names, by chance: T1a and T1b against a model of its own, at every sample. A fleet
//! is its seed.

mod model;
mod world;

use std::sync::LazyLock;

use cutover::monitor::readiness::{Looked, Seen, readings};
use cutover::runbook::discovery::Member;
use cutover::runbook::{Instance, Runbook};
use cutover::session::charter::InstanceLine;
use cutover::session::membership::{Answer, Change, Roster, Slot, Stand, Whereabouts};
use cutover::session::{Charter, Event, Recorded, Session, TriggerPhase, Undo};
use cutover::trigger::{Cadence, Judge, Reading, Sample};
use model::Model;
use rand::Rng;
use world::{Process, World};

const FLEETS: u64 = 100;
const SAMPLES: i64 = 240;
const EVERY_MS: i64 = 5_000;
const FULL_MS: i64 = 5 * 60 * 1_000;

/// The rules under test: the session's roster, the probe's readings, the judge.
struct Rules {
    session: Session,
    judge: Judge,
    cadence: Cadence,
    opening: Vec<Instance>,
}

impl Rules {
    fn begin(opening: Vec<Instance>) -> Rules {
        static RUNBOOK: LazyLock<Runbook> = LazyLock::new(super::reference);
        static CHARTER: LazyLock<Charter> = LazyLock::new(super::charter);
        let mut charter = CHARTER.clone();
        let line = |instance: &Instance| InstanceLine {
            id: instance.id.clone(),
            canary: instance.canary,
        };
        charter.instances = opening.iter().map(line).collect();
        charter.triggers.retain(|t| t.id == "T1a" || t.id == "T1b");
        let cadence = Cadence::of(&RUNBOOK, 1.0);
        let judge = Judge::new(&charter, cadence.clone(), None);
        let charter = Box::new(charter);
        let opened = recorded(1, 0, Event::SessionOpened { charter });
        let mut rules = Rules {
            session: Session::open(&opened).expect("a session"),
            judge,
            cadence,
            opening,
        };
        let step = "F2".to_owned();
        rules.happens(
            0,
            Event::StepStarted {
                step,
                attempt: 1,
                by: None,
            },
        );
        rules
    }

    fn happens(&mut self, at_ms: i64, event: Event) {
        let recorded = recorded(self.session.seq + 1, at_ms, event);
        self.session.apply(&recorded);
        self.judge.apply(&recorded);
    }

    fn told(&mut self, said: &[Process], wanted: Option<usize>, at_ms: i64) {
        let member = |process: &Process| Member {
            name: process.name.clone(),
            url: process.url.clone(),
            host: String::new(),
            revision: process.revision.map(str::to_owned),
            started_unix_s: None,
        };
        let answer = Answer {
            members: said.iter().map(member).collect(),
            wanted,
            opening: self.opening.clone(),
        };
        let changes = self.session.roster.changes_by(&answer, at_ms);
        if !changes.is_empty() {
            self.happens(at_ms, Event::MembershipChanged { changes });
        }
        let roster = &self.session.roster;
        if roster.slots.iter().all(|s| s.restarted_unix_s.is_none()) {
            let again = roster.changes_by(&answer, at_ms);
            assert!(again.is_empty(), "the same answer changes {again:?}");
        }
    }

    /// Another engine takes up.
    fn taken_up(&mut self) {
        let memory = Some(self.judge.memory());
        let judge = Judge::new(&self.session.charter, self.cadence.clone(), memory);
        self.judge = judge.among(&self.session.roster);
    }

    fn sampled(&mut self, world: &World, at: i64, at_ms: i64) -> Option<f64> {
        let stands = self.session.roster.stands(&self.opening);
        let look = |stand: &Stand| Looked {
            id: stand.instance.id.clone(),
            seen: match stand.whereabouts {
                Whereabouts::Known if world.is_ready(&stand.instance.url, at) => Seen::Ready,
                Whereabouts::Known | Whereabouts::TakenOver => Seen::Failed("refused".to_owned()),
                Whereabouts::Unfilled => Seen::Unfilled,
            },
            in_grace: false,
        };
        let fleet: Vec<Looked> = stands.iter().map(look).collect();
        let mut ratio = None;
        for (signal, reading) in readings(&fleet) {
            if signal == "unready_ratio" {
                ratio = reading.number();
            }
            let sample = Sample::new(signal, at_ms, reading);
            self.judge.observe(&sample, &self.session);
        }
        ratio
    }
}

fn recorded(seq: u64, at_ms: i64, event: Event) -> Recorded {
    Recorded {
        seq,
        at_ms,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    }
}

fn instance(process: &Process, canary: bool) -> Instance {
    Instance {
        id: process.name.clone(),
        url: process.url.clone(),
        host: String::new(),
        canary,
        called: None,
    }
}

/// What came about in a fleet, so that a change of the rules cannot empty this test unnoticed.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    fired: usize,
    filled: usize,
    joined: usize,
    retired: usize,
    renewed: usize,
}

fn play(seed: u64) -> Told {
    let mut world = World::begin(seed);
    let processes = world.alive.iter().enumerate();
    let opening: Vec<Instance> = processes.map(|(n, p)| instance(p, n == 0)).collect();
    let canary = opening[0].id.clone();
    let mut model = Model::begin(&opening);
    let mut rules = Rules::begin(opening);
    let restarts_at = world.says_revision.then(|| world.rng.random_range(20..60));
    for at in 1..=SAMPLES {
        let now_ms = at * EVERY_MS;
        world.churn(at);
        if restarts_at == Some(at) {
            let instance = canary.clone();
            let (step, undo) = ("F2".to_owned(), Undo::Restart { instance });
            rules.happens(now_ms - 1_000, Event::UndoRecorded { step, undo });
            let place = &mut model.places[0];
            place.restarted = true;
            let was_bad = place.bad_since.is_some();
            place.bad_since = was_bad.then_some(now_ms - 1_000);
            // Whoever was there ends, and its successor comes before or after that.
            let before = place.who.clone().map(|(name, _)| name);
            let ends_at = at + world.rng.random_range(1..5);
            let mut alive = world.alive.iter_mut();
            if let Some(old) = alive.find(|p| Some(&p.name) == before.as_ref()) {
                old.ends_at = ends_at;
            }
            world.canary_comes_at = Some(at + world.rng.random_range(1..7));
        }
        if let Some(said) = world.answer() {
            let wanted = world.says_wanted.then_some(world.wanted);
            model.told(&said, wanted, now_ms);
            rules.told(&said, wanted, now_ms);
        }
        if world.chance(10) {
            rules.taken_up();
        }
        let expected = model.sampled(&world, at, now_ms);
        let ratio = rules.sampled(&world, at, now_ms);
        assert_eq!(ratio, Some(expected), "seed {seed}, sample {at}: T1b");
        agree(&model, &rules, now_ms, &format!("seed {seed}, sample {at}"));
    }
    told(&model, &rules)
}

/// T1a of every place stands as the model has it.
fn agree(model: &Model, rules: &Rules, now_ms: i64, when: &str) {
    let views = rules.judge.views(&rules.session, now_ms);
    for place in model.places.iter().filter(|p| !p.ended) {
        let id = format!("T1a.{}", place.id);
        let view = views.iter().find(|view| view.id == id);
        let view = view.unwrap_or_else(|| panic!("{when}: {id} is not judged"));
        let has_fired = view.phase == TriggerPhase::Fired;
        assert_eq!(has_fired, place.has_fired, "{when}: {id} {view:?}");
        // Once it has fired, its streak says no more.
        let streak_ms = place.bad_since.map_or(0, |since_ms| now_ms - since_ms);
        if !has_fired {
            assert_eq!(view.streak_ms, streak_ms, "{when}: {id} {view:?}");
        }
    }
    let armed = views
        .iter()
        .filter(|v| v.armed && v.id.starts_with("T1a."))
        .count();
    assert_eq!(armed, model.standing(), "{when}: places that are judged");
}

fn told(model: &Model, rules: &Rules) -> Told {
    let slots = &rules.session.roster.slots;
    let is_canary_renewed = |slot: &&Slot| {
        let revision = slot.member.as_ref().and_then(|m| m.revision.as_deref());
        slot.restarted_unix_s.is_some() && revision == Some("v2")
    };
    Told {
        fired: model.places.iter().filter(|p| p.has_fired).count(),
        filled: slots.iter().filter(|s| s.member.is_some()).count(),
        joined: slots.iter().filter(|s| s.joined_ms.is_some()).count(),
        retired: slots.iter().filter(|s| s.is_retired).count(),
        renewed: slots.iter().filter(is_canary_renewed).count(),
    }
}

#[test]
fn fleets_that_change_are_judged_exactly() {
    let mut all = Told::default();
    for seed in 0..FLEETS {
        let told = play(seed);
        all.fired += told.fired;
        all.filled += told.filled;
        all.joined += told.joined;
        all.retired += told.retired;
        all.renewed += told.renewed;
    }
    println!("{all:?}");
    let least = [all.fired, all.filled, all.joined, all.retired, all.renewed];
    assert!(least.iter().all(|count| *count > 0), "{all:?}");
}

fn member(name: &str, port: u16) -> Member {
    Member {
        name: name.to_owned(),
        url: format!("http://10.0.0.1:{port}"),
        host: "10.0.0.1".to_owned(),
        revision: None,
        started_unix_s: None,
    }
}

/// Two instances, `a` at 1 and `b` at 2.
fn pair() -> (Roster, Vec<Instance>) {
    let line = |id: &str| InstanceLine {
        id: id.to_owned(),
        canary: id == "a",
    };
    let opening = [("a", 1), ("b", 2)].map(|(name, port)| {
        let Member {
            name, url, host, ..
        } = member(name, port);
        Instance {
            canary: name == "a",
            id: name,
            url,
            host,
            called: None,
        }
    });
    (Roster::of(&[line("a"), line("b")]), opening.to_vec())
}

/// What an answer changes, in words.
fn changes(roster: &mut Roster, opening: &[Instance], members: &[Member], at_ms: i64) -> String {
    let answer = Answer {
        members: members.to_vec(),
        wanted: None,
        opening: opening.to_vec(),
    };
    let changes = roster.changes_by(&answer, at_ms);
    changes
        .iter()
        .for_each(|change| roster.apply(change, at_ms));
    changes
        .iter()
        .map(Change::words)
        .collect::<Vec<_>>()
        .join("; ")
}

#[test]
fn a_replacement_goes_by_the_slot_and_by_its_own_name() {
    let (mut roster, opening) = pair();
    let both = [member("a", 1), member("b", 2)];
    assert_eq!(changes(&mut roster, &opening, &both, 1), "");
    assert!(roster.is_unchanged());
    // Two names for one slot for a moment.
    let three = [member("a", 1), member("b", 2), member("c", 3)];
    assert_eq!(
        changes(&mut roster, &opening, &three, 2),
        "c at http://10.0.0.1:3 is there beside the instances that should be"
    );
    assert_eq!(roster.stands(&opening).len(), 2);
    let after = [member("a", 1), member("c", 3)];
    assert_eq!(
        changes(&mut roster, &opening, &after, 3),
        "b is missing: no answer names its instance any more; b is c at http://10.0.0.1:3 now"
    );
    let instances = roster.instances(&opening);
    let second = (&*instances[1].id, instances[1].name(), &*instances[1].url);
    assert_eq!(second, ("b", "c", "http://10.0.0.1:3"));
    assert!(roster.strangers.is_empty());
}

#[test]
fn who_answers_at_the_address_of_one_that_is_gone_is_not_it() {
    let (mut roster, opening) = pair();
    changes(&mut roster, &opening, &[member("b", 1)], 1);
    let whereabouts: Vec<_> = roster
        .stands(&opening)
        .iter()
        .map(|s| s.whereabouts)
        .collect();
    assert_eq!(whereabouts, [Whereabouts::TakenOver, Whereabouts::Known]);
}

#[test]
fn a_restarted_canary_is_recognised_by_when_it_began() {
    let (mut roster, opening) = pair();
    roster.restarted("a", 1_000);
    let began = |name: &str, port, unix_s| Member {
        started_unix_s: Some(unix_s),
        ..member(name, port)
    };
    // `b` has been gone for longer, but who comes is not for it.
    changes(&mut roster, &opening, &[began("a", 1, 10)], 1);
    let both = [began("a", 1, 10), began("c", 3, 1_002)];
    assert_eq!(
        changes(&mut roster, &opening, &both, 2),
        "c at http://10.0.0.1:3 is there beside the instances that should be"
    );
    let after = [began("c", 3, 1_002), began("d", 4, 500)];
    assert_eq!(
        changes(&mut roster, &opening, &after, 3),
        "a is missing: no answer names its instance any more; a is c at http://10.0.0.1:3 now; b is d at http://10.0.0.1:4 now"
    );
}

#[test]
fn nobody_who_could_not_be_asked_makes_the_share_smaller() {
    let looked = |id: &str, seen| Looked {
        id: id.to_owned(),
        seen,
        in_grace: false,
    };
    let fleet = [
        looked("a", Seen::Ready),
        looked("b", Seen::Failed("refused".to_owned())),
        looked("c", Seen::Unasked("no room".to_owned())),
        looked("slot-4", Seen::Unfilled),
    ];
    let all = readings(&fleet);
    let (_, ratio) = all.last().expect("the share");
    let Reading::Partial { value, reason, .. } = ratio else {
        panic!("{ratio:?}");
    };
    assert_eq!((*value, reason.as_str()), (0.5, "could not ask c"));
    let (name, unfilled) = &all[3];
    assert_eq!(name, "ready.slot-4");
    assert!(matches!(unfilled, Reading::NoData { .. }), "{unfilled:?}");
}
