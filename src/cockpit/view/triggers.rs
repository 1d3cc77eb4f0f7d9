//! Triggers as fuses that fill as they burn, and the monitoring checklist in one row.

use ratatui::layout::Rect;

use super::shared::{below, paragraph, row};
use crate::cockpit::canvas::{Canvas, Head, Piece, piece, width_of};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::View;
use crate::cockpit::theme::Meaning;
use crate::format::span;
use crate::runbook::{Condition, Trigger};
use crate::session::live::TriggerView;
use crate::session::{Phase, StepState, TriggerPhase};

/// A trigger as it is shown: the worst of its instances.
struct Fuse<'a> {
    trigger: &'a Trigger,
    phase: Option<TriggerPhase>,
    armed: bool,
    streak_ms: i64,
    /// By the journal's events alone, which say since when it burns or is blind, but not what it had burned before.
    is_at_least: bool,
    full_ms: i64,
    reason: String,
    /// Which instance, and how many of them are as bad.
    instance: Option<(String, usize)>,
}

/// The panel.
pub fn draw(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let fuses = fuses(model);
    let burning = fuses
        .iter()
        .filter(|f| f.armed && f.phase == Some(TriggerPhase::Burning))
        .count();
    let blind = fuses
        .iter()
        .filter(|f| f.armed && f.phase == Some(TriggerPhase::Blind))
        .count();
    let mut note = Vec::new();
    match (burning, blind) {
        _ if model.session.phase != Phase::Open => {
            note.push(piece("as they were", Meaning::Muted));
        }
        (0, 0) => note.push(piece("none burns", Meaning::Muted)),
        (0, b) => note.push(piece(format!("{b} blind"), Meaning::Unknown)),
        (n, _) => note.push(piece(format!("{n} BURNING"), Meaning::Warn)),
    }
    let head = Head {
        view: Some(View::Fleet),
        title: "Triggers",
        note,
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let used = losses(canvas, inner, model);
    draw_list(canvas, below(inner, used), model, &fuses);
}

/// What a rollback would lose though it was to be kept: a red row above all fuses, for it is the price of each; returns the rows used.
fn losses(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> u16 {
    let lost = model.would_lose();
    let Some(first) = lost.first().filter(|_| area.height > 0) else {
        return 0;
    };
    let more = match lost.len() {
        1 => String::new(),
        n => format!(" +{}", n - 1),
    };
    let right = canvas.write_right(row(area, 0), &more, Meaning::Danger);
    let room = area.width.saturating_sub(right);
    canvas.write(area.x, area.y, room, &format!("✗ {first}"), Meaning::Danger);
    1
}

fn draw_list(canvas: &mut Canvas<'_>, area: Rect, model: &Model, fuses: &[Fuse<'_>]) {
    let (checks, mut signals): (Vec<_>, Vec<_>) = fuses
        .iter()
        .partition(|f| matches!(f.trigger.when, Condition::Check { .. }));
    // Where not all have a row, what burns comes first; else each keeps its place.
    if signals.len() > usize::from(area.height) {
        signals.sort_by_key(|fuse| std::cmp::Reverse(urgency(fuse)));
    }
    let mut y = 0;
    let fixed =
        u16::from(!checks.is_empty()) + u16::from(!model.session.charter.monitoring.is_empty());
    let spare = area.height.saturating_sub(signals.len() as u16 + fixed);
    let mut reasons = spare;
    for fuse in &signals {
        if y >= area.height {
            return;
        }
        fuse_row(canvas, row(area, y), model, fuse);
        y += 1;
        let speaks = matches!(
            fuse.phase,
            Some(TriggerPhase::Burning | TriggerPhase::Blind)
        ) && fuse.armed;
        if speaks && reasons > 0 && y < area.height {
            let place = row(area, y);
            canvas.write(
                place.x + 5,
                place.y,
                place.width.saturating_sub(6),
                &fuse.reason,
                Meaning::Muted,
            );
            y += 1;
            reasons -= 1;
        }
    }
    if y < area.height && !checks.is_empty() {
        check_row(canvas, row(area, y), &checks);
        y += 1;
    }
    if y < area.height {
        checklist_row(canvas, row(area, y), model);
    }
}

/// `T3a 5xx above twice the…  ▓▓▓▓▓░░░  6:12 of 10:00`.
fn fuse_row(canvas: &mut Canvas<'_>, area: Rect, model: &Model, fuse: &Fuse<'_>) {
    let (mark, meaning) = mark(fuse);
    let words = words(model, fuse);
    let start = [
        piece(mark, meaning),
        piece(
            format!("{:<4}", fuse.trigger.id),
            if fuse.armed { meaning } else { Meaning::Muted },
        ),
    ];
    let used = canvas.pieces(area.x, area.y, area.width, &start);
    let right = canvas.write_right(area, &words, meaning);
    let room = area.width.saturating_sub(used + right + 1);
    let burns = fuse.armed && fuse.full_ms > 0;
    let bar = if burns && room > 24 {
        (room / 3).clamp(8, 30)
    } else {
        0
    };
    let mut title = fuse.trigger.title.clone();
    if let Some((instance, others)) = &fuse.instance {
        let more = if *others > 1 {
            format!(" +{}", others - 1)
        } else {
            String::new()
        };
        title = format!("{instance}{more}: {title}");
    }
    let title_room = room.saturating_sub(if bar > 0 { bar + 1 } else { 0 });
    canvas.write(area.x + used, area.y, title_room, &title, Meaning::Text);
    if bar > 0 {
        let ratio = fuse.streak_ms as f64 / fuse.full_ms as f64;
        let x = area.x + used + title_room + 1;
        canvas.bar(
            x,
            area.y,
            bar,
            ratio,
            if ratio > 0.66 {
                Meaning::Danger
            } else {
                Meaning::Warn
            },
        );
    }
}

fn mark(fuse: &Fuse<'_>) -> (&'static str, Meaning) {
    match fuse.phase {
        Some(TriggerPhase::Fired) => ("✗ ", Meaning::Alarm),
        _ if !fuse.armed => ("· ", Meaning::Muted),
        None => ("· ", Meaning::Muted),
        Some(TriggerPhase::Clear) => ("✓ ", Meaning::Ok),
        Some(TriggerPhase::Burning) => ("▲ ", Meaning::Warn),
        Some(TriggerPhase::Blind) => ("? ", Meaning::Unknown),
    }
}

fn words(model: &Model, fuse: &Fuse<'_>) -> String {
    let least = if fuse.is_at_least { "≥" } else { "" };
    let fuse_words = || format!("{least}{} of {}", span(fuse.streak_ms), span(fuse.full_ms));
    match fuse.phase {
        Some(TriggerPhase::Fired) => "FIRED".to_owned(),
        _ if !fuse.armed => when_armed(model, fuse.trigger),
        None => "no word yet".to_owned(),
        Some(TriggerPhase::Clear) if fuse.full_ms == 0 => "clear".to_owned(),
        Some(TriggerPhase::Clear) => format!("clear, {}", span(fuse.full_ms)),
        Some(TriggerPhase::Burning) => fuse_words(),
        Some(TriggerPhase::Blind) if fuse.streak_ms > 0 => format!("blind at {}", fuse_words()),
        Some(TriggerPhase::Blind) => "blind".to_owned(),
    }
}

/// From when a trigger is armed, or until when it was.
fn when_armed(model: &Model, trigger: &Trigger) -> String {
    let is_over = |id: &String| model.session.step(id).is_some_and(StepState::is_over);
    match trigger.until.as_ref().filter(|id| is_over(id)) {
        Some(until) => format!("until {until}"),
        None => format!("from {}", trigger.from),
    }
}

/// Triggers that judge a step's result have nothing to burn: one row for all.
fn check_row(canvas: &mut Canvas<'_>, area: Rect, checks: &[&Fuse<'_>]) {
    let marked = |fuse: &Fuse<'_>| match fuse.phase {
        Some(TriggerPhase::Fired) => ("✗", Meaning::Alarm),
        _ => ("·", Meaning::Muted),
    };
    let each = checks.iter().map(|fuse| {
        let (mark, meaning) = marked(fuse);
        piece(format!(" {mark}{}", fuse.trigger.id), meaning)
    });
    let mut all: Vec<Piece<'_>> = vec![piece("  by steps", Meaning::Muted)];
    all.extend(each);
    if width_of(&all) > area.width {
        all.truncate(1);
        for run in checks.chunk_by(|a, b| marked(a) == marked(b) && family(a) == family(b)) {
            let (mark, meaning) = marked(run[0]);
            let last = run.last().and_then(|fuse| fuse.trigger.id.chars().last());
            let upto = last.filter(|_| run.len() > 1);
            let upto = upto.map_or(String::new(), |last| format!("–{last}"));
            all.push(piece(
                format!(" {mark}{}{upto}", run[0].trigger.id),
                meaning,
            ));
        }
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

/// `T4` of `T4a`.
fn family<'f>(fuse: &&'f Fuse<'_>) -> &'f str {
    fuse.trigger.id.trim_end_matches(char::is_alphabetic)
}

/// `checklist M1✓ M2✓ M3✗ M4? M5✓`.
fn checklist_row(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let mut all: Vec<Piece<'_>> = vec![piece("  watched", Meaning::Muted)];
    for item in &model.session.charter.monitoring {
        let view = model.checklist.iter().find(|v| v.id == item.id);
        let (mark, meaning) = match view.map(|v| v.green) {
            None if model.replay.is_some() => ("?", Meaning::Unknown),
            None => ("·", Meaning::Muted),
            Some(Some(true)) => ("✓", Meaning::Ok),
            Some(Some(false)) => ("✗", Meaning::Danger),
            Some(None) => ("?", Meaning::Unknown),
        };
        let title = if area.width >= 90 {
            format!(" {} ", item.title)
        } else {
            String::new()
        };
        all.push(piece(format!(" {mark}{}{title}", item.id), meaning));
    }
    canvas.pieces(area.x, area.y, area.width, &all);
}

fn fuses(model: &Model) -> Vec<Fuse<'_>> {
    let triggers = model.session.charter.triggers.iter();
    triggers.map(|trigger| fuse(model, trigger)).collect()
}

