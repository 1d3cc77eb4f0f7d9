//! What somebody else puts on a spare folder, which may be anybody's: nothing of it is taken up. What is kept there, and when: `full`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

use cutover::journal::Spare;

use super::{engine, session};

const SOMEBODY: u32 = 47_110;

/// Whoever knows the end of a chain can go on with it, and what lies there becomes events that an engine acts on.
#[test]
fn what_others_could_have_put_on_a_spare_folder_is_not_used() {
    let cases = ["ours", "a link", "a mode", "another's"];
    for case in cases {
        if case == "another's" && !rustix::process::geteuid().is_root() {
            println!("not root: nobody else's file can be made");
            continue;
        }
        let session = session();
        let opened = engine(&session.folder).note(1);
        let place = tempfile::tempdir().expect("a folder");
        let spare = Spare::of(place.path(), "tonight", opened[0].hash);
        let elsewhere = place.path().join("elsewhere");
        fs::write(&elsewhere, "").expect("written");
        match case {
            "a link" => symlink(&elsewhere, spare.path()).expect("a link"),
            _ => fs::write(spare.path(), "").expect("written"),
        }
        let mode = if case == "a mode" { 0o660 } else { 0o600 };
        fs::set_permissions(spare.path(), Permissions::from_mode(mode)).expect("a mode");
        if case == "another's" {
            chown(spare.path(), Some(SOMEBODY), None).expect("root may");
        }
        let mut next = engine(&session.folder);
        let taken = next.journal.keep_spare(Some(spare), |_, _| true);
        match case {
            "ours" => assert!(taken.expect("it is used").is_empty()),
            _ => {
                let why = taken.expect_err(case).to_string();
                assert!(
                    case == "a link" || why.contains("it is not used"),
                    "{case}: {why}"
                );
            }
        }
    }
}
