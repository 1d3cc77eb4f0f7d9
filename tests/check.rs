//! `cutover check`: what it says of an environment, and that it changes nothing.

use std::path::Path;

use cutover::cli::check::{examine, misspelled};
use cutover::postgres::Finding;
use cutover::runbook::{self, Runbook, Severity};

use crate::support;

/// The reference runbook with its paths in a folder, its databases on the test's own server, and nobody at its instances' ports.
fn runbook_in(folder: &Path, owner_url: &str, runtime_url: &str) -> Runbook {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(path).expect("the reference runbook");
    let at = |name: &str| folder.join(name).display().to_string();
    let env = |name: &str| {
        Some(match name {
            "TARGET_URL" | "SCRATCH_URL" => owner_url.to_owned(),
            "TARGET_RUNTIME_URL" | "SCRATCH_RUNTIME_URL" => runtime_url.to_owned(),
            "APP_SQLITE" => at("tools.db"),
            "BACKUP_DIR" => at("backup"),
            "OFFSITE_DIR" => at("offsite"),
            "MIGRATIONS_SQL" => at("migrations.sql"),
            "APP_DIR" => at("app"),
            "APPCTL" => support::cutover().display().to_string(),
            "PROBE_TOKEN" => "probe-token".to_owned(),
            // Port 1 is nobody's.
            _ => "http://127.0.0.1:1".to_owned(),
        })
    };
    runbook::parse("runbook.yaml", &text, &env).expect("valid")
}

fn finding<'f>(findings: &'f [Finding], name: &str) -> &'f Finding {
    findings
        .iter()
        .find(|f| f.name == name)
        .unwrap_or_else(|| panic!("no finding {name} in {findings:#?}"))
}

#[tokio::test]
async fn the_environment_is_looked_at_and_nothing_is_changed() {
    let database = support::database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("tools.db");
    let connection = rusqlite::Connection::open(&source).expect("a database");
    connection
        .execute_batch("CREATE TABLE ToolContents(Id INTEGER PRIMARY KEY); CREATE TABLE ToolSteps(Id INTEGER PRIMARY KEY);")
        .expect("tables");
    drop(connection);
    let before = std::fs::read(&source).expect("bytes");

    let runbook = runbook_in(
        folder.path(),
        &database.url,
        "postgres://nobody:hunter2@127.0.0.1:1/x",
    );
    let findings = examine(&runbook, folder.path()).await;

    let own = finding(&findings, "own account");
    assert!(!own.ok && !own.blocks(), "{own:?}");
    assert!(finding(&findings, "source").ok);
    let tables = finding(&findings, "source tables");
    assert!(
        tables.detail.contains("ToolCategories, ToolFeatures"),
        "{tables:?}"
    );
    assert!(finding(&findings, "target: database").ok);
    assert!(finding(&findings, "target: server version").ok);
    let runtime = finding(&findings, "target, runtime role");
    assert!(
        runtime.blocks() && !runtime.detail.contains("hunter2"),
        "{runtime:?}"
    );
    assert!(finding(&findings, "instance app-1").blocks());
    assert!(finding(&findings, "instance app-1, configuration").blocks());
    assert!(finding(&findings, "C1 script").blocks());
    assert!(finding(&findings, "A2 backup folder").ok);
    let program = findings
        .iter()
        .find(|f| f.name.starts_with("program "))
        .expect("APPCTL");
    assert!(program.ok, "{program:?}");
    assert!(
        !finding(&findings, "second place").ok,
        "both are on one disk"
    );

    assert_eq!(std::fs::read(&source).expect("bytes"), before);
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert_eq!(left, ["tools.db"], "nothing was made");
}

#[tokio::test]
async fn a_source_that_is_missing_is_not_created() {
    let database = support::database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut runbook = runbook_in(folder.path(), &database.url, &database.url);
    runbook.people[0].user = cutover::engine::socket::user_of_this_process();
    let findings = examine(&runbook, folder.path()).await;
    assert!(finding(&findings, "own account").ok);
    assert!(finding(&findings, "source").blocks());
    assert!(finding(&findings, "target, runtime role").ok);
    assert!(!folder.path().join("tools.db").exists());
}

