//! What is not the engine, as a model: two databases, the fleet, the files, the probes' answers. It holds the truth that an engine's words
//! are compared with.
//!
//! Not in here: the journal's disk (`book`), the work of steps (`steps`), what must hold (`rules`).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use cutover::engine::Input;
use cutover::session::Recorded;

use super::book::Disk;
use super::script::{Mishap, Sabotage};
use super::steps::Task;

pub type Shared = Rc<RefCell<World>>;

/// Instances of the fleet.
pub const FLEET: [&str; 3] = ["app-1", "app-2", "app-3"];

/// A database, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Sqlite,
    Postgres,
}

/// Rows are numbers: each write of the application is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    pub rows: BTreeSet<u32>,
    /// Grows with every write, whoever writes.
    pub version: u64,
}

#[derive(Debug, Clone)]
pub struct Instance {
    /// What its configuration says.
    pub config: Side,
    /// What it loaded when it started.
    pub serves: Side,
    pub starting_until_ms: i64,
    pub down_until_ms: i64,
}

/// The fence lives in an engine's process.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    pub engine: u32,
    pub version: u64,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    pub rule: &'static str,
    pub what: String,
}

/// What goes wrong at the moment, with its end.
#[derive(Debug, Default)]
pub struct Faults {
    pub disk_full_until_ms: i64,
    pub late_until_ms: i64,
    pub late_by_ms: i64,
    pub silent_until_ms: i64,
    pub errors_until_ms: i64,
    /// What the next step meets.
    pub next: Option<Mishap>,
    /// An engine, and how many boundaries it still crosses before it dies; whether the machine restarts.
    pub crash: Option<(u32, u32, bool)>,
    /// Maintenance was lifted by a person beside the session.
    pub by_hand: bool,
}

pub struct World {
    pub seed: u64,
    pub now_ms: i64,
    pub booted_ms: i64,
    pub boots: u32,
    pub sqlite: Database,
    pub postgres: Database,
    pub has_schema: bool,
    pub instances: Vec<Instance>,
    pub maintenance: bool,
    pub fence: Option<Fence>,
    /// Whether a rollback has shut out writes to PostgreSQL.
    pub is_target_fenced: bool,
    /// What A2 kept.
    pub backup: Option<Database>,
    /// What E1 saw in PostgreSQL.
    pub proven: Option<BTreeSet<u32>>,
    /// What users were told is written, and where it was then.
    pub acknowledged: BTreeMap<u32, Side>,
    next_row: u32,
    /// When SQLite was written although it was fenced, or while nobody fenced it.
    pub past_fence_ms: Vec<i64>,
    /// Rows that a rollback found in PostgreSQL alone.
    pub salvaged: BTreeSet<u32>,
    pub disk: Disk,
    pub tasks: Vec<Task>,
    /// What is on its way to an engine, and when it arrives.
    pub inputs: VecDeque<(i64, u32, Input)>,
    /// Which engines look at maintenance.
    pub lookouts: BTreeSet<u32>,
    /// The judge's memory: as noted, and as it was last written.
    pub memory: (Option<serde_json::Value>, Option<serde_json::Value>),
    /// Samples as engines got them: signal, engine, when taken, value.
    pub heard: BTreeMap<String, Vec<(u32, i64, Option<f64>)>>,
    /// Since when the checklist has been shown green.
    pub green_since_ms: Option<i64>,
    pub faults: Faults,
    pub sabotage: Option<Sabotage>,
    pub breach: Option<Breach>,
    pub counts: BTreeMap<&'static str, u64>,
    /// How many engines have begun.
    pub engines: u32,
    /// Which of them has the lease; `None` while nobody has.
    pub holder: Option<u32>,
    pub claimed: bool,
    pub alarms: Vec<String>,
    /// Whether it is on record that SQLite was written after the switch.
    pub written_seen: bool,
    /// Which engine compares contents beside its loop, until when, and what it finds.
    pub comparing: Option<(u32, i64, Option<String>)>,
    /// When the last sample that is on its way arrives.
    pub samples_due_ms: i64,
    /// Looks at maintenance that engines got: whether one said that it is off.
    pub seen_off: bool,
    /// How often an engine heard that the journal's disk is full.
    pub disk_seen_full: u64,
    /// Since when each signal has been bad in truth.
    pub bad_since_ms: BTreeMap<String, i64>,
    /// When each row began for the first time.
    pub begun_ms: BTreeMap<String, i64>,
    /// How often a step or a row lifted maintenance.
    pub lifts: u64,
    /// Everything that was recorded, for whoever writes it down.
    pub recorded: Vec<Recorded>,
}

