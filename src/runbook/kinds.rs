//! What kinds are called in a runbook, and which named checks each kind of step makes. Not in here: their fields (`model`).

use super::model::{ProbeKind, RollbackKind, StepKind};

impl StepKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Announce { .. } => "announce",
            Self::Confirm { .. } => "confirm",
            Self::Baseline { .. } => "baseline",
            Self::Freeze { .. } => "freeze",
            Self::Backup { .. } => "backup",
            Self::StoreBackup { .. } => "store_backup",
            Self::RestoreDrill { .. } => "restore_drill",
            Self::TargetCheck => "target_check",
            Self::Privileges => "privileges",
            Self::Connectivity => "connectivity",
            Self::Migrate { .. } => "migrate",
            Self::MigrationHistory => "migration_history",
            Self::KeepArtefacts { .. } => "keep_artefacts",
            Self::ExportOrder => "export_order",
            Self::Import => "import",
            Self::Sequences => "sequences",
            Self::Constraints => "constraints",
            Self::RowCounts => "row_counts",
            Self::Samples => "samples",
            Self::Smoke => "smoke",
            Self::ParityGate => "parity_gate",
            Self::Switch { .. } => "switch",
            Self::Rollout { .. } => "rollout",
            Self::RollbackReady => "rollback_ready",
            Self::VerifyCounts => "verify_counts",
            Self::VerifyEndpoints => "verify_endpoints",
            Self::VerifySlugs => "verify_slugs",
            Self::VerifyOrder => "verify_order",
            Self::VerifyIntegrity => "verify_integrity",
            Self::Reopen => "reopen",
            Self::Stabilise { .. } => "stabilise",
            Self::Checklist { .. } => "checklist",
            Self::Command { .. } => "command",
        }
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
            _ => &[],
        }
    }
}

impl ProbeKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Readiness => "readiness",
            Self::Metrics { .. } => "metrics",
            Self::Synthetic => "synthetic",
            Self::Pool => "pool",
            Self::Logs { .. } => "logs",
            Self::Postgres { .. } => "postgres",
            Self::PgBouncer(_) => "pgbouncer",
            Self::Prometheus(_) => "prometheus",
            Self::Command { .. } => "command",
        }
    }
}

impl RollbackKind {
    /// As written after `kind:`.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Halt => "halt",
            Self::RestoreConfig => "restore_config",
            Self::Restart { .. } => "restart",
            Self::Validate => "validate",
            Self::LiftFreeze => "lift_freeze",
            Self::Preserve { .. } => "preserve",
            Self::Incident { .. } => "incident",
            Self::Command(_) => "command",
        }
    }
}
