//! After an import that did not end: what it has taken away from tables that it was not to fill.

use cutover::postgres::{Endpoint, Finding};
use cutover::runbook::transfer::{TargetRows, Transfer};
use cutover::session::Phase;
use cutover::step::closing;
use cutover::transfer::copy::{Options, copy};
use tokio_util::sync::CancellationToken;

use super::bench::Bench;

async fn import(bench: &Bench, transfer: &Transfer) -> Result<u64, String> {
    let target = Endpoint::parse(&bench.database.url).unwrap();
    let (file, options) = (bench.path("app.db"), Options::default());
    let (progress, cancel) = (|_| {}, CancellationToken::new());
    let copied = copy(
        &file, &target, "public", transfer, &options, &progress, &cancel,
    );
    copied
        .await
        .map(|copied| copied.rows)
        .map_err(|error| error.to_string())
}

/// What `close` says of the foreign key.
async fn look(bench: &Bench) -> Option<Finding> {
    let base = bench.path("");
    let found = closing::look(&bench.runbook, &base, &[], Phase::RolledBack).await;
    found
        .into_iter()
        .find(|finding| finding.name == "foreign key of_t of audit.notes")
}

#[tokio::test]
async fn close_names_the_foreign_keys_of_other_tables_until_they_are_back() {
    let bench = Bench::new(1).await;
    bench
        .on_target(
            "CREATE TABLE t (id integer PRIMARY KEY, v integer); CREATE SCHEMA audit;
             CREATE TABLE audit.notes (t integer CONSTRAINT of_t REFERENCES t)",
        )
        .await;
    assert_eq!(look(&bench).await, None);
    import(&bench, &Transfer::default())
        .await
        .expect_err("text in a column of integers");
    // What the key would have refused.
    bench.on_target("INSERT INTO audit.notes VALUES (99)").await;

    let open = look(&bench).await.expect("the key");
    assert!(open.blocks(), "{open:?}");
    let statement = open.detail.split('`').nth(1).expect("a statement");
    assert_eq!(
        statement,
        "BEGIN; ALTER TABLE \"audit\".\"notes\" ADD CONSTRAINT \"of_t\" FOREIGN KEY (t) REFERENCES public.t(id) NOT VALID; COMMIT"
    );
    bench.on_target(statement).await;
    let told = look(&bench).await.expect("a note");
    assert!(
        !told.blocks() && told.detail.contains("NOT VALID"),
        "{told:?}"
    );
    let prove = told.detail.split('`').nth(1).expect("a statement");
    bench.on_target("DELETE FROM audit.notes").await;
    bench.on_target(prove).await;
    assert_eq!(look(&bench).await, None);

    // The next import finds it in force, and leaves it so.
    bench.on_target("ALTER TABLE t ALTER v TYPE text").await;
    let transfer = Transfer {
        target_rows: TargetRows::Replace,
        ..Transfer::default()
    };
    assert_eq!(import(&bench, &transfer).await, Ok(2));
    bench
        .on_target("INSERT INTO audit.notes VALUES (1); DO $$ BEGIN INSERT INTO audit.notes VALUES (99); RAISE 'it was let in'; EXCEPTION WHEN foreign_key_violation THEN NULL; END $$")
        .await;
    assert_eq!(look(&bench).await, None);
}
