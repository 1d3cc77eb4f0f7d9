//! A power cut: what a disk has not confirmed may be gone, the bytes of a file as well as its name, and what was acknowledged is there. Processes
//! run above a library (`power.c`) that notes what the disk has confirmed; the tree that a cut leaves is made of that. Also a disk that refuses to
//! confirm. Not in here: `kill -9`, after which the system still has everything (`crash`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use cutover::action::config_file::{Edit, restore};
use cutover::engine::lease::Lease;
use cutover::journal::{Folder, Journal, files};
use cutover::private_file;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{child, crash};

const CUTS: u32 = 6;
const CUTS_OF_A_SOAK: u32 = 100;
/// A disk writes so many bytes at once.
const PAGE: usize = 4096;
/// No writer says more events at once than that.
const AT_ONCE: u64 = 4;
/// The hidden test that keeps what a rollback needs.
const KEEPER: &str = "journal::power::child_keeps_what_a_rollback_needs";
const FORMER: &str = "0f0f";
/// The hidden test that switches a configuration, and the folder that has it.
const SWITCHER: &str = "journal::power::child_switches_on_a_disk_that_refuses";
const PLACE: &str = "configuration";

/// What is there of that which the disk has not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unconfirmed {
    /// Nothing.
    Gone,
    /// The names of files whose bytes it has confirmed, as on ext4.
    Named,
    /// Of each name and each page the old or the new, as it happens.
    Mixed,
}

/// The library that notes what is confirmed, built once.
fn library() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journal/power.c");
        let built =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("power-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&built)
            .arg(source)
            .arg("-ldl")
            .output()
            .expect("a C compiler, as the build needs it");
        let said = String::from_utf8_lossy(&compiled.stderr);
        assert!(compiled.status.success(), "{said}");
        let library = built.with_file_name("power.so");
        fs::rename(&built, &library).expect("a name");
        library
    })
}

/// A machine whose disk loses what it has not confirmed.
struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Machine {
        let dir = tempfile::tempdir().expect("a folder");
        let machine = Machine { dir };
        for made in [machine.disk(), machine.confirmed()] {
            fs::create_dir(made).expect("a folder");
        }
        machine
    }

    fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    fn confirmed(&self) -> PathBuf {
        self.dir.path().join("confirmed")
    }

    /// While this is there, nothing is confirmed of files that are called so.
    fn fails(&self) -> PathBuf {
        self.dir.path().join("fails")
    }

    fn session(&self) -> PathBuf {
        self.disk().join(".cutover").join("tonight")
    }

    /// A hidden test on the session's folder, which it makes where it is missing.
    fn start(&self, role: &str) -> child::Running {
        self.start_with(role, "journal.db-wal")
    }

    /// The same, with what this disk may refuse to confirm.
    fn start_with(&self, role: &str, failing: &str) -> child::Running {
        // Its folder is made by the process whose every write is seen.
        let nowhere = Folder::before_its_journal(self.dir.path()).expect("a folder");
        let mut command = child::command(role, &nowhere);
        command
            .env(child::FOLDER, self.session())
            .env("LD_PRELOAD", library())
            .env("POWER_DISK", self.disk())
            .env("POWER_CONFIRMED", self.confirmed())
            .env("POWER_FAILS", self.fails())
            .env("POWER_FAILING", failing);
        child::run(command)
    }

    /// The power goes, and comes back.
    fn cut(&self, unconfirmed: Unconfirmed, rng: &mut StdRng) {
        let after = self.dir.path().join("after");
        self.leave(&self.disk(), &after, unconfirmed, rng);
        fs::remove_dir_all(self.disk()).expect("gone");
        fs::rename(after, self.disk()).expect("a disk");
        self.settle();
    }

    /// Everything that is there now is on the disk.
    fn settle(&self) {
        fs::remove_dir_all(self.confirmed()).expect("gone");
        fs::create_dir(self.confirmed()).expect("a folder");
        self.confirm(&self.disk());
    }

    /// What a cut leaves of a folder.
    fn leave(&self, from: &Path, to: &Path, unconfirmed: Unconfirmed, rng: &mut StdRng) {
        let now = names(from);
        let confirmed = self.names_confirmed(from);
        fs::create_dir(to).expect("a folder");
        let all: BTreeSet<&String> = now.keys().chain(confirmed.keys()).collect();
        for name in all {
            let (path, to) = (from.join(name), to.join(name));
            let (new, old) = (now.get(name), confirmed.get(name));
            let has_bytes = |id: &&String| self.confirmed().join(id.as_str()).exists();
            let is_folder = path.symlink_metadata().is_ok_and(|m| m.is_dir());
            let id = match unconfirmed {
                Unconfirmed::Gone => old,
                Unconfirmed::Named if is_folder => new,
                Unconfirmed::Named => new.filter(has_bytes).or(old),
                Unconfirmed::Mixed if rng.random() => old,
                Unconfirmed::Mixed => new,
            };
            let Some(id) = id else { continue };
            if is_folder {
                self.leave(&path, &to, unconfirmed, rng);
                continue;
            }
            // An index is made anew from its log, and a socket is nothing without its process.
            let is_file = path.symlink_metadata().is_ok_and(|m| m.is_file()) || new.is_none();
            if !is_file || name.ends_with("-shm") {
                continue;
            }
            let there = now.iter().find(|(_, of)| *of == id);
            let there = there.map(|(name, _)| from.join(name));
            let old = fs::read(self.confirmed().join(id)).unwrap_or_default();
            let bytes = match (unconfirmed, &there) {
                (Unconfirmed::Mixed, Some(there)) => {
                    mixed(&old, &fs::read(there).expect("read"), rng)
                }
                (Unconfirmed::Gone | Unconfirmed::Named | Unconfirmed::Mixed, _) => old,
            };
            fs::write(&to, bytes).expect("written");
            let kept = there.unwrap_or_else(|| self.confirmed().join(id));
            like(&kept, &to);
        }
        like(from, to);
    }

    fn names_confirmed(&self, folder: &Path) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.confirmed().join(identity(folder)));
        let text = text.unwrap_or_default();
        let one = |line: &str| {
            let (id, name) = line.split_once(' ').expect("a name");
            (name.to_owned(), id.to_owned())
        };
        text.lines().map(one).collect()
    }

    fn confirm(&self, folder: &Path) {
        let names = names(folder);
        let text: String = names.iter().map(|(n, id)| format!("{id} {n}\n")).collect();
        fs::write(self.confirmed().join(identity(folder)), text).expect("written");
        for (name, id) in names {
            let path = folder.join(name);
            if path.is_dir() {
                self.confirm(&path);
            } else {
                fs::copy(path, self.confirmed().join(id)).expect("copied");
            }
        }
    }
}

