//! T1a and T1b by rules that are written anew, so that the real ones can be held against them.

use super::FULL_MS;
use super::world::{Process, World};
use cutover::runbook::Instance;
use std::collections::BTreeSet;

/// A place in the fleet as the model has it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) id: String,
    pub(super) who: Option<(String, String)>,
    pub(super) empty_since: Option<i64>,
    pub(super) ended: bool,
    pub(super) restarted: bool,
    pub(super) bad_since: Option<i64>,
    pub(super) has_fired: bool,
}

/// The same rules, written anew.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) places: Vec<Place>,
    /// Names and addresses of those without a place, in the order of their coming.
    pub(super) waiting: Vec<(String, String)>,
}

impl Model {
    pub(super) fn begin(opening: &[Instance]) -> Model {
        let mut model = Model::default();
        for instance in opening {
            let who = (instance.id.clone(), instance.url.clone());
            model.add(instance.id.clone(), Some(who), None);
        }
        model
    }

    fn add(&mut self, id: String, who: Option<(String, String)>, empty_since: Option<i64>) {
        self.places.push(Place {
            id,
            who,
            empty_since,
            ended: false,
            restarted: false,
            bad_since: None,
            has_fired: false,
        });
    }

    pub(super) fn standing(&self) -> usize {
        self.places.iter().filter(|p| !p.ended).count()
    }

    pub(super) fn told(&mut self, said: &[Process], wanted: Option<usize>, now_ms: i64) {
        let find = |name: &str| said.iter().find(|p| p.name == name);
        for place in self.places.iter_mut().filter(|p| !p.ended) {
            let Some((name, url)) = &mut place.who else {
                continue;
            };
            match find(name) {
                Some(process) => {
                    url.clone_from(&process.url);
                    place.empty_since = None;
                }
                None => {
                    place.empty_since.get_or_insert(now_ms);
                }
            }
        }
        while wanted.is_some_and(|wanted| self.standing() < wanted) {
            self.add(
                format!("slot-{}", self.places.len() + 1),
                None,
                Some(now_ms),
            );
        }
        let mut waiting = Vec::new();
        let old = self.waiting.iter().map(|(name, _)| name.clone());
        for name in old.chain(said.iter().map(|p| p.name.clone())) {
            let has_place = |p: &Place| !p.ended && p.who.as_ref().is_some_and(|w| w.0 == name);
            let twice = |w: &(String, String)| w.0 == name;
            if let Some(process) = find(&name)
                && !self.places.iter().any(has_place)
                && !waiting.iter().any(twice)
            {
                waiting.push((name, process.url.clone()));
            }
        }
        self.waiting = waiting;
        self.settle(said, true);
        self.settle(said, false);
        while wanted.is_some_and(|wanted| self.standing() > wanted) {
            let empty = self.places.iter_mut().enumerate();
            let empty = empty.filter(|(_, p)| !p.ended && p.empty_since.is_some());
            let Some((_, newest)) = empty.max_by_key(|(n, p)| (p.empty_since, *n)) else {
                break;
            };
            newest.ended = true;
        }
    }

    /// Gives the empty places to those that wait, the oldest first.
    fn settle(&mut self, said: &[Process], only_recognised: bool) {
        let mut empty: Vec<(i64, usize)> = Vec::new();
        for (n, place) in self.places.iter().enumerate().filter(|(_, p)| !p.ended) {
            empty.extend(place.empty_since.map(|since| (since, n)));
        }
        empty.sort_unstable();
        for (_, n) in empty {
            let mut of_waiting = self.waiting.iter();
            let taken = of_waiting.position(|(name, _)| {
                let recognised = self.is_recognised(name, said);
                match (self.places[n].restarted, recognised) {
                    (true, Some(recognised)) => recognised,
                    (true, None) => !only_recognised,
                    (false, Some(true)) => !only_recognised && !self.awaits(said),
                    (false, Some(false) | None) => !only_recognised,
                }
            });
            if let Some(at) = taken {
                let who = self.waiting.remove(at);
                (self.places[n].who, self.places[n].empty_since) = (Some(who), None);
            }
        }
    }

    /// Whether a name is of what a restarted canary becomes; `None` where nothing tells.
    fn is_recognised(&self, name: &str, said: &[Process]) -> Option<bool> {
        let revision = |name: &str| said.iter().find(|p| p.name == name)?.revision;
        let others = self.places.iter().filter(|p| !p.ended && !p.restarted);
        let others = others.filter_map(|p| revision(&p.who.as_ref()?.0));
        let before: BTreeSet<&str> = others.collect();
        let own = revision(name)?;
        (!before.is_empty()).then(|| !before.contains(own))
    }

    /// Whether a restarted place has not got what came of its restart.
    fn awaits(&self, said: &[Process]) -> bool {
        let restarted = self.places.iter().filter(|p| p.restarted && !p.ended);
        let mut others = restarted.map(|place| match &place.who {
            Some((name, _)) => self.is_recognised(name, said) == Some(true),
            None => false,
        });
        others.any(|has_it| !has_it)
    }

    /// How a place is found when it is asked; `None` where nobody ever came.
    fn is_ready(&self, place: &Place, world: &World, at: i64) -> Option<bool> {
        let (_, url) = place.who.as_ref()?;
        let others = self.places.iter();
        let others = others.filter(|p| !p.ended && p.empty_since.is_none() && p.id != place.id);
        let mut there = others.filter_map(|p| p.who.as_ref()).chain(&self.waiting);
        let is_anothers = place.empty_since.is_some() && there.any(|(_, other)| other == url);
        Some(!is_anothers && world.is_ready(url, at))
    }

    /// Takes in a sample of every place; gives the share that is not ready.
    pub(super) fn sampled(&mut self, world: &World, at: i64, now_ms: i64) -> f64 {
        let ready: Vec<Option<bool>> = self
            .places
            .iter()
            .map(|place| self.is_ready(place, world, at))
            .collect();
        let mut failed = 0_usize;
        for (place, ready) in self.places.iter_mut().zip(ready) {
            if place.ended {
                continue;
            }
            failed += usize::from(ready != Some(true));
            match ready {
                Some(true) => place.bad_since = None,
                Some(false) => {
                    let since_ms = *place.bad_since.get_or_insert(now_ms);
                    place.has_fired |= now_ms - since_ms >= FULL_MS;
                }
                None => {}
            }
        }
        failed as f64 / self.standing() as f64
    }
}
