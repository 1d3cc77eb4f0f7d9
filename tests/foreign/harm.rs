//! What a rehearsal of the library must not do, whatever its runbook names: delete files that it did not make, empty
//! databases that are not its own, reach production by habit, keep to itself that a verification would leave rows there.

use super::canaries;
use super::place::Place;
use super::runbook::changed;

/// Whatever the rehearsal's copy is called, no file that is there goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_deletes_no_file_that_it_did_not_make() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    let runbook = place.runbook();
    let before = place.look().await;
    let live = std::fs::read(place.application.file()).expect("the live file");
    for (copy, is_there) in [
        ("./fresh.db", false),
        ("data/library.sqlite3", true),
        ("copy.db", true),
        ("rehearsal/app.db", true),
        ("data/other.sqlite3", true),
        ("data/dangling", true),
    ] {
        let runbook = changed(&runbook, "data/rehearsal.db", copy);
        place.write_runbook(&runbook);
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_eq!(code == Some(0), !is_there, "{copy}: {said}");
        place
            .assert_untouched(&format!("after a rehearsal with the copy {copy}"), &before)
            .await;
        let now = std::fs::read(place.application.file()).expect("the live file");
        assert!(now == live, "{copy}: the live file was written to");
        let is_named = said.contains(copy.trim_start_matches("./"));
        assert!(!is_there || is_named, "{copy} is not named: {said}");
    }
}

/// A database that nobody has said may be emptied is not, and neither is one of which nobody can see whether it is production.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_empties_no_database_that_is_not_its_own() {
    let place = Place::make(5).await;
    let mut bridge = place.operators().await;
    let precious = "CREATE TABLE precious(id int); INSERT INTO precious VALUES (1), (2)";
    place.execute(&place.scratch, precious).await;
    place.execute(&place.target, precious).await;
    let scratch = place.rows_in(&place.scratch).await;
    let (code, said) = bridge.types(&["rehearse"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("precious"), "{said}");
    canaries::assert_same(
        "in the scratch database",
        &scratch,
        &place.rows_in(&place.scratch).await,
    );

    // The scratch URL leads to the target, and the target's own URL to nowhere.
    let target = place.rows_in(&place.target).await;
    let wrong = place.target.url.replace("of-the-library", "wrong");
    for url in [place.target.url.clone(), wrong] {
        bridge.set("SCRATCH_URL", &place.target.url);
        bridge.set("TARGET_URL", &url);
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_eq!(code, Some(1), "{said}");
        canaries::assert_same(
            "in the target",
            &target,
            &place.rows_in(&place.target).await,
        );
    }
}

/// The line that people have in their fingers names production. A rehearsal does not run it there.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_does_not_migrate_production_by_habit() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    place.application.start().await;
    let runbook = place.runbook();
    let before = place.look().await;
    let production = place.rows_in(&place.target).await;
    for habit in [
        "shell: \"DB=postgres DATABASE_URL=\\\"$TARGET_URL\\\" ${PYTHON} manage.py migrate --noinput\"",
        "command: [env, DB=postgres, \"DATABASE_URL=${TARGET_URL}\", \"${PYTHON}\", manage.py, migrate, --noinput]",
    ] {
        let line = runbook.lines().find(|l| l.contains("id: C1,")).expect("C1");
        let with = format!(
            "  - {{ id: C1, kind: migrate, title: Run the migrations, {habit}, version: library 1.0, timeout: 2m, start: auto }}"
        );
        place.write_runbook(&changed(&runbook, line, &with));
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_ne!(code, Some(0), "{said}");
        assert!(said.contains("C1"), "{said}");
        let now = place.rows_in(&place.target).await;
        canaries::assert_same("in production", &production, &now);
        place.assert_untouched(habit, &before).await;
    }
}

/// A verification that writes what stays is told before the night, in which it would write to production. Only by the runbook's own word is
/// it meant.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_tells_that_a_verification_leaves_rows() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    place.application.start().await;
    let before = place.look().await;
    let production = place.rows_in(&place.target).await;
    let token = "headers: { X-Probe-Token: \"${PROBE_TOKEN}\" }";
    let meant = format!("leaves_rows: true, {token}");
    let leaves = "probe-write leaves rows behind (lending_book: 5 before, 6 after)";
    for (from, to, ends, told) in [
        (token, token, 0, "probe-write leaves no row"),
        ("/books/?probe=1", "/books/", 1, leaves),
        (token, meant.as_str(), 0, leaves),
    ] {
        place.change_runbook(from, to);
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_eq!(code, Some(ends), "{said}");
        assert!(said.contains(told), "{said}");
        assert_eq!(
            said.contains("does not count: V2 failed"),
            ends == 1,
            "{said}"
        );
        // What nobody points a probe at is said.
        says!(said, "not rehearsed: probe figures was not asked");
        let now = place.rows_in(&place.target).await;
        canaries::assert_same("in production", &production, &now);
        place.assert_untouched(told, &before).await;
    }
}

/// An application with one URL: the switch's own value leads to production, or staging's environment does. Nothing is written there.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_does_not_let_staging_write_to_production() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    place.application.start().await;
    let migrate = [
        ("DB", "postgres"),
        ("DATABASE_URL", place.target.url.as_str()),
    ];
    place
        .application
        .manage(&["migrate", "--noinput"], &migrate);
    let (code, said) = bridge.types(&["copy", "runbook.yaml"]).await;
    assert_eq!(code, Some(0), "{said}");
    let runbook = place.runbook();
    let before = place.look().await;
    let production = place.rows_in(&place.target).await;
    let live = place.application.file();
    let writes = changed(&runbook, "/books/?probe=1", "/books/");
    let file = format!("from: \"sqlite:///{}\"", live.display());
    let elsewhere = place.target.runtime_url.replace("127.0.0.1", "127.1");
    assert_ne!(elsewhere, place.target.runtime_url);
    let follows = "LIBRARY_URL: \"{runtime_url}\"";
    // What is in the file that staging's own settings come from, where the runbook does not say it.
    for (from, to, own, told) in [
        (
            "to: postgres",
            "to: \"${TARGET_RUNTIME_URL}\"",
            "",
            "`to` of the switch names",
        ),
        (
            "from: sqlite",
            file.as_str(),
            "",
            "`from` of the switch names",
        ),
        (
            follows,
            "LIBRARY_URL: \"${TARGET_RUNTIME_URL}\"",
            "",
            "`rehearsal.point` names the target's database",
        ),
        (
            follows,
            "LIBRARY_URL_FILE: own-url",
            place.target.runtime_url.as_str(),
            "DATABASE_URL names the target's database",
        ),
        // A name of the same host that nobody can know.
        (
            follows,
            "LIBRARY_URL_FILE: own-url",
            elsewhere.as_str(),
            "somebody has connected to production's PostgreSQL",
        ),
    ] {
        std::fs::write(place.dir().join("own-url"), own).expect("a file");
        place.write_runbook(&changed(&writes, from, to));
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_eq!(code, Some(1), "{to}: {said}");
        assert!(said.contains(told), "{to}: {said}");
        std::fs::remove_file(place.dir().join("own-url")).expect("it was there");
        place.assert_untouched(told, &before).await;
        let now = place.rows_in(&place.target).await;
        canaries::assert_same("in production", &production, &now);
    }
}
