//! What a pointer can point at: panels remember it as they draw, so that what is clicked is what was seen. Not in here: what a click does
//! (`update::pointer`).

use ratatui::layout::{Position, Rect};

use super::actions::Do;
use super::model::ui::{Focus, View, Zoom, Zoomed};
use super::split::{Axis, Line, Placed, Stack};

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
    lines: Vec<Placed>,
    parts: Vec<(Stack, usize, Rect)>,
    panels: Vec<Rect>,
    focused: Option<Rect>,
    scrolls_to: Option<usize>,
    span_ms: Option<i64>,
}

impl Targets {
    /// A click in this area means this, unless something is drawn over it later.
    pub fn add(&mut self, area: Rect, target: Target) {
        self.all.push((area, target));
    }

    /// Lines between panels, which can be moved.
    pub fn add_lines(&mut self, lines: Vec<Placed>) {
        self.lines.extend(lines);
    }

    /// Parts of a whole, from the largest wholes to the smallest.
    pub fn add_parts(&mut self, of: Stack, areas: &[Rect]) {
        let parts = areas.iter().enumerate();
        self.parts.extend(parts.map(|(n, area)| (of, n, *area)));
    }

    pub fn add_panel(&mut self, panel: Rect) {
        self.panels.push(panel);
    }

    /// How many panels there are so far.
    pub fn panels(&self) -> usize {
        self.panels.len()
    }

    /// What was drawn after so many panels is a window over them.
    pub fn keep_panels(&mut self, panels: usize) {
        self.panels.truncate(panels);
    }

    /// The panels, each with the parts in which it lies, for one of them to have the screen: the one that the keys act on, else the first.
    /// `None` where there is one alone.
    pub fn zoom(&self) -> Option<Zoom> {
        let zoomed = |panel: &Rect| {
            let around = |(_, _, area): &&(Stack, usize, Rect)| area.union(*panel) == *area;
            let parts = self.parts.iter().filter(around);
            let of = |list: &&Focus| self.all.contains(&(*panel, Target::List(**list)));
            let list = Focus::ALL.iter().find(of).copied();
            Zoomed {
                parts: parts.map(|(of, n, _)| (*of, *n)).collect(),
                list,
            }
        };
        let is_focused = |panel: &Rect| Some(*panel) == self.focused;
        let at = self.panels.iter().position(is_focused);
        let panels = self.panels.iter().map(zoomed).collect();
        Zoom::on(panels, at.unwrap_or_default())
    }

    /// The keys act on this panel.
    pub fn set_focused(&mut self, panel: Rect) {
        self.focused = Some(panel);
    }

    /// Every line that can be moved.
    pub fn lines(&self) -> &[Placed] {
        &self.lines
    }

    /// Where this line is.
    pub fn line(&self, line: Line) -> Option<&Placed> {
        self.lines.iter().find(|placed| placed.line == line)
    }

    /// The line at this place.
    pub fn line_at(&self, x: u16, y: u16) -> Option<&Placed> {
        let here = Position { x, y };
        let mut lines = self.lines.iter();
        lines.find(|placed| placed.cells().contains(here))
    }

    /// The line that keys move: at the end of the panel that they act on, else at its beginning, else the first.
    pub fn line_of_keys(&self, axis: Axis) -> Option<&Placed> {
        let lines = || self.lines.iter().filter(|placed| placed.axis == axis);
        let panel = self.focused.unwrap_or_default();
        let beside = |at: u16| {
            lines().find(move |placed| {
                let touches = placed.cells().intersects(panel);
                touches && placed.before(at, at) == i32::from(placed.at)
            })
        };
        let (begin, end) = match axis {
            Axis::Across => (panel.x, panel.right()),
            Axis::Down => (panel.y, panel.bottom()),
        };
        let touching = beside(end).or_else(|| beside(begin));
        touching.or_else(|| lines().next())
    }

    /// A line was moved, and nothing has been drawn since.
    pub fn moved(&mut self, line: Line, at: u16) {
        let mut lines = self.lines.iter_mut();
        if let Some(placed) = lines.find(|placed| placed.line == line) {
            placed.at = at;
        }
    }

    /// What is read over the screen can be scrolled by so many lines at most.
    pub fn set_scrolls_to(&mut self, lines: usize) {
        self.scrolls_to = Some(lines);
    }

    /// By how many lines what is read can be scrolled; `None` where nothing has been drawn yet.
    pub fn scrolls_to(&self) -> Option<usize> {
        self.scrolls_to
    }

    /// A chart was drawn that reaches back so far, in runbook time.
    pub fn add_span(&mut self, ms: i64) {
        self.span_ms = self.span_ms.max(Some(ms));
    }

    /// How far the chart reaches back that reaches furthest; `None` where there is none.
    pub fn span_ms(&self) -> Option<i64> {
        self.span_ms
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