impl World {
    pub fn new(seed: u64, sabotage: Option<Sabotage>) -> World {
        let instance = Instance {
            config: Side::Sqlite,
            serves: Side::Sqlite,
            starting_until_ms: 0,
            down_until_ms: 0,
        };
        World {
            seed,
            now_ms: 1_000_000,
            booted_ms: 0,
            boots: 1,
            sqlite: Database::default(),
            postgres: Database::default(),
            has_schema: false,
            instances: vec![instance; FLEET.len()],
            maintenance: false,
            fence: None,
            is_target_fenced: false,
            backup: None,
            proven: None,
            acknowledged: BTreeMap::new(),
            next_row: 1,
            past_fence_ms: Vec::new(),
            salvaged: BTreeSet::new(),
            disk: Disk::default(),
            tasks: Vec::new(),
            inputs: VecDeque::new(),
            lookouts: BTreeSet::new(),
            memory: (None, None),
            heard: BTreeMap::new(),
            green_since_ms: None,
            faults: Faults::default(),
            sabotage,
            breach: None,
            counts: BTreeMap::new(),
            engines: 0,
            holder: None,
            claimed: false,
            alarms: Vec::new(),
            written_seen: false,
            comparing: None,
            samples_due_ms: 0,
            seen_off: false,
            disk_seen_full: 0,
            bad_since_ms: BTreeMap::new(),
            begun_ms: BTreeMap::new(),
            lifts: 0,
            recorded: Vec::new(),
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The first broken promise is the one that counts.
    pub fn broken(&mut self, rule: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.breach.get_or_insert(Breach { rule, what });
    }

    pub fn is_sabotaged(&self, how: Sabotage) -> bool {
        self.sabotage == Some(how)
    }

    /// A number below `below`, which depends on the seed and on what it is for, so that one deed less leaves the others as they are.
    pub fn roll(&self, what: &str, below: u64) -> u64 {
        let mut hash = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in what.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash ^= hash >> 29;
        hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 32;
        hash % below.max(1)
    }

    /// Whether an engine dies here, between two things that it does.
    pub fn dies_here(&mut self, engine: u32) -> bool {
        match &mut self.faults.crash {
            Some((dying, 0, _)) if *dying == engine => true,
            Some((dying, left, _)) if *dying == engine => {
                *left -= 1;
                false
            }
            _ => false,
        }
    }

    pub fn is_up(&self, n: usize) -> bool {
        let instance = &self.instances[n];
        self.now_ms >= instance.starting_until_ms && self.now_ms >= instance.down_until_ms
    }

    fn takes_writes(&self, n: usize) -> Option<Side> {
        let serves = self.instances[n].serves;
        let is_fenced = match serves {
            Side::Sqlite => self.fence.is_some(),
            Side::Postgres => self.is_target_fenced,
        };
        (self.is_up(n) && !self.maintenance && !is_fenced).then_some(serves)
    }

    /// Every instance tries to write.
    pub fn users_write(&mut self) {
        for n in 0..self.instances.len() {
            let Some(side) = self.takes_writes(n) else {
                continue;
            };
            let row = self.next_row;
            self.next_row += 1;
            match side {
                Side::Sqlite => {
                    self.sqlite.rows.insert(row);
                    self.sqlite.version += 1;
                    if self.backup.is_some() {
                        self.past_fence_ms.push(self.now_ms);
                    }
                }
                Side::Postgres => {
                    self.postgres.rows.insert(row);
                    self.postgres.version += 1;
                }
            }
            self.acknowledged.insert(row, side);
            self.count("writes");
        }
    }

    /// Somebody writes SQLite by another way than the application.
    pub fn write_past_fence(&mut self) {
        let row = self.next_row;
        self.next_row += 1;
        self.sqlite.rows.insert(row);
        self.sqlite.version += 1;
        self.acknowledged.insert(row, Side::Sqlite);
        self.past_fence_ms.push(self.now_ms);
    }

    /// No moment may come in which both databases would acknowledge a write, unless somebody lifted maintenance by hand.
    pub fn check_sides(&mut self) {
        let open: Vec<Side> = (0..self.instances.len())
            .filter_map(|n| self.takes_writes(n))
            .collect();
        let both = open.contains(&Side::Sqlite) && open.contains(&Side::Postgres);
        if both && !self.faults.by_hand {
            self.broken(
                "two databases",
                "both acknowledge writes of the application",
            );
        }
    }

    /// Whether an engine's process lives that could hold the fence.
    pub fn drop_process(&mut self, engine: u32) {
        self.tasks.retain(|task| task.engine != engine);
        self.inputs.retain(|(_, to, _)| *to != engine);
        self.lookouts.remove(&engine);
        self.fence.take_if(|fence| fence.engine == engine);
        self.holder.take_if(|holder| *holder == engine);
        self.disk.forget(engine);
        // What was noted and not written is gone.
        self.memory.0 = self.memory.1.clone();
    }

    pub fn boot_ms(&self) -> i64 {
        self.now_ms - self.booted_ms
    }
}
