//! What there really is of a fleet that changes by chance, and what is said of it.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A process of the application.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) revision: Option<&'static str>,
    /// Not before this sample.
    pub(super) ready_from: i64,
    /// It ends at this sample.
    pub(super) ends_at: i64,
}

/// What there really is, and what is said of it.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) alive: Vec<Process>,
    /// Addresses that were in use once.
    pub(super) urls: Vec<String>,
    pub(super) made: u32,
    pub(super) wanted: usize,
    pub(super) says_wanted: bool,
    pub(super) says_revision: bool,
    /// A canary that was restarted comes under another name at this sample.
    pub(super) canary_comes_at: Option<i64>,
}

impl World {
    pub(super) fn begin(seed: u64) -> World {
        let mut rng = StdRng::seed_from_u64(seed);
        let mode = seed % 3;
        let count = rng.random_range(2..9_usize);
        let mut world = World {
            rng,
            alive: Vec::new(),
            urls: Vec::new(),
            made: 0,
            wanted: count,
            says_wanted: mode != 0,
            says_revision: mode == 2,
            canary_comes_at: None,
        };
        for _ in 0..count {
            world.comes(0, "v1", false);
        }
        world
    }

    pub(super) fn chance(&mut self, of_thousand: u32) -> bool {
        self.rng.random_range(0..1_000) < of_thousand
    }

    fn any(&mut self) -> usize {
        self.rng.random_range(0..self.alive.len())
    }

    fn new_url(&mut self) -> String {
        let url = format!("http://10.0.0.{}:5000", self.urls.len());
        self.urls.push(url.clone());
        url
    }

    fn comes(&mut self, at: i64, revision: &'static str, takes_old_url: bool) {
        let free: Vec<String> = self
            .urls
            .iter()
            .filter(|url| self.alive.iter().all(|p| p.url != **url))
            .cloned()
            .collect();
        let url = match free.first() {
            Some(url) if takes_old_url => url.clone(),
            Some(_) | None => self.new_url(),
        };
        let name = format!("app-{}", self.made);
        self.made += 1;
        let slow = if at == 0 {
            0
        } else {
            self.rng.random_range(0..9)
        };
        self.alive.push(Process {
            name,
            url,
            revision: self.says_revision.then_some(revision),
            ready_from: at + slow,
            ends_at: i64::MAX,
        });
    }

    /// What happens before this sample.
    pub(super) fn churn(&mut self, at: i64) {
        self.alive.retain(|p| p.ends_at > at);
        if self.canary_comes_at == Some(at) {
            self.canary_comes_at = None;
            self.comes(at, "v2", false);
        }
        if self.alive.is_empty() || self.chance(20) {
            let takes_old_url = self.chance(300);
            self.comes(at, "v1", takes_old_url);
        }
        // Gone for good.
        if self.alive.len() > 1 && self.chance(15) {
            let n = self.any();
            self.alive.remove(n);
        }
        // Replaced; for a moment there may be two names for one place.
        if self.chance(25) {
            let (n, overlap) = (self.any(), self.rng.random_range(0..4));
            self.alive[n].ends_at = at + overlap;
            self.alive.retain(|p| p.ends_at > at);
            self.comes(at, "v1", false);
        }
        // Restarted under another name, at the same address.
        if self.chance(10) {
            let (n, ready_from) = (self.any(), at + self.rng.random_range(0..80));
            let name = format!("app-{}", self.made);
            self.made += 1;
            (self.alive[n].name, self.alive[n].ready_from) = (name, ready_from);
        }
        // Restarted in place, or moved to another address.
        if self.chance(30) {
            let (n, ready_from) = (self.any(), at + self.rng.random_range(1..80));
            self.alive[n].ready_from = ready_from;
        }
        if self.chance(10) {
            let (n, url) = (self.any(), self.new_url());
            self.alive[n].url = url;
        }
        if self.chance(10) {
            self.wanted += 1;
        }
        if self.wanted > 1 && self.chance(10) {
            self.wanted -= 1;
        }
    }

    /// What is answered; `None` where that cannot be used.
    pub(super) fn answer(&mut self) -> Option<Vec<Process>> {
        if self.alive.is_empty() || self.chance(100) {
            return None;
        }
        let mut said = self.alive.clone();
        if said.len() > 1 && self.chance(20) {
            let n = self.rng.random_range(0..said.len());
            said.remove(n);
        }
        Some(said)
    }

    pub(super) fn is_ready(&self, url: &str, at: i64) -> bool {
        let mut here = self.alive.iter().filter(|p| p.url == url);
        here.any(|p| p.ready_from <= at)
    }
}
