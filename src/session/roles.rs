//! Who may do what: one table. Who somebody *is* comes in as a value; the operating system proved it at the engine's socket.

use serde::{Deserialize, Serialize};

use super::charter::Charter;
use crate::runbook::{Person, Role};

/// Somebody at the bridge and the roles that they may act in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Id of the person.
    pub id: String,
    /// Their own roles first, then those in which they stand in for somebody.
    pub roles: Vec<Role>,
}

/// What people may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Start the next step, or try a failed one again.
    StartStep,
    /// Confirm being there (P2); only in a role that the step asks for.
    Confirm,
    /// Sign a gate; only in a role that the gate asks for.
    Sign,
    /// Withdraw one's own signature.
    Withdraw,
    /// Let nothing new start.
    Hold,
    /// Let things start again.
    Resume,
    /// Skip a step that may be skipped.
    Skip,
    /// Say what an unknown step had done, where no machine can.
    Decide,
    ExtendFreeze,
    RollBack,
    Complete,
    Note,
    /// Run rows of a rollback again.
    Retry,
    /// Record what was corrected after a rollback.
    Correct,
    /// Record what is left after the end.
    Close,
}

const ANYONE: &[Role] = &Role::ALL;
const DRIVER: &[Role] = &[Role::ReleaseManager];

/// The table: an act, who may, and how it is called in a refusal.
pub const PERMITS: [(Act, &[Role], &str); 15] = [
    (Act::StartStep, DRIVER, "start a step"),
    (Act::Confirm, ANYONE, "confirm being on call"),
    (Act::Sign, ANYONE, "sign a gate"),
    (Act::Withdraw, ANYONE, "withdraw a signature"),
    (Act::Hold, ANYONE, "hold the session"),
    (Act::Resume, DRIVER, "resume the session"),
    (Act::Skip, DRIVER, "skip a step"),
    (
        Act::Decide,
        &[Role::ReleaseManager, Role::Engineer],
        "decide what an interrupted step had done",
    ),
    (Act::ExtendFreeze, DRIVER, "extend the freeze"),
    (Act::RollBack, ANYONE, "roll back"),
    (Act::Complete, DRIVER, "complete the release"),
    (Act::Note, ANYONE, "write a note"),
    (Act::Retry, ANYONE, "run rows of the rollback again"),
    (
        Act::Correct,
        &[Role::ReleaseManager, Role::Engineer],
        "record what was corrected",
    ),
    (
        Act::Close,
        &[Role::ReleaseManager, Role::Engineer, Role::Dba],
        "close the session",
    ),
];

/// Whether these roles may do it, and if not, who may: `(what, who)` for a message.
pub fn permit(act: Act, roles: &[Role]) -> Result<(), (&'static str, &'static [Role])> {
    let (_, allowed, what) = PERMITS
        .iter()
        .find(|(a, ..)| *a == act)
        .expect("BUG: every act has a line in the table");
    if roles.iter().any(|r| allowed.contains(r)) {
        Ok(())
    } else {
        Err((what, allowed))
    }
}

/// Whether a user of the operating system may have an engine started for a session that has none: whoever may roll back, for only an engine
/// can.
pub fn may_have_an_engine(charter: &Charter, user: &str) -> Result<(), String> {
    let Some(actor) = Actor::identify(charter, user, None) else {
        return Err(format!("{user} is the account of nobody on the bridge"));
    };
    permit(Act::RollBack, &actor.roles).map_err(|(what, _)| format!("{user} may not {what}"))
}

impl Actor {
    /// The person behind a user of the operating system. In the sandbox alone, `claimed` may name somebody else.
    pub fn identify(charter: &Charter, user: &str, claimed: Option<&str>) -> Option<Actor> {
        let person = match claimed {
            Some(id) if charter.sandbox => charter
                .people
                .iter()
                .find(|p| p.id == id || p.roles.iter().any(|r| r.key() == id)),
            _ => charter.people.iter().find(|p| p.user == user),
        }?;
        Some(Actor::of(charter, person))
    }

    fn of(charter: &Charter, person: &Person) -> Actor {
        let stands_in = charter
            .people
            .iter()
            .filter(|p| p.deputies.contains(&person.id))
            .flat_map(|p| p.roles.iter().copied());
        let mut roles = person.roles.clone();
        for role in stands_in {
            if !roles.contains(&role) {
                roles.push(role);
            }
        }
        Actor {
            id: person.id.clone(),
            roles,
        }
    }
}
