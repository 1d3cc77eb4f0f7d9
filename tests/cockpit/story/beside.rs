//! What lies beside the events of a session: a plan, progress, output, the fleet, triggers, and the load of its clients.

use super::MINUTE;
use cutover::journal::{OutputLine, Progress, Stream};
use cutover::session::TriggerPhase;
use cutover::session::live::{
    ClientView, ClientsView, InstanceState, InstanceView, ItemView, LoadView, LoadsView, PlanView,
    PlannedColumn, PlannedTable, TriggerView,
};

/// What moves, with its rows.
pub const TABLES: [(&str, u64); 6] = [
    ("Tags", 1_240),
    ("ToolCategories", 310),
    ("ToolContentTags", 88_000),
    ("ToolContents", 120_400),
    ("ToolFeatures", 142_000),
    ("ToolSteps", 60_400),
];

/// What D1 found.
pub fn plan() -> PlanView {
    let column = |(column, source, target, conversion): (&str, &str, &str, &str)| PlannedColumn {
        column: column.to_owned(),
        source: source.to_owned(),
        target: target.to_owned(),
        conversion: conversion.to_owned(),
    };
    let columns = [
        ("Id", "INTEGER", "bigint", "as it is"),
        (
            "Slug",
            "TEXT",
            "character varying(120)",
            "as it is; longer ones are problems",
        ),
        ("IsPublished", "INTEGER", "boolean", "0 and 1"),
        (
            "Price",
            "REAL",
            "numeric(10,2)",
            "by its shortest decimal form",
        ),
        (
            "CreatedAt",
            "TEXT",
            "timestamp with time zone",
            "ISO 8601; assume UTC",
        ),
    ];
    let table = |(table, rows): (&str, u64)| PlannedTable {
        table: table.to_owned(),
        target: table.to_owned(),
        rows,
        bytes: rows * 212,
        columns: columns.map(column).to_vec(),
        ..PlannedTable::default()
    };
    PlanView {
        tables: TABLES.map(table).to_vec(),
    }
}

/// How far an import has come.
pub fn import_progress(at_ms: i64, part: f64) -> Vec<Progress> {
    let all: u64 = TABLES.iter().map(|(_, n)| n).sum();
    let mut left = (all as f64 * part) as u64;
    TABLES
        .iter()
        .map(|(table, total)| {
            let done = left.min(*total);
            left -= done;
            Progress {
                step: "D2".to_owned(),
                item: (*table).to_owned(),
                done,
                total: Some(*total),
                unit: "rows".to_owned(),
                at_ms: if done > 0 && done < *total {
                    at_ms
                } else {
                    at_ms - 5_000
                },
            }
        })
        .collect()
}

pub fn printed(step: &str, at_ms: i64, line: &str) -> OutputLine {
    OutputLine {
        id: at_ms,
        step: step.to_owned(),
        attempt: 1,
        stream: Stream::Step,
        at_ms,
        line: line.to_owned(),
    }
}

/// The fleet on this provider, with these states.
pub fn fleet(provider: &str, states: &[InstanceState]) -> Vec<InstanceView> {
    states
        .iter()
        .enumerate()
        .map(|(n, state)| InstanceView {
            id: format!("app-{}", n + 1),
            canary: n == 0,
            state: *state,
            detail: match state {
                InstanceState::Ready => format!("{provider}, 3 of 3"),
                InstanceState::NotReady => "503 for 0:41".to_owned(),
                InstanceState::Restarting => "asked 4 s ago".to_owned(),
                InstanceState::Unknown => String::new(),
            },
        })
        .collect()
}

pub fn fuse(
    id: &str,
    phase: TriggerPhase,
    streak_ms: i64,
    full_ms: i64,
    reason: &str,
) -> TriggerView {
    TriggerView {
        id: id.to_owned(),
        armed: true,
        phase,
        streak_ms,
        full_ms,
        reason: reason.to_owned(),
    }
}

