//! Which lines of a list have every word of its filter, in the view that has the list to itself. Not in here: events, which keep the text
//! that is searched (`telling`), and how a filter is typed (`update::filter`).

use super::Model;
use super::tables::{TableLine, TableState};
use super::ui::Focus;
use crate::session::live::InstanceState;

/// The shown place at or before this one; else the first that is shown.
pub fn nearest(shown: &[usize], at: usize) -> Option<usize> {
    let upto = shown.partition_point(|n| *n <= at);
    shown.get(upto.saturating_sub(1)).copied()
}

fn has(words: &[String], text: &str) -> bool {
    if words.is_empty() {
        return true;
    }
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word))
}

impl Model {
    /// The words that lines of this list must have now, in lower case.
    pub fn filter_words(&self, list: Focus) -> Vec<String> {
        let is_filtered = self.ui.filtered_list() == Some(list);
        let filter = if is_filtered { self.ui.filter() } else { "" };
        filter.split_whitespace().map(str::to_lowercase).collect()
    }

    /// Places of the gates that are shown.
    pub fn shown_gates(&self) -> Vec<usize> {
        let words = self.filter_words(Focus::Gates);
        let text = |n: &usize| match words.is_empty() {
            true => String::new(),
            false => self.gate_text(*n),
        };
        let all = 0..self.gates.len();
        all.filter(|n| has(&words, &text(n))).collect()
    }

    /// Its id, its title, what it holds up, who signs and has signed, and how it stands.
    fn gate_text(&self, n: usize) -> String {
        let (Some(gate), Some(view)) = (self.session.charter.gates.get(n), self.gates.get(n))
        else {
            return String::new();
        };
        let go = if view.green { "go" } else { "no-go" };
        let mut text = format!("{} {} {} {go}", gate.id, gate.title, gate.before);
        for (role, signature) in &view.signers {
            text.push_str(&format!(" {}", role.title()));
            if let Some(signature) = signature {
                let name = self.name_of(&signature.by);
                text.push_str(&format!(" {} {name}", signature.by));
            }
        }
        text
    }

    /// Places of the steps that are shown.
    pub fn shown_steps(&self) -> Vec<usize> {
        let words = self.filter_words(Focus::Steps);
        let text = |n: &usize| match words.is_empty() {
            true => String::new(),
            false => self.step_text(*n),
        };
        let all = 0..self.session.steps.len();
        all.filter(|n| has(&words, &text(n))).collect()
    }

    /// Its id, its title, how it stands, and what came of it.
    fn step_text(&self, n: usize) -> String {
        let (Some(line), Some(state)) =
            (self.session.charter.steps.get(n), self.session.steps.get(n))
        else {
            return String::new();
        };
        let status: &str = state.status.into();
        let outcome = state.outcome.as_ref();
        let summary = outcome.map_or("", |outcome| outcome.summary.as_str());
        format!("{} {} {status} {summary}", line.id, line.title)
    }

    /// Places of the tables that are shown, among all.
    pub fn shown_tables(&self, all: &[TableLine]) -> Vec<usize> {
        let words = self.filter_words(Focus::Tables);
        let text = |table: &TableLine| match words.is_empty() {
            true => String::new(),
            false => table_text(table),
        };
        let shown = all.iter().enumerate();
        let shown = shown.filter(|(_, table)| has(&words, &text(table)));
        shown.map(|(n, _)| n).collect()
    }

    /// Whether what is called so is shown among instances and applications.
    pub fn shows_instance(&self, name: &str) -> bool {
        has(&self.filter_words(Focus::Instances), name)
    }

    /// The same in the view that also says how an instance stands.
    pub fn shows_state(&self, id: &str, state: InstanceState, detail: &str) -> bool {
        let state = match state {
            InstanceState::Ready => "ready",
            InstanceState::NotReady => "not-ready",
            InstanceState::Restarting => "restarting",
            InstanceState::Unknown => "unknown",
        };
        let words = self.filter_words(Focus::Instances);
        words.is_empty() || has(&words, &format!("{id} {state} {detail}"))
    }
}

/// Its name and how it stands.
fn table_text(table: &TableLine) -> String {
    let state = match table.state {
        TableState::Waiting => "waiting",
        TableState::Moving => "moving",
        TableState::Halted => "halted",
        TableState::Moved => "moved",
        TableState::Unknown => "unknown",
    };
    let problems = if table.problems > 0 { "problem" } else { "" };
    let compared = match table.compared.as_ref().map(|c| c.found) {
        Some(Some((_, 0))) => "equal",
        Some(Some(_)) => "differ",
        Some(None) => "comparing",
        None => "",
    };
    format!("{} {state} {problems} {compared}", table.table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_line_that_is_shown_is_at_or_before_the_wanted_one() {
        assert_eq!(nearest(&[], 3), None);
        let shown = [2, 5, 9];
        for (at, found) in [(0, 2), (2, 2), (4, 2), (5, 5), (8, 5), (40, 9)] {
            assert_eq!(nearest(&shown, at), Some(found), "{at}");
        }
    }

    #[test]
    fn every_word_must_be_there_in_any_case() {
        let words = |text: &str| {
            let words = text.split_whitespace().map(str::to_lowercase);
            words.collect::<Vec<_>>()
        };
        assert!(has(&words(""), "anything"));
        assert!(has(&words("IMP done"), "D2 Import the rows done"));
        assert!(!has(&words("imp failed"), "D2 Import the rows done"));
    }
}
