//! What an answer says while a session runs: who is there, of which revision and since when, and how many should be there. Pure. Not in
//! here: which place in the fleet each of them has (`session::membership`).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Discovered, Discovery, Prints, VALUE_CHARS, objects};
use crate::runbook::model::Instance;
use crate::text::printable;

/// More instances than this nobody means.
const WANTED_LIMIT: u64 = 10_000;
/// Longer names of revisions than this are none.
const REVISION_CHARS: usize = 100;

/// One instance, as an answer names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id in the answer. Another one after a restart is another name for the same place in the fleet.
    pub name: String,
    /// Base URL, without a slash at the end.
    pub url: String,
    pub host: String,
    /// What it runs, where the answer says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// When it began, where the answer says so: seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_unix_s: Option<i64>,
}

/// Who is there, and how many should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// In the answer's order.
    pub all: Vec<Member>,
    /// How many should be there; `None` where the answer does not say.
    pub wanted: Option<usize>,
}

impl Discovery {
    /// Who is there by this answer.
    ///
    /// # Errors
    /// The answer is not to be used, in words.
    pub fn members(&self, printed: &str) -> Result<Members, String> {
        let instances = match self.read(printed) {
            Discovered::Instances(instances) => instances,
            Discovered::NotAsked => return Err("nobody has asked".to_owned()),
            Discovered::Nothing { found, hint } => {
                return Err(match hint {
                    Some(hint) => format!("{found}; {hint}"),
                    None => found,
                });
            }
        };
        let said = match &self.prints {
            Prints::Instances => objects(printed)?,
            Prints::Containers { .. } => Vec::new(),
        };
        let all = instances
            .into_iter()
            .map(|instance| member(instance, &said));
        Ok(Members {
            all: all.collect::<Result<Vec<_>, String>>()?,
            wanted: wanted(&said)?,
        })
    }
}

/// Whether an object says how many instances should be there, and is none itself.
pub(super) fn is_wanted(object: &Map<String, Value>) -> bool {
    object.contains_key("wanted") && !object.contains_key("id")
}

fn wanted(said: &[Map<String, Value>]) -> Result<Option<usize>, String> {
    let mut numbers = said.iter().filter(|object| is_wanted(object));
    let Some(number) = numbers.next().and_then(|object| object.get("wanted")) else {
        return Ok(None);
    };
    let count = number
        .as_u64()
        .filter(|count| (1..=WANTED_LIMIT).contains(count));
    match (count, numbers.next()) {
        (Some(count), None) => Ok(usize::try_from(count).ok()),
        (Some(_), Some(_)) => Err("`wanted` twice".to_owned()),
        (None, _) => Err(format!(
            "`{}` as `wanted`, where a number of instances is expected",
            printable(&number.to_string(), VALUE_CHARS)
        )),
    }
}

/// An instance with what its object says beside.
fn member(instance: Instance, said: &[Map<String, Value>]) -> Result<Member, String> {
    let is_it = |object: &&Map<String, Value>| {
        object.get("id").and_then(Value::as_str) == Some(instance.id.as_str())
    };
    let object = said.iter().find(is_it);
    let value = |key: &str| object.and_then(|o| o.get(key)).filter(|v| !v.is_null());
    let wrong = |key: &str, found: &Value, expected: &str| {
        let found = printable(&found.to_string(), VALUE_CHARS);
        format!(
            "`{found}` as `{key}` of {}, where {expected} is expected",
            instance.id
        )
    };
    let revision = match value("revision") {
        None => None,
        Some(Value::String(text)) if !text.is_empty() => Some(printable(text, REVISION_CHARS)),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(other) => return Err(wrong("revision", other, "a name or a number")),
    };
    let started_unix_s = match value("started") {
        None => None,
        Some(found) => {
            let moment = moment(found);
            let expected = "a moment such as 2026-03-01T02:00:00Z, or seconds since 1970";
            Some(moment.ok_or_else(|| wrong("started", found, expected))?)
        }
    };
    Ok(Member {
        name: instance.id,
        url: instance.url,
        host: instance.host,
        revision,
        started_unix_s,
    })
}

fn moment(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64)),
        Value::String(text) => {
            let moment = chrono::DateTime::parse_from_rfc3339(text).ok()?;
            Some(moment.timestamp())
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
