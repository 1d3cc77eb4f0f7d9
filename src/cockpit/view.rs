//! What a frame looks like: pure functions of model, theme and area. What matters least folds away first, into views on digits.
//!
//! Not in here: when a frame is drawn (`driver`), and what is in it before it is drawn (`model`).

mod clients;
mod countdown;
mod data;
mod dialog;
mod event;
mod fleet;
mod footer;
mod gates;
mod guide;
mod header;
mod heat;
mod help;
mod journal;
mod layout;
mod output;
mod palette;
mod people;
mod pool;
mod pools;
mod rollback;
mod shared;
mod step;
mod steps;
mod still;
mod strip;
mod timeline;
mod traffic;
mod triggers;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::layout::{Panel, Places};
use super::canvas::Canvas;
use super::model::Model;
use super::model::ui::{Focus, Overlay, View};
use super::split::Placed;
use super::target::{Target, Targets};
use super::theme::{Meaning, Theme};
use crate::format::span;
use crate::session::Phase;

/// Draws a whole frame; returns what can be clicked in it.
pub fn draw(model: &Model, theme: &Theme, buf: &mut Buffer) -> Targets {
    let area = buf.area;
    let stale = match &model.still {
        Some(_) => Some(format!(" STILL {} ", span(model.still_for_ms()))),
        None if model.is_stale() => Some(format!(" STALE {} ", span(model.stale_for_ms()))),
        None => None,
    };
    let mut canvas = Canvas::new(buf, theme, stale);
    canvas.glyphs = model.ui.glyphs;
    canvas.keys = model.ui.keys.clone();
    canvas.clear(area);
    let area = still::draw(&mut canvas, area, model);
    let area = timeline::draw(&mut canvas, area, model);
    if model.session.fired.is_some() && model.session.phase == Phase::Open {
        countdown::draw(&mut canvas, area, model);
    } else {
        draw_places(&mut canvas, area, model);
    }
    let panels = canvas.targets.panels();
    draw_overlay(&mut canvas, area, model);
    canvas.targets.keep_panels(panels);
    canvas.glyphs.put_on(canvas.buf);
    canvas.targets
}

fn draw_places(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let Places {
        header,
        body,
        footer,
    } = layout::places(area);
    header::draw(canvas, header, model);
    match model.ui.view {
        View::Bridge => {
            for (panel, place) in layout::bridge(canvas, body, model) {
                draw_panel(canvas, place, model, panel);
            }
        }
        View::Steps => steps::draw_view(canvas, body, model),
        View::Pool => pool::draw_view(canvas, body, model),
        View::Traffic => traffic::draw_view(canvas, body, model),
        View::Fleet => fleet::draw_view(canvas, body, model),
        View::Gates => gates::draw_view(canvas, body, model),
        View::Journal => journal::draw(canvas, body, model),
        View::Rollback => rollback::draw(canvas, body, model),
        View::Data => data::draw(canvas, body, model),
    }
    footer::draw(canvas, footer, model);
    let held = model.ui.held.map(|held| held.line);
    if let Some(cells) = held.and_then(|line| canvas.targets.line(line).map(Placed::cells)) {
        canvas.overlay(cells, Meaning::Focus);
    }
}

fn draw_panel(canvas: &mut Canvas<'_>, place: Rect, model: &Model, panel: Panel) {
    let larger = match panel {
        Panel::Gates => Target::List(Focus::Gates),
        Panel::Steps | Panel::Output => Target::List(Focus::Steps),
        Panel::Events => Target::List(Focus::Events),
        Panel::Triggers | Panel::Fleet => Target::Panel(View::Fleet),
        Panel::Errors | Panel::Latency => Target::Panel(View::Traffic),
        Panel::Pool => Target::Panel(View::Pool),
    };
    canvas.target(place, larger);
    match panel {
        Panel::Gates => gates::draw(canvas, place, model),
        Panel::Steps => steps::draw(canvas, place, model),
        Panel::Triggers => triggers::draw(canvas, place, model),
        Panel::Errors => traffic::draw_errors(canvas, place, model),
        Panel::Latency => traffic::draw_latency(canvas, place, model),
        Panel::Pool => pool::draw(canvas, place, model),
        Panel::Fleet => fleet::draw(canvas, place, model),
        Panel::Events => journal::draw(canvas, place, model),
        Panel::Output => output::draw_tail(canvas, place, model),
    }
}

fn draw_overlay(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    match &model.ui.overlay {
        None => {}
        Some(Overlay::Help { scroll }) => help::draw(canvas, area, model, *scroll),
        Some(Overlay::People { scroll }) => people::draw(canvas, area, model, *scroll),
        Some(Overlay::Guide) => guide::draw(canvas, area, model),
        Some(Overlay::Output { step, attempt, up }) => {
            output::draw(canvas, area, model, step, *attempt, *up);
        }
        Some(Overlay::Form(form)) => dialog::draw_form(canvas, area, model, form),
        Some(Overlay::Pick(pick)) => dialog::draw_pick(canvas, area, model, *pick),
        Some(Overlay::Event { seq, scroll }) => event::draw(canvas, area, model, *seq, *scroll),
        Some(Overlay::Table { table, scroll }) => {
            data::draw_table(canvas, area, model, table, *scroll)
        }
        // It is typed within the panel of the list.
        Some(Overlay::Filter) => {}
        Some(Overlay::Palette(palette)) => palette::draw(canvas, area, model, palette),
    }
}
