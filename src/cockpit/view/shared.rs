//! What several panels say in the same words: marks for states, short names of roles, text over several rows.

use ratatui::layout::Rect;

use crate::cockpit::canvas::{Canvas, Head, columns, fit, piece, wrap};
use crate::cockpit::model::Model;
use crate::cockpit::model::ui::{Focus, Overlay};
use crate::cockpit::target::Target;
use crate::cockpit::theme::Meaning;
use crate::runbook::Role;
use crate::session::StepStatus;
use crate::session::live::LoadView;

/// A mark of one column for a step, and what it means. The mark alone must tell.
pub fn step_mark(status: StepStatus) -> (&'static str, Meaning) {
    match status {
        StepStatus::Pending => ("·", Meaning::Muted),
        StepStatus::Running => ("▸", Meaning::Running),
        StepStatus::Done => ("✓", Meaning::Ok),
        StepStatus::Failed => ("✗", Meaning::Danger),
        StepStatus::Skipped => ("»", Meaning::Warn),
        StepStatus::Unknown => ("?", Meaning::Unknown),
    }
}

/// `RM`, `ENG`, `DBA`, `QA`.
pub fn short_role(role: Role) -> &'static str {
    match role {
        Role::ReleaseManager => "RM",
        Role::Engineer => "ENG",
        Role::Dba => "DBA",
        Role::Qa => "QA",
    }
}

/// Writes text over as many rows as it needs and the area has; returns the rows used.
pub fn paragraph(canvas: &mut Canvas<'_>, area: Rect, text: &str, meaning: Meaning) -> u16 {
    let lines = wrap(text, area.width, usize::from(area.height));
    for (n, line) in lines.iter().enumerate() {
        canvas.write(area.x, area.y + n as u16, area.width, line, meaning);
    }
    lines.len() as u16
}

/// The area without its first rows.
pub fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect {
        y: area.y + rows,
        height: area.height - rows,
        ..area
    }
}

/// The left and the right half of an area.
pub fn halves(area: Rect) -> (Rect, Rect) {
    let width = area.width / 2;
    let left = Rect { width, ..area };
    let right = Rect {
        x: area.x + width,
        width: area.width - width,
        ..area
    };
    (left, right)
}

/// The filter of a list at the top of it, where this view has one or it is being typed; returns the room below it. So many of so many
/// lines have its words.
pub fn filter_row(
    canvas: &mut Canvas<'_>,
    area: Rect,
    model: &Model,
    list: Focus,
    (found, all): (usize, usize),
) -> Rect {
    let is_here = model.ui.filtered_list() == Some(list) && model.ui.shows_filter();
    if !is_here || area.height == 0 {
        return area;
    }
    let place = row(area, 0);
    let blank = " ".repeat(usize::from(place.width));
    canvas.write(place.x, place.y, place.width, &blank, Meaning::Input);
    let is_typed = model.ui.overlay == Some(Overlay::Filter);
    let cursor = if is_typed { "▏" } else { "" };
    let text = format!("/{}{cursor}", model.ui.filter());
    let used = canvas.write(place.x, place.y, place.width, &text, Meaning::Input);
    let rest = Rect {
        x: place.x + used,
        width: place.width - used,
        ..place
    };
    let count = format!("  {found} of {all} ");
    if canvas.columns(&count) <= rest.width {
        canvas.write_right(rest, &count, Meaning::Input);
    }
    let rest = below(area, 1);
    if found == 0 && all > 0 && list != Focus::Events {
        paragraph(canvas, rest, "No line has these words.", Meaning::Muted);
    }
    rest
}

/// One row of an area.
pub fn row(area: Rect, n: u16) -> Rect {
    Rect {
        y: area.y + n,
        height: 1,
        ..area
    }
}

/// First line of a window of `height` lines over `lines` that keeps `at` in sight, near its middle.
pub fn window(at: usize, lines: usize, height: usize) -> usize {
    at.saturating_sub(height / 2)
        .min(lines.saturating_sub(height))
}

/// An area of at most this size in the middle.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let width = width.min(area.width);
    let height = height.min(area.height);
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

/// A window over the screen, in the middle and of at most this size: cleared, framed, with a title and a word on its keys. Returns the
/// room within its frame.
pub fn window_over(
    canvas: &mut Canvas<'_>,
    area: Rect,
    (width, height): (u16, u16),
    title: &str,
    keys: &str,
) -> Rect {
    let place = centred(area, width, height);
    canvas.clear(place);
    canvas.target(area, Target::Beside);
    canvas.target(place, Target::Window);
    let head = Head {
        title,
        note: vec![piece(keys, Meaning::Muted)],
        focused: true,
        ..Head::default()
    };
    canvas.panel(place, &head)
}

