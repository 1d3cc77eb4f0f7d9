//! What is to be done and what may be done now: loads, then indexes of loaded tables, then foreign keys, then statistics. Pure.
//!
//! Lanes ask for the next piece and report it done; running it is theirs. Loads go in the plan's order; of what is ready to be rebuilt,
//! the largest goes first, so that no lane is left alone with it at the end.

use std::cmp::Reverse;

/// One piece of work, by its place in the board's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A task: a table or a range of one.
    Load(usize),
    /// An index or key to build.
    Build(usize),
    /// A foreign key to put back and prove.
    Foreign(usize),
    /// A table whose statistics are to be made.
    Analyze(usize),
}

#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Which table, by its place in the layout.
    pub table: usize,
    pub done: bool,
}

/// An index or key.
#[derive(Debug, Clone, Copy)]
pub struct Build {
    /// On which table; None for one that does not move.
    pub table: Option<usize>,
    /// A key, whose constraint locks the whole table for a moment once its index is there.
    pub key: bool,
    pub done: bool,
}

/// A foreign key.
#[derive(Debug, Clone, Copy)]
pub struct Foreign {
    /// From which table; None for one that does not move.
    pub from: Option<usize>,
    /// To which table; None for one that does not move.
    pub to: Option<usize>,
    /// Already back and proven.
    pub done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Running,
    Done,
}

#[derive(Debug, Clone)]
pub struct Board {
    rows: Vec<u64>,
    loads: Vec<(Load, State)>,
    builds: Vec<(Build, State)>,
    foreign: Vec<(Foreign, State)>,
    analyses: Vec<State>,
    failed: bool,
}

fn state(done: bool) -> State {
    if done { State::Done } else { State::Waiting }
}

impl Board {
    /// A board over tables of so many rows.
    pub fn new(
        rows: Vec<u64>,
        loads: Vec<Load>,
        builds: Vec<Build>,
        foreign: Vec<Foreign>,
    ) -> Self {
        Self {
            loads: loads
                .into_iter()
                .map(|load| (load, state(load.done)))
                .collect(),
            builds: builds
                .into_iter()
                .map(|build| (build, state(build.done)))
                .collect(),
            foreign: foreign
                .into_iter()
                .map(|key| (key, state(key.done)))
                .collect(),
            analyses: vec![State::Waiting; rows.len()],
            rows,
            failed: false,
        }
    }

    /// The next piece that may run now. Every second lane prefers to build, so that builds overlap with the loads of other tables.
    pub fn take(&mut self, lane: usize) -> Option<Work> {
        if self.failed {
            return None;
        }
        let order: [fn(&Self) -> Option<Work>; 4] = if lane.is_multiple_of(2) {
            [Self::load, Self::build, Self::foreign, Self::analysis]
        } else {
            [Self::build, Self::load, Self::foreign, Self::analysis]
        };
        let work = order.iter().find_map(|next| next(self))?;
        *self.state_of(work) = State::Running;
        Some(work)
    }

    /// How many of so many lanes find nothing to do now. Their processors are free for a parallel build.
    pub fn idle(&self, lanes: usize) -> usize {
        let running = self
            .states()
            .filter(|state| **state == State::Running)
            .count();
        let free = lanes.saturating_sub(running);
        let mut rest = self.clone();
        let ready = (0..free).take_while(|_| rest.take(0).is_some()).count();
        free - ready
    }

    /// A piece is done.
    pub fn done(&mut self, work: Work) {
        *self.state_of(work) = State::Done;
    }

    /// Something failed for good: nothing new is started.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// Whether nothing is left, or nothing will be started any more.
    pub fn is_over(&self) -> bool {
        self.failed || self.states().all(|state| *state == State::Done)
    }

    /// What follows the loads, each with the rows of its table.
    pub fn rebuilds(&self) -> Vec<(Work, u64)> {
        let rows = |table: Option<usize>| table.map_or(0, |table| self.rows[table]);
        let builds = self.builds.iter().enumerate();
        let builds = builds.map(|(place, (build, _))| (Work::Build(place), rows(build.table)));
        let foreign = self.foreign.iter().enumerate();
        let foreign = foreign.map(|(place, (key, _))| (Work::Foreign(place), rows(key.from)));
        let analyses = self.rows.iter().enumerate();
        let analyses = analyses.map(|(table, rows)| (Work::Analyze(table), *rows));
        builds.chain(foreign).chain(analyses).collect()
    }

