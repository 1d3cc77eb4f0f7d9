//! Rehearsals whose actions would reach production: they are not run, or found out, and production stays as it was.

use cutover::cli::demo::Night;
use cutover::cli::operators;
use cutover::demo::sandbox::{Options, Sandbox};
use cutover::runbook::RehearsalPart;
use cutover::session::{Phase, RehearsalEvidence};

use super::SPEED;
use crate::support;

/// The reference's own way to migrate, which follows the session by itself.
const SCRIPT: &str = "script: \"${MIGRATIONS_SQL}\"";

/// A sandbox and the reference runbook, with shorter waits, and longer limits.
pub(super) struct Bench {
    pub(super) sandbox: Sandbox,
    target: String,
    instances: u32,
}

impl Bench {
    pub(super) async fn start(instances: u32) -> Bench {
        let options = Options {
            instances,
            rate: 20,
            speed: SPEED as u32,
            ..Options::small(support::cutover())
        };
        let sandbox = tokio::task::spawn_blocking(|| Sandbox::start(options))
            .await
            .unwrap()
            .expect("a sandbox");
        let target = sandbox.environment().unwrap()["TARGET_URL"].clone();
        Bench {
            sandbox,
            target,
            instances,
        }
    }

    /// Rehearses the reference with other lines in it.
    pub(super) async fn rehearse(
        &self,
        changes: &[(&str, &str)],
    ) -> anyhow::Result<RehearsalEvidence> {
        self.night(changes).rehearse().await
    }

    pub(super) fn night(&self, changes: &[(&str, &str)]) -> Night {
        let mut runbook = include_str!("../../runbook.yaml").to_owned();
        for n in self.instances + 1..=6 {
            let line = format!("    - {{ id: app-{n}, url: \"${{APP_{n}}}\" }}\n");
            assert!(runbook.contains(&line), "{line}");
            runbook = runbook.replace(&line, "");
        }
        for (long, short) in [
            ("quiet: 5s ", "quiet: 1s "),
            ("window: 5m, start: auto", "window: 1m, start: auto"),
            // At this speed minutes are seconds, and a busy machine takes longer. The rules' own tests have these limits.
            ("verify_within: 15m ", "verify_within: 2h "),
            ("rto: 10m ", "rto: 60m "),
            ("below: 1, for: 5m", "below: 1, for: 60m"),
        ]
        .iter()
        .chain(changes)
        {
            assert!(runbook.contains(long), "the reference has no {long:?}");
            runbook = runbook.replace(long, short);
        }
        let night = Night::new(self.sandbox.dir(), &runbook, SPEED);
        night.with_program(support::cutover())
    }

