//! Two sessions on one source or one target, from different folders: the second is refused and told where the first is.

use std::path::Path;
use std::process::Command;

use cutover::claim::{Claim, source, staging, target};
use cutover::engine;
use cutover::engine::lease::Lease;
use cutover::journal::Folder;
use cutover::ours::lock::{Holder, Lock};
use cutover::runbook::Runbook;

use crate::report::journal_below;
use crate::session::language::Bridge;
use crate::support::{self, Engine};

/// The reference runbook on a SQLite file of the test's own.
fn on(file: &Path) -> Runbook {
    let mut runbook = crate::session::reference();
    runbook.source.file = file.to_owned();
    runbook
}

fn sqlite(at: &Path) {
    let made = rusqlite::Connection::open(at).and_then(|c| c.execute_batch("CREATE TABLE t (a)"));
    made.expect("a SQLite file");
}

fn claims_beside(file: &Path) -> usize {
    let folder = std::fs::read_dir(file.parent().expect("a folder")).expect("its files");
    let names = folder
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.ends_with(".cutover-session"))
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_session_on_one_source_is_refused_while_the_first_is_not_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    sqlite(&file);
    let runbook = on(&file);
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let first = Folder::create(&one, "tonight").expect("a session's folder");
    let engine = Engine::start(&first, &runbook, true, None).await;
    // The same file by another path, and a session of the same name in another folder.
    let link = dir.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let second = Folder::create(&two, "tonight").expect("a session's folder");
    for path in [&file, &link] {
        let refused = Engine::refuses(&second, &on(path)).await;
        assert!(matches!(refused, engine::Error::Claimed(_)), "{refused:?}");
        let said = refused.to_string();
        assert!(said.contains(&*first.dir().to_string_lossy()), "{said}");
    }
    // Neither is `copy`, nor is it told less.
    let copied = Command::new(support::cutover())
        .args([
            "copy",
            "--to",
            "postgres://nobody@127.0.0.1:1/none",
            "--from",
        ])
        .arg(&file)
        .output()
        .expect("it runs");
    assert_eq!(copied.status.code(), Some(1));
    let said = String::from_utf8_lossy(&copied.stderr);
    assert!(said.contains("belongs to session tonight"), "{said}");

    // Without an engine the session is still not over, and its own next engine goes on.
    engine.end().await;
    let refused = Engine::refuses(&second, &runbook).await;
    assert!(matches!(refused, engine::Error::Claimed(_)), "{refused:?}");
    Engine::start(&first, &runbook, true, None)
        .await
        .end()
        .await;
    assert_eq!(claims_beside(&file), 1);

    // A session whose folder is gone will never go on.
    std::fs::remove_dir_all(first.dir()).expect("gone");
    Engine::start(&second, &runbook, true, None)
        .await
        .end()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_word_on_a_target_is_its_own_row() {
    let database = support::database().await;
    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let mut client = endpoint.connect().await.expect("a connection");
    let dir = tempfile::tempdir().expect("a folder");
    let claim = |name: &str| Claim::of(&Folder::create(dir.path(), name).expect("a folder"));
    let (first, second) = (claim("first"), claim("second"));
    assert!(target::is_free(&client).await.is_ok());
    target::take(&mut client, &first).await.expect("the first");
    target::take(&mut client, &first)
        .await
        .expect("the same again");
    let refused = target::take(&mut client, &second).await;
    assert!(
        matches!(refused, Err(target::Error::Refused(_))),
        "{refused:?}"
    );
    assert!(target::is_free(&client).await.is_err());
    // Nobody can tell from here what becomes of a session on another host.
    let elsewhere = Claim {
        host: "another-host".to_owned(),
        folder: "/does/not/exist".into(),
        ..first.clone()
    };
    assert!(!elsewhere.is_over());
    std::fs::remove_dir_all(&first.folder).expect("gone");
    target::take(&mut client, &second)
        .await
        .expect("the way is free");
}

