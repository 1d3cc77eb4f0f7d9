//! What the engine looks at beside steps and probes: maintenance at every instance, room on every disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cutover::engine::disks::Disks;
use cutover::engine::muster::Muster;
use cutover::engine::protocol::{Answer, Ask, Request};
use cutover::engine::upkeep::Lookout;
use cutover::engine::{Input, socket};
use cutover::journal::Folder;
use cutover::monitor::{Clock, Ground, Monitor};
use cutover::runbook::action::{Action, Effect};
use cutover::runbook::discovery::{Discovery, Prints};
use cutover::runbook::{Bound, Condition, Instance, Runbook, Trigger};
use cutover::session::maintenance::{SILENT_MS, Seen, Sight, Upkeep, has_to_be_on};
use cutover::session::membership::{self, Attention, Serves, Stand};
use cutover::session::room::{LEAST_BYTES, Look, Rooms, Spot, copy_bytes, needed_bytes, spots};
use cutover::session::{Command, Event, Outcome, Recorded, Session, Undo};
use tokio::sync::mpsc;

use crate::fleet::instance::Server;
use crate::support;

/// Whatever is waited for comes within this time, or the test fails.
const DEADLINE: Duration = Duration::from_secs(120);

/// A session to which things happen.
struct Night {
    session: Session,
    seq: u64,
}

impl Night {
    fn begin() -> Night {
        let opened = Event::SessionOpened {
            charter: Box::new(crate::session::charter()),
        };
        let session = Session::open(&recorded(1, opened)).expect("a session");
        Night { session, seq: 1 }
    }

    fn happen(&mut self, event: Event) {
        self.seq += 1;
        self.session.apply(&recorded(self.seq, event));
    }

    fn starts(&mut self, step: &str) {
        let (step, by) = (step.to_owned(), None);
        let attempt = 1;
        self.happen(Event::StepStarted { step, attempt, by });
    }

    fn ends(&mut self, step: &str) {
        self.happen(Event::StepFinished {
            step: step.to_owned(),
            attempt: 1,
            outcome: Outcome::done("done"),
        });
    }

    fn does(&mut self, step: &str) {
        self.starts(step);
        self.ends(step);
    }
}

fn recorded(seq: u64, event: Event) -> Recorded {
    Recorded {
        seq,
        at_ms: seq as i64,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    }
}

fn seen(place: &str, sight: Sight) -> Seen {
    Seen {
        place: place.to_owned(),
        sight,
        how: "as told".to_owned(),
    }
}

#[test]
fn maintenance_has_to_be_on_from_the_end_of_a1_until_f4_begins() {
    let mut night = Night::begin();
    assert!(!has_to_be_on(&night.session));
    night.starts("A1");
    assert!(!has_to_be_on(&night.session), "it is being switched on");
    night.ends("A1");
    assert!(has_to_be_on(&night.session));
    night.happen(Event::DriftFound {
        detail: "written".to_owned(),
    });
    assert!(!has_to_be_on(&night.session), "A1 switches it on again");
    night.does("A1");
    night.does("F1");
    night.does("F2");
    assert!(
        has_to_be_on(&night.session),
        "canary and fleet come up in it"
    );
    night.starts("F4");
    assert!(!has_to_be_on(&night.session), "it is being lifted");
    night.happen(Event::StepFinished {
        step: "F4".to_owned(),
        attempt: 1,
        outcome: Outcome::failed("half of it"),
    });
    assert!(!has_to_be_on(&night.session), "it may be lifted in part");
}

