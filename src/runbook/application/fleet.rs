//! The fleet, by everything that tells of it: compose, units of systemd, the instances' own `.env` files, and a Procfile where there is one
//! process alone. Pure.

use super::compose::{self, Service};
use super::ports::{port_in, port_of};
use super::slots::{self, Slots, is_staging};
use super::switch::{self, Surroundings};
use super::systemd::{self, Unit};
use super::{Around, File, dotenv, take_choice};
use crate::runbook::draft::known::{Found, Known, RunBy, Slot};
use crate::runbook::reader::is_id;

pub(super) fn read(
    files: &[&File],
    around: Around<'_>,
    surroundings: Surroundings<'_>,
    known: &mut Known,
) {
    let is_env = |file: &&&File| {
        let name = file.name();
        name.ends_with(".env") || name.starts_with(".env")
    };
    let env: Vec<&File> = files.iter().filter(is_env).copied().collect();
    let slots = slots::slots(&env, surroundings);
    let mut only = None;
    if !by_compose(files, &env, around, surroundings, known) {
        only = by_systemd(files, slots.as_ref(), known);
    }
    if known.switch.key.is_none()
        && let Some(slots) = &slots
    {
        by_slots(slots, &env, around, known);
    }
    if known.instances.is_empty() {
        alone(files, &env, only.as_deref().unwrap_or("app-1"), known);
    }
    connect(known);
}

/// From this host the server's own program tells; on others nobody knows what there is.
fn connect(known: &mut Known) {
    let is_here = |slot: &Slot| slot.url.yaml.contains("//127.0.0.1");
    if known.connect.is_none() && !known.instances.is_empty() && known.instances.iter().all(is_here)
    {
        let argv = ["pg_isready", "-h", "{runtime_host}", "-p", "{runtime_port}"];
        known.connect = Some(Found::command(argv, "the instances are on this host"));
    }
}

/// Whether there is a file of compose with a service that is published.
fn by_compose(
    files: &[&File],
    env: &[&File],
    around: Around<'_>,
    surroundings: Surroundings<'_>,
    known: &mut Known,
) -> bool {
    let is_compose = |file: &&&File| {
        let name = file.name();
        name.contains("compose.y") && !name.contains("override")
    };
    let Some(file) = files.iter().find(is_compose) else {
        return false;
    };
    for (name, line) in compose::unclear(&file.text) {
        known.notes.push(format!(
            "{}: {name} publishes a port that the file does not tell, and is not among the instances: add it with its own `url`",
            file.at(line)
        ));
    }
    let services = compose::services(&file.text);
    if services.is_empty() {
        return false;
    }
    let path = format!("{}{}", around.prefix, file.path);
    known.run_by = RunBy::Compose(Found::text(&path, file.at(services[0].published.1)));
    for service in &services {
        let (url, line) = &service.published;
        add(known, &service.name, Found::text(url, file.at(*line)));
        if service.replicas > 1 {
            known.notes.push(format!(
                "{}: {} has {} containers, which compose cannot restart one by one: write a service for each instance, with a port and an env_file of its own",
                file.at(*line), service.name, service.replicas
            ));
        }
    }
    let health = services.iter().find_map(|service| service.health.as_ref());
    known.ready = health.map(|(path, line)| Found::text(path, file.at(*line)));
    let connect = [
        "docker",
        "compose",
        "-f",
        &path,
        "exec",
        "-T",
        "{instance}",
        "pg_isready",
        "-h",
        "{runtime_host}",
        "-p",
        "{runtime_port}",
    ];
    known.connect = Some(Found::command(connect, file.at(services[0].published.1)));
    configured(file, &services, env, around, surroundings, known);
    true
}

/// The `env_file` of the services, and the key in it.
fn configured(
    file: &File,
    services: &[Service],
    env: &[&File],
    around: Around<'_>,
    surroundings: Surroundings<'_>,
    known: &mut Known,
) {
    let folder = file.path.strip_suffix(file.name()).unwrap_or_default();
    let with_file = services
        .iter()
        .filter_map(|s| Some((s.name.as_str(), s.env_file.as_ref()?)));
    let paths = with_file
        .clone()
        .map(|(name, (path, _))| (name, path.as_str()));
    let pattern = pattern(paths.collect());
    if let Some((_, (path, line))) = with_file.clone().next() {
        match pattern {
            Some(pattern) if pattern.starts_with('/') => {
                known.config = Some(Found::text(&pattern, file.at(*line)));
            }
            Some(pattern) => {
                let pattern = format!("{}{folder}{pattern}", around.prefix);
                known.config = Some(Found::text(&pattern, file.at(*line)));
            }
            None => known.notes.push(format!(
                "{}: the services have env_files that differ in more than the service's name: `config` is one path, with {{instance}} for the name",
                file.at(*line)
            )),
        }
        let named = format!("{folder}{path}");
        if let Some(read) = env.iter().find(|env| env.path == named) {
            let entries = dotenv::entries(&read.text);
            if let Some(choice) = switch::choice(&entries, surroundings) {
                take_choice(known, &choice, &read.at(choice.line));
            }
        }
    }
    let inline = services.iter().flat_map(|service| &service.environment);
    let inline: Vec<dotenv::Entry> = inline
        .map(|(key, value, line)| dotenv::Entry {
            key: key.clone(),
            value: value.clone(),
            line: *line,
        })
        .collect();
    if let Some(choice) = switch::choice(&inline, surroundings) {
        known.notes.push(format!(
            "{}: {} stands in the compose file itself: move it into the service's env_file, where F1 can change it",
            file.at(choice.line), choice.key
        ));
    }
}