/// As `power.c` writes it: an inode's number is given again, and with its birth it is one file's for good.
fn identity(path: &Path) -> String {
    let found = path.symlink_metadata().expect("there");
    let born = found.created().unwrap_or(UNIX_EPOCH);
    let born = born.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    format!(
        "{}.{}.{:09}",
        found.ino(),
        born.as_secs(),
        born.subsec_nanos()
    )
}

fn names(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().expect("a plain name");
            (name, identity(&entry.path()))
        })
        .collect()
}

fn like(from: &Path, to: &Path) {
    let mode = from.symlink_metadata().expect("there").mode() & 0o7777;
    fs::set_permissions(to, Permissions::from_mode(mode)).expect("a mode");
}

/// Of each page the old or the new one, and one of both lengths.
fn mixed(old: &[u8], new: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let length = if rng.random() { old.len() } else { new.len() };
    let mut bytes = vec![0; length];
    for (n, page) in bytes.chunks_mut(PAGE).enumerate() {
        let from = if rng.random() { old } else { new };
        let from = from.get(n * PAGE..).unwrap_or_default();
        let most = page.len().min(from.len());
        page[..most].copy_from_slice(&from[..most]);
    }
    bytes
}

/// Writes until the power goes; gives the last event that was acknowledged.
fn write_until_cut(machine: &Machine, rng: &mut StdRng) -> u64 {
    let mut writer = machine.start(crash::WRITER);
    let mut said = Vec::new();
    for _ in 0..rng.random_range(1..12) {
        said.push(writer.hear().expect("a writer that writes"));
    }
    said.extend(writer.kill());
    said.last().expect("a number").parse().expect("a number")
}

/// How many events the journal has, opened as by the engine that goes on.
fn events(machine: &Machine) -> u64 {
    let folder = Folder::open_at(&machine.session()).expect("the session's folder");
    let lease = Lease::take(&folder).expect("a dead engine's lease");
    let (journal, found) = Journal::open(&folder, lease.fencing()).expect("it opens");
    drop((journal, lease));
    // This process is seen by nobody.
    machine.settle();
    found.len() as u64
}

