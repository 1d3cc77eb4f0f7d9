//! What lies over the screen, word for word, and single things that a view says; any size without a panic. Not in here: the views
//! themselves in each state (`frames`).

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::{Engine, News, Reading};
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Message, update};
use cutover::cockpit::{snapshot, view};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::keys::press;
use super::states;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn theme(name: &str) -> Theme {
    Theme::load(name).expect("embedded")
}

#[test]
fn all_of_a_table_word_for_word() {
    for (name, mut model) in [
        ("before_d1", states::half_signed()),
        ("importing", states::importing()),
        ("comparing", states::comparing()),
        ("burning", states::burning()),
    ] {
        press(&mut model, "9\n");
        let text = snapshot::text(&model, &theme("default"), 80, 24);
        insta::assert_snapshot!(format!("table_{name}_80x24"), text);
    }
}

#[test]
fn an_engine_that_is_only_late_is_not_to_be_ended() {
    let mut model = states::importing();
    model.take(News {
        engine: Some(Engine::Silent { pid: 4_242 }),
        ..News::default()
    });
    let shown = |model: &Model| snapshot::text(model, &theme("default"), 200, 60);
    for passed_ms in [0, 5_000, 4_000] {
        model.tick(Some(model.now_ms + passed_ms), model.wall);
        let text = shown(&model);
        says!(text, "ENGINE 4242 GIVES NO SIGN OF LIFE");
        says!(text, "may only be short of processor time");
        lacks!(text, "End that process");
    }
    model.tick(Some(model.now_ms + 2_000), model.wall);
    says!(shown(&model), "End that process");
}

/// It gives no sign of life while it lets go of both databases, and nobody is told to end it.
#[test]
fn after_the_end_it_is_said_whether_the_engine_is_still_there() {
    for mut model in [states::completed(), states::rolled_back()] {
        let mut shown = |engine| {
            model.take(News {
                engine: Some(engine),
                ..News::default()
            });
            model.tick(Some(model.now_ms + 12_000), model.wall);
            snapshot::text(&model, &theme("default"), 120, 40)
        };
        for engine in [Engine::Live { pid: 4_242 }, Engine::Silent { pid: 4_242 }] {
            let text = shown(engine);
            says!(text, "● ends");
            lacks!(text, "SILENT");
            lacks!(text, "SIGN OF LIFE");
        }
        let last = Some((4_242, true));
        says!(shown(Engine::Gone { last }), "○ over");
    }
}

#[test]
fn the_countdown_names_every_trigger_that_fired() {
    let mut story = states::fired_story();
    story.fire("T1a.app-4", "app-4 is not ready, for 5:00");
    let model = story.seen_by("robin");
    for (width, height) in SIZES {
        let text = snapshot::text(&model, &theme("default"), width, height);
        assert!(text.contains("Also fired: T1a.app-4"), "{text}");
    }
}

