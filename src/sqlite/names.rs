//! Whether somebody may write the source where the fence does not reach. In WAL mode SQLite keeps its locks and its log *beside the
//! name*: a process that knows the file by another name has another log and other locks, and the fence does not stop it.
//!
//! Four traces of that are looked for: a second link, the file mounted by itself under another name (a container's volume of one
//! file), a process that has the file open with a log or an index that is not ours (also where the file was renamed under it, and its log
//! was not), and one that has our log or index open for another file (that had this name before). Nothing is opened in here, for closing a
//! descriptor of these files would drop the fence. What other hosts do is out of sight (`check` names such file systems).

// Only Linux shows which files a process has open, so that nothing else calls what judges them; its tests run everywhere.
#![cfg_attr(not(target_os = "linux"), allow(dead_code))]

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Holder;
use super::fence::FileIdentity;
use super::open::sibling;
use crate::text::printable;

/// What the kernel shows behind the name of an open file that has lost it.
const DELETED: &str = " (deleted)";
/// How many processes that may not be looked into are named; the others are counted.
const NAMED: usize = 8;

/// How somebody could write past the fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherName {
    /// The file has more than one name on its disk.
    Linked {
        /// Names in all.
        links: u64,
    },
    /// The file alone is mounted somewhere.
    Mounted {
        /// Where, as the process there sees it.
        at: PathBuf,
        /// A process that sees it so.
        by: Holder,
    },
    /// A process has the file open, and its log or index is another one than ours.
    OtherLog {
        by: Holder,
        /// The file that it uses, as it sees it.
        uses: PathBuf,
    },
    /// A process has our log or index open, and not our file.
    OtherFile {
        /// The process.
        by: Holder,
        /// What it has open of ours, as it sees it.
        uses: PathBuf,
    },
}

impl std::fmt::Display for OtherName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |path: &Path| printable(&path.to_string_lossy(), 200);
        match self {
            Self::Linked { links } => write!(
                f,
                "it has {links} names on its disk (hard links), and through another name SQLite uses another log and other locks. Find \
                 the other names with `find / -xdev -samefile FILE` and remove them"
            ),
            Self::Mounted { at, by } => write!(
                f,
                "the file alone is mounted at {} for {} ({}), and there SQLite uses another log and other locks. Mount its folder instead \
                 of the file",
                shown(at),
                by.name,
                by.pid
            ),
            Self::OtherLog { by, uses } => write!(
                f,
                "{} ({}) has it open with {}, which is not the file that lies beside it now: what that process writes is seen by nobody \
                 else. Stop that process",
                by.name,
                by.pid,
                shown(uses)
            ),
            Self::OtherFile { by, uses } => write!(
                f,
                "{} ({}) has {} open, which lies beside it, and has another file open in its place, which had this name before: what that \
                 process writes goes to that other file. Stop that process",
                by.name,
                by.pid,
                shown(uses)
            ),
        }
    }
}

/// What a look at the processes of this host came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Processes {
    /// The first way past the fence that was found.
    pub past_the_fence: Option<OtherName>,
    /// Processes that may not be looked into: nothing is proven of them. At most eight.
    pub unproven: Vec<Holder>,
    /// How many those are in all.
    pub unproven_count: usize,
    /// A process that has a file open which had this name before and was removed.
    pub on_removed: Option<Holder>,
}

impl Processes {
    /// What could not be proven, for people; `None` where every process was looked into, and none was found to be elsewhere.
    pub fn unproven_sentence(&self) -> Option<String> {
        let on_removed = self.on_removed.as_ref().map(|by| {
            format!(
                "{} ({}) has a file open that had this name before and was removed: what it writes is in no file that is moved",
                by.name, by.pid
            )
        });
        let sentences: Vec<String> = on_removed
            .into_iter()
            .chain(self.not_looked_into())
            .collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    fn not_looked_into(&self) -> Option<String> {
        if self.unproven_count == 0 {
            return None;
        }
        let named: Vec<String> = self
            .unproven
            .iter()
            .map(|p| format!("{} ({})", p.name, p.pid))
            .collect();
        let more = match self.unproven_count - self.unproven.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "{} processes of other accounts may not be looked into, so it is not proven that none of them writes the file by another \
             name: {}{more}",
            self.unproven_count,
            named.join(", ")
        ))
    }
}

