//! The top of the screen: which session, who you are, whether an engine lives; the clocks; the people; what to do next.

use ratatui::layout::Rect;

use super::shared::{against, below, paragraph, person_for, row, short_role};
use crate::cockpit::actions::{self, Action, Availability, Do};
use crate::cockpit::canvas::{Canvas, Piece, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::Overlay;
use crate::cockpit::news::Engine;
use crate::cockpit::theme::Meaning;
use crate::format::{lasting, span, time_of_day};
use crate::session::StepStatus;
use crate::session::advice::{Advice, Urgency, next_action_seen};
use crate::session::forecast::{Forecast, forecast};
use crate::text::printable;

/// The elevated monitoring of G1 lasts so long.
const STABILISE: &str = "60:00";
/// The point of no return is near, in runbook time.
const SOON_MS: i64 = 5 * 60_000;

/// Draws as many rows as the area has: title; title and advice; with clocks; with two rows of advice; with people.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height == 0 || area.width == 0 {
        return;
    }
    title(canvas, row(area, 0), model);
    let mut used = 1;
    if area.height >= 3 {
        clocks(canvas, row(area, used), model);
        used += 1;
    }
    if area.height >= 5 {
        people(canvas, row(area, used), model);
        used += 1;
    }
    advice(canvas, below(area, used), model);
}

fn title(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let charter = &model.session.charter;
    let wide = area.width >= 100;
    let mut left = vec![
        piece(" cutover ", Meaning::Accent),
        piece(charter.session.as_str(), Meaning::Title),
    ];
    if charter.sandbox {
        left.push(piece("  SANDBOX", Meaning::Sandbox));
    }
    if charter.rehearsal {
        left.push(piece("  REHEARSAL", Meaning::Sandbox));
    }
    if charter.speed != 1.0 {
        left.push(piece(format!(" ×{}", charter.speed), Meaning::Sandbox));
    }
    let mut right = Vec::new();
    if model.replay.is_none() {
        right.extend(me(model, wide));
        right.push(piece("  ", Meaning::Text));
    }
    right.push(engine(model));
    let time = time_of_day(model.wall, model.zone);
    right.push(piece(format!("  {time} "), Meaning::Text));
    let room = area.width.saturating_sub(width_of(&right));
    canvas.pieces(area.x, area.y, room, &left);
    if room > 12 {
        canvas.pieces_right(area, &right);
    } else {
        canvas.pieces_right(area, &[engine(model)]);
    }
}

fn me(model: &Model, wide: bool) -> Vec<Piece<'_>> {
    let Some(me) = &model.me else {
        return vec![piece("you: not on this bridge", Meaning::Warn)];
    };
    let verb = if model.playing.is_some() {
        "playing "
    } else {
        "you: "
    };
    if wide {
        let roles: Vec<_> = me.roles.iter().map(|r| r.title()).collect();
        return vec![
            piece(verb, Meaning::Muted),
            piece(model.name_of(&me.id), Meaning::Title),
            piece(format!(" ({})", roles.join(", ")), Meaning::Muted),
        ];
    }
    let roles: Vec<_> = me.roles.iter().map(|r| short_role(*r)).collect();
    vec![
        piece(me.id.as_str(), Meaning::Title),
        piece(format!(" {}", roles.join(" ")), Meaning::Muted),
    ]
}

fn engine(model: &Model) -> Piece<'static> {
    if model.replay.is_some() {
        return piece("REPLAY, read only", Meaning::Alarm);
    }
    // The line above says what has become of the engine since.
    if model.still.is_some() {
        return piece("▪ still", Meaning::Alarm);
    }
    match &model.engine {
        // It lets go of both databases, and gives no sign of life meanwhile.
        Engine::Live { .. } | Engine::Silent { .. } if model.is_over() => {
            piece("● ends", Meaning::Ok)
        }
        Engine::Live { .. } => piece("● live", Meaning::Ok),
        Engine::Silent { .. } => piece("◌ SILENT", Meaning::Alarm),
        Engine::Unknown { .. } => piece("? NOT KNOWN", Meaning::Alarm),
        Engine::Gone { .. } if model.is_over() => piece("○ over", Meaning::Muted),
        Engine::Gone { .. } => piece("✗ NO ENGINE", Meaning::Alarm),
    }
}