/// The one path by which each instance has its file: the same for all, or with `{instance}` where each has its own name; by name and path.
fn pattern(files: Vec<(&str, &str)>) -> Option<String> {
    let (_, first) = files.first()?;
    if files.iter().all(|(_, path)| path == first) {
        return Some((*first).to_owned());
    }
    let mut patterns = files.iter().map(|(name, path)| {
        let (before, behind) = path.rsplit_once(*name)?;
        Some(format!("{before}{{instance}}{behind}"))
    });
    let first = patterns.next()??;
    patterns
        .all(|other| other.as_ref() == Some(&first))
        .then_some(first)
}

/// What units tell; gives the name of one that is the only one, by which systemd knows its instance.
fn by_systemd(files: &[&File], slots: Option<&Slots>, known: &mut Known) -> Option<String> {
    let units = files.iter().filter_map(|file| {
        let unit = systemd::unit(file.name(), &file.text)?;
        Some((*file, unit))
    });
    let mut units: Vec<(&File, Unit)> = units.collect();
    // A template is what instances are made of, whatever serves besides.
    units.sort_by_key(|(_, unit)| !unit.is_template);
    let (file, unit) = units.first()?;
    let (name, count) = match unit.is_template {
        true => (unit.name.clone(), 1),
        false => ("{instance}.service".to_owned(), units.len()),
    };
    known.run_by = RunBy::Systemd(Found::text(&name, file.at(unit.exec.1)));
    let (own, others) = units.split_at(count);
    let paths = own.iter().map(|(_, unit)| {
        let (path, _) = unit.environment.as_ref()?;
        Some((unit.stem(), path.as_str()))
    });
    let paths: Option<Vec<(&str, &str)>> = paths.collect();
    if let (Some(path), Some((_, line))) = (paths.and_then(pattern), &unit.environment) {
        known.config = Some(Found::text(&path, file.at(*line)));
    }
    for (file, unit) in own {
        instances_of(unit, files, slots, &file.at(unit.exec.1), known);
    }
    if own.len() > 1 {
        known.notes.push(format!(
            "{}: {} units serve, and each is taken for an instance of the application: take out those that do not use the SQLite file",
            file.at(unit.exec.1),
            own.len()
        ));
    }
    for (file, unit) in others {
        known.notes.push(format!(
            "{}: {} serves too, and is not among the instances: add it, if it uses the SQLite file",
            file.at(unit.exec.1),
            unit.name
        ));
    }
    let is_only = own.len() == 1 && !unit.is_template;
    is_only.then(|| unit.stem().to_owned())
}

/// Adds the instances of a unit of which the ports are known.
fn instances_of(unit: &Unit, files: &[&File], slots: Option<&Slots>, at: &str, known: &mut Known) {
    let ids: Vec<String> = match unit.is_template {
        false => vec![unit.stem().to_owned()],
        true => {
            let named = files
                .iter()
                .flat_map(|file| systemd::instances_named(&unit.name, &file.text));
            let mut ids: Vec<String> = named.collect();
            ids.sort();
            ids.dedup();
            ids
        }
    };
    for id in ids.iter().filter(|id| is_id(id)) {
        let exec = unit.exec.0.replace("%i", id).replace("%I", id);
        let of_slot = slots.and_then(|slots| {
            let slot = slots.slots.iter().find(|slot| slot.id == *id)?;
            slot.port.map(|(port, _)| port)
        });
        if let Some(port) = port_in(&exec).or(of_slot) {
            add(known, id, Found::text(&local(port), at));
        }
    }
}

