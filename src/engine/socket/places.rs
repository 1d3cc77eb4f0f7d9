//! Who gets a place at the engine's socket: so many in all and so many for each user, and the last ones for users who have few or none.
//! Pure counting; connections are the server's.
//!
//! Accounts that open connections without end therefore keep nobody else out: a release manager who wants to roll back has at most a
//! cockpit or two that just say that they are there, and gets a place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections served at once.
const IN_ALL: usize = 256;
/// Of one user at once.
const OF_ONE_USER: usize = 64;
/// How many of all places are kept for users who have fewer than [`FIRST_ONES`].
const KEPT_FREE: usize = 64;
const FIRST_ONES: usize = 4;

/// The places at one socket.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    uid: u32,
}

impl Places {
    /// A place for one more connection of a user; `None` where there is none for them.
    pub(super) fn take(&self, uid: u32) -> Option<Place> {
        let mut taken = self.lock();
        let in_all: usize = taken.values().sum();
        let theirs = taken.get(&uid).copied().unwrap_or(0);
        let limit = match theirs < FIRST_ONES {
            true => IN_ALL,
            false => IN_ALL - KEPT_FREE,
        };
        if theirs >= OF_ONE_USER || in_all >= limit {
            return None;
        }
        taken.insert(uid, theirs + 1);
        Some(Place {
            places: self.clone(),
            uid,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        match taken.get_mut(&self.uid) {
            Some(1) | None => {
                taken.remove(&self.uid);
            }
            Some(count) => *count -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_never_takes_the_place_of_another() {
        let places = Places::default();
        let flood: Vec<_> = (0..1000).filter_map(|_| places.take(1)).collect();
        assert_eq!(flood.len(), OF_ONE_USER);
        assert!(places.take(2).is_some());
        let crowd: Vec<_> = (2..10)
            .flat_map(|uid| {
                (0..1000)
                    .filter_map(|_| places.take(uid))
                    .collect::<Vec<_>>()
            })
            .collect();
        assert!(flood.len() + crowd.len() < IN_ALL);
        // Whoever has none yet still gets one, and one more while that is taken.
        let latecomers: Vec<_> = (100..108)
            .flat_map(|uid| [places.take(uid), places.take(uid)])
            .collect();
        assert!(latecomers.iter().all(Option::is_some));
        drop(flood);
        assert!(places.take(1).is_some(), "a place is given back");
    }

    #[test]
    fn a_place_that_was_given_back_is_free() {
        let places = Places::default();
        for _ in 0..10_000 {
            assert!(places.take(7).is_some());
        }
        assert!(places.lock().is_empty());
    }
}
