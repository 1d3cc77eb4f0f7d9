//! `verify` on an import that has not ended: rows may be equal, and the target lets in what it should not. Never green.

use cutover::runbook::transfer::Transfer;
use cutover::transfer::copy::{Options, copy};
use cutover::transfer::{Error, Progress};
use tokio_util::sync::CancellationToken;

use super::Pair;

const TARGET: &str = "
CREATE TABLE t (id serial PRIMARY KEY, a text NOT NULL, del text, UNIQUE (a, id));
CREATE UNIQUE INDEX t_live ON t (a) WHERE del IS NULL;
CREATE UNIQUE INDEX t_low ON t (lower(a));
CREATE INDEX ex ON t (length(a));
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch();";

/// So many rows that keys and indexes are built after the load; the last one as `last` says.
fn source(last: &str) -> String {
    format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT NOT NULL, del TEXT);
         CREATE UNIQUE INDEX t_live ON t (a) WHERE del IS NULL;
         INSERT INTO t (id, a) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
           SELECT i, CASE i WHEN 25000 THEN {last} ELSE 'a' || i END FROM n;"
    )
}

/// The exit code of `verify`, and all that it printed.
fn verify(pair: &Pair, more: &[&str]) -> (Option<i32>, String) {
    let output = std::process::Command::new(crate::support::cutover())
        .args(["verify", "--from"])
        .arg(&pair.file)
        .args(["--to", &pair.database.url])
        .args(more)
        .output()
        .expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

#[tokio::test]
async fn all_rows_are_in_and_an_index_that_they_do_not_fit_is_away() {
    let pair = Pair::new(&source("'A7'"), TARGET).await;
    let stopped = pair.copy(&Transfer::default()).await;
    assert!(matches!(stopped, Err(Error::Rebuild { .. })), "{stopped:?}");
    let all: &[&str] = &[];
    for more in [all, &["--tables", "t"]] {
        let (code, said) = verify(&pair, more);
        assert_eq!(code, Some(3), "{said}");
        says!(said, "25000 rows equal in every value");
        says!(said, "has not ended (all rows are in)");
        says!(said, "index t_low of t is away");
        says!(said, "trigger touched of t is switched off");
        says!(said, "`cutover copy` again");
        says!(said, "NOT equal");
    }
}

#[tokio::test]
async fn stopped_amid_the_rows_it_names_all_that_is_away() {
    let pair = Pair::new(&source("'last'"), TARGET).await;
    let cancel = CancellationToken::new();
    let stop = |report: Progress| {
        if matches!(report, Progress::Phase { phase: "load" }) {
            cancel.cancel();
        }
    };
    let (options, transfer) = (
        Options {
            batch_rows: 500,
            ..Options::default()
        },
        Transfer::default(),
    );
    let target = pair.endpoint();
    let stopped = copy(
        &pair.file, &target, "public", &transfer, &options, &stop, &cancel,
    );
    assert!(matches!(stopped.await, Err(Error::Cancelled)));
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(3), "{said}");
    for away in [
        "key t_pkey of t is away",
        "key t_a_id_key of t is away",
        "index t_live of t is away",
        "index t_low of t is away",
        "index ex of t is away",
        "0 of 1 parts of the rows are in",
    ] {
        says!(said, away);
    }
}

#[tokio::test]
async fn it_is_green_once_the_import_has_ended_or_none_is_on_record() {
    let pair = Pair::new(&source("'last'"), TARGET).await;
    pair.copy(&Transfer::default()).await.expect("an import");
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(0), "{said}");
    says!(said, "import ended: it has ended");

    // As it lies there where it is killed while the last index is being built.
    pair.execute(
        "DROP INDEX t_live; UPDATE cutover.definition SET state = 'away' WHERE name = 't_live'; UPDATE cutover.import SET finished = NULL",
    )
    .await;
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(3), "{said}");
    says!(said, "index t_live of t is away");
    pair.copy(&Transfer::default()).await.expect("the rest");
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(0), "{said}");

    // And where only the end is missing.
    pair.execute("UPDATE cutover.import SET finished = NULL")
        .await;
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(3), "{said}");
    says!(said, "its end are not on record");

    // Another tool's target has no record.
    pair.execute("DROP SCHEMA cutover CASCADE").await;
    let (code, said) = verify(&pair, &[]);
    assert_eq!(code, Some(0), "{said}");
    lacks!(said, "import ended");
}