/// The instances' own files. Where who runs them has told already, the key alone.
fn by_slots(slots: &Slots, env: &[&File], around: Around<'_>, known: &mut Known) {
    let (choice, path) = &slots.choice;
    let Some(file) = env.iter().find(|file| file.path == *path) else {
        return;
    };
    take_choice(known, choice, &file.at(choice.line));
    note_others(slots, env, known);
    let address = dotenv::entries(&file.text)
        .into_iter()
        .find(|entry| entry.value.starts_with("postgres") && entry.value.contains("://"))
        .map(|entry| entry.key);
    if let (Some(to), Some(address)) = (choice.to.as_deref(), address)
        && !to.contains('{')
    {
        let (key, to) = (Found::text(&choice.key, "").yaml, Found::text(to, "").yaml);
        known.migrate_env = Some(format!("{key}: {to}, {address}: \"{{target_url}}\""));
    }
    let pattern = match staging_beside(path, env) {
        Some(own) if known.config.is_none() && slots.pattern == *path => {
            links(path, own, around, known)
        }
        Some(_) | None => format!("{}{}", around.prefix, slots.pattern),
    };
    known
        .config
        .get_or_insert(Found::text(&pattern, file.at(choice.line)));
    if !known.instances.is_empty() {
        return;
    }
    for slot in &slots.slots {
        let (Some((port, line)), false) = (slot.port, slot.id.is_empty()) else {
            continue;
        };
        if let Some(file) = env.iter().find(|file| file.path == slot.path) {
            add(known, &slot.id, Found::text(&local(port), file.at(line)));
        }
    }
}

/// Files that choose SQLite by the same key and that F1 would pass over: one of them may be an instance's.
fn note_others(slots: &Slots, env: &[&File], known: &mut Known) {
    let (choice, path) = &slots.choice;
    let is_switched = |file: &File| {
        file.path == *path
            || is_staging(file.name())
            || slots.slots.iter().any(|slot| slot.path == file.path)
    };
    for file in env.iter().filter(|file| !is_switched(file)) {
        let entries = dotenv::entries(&file.text);
        let of_key = entries.iter().find(|entry| entry.key == choice.key);
        if let Some(entry) = of_key.filter(|entry| entry.value.to_lowercase().contains("sqlite")) {
            known.notes.push(format!(
                "{}: {} chooses SQLite here too, and F1 as drafted switches {path} alone: where an instance reads this file, `config` needs \
                 {{instance}} in its path and leads to both",
                file.at(entry.line),
                choice.key
            ));
        }
    }
}

/// The staging slot's own file beside one that all instances share: `.env.staging` beside `.env`.
fn staging_beside<'f>(shared: &str, env: &[&'f File]) -> Option<&'f File> {
    let folder = |path: &str| path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    let is_own = |file: &&&File| {
        file.path != shared && folder(&file.path) == folder(shared) && is_staging(file.name())
    };
    env.iter().find(is_own).copied()
}

/// One path with `{instance}` for a file that the instances share and the staging slot's own: links, which `config` follows.
fn links(shared: &str, own: &File, around: Around<'_>, known: &mut Known) -> String {
    let folder = shared.rsplit_once('/');
    let folder = folder.map_or_else(String::new, |(folder, _)| format!("{folder}/"));
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let pattern = format!("{}{folder}env/{{instance}}.env", around.prefix);
    known.notes.push(format!(
        "{shared} is shared by the instances, and {} is the staging slot's own: make {folder}env with a link ID.env to ../{} for each instance, and one \
         staging.env to ../{}, which `config: \"{pattern}\"` follows",
        own.path,
        name(shared),
        name(&own.path)
    ));
    pattern
}

/// One process: the port that its Procfile, its server's configuration or its `.env` names.
fn alone(files: &[&File], env: &[&File], id: &str, known: &mut Known) {
    let web = files
        .iter()
        .filter(|file| file.name() == "Procfile")
        .find_map(|file| {
            let mut lines = file.text.lines().enumerate();
            let (n, line) = lines.find(|(_, line)| line.starts_with("web:"))?;
            Some((port_in(line)?, file.at(n + 1)))
        });
    let bind = || {
        let mut servers = files
            .iter()
            .filter(|file| file.name() == "gunicorn.conf.py");
        servers.find_map(|file| {
            let mut lines = file.text.lines().enumerate();
            let (n, line) = lines.find(|(_, line)| line.trim_start().starts_with("bind"))?;
            Some((port_in(line)?, file.at(n + 1)))
        })
    };
    let variable = || {
        env.iter().find_map(|file| {
            let entries = dotenv::entries(&file.text);
            let mut ports = entries
                .iter()
                .filter_map(|e| Some((port_of(&e.key, &e.value)?, file.at(e.line))));
            ports.next()
        })
    };
    if let Some((port, at)) = web.or_else(bind).or_else(variable) {
        add(known, id, Found::text(&local(port), at));
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// One more slot; the first that is called so is the staging slot.
fn add(known: &mut Known, id: &str, url: Found) {
    let slot = Slot {
        id: id.to_owned(),
        url,
    };
    if !is_staging(id) {
        known.instances.push(slot);
    } else if let Some(first) = &known.staging {
        let note = format!(
            "{}: {id} is called as a staging slot is, and {} is one already: it is left out",
            slot.url.at, first.id
        );
        known.notes.push(note);
    } else {
        known.staging = Some(slot);
    }
}
