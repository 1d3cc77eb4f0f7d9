//! Somebody ends maintenance in the middle of the night: every instance is named at once, and again when it is back. Nobody is told of
//! anything where F2 restarts them, and where F4 lifts it.

use cutover::journal::Folder;
use cutover::session::{Event, Phase};

use super::moments::{wait_for, wait_until};
use super::stage::Stage;

const OFF: &str = "is NOT in maintenance";
const BACK: &str = "is in maintenance again";

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_leaves_maintenance_is_named_at_once() {
    let mut stage = Stage::set("window: 2m").await;
    stage.ends_maintenance = true;
    let switch = stage.sandbox.dir().join("maintenance");
    let meanwhile = move |folder: &Folder| {
        wait_for(folder, "A2", 1);
        std::fs::remove_file(&switch).expect("it was on");
        wait_until(folder, 6, says(OFF));
        std::fs::write(&switch, "cutover\n").expect("on again");
        wait_until(folder, 6, says(BACK));
    };
    let (_, session) = stage.play_with(None, meanwhile).await;
    let said = |part: &str| {
        let notes = session.notes.iter().map(|(_, _, text)| text);
        notes.filter(|text| text.contains(part)).count()
    };
    assert_eq!((said(OFF), said(BACK)), (6, 6), "{:?}", session.notes);
    for n in 1..=6 {
        assert_eq!(said(&format!("app-{n} {OFF}")), 1);
    }
    assert_eq!(said("is not known"), 0, "{:?}", session.notes);
    assert_ne!(session.phase, Phase::Open, "the night ends");
}

fn says(part: &'static str) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::AlarmRaised { text, .. } if text.contains(part))
}
