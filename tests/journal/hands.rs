//! Other people's hands on a session's folder: every file of the table, as another user of the operating system and as anything but the file
//! that it must be; a journal that the group rewrote; a session that an earlier version opened.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cutover::cli::orders::Standing;
use cutover::engine::lease::Lease;
use cutover::engine::{detach, guard};
use cutover::feed::{self, Live};
use cutover::journal::files::{self, Hands, Kind, Row, TABLE};
use cutover::journal::{Damage, Error, Folder, Follower, Journal, Reserve, verify};
use cutover::ours::lock::{Holder, Lock};
use cutover::report::bundle;
use cutover::session::Event;

use super::engine;
use crate::session::language::Bridge;
use crate::support::{self, Engine};

const MEMBER: u32 = 47_110;
const BRIDGE: u32 = 47_200;
/// What must not be seen or changed: a file of the owner's, elsewhere.
const SECRET: &str = "the owner's own secret";

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("not root: nobody else can be played; links, pipes and modes alone are tried");
    }
    is_root
}

/// A session with something at every place of the table, and a secret of its owner's beside it.
struct Stage {
    dir: tempfile::TempDir,
    folder: Folder,
}

impl Stage {
    fn set() -> Stage {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let root = dir.path().join(".cutover");
        let folder = Folder::create(&root, "tonight").expect("a session's folder");
        if rustix::process::geteuid().is_root() {
            folder.let_in(Some(BRIDGE), Some(&root)).expect("root may");
        }
        engine(&folder).note(2);
        for row in TABLE {
            match row.kind {
                Kind::Socket => {
                    let path = row.path(&folder);
                    std::os::unix::net::UnixListener::bind(&path).expect("a socket");
                    fs::set_permissions(&path, fs::Permissions::from_mode(row.mode()))
                        .expect("a mode");
                }
                Kind::Folder => drop(files::folder(&folder, row).expect("a folder")),
                Kind::Plain if row.path(&folder).exists() => {}
                Kind::Plain => files::replace(&folder, row, b"{}").expect("a file"),
            }
        }
        fs::write(files::FORMER.path(&folder).join("0f0f"), "PASSWORD=x").expect("written");
        let stage = Stage { dir, folder };
        fs::write(stage.secret(), SECRET).expect("written");
        fs::set_permissions(stage.secret(), fs::Permissions::from_mode(0o600)).expect("a mode");
        stage
    }

    fn secret(&self) -> PathBuf {
        self.dir.path().join("secret")
    }

    /// A line of shell as a member of the bridge's group.
    fn as_member(&self, line: &str) -> Output {
        as_member(&self.folder, line)
    }

    fn assert_secret_is_whole(&self, case: &str) {
        let found = fs::read_to_string(self.secret()).expect("there");
        assert_eq!(found, SECRET, "{case}");
        let mode = fs::metadata(self.secret()).expect("there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{case}");
    }
}

fn as_member(folder: &Folder, line: &str) -> Output {
    Command::new("/bin/sh")
        .args(["-c", line])
        .current_dir("/")
        .uid(MEMBER)
        .gid(BRIDGE)
        .env("S", folder.dir())
        .env("CUTOVER", support::cutover())
        .output()
        .expect("a shell")
}

