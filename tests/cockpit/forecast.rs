//! By the times of the rehearsal: when the freeze will end, and until when a rollback still fits into it.

use cutover::cockpit::model::ui::View;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::session::forecast::{Forecast, forecast, sentence};
use cutover::session::{Command, Event, Session};

use super::story::{MINUTE, Story};

/// A session at the import, whose rehearsal took a minute for each step but D1, and 1:12 for its rollback.
fn importing() -> Story {
    let mut story = Story::begin();
    story.reach("D2").start();
    let mut rehearsal = story.session.rehearsal.clone().expect("a rehearsal");
    let ids = story.session.charter.steps.iter().map(|s| s.id.clone());
    rehearsal.took_ms = ids.filter(|id| id != "E1").map(|id| (id, MINUTE)).collect();
    story.happen(Event::RehearsalRecorded { rehearsal });
    story
}

fn frozen_since(session: &Session) -> i64 {
    session.freeze().expect("a freeze").0
}

#[test]
fn the_work_that_is_left_and_the_point_of_no_return() {
    let mut story = importing();
    let begun_ms = story.at_ms;
    // D2 to F4, without E1, which the rehearsal has no time for: D2 D3 D4 E2 E3 E4 F1 F2 F3, V1 to V5 and F4.
    let charter = &story.session.charter;
    let from = charter.step_index("D2").expect("D2");
    let to = charter.step_index("F4").expect("F4");
    let steps = (to - from) as i64;
    let told = |story: &Story, at_ms| forecast(&story.session, at_ms).expect("a forecast");
    let no_return_ms = frozen_since(&story.session) + 45 * MINUTE - 72_000;
    let expected = Forecast {
        freeze_left_ms: steps * MINUTE,
        unknown_steps: 1,
        no_return_ms,
    };
    assert_eq!(told(&story, begun_ms), expected);
    // A running step counts for what is left of it, and for nothing when it takes longer.
    assert_eq!(
        told(&story, begun_ms + 20_000).freeze_left_ms,
        steps * MINUTE - 20_000
    );
    assert_eq!(
        told(&story, begun_ms + 9 * MINUTE).freeze_left_ms,
        (steps - 1) * MINUTE
    );
    assert!(!told(&story, no_return_ms).is_past(no_return_ms));
    assert!(told(&story, no_return_ms).is_past(no_return_ms + 1));
    let by_ms = 10 * MINUTE;
    story.command("robin", Command::ExtendFreeze { by_ms });
    assert_eq!(
        told(&story, begun_ms).no_return_ms,
        no_return_ms + 10 * MINUTE
    );
}

#[test]
fn it_is_said_in_words_and_shown() {
    let mut story = importing();
    let at_ms = story.at_ms;
    let said = sentence(&story.session, at_ms).expect("a forecast");
    assert!(said.starts_with("by the rehearsal "), "{said}");
    says!(
        said,
        "(without 1 steps that it has no time for); a rollback that begins within "
    );
    let late_ms = frozen_since(&story.session) + 45 * MINUTE;
    let said = sentence(&story.session, late_ms).expect("a forecast");
    assert!(
        said.ends_with("; a rollback now ends 1:12 after it"),
        "{said}"
    );

    let theme = Theme::standard();
    let mut model = story.seen_by("robin");
    let shown = snapshot::text(&model, &theme, 200, 60);
    assert!(shown.contains("open again in ~"), "{shown}");
    assert!(shown.contains("rollback fits until "), "{shown}");
    assert!(shown.contains("auto ~1:00"), "{shown}");
    model.ui.view = View::Rollback;
    for (width, height) in [(80, 24), (120, 40)] {
        let shown = snapshot::text(&model, &theme, width, height);
        says!(shown, "Point of no return: rollback fits until ");
    }
    story.pass(50 * MINUTE);
    let mut model = story.seen_by("robin");
    model.ui.view = View::Rollback;
    let shown = snapshot::text(&model, &theme, 120, 40);
    says!(shown, "Point of no return: a rollback now ends ");
}

#[test]
fn without_times_or_a_freeze_nothing_is_foretold() {
    let mut story = Story::begin();
    story.reach("A1");
    assert_eq!(forecast(&story.session, story.at_ms), None);
    story.reach("D2");
    assert_eq!(forecast(&story.session, story.at_ms), None);
    let mut after = importing();
    after
        .end(cutover::session::Outcome::done("imported"))
        .reach("G1");
    assert_eq!(forecast(&after.session, after.at_ms), None);
}
