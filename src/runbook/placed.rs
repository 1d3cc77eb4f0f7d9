//! Every action of a runbook with its place: where it is written, what it is for. One list, so that nobody who looks at all of them can
//! forget one: a new kind of step is a compile error in here. Pure. Not in here: what is looked for (`rehearsal`, `cli::check`).

use super::action::Action;
use super::model::{
    Means, Migration, Place, ProbeKind, RollbackKind, Runbook, StepKind, SwitchHow,
};

/// Where an action stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// As problems name it: `steps[C1]`, `fleet.restart`.
    pub path: String,
    /// As people call it: `C1`, `fleet.restart`.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
}

/// What an action is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Prints the instances, when the runbook is read.
    Discovery,
    /// Restarts an instance (F2, R3).
    Restart,
    /// Connects to PostgreSQL from an instance's host (B3).
    Connect,
    /// Points the staging slot at the scratch side, and back.
    Point,
    /// Maintenance on (A1).
    MaintenanceOn,
    /// Maintenance off (F4, R4+).
    MaintenanceOff,
    /// Sends the backup away, or fetches it back (A3).
    SecondPlace,
    /// The migrations (C1).
    Migrate,
    /// The switch, and the way back (F1, R2).
    Switch,
    /// A step of the operator's own.
    Step,
    /// How a rollback undoes one.
    Undo,
    /// Restarts an instance in a rollback (R3).
    RollbackRestart,
    /// A row of the rollback of the operator's own.
    RollbackRow,
    /// Dumps the target (R5).
    Dump,
    Notice,
    Probe,
    /// Prints what is new in a log.
    Log,
    /// A request of `verification`, which is no action and leads to where its URL says.
    Request,
}

impl Purpose {
    /// Whether it is done for one instance at a time, so that `{instance}` and the like are filled in.
    pub fn is_per_instance(self) -> bool {
        match self {
            Purpose::Restart | Purpose::Connect | Purpose::RollbackRestart | Purpose::Log => true,
            Purpose::Discovery
            | Purpose::Point
            | Purpose::MaintenanceOn
            | Purpose::MaintenanceOff
            | Purpose::SecondPlace
            | Purpose::Migrate
            | Purpose::Switch
            | Purpose::Step
            | Purpose::Undo
            | Purpose::RollbackRow
            | Purpose::Dump
            | Purpose::Notice
            | Purpose::Probe
            | Purpose::Request => false,
        }
    }
}

impl Runbook {
    /// Every action, in the order of the sections.
    pub fn actions(&self) -> Vec<(Spot, Action)> {
        let mut copy = self.clone();
        let actions = copy.actions_mut().into_iter();
        actions
            .map(|(spot, action)| (spot, action.clone()))
            .collect()
    }

    /// The same, to be changed.
    pub fn actions_mut(&mut self) -> Vec<(Spot, &mut Action)> {
        let mut all = Vec::new();
        let mut add = |path: String, name: String, purpose, action| {
            let spot = Spot {
                path,
                name,
                purpose,
            };
            all.push((spot, action));
        };
        let section = |key: &str| (key.to_owned(), key.to_owned());
        if let Some(discovery) = &mut self.fleet.discovery {
            let (path, name) = section("fleet.instances");
            add(path, name, Purpose::Discovery, &mut discovery.action);
        }
        let (path, name) = section("fleet.restart");
        add(path, name, Purpose::Restart, &mut self.fleet.restart);
        if let Some(connect) = &mut self.fleet.connect {
            let (path, name) = section("fleet.connect");
            add(path, name, Purpose::Connect, connect);
        }
        let page = self.fleet.metrics.as_mut();
        if let Some(headers) = page.and_then(|page| page.headers_command.as_mut()) {
            let (path, name) = section("fleet.metrics.headers_command");
            add(path, name, Purpose::Probe, &mut headers.action);
        }
        for request in &mut self.verification.requests {
            if let Some(headers) = &mut request.headers_command {
                let path = at("verification.requests", &request.name, "headers_command");
                let name = named(&request.name, "headers_command");
                add(path, name, Purpose::Probe, &mut headers.action);
            }
        }
        let write = self.verification.write.as_mut();
        if let Some(headers) = write.and_then(|write| write.headers_command.as_mut()) {
            let (path, name) = section("verification.write.headers_command");
            add(path, name, Purpose::Probe, &mut headers.action);
        }
        if let Some(rehearsal) = &mut self.rehearsal {
            for (key, action) in [
                ("rehearsal.point", &mut rehearsal.point),
                ("rehearsal.unpoint", &mut rehearsal.unpoint),
            ] {
                if let Some(action) = action {
                    let (path, name) = section(key);
                    add(path, name, Purpose::Point, action);
                }
            }
        }
        for step in &mut self.steps {
            let id = step.id.clone();
            for (key, purpose, action) in of_step(&mut step.kind) {
                add(at("steps", &id, key), named(&id, key), purpose, action);
            }
        }
        for probe in &mut self.probes {
            let path = at("probes", &probe.id, "");
            match &mut probe.kind {
                ProbeKind::Command { action, .. } => {
                    add(path, probe.id.clone(), Purpose::Probe, action);
                }
                ProbeKind::Logs {
                    follow: Some(action),
                    ..
                } => add(path, probe.id.clone(), Purpose::Log, action),
                ProbeKind::Prometheus(server) => {
                    if let Some(headers) = &mut server.headers_command {
                        let path = at("probes", &probe.id, "headers_command");
                        let name = named(&probe.id, "headers_command");
                        add(path, name, Purpose::Probe, &mut headers.action);
                    }
                }
                ProbeKind::Logs { follow: None, .. }
                | ProbeKind::Readiness
                | ProbeKind::Metrics { .. }
                | ProbeKind::Otlp(_)
                | ProbeKind::Synthetic
                | ProbeKind::Pool
                | ProbeKind::Postgres { .. }
                | ProbeKind::PgBouncer(_) => {}
            }
        }
        for channel in &mut self.notify {
            if let Means::Command(action) = &mut channel.means {
                let path = at("notify", &channel.id, "");
                add(path, channel.id.clone(), Purpose::Notice, action);
            }
        }
        for row in &mut self.rollback {
            let id = row.id.clone();
            for (key, purpose, action) in of_row(&mut row.kind) {
                add(at("rollback", &id, key), named(&id, key), purpose, action);
            }
        }
        all
    }
}