/// A plan only looks, so that it refuses nothing; but it tells what a copy would meet.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_which_session_has_either_side() {
    let database = support::database().await;
    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let mut client = endpoint.connect().await.expect("a connection");
    client
        .batch_execute("CREATE TABLE t(a text)")
        .await
        .expect("a table");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    sqlite(&file);
    let folders = dir.path().join("sessions");
    let claim = |name: &str| Claim::of(&Folder::create(&folders, name).expect("a folder"));
    let (one, two) = (claim("one"), claim("two"));
    source::take(&file, &one).expect("claimed");
    target::take(&mut client, &two).await.expect("claimed");
    let plan = || {
        let planned = Command::new(support::cutover())
            .args(["plan", "--to", &database.url, "--from"])
            .arg(&file)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&planned.stdout).into_owned();
        assert_eq!(planned.status.code(), Some(0), "{said}");
        said
    };
    let said = plan();
    for claim in [&one, &two] {
        let note = said.lines().find(|line| {
            line.contains(&format!("belongs to session {}", claim.session))
                && line.contains(&*claim.folder.to_string_lossy())
        });
        let note = note.unwrap_or_else(|| panic!("{said}"));
        assert!(
            note.starts_with("note: `cutover copy` would be refused: "),
            "{note}"
        );
    }
    for claim in [&one, &two] {
        std::fs::remove_dir_all(&claim.folder).expect("gone");
    }
    let said = plan();
    assert!(!said.contains("would be refused"), "{said}");
}

#[test]
fn a_session_that_is_over_has_its_databases_until_its_engine_has_let_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    sqlite(&file);
    let ended = Bridge::rolled_back(1_000).journal;
    let over = journal_below(&dir.path().join("one"), &ended);
    source::take(&file, &Claim::of(&over)).expect("claimed");
    let other = Folder::create(dir.path(), "other").expect("a folder");
    let other = Claim::of(&other);
    let lease = Lease::take(&over).expect("the lease of its engine");
    let refused = source::take(&file, &other).expect_err("its engine is there");
    let said = refused.to_string();
    says!(
        said,
        "that session is over, but its engine still lets go of both databases"
    );
    lacks!(said, "is not over");
    lacks!(said, "cutover rollback");
    lease.release().expect("it has ended");
    source::take(&file, &other).expect("the way is free");
}

/// Whoever may write beside the SQLite file may put a pipe there; nobody waits at it.
#[test]
fn a_pipe_in_the_place_of_a_claim_is_refused_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    sqlite(&file);
    let pipe = dir.path().join("app.db.cutover-session");
    let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
    assert!(made.success());
    let (told, done) = std::sync::mpsc::channel();
    let asked = file.clone();
    std::thread::spawn(move || {
        told.send(source::is_free_for(&asked, None).map_err(|e| e.to_string()))
    });
    let answer = done.recv_timeout(std::time::Duration::from_secs(180));
    let why = answer.expect("nobody waits").expect_err("it is no claim");
    assert!(why.contains("it is a pipe"), "{why}");
    assert!(pipe.exists(), "it is not ours to remove");
}

#[test]
fn a_claim_goes_with_its_session_and_with_nobody_elses() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    sqlite(&file);
    let claim = |name: &str| Claim::of(&Folder::create(dir.path(), name).expect("a folder"));
    let (mine, other) = (claim("mine"), claim("other"));
    source::take(&file, &mine).expect("claimed");
    source::leave(&file, &other).expect("not theirs to leave");
    assert_eq!(source::holder(&file).expect("legible"), Some(mine.clone()));
    source::leave(&file, &mine).expect("left");
    assert_eq!(claims_beside(&file), 0);
    // A process that died while it wrote one leaves nothing legible: nobody has the file.
    std::fs::write(dir.path().join("app.db.cutover-session"), "{").expect("half a claim");
    source::take(&file, &other).expect("claimed");
    assert_eq!(source::holder(&file).expect("legible"), Some(other));
}

