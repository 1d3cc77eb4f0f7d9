//! Finding a session by name, and what a wrong name says.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use cutover::journal::Folder;
use cutover::journal::folder::Error;

use super::engine;

#[test]
fn the_only_one_the_latest_one_or_what_there_is() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = dir.path().join(".cutover");
    assert!(matches!(Folder::find(&root, None), Err(Error::None { .. })));

    for (age_s, name) in [(20, "monday"), (10, "tuesday")] {
        let folder = Folder::create(&root, name).expect("a session's folder");
        engine(&folder).note(1);
        for file in ["journal.db", "journal.db-wal"] {
            let _ = fs::File::options()
                .write(true)
                .open(folder.dir().join(file))
                .and_then(|file| file.set_modified(SystemTime::now() - Duration::from_secs(age_s)));
        }
        let latest = Folder::find(&root, None).expect("a session");
        assert_eq!(latest.session(), name);
    }
    fs::create_dir(root.join("not-a-session")).expect("a folder");
    let monday = Folder::find(&root, Some("monday")).expect("a session");
    assert_eq!(monday.session(), "monday");
    assert_eq!(Folder::open_at(monday.dir()).expect("--dir"), monday);

    let unknown = Folder::find(&root, Some("wednes\u{1b}[2Jday")).expect_err("no such session");
    let text = unknown.to_string();
    assert!(text.contains("tuesday, monday"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(matches!(
        Folder::open_at(&root.join("not-a-session")),
        Err(Error::NotASession { .. })
    ));
    assert!(matches!(
        Folder::create(&root, "../elsewhere"),
        Err(Error::Name { .. })
    ));
}

#[test]
fn owner_and_group_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let folder = Folder::create(dir.path(), "tonight").expect("a session's folder");
    let mut engine = engine(&folder);
    engine.note(1);
    let mode = |path| fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(folder.dir().to_owned()), 0o770);
    assert_eq!(mode(folder.artefacts_dir()), 0o770);
    for name in [
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "journal.head",
        "engine.lease",
    ] {
        assert_eq!(mode(folder.dir().join(name)), 0o660, "{name}");
    }
}
