//! Log files that grow, rotate, are cut, vanish; and boot markers that belong to the restart before.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use cutover::monitor::logs::follow::Follower;
use cutover::monitor::logs::rules::Rules;
use cutover::runbook::action::Effect;
use cutover::runbook::{Action, LogRule, ProbeKind, rule_sets};
use cutover::trigger::Reading;

use super::{Watch, runbook, servers};

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.expect("a log")
        .write_all(text.as_bytes())
        .expect("written");
}

/// The lines since the last look.
fn lines(follower: &mut Follower) -> Vec<String> {
    let mut lines = Vec::new();
    let read = follower.read(1 << 20, &mut |line, _| {
        lines.push(String::from_utf8_lossy(line).into_owned());
    });
    if let Err(error) = read {
        lines.push(format!("! {error}"));
    }
    lines
}

#[test]
fn a_log_is_followed_across_rotation_and_truncation() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    append(&path, "before we came\n");
    let mut follower = Follower::at_end(path.clone());
    assert!(lines(&mut follower).is_empty());

    append(&path, "one\r\ntwo\nhalf a ");
    assert_eq!(lines(&mut follower), ["one", "two"]);
    append(&path, "line\n");
    assert_eq!(lines(&mut follower), ["half a line"]);

    append(&path, "last of the old\nno line end");
    fs::rename(&path, folder.path().join("app.log.1")).expect("rotated");
    append(&path, "first of the new\n");
    assert_eq!(
        lines(&mut follower),
        ["last of the old", "no line end", "first of the new"]
    );

    fs::write(&path, "cut\n").expect("cut");
    assert_eq!(lines(&mut follower), ["cut"]);

    fs::remove_file(&path).expect("removed");
    assert!(lines(&mut follower)[0].contains("does not exist"));
    append(&path, "back\n");
    assert_eq!(lines(&mut follower), ["back"]);
}

#[test]
fn a_line_without_end_and_a_flood_stay_within_bounds() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.log");
    append(&path, "");
    let mut follower = Follower::at_end(path.clone());
    append(&path, &format!("{}\nnext\n", "x".repeat(200_000)));
    let found = lines(&mut follower);
    assert_eq!((found[0].len(), found[1].as_str()), (64 * 1024, "next"));

    append(&path, &"a line of twenty-one\n".repeat(60_000));
    let found = lines(&mut follower);
    assert!(
        found
            .last()
            .expect("a line")
            .contains("faster than it is read")
    );
    assert_eq!(found.len() + lines(&mut follower).len(), 60_001);
}

fn kind() -> ProbeKind {
    let rule = |category: &str, pattern: &str| LogRule {
        category: category.to_owned(),
        pattern: Some(pattern.to_owned()),
        ..LogRule::default()
    };
    ProbeKind::Logs {
        follow: None,
        rules: vec![
            rule("database_exception", "PostgresException"),
            rule("unhandled_exception", "Unhandled"),
            rule("host_booted", "HostBooted"),
        ],
    }
}

#[tokio::test]
async fn the_first_rule_that_matches_decides_and_unread_logs_prove_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    let servers = servers(2).await;
    let mut runbook = runbook(vec![kind()], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log(1), "Unhandled, but before we came\n");
    append(&log(2), "");
    let mut watch = Watch::start(runbook);
    watch.until_value("log_unhandled_exception", 0.0).await;
    watch
        .until_reason(
            "log_ddl_exception",
            "no rule sorts lines into ddl_exception",
        )
        .await;
    append(
        &log(1),
        "Unhandled PostgresException\nUnhandled \u{1b}[2J\n",
    );
    append(&log(2), "Unhandled\nnothing to see\n");
    watch.until_value("log_unhandled_exception", 2.0).await;
    watch.until_value("log_database_exception", 1.0).await;

    fs::remove_file(log(2)).expect("removed");
    let reading = watch
        .until_reason("log_unhandled_exception", "1 of 2 logs cannot be read")
        .await;
    assert!(
        matches!(reading, Reading::Partial { value: 2.0, .. }),
        "{reading:?}"
    );
}

