//! What a pointer can point at: panels remember it as they draw, so that what is clicked is what was seen. Not in here: what a click does
//! (`update::pointer`).

use ratatui::layout::{Position, Rect};

use super::actions::Do;
use super::model::ui::{Focus, View};

/// What a click means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A list whose lines the keys move in.
    List(Focus),
    /// A panel that a view shows larger.
    Panel(View),
    /// A gate, by its place.
    Gate(usize),
    /// A step, by its place.
    Step(usize),
    /// An event, by its number.
    Event(u64),
    /// A table, by its place.
    Table(usize),
    /// A line of what is chosen from, or found.
    Line(usize),
    /// What a key does.
    Action(Do),
    /// A time of what is replayed, in session milliseconds.
    Moment(i64),
    /// A window over the screen, and nothing in it.
    Window,
    /// What is beside a window over the screen: nothing below it is reached.
    Beside,
}

/// What was drawn where, the uppermost last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    all: Vec<(Rect, Target)>,
    scrolls_to: Option<usize>,
}

impl Targets {
    /// A click in this area means this, unless something is drawn over it later.
    pub fn add(&mut self, area: Rect, target: Target) {
        self.all.push((area, target));
    }

    /// What is read over the screen can be scrolled by so many lines at most.
    pub fn set_scrolls_to(&mut self, lines: usize) {
        self.scrolls_to = Some(lines);
    }

    /// By how many lines what is read can be scrolled; `None` where nothing has been drawn yet.
    pub fn scrolls_to(&self) -> Option<usize> {
        self.scrolls_to
    }

    /// What is at this place.
    pub fn at(&self, x: u16, y: u16) -> Option<Target> {
        let here = Position { x, y };
        let found = self.all.iter().rev().find(|(area, _)| area.contains(here));
        found.map(|(_, target)| *target)
    }

    /// Where something is, if it was drawn.
    pub fn place(&self, target: Target) -> Option<Rect> {
        let found = self.all.iter().rev().find(|(_, found)| *found == target);
        found.map(|(area, _)| *area)
    }
}
