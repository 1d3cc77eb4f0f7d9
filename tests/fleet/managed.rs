//! Fleets that systemd or compose manages, end to end: the runbook says no more than the kind, and an instance is restarted with the
//! environment file as it is then, its log is followed, and `check` says what it sees. `stand-ins` has programs that do on processes what
//! the real ones do on units and containers. Not in here: how the keys are read (`runbook::fleets`).

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use cutover::action::Environment;
use cutover::fleet::discovery::discover;
use cutover::fleet::{Means, client, restart, wait_ready};
use cutover::runbook::discovery::Discovered;
use cutover::runbook::{self, Instance, LogRule, ProbeKind, Runbook};
use cutover::trigger::Reading;
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::monitor::Watch;
use crate::monitor::daemon::port;
use crate::support;

const LONG: Duration = Duration::from_secs(120);

const IDS: [&str; 3] = ["app-1", "app-2", "staging"];

/// A folder with the stand-ins, and an environment file for each of these instances. Dropped, it ends what they have started.
struct Host {
    folder: tempfile::TempDir,
    ports: Vec<(&'static str, u16)>,
}

impl Host {
    /// `name` is what an instance is called here, and `described` the folder in which each is described.
    fn new(described: &str, name: fn(&str) -> String) -> Host {
        let host = Host {
            folder: tempfile::tempdir().expect("a folder"),
            ports: IDS.into_iter().zip(ports()).collect(),
        };
        for folder in ["bin", "run", "journal", "etc", described] {
            fs::create_dir(host.at(folder)).expect("a folder");
        }
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fleet/stand-ins");
        for program in fs::read_dir(programs).expect("stand-ins") {
            let program = program.expect("a program");
            symlink(program.path(), host.at("bin").join(program.file_name())).expect("a link");
        }
        for (id, port) in &host.ports {
            let file = host.environment_file(id);
            let text = format!(
                "EnvironmentFile={}\nPort={port}\nContainers=1\n",
                file.display()
            );
            fs::write(host.at(described).join(name(id)), text).expect("a description");
            host.configure(id, "Sqlite");
        }
        host
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn environment_file(&self, id: &str) -> PathBuf {
        self.at("etc").join(format!("{id}.env"))
    }

    /// What the switch does to an instance.
    fn configure(&self, id: &str, provider: &str) {
        let text = format!("PROVIDER={provider}\n");
        fs::write(self.environment_file(id), text).expect("an environment file");
    }

    /// Lets a service have two containers.
    fn scale(&self, service: &str) {
        let file = self.at("services").join(service);
        let text = fs::read_to_string(&file).expect("a service");
        fs::write(file, text.replace("Containers=1", "Containers=1 2")).expect("a service");
    }

    fn port(&self, id: &str) -> u16 {
        let known = self.ports.iter().find(|(known, _)| *known == id);
        known.expect("an instance").1
    }

    /// Where the stand-ins come first.
    fn path(&self) -> String {
        let rest = std::env::var("PATH").expect("a PATH");
        format!("{}:{rest}", self.at("bin").display())
    }

    /// Runs a stand-in by hand, as whoever starts the fleet long before a cutover.
    fn run(&self, program: &str, words: &[&str]) {
        let mut command = std::process::Command::new(self.at("bin").join(program));
        command.args(words).current_dir(self.folder.path());
        let output = command.output().expect("a stand-in");
        assert!(output.status.success(), "{output:?}");
    }

    /// The reference runbook with another fleet.
    fn write_runbook(&self, fleet: &str) -> String {
        let reference = include_str!("../../runbook.yaml");
        let (before, rest) = reference.split_once("\nfleet:\n").expect("a fleet");
        let (_, after) = rest.split_once("\ntransfer:\n").expect("what follows");
        let text = format!("{before}\n{fleet}\ntransfer:\n{after}");
        fs::write(self.at("runbook.yaml"), &text).expect("a runbook");
        text
    }

    fn read(&self, text: &str, discovered: &Discovered) -> Runbook {
        let env = |name: &str| Some(value(name));
        let folder = self.folder.path();
        let reading = runbook::read_in("runbook.yaml", text, folder, &env, discovered);
        let said = runbook::render(&reading.problems);
        let mut runbook = reading.runbook.unwrap_or_else(|| panic!("{said}"));
        let path = ("PATH".to_owned(), self.path());
        runbook.fleet.restart.env.push(path.clone());
        runbook.probes.retain(|probe| probe.id == "logs");
        let probe = &mut runbook.probes[0];
        probe.interval_ms = 200;
        let ProbeKind::Logs { rules, follow } = &mut probe.kind else {
            panic!("{probe:?}");
        };
        follow.as_mut().expect("a command").env.push(path.clone());
        *rules = vec![LogRule {
            category: "endpoint_exception".to_owned(),
            pattern: Some("asked for /boom".to_owned()),
            ..LogRule::default()
        }];
        if let Some(discovery) = &mut runbook.fleet.discovery {
            discovery.action.env.push(path);
        }
        runbook
    }

    fn check(&self) -> Output {
        let mut command = std::process::Command::new(support::cutover());
        command.args(["check", "runbook.yaml"]);
        command.current_dir(self.folder.path());
        let text = include_str!("../../runbook.yaml");
        for name in text.split("${").skip(1).filter_map(|t| t.split('}').next()) {
            command.env(name, value(name));
        }
        command.env("PATH", self.path());
        command.output().expect("cutover")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let pids = fs::read_dir(self.at("run")).into_iter().flatten().flatten();
        for pid in pids.filter_map(|pid| fs::read_to_string(pid.path()).ok()) {
            if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// A port for each, on which nobody listens.
fn ports() -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    while ports.len() < IDS.len() {
        ports.insert(port());
    }
    ports
}

/// What the reference asks of the environment: a place where nothing is.
pub fn value(name: &str) -> String {
    match name {
        name if name.ends_with("_URL") => "postgres://a@127.0.0.1:1/b".to_owned(),
        "APP_DIR" | "APP_SQLITE" | "APPCTL" => format!("/nowhere/{name}"),
        name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => {
            "http://127.0.0.1:1".to_owned()
        }
        name => format!("/nowhere/{name}"),
    }
}

/// `PROVIDER PID`, as an instance answers once it is there.
async fn answer(runbook: &Runbook, instance: &Instance) -> (String, String) {
    let never = CancellationToken::new();
    let ready = wait_ready(&client(), &runbook.fleet, instance, 1, LONG, &never).await;
    ready.expect("it comes up");
    let url = format!("{}/ready", instance.url);
    let answer = support::http().get(url).send().await.expect("an answer");
    let text = answer.text().await.expect("text");
    let (provider, process) = text.split_once(' ').expect("two words");
    (provider.to_owned(), process.to_owned())
}

/// Switches and restarts the first instance by the runbook's fleet; the second stays the process that it was, as it was.
async fn restarts_one_with_its_file(host: &Host, runbook: &Runbook) {
    let [first, second] = &runbook.fleet.instances[..] else {
        panic!("{:?}", runbook.fleet.instances);
    };
    let (before, other) = (answer(runbook, first).await, answer(runbook, second).await);
    assert_eq!((before.0.as_str(), other.0.as_str()), ("Sqlite", "Sqlite"));
    host.configure(&first.id, "Postgres");
    let environment = Environment::of_night(runbook, host.folder.path(), Vec::new());
    let means = Means {
        folder: host.folder.path(),
        environment: &environment,
        outputs: host.folder.path(),
    };
    let never = CancellationToken::new();
    let done = restart(first, &runbook.fleet, means, &never).await;
    done.expect("restarted");
    let after = answer(runbook, first).await;
    assert_eq!(after.0, "Postgres");
    assert_ne!(after.1, before.1, "it is another process");
    assert_eq!(answer(runbook, second).await, other);
}

/// What an instance prints is counted, also once it has been restarted.
async fn follows_its_log(runbook: &Runbook) {
    let url = format!("{}/boom", runbook.fleet.instances[0].url);
    let mut watch = Watch::start(runbook.clone());
    // Until whoever follows has begun to.
    let asking = tokio::spawn(async move {
        loop {
            let _ = support::http().get(&url).send().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let seen = |reading: &Reading| matches!(reading, Reading::Value { value, .. } if *value >= 1.0);
    watch.until("log_endpoint_exception", seen).await;
    asking.abort();
    watch.monitor.stop().await;
}

#[tokio::test]
async fn a_unit_is_restarted_with_its_environment_file_and_its_journal_is_followed() {
    let host = Host::new("units", |id| format!("shop@{id}.service"));
    for (id, _) in &host.ports {
        host.run("systemctl", &["restart", &format!("shop@{id}.service")]);
    }
    let fleet = format!(
        "fleet:
  kind: systemd
  unit: \"shop@{{instance}}.service\"
  instances:
    - {{ id: app-1, url: \"http://127.0.0.1:{}\", canary: true }}
    - {{ id: app-2, url: \"http://127.0.0.1:{}\" }}
  staging: {{ id: staging, url: \"http://127.0.0.1:{}\" }}
  config: \"etc/{{instance}}.env\"
  metrics: \"{{url}}/metrics\"
  connect: {{ command: [\"true\", \"{{instance}}\"] }}
  ready: \"{{url}}/ready\"
",
        host.port("app-1"),
        host.port("app-2"),
        host.port("staging")
    );
    let text = host.write_runbook(&fleet);
    let runbook = host.read(&text, &Discovered::NotAsked);
    restarts_one_with_its_file(&host, &runbook).await;
    follows_its_log(&runbook).await;

    let said = String::from_utf8(host.check().stdout).expect("text");
    let reads = "instance app-1, environment file: shop@app-1.service reads ";
    assert!(said.contains(&format!("ok    {reads}")), "{said}");
    host.write_runbook(&fleet.replace("etc/", "conf/"));
    fs::remove_file(host.at("units/shop@app-2.service")).expect("a unit");
    fs::write(host.at("journal/shop@staging.service"), "").expect("a journal");
    let said = String::from_utf8(host.check().stdout).expect("text");
    for expected in [
        "warn  instance app-1, environment file: shop@app-1.service takes its environment from ",
        "a restart would not read what F1 changes there",
        "ok    instance app-1, journal: journalctl shows lines of shop@app-1.service",
        "warn  instance staging, journal: journalctl shows no line of shop@staging.service",
        "FAIL  instance app-2, unit: systemd says of shop@app-2.service: not-found",
        "ok    instance staging, unit: systemd knows shop@staging.service",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[tokio::test]
async fn a_service_is_discovered_recreated_with_its_environment_file_and_followed() {
    let host = Host::new("services", str::to_owned);
    fs::write(host.at("compose.yaml"), "services: {}\n").expect("a file");
    let up = ["compose", "up", "-d", "--no-deps", "--force-recreate"];
    for (id, _) in &host.ports {
        host.run("docker", &[&up[..], &[*id]].concat());
    }
    let fleet = format!(
        "fleet:
  kind: compose
  file: compose.yaml
  project: shop
  instances: {{ discover: 5000 }}
  staging: {{ id: staging, url: \"http://127.0.0.1:{}\" }}
  config: \"etc/{{instance}}.env\"
  metrics: \"{{url}}/metrics\"
  connect: {{ command: [\"true\", \"{{instance}}\"] }}
  ready: \"{{url}}/ready\"
",
        host.port("staging")
    );
    let text = host.write_runbook(&fleet);
    let unasked = host.read(&text, &Discovered::NotAsked);
    let discovery = unasked.fleet.discovery.as_ref().expect("a discovery");
    let discovered = discover(discovery, host.folder.path()).await;
    let runbook = host.read(&text, &discovered);
    let found: Vec<_> = runbook
        .fleet
        .instances
        .iter()
        .map(|i| i.url.as_str())
        .collect();
    let at = |id| format!("http://127.0.0.1:{}", host.port(id));
    assert_eq!(found, [at("app-1"), at("app-2")]);
    restarts_one_with_its_file(&host, &runbook).await;
    follows_its_log(&runbook).await;

    let said = String::from_utf8(host.check().stdout).expect("text");
    let listed = format!(
        "found by `docker compose -f {}",
        host.at("compose.yaml").display()
    );
    for expected in [
        "ok    instances: 2 ",
        &listed,
        &format!("app-1 at {}, app-2 at {}", at("app-1"), at("app-2")),
        "ok    instance app-1, service: app-1 has one container",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    host.scale("app-2");
    let output = host.check();
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    let refused = "found 2 containers of the service `app-2`";
    assert!(said.contains(refused), "{said}");
    let listed = format!("instances: [{{ id: app-2, url: \"{}\" }}]", at("app-2"));
    host.write_runbook(&fleet.replace("instances: { discover: 5000 }", &listed));
    let said = String::from_utf8(host.check().stdout).expect("text");
    let refused =
        "FAIL  instance app-2, service: 2 containers of app-2 run, and compose cannot restart";
    assert!(said.contains(refused), "{said}");
    host.write_runbook(&fleet.replace("file: compose.yaml", "file: elsewhere.yaml"));
    let output = host.check();
    let said = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(2), "{said}");
    for expected in [
        "expected instances, from what is asked here, found a command that failed: exit status: 14",
        "(fleet.instances)",
        "it printed `no configuration file provided: not found`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}
