//! What the cursor is on: a gate, a step, an event. Not in here: what a filter hides (`filter`), and how the cursor moves (`update`).

use super::Model;
use super::filter;
use super::telling::Told;
use super::ui::Focus;
use crate::runbook::Role;
use crate::session::StepState;

impl Model {
    /// The gate under the cursor: the one that was chosen, else the first that the person at this terminal can sign, else the first
    /// that is not green; where a filter hides that, the shown one before it.
    pub fn selected_gate_index(&self) -> usize {
        let at = self.wanted_gate();
        filter::nearest(&self.shown_gates(), at).unwrap_or(at)
    }

    fn wanted_gate(&self) -> usize {
        let last = self.gates.len().saturating_sub(1);
        if let Some(chosen) = self.ui.gate {
            return chosen.min(last);
        }
        let mine = |role: &Role| self.own_roles().contains(role);
        let signable = self.gates.iter().position(|g| {
            let by_me = g.signers.iter().flat_map(|(_, s)| s);
            let signed = by_me
                .into_iter()
                .any(|s| self.me.as_ref().is_some_and(|me| me.id == s.by));
            !signed && g.evidence_is_green() && g.missing_roles().iter().any(mine)
        });
        signable
            .or_else(|| self.gates.iter().position(|g| !g.green))
            .unwrap_or_default()
    }

    /// The gate under the cursor; none where a filter hides every gate.
    pub fn selected_gate(&self) -> Option<&crate::runbook::Gate> {
        let at = self.selected_gate_index();
        let is_shown = self.shown_gates().contains(&at);
        self.session.charter.gates.get(at).filter(|_| is_shown)
    }

    /// The roles of the person at this terminal, without those in which they could stand in for somebody: that is a decision of
    /// theirs, not something to be led into.
    pub fn own_roles(&self) -> &[Role] {
        let me = self.me.as_ref();
        me.and_then(|me| self.session.charter.person(&me.id))
            .map_or(&[], |p| &p.roles)
    }

    /// The role in which the person at this terminal would sign a gate: their own before one in which they stand in for somebody,
    /// and one that has yet to sign before one that has.
    pub fn signs_as(&self, gate: &crate::runbook::Gate) -> Option<Role> {
        let missing = self.session.gate(gate).missing_roles();
        let mine = || self.me.iter().flat_map(|me| me.roles.iter().copied());
        mine()
            .find(|r| missing.contains(r))
            .or_else(|| mine().find(|r| gate.signers.contains(r)))
    }

    /// The step under the cursor: the one that was chosen, else the one that is being done or comes next; where a filter hides that, the
    /// shown one before it.
    pub fn selected_step(&self) -> usize {
        let last = self.session.steps.len().saturating_sub(1);
        let at = self.ui.step.unwrap_or_else(|| self.current_index());
        let at = at.min(last);
        filter::nearest(&self.shown_steps(), at).unwrap_or(at)
    }

    /// The step under the cursor, if somebody has put it there.
    pub fn chosen_step(&self) -> Option<&StepState> {
        self.ui.step?;
        self.session.steps.get(self.selected_step())
    }

    /// Position of the step that is being done or comes next; the last once all are done.
    pub fn current_index(&self) -> usize {
        let next = self.session.steps.iter().position(|s| !s.is_over());
        next.unwrap_or(self.session.steps.len().saturating_sub(1))
    }

    /// The events that are shown, oldest first: in the journal view those that have every word of the filter, elsewhere all.
    pub fn shown_events(&self) -> Vec<&Told> {
        let words = self.filter_words(Focus::Events);
        self.events.iter().filter(|told| told.has(&words)).collect()
    }

    /// Place of the event under the cursor among those that are shown: the chosen one, or where that is not shown the one before it;
    /// else the latest.
    pub fn selected_event_index(&self, shown: &[&Told]) -> usize {
        let upto = match self.ui.event {
            Some(seq) => shown.partition_point(|told| told.seq <= seq),
            None => shown.len(),
        };
        upto.saturating_sub(1)
    }

    /// The event under the cursor.
    pub fn selected_event(&self) -> Option<&Told> {
        let shown = self.shown_events();
        shown.get(self.selected_event_index(&shown)).copied()
    }

    /// An event that is still on the screen.
    pub fn event(&self, seq: u64) -> Option<&Told> {
        self.events.iter().find(|told| told.seq == seq)
    }
}