/// Each misspelled name with its place in the runbook, and the name that is meant.
#[tokio::test]
async fn names_that_neither_side_has_are_pointed_at() {
    let database = support::database().await;
    let client = cutover::postgres::Endpoint::parse(&database.url)
        .expect("a URL")
        .connect()
        .await
        .expect("a connection");
    client
        .batch_execute(r#"CREATE TABLE "__EFMigrationHistory" ("MigrationId" text PRIMARY KEY)"#)
        .await
        .expect("a history");
    let folder = tempfile::tempdir().expect("a folder");
    let source = rusqlite::Connection::open(folder.path().join("tools.db")).expect("a database");
    source
        .execute_batch(
            "CREATE TABLE ToolContents(Id INTEGER PRIMARY KEY, Title TEXT, Slug TEXT, CreatedAt TEXT); CREATE TABLE __EFMigrationsLock(Id)",
        )
        .expect("tables");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbook.yaml");
    let text = std::fs::read_to_string(path).expect("the reference runbook");
    let edits = [
        ("order_by: [Title, Id]", "order_by: [Titel desc, Id]"),
        (
            "table: ToolContents, column: Slug",
            "table: ToolContent, column: Slug",
        ),
        ("    \"*.UpdatedAt\": {", "    ToolContents.CreateAt: {"),
    ];
    let text = edits.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    });
    let env = |name: &str| {
        Some(match name {
            "TARGET_URL" => database.url.clone(),
            "APP_SQLITE" => folder.path().join("tools.db").display().to_string(),
            name if name.ends_with("_URL") => "postgres://a@b/c".to_owned(),
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => "http://a/b".to_owned(),
            name => format!("/{name}"),
        })
    };
    let reading = runbook::read("runbook.yaml", &text, &env);
    let runbook = reading.runbook.expect("valid");
    let found = misspelled(&runbook, folder.path(), &reading.sites).await;
    let errors = found.iter().filter(|p| p.severity == Severity::Error);
    let errors: Vec<_> = errors
        .map(|p| (p.path.as_str(), p.found.as_str(), p.hint.as_deref()))
        .collect();
    assert_eq!(
        errors,
        [
            (
                "target.history.table",
                "`__EFMigrationsHistory`",
                Some("did you mean `__EFMigrationHistory`?")
            ),
            (
                "transfer.columns[ToolContents.CreateAt].key",
                "`ToolContents.CreateAt`",
                Some("did you mean `ToolContents.CreatedAt`?")
            ),
            (
                "transfer.lists[tools-by-title].order_by[0]",
                "`Titel`",
                Some("did you mean `Title`?")
            ),
            (
                "transfer.slugs[0].table",
                "`ToolContent`",
                Some("did you mean `ToolContents`?")
            ),
        ]
    );
    for problem in &found {
        let line = text.lines().nth(problem.line - 1).expect("a line");
        let name = problem.found.trim_matches('`');
        let rest: String = line.chars().skip(problem.column - 1).collect();
        let rest = rest.trim_start_matches('"');
        assert!(rest.starts_with(name), "{name} is not at {rest}");
    }
    // A pattern may be there for another release.
    let warned = found.iter().find(|p| p.found == "`*.AddedAt`");
    assert_eq!(warned.map(|p| p.severity), Some(Severity::Warning));
}

/// What a rehearsal's B2 would say of the scratch database is known before.
#[tokio::test]
async fn rights_are_asked_for_on_the_scratch_database_too() {
    let database = support::database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let runbook = runbook_in(
        folder.path(),
        &database.url,
        "postgres://nobody_at_all@127.0.0.1:1/x",
    );
    let findings = examine(&runbook, folder.path()).await;
    for side in ["target", "scratch"] {
        let role = finding(&findings, &format!("{side}, runtime role: exists"));
        assert!(role.blocks(), "{role:?}");
        assert!(role.detail.contains("nobody_at_all"), "{role:?}");
    }
}

#[test]
fn who_is_not_on_the_bridge_is_told_before_a_rehearsal_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = include_str!("../runbook.yaml");
    let path = folder.path().join("runbook.yaml");
    std::fs::write(&path, text).expect("a runbook");
    let mut command = std::process::Command::new(support::cutover());
    command.arg("rehearse").current_dir(folder.path());
    for name in text.split("${").skip(1).filter_map(|t| t.split('}').next()) {
        let value = match name {
            name if name.ends_with("_URL") => "postgres://a@127.0.0.1:1/b",
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => "http://127.0.0.1:1",
            _ => "/nowhere",
        };
        command.env(name, value);
    }
    command
        .env("APP_SQLITE", "/nowhere.db")
        .env("APP_DIR", "/nowhere");
    let output = command.output().expect("cutover");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("is the account of nobody in the runbook's `people`"),
        "{said}"
    );
    assert!(!folder.path().join(".cutover").exists());
}

