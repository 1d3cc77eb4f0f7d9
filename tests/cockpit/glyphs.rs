//! What is shown where not everything can be: half blocks on a console, and ASCII alone. Nothing is lost, and nothing else gets through.

use cutover::cockpit::glyphs::Glyphs;
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use ratatui::buffer::Buffer;

use super::{hostile, replay, screens, states};

const POORER: [(Glyphs, &str); 2] = [(Glyphs::Blocks, "blocks"), (Glyphs::Ascii, "ascii")];

fn frame(model: &mut Model, glyphs: Glyphs, (width, height): (u16, u16)) -> Buffer {
    model.ui.glyphs = glyphs;
    snapshot::frame(model, &Theme::standard(), width, height)
}

/// Each cell holds one character that a terminal of this kind shows.
fn assert_shown(glyphs: Glyphs, frame: &Buffer, whose: &str) {
    for (n, cell) in frame.content.iter().enumerate() {
        let (x, y) = frame.pos_of(n);
        let mut chars = cell.symbol().chars();
        let shown = chars.next().is_some_and(|c| glyphs.shows(c)) && chars.next().is_none();
        assert!(shown, "{whose}, {glyphs:?}, {x} {y}: {:?}", cell.symbol());
    }
}

#[test]
fn no_view_in_any_state_shows_what_the_terminal_cannot() {
    let mut models = screens::everything();
    models.push(replay::replay());
    for (n, model) in models.iter_mut().enumerate() {
        for view in View::ALL {
            model.ui.view = view;
            for size in [(60, 20), (80, 24), (120, 40), (200, 60)] {
                let whose = format!("state {n}, {view:?} at {size:?}");
                let all = frame(model, Glyphs::Braille, size);
                for (glyphs, _) in POORER {
                    let poorer = frame(model, glyphs, size);
                    assert_shown(glyphs, &poorer, &whose);
                    for (rich, poor) in all.content.iter().zip(&poorer.content) {
                        let is_lost = poor.symbol() == "?" && rich.symbol() != "?";
                        assert!(!is_lost, "{whose}: nothing stands in for {}", rich.symbol());
                    }
                }
            }
        }
    }
}

#[test]
fn no_foreign_text_gets_through_either() {
    for text in hostile::texts() {
        for story in [states::after_reopening(), states::fired_story()] {
            let mut model = hostile::seen(&story, &text);
            for view in View::ALL {
                model.ui.view = view;
                for (glyphs, _) in POORER {
                    let frame = frame(&mut model, glyphs, (120, 40));
                    assert_shown(glyphs, &frame, &format!("{view:?}"));
                }
            }
        }
    }
}

#[test]
fn charts_word_for_word() {
    let mut model = states::burning();
    for view in [View::Bridge, View::Traffic, View::Fleet, View::Pool] {
        model.ui.view = view;
        for (glyphs, name) in POORER {
            model.ui.glyphs = glyphs;
            let name = format!("{}_in_{name}_80x24", view.title().to_lowercase());
            let text = snapshot::text(&model, &Theme::standard(), 80, 24);
            insta::assert_snapshot!(name, text);
        }
    }
    let mut model = states::fired();
    for (glyphs, name) in POORER {
        model.ui.glyphs = glyphs;
        let text = snapshot::text(&model, &Theme::standard(), 120, 40);
        insta::assert_snapshot!(format!("countdown_in_{name}_120x40"), text);
    }
}