/// How many names the file has on its disk; `None` where it has one, or cannot be looked at.
pub fn links(path: &Path) -> Option<u64> {
    let links = path.metadata().ok()?.nlink();
    (links > 1).then_some(links)
}

/// Whether the file has a second name on its disk.
pub(super) fn second_link(real: &Path) -> Option<OtherName> {
    links(real).map(|links| OtherName::Linked { links })
}

/// Looks at the other processes of this host.
#[cfg(target_os = "linux")]
pub(super) fn processes(real: &Path) -> Processes {
    let mut found = Processes::default();
    let Some(file) = WatchedFile::of(real) else {
        return found;
    };
    let mut namespaces = BTreeSet::new();
    // Our own view first: the path that we were given may itself be such a mount.
    if let Some(at) = mounted_at(Path::new("/proc/self"), &file) {
        found.past_the_fence = Some(OtherName::Mounted {
            at,
            by: Holder {
                pid: std::process::id(),
                name: "cutover".to_owned(),
            },
        });
    }
    namespaces.insert(std::fs::read_link("/proc/self/ns/mnt").ok());
    for (pid, folder) in numbered_processes() {
        if pid == std::process::id() {
            continue;
        }
        let holder = || Holder {
            pid,
            name: super::holders::name_of(&folder),
        };
        let Some(open) = open_files(&folder) else {
            // A thread of the kernel has no command line, and no files.
            let is_kernel = std::fs::read(folder.join("cmdline")).is_ok_and(|l| l.is_empty());
            if !is_kernel && folder.exists() {
                found.unproven_count += 1;
                if found.unproven.len() < NAMED {
                    found.unproven.push(holder());
                }
            }
            continue;
        };
        if found.on_removed.is_none() && has_removed(real, &open, &file) {
            found.on_removed = Some(holder());
        }
        if found.past_the_fence.is_some() {
            continue;
        }
        let namespace = std::fs::read_link(folder.join("ns/mnt")).ok();
        let mounted = match namespaces.insert(namespace) {
            true => mounted_at(&folder, &file).map(|at| OtherName::Mounted { at, by: holder() }),
            false => None,
        };
        found.past_the_fence = mounted.or_else(|| match used_beside(&folder, &open, &file)? {
            Used::OtherLog(uses) => Some(OtherName::OtherLog { by: holder(), uses }),
            Used::OurLogAlone(uses) => Some(OtherName::OtherFile { by: holder(), uses }),
        });
    }
    found
}

/// Other systems do not tell which files a process has open without running a program.
#[cfg(not(target_os = "linux"))]
pub(super) fn processes(_real: &Path) -> Processes {
    Processes::default()
}

/// The file and what lies beside it, as we see them.
struct WatchedFile {
    name: std::ffi::OsString,
    file: FileIdentity,
    log: Option<FileIdentity>,
    index: Option<FileIdentity>,
}

impl WatchedFile {
    fn of(real: &Path) -> Option<Self> {
        let identity = |path: &Path| path.metadata().ok().map(|m| FileIdentity::of(&m));
        Some(Self {
            name: real.file_name()?.to_owned(),
            file: identity(real)?,
            log: identity(&sibling(real, "-wal")),
            index: identity(&sibling(real, "-shm")),
        })
    }
}

/// A file that a process has open: the name by which it was opened, and which file that is.
#[derive(Debug, Clone)]
struct OpenFile {
    name: PathBuf,
    identity: FileIdentity,
    /// Where the kernel tells how it was opened.
    told: PathBuf,
}

impl OpenFile {
    /// Whether it was opened to be written: SQLite opens what it uses so, and whoever copies files does not.
    fn is_writable(&self) -> bool {
        const ACCESS: u32 = 0o3;
        let told = std::fs::read_to_string(&self.told).unwrap_or_default();
        let flags = told.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        flags.is_some_and(|flags| flags & ACCESS != 0)
    }
}

