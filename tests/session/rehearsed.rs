//! What a rehearsal proves, by the kinds of its rows: played on paper, with one thing wrong at a time.

use cutover::runbook::{
    self, Bound, Condition, RehearsalPart, Runbook, StepKind, Trigger, rehearsal,
};
use cutover::session::confidence::confidence;
use cutover::session::due::step_ended;
use cutover::session::facts::Unproven;
use cutover::session::rehearsal::evidence;
use cutover::session::{
    Charter, Check, Event, Opening, Outcome, RehearsalEvidence, RollbackCause, StepStatus,
    TriggerPhase,
};

use super::language::Bridge;

/// The reference, with a production that is not its scratch side.
fn reference() -> Runbook {
    let text = include_str!("../../runbook.yaml");
    let env = |name: &str| {
        Some(match name {
            "TARGET_URL" => "postgres://owner@db.internal/app".to_owned(),
            "TARGET_RUNTIME_URL" => "postgres://app@db.internal/app".to_owned(),
            "SCRATCH_URL" => "postgres://owner@db.internal/scratch".to_owned(),
            "SCRATCH_RUNTIME_URL" => "postgres://app@db.internal/scratch".to_owned(),
            "APP_STAGING" => "http://10.0.0.9:5000".to_owned(),
            "APP_DIR" => "/srv/app".to_owned(),
            "APP_SQLITE" => "/srv/app/live.db".to_owned(),
            "APPCTL" => "/srv/bin/cutover".to_owned(),
            name if name.starts_with("APP_") => format!("http://10.0.0.{}:5000", &name[4..]),
            "CHAT_WEBHOOK" => "http://chat.internal/hook".to_owned(),
            name => format!("/{name}"),
        })
    };
    runbook::parse("runbook.yaml", text, &env).expect("the reference")
}

/// Plays a rehearsal of this runbook up to its rollback: each step ends as `ends` says.
fn played(written: &Runbook, ends: &dyn Fn(&str) -> Outcome) -> Bridge {
    played_with(written, ends, None)
}

/// The same, with an event while a step runs.
fn played_with(
    written: &Runbook,
    ends: &dyn Fn(&str) -> Outcome,
    mut meanwhile: Option<(&str, Event)>,
) -> Bridge {
    let rehearsed = rehearsal::of(written).expect("a rehearsal");
    let opening = Opening {
        session: "tonight-rehearsal-1".into(),
        target: "db.internal:5432/scratch".into(),
        production: cutover::session::Production::default(),
        again: None,
        sandbox: true,
        rehearsal: true,
        speed: 1.0,
        wait_before: Vec::new(),
    };
    let mut bridge = Bridge::on(Charter::new(&rehearsed, opening));
    loop {
        bridge.now_ms += 10;
        bridge.settle();
        let running = bridge.session.current_step().map(|step| step.id.clone());
        let Some(id) = running else { break };
        if let Some((_, event)) = meanwhile.take_if(|(step, _)| *step == id) {
            bridge.append(event);
        }
        let events = step_ended(&bridge.session, &id, ends(&id));
        bridge.append_all(&events);
        bridge.now_ms += 10;
        if bridge.session.step(&id).map(|s| s.status) == Some(StepStatus::Failed) {
            break;
        }
    }
    bridge
}

fn rolled_back(mut bridge: Bridge, ends: &dyn Fn(&str) -> Outcome) -> RehearsalEvidence {
    bridge.append(Event::RollbackStarted {
        cause: RollbackCause::Person { by: "robin".into() },
        reason: "the end of the rehearsal".into(),
    });
    bridge.settle();
    loop {
        let running = bridge.session.running().next().map(|row| row.id.clone());
        let Some(row) = running else { break };
        bridge.now_ms += 10;
        let outcome = ends(&row);
        bridge.append(Event::RollbackRowFinished { row, outcome });
        bridge.settle();
    }
    bridge.assert_replays();
    evidence(&bridge.session, "head".into(), 0)
}

fn rehearsed(written: &Runbook, ends: &dyn Fn(&str) -> Outcome) -> RehearsalEvidence {
    rolled_back(played(written, ends), ends)
}

fn well(_: &str) -> Outcome {
    Outcome::done("fine")
}

/// Everything goes well but for one row.
fn but_for(row: &'static str) -> impl Fn(&str) -> Outcome {
    move |id: &str| match id == row {
        true => Outcome::failed("it differs"),
        false => Outcome::done("fine"),
    }
}

fn is_green(evidence: &RehearsalEvidence) -> [bool; 3] {
    use RehearsalPart as P;
    [P::Migrations, P::Import, P::Rollback].map(|part| {
        let mut parts = evidence.parts.iter();
        parts.any(|(of, ok, _)| *of == part && *ok)
    })
}