    /// Indexes, keys and foreign keys that are back, and all of them.
    pub fn rebuilt(&self) -> (u64, u64) {
        let builds = self.builds.iter().map(|(_, state)| state);
        let states: Vec<_> = builds
            .chain(self.foreign.iter().map(|(_, state)| state))
            .collect();
        let back = states.iter().filter(|state| ***state == State::Done);
        (back.count() as u64, states.len() as u64)
    }

    /// Whether every row is in.
    pub fn is_filled(&self) -> bool {
        self.loads.iter().all(|(_, state)| *state == State::Done)
    }

    fn states(&self) -> impl Iterator<Item = &State> {
        let loads = self.loads.iter().map(|(_, state)| state);
        let builds = self.builds.iter().map(|(_, state)| state);
        let foreign = self.foreign.iter().map(|(_, state)| state);
        loads.chain(builds).chain(foreign).chain(&self.analyses)
    }

    /// The place of the largest table's piece, the first of several.
    fn largest(&self, ready: impl Iterator<Item = (usize, Option<usize>)>) -> Option<usize> {
        let rows = |table: Option<usize>| table.map_or(0, |table| self.rows[table]);
        ready
            .min_by_key(|(place, table)| (Reverse(rows(*table)), *place))
            .map(|(place, _)| place)
    }

    fn state_of(&mut self, work: Work) -> &mut State {
        match work {
            Work::Load(place) => &mut self.loads[place].1,
            Work::Build(place) => &mut self.builds[place].1,
            Work::Foreign(place) => &mut self.foreign[place].1,
            Work::Analyze(place) => &mut self.analyses[place],
        }
    }

    fn load(&self) -> Option<Work> {
        self.loads
            .iter()
            .position(|(_, state)| *state == State::Waiting)
            .map(Work::Load)
    }

    fn is_loaded(&self, table: usize) -> bool {
        self.loads
            .iter()
            .all(|(load, state)| load.table != table || *state == State::Done)
    }

    fn build(&self) -> Option<Work> {
        // Two keys of one table, each with its index made, would wait for each other's table in a circle.
        let takes_turns = |build: &Build| {
            build.key
                && self.builds.iter().any(|(other, state)| {
                    *state == State::Running && other.key && other.table == build.table
                })
        };
        let ready = self
            .builds
            .iter()
            .enumerate()
            .filter(|(_, (build, state))| {
                *state == State::Waiting
                    && build.table.is_none_or(|table| self.is_loaded(table))
                    && !takes_turns(build)
            });
        self.largest(ready.map(|(place, (build, _))| (place, build.table)))
            .map(Work::Build)
    }

    /// Of tables that do not move it is only known that they are some: an earlier import may have taken away the keys of any of them.
    fn is_built(&self, table: Option<usize>) -> bool {
        table.is_none_or(|table| self.is_loaded(table))
            && self
                .builds
                .iter()
                .all(|(build, state)| build.table != table || *state == State::Done)
    }

    fn foreign(&self) -> Option<Work> {
        let ready = self.foreign.iter().enumerate().filter(|(_, (key, state))| {
            *state == State::Waiting && self.is_built(key.from) && self.is_built(key.to)
        });
        self.largest(ready.map(|(place, (key, _))| (place, key.from)))
            .map(Work::Foreign)
    }

    fn analysis(&self) -> Option<Work> {
        let own_keys_back = |table: usize| {
            self.foreign
                .iter()
                .all(|(key, state)| key.from != Some(table) || *state == State::Done)
        };
        let ready = self.analyses.iter().enumerate().filter(|(table, state)| {
            **state == State::Waiting && self.is_built(Some(*table)) && own_keys_back(*table)
        });
        self.largest(ready.map(|(table, _)| (table, Some(table))))
            .map(Work::Analyze)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        let load = |table| Load { table, done: false };
        let build = |table| Build {
            table: Some(table),
            key: false,
            done: false,
        };
        let key = Foreign {
            from: Some(1),
            to: Some(0),
            done: false,
        };
        Board::new(
            vec![10, 10],
            vec![load(0), load(1), load(1)],
            vec![build(0), build(1)],
            vec![key],
        )
    }