#[test]
fn each_instance_is_told_of_once_per_change_and_silence_is_not_known() {
    let mut night = Night::begin();
    let mut upkeep = Upkeep::default();
    let nobody = |_: &str| false;
    let mut told = |night: &Night, looks: &[Seen], at_ms| -> Vec<String> {
        let told = upkeep.observe(&night.session, looks, &nobody, at_ms);
        told.into_iter().map(|t| t.text).collect()
    };
    assert!(
        told(&night, &[seen("app-1", Sight::Off)], 0).is_empty(),
        "before A1"
    );
    night.does("A1");
    let both = |one, two| [seen("app-1", one), seen("app-2", two)];
    assert!(told(&night, &both(Sight::On, Sight::On), 1_000).is_empty());
    let off = told(&night, &both(Sight::On, Sight::Off), 2_000);
    assert_eq!(off.len(), 1);
    assert!(off[0].contains("app-2 is NOT in maintenance"), "{off:?}");
    assert!(off[0].contains("SQLite is fenced"), "{off:?}");
    assert!(
        told(&night, &both(Sight::On, Sight::Off), 3_000).is_empty(),
        "once"
    );
    let again = told(&night, &both(Sight::On, Sight::On), 4_000);
    assert!(
        again[0].contains("app-2 is in maintenance again"),
        "{again:?}"
    );
    // Silence is neither on nor off, and is said after a while.
    let silent = both(Sight::Unknown, Sight::On);
    assert!(told(&night, &silent, 5_000).is_empty());
    let unknown = told(&night, &silent, 5_000 + SILENT_MS);
    assert!(unknown[0].contains("whether app-1 is in maintenance is not known"));
    assert!(told(&night, &silent, 6_000 + SILENT_MS).is_empty(), "once");
    night.does("F1");
    let off = told(&night, &both(Sight::Off, Sight::On), 60_000);
    assert!(off[0].contains("serves from PostgreSQL"), "{off:?}");
    night.starts("F4");
    assert!(told(&night, &both(Sight::Off, Sight::Off), 61_000).is_empty());
}

/// F2 stops the instance; that it does not answer then is no news, and neither is that it takes its time to come up.
#[test]
fn an_instance_that_our_own_step_restarts_is_no_alarm() {
    let mut night = Night::begin();
    for step in ["A1", "F1"] {
        night.does(step);
    }
    night.starts("F2");
    let mut upkeep = Upkeep::default();
    let silent = [seen("app-1", Sight::Unknown)];
    let coming_up = |place: &str| place == "app-1";
    for at_ms in (0..60_000).step_by(1_000) {
        let told = upkeep.observe(&night.session, &silent, &coming_up, at_ms);
        assert!(told.is_empty(), "{told:?}");
    }
    // It has to be silent for a while after that, too.
    let nobody = |_: &str| false;
    assert!(
        upkeep
            .observe(&night.session, &silent, &nobody, 60_000)
            .is_empty()
    );
    let told = upkeep.observe(&night.session, &silent, &nobody, 60_000 + SILENT_MS);
    assert_eq!(told.len(), 1);
    // One that comes up and lets writes in is an alarm, whoever restarted it.
    let off = [seen("app-1", Sight::Off)];
    let told = upkeep.observe(&night.session, &off, &coming_up, 80_000);
    assert!(told[0].text.contains("NOT in maintenance") && !told[0].act.is_empty());
}

/// E3 of a rehearsal restarts the staging slot, and begins no start-up grace; the night's E3 restarts nobody.
#[test]
fn what_a_rehearsal_restarts_before_the_switch_is_no_alarm() {
    let alarms = |rehearsal: bool| {
        let mut night = Night::begin();
        night.session.charter.rehearsal = rehearsal;
        night.does("A1");
        night.starts("E3");
        night.happen(Event::UndoRecorded {
            step: "E3".to_owned(),
            undo: Undo::Restart {
                instance: "app-1".to_owned(),
            },
        });
        let mut upkeep = Upkeep::default();
        let nobody = |_: &str| false;
        let mut told = |night: &Night, at_ms: i64| {
            let silent = [seen("app-1", Sight::Unknown)];
            upkeep
                .observe(&night.session, &silent, &nobody, at_ms)
                .len()
        };
        let during: usize = (0..60_000)
            .step_by(1_000)
            .map(|at_ms| told(&night, at_ms))
            .sum();
        night.ends("E3");
        let at_its_end = told(&night, 60_000);
        (during, at_its_end, told(&night, 60_000 + SILENT_MS))
    };
    assert_eq!(alarms(true), (0, 0, 1));
    assert_eq!(alarms(false), (1, 0, 0));
}

/// A monitor that knows where the instances are, and asks nothing.
fn monitor(runbook: &Runbook) -> Arc<Monitor> {
    let mut runbook = runbook.clone();
    runbook.probes.clear();
    let ground = Ground {
        folder: std::env::temp_dir(),
        environment: Arc::default(),
    };
    let now: Clock = Arc::new(|| 0);
    let (samples, _) = mpsc::channel(1);
    let monitor = Monitor::start(Arc::new(runbook), ground, now, 1.0, samples);
    Arc::new(monitor)
}

