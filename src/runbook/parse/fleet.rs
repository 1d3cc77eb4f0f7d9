//! The fleet: its instances, who starts and stops them, and what each is told and asked. What follows from who does it is filled in where a
//! runbook would have said it itself (`fleet.restart`, the command of a `logs` probe), so that nobody behind the parser needs to know. Not in
//! here: asking for instances that are not listed (`fleet::discovery`).

use std::time::Duration;

use super::super::action::{Action, Effect};
use super::super::discovery::{A_BASE_URL, Discovered, Discovery, Prints, base_url};
use super::super::keys;
use super::super::model::{
    Fleet, Instance, MaintenanceAnswer, Manager, ManagerWord, Probe, ProbeKind, ProviderPage,
    Services, Units,
};
use super::super::placeholders::{OF_INSTANCE, OF_SESSION, OF_SOURCE, named_in};
use super::super::reader::{Fields, Item, Reader, quoted};
use super::super::tree::Value;
use super::steps::of_kind_or;
use super::{actions, maintenance, metrics, probes};

/// Placeholders of which a unit and a service may be made.
const OF_NAMES: [&str; 2] = ["instance", "host"];
/// The keys of which a discovery has exactly one.
const ASKS: [&str; 3] = ["command", "shell", "discover"];

pub(super) fn fleet(reader: &mut Reader<'_>, root: &Fields<'_>) -> Fleet {
    let fields = reader.want(root, "fleet", |r, i| {
        of_kind_or::<ManagerWord>(r, i, keys::FLEET, Some(ManagerWord::Command))
    });
    let Some((fields, kind)) = fields else {
        return no_fleet();
    };
    let manager = kind.and_then(|kind| manager(reader, &fields, kind));
    let staging = reader.want(&fields, "staging", instance);
    let (instances, discovery) = instances(reader, &fields, manager.as_ref(), staging.as_ref());
    let maintenance = reader.want(&fields, "maintenance", maintenance::read);
    let maintenance = maintenance.unwrap_or_default();
    Fleet {
        instances,
        discovery,
        staging,
        config: reader.want(&fields, "config", Reader::path_pattern),
        log: reader.want(&fields, "log", Reader::path_pattern),
        ready: reader
            .need(&fields, "ready", actions::url)
            .unwrap_or_default(),
        provider: reader.want(&fields, "provider", provider),
        maintenance: maintenance.page,
        maintenance_answer: maintenance.answer,
        metrics: reader.want(&fields, "metrics", metrics::page),
        restart: restart(reader, &fields, manager.as_ref()),
        manager: manager.unwrap_or(Manager::Command),
        connect: reader.want(&fields, "connect", actions::action),
        ready_within_ms: reader
            .want(&fields, "ready_within", Reader::positive_duration)
            .unwrap_or(60_000),
        ready_successes: reader
            .want(&fields, "ready_successes", |r, i| r.small(i, 1..=100))
            .unwrap_or(3),
    }
}

fn no_fleet() -> Fleet {
    Fleet {
        manager: Manager::Command,
        instances: Vec::new(),
        discovery: None,
        staging: None,
        config: None,
        log: None,
        ready: String::new(),
        provider: None,
        maintenance: None,
        maintenance_answer: MaintenanceAnswer::default(),
        metrics: None,
        restart: no_action(),
        connect: None,
        ready_within_ms: 0,
        ready_successes: 0,
    }
}

/// In the place of one that was not understood, which has been reported.
fn no_action() -> Action {
    Action::new(Effect::Command { argv: Vec::new() }, Duration::ZERO)
}

/// What a runbook says itself wins; what is neither written nor follows from who manages the fleet is missing.
fn restart(reader: &mut Reader<'_>, fields: &Fields<'_>, manager: Option<&Manager>) -> Action {
    let implied = manager.and_then(Manager::restart);
    let read = match (fields.has("restart"), manager, implied) {
        (false, _, Some(argv)) => {
            let limit = actions::time_limit(reader, &Fields::EMPTY);
            Some(Action::new(Effect::Command { argv }, limit))
        }
        (false, Some(_), None) | (true, ..) => reader.need(fields, "restart", actions::action),
        (false, None, None) => None,
    };
    read.unwrap_or_else(no_action)
}

