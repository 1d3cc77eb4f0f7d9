//! Files that cannot be a source, each refused by its kind and left as it was.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;

use cutover::sqlite::{Error, open_read_only};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use rusqlite::Connection;

use super::{Sample, count, other};
use crate::support;

fn refusal(path: &Path) -> Error {
    open_read_only(path)
        .err()
        .unwrap_or_else(|| panic!("{} was opened", path.display()))
}

#[test]
fn a_missing_file_is_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.db");
    assert!(matches!(refusal(&path), Error::Missing { .. }));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        refusal(folder.path()),
        Error::NotAFile {
            what: "directory",
            ..
        }
    ));
    assert!(matches!(
        refusal(Path::new("/dev/null")),
        Error::NotAFile { what: "device", .. }
    ));
    symlink(folder.path().join("gone"), folder.path().join("link")).unwrap();
    assert!(matches!(
        refusal(&folder.path().join("link")),
        Error::Missing { .. }
    ));
}

#[test]
fn what_is_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert!(matches!(refusal(&write("empty", b"")), Error::Empty { .. }));
    assert!(matches!(
        refusal(&write("text", b"hello")),
        Error::NotSqlite { .. }
    ));
    assert!(matches!(
        refusal(&write(
            "page of text",
            "INSERT INTO x;\n".repeat(1024).as_bytes()
        )),
        Error::NotSqlite { .. }
    ));
    assert!(matches!(
        refusal(&write("zeroes", &[0; 8192])),
        Error::NotSqlite { .. }
    ));
    let mut random = vec![0; 16384];
    StdRng::seed_from_u64(1).fill_bytes(&mut random);
    assert!(matches!(
        refusal(&write("encrypted", &random)),
        Error::Encrypted { .. }
    ));
}

#[test]
fn a_file_that_was_cut_short() {
    for mode in ["wal", "delete"] {
        let sample = Sample::new(mode, 500);
        let bytes = std::fs::read(&sample.path).unwrap();
        let path = sample.beside("cut.db");
        for size_bytes in [bytes.len() - 4096, 4096 + 17] {
            std::fs::write(&path, &bytes[..size_bytes]).unwrap();
            let error = refusal(&path);
            let Error::Truncated { expected_bytes, .. } = error else {
                panic!("{mode}, {size_bytes}: {error:?}")
            };
            assert_eq!(expected_bytes, bytes.len() as u64);
        }
    }
}

#[test]
fn a_corrupt_header_page() {
    let sample = Sample::new("delete", 500);
    let mut bytes = std::fs::read(&sample.path).unwrap();
    bytes[100..900].fill(0xff);
    std::fs::write(&sample.path, &bytes).unwrap();
    assert!(matches!(refusal(&sample.path), Error::Corrupt { .. }));
}

#[test]
fn a_hot_journal() {
    let sample = Sample::new("delete", 2_000);
    let writer = Connection::open(&sample.path).unwrap();
    // So small a cache that changed pages reach the file before the commit.
    writer
        .execute_batch("PRAGMA cache_size = 1; BEGIN; UPDATE Steps SET Body = Body || 'x'")
        .unwrap();
    let copy = sample.beside("copy.db");
    std::fs::copy(&sample.path, &copy).unwrap();
    std::fs::copy(
        sample.beside("app.db-journal"),
        sample.beside("copy.db-journal"),
    )
    .unwrap();
    let before = std::fs::read(&copy).unwrap();
    let Error::HotJournal { journal, .. } = refusal(&copy) else {
        panic!("{:?}", refusal(&copy))
    };
    assert!(journal.ends_with("copy.db-journal"));
    assert_eq!(
        std::fs::read(&copy).unwrap(),
        before,
        "nothing was rolled back"
    );
    assert!(journal.exists());
    drop(writer);
    assert_eq!(count(&sample.path), 2_000);
}

#[test]
fn through_a_symbolic_link_the_wal_of_the_real_file_is_read() {
    let sample = Sample::new("wal", 10);
    let write = "INSERT INTO Tools (Slug) VALUES ('in the WAL')";
    let _application = support::sqlite(&sample.path, write);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    symlink(&sample.path, &link).unwrap();
    assert_eq!(count(&link), 11);
    assert_eq!(
        std::fs::read_dir(elsewhere.path()).unwrap().count(),
        1,
        "nothing beside the link"
    );
}

#[test]
fn somebody_elses_wal_database_is_not_opened() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        eprintln!(
            "NOT RUN: only root can become somebody else to open somebody else's WAL database"
        );
        return;
    }
    let sample = Sample::new("wal", 10);
    std::fs::set_permissions(sample.folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    std::fs::set_permissions(&sample.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    // A copy of this binary in a place that nobody can reach, wherever the build's folder is.
    let binary = sample.beside("test-binary");
    support::copy_program(&std::env::current_exe().unwrap(), &binary);
    let asked = |path: &Path| {
        let template = other::command("open", path);
        let mut command = std::process::Command::new(&binary);
        command.args(template.get_args()).uid(NOBODY).gid(NOBODY);
        command.envs(
            template
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        other::answer_of(command)
    };
    let answer = asked(&sample.path);
    assert!(
        answer.contains("NotOwner") && answer.contains("our_uid: 65534"),
        "{answer}"
    );
    assert!(
        !sample.beside("app.db-shm").exists(),
        "nothing was left behind"
    );

    let rollback = Sample::new("delete", 10);
    std::fs::set_permissions(
        rollback.folder.path(),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    std::fs::set_permissions(&rollback.path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        asked(&rollback.path),
        "opened",
        "without a WAL there is no such danger"
    );
    std::fs::set_permissions(&rollback.path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(asked(&rollback.path).contains("Permission"));
}