/// The next look saw this. One to which an instance's answer was late tells nothing of it, and is followed by another.
async fn sees(received: &mut mpsc::UnboundedReceiver<Input>, wanted: &[Sight]) -> Vec<Seen> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let seen = match received.recv().await {
            Some(Input::Upkeep(seen)) => seen,
            other => panic!("{other:?}"),
        };
        let sights: Vec<Sight> = seen.iter().map(|s| s.sight).collect();
        let mut pairs = sights.iter().zip(wanted);
        let is_late = pairs.any(|(s, w)| *s == Sight::Unknown && *w != Sight::Unknown);
        if !is_late || Instant::now() > deadline {
            assert_eq!(sights, wanted);
            return seen;
        }
    }
}

#[tokio::test]
async fn every_instance_is_asked_by_its_page() {
    let mut servers = Vec::new();
    for n in 1..=2 {
        let server = Server::start(&format!("app-{n}")).await;
        server.text("/ready", 503, r#"{"maintenance":true}"#);
        servers.push(server);
    }
    let mut runbook = crate::session::reference();
    runbook.fleet.instances = servers.iter().map(|s| s.instance.clone()).collect();
    runbook
        .fleet
        .instances
        .push(crate::fleet::instance::absent("app-3"));
    let (inputs, mut received) = mpsc::unbounded_channel();
    let monitor = monitor(&runbook);
    let lookout = Lookout::begin(
        &Arc::new(runbook),
        "/".as_ref(),
        Arc::clone(&monitor),
        inputs,
    );
    lookout.heed(true);
    let first = sees(&mut received, &[Sight::On, Sight::On, Sight::Unknown]).await;
    assert_eq!(first[1].place, "app-2");
    servers[1].text("/ready", 200, r#"{"maintenance":false}"#);
    sees(&mut received, &[Sight::On, Sight::Off, Sight::Unknown]).await;
    // Where they are now.
    monitor.stand(vec![Stand::of(&Instance {
        id: "app-3".to_owned(),
        called: Some("app-1".to_owned()),
        ..servers[0].instance.clone()
    })]);
    let third = sees(&mut received, &[Sight::On]).await;
    assert_eq!(third[0].place, "app-3");
}

#[tokio::test]
async fn without_a_page_the_file_that_switches_maintenance_tells() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string("runbook.yaml").expect("the reference runbook");
    let switch = folder.path().join("maintenance");
    let mut runbook = crate::session::reference();
    runbook.fleet.maintenance = None;
    for step in &mut runbook.steps {
        if let cutover::runbook::StepKind::Freeze { on, .. } = &mut step.kind
            && let Effect::WriteFile { path, .. } = &mut on.effect
        {
            path.clone_from(&switch);
        }
    }
    assert!(text.contains("on:  { write_file:"));
    std::fs::write(&switch, "on").expect("written");
    let (inputs, mut received) = mpsc::unbounded_channel();
    let monitor = monitor(&runbook);
    let lookout = Lookout::begin(&Arc::new(runbook), folder.path(), monitor, inputs);
    lookout.heed(true);
    sees(&mut received, &[Sight::On]).await;
    std::fs::remove_file(&switch).expect("removed");
    let seen = sees(&mut received, &[Sight::Off]).await;
    assert!(seen[0].place.contains(switch.to_str().expect("a path")));
}

fn look(spot: &Spot, free_bytes: Result<u64, String>) -> [Look; 1] {
    [Look {
        spot: spot.clone(),
        free_bytes,
        device: Some(1),
    }]
}

/// A backup's second place that is not mounted any more is a folder like any other: a copy that is written there is on no second disk.
#[test]
fn a_place_that_is_on_another_disk_is_told_of_once_and_when_it_is_back() {
    let night = Night::begin();
    let all = spots(&crate::session::reference(), "/b".as_ref(), "/b/s".as_ref());
    let mut rooms = Rooms::default();
    let mut at = |device| {
        let [mut look] = look(&all[3], Ok(1 << 40));
        look.device = device;
        rooms.observe(&night.session, &[look], 1)
    };
    for device in [Some(7), Some(7), None] {
        assert!(at(device).is_empty(), "{device:?}");
    }
    let told = at(Some(1));
    assert!(
        told.len() == 1 && told[0].contains("(A3, the second copy) is on another disk"),
        "{told:?}"
    );
    assert!(at(Some(1)).is_empty() && at(None).is_empty());
    let told = at(Some(7));
    assert!(told.len() == 1 && told[0].contains("again"), "{told:?}");
}

/// The engine's own look tells the disk of a folder from that of the one on which it was mounted, as of one that is not there yet.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_is_known_by_its_number() {
    use std::os::unix::fs::MetadataExt as _;
    let number = |path: &str| std::fs::metadata(path).expect("there").dev();
    let seen = |path: &str| cutover::sqlite::disk::room(path.as_ref()).expect("a disk");
    assert_eq!(seen("/proc").device, number("/proc"));
    assert_eq!(seen("/not/yet/there").device, number("/"));
    assert_ne!(seen("/proc").device, seen("/").device);
}

