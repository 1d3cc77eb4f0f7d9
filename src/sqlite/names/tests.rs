//! What a look at processes makes of their files, without any process.

use super::*;

#[test]
fn a_file_that_is_mounted_alone_is_found_by_its_root() {
    let table = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                 40 22 254:0 /srv/my\\040data/app.db /app/app.db rw,relatime - ext4 /dev/vda rw\n\
                 41 22 254:0 /srv/other/app.db /other/app.db rw - ext4 /dev/vda rw\n\
                 42 22 254:0 /srv/data /volume rw - ext4 /dev/vda rw\n\
                 nonsense\n";
    let found = mount_points(table, "app.db");
    assert_eq!(
        found,
        [PathBuf::from("/app/app.db"), PathBuf::from("/other/app.db")]
    );
    assert_eq!(unescaped("/srv/my\\040data\\134x\\"), "/srv/my data\\x\\");
}

#[test]
fn a_log_of_another_name_or_a_deleted_one_is_not_ours() {
    let id = |inode| FileIdentity::new(1, inode);
    let watched = WatchedFile {
        name: "app.db".into(),
        file: id(10),
        log: Some(id(11)),
        index: Some(id(12)),
    };
    let open = |files: &[(&str, u64)]| -> Vec<OpenFile> {
        let one = |(name, inode): &(&str, u64)| OpenFile {
            name: PathBuf::from(name),
            identity: id(*inode),
            told: PathBuf::new(),
        };
        files.iter().map(one).collect()
    };
    let of = |files: &[(&str, u64)]| other_log(&open(files), &watched);
    // The same folder under another name: a container's volume of a folder.
    let volume = [
        ("/v/app.db", 10),
        ("/v/app.db-wal", 11),
        ("/v/app.db-shm", 12),
    ];
    assert_eq!(of(&volume), None);
    let linked = [
        ("/d/link.db", 10),
        ("/d/link.db-wal", 21),
        ("/d/link.db-shm", 22),
    ];
    assert_eq!(of(&linked), Some("/d/link.db-wal".into()));
    let removed = [
        ("/d/app.db", 10),
        ("/d/app.db-wal", 11),
        ("/d/app.db-shm (deleted)", 32),
    ];
    assert_eq!(of(&removed), Some("/d/app.db-shm (deleted)".into()));
    // Another database beside it is none of ours.
    assert_eq!(of(&[("/d/b.db", 50), ("/d/b.db-wal", 51)]), None);
    assert_eq!(of(&[("/d/app.db", 10)]), None);
}

#[test]
fn a_log_whose_file_was_renamed_is_not_ours() {
    let id = |inode| FileIdentity::new(1, inode);
    let watched = WatchedFile {
        name: "app.db".into(),
        file: id(10),
        log: Some(id(11)),
        index: Some(id(12)),
    };
    let open = |files: &[(&str, FileIdentity)]| -> Vec<OpenFile> {
        let one = |(name, identity): &(&str, FileIdentity)| OpenFile {
            name: PathBuf::from(name),
            identity: *identity,
            told: PathBuf::new(),
        };
        files.iter().map(one).collect()
    };
    let renamed = |files: &[(&str, FileIdentity)]| log_of_no_file(&open(files), &watched, |_| true);
    let (ours, old) = (("/d/app.db", id(10)), ("/old/app.db-wal", id(31)));
    assert_eq!(renamed(&[ours, old]), Some("/old/app.db-wal".into()));
    let used = [ours, ("/d/app.db-shm", id(12)), old];
    assert_eq!(renamed(&used), None, "it uses ours");
    assert_eq!(renamed(&[old]), None, "it does not have the file");
    let another = [ours, ("/old/app.db", id(30)), old];
    assert_eq!(renamed(&another), None, "another database, with its log");
    let elsewhere = ("/old/app.db-wal", FileIdentity::new(2, 31));
    assert_eq!(renamed(&[ours, elsewhere]), None, "a file keeps its disk");

    let alone = |files: &[(&str, FileIdentity)]| our_log_alone(&open(files), &watched, |_| true);
    let log = ("/d/app.db-wal", id(11));
    let before = ("/d/app.db.old", id(9));
    assert_eq!(alone(&[before, log]), Some("/d/app.db-wal".into()));
    assert_eq!(alone(&[ours, log]), None);
    assert_eq!(alone(&[before]), None);
    // Whoever copies files reads them.
    let copied = our_log_alone(&open(&[log]), &watched, |_| false);
    assert_eq!(copied, None);
}

#[test]
fn what_is_unproven_is_counted_and_named() {
    let mut found = Processes::default();
    assert_eq!(found.unproven_sentence(), None);
    found.unproven_count = 2;
    found.unproven = vec![Holder {
        pid: 7,
        name: "nginx".into(),
    }];
    let said = found.unproven_sentence().unwrap();
    assert!(
        said.contains("2 processes") && said.contains("nginx (7) and 1 more"),
        "{said}"
    );
    found.on_removed = Some(Holder {
        pid: 9,
        name: "dotnet".into(),
    });
    let said = found.unproven_sentence().unwrap();
    assert!(said.starts_with("dotnet (9) has a file open that had this name before"));
    assert!(said.contains("; 2 processes"), "{said}");
}
