//! What earlier attempts of R2+ have said of full-text indexes. One that finds the rows in SQLite writes nothing, and so makes none anew: an index
//! that lacks rows would be told of no more. Not in here: which indexes an attempt makes anew (`salvage::apply::derived`).

use crate::history;
use crate::journal::Folder;
use crate::session::facts::Brought;
use crate::session::{Event, Recorded};

/// The sentences, each once, in their order; none where the journal cannot be read, which is told elsewhere.
pub(super) fn stale(folder: &Folder) -> Vec<String> {
    history::of(folder).map_or_else(|_| Vec::new(), |(history, _)| stale_in(history.events()))
}

fn stale_in(events: &[Recorded]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for recorded in events {
        let Event::RollbackRowFinished { row, outcome } = &recorded.event else {
            continue;
        };
        let brought = outcome.fact::<Brought>(row).ok().flatten();
        for sentence in brought.into_iter().flat_map(|brought| brought.stale) {
            if !all.contains(&sentence) {
                all.push(sentence);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Outcome;

    #[test]
    fn every_attempt_counts_and_each_sentence_once() {
        let ended = |seq: u64, stale: &[&str]| Recorded {
            seq,
            at_ms: 0,
            wall: crate::clock::wall(),
            event: Event::RollbackRowFinished {
                row: "R2+".to_owned(),
                outcome: Outcome::done("brought").with_fact(Brought {
                    stale: stale.iter().map(|&sentence| sentence.to_owned()).collect(),
                    ..Brought::default()
                }),
            },
        };
        let events = [ended(1, &["a", "b"]), ended(2, &[]), ended(3, &["b", "c"])];
        assert_eq!(stale_in(&events), ["a", "b", "c"]);
    }
}
