//! The order of steps and of the rollback: what must be there, what must come before what, and what each needs from elsewhere.

use super::Check;
use crate::runbook::feed;
use crate::runbook::model::{Probe, ProbeKind, RequestClass, Step, StepKind, SwitchHow, Writes};
use crate::runbook::reader::quoted;

/// Kinds without which a cutover is none. They occur once and nobody may skip them.
const MANDATORY: [&str; 8] = [
    "freeze",
    "backup",
    "import",
    "parity_gate",
    "switch",
    "rollout",
    "reopen",
    "checklist",
];

/// What E4 has to rest on.
const PROOFS: [&str; 2] = ["row_counts", "samples"];

/// What must come before what, where both are there.
const ORDER: [(&str, &str); 30] = [
    ("baseline", "freeze"),
    ("freeze", "backup"),
    ("backup", "store_backup"),
    ("backup", "restore_drill"),
    ("backup", "import"),
    ("target_check", "migrate"),
    ("migrate", "migration_history"),
    ("migrate", "import"),
    ("export_order", "import"),
    ("import", "sequences"),
    ("import", "constraints"),
    ("import", "row_counts"),
    ("import", "samples"),
    ("import", "smoke"),
    ("row_counts", "parity_gate"),
    ("samples", "parity_gate"),
    ("smoke", "parity_gate"),
    ("parity_gate", "switch"),
    ("switch", "rollout"),
    ("rollout", "verify_counts"),
    ("rollout", "verify_endpoints"),
    ("rollout", "verify_slugs"),
    ("rollout", "verify_order"),
    ("rollout", "verify_integrity"),
    ("verify_counts", "reopen"),
    ("verify_endpoints", "reopen"),
    ("verify_slugs", "reopen"),
    ("verify_order", "reopen"),
    ("verify_integrity", "reopen"),
    ("reopen", "checklist"),
];

/// The order of the rollback: configuration before restart, proof before the freeze is lifted.
const ROLLBACK_ORDER: [(&str, &str); 8] = [
    ("halt", "fence_target"),
    ("fence_target", "bring_back"),
    ("bring_back", "restart"),
    ("bring_back", "preserve"),
    ("halt", "restore_config"),
    ("restore_config", "restart"),
    ("restart", "validate"),
    ("validate", "lift_freeze"),
];

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    if check.sound(&["steps"]) {
        mandatory(check);
        order(check);
        needs(check);
        compared(check);
    }
    if check.sound(&["steps", "rollback"]) {
        rollback(check);
    }
    if check.sound(&["rollback", "feed"]) {
        brings(check);
    }
    if check.sound(&["steps", "fleet", "verification"]) {
        let runbook = check.runbook;
        runbook.steps.iter().for_each(|step| equipment(check, step));
        smoke(check);
    }
}

/// E3 writes nothing, so that it asks what reads and nothing else.
fn smoke(check: &mut Check<'_, '_, '_>) {
    let requests = &check.runbook.verification.requests;
    let reads = requests.iter().any(|r| r.class == RequestClass::Read);
    if reads || requests.is_empty() || of_kind(check, "smoke").is_empty() {
        return;
    }
    let expected = "a request of class `read`: E3 sends no other";
    let hint = "E3 would be done without having asked anything, and gives no confidence points";
    check.warn(
        "verification.requests",
        expected,
        "none",
        Some(hint.to_owned()),
    );
}

fn of_kind<'s>(check: &Check<'s, '_, '_>, kind: &str) -> Vec<&'s Step> {
    let steps = check.runbook.steps.iter();
    steps.filter(|step| step.kind.key() == kind).collect()
}

fn mandatory(check: &mut Check<'_, '_, '_>) {
    let missing: Vec<&str> = MANDATORY
        .into_iter()
        .filter(|kind| of_kind(check, kind).is_empty())
        .collect();
    if !missing.is_empty() {
        let expected = format!("a step of kind {}", quoted(missing.into_iter()));
        check.error("steps", &expected, "none", None);
    }
    for kind in MANDATORY {
        for (n, step) in of_kind(check, kind).into_iter().enumerate() {
            if n > 0 {
                let path = format!("steps[{}].kind", step.id);
                check.error(
                    &path,
                    &format!("one step of kind `{kind}`"),
                    "another",
                    None,
                );
            }
            if step.may_skip {
                let path = format!("steps[{}].may_skip", step.id);
                let expected = format!("`false`: a cutover without `{kind}` is none");
                check.error(&path, &expected, "`true`", None);
            }
        }
    }
}

