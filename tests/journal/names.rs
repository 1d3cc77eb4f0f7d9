//! Finding a session by name, and what a wrong name says.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use cutover::engine::socket;
use cutover::journal::Folder;
use cutover::journal::folder::Error;

use tokio_util::sync::CancellationToken;

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
                .open(folder.shared_dir().join(file))
                .and_then(|file| file.set_modified(SystemTime::now() - Duration::from_secs(age_s)));
        }
        let latest = Folder::find(&root, None).expect("a session");
        assert_eq!(latest.session(), name);
    }
    fs::create_dir(root.join("not-a-session")).expect("a folder");
    // What a link leads to is a session of another root.
    let elsewhere = dir.path().join("elsewhere");
    engine(&Folder::create(&elsewhere, "thursday").expect("a folder")).note(1);
    std::os::unix::fs::symlink(elsewhere.join("thursday"), root.join("thursday")).expect("a link");
    let latest = Folder::find(&root, None).expect("a session");
    assert_eq!(latest.session(), "tuesday");
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
    assert_eq!(mode(folder.dir().to_owned()), 0o750);
    assert_eq!(mode(folder.artefacts_dir()), 0o750);
    assert_eq!(mode(folder.shared_dir().to_owned()), 0o770);
    for name in [
        "journal.db",
        "journal.db-wal",
        "journal.db-shm",
        "journal.head",
        "engine.lease",
    ] {
        assert_eq!(mode(folder.shared_dir().join(name)), 0o660, "{name}");
    }
}

#[test]
fn a_new_session_lets_in_the_bridges_group_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let set_mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let look = |path: &std::path::Path| {
        let found = fs::metadata(path).expect("a folder");
        (found.permissions().mode() & 0o7777, found.gid())
    };
    let own = look(dir.path()).1;
    // One that is there and empty, and open to all.
    let empty = dir.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    set_mode(&empty, 0o755);
    let folder = Folder::create_at(&empty).expect("a session's folder");
    folder.let_in(None, None).expect("ours");
    assert_eq!(look(&empty), (0o2750, own));
    // One with other files: nobody is locked out of them, and nobody is let in.
    let full = dir.path().join("full");
    fs::create_dir(&full).expect("a folder");
    fs::write(full.join("notes.txt"), "x").expect("a file");
    set_mode(&full, 0o755);
    let folder = Folder::create_at(&full).expect("a session's folder");
    assert!(matches!(
        folder.let_in(Some(own), None),
        Err(Error::OpenToAll { .. })
    ));
    assert_eq!(look(&full).0, 0o755);
    set_mode(&full, 0o700);
    // A root of an earlier version becomes sticky.
    let root = dir.path().join("root");
    fs::create_dir(&root).expect("a folder");
    set_mode(&root, 0o2770);
    let below = Folder::create(&root, "tonight").expect("a session's folder");
    below.let_in(None, Some(&root)).expect("ours");
    assert_eq!(look(&root).0, 0o3770);
    folder.let_in(None, None).expect("nobody else may enter");
    assert_eq!(look(&full).0, 0o700, "as its owner had it");
    folder.let_in(Some(own), None).expect("ours");
    assert_eq!(look(&full).0, 0o2750);
    // Nor one with other files that others can write in.
    set_mode(&full, 0o2770);
    assert!(matches!(
        folder.let_in(None, None),
        Err(Error::OpenToAll { .. })
    ));
}

/// With a real user in a real group, and one outside. Only root can play them.
#[tokio::test(flavor = "multi_thread")]
async fn members_of_the_group_get_in_and_others_do_not() {
    const MEMBER: u32 = 47_110;
    const OTHER: u32 = 47_111;
    const BRIDGE: u32 = 47_200;
    if !rustix::process::geteuid().is_root() {
        eprintln!("not root: nobody else can be played, so who gets in was not looked at");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let root = dir.path().join(".cutover");
    let folder = Folder::create(&root, "tonight").expect("a session's folder");
    folder.let_in(Some(BRIDGE), Some(&root)).expect("root may");
    let mut engine = engine(&folder);
    engine.note(1);
    let listener =
        socket::serve::<String, String>(&folder, &engine.lease, CancellationToken::new());
    let _listener = listener.expect("a socket");

    let as_user = |user: u32, group: u32, line: &str| {
        use std::os::unix::process::CommandExt;
        let ran = std::process::Command::new("/bin/sh")
            .args(["-c", line])
            .current_dir("/")
            .uid(user)
            .gid(group)
            .env("S", folder.dir())
            .output();
        ran.expect("a shell").status.success()
    };
    let gets_in = [
        "ls $S",
        "cat $S/shared/journal.db",
        "cat $S/shared/journal.head",
        "test -r $S/shared/journal.db-shm -a -w $S/shared/journal.db-shm",
        "test -w $S/engine.sock",
        "ls $S/artefacts",
    ];
    for line in gets_in {
        assert!(as_user(MEMBER, BRIDGE, line), "{line} as a member");
        assert!(!as_user(OTHER, OTHER, line), "{line} as somebody else");
    }
    // In the folder of all sessions a member opens some, and moves or removes none of another's.
    assert!(as_user(MEMBER, BRIDGE, "mkdir $S/../theirs"));
    assert!(!as_user(MEMBER, BRIDGE, "mv $S $S.mine"));
    fs::remove_dir(root.join("theirs")).expect("empty");
    // What a member makes there is the group's too, and what is the owner's alone stays so.
    assert!(!as_user(MEMBER, BRIDGE, "touch $S/x"));
    assert!(as_user(MEMBER, BRIDGE, "touch $S/shared/x"));
    let made = fs::metadata(folder.shared_dir().join("x")).expect("a file");
    assert_eq!((made.uid(), made.gid()), (MEMBER, BRIDGE));
    let orders = folder.dir().join("orders.json");
    cutover::private_file::write(&orders, b"secret").expect("written");
    assert!(!as_user(MEMBER, BRIDGE, "cat $S/orders.json"));

    // Another bridge's sessions cannot come in between.
    let second = Folder::create(&root, "second").expect("a session's folder");
    assert!(matches!(
        second.let_in(Some(OTHER), Some(&root)),
        Err(Error::AnothersRoot { .. })
    ));
}
