//! From text to a [`Runbook`], or to every problem in it. Reading goes on after a problem with a stand-in value; the result is
//! given out only where no error was found. Not in here: what must hold between the parts (`check`).

mod actions;
mod fleet;
mod maintenance;
mod metrics;
mod notify;
mod probes;
mod sections;
mod steps;
mod transfer;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::check;
use super::discovery::Discovered;
use super::keys;
use super::model::{Role, Runbook, RunbookHash};
use super::problem::{Problem, Severity};
use super::reader::{Fields, Item, Reader};
use super::sites::Sites;
use super::transfer::names::part;
use super::transfer::{Pattern, Transfer};
use super::tree::{self, Node, Place, Value};
use crate::format::hex;
use crate::secret::{Secret, has_password, passwords_in};

/// What reading a runbook came to.
#[derive(Debug)]
pub struct Reading {
    /// The runbook, where nothing is wrong with its form.
    pub runbook: Option<Runbook>,
    /// Everything that was found, in the file's order; warnings too. With an error in it the runbook is not to be run, whatever its form:
    /// a secret that is too short to be hidden is one.
    pub problems: Vec<Problem>,
    /// What must not be shown: what is listed, and every password in a URL.
    pub secrets: Vec<Secret>,
    /// The texts that the file shows as they are.
    pub plain: BTreeSet<String>,
    /// Where everything is written.
    pub sites: Sites,
}

/// The runbook in a text that is in no folder, so that relative paths stay as they are; or all its problems. `env` gives the value of a
/// `${NAME}`.
///
/// # Errors
/// Every problem, in the file's order, warnings included; at least one is an error.
pub fn parse(
    file_name: &str,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Runbook, Vec<Problem>> {
    let reading = read(file_name, text, env);
    reading.runbook.ok_or(reading.problems)
}

/// Like [`parse`], but gives warnings out beside a valid runbook too.
pub fn read(file_name: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Reading {
    read_in(file_name, text, Path::new(""), env, &Discovered::NotAsked)
}

/// Like [`read`], for a file in `folder` (absolute), where its relative paths begin. `discovered` is what is known of instances that the
/// file does not list.
pub fn read_in(
    file_name: &str,
    text: &str,
    folder: &Path,
    env: &dyn Fn(&str) -> Option<String>,
    discovered: &Discovered,
) -> Reading {
    let whole = text;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(file_name, text, Some(env))
        .within(folder)
        .knowing(discovered);
    let node = root(text, &mut reader);
    let mut plain = BTreeSet::new();
    let runbook = node.as_ref().and_then(|node| {
        let mut runbook = runbook(&mut reader, node)?;
        plain = reader.plain(node);
        check::check(&runbook, &mut reader, &plain);
        // Each side keeps its own migration history, whatever the framework calls it.
        let history = Pattern::new(part(&runbook.target.history.table));
        if !runbook.transfer.exclude.contains(&history) {
            runbook.transfer.exclude.push(history.clone());
        }
        runbook.transfer.history = Some(history);
        runbook.values = reader.resolved.clone();
        runbook.production_names = reader.names_in(&["source", "target", "fleet"]);
        for (_, value) in runbook.values.iter_mut().filter(|(name, value)| {
            // A password is a secret, listed or not.
            let value = value.as_deref().unwrap_or_default();
            reader.secrets.contains(*name) || has_password(value)
        }) {
            *value = None;
        }
        runbook.hash = hash(whole, &runbook.values);
        runbook.shows_password = !reader.passwords_written().is_empty();
        Some(runbook)
    });
    let secrets = secrets(&reader, text);
    let valid = is_valid(&reader);
    check::too_short(&mut reader);
    let sites = reader.sites.clone();
    let (problems, _) = finish(reader);
    Reading {
        runbook: runbook.filter(|_| valid),
        problems,
        secrets,
        plain,
        sites,
    }
}

/// Every value that is listed, and every password in a value or in the text.
fn secrets(reader: &Reader<'_>, text: &str) -> Vec<Secret> {
    let values = || {
        let resolved = reader.resolved.iter();
        resolved.filter_map(|(name, value)| Some((name, value.as_ref()?)))
    };
    let listed = values().filter(|(name, _)| reader.secrets.contains(*name));
    let listed = listed.map(|(name, value)| Secret::Listed {
        name: name.clone(),
        value: value.clone(),
    });
    let texts = values().map(|(_, value)| value.as_str()).chain([text]);
    let passwords = texts.flat_map(passwords_in).map(Secret::Password);
    listed.chain(passwords).collect()
}

/// A `transfer` section in a file of its own, with or without the key `transfer:` above it. References mean nothing there.
///
/// # Errors
/// Every problem, in the file's order.
pub fn parse_transfer(file_name: &str, text: &str) -> Result<Transfer, Vec<Problem>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::new(file_name, text, None);
    let section = root(text, &mut reader).and_then(|node| {
        let node = match &node.value {
            Value::Map(entries) if entries.len() == 1 && entries[0].0.text == "transfer" => {
                entries[0].1.clone()
            }
            _ => node,
        };
        let path = String::new();
        transfer::transfer(&mut reader, &Item { node: &node, path })
    });
    let (problems, valid) = finish(reader);
    section.filter(|_| valid).ok_or(problems)
}

/// The bytes of a file as text.
///
/// # Errors
/// The first byte that is not UTF-8, with its place.
pub fn decode<'b>(file_name: &str, bytes: &'b [u8]) -> Result<&'b str, Vec<Problem>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned();
        let last = good.rsplit('\n').next().unwrap_or_default();
        let place = Place {
            line: good.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            length: 1,
        };
        let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let found = if wide {
            "UTF-16".to_owned()
        } else {
            format!("the byte 0x{:02x}", bytes[error.valid_up_to()])
        };
        let lossy = String::from_utf8_lossy(bytes);
        let mut reader = Reader::new(file_name, &lossy, None);
        let hint = "save the file as UTF-8".to_owned();
        reader.problem(place, "", "UTF-8", &found, Some(hint));
        reader.problems
    })
}

