//! Who starts and stops the application's processes, and the commands by which it is told and asked. Plain data, with placeholders that
//! stand for the instance at hand. Not in here: running any of them (`action`), and what their answers mean (`cli::check`, `discovery`).

use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

use super::{Fleet, ProbeKind};
use crate::runbook::action::Effect;

/// Who starts and stops the instances. What follows from it for restarts and logs stands where a runbook would have said it itself.
#[derive(Debug, Clone, PartialEq, Eq, EnumDiscriminants)]
#[strum_discriminants(
    name(ManagerWord),
    derive(IntoStaticStr, EnumIter),
    strum(serialize_all = "snake_case"),
    doc = "Kinds of fleets without their fields, for words and keys."
)]
pub enum Manager {
    /// The runbook's own commands.
    Command,
    /// systemd, with a unit for each instance.
    Systemd(Units),
    /// Docker Compose, with a service for each instance.
    Compose(Services),
}

/// The units of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Units {
    /// The unit's name; `{instance}` and `{host}` are replaced.
    pub unit: String,
    /// Whether they are a user's own.
    pub user: bool,
    /// What is put before each command, such as `ssh {host}` or `sudo -n`.
    pub via: Vec<String>,
}

/// The services of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The file of compose; the one that it finds in the runbook's folder where absent. Placeholders are replaced.
    pub file: Option<String>,
    /// The project; the one that the file's folder gives where absent. Placeholders are replaced.
    pub project: Option<String>,
    /// The service's name; `{instance}` and `{host}` are replaced.
    pub service: String,
}

impl Manager {
    /// The command that restarts an instance; `None` where the runbook has to say.
    pub fn restart(&self) -> Option<Vec<String>> {
        match self {
            Manager::Command => None,
            Manager::Systemd(units) => Some(units.systemctl(&["restart"])),
            // `restart` would leave the container as it was made, with the environment of then.
            Manager::Compose(services) => {
                Some(services.of_service(&["up", "-d", "--no-deps", "--force-recreate"]))
            }
        }
    }

    /// The command that prints what an instance logs from now on; `None` where the runbook has to say.
    pub fn follow(&self) -> Option<Vec<String>> {
        match self {
            Manager::Command => None,
            Manager::Systemd(units) => {
                Some(units.command("journalctl", &["-f", "-n", "0", "-o", "cat", "-u"]))
            }
            Manager::Compose(services) => {
                Some(services.of_service(&["logs", "-f", "--no-log-prefix", "--tail", "0"]))
            }
        }
    }

    /// What tells one instance from another here: two of them with the same are one process.
    pub fn told_apart_by(&self) -> Vec<&str> {
        match self {
            Manager::Command => Vec::new(),
            Manager::Systemd(units) => {
                let via = units.via.iter().map(String::as_str);
                via.chain([units.unit.as_str()]).collect()
            }
            Manager::Compose(services) => {
                let texts = services.file.iter().chain(&services.project);
                texts
                    .map(String::as_str)
                    .chain([services.service.as_str()])
                    .collect()
            }
        }
    }
}

impl Units {
    /// Asks which files the unit takes its environment from, a line each.
    pub fn environment_files(&self) -> Vec<String> {
        self.systemctl(&["show", "-p", "EnvironmentFiles", "--value"])
    }

    /// Asks whether systemd knows the unit: `loaded`.
    pub fn load_state(&self) -> Vec<String> {
        self.systemctl(&["show", "-p", "LoadState", "--value"])
    }

    /// Asks for the newest line of the unit in the journal; none comes where the account may not read it.
    pub fn newest_line(&self) -> Vec<String> {
        self.command("journalctl", &["-q", "-n", "1", "-o", "cat", "-u"])
    }

    fn systemctl(&self, words: &[&str]) -> Vec<String> {
        self.command("systemctl", words)
    }

    fn command(&self, program: &str, words: &[&str]) -> Vec<String> {
        let user = self.user.then_some("--user");
        let words = [program]
            .into_iter()
            .chain(user)
            .chain(words.iter().copied());
        let own = words.chain([self.unit.as_str()]).map(str::to_owned);
        self.via.iter().cloned().chain(own).collect()
    }
}

