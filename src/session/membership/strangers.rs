//! What people are told of instances that came while the session runs, and of answers that cannot be used; each once. Pure.
//!
//! From the switch on whoever comes has to be seen on PostgreSQL. Not in here: looking (`engine::muster`), and which steps refuse to go on
//! (`step::newcomers`).

use std::collections::{BTreeMap, BTreeSet};

use crate::session::maintenance::Told;
use crate::session::state::{Phase, Session};
use crate::text::printable;

/// Characters of what an instance said, or a command printed.
const HOW_CHARS: usize = 240;

/// By which database an instance was seen to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    Sqlite,
    Postgres,
    /// Nothing tells.
    Unknown,
}

/// An instance that is not as it was at the opening, looked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Its name in the answer.
    pub name: String,
    pub serves: Serves,
    /// By what, or why nothing was; foreign text.
    pub how: String,
}

/// What was said, so that nothing is said twice.
#[derive(Debug, Clone, Default)]
pub struct Attention {
    said: BTreeMap<String, Serves>,
    /// Since when nothing tells of an instance.
    unknown_ms: BTreeMap<String, i64>,
    /// Since when there is no usable answer.
    unanswered_ms: Option<i64>,
    is_unanswered_said: bool,
}

impl Attention {
    /// What these looks have to tell. Before the switch nothing: F1 does not begin with an instance that the opening does not know.
    pub fn observe(&mut self, session: &Session, sights: &[Sight], at_ms: i64) -> Vec<Told> {
        self.unanswered_ms = None;
        self.is_unanswered_said = false;
        let there: BTreeSet<&str> = sights.iter().map(|sight| sight.name.as_str()).collect();
        self.said.retain(|name, _| there.contains(name.as_str()));
        self.unknown_ms
            .retain(|name, _| there.contains(name.as_str()));
        if session.phase != Phase::Open || !session.has_switched() {
            return Vec::new();
        }
        let patience_ms = session.charter.limits.startup_grace_ms;
        let told = sights.iter().filter_map(|sight| {
            if sight.serves == Serves::Unknown {
                let since_ms = *self.unknown_ms.entry(sight.name.clone()).or_insert(at_ms);
                if at_ms - since_ms < patience_ms {
                    return None;
                }
            } else {
                self.unknown_ms.remove(&sight.name);
            }
            let before = self.said.insert(sight.name.clone(), sight.serves);
            let is_news = before != Some(sight.serves);
            let is_good = sight.serves == Serves::Postgres && before.is_none();
            (is_news && !is_good).then(|| words(session, sight))
        });
        told.collect()
    }

    /// Whether to tell that nobody knows which instances there are: once, after the limit of a blind trigger.
    pub fn unanswered(&mut self, session: &Session, why: &str, at_ms: i64) -> Option<Told> {
        let since_ms = *self.unanswered_ms.get_or_insert(at_ms);
        let limit_ms = session.charter.real_ms(session.charter.limits.blind_ms);
        if session.phase != Phase::Open || self.is_unanswered_said || at_ms - since_ms < limit_ms {
            return None;
        }
        self.is_unanswered_said = true;
        Some(Told {
            text: format!(
                "which instances there are has not been known for {} s: {}. Those of the last usable answer are watched; one that comes now \
                 is not seen",
                (at_ms - since_ms) / 1_000,
                printable(why, HOW_CHARS)
            ),
            act: "Run the command of `fleet.instances` by hand, and scale nothing until it answers"
                .to_owned(),
        })
    }
}

fn words(session: &Session, sight: &Sight) -> Told {
    let (name, how) = (&sight.name, printable(&sight.how, HOW_CHARS));
    let session = &session.charter.session;
    match sight.serves {
        Serves::Postgres => Told {
            text: format!("{name} serves from PostgreSQL now ({how})"),
            act: String::new(),
        },
        Serves::Sqlite => Told {
            text: format!(
                "{name} came after the opening and serves from SQLITE ({how}): SQLite is fenced, so that its writes fail and its users see \
                 errors and old rows"
            ),
            act: format!(
                "Switch it and restart it, or stop it: F4 and G2 do not end before. `cutover rollback {session}` ends the night"
            ),
        },
        Serves::Unknown => Told {
            text: format!(
                "by which database {name} serves, which came after the opening, is not known ({how})"
            ),
            act: "Look there by hand, or stop it: F4 and G2 do not end before it is seen on PostgreSQL"
                .to_owned(),
        },
    }
}
