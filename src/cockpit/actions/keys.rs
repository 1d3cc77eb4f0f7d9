//! Which keys each action has at this terminal: the table's own, and where somebody has configured others, those.
//!
//! Not in here: reading a configuration (`cockpit::habits`), and what an action does.

use std::collections::BTreeMap;

use crossterm::event::KeyCode;

use super::chord::{ctrl, named};
use super::{ACTIONS, Action, Chord, Do};

/// What forms and lists obey whatever the table says: these stay with their actions.
const FIXED: [Chord; 4] = [named(KeyCode::Esc), ctrl('c'), ctrl('l'), ctrl('z')];

/// The keys of every action.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    own: BTreeMap<&'static str, Vec<Chord>>,
}

/// Why an action does not get these keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotBound {
    /// There are none.
    #[error("{0} needs a key, or nobody could do it")]
    NoKey(&'static str),
    /// It is struck for other things all the time, and this action may follow at once.
    #[error(
        "{action} takes a letter, a sign or F1 to F12: {key} is struck for other things, and once a trigger has fired it would roll back at once"
    )]
    TooEasy { action: &'static str, key: String },
}

/// Two actions that would have the same key, and may both be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clash {
    pub key: Chord,
    /// Name of the one that comes first in the table.
    pub first: &'static str,
    /// Name of the other.
    pub second: &'static str,
}

impl Clash {
    /// The one of the two that keeps this key whatever is configured, where it is such a key.
    pub fn stays_with(&self) -> Option<&'static str> {
        let keeps = |name: &&'static str| {
            let action = super::called(name);
            action.is_some_and(|action| action.keys.contains(&self.key))
        };
        let both = [self.first, self.second].into_iter();
        both.filter(|_| FIXED.contains(&self.key)).find(keeps)
    }
}

impl Keys {
    /// The keys of an action; the first is the one that is shown.
    pub fn of<'k>(&'k self, action: &Action) -> &'k [Chord] {
        match self.own.get(action.name) {
            Some(keys) => keys,
            None => action.keys,
        }
    }

    /// The one that is shown.
    pub fn first(&self, action: &Action) -> Chord {
        self.of(action).first().copied().unwrap_or(action.keys[0])
    }

    /// The key by which this is done, as shown.
    pub fn shown(&self, act: Do) -> String {
        let action = ACTIONS.iter().find(|action| action.act == act);
        action.map_or_else(String::new, |action| self.first(action).shown())
    }

    /// Whether somebody has given it other keys than the table.
    pub fn is_own(&self, action: &Action) -> bool {
        self.own.contains_key(action.name)
    }

    /// The usual keys of an action that it no longer has, each with the others that have it in common with it in the table and keep it: they do
    /// not go with it.
    pub fn left_behind(&self, action: &Action) -> Vec<(Chord, Vec<&'static str>)> {
        let has = self.of(action);
        let given_up = action.keys.iter().filter(|key| !has.contains(key));
        let with_others = given_up.map(|key| {
            let others = ACTIONS.iter().filter(|other| {
                other.name != action.name && !self.is_own(other) && other.keys.contains(key)
            });
            (*key, others.map(|other| other.name).collect::<Vec<_>>())
        });
        with_others
            .filter(|(_, others)| !others.is_empty())
            .collect()
    }

    /// Gives an action other keys. Esc, ^C, ^L and ^Z stay where they are.
    pub fn bind(&mut self, action: &'static Action, keys: &[Chord]) -> Result<(), NotBound> {
        if keys.is_empty() {
            return Err(NotBound::NoKey(action.name));
        }
        let easy = keys.iter().find(|key| is_struck_often(**key));
        if let Some(key) = easy.filter(|_| action.act == Do::RollBack) {
            return Err(NotBound::TooEasy {
                action: action.name,
                key: key.shown(),
            });
        }
        let stay = action.keys.iter().filter(|key| FIXED.contains(key));
        let mut all: Vec<Chord> = Vec::new();
        for key in keys.iter().chain(stay) {
            if !all.contains(key) {
                all.push(*key);
            }
        }
        self.own.insert(action.name, all);
        Ok(())
    }

    /// Keys that two actions would have which do not exclude each other. Those that do have a key in common in the table.
    pub fn clashes(&self) -> Vec<Clash> {
        let mut all = Vec::new();
        for (n, a) in ACTIONS.iter().enumerate() {
            for b in &ACTIONS[n + 1..] {
                let is_changed = self.is_own(a) || self.is_own(b);
                let may_share = a.keys.iter().any(|key| b.keys.contains(key));
                if !is_changed || may_share {
                    continue;
                }
                let theirs = self.of(b);
                let both = self.of(a).iter().filter(|key| theirs.contains(key));
                all.extend(both.map(|key| Clash {
                    key: *key,
                    first: a.name,
                    second: b.name,
                }));
            }
        }
        all
    }
}

