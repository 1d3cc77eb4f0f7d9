//! One key of a configuration file, changed and put back.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use cutover::action::config_file::{Edit, Error, Restored, State, restore, state, value};

fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

/// The file after `key` got `new`.
fn edited(name: &str, content: &str, key: &str, new: &str) -> String {
    let (_folder, path) = file(name, content);
    let edit = Edit::prepare(&path, key, new).unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        content,
        "preparing writes nothing"
    );
    edit.apply().unwrap();
    edit.apply().unwrap();
    assert_eq!(value(&path, key).unwrap().as_deref(), Some(new));
    std::fs::read_to_string(&path).unwrap()
}

fn refused(name: &str, content: &str, key: &str, new: &str) -> Error {
    let (_folder, path) = file(name, content);
    let error = Edit::prepare(&path, key, new).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    error
}

#[test]
fn env_files_keep_everything_else() {
    for (before, after) in [
        ("A=1\nP=Sqlite\nB=2\n", "A=1\nP=Postgres\nB=2\n"),
        (
            "# P=old\r\nexport P = Sqlite # why\r\nB=2",
            "# P=old\r\nexport P = Postgres # why\r\nB=2",
        ),
        ("P=\"Sqlite\"\n", "P=\"Postgres\"\n"),
        ("P='Sqlite'   # note\n", "P='Postgres'   # note\n"),
        ("P=\n", "P=Postgres\n"),
        (
            "KEY=\"a\nP=not this\nb\"\nP=Sqlite\n",
            "KEY=\"a\nP=not this\nb\"\nP=Postgres\n",
        ),
        ("\u{feff}P=Sqlite\n", "\u{feff}P=Postgres\n"),
        ("PP=1\nXP=2\nP=Sqlite", "PP=1\nXP=2\nP=Postgres"),
        ("A=1", "A=1\nP=Postgres\n"),
        ("A=1\r\n", "A=1\r\nP=Postgres\r\n"),
        ("", "P=Postgres\n"),
    ] {
        assert_eq!(edited("app.env", before, "P", "Postgres"), after);
    }
    assert_eq!(
        edited(".env", "P=x\n", "P", "Host=db;Port=5432"),
        "P=Host=db;Port=5432\n"
    );
    assert_eq!(
        edited(".env", "P=x\n", "P", "Host=db; Port=5432 # no"),
        "P=\"Host=db; Port=5432 # no\"\n"
    );
}

#[test]
fn env_files_that_cannot_be_edited_safely() {
    assert!(matches!(
        refused(".env", "P=1\nA=2\nP=3\n", "P", "x"),
        Error::Twice {
            first: 1,
            second: 3,
            ..
        }
    ));
    assert!(matches!(
        refused(".env", "P=1\nwhat is this\n", "P", "x"),
        Error::Syntax { line: 2, .. }
    ));
    assert!(matches!(
        refused(".env", "P=\"1\n", "P", "x"),
        Error::Syntax { line: 1, .. }
    ));
    assert!(matches!(
        refused(".env", "P=1\n", "P", "a\nB=2"),
        Error::Unfit { .. }
    ));
    assert!(matches!(
        refused(".env", "P=1\n", "P", "$(reboot)"),
        Error::Unfit { .. }
    ));
    assert!(matches!(
        refused(".env", "", "P\nQ", "x"),
        Error::NoPlace { .. }
    ));
}

#[test]
fn json_files_keep_everything_else() {
    let settings = "\u{feff}{\r\n  // which one\r\n  \"DatabaseProvider\" : \"Sqlite\", /* \"DatabaseProvider\": 1 */\r\n  \"Db\": { \"Pool\": {\"Max\":  10,}, \"Url\": null },\r\n  \"Log.Level\": \"x\"\r\n}\r\n";
    for (key, new, from, to) in [
        ("DatabaseProvider", "Postgres", "\"Sqlite\"", "\"Postgres\""),
        ("Db.Pool.Max", "25", "10,", "25,"),
        ("Db.Url", "a\"b\\c", "null", "\"a\\\"b\\\\c\""),
        ("Log.Level", "y", "\"x\"", "\"y\""),
    ] {
        assert_eq!(
            edited("appsettings.json", settings, key, new),
            settings.replacen(from, to, 1),
            "{key}"
        );
    }
    assert_eq!(
        edited("a.json", "{\n  \"A\": 1\n}\n", "P", "x"),
        "{\n  \"P\": \"x\",\n  \"A\": 1\n}\n"
    );
    assert_eq!(edited("a.json", "{}", "P", "x"), "{ \"P\": \"x\" }");
    assert_eq!(
        edited("a.json", "{\"D\":{\"A\":1}}", "D.P", "x"),
        "{\"D\":{\"P\": \"x\",\"A\":1}}"
    );
}

#[test]
fn json_files_that_cannot_be_edited_safely() {
    assert!(matches!(
        refused("a.json", "{\"P\": 1,\n\"P\": 2}", "P", "3"),
        Error::Twice {
            first: 1,
            second: 2,
            ..
        }
    ));
    assert!(matches!(
        refused("a.json", "{\"P\": 1,\n\"Q\" 2}", "P", "3"),
        Error::Syntax { line: 2, .. }
    ));
    assert!(matches!(
        refused("a.json", "{\"P\": true}", "P", "x"),
        Error::Unfit { .. }
    ));
    assert!(matches!(
        refused("a.json", "{\"P\": {}}", "P", "x"),
        Error::Unfit { .. }
    ));
    assert!(matches!(
        refused("a.json", "{\"P\": 1}", "A.B", "x"),
        Error::NoPlace { .. }
    ));
    assert!(matches!(
        refused("a.json", "[1]", "P", "x"),
        Error::NoPlace { .. }
    ));
    for broken in [
        "",
        "{",
        "{\"P\": \"a\n\"}",
        "{} x",
        "/* {}",
        "{\"P\": nul}",
        &"[".repeat(100_000),
    ] {
        assert!(
            matches!(refused("a.json", broken, "P", "x"), Error::Syntax { .. }),
            "{broken:.20}"
        );
    }
}

