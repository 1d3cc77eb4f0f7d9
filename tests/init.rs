//! `cutover init`: what it sees in a SQLite file, that its runbook lacks nothing but what it says it lacks, and that it changes nothing.

use std::path::Path;
use std::process::Output;

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
        "critical: Orders, Customers, Products\n",
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
        ["Orders", "Customers", "Products"]
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
        "Django, 2 migrations in django_migrations", "python manage.py migrate", &["0001_initial", "0002_slug"]),
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
        let runbook = filled(&draft, &[(booted, "started"), (line, "[make, migrations]")]);
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
        told.contains("4 tables, at least 100003 rows; no framework"),
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
