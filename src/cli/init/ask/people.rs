//! Who is on the bridge, asked one by one: accounts, names, roles, and the group that they are all in. Not in here: what a gate asks of them
//! (`runbook::draft`).

use std::collections::BTreeSet;

use nix::unistd::{Group, User};

use super::{Asker, Question, text};
use crate::engine::socket::user_of_this_process;
use crate::runbook::Role;
use crate::runbook::draft::known::{Found, Known, Person};
use crate::text::printable;

/// Ids of people, by how many there are before them.
const IDS: [&str; 4] = ["manager", "engineer", "dba", "qa"];
/// Who has which roles, where there are one to four people.
const SHARES: [&[&[Role]]; 4] = [
    &[&Role::ALL],
    &[
        &[Role::ReleaseManager, Role::Dba],
        &[Role::Engineer, Role::Qa],
    ],
    &[
        &[Role::ReleaseManager],
        &[Role::Engineer, Role::Dba],
        &[Role::Qa],
    ],
    &[
        &[Role::ReleaseManager],
        &[Role::Engineer],
        &[Role::Dba],
        &[Role::Qa],
    ],
];

pub(super) fn all(asker: &mut Asker<'_>, known: &mut Known) -> anyhow::Result<()> {
    let question = Question {
        what: "How many people are on the bridge, 1 to 4?",
        why: "one person may have several roles; K8 then asks for fewer signatures, and nobody checks another's",
        default: "1",
    };
    let count = asker.ask(&question, |answer| match answer.parse::<usize>() {
        Ok(count) if (1..=4).contains(&count) => Ok(count),
        _ => Err("a number from 1 to 4 is expected".to_owned()),
    })?;
    known.people.clear();
    for (id, roles) in IDS.iter().zip(SHARES[count - 1]) {
        let is_last = known.people.len() + 1 == count;
        let person = person(asker, id, roles, is_last, &known.people)?;
        known.people.push(person);
    }
    if count > 1 {
        let question = Question {
            what: "Which group of this machine are they all in?",
            why: "it is let into the session's folder; without one only who opens the session gets in",
            default: "",
        };
        known.group = asker.ask(&question, group)?;
    }
    Ok(())
}

fn person(
    asker: &mut Asker<'_>,
    id: &str,
    roles: &[Role],
    is_last: bool,
    others: &[Person],
) -> anyhow::Result<Person> {
    let me = user_of_this_process();
    let what = format!("Account of person {}?", others.len() + 1);
    let question = Question {
        what: &what,
        why: "the operating system says who speaks by it: one account, one person",
        default: match others {
            [] => &me,
            [_, ..] => "",
        },
    };
    let account = asker.ask(&question, |answer| account(answer, others))?;
    let what = format!("Name of {account}?");
    let question = Question {
        what: &what,
        why: "as screens and the report show it",
        default: &account,
    };
    let name = asker.ask(&question, text)?;
    let usual: Vec<&str> = roles.iter().map(|role| role.key()).collect();
    let usual = usual.join(" ");
    let what = format!("Roles of {account}?");
    let question = Question {
        what: &what,
        why: "of release_manager, engineer, dba, qa; each gate wants a role's signature",
        default: &usual,
    };
    let roles = asker.ask(&question, |answer| read_roles(answer, is_last, others))?;
    Ok(Person {
        id: id.to_owned(),
        name,
        roles,
        account,
    })
}

fn account(answer: &str, others: &[Person]) -> Result<String, String> {
    let shown = printable(answer, 64);
    if answer.is_empty() {
        return Err("an account of this machine is expected".to_owned());
    }
    if others.iter().any(|other| other.account == answer) {
        return Err(format!("{shown} is somebody else's already"));
    }
    // Without a name an account is its number, as the socket says it.
    match User::from_name(answer) {
        _ if answer == user_of_this_process() => Ok(answer.to_owned()),
        Ok(Some(_)) => Ok(answer.to_owned()),
        Ok(None) => Err(format!("there is no account {shown} on this machine")),
        Err(error) => Err(format!(
            "nobody knows whether there is an account {shown}: {error}"
        )),
    }
}

fn read_roles(answer: &str, is_last: bool, others: &[Person]) -> Result<Vec<Role>, String> {
    let mut roles = Vec::new();
    let words = answer.split(|c: char| c == ',' || c.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        let role = Role::ALL.into_iter().find(|role| role.key() == word);
        let role = role.ok_or_else(|| format!("{} is no role", printable(word, 40)))?;
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
    let held = others
        .iter()
        .flat_map(|other| other.roles.iter())
        .chain(&roles);
    let held: BTreeSet<Role> = held.copied().collect();
    let mut missing = Role::ALL.into_iter().filter(|role| !held.contains(role));
    match missing.next() {
        Some(role) if is_last => Err(format!("nobody has the role {} then", role.key())),
        Some(_) | None => Ok(roles),
    }
}

fn group(answer: &str) -> Result<Option<Found>, String> {
    let shown = printable(answer, 64);
    if answer.is_empty() {
        return Ok(None);
    }
    match Group::from_name(answer) {
        Ok(Some(_)) => Ok(Some(Found::text(answer, ""))),
        Ok(None) => Err(format!("there is no group {shown} on this machine")),
        Err(error) => Err(format!(
            "nobody knows whether there is a group {shown}: {error}"
        )),
    }
}
