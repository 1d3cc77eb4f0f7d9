//! Instances that a runbook does not list: where they are asked for, and what the answer comes to. Pure. Not in here: asking
//! (`fleet::discovery`), where the key stands (`parse`), and what comes of answers while a session runs (`session::membership`).

mod members;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::action::Action;
use super::model::Instance;
use super::reader::{AN_ID, is_id};
use crate::secret::{has_password, without_passwords};
use crate::text::printable;

pub use members::{Member, Members};

/// Characters of an answer that a message repeats.
const SHOWN_CHARS: usize = 400;
/// Characters of a value that a message repeats.
const VALUE_CHARS: usize = 60;
/// What a base URL is, for messages.
pub(super) const A_BASE_URL: &str = "an http or https URL without a query";

/// Where the instances are asked for, and how the answer is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// A command or a shell line.
    pub action: Action,
    pub prints: Prints,
}

/// What a command prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prints {
    /// An object for each instance.
    Instances,
    /// What compose says of its containers.
    Containers {
        /// The port of the application within its container.
        port: u16,
        /// The service's name, with `{instance}`.
        service: String,
        /// The staging slot's id: it is no instance of production's, wherever it runs.
        staging: Option<String>,
    },
}

/// What is known of instances that a runbook does not list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovered {
    /// Nobody has asked.
    NotAsked,
    /// These there are.
    Instances(Vec<Instance>),
    /// There was no answer, or none that is to be used.
    Nothing {
        /// What there was in its place.
        found: String,
        /// What was printed, or what to do.
        hint: Option<String>,
    },
}

impl Discovered {
    /// As [`Discovered::Instances`], of a session that keeps what it once found.
    pub fn kept(instances: Option<&Vec<Instance>>) -> Discovered {
        instances.map_or(Discovered::NotAsked, |found| {
            Discovered::Instances(found.clone())
        })
    }

    /// No answer, and what was printed all the same.
    pub fn nothing(found: impl Into<String>, printed: &str) -> Discovered {
        let printed = printed.trim();
        let hint = match printed.is_empty() {
            true => "it printed nothing".to_owned(),
            false => {
                let open = without_passwords(printed);
                format!("it printed `{}`", printable(&open, SHOWN_CHARS))
            }
        };
        Discovered::Nothing {
            found: found.into(),
            hint: Some(hint),
        }
    }
}

impl Discovery {
    /// What the answer comes to.
    pub fn read(&self, printed: &str) -> Discovered {
        let objects = match objects(printed) {
            Ok(objects) => objects,
            Err(found) => return Discovered::nothing(found, printed),
        };
        let read = match &self.prints {
            Prints::Instances => objects
                .iter()
                .filter(|object| !members::is_wanted(object))
                .enumerate()
                .map(|(n, object)| instance(n + 1, object))
                .collect(),
            Prints::Containers {
                port,
                service,
                staging,
            } => match of_services(&objects, *port, service, staging.as_deref()) {
                Ok(instances) => Ok(instances),
                Err(Wrong::Replicas(service, count)) => {
                    return Discovered::Nothing {
                        found: format!("{count} containers of the service `{service}`"),
                        hint: Some(NO_REPLICAS.to_owned()),
                    };
                }
                Err(Wrong::Entry(found)) => Err(found),
            },
        };
        let read: Result<Vec<Instance>, String> = read;
        match read.and_then(once) {
            Ok(instances) if instances.is_empty() => {
                Discovered::nothing(self.prints.none(), printed)
            }
            Ok(instances) => Discovered::Instances(instances),
            Err(found) => Discovered::nothing(found, printed),
        }
    }
}

/// Why a service with several containers is none for a cutover, and what to do.
pub const NO_REPLICAS: &str = "compose cannot restart the containers of one service one by one, so that nobody could be served meanwhile: write a \
                               service for each instance (app-1, app-2, …) with one container each";

impl Prints {
    fn none(&self) -> String {
        match self {
            Prints::Instances => "none".to_owned(),
            Prints::Containers { port, .. } => {
                format!("no container that runs and publishes its port {port}")
            }
        }
    }
}

/// How many containers compose says there are.
///
/// # Errors
/// Its answer is not what compose prints.
pub fn containers(printed: &str) -> Result<usize, String> {
    objects(printed).map(|objects| objects.len())
}

/// Every object of a text: one after the other, or in lists.
fn objects(printed: &str) -> Result<Vec<Map<String, Value>>, String> {
    let mut objects = Vec::new();
    for value in serde_json::Deserializer::from_str(printed).into_iter::<Value>() {
        let list = match value.map_err(|error| format!("no JSON: {error}"))? {
            Value::Array(list) => list,
            // What has nothing to say may say so.
            Value::Null => Vec::new(),
            one @ (Value::Object(_) | Value::String(_) | Value::Number(_) | Value::Bool(_)) => {
                vec![one]
            }
        };
        for one in list {
            let Value::Object(object) = one else {
                let shown = printable(&one.to_string(), VALUE_CHARS);
                return Err(format!("`{shown}` in the place of an object"));
            };
            objects.push(object);
        }
    }
    Ok(objects)
}