#[tokio::test]
async fn an_instance_has_booted_once_its_log_says_so_after_its_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    let servers = servers(2).await;
    let mut runbook = runbook(vec![kind()], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log(1), "");
    append(&log(2), "");
    let mut watch = Watch::start(runbook);
    watch.until_value("instances_booted_ratio", 1.0).await;
    append(&log(1), "HostBooted, long ago\n");
    watch.until_value("log_host_booted", 1.0).await;
    // The end of its log is known before it says anything new.
    watch.monitor.restarting("app-1").await;
    watch.until_value("instances_booted_ratio", 0.5).await;
    append(&log(1), "starting\nHostBooted\n");
    watch.until_value("instances_booted_ratio", 1.0).await;
    watch.monitor.restarting("app-2").await;
    watch.until_value("instances_booted_ratio", 0.5).await;
    fs::write(log(2), "HostBooted\n").expect("a new file");
    watch.until_value("instances_booted_ratio", 1.0).await;
}

#[tokio::test]
async fn json_lines_are_sorted_by_their_fields_and_tell_the_endpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app-1.log");
    let servers = servers(1).await;
    let rule = LogRule {
        category: "endpoint_exception".to_owned(),
        fields: vec![("LogLevel".to_owned(), "^(Error|Critical)$".to_owned())],
        endpoint: vec!["Scopes.RequestPath".to_owned()],
        ..LogRule::default()
    };
    let kind = ProbeKind::Logs {
        rules: vec![rule],
        follow: None,
    };
    let mut runbook = runbook(vec![kind], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log, "");
    let mut watch = Watch::start(runbook);
    watch.until_value("log_endpoint_exception", 0.0).await;
    let failed = |path: &str| {
        format!(
            "{{\"LogLevel\":\"Error\",\"Message\":\"boom\",\"Scopes\":[{{\"RequestPath\":\"{path}\"}}]}}\n"
        )
    };
    append(
        &log,
        "{\"LogLevel\":\"Information\",\"Message\":\"Error\"}\n",
    );
    append(
        &log,
        "LogLevel: Error, but no JSON\n{\"LogLevel\":\"Error\"\n",
    );
    append(&log, &failed("/tools?page=1").repeat(2));
    append(&log, &failed("/\\u001b[2J"));
    watch.until_value("log_endpoint_exception", 3.0).await;
    let details = watch.monitor.details();
    let logs = details.iter().find(|d| d.topic == "logs").expect("logs");
    assert_eq!(logs.lines, ["exceptions: /tools 2, /\\u{1b}[2J 1"]);
}

#[tokio::test]
async fn a_kind_of_database_exception_counts_as_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("app-1.log");
    let servers = servers(1).await;
    let kind = ProbeKind::Logs {
        rules: rule_sets::rules("npgsql"),
        follow: None,
    };
    let mut runbook = runbook(vec![kind], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log, "");
    let mut watch = Watch::start(runbook);
    watch.until_value("log_database_exception", 0.0).await;
    append(
        &log,
        "Npgsql.PostgresException (0x80004005): 40P01: deadlock detected\nNpgsql.NpgsqlException: broken\n",
    );
    watch.until_value("log_database_exception", 2.0).await;
    watch.until_value("log_database_deadlock", 1.0).await;
    watch.until_value("log_database_timeout", 0.0).await;
    let details = watch.monitor.details();
    assert_eq!(details[0].lines, ["database: deadlock 1, other 1"]);
}

fn follow(line: &str) -> ProbeKind {
    let ProbeKind::Logs { rules, .. } = kind() else {
        unreachable!("it is one of logs")
    };
    ProbeKind::Logs {
        rules,
        follow: Some(Action::new(
            Effect::Shell {
                line: line.to_owned(),
            },
            Duration::from_secs(1),
        )),
    }
}

#[tokio::test]
async fn what_a_command_prints_is_a_log_of_each_instance() {
    let folder = tempfile::tempdir().expect("a folder");
    let servers = servers(2).await;
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    append(&log(1), "");
    append(&log(2), "");
    let line = format!("tail -n 0 -F {}/{{instance}}.log", folder.path().display());
    let mut runbook = runbook(vec![follow(&line)], &servers);
    runbook.fleet.log = None;
    let mut watch = Watch::start(runbook);
    watch.until_value("log_unhandled_exception", 0.0).await;
    // Nobody says when `tail` has begun: what it is to see comes again until it has.
    let long = "x".repeat(100_000);
    let mut seen = Reading::value(0.0);
    while seen.number() < Some(3.0) {
        append(&log(1), &format!("{long} Unhandled\nUnhandled\n"));
        append(&log(2), "Unhandled\n");
        let some = |r: &Reading| r.number().is_some();
        seen = watch.until("log_unhandled_exception", some).await.reading;
    }
    watch.monitor.restarted("app-1");
    watch.until_value("instances_booted_ratio", 0.5).await;
    let mut booted = Reading::value(0.5);
    while booted != Reading::value(1.0) {
        append(&log(1), "HostBooted\n");
        booted = watch
            .until("instances_booted_ratio", |_| true)
            .await
            .reading;
    }
    let monitor = watch.monitor;
    monitor.stop().await;
}

