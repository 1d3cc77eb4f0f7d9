//! A night as a list of deeds: what goes wrong and what people do beside the way that brings the night on. A list is made from a seed,
//! written as text, and read again.
//!
//! Not in here: what a deed does (`play`).

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// What a step meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It fails, and another attempt may help.
    Passing,
    /// It fails.
    Fails,
    /// What it checks is red.
    Red,
    /// It does its work, and the answer is lost.
    LostAnswer,
    /// It does not hear that it was cancelled.
    Deaf,
    /// It takes long.
    Slow,
}

/// What happens beside the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// The engine dies after so many boundaries.
    Crash { after: u32 },
    /// The machine restarts then.
    Reboot { after: u32 },
    /// The journal's disk is full for so long.
    DiskFull { for_ms: i64 },
    /// The next step that starts meets this.
    Step(Mishap),
    /// Samples are late for so long, by so much.
    Late { for_ms: i64, by_ms: i64 },
    /// No sample comes.
    Silent { for_ms: i64 },
    /// The application answers with errors.
    Errors { for_ms: i64 },
    /// An instance is down.
    Down { instance: usize, for_ms: i64 },
    /// The lease file is deleted, and a second engine begins.
    SecondEngine,
    /// Another session wants the source.
    SecondSession,
    /// Somebody writes SQLite past the fence.
    Drift,
    /// Somebody lifts maintenance by hand, and puts it back after so long.
    ByHand { for_ms: i64 },
    /// A channel does not take a notice.
    Untold,
    /// Somebody asks for something: who, and which of the commands.
    Person { who: usize, what: u32 },
}

/// When a deed is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct When {
    /// After the first start of this row; from the beginning where there is none.
    pub row: Option<String>,
    pub delay_ms: i64,
}

/// What in the models is broken on purpose, to see that the rules find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Maintenance ends in the middle of the restarts, and no fence holds.
    OpensEarly,
    /// Nobody looks whether SQLite was written.
    BlindToDrift,
    /// Fired triggers are not recorded.
    DeafToTriggers,
    /// Steps do not wait for the record of their undo, which never comes.
    NoUndo,
    /// The journal takes every lease.
    Unfenced,
    /// The import leaves a row out, and the comparison does not see it.
    LosesRow,
    /// What engines hear of the fleet is good, whatever is so.
    Flatters,
    /// A rollback leaves an instance on PostgreSQL and says that all is well.
    SaysHealthy,
    /// A person's word is answered and not kept.
    ForgetsWords,
    /// Ends of steps get lost.
    NeverEnds,
    /// A second session gets the source.
    TwoSessions,
}

/// A night.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub seed: u64,
    /// Whether the real journal is written.
    pub real: bool,
    pub deeds: Vec<(When, Deed)>,
}

const ROWS: [&str; 22] = [
    "P1", "P3", "A1", "A2", "A3", "A4", "B1", "C1", "C2", "D2", "E1", "E2", "E4", "F1", "F1", "F2",
    "F2", "V1", "F4", "G1", "R2", "R3",
];
/// Each n-th seed is played with the real journal.
pub const REAL_EVERY: u64 = 50;

impl Script {
    /// The night of a seed. A third are quiet, a third rough, the others in between.
    pub fn random(seed: u64) -> Script {
        let mut rng = StdRng::seed_from_u64(seed);
        let most = [1, 4, 9][(seed % 3) as usize];
        let count = rng.random_range(0..=most);
        let deeds = (0..count).map(|_| (When::random(&mut rng), Deed::random(&mut rng)));
        Script {
            seed,
            real: seed.is_multiple_of(REAL_EVERY),
            deeds: deeds.collect(),
        }
    }

    /// As text, a line a deed.
    pub fn text(&self) -> String {
        let journal = if self.real { "real" } else { "model" };
        let mut text = format!("seed {} {journal}\n", self.seed);
        for (when, deed) in &self.deeds {
            let row = when.row.as_deref().unwrap_or("-");
            text.push_str(&format!("{row} {} {}\n", when.delay_ms, deed.text()));
        }
        text
    }

    /// What [`Script::text`] wrote. Lines that begin with `#` are for people.
    pub fn read(text: &str) -> Script {
        let lines = text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.trim().is_empty());
        let mut lines = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
        let first = lines.next().expect("a seed");
        let deeds = lines.map(|words| {
            let row = (words[0] != "-").then(|| words[0].to_owned());
            let delay_ms = words[1].parse().expect("milliseconds");
            (When { row, delay_ms }, Deed::read(&words[2..]))
        });
        Script {
            seed: first[1].parse().expect("a number"),
            real: first[2] == "real",
            deeds: deeds.collect(),
        }
    }
}

impl When {
    fn random(rng: &mut StdRng) -> When {
        let row = *ROWS.choose(rng).expect("some");
        When {
            row: rng.random_bool(0.9).then(|| row.to_owned()),
            delay_ms: match rng.random_range(0..4) {
                0 => 0,
                1 | 2 => rng.random_range(0..1_500),
                _ => rng.random_range(0..8_000),
            },
        }
    }
}