#[test]
fn a_disk_is_told_of_when_it_has_too_little_and_when_there_is_room_again() {
    let mut night = Night::begin();
    let all = spots(&crate::session::reference(), "/b".as_ref(), "/b/s".as_ref());
    let names: Vec<&str> = all.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["session", "source", "A2", "A3", "staging"]);
    let backup = &all[2];
    let size = 1 << 30;
    assert_eq!(needed_bytes(&night.session, backup, size), copy_bytes(size));
    let mut rooms = Rooms::default();
    assert!(
        rooms
            .observe(&night.session, &look(backup, Ok(2 << 30)), size)
            .is_empty()
    );
    let told = rooms.observe(&night.session, &look(backup, Ok(1 << 30)), size);
    assert!(
        told[0].contains("little room") && told[0].contains("A2"),
        "{told:?}"
    );
    assert!(
        rooms
            .observe(&night.session, &look(backup, Ok(1 << 30)), size)
            .is_empty()
    );
    let just = look(backup, Ok(copy_bytes(size)));
    assert!(
        rooms.observe(&night.session, &just, size).is_empty(),
        "not twice a minute"
    );
    // Once the copy is made, the disk has to hold no other.
    night.does("A2");
    let told = rooms.observe(&night.session, &just, size);
    assert!(told[0].contains("room again"), "{told:?}");
    assert_eq!(needed_bytes(&night.session, backup, size), LEAST_BYTES);
    let told = rooms.observe(&night.session, &look(backup, Err("gone".into())), size);
    assert!(told[0].contains("not known: gone"), "{told:?}");
    assert!(
        rooms
            .observe(&night.session, &look(backup, Err("gone".into())), size)
            .is_empty()
    );
}

#[tokio::test]
async fn every_disk_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let runbook: Runbook = crate::session::reference();
    let source = folder.path().join("tools.db");
    std::fs::write(&source, [0; 4096]).expect("written");
    let all = spots(&runbook, folder.path(), folder.path());
    let (inputs, mut received) = mpsc::unbounded_channel();
    let _disks = Disks::watch(all.clone(), source, inputs);
    let deadline = Instant::now() + DEADLINE;
    loop {
        let Some(Input::Disks {
            looks,
            source_bytes,
        }) = received.recv().await
        else {
            panic!("no look");
        };
        assert_eq!(looks.len(), all.len());
        // A disk that was late is asked again.
        let free = looks[0].free_bytes.as_ref();
        if source_bytes == 4096 && free.is_ok_and(|free| *free > 0) {
            break;
        }
        assert!(Instant::now() < deadline, "{source_bytes} bytes, {looks:?}");
    }
}

/// What is free on a disk is judged like every other signal.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_fires_by_what_is_free_on_a_disk() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "tonight").expect("a session's folder");
    let mut runbook = crate::session::reference();
    runbook.triggers.push(Trigger {
        id: "D1".to_owned(),
        title: "Little room".to_owned(),
        from: "P1".to_owned(),
        until: None,
        when: Condition::Signal {
            signal: "disk_free_bytes.session".to_owned(),
            per_instance: false,
            bound: Bound::Below(1e18),
            for_ms: 0,
        },
    });
    let engine = support::Engine::start(&folder, &runbook, true, None).await;
    let request = Request {
        ask: Ask::Command {
            command: Command::StartStep { step: None },
        },
        claim: Some("release_manager".to_owned()),
    };
    let answer: Answer = socket::send(&folder, &request).await.expect("an answer");
    assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    let fired = || cutover::history::session(&folder).expect("a session").fired;
    support::until("the trigger", async || fired().is_some()).await;
    let fired = fired().expect("it fired");
    assert_eq!(fired.trigger, "D1");
    assert!(
        fired.reason.starts_with("free on the disk of session "),
        "{}",
        fired.reason
    );
    engine.end().await;
}

fn came(serves: Serves) -> [membership::Sight; 1] {
    [membership::Sight {
        name: "app-9".to_owned(),
        serves,
        how: "its page says so".to_owned(),
    }]
}