/// Lets each `logs` probe that names no command follow what the fleet's manager prints, where no file is named either.
pub(super) fn follow_logs(fleet: &Fleet, probes: &mut [Probe]) {
    let Some(argv) = fleet.manager.follow().filter(|_| fleet.log.is_none()) else {
        return;
    };
    for probe in probes {
        let limit_ms = probe.timeout_ms;
        if let ProbeKind::Logs { follow, .. } = &mut probe.kind
            && follow.is_none()
        {
            let argv = argv.clone();
            *follow = Some(probes::limited(Effect::Command { argv }, limit_ms));
        }
    }
}

/// `None` where a part of it is missing or wrong, which has been reported.
fn manager(reader: &mut Reader<'_>, fields: &Fields<'_>, kind: ManagerWord) -> Option<Manager> {
    match kind {
        ManagerWord::Command => Some(Manager::Command),
        ManagerWord::Systemd => {
            let unit = reader.need(fields, "unit", unit);
            let user = reader.want(fields, "user", Reader::boolean);
            let via = reader.want(fields, "via", |r, i| r.list(i, Reader::text));
            Some(Manager::Systemd(Units {
                unit: unit?,
                user: user.unwrap_or(false),
                via: via.unwrap_or_default(),
            }))
        }
        ManagerWord::Compose => {
            let file = reader.want(fields, "file", Reader::path_pattern);
            let project = reader.want(fields, "project", |r, i| {
                named(
                    r,
                    i,
                    "the name of a project: small letters, digits, `_` and `-`",
                    |c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c),
                )
            });
            let service = match fields.has("service") {
                true => reader.want(fields, "service", service)?,
                false => "{instance}".to_owned(),
            };
            Some(Manager::Compose(Services {
                file,
                project,
                service,
            }))
        }
    }
}

fn unit(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected =
        "the name of a unit, such as shop@{instance}.service: letters, digits and : . _ @ -";
    named(reader, item, expected, |c| {
        c.is_ascii_alphanumeric() || ":._@-".contains(c)
    })
}

fn service(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected =
        "the name of a service, such as web or app-{instance}: letters, digits and . _ -";
    named(reader, item, expected, |c| {
        c.is_ascii_alphanumeric() || "._-".contains(c)
    })
}

/// A name in which `{instance}` and `{host}` may stand. It is a word of a command, also where a shell on another host reads it, and no option.
fn named(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    expected: &str,
    fits: fn(char) -> bool,
) -> Option<String> {
    let text = reader.text_as(item, expected)?;
    let mut rest = text.clone();
    for name in OF_NAMES {
        rest = rest.replace(&format!("{{{name}}}"), "");
    }
    match rest.chars().all(fits) && !text.starts_with('-') {
        true => Some(text),
        false => reader.wrong(item, expected, None),
    }
}

/// The instances as they are listed; or what was found of them, and where they are asked for.
fn instances(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    manager: Option<&Manager>,
    staging: Option<&Instance>,
) -> (Vec<Instance>, Option<Discovery>) {
    let read = reader.need(fields, "instances", |r, i| match i.node.value {
        Value::Map(_) => {
            let discovery = discovery(r, i, manager, staging);
            Some((discovered(r, i), discovery))
        }
        Value::List(_) | Value::Scalar { .. } => r.list(i, instance).map(|list| (list, None)),
    });
    read.unwrap_or_default()
}

