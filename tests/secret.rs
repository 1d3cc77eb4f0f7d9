//! What a process says of its own end holds no secret.

use std::process::Command;

use cutover::secret::{self, Secret};

/// Set in the process that panics.
const PANICS: &str = "CUTOVER_TEST_PANICS";
const VALUE: &str = "p%2Fanic-s3cret";

/// This test is both processes: it starts itself once more, and there it panics.
#[test]
fn a_panic_tells_its_message_and_no_secret() {
    if std::env::var_os(PANICS).is_some() {
        let listed = Secret::Listed {
            name: "LISTED".to_owned(),
            value: VALUE.to_owned(),
        };
        secret::learn([listed], []);
        secret::mask_panics();
        panic!("no answer of {VALUE} at postgres://o:{VALUE}@h/d, {VALUE:?}");
    }
    let program = std::env::current_exe().expect("this program");
    let test = "secret::a_panic_tells_its_message_and_no_secret";
    let ended = Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(PANICS, "1")
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("it runs");
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!ended.status.success(), "{said}");
    assert!(said.contains("no answer of ${LISTED} at"), "{said}");
    assert!(said.contains("tests/secret.rs"), "{said}");
    for form in [VALUE, "p/anic-s3cret", "p%252Fanic"] {
        assert!(!said.contains(form), "{form} in {said}");
    }
}
