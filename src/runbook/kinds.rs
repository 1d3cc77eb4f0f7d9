//! Kinds of fleets, steps, probes and rollback rows: what each is called in a runbook, which keys are its own, and which named checks a kind of step
//! makes. A new kind does not compile before it stands here. Not in here: their fields (`model`) and what those must look like (`parse`).

use strum::IntoEnumIterator;

use super::model::{
    ManagerWord, ProbeKind, ProbeWord, RollbackKind, RollbackWord, StepKind, StepWord,
};

/// A kind alone, without its fields.
pub trait Word: Copy + PartialEq + IntoEnumIterator + Into<&'static str> {
    /// The keys that an entry of this kind may have beside those that all have.
    fn own_keys(self) -> &'static [&'static str];

    /// As written after `kind:`.
    fn word(self) -> &'static str {
        self.into()
    }
}

impl Word for ManagerWord {
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Command => &[],
            Self::Systemd => &["unit", "user", "via"],
            Self::Compose => &["file", "project", "service"],
        }
    }
}

impl Word for StepWord {
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Announce => &["text", "webhook"],
            Self::Confirm => &["roles"],
            Self::Baseline | Self::Stabilise => &["window"],
            Self::Freeze => &["on", "off", "quiet", "status"],
            Self::Backup => &["to", "keep"],
            Self::StoreBackup => &["place", "keep"],
            Self::RestoreDrill => &["queries"],
            Self::Migrate => &[
                "command", "shell", "script", "version", "timeout", "env", "stdin", "rehearse",
            ],
            Self::KeepArtefacts => &["of"],
            Self::Switch => &["key", "from", "to", "to_target", "to_source"],
            Self::Rollout => &["batch"],
            Self::Checklist => &["stays_green"],
            Self::Command => &["action", "undo"],
            Self::TargetCheck
            | Self::Privileges
            | Self::Connectivity
            | Self::MigrationHistory
            | Self::ExportOrder
            | Self::Import
            | Self::Sequences
            | Self::Constraints
            | Self::RowCounts
            | Self::Samples
            | Self::Smoke
            | Self::ParityGate
            | Self::RollbackReady
            | Self::VerifyCounts
            | Self::VerifyEndpoints
            | Self::VerifySlugs
            | Self::VerifyOrder
            | Self::VerifyIntegrity
            | Self::Reopen => &[],
        }
    }
}

impl Word for ProbeWord {
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Readiness | Self::Synthetic | Self::Pool => &[],
            Self::Metrics => &["window"],
            Self::Otlp => &[
                "listen",
                "window",
                "every",
                "attribute",
                "instances",
                "rules",
                "map",
                "leave_out",
            ],
            Self::Logs => &["rules", "command", "shell"],
            Self::Postgres => &["slow", "window"],
            Self::PgBouncer => &["url", "database"],
            Self::Prometheus => &["url", "headers", "headers_command", "queries", "baseline"],
            Self::Command => &["command", "shell", "env", "stdin", "signals"],
        }
    }
}

impl Word for RollbackWord {
    fn own_keys(self) -> &'static [&'static str] {
        match self {
            Self::Halt
            | Self::FenceTarget
            | Self::RestoreConfig
            | Self::BringBack
            | Self::Validate
            | Self::LiftFreeze => &[],
            Self::Restart | Self::Command => &["action"],
            Self::Preserve => &["logs", "dump"],
            Self::Incident => &["file"],
        }
    }
}

impl StepKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        StepWord::from(self).word()
    }

    /// Names of the checks that a step of this kind makes; triggers with `check:` judge them.
    pub fn checks(&self) -> &'static [&'static str] {
        match self {
            Self::Migrate { .. } => &["migration_exit"],
            Self::MigrationHistory => &["migration_history", "schema"],
            Self::RowCounts => &["row_counts"],
            Self::Samples => &["slugs", "order", "integrity", "samples"],
            Self::Smoke => &["smoke"],
            Self::VerifyCounts => &["verification", "row_counts"],
            Self::VerifyEndpoints => &["verification"],
            Self::VerifySlugs => &["verification", "slugs"],
            Self::VerifyOrder => &["verification", "order"],
            Self::VerifyIntegrity => &["verification", "integrity"],
            Self::Announce { .. }
            | Self::Confirm { .. }
            | Self::Baseline { .. }
            | Self::Freeze { .. }
            | Self::Backup { .. }
            | Self::StoreBackup { .. }
            | Self::RestoreDrill { .. }
            | Self::TargetCheck
            | Self::Privileges
            | Self::Connectivity
            | Self::KeepArtefacts { .. }
            | Self::ExportOrder
            | Self::Import
            | Self::Sequences
            | Self::Constraints
            | Self::ParityGate
            | Self::Switch { .. }
            | Self::Rollout { .. }
            | Self::RollbackReady
            | Self::Reopen
            | Self::Stabilise { .. }
            | Self::Checklist { .. }
            | Self::Command { .. } => &[],
        }
    }
}

impl ProbeKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        ProbeWord::from(self).word()
    }
}

impl RollbackKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        RollbackWord::from(self).word()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_called_as_runbooks_have_it() {
        assert_eq!(StepWord::StoreBackup.word(), "store_backup");
        assert_eq!(ProbeWord::PgBouncer.word(), "pgbouncer");
        assert_eq!(RollbackWord::LiftFreeze.word(), "lift_freeze");
    }
}
