//! How often something happened at which endpoint, bounded, and the few that people are shown. Not in here: what is counted.

use std::collections::BTreeMap;

/// Endpoints that are told apart; the rest are one.
const ENDPOINTS: usize = 50;

/// Endpoints that people are shown.
const SHOWN: usize = 5;

/// Counts by endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    by_endpoint: BTreeMap<String, u64>,
}

impl Tally {
    /// It happened there so many times more.
    pub fn add(&mut self, endpoint: &str, times: u64) {
        if let Some(count) = self.by_endpoint.get_mut(endpoint) {
            *count += times;
            return;
        }
        let endpoint = match self.by_endpoint.len() < ENDPOINTS {
            true => endpoint,
            false => "others",
        };
        *self.by_endpoint.entry(endpoint.to_owned()).or_default() += times;
    }

    /// Takes in all of another.
    pub fn merge(&mut self, other: &Tally) {
        for (endpoint, times) in &other.by_endpoint {
            self.add(endpoint, *times);
        }
    }

    /// In words, the most first; empty where nothing happened.
    pub fn words(&self) -> String {
        most(self.by_endpoint.iter().map(|(e, n)| (e.as_str(), *n)))
    }
}

/// `/tools 12, /search 3`, the most first.
pub fn most<'w>(counts: impl Iterator<Item = (&'w str, u64)>) -> String {
    let mut counts: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown = counts.iter().take(SHOWN);
    let shown: Vec<_> = shown.map(|(what, n)| format!("{what} {n}")).collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_endpoints_are_bounded_and_nothing_is_lost() {
        let (mut tally, mut all) = (Tally::default(), Tally::default());
        for n in 0..200 {
            tally.add(&format!("/tools/{n}"), 2);
        }
        tally.add("/tools/7", 5);
        all.merge(&tally);
        all.merge(&tally);
        assert!(all.by_endpoint.len() <= ENDPOINTS + 1);
        assert_eq!(all.by_endpoint.values().sum::<u64>(), 2 * (400 + 5));
        assert_eq!(all.words().split(", ").count(), SHOWN);
        assert!(
            all.words().starts_with("others 600, /tools/7 14"),
            "{}",
            all.words()
        );
        assert_eq!(Tally::default().words(), "");
    }
}
