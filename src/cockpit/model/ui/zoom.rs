//! One panel with the screen to itself. Not in here: how an area is divided (`split`), and which panels were drawn (`target`).

use super::{Focus, Ui};
use crate::cockpit::split::Stack;

/// A panel, as the last frame had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zoomed {
    /// The parts of wholes in which it lies, the largest first.
    pub parts: Vec<(Stack, usize)>,
    /// The list in it that keys act on, if they act on one.
    pub list: Option<Focus>,
}

/// The panels of a view, of which one has the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zoom {
    first: Zoomed,
    others: Vec<Zoomed>,
    at: usize,
}

impl Zoom {
    /// On one of these panels; `None` where there is nothing to choose from.
    pub fn on(panels: Vec<Zoomed>, at: usize) -> Option<Zoom> {
        let mut panels = panels.into_iter();
        let first = panels.next()?;
        let others: Vec<Zoomed> = panels.collect();
        let at = at.min(others.len());
        (!others.is_empty()).then_some(Zoom { first, others, at })
    }

    /// The one that has the screen.
    pub fn panel(&self) -> &Zoomed {
        let other = self.at.checked_sub(1);
        other
            .and_then(|at| self.others.get(at))
            .unwrap_or(&self.first)
    }

    /// The next panel, or the one before, has it.
    pub fn turned(self, forward: bool) -> Zoom {
        let panels = self.others.len() + 1;
        let by = if forward { 1 } else { panels - 1 };
        Zoom {
            at: (self.at + by) % panels,
            ..self
        }
    }
}

impl Ui {
    /// A panel has the screen to itself; where keys can act in it, they do.
    pub fn zoom_in(&mut self, zoom: Zoom) {
        if let Some(list) = zoom.panel().list {
            self.focus = list;
        }
        self.splits.give_all_to(&zoom.panel().parts);
        self.zoom = Some(zoom);
    }

    /// Every panel has its place again; says whether one had the screen to itself.
    pub fn zoom_out(&mut self) -> bool {
        self.splits.give_all_to(&[]);
        self.zoom.take().is_some()
    }
}
