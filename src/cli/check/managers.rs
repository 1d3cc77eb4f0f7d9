//! What manages the fleet, asked: which instances were found, whether systemd knows each unit and which files it takes its environment from,
//! whether each service of compose is one container. Not in here: the commands (`runbook::Manager`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::environment::of_night;
use crate::action::{Environment, Placeholders};
use crate::fleet::discovery::{Unanswered, ask};
use crate::postgres::Finding;
use crate::runbook::action::{Action, Effect};
use crate::runbook::discovery::{NO_REPLICAS, containers};
use crate::runbook::{Instance, Manager, Runbook, Services, Units};
use crate::text::printable;

/// How long systemd or compose may take to answer.
const ASK_LIMIT: Duration = Duration::from_secs(15);
/// Characters of what a finding says.
const DETAIL_CHARS: usize = 400;

/// The instances that were found, where the runbook does not list them.
pub(super) fn found(runbook: &Runbook) -> Option<Finding> {
    let discovery = runbook.fleet.discovery.as_ref()?;
    let instances = runbook.fleet.instances.iter();
    let lines: Vec<String> = instances
        .map(|instance| {
            let canary = if instance.canary { " (canary)" } else { "" };
            format!("{}{canary} at {}", instance.id, instance.url)
        })
        .collect();
    let asked = &discovery.action.effect;
    let detail = format!("{} found by `{asked}`: {}", lines.len(), lines.join(", "));
    Some(Finding::advice(
        "instances",
        true,
        printable(&detail, 2_000),
    ))
}

/// What systemd or compose says of each instance, and of the staging slot.
pub(super) async fn examine(runbook: &Runbook, folder: &Path) -> Vec<Finding> {
    let environment = of_night(runbook, folder);
    let fleet = &runbook.fleet;
    let mut findings = Vec::new();
    for instance in fleet.instances.iter().chain(&fleet.staging) {
        let asker = Asker {
            instance,
            environment: &environment,
            folder,
        };
        match &fleet.manager {
            Manager::Command => {}
            Manager::Systemd(units) => findings.extend(unit(runbook, units, &asker).await),
            Manager::Compose(services) => findings.push(service(runbook, services, &asker).await),
        }
    }
    findings
}

/// Asks about one instance.
struct Asker<'a> {
    instance: &'a Instance,
    environment: &'a Environment,
    folder: &'a Path,
}

impl Asker<'_> {
    async fn ask(&self, argv: Vec<String>) -> Result<String, Unanswered> {
        let action = Action::new(Effect::Command { argv }, ASK_LIMIT);
        let values = self.values();
        ask(&action, &values, self.environment, self.folder).await
    }

    fn values(&self) -> Placeholders {
        Placeholders::of(self.instance)
    }

    fn name(&self, what: &str) -> String {
        format!("instance {}, {what}", self.instance.id)
    }
}

/// What there was in the place of an answer.
fn unanswered(why: &Unanswered) -> String {
    match why.printed.trim() {
        "" => why.to_string(),
        printed => format!("{why}: {printed}"),
    }
}

async fn unit(runbook: &Runbook, units: &Units, asker: &Asker<'_>) -> Vec<Finding> {
    let unit = asker.values().filled(&units.unit);
    let name = asker.name("unit");
    let state = asker.ask(units.load_state()).await;
    // One that is not restarted by systemd is only read from there.
    let needed = runbook.fleet.restarts_by_manager();
    let finding = |ok: bool, detail: String| {
        let detail = printable(&detail, DETAIL_CHARS);
        match needed {
            true => Finding::required(name.clone(), ok, detail),
            false => Finding::advice(name.clone(), ok, detail),
        }
    };
    match state.as_deref().map(str::trim) {
        Ok("loaded") => {
            let files = asker.ask(units.environment_files()).await;
            let mut findings = vec![
                finding(true, format!("systemd knows {unit}")),
                environment_file(runbook, units, asker, &unit, files),
            ];
            let fleet = &runbook.fleet;
            let mut probes = runbook.probes.iter();
            if probes.any(|probe| fleet.is_followed_by(&probe.kind)) {
                findings.push(journal(units, asker, &unit).await);
            }
            findings
        }
        Ok(other) => {
            let detail = format!("systemd says of {unit}: {other}. It could not be restarted");
            vec![finding(false, detail)]
        }
        Err(why) => {
            let why = unanswered(why);
            vec![finding(false, format!("of {unit} systemd gave {why}"))]
        }
    }
}

/// Whether a restart reads the file that the switch changes.
fn environment_file(
    runbook: &Runbook,
    units: &Units,
    asker: &Asker<'_>,
    unit: &str,
    files: Result<String, Unanswered>,
) -> Finding {
    let config = runbook.fleet.config.as_ref();
    let config = config.map(|config| PathBuf::from(asker.values().filled(config)));
    let is_here = units.via.is_empty();
    let (ok, detail) = match files {
        Ok(printed) => judged(unit, config.as_deref(), &named(&printed), is_here),
        Err(why) => {
            let why = unanswered(&why);
            (false, format!("of the files of {unit} systemd gave {why}"))
        }
    };
    let detail = printable(&detail, DETAIL_CHARS);
    Finding::advice(asker.name("environment file"), ok, detail)
}

