//! Where something is removed or overwritten outside of `ours`, what lies beside it stays, byte by byte. `tests/architecture.rs` names
//! these cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cutover::demo::sandbox::{Error, Options, Sandbox};
use cutover::engine::detach;
use cutover::journal::Folder;
use cutover::runbook::{self, Runbook};
use cutover::sqlite::{backup, drill};
use tokio_util::sync::CancellationToken;

use crate::support::{self, Engine};

/// Puts files with these names into a folder.
fn put(folder: &Path, names: &[&str]) -> BTreeMap<PathBuf, Vec<u8>> {
    let write = |name: &&str| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("canary {name}")).unwrap();
        (path.clone(), fs::read(&path).unwrap())
    };
    names.iter().map(write).collect()
}

fn assert_untouched(canaries: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in canaries {
        assert_eq!(
            fs::read(path).ok().as_ref(),
            Some(bytes),
            "{}",
            path.display()
        );
    }
}

fn reference() -> Runbook {
    let value = |name: &str| {
        Some(match name {
            name if name.ends_with("_URL") => "postgres://a@127.0.0.1:1/b".to_owned(),
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => {
                "http://127.0.0.1:1".to_owned()
            }
            _ => "value-of-it".to_owned(),
        })
    };
    let text = include_str!("../../runbook.yaml");
    runbook::parse("runbook.yaml", text, &value).expect("a runbook")
}

#[tokio::test]
async fn what_else_lies_in_a_sessions_folder_stays() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::create(root.path(), "canaries-1").unwrap();
    let canaries = put(
        folder.dir(),
        &[
            "notes.txt",
            "journal.head.mine",
            "engine.log.2",
            "engine.sock.path.mine",
            "orders.json.mine",
            ".cutover-mine.partial",
            "artefacts/letter",
            "former/letter",
        ],
    );
    for _ in 0..2 {
        Engine::start(&folder, &reference(), true, None)
            .await
            .end()
            .await;
    }
    // A log that has grown too long is put aside when the next engine starts.
    fs::write(folder.log_path(), vec![b'x'; 11 << 20]).unwrap();
    let died = detach::spawn_command(&folder, Command::new("false")).await;
    assert!(matches!(died, Err(detach::Error::Died { .. })), "{died:?}");
    assert!(folder.log_path().with_extension("log.1").exists());
    assert_untouched(&canaries);
}

#[test]
fn a_drill_leaves_what_else_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (live, copy) = (
        folder.path().join("app.db"),
        folder.path().join("b/copy.db"),
    );
    support::sqlite(&live, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let cancel = CancellationToken::new();
    let names = [
        "drill/restored.db",
        "drill/.cutover-mine",
        "b/copy.db-notes",
        "b/.partial-mine",
        "b/.cutover-mine",
    ];
    let canaries = put(folder.path(), &names);
    let made = backup::take(&live, &copy, &mut |_| {}, &cancel).unwrap();
    let place = folder.path().join("drill");
    drill::run(&made.path, &made.sha256, &[], Some(&place), &cancel).unwrap();
    assert_untouched(&canaries);
    assert_eq!(fs::read_dir(&place).unwrap().count(), 2);
    assert_eq!(fs::read_dir(folder.path().join("b")).unwrap().count(), 5);
}

#[test]
fn a_folder_with_something_in_it_is_no_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let canaries = put(folder.path(), &["letter"]);
    let options = Options {
        dir: Some(folder.path().to_owned()),
        ..Options::small(support::cutover())
    };
    let refused = Sandbox::start(options).expect_err("a refusal");
    assert!(matches!(refused, Error::NotEmpty { .. }), "{refused}");
    assert_untouched(&canaries);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_a_killed_process_left_of_a_backup_is_named_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("app.db");
    support::sqlite(&live, "CREATE TABLE t (id INTEGER PRIMARY KEY)");
    // No process has this number.
    let name = cutover::ours::temporary::name_of(u32::MAX >> 1, 1);
    let backups = root.path().join("backups");
    let canaries = put(&backups, &[".partial-mine", ".cutover-mine", "app-1.db"]);
    let left = backups.join(&name);
    fs::write(&left, "half a database").unwrap();
    let mut runbook = reference();
    for step in &mut runbook.steps {
        if let runbook::StepKind::Backup { to, .. } = &mut step.kind {
            *to = backups.clone();
        }
    }
    let folder = Folder::create(root.path(), "left-1").unwrap();
    cutover::cli::leftovers::keep_places(&folder, &runbook).unwrap();
    assert_eq!(
        cutover::cli::leftovers::of_session(&folder),
        [left.as_path()]
    );
    let lines = cutover::cli::leftovers::remove(&runbook, root.path());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(&name), "{lines:?}");
    assert!(!left.exists());
    assert_untouched(&canaries);
}