fn clocks(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let wide = area.width >= 110;
    let mut parts = vec![
        vec![
            piece("session ", Meaning::Muted),
            piece(span(model.runbook_ms(model.clock_ms())), Meaning::Text),
        ],
        freeze_clock(model, wide),
        switch_clock(model, wide),
        rollback_clock(model, wide),
    ];
    if area.width >= 150 {
        parts.insert(2, forecast_part(model));
    }
    let mut all = vec![piece(" ", Meaning::Text)];
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        append(&mut all, part, area.width);
    }
    if area.width >= 100 && !append(&mut all, confidence_part(model, " of 100"), area.width) {
        append(&mut all, confidence_part(model, ""), area.width);
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

fn freeze_clock(model: &Model, wide: bool) -> Vec<Piece<'static>> {
    let session = &model.session;
    let limit_ms = session.freeze_limit_ms();
    let of = if wide { " of " } else { "/" };
    let value = match session.freeze() {
        None => piece("–", Meaning::Muted),
        Some((since_ms, end_ms)) => {
            let ms = model.runbook_ms(end_ms.unwrap_or(model.clock_ms()) - since_ms);
            let meaning = against(ms, limit_ms);
            let word = if end_ms.is_some() && wide {
                "lasted "
            } else {
                ""
            };
            piece(format!("{word}{}", span(ms)), meaning)
        }
    };
    vec![
        piece("freeze ", Meaning::Muted),
        value,
        piece(format!("{of}{}", span(limit_ms)), Meaning::Muted),
    ]
}

/// When the freeze will end by the rehearsal, and until when a rollback still fits into it.
fn forecast_part(model: &Model) -> Vec<Piece<'static>> {
    let Some(told) = forecast(&model.session, model.clock_ms()) else {
        return Vec::new();
    };
    let left = span(model.runbook_ms(told.freeze_left_ms));
    let (until, meaning) = no_return(model, &told);
    vec![
        piece(format!("open again in ~{left}, "), Meaning::Muted),
        piece(until, meaning),
    ]
}

/// `rollback fits until 03:12:40`, by the reader's clock.
pub fn no_return(model: &Model, told: &Forecast) -> (String, Meaning) {
    let left_ms = told.no_return_ms.saturating_sub(model.clock_ms());
    if told.is_past(model.clock_ms()) {
        let late = span(model.runbook_ms(-left_ms));
        return (format!("a rollback now ends {late} late"), Meaning::Danger);
    }
    let at = model.wall + chrono::TimeDelta::milliseconds(left_ms);
    let until = format!("rollback fits until {}", time_of_day(at, model.zone));
    let soon = model.runbook_ms(left_ms) < SOON_MS;
    (until, if soon { Meaning::Warn } else { Meaning::Text })
}

fn switch_clock(model: &Model, wide: bool) -> Vec<Piece<'static>> {
    let session = &model.session;
    let verify_ms = session.charter.limits.verify_within_ms;
    let of = if wide { " of " } else { "/" };
    let and = if wide { ", " } else { "/" };
    let value = match session.switched_ms() {
        None => piece("–", Meaning::Muted),
        Some(since_ms) => {
            let ms = model.runbook_ms(model.clock_ms() - since_ms);
            let verified = session
                .lines()
                .filter(|(l, _)| l.kind == crate::session::LineKind::Verify)
                .all(|(_, s)| s.status == StepStatus::Done);
            let meaning = if verified {
                Meaning::Text
            } else {
                against(ms, verify_ms)
            };
            piece(span(ms), meaning)
        }
    };
    let limits = format!("{of}{}{and}{}", span(verify_ms), STABILISE);
    vec![
        piece("switch ", Meaning::Muted),
        value,
        piece(limits, Meaning::Muted),
    ]
}

fn rollback_clock(model: &Model, wide: bool) -> Vec<Piece<'static>> {
    let rto_ms = model.session.charter.limits.rto_ms;
    let value = match &model.session.rollback {
        None => piece("–", Meaning::Muted),
        Some(rollback) => {
            let end_ms = rollback.restored_ms.unwrap_or(model.clock_ms());
            let ms = model.runbook_ms(end_ms - rollback.started_ms);
            piece(span(ms), against(ms, rto_ms))
        }
    };
    vec![
        piece(if wide { "rollback " } else { "RTO " }, Meaning::Muted),
        value,
        piece(
            format!("{}{}", if wide { " of " } else { "/" }, span(rto_ms)),
            Meaning::Muted,
        ),
    ]
}

