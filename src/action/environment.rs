//! What every action of a session is run with: placeholders that follow the session, the runbook's secrets, and, in a rehearsal, an
//! environment from which production cannot be reached by habit. Not in here: which action a rehearsal may run at all
//! (`runbook::rehearsal`).

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::postgres::handed;
use crate::production::Watch;
use crate::runbook::Runbook;
use crate::runbook::placeholders::Placeholders;
use crate::runbook::production::Production;

/// The surroundings of a session's actions. Its `Debug` shows no value.
#[derive(Clone, Default)]
pub struct Environment {
    /// Values that follow the session; commands also see them as `CUTOVER_TARGET_URL` and so on, passwords included.
    pub placeholders: Placeholders,
    /// Variables that only commands see: the runbook's secrets.
    pub secrets: Vec<(String, String)>,
    /// Whether this is a rehearsal: then only actions that were cleared for it are run, and `CUTOVER_REHEARSAL` is 1.
    pub rehearsal: bool,
    /// Variables of this process that commands do not see.
    withheld: Vec<OsString>,
    /// What outputs do not show, although commands do not get it either.
    hidden: Vec<(String, String)>,
    /// Looks at production before and after each action of a rehearsal.
    watch: Option<Arc<Watch>>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |pairs: &[(String, String)]| -> Vec<String> {
            pairs.iter().map(|(name, _)| name.clone()).collect()
        };
        f.debug_struct("Environment")
            .field("rehearsal", &self.rehearsal)
            .field("secrets", &names(&self.secrets))
            .field("withheld", &self.withheld)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// Of a night on this runbook, whose relative paths begin at `base`.
    pub fn of_night(runbook: &Runbook, base: &Path, secrets: Vec<(String, String)>) -> Environment {
        Environment {
            placeholders: of_session(runbook, base),
            secrets,
            ..Environment::default()
        }
    }

    /// Of a rehearsal: `rehearsed` is what `runbook` became for it. `inherited` are the variables of this process, which commands see but
    /// for those that lead to production.
    pub fn of_rehearsal(
        runbook: &Runbook,
        rehearsed: &Runbook,
        base: &Path,
        secrets: Vec<(String, String)>,
        inherited: impl Iterator<Item = (OsString, OsString)>,
    ) -> Environment {
        let production = Production::of(runbook, &base.join(&runbook.source.file));
        let leads = |name: &str, value: &str| production.is_led_to_by(name, value);
        let withheld = inherited
            .filter(|(name, value)| leads(&name.to_string_lossy(), &value.to_string_lossy()))
            .map(|(name, _)| name)
            .collect();
        let (hidden, secrets) = secrets
            .into_iter()
            .partition(|(name, value)| leads(name, value));
        Environment {
            placeholders: of_session(rehearsed, base),
            secrets,
            rehearsal: true,
            withheld,
            hidden,
            watch: Some(Arc::new(Watch::of(runbook, base))),
        }
    }

    /// Who looks at production; `None` but in a rehearsal.
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_deref()
    }

    /// Names that commands do not see, although this process does.
    pub fn withheld(&self) -> &[OsString] {
        &self.withheld
    }

    /// By name, every value that no output may show: secrets, and what placeholders hold with a password.
    pub fn unshown(&self) -> Vec<(String, String)> {
        let private = self.placeholders.private();
        let private = private.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secrets = self.secrets.iter().chain(&self.hidden).cloned();
        secrets.chain(private).collect()
    }
}

/// The values that follow a session on this runbook.
fn of_session(runbook: &Runbook, base: &Path) -> Placeholders {
    let file = base.join(&runbook.source.file);
    let file = file.to_string_lossy();
    handed::placeholders("runtime", &runbook.target.runtime_url)
        .over(&handed::placeholders("target", &runbook.target.url))
        .with("source_url", format!("sqlite:///{file}"))
        .with("source_file", file)
}