/// The `n`th object of a command's answer as an instance. Other keys are somebody else's.
fn instance(n: usize, object: &Map<String, Value>) -> Result<Instance, String> {
    let wrong = |key: &str, expected: &str| {
        let found = match object.get(key) {
            None => "nothing".to_owned(),
            Some(Value::String(text)) => {
                format!("`{}`", printable(&without_passwords(text), VALUE_CHARS))
            }
            Some(other) => format!("`{}`", printable(&other.to_string(), VALUE_CHARS)),
        };
        format!("{found} as `{key}` of the instance {n}, where {expected} is expected")
    };
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let id = text("id").filter(|id| is_id(id));
    let id = id.ok_or_else(|| wrong("id", AN_ID))?;
    // Nobody has listed a password that comes this way, so that nothing would hide it.
    let open = text("url").filter(|url| !has_password(url));
    let base = open.and_then(base_url);
    let (url, url_host) = base.ok_or_else(|| wrong("url", A_BASE_URL))?;
    let host = match object.get("host") {
        None | Some(Value::Null) => url_host,
        Some(_) => {
            let host = text("host").filter(|host| is_host(host));
            host.ok_or_else(|| wrong("host", "the name or the address of a host"))?
                .to_owned()
        }
    };
    let canary = match object.get("canary") {
        None | Some(Value::Null) => false,
        Some(canary) => canary
            .as_bool()
            .ok_or_else(|| wrong("canary", "true or false"))?,
    };
    Ok(Instance {
        id: id.to_owned(),
        url,
        host,
        canary,
        called: None,
    })
}

/// A URL without a slash at its end, and its host.
pub(super) fn base_url(text: &str) -> Option<(String, String)> {
    let url = url::Url::parse(text).ok()?;
    let is_base = matches!(url.scheme(), "http" | "https")
        && url.query().is_none()
        && url.fragment().is_none();
    let host = url.host_str().unwrap_or_default().to_owned();
    is_base.then(|| (text.trim_end_matches('/').to_owned(), host))
}

/// What may stand as a word of a command, whoever reads it.
fn is_host(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == ':') && text.chars().all(fits)
}

/// Each id stands for one instance.
fn once(instances: Vec<Instance>) -> Result<Vec<Instance>, String> {
    let ids = instances.iter().map(|instance| instance.id.as_str());
    match repeated(ids) {
        Some((id, count)) => Err(format!("{count} instances with the id `{id}`")),
        None => Ok(instances),
    }
}

/// The first of the names that comes more than once, and how often.
fn repeated<'n>(names: impl Iterator<Item = &'n str>) -> Option<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let twice = counts.into_iter().find(|(_, count)| *count > 1);
    twice.map(|(name, count)| (name.to_owned(), count))
}

/// What of compose's answer is in the way.
enum Wrong {
    /// Several containers of one service.
    Replicas(String, usize),
    /// Anything else, in words.
    Entry(String),
}

/// An instance for each service of which a container publishes this port of its own.
fn of_services(
    objects: &[Map<String, Value>],
    port: u16,
    template: &str,
    staging: Option<&str>,
) -> Result<Vec<Instance>, Wrong> {
    let mut found: Vec<(String, Instance)> = Vec::new();
    for object in objects {
        let Some(service) = object.get("Service").and_then(Value::as_str) else {
            let entry = "a container without the name of its service, as `docker compose ps --format json` gives it";
            return Err(Wrong::Entry(entry.to_owned()));
        };
        let Some(id) = instance_of(template, service).filter(|id| Some(*id) != staging) else {
            continue;
        };
        let Some(host) = published(object, port) else {
            continue;
        };
        if !is_id(id) {
            let shown = printable(id, VALUE_CHARS);
            return Err(Wrong::Entry(format!(
                "the service `{shown}`, where {AN_ID} is expected"
            )));
        }
        let instance = Instance {
            id: id.to_owned(),
            url: format!("http://{host}"),
            host: host
                .rsplit_once(':')
                .map_or("", |(host, _)| host)
                .to_owned(),
            canary: false,
            called: None,
        };
        found.push((service.to_owned(), instance));
    }
    if let Some((service, count)) = repeated(found.iter().map(|(service, _)| service.as_str())) {
        return Err(Wrong::Replicas(service, count));
    }
    // Compose promises no order, and people look for a list that they know.
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(found.into_iter().map(|(_, instance)| instance).collect())
}

/// Which instance a service is; `None` of one that is no instance.
fn instance_of<'s>(template: &str, service: &'s str) -> Option<&'s str> {
    let id = match template.split_once("{instance}") {
        Some((before, after)) => service.strip_prefix(before)?.strip_suffix(after)?,
        None if service == template => service,
        None => return None,
    };
    Some(id).filter(|id| !id.is_empty())
}

/// The address at which a container's port is published on this host; `None` where it is not.
fn published(container: &Map<String, Value>, port: u16) -> Option<String> {
    let publishers = container.get("Publishers")?.as_array()?;
    publishers.iter().find_map(|publisher| {
        let number = |key: &str| publisher.get(key).and_then(Value::as_u64);
        let protocol = publisher.get("Protocol").and_then(Value::as_str);
        let is_it = number("TargetPort") == Some(u64::from(port))
            && protocol.is_none_or(|protocol| protocol == "tcp");
        let at = number("PublishedPort").filter(|at| is_it && *at != 0)?;
        let address = publisher.get("URL").and_then(Value::as_str);
        let address = address.and_then(|text| text.parse::<IpAddr>().ok());
        Some(match address.filter(|address| !address.is_unspecified()) {
            Some(IpAddr::V6(address)) => format!("[{address}]:{at}"),
            Some(IpAddr::V4(address)) => format!("{address}:{at}"),
            None => format!("127.0.0.1:{at}"),
        })
    })
}

#[cfg(test)]
mod tests;