/// What the session's owner does with a file of the table: what is said where it is not done.
fn owners_use(row: &Row, folder: &Folder) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    match row.name {
        "orders.json" => Standing::read(folder)
            .map(drop)
            .map_err(|e| format!("{e:#}")),
        "former" => files::read_in(folder, &files::FORMER, "0f0f")
            .map(drop)
            .map_err(|e| said(&e)),
        "untold" => match guard::take_untold(folder).as_slice() {
            [told] if told.contains("Nothing of it was read") => Err(told.clone()),
            told => panic!("{told:?}"),
        },
        "journal.seal" | "journal.head" | "journal.db" => {
            verify(folder).map(drop).map_err(|e| said(&e))
        }
        "engine.lease" => Lease::take(folder).map(drop).map_err(|e| said(&e)),
        "engine.log" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let spawned = detach::spawn_command(folder, Command::new("false"));
            match runtime.block_on(spawned) {
                Err(detach::Error::Io { source, .. }) => Err(said(&source)),
                other => panic!("{other:?}"),
            }
        }
        "rehearsal.lock" => {
            let holder = Holder {
                pid: 1,
                what: "a test".to_owned(),
            };
            let taken = Lock::take(&row.path(folder), &holder);
            taken.map(drop).map_err(|e| said(&e))
        }
        "reserve" => {
            let kept = Reserve::of(folder).keep().map_err(|e| said(&e))?;
            // Given up, it is the name that goes, and never what it leads to.
            let is_gone = Reserve::of(folder).free();
            Err(format!("it is only removed: {kept} {is_gone}"))
        }
        "runbook.yaml" | "runbook.values.json" | "engine.log.1" | "read-back.db" => {
            files::look(&row.path(folder))
                .map(drop)
                .map_err(|e| said(&e))
        }
        "places.json" | "rehearsal.json" | "salvage.db" | "salvage.before.db"
        | "engine.sock.path" | "guard.sock.path" => {
            files::open(folder, row).map(drop).map_err(|e| said(&e))
        }
        // SQLite opens these itself; they are looked at first.
        "feed.db" | "feed.db-wal" | "feed.db-shm" => match Live::open_read(folder) {
            Ok(_) => Err("it was read without".to_owned()),
            Err(feed::Error::File { source, .. }) => Err(said(&source)),
            Err(error) => Err(format!("looked at, and then: {error}")),
        },
        "output" | "preserved" | "drill" | "artefacts" | "report" | "shared" => {
            files::folder(folder, row).map(drop).map_err(|e| said(&e))
        }
        // SQLite opens these itself, and follows no link either.
        "journal.db-wal" | "journal.db-shm" => match Follower::open(folder) {
            Ok(_) => Err("it was read without".to_owned()),
            Err(error) => Err(said(&error)),
        },
        // Bound anew by the next engine; a link is not what a socket is.
        "engine.sock" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let _inside = runtime.enter();
            let lease = Lease::take(folder).expect("a lease");
            let cancel = tokio_util::sync::CancellationToken::new();
            let bound = cutover::engine::socket::serve::<String, String>(folder, &lease, cancel);
            bound.map(drop).map_err(|e| said(&e))
        }
        "guard.sock" => {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            let _inside = runtime.enter();
            let cancel = tokio_util::sync::CancellationToken::new();
            let bound = cutover::engine::socket::serve_as_guard::<String, String>(folder, cancel);
            bound.map(drop).map_err(|e| said(&e))
        }
        unknown => panic!("{unknown}: say here what its owner does with it"),
    }
}

#[test]
fn every_file_of_the_table_as_another_user() {
    let stage = Stage::set();
    for row in TABLE {
        let found = fs::symlink_metadata(row.path(&stage.folder)).expect("there");
        let mode = found.permissions().mode() & 0o7777;
        assert_eq!(mode, row.mode(), "{}", row.name);
    }
    if !is_root() {
        return;
    }
    for row in TABLE {
        let stage = Stage::set();
        let path = row.path(&stage.folder);
        let path = path.display();
        let may = |line: &str| stage.as_member(line).status.success();
        let case = row.name;
        let look = match row.kind {
            Kind::Plain => format!("cat {path}"),
            Kind::Folder => format!("ls {path}"),
            Kind::Socket => format!("test -r {path}"),
        };
        let reads = row.reader == Hands::Group;
        assert_eq!(may(&look), reads, "{case}: reading");
        let write = match row.kind {
            Kind::Plain => format!("echo >> {path}"),
            Kind::Folder => format!("touch {path}/planted"),
            Kind::Socket => format!("test -w {path}"),
        };
        let writes = row.writer == Hands::Group;
        assert_eq!(may(&write), writes, "{case}: writing");
        // Another file in its place: only where the group works.
        let stage = Stage::set();
        let path = row.path(&stage.folder);
        let path = path.display();
        let replaced = row.is_shared;
        let secret = stage.secret();
        let plant = format!(
            "mv -T {path} {path}.mine && ln -s {} {path}",
            secret.display()
        );
        let planted = stage.as_member(&plant).status.success();
        assert_eq!(planted, replaced, "{case}: putting a link in its place");
        let own =
            format!("cp {path} /tmp/mine-$$ && mv -f /tmp/mine-$$ {path}; rm -f /tmp/mine-$$");
        if row.kind == Kind::Plain && !replaced {
            stage.as_member(&own);
            let found = fs::metadata(row.path(&stage.folder)).expect("there");
            assert_eq!(
                std::os::unix::fs::MetadataExt::uid(&found),
                0,
                "{case}: a file of theirs"
            );
        }
        if replaced {
            let refused = owners_use(row, &stage.folder);
            assert!(refused.is_err(), "{case}: a link was used");
        }
        stage.assert_secret_is_whole(case);
    }
}

