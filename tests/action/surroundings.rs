//! What a command is given besides its arguments: variables, standard input, and values that follow the session.

use std::ffi::OsString;
use std::path::Path;

use cutover::action::{Action, Effect, Environment, Error, Outcome};
use cutover::runbook::{Runbook, rehearsal};

use super::{Bench, PLENTY};
use crate::session::reference;
use crate::support::{TestDatabase, database, sqlite};

fn shell(line: &str) -> Action {
    Action::new(Effect::Shell { line: line.into() }, PLENTY)
}

async fn run(bench: &mut Bench, action: &Action) -> Outcome {
    bench.run_action(action, |_, _| {}).await.expect("it runs")
}

/// The reference with databases on this host whose passwords are told apart.
fn runbook() -> Runbook {
    let mut runbook = reference();
    runbook.target.url = "postgres://owner:target-pw@db.internal:5433/app".into();
    runbook.target.runtime_url = "postgresql://app:runtime-pw@db.internal:5433/app".into();
    let scratch = runbook.rehearsal.as_mut().expect("a rehearsal");
    scratch.url = "postgres://owner:scratch-pw@db.internal:5433/scratch".into();
    scratch.runtime_url = "postgres://app:scratch-pw@db.internal:5433/scratch".into();
    scratch.copy = "/srv/rehearsal/copy.db".into();
    runbook.source.file = "/srv/app/live.db".into();
    runbook
}

fn in_night() -> Environment {
    Environment::of_night(&runbook(), Path::new("/srv"), Vec::new())
}

fn in_rehearsal(secrets: &[(&str, &str)], inherited: &[(&str, &str)]) -> Environment {
    let written = runbook();
    let rehearsed = rehearsal::of(&written).expect("a rehearsal");
    let secrets = secrets.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    let inherited = inherited.iter();
    let inherited = inherited.map(|(n, v)| (OsString::from(*n), OsString::from(*v)));
    let base = Path::new("/srv");
    Environment::of_rehearsal(&written, &rehearsed, base, secrets.collect(), inherited)
}

#[tokio::test]
async fn variables_and_standard_input_reach_a_command_with_their_passwords() {
    let mut bench = Bench::new();
    bench.environment = in_night();
    let mut action = shell(
        "test \"$DATABASE_URL\" = postgres://owner:target-pw@db.internal:5433/app && \
         test \"$PW\" = runtime-pw && read line && test \"$line\" = \"x runtime-pw\" && ! read more && echo right",
    );
    action.env = vec![
        ("DATABASE_URL".into(), "{target_url}".into()),
        ("PW".into(), "{runtime_password}".into()),
    ];
    action.stdin = Some("x {runtime_password}\n".into());
    assert!(run(&mut bench, &action).await.ok, "{:?}", bench.lines);
    assert_eq!(bench.lines, ["right"]);
}

#[tokio::test]
async fn a_command_that_does_not_read_its_input_keeps_nobody_waiting() {
    let mut bench = Bench::new();
    let mut action = shell("echo done");
    action.stdin = Some("x".repeat(4 << 20));
    assert!(run(&mut bench, &action).await.ok);
    let mut action = shell("wc -c");
    action.stdin = Some("x".repeat(4 << 20));
    assert!(run(&mut bench, &action).await.ok);
    assert_eq!(bench.lines, ["done", "4194304"]);
}

#[tokio::test]
async fn no_password_is_among_the_arguments_or_in_the_output() {
    let mut bench = Bench::new();
    bench.environment = in_night();
    let action = Action::new(
        Effect::Command {
            argv: [
                "sh",
                "-c",
                "tr '\\0' ' ' < /proc/$$/cmdline; echo; env",
                "{target_url}",
            ]
            .map(str::to_owned)
            .to_vec(),
        },
        PLENTY,
    );
    assert!(run(&mut bench, &action).await.ok);
    let lines = bench.lines.join("\n");
    says!(lines, "postgres://owner@db.internal:5433/app");
    assert!(lines.contains("CUTOVER_REHEARSAL=0"), "{lines}");
    for password in ["target-pw", "runtime-pw"] {
        assert!(!lines.contains(password) && !bench.output().contains(password));
    }
    says!(lines, "CUTOVER_TARGET_URL=${target_url}");
}