/// An area without its first and last column.
pub fn inset(area: Rect) -> Rect {
    Rect {
        x: area.x + 1,
        width: area.width.saturating_sub(2),
        ..area
    }
}

/// Who plays the first of these roles.
pub fn person_for<'a>(model: &'a Model, roles: &[Role]) -> Option<&'a crate::runbook::Person> {
    let people = &model.session.charter.people;
    roles
        .iter()
        .find_map(|role| people.iter().find(|p| p.roles.contains(role)))
}

/// How a duration stands against a limit.
pub fn against(value_ms: i64, limit_ms: i64) -> Meaning {
    match value_ms {
        v if v > limit_ms => Meaning::Danger,
        v if v.saturating_mul(5) > limit_ms.saturating_mul(4) => Meaning::Warn,
        _ => Meaning::Text,
    }
}

/// What probes tell of a topic, a row each; returns the rows used.
pub fn details(canvas: &mut Canvas<'_>, area: Rect, model: &Model, topic: &str) -> u16 {
    let meaning = match model.is_stale() {
        true => Meaning::Stale,
        false => Meaning::Text,
    };
    let lines = detail_lines(model, topic);
    let lines = lines.iter().take(usize::from(area.height));
    let mut used = 0;
    for line in lines {
        canvas.write(area.x, area.y + used, area.width, line, meaning);
        used += 1;
    }
    used
}

/// What probes tell of a topic.
pub fn detail_lines<'m>(model: &'m Model, topic: &str) -> &'m [String] {
    let of_topic = model.details.iter().find(|detail| detail.topic == topic);
    of_topic.map_or(&[], |detail| detail.lines.as_slice())
}

/// Rows that a table of what every instance carries wants, with its frame and heading; few while there is nothing to tell.
pub fn loads_rows(model: &Model) -> u16 {
    match model.loads.instances().len() {
        0 => 3,
        n => u16::try_from(n).unwrap_or(u16::MAX).saturating_add(3),
    }
}

/// Says why it is not known what instances carry, where it is not.
pub fn without_loads(canvas: &mut Canvas<'_>, area: Rect, model: &Model) -> bool {
    let is_known = !model.loads.instances().is_empty();
    if !is_known {
        let words = match model.replay.is_some() {
            true => "not recorded: what each instance carried is shown only while it happens",
            false => "no instance was asked yet",
        };
        canvas.write(area.x, area.y, area.width, words, Meaning::Muted);
    }
    !is_known
}

/// Columns for the names of instances, of which very long ones are cut.
pub fn name_columns(loads: &[LoadView]) -> u16 {
    const WIDEST: u16 = 20;
    let names = loads.iter().map(|load| columns(&fit(&load.id, WIDEST)));
    names.max().unwrap_or_default().max(6)
}

/// Lines of a list that its panel has no room for.
pub struct Hidden {
    above: usize,
    /// Where they go on, and how many there are of all.
    below: std::ops::Range<usize>,
}

impl Hidden {
    /// What is hidden of this list.
    pub fn of<'l, T>(&self, list: &'l [T]) -> impl Iterator<Item = &'l T> {
        list[..self.above].iter().chain(&list[self.below.clone()])
    }
}

impl std::fmt::Display for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.above {
            0 => write!(f, "… and {} more", self.below.len()),
            above => write!(f, "↑ {above} above, ↓ {} below", self.below.len()),
        }
    }
}

/// Which of so many lines are shown in this height, as far as somebody has scrolled; and if not all are, what is hidden, for which the
/// last row is left.
pub fn window_of(
    canvas: &mut Canvas<'_>,
    model: &Model,
    lines: usize,
    height: u16,
) -> (std::ops::Range<usize>, Option<Hidden>) {
    let height = usize::from(height);
    if lines <= height || height == 0 {
        return (0..lines.min(height), None);
    }
    let most = lines - (height - 1);
    // Lists beside each other move together, the longest to its end.
    let most_of_all = canvas.targets.scrolls_to().unwrap_or_default().max(most);
    canvas.targets.set_scrolls_to(most_of_all);
    let above = model.ui.scrolled.min(most);
    let end = above + height - 1;
    let hidden = Hidden {
        above,
        below: end..lines,
    };
    (above..end, Some(hidden))
}