/// What people read of the table is the table.
#[test]
fn the_table_is_told_as_it_is() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SECURITY.md");
    let told = fs::read_to_string(path).expect("SECURITY.md");
    let who = |hands: Hands| match hands {
        Hands::Owner => "owner",
        Hands::Group => "group",
    };
    let place = |row: &Row| match (row.is_shared, row.kind) {
        (true, _) => format!("shared/{}", row.name),
        (false, Kind::Folder) => format!("{}/", row.name),
        (false, Kind::Plain | Kind::Socket) => row.name.to_owned(),
    };
    let lines = TABLE.map(|row| {
        format!(
            "| `{}` | {} | {} | `{:o}` | {} | {} |\n",
            place(row),
            who(row.writer),
            who(row.reader),
            row.mode(),
            row.forged,
            row.found
        )
    });
    let table = lines.concat();
    assert!(told.contains(&table), "SECURITY.md lacks:\n{table}");
}

/// What lies where a file should be, whoever put it there: in a folder of an earlier version that was anybody of the group.
#[test]
fn nothing_but_the_file_that_it_must_be_is_used() {
    let as_root = is_root();
    for row in TABLE {
        for what in ["a link", "a pipe", "a folder", "a mode", "another's"] {
            let stage = Stage::set();
            let path = row.path(&stage.folder);
            let is_owners = row.writer == Hands::Owner;
            let aside = path.with_extension("aside");
            match (what, row.kind) {
                ("a link", _) => {
                    fs::rename(&path, &aside).expect("aside");
                    symlink(stage.secret(), &path).expect("a link");
                }
                ("a pipe", Kind::Plain) => {
                    fs::remove_file(&path).expect("gone");
                    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
                    assert!(made.success());
                }
                ("a folder", Kind::Plain) => {
                    fs::remove_file(&path).expect("gone");
                    fs::create_dir(&path).expect("a folder");
                }
                ("a mode", Kind::Plain | Kind::Folder) if is_owners => {
                    let mode = fs::metadata(&path).expect("there").permissions().mode();
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o020))
                        .expect("a mode");
                }
                ("another's", Kind::Plain | Kind::Folder) if is_owners && as_root => {
                    std::os::unix::fs::chown(&path, Some(MEMBER), None).expect("theirs");
                }
                _ => continue,
            }
            // What only people read, and what proves itself, is asked for being a plain file alone.
            let only_looked_at = [
                "engine.log.1",
                "runbook.yaml",
                "runbook.values.json",
                "read-back.db",
            ];
            let is_about_the_owner = ["a mode", "another's"].contains(&what);
            if is_about_the_owner && only_looked_at.contains(&row.name) {
                continue;
            }
            let case = format!("{} is {what}", row.name);
            // In a thread, for what waits at a pipe would wait for good.
            let (said, answer) = std::sync::mpsc::channel();
            let (row, folder) = (*row, stage.folder.clone());
            std::thread::spawn(move || said.send(owners_use(&row, &folder)));
            let limit = std::time::Duration::from_secs(120);
            let refused = answer
                .recv_timeout(limit)
                .unwrap_or_else(|e| panic!("{case}: {e}"));
            assert!(refused.is_err(), "{case}, and was used");
            stage.assert_secret_is_whole(&case);
        }
    }
}