/// Whoever types yesterday's import again, from any folder or host: the database itself says that it is in production.
#[tokio::test(flavor = "multi_thread")]
async fn copy_leaves_a_released_database_alone_until_its_name_is_typed() {
    let database = support::database().await;
    let endpoint = cutover::postgres::Endpoint::parse(&database.url).expect("a URL");
    let mut client = endpoint.connect().await.expect("a connection");
    client
        .batch_execute("CREATE TABLE notes(id integer PRIMARY KEY); INSERT INTO notes VALUES (1)")
        .await
        .expect("a row of SQLite's");
    let released = cutover::postgres::release::Release {
        session: "last-week".to_owned(),
        opened: "2026-11-22T22:00:00Z".to_owned(),
        completed: "2026-11-22T23:30:00Z".to_owned(),
        source: "/srv/app.db".to_owned(),
        host: "elsewhere".to_owned(),
    };
    cutover::postgres::release::record(&mut client, &released)
        .await
        .expect("the mark");
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("app.db");
    rusqlite::Connection::open(&file)
        .and_then(|c| {
            c.execute_batch(
                "CREATE TABLE notes(id INTEGER PRIMARY KEY); INSERT INTO notes VALUES (1), (2)",
            )
        })
        .expect("a file");
    let section = dir.path().join("transfer.yaml");
    std::fs::write(&section, "target_rows: replace\n").expect("a section");
    let copy = |more: &[&str]| {
        let copied = Command::new(support::cutover())
            .args(["copy", "--to", &database.url, "--from"])
            .arg(&file)
            .arg("--transfer")
            .arg(&section)
            .args(more)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&copied.stderr).into_owned();
        (copied.status.code(), said)
    };
    let count = async || -> i64 {
        let row = client.query_one("SELECT count(*) FROM notes", &[]).await;
        row.expect("counted").get(0)
    };
    let planned = Command::new(support::cutover())
        .args(["plan", "--to", &database.url, "--from"])
        .arg(&file)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&planned.stdout);
    assert!(
        said.contains("`cutover copy` would be refused: ")
            && said.contains("in production: session last-week on elsewhere"),
        "{said}"
    );
    for more in [&[][..], &["--again", "another"]] {
        let (code, said) = copy(more);
        assert_eq!(code, Some(1), "{said}");
        assert!(
            said.contains("in production: session last-week on elsewhere"),
            "{said}"
        );
        assert!(
            said.contains(&format!("--again {}", endpoint.database())),
            "{said}"
        );
        assert_eq!(count().await, 1);
    }
    let (code, said) = copy(&["--again", endpoint.database()]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(count().await, 2);
}

/// Two runbooks with databases of their own may name one staging slot: whoever comes second is told where the first is.
#[test]
fn a_staging_slot_belongs_to_one_session_at_a_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let claim = |name: &str| Claim::of(&Folder::create(dir.path(), name).expect("a folder"));
    let (night, other) = (claim("night"), claim("other"));
    // The port of a listener that stays until the end: no other test has it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (url, same) = (
        format!("http://127.0.0.1:{port}"),
        format!("http://localhost:{port}/app"),
    );
    staging::take(&url, &night).expect("claimed");
    staging::take(&same, &night).expect("the same again");
    staging::is_free_for(&url, Some(&night)).expect("its own");
    for refused in [
        staging::is_free_for(&same, None),
        staging::take(&url, &other),
    ] {
        let said = refused.expect_err("it is the other's").to_string();
        let whose = format!(
            "belongs to session night, whose folder is {}",
            night.folder.display()
        );
        assert!(said.starts_with("the staging slot http://"), "{said}");
        assert!(said.contains(&whose), "{said}");
    }
    staging::leave(&url, &other).expect("not theirs to leave");
    assert!(staging::is_free_for(&url, None).is_err());
    staging::leave(&url, &night).expect("left");
    staging::take(&url, &other).expect("the way is free");

    // A rehearsal that was killed before it had a journal: nobody drives it, and nobody goes on with it.
    let driver = other.folder.join("rehearsal.lock");
    let holder = Holder {
        pid: std::process::id(),
        what: "a rehearsal".to_owned(),
    };
    let held = Lock::take(&driver, &holder).expect("a lock");
    assert!(staging::is_free_for(&url, None).is_err());
    drop(held);
    staging::is_free_for(&url, None).expect("nobody has it");
    staging::take(&url, &night).expect("taken over");
    staging::leave(&url, &night).expect("left");
}
