//! What every reporter has sent, added up: for each series what was counted since we began to listen, whatever its temporality, and for
//! each instance a page as its own exporter would have made it. Pure: times come in as values.
//!
//! A reporter that began anew (its start time lies behind its last point, or it has counted less than before) counts from zero on top of
//! what it had counted. What it counted before we listened is not known to be recent, and counts as nothing.
//!
//! Not in here: reading messages (`messages`, `points`), one instance's sums (`instance`), and what a page means (`monitor::metrics`).

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use super::instance::{Instance, NOTHING_YET};
use super::messages::{ExportMetrics, KeyValue, attribute};
use super::points;
use crate::monitor::Stage;
use crate::text::printable;

/// Reporters that are of no instance, and are named.
const STRANGERS: usize = 5;
/// Characters of a foreign name.
const NAME_CHARS: usize = 80;

/// How a reporter says which instance it is.
#[derive(Debug, Clone)]
pub struct Naming {
    /// The attribute of the resource.
    pub attribute: String,
    /// From its value to the instance's id.
    pub instances: BTreeMap<String, String>,
}

/// All that was sent.
#[derive(Debug)]
pub struct Accounts {
    naming: Naming,
    /// When we began to listen, by the wall clock.
    began_ns: u64,
    instances: BTreeMap<String, Instance>,
    /// Reporters of no instance, by what they call themselves.
    strangers: BTreeMap<String, u64>,
}

/// What of an export could not be taken.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Refused {
    pub count: i64,
    /// Why the last of them could not be.
    pub why: Option<String>,
}

impl Accounts {
    pub fn new(naming: Naming, began_ns: u64) -> Accounts {
        let instances = naming.instances.values();
        Accounts {
            instances: instances
                .map(|id| (id.clone(), Instance::default()))
                .collect(),
            naming,
            began_ns,
            strangers: BTreeMap::new(),
        }
    }

    /// Takes in an export that came at this session time.
    pub fn take(
        &mut self,
        export: &ExportMetrics,
        at_ms: i64,
        stage: Stage,
        is_read: &dyn Fn(&str) -> bool,
    ) -> Refused {
        let mut refused = Refused::default();
        for reported in &export.resource_metrics {
            let attributes = reported.resource.as_ref().map(|r| r.attributes.as_slice());
            let attributes = attributes.unwrap_or_default();
            let metrics = || {
                reported
                    .scope_metrics
                    .iter()
                    .flat_map(|scope| &scope.metrics)
            };
            let instance = match self.instance_of(attributes) {
                Ok(id) => self.instances.entry(id).or_default(),
                Err(why) => {
                    refused.count += metrics()
                        .map(|metric| points::of(metric, is_read))
                        .map(|p| p.taken.len() as i64)
                        .sum::<i64>();
                    refused.why = Some(why);
                    continue;
                }
            };
            instance.heard(at_ms, stage);
            for scope in &reported.scope_metrics {
                let name = scope.scope.as_ref().map_or("", |scope| &scope.name);
                for metric in &scope.metrics {
                    let points = points::of(metric, is_read);
                    refused.add(points.rejected, points.why);
                    let key = key(attributes, name);
                    instance.put(key, points.taken, at_ms, self.began_ns, &mut refused);
                }
            }
        }
        refused
    }

    /// The instance whose reporter has these attributes.
    ///
    /// # Errors
    /// It is of none; in words for the application's own log.
    pub fn instance_of(&mut self, attributes: &[KeyValue]) -> Result<String, String> {
        let wanted = self.naming.attribute.clone();
        let Some(value) = attribute(attributes, &wanted) else {
            self.stranger("(unnamed)");
            return Err(format!(
                "the resource has no attribute {wanted}, so that nobody knows which instance this is: set OTEL_RESOURCE_ATTRIBUTES={wanted}=…"
            ));
        };
        if let Some(id) = self.naming.instances.get(&value) {
            return Ok(id.clone());
        }
        let shown = printable(&value, NAME_CHARS);
        self.stranger(&shown);
        Err(format!(
            "{wanted} is `{shown}`, which is no instance of this session: the probe's `instances` says which it is"
        ))
    }