#[test]
fn a_report_takes_nothing_through_a_link() {
    let stage = Stage::set();
    let root = stage.dir.path().join("second");
    let folder = crate::report::journal_below(&root, &Bridge::rolled_back(2_000).journal);
    symlink(stage.secret(), folder.runbook_path()).expect("a link");
    symlink(stage.secret(), folder.runbook_values_path()).expect("a link");
    symlink(stage.dir.path(), folder.dir().join("output")).expect("a link");
    let out = folder.dir().join("report");
    // Where the group works, a folder of the bundle may be a link before there is a bundle.
    let elsewhere = stage.dir.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder");
    symlink(&elsewhere, out.join("artefacts")).expect("a link");
    let refused = bundle::write(&folder, &out).expect_err("a link is no earlier bundle");
    assert!(refused.to_string().contains("artefacts"), "{refused}");
    fs::remove_file(out.join("artefacts")).expect("gone");
    let written = bundle::write(&folder, &out).expect("a bundle");
    let left_out: Vec<_> = written.left_out.iter().map(|l| l.file.as_str()).collect();
    assert!(left_out.contains(&"output/secret"), "{left_out:?}");
    let found = Command::new("grep").args(["-r", SECRET]).arg(&out).output();
    assert!(
        !found.expect("grep").status.success(),
        "it is in the bundle"
    );
    stage.assert_secret_is_whole("a report");
}