#[test]
fn clients_that_wait_in_a_pgbouncer_have_a_line_in_the_pool_panel() {
    let mut model = states::burning();
    model.ui.view = View::Pool;
    let text = snapshot::text(&model, &theme("default"), 120, 40);
    assert!(!text.contains("pgb "), "{text}");
    for (signal, value) in [
        ("bouncer_active", 40.0),
        ("bouncer_waiting", 7.0),
        ("bouncer_maxwait_ms", 1_250.0),
        ("bouncer_servers_active", 20.0),
        ("bouncer_servers_idle", 0.0),
    ] {
        model.series.push(Reading {
            signal: signal.to_owned(),
            at_ms: model.now_ms,
            value: Some(value),
        });
    }
    let text = snapshot::text(&model, &theme("default"), 120, 40);
    let line = text.lines().find(|line| line.contains("pgb "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("waiting 7"), "{line}");
    assert!(line.contains("maxwait ms 1"), "{line}");
}

#[test]
fn every_one_of_five_hundred_instances_can_be_scrolled_to() {
    let mut model = states::crowd();
    for digit in ["3", "4"] {
        press(&mut model, digit);
        let mut seen = std::collections::BTreeSet::new();
        let mut draw = |model: &mut Model| {
            let mut buf = Buffer::empty(Rect::new(0, 0, 120, 40));
            model.ui.targets = view::draw(model, &theme("default"), &mut buf);
            let text = snapshot::text(model, &theme("default"), 120, 40);
            let table = text
                .split("Per instance")
                .nth(1)
                .expect("the table")
                .to_owned();
            let words = table.split(|c: char| !(c.is_alphanumeric() || c == '-'));
            seen.extend(words.filter(|w| w.starts_with("app-")).map(str::to_owned));
            table
        };
        assert!(draw(&mut model).contains("… and 49"));
        let mut last = String::new();
        // More lines than these are seen at once.
        for _ in 0..500 / 5 {
            for _ in 0..5 {
                press(&mut model, "j");
            }
            last = draw(&mut model);
        }
        assert!(last.contains("above, ↓ 0 below"), "{last}");
        assert_eq!(seen.len(), 500, "view {digit}");
    }
}

#[test]
fn the_guide_word_for_word() {
    let mut story = states::sandbox();
    story.pass(1_000);
    let mut model = story.seen_by("robin");
    model.play(Some("robin".to_owned()));
    press(&mut model, "g");
    insta::assert_snapshot!(
        "guide_80x24",
        snapshot::text(&model, &theme("default"), 80, 24)
    );
}

#[test]
fn the_help_word_for_word() {
    let mut model = states::half_signed();
    press(&mut model, "?");
    for (width, height) in [(80, 24), (120, 40)] {
        let name = format!("help_{width}x{height}");
        insta::assert_snapshot!(
            name,
            snapshot::text(&model, &theme("default"), width, height)
        );
    }
}

#[test]
fn the_search_for_an_action_word_for_word() {
    let mut model = states::half_signed();
    press(&mut model, ":");
    insta::assert_snapshot!(
        "palette_120x40",
        snapshot::text(&model, &theme("default"), 120, 40)
    );
    press(&mut model, "frez");
    insta::assert_snapshot!(
        "palette_found_80x24",
        snapshot::text(&model, &theme("default"), 80, 24)
    );
}

#[test]
fn the_choice_of_colours_word_for_word() {
    let mut model = states::half_signed();
    press(&mut model, "Tj");
    insta::assert_snapshot!(
        "themes_80x24",
        snapshot::text(&model, &theme("light"), 80, 24)
    );
}

#[test]
fn the_journals_filter_and_all_of_an_event_word_for_word() {
    let mut model = states::burning();
    press(&mut model, "/signed dan");
    insta::assert_snapshot!(
        "journal_filter_80x24",
        snapshot::text(&model, &theme("default"), 80, 24)
    );
    press(&mut model, "\u{8}\u{8}\u{8}robin k8\n\n");
    insta::assert_snapshot!(
        "journal_event_120x40",
        snapshot::text(&model, &theme("default"), 120, 40)
    );
}

/// Every important state, and everything that can lie over one.
pub fn everything() -> Vec<Model> {
    let mut models: Vec<_> = states::all().into_iter().map(|(_, model)| model).collect();
    models.push(states::failed());
    models.push(states::crowd());
    let over = |mut model: Model, keys: &str| {
        press(&mut model, keys);
        model
    };
    let sandbox = || states::sandbox().seen_by("robin");
    for keys in ["F", "?", "g", "p"] {
        models.push(over(sandbox(), keys));
    }
    for keys in ["jjjjj ", "b", "7\n", "/signed"] {
        models.push(over(states::half_signed(), keys));
    }
    for keys in ["R", ":e", "o", "T"] {
        models.push(over(states::importing(), keys));
    }
    for model in &mut models {
        update(model, Message::Came(Box::default()));
    }
    models
}

/// Every size below 100×50, and beyond that in steps up to 400×120. Each is drawn in one view of one state; by the time all are, every
/// view has seen every width and every height, and each in every state many sizes.
#[test]
fn any_size_without_a_panic() {
    // Each width and each height, with every third of the other.
    let mut models = everything();
    let pairs = models.len() * View::ALL.len();
    let theme = theme("default");
    for width in (0..100u16).chain((100..=400).step_by(25)) {
        for height in (0..50u16).chain((50..=120).step_by(10)) {
            if (width + height) % 3 > 0 {
                continue;
            }
            let pair = (usize::from(width / 3) + 31 * usize::from(height)) % pairs;
            let model = &mut models[pair / View::ALL.len()];
            model.ui.view = View::ALL[pair % View::ALL.len()];
            snapshot::frame(model, &theme, width, height);
        }
    }
}

#[test]
fn a_picture_is_well_formed_and_holds_the_text() {
    let svg = snapshot::svg(&states::burning(), &theme("default"), 120, 40);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    assert!(svg.contains("tool-catalogue-7"));
    assert!(!svg.contains('\u{1b}'));
}
