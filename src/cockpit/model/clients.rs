//! Who is connected to the target, by application, now and over the last minutes; bounded. Not in here: whether that is too much (`view`).

use std::collections::BTreeMap;
use std::ops::Range;

use super::rounds::Rounds;
use crate::session::live::{ClientView, ClientsView};

/// Names that are told apart over time. Who calls themselves otherwise each time begins anew.
const NAMES: usize = 1_200;

/// The last answer, and how many connections each application had at those before it. Nothing is known of what was before the cockpit
/// began.
#[derive(Debug, Clone, Default)]
pub struct Clients {
    latest: ClientsView,
    /// Whether the server did not say who is there when it was last asked; what it had said before is kept.
    is_silent: bool,
    numbers: BTreeMap<String, u16>,
    rounds: Rounds<Option<Box<[Round]>>>,
}

/// What is kept of an application in a round, by its number.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    number: u16,
    counts: Counts,
}

/// Connections of an application: the most of each kind that it had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Running a statement.
    pub active: u16,
    pub idle: u16,
    /// Holding a transaction open and doing nothing.
    pub idle_in_transaction: u16,
    /// Waiting for a lock.
    pub waiting: u16,
    /// Of which the server does not show what they do.
    pub hidden: u16,
}

impl Counts {
    /// Those of one look.
    pub fn of(client: &ClientView) -> Counts {
        let count = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
        Counts {
            active: count(client.active),
            idle: count(client.idle),
            idle_in_transaction: count(client.idle_in_transaction),
            waiting: count(client.waiting),
            hidden: count(client.hidden),
        }
    }

    /// Whether more of them hold a transaction open and do nothing than do anything else.
    pub fn is_mostly_open(self) -> bool {
        let others = [self.active, self.idle, self.hidden].map(u32::from);
        u32::from(self.idle_in_transaction) > others.iter().sum::<u32>()
    }

    fn most(self, other: Counts) -> Counts {
        Counts {
            active: self.active.max(other.active),
            idle: self.idle.max(other.idle),
            idle_in_transaction: self.idle_in_transaction.max(other.idle_in_transaction),
            waiting: self.waiting.max(other.waiting),
            hidden: self.hidden.max(other.hidden),
        }
    }
}

impl Clients {
    /// Takes in an answer.
    pub fn take(&mut self, view: ClientsView) {
        let new = view.applications.iter().flatten();
        let new = new.filter(|c| !self.numbers.contains_key(&c.application));
        let is_before = view.at_ms < self.latest.at_ms;
        if is_before || self.numbers.len() + new.count() > NAMES {
            self.rounds.clear();
            self.numbers.clear();
        }
        let round = view.applications.as_ref().map(|all| {
            let kept = all.iter().take(NAMES).map(|client| {
                let next = self.numbers.len() as u16;
                let number = self.numbers.entry(client.application.clone());
                Round {
                    number: *number.or_insert(next),
                    counts: Counts::of(client),
                }
            });
            let mut kept: Box<[Round]> = kept.collect();
            kept.sort_unstable_by_key(|round| round.number);
            kept
        });
        self.rounds.push(view.at_ms, round);
        self.is_silent = view.applications.is_none() && !view.is_unasked;
        self.latest = match self.is_silent && !is_before {
            true => ClientsView {
                at_ms: view.at_ms,
                ..std::mem::take(&mut self.latest)
            },
            false => view,
        };
    }

    /// Whether the server did not answer when it was last asked, so that all of this is what it had said before.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Whether no probe asks the server.
    pub fn is_unasked(&self) -> bool {
        self.latest.is_unasked
    }

    /// Every application as it was last seen, the most connections first; `None` where nobody knows.
    pub fn applications(&self) -> Option<&[ClientView]> {
        self.latest.applications.as_deref()
    }

    /// Ordinary clients that fit onto the server.
    pub fn most(&self) -> u32 {
        self.latest.most
    }

    /// Client connections on the whole server, whichever database they are to.
    pub fn server_total(&self) -> u32 {
        self.latest.server_total
    }

    /// The answers that are kept.
    pub fn rounds(&self) -> &Rounds<Option<Box<[Round]>>> {
        &self.rounds
    }

    /// By which number an application is asked for.
    pub fn number(&self, application: &str) -> Option<u16> {
        self.numbers.get(application).copied()
    }

    /// The most connections of each kind that the application of this number had in these answers; none at all where it was not there, and
    /// `None` where nobody knows.
    pub fn counts(&self, number: u16, rounds: Range<usize>) -> Option<Counts> {
        let known = self.rounds.of(rounds).flatten();
        known.fold(None, |most: Option<Counts>, round| {
            let counts = of_number(round, number).map_or_else(Counts::default, |r| r.counts);
            Some(most.map_or(counts, |most| most.most(counts)))
        })
    }
}

/// An application's part of a round: at the place of its number, where none before it was away.
fn of_number(round: &[Round], number: u16) -> Option<&Round> {
    let at_its_place = round
        .get(usize::from(number))
        .filter(|r| r.number == number);
    at_its_place.or_else(|| {
        let found = round.binary_search_by_key(&number, |r| r.number);
        found.ok().map(|at| &round[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at_ms: i64, applications: &[(&str, u32, u32)]) -> ClientsView {
        let client = |(name, active, waiting): &(&str, u32, u32)| ClientView {
            application: (*name).to_owned(),
            active: *active,
            waiting: *waiting,
            ..ClientView::default()
        };
        ClientsView {
            at_ms,
            most: 97,
            applications: Some(applications.iter().map(client).collect()),
            ..ClientsView::default()
        }
    }

    fn waiting(clients: &Clients, application: &str) -> Vec<Option<u16>> {
        let cells = clients.rounds().cells(40_000, 10_000, 4).into_iter();
        let number = clients.number(application);
        let counts = |cell| clients.counts(number?, cell).map(|c| c.waiting);
        cells.map(counts).collect()
    }

    #[test]
    fn a_cell_has_the_most_and_who_is_not_there_has_none() {
        let mut clients = Clients::default();
        clients.take(seen(11_000, &[("app-1", 3, 2), ("psql", 1, 0)]));
        clients.take(seen(15_000, &[("app-1", 5, 0)]));
        clients.take(ClientsView {
            at_ms: 21_000,
            ..ClientsView::default()
        });
        clients.take(seen(31_000, &[("app-1", 1, 1)]));
        assert_eq!(waiting(&clients, "app-1"), [None, Some(2), None, Some(1)]);
        assert_eq!(waiting(&clients, "psql"), [None, Some(0), None, Some(0)]);
        assert_eq!(waiting(&clients, "nobody"), [None; 4]);
    }

    #[test]
    fn names_that_never_come_again_do_not_pile_up() {
        let mut clients = Clients::default();
        for second in 0..5_000 {
            let name = format!("worker {second}");
            clients.take(seen(second * 1_000, &[(&name, 1, 0), ("app-1", 1, 0)]));
            assert!(clients.numbers.len() <= NAMES && clients.rounds.len() <= 900);
        }
        let cells = clients.rounds().cells(5_000_000, 1_000, 1);
        let number = clients.number("app-1").expect("it is there");
        assert!(clients.counts(number, cells[0].clone()).is_some());
    }
}