/// Adds a part where there is room for all of it: a number cut in half is another number.
fn append(all: &mut Vec<Piece<'static>>, part: Vec<Piece<'static>>, width: u16) -> bool {
    let between = [piece(" │ ", Meaning::Border)];
    let between = &between[..usize::from(all.len() > 1)];
    if width_of(all) + width_of(between) + width_of(&part) > width {
        return false;
    }
    all.extend_from_slice(between);
    all.extend(part);
    true
}

fn confidence_part(model: &Model, of: &str) -> Vec<Piece<'static>> {
    let score = &model.confidence;
    let meaning = if score.critical.is_some() {
        Meaning::Danger
    } else {
        Meaning::Text
    };
    vec![
        piece("confidence ", Meaning::Muted),
        piece(format!("{}{of}", score.score), meaning),
    ]
}

fn people(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut all = vec![piece(" on the bridge ", Meaning::Muted)];
    if model.replay.is_some() {
        all.push(piece("(who was here is not recorded)", Meaning::Unknown));
    }
    let me = model.me.as_ref().map(|m| m.id.as_str());
    for person in &model.session.charter.people {
        let seen = model.presence.iter().find(|p| p.person == person.id);
        let here = seen.filter(|p| p.is_here(model.now_ms));
        let (mark, meaning) = match here {
            Some(_) => ("● ", Meaning::Ok),
            None if model.replay.is_some() => ("? ", Meaning::Muted),
            None => ("○ ", Meaning::Muted),
        };
        all.push(piece(format!(" {mark}"), meaning));
        all.push(piece(person.name.as_str(), meaning));
        let roles: Vec<_> = person.roles.iter().map(|r| r.title()).collect();
        let place = match here {
            Some(presence) if area.width >= 150 => format!(", {}", presence.view),
            Some(_) => String::new(),
            None if area.width >= 150 => match seen {
                Some(last) => format!(", away {}", span(model.now_ms - last.seen_ms)),
                None if model.replay.is_some() => String::new(),
                None => ", away".to_owned(),
            },
            None => String::new(),
        };
        let you = if me == Some(person.id.as_str()) {
            ", you"
        } else {
            ""
        };
        all.push(piece(
            format!(" {}{place}{you} ", roles.join(", ")),
            Meaning::Muted,
        ));
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

/// What to do next; while no engine lives, that.
fn advice(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    if area.height == 0 {
        return;
    }
    if model.is_stale() {
        return engine_gone(canvas, area, model);
    }
    let advice = next_action_seen(&model.session, model.now_ms, &model.triggers);
    let (word, meaning) = match advice.urgency {
        // Nobody is called by what may not be so any more.
        _ if model.still.is_some() => ("WAS", Meaning::Muted),
        Urgency::Calm => ("NOW", Meaning::Muted),
        Urgency::Waiting if is_mine(model, &advice) => ("YOU", Meaning::Accent),
        Urgency::Waiting => ("NEXT", Meaning::Accent),
        Urgency::Alarm => ("ALARM", Meaning::Alarm),
        Urgency::Rollback => ("ROLLBACK", Meaning::Alarm),
    };
    let badge = format!(" {word} ");
    let used = 1 + canvas.write(area.x + 1, area.y, area.width, &badge, meaning);
    let text = Rect {
        x: area.x + used + 1,
        width: area.width.saturating_sub(used + 2),
        ..area
    };
    // The key comes first: it must not be what a long sentence cuts off.
    let hint = hint(model, &advice).map_or_else(String::new, |h| format!("[{h}] "));
    let mut sentence = format!("{hint}{}", advice.sentence);
    if let Some(left_ms) = model.pace.left_ms().filter(|_| advice.act.is_none()) {
        sentence.push_str(&format!(
            " About {} left.",
            // As the bar beside it has it, which counts whole seconds.
            lasting(model.runbook_ms(left_ms) / 1_000 * 1_000)
        ));
    }
    let body = if advice.urgency == Urgency::Calm {
        Meaning::Text
    } else {
        Meaning::Title
    };
    paragraph(canvas, text, &sentence, body);
}

fn is_mine(model: &Model, advice: &Advice) -> bool {
    let mine = model.own_roles();
    mine.iter().any(|r| advice.waits_for.contains(r))
}

/// Which key does what the advice asks for, and in the sandbox, whom to play for it.
pub fn hint(model: &Model, advice: &Advice) -> Option<String> {
    if model.replay.is_some() {
        return None;
    }
    let action = actions::for_act(advice.act?)?;
    // Nothing is commanded by what may not be true now; a rollback lets the display go on by itself.
    if model.still.is_some() && action.act != Do::RollBack {
        return Some(format!("{}: go on", model.ui.keys.shown(Do::Still)));
    }
    let key = model.ui.keys.first(action).shown();
    let can = match advice.act? {
        crate::session::roles::Act::Sign => signable_by_me(model),
        _ => action.now(model) == Availability::Yes,
    };
    if can && is_mine(model, advice) {
        let first = match way_there(model, action) {
            0 => String::new(),
            times => format!("{}, then ", vec!["Esc"; times].join(" ")),
        };
        return Some(format!("{first}{key}: {}", action.label));
    }
    let person = person_for(model, &advice.waits_for)?;
    let play = model.ui.keys.shown(Do::Play);
    // Also where whoever is played may do it for them: the line at the top names a key as long as one helps.
    model
        .session
        .charter
        .sandbox
        .then(|| format!("{play}: play {}, then {key}", person.name))
}

/// How often Esc is struck until the key of this action is its own: each time gives up one thing, what is typed, a zoom, a filter, the view.
fn way_there(model: &Model, action: &Action) -> usize {
    let ui = &model.ui;
    match actions::has_its_key(model, action) {
        true => usize::from(ui.overlay == Some(Overlay::Filter)),
        false => 1 + usize::from(ui.zoom.is_some()) + usize::from(ui.shows_filter()),
    }
}

/// Whether there is any gate that the person at this terminal can sign now, in a role of their own.
fn signable_by_me(model: &Model) -> bool {
    let own = model.own_roles();
    let mut gates = model.session.charter.gates.iter();
    gates.any(|gate| {
        let in_own_role = model.signs_as(gate).is_some_and(|r| own.contains(&r));
        in_own_role && actions::can_sign_gate(model, gate) == Availability::Yes
    })
}

fn engine_gone(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    for y in area.top()..area.bottom() {
        let blank = " ".repeat(usize::from(area.width));
        canvas.write(area.x, y, area.width, &blank, Meaning::Alarm);
    }
    let since = span(model.stale_for_ms());
    let key = model.ui.keys.shown(Do::StartEngine);
    let sentence = match &model.engine {
        Engine::Silent { pid } if !model.engine_hangs() => format!(
            "ENGINE {pid} GIVES NO SIGN OF LIFE for {since}: nothing on this screen is live. It may only be short of processor time; leave it \
             some seconds."
        ),
        Engine::Silent { pid } => format!(
            "ENGINE {pid} GIVES NO SIGN OF LIFE for {since}: nothing on this screen is live. End that process, then {key} starts another."
        ),
        Engine::Unknown { why } => format!(
            "NOBODY KNOWS whether an engine runs, for {since}: the session's folder cannot be read; bring it back. Nothing on this screen is \
             live. {}",
            printable(why, 200)
        ),
        Engine::Gone { last: None } => {
            format!("NO ENGINE has run this session yet: nothing moves. {key} starts one.")
        }
        Engine::Gone {
            last: Some((pid, true)),
        } => format!(
            "ENGINE {pid} HAS ENDED, {since} ago: nothing on this screen is live. {key} starts another; it goes on from what is really there."
        ),
        Engine::Live { .. } | Engine::Gone { .. } => format!(
            "THE ENGINE IS GONE for {since}: nothing on this screen is live, nothing watches the triggers. {key} starts another; it goes on from what is really there."
        ),
    };
    let text = Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    };
    paragraph(canvas, text, &sentence, Meaning::Alarm);
}
