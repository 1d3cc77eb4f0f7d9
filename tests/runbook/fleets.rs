//! Fleets that systemd or compose manages: what follows from the kind, what a rehearsal does with it, and instances that are not listed. Not
//! in here: mistakes (the scenarios beside this file), and real restarts (`fleet::managed`).

use cutover::runbook::action::Rehearse;
use cutover::runbook::discovery::Discovered;
use cutover::runbook::{self, Instance, ProbeKind, Reading, Runbook};
use std::path::Path;

use super::{environment, read, reference, rendered};

/// The reference with another fleet.
fn with_fleet(fleet: &str) -> String {
    let reference = reference();
    let (before, rest) = reference.split_once("\nfleet:\n").expect("a fleet");
    let (_, after) = rest.split_once("\ntransfer:\n").expect("what follows");
    format!("{before}\nfleet:\n{fleet}\ntransfer:\n{after}")
}

const COMMON: &str = "  staging: { id: staging, url: \"http://127.0.0.1:5009\" }\n  config: \"/etc/shop/{instance}.env\"\n  ready: \"{url}/ready\"\n  metrics: \"{url}/metrics\"\n  connect: { command: [pg_isready, \"{instance}\"] }\n";
const LISTED: &str = "  instances: [{ id: app-1, url: \"http://10.0.0.1:80\" }, { id: app-2, url: \"http://10.0.0.2:80\" }]\n";

fn valid(reading: Reading) -> Runbook {
    let said = rendered(&reading.problems);
    assert!(reading.problems.is_empty(), "{said}");
    reading.runbook.expect("a runbook")
}

fn restart(runbook: &Runbook) -> String {
    runbook.fleet.restart.effect.to_string()
}

/// What the `logs` probe follows.
fn follow(runbook: &Runbook) -> Option<String> {
    runbook.probes.iter().find_map(|probe| match &probe.kind {
        ProbeKind::Logs { follow, .. } => Some(follow.as_ref()?.effect.to_string()),
        _ => None,
    })
}

#[test]
fn restarts_and_logs_follow_from_the_kind() {
    let systemd =
        "  kind: systemd\n  unit: \"shop@{instance}.service\"\n  via: [ssh, \"{host}\"]\n";
    let runbook = valid(read(&with_fleet(&format!("{systemd}{LISTED}{COMMON}"))));
    assert_eq!(
        restart(&runbook),
        "ssh \"{host}\" systemctl restart \"shop@{instance}.service\""
    );
    assert_eq!(
        follow(&runbook).as_deref(),
        Some("ssh \"{host}\" journalctl -f -n 0 -o cat -u \"shop@{instance}.service\"")
    );
    let compose = format!("  kind: compose\n  project: shop\n{LISTED}{COMMON}");
    let runbook = valid(read(&with_fleet(&compose)));
    assert_eq!(
        restart(&runbook),
        "docker compose -p shop up -d --no-deps --force-recreate \"{instance}\""
    );
    assert_eq!(
        follow(&runbook).as_deref(),
        Some("docker compose -p shop logs -f --no-log-prefix --tail 0 \"{instance}\"")
    );
}

#[test]
fn what_is_written_wins() {
    let own = "  kind: systemd\n  unit: \"shop@{instance}.service\"\n  log: \"/var/log/{instance}.log\"\n  restart: { command: [deploy, \"{instance}\"] }\n";
    let runbook = valid(read(&with_fleet(&format!("{own}{LISTED}{COMMON}"))));
    assert_eq!(restart(&runbook), "deploy \"{instance}\"");
    assert!(!runbook.fleet.restarts_by_manager());
    assert_eq!(follow(&runbook), None);
}

/// A relative path begins in the runbook's folder, wherever the command runs.
#[test]
fn the_file_of_compose_is_the_runbooks_neighbour() {
    let compose = format!("  kind: compose\n  file: deploy/compose.yaml\n{LISTED}{COMMON}");
    let folder = Path::new("/srv/shop");
    let text = with_fleet(&compose);
    let reading = runbook::read_in(
        "runbook.yaml",
        &text,
        folder,
        &environment,
        &Discovered::NotAsked,
    );
    let restart = restart(&valid(reading));
    says!(restart, " -f /srv/shop/deploy/compose.yaml up ");
}

