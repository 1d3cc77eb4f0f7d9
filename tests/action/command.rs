//! Commands that behave and commands that do not.

use std::time::{Duration, Instant};

use cutover::action::{Effect, Error};
use cutover::sqlite::digest;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio_util::sync::CancellationToken;

use super::{Bench, PLENTY};

/// After which a command is ended that hangs: by then it has said who it is, also where this machine pauses meanwhile.
const IN_VAIN: Duration = Duration::from_secs(10);

/// Waits, with a deadline, for a process to be gone.
fn wait_until_gone(pid: &str) {
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while test_kill_process(pid).is_ok() && !is_zombie(pid) {
        assert!(Instant::now() < deadline, "process {pid:?} is still there");
        std::thread::yield_now();
    }
}

/// Dead, and not yet collected by whoever is process 1 here.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
    })
}

#[tokio::test]
async fn what_a_command_says_is_passed_on_kept_and_hashed() {
    let mut bench = Bench::new();
    let outcome = bench
        .shell("echo one; echo two >&2; printf 'three'; exit 3", PLENTY)
        .await;
    assert_eq!((outcome.ok, outcome.exit_code), (false, Some(3)));
    assert!(outcome.summary().starts_with("exit code 3"));
    let mut lines = bench.lines.clone();
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
    assert_eq!(
        outcome.output_sha256,
        digest::of_file(&outcome.output_path, &CancellationToken::new()).unwrap()
    );
    assert_eq!((outcome.dropped_bytes, outcome.output_problem), (0, None));
    assert!(bench.shell("true", PLENTY).await.ok);
}

/// So that the engine after one that was killed finds it.
#[tokio::test]
async fn a_command_is_on_record_beside_its_output_for_as_long_as_it_runs() {
    let mut bench = Bench::new();
    let record = bench.output_path().with_file_name("output.log.running");
    let looks = format!("until test -s '{}'; do :; done", record.display());
    assert!(bench.shell(&looks, PLENTY).await.ok);
    assert!(!record.exists());
}

#[tokio::test]
async fn no_shell_sees_an_argument() {
    let mut bench = Bench::new();
    bench.placeholders = bench
        .placeholders
        .clone()
        .with("instance", "a b; echo gone > pwned");
    let argv = ["printf", "%s|", "{instance}", "$HOME", "--at={instance}"]
        .map(str::to_owned)
        .to_vec();
    let outcome = bench.run(Effect::Command { argv }, PLENTY).await.unwrap();
    assert!(outcome.ok);
    assert_eq!(
        bench.output(),
        "a b; echo gone > pwned|$HOME|--at=a b; echo gone > pwned|"
    );
    assert!(!bench.folder.path().join("pwned").exists());
    let refused = bench
        .run(
            Effect::Shell {
                line: "echo {instance}".into(),
            },
            PLENTY,
        )
        .await;
    assert!(
        matches!(refused, Err(Error::Substitution(_))),
        "{refused:?}"
    );
    assert_eq!(
        bench.shell("echo \"$CUTOVER_INSTANCE\"", PLENTY).await.tail,
        ["a b; echo gone > pwned"]
    );
}

#[tokio::test]
async fn a_secret_reaches_the_command_and_nothing_else() {
    let mut bench = Bench::new();
    bench.environment.secrets = vec![("PGPASSWORD".to_owned(), "hunter2".to_owned())];
    let outcome = bench.shell("test \"$PGPASSWORD\" = hunter2 && echo \"it is <$PGPASSWORD>\"; tr '\\0' ' ' < /proc/$$/cmdline", PLENTY).await;
    assert_eq!(bench.lines[0], "it is <${PGPASSWORD}>");
    assert!(
        !bench.output().contains("it is <hunter2>")
            && !format!("{outcome:?}").contains("<hunter2>")
    );
}