/// A rehearsal whose production and scratch are there: it looks at production around each action.
struct Stage {
    folder: tempfile::TempDir,
    runbook: Runbook,
    target: TestDatabase,
    scratch: TestDatabase,
}

impl Stage {
    async fn set() -> Stage {
        let folder = tempfile::tempdir().expect("a folder");
        let (target, scratch) = (database().await, database().await);
        let mut runbook = runbook();
        runbook.target.url = target.url.clone();
        runbook.target.runtime_url = target.url.clone();
        runbook.fleet.config = Some("{instance}.env".into());
        runbook.source.file = folder.path().join("live.db");
        sqlite(&runbook.source.file, "CREATE TABLE t(a)");
        let of_scratch = runbook.rehearsal.as_mut().expect("a rehearsal");
        of_scratch.url = scratch.url.clone();
        of_scratch.runtime_url = scratch.url.clone();
        Stage {
            folder,
            runbook,
            target,
            scratch,
        }
    }

    fn bench(&self, inherited: &[(&str, &str)]) -> Bench {
        let rehearsed = rehearsal::of(&self.runbook).expect("a rehearsal");
        let inherited = inherited.iter();
        let inherited = inherited.map(|(n, v)| (OsString::from(*n), OsString::from(*v)));
        let base = self.folder.path();
        let environment =
            Environment::of_rehearsal(&self.runbook, &rehearsed, base, Vec::new(), inherited);
        Bench {
            environment,
            ..Bench::new()
        }
    }
}

#[tokio::test]
async fn every_value_follows_the_session_into_a_rehearsal() {
    let line = "echo \"$CUTOVER_REHEARSAL $CUTOVER_TARGET_DATABASE $CUTOVER_RUNTIME_DATABASE $CUTOVER_SOURCE_FILE\"; \
                echo {runtime_url:postgresql+psycopg} {source_url}";
    let mut bench = Bench::new();
    bench.environment = in_night();
    assert!(run(&mut bench, &shell(line)).await.ok);
    assert_eq!(
        bench.lines,
        [
            "0 app app /srv/app/live.db",
            "postgresql+psycopg://app@db.internal:5433/app sqlite:////srv/app/live.db",
        ]
    );
    let stage = Stage::set().await;
    let mut bench = stage.bench(&[]);
    assert!(run(&mut bench, &shell(line).cleared()).await.ok);
    let name = &stage.scratch.name;
    assert_eq!(
        bench.lines[0],
        format!("1 {name} {name} /srv/rehearsal/copy.db")
    );
    let urls = &bench.lines[1];
    assert!(
        urls.starts_with("postgresql+psycopg://") && urls.contains(&format!("/{name}")),
        "{urls}"
    );
    assert!(
        urls.ends_with(" sqlite:////srv/rehearsal/copy.db"),
        "{urls}"
    );
}