/// What was found; that nothing was is a problem of the runbook.
fn discovered(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Instance> {
    match reader.discovered.clone() {
        Discovered::NotAsked => Vec::new(),
        Discovered::Instances(instances) => instances,
        Discovered::Nothing { found, hint } => {
            let expected = "instances, from what is asked here";
            reader.problem(item.node.place, &item.path, expected, &found, hint);
            Vec::new()
        }
    }
}

fn discovery(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    manager: Option<&Manager>,
    staging: Option<&Instance>,
) -> Option<Discovery> {
    let fields = reader.fields(item, keys::DISCOVERY)?;
    let given: Vec<&str> = ASKS.into_iter().filter(|key| fields.has(key)).collect();
    if given.len() != 1 {
        let expected = format!(
            "a list of instances, or exactly one of {}",
            quoted(ASKS.into_iter())
        );
        let found = match given.len() {
            0 => "none".to_owned(),
            _ => quoted(given.into_iter()),
        };
        reader.problem(item.node.place, &item.path, &expected, &found, None);
        return None;
    }
    let limit = actions::time_limit(reader, &fields);
    if fields.has("discover") {
        let port = reader.want(&fields, "discover", |r, i| r.integer(i, 1..=65_535));
        // Reports `env` and `stdin`, of which nothing is made.
        let effect = of_compose(reader, &fields, manager);
        let action = actions::with_surroundings(reader, &fields, effect, limit)?;
        let Some(Manager::Compose(services)) = manager else {
            return None;
        };
        return Some(Discovery {
            action,
            prints: Prints::Containers {
                port: u16::try_from(port?).ok()?,
                service: services.service.clone(),
                staging: staging.map(|staging| staging.id.clone()),
            },
        });
    }
    let effect = probes::program(reader, &fields);
    let action = actions::with_surroundings(reader, &fields, effect, limit)?;
    let unknown = [&OF_INSTANCE[..], &OF_SESSION, &OF_SOURCE].concat();
    if action.uses_any(&unknown) {
        let expected = "no placeholder: neither an instance nor a session is at hand yet";
        reader.problem(item.node.place, &item.path, expected, "one", None);
    }
    Some(Discovery {
        action,
        prints: Prints::Instances,
    })
}

/// What asks compose for its containers. It is asked for all instances at once, so that where it is asked may not depend on one.
fn of_compose(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    manager: Option<&Manager>,
) -> Option<Effect> {
    let item = fields.get("discover")?;
    let services = match manager {
        Some(Manager::Compose(services)) => services,
        Some(Manager::Command | Manager::Systemd(_)) => {
            let expected = "`discover` only with `kind: compose`";
            return reader.wrong(&item, expected, Some("`command` takes any program".into()));
        }
        // Reported.
        None => return None,
    };
    let places = services.file.iter().chain(&services.project);
    let depends = |text: &String| named_in(text).any(|(name, _)| OF_NAMES.contains(&name));
    let asks_host = named_in(&services.service).any(|(name, _)| name == "host");
    if places.into_iter().any(depends) || asks_host {
        let expected =
            "one file, one project and services told apart by `{instance}`, to discover instances";
        return reader.wrong(&item, expected, Some("list the instances".into()));
    }
    let argv = services.all_containers();
    Some(Effect::Command { argv })
}

fn provider(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<ProviderPage> {
    let fields = reader.fields(item, keys::PROVIDER)?;
    let url = reader.need(&fields, "get", actions::url);
    let sqlite = reader.need(&fields, "sqlite", probes::regular_expression);
    let postgres = reader.need(&fields, "postgres", probes::regular_expression);
    Some(ProviderPage {
        url: url?,
        sqlite: sqlite?,
        postgres: postgres?,
    })
}

fn instance(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Instance> {
    let fields = reader.fields(item, keys::INSTANCE)?;
    let id = reader.need(&fields, "id", Reader::id);
    let base = reader.need(&fields, "url", |r, i| {
        let text = r.text_as(i, A_BASE_URL)?;
        base_url(&text).or_else(|| r.wrong(i, A_BASE_URL, None))
    });
    let host = reader.want(&fields, "host", Reader::text);
    let canary = reader.want(&fields, "canary", Reader::boolean);
    let (url, url_host) = base.unwrap_or_default();
    Some(Instance {
        id: id.unwrap_or_default(),
        url,
        host: host.unwrap_or(url_host),
        canary: canary.unwrap_or(false),
        called: None,
    })
}
