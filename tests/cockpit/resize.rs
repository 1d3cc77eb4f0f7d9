//! Lines between panels: dragged by the mouse, moved by keys, kept at other sizes, and never so far that a panel is lost.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEventKind};
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::{Focus, Held, Ui, View};
use cutover::cockpit::snapshot;
use cutover::cockpit::split::{Axis, Line, Placed, Stack};
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Effect, Message, update};

use super::keys::press;
use super::mouse::{at, drawn_at, press_and_let_go};
use super::{screens, states};

const SIZE: (u16, u16) = (120, 40);

const BETWEEN_COLUMNS: Line = line_of(Stack::Two, 0);
const BELOW_GATES: Line = line_of(Stack::TwoLeft, 0);

const fn line_of(of: Stack, n: usize) -> Line {
    Line { of, n }
}

fn placed(model: &mut Model, line: Line) -> Placed {
    drawn_at(model, SIZE);
    let placed = model.ui.targets.line(line).copied();
    placed.unwrap_or_else(|| panic!("{line:?} is not on the screen"))
}

/// The middle of a line, in its first cell.
fn middle(placed: &Placed) -> (u16, u16) {
    let cells = placed.cells();
    match placed.axis {
        Axis::Across => (cells.x, cells.y + cells.height / 2),
        Axis::Down => (cells.x + cells.width / 2, cells.y),
    }
}

fn drag(model: &mut Model, from: (u16, u16), to: (u16, u16)) -> Vec<Effect> {
    let button = MouseButton::Left;
    let mut effects = at(model, MouseEventKind::Down(button), from);
    effects.extend(at(model, MouseEventKind::Drag(button), to));
    effects.extend(at(model, MouseEventKind::Up(button), to));
    effects
}

fn ctrl(model: &mut Model, code: KeyCode) {
    let event = KeyEvent::new(code, KeyModifiers::CONTROL);
    update(model, Message::Key(event));
}

fn said(model: &Model) -> &str {
    model.ui.toast.as_ref().map_or("", |t| &t.text)
}

/// Frames of panels: their upper left corners.
fn panels(model: &Model, (width, height): (u16, u16)) -> usize {
    let buf = snapshot::frame(model, &Theme::standard(), width, height);
    let symbols = buf.content.iter().map(|cell| cell.symbol());
    symbols.filter(|s| matches!(*s, "┌" | "┏")).count()
}

#[test]
fn a_line_goes_where_it_is_dragged_and_stays_there() {
    let mut model = states::burning();
    let line = placed(&mut model, BETWEEN_COLUMNS);
    assert_eq!(line.at, 60);
    let (x, y) = middle(&line);
    assert_eq!(drag(&mut model, (x, y), (x - 7, y + 3)), []);
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, 53);
    // The button is up: what the pointer does now is its own affair.
    at(&mut model, MouseEventKind::Drag(MouseButton::Left), (9, y));
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, 53);
    let line = placed(&mut model, BELOW_GATES);
    let (x, y) = middle(&line);
    drag(&mut model, (x, y + 1), (x, y + 4));
    assert_eq!(placed(&mut model, BELOW_GATES).at, line.at + 3);
    assert!(model.ui.held.is_none());
    press(&mut model, "=");
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, 60);
    assert_eq!(placed(&mut model, BELOW_GATES).at, line.at);
    press(&mut model, "=");
    assert_eq!(said(&model), "every panel has its usual size");
}

#[test]
fn a_line_outlives_other_sizes_of_the_screen() {
    let mut model = states::burning();
    let (x, y) = middle(&placed(&mut model, BETWEEN_COLUMNS));
    drag(&mut model, (x, y), (x + 40, y));
    assert_eq!(
        placed(&mut model, BETWEEN_COLUMNS).at,
        76,
        "as far as it goes"
    );
    drag(&mut model, (x + 16, y), (x - 6, y));
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, 54);
    for (size, at) in [
        ((80, 24), None),
        ((140, 40), Some(63)),
        ((200, 60), None),
        (SIZE, Some(54)),
    ] {
        drawn_at(&mut model, size);
        let line = model.ui.targets.line(BETWEEN_COLUMNS);
        assert_eq!(line.map(|l| l.at), at, "{size:?}");
    }
}