#[test]
fn what_was_acknowledged_is_there_after_a_power_cut() {
    let cuts = match std::env::var_os("CUTOVER_SOAK") {
        None => CUTS,
        Some(_) => CUTS_OF_A_SOAK,
    };
    let models = [Unconfirmed::Gone, Unconfirmed::Named, Unconfirmed::Mixed];
    for (seed, unconfirmed) in (20_261_201..).zip(models) {
        println!("seed {seed}");
        let mut rng = StdRng::seed_from_u64(seed);
        let machine = Machine::new();
        for cut in 0..cuts {
            let acknowledged = write_until_cut(&machine, &mut rng);
            machine.cut(unconfirmed, &mut rng);
            let found = events(&machine);
            assert!(
                (acknowledged..=acknowledged + AT_ONCE).contains(&found),
                "{unconfirmed:?}, cut {cut}: {found} events, {acknowledged} acknowledged"
            );
        }
    }
}

/// Not a test of its own: keeps what F1 keeps, and changes a configuration.
#[test]
fn child_keeps_what_a_rollback_needs() {
    let Some(folder) = child::asked_for(KEEPER) else {
        return;
    };
    let disk = folder.dir().parent().and_then(Path::parent);
    let config = disk.expect("the disk").join("app.env");
    fs::write(&config, "DB=sqlite\n").expect("a configuration");
    files::replace(&folder, &files::ORDERS, b"{}").expect("orders");
    let edit = Edit::prepare(&config, "DB", "postgres").expect("an edit");
    let former = files::folder(&folder, &files::FORMER).expect("a folder");
    private_file::write(&former.join(FORMER), &edit.former).expect("kept");
    edit.apply().expect("applied");
    child::say("kept and switched");
    child::wait_for_the_parent();
}

/// Once a configuration is switched on its disk, its former bytes and the orders of whoever rolls back are so on theirs.
#[test]
fn what_a_rollback_needs_is_there_after_a_power_cut() {
    let machine = Machine::new();
    let mut keeper = machine.start(KEEPER);
    assert_eq!(keeper.hear().as_deref(), Some("kept and switched"));
    keeper.kill();
    machine.cut(Unconfirmed::Gone, &mut StdRng::seed_from_u64(1));
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_else(|e| e.to_string());
    assert_eq!(read(machine.disk().join("app.env")), "DB=postgres\n");
    let session = machine.session();
    let former = session.join(files::FORMER.name).join(FORMER);
    assert_eq!(read(former), "DB=sqlite\n");
    assert_eq!(read(session.join(files::ORDERS.name)), "{}");
}

/// What the kernel drops when a disk refuses, a second fsync would report as written: nothing is acknowledged any more.
#[test]
fn a_disk_that_refuses_to_confirm_ends_the_writer_and_loses_nothing_that_was_acknowledged() {
    let machine = Machine::new();
    let mut writer = machine.start(crash::WRITER);
    let mut acknowledged = writer.hear().expect("a writer that writes");
    fs::write(machine.fails(), "").expect("a refusal");
    while let Some(said) = writer.hear() {
        acknowledged = said;
    }
    fs::remove_file(machine.fails()).expect("a disk that works again");
    machine.cut(Unconfirmed::Gone, &mut StdRng::seed_from_u64(1));
    let acknowledged: u64 = acknowledged.parse().expect("a number");
    let found = events(&machine);
    assert!(
        (acknowledged..=acknowledged + AT_ONCE).contains(&found),
        "{found} events, {acknowledged} acknowledged"
    );
}

/// Not a test of its own: switches a configuration on a disk that does not confirm the new name, and puts it back.
#[test]
fn child_switches_on_a_disk_that_refuses() {
    let Some(folder) = child::asked_for(SWITCHER) else {
        return;
    };
    let disk = folder.dir().parent().and_then(Path::parent);
    let place = disk.expect("the disk").join(PLACE);
    fs::create_dir(&place).expect("a folder");
    let config = place.join("app.env");
    fs::write(&config, "DB=sqlite\n").expect("a configuration");
    let edit = Edit::prepare(&config, "DB", "postgres").expect("an edit");
    let fails = std::env::var_os("POWER_FAILS").expect("a disk that may fail");
    fs::write(&fails, "").expect("a refusal");
    let refused = edit.apply().expect_err("the disk refuses").to_string();
    assert!(refused.contains("holds the new content"), "{refused}");
    assert!(!refused.contains("as it was"), "{refused}");
    let now = fs::read_to_string(&config).expect("there");
    assert_eq!(now, "DB=postgres\n");
    fs::remove_file(&fails).expect("a disk that works again");
    restore(&config, &edit.former, &edit.written_sha256).expect("put back");
    child::say("told, and put back");
}

#[test]
fn a_configuration_that_the_disk_does_not_confirm_is_not_said_to_be_as_it_was() {
    let machine = Machine::new();
    let mut switcher = machine.start_with(SWITCHER, PLACE);
    assert_eq!(switcher.hear().as_deref(), Some("told, and put back"));
}