#[cfg(target_os = "linux")]
fn numbered_processes() -> impl Iterator<Item = (u32, PathBuf)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// Every file that a process has open; `None` where we may not look.
#[cfg(target_os = "linux")]
fn open_files(process: &Path) -> Option<Vec<OpenFile>> {
    let descriptors = std::fs::read_dir(process.join("fd")).ok()?;
    let one = |entry: std::fs::DirEntry| {
        let path = entry.path();
        // This follows the link to the open file itself, also where its name leads elsewhere or nowhere for us.
        let metadata = std::fs::metadata(&path).ok()?;
        Some(OpenFile {
            name: std::fs::read_link(&path).ok()?,
            identity: FileIdentity::of(&metadata),
            told: process.join("fdinfo").join(entry.file_name()),
        })
    };
    Some(descriptors.flatten().filter_map(one).collect())
}

/// How often a process that we start is looked at, and how long lies between two looks.
#[cfg(target_os = "linux")]
const LOOKS: u32 = 50;
#[cfg(target_os = "linux")]
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(20);

/// What a process uses that keeps its writes from us, as it sees it.
#[derive(Debug, PartialEq, Eq)]
enum Used {
    /// A log or an index that is not ours, for our file.
    OtherLog(PathBuf),
    /// Our log or index, for a file that is not ours.
    OurLogAlone(PathBuf),
}

/// The log or index that a process uses for the file, where that is not ours, or ours where the file is not.
///
/// Until a process that we start runs its program, it has every file that we have: also an index that an earlier fence of ours keeps
/// open and that has lost its name since. That one is given a second. Any other is looked at twice: files are looked at one after the other, so
/// that one look at a process that opens the file meanwhile, or closes it, sees a log without its file.
#[cfg(target_os = "linux")]
fn used_beside(process: &Path, open: &[OpenFile], file: &WatchedFile) -> Option<Used> {
    let look = |open: &[OpenFile]| {
        other_log(open, file)
            .or_else(|| log_of_no_file(open, file, OpenFile::is_writable))
            .or_else(|| other_index_mapped(process, open, file))
            .map(Used::OtherLog)
            .or_else(|| our_log_alone(open, file, OpenFile::is_writable).map(Used::OurLogAlone))
    };
    let mut uses = look(open)?;
    let looks = if is_started_by_us(process) { LOOKS } else { 1 };
    for _ in 0..looks {
        std::thread::sleep(BETWEEN_LOOKS);
        uses = look(&open_files(process)?)?;
    }
    Some(uses)
}

#[cfg(target_os = "linux")]
fn is_started_by_us(process: &Path) -> bool {
    let stat = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    // The name stands in brackets and may hold blanks and brackets itself; the parent is the second word after it.
    let parent: Option<u32> = stat
        .rsplit_once(')')
        .and_then(|(_, after)| after.split_whitespace().nth(1)?.parse().ok());
    parent == Some(std::process::id())
}

/// Of a process's files, the log or index that is not ours.
fn other_log(open: &[OpenFile], file: &WatchedFile) -> Option<PathBuf> {
    let names = open.iter().filter(|o| o.identity == file.file);
    let suffixes = [("-wal", file.log), ("-shm", file.index)];
    names
        .flat_map(|opened| suffixes.iter().map(move |suffix| (opened, suffix)))
        .find_map(|(opened, (suffix, ours))| {
            let name = sibling(&without_deleted(&opened.name), suffix);
            let used = open
                .iter()
                .find(|o| without_deleted(&o.name) == name && Some(o.identity) != *ours)?;
            Some(used.name.clone())
        })
}

/// Whether a process has a file open that was removed and had this very name, on this disk.
fn has_removed(real: &Path, open: &[OpenFile], file: &WatchedFile) -> bool {
    let mut name = real.as_os_str().to_owned();
    name.push(DELETED);
    let name = PathBuf::from(name);
    let is_it = |o: &OpenFile| o.name == name && o.identity.device() == file.file.device();
    open.iter().any(is_it)
}