fn fuse<'a>(model: &'a Model, trigger: &'a Trigger) -> Fuse<'a> {
    let prefix = format!("{}.", trigger.id);
    let mine = |id: &str| id == trigger.id || id.starts_with(&prefix);
    let views: Vec<&TriggerView> = model.triggers.iter().filter(|v| mine(&v.id)).collect();
    let full_ms = match &trigger.when {
        Condition::Signal { for_ms, .. } => *for_ms,
        Condition::Check { .. } => 0,
    };
    let worst = views.iter().max_by_key(|v| (rank(v.phase), v.streak_ms));
    let Some(worst) = worst else {
        let known = model.session.triggers.iter().filter(|(id, _)| mine(id));
        let known = known.max_by_key(|(_, t)| rank(t.phase));
        let burning = known.filter(|(_, t)| t.phase == TriggerPhase::Burning);
        let streak_ms = burning.map_or(0, |(_, t)| {
            let for_ms = model.runbook_ms(model.clock_ms() - t.since_ms);
            for_ms.clamp(0, full_ms)
        });
        return Fuse {
            trigger,
            phase: known.map(|(_, t)| t.phase),
            armed: known.is_some(),
            streak_ms,
            is_at_least: true,
            full_ms,
            reason: known.map_or_else(String::new, |(_, t)| t.reason.clone()),
            instance: None,
        };
    };
    let as_bad = views.iter().filter(|v| v.phase == worst.phase).count();
    let instance = worst.id.strip_prefix(&prefix).map(str::to_owned);
    let quiet = matches!(worst.phase, TriggerPhase::Clear);
    Fuse {
        trigger,
        phase: Some(worst.phase),
        armed: worst.armed,
        streak_ms: worst.streak_ms,
        is_at_least: false,
        full_ms: worst.full_ms,
        reason: worst.reason.clone(),
        instance: instance.filter(|_| !quiet).map(|i| (i, as_bad)),
    }
}

