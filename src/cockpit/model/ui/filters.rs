//! Words that lines of a list must have to be shown, for each list by itself. Not in here: which lines have them (`model::filter`).

use super::{Focus, LONGEST_QUERY, Overlay, Ui, View, type_into};

/// A filter for each list, as typed; an empty one hides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    gates: String,
    steps: String,
    events: String,
    tables: String,
    instances: String,
}

impl Filters {
    pub fn of(&self, list: Focus) -> &str {
        match list {
            Focus::Gates => &self.gates,
            Focus::Steps => &self.steps,
            Focus::Events => &self.events,
            Focus::Tables => &self.tables,
            Focus::Instances => &self.instances,
        }
    }

    /// That of this list, to be changed.
    pub fn of_mut(&mut self, list: Focus) -> &mut String {
        match list {
            Focus::Gates => &mut self.gates,
            Focus::Steps => &mut self.steps,
            Focus::Events => &mut self.events,
            Focus::Tables => &mut self.tables,
            Focus::Instances => &mut self.instances,
        }
    }

    /// Whether nothing is hidden anywhere.
    pub fn are_empty(&self) -> bool {
        Focus::ALL.iter().all(|list| self.of(*list).is_empty())
    }
}

impl Ui {
    /// The list that a filter leaves lines of in this view. The bridge shows everything, always: nobody misses there what a filter
    /// hides.
    pub fn filtered_list(&self) -> Option<Focus> {
        match self.view {
            View::Bridge | View::Rollback => None,
            View::Fleet => Some(Focus::Instances),
            View::Steps | View::Pool | View::Traffic | View::Gates | View::Journal | View::Data => {
                self.focus()
            }
        }
    }

    /// The filter of this view, as typed; empty where there is none.
    pub fn filter(&self) -> &str {
        self.filtered_list()
            .map_or("", |list| self.filters.of(list))
    }

    /// Whether the view shows a filter: it has one, or it is being typed.
    pub fn shows_filter(&self) -> bool {
        self.overlay == Some(Overlay::Filter) || !self.filter().is_empty()
    }

    /// The filter of this view, to be changed; `None` where it has no list to itself.
    pub fn filter_mut(&mut self) -> Option<&mut String> {
        let list = self.filtered_list()?;
        Some(self.filters.of_mut(list))
    }

    /// Puts text into the filter of this view.
    pub fn insert_into_filter(&mut self, text: &str) {
        if let Some(filter) = self.filter_mut() {
            type_into(filter, text, LONGEST_QUERY);
        }
    }

    /// Nothing of this list is hidden any more.
    pub fn drop_filter(&mut self) {
        if let Some(filter) = self.filter_mut() {
            filter.clear();
        }
    }
}