#[test]
fn a_rehearsal_restarts_and_follows_the_staging_slot() {
    let systemd = "  kind: systemd\n  unit: \"shop@{instance}.service\"\n";
    for kind in [systemd, "  kind: compose\n"] {
        let runbook = valid(read(&with_fleet(&format!("{kind}{LISTED}{COMMON}"))));
        let rehearsed = runbook::rehearsal::of(&runbook).expect("a rehearsal");
        assert_eq!(rehearsed.fleet.restart.rehearse, Rehearse::Same);
        assert_eq!(rehearsed.fleet.instances[0].id, "staging");
        assert!(follow(&rehearsed).is_some(), "{kind}");
        let not_run = runbook::rehearsal::not_run(&runbook);
        assert!(
            not_run.iter().all(|n| n.spot.name != "fleet.restart"),
            "{not_run:?}"
        );
    }
    // One unit is production's, whatever plays production.
    let one = "  kind: systemd\n  unit: shop.service\n  via: [ssh, \"{host}\"]\n  instances: [{ id: app-1, url: \"http://10.0.0.1:80\" }]\n";
    let shared = COMMON.replace("127.0.0.1:5009\"", "10.0.0.9:80\", host: 10.0.0.1");
    let reading = read(&with_fleet(&format!("{one}{shared}")));
    let said = rendered(&reading.problems);
    assert!(said.contains("a unit for each instance"), "{said}");
}

fn read_discovered(discovered: &Discovered) -> Reading {
    let asks = format!("  kind: compose\n  instances: {{ discover: 5000 }}\n{COMMON}");
    let text = with_fleet(&asks);
    runbook::read_in(
        "runbook.yaml",
        &text,
        Path::new(""),
        &environment,
        discovered,
    )
}

#[test]
fn what_was_discovered_is_an_input() {
    let unasked = valid(read_discovered(&Discovered::NotAsked));
    assert!(unasked.fleet.is_unasked());
    let found = Instance {
        id: "app-1".to_owned(),
        url: "http://127.0.0.1:5001".to_owned(),
        host: "127.0.0.1".to_owned(),
        canary: false,
        called: None,
    };
    let asked = valid(read_discovered(&Discovered::Instances(vec![found.clone()])));
    assert_eq!(asked.fleet.instances.len(), 1);
    assert_eq!(asked.fleet.instances[0], found);
    assert_eq!(asked.hash, unasked.hash, "the text decides what is signed");
    let rehearsed = runbook::rehearsal::of(&asked).expect("a rehearsal");
    assert!(rehearsed.fleet.discovery.is_none());

    let staging = Instance {
        id: "staging".to_owned(),
        ..found
    };
    let reading = read_discovered(&Discovered::Instances(vec![staging]));
    let said = rendered(&reading.problems);
    assert!(said.contains("`staging`, which is in production"), "{said}");
}

#[test]
fn that_nothing_was_discovered_is_said_at_its_place() {
    let nothing = Discovered::nothing("a command that failed: exit status: 3", "no such\nproject");
    let reading = read_discovered(&nothing);
    assert!(reading.runbook.is_none());
    let said = rendered(&reading.problems);
    for expected in [
        "error: expected instances, from what is asked here, found a command that failed: exit status: 3",
        "(fleet.instances)",
        "= hint: it printed `no such",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

/// The fleets that the manual shows can be pasted as they are.
#[test]
fn the_fleets_that_the_manual_shows_can_be_pasted() {
    let manual = include_str!("../../docs/runbook.md");
    let blocks = manual.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .filter_map(|block| block.strip_prefix("fleet:\n"))
        .filter(|block| block.contains("kind: "))
        .collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        valid(read(&with_fleet(block)));
    }
}
