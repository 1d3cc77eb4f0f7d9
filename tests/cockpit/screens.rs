//! What the screen shows in its important states: word for word at three sizes, and what stands out in each theme.

use std::collections::BTreeMap;
use std::fmt::Write;

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::Reading;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::{Meaning, Theme};
use cutover::cockpit::update::{Message, update};
use ratatui::style::{Modifier, Style};

use super::keys::press;
use super::states;

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn theme(name: &str) -> Theme {
    Theme::load(name).expect("embedded")
}

#[test]
fn main_screen_word_for_word() {
    for (name, mut model) in states::all() {
        update(&mut model, Message::Came(Box::default()));
        for (width, height) in SIZES {
            let text = snapshot::text(&model, &theme("default"), width, height);
            for other in Theme::embedded() {
                let same = snapshot::text(&model, &theme(other), width, height);
                assert_eq!(text, same, "{name}: {other} says something else");
            }
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text);
        }
    }
}

#[test]
fn what_stands_out_in_each_theme() {
    for (name, mut model) in states::all() {
        update(&mut model, Message::Came(Box::default()));
        for theme_name in Theme::embedded() {
            let theme = theme(theme_name);
            let loud = loud(&theme, &snapshot::frame(&model, &theme, 120, 40));
            insta::assert_snapshot!(format!("{name}_loud_{theme_name}"), loud);
        }
    }
}

#[test]
fn every_view_word_for_word() {
    let mut model = states::burning();
    for view in View::ALL {
        model.ui.view = view;
        let name = format!("view_{}", view.title().to_lowercase());
        for (width, height) in [(80, 24), (120, 40)] {
            let text = snapshot::text(&model, &theme("default"), width, height);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text);
        }
    }
    for view in [View::Traffic, View::Pool, View::Fleet] {
        model.ui.view = view;
        let name = format!("view_{}_200x60", view.title().to_lowercase());
        insta::assert_snapshot!(name, snapshot::text(&model, &theme("default"), 200, 60));
    }
    let mut comparing = states::comparing();
    comparing.ui.view = View::Steps;
    insta::assert_snapshot!(
        "view_steps_comparing_120x40",
        snapshot::text(&comparing, &theme("default"), 120, 40)
    );
    let mut importing = states::importing();
    importing.ui.view = View::Steps;
    insta::assert_snapshot!(
        "view_steps_importing_120x40",
        snapshot::text(&importing, &theme("default"), 120, 40)
    );
}

#[test]
fn the_tables_word_for_word() {
    let waiting = states::half_signed();
    for (name, mut model) in [
        ("before_d1", waiting),
        ("importing", states::importing()),
        ("comparing", states::comparing()),
        ("burning", states::burning()),
    ] {
        press(&mut model, "9");
        for (width, height) in [(80, 24), (120, 40), (200, 60)] {
            let text = snapshot::text(&model, &theme("default"), width, height);
            insta::assert_snapshot!(format!("data_{name}_{width}x{height}"), text);
        }
        press(&mut model, "\n");
        let text = snapshot::text(&model, &theme("default"), 80, 24);
        insta::assert_snapshot!(format!("table_{name}_80x24"), text);
    }
}

#[test]
fn five_hundred_instances_word_for_word() {
    let mut model = states::crowd();
    for view in [View::Bridge, View::Traffic, View::Pool, View::Fleet] {
        model.ui.view = view;
        for (width, height) in SIZES {
            let name = format!("crowd_{}_{width}x{height}", view.title().to_lowercase());
            insta::assert_snapshot!(
                name,
                snapshot::text(&model, &theme("default"), width, height)
            );
        }
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
fn everything() -> Vec<Model> {
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
    let mut models = everything();
    let pairs = models.len() * View::ALL.len();
    let theme = theme("default");
    for width in (0..100u16).chain((100..=400).step_by(25)) {
        for height in (0..50u16).chain((50..=120).step_by(10)) {
            let pair = (usize::from(width) + 31 * usize::from(height)) % pairs;
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

/// Words whose style is louder than plain text, by row: `12 warn: 1 BURNING`.
fn loud(theme: &Theme, buf: &ratatui::buffer::Buffer) -> String {
    let quiet = [
        Meaning::Text,
        Meaning::Muted,
        Meaning::Border,
        Meaning::Title,
        Meaning::Key,
    ];
    // Where a theme draws two meanings alike, the first names both.
    let names: BTreeMap<String, &str> = Meaning::ALL
        .iter()
        .rev()
        .filter(|(m, _)| !quiet.contains(m))
        .map(|(m, name)| (key(theme.style(*m)), *name))
        .collect();
    let mut out = String::new();
    for y in 0..buf.area.height {
        let mut run: Option<(&str, String)> = None;
        for x in 0..=buf.area.width {
            let cell = (x < buf.area.width).then(|| &buf[(x, y)]);
            let name = cell.and_then(|c| names.get(&key(c.style())).copied());
            if run.as_ref().map(|(n, _)| *n) != name {
                if let Some((name, text)) = run
                    .take()
                    .filter(|(_, t)| t.chars().any(char::is_alphanumeric))
                {
                    let _ = writeln!(out, "{y:>2} {name}: {}", text.trim());
                }
                run = name.map(|n| (n, String::new()));
            }
            if let (Some((_, text)), Some(cell)) = (&mut run, cell) {
                text.push_str(cell.symbol());
            }
        }
    }
    out
}

fn key(style: Style) -> String {
    let reset = |c: Option<ratatui::style::Color>| c.unwrap_or(ratatui::style::Color::Reset);
    let modifiers = style.add_modifier - Modifier::empty();
    format!(
        "{:?} {:?} {:?}",
        reset(style.fg),
        reset(style.bg),
        modifiers
    )
}