/// Whoever may write the journal's file can make a chain and a head that hold. The owner's own record tells.
#[test]
fn a_journal_that_the_group_rewrote_is_not_believed() {
    let stage = Stage::set();
    let other = super::session();
    let mut writer = engine(&other.folder);
    let forged = serde_json::json!({"step": "K5", "ok": true});
    let events = [("gate_signed", &forged)];
    writer
        .journal
        .append(1, super::wall(), &events)
        .expect("written");
    writer.note(3);
    writer.journal.finish().expect("an end");
    assert!(verify(&other.folder).is_ok(), "it holds in itself");
    for row in [&files::JOURNAL_WAL, &files::JOURNAL_SHM] {
        let _ = fs::remove_file(row.path(&stage.folder));
    }
    for row in [&files::JOURNAL, &files::HEAD] {
        fs::copy(row.path(&other.folder), row.path(&stage.folder)).expect("copied");
    }
    let lease = Lease::take(&stage.folder).expect("a lease");
    for found in [
        verify(&stage.folder).map(drop),
        Follower::open(&stage.folder).map(drop),
        Journal::open(&stage.folder, lease.fencing()).map(drop),
    ] {
        match found {
            Err(Error::Damaged { damage, .. }) => {
                assert_eq!(damage, Damage::SealDiffers { seq: 2 });
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_begins_only_on_what_an_engine_of_its_user_wrote() {
    let runbook = crate::session::reference();
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "tonight").expect("a session's folder");
    Engine::start(&folder, &runbook, true, None)
        .await
        .end()
        .await;
    let sealed = fs::read(files::SEAL.path(&folder)).expect("a seal");
    // Somebody of the group, with a chain and a head that hold, while the session is open.
    let note = serde_json::json!({"by": "quinn", "text": "a word"});
    let mut writer = engine(&folder);
    let events = [("note_added", &note)];
    writer
        .journal
        .append(1, super::wall(), &events)
        .expect("written");
    drop(writer);
    files::replace(&folder, &files::SEAL, &sealed).expect("as it was");
    let refused = Engine::refuses(&folder, &runbook).await.to_string();
    says!(refused, "somebody else than the engine");

    // Orders of another session that lead to another database.
    let mut elsewhere = Bridge::open().journal;
    let Event::SessionOpened { charter } = &mut elsewhere[0].event else {
        panic!("{:?}", elsewhere[0])
    };
    charter.target = "elsewhere:5432/other".to_owned();
    charter.runbook_hash = runbook.hash.clone();
    let folder = crate::report::journal_below(&root.path().join("b"), &elsewhere);
    let refused = Engine::refuses(&folder, &runbook).await.to_string();
    says!(refused, "opened for the target elsewhere:5432/other");
}

/// A folder as earlier versions made it: everything in one, which the group may write.
fn of_an_earlier_version(root: &Path) -> Folder {
    let folder = crate::report::journal_below(root, &Bridge::open().journal);
    let dir = folder.dir().to_owned();
    for entry in fs::read_dir(folder.shared_dir()).expect("a folder") {
        let entry = entry.expect("a file");
        fs::rename(entry.path(), dir.join(entry.file_name())).expect("moved");
    }
    for empty in ["shared", "report"] {
        fs::remove_dir(dir.join(empty)).expect("empty");
    }
    fs::remove_file(dir.join("journal.seal")).expect("a seal");
    for (path, mode) in [(dir.clone(), 0o2770), (dir.join("artefacts"), 0o2770)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    fs::write(dir.join("orders.json"), "{}").expect("written");
    fs::set_permissions(dir.join("orders.json"), fs::Permissions::from_mode(0o600))
        .expect("a mode");
    Folder::open_at(&dir).expect("a session")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_an_earlier_version_is_read_and_not_run_until_somebody_looked() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = of_an_earlier_version(root.path());
    let dir = folder.dir().display().to_string();
    let seq = cutover::history::session(&folder).expect("its state").seq;
    bundle::write(&folder, &root.path().join("bundle")).expect("a bundle");
    let cutover = |args: &[&str]| {
        let ran = Command::new(support::cutover())
            .args(args)
            .args(["--dir", &dir])
            .current_dir(root.path())
            .output()
            .expect("cutover");
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        (ran.status.code(), said)
    };
    let (code, said) = cutover(&["status"]);
    assert!(said.contains("tonight"), "{code:?} {said}");
    let (code, said) = cutover(&["engine"]);
    assert_eq!(code, Some(1), "{said}");
    let advice = format!("`chmod -R g-w,o-w {dir}`");
    for says in ["earlier versions", "Nothing was done", &advice] {
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(
        cutover::history::session(&folder).expect("its state").seq,
        seq
    );
    // Once somebody has: it is no longer refused for that.
    let done = Command::new("chmod").args(["-R", "g-w,o-w", &dir]).status();
    assert!(done.expect("chmod").success());
    folder.mine().expect("the owner's alone");
    let (_, said) = cutover(&["engine"]);
    assert!(!said.contains("earlier versions"), "{said}");
    engine(&folder);
    assert_eq!(
        cutover::history::session(&folder).expect("its state").seq,
        seq
    );
}

/// What members do today they still can; what is the owner's they are told.
#[test]
fn members_read_record_and_report_and_start_no_engine() {
    if !is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let root = dir.path().join(".cutover");
    let folder = crate::report::journal_below(&root, &Bridge::rolled_back(2_000).journal);
    let group = format!("chgrp -R {BRIDGE} {}", root.display());
    assert!(
        Command::new("sh")
            .args(["-c", &group])
            .status()
            .expect("sh")
            .success()
    );
    files::replace(&folder, &files::ORDERS, b"{}").expect("written");
    let says = |line: &str| {
        let ran = as_member(&folder, line);
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
        (ran.status.code(), text)
    };
    let (_, said) = says("$CUTOVER status --dir $S");
    assert!(said.contains("tonight"), "{said}");
    let before = cutover::history::session(&folder).expect("its state").seq;
    let (code, said) = says("$CUTOVER correct --dir $S --what 'an index' --as ada");
    assert_eq!(code, Some(0), "{said}");
    let after = cutover::history::session(&folder).expect("its state");
    assert!(after.seq > before && after.correction.is_some());
    let (code, said) = says("$CUTOVER report --dir $S");
    assert!(
        folder.dir().join("report/report.json").is_file(),
        "{code:?} {said}"
    );
    let (code, said) = says("$CUTOVER engine --dir $S");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("user 0's, who opened the session"), "{said}");
    // The owner goes on from what a member recorded.
    engine(&folder);
}