#[test]
fn a_click_on_a_line_is_a_click_on_what_is_there() {
    let mut model = states::burning();
    drawn_at(&mut model, SIZE);
    // The head of the chart below the triggers.
    let line = line_of(Stack::TwoRight, 0);
    let cells = placed(&mut model, line).cells();
    let effects = press_and_let_go(&mut model, (cells.x + 5, cells.y + 1));
    assert_eq!(effects, [Effect::Present(View::Traffic)]);
    assert!(model.ui.splits.is_usual() && model.ui.held.is_none());
}

#[test]
fn a_press_on_a_line_clicks_nothing_that_has_come_up_since() {
    let mut model = states::burning();
    let line = line_of(Stack::TwoRight, 0);
    let cells = placed(&mut model, line).cells();
    for view in View::ALL.into_iter().skip(1) {
        for y in cells.y..cells.y + 2 {
            model.ui.view = View::Bridge;
            drawn_at(&mut model, SIZE);
            let here = (cells.x + 5, y);
            at(&mut model, MouseEventKind::Down(MouseButton::Left), here);
            assert!(model.ui.held.is_some(), "{here:?}");
            model.ui.view = view;
            drawn_at(&mut model, SIZE);
            let cursors = |ui: &Ui| (ui.view, ui.focus, ui.gate, ui.step, ui.table, ui.event);
            let before = cursors(&model.ui);
            let effects = at(&mut model, MouseEventKind::Up(MouseButton::Left), here);
            assert_eq!((effects, cursors(&model.ui)), (Vec::new(), before));
            assert!(model.ui.held.is_none() && model.ui.overlay.is_none());
        }
    }
}

#[test]
fn a_line_below_a_window_is_not_taken() {
    let mut model = states::burning();
    let (x, y) = middle(&placed(&mut model, BETWEEN_COLUMNS));
    press(&mut model, "n");
    drawn_at(&mut model, SIZE);
    drag(&mut model, (x, y), (x - 7, y));
    assert!(model.ui.splits.is_usual());
}

#[test]
fn a_countdown_has_no_lines_and_one_that_is_held_does_no_harm() {
    let mut model = states::fired();
    drawn_at(&mut model, SIZE);
    assert!(model.ui.targets.lines().is_empty());
    model.ui.held = Some(Held {
        line: BETWEEN_COLUMNS,
        off: 0,
        has_moved: true,
        pressed: None,
    });
    at(
        &mut model,
        MouseEventKind::Drag(MouseButton::Left),
        (20, 20),
    );
    at(&mut model, MouseEventKind::Up(MouseButton::Left), (20, 20));
    assert!(model.ui.splits.is_usual() && model.ui.held.is_none());
    press(&mut model, ">");
    assert!(said(&model).contains("countdown"), "{}", said(&model));
}

#[test]
fn keys_move_the_line_beside_the_panel_that_they_act_on() {
    let mut model = states::burning();
    let gates = placed(&mut model, BELOW_GATES).at;
    ctrl(&mut model, KeyCode::Down);
    press(&mut model, "++-");
    assert_eq!(placed(&mut model, BELOW_GATES).at, gates + 2);
    let below_steps = line_of(Stack::TwoLeft, 1);
    let events = placed(&mut model, below_steps).at;
    model.ui.focus = Focus::Events;
    drawn_at(&mut model, SIZE);
    ctrl(&mut model, KeyCode::Up);
    assert_eq!(
        placed(&mut model, below_steps).at,
        events - 1,
        "the last panel has a line above it alone"
    );
    press(&mut model, "<<");
    ctrl(&mut model, KeyCode::Right);
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, 58);
    // Faster than frames.
    press(&mut model, &"<".repeat(80));
    assert_eq!(
        said(&model),
        "the line goes no further: what is beside it would be lost"
    );
    let line = placed(&mut model, BETWEEN_COLUMNS);
    assert_eq!(line.at, line.range.0);
    for keys in ["7>", "9+"] {
        press(&mut model, &keys[..1]);
        drawn_at(&mut model, SIZE);
        press(&mut model, &keys[1..]);
        assert!(
            said(&model).starts_with("no panels stand"),
            "{}",
            said(&model)
        );
    }
}

