//! Why a scratch database was not taken, in words that say what to do.

use std::collections::BTreeSet;

use crate::identity::TargetIdentity;
use crate::ours::objects::Object;
use crate::postgres;
use crate::text::printable;

/// How many objects a refusal names.
const NAMED: usize = 12;

/// Why a scratch database was not taken. Nothing in it was changed, and nothing in any other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "`rehearsal.url` is the target itself ({identity}); a rehearsal empties its database, so nothing was done. Make another database \
         for rehearsals"
    )]
    IsTarget { identity: TargetIdentity },
    /// Its runtime role is led to another database.
    #[error(
        "`rehearsal.runtime_url` leads to another database ({runtime}) than `rehearsal.url` ({owner}): the rehearsed application would \
         write there. Nothing was done"
    )]
    AnotherRuntime {
        /// Where `rehearsal.url` leads.
        owner: TargetIdentity,
        /// Where `rehearsal.runtime_url` leads.
        runtime: TargetIdentity,
    },
    /// Which database it is cannot be known, so that nobody can say that it is not production.
    #[error(
        "a rehearsal empties its scratch database, and whether that is the target cannot be known: the identity of {which} cannot be read \
         ({why}). Nothing was done; see to it that `{which}` can be connected to"
    )]
    Unknown {
        /// The key in the runbook.
        which: &'static str,
        why: String,
    },
    /// Somebody's objects are in it.
    #[error("{}", strangers_words(database, strangers))]
    NotOurs {
        database: String,
        strangers: BTreeSet<Object>,
    },
    /// A person claimed a database of another name.
    #[error(
        "`--claim-scratch {typed}` was given, and `rehearsal.url` leads to {database}. Nothing was done: the name must be that of the \
         database whose content may go"
    )]
    AnotherName { typed: String, database: String },
    /// Another rehearsal works in it.
    #[error(
        "another rehearsal works in the scratch database {database}{by}. Nothing was done; wait for its end"
    )]
    Busy {
        database: String,
        /// Who, if that is known.
        by: String,
    },
    /// PostgreSQL refused.
    #[error(
        "the scratch database {database}: {source}. What was begun was taken back: nothing in it was changed"
    )]
    Server {
        database: String,
        source: postgres::Error,
    },
    /// Objects that hang on one another in a circle cannot be dropped one kind at a time.
    #[error(
        "the scratch database {database}: {} cannot be dropped without something else ({why}). Nothing in it was changed; drop it by hand, \
         or make the database anew",
        named(left)
    )]
    Entangled {
        database: String,
        left: BTreeSet<Object>,
        /// What PostgreSQL said to the last attempt.
        why: String,
    },
}

fn strangers_words(database: &str, strangers: &BTreeSet<Object>) -> String {
    let database = printable(database, 80);
    format!(
        "the scratch database {database} is neither empty nor ours: it holds {}. A rehearsal empties its database, so nothing was done. Name \
         an empty database as `rehearsal.url`, or, if all of that may go, `cutover rehearse --claim-scratch {database}`",
        named(strangers)
    )
}

fn named(objects: &BTreeSet<Object>) -> String {
    let shown: Vec<String> = objects.iter().take(NAMED).map(Object::to_string).collect();
    let more = match objects.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}
