//! What must hold whatever the samples are: taking some away never clears a streak and never makes the checklist green.

use std::sync::LazyLock;

use cutover::runbook::{Bound, ChecklistItem, Runbook};
use cutover::session::live::{ItemView, TriggerView};
use cutover::session::{Charter, Event, Recorded, Session, TriggerPhase};
use cutover::trigger::{Cadence, Checklist, Judge, Reading, Sample};
use proptest::prelude::*;

const SIGNAL: &str = "http_5xx_ratio";
const INTERVAL_MS: i64 = 5_000;

/// How a sample is taken away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Lost {
    No,
    /// It never came.
    Gone,
    /// It came as *no data*.
    Nothing,
    /// Only a part of the fleet answered.
    Partial,
}

fn samples() -> impl Strategy<Value = Vec<Reading>> {
    let reading = prop_oneof![
        3 => Just(Reading::over(0.0, Some(100))),
        // So few that one error alone would be beyond the limit.
        2 => Just(Reading::over(0.0, Some(50))),
        4 => Just(Reading::over(0.5, Some(100))),
        1 => Just(Reading::over(0.5, Some(3))),
        1 => Just(Reading::no_data("refused")),
    ];
    // Runs of the same reading, so that streaks grow long enough to fire.
    let run = (reading, 1_usize..40).prop_map(|(reading, n)| vec![reading; n]);
    prop::collection::vec(run, 1..12).prop_map(|runs| runs.concat())
}

fn losses() -> impl Strategy<Value = Vec<Lost>> {
    let lost = prop_oneof![
        4 => Just(Lost::No),
        1 => Just(Lost::Gone),
        1 => Just(Lost::Nothing),
        1 => Just(Lost::Partial),
    ];
    prop::collection::vec(lost, 480)
}

fn taken_away(reading: &Reading, lost: Lost) -> Option<Reading> {
    match lost {
        Lost::No => Some(reading.clone()),
        Lost::Gone => None,
        Lost::Nothing => Some(Reading::no_data("taken away")),
        Lost::Partial => Some(reading.clone().partial("taken away")),
    }
}

/// What is shown right after each sample was due.
fn watch(readings: impl Iterator<Item = Option<Reading>>) -> Vec<(TriggerView, ItemView)> {
    static RUNBOOK: LazyLock<Runbook> = LazyLock::new(super::reference);
    let mut charter: Charter = super::charter(&RUNBOOK, 1.0);
    charter.triggers.retain(|t| t.id == "T3b");
    charter.monitoring = vec![ChecklistItem {
        id: "M".to_owned(),
        title: String::new(),
        conditions: vec![(SIGNAL.to_owned(), Bound::Above(0.01))],
    }];
    let cadence = Cadence::of(&RUNBOOK, 1.0);
    let mut judge = Judge::new(&charter, cadence.clone(), None);
    let mut checklist = Checklist::new(&charter, &cadence);
    let recorded = |seq, event| Recorded {
        seq,
        at_ms: 0,
        wall: chrono::DateTime::UNIX_EPOCH,
        event,
    };
    let charter = Box::new(charter);
    let mut session = Session::open(&recorded(1, Event::SessionOpened { charter })).expect("one");
    session.apply(&recorded(
        2,
        Event::StepStarted {
            step: "F2".to_owned(),
            attempt: 1,
            by: None,
        },
    ));
    let mut shown = Vec::new();
    for (n, reading) in readings.enumerate() {
        let at_ms = n as i64 * INTERVAL_MS;
        if let Some(reading) = reading {
            let sample = Sample::new(SIGNAL, at_ms, reading);
            judge.observe(&sample, &session);
            checklist.observe(&sample, &session);
        }
        let fuses = judge.views(&session, at_ms);
        let fuse = fuses.into_iter().find(|f| f.id == "T3b").expect("T3b");
        let item = checklist.views(&session, at_ms).remove(0);
        shown.push((fuse, item));
    }
    shown
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// From any moment on, whatever is taken away: the streak is at least what it was until a good sample has really come.
    #[test]
    fn taking_samples_away_never_clears_a_streak(all in samples(), lost in losses(), from in 0_usize..480) {
        let from = from % all.len();
        let before = watch(all[..=from].iter().cloned().map(Some));
        let (then, _) = before.last().expect("a moment").clone();
        let kept = all.iter().enumerate().map(|(n, reading)| match n > from {
            true => taken_away(reading, lost[n]),
            false => Some(reading.clone()),
        });
        let kept: Vec<_> = kept.collect();
        let after = watch(kept.iter().cloned());
        let good = |r: &Option<Reading>| matches!(r, Some(Reading::Value { value: 0.0, .. }));
        for (n, (fuse, _)) in after.iter().enumerate().skip(from) {
            if kept[from + 1..n.max(from) + 1].iter().any(good) {
                break;
            }
            prop_assert!(fuse.streak_ms >= then.streak_ms);
            let burned = then.streak_ms > 0 || then.phase == TriggerPhase::Fired;
            prop_assert!(!burned || fuse.phase != TriggerPhase::Clear, "cleared at {n}: {fuse:?}");
        }
    }

    /// *Clear* is only ever said after a good sample that nothing bad has followed.
    #[test]
    fn clear_has_been_seen(all in samples(), lost in losses()) {
        let kept: Vec<_> = all.iter().zip(&lost).map(|(r, l)| taken_away(r, *l)).collect();
        for (n, (fuse, _)) in watch(kept.iter().cloned()).iter().enumerate() {
            if fuse.phase == TriggerPhase::Clear {
                let newest = kept[..=n].iter().flatten().next_back();
                prop_assert_eq!(newest.and_then(Reading::number), Some(0.0));
            }
        }
    }

    /// What is told apart by no reader: a sample that came as nothing, or from a part, is never greener than the whole one.
    #[test]
    fn less_is_never_greener(all in samples(), lost in losses()) {
        let lost = lost.into_iter().map(|l| if l == Lost::Gone { Lost::Nothing } else { l });
        let kept = all.iter().zip(lost).map(|(r, l)| taken_away(r, l)).collect::<Vec<_>>();
        let whole = watch(all.iter().cloned().map(Some));
        for ((_, less), (_, more)) in watch(kept.into_iter()).iter().zip(&whole) {
            prop_assert!(less.green != Some(true) || more.green == Some(true));
            prop_assert!(less.green_for_ms <= more.green_for_ms);
        }
    }

    /// Samples that never came shorten what was seen to be green, too: any length of it was there in the whole as well, when the
    /// newest of those that came was taken.
    #[test]
    fn gaps_never_complete_the_checklist(all in samples(), lost in losses()) {
        let kept: Vec<_> = all.iter().zip(&lost).map(|(r, l)| taken_away(r, *l)).collect();
        let whole = watch(all.iter().cloned().map(Some));
        for (n, (_, less)) in watch(kept.iter().cloned()).iter().enumerate() {
            if less.green == Some(true) {
                let newest = (0..=n).rev().find(|&k| kept[k].is_some()).expect("it is green");
                prop_assert!(less.green_for_ms <= whole[newest].1.green_for_ms);
                prop_assert!(n - newest <= 2, "green after {} missing samples", n - newest);
            }
        }
    }
}