fn rank(phase: TriggerPhase) -> u8 {
    match phase {
        TriggerPhase::Clear => 0,
        TriggerPhase::Blind => 1,
        TriggerPhase::Burning => 2,
        TriggerPhase::Fired => 3,
    }
}

/// Every trigger with its reason, for the view that has room for it.
pub fn draw_full(canvas: &mut Canvas<'_>, area: Rect, model: &Model) {
    let head = Head {
        title: "Triggers",
        ..Head::default()
    };
    let inner = canvas.panel(area, &head);
    let used = losses(canvas, inner, model);
    let inner = below(inner, used);
    let mut all = fuses(model);
    let speaks = |fuse: &Fuse<'_>| u16::from(fuse.armed && !fuse.reason.is_empty());
    let needs: u16 = all.iter().map(|fuse| 1 + speaks(fuse)).sum();
    let all_fit = needs <= inner.height;
    if !all_fit {
        all.sort_by_key(|fuse| std::cmp::Reverse(urgency(fuse)));
    }
    let urgent = all.iter().filter(|fuse| urgency(fuse) > 0).count();
    let reasons_fit = urgent * 2 < usize::from(inner.height);
    let mut used = 0;
    for (n, fuse) in all.iter().enumerate() {
        let rest = &all[n..];
        // The last row tells of those for which there is none.
        if used + 1 >= inner.height && rest.len() > 1 {
            if used < inner.height {
                let (words, meaning) = remaining(rest);
                let last = row(inner, used);
                canvas.write(last.x, last.y, last.width, &words, meaning);
            }
            return;
        }
        fuse_row(canvas, row(inner, used), model, fuse);
        used += 1;
        let has_room = used + u16::from(rest.len() > 1) < inner.height;
        let is_worth_it = all_fit || (urgency(fuse) > 0 && reasons_fit);
        if speaks(fuse) > 0 && has_room && is_worth_it {
            let place = Rect {
                x: inner.x + 6,
                width: inner.width.saturating_sub(7),
                ..row(inner, used)
            };
            used += paragraph(canvas, place, &fuse.reason, Meaning::Muted);
        }
    }
}

/// How much a trigger wants to be seen; what is clear, or not armed, not at all.
fn urgency(fuse: &Fuse<'_>) -> u8 {
    match fuse.phase {
        Some(TriggerPhase::Fired) => rank(TriggerPhase::Fired),
        Some(phase) if fuse.armed => rank(phase),
        _ => 0,
    }
}

/// `… and 5 more, none of which burns`.
fn remaining(rest: &[Fuse<'_>]) -> (String, Meaning) {
    let urgent = rest.iter().filter(|fuse| urgency(fuse) > 0).count();
    let words = match urgent {
        0 => "none burns".to_owned(),
        1 => "1 burns or is blind".to_owned(),
        n => format!("{n} burn or are blind"),
    };
    let meaning = match urgent {
        0 => Meaning::Muted,
        _ => Meaning::Danger,
    };
    (format!("… and {} more, {words}", rest.len()), meaning)
}