#[test]
fn the_bridges_group_has_everybody_of_the_bridge() {
    use cutover::cli::group::examine;

    let nowhere = "postgres://nobody@127.0.0.1:1/x";
    let mut runbook = runbook_in(Path::new("/"), nowhere, nowhere);
    let without = examine(&runbook).remove(0);
    assert!(!without.blocks() && !without.ok, "{}", without.detail);
    assert!(without.detail.contains("and robin"), "{}", without.detail);
    let said = |runbook: &Runbook| {
        let found = examine(runbook).remove(0);
        (found.blocks(), found.detail)
    };
    runbook.bridge_group = Some("no-such-group".to_owned());
    assert_eq!(
        said(&runbook),
        (
            true,
            "there is no group no-such-group on this machine".to_owned()
        )
    );
    let gid = nix::unistd::getegid();
    let group = nix::unistd::Group::from_gid(gid)
        .expect("groups")
        .expect("ours");
    runbook.bridge_group = Some(group.name.clone());
    let (blocks, detail) = said(&runbook);
    assert!(
        blocks && detail.starts_with("there is no user robin"),
        "{detail}"
    );
    for person in &mut runbook.people {
        person.user = cutover::engine::socket::user_of_this_process();
    }
    assert_eq!(
        said(&runbook),
        (false, format!("{} has everybody of the bridge", group.name))
    );
    runbook.people[0].user = "nobody".to_owned();
    let (blocks, detail) = said(&runbook);
    assert!(
        blocks && detail.starts_with("nobody is not in the group"),
        "{detail}"
    );
}

#[tokio::test]
async fn everybody_who_may_have_to_sign_is_listed() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = "postgres://nobody@127.0.0.1:1/x";
    let mut runbook = runbook_in(folder.path(), nowhere, nowhere);
    runbook.signatures = Some(runbook::Signatures {
        allowed_signers: "allowed_signers".into(),
        revoked: Some("revoked".into()),
        required: runbook::SignedGates::These(vec!["K5".to_owned(), "K6".to_owned()]),
    });
    let findings = examine(&runbook, folder.path()).await;
    assert!(finding(&findings, "allowed signers").blocks());
    assert!(finding(&findings, "revoked keys").blocks());
    assert!(finding(&findings, "signer quinn").blocks());

    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIERkWSTRSo6Covp0t/LJxjSRWDfo8PQpA+3bm5EnT0Vb";
    let allowed = folder.path().join("allowed_signers");
    std::fs::write(&allowed, format!("quinn,robin {key}\n")).expect("written");
    let shared = std::fs::Permissions::from_mode(0o664);
    std::fs::set_permissions(&allowed, shared).expect("a mode");
    std::fs::write(folder.path().join("revoked"), "no list\n").expect("written");
    let findings = examine(&runbook, folder.path()).await;
    assert!(finding(&findings, "allowed signers").ok);
    assert!(!finding(&findings, "allowed signers, mode").ok);
    assert!(finding(&findings, "revoked keys").blocks());
    assert!(finding(&findings, "signer quinn").ok && finding(&findings, "signer robin").ok);
    assert!(
        finding(&findings, "signer ada").blocks(),
        "ada is robin's deputy"
    );
    assert!(findings.iter().all(|f| f.name != "signer dan"), "K5 and K6");

    std::fs::write(folder.path().join("revoked"), format!("{key}\n")).expect("written");
    let findings = examine(&runbook, folder.path()).await;
    assert!(finding(&findings, "revoked keys").ok);
}

/// What goes wrong is said without what was typed behind a user's name.
#[test]
fn no_error_quotes_a_password_that_was_typed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("app.db");
    rusqlite::Connection::open(&file)
        .and_then(|file| file.execute_batch("CREATE TABLE t(id INTEGER PRIMARY KEY)"))
        .expect("a file");
    for password in [
        "zQ/pW7x",
        "zQ?pW7x",
        "zQ#pW7x",
        "zQ@pW7x",
        "zQ%pW7x",
        "zQ/a?pW7x=1",
        "1?pW7x=zQ",
        "zQpW7x",
    ] {
        let url = format!("postgres://ann:{password}@127.0.0.1:1/app");
        let commands: [Vec<&str>; 3] = [
            vec![
                "verify",
                "--from",
                file.to_str().expect("a path"),
                "--to",
                &url,
            ],
            vec!["status", &url, "--no-such-option"],
            vec!["no-such-command", &url],
        ];
        for arguments in commands {
            let told = std::process::Command::new(support::cutover())
                .args(&arguments)
                .output()
                .expect("it runs");
            assert!(!told.status.success(), "{arguments:?}");
            let said = [told.stdout, told.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            for part in ["zQ", "pW7x"] {
                assert!(!said.contains(part), "{arguments:?}: {said}");
            }
        }
    }
}

