//! What fails in the night fails in its rehearsal: one fault at a time in a sandbox that all of them share. Each says why it does not count.

use std::process::Command;

use cutover::cli::Exit;
use cutover::cli::rehearse::{exit_of, session_of};
use cutover::runbook::RehearsalPart;
use cutover::session::StepStatus;

use super::rehearsal::{Bench, part};
use crate::support;

/// A change to the reference runbook, and what is said of it.
struct Case {
    fault: &'static str,
    from: &'static str,
    to: &'static str,
    /// The row at which it shows, and in which words.
    says: [&'static str; 2],
    /// Whether K3 and K4 are proven all the same.
    green: [bool; 2],
}

/// Its body names the database, so that it differs once staging serves from PostgreSQL.
const BY_DATABASE: &str = "get: \"{url}/ready\", status: 200, compare_body: true }\n  write:                                # V2's";
const WRITE: &str = "  write:                                # V2's";

const CASES: [Case; 9] = [
    Case {
        fault: "a metric that is missing",
        from: "  metrics: \"{url}/metrics\"",
        to: "  metrics: \"{url}/nothing\"",
        says: ["P3 failed", "http_5xx_ratio"],
        green: [false, false],
    },
    Case {
        fault: "a migration that lands elsewhere",
        from: "script: \"${MIGRATIONS_SQL}\"",
        to: "shell: \"true\", rehearse: same",
        says: ["C1 failed", "it ran elsewhere"],
        green: [false, false],
    },
    Case {
        fault: "E3 red: staging answers another thing on PostgreSQL",
        from: WRITE,
        to: "read",
        says: ["E3 failed", "by-database on staging"],
        green: [true, false],
    },
    Case {
        fault: "a restart that does nothing",
        from: "  restart: { command: [\"${APPCTL}\", appctl, --dir, \"${APP_DIR}\", restart, \"{instance}\"], timeout: 60s }",
        to: "  restart: { command: [\"true\", \"{instance}\"], timeout: 60s }",
        says: ["E3 failed", "the restart did not load the configuration"],
        green: [true, false],
    },
    Case {
        fault: "V2 red: an answer that differs",
        from: WRITE,
        to: "write",
        says: ["V2 failed", "by-database on staging"],
        green: [true, true],
    },
    Case {
        fault: "a write probe that leaves a row",
        from: "post: \"{url}/tools?probe=true\"\n    headers: { X-Cutover-Probe: \"${PROBE_TOKEN}\" }\n    status: 200",
        to: "post: \"{url}/tools\"\n    body: '{\"externalId\": \"0b0e7c0a-51d4-4d0c-9d3e-6a1f5b8c2d11\", \"title\": \"Probe\", \"slug\": \"left-behind\"}'\n    headers: { X-Cutover-Probe: \"${PROBE_TOKEN}\" }\n    status: 201",
        says: [
            "V2 failed",
            "probe-write leaves rows behind (ToolContents: ",
        ],
        green: [true, true],
    },
    Case {
        fault: "a trigger that fires",
        from: "  - { id: V,   title: Verification failed,",
        to: "  - { id: X9, title: Anybody asks, from: F2, when: { signal: requests_per_s, above: 0.0001, for: 0s } }\n  - { id: V,   title: Verification failed,",
        says: ["trigger X9 fired", "requests per s"],
        green: [true, true],
    },
    Case {
        fault: "maintenance that does not come off",
        from: "rehearse: { remove_file: \"${APP_DIR}/rehearsal/tools.db.rehearsal/maintenance\" } }",
        to: "rehearse: { command: [\"true\"] } }",
        says: ["F4 failed", "staging is still in maintenance"],
        green: [true, true],
    },
    Case {
        fault: "G2 red",
        from: "{ signal: pool_waiting, at_most: 0 }",
        to: "{ signal: pg_max, at_most: 1 }",
        says: ["G2 failed", "M3 is red"],
        green: [true, true],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_in_the_night_fails_in_its_rehearsal() {
    let bench = Bench::start(1).await;
    for case in CASES {
        let of_class = format!(
            "    - {{ name: by-database, class: {}, {BY_DATABASE}",
            case.to
        );
        let to = match case.from == WRITE {
            true => of_class.as_str(),
            false => case.to,
        };
        let begun = std::time::Instant::now();
        let evidence = bench.rehearse(&[(case.from, to)]).await;
        let evidence = evidence.unwrap_or_else(|e| panic!("{}: {e:#}", case.fault));
        println!(
            "{}: {:.1} s: {:?}",
            case.fault,
            begun.elapsed().as_secs_f64(),
            evidence.against
        );
        assert!(exit_of(&evidence) == Exit::Failed, "{}", case.fault);
        let [at, why] = case.says;
        let mut against = evidence.against.iter();
        assert!(
            against.any(|line| line.contains(at) && line.contains(why)),
            "{}: {evidence:?}",
            case.fault
        );
        let (ok, k6) = part(&evidence, RehearsalPart::Rollback);
        assert!(!ok, "{}: {k6}", case.fault);
        // What does not come off in F4 does not in R4+ either.
        let is_back = !evidence.against.iter().any(|line| line.starts_with("R4+ "));
        let told = match is_back {
            true => {
                k6.contains("the night would have ended there")
                    || k6.starts_with("F2 was not reached")
            }
            false => k6.contains("not healthy after the rollback"),
        };
        assert!(told, "{}: {k6}", case.fault);
        let green =
            [RehearsalPart::Migrations, RehearsalPart::Import].map(|of| part(&evidence, of).0);
        assert_eq!(green, case.green, "{}: {evidence:?}", case.fault);
    }
    without_point(&bench).await;
}

/// Somebody has put the slot onto the copy by hand: all of it is rehearsed, and that nobody saw to it by the runbook is said.
async fn without_point(bench: &Bench) {
    let dir = bench.sandbox.dir();
    let lend = |phase: &str| {
        let mut command = Command::new(support::cutover());
        let lent = command
            .arg("appctl")
            .arg("--dir")
            .arg(dir)
            .args(["rehearsal", phase]);
        assert!(lent.status().expect("the sandbox's control").success());
    };
    let lines = include_str!("../../runbook.yaml").lines();
    let line = |key: &str| {
        lines
            .clone()
            .find(|line| line.starts_with(key))
            .expect("a line")
    };
    lend("begin");
    let evidence = bench
        .rehearse(&[
            (line("  point: "), "  # nobody points"),
            (line("  unpoint: "), "  # nor back"),
        ])
        .await
        .expect("an end");
    lend("end");
    assert!(exit_of(&evidence) == Exit::Done, "{evidence:?}");
    let said = evidence.not_rehearsed.iter().map(|(_, line)| line.as_str());
    let said: Vec<&str> = said.collect();
    assert!(said[0].contains("no `rehearsal.point`"), "{said:?}");
    assert!(said[1].starts_with("R5: ") && said.len() == 2, "{said:?}");

    let session = session_of(&bench.night(&[]).root(), &evidence).expect("its journal");
    let open = session
        .steps
        .iter()
        .filter(|s| s.status != StepStatus::Done);
    assert_eq!(open.count(), 0, "every row of the night was rehearsed");
    let told = |id: &str| {
        let step = session.step(id).and_then(|s| s.outcome.as_ref());
        step.map(|o| o.summary.clone()).expect("it has ended")
    };
    assert!(
        told("E3").starts_with("3 requests as expected"),
        "{}",
        told("E3")
    );
    // Nothing was wrong, so that nothing is to be corrected.
    let rows = &session.rollback.as_ref().expect("a rollback").rows;
    let review = rows
        .last()
        .and_then(|row| row.outcome.as_ref())
        .expect("R6");
    lacks!(review.summary, "cutover correct");
}
