//! What a rehearsal of the library must not do, whatever its runbook names: reach production by habit, keep to itself
//! that a verification would leave rows there.

use super::canaries;
use super::place::Place;
use super::runbook::changed;

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

/// A verification that writes what stays is told before the night, in which it would write to production.
#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_tells_that_a_verification_leaves_rows() {
    let place = Place::make(5).await;
    let bridge = place.operators().await;
    place.application.start().await;
    let before = place.look().await;
    let production = place.rows_in(&place.target).await;
    for (write, told) in [
        ("/books/?probe=1", "probe-write leaves no row"),
        (
            "/books/",
            "probe-write leaves rows behind (lending_book: 5 before, 6 after)",
        ),
    ] {
        place.change_runbook("/books/?probe=1", write);
        let (code, said) = bridge.types(&["rehearse"]).await;
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(told), "{said}");
        let now = place.rows_in(&place.target).await;
        canaries::assert_same("in production", &production, &now);
        place.assert_untouched(told, &before).await;
    }
}
