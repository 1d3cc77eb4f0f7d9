//! What is known of an application besides its SQLite file: found in its folder, or answered by a person. Values stand here as they will stand
//! in the runbook, each with where it comes from. Not in here: finding them (`runbook::application`), asking for them (`cli::init`).

use super::{word, words};
use crate::runbook::model::Role;
use crate::text::printable;

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// As it stands in YAML.
    pub yaml: String,
    /// `FILE:LINE`, or another word for it; empty where a person has answered.
    pub at: String,
}

impl Found {
    pub fn text(text: &str, at: impl Into<String>) -> Found {
        Found {
            yaml: word(text),
            at: at.into(),
        }
    }

    /// A program and its arguments.
    pub fn command<'t>(argv: impl IntoIterator<Item = &'t str>, at: impl Into<String>) -> Found {
        Found {
            yaml: words(argv),
            at: at.into(),
        }
    }

    /// What stands behind the value in the draft: where it was found.
    pub(super) fn comment(&self) -> String {
        comment(&self.at)
    }
}

/// A comment that says where something was found; nothing where nobody found it.
pub(super) fn comment(at: &str) -> String {
    match at {
        "" => String::new(),
        at => format!("   # {}", printable(at, 160)),
    }
}

/// A process that serves the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub id: String,
    /// Its base URL, as it stands in YAML.
    pub url: Found,
}

impl Slot {
    /// Whether a text may be an id.
    pub fn is_id(text: &str) -> bool {
        crate::runbook::reader::is_id(text)
    }
}

/// Who starts and stops the instances.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RunBy {
    /// Nobody has said.
    #[default]
    Unknown,
    /// systemd, with this unit.
    Systemd(Found),
    /// Docker Compose, with this file.
    Compose(Found),
}

/// Where figures of requests come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Figures {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// A library that publishes them is among what the application needs: its name, and where that stands.
    Library {
        /// As it is called where it was found.
        name: String,
        at: String,
    },
    /// What the application needs was looked at, and no such library is among it.
    None { looked_at: String },
}

/// Somebody on the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Short and unique.
    pub id: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub account: String,
}

/// The one key by which the application knows its database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Switch {
    pub key: Option<Found>,
    /// Its value for SQLite.
    pub from: Option<Found>,
    /// Its value for PostgreSQL.
    pub to: Option<Found>,
}

/// What is known. What is absent becomes a `<…>`, or what everybody begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Somebody has looked for it in the application's folder.
    pub folder_was_read: bool,
    /// Who is on the bridge; empty where nobody has said.
    pub people: Vec<Person>,
    /// The group of the operating system that is let in.
    pub group: Option<Found>,
    /// Who starts and stops the instances.
    pub run_by: RunBy,
    pub instances: Vec<Slot>,
    pub staging: Option<Slot>,
    /// The file from which an instance takes its configuration.
    pub config: Option<Found>,
    /// The file that it logs to.
    pub log: Option<Found>,
    /// The command that restarts one.
    pub restart: Option<Found>,
    /// The command that connects to PostgreSQL from its host.
    pub connect: Option<Found>,
    /// The path of the page that is ready.
    pub ready: Option<Found>,
    /// The path of a page that reads the critical tables.
    pub page: Option<Found>,
    /// The map by which an instance says from what it serves.
    pub provider: Option<Found>,
    /// Where figures of requests come from.
    pub figures: Figures,
    /// The command that prints them, where no page does.
    pub figures_command: Option<Found>,
    /// The key of the switch.
    pub switch: Switch,
    /// The command that runs the migrations.
    pub migrate: Option<Found>,
    /// The variables by which the migrations are told where, as they stand in `env`.
    pub migrate_env: Option<String>,
    /// The script of the migrations, where a framework makes one.
    pub script: Option<Found>,
    pub version: Option<Found>,
    /// The actions that switch maintenance on and off.
    pub maintenance: Option<(Found, Found)>,
    /// The folder for backups.
    pub backup: Option<Found>,
    /// The second place.
    pub second: Option<Found>,
    /// The rehearsal's copy.
    pub copy: Option<Found>,
    /// Table, column and ids of the migrations in PostgreSQL.
    pub history: Option<(Found, Found, Found)>,
    /// A line that an instance logs when it has started.
    pub booted: Option<Found>,
    /// The ready-made rules for the log.
    pub log_rules: Option<&'static str>,
    /// What else was seen and matters, a sentence each.
    pub notes: Vec<String>,
}