impl Services {
    /// Asks for the containers of an instance's service, as JSON.
    pub fn containers(&self) -> Vec<String> {
        self.of_service(&["ps", "--format", "json"])
    }

    /// Asks for the containers of all services, as JSON.
    pub fn all_containers(&self) -> Vec<String> {
        self.compose(&["ps", "--format", "json"])
    }

    fn of_service(&self, words: &[&str]) -> Vec<String> {
        let service = self.service.as_str();
        let words: Vec<&str> = words.iter().copied().chain([service]).collect();
        self.compose(&words)
    }

    fn compose(&self, words: &[&str]) -> Vec<String> {
        let file = self.file.iter().flat_map(|file| ["-f", file.as_str()]);
        let project = self.project.iter();
        let project = project.flat_map(|project| ["-p", project.as_str()]);
        ["docker", "compose"]
            .into_iter()
            .chain(file)
            .chain(project)
            .chain(words.iter().copied())
            .map(str::to_owned)
            .collect()
    }
}

impl Fleet {
    /// Whether an instance is restarted by who manages it, and not by a command of the runbook's own.
    pub fn restarts_by_manager(&self) -> bool {
        is_command(&self.restart.effect, self.manager.restart())
    }

    /// Whether a probe follows what the manager prints, and not a log or a command of the runbook's own.
    pub fn is_followed_by(&self, probe: &ProbeKind) -> bool {
        match probe {
            ProbeKind::Logs {
                follow: Some(follow),
                ..
            } => is_command(&follow.effect, self.manager.follow()),
            ProbeKind::Logs { follow: None, .. }
            | ProbeKind::Readiness
            | ProbeKind::Metrics { .. }
            | ProbeKind::Otlp(_)
            | ProbeKind::Synthetic
            | ProbeKind::Pool
            | ProbeKind::Postgres { .. }
            | ProbeKind::PgBouncer(_)
            | ProbeKind::Prometheus(_)
            | ProbeKind::Command { .. } => false,
        }
    }
}

fn is_command(effect: &Effect, implied: Option<Vec<String>>) -> bool {
    match effect {
        Effect::Command { argv } => implied.as_ref() == Some(argv),
        Effect::Shell { .. }
        | Effect::Http { .. }
        | Effect::WriteFile { .. }
        | Effect::RemoveFile { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_where_the_unit_is() {
        let mut units = Units {
            unit: "shop@{instance}.service".to_owned(),
            user: false,
            via: Vec::new(),
        };
        let restart = |units: &Units| Manager::Systemd(units.clone()).restart().unwrap().join(" ");
        let follow = |units: &Units| Manager::Systemd(units.clone()).follow().unwrap().join(" ");
        assert_eq!(restart(&units), "systemctl restart shop@{instance}.service");
        assert_eq!(
            follow(&units),
            "journalctl -f -n 0 -o cat -u shop@{instance}.service"
        );
        units.user = true;
        units.via = vec!["ssh".to_owned(), "{host}".to_owned()];
        assert_eq!(
            restart(&units),
            "ssh {host} systemctl --user restart shop@{instance}.service"
        );
        assert_eq!(
            units.environment_files().join(" "),
            "ssh {host} systemctl --user show -p EnvironmentFiles --value shop@{instance}.service"
        );
    }

    #[test]
    fn compose_is_told_which_file_and_project() {
        let mut services = Services {
            file: None,
            project: None,
            service: "{instance}".to_owned(),
        };
        let restart = |services: &Services| {
            let manager = Manager::Compose(services.clone());
            manager.restart().unwrap().join(" ")
        };
        assert_eq!(
            restart(&services),
            "docker compose up -d --no-deps --force-recreate {instance}"
        );
        services.file = Some("/srv/shop/compose.yaml".to_owned());
        services.project = Some("shop".to_owned());
        assert_eq!(
            restart(&services),
            "docker compose -f /srv/shop/compose.yaml -p shop up -d --no-deps --force-recreate {instance}"
        );
        assert_eq!(
            Manager::Compose(services).follow().unwrap().join(" "),
            "docker compose -f /srv/shop/compose.yaml -p shop logs -f --no-log-prefix --tail 0 {instance}"
        );
    }
}