/// What E4 is about: without a comparison among what it needs it would be green by nothing.
fn compared(check: &mut Check<'_, '_, '_>) {
    let gates = of_kind(check, "parity_gate");
    for (gate, kind) in gates
        .iter()
        .flat_map(|gate| PROOFS.map(|kind| (gate, kind)))
    {
        let proofs = of_kind(check, kind);
        if !proofs.iter().any(|step| gate.needs.contains(&step.id)) {
            let path = format!("steps[{}].needs", gate.id);
            let expected = format!("a step of kind `{kind}` among what {} needs", gate.id);
            check.error(&path, &expected, "none", None);
        }
        for step in proofs.into_iter().filter(|step| step.may_skip) {
            let path = format!("steps[{}].may_skip", step.id);
            let expected = format!("`false`: {} is never green without `{kind}`", gate.id);
            check.error(&path, &expected, "`true`", None);
        }
    }
}

fn order(check: &mut Check<'_, '_, '_>) {
    for (first, then) in ORDER {
        let (Some(a), Some(b)) = (check.position_of(first), check.position_of(then)) else {
            continue;
        };
        if a > b {
            let (first_step, then_step) = (&check.runbook.steps[a].id, &check.runbook.steps[b].id);
            let path = format!("steps[{then_step}]");
            let expected = format!("{first_step} (`{first}`) before {then_step} (`{then}`)");
            check.error(&path, &expected, "it after", None);
        }
    }
}

/// What a step needs exists and comes earlier; so nothing waits for itself.
fn needs(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    let ids = check.step_ids();
    for (n, step) in runbook.steps.iter().enumerate() {
        let of: &[String] = match &step.kind {
            StepKind::KeepArtefacts { of } => of,
            _ => &[],
        };
        let named = [("needs", step.needs.as_slice()), ("of", of)];
        for (key, i, other) in named
            .into_iter()
            .flat_map(|(key, list)| list.iter().enumerate().map(move |(i, id)| (key, i, id)))
        {
            let path = format!("steps[{}].{key}[{i}]", step.id);
            if !check.known(&path, "the id of a step", other, &ids) {
                continue;
            }
            let at = ids.iter().position(|id| id == other).unwrap_or(n);
            if at >= n {
                let found = match at == n {
                    true => "the step itself".to_owned(),
                    false => format!("`{other}`, which comes later"),
                };
                let cycle = runbook.steps[at].needs.contains(&step.id) && at > n;
                let hint = cycle.then(|| format!("{} and {other} wait for each other", step.id));
                let expected = format!("a step before {}", step.id);
                check.error(&path, &expected, &found, hint);
            }
        }
    }
}

fn rollback(check: &mut Check<'_, '_, '_>) {
    let rows: Vec<&str> = check
        .runbook
        .rollback
        .iter()
        .map(|r| r.kind.key())
        .collect();
    let at = |kind: &str| rows.iter().position(|k| *k == kind);
    let wanted = [
        ("switch", "restore_config"),
        ("switch", "restart"),
        ("switch", "validate"),
        ("freeze", "lift_freeze"),
    ];
    for (step, row) in wanted {
        if let Some(step) = of_kind(check, step).first()
            && at(row).is_none()
        {
            let expected = format!("a row of kind `{row}`, which undoes {}", step.id);
            check.error("rollback", &expected, "none", None);
        }
    }
    for (first, then) in ROLLBACK_ORDER {
        if let (Some(a), Some(b)) = (at(first), at(then))
            && a > b
        {
            let path = format!("rollback[{}]", check.runbook.rollback[b].id);
            check.error(
                &path,
                &format!("`{first}` before `{then}`"),
                "it after",
                None,
            );
        }
    }
}

