//! The configuration files of the fleet, as the switch by key sees them: which there are, and what each says now. Used by F1, R2, R4 and
//! before anything is emptied. Reads only; what one value means for F1 is a rule.
//!
//! Not in here: how one key of a file is found and replaced (`action::config_file`).

use std::path::PathBuf;

use super::context::Context;
use crate::action::config_file;
use crate::production::configuration_of;
use crate::runbook::SwitchedKey;
use crate::text::printable;

/// Characters of a value that a message quotes.
const VALUE_CHARS: usize = 80;

/// One configuration file, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the runbook names it; of several names of one file, the first.
    pub path: PathBuf,
    /// Ids of the instances that read it.
    pub instances: Vec<String>,
}

impl Place {
    /// Whose it is, in words.
    pub fn whose(&self) -> String {
        self.instances.join(", ")
    }
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    From,
    To,
    /// Neither, in words.
    Other(String),
    /// It cannot be read, and why.
    Unreadable(String),
}

/// The key of the switch; `None` where the switch is an action.
pub fn key(ctx: &Context) -> Option<SwitchedKey<'_>> {
    let mut steps = ctx.runbook.steps.iter();
    steps.find_map(|step| step.kind.switched_key())
}

/// Every configuration file of the fleet, each once, whatever names lead to it.
pub fn places(ctx: &Context) -> Vec<Place> {
    let mut places: Vec<(PathBuf, Place)> = Vec::new();
    for instance in &ctx.runbook.fleet.instances {
        let Some(path) = configuration_of(&ctx.runbook, &ctx.base, instance) else {
            continue;
        };
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        match places.iter_mut().find(|(other, _)| *other == real) {
            Some((_, place)) => place.instances.push(instance.id.clone()),
            None => places.push((
                real,
                Place {
                    path,
                    instances: vec![instance.id.clone()],
                },
            )),
        }
    }
    places.into_iter().map(|(_, place)| place).collect()
}

/// What a file says now.
pub fn says(place: &Place, key: SwitchedKey<'_>) -> Says {
    match config_file::value(&place.path, key.name) {
        Ok(value) => judge(key, value.as_deref()),
        Err(error) => Says::Unreadable(error.to_string()),
    }
}

fn judge(key: SwitchedKey<'_>, value: Option<&str>) -> Says {
    match value {
        Some(value) if value == key.from => Says::From,
        Some(value) if value == key.to => Says::To,
        Some(value) => Says::Other(format!("is `{}`", printable(value, VALUE_CHARS))),
        None => Says::Other("is not there".to_owned()),
    }
}

/// Files that do not say that their instances run on SQLite, each in a sentence. Empty too where the switch is an action.
pub fn not_at_from(ctx: &Context) -> Vec<(Place, String)> {
    let Some(key) = key(ctx) else {
        return Vec::new();
    };
    let looked = places(ctx).into_iter().filter_map(|place| {
        let path = place.path.display();
        let why = match says(&place, key) {
            Says::From => return None,
            Says::To => format!("{} is {} in {path}, so {} starts on PostgreSQL", key.name, key.to, place.whose()),
            Says::Other(found) => format!(
                "{} {found} in {path}, and neither {} nor {}: by which database {} starts is not known",
                key.name,
                key.from,
                key.to,
                place.whose()
            ),
            Says::Unreadable(why) => format!("what {} starts on is not known: {why}", place.whose()),
        };
        Some((place, why))
    });
    looked.collect()
}

/// What F1 does with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is changed; its undo is recorded first.
    Switch,
    /// This session has changed it, before an interruption; its undo is on record.
    Switched,
    /// It is left alone, and nothing else is changed either.
    Refuse(String),
}

/// What F1 does with a file that holds this value. `undo_on_record`: this session has recorded how to put this very file back.
pub fn verdict(key: SwitchedKey<'_>, value: Option<&str>, undo_on_record: bool) -> Verdict {
    match (judge(key, value), undo_on_record) {
        (Says::From, _) => Verdict::Switch,
        (Says::To, true) => Verdict::Switched,
        (Says::To, false) => Verdict::Refuse(format!(
            "{} is already {}, and this session did not write that: the application may be on PostgreSQL already, by an earlier \
             release or by somebody's hand. What it was before is not known, so a rollback could not put it back",
            key.name, key.to
        )),
        (Says::Other(found), _) | (Says::Unreadable(found), _) => {
            Verdict::Refuse(format!("{} {found}, expected `{}`", key.name, key.from))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SwitchedKey<'static> = SwitchedKey {
        name: "Provider",
        from: "Sqlite",
        to: "Postgres",
    };

    #[test]
    fn only_what_this_session_wrote_counts_as_switched() {
        assert_eq!(verdict(KEY, Some("Sqlite"), false), Verdict::Switch);
        assert_eq!(verdict(KEY, Some("Sqlite"), true), Verdict::Switch);
        assert_eq!(verdict(KEY, Some("Postgres"), true), Verdict::Switched);
        for (value, undo, says) in [
            (Some("Postgres"), false, "this session did not write that"),
            (Some("MySql"), false, "is `MySql`, expected `Sqlite`"),
            (Some("MySql"), true, "expected `Sqlite`"),
            (Some(""), false, "expected `Sqlite`"),
            (Some("sqlite"), false, "expected `Sqlite`"),
            (None, true, "is not there"),
        ] {
            let Verdict::Refuse(why) = verdict(KEY, value, undo) else {
                panic!("{value:?} is taken");
            };
            assert!(why.contains(says), "{why}");
        }
    }
}