#[tokio::test]
async fn a_command_that_ends_is_started_again_and_its_silence_proves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let servers = servers(1).await;
    let started = folder.path().join("started");
    let line = format!(
        "echo x >> {0}; echo Unhandled; echo the log is gone >&2; exit 3",
        started.display()
    );
    let mut watch = Watch::start(runbook(vec![follow(&line)], &servers));
    let why = "the fleet: the command ended: exit status: 3: the log is gone";
    let reading = watch.until_reason("log_database_exception", why).await;
    assert!(matches!(reading, Reading::NoData { .. }), "{reading:?}");
    watch
        .until_reason("instances_booted_ratio", "no instance has a log of its own")
        .await;
    watch
        .until("log_unhandled_exception", |r| r.number() >= Some(3.0))
        .await;
    let times = fs::read_to_string(&started).expect("it ran");
    assert!(times.lines().count() >= 3, "{times}");
}

#[tokio::test]
async fn a_command_that_floods_waits_and_nothing_of_it_is_lost() {
    let servers = servers(1).await;
    // 12 MB, three times of what is kept of it.
    let line = "yes 'Unhandled exception' | head -n 600000; exec sleep 600";
    let mut watch = Watch::start(runbook(vec![follow(line)], &servers));
    watch
        .until_value("log_unhandled_exception", 600_000.0)
        .await;
    watch.monitor.stop().await;
}