#[test]
fn the_former_bytes_come_back_with_mode_and_owner() {
    let (_folder, path) = file(".env", "P=Sqlite\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    if rustix::process::geteuid().is_root() {
        chown(&path, Some(65_534), Some(65_534)).unwrap();
    }
    let look = || {
        path.metadata()
            .map(|m| (m.mode(), m.uid(), m.gid()))
            .unwrap()
    };
    let before = look();
    let edit = Edit::prepare(&path, "P", "Postgres").unwrap();
    let now = || state(&path, &edit.former_sha256, &edit.written_sha256).unwrap();
    assert_eq!(
        (edit.former_value.as_deref(), now()),
        (Some("Sqlite"), State::Former)
    );
    edit.apply().unwrap();
    assert_eq!((look(), now()), (before, State::Written));
    assert_eq!(
        restore(&path, &edit.former, &edit.written_sha256).unwrap(),
        Restored::Done
    );
    assert_eq!((look(), now()), (before, State::Former));
    assert_eq!(
        restore(&path, &edit.former, &edit.written_sha256).unwrap(),
        Restored::AlreadyThere
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(now(), State::Gone);
    assert_eq!(
        restore(&path, &edit.former, &edit.written_sha256).unwrap(),
        Restored::Done
    );
}

#[test]
fn what_somebody_else_made_of_it_is_neither_overwritten_nor_lost() {
    let (_folder, path) = file(".env", "P=Sqlite\n");
    let edit = Edit::prepare(&path, "P", "Postgres").unwrap();
    std::fs::write(&path, "P=Sqlite\nA=theirs\n").unwrap();
    assert!(matches!(edit.apply(), Err(Error::ChangedMeanwhile { .. })));
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "P=Sqlite\nA=theirs\n"
    );

    let Restored::TheirsKept(aside) = restore(&path, &edit.former, &edit.written_sha256).unwrap()
    else {
        panic!()
    };
    assert_eq!(
        std::fs::read_to_string(aside).unwrap(),
        "P=Sqlite\nA=theirs\n"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "P=Sqlite\n");
}

#[test]
fn nothing_to_change_writes_nothing() {
    let (_folder, path) = file("a.json", "{\"P\": \"x\"}");
    let inode = path.metadata().unwrap().ino();
    let edit = Edit::prepare(&path, "P", "x").unwrap();
    edit.apply().unwrap();
    assert_eq!(edit.former, edit.written);
    assert_eq!(path.metadata().unwrap().ino(), inode);
}

/// Where the application's disk has no room for a second file, the former bytes go into the one that is there.
#[cfg(target_os = "linux")]
#[test]
fn the_former_bytes_come_back_on_a_full_disk() {
    const ROLE: &str = "action::config_file::the_former_bytes_come_back_on_a_full_disk";
    const DISK: &str = "CUTOVER_TEST_FULL_DISK";
    if let Some(disk) = std::env::var_os(DISK) {
        return put_back_on_a_full_disk(&PathBuf::from(disk));
    }
    let disk = tempfile::tempdir().unwrap();
    let small = |script: &str| {
        let mut command = std::process::Command::new("unshare");
        command.args(["--map-root-user", "--mount", "sh", "-c"]);
        command.arg(format!(
            "mount -t tmpfs -o size=64k tmpfs \"$0\" && {script}"
        ));
        command.arg(disk.path());
        command
    };
    if !small("true").status().is_ok_and(|s| s.success()) {
        println!(
            "NOT RUN: this machine lets nobody mount a tmpfs in a namespace, so that there is no small disk to fill"
        );
        return;
    }
    let ran = small("exec \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", ROLE, "--nocapture"])
        .env(DISK, disk.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    assert!(
        ran.status.success() && said.contains("> put back"),
        "{said}"
    );
}

#[cfg(target_os = "linux")]
fn put_back_on_a_full_disk(disk: &std::path::Path) {
    for (name, former, new) in [
        ("shorter.env", "P=Sqlite\n", "Postgres"),
        (
            "longer.env",
            "P=a-value-that-is-longer-than-the-new-one\n",
            "x",
        ),
    ] {
        let path = disk.join(name);
        std::fs::write(&path, former).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let edit = Edit::prepare(&path, "P", new).unwrap();
        edit.apply().unwrap();
        let rest = disk.join("rest");
        let mut file = std::fs::File::create(&rest).unwrap();
        while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
        let put = || restore(&path, &edit.former, &edit.written_sha256).unwrap();
        assert_eq!(
            (put(), put()),
            (Restored::Done, Restored::AlreadyThere),
            "{name}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), former);
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o640);
        assert_eq!(
            std::fs::read_dir(disk).unwrap().count(),
            2,
            "nothing is left of the attempt"
        );
        std::fs::remove_file(&rest).unwrap();
        std::fs::remove_file(&path).unwrap();
    }
    println!("> put back");
}
