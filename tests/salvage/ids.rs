//! Raising SQLite's next ids while somebody else has the file: instances wait to be restarted, so it gives up soon.

use cutover::sqlite::{Error, ids};

#[test]
fn a_file_that_somebody_has_locked_is_given_up_after_half_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("app.db");
    let lock = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); BEGIN EXCLUSIVE";
    let _other = crate::support::sqlite(&path, lock);
    let error = ids::raise(&path, &[("t".to_owned(), 20)]).expect_err("refused");
    assert!(
        matches!(error, Error::Busy { waited_ms: 500, .. }),
        "{error:?}"
    );
}