fn root(text: &str, reader: &mut Reader<'_>) -> Option<Node> {
    let node = tree::load(text, reader);
    if node.is_none() && reader.problems.is_empty() {
        reader.problem(Place::START, "", "a map", "an empty file", None);
    }
    node
}

fn is_valid(reader: &Reader<'_>) -> bool {
    let mut problems = reader.problems.iter();
    problems.all(|p| p.severity != Severity::Error)
}

fn finish(reader: Reader<'_>) -> (Vec<Problem>, bool) {
    let valid = is_valid(&reader);
    let mut problems = reader.problems;
    problems.sort_by_key(|p| (p.line, p.column, p.severity));
    (problems, valid)
}

/// What signatures cover: the file, and every value that entered it and is no secret. `values` has every `${NAME}` of the file; `None`
/// where its value is secret, or where it has none.
pub fn hash(text: &str, values: &BTreeMap<String, Option<String>>) -> RunbookHash {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut digest = Sha256::new();
    let mut field = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    field(text.as_bytes());
    for (name, value) in values {
        field(name.as_bytes());
        field(value.as_ref().map_or(b"secret", |value| value.as_bytes()));
    }
    let hash = digest.finalize();
    RunbookHash(hex(&hash))
}

/// Sections that every runbook has.
const REQUIRED: &[&str] = &[
    "cutover",
    "name",
    "people",
    "limits",
    "source",
    "target",
    "fleet",
    "verification",
    "gates",
    "steps",
    "probes",
    "triggers",
    "monitoring",
    "rollback",
];

fn runbook(reader: &mut Reader<'_>, node: &Node) -> Option<Runbook> {
    let path = String::new();
    let fields = reader.fields(&Item { node, path }, keys::RUNBOOK)?;
    // First of all, so that no message shows what is secret.
    let name_and_place = |r: &mut Reader<'_>, i: &Item<'_>| Some((r.id(i)?, i.path.clone()));
    let secrets = reader.want(&fields, "secrets", |r, i| r.list(i, name_and_place));
    reader.listed_at = secrets.unwrap_or_default().into_iter().collect();
    reader.secrets = reader.listed_at.keys().cloned().collect();
    reader.all_present(&fields, REQUIRED);
    reader.want(&fields, "cutover", |r, i| r.one_of(i, &[("1", ())]));
    let bridge = sections::bridge(reader, &fields);
    let mut runbook = Runbook {
        secrets: reader.secrets.iter().cloned().collect(),
        name: reader
            .want(&fields, "name", session_name)
            .unwrap_or_default(),
        people: some_of(reader, &fields, "people", sections::person),
        bridge_group: bridge.group,
        bridge_spare: bridge.spare,
        bridge_metrics: bridge.metrics,
        signatures: reader.want(&fields, "signatures", sections::signatures),
        limits: sections::limits(reader, &fields),
        source: sections::source(reader, &fields),
        target: sections::target(reader, &fields),
        fleet: fleet::fleet(reader, &fields),
        transfer: reader
            .want(&fields, "transfer", transfer::transfer)
            .unwrap_or_default(),
        verification: sections::verification(reader, &fields),
        rehearsal: reader.want(&fields, "rehearsal", sections::rehearsal),
        gates: some_of(reader, &fields, "gates", steps::gate),
        steps: some_of(reader, &fields, "steps", steps::step),
        probes: some_of(reader, &fields, "probes", probes::probe),
        triggers: some_of(reader, &fields, "triggers", watch::trigger),
        monitoring: some_of(reader, &fields, "monitoring", watch::checklist_item),
        notify: some_of(reader, &fields, "notify", notify::channel),
        feed: sections::feed(reader, &fields),
        rollback: some_of(reader, &fields, "rollback", steps::rollback_row),
        unrehearsed: Vec::new(),
        values: BTreeMap::new(),
        production_names: BTreeSet::new(),
        shows_password: false,
        hash: RunbookHash::default(),
    };
    fleet::follow_logs(&runbook.fleet, &mut runbook.probes);
    Some(runbook)
}

/// A list; none where its key is absent, which has been reported.
fn some_of<'e, 'n, T>(
    reader: &mut Reader<'e>,
    fields: &Fields<'n>,
    key: &str,
    take: impl FnMut(&mut Reader<'e>, &Item<'n>) -> Option<T>,
) -> Vec<T> {
    reader
        .want(fields, key, |r, i| r.list(i, take))
        .unwrap_or_default()
}

/// A list that must be there.
fn list_of<'e, 'n, T>(
    reader: &mut Reader<'e>,
    fields: &Fields<'n>,
    key: &str,
    take: impl FnMut(&mut Reader<'e>, &Item<'n>) -> Option<T>,
) -> Vec<T> {
    reader
        .need(fields, key, |r, i| r.list(i, take))
        .unwrap_or_default()
}

/// A session's name begins with it, and names a folder.
fn session_name(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let name = reader.id(item)?;
    if name.contains('+') {
        return reader.wrong(item, "a name without `+`", None);
    }
    Some(name)
}

/// A role of the bridge.
fn role(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Role> {
    reader.one_of(item, &Role::ALL.map(|role| (role.key(), role)))
}
