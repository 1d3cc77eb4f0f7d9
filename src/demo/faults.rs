//! The faults of the sandbox: what each is called, and at which row it comes in unless told otherwise.
//!
//! Not in here: how it is done ([`super::supervisor`]); whoever injects asks the supervisor to.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::control::{self, Request};

/// Something that goes wrong, for real.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// Bytes of the stored backup change.
    BackupCorrupt,
    /// A process writes to the SQLite file past the application, and keeps trying.
    SecondWriter,
    /// The migration script ends with an error.
    MigrationFails,
    /// The migration script succeeds without its last migration.
    MigrationMissing,
    /// Rows of `ToolFeatures` vanish from the target.
    RowLoss,
    /// Slugs in the target lead to other tools.
    SlugMismatch,
    /// The target orders titles by another collation.
    OrderMismatch,
    /// A feature in the target belongs to a tool that does not exist.
    Orphan,
    /// A third of the instances never become ready on PostgreSQL.
    NotReady,
    /// Instances end while they start on PostgreSQL.
    CrashOnStart,
    /// 0.7 % of requests fail on PostgreSQL: above twice the baseline, below one percent.
    #[serde(rename = "5xx-low")]
    #[strum(serialize = "5xx-low")]
    ErrorsLow,
    /// 3 % of requests fail on PostgreSQL.
    #[serde(rename = "5xx")]
    #[strum(serialize = "5xx")]
    ErrorsHigh,
    /// Requests take 700 ms longer on PostgreSQL.
    Slow,
    /// Somebody holds every connection of the pools.
    PoolExhaustion,
    /// PostgreSQL stops as if it had crashed.
    TargetDown,
}

impl Fault {
    /// Every fault, in the order of the protocol's table.
    pub const ALL: [Self; 15] = [
        Self::BackupCorrupt,
        Self::SecondWriter,
        Self::MigrationFails,
        Self::MigrationMissing,
        Self::RowLoss,
        Self::SlugMismatch,
        Self::OrderMismatch,
        Self::Orphan,
        Self::NotReady,
        Self::CrashOnStart,
        Self::ErrorsLow,
        Self::ErrorsHigh,
        Self::Slow,
        Self::PoolExhaustion,
        Self::TargetDown,
    ];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What it does, in a line.
    pub fn what(self) -> &'static str {
        match self {
            Self::BackupCorrupt => "bytes of the stored backup change",
            Self::SecondWriter => "a process writes to the SQLite file past the application",
            Self::MigrationFails => "the migration script ends with an error",
            Self::MigrationMissing => "the migration script succeeds without its last migration",
            Self::RowLoss => "rows vanish from PostgreSQL",
            Self::SlugMismatch => "slugs in PostgreSQL lead to other tools",
            Self::OrderMismatch => "PostgreSQL orders titles by another collation",
            Self::Orphan => "a feature in PostgreSQL belongs to a tool that does not exist",
            Self::NotReady => "a third of the instances never become ready on PostgreSQL",
            Self::CrashOnStart => "instances end while they start on PostgreSQL",
            Self::ErrorsLow => "0.7 % of requests fail on PostgreSQL",
            Self::ErrorsHigh => "3 % of requests fail on PostgreSQL",
            Self::Slow => "requests take 700 ms longer on PostgreSQL",
            Self::PoolExhaustion => "somebody holds every connection of the pools",
            Self::TargetDown => "PostgreSQL stops as if it had crashed",
        }
    }

    /// Whether it is one of the server's, and not of what the sandbox has on it: such a one is made on a server of the sandbox's own alone.
    pub fn needs_own_server(self) -> bool {
        match self {
            Self::TargetDown => true,
            Self::BackupCorrupt
            | Self::SecondWriter
            | Self::MigrationFails
            | Self::MigrationMissing
            | Self::RowLoss
            | Self::SlugMismatch
            | Self::OrderMismatch
            | Self::Orphan
            | Self::NotReady
            | Self::CrashOnStart
            | Self::ErrorsLow
            | Self::ErrorsHigh
            | Self::Slow
            | Self::PoolExhaustion => false,
        }
    }

    /// The row before whose start it comes in unless told otherwise: all rows before it are done then.
    pub fn default_step(self) -> &'static str {
        match self {
            Self::BackupCorrupt => "A4",
            Self::SecondWriter => "A1",
            Self::MigrationFails | Self::MigrationMissing => "C1",
            Self::RowLoss | Self::SlugMismatch | Self::OrderMismatch | Self::Orphan => "E1",
            Self::NotReady | Self::CrashOnStart => "F2",
            Self::ErrorsLow
            | Self::ErrorsHigh
            | Self::Slow
            | Self::PoolExhaustion
            | Self::TargetDown => "G1",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

/// No fault has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault `{name}`; there are {}", names())]
pub struct UnknownFault {
    /// What was asked for.
    pub name: String,
}

fn names() -> String {
    Fault::ALL.map(Fault::name).join(", ")
}

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(name: &str) -> Result<Self, UnknownFault> {
        Self::ALL
            .into_iter()
            .find(|fault| fault.name() == name)
            .ok_or_else(|| UnknownFault {
                name: name.to_string(),
            })
    }
}

/// Makes it happen in the sandbox of this folder; returns once it has. Blocks.
pub fn inject(dir: &Path, fault: Fault) -> Result<(), control::Error> {
    control::ask(dir, &Request::Fault { fault }).map(drop)
}

/// Takes back what can be taken back: faults of processes, the script, the stopped server. Damaged data stays damaged. Blocks.
pub fn heal(dir: &Path) -> Result<(), control::Error> {
    control::ask(dir, &Request::Heal).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_and_is_the_name_on_the_wire() {
        for fault in Fault::ALL {
            assert_eq!(fault.name().parse(), Ok(fault));
            assert_eq!(serde_json::to_value(fault).expect("a name"), fault.name());
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known() {
        let error = "meteor".parse::<Fault>().expect_err("no such fault");
        assert!(
            error
                .to_string()
                .contains("`meteor`; there are backup-corrupt, second-writer"),
            "{error}"
        );
    }
}
