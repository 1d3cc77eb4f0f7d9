//! Names of files that are not whole yet, and what a process that was killed left of them. The name tells who was writing: a name that only
//! we make, with the process in it and a check over both, so that what a living process writes stays and what anybody else wrote does too.
//!
//! Not in here: making the files; `tempfile` does that, under these names.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::format::hex;

/// How every such name begins.
const PREFIX: &str = ".cutover-";
const ENDING: &str = ".partial";
/// The only file that we put into a folder of such a name, beside what SQLite adds to it.
pub const IN_FOLDER: &str = "restored.db";
/// What SQLite may have put beside a database that was not whole.
const BESIDE: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// A name for a file that is about to be written: `.cutover-PROCESS-START-RANDOM-CHECK.partial`.
pub fn name() -> String {
    let pid = std::process::id();
    name_of(pid, started_ticks(pid).unwrap_or(0))
}

/// The name that the process with this number makes, which began at this clock tick.
pub fn name_of(pid: u32, started: u64) -> String {
    let random: u64 = rand::random();
    let body = format!("{pid}-{started}-{random:016x}");
    format!("{PREFIX}{body}-{}{ENDING}", check(&body))
}

/// An empty file under such a name, which goes when it is dropped.
pub fn file_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    builder(&name()).tempfile_in(folder)
}

/// As [`file_in`], readable by whom the umask lets.
pub fn shared_file_in(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    builder(&name()).permissions(everybody).tempfile_in(folder)
}

/// An empty folder under such a name, for one database called [`IN_FOLDER`]; it goes when it is dropped.
pub fn folder_in(above: &Path) -> std::io::Result<tempfile::TempDir> {
    builder(&name()).tempdir_in(above)
}

fn builder(name: &str) -> tempfile::Builder<'_, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(name).rand_bytes(0);
    builder
}

/// Names differ from host to host, so that a folder that two hosts share loses nothing of the other's.
fn check(body: &str) -> String {
    let host = rustix::system::uname();
    let mut hash = Sha256::new();
    hash.update("a file of cutover that is not whole\0");
    hash.update(host.nodename().to_bytes());
    hash.update(b"\0");
    hash.update(body);
    let mut name = hex(&hash.finalize());
    name.truncate(12);
    name
}

/// The process that was writing the file of this name; `None` for a name that we do not make.
fn writer(name: &str) -> Option<(u32, u64)> {
    let named = BESIDE
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix)?.strip_suffix(ENDING))?;
    let (body, sum) = named.strip_prefix(PREFIX)?.rsplit_once('-')?;
    if sum != check(body) {
        return None;
    }
    let mut parts = body.split('-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether the process that began at this tick runs; one that ended and whose number another process has got does not.
fn is_alive(pid: u32, started: u64) -> bool {
    match started_ticks(pid) {
        Some(found) => started == 0 || found == started,
        // Not Linux: nobody knows when a process began.
        None => {
            started == 0
                && rustix::process::Pid::from_raw(pid.cast_signed())
                    .is_some_and(|p| rustix::process::test_kill_process(p).is_ok())
        }
    }
}

/// When a process began, in clock ticks since the machine did; `None` where there is no such process.
pub fn started_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.split(' ').nth(19)?.parse().ok()
}

/// Whether a process that is gone left the file of this name unfinished.
pub fn is_left(name: &str) -> bool {
    writer(name).is_some_and(|(pid, started)| !is_alive(pid, started))
}

/// What processes that are gone left unfinished in a folder. A folder that is not there, or may not be listed, has nothing.
pub fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_left = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        let is_either = |kind: fs::FileType| kind.is_file() || kind.is_dir();
        entry.file_type().is_ok_and(is_either) && name.to_str().is_some_and(is_left)
    };
    let entries = entries.filter_map(Result::ok).filter(is_left);
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Removes what [`leftovers`] finds. Returns what is gone, and what could not be removed and why.
pub fn remove_leftovers(folder: &Path) -> (Vec<PathBuf>, Vec<String>) {
    let (mut gone, mut failed) = (Vec::new(), Vec::new());
    for path in leftovers(folder) {
        match remove(&path) {
            Ok(()) => gone.push(path),
            Err(error) => failed.push(format!("{}: {error}", path.display())),
        }
    }
    (gone, failed)
}

/// A folder goes only where nothing is left in it once what we put there is gone.
fn remove(path: &Path) -> std::io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    for suffix in BESIDE {
        match fs::remove_file(path.join(format!("{IN_FOLDER}{suffix}"))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name as a process would have made it that has ended.
    fn name_of_the_dead() -> String {
        // No process has number 0.
        let body = "0-1-00000000000000aa";
        format!("{PREFIX}{body}-{}{ENDING}", check(body))
    }

    #[test]
    fn what_the_dead_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let dead = name_of_the_dead();
        let wal = format!("{dead}-wal");
        let foreign = [
            ".partial-abc".to_owned(),
            ".cutover-notes".to_owned(),
            dead.replace(".partial", ".part"),
            dead.replace("-1-", "-2-"),
            format!("{dead}.db"),
            "app.db".to_owned(),
        ];
        for name in foreign.iter().chain([&dead, &wal]) {
            fs::write(at(name), "x").unwrap();
        }
        let mine = file_in(folder.path()).unwrap();
        assert_eq!(leftovers(folder.path()), [at(&dead), at(&wal)]);
        let (gone, failed) = remove_leftovers(folder.path());
        assert_eq!((gone.len(), failed.len()), (2, 0));
        assert!(foreign.iter().all(|name| at(name).exists()));
        assert!(mine.path().exists());
    }
}
