//! One engine per session, whoever comes, stops, dies or deletes what.

use std::fs;
use std::sync::mpsc::{TryRecvError, channel};

use cutover::engine::lease::{Error, Lease};
use cutover::journal::{self, EngineState, Follower, Retention, is_engine_alive};

use super::{child, engine, session, wall};

const TAKER: &str = "journal::lease::child_tries_to_take_the_lease";
const ENGINE: &str = "journal::lease::child_writes_while_it_may";

#[test]
fn child_tries_to_take_the_lease() {
    let Some(folder) = child::asked_for(TAKER) else {
        return;
    };
    match Lease::take(&folder) {
        Ok(lease) => {
            child::say(&format!("taken {}", lease.fencing()));
            child::wait_for_the_parent();
        }
        Err(Error::Held { .. }) => child::say("held"),
        Err(e) => child::say(&format!("unexpected: {e}")),
    }
}

#[test]
fn of_twenty_engines_one_gets_the_lease() {
    let session = session();
    let mut engines: Vec<_> = (0..20)
        .map(|_| child::start(TAKER, &session.folder))
        .collect();
    let said: Vec<_> = engines
        .iter_mut()
        .map(|engine| engine.hear().expect("a word"))
        .collect();
    let taken = said.iter().filter(|word| word.starts_with("taken")).count();
    let held = said.iter().filter(|word| *word == "held").count();
    assert_eq!((taken, held), (1, 19), "{said:?}");
}

#[test]
fn numbers_grow_and_an_end_is_told_from_a_death() {
    let session = session();
    let folder = &session.folder;
    assert!(!is_engine_alive(folder).expect("a look"));
    let first = Lease::take(folder).expect("the lease");
    let follower = Follower::open(folder).expect("a follower");
    assert!(matches!(
        follower.engine().expect("a state"),
        EngineState::Alive {
            holder: Some(_),
            beat: None
        }
    ));
    let Err(Error::Held { pid, .. }) = Lease::take(folder) else {
        panic!("two leases")
    };
    assert_eq!(pid, Some(std::process::id()));
    let number = first.fencing();
    first.release().expect("an end");
    assert!(matches!(
        follower.engine().expect("a state"),
        EngineState::Ended { .. }
    ));
    let second = Lease::take(folder).expect("the lease");
    assert_eq!(second.fencing(), number + 1);
    drop(second);
    assert!(matches!(
        follower.engine().expect("a state"),
        EngineState::Died { .. }
    ));
}

#[test]
fn those_who_look_do_not_keep_an_engine_out() {
    let session = session();
    let folder = &session.folder;
    drop(Lease::take(folder).expect("the lease"));
    std::thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        let looking = scope.spawn(move || {
            while is_done.try_recv() == Err(TryRecvError::Empty) {
                is_engine_alive(folder).expect("a look");
            }
        });
        for _ in 0..50 {
            Lease::take(folder).expect("the lease, while others look");
        }
        drop(done);
        looking.join().expect("one who looks");
    });
}

#[test]
fn an_engine_that_lost_its_lease_writes_nothing_more() {
    let session = session();
    let folder = &session.folder;
    let mut stale = engine(folder);
    stale.note(2);
    let mut scribe = stale
        .journal
        .scribe(Retention::default())
        .expect("a scribe");
    fs::remove_file(folder.lease_path()).expect("the lease file");

    let mut current = engine(folder);
    assert!(matches!(stale.lease.check(), Err(Error::Lost { .. })));
    current.lease.check().expect("its own lease");
    let mut asked = false;
    let refused = stale.journal.append_with(1, wall(), |_| {
        asked = true;
        Ok::<_, ()>(vec![("late".to_owned(), serde_json::json!(0))])
    });
    assert!(
        matches!(
            refused,
            Err(journal::Error::Fenced {
                mine: 1,
                current: 2
            })
        ),
        "{refused:?}"
    );
    assert!(!asked, "a stale engine decides nothing");
    assert!(matches!(
        scribe.flush(1, "boot", 1),
        Err(journal::Error::Fenced { .. })
    ));
    assert_eq!(current.note(1)[0].seq, 3);
    journal::verify(folder).expect("a sound chain");
}

#[test]
fn child_writes_while_it_may() {
    let Some(folder) = child::asked_for(ENGINE) else {
        return;
    };
    let mut engine = engine(&folder);
    let mut scribe = engine
        .journal
        .scribe(Retention::default())
        .expect("a scribe");
    for n in 0.. {
        engine.note(1);
        scribe.flush(n, "boot", n).expect("a sign of life");
        child::say(&n.to_string());
    }
}

#[test]
fn a_stopped_engine_keeps_its_lease_and_goes_on_when_continued() {
    let session = session();
    let folder = &session.folder;
    let mut running = child::start(ENGINE, folder);
    running.hear().expect("a first event");
    running.stop();

    let refused = Lease::take(folder);
    let Err(e @ Error::Held { .. }) = &refused else {
        panic!("taken from a stopped engine: {refused:?}")
    };
    assert!(
        matches!(e, Error::Held { pid: Some(pid), is_stopped: true, .. } if *pid == running.pid()),
        "{e:?}"
    );
    assert!(e.to_string().contains("kill -CONT"), "{e}");
    let mut follower = Follower::open(folder).expect("a follower");
    let before = follower.poll().expect("a sound chain").len();
    let EngineState::Alive { beat, .. } = follower.engine().expect("a state") else {
        panic!("a stopped engine is not dead")
    };
    let beat = beat.expect("a sign of life before it stopped");
    assert_eq!(beat.age_ms("boot", beat.boot_ms + 2_500), Some(2_500));
    assert_eq!(beat.age_ms("another boot", beat.boot_ms + 2_500), None);

    running.go_on();
    // What it had said before it stopped, and then what it says awake.
    while (follower.head().seq as usize) < before + 3 {
        running.hear().expect("it goes on");
        follower.poll().expect("a sound chain");
    }
    running.kill();
    assert!(matches!(
        follower.engine().expect("a state"),
        EngineState::Died { .. }
    ));
    engine(folder).note(1);
}
