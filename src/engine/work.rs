//! What work is under way, as the loop knows it: at most one step or row of the rollback, and what was cancelled and may not have ended
//! yet. Each is known by the number of the event that asked for it, so that a late word of one that was cancelled is never taken for that
//! of another one by the same name.
//!
//! Not in here: the work itself, which runs beside the loop (`tasks`).

use std::collections::BTreeMap;

/// What runs, and what may still run.
#[derive(Debug, Clone, Default)]
pub struct Work {
    /// The row and the number of what runs.
    running: Option<(String, u64)>,
    /// What was cancelled and has not said that it ended.
    halting: Vec<u64>,
    /// By which number each row ran last; what is void has none.
    last: BTreeMap<String, u64>,
}

impl Work {
    /// A step begins, or is looked into. Gives what has to end first.
    pub fn begin(&mut self, row: &str, run: u64) -> Vec<u64> {
        self.running = Some((row.to_owned(), run));
        self.last.insert(row.to_owned(), run);
        self.halting.clone()
    }

    /// The same for a row of the rollback. Only the first one waits: what does not end must not delay every row.
    pub fn begin_row(&mut self, row: &str, run: u64) -> Vec<u64> {
        let after = self.begin(row, run);
        self.halting.clear();
        after
    }

    /// Work has said how it ended. Gives whether that counts: whether it is the last of this row.
    pub fn ended(&mut self, row: &str, run: u64) -> bool {
        self.running.take_if(|(_, running)| *running == run);
        self.halting.retain(|halting| *halting != run);
        self.last.get(row) == Some(&run)
    }

    /// Whether this is what runs. What was cancelled does not.
    pub fn runs(&self, run: u64) -> bool {
        self.running
            .as_ref()
            .is_some_and(|(_, running)| *running == run)
    }

    /// The number of what runs, for whoever cancels it without taking it for ended.
    pub fn running(&self) -> Option<u64> {
        self.running.as_ref().map(|(_, run)| *run)
    }

    /// What runs is no longer the session's; gives it, to be cancelled. Its end still counts.
    pub fn halt(&mut self) -> Option<u64> {
        let (_, run) = self.running.take()?;
        self.halting.push(run);
        Some(run)
    }

    /// The same, if it is this row.
    pub fn halt_row(&mut self, row: &str) -> Option<u64> {
        match &self.running {
            Some((running, _)) if running == row => self.halt(),
            _ => None,
        }
    }

    /// Nothing that has begun counts any more, however it ends.
    pub fn void(&mut self) {
        self.last.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Work;

    #[test]
    fn a_late_end_is_not_that_of_the_next_run() {
        let mut work = Work::default();
        assert!(work.begin("A2", 7).is_empty());
        assert_eq!(work.halt(), Some(7));
        work.void();
        assert_eq!(work.begin("A2", 9), [7], "the former run is waited for");
        assert!(!work.ended("A2", 7), "it is of the former run");
        assert!(work.runs(9), "which leaves the present one running");
        assert!(work.ended("A2", 9));
        assert!(work.begin("A3", 10).is_empty());
    }

    #[test]
    fn what_a_rollback_halts_may_say_how_it_ended() {
        let mut work = Work::default();
        work.begin("F2", 3);
        work.halt();
        assert_eq!(work.begin_row("R1", 5), [3]);
        assert!(!work.runs(3));
        assert!(
            work.begin_row("R2", 6).is_empty(),
            "only the first row waits"
        );
        assert!(work.ended("F2", 3));
    }
}