/// The files that systemd names, a line each: `/etc/shop/app.env (ignore_errors=no)`.
fn named(printed: &str) -> Vec<&str> {
    let lines = printed.lines().map(str::trim);
    let paths = lines.map(|line| line.split_once(" (").map_or(line, |(path, _)| path));
    paths.filter(|path| !path.is_empty()).collect()
}

/// `is_here`: whether the unit is on this host, so that two names of a file can be told to be one.
fn judged(unit: &str, config: Option<&Path>, files: &[&str], is_here: bool) -> (bool, String) {
    let listed = match files {
        [] => "no file".to_owned(),
        files => files.join(", "),
    };
    let Some(config) = config else {
        let reads = format!("{unit} takes its environment from {listed}");
        return (true, format!("{reads}; `fleet.config` names none"));
    };
    let shown = config.display();
    if files
        .iter()
        .any(|file| is_same(Path::new(file), config, is_here))
    {
        return (true, format!("{unit} reads {shown} at each restart"));
    }
    let hint = match files {
        [] => "give the unit an `EnvironmentFile=` line".to_owned(),
        _ => format!("let `fleet.config` name {}", files.join(" or ")),
    };
    let detail = format!(
        "{unit} takes its environment from {listed}, and not from {shown}: a restart would not read what F1 changes there. Unless the application \
         reads that file itself, {hint}"
    );
    (false, detail)
}

/// Whether two paths are one file; a pattern stands for all that it may match.
fn is_same(file: &Path, config: &Path, is_here: bool) -> bool {
    let text = file.to_string_lossy();
    if let Some(at) = text.find(['*', '?', '[']) {
        return config.to_string_lossy().starts_with(&text[..at]);
    }
    let real = |path: &Path| path.canonicalize().ok();
    file == config || (is_here && real(file).is_some_and(|file| Some(file) == real(config)))
}

/// Whether this account sees the unit's journal. To one that may not read it a journal is silent, as that of an application without errors.
async fn journal(units: &Units, asker: &Asker<'_>, unit: &str) -> Finding {
    let (ok, detail) = match asker.ask(units.newest_line()).await {
        Ok(line) if line.trim().is_empty() => (
            false,
            format!(
                "journalctl shows no line of {unit}: may this account read it (the group systemd-journal), and does the unit log there? \
                 Silence would pass for an application without errors"
            ),
        ),
        Ok(_) => (true, format!("journalctl shows lines of {unit}")),
        Err(why) => (
            false,
            format!("of {unit} journalctl gave {}", unanswered(&why)),
        ),
    };
    Finding::advice(asker.name("journal"), ok, printable(&detail, DETAIL_CHARS))
}

/// Whether the service is one container, so that it can be restarted by itself.
async fn service(runbook: &Runbook, services: &Services, asker: &Asker<'_>) -> Finding {
    let service = asker.values().filled(&services.service);
    let answer = asker.ask(services.containers()).await;
    let (ok, detail) = match answer {
        Ok(printed) => match containers(&printed) {
            Ok(1) => (true, format!("{service} has one container")),
            Ok(0) => (false, format!("no container of {service} runs")),
            Ok(count) => (
                false,
                format!("{count} containers of {service} run, and {NO_REPLICAS}"),
            ),
            Err(found) => (false, format!("of {service} compose printed {found}")),
        },
        Err(why) => (
            false,
            format!("of {service} compose gave {}", unanswered(&why)),
        ),
    };
    let detail = printable(&detail, DETAIL_CHARS);
    let name = asker.name("service");
    match runbook.fleet.restarts_by_manager() {
        true => Finding::required(name, ok, detail),
        false => Finding::advice(name, ok, detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_names_is_compared_with_the_configuration() {
        let files = named(
            "/etc/shop/base.env (ignore_errors=yes)\n/etc/shop/app-1.env (ignore_errors=no)\n",
        );
        assert_eq!(files, ["/etc/shop/base.env", "/etc/shop/app-1.env"]);
        let judge = |config: Option<&str>, files: &[&str]| {
            judged("shop@app-1.service", config.map(Path::new), files, true)
        };
        let (ok, said) = judge(None, &files);
        assert!(
            ok && said.contains("/etc/shop/base.env, /etc/shop/app-1.env"),
            "{said}"
        );
        assert!(judge(Some("/etc/shop/app-1.env"), &files).0);
        assert!(judge(Some("/etc/shop/app-1.env"), &["/etc/shop/*.env"]).0);
        let (ok, said) = judge(Some("/srv/app-1.env"), &files);
        assert!(!ok && said.contains("not from /srv/app-1.env"), "{said}");
        let (ok, said) = judge(Some("/srv/app-1.env"), &[]);
        assert!(!ok && said.contains("`EnvironmentFile=`"), "{said}");
    }

    #[test]
    fn two_names_of_a_file_are_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("a.env"), folder.path().join("b.env"));
        std::fs::write(&file, "A=1\n").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        assert!(is_same(&file, &link, true));
        assert!(!is_same(&file, &link, false));
    }
}