    fn stranger(&mut self, name: &str) {
        if self.strangers.len() < STRANGERS || self.strangers.contains_key(name) {
            *self.strangers.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Who sends and is of no instance, a line for people each.
    pub fn strangers(&self) -> Vec<String> {
        let line = |(name, count): (&String, &u64)| {
            format!("{name} sent {count} times, and is no instance of this session")
        };
        self.strangers.iter().map(line).collect()
    }

    /// An instance's page, and where maintenance stood when it was last heard.
    ///
    /// # Errors
    /// It has sent nothing for longer than it may, or more than there is room for; in words.
    pub fn page(
        &mut self,
        id: &str,
        at_ms: i64,
        silent_ms: i64,
    ) -> Result<(Stage, String), String> {
        match self.instances.get_mut(id) {
            Some(instance) => instance.page(at_ms, silent_ms),
            None => Err(NOTHING_YET.to_owned()),
        }
    }

    /// An instance has sent a log record at this session time.
    pub fn logged(&mut self, id: &str, at_ms: i64) {
        let instance = self.instances.entry(id.to_owned()).or_default();
        instance.logged(at_ms);
    }

    /// The instances whose log records may be missing, by id, and why: nothing at all is heard of them. Whoever sends metrics may have
    /// nothing to log.
    ///
    /// # Errors
    /// No instance has ever sent a record, so that nobody knows whether any would come; in words.
    pub fn without_logs(
        &self,
        at_ms: i64,
        silent_ms: i64,
    ) -> Result<Vec<(String, String)>, String> {
        if !self.instances.values().any(Instance::has_logged) {
            return Err("no instance has sent a log record yet".to_owned());
        }
        let silent = |(id, instance): (&String, &Instance)| {
            let why = instance.is_alive(at_ms, silent_ms).err()?;
            Some((id.clone(), why))
        };
        Ok(self.instances.iter().filter_map(silent).collect())
    }
}

impl Refused {
    pub(super) fn add(&mut self, count: i64, why: Option<String>) {
        self.count += count;
        self.why = why.or(self.why.take());
    }
}

/// Which process it is, and which of its libraries.
fn key(attributes: &[KeyValue], scope: &str) -> u64 {
    let mut pairs: Vec<(&str, Option<String>)> = attributes
        .iter()
        .map(|one| (one.key.as_str(), one.value.as_ref().and_then(|v| v.text())))
        .collect();
    pairs.sort();
    BuildHasherDefault::<DefaultHasher>::default().hash_one((pairs, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        let same = |id: &str| (id.to_owned(), id.to_owned());
        let naming = Naming {
            attribute: "service.instance.id".to_owned(),
            instances: BTreeMap::from([same("a"), same("b")]),
        };
        Accounts::new(naming, 0)
    }

    #[test]
    fn logs_are_blind_until_a_record_came_and_in_part_where_an_instance_is_silent() {
        let mut accounts = accounts();
        let silent = |accounts: &Accounts, at_ms| accounts.without_logs(at_ms, 1_000);
        let metrics = |accounts: &mut Accounts, id: &str, at_ms| {
            let instance = accounts.instances.get_mut(id).expect("it is known");
            instance.heard(at_ms, Stage::Usual);
        };
        metrics(&mut accounts, "a", 0);
        metrics(&mut accounts, "b", 0);
        let why = silent(&accounts, 0).expect_err("no record came");
        assert!(why.contains("no instance has sent a log record"), "{why}");
        accounts.logged("a", 500);
        assert_eq!(silent(&accounts, 1_000), Ok(Vec::new()));
        // Metrics alone are a sign of life.
        metrics(&mut accounts, "b", 2_000);
        let told = silent(&accounts, 2_000).expect("records came");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].0, "a");
        assert!(told[0].1.starts_with("has sent nothing for "), "{told:?}");
    }
}