    #[test]
    fn one_lane_loads_builds_proves_and_analyzes() {
        let mut board = board();
        let mut order = Vec::new();
        while let Some(work) = board.take(0) {
            order.push(work);
            board.done(work);
        }
        use Work::*;
        assert_eq!(
            order,
            [
                Load(0),
                Load(1),
                Load(2),
                Build(0),
                Build(1),
                Foreign(0),
                Analyze(0),
                Analyze(1)
            ]
        );
        assert!(board.is_over());
    }

    #[test]
    fn a_foreign_key_waits_for_the_key_of_a_table_that_moves_no_more() {
        let build = Build {
            table: None,
            key: true,
            done: false,
        };
        let key = Foreign {
            from: None,
            to: None,
            done: false,
        };
        let mut board = Board::new(Vec::new(), Vec::new(), vec![build], vec![key]);
        assert_eq!(board.take(0), Some(Work::Build(0)));
        assert_eq!(board.take(1), None, "the key that it refers to is away");
        board.done(Work::Build(0));
        assert_eq!(board.take(1), Some(Work::Foreign(0)));
    }

    #[test]
    fn nothing_runs_before_what_it_needs() {
        let mut board = board();
        let (first, second, third) = (board.take(0), board.take(1), board.take(0));
        assert_eq!(
            (first, second, third),
            (
                Some(Work::Load(0)),
                Some(Work::Load(1)),
                Some(Work::Load(2))
            )
        );
        assert_eq!(board.take(1), None, "no table is loaded yet");
        board.done(Work::Load(1));
        assert_eq!(
            board.take(1),
            None,
            "a range of the second table is still running"
        );
        board.done(Work::Load(0));
        assert_eq!(board.take(1), Some(Work::Build(0)));
        board.done(Work::Load(2));
        board.done(Work::Build(0));
        assert_eq!(board.take(1), Some(Work::Build(1)));
        assert_eq!(
            board.take(0),
            Some(Work::Analyze(0)),
            "the parent needs no key of its own"
        );
        assert_eq!(board.take(0), None, "the key waits for the child's index");
    }

    #[test]
    fn the_largest_is_rebuilt_first_and_the_last_has_the_processors() {
        let build = |table| Build {
            table: Some(table),
            key: false,
            done: false,
        };
        let load = |table| Load { table, done: true };
        let mut board = Board::new(
            vec![5, 900, 70],
            vec![load(0), load(1), load(2)],
            vec![build(0), build(1), build(2)],
            Vec::new(),
        );
        assert_eq!(board.take(0), Some(Work::Build(1)));
        assert_eq!(
            board.idle(2),
            0,
            "the other lane has two builds to choose from"
        );
        assert_eq!(board.take(1), Some(Work::Build(2)));
        board.done(Work::Build(2));
        assert_eq!(board.take(1), Some(Work::Build(0)));
        board.done(Work::Build(0));
        assert_eq!(board.idle(2), 0, "two tables wait for their statistics");
        board.done(Work::Analyze(0));
        board.done(Work::Analyze(2));
        assert_eq!(board.idle(2), 1, "one build is all that is left");
        assert_eq!(board.idle(4), 3);
    }

    #[test]
    fn two_keys_of_one_table_take_turns() {
        let build = |key| Build {
            table: Some(0),
            key,
            done: false,
        };
        let mut board = Board::new(
            vec![1],
            vec![Load {
                table: 0,
                done: true,
            }],
            vec![build(true), build(true), build(false)],
            Vec::new(),
        );
        assert_eq!(board.take(0), Some(Work::Build(0)));
        assert_eq!(board.take(1), Some(Work::Build(2)));
        assert_eq!(board.take(1), None);
        board.done(Work::Build(0));
        assert_eq!(board.take(1), Some(Work::Build(1)));
    }

    #[test]
    fn a_failure_starts_nothing_new() {
        let mut board = board();
        let work = board.take(0);
        assert!(work.is_some());
        board.fail();
        assert_eq!(board.take(1), None);
        assert!(board.is_over());
    }
}