#[tokio::test]
async fn nothing_in_the_environment_of_a_rehearsal_leads_to_production() {
    let target = "postgres://owner:target-pw@db.internal:5433/app";
    let scratch = "postgres://owner:scratch-pw@db.internal:5433/scratch";
    let inherited = [
        ("TARGET_URL", target),
        ("APP_1", "http://127.0.0.1:5001"),
        ("PGHOST", "db.internal"),
        ("PGPASSWORD", "target-pw"),
        (
            "DATABASE_URL",
            "postgresql+psycopg://x@db.internal:5433/app",
        ),
        ("DB_HOST", "db.internal"),
        ("SQLITE", "/srv/app/live.db"),
        ("UNRELATED", "stays"),
        ("SCRATCH_URL", scratch),
        ("PATH", "/bin"),
    ];
    let secrets = [
        ("TARGET_URL", target),
        ("SCRATCH_URL", scratch),
        ("PROBE_TOKEN", "t0ken"),
    ];
    let environment = in_rehearsal(&secrets, &inherited);
    let withheld = environment.withheld().iter();
    let withheld: Vec<_> = withheld.map(|n| n.to_string_lossy().into_owned()).collect();
    let leading = [
        "TARGET_URL",
        "APP_1",
        "PGHOST",
        "PGPASSWORD",
        "DATABASE_URL",
        "DB_HOST",
        "SQLITE",
    ];
    assert_eq!(withheld, leading);
    let given: Vec<_> = environment
        .secrets
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(given, ["SCRATCH_URL", "PROBE_TOKEN"]);

    // As if each variable of this process led there: a command sees none of them but those without which it would not even start.
    let stage = Stage::set().await;
    let real = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let real: Vec<String> = real.collect();
    let path = stage.runbook.source.file.to_string_lossy().into_owned();
    let real: Vec<_> = real.iter().map(|n| (n.as_str(), path.as_str())).collect();
    let mut bench = stage.bench(&real);
    assert!(
        run(&mut bench, &shell("env | cut -d= -f1").cleared())
            .await
            .ok
    );
    let stays = [
        "HOME",
        "LANG",
        "LC_ALL",
        "LOGNAME",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHELL",
        "SHLVL",
        "TERM",
        "TMPDIR",
        "TZ",
        "USER",
        "XDG_RUNTIME_DIR",
        "_",
    ];
    let others = bench.lines.iter().filter(|n| !n.starts_with("CUTOVER_"));
    let others: Vec<_> = others.filter(|n| !stays.contains(&n.as_str())).collect();
    assert!(others.is_empty(), "a command still sees {others:?}");
}

#[tokio::test]
async fn an_action_that_changes_production_is_found_out_and_the_last_one() {
    for (line, part) in [
        (
            "psql -q \"$(cat url)\" -c 'CREATE TABLE t(a int)'",
            "table public.t of the target is new",
        ),
        ("echo B=2 > app-1.env", "the configuration of app-1"),
    ] {
        let stage = Stage::set().await;
        std::fs::write(stage.folder.path().join("url"), &stage.target.url).expect("a file");
        let mut bench = stage.bench(&[]);
        let harmless = shell("echo fine").cleared();
        let line = format!("cd '{}' && {line}", stage.folder.path().display());
        assert!(run(&mut bench, &harmless).await.ok);
        let harmful = shell(&line).cleared();
        let found = bench
            .run_action(&harmful, |_, _| {})
            .await
            .expect_err("found out");
        let found = found.to_string();
        assert!(
            found.contains(part) && found.contains("while `sh -c"),
            "{found}"
        );
        let refused = bench
            .run_action(&harmless, |_, _| {})
            .await
            .expect_err("refused");
        assert!(
            refused.to_string().contains("Nothing more was run"),
            "{refused}"
        );
        assert_eq!(bench.lines.iter().filter(|l| *l == "fine").count(), 1);
    }
}

#[tokio::test]
async fn what_a_rehearsal_was_not_cleared_for_it_does_not_run() {
    let mut bench = Stage::set().await.bench(&[]);
    let refused = bench
        .run_action(&shell("echo ran {target_url}"), |_, _| {})
        .await;
    assert!(
        matches!(refused, Err(Error::NotRehearsed { .. })),
        "{refused:?}"
    );
    assert!(bench.lines.is_empty());
}

#[tokio::test]
async fn a_file_that_is_made_for_a_password_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut bench = Bench::new();
    bench.environment = in_night();
    for (name, content, mode) in [
        ("plain.env", "PROVIDER=Postgres\n", 0o644),
        ("secret.env", "URL={runtime_url}\n", 0o600),
    ] {
        let path = bench.folder.path().join(name);
        let effect = Effect::WriteFile {
            path: path.clone(),
            content: content.into(),
        };
        assert!(run(&mut bench, &Action::new(effect, PLENTY)).await.ok);
        let found = path.metadata().expect("a file").permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    let path = bench.folder.path().join("secret.env");
    let text = std::fs::read_to_string(path).expect("text");
    assert_eq!(
        text,
        "URL=postgresql://app:runtime-pw@db.internal:5433/app\n"
    );
}