/// Keys that move, choose, confirm, close or delete, and digits, which show views and choose lines.
fn is_struck_often(key: Chord) -> bool {
    match key.code {
        KeyCode::Char(c) => key.ctrl || c == ' ' || c.is_ascii_digit(),
        KeyCode::F(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cockpit::actions::called;

    fn bound(all: &[(&str, &str)]) -> Keys {
        let mut keys = Keys::default();
        for (name, key) in all {
            let key: Chord = key.parse().expect("a key");
            let action = called(name).expect("an action");
            keys.bind(action, &[key]).expect("bound");
        }
        keys
    }

    fn told(keys: &Keys) -> Vec<String> {
        let told = |c: &Clash| format!("{} {} {}", c.key.shown(), c.first, c.second);
        keys.clashes().iter().map(told).collect()
    }

    #[test]
    fn the_table_is_free_of_clashes_and_so_is_what_moves_both() {
        assert_eq!(told(&Keys::default()), [""; 0]);
        assert_eq!(told(&bound(&[("hold", "n")])), ["n hold note"]);
        assert_eq!(told(&bound(&[("hold", "n"), ("note", "N")])), [""; 0]);
        // One of the two applies at a time, as in the table.
        assert_eq!(told(&bound(&[("hold", "H"), ("resume", "H")])), [""; 0]);
        assert_eq!(
            told(&bound(&[("hold", "F5"), ("note", "F5")])),
            ["F5 hold note"]
        );
    }

    #[test]
    fn who_shared_a_key_is_told_where_one_of_them_moves() {
        let hold = called("hold").expect("an action");
        let left = bound(&[("hold", "F8")]).left_behind(hold);
        assert_eq!(left, [(super::super::key('h'), vec!["resume"])]);
        assert!(Keys::default().left_behind(hold).is_empty());
        let both = bound(&[("hold", "F8"), ("resume", "F8")]);
        assert!(both.left_behind(hold).is_empty());
    }

    #[test]
    fn what_forms_obey_stays() {
        let keys = bound(&[("leave", "Q"), ("back", "X"), ("find", "^C")]);
        let leave = called("leave").expect("an action");
        assert_eq!(keys.of(leave), [super::super::key('Q'), ctrl('c')]);
        assert_eq!(keys.shown(Do::Back), "X");
        assert_eq!(told(&keys), ["^C find leave"]);
    }

    #[test]
    fn a_rollback_has_a_key_of_its_own_kind() {
        let roll_back = called("roll-back").expect("an action");
        let mut keys = Keys::default();
        for easy in ["Enter", "Space", "Esc", "5", "Down", "^R", "Tab"] {
            let key: Chord = easy.parse().expect("a key");
            let refused = keys.bind(roll_back, &[key]).expect_err(easy);
            assert!(refused.to_string().contains("takes a letter"), "{refused}");
        }
        keys.bind(roll_back, &[named(KeyCode::F(9))]).expect("F9");
        assert_eq!(keys.shown(Do::RollBack), "F9");
        let none = keys.bind(roll_back, &[]).expect_err("no key");
        assert_eq!(none, NotBound::NoKey("roll-back"));
    }
}