#[test]
fn a_rehearsal_counts_when_every_row_of_it_is_done() {
    let found = rehearsed(&reference(), &well);
    assert_eq!(is_green(&found), [true; 3], "{found:?}");
    assert_eq!(found.against, Vec::<String>::new());
    assert_eq!(found.not_run, Vec::<String>::new());
    // Which row goes by which id is the runbook's business.
    let mut renamed = reference();
    for (n, step) in renamed.steps.iter_mut().enumerate() {
        step.id = format!("row-{n}");
    }
    for trigger in &mut renamed.triggers {
        "row-0".clone_into(&mut trigger.from);
    }
    renamed.steps.iter_mut().for_each(|step| step.needs.clear());
    let found = rehearsed(&renamed, &well);
    assert_eq!(is_green(&found), [true; 3], "{found:?}");
}

#[test]
fn a_row_that_fails_or_is_not_reached_turns_its_part_red_and_says_so() {
    for (row, green, says) in [
        ("P3", [false, false, false], "P3 failed: it differs"),
        ("C2", [false, false, false], "C2 failed: it differs"),
        ("D3", [true, false, false], "D3 failed: it differs"),
        ("E3", [true, false, false], "E3 failed: it differs"),
        ("F2", [true, true, false], "F2 failed: it differs"),
        ("V2", [true, true, false], "V2 failed: it differs"),
        ("F4", [true, true, false], "F4 failed: it differs"),
        ("G2", [true, true, false], "G2 failed: it differs"),
        (
            "R5",
            [true, true, false],
            "R5 of the rollback failed: it differs",
        ),
    ] {
        let found = rehearsed(&reference(), &but_for(row));
        assert_eq!(is_green(&found), green, "{row}: {found:?}");
        assert!(found.against.iter().any(|a| a == says), "{row}: {found:?}");
        let (_, _, line) = found.parts.last().expect("K6");
        assert!(
            line.contains(says) || line.contains("F2 was not reached"),
            "{row}: {line}"
        );
        let ends = !row.starts_with('R') && !line.contains("F2 was not reached");
        assert_eq!(
            line.contains("the night would have ended there"),
            ends,
            "{row}: {line}"
        );
    }
    let found = rehearsed(&reference(), &but_for("V2"));
    assert!(
        found
            .against
            .contains(&"V3 and 5 rows after it were not reached".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_trigger_that_fired_or_saw_nothing_stands_against_it() {
    let counts = |id: &str| match id {
        "E1" => {
            Outcome::done("counted").with_check(Check::new("row_counts", false, "Tags: 2 and 3"))
        }
        _ => Outcome::done("fine"),
    };
    let found = rehearsed(&reference(), &counts);
    assert_eq!(is_green(&found), [true, false, false]);
    let fired = "trigger T4a fired: Tags: 2 and 3".to_owned();
    assert!(found.against.contains(&fired), "{found:?}");

    let moved = |state| Event::TriggerMoved {
        trigger: "T3a".into(),
        state,
        reason: "no sample yet".into(),
    };
    for (during, phase, counts) in [
        ("F2", TriggerPhase::Blind, false),
        ("F2", TriggerPhase::Clear, true),
        // For a moment, while the checklist was seen to be green.
        ("G2", TriggerPhase::Blind, true),
    ] {
        let bridge = played_with(&reference(), &well, Some((during, moved(phase))));
        let found = rolled_back(bridge, &well);
        assert_eq!(is_green(&found), [true, true, counts], "{found:?}");
        let blind = "trigger T3a was blind to the end: no sample yet".to_owned();
        assert_eq!(found.against.contains(&blind), !counts, "{found:?}");
    }
}

/// Without a row of a kind nothing of it was proven, whatever else was done.
#[test]
fn a_part_wants_a_row_of_each_of_its_kinds() {
    for (word, part) in [
        ("migrate", 0),
        ("migration_history", 0),
        ("constraints", 1),
        ("row_counts", 1),
        ("parity_gate", 1),
        ("rollout", 2),
    ] {
        let mut runbook = reference();
        runbook.steps.retain(|step| step.kind.key() != word);
        let of_gate = |step: &mut runbook::Step| step.needs.retain(|id| id != "E1");
        runbook.steps.iter_mut().for_each(of_gate);
        let found = rehearsed(&runbook, &well);
        let mut green = [true; 3];
        green[part] = false;
        assert_eq!(is_green(&found), green, "{word}: {found:?}");
        let (_, _, line) = &found.parts[part];
        let says = format!("no step of kind `{word}`");
        assert!(line.contains(&says), "{word}: {line}");
    }
    // Staging is the runbook's choice.
    let mut runbook = reference();
    runbook.steps.retain(|step| step.kind.key() != "smoke");
    runbook.steps.iter_mut().for_each(|step| step.needs.clear());
    assert_eq!(is_green(&rehearsed(&runbook, &well)), [true; 3]);
}

/// A rehearsal looks at the disks to which it writes, and judges by them; others are none of its own.
#[test]
fn a_trigger_on_a_disk_is_armed_where_the_rehearsal_has_that_disk() {
    let mut runbook = reference();
    runbook.bridge_spare = Some("/spare".into());
    for disk in ["session", "spare"] {
        runbook.triggers.push(Trigger {
            id: format!("D-{disk}"),
            title: String::new(),
            from: "F1".to_owned(),
            until: None,
            when: Condition::Signal {
                signal: format!("disk_free_bytes.{disk}"),
                per_instance: false,
                bound: Bound::Below(1e9),
                for_ms: 0,
            },
        });
    }
    let rehearsed = rehearsal::of(&runbook).expect("a rehearsal");
    let has = |id: &str| rehearsed.triggers.iter().any(|t| t.id == id);
    assert!(has("D-session") && !has("D-spare"));
    let mut left = rehearsed.unrehearsed.iter();
    let disks = left
        .find(|left| left.name == "disks")
        .expect("it is listed");
    assert!(
        disks.why.ends_with("not judged by it: D-spare"),
        "{}",
        disks.why
    );
}

#[test]
fn what_was_not_rehearsed_is_on_record_and_takes_its_points() {
    let names = |runbook: &Runbook| -> Vec<String> {
        let rehearsed = rehearsal::of(runbook).expect("a rehearsal");
        let list = rehearsed.unrehearsed.into_iter();
        list.map(|left| left.name).collect()
    };
    assert_eq!(names(&reference()), ["R5"]);
    let mut runbook = reference();
    let scratch = runbook.rehearsal.as_mut().expect("a scratch side");
    scratch.point = None;
    runbook.fleet.maintenance = None;
    runbook.probes.retain(|probe| probe.id != "synthetic");
    assert_eq!(names(&runbook), ["rehearsal.point", "A1", "requests", "R5"]);
    let unseen = |id: &str| match id {
        "E3" => Outcome::done("asked").with_fact(Unproven("not seen on scratch".to_owned())),
        _ => Outcome::done("fine"),
    };
    let found = rehearsed(&runbook, &unseen);
    assert_eq!(is_green(&found), [true; 3], "{found:?}");
    let of = |part| {
        let parts = found.not_rehearsed.iter().filter(|(of, _)| *of == part);
        parts.map(|(_, what)| what.as_str()).collect::<Vec<_>>()
    };
    let of_import = of(RehearsalPart::Import);
    assert!(
        of_import[0].contains("no `rehearsal.point`"),
        "{of_import:?}"
    );
    assert_eq!(of_import[1], "E3: not seen on scratch");
    let of_rollback = of(RehearsalPart::Rollback);
    assert!(
        of_rollback[1].ends_with("not judged by it: T3a, T3b, M4, M5"),
        "{of_rollback:?}"
    );

    // The night that rests on it has it in its own journal, and the score says where each point went.
    let mut night = Bridge::open();
    let mut kept = super::language::rehearsal(&night.session);
    kept.not_rehearsed.clone_from(&found.not_rehearsed);
    night.append(Event::RehearsalRecorded { rehearsal: kept });
    night.reach("end");
    night.assert_replays();
    let score = confidence(&night.session);
    assert_eq!(score.score, 100 - 5);
    let part = |id: &str| score.parts.iter().find(|p| p.id == id).expect("a gate");
    assert_eq!((part("K3").points, part("K4").points), (5, 3));
    assert_eq!(part("K6").points, 2);
    assert!(part("K4").why.contains("not rehearsed, a point each"));
}

#[test]
fn windows_are_shortened_to_ten_samples_of_the_slowest_signal_and_no_further() {
    let windows = |runbook: &Runbook, speed: f64| {
        let rehearsed = rehearsal::at_speed(runbook, speed).expect("a rehearsal");
        let steps = rehearsed.steps.iter().filter_map(|step| match step.kind {
            StepKind::Stabilise { window_ms } => Some(window_ms),
            StepKind::Checklist { stays_green_ms } => Some(stays_green_ms),
            _ => None,
        });
        let windows: Vec<i64> = steps.collect();
        (
            windows,
            rehearsal::longest_look_ms(&rehearsed),
            rehearsed.limits.min_requests,
        )
    };
    let mut runbook = reference();
    // Twelve rounds of three requests each minute, of which a third is enough.
    assert_eq!(windows(&runbook, 1.0), (vec![60_000; 2], 60_000, 12));
    // No probe is asked more often than each 200 ms: ten samples are two seconds.
    assert_eq!(windows(&runbook, 60.0), (vec![120_000; 2], 120_000, 10));
    runbook.probes[0].interval_ms = 30_000;
    assert_eq!(windows(&runbook, 1.0).0, [300_000; 2]);
    // What the night itself watches for less is no longer in a rehearsal.
    for step in &mut runbook.steps {
        if let StepKind::Stabilise { window_ms } = &mut step.kind {
            *window_ms = 2_000;
        }
    }
    assert_eq!(windows(&runbook, 1.0).0, [2_000, 300_000]);
}
