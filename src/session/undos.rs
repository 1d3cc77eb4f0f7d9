//! What has been recorded to be undone, in the order in which a rollback undoes it. Not in here: how (`step::rollback`).

use super::event::Undo;
use super::grants::FormerGrants;
use super::state::Session;

/// Steps of the operators' own whose command has begun, by id, the latest first. A step that was tried several times is there once, for
/// its undo puts back what was there before the first try.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnUndos<'a> {
    /// Those that ran after the switch: they are undone before it is taken back.
    pub before_switch_back: Vec<&'a str>,
    /// Those that ran before the switch: they are undone once it is taken back.
    pub after_switch_back: Vec<&'a str>,
}

impl Session {
    /// How to put each configuration file back: the newest undo of each, in the order in which they were first changed.
    pub fn config_undos(&self) -> Vec<&Undo> {
        let mut newest: Vec<&Undo> = Vec::new();
        for (_, undo) in &self.undos {
            let Undo::Config { path, .. } = undo else {
                continue;
            };
            let of_this =
                |u: &&mut &Undo| matches!(u, Undo::Config { path: other, .. } if other == path);
            match newest.iter_mut().find(of_this) {
                Some(earlier) => *earlier = undo,
                None => newest.push(undo),
            }
        }
        newest
    }

    /// The rights of others than the owner to write to the moved tables, as they were before they were revoked: of each table those that were
    /// recorded first.
    pub fn former_grants(&self) -> Vec<FormerGrants> {
        let mut first: Vec<FormerGrants> = Vec::new();
        for (_, undo) in &self.undos {
            let Undo::TargetGrants { former } = undo else {
                continue;
            };
            for grants in former {
                if !first.iter().any(|known| known.oid == grants.oid) {
                    first.push(grants.clone());
                }
            }
        }
        first
    }

    /// The operators' own steps that have something to undo, so that everything goes back in the order opposite to that in which it was
    /// done.
    pub fn own_undos(&self) -> OwnUndos<'_> {
        let is_switch = |undo: &Undo| matches!(undo, Undo::Config { .. } | Undo::SwitchAction);
        let switch = self.undos.iter().position(|(_, undo)| is_switch(undo));
        let (mut after, mut before): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for (at, (step, undo)) in self.undos.iter().enumerate() {
            let known = after.iter().chain(&before).any(|known| known == step);
            if *undo != Undo::Command || known {
                continue;
            }
            match switch.is_some_and(|switch| at > switch) {
                true => after.insert(0, step),
                false => before.insert(0, step),
            }
        }
        OwnUndos {
            before_switch_back: after,
            after_switch_back: before,
        }
    }
}