/// Rows of a rollback that bring what users wrote into SQLite, each as it is written down, and before which row. A runbook of an earlier version
/// has neither.
const BRINGING: [(&str, &str, &str); 2] = [
    (
        "fence_target",
        "{ id: R1+, kind: fence_target, title: Shut out writes to PostgreSQL }",
        "restore_config",
    ),
    (
        "bring_back",
        "{ id: R2+, kind: bring_back, title: Bring what users wrote into SQLite }",
        "restart",
    ),
];

/// Nothing is followed where one of the two is missing, whatever `feed` says.
fn brings(check: &mut Check<'_, '_, '_>) {
    let runbook = check.runbook;
    if runbook.feed.writes == Writes::Salvage || feed::keeps_writes(runbook) {
        return;
    }
    let is_missing = |kind: &str| !runbook.rollback.iter().any(|row| row.kind.key() == kind);
    let missing = BRINGING.iter().filter(|(kind, _, _)| is_missing(kind));
    let (found, lines): (Vec<String>, Vec<String>) = missing
        .map(|(kind, line, before)| {
            (
                format!("no `{kind}`"),
                format!("`- {line}` before the row of kind `{before}`"),
            )
        })
        .unzip();
    let expected = "rows of kind `fence_target` and `bring_back`: without both a rollback leaves what users wrote to PostgreSQL in a file";
    let hint = format!(
        "{}; or, where people are to bring it in by hand, `feed: {{ writes: salvage }}` at the top",
        lines.join(", and ")
    );
    check.warn("rollback", expected, &found.join(", "), Some(hint));
}

/// What a step needs from other sections.
fn equipment(check: &mut Check<'_, '_, '_>, step: &Step) {
    let fleet = &check.runbook.fleet;
    let no_requests = check.runbook.verification.requests.is_empty();
    let missing = match &step.kind {
        StepKind::Switch {
            how: SwitchHow::Key { .. },
        } if fleet.config.is_none() => "`fleet.config`, the file that holds the key",
        StepKind::Connectivity if fleet.connect.is_none() => {
            "`fleet.connect`, which connects from an instance's host"
        }
        StepKind::Smoke if fleet.staging.is_none() => "`fleet.staging`, the slot it asks",
        StepKind::Smoke | StepKind::VerifyEndpoints if no_requests => {
            "`verification.requests`, what it asks"
        }
        StepKind::Baseline { .. } if fleet.metrics.is_none() && !has_other_figures(check) => {
            "`fleet.metrics`, where error rate and latency come from, or another probe that makes `http_5xx_ratio` and `latency_p95_ms`"
        }
        StepKind::Announce { .. }
        | StepKind::Confirm { .. }
        | StepKind::Baseline { .. }
        | StepKind::Freeze { .. }
        | StepKind::Backup { .. }
        | StepKind::StoreBackup { .. }
        | StepKind::RestoreDrill { .. }
        | StepKind::TargetCheck
        | StepKind::Privileges
        | StepKind::Connectivity
        | StepKind::Migrate { .. }
        | StepKind::MigrationHistory
        | StepKind::KeepArtefacts { .. }
        | StepKind::ExportOrder
        | StepKind::Import
        | StepKind::Sequences
        | StepKind::Constraints
        | StepKind::RowCounts
        | StepKind::Samples
        | StepKind::Smoke
        | StepKind::ParityGate
        | StepKind::Switch { .. }
        | StepKind::Rollout { .. }
        | StepKind::RollbackReady
        | StepKind::VerifyCounts
        | StepKind::VerifyEndpoints
        | StepKind::VerifySlugs
        | StepKind::VerifyOrder
        | StepKind::VerifyIntegrity
        | StepKind::Reopen
        | StepKind::Stabilise { .. }
        | StepKind::Checklist { .. }
        | StepKind::Command { .. } => return,
    };
    let path = format!("steps[{}]", step.id);
    check.error(&path, missing, "none", None);
}

/// Whether a probe other than `metrics` tells error rate and latency, which P3 has to see.
fn has_other_figures(check: &Check<'_, '_, '_>) -> bool {
    let others = check.runbook.probes.iter();
    let others = others.filter(|p| !matches!(p.kind, ProbeKind::Metrics { .. }));
    let made: Vec<String> = others.flat_map(Probe::signals).collect();
    let is_made = |signal: &&str| made.iter().any(|name| name == signal);
    ["http_5xx_ratio", "latency_p95_ms"].iter().all(is_made)
}