/// Of a process that has the file open without what lies beside it: a log or index on the same disk whose own file it has not. So it is where
/// the file was renamed under a process that goes on writing.
fn log_of_no_file(
    open: &[OpenFile],
    file: &WatchedFile,
    is_writable: fn(&OpenFile) -> bool,
) -> Option<PathBuf> {
    let has = |identity| open.iter().any(|o| o.identity == identity);
    let index = file.index?;
    if !has(file.file) || has(index) || file.log.is_some_and(has) {
        return None;
    }
    let names: BTreeSet<PathBuf> = open.iter().map(|o| without_deleted(&o.name)).collect();
    let of_no_file = |o: &&OpenFile| {
        let name = without_deleted(&o.name).to_string_lossy().into_owned();
        let base = name
            .strip_suffix("-wal")
            .or_else(|| name.strip_suffix("-shm"));
        base.is_some_and(|base| !names.contains(Path::new(base)))
            && o.identity.device() == file.file.device()
            && is_writable(o)
    };
    open.iter().find(of_no_file).map(|o| o.name.clone())
}

/// What lies beside the file, where a process has that open and the file itself not: it was renamed or removed under it, and another one has its
/// name now.
fn our_log_alone(
    open: &[OpenFile],
    file: &WatchedFile,
    is_writable: fn(&OpenFile) -> bool,
) -> Option<PathBuf> {
    if open.iter().any(|o| o.identity == file.file) {
        return None;
    }
    let ours = [file.log, file.index];
    let is_used = |o: &&OpenFile| ours.contains(&Some(o.identity)) && is_writable(o);
    let used = open.iter().find(is_used)?;
    Some(used.name.clone())
}

/// The index that a process has mapped for the file, where that is not ours: the descriptor may be closed while the mapping lives.
#[cfg(target_os = "linux")]
fn other_index_mapped(process: &Path, open: &[OpenFile], file: &WatchedFile) -> Option<PathBuf> {
    let ours = file.index?;
    let maps = std::fs::read_to_string(process.join("maps")).ok()?;
    let names: Vec<PathBuf> = open
        .iter()
        .filter(|o| o.identity == file.file)
        .map(|o| sibling(&without_deleted(&o.name), "-shm"))
        .collect();
    maps.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let inode: u64 = fields.by_ref().nth(4)?.parse().ok()?;
        let at = line.find('/')?;
        let name = PathBuf::from(&line[at..]);
        // A file system may give mappings another device number than `stat` does, so that the inode alone is compared.
        (names.contains(&without_deleted(&name)) && inode != ours.inode()).then_some(name)
    })
}

/// The name that the kernel shows for an open file, also where the file has lost it.
fn without_deleted(name: &Path) -> PathBuf {
    let text = name.to_string_lossy();
    match text.strip_suffix(DELETED) {
        Some(name) => PathBuf::from(name),
        None => name.to_path_buf(),
    }
}

/// Where the file alone is mounted, as a process sees it.
#[cfg(target_os = "linux")]
fn mounted_at(process: &Path, file: &WatchedFile) -> Option<PathBuf> {
    let table = std::fs::read_to_string(process.join("mountinfo")).ok()?;
    mount_points(&table, &file.name.to_string_lossy())
        .into_iter()
        .find(|at| {
            let seen = process
                .join("root")
                .join(at.strip_prefix("/").unwrap_or(at));
            seen.metadata()
                .is_ok_and(|m| m.is_file() && FileIdentity::of(&m) == file.file)
        })
}

/// Mount points of a `mountinfo` table whose root, on its own disk, is a file of this name.
fn mount_points(table: &str, file_name: &str) -> Vec<PathBuf> {
    let one = |line: &str| {
        let mut fields = line.split(' ');
        let (root, at) = (unescaped(fields.nth(3)?), unescaped(fields.next()?));
        let name = Path::new(&root).file_name()?.to_string_lossy().into_owned();
        (name == file_name).then(|| PathBuf::from(at))
    };
    table.lines().filter_map(one).collect()
}

/// Blanks and backslashes of a name are written as `\040` in that table.
fn unescaped(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        let octal = others
            .get(..3)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, octal) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &others[3..];
            }
            _ => {
                bytes.push(first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
