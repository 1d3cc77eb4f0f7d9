//! `cutover init`: what it sees in a SQLite file, that its runbook lacks nothing but what it says it lacks, and that it changes nothing.

mod folders;

use std::io::Write as _;
use std::path::Path;
use std::process::{Output, Stdio};

use cutover::runbook::{self, Runbook};

use crate::support;

/// An application as EF Core would make it.
const SHOP: &str = r#"
    CREATE TABLE __EFMigrationsHistory(MigrationId TEXT PRIMARY KEY, ProductVersion TEXT NOT NULL);
    INSERT INTO __EFMigrationsHistory VALUES ('20240101000000_Begin', '8.0.11'), ('20240301000000_Slugs', '8.0.11');
    CREATE TABLE __EFMigrationsLock(Id INTEGER PRIMARY KEY, Timestamp TEXT);
    CREATE TABLE Customers(Id INTEGER PRIMARY KEY AUTOINCREMENT, Name TEXT);
    CREATE TABLE Products(Id INTEGER PRIMARY KEY, Slug TEXT NOT NULL UNIQUE, Price NUMERIC);
    CREATE TABLE Orders(Id INTEGER PRIMARY KEY, CustomerId INTEGER REFERENCES Customers(Id));
    CREATE TABLE Lines(OrderId INTEGER REFERENCES Orders(Id), ProductId INTEGER REFERENCES Products(Id), PRIMARY KEY (OrderId, ProductId));
    CREATE TABLE Settings(Key TEXT PRIMARY KEY, Value TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO Orders SELECT i, NULL FROM n;
    INSERT INTO Settings VALUES ('a', 'b');
"#;

/// What somebody would write for each `<…>`.
#[rustfmt::skip]
const ANSWERS: &[(&str, &str)] = &[
    ("<name>", "Robin"),
    ("<its own base URL>", "http://127.0.0.1:1"),
    ("<the base URL of a staging slot>", "http://127.0.0.1:2"),
    ("<the file from which an instance takes its configuration, with {instance} in its path>", "\"/srv/{instance}.env\""),
    ("<the file that an instance logs to, with {instance} in its path>", "\"/srv/{instance}.log\""),
    ("<program that restarts an instance>", "/bin/true"),
    ("<program that connects to PostgreSQL from a host>", "/bin/true"),
    ("<a page that reads the critical tables>", "\"{url}/products\""),
    ("<how maintenance is switched on>", "{ write_file: /srv/maintenance, content: on }"),
    ("<how it is switched off>", "{ remove_file: /srv/maintenance }"),
    ("<a folder for backups>", "/srv/backup"),
    ("<a folder on another disk>", "/mnt/backup"),
    ("<the release or commit that pins them>", "v1"),
    ("<the key in fleet.config that says which database>", "DB"),
    ("<its value for SQLite>", "sqlite"),
    ("<its value for PostgreSQL>", "postgres"),
];

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn with(sql: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let connection =
            rusqlite::Connection::open(folder.path().join("shop.db")).expect("a database");
        connection.execute_batch(sql).expect("tables");
        Place { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = std::process::Command::new(support::cutover());
        command.args(args).current_dir(self.path());
        for name in ["TARGET", "TARGET_RUNTIME", "SCRATCH", "SCRATCH_RUNTIME"] {
            command.env(format!("{name}_URL"), "postgres://a@127.0.0.1:1/b");
        }
        command.output().expect("cutover")
    }

    fn draft(&self) -> String {
        let output = self.run(&["init"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        std::fs::read_to_string(self.path().join("runbook.yaml")).expect("a runbook")
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The runbook once everything has been filled in, and `more` besides.
fn filled(draft: &str, more: &[(&str, &str)]) -> Runbook {
    let mut text = draft.to_owned();
    for (place, answer) in ANSWERS.iter().chain(more) {
        assert!(text.contains(place), "no {place} in\n{draft}");
        text = text.replace(place, answer);
    }
    for person in ["robin", "ada", "dan", "quinn"] {
        text = text.replacen("<account>", person, 1);
    }
    let env = |_: &str| Some("postgres://a@127.0.0.1:1/b".to_owned());
    runbook::parse("runbook.yaml", &text, &env)
        .unwrap_or_else(|problems| panic!("{}\n{text}", runbook::render(&problems)))
}

#[test]
fn a_draft_lacks_what_it_says_and_nothing_else() {
    let shop = Place::with(SHOP);
    let before = std::fs::read(shop.path().join("shop.db")).expect("bytes");
    let output = shop.run(&["init"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stdout.is_empty());
    let told = said(&output);
    for part in [
        "5 tables, 41 rows; Entity Framework Core, 2 migrations in __EFMigrationsHistory",
        "critical: Orders, Customers, Lines, Products\n",
        "slugs: Products.Slug",
        "wrote runbook.yaml",
    ] {
        assert!(told.contains(part), "{part} not in\n{told}");
    }
    assert_eq!(
        before,
        std::fs::read(shop.path().join("shop.db")).expect("bytes")
    );

    let check = shop.run(&["check", "--offline"]);
    assert_eq!(check.status.code(), Some(2));
    let said = said(&check) + &String::from_utf8_lossy(&check.stdout);
    let errors: Vec<&str> = said.lines().filter(|l| l.starts_with("error")).collect();
    let other: Vec<_> = errors
        .iter()
        .filter(|l| !l.contains("still to be filled in"))
        .collect();
    assert!(
        errors.len() > 20 && other.is_empty(),
        "{other:?} in\n{said}"
    );

    let script = "<a file made by `dotnet ef migrations script --idempotent`>";
    let draft = std::fs::read_to_string(shop.path().join("runbook.yaml")).expect("a runbook");
    let runbook = filled(&draft, &[(script, "/srv/migrations.sql")]);
    assert_eq!(
        runbook.verification.critical,
        ["Orders", "Customers", "Lines", "Products"]
    );
    assert_eq!(
        runbook.target.history.expected,
        ["20240101000000_Begin", "20240301000000_Slugs"]
    );
    assert_eq!(runbook.transfer.slugs[0].table, "Products");
    assert!(
        runbook
            .transfer
            .exclude
            .iter()
            .any(|p| p.as_str() == "__EFMigrationsLock")
    );
    let rows: Vec<&str> = runbook.steps.iter().map(|s| s.id.as_str()).collect();
    let reference = include_str!("../runbook.yaml");
    let all = reference
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- "));
    let ids = all
        .filter_map(|l| l.split_once("id: "))
        .map(|(_, l)| l.split([',', ' ']).next().unwrap());
    // Nobody has seen what the application exposes of its pool: the draft does not wait for it, and says why.
    let m3 = runbook.monitoring.iter().find(|m| m.id == "M3");
    let signals = m3.map(|m| m.conditions.iter().map(|(s, _)| s.as_str()).collect());
    assert_eq!(signals, Some(vec!["pg_waiting"]));
    assert!(
        draft.contains("#   [ { signal: pool_waiting, at_most: 0 }"),
        "{draft}"
    );
    let wanted: Vec<&str> = ids.filter(|id| rows.contains(id)).collect();
    assert_eq!(rows, wanted, "every row of the protocol, in its order");
    assert_eq!(rows.len(), 32);
}

/// What each framework leaves in a file, how it is called, and what is expected in PostgreSQL.
#[rustfmt::skip]
const FRAMEWORKS: &[(&str, &str, &str, &[&str])] = &[
    ("CREATE TABLE django_migrations(id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT); INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial', ''), (2, 'auth', '0001_initial', ''), (3, 'shop', '0002_slug', '')",
        "Django, 3 migrations in django_migrations", "python manage.py migrate", &["shop.0001_initial", "auth.0001_initial", "shop.0002_slug"]),
    ("CREATE TABLE schema_migrations(version TEXT PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240101000000'); CREATE TABLE ar_internal_metadata(key TEXT PRIMARY KEY, value TEXT)",
        "Rails, 1 migration in", "bin/rails db:migrate", &["20240101000000"]),
    ("CREATE TABLE schema_migrations(version TEXT PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20240101000000')",
        "dbmate, or Rails before 5, 1 migration in", "dbmate up", &["20240101000000"]),
    ("CREATE TABLE schema_migrations(version INTEGER PRIMARY KEY, inserted_at TEXT); INSERT INTO schema_migrations VALUES (20240101000000, '')",
        "Ecto, 1 migration in", "mix ecto.migrate", &["20240101000000"]),
    ("CREATE TABLE schema_migrations(version INTEGER PRIMARY KEY, dirty INTEGER); INSERT INTO schema_migrations VALUES (7, 0)",
        "golang-migrate, 1 migration in", "migrate -path", &["7"]),
    ("CREATE TABLE migrations(id INTEGER PRIMARY KEY, migration TEXT, batch INTEGER); INSERT INTO migrations VALUES (1, '2024_01_01_000000_begin', 1)",
        "Laravel, 1 migration in", "php artisan migrate", &["2024_01_01_000000_begin"]),
    ("CREATE TABLE alembic_version(version_num TEXT); INSERT INTO alembic_version VALUES ('ae1027a6acf')",
        "Alembic, 1 migration in", "alembic upgrade head", &["ae1027a6acf"]),
    ("CREATE TABLE _prisma_migrations(id TEXT PRIMARY KEY, migration_name TEXT, finished_at TEXT, rolled_back_at TEXT); INSERT INTO _prisma_migrations VALUES ('x', '20240101000000_begin', '1', NULL), ('y', '20240102000000_failed', NULL, '2'), ('z', '20240103000000_undone', '1', '2'); CREATE TABLE _litestream_seq(id INTEGER PRIMARY KEY)",
        "Prisma, 1 migration in", "npx prisma migrate deploy", &["20240101000000_begin"]),
    ("CREATE TABLE DATABASECHANGELOG(ID TEXT, MD5SUM TEXT); INSERT INTO DATABASECHANGELOG VALUES ('1', 'x'); CREATE TABLE DATABASECHANGELOGLOCK(ID INTEGER)",
        "Liquibase, 1 migration in", "liquibase update", &["1"]),
];

#[test]
fn frameworks_are_known_by_their_histories() {
    let booted = "<a line that an instance logs when it has started>";
    for (sql, told, program, ids) in FRAMEWORKS {
        let place = Place::with(&format!(
            "CREATE TABLE Items(Id INTEGER PRIMARY KEY); {sql}"
        ));
        let output = place.run(&["init", "--out", "-"]);
        assert!(said(&output).contains(told), "{}", said(&output));
        assert!(
            said(&output).contains(": 1 table, 0 rows"),
            "{}",
            said(&output)
        );
        let draft = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = "<the program that runs the migrations and its arguments>";
        // Its log's ready-made rules know that line, where there are some.
        let answers = [(line, "[make, migrations]"), (booted, "started")];
        let open = if draft.contains(booted) { 2 } else { 1 };
        let runbook = filled(&draft, &answers[..open]);
        assert_eq!(runbook.target.history.expected, *ids);
        let comments = draft.lines().filter_map(|l| l.split_once("   # "));
        let mut comments = comments.map(|(_, comment)| comment);
        let typed = |list: &str| list.replace(['[', ']', ',', '"'], "");
        assert!(comments.any(|c| typed(c).contains(program)), "{draft}");
        let env = draft.lines().find(|l| l.contains("id: C1"));
        let follows = env.is_some_and(|l| l.contains("{target_") && !l.contains("$TARGET_URL"));
        assert!(follows, "{draft}");
        assert!(!place.path().join("runbook.yaml").exists());
    }
}

/// An empty list is refused, for C2 would prove nothing by it.
#[test]
fn a_history_without_a_migration_leaves_a_place_to_fill_in() {
    let place = Place::with(
        "CREATE TABLE Items(Id INTEGER PRIMARY KEY);
         CREATE TABLE django_migrations(id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT)",
    );
    let draft = place.draft();
    let expected = "expected: [<id of each migration for PostgreSQL>]";
    assert!(draft.contains(expected), "{draft}");
}

#[test]
fn odd_names_stay_what_they_are() {
    let odd = [
        "a: b # c",
        "it's \"quoted\"",
        "${HOME}",
        "<fill in>",
        "true",
        "naïve\u{202e}",
        "x\ny",
    ];
    let tables: String = odd
        .iter()
        .map(|name| {
            let name = name.replace('"', "\"\"");
            format!("CREATE TABLE \"{name}\"(id INTEGER PRIMARY KEY, \"{name} slug\" TEXT UNIQUE);")
        })
        .collect();
    let place = Place::with(&tables);
    let draft = place.draft();
    let history = [
        ("<table of the migrations>", "m"),
        ("<column of their ids>", "id"),
        ("<id of each migration for PostgreSQL>", "one"),
        (
            "<the program that runs the migrations and its arguments>",
            "[make, migrations]",
        ),
        (
            "<a line that an instance logs when it has started>",
            "started",
        ),
    ];
    let runbook = filled(&draft, &history);
    let mut critical = runbook.verification.critical.clone();
    let mut wanted = odd.map(str::to_owned).to_vec();
    critical.sort();
    wanted.sort();
    assert_eq!(critical, wanted);
    assert_eq!(runbook.transfer.slugs.len(), odd.len());
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_written() {
    let shop = Place::with(SHOP);
    std::fs::write(shop.path().join("runbook.yaml"), "mine").expect("a file");
    let output = shop.run(&["init"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said(&output).contains("runbook.yaml is there already"),
        "{}",
        said(&output)
    );
    let kept = std::fs::read_to_string(shop.path().join("runbook.yaml"));
    assert_eq!(kept.expect("a file"), "mine");
    let output = shop.run(&["init", "--out", "shop.db-wal"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(!shop.path().join("shop.db-wal").exists());

    std::fs::write(shop.path().join("notes.txt"), "no database at all").expect("a file");
    rusqlite::Connection::open(shop.path().join("second.db"))
        .and_then(|c| c.execute_batch("PRAGMA user_version = 1"))
        .expect("a database");
    let cases: &[(&[&str], &str)] = &[
        (
            &[],
            "2 SQLite files in this folder; say which: `cutover init --source FILE`, of second.db, shop.db",
        ),
        (&["--source", "gone.db"], "gone.db"),
        (&["--source", "notes.txt"], "notes.txt"),
        (&["--source", "second.db"], "second.db has no tables"),
        (
            &["--source", "shop.db", "--out", "nowhere/runbook.yaml"],
            "cannot write nowhere/runbook.yaml",
        ),
    ];
    for (args, wanted) in cases {
        let args = [&["init", "--out", "new.yaml"], *args].concat();
        let args: Vec<&str> = match args.iter().filter(|a| **a == "--out").count() {
            2 => args[..1].iter().chain(&args[3..]).copied().collect(),
            _ => args,
        };
        let output = shop.run(&args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        assert!(
            said(&output).contains(wanted),
            "{args:?}: {}",
            said(&output)
        );
        assert!(!shop.path().join("new.yaml").exists(), "{args:?}");
    }
    let empty = tempfile::tempdir().expect("a folder");
    let output = std::process::Command::new(support::cutover())
        .arg("init")
        .current_dir(empty.path())
        .output()
        .expect("cutover");
    assert!(
        said(&output).contains("no SQLite file in this folder"),
        "{}",
        said(&output)
    );
}

#[test]
fn what_an_application_can_do_without_is_not_critical() {
    let words = "CREATE TABLE Words(Id INTEGER PRIMARY KEY, slug TEXT UNIQUE);";
    let many = "CREATE TABLE Rows(Id INTEGER PRIMARY KEY);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100001) INSERT INTO Rows SELECT i FROM n;";
    let ballast = "CREATE TABLE sessions(id TEXT PRIMARY KEY); INSERT INTO sessions VALUES ('a'), ('b');
        CREATE TABLE solid_queue_jobs(id INTEGER PRIMARY KEY); INSERT INTO solid_queue_jobs VALUES (1);";
    let place = Place::with(&format!("{words}{many}{ballast}"));
    let output = place.run(&["init", "--out", "-"]);
    let told = said(&output);
    assert!(
        told.contains("4 tables, at least 100 003 rows; no framework"),
        "{told}"
    );
    assert!(told.contains("critical: Words, Rows\n"), "{told}");
    let slugs: String = (0..14)
        .map(|n| format!("CREATE TABLE T{n:02}(Id INTEGER PRIMARY KEY, slug TEXT UNIQUE);"))
        .collect();
    let told = said(&Place::with(&slugs).run(&["init", "--out", "-"]));
    assert!(
        told.contains("T11; 2 more have a slug or are referred to, and are left out"),
        "{told}"
    );
}

#[test]
fn a_slug_ignores_case_only_where_its_key_does() {
    let place = Place::with(
        "CREATE TABLE tags(id INTEGER PRIMARY KEY, slug TEXT UNIQUE);
         CREATE TABLE pages(id INTEGER PRIMARY KEY, slug TEXT COLLATE NOCASE UNIQUE)",
    );
    let draft = place.draft();
    for line in [
        "  - { table: tags, column: slug }\n",
        "  - { table: pages, column: slug, ignore_case: true }\n",
    ] {
        assert!(draft.contains(line), "no {line} in\n{draft}");
    }
}

/// Paths and texts.
type Files = &'static [(&'static str, &'static str)];

/// `init --ask` with lines on its standard input.
fn asked(place: &Place, lines: &str) -> Output {
    let mut command = std::process::Command::new(support::cutover());
    let mut child = command
        .args(["init", "--ask"])
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("cutover");
    let mut input = child.stdin.take().expect("a pipe");
    // It may have ended before the last line.
    let _ = input.write_all(lines.as_bytes());
    drop(input);
    child.wait_with_output().expect("cutover")
}

#[test]
fn every_question_has_a_default_and_the_answers_leave_nothing_open() {
    let unknown = "CREATE TABLE Items(Id INTEGER PRIMARY KEY)";
    for sql in [SHOP, unknown] {
        let place = Place::with(sql);
        let output = asked(&place, &"\n".repeat(60));
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
        let env = |_: &str| Some("postgres://a@127.0.0.1:1/b".to_owned());
        let runbook = runbook::parse("runbook.yaml", &draft, &env)
            .unwrap_or_else(|problems| panic!("{}\n{draft}", runbook::render(&problems)));
        assert_eq!(runbook.people.len(), 1);
        assert_eq!(runbook.people[0].roles.len(), 4);
        let approved = runbook.gates.iter().find(|gate| gate.id == "K8");
        assert_eq!(approved.map(|gate| gate.signers.len()), Some(1));
    }
}

#[test]
fn a_wrong_answer_is_asked_again_and_an_end_writes_nothing() {
    let me = cutover::engine::socket::user_of_this_process();
    let place = Place::with(SHOP);
    // How many, account, name, roles, instances, staging.
    let begun = format!(
        "many\n1\nnobody-is-called-so\n{me}\nSam: \"the\" one\nqa\nqa dba engineer release_manager\nftp://a\nhttp://127.0.0.1:1 http://127.0.0.1:2\nhttp://127.0.0.1:2\nhttp://127.0.0.1:3\n"
    );
    let output = asked(&place, &begun);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for part in [
        "a number from 1 to 4 is expected",
        "there is no account nobody-is-called-so on this machine",
        "nobody has the role release_manager then",
        "ftp://a is no base URL",
        "it is an instance of production",
        "nothing was written",
    ] {
        assert!(
            said(&output).contains(part),
            "no {part} in\n{}",
            said(&output)
        );
    }
    assert!(!place.path().join("runbook.yaml").exists());
    let ids = "one\nweb1 web1\nweb1 staging\n-x web2\nweb1 web2\n";
    let output = asked(&place, &format!("{begun}{ids}{}", "\n".repeat(60)));
    let shown = said(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for part in [
        "ids, as your restart program knows them, in the order of the URLs? [app-1 app-2]",
        "as many ids as URLs are expected: 2",
        "web1 is the id of another",
        "staging is the id of another",
        "-x is no id",
    ] {
        assert!(shown.contains(part), "no {part} in\n{shown}");
    }
    let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
    let env = |_: &str| Some("postgres://a@127.0.0.1:1/b".to_owned());
    let runbook = runbook::parse("runbook.yaml", &draft, &env).expect("a runbook");
    assert_eq!(runbook.people[0].name, "Sam: \"the\" one");
    let urls: Vec<&str> = runbook
        .fleet
        .instances
        .iter()
        .map(|instance| instance.url.as_str())
        .collect();
    assert_eq!(urls, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
    let ids: Vec<&str> = runbook
        .fleet
        .instances
        .iter()
        .map(|i| i.id.as_str())
        .collect();
    assert_eq!(ids, ["web1", "web2"]);
}

#[test]
fn what_is_there_is_never_the_file_of_maintenance_and_off_is_not_on() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::with(SHOP);
    let program = place.path().join("maintain");
    std::fs::write(&program, "#!/bin/sh\n").expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
    // Eighteen questions come before the one for maintenance.
    let before = "\n".repeat(18);
    let answers = format!("{before}shop.db\n./maintain\n./maintain\n./maintain away\n\n\n\n");
    let output = asked(&place, &answers);
    let shown = said(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    assert!(shown.contains("shop.db is there already"), "{shown}");
    assert!(shown.contains("this is what switches it on"), "{shown}");
    let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
    assert!(
        draft.contains("on:  { command: [\"./maintain\"] }"),
        "{draft}"
    );
    assert!(
        draft.contains("off: { command: [\"./maintain\", away] }"),
        "{draft}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrated_target_tells_what_plan_would_suggest() {
    let place = Place::with(
        "CREATE TABLE django_migrations(id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT);
         INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial', '');
         CREATE TABLE loans(id INTEGER PRIMARY KEY, period BIGINT NOT NULL, note TEXT);
         INSERT INTO loans VALUES (1, 1209600000000, 'longer than there is room for'), (2, 604800000000, NULL);",
    );
    let database = support::database().await;
    let out = ["--out", "runbook.yaml"];
    let to = ["init", "--to", database.url.as_str()];
    let empty = place.run(&[&to[..], &out].concat());
    assert_eq!(empty.status.code(), Some(1), "{}", said(&empty));
    assert!(
        said(&empty).contains("run the application's own migrations"),
        "{}",
        said(&empty)
    );
    assert!(!place.path().join("runbook.yaml").exists());

    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let client = endpoint.connect().await.expect("a connection");
    let made = "CREATE TABLE django_migrations(id bigint PRIMARY KEY, app text, name text);
        INSERT INTO django_migrations VALUES (1, 'shop', '0001_initial'), (2, 'auth', '0001_initial');
        CREATE TABLE loans(id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, period interval NOT NULL, note varchar(9));
        INSERT INTO loans VALUES (1, '1 day')";
    client.batch_execute(made).await.expect("tables");
    let output = place.run(&[&to[..], &out].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
    for part in [
        "within: app, expected: [\"auth.0001_initial\", \"shop.0001_initial\"]",
        "  target_rows: replace\n",
        "epoch: us",
        "  loans.note: { on_problem: <\"null\" loses the value; quarantine the whole row; or mend it in SQLite> }  # 1 value; the whole row stays behind; \
         `on_problem: \"null\"` would lose the value alone; by `on_problem: quarantine` each whole row would stay behind\n",
        "tls: optional",
        "feed: { writes: keep, drain: 2s, nearest: false }\n",
    ] {
        let plain = part.replace('"', "");
        let found = draft.contains(part) || draft.contains(&plain);
        assert!(found, "no {part} in\n{draft}");
    }
    let rows = client.query_one("SELECT count(*) FROM loans", &[]).await;
    let rows: i64 = rows.expect("a count").get(0);
    assert_eq!(rows, 1, "the target was only read");
}

/// A column of REAL does not keep every digit of a decimal: people look at what a rollback would bring back.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_with_values_that_would_not_come_back_has_them_kept_in_a_file() {
    let place = Place::with(
        "CREATE TABLE goods(id INTEGER PRIMARY KEY, price REAL NOT NULL, cost REAL NOT NULL); INSERT INTO goods VALUES (1, 1.5, 2.5)",
    );
    let database = support::database().await;
    let client = support::client(&database.url).await;
    let made = "CREATE TABLE goods(id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, price numeric(30,10) NOT NULL, cost numeric(30,10) NOT NULL)";
    client.batch_execute(made).await.expect("a table");
    let output = place.run(&["init", "--to", database.url.as_str()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let draft = std::fs::read_to_string(place.path().join("runbook.yaml")).expect("a draft");
    says!(
        draft,
        "feed: { writes: salvage, drain: 2s, nearest: false }\n"
    );
    lacks!(draft, "feed: { writes: keep");
    let reason = draft
        .lines()
        .find(|line| line.starts_with("# Not every column comes back exactly: "));
    let reason = reason.unwrap_or_else(|| panic!("no reason in\n{draft}"));
    says!(reason, "goods.");
    says!(reason, "numbers of more than 15 digits");
    says!(reason, "; and 1 more column(s), which `cutover plan` names");
}