fn at(section: &str, id: &str, key: &str) -> String {
    match key {
        "" => format!("{section}[{id}]"),
        key => format!("{section}[{id}].{key}"),
    }
}

/// What a row does first of all goes by the row's id alone.
fn named(id: &str, key: &str) -> String {
    match key {
        "" | "action" => id.to_owned(),
        key => format!("{id} {key}"),
    }
}

/// The actions of a step, each with its key.
fn of_step(kind: &mut StepKind) -> Vec<(&'static str, Purpose, &mut Action)> {
    match kind {
        StepKind::Freeze { on, off, .. } => vec![
            ("on", Purpose::MaintenanceOn, on),
            ("off", Purpose::MaintenanceOff, off),
        ],
        StepKind::StoreBackup {
            place: Place::Commands { upload, read_back },
            ..
        } => vec![
            ("place.upload", Purpose::SecondPlace, upload),
            ("place.read_back", Purpose::SecondPlace, read_back),
        ],
        StepKind::Migrate {
            run: Migration::Command(action),
            ..
        } => vec![("", Purpose::Migrate, action)],
        StepKind::Switch {
            how:
                SwitchHow::Action {
                    to_target,
                    to_source,
                },
        } => vec![
            ("to_target", Purpose::Switch, to_target),
            ("to_source", Purpose::Switch, to_source),
        ],
        StepKind::Command { action, undo } => {
            let undo = undo.iter_mut().map(|undo| ("undo", Purpose::Undo, undo));
            [("action", Purpose::Step, action)]
                .into_iter()
                .chain(undo)
                .collect()
        }
        StepKind::StoreBackup {
            place: Place::Directory(_),
            ..
        }
        | StepKind::Migrate {
            run: Migration::Script(_),
            ..
        }
        | StepKind::Switch {
            how: SwitchHow::Key { .. },
        }
        | StepKind::Announce { .. }
        | StepKind::Confirm { .. }
        | StepKind::Baseline { .. }
        | StepKind::Backup { .. }
        | StepKind::RestoreDrill { .. }
        | StepKind::TargetCheck
        | StepKind::Privileges
        | StepKind::Connectivity
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
        | StepKind::Rollout { .. }
        | StepKind::RollbackReady
        | StepKind::VerifyCounts
        | StepKind::VerifyEndpoints
        | StepKind::VerifySlugs
        | StepKind::VerifyOrder
        | StepKind::VerifyIntegrity
        | StepKind::Reopen
        | StepKind::Stabilise { .. }
        | StepKind::Checklist { .. } => Vec::new(),
    }
}

/// The actions of a row of the rollback, each with its key.
fn of_row(kind: &mut RollbackKind) -> Vec<(&'static str, Purpose, &mut Action)> {
    match kind {
        RollbackKind::Restart {
            action: Some(action),
        } => vec![("action", Purpose::RollbackRestart, action)],
        RollbackKind::Preserve {
            dump: Some(dump), ..
        } => vec![("dump", Purpose::Dump, dump)],
        RollbackKind::Command(action) => vec![("action", Purpose::RollbackRow, action)],
        RollbackKind::Restart { action: None }
        | RollbackKind::Preserve { dump: None, .. }
        | RollbackKind::Halt
        | RollbackKind::FenceTarget
        | RollbackKind::RestoreConfig
        | RollbackKind::BringBack
        | RollbackKind::Validate
        | RollbackKind::LiftFreeze
        | RollbackKind::Incident { .. } => Vec::new(),
    }
}