impl Known {
    /// Each value that was found, with where: what it is, its value, its place.
    pub fn told(&self) -> Vec<(String, String, String)> {
        let mut told = Vec::new();
        let mut tell = |what: &str, yaml: &str, at: &str| {
            if !at.is_empty() {
                told.push((what.to_owned(), yaml.to_owned(), at.to_owned()));
            }
        };
        match &self.run_by {
            RunBy::Unknown => {}
            RunBy::Systemd(unit) => tell("run by systemd", &unit.yaml, &unit.at),
            RunBy::Compose(file) => tell("run by compose", &file.yaml, &file.at),
        }
        for slot in self.instances.iter().chain(&self.staging) {
            tell(&slot.id, &slot.url.yaml, &slot.url.at);
        }
        let named = [
            ("configuration", &self.config),
            ("log", &self.log),
            ("restart", &self.restart),
            ("connect", &self.connect),
            ("ready", &self.ready),
            ("page", &self.page),
            ("provider", &self.provider),
            ("key", &self.switch.key),
            ("for SQLite", &self.switch.from),
            ("for PostgreSQL", &self.switch.to),
            ("migrations", &self.migrate),
            ("version", &self.version),
        ];
        for (what, found) in named {
            if let Some(found) = found {
                tell(what, &found.yaml, &found.at);
            }
        }
        match &self.figures {
            Figures::Unknown => {}
            Figures::Library { name, at } => tell("metrics", name, at),
            Figures::None { looked_at } => tell("metrics", "none", looked_at),
        }
        told
    }

    /// Whether somebody manages the instances, so that neither restart nor log has to be said.
    pub fn is_managed(&self) -> bool {
        match &self.run_by {
            RunBy::Unknown => false,
            RunBy::Systemd(_) | RunBy::Compose(_) => true,
        }
    }
}

/// Of these roles of a gate those for which different people can sign, in the gate's order: one person signs once.
pub(super) fn signers(roles: &[Role], people: &[Person]) -> Vec<Role> {
    let mut taken: Vec<&str> = Vec::new();
    let mut signers = Vec::new();
    // Whoever has the fewest roles first, so that a person with several is left for those that nobody else has.
    let mut by_roles: Vec<&Person> = people.iter().collect();
    by_roles.sort_by_key(|person| person.roles.len());
    for role in roles {
        let free =
            |person: &&&Person| person.roles.contains(role) && !taken.contains(&person.id.as_str());
        if let Some(person) = by_roles.iter().find(free) {
            taken.push(&person.id);
            signers.push(*role);
        }
    }
    signers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str, roles: &[Role]) -> Person {
        Person {
            id: id.to_owned(),
            name: id.to_owned(),
            roles: roles.to_vec(),
            account: id.to_owned(),
        }
    }

    #[test]
    fn a_gate_asks_for_as_many_as_there_are() {
        let wanted = [Role::ReleaseManager, Role::Engineer, Role::Qa];
        let alone = [person("sam", &Role::ALL)];
        assert_eq!(signers(&wanted, &alone), [Role::ReleaseManager]);
        let two = [
            person("ada", &[Role::ReleaseManager, Role::Dba]),
            person("quinn", &[Role::Engineer, Role::Qa]),
        ];
        assert_eq!(
            signers(&wanted, &two),
            [Role::ReleaseManager, Role::Engineer]
        );
        let four = Role::ALL.map(|role| person(role.key(), &[role]));
        assert_eq!(signers(&wanted, &four), wanted);
    }
}