#[tokio::test]
async fn a_program_that_is_not_there() {
    let mut bench = Bench::new();
    let missing = bench
        .run(
            Effect::Command {
                argv: vec!["no-such-program".into()],
            },
            PLENTY,
        )
        .await
        .unwrap_err();
    assert!(
        matches!(&missing, Error::Spawn { program, .. } if program == "no-such-program"),
        "{missing:?}"
    );
    assert!(matches!(
        bench.run(Effect::Command { argv: vec![] }, PLENTY).await,
        Err(Error::NoProgram)
    ));
    let folder = bench.folder.path().display().to_string();
    assert!(matches!(
        bench
            .run(Effect::Command { argv: vec![folder] }, PLENTY)
            .await,
        Err(Error::Spawn { .. })
    ));
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_its_children() {
    let mut bench = Bench::new();
    let outcome = bench.shell("sleep 300 & echo $!; wait", IN_VAIN).await;
    assert!(
        outcome.timed_out && !outcome.ok && !outcome.cancelled,
        "{outcome:?}"
    );
    assert_eq!(outcome.signal, Some(15), "TERM was enough");
    wait_until_gone(&bench.lines[0]);
}

#[tokio::test]
async fn a_command_that_ignores_term_is_killed() {
    let mut bench = Bench::new();
    let outcome = bench
        .shell("trap '' TERM; echo $$; while :; do sleep 1; done", IN_VAIN)
        .await;
    assert!(outcome.timed_out);
    assert_eq!((outcome.exit_code, outcome.signal), (None, Some(9)));
    wait_until_gone(&bench.lines[0]);
}

#[tokio::test]
async fn children_that_stay_behind_are_ended() {
    let mut bench = Bench::new();
    let outcome = bench
        .shell(
            "(trap '' TERM HUP; sleep 300) >/dev/null 2>&1 & echo $!",
            PLENTY,
        )
        .await;
    assert!(outcome.ok, "{outcome:?}");
    wait_until_gone(&bench.lines[0]);
}

#[tokio::test]
async fn a_service_that_was_started_on_purpose_stays_and_holds_nobody_up() {
    let mut bench = Bench::new();
    // It inherits our pipe and has a session of its own.
    let line =
        "setsid sh -c 'echo $$ > pid; exec sleep 300' & while [ ! -s pid ]; do :; done; cat pid";
    let outcome = bench.shell(line, PLENTY).await;
    assert!(outcome.ok, "{outcome:?}");
    let pid = Pid::from_raw(bench.lines[0].parse().unwrap()).unwrap();
    test_kill_process(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// `setsid program &` as the last line of a script: the script may end before the program has called setsid.
#[tokio::test]
async fn a_service_may_leave_the_group_a_moment_after_the_command_has_ended() {
    let mut bench = Bench::new();
    let line = "(sleep 0.1; exec setsid sh -c 'echo $$ > pid.new; mv pid.new pid; exec sleep 300') >/dev/null 2>&1 &";
    let outcome = bench.shell(line, PLENTY).await;
    assert!(outcome.ok, "{outcome:?}");
    let path = bench.folder.path().join("pid");
    crate::support::until("the service runs", async || path.exists()).await;
    let pid = std::fs::read_to_string(&path).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    test_kill_process(pid).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[tokio::test]
async fn what_stays_in_the_group_is_ended_and_named() {
    let mut bench = Bench::new();
    let outcome = bench
        .shell("sleep 300 >/dev/null 2>&1 & echo $!", PLENTY)
        .await;
    assert!(outcome.ok, "{outcome:?}");
    let pid = bench.lines[0].clone();
    says!(
        bench.output(),
        &format!("process {pid} was still in the command's group")
    );
    wait_until_gone(&pid);
}

#[tokio::test]
async fn a_flood_is_capped_and_its_end_is_kept() {
    let mut bench = Bench::new();
    let outcome = bench
        .shell("yes 0123456789 | head -c 22000000; echo the end", PLENTY)
        .await;
    assert!(outcome.ok);
    let kept = bench.output_path().metadata().unwrap().len();
    assert!((4 << 20..5 << 20).contains(&kept), "{kept}");
    assert_eq!(outcome.dropped_bytes, 22_000_008 - (4 << 20));
    assert_eq!(outcome.tail.last().unwrap(), "the end");
    assert!(bench.output().contains(&format!(
        "{} bytes of output were not kept",
        outcome.dropped_bytes
    )));
}

#[tokio::test]
async fn an_endless_flood_meets_its_time_limit() {
    let mut bench = Bench::new();
    let flood = bench.shell("yes; yes >&2", Duration::from_millis(500));
    assert!(flood.await.timed_out);
    assert!(bench.output_path().metadata().unwrap().len() < 5 << 20);
}

#[tokio::test]
async fn cancelling_ends_the_command() {
    let mut bench = Bench::new();
    let effect = Effect::Shell {
        line: "echo $$; sleep 300".into(),
    };
    let outcome = bench
        .run_with(effect, PLENTY, |_, cancel| cancel.cancel())
        .await
        .unwrap();
    assert!(outcome.cancelled && !outcome.timed_out && !outcome.ok);
    wait_until_gone(&bench.lines[0]);
}

#[tokio::test]
async fn dropping_the_run_ends_the_command() {
    let mut bench = Bench::new();
    let (heard, mut hearing) = tokio::sync::mpsc::unbounded_channel();
    let effect = Effect::Shell {
        line: "echo $$; sleep 300".into(),
    };
    let run = bench.run_with(effect, PLENTY, move |line, _| {
        heard.send(line.to_owned()).unwrap()
    });
    let pid = tokio::select! {
        _ = run => panic!("it ended by itself"),
        pid = hearing.recv() => pid.unwrap(),
    };
    wait_until_gone(&pid);
}

#[tokio::test]
async fn output_that_cannot_be_kept_does_not_fail_the_action() {
    let mut bench = Bench::new();
    std::fs::create_dir(bench.output_path()).unwrap();
    let outcome = bench.shell("echo done", PLENTY).await;
    assert!(outcome.ok);
    assert!(
        outcome
            .output_problem
            .unwrap()
            .contains("cannot keep the output")
    );
    assert_eq!(
        (outcome.output_sha256.as_str(), bench.lines.as_slice()),
        ("", &["done".to_owned()][..])
    );
}