#[test]
fn in_a_replay_ctrl_and_an_arrow_move_lines_and_the_signs_move_time() {
    let mut model = super::replay::replay();
    let line = placed(&mut model, BETWEEN_COLUMNS);
    let then = model.now_ms;
    ctrl(&mut model, KeyCode::Left);
    assert_eq!(model.now_ms, then);
    assert_eq!(placed(&mut model, BETWEEN_COLUMNS).at, line.at - 2);
    press(&mut model, ">");
    assert!(model.now_ms > then);
}

/// All lines where they can be at the least, all at the most, and every other one: no panel is lost that would be there without.
#[test]
fn no_panel_is_lost_wherever_lines_are_at_any_size() {
    let states = [states::burning(), states::crowd(), states::half_signed()];
    let sizes = (0..=240u16)
        .step_by(15)
        .flat_map(|w| (0..=72u16).step_by(6).map(move |h| (w, h)));
    let mut moved = 0;
    for (n, size) in sizes.enumerate() {
        // A third of the views at each size, and each view at a third of the sizes.
        let views = View::ALL.into_iter().enumerate();
        for (m, view) in views.filter(|(m, _)| (n + m) % 3 == 0) {
            let mut model = states[(n / 3 + m) % states.len()].clone();
            model.ui.view = view;
            drawn_at(&mut model, size);
            let usual = panels(&model, size);
            let lines = model.ui.targets.lines().to_vec();
            for far in [[0, 0], [999, 999], [0, 999]] {
                for (n, line) in lines.iter().enumerate() {
                    let anywhere = Placed {
                        range: (0, u16::MAX),
                        ..*line
                    };
                    model.ui.splits.put(&anywhere, far[n % 2]);
                }
                moved += lines.len();
                assert_eq!(panels(&model, size), usual, "{view:?} at {size:?}, {far:?}");
            }
        }
    }
    assert!(moved > 1_000, "{moved}");
}

/// What somebody did to the lines at one size must not break the screen at any other.
#[test]
fn any_size_without_a_panic_with_lines_moved() {
    let mut models = screens::everything();
    for (n, model) in models.iter_mut().enumerate() {
        for size in [(60, 20), (80, 24), (120, 40), (200, 60)] {
            for view in View::ALL {
                model.ui.view = view;
                drawn_at(model, size);
                for line in model.ui.targets.lines().to_vec() {
                    let at = if n % 2 == 0 {
                        line.range.0
                    } else {
                        line.range.1
                    };
                    model.ui.splits.put(&line, i32::from(at));
                }
            }
        }
    }
    for (n, width) in (0..=400u16).step_by(13).enumerate() {
        for (m, height) in (0..=120u16).step_by(7).enumerate() {
            let at = n + 5 * m;
            let models_len = models.len();
            let model = &mut models[at % models_len];
            model.ui.view = View::ALL[(at / models_len) % View::ALL.len()];
            snapshot::frame(model, &Theme::standard(), width, height);
        }
    }
}

#[test]
fn every_burning_trigger_shows_where_the_panel_is_small() {
    let mut model = states::burning();
    let line = line_of(Stack::TwoRight, 0);
    let placed = placed(&mut model, line);
    model.ui.splits.put(&placed, 0);
    let text = snapshot::text(&model, &Theme::standard(), SIZE.0, SIZE.1);
    for burning in ["▲ T1a", "▲ T3a", "? T3b"] {
        assert!(text.contains(burning), "no {burning}:\n{text}");
    }
}