/// The checklist, with this item red.
pub fn checklist(red: Option<&str>) -> Vec<ItemView> {
    ["M1", "M2", "M3", "M4", "M5"]
        .iter()
        .map(|id| ItemView {
            id: (*id).to_owned(),
            green: Some(red != Some(*id)),
            green_for_ms: if red == Some(*id) { 0 } else { 7 * MINUTE },
            reason: if red == Some(*id) {
                "http_5xx_ratio 1.42 % is above 1.00 %".to_owned()
            } else {
                "within its thresholds".to_owned()
            },
        })
        .collect()
}

/// Ten minutes of scrapes of so many instances up to now, every five seconds. The third answers with errors since six minutes, the fifth
/// exposes no pool, the sixth could not be scraped for a while and cannot be now.
pub fn loads(at_ms: i64, instances: usize) -> Vec<LoadsView> {
    let scrape = |n: i64| LoadsView {
        at_ms: at_ms - (119 - n) * 5_000,
        instances: (1..=instances).map(|i| load(i, n)).collect(),
    };
    (0..120).map(scrape).collect()
}

/// Who was connected to PostgreSQL in the same ten minutes: every instance, a nightly job that leaves a transaction open since six
/// minutes, for which the third instance waits, and somebody who looked in for a while. Two minutes ago it did not answer for a moment.
pub fn clients(at_ms: i64, instances: usize) -> Vec<ClientsView> {
    let client =
        |(application, active, idle, open, waiting): (&str, u32, u32, u32, u32)| ClientView {
            application: application.to_owned(),
            active,
            idle,
            idle_in_transaction: open,
            waiting,
            hidden: 0,
        };
    let of_instance = |i: usize, n: i64| {
        let load = load(i, n);
        let number = |value: Option<f64>| value.map_or(2, |v| v as u32);
        let waits = if i == 3 && n > 48 { 4 } else { 0 };
        let (active, idle) = (number(load.pool_active), number(load.pool_idle));
        client((&format!("app-{i}"), active, idle, 0, waits))
    };
    let taken = |c: &ClientView| c.active + c.idle + c.idle_in_transaction;
    let look = |n: i64| {
        let mut all: Vec<_> = (1..=instances).map(|i| of_instance(i, n)).collect();
        let open = u32::from(n > 48);
        all.push(client(("nightly job", 1 - open, 0, open, 0)));
        if (20..70).contains(&n) {
            all.push(client(("psql", 0, 1, 0, 0)));
        }
        ClientsView {
            at_ms: at_ms - (119 - n) * 5_000,
            most: 97.max(instances as u32 * 11),
            server_total: all.iter().map(taken).sum::<u32>() + 6,
            is_unasked: false,
            applications: (!(95..98).contains(&n)).then_some(all),
        }
    };
    (0..120).map(look).collect()
}

fn load(instance: usize, n: i64) -> LoadView {
    let id = format!("app-{instance}");
    if instance == 6 && ((30..40).contains(&n) || n > 100) {
        return LoadView::unknown(&id);
    }
    let wave = ((n as f64 + instance as f64 * 7.0) / 9.0).sin() * 0.5 + 0.5;
    let burns = instance == 3 && n > 48;
    let errors = match burns {
        true => ((n - 48) as f64 * 0.0004).min(0.017),
        false => (wave * 0.0016 - 0.0004).max(0.0),
    };
    let waiting = if burns { 4.0 } else { 0.0 };
    let pool = |value: f64| (instance != 5).then_some(value);
    LoadView {
        requests_per_s: Some(30.0 + wave * 4.0),
        errors_ratio: Some(errors),
        p95_ms: Some(if burns { 212.0 } else { 38.0 + wave * 9.0 }),
        pool_active: pool(if burns {
            10.0
        } else {
            (2.0 + wave * 3.0).round()
        }),
        pool_idle: pool(if burns {
            0.0
        } else {
            (8.0 - wave * 3.0).round()
        }),
        pool_waiting: pool(waiting),
        pool_max: pool(10.0),
        ..LoadView::unknown(&id)
    }
}