impl Deed {
    fn random(rng: &mut StdRng) -> Deed {
        let for_ms = rng.random_range(500..9_000);
        let mishaps = [
            Mishap::Passing,
            Mishap::Fails,
            Mishap::Red,
            Mishap::LostAnswer,
            Mishap::Deaf,
            Mishap::Deaf,
            Mishap::Slow,
        ];
        match rng.random_range(0..23) {
            0..=2 => Deed::Crash {
                after: rng.random_range(0..12),
            },
            3 => Deed::Reboot {
                after: rng.random_range(0..6),
            },
            4 | 5 => Deed::DiskFull { for_ms },
            6..=8 => Deed::Step(*mishaps.choose(rng).expect("some")),
            9 => Deed::Late {
                for_ms,
                by_ms: rng.random_range(200..3_000),
            },
            10 => Deed::Silent { for_ms },
            11 => Deed::Errors { for_ms },
            12 => Deed::Down {
                instance: rng.random_range(0..3),
                for_ms,
            },
            13 | 14 => Deed::SecondEngine,
            15 => Deed::SecondSession,
            16 | 17 => Deed::Drift,
            18 => Deed::ByHand { for_ms },
            19 => Deed::Untold,
            _ => Deed::Person {
                who: rng.random_range(0..4),
                what: rng.random_range(0..12),
            },
        }
    }

    /// What is counted of it.
    pub fn name(&self) -> &'static str {
        match self {
            Deed::Crash { .. } => "crash",
            Deed::Reboot { .. } => "reboot",
            Deed::DiskFull { .. } => "full",
            Deed::Step(mishap) => mishap.name(),
            Deed::Late { .. } => "late",
            Deed::Silent { .. } => "silent",
            Deed::Errors { .. } => "errors",
            Deed::Down { .. } => "down",
            Deed::SecondEngine => "second-engine",
            Deed::SecondSession => "second-session",
            Deed::Drift => "drift",
            Deed::ByHand { .. } => "by-hand",
            Deed::Untold => "untold",
            Deed::Person { .. } => "person",
        }
    }

    fn text(&self) -> String {
        let name = self.name();
        match self {
            Deed::Crash { after } | Deed::Reboot { after } => format!("{name} {after}"),
            Deed::DiskFull { for_ms }
            | Deed::Silent { for_ms }
            | Deed::Errors { for_ms }
            | Deed::ByHand { for_ms } => format!("{name} {for_ms}"),
            Deed::Late { for_ms, by_ms } => format!("{name} {for_ms} {by_ms}"),
            Deed::Down { instance, for_ms } => format!("{name} {instance} {for_ms}"),
            Deed::Person { who, what } => format!("{name} {who} {what}"),
            Deed::Step(_)
            | Deed::SecondEngine
            | Deed::SecondSession
            | Deed::Drift
            | Deed::Untold => name.to_owned(),
        }
    }

    fn read(words: &[&str]) -> Deed {
        let n = |at: usize| words[at].parse::<i64>().expect("a number");
        let u = |at: usize| u32::try_from(n(at)).expect("a small number");
        match words[0] {
            "crash" => Deed::Crash { after: u(1) },
            "reboot" => Deed::Reboot { after: u(1) },
            "full" => Deed::DiskFull { for_ms: n(1) },
            "late" => Deed::Late {
                for_ms: n(1),
                by_ms: n(2),
            },
            "silent" => Deed::Silent { for_ms: n(1) },
            "errors" => Deed::Errors { for_ms: n(1) },
            "down" => Deed::Down {
                instance: u(1) as usize,
                for_ms: n(2),
            },
            "second-engine" => Deed::SecondEngine,
            "second-session" => Deed::SecondSession,
            "drift" => Deed::Drift,
            "by-hand" => Deed::ByHand { for_ms: n(1) },
            "untold" => Deed::Untold,
            "person" => Deed::Person {
                who: u(1) as usize,
                what: u(2),
            },
            name => Deed::Step(Mishap::read(name)),
        }
    }
}

impl Mishap {
    const ALL: [Mishap; 6] = [
        Mishap::Passing,
        Mishap::Fails,
        Mishap::Red,
        Mishap::LostAnswer,
        Mishap::Deaf,
        Mishap::Slow,
    ];

    fn name(self) -> &'static str {
        match self {
            Mishap::Passing => "passing",
            Mishap::Fails => "fails",
            Mishap::Red => "red",
            Mishap::LostAnswer => "lost-answer",
            Mishap::Deaf => "deaf",
            Mishap::Slow => "slow",
        }
    }

    fn read(name: &str) -> Mishap {
        let mut all = Mishap::ALL.into_iter();
        all.find(|m| m.name() == name)
            .unwrap_or_else(|| panic!("no such deed: {name}"))
    }
}

/// Every kind of deed, to see that each occurred.
pub const KINDS: [&str; 19] = [
    "crash",
    "reboot",
    "full",
    "passing",
    "fails",
    "red",
    "lost-answer",
    "deaf",
    "slow",
    "late",
    "silent",
    "errors",
    "down",
    "second-engine",
    "second-session",
    "drift",
    "by-hand",
    "untold",
    "person",
];