#[test]
fn who_came_is_an_alarm_from_the_switch_on_until_it_is_on_postgresql() {
    let mut night = Night::begin();
    night.does("A1");
    let mut attention = Attention::default();
    // Before the switch F1 refuses, and nobody has to be woken.
    let told = attention.observe(&night.session, &came(Serves::Sqlite), 0);
    assert_eq!(told, []);
    night.does("F1");
    let told = attention.observe(&night.session, &came(Serves::Sqlite), 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].text.contains("app-9 came after the opening"));
    assert!(!told[0].act.is_empty());
    let told = attention.observe(&night.session, &came(Serves::Sqlite), 2);
    assert_eq!(told, [], "said once");
    let told = attention.observe(&night.session, &came(Serves::Postgres), 3);
    assert!(told[0].text.contains("serves from PostgreSQL now") && told[0].act.is_empty());
    // What does not answer may be starting.
    let grace_ms = night.session.charter.limits.startup_grace_ms;
    for (at_ms, count) in [
        (10, 0),
        (9 + grace_ms, 0),
        (10 + grace_ms, 1),
        (11 + grace_ms, 0),
    ] {
        let told = attention.observe(&night.session, &came(Serves::Unknown), at_ms);
        assert_eq!(told.len(), count, "{at_ms}: {told:?}");
    }
}

#[test]
fn that_nobody_knows_who_is_there_is_an_alarm_after_a_while() {
    let night = Night::begin();
    let limit_ms = night.session.charter.limits.blind_ms;
    let mut attention = Attention::default();
    let mut told = |at_ms| attention.unanswered(&night.session, "exit status: 1", at_ms);
    assert_eq!(told(1_000), None);
    assert_eq!(told(999 + limit_ms), None);
    let said = told(1_000 + limit_ms).expect("an alarm");
    assert!(said.text.contains("exit status: 1"), "{}", said.text);
    assert_eq!(told(2_000 + limit_ms), None, "said once");
    assert_eq!(attention.observe(&night.session, &[], 3_000 + limit_ms), []);
    let told = attention.unanswered(&night.session, "again", 4_000 + limit_ms);
    assert_eq!(told, None, "it begins anew");
}

#[tokio::test]
async fn it_is_asked_again_who_is_there_and_newcomers_are_looked_at() {
    let known = Server::start("app-1").await;
    let newcomer = Server::start("app-9").await;
    let mut runbook = crate::session::reference();
    let page = runbook.fleet.provider.as_mut().expect("a page");
    page.url = "{url}/serves".to_owned();
    page.sqlite = "on Sqlite".to_owned();
    newcomer.text("/serves", 200, "on Sqlite");
    runbook.fleet.instances = vec![known.instance.clone()];
    let line = format!(
        r#"echo '{{"id":"app-1","url":"{}"}}{{"id":"app-9","url":"{}","revision":"7"}}{{"wanted":2}}'"#,
        known.instance.url, newcomer.instance.url
    );
    runbook.fleet.discovery = Some(Discovery {
        action: Action::new(Effect::Shell { line }, Duration::from_secs(60)),
        prints: Prints::Instances,
    });
    let ground = Ground {
        folder: std::env::temp_dir(),
        environment: Arc::default(),
    };
    let monitor = monitor(&runbook);
    let (inputs, mut received) = mpsc::unbounded_channel();
    let _muster = Muster::begin(&Arc::new(runbook), ground, Arc::clone(&monitor), inputs);
    let deadline = Instant::now() + DEADLINE;
    let (answer, sights) = loop {
        let Some(Input::Membership(Ok((answer, sights)))) = received.recv().await else {
            panic!("no answer");
        };
        // A page that was late is asked again.
        let is_late = sights.iter().any(|sight| sight.serves == Serves::Unknown);
        if !is_late || Instant::now() > deadline {
            break (answer, sights);
        }
    };
    assert_eq!(answer.wanted, Some(2));
    let names: Vec<&str> = answer.members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["app-1", "app-9"]);
    assert_eq!(answer.members[1].revision.as_deref(), Some("7"));
    assert_eq!(sights, came(Serves::Sqlite));
    assert_eq!(known.asked("/serves"), 0);

    // Another has come into its place, so that nobody switches it: it is looked at, whatever its name.
    monitor.stand(vec![Stand::of(&Instance {
        url: newcomer.instance.url.clone(),
        called: Some("app-9".to_owned()),
        ..known.instance.clone()
    })]);
    let Some(Input::Membership(Ok((_, sights)))) = received.recv().await else {
        panic!("no answer");
    };
    let names: Vec<&str> = sights.iter().map(|sight| sight.name.as_str()).collect();
    assert_eq!(names, ["app-1", "app-9"]);
}
