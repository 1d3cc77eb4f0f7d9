//! Production as it stands, looked at before and after each action of a rehearsal: an action that changes it stops the rehearsal, and is
//! named. The fingerprint says what is compared; it reads, and takes no lock that anybody waits for.
//!
//! What it proves: no row of a table in the target's schema was added, changed or removed by a committed transaction, no table, column,
//! index, constraint, grant or sequence there is another, no file of an instance's configuration, and neither the schema of the SQLite file
//! nor its migration history. Of tables beyond [`target::EXACT_BYTES`] the file and PostgreSQL's counters are compared, not every
//! row. Rows of the SQLite file are left out: its users write to it meanwhile. Not in here: which actions may run at all
//! (`runbook::rehearsal`).

mod left;
mod local;
mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::runbook::production::Production;
use crate::runbook::{Instance, Runbook};
use crate::text::printable;

pub use crate::session::rehearsal::UNTOUCHED;
/// How many differences are named.
const NAMED: usize = 5;
/// How long one look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// Production as it was at one moment: what each part of it is called, and its state in a text that is compared and never shown whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Of one database alone, such as the scratch database of a rehearsal.
    pub async fn of_database(url: &str, schema: &str) -> Result<Fingerprint, String> {
        let mut seen = Fingerprint::default();
        target::look(url, schema, &mut seen).await?;
        Ok(seen)
    }

    fn put(&mut self, part: String, state: String) {
        self.0.insert(printable(&part, 200), state);
    }

    /// What is another in `later`, in words; `None` where nothing is.
    pub fn difference(&self, later: &Fingerprint) -> Option<String> {
        let gone = self.0.keys().filter(|part| !later.0.contains_key(*part));
        let mut told: Vec<String> = gone.map(|part| format!("{part} is gone")).collect();
        for (part, state) in &later.0 {
            match self.0.get(part) {
                None => told.push(format!("{part} is new")),
                Some(former) if former != state => told.push(format!("{part} has changed")),
                Some(_) => {}
            }
        }
        let more = match told.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(", and {n} more"),
        };
        told.truncate(NAMED);
        (!told.is_empty()).then(|| format!("{}{more}", told.join(", ")))
    }
}

/// Looks at production. Once something was found changed, no further action of the rehearsal is run.
pub struct Watch {
    /// What production is called.
    pub production: Production,
    /// The target of the night, as its owner reaches it.
    pub target_url: String,
    /// The same as the application reaches it.
    pub runtime_url: String,
    schema: String,
    /// The live SQLite file.
    pub source: PathBuf,
    configurations: Vec<(String, PathBuf)>,
    found: Mutex<Option<String>>,
}

impl Watch {
    /// Over the production of a runbook, whose relative paths begin at `base`.
    pub fn of(runbook: &Runbook, base: &Path) -> Watch {
        let fleet = &runbook.fleet;
        let configuration = |instance: &Instance| {
            let path = configuration_of(runbook, base, instance)?;
            Some((instance.id.clone(), path))
        };
        Watch {
            production: Production::of(runbook, &base.join(&runbook.source.file)),
            target_url: runbook.target.url.clone(),
            runtime_url: runbook.target.runtime_url.clone(),
            schema: runbook.target.schema.clone(),
            source: base.join(&runbook.source.file),
            configurations: fleet.instances.iter().filter_map(configuration).collect(),
            found: Mutex::default(),
        }
    }

    /// What was found changed, and by which action; `None` while nothing was.
    pub fn found(&self) -> Option<String> {
        let found = self.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Production before an action.
    ///
    /// # Errors
    /// It was changed before, or cannot be looked at: the action is not to be run.
    pub async fn before(&self) -> Result<Fingerprint, String> {
        if let Some(found) = self.found() {
            return Err(format!("{found}. Nothing more was run"));
        }
        self.look().await.map_err(|why| {
            format!("production cannot be looked at, so no action is run beside it: {why}")
        })
    }

    /// Production after an action, against what it was before.
    ///
    /// # Errors
    /// The action changed it, or that is not known. The rehearsal is to be stopped.
    pub async fn after(&self, action: &str, before: &Fingerprint) -> Result<(), String> {
        let found = match self.look().await {
            Ok(after) => match before.difference(&after) {
                None => return Ok(()),
                Some(difference) => {
                    format!("production changed while `{action}` ran: {difference}")
                }
            },
            Err(why) => format!(
                "whether `{action}` changed production is not known, for it cannot be looked at any more: {why}"
            ),
        };
        let mut slot = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(found.clone());
        Err(found)
    }

    async fn look(&self) -> Result<Fingerprint, String> {
        let look = async {
            let (source, configurations) = (self.source.clone(), self.configurations.clone());
            let local = tokio::task::spawn_blocking(move || local::look(&source, &configurations));
            let mut seen = local.await.expect("BUG: looking at files panicked")?;
            target::look(&self.target_url, &self.schema, &mut seen).await?;
            Ok(seen)
        };
        tokio::time::timeout(LOOK_LIMIT, look)
            .await
            .unwrap_or_else(|_| Err(format!("no answer in {} s", LOOK_LIMIT.as_secs())))
    }
}

/// Where an instance's configuration is; `None` where the runbook names none.
pub fn configuration_of(runbook: &Runbook, base: &Path, instance: &Instance) -> Option<PathBuf> {
    let pattern = runbook.fleet.config.as_ref()?;
    Some(base.join(instance.file(pattern)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_is_new_gone_and_changed() {
        let print = |parts: &[(&str, &str)]| {
            let mut print = Fingerprint::default();
            for (part, state) in parts {
                print.put((*part).to_owned(), (*state).to_owned());
            }
            print
        };
        let before = print(&[("a", "1"), ("b", "1"), ("c", "1")]);
        assert_eq!(before.difference(&before.clone()), None);
        assert_eq!(
            before.difference(&print(&[("a", "2"), ("b", "1"), ("d", "1")])),
            Some("c is gone, a has changed, d is new".to_owned())
        );
        let many: Vec<(String, String)> = (0..9).map(|n| (n.to_string(), String::new())).collect();
        let many = Fingerprint(many.into_iter().collect());
        let told = Fingerprint::default()
            .difference(&many)
            .expect("differences");
        assert!(told.ends_with("4 is new, and 4 more"), "{told}");
    }
}