/// What would stop D1 in the middle of the freeze is known before.
#[tokio::test]
async fn rows_in_the_target_are_told_of_before_the_night() {
    use cutover::cli::run::ahead::{self, Ahead};
    use cutover::runbook::transfer::TargetRows;

    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("app.db");
    let connection = rusqlite::Connection::open(&source).expect("a file");
    connection
        .execute_batch(
            "CREATE TABLE customer (id INTEGER PRIMARY KEY); INSERT INTO customer VALUES (1)",
        )
        .expect("rows");
    let database = support::database().await;
    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let client = endpoint.connect().await.expect("a connection");
    let mut runbook = crate::session::reference();
    runbook.target.url.clone_from(&database.url);
    runbook.target.schema = "public".to_owned();
    runbook.transfer.target_rows = TargetRows::Refuse;
    // What the reference's own section names is not in this file.
    runbook.transfer.lists.clear();
    runbook.transfer.slugs.clear();
    assert_eq!(
        ahead::look(&runbook, &source).await,
        Ahead::default(),
        "nothing is migrated yet"
    );
    client
        .batch_execute(
            "CREATE TABLE customer (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)",
        )
        .await
        .expect("a table");
    assert_eq!(ahead::look(&runbook, &source).await, Ahead::default());
    client
        .batch_execute("INSERT INTO customer VALUES (1), (2)")
        .await
        .expect("rows");
    let told = ahead::look(&runbook, &source).await;
    let why = told.refused.expect("D1 would refuse");
    assert!(why.contains("customer (2 rows)"), "{why}");
    assert_eq!(told.to_discard, None, "nothing would be deleted");
    runbook.transfer.target_rows = TargetRows::Replace;
    let told = ahead::look(&runbook, &source).await;
    assert_eq!(told.refused, None);
    // The words of `cutover plan`, and the option that D2 takes.
    let why = told.to_discard.expect("D2 would ask");
    says!(
        why,
        "customer: 2 row(s) there, of which SQLite does not have 1 (by id)"
    );
    says!(why, "--discard-rows customer=1");
    let alone = ahead::look_at_rows(&runbook, &source).await;
    assert_eq!(alone.to_discard, Some(why));
    client
        .batch_execute("DELETE FROM customer WHERE id = 2")
        .await
        .expect("it goes");
    assert_eq!(ahead::look(&runbook, &source).await, Ahead::default());
    // A value that came after the rehearsal.
    let write = "ALTER TABLE customer ADD COLUMN born TEXT; UPDATE customer SET born = 'soon'";
    connection.execute_batch(write).expect("a value");
    let column = "ALTER TABLE customer ADD COLUMN born date";
    client.batch_execute(column).await.expect("a column");
    let told = ahead::look(&runbook, &source).await;
    let why = told.refused.expect("D1 would refuse");
    assert!(
        why.contains("customer.born") && why.contains("soon"),
        "{why}"
    );
}

/// What D2 would ask for in the night is a warning of `cutover check`, which nothing fails for.
#[tokio::test]
async fn rows_that_sqlite_lacks_are_a_warning_of_the_check() {
    let database = support::database().await;
    let folder = tempfile::tempdir().expect("a folder");
    support::sqlite(
        &folder.path().join("tools.db"),
        "CREATE TABLE tags (id INTEGER PRIMARY KEY); INSERT INTO tags VALUES (1)",
    );
    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let client = endpoint.connect().await.expect("a connection");
    client
        .batch_execute(
            "CREATE TABLE tags (id integer PRIMARY KEY); INSERT INTO tags VALUES (1), (7), (8)",
        )
        .await
        .expect("rows");
    let mut runbook = runbook_in(folder.path(), &database.url, &database.url);
    let transfer = runbook::parse_transfer("transfer", "target_rows: replace");
    runbook.transfer = transfer.expect("a transfer section");
    let findings = examine(&runbook, folder.path()).await;
    let lacking = finding(&findings, "target, rows that SQLite lacks");
    assert!(!lacking.ok && !lacking.blocks(), "{lacking:?}");
    says!(lacking.detail, "SQLite does not have 2 (by id)");
    says!(lacking.detail, "--discard-rows tags=2");
}