#[test]
fn what_dotnet_prints_is_sorted_by_the_ready_made_rules() {
    let rules = rule_sets::rules("dotnet");
    let rules = Rules::new(&rules).expect("rules");
    let mut wrong = Vec::new();
    let table = include_str!("dotnet.txt").lines();
    for row in table.filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (expected, line) = row.split_once(" | ").expect("a category and a line");
        let found = match rules.sort(line.as_bytes()) {
            None => "-".to_owned(),
            Some(sorted) => match sorted.endpoint {
                Some(endpoint) => format!("{} {endpoint}", sorted.category),
                None => sorted.category.to_owned(),
            },
        };
        if found != expected {
            wrong.push(format!("{expected}, found {found}: {line}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_set_has_rules_and_those_of_all_its_parts() {
    let count = |name| rule_sets::rules(name).len();
    assert!(rule_sets::names().iter().all(|name| count(name) > 0));
    for (whole, parts) in [
        ("dotnet", &["npgsql", "efcore", "aspnetcore"][..]),
        ("rails", &["postgres", "puma"]),
        ("django", &["postgres", "gunicorn", "uvicorn"]),
    ] {
        let parts: usize = parts.iter().map(|part| count(part)).sum();
        assert!(count(whole) >= parts, "{whole}");
    }
}

/// What the servers and libraries of the usual frameworks print when PostgreSQL refuses, and when they have started.
#[test]
fn what_frameworks_print_is_sorted_by_their_ready_made_rules() {
    let unique = "duplicate key value violates unique constraint \"orders_number_key\"";
    let absent = "relation \"auth_user\" does not exist";
    let lines: &[(&str, String, &str)] = &[
        (
            "django",
            format!("django.db.utils.IntegrityError: {unique}"),
            "database_constraint",
        ),
        (
            "django",
            format!("django.db.utils.ProgrammingError: {absent}"),
            "ddl_exception",
        ),
        (
            "django",
            "Internal Server Error: /orders/7/".to_owned(),
            "endpoint_exception",
        ),
        (
            "django",
            "[2026-01-01 00:00:00 +0000] [9] [INFO] Booting worker with pid: 9".to_owned(),
            "host_booted",
        ),
        (
            "django",
            "You have 3 unapplied migration(s). Your project may not work properly".to_owned(),
            "pending_migration",
        ),
        (
            "python",
            "sqlalchemy.exc.OperationalError: (psycopg.OperationalError) connection failed"
                .to_owned(),
            "database_exception",
        ),
        (
            "python",
            "ERROR in app: Exception on /orders [POST]".to_owned(),
            "endpoint_exception",
        ),
        (
            "python",
            "INFO:     Application startup complete.".to_owned(),
            "host_booted",
        ),
        (
            "rails",
            format!("PG::UniqueViolation: ERROR:  {unique}"),
            "database_constraint",
        ),
        (
            "rails",
            "ActiveRecord::ConnectionTimeoutError: could not obtain a connection from the pool"
                .to_owned(),
            "database_timeout",
        ),
        (
            "rails",
            "Completed 500 Internal Server Error in 12ms (ActiveRecord: 1.0ms)".to_owned(),
            "endpoint_exception",
        ),
        (
            "rails",
            "* Listening on http://0.0.0.0:3000".to_owned(),
            "services_initialised",
        ),
        (
            "laravel",
            "production.ERROR: SQLSTATE[08006] [7] connection to server failed".to_owned(),
            "database_exception",
        ),
        (
            "laravel",
            format!("production.ERROR: SQLSTATE[23505]: Unique violation: 7 ERROR:  {unique}"),
            "database_constraint",
        ),
        (
            "node",
            "SequelizeConnectionRefusedError connect ECONNREFUSED 127.0.0.1:5432".to_owned(),
            "database_exception",
        ),
        (
            "node",
            "SequelizeDatabaseError: permission denied for table Orders".to_owned(),
            "database_authentication",
        ),
        (
            "node",
            "SequelizeUniqueConstraintError: Validation error".to_owned(),
            "database_constraint",
        ),
        (
            "node",
            "Server listening on port 3000".to_owned(),
            "host_booted",
        ),
        (
            "go",
            format!("ERROR: {unique} (SQLSTATE 23505)"),
            "database_constraint",
        ),
        (
            "go",
            "pq: sorry, something else".to_owned(),
            "database_exception",
        ),
        (
            "go",
            "http: panic serving 127.0.0.1:5: runtime error".to_owned(),
            "unhandled_exception",
        ),
        (
            "spring",
            "HikariPool-1 - Connection is not available, request timed out after 30000ms"
                .to_owned(),
            "database_timeout",
        ),
        (
            "spring",
            format!("org.postgresql.util.PSQLException: ERROR: {absent}"),
            "ddl_exception",
        ),
        (
            "spring",
            "Started ShopApplication in 3.2 seconds (process running for 3.9)".to_owned(),
            "host_booted",
        ),
    ];
    for (set, line, wanted) in lines {
        let rules = rule_sets::rules(set);
        let first = rules.iter().find(|rule| {
            let pattern = rule.pattern.as_ref().expect("a pattern");
            regex::Regex::new(pattern)
                .expect("an expression")
                .is_match(line)
        });
        assert_eq!(
            first.map(|rule| rule.category.as_str()),
            Some(*wanted),
            "{set}: {line}"
        );
    }
    // A line of ordinary work is none of them.
    for set in rule_sets::names() {
        let rules = rule_sets::rules(set);
        for line in [
            "GET /orders 200 12ms",
            "127.0.0.1 - - \"GET /tables HTTP/1.1\" 200 17",
        ] {
            let is_taken = |rule: &LogRule| {
                let pattern = rule.pattern.as_ref().expect("a pattern");
                regex::Regex::new(pattern)
                    .expect("an expression")
                    .is_match(line)
            };
            assert!(!rules.iter().any(is_taken), "{set}: {line}");
        }
    }
}

/// A pipe that nobody writes to would hold whoever opens it; the other logs are read all the same, and it says why it is not.
#[tokio::test]
async fn a_pipe_as_one_log_stops_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = |n: usize| folder.path().join(format!("app-{n}.log"));
    let servers = servers(2).await;
    let mut runbook = runbook(vec![kind()], &servers);
    runbook.fleet.log = Some(folder.path().join("{instance}.log").display().to_string());
    append(&log(1), "");
    let made = std::process::Command::new("mkfifo").arg(log(2)).status();
    assert!(made.expect("mkfifo").success());
    let mut watch = Watch::start(runbook);
    watch
        .until_reason("log_unhandled_exception", "app-2: ")
        .await;
    append(&log(1), "Unhandled\n");
    let reading = watch
        .until_reason("log_unhandled_exception", "it is a pipe (FIFO)")
        .await;
    assert!(matches!(reading, Reading::Partial { .. }), "{reading:?}");
    let is_counted = |r: &Reading| matches!(r, Reading::Partial { value: 1.0, .. });
    watch.until("log_unhandled_exception", is_counted).await;
}