    /// Names of what the target's schema holds.
    async fn on_target(&self) -> Vec<String> {
        let client = support::client(&self.target).await;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1";
        let rows = client.query(tables, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

pub(super) fn part(evidence: &RehearsalEvidence, part: RehearsalPart) -> (bool, &str) {
    let found = evidence.parts.iter().find(|(p, ..)| *p == part);
    let (_, ok, line) = found.expect("every part has its line");
    (*ok, line)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rehearsal_migrates_production() {
    let bench = Bench::start(2).await;
    let migrations = RehearsalPart::Migrations;

    // By the URL that the shell of whoever starts the rehearsal knows: not run.
    let line = "shell: \"psql -q \\\"$TARGET_URL\\\" -f '${MIGRATIONS_SQL}'\"";
    let evidence = bench.rehearse(&[(SCRIPT, line)]).await.expect("an end");
    let (ok, why) = part(&evidence, migrations);
    assert!(!ok && why.starts_with("C1 was not run"), "{why}");
    assert!(evidence.not_run.iter().any(|n| n.starts_with("C1 ")));
    assert_eq!(bench.on_target().await, Vec::<String>::new());

    // By a person's word, and with an environment in which nothing leads there: it does nothing, and says that all is well.
    let line = "shell: \"test -z \\\"$TARGET_URL$PGHOST$DATABASE_URL\\\"\", rehearse: same";
    let evidence = bench.rehearse(&[(SCRIPT, line)]).await.expect("an end");
    let (ok, why) = part(&evidence, migrations);
    assert!(!ok && why.contains("it ran elsewhere"), "{why}");

    // By a file that nobody can know of: found out, named, and nothing more is run.
    let path = bench.sandbox.dir().join("production.env");
    std::fs::write(&path, &bench.target).expect("a file");
    let line =
        "shell: \"psql -q \\\"$(cat production.env)\\\" -f '${MIGRATIONS_SQL}'\", rehearse: same";
    let evidence = bench.rehearse(&[(SCRIPT, line)]).await.expect("an end");
    for (_, ok, why) in &evidence.parts {
        let named =
            why.contains("production changed while `sh -c") && why.contains("of the target is new");
        assert!(!ok && named, "{why}");
    }
    assert!(!bench.on_target().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_session_is_rehearsed_and_what_does_not_is_named() {
    let bench = Bench::start(2).await;
    let evidence = bench
        .rehearse(&[
            (
                SCRIPT,
                "command: [psql, -q, \"{target_url}\", -f, \"${MIGRATIONS_SQL}\"], env: { PGPASSWORD: \"{target_password}\" }",
            ),
            (
                "  - { id: C2, kind",
                "  - { id: X1, kind: command, title: Tell the cache, start: auto, action: { command: [touch, told] } }\n  - { id: C2, kind",
            ),
        ])
        .await
        .expect("an end");
    let (ok, line) = part(&evidence, RehearsalPart::Migrations);
    assert!(ok && line.ends_with("not run, so not proven: X1"), "{line}");
    for of in [RehearsalPart::Import, RehearsalPart::Rollback] {
        let (ok, line) = part(&evidence, of);
        assert!(ok, "{line}");
    }
    assert_eq!(evidence.not_run.len(), 1, "{:?}", evidence.not_run);
    assert!(!bench.sandbox.dir().join("told").exists());
    assert_eq!(bench.on_target().await, Vec::<String>::new());

    // A restart that names a production instance restarts nobody, and K6 says what that costs.
    let restart = "restart, \"{instance}\"], timeout: 60s }";
    let evidence = bench
        .rehearse(&[(restart, "restart, app-1], timeout: 60s }")])
        .await
        .expect("an end");
    let (ok, line) = part(&evidence, RehearsalPart::Rollback);
    assert!(
        !ok && line.starts_with("fleet.restart was not run"),
        "{line}"
    );
    assert!(part(&evidence, RehearsalPart::Import).0);

    // What is production under another name is refused before anything is touched.
    for (of, other, why) in [
        (
            "url: \"${APP_STAGING}\"",
            "url: \"${APP_1}/\"",
            "the staging slot",
        ),
        (
            "runtime_url: ${SCRATCH_RUNTIME_URL}",
            "runtime_url: ${TARGET_RUNTIME_URL}",
            "the target's own database",
        ),
        (
            "copy: \"${APP_DIR}/rehearsal/tools.db\"",
            "copy: \"${APP_SQLITE}\"",
            "the live SQLite file",
        ),
    ] {
        let refused = bench.rehearse(&[(of, other)]).await.expect_err("a refusal");
        let refused = format!("{refused:#}");
        assert!(
            refused.contains(why) && refused.contains("Nothing was touched"),
            "{refused}"
        );
    }
}

/// The representative write leaves a row, by the runbook's word. What it answers tells whether it was the first: of a second one the row is
/// there already.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_leaves_a_row_on_purpose_is_told_of_and_turns_nothing_red() {
    let bench = Bench::start(1).await;
    let night = bench.night(&[
        (
            "post: \"{url}/tools?probe=true\"",
            "post: \"{url}/tools\"\n    body: '{\"externalId\": \"0b0e7c0a-51d4-4d0c-9d3e-6a1f5b8c2d11\", \"title\": \"Probe\", \"slug\": \"left-behind\"}'",
        ),
        (
            "headers: { X-Cutover-Probe: \"${PROBE_TOKEN}\" }\n    status: 200",
            "headers: { X-Cutover-Probe: \"${PROBE_TOKEN}\" }\n    leaves_rows: true\n    status: 201",
        ),
        ("window: 60m", "window: 1m"),
        ("stays_green: 10m", "stays_green: 1m"),
    ]);
    let evidence = night.rehearse().await.expect("an end");
    let (ok, line) = part(&evidence, RehearsalPart::Rollback);
    assert!(
        ok && line.contains("probe-write leaves rows behind (ToolContents: "),
        "{line}"
    );

    // E3 sends it nowhere, so V2 is the first; and V1 and T4a are not turned red by it.
    let folder = night.open(1, evidence, None).await.expect("a session");
    let session = operators::play(&folder, night.script(None)).await;
    let session = session.expect("the night ends");
    let told = |id: &str| {
        session
            .step(id)
            .and_then(|s| s.outcome.as_ref())
            .map(|o| o.summary.clone())
    };
    assert_eq!(
        session.phase,
        Phase::Completed,
        "{:?} {:?} {:?}",
        session.fired,
        told("V1"),
        told("V2")
    );
    let client = support::client(&bench.target).await;
    let left = "SELECT count(*) FROM \"ToolContents\" WHERE \"Slug\" = 'left-behind'";
    let rows: i64 = client.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(rows, 1);
}
