//! What a rollback costs where it brings what users wrote into SQLite: in a sentence, in a few words beside the key, and in red where it
//! would lose something. Not in here: where their rows are left on PostgreSQL (`advice`).

use chrono::FixedOffset;
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::{Engine, News};
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::runbook::{RollbackKind, Writes};
use cutover::session::Charter;
use cutover::session::cost::{self, Weight};
use cutover::session::live::FeedView;

use super::keys::press;
use super::states;
use super::story::Story;
use crate::session::{charter, opening, reference};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];
const LOST: &str = "A rollback would lose what is written to ToolTags: its trigger is gone";

/// Where the reader is.
pub fn zone() -> FixedOffset {
    FixedOffset::east_opt(2 * 3_600).expect("a zone")
}

/// The sentence, the words beside the key, and how much it is.
fn told(story: &Story, feed: Option<&FeedView>) -> (String, Option<String>, Weight) {
    let session = &story.session;
    (
        cost::sentence(session, None, feed, zone()),
        cost::short(session, None, feed),
        cost::weight(session, None, feed),
    )
}

/// Text as it was before it was wrapped into a window.
fn unwrapped(text: &str) -> String {
    let text = text.replace(['│', '║', '┃'], " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(model: &Model, (width, height): (u16, u16)) -> String {
    let theme = Theme::load("default").expect("embedded");
    snapshot::text(model, &theme, width, height)
}

/// While errors burn after writes were reopened, with what the feed says.
fn burning(feed: FeedView) -> Model {
    let mut model = states::burning();
    model.take(News {
        feed: Some(feed),
        ..News::default()
    });
    model
}

#[test]
fn the_price_is_how_far_the_feed_is_behind() {
    let mut story = Story::begin();
    story.reach("F1");
    let feed = states::feed(story.at_ms);
    let (sentence, short, weight) = told(&story, Some(&feed));
    assert_eq!(
        sentence,
        "It loses nothing: the application has not been switched to PostgreSQL."
    );
    assert_eq!((short, weight), (None, Weight::Nothing));
    story.reach("F2");
    says!(told(&story, Some(&feed)).0, "for writes are frozen");
    story.reach("G1");
    let (sentence, short, weight) = told(&story, Some(&feed));
    assert_eq!(
        sentence,
        "A rollback loses nothing that users wrote: 312 rows come back into SQLite with it; the feed is 0.2 s behind."
    );
    assert_eq!(short.as_deref(), Some("loses nothing, 0.2 s behind"));
    assert_eq!(weight, Weight::Nothing);
    let busy = FeedView {
        behind_ms: 1_210,
        rows: 1,
        waiting: 40,
        ..feed.clone()
    };
    assert_eq!(
        told(&story, Some(&busy)).0,
        "A rollback loses nothing that users wrote: 1 row comes back into SQLite with it; the feed is 1.3 s behind, with 40 rows to read."
    );
    let quiet = FeedView {
        behind_ms: 12_000,
        rows: 0,
        ..feed
    };
    assert_eq!(
        told(&story, Some(&quiet)).0,
        "A rollback loses nothing that users wrote: no row has been written to PostgreSQL since the switch; the feed is 12 s behind."
    );
}

#[test]
fn without_a_feed_it_says_that_postgresql_itself_is_looked_at() {
    let mut story = Story::begin();
    story.reach("F4");
    let (sentence, short, weight) = told(&story, None);
    says!(sentence, "for writes are frozen");
    says!(sentence, "it looks for, and keeps in a file");
    assert_eq!((short, weight), (None, Weight::Nothing));
    story.reach("G1");
    let (sentence, short, weight) = told(&story, None);
    says!(
        sentence,
        "looks for it in PostgreSQL itself, as long as that answers"
    );
    assert_eq!(short.as_deref(), Some("leaves ? rows"));
    assert_eq!(weight, Weight::Rows);
}

#[test]
fn a_postgresql_that_does_not_answer_costs_what_was_committed_after_a_moment() {
    let mut story = Story::begin();
    story.reach("G1");
    let dead = FeedView {
        at_ms: 67_480,
        unknown: Some("no answer within 2 s.".to_owned()),
        ..states::feed(story.at_ms)
    };
    let (sentence, short, weight) = told(&story, Some(&dead));
    assert_eq!(
        sentence,
        "If PostgreSQL does not answer again, what was committed after 16:14:27.480 +02:00 is lost: no answer within 2 s. 312 rows of before come \
         back into SQLite with a rollback."
    );
    assert_eq!(short.as_deref(), Some("leaves ? rows"));
    assert_eq!(weight, Weight::Rows);
    // Without an engine nobody reads, whatever was said last.
    let nobody = states::feed(story.at_ms).unfollowed();
    says!(told(&story, Some(&nobody)).0, "is lost: no engine works");
    let mut model = burning(states::feed(story.at_ms));
    model.ui.view = View::Rollback;
    lacks!(text(&model, (120, 40)), "no engine works");
    model.take(News {
        engine: Some(Engine::Gone { last: None }),
        ..News::default()
    });
    says!(text(&model, (120, 40)), "no engine works");
}

#[test]
fn what_would_be_lost_is_counted_and_never_called_nothing() {
    let mut story = Story::begin();
    story.reach("G1");
    let feed = FeedView {
        lost: vec![LOST.to_owned(), "A rollback would lose more".to_owned()],
        ..states::feed(story.at_ms)
    };
    let (sentence, short, weight) = told(&story, Some(&feed));
    assert_eq!(
        sentence,
        "Beside that, what users wrote is kept: 312 rows come back into SQLite with it; the feed is 0.2 s behind."
    );
    assert_eq!(short.as_deref(), Some("would lose: 2 things"));
    assert_eq!(weight, Weight::Loses);
    assert_eq!(cost::would_lose(&feed), feed.lost);
    // Rows that PostgreSQL had before come back with no rollback.
    story.session.charter.again = Some("tools".to_owned());
    let (sentence, short, _) = told(&story, Some(&states::feed(story.at_ms)));
    lacks!(sentence, "loses nothing");
    says!(
        sentence,
        "An earlier release was completed on this database"
    );
    assert_eq!(
        short.as_deref(),
        Some("keeps what users wrote, 0.2 s behind")
    );
}

#[test]
fn what_would_be_lost_is_a_red_row_wherever_the_fuses_are() {
    let model = burning(states::feed(1_000_000));
    lacks!(text(&model, (120, 40)), "A rollback would lose");
    says!(text(&model, (120, 40)), "loses nothing, 0.2 s behind");
    let mut model = burning(FeedView {
        lost: vec![LOST.to_owned(); 5],
        ..states::feed(1_000_000)
    });
    for size in SIZES {
        for view in [View::Bridge, View::Fleet] {
            model.ui.view = view;
            says!(text(&model, size), "✗ A rollback would lose");
            says!(text(&model, size), " +4");
        }
    }
    says!(text(&model, (120, 40)), "would lose: 5 things");
    model.ui.view = View::Rollback;
    says!(text(&model, (80, 24)), "… and 2 more");
}

/// However much it has to say, the window has the name to type, and where to type it.
#[test]
fn the_price_fits_into_the_smallest_window_of_a_rollback() {
    let at_ms = 1_000_000;
    let dead = FeedView {
        unknown: Some("no answer within 2 s".to_owned()),
        ..states::feed(at_ms)
    };
    let losing = FeedView {
        lost: vec![LOST.to_owned(); 5],
        ..states::feed(at_ms)
    };
    for (feed, words) in [
        (states::feed(at_ms), "the feed is 0.2 s behind."),
        (
            dead,
            "312 rows of before come back into SQLite with a rollback.",
        ),
        (
            losing,
            "Beside that, what users wrote is kept: 312 rows come back into SQLite with it; the feed is 0.2 s behind.",
        ),
    ] {
        let mut model = burning(feed);
        press(&mut model, "R");
        let shown = unwrapped(&text(&model, (80, 24)));
        says!(shown, "To begin, type tool-catalogue-7");
        says!(shown, words);
        says!(shown, "The rows, in this order:");
        says!(shown, "why (optional)");
    }
}

#[test]
fn a_charter_knows_whether_writes_come_back() {
    let charter = charter();
    assert!(charter.keeps_writes);
    let mut before = serde_json::to_value(&charter).expect("JSON");
    let known = before.as_object_mut().expect("an object");
    known.remove("keeps_writes").expect("a key");
    let before: Charter = serde_json::from_value(before).expect("a charter of before");
    assert!(!before.keeps_writes);
    let mut runbook = reference();
    runbook.feed.writes = Writes::Salvage;
    assert!(!Charter::new(&runbook, opening()).keeps_writes);
    runbook.feed.writes = Writes::Keep;
    let fences = |kind: &RollbackKind| matches!(kind, RollbackKind::FenceTarget);
    runbook.rollback.retain(|row| !fences(&row.kind));
    assert!(!Charter::new(&runbook, opening()).keeps_writes);
}
