//! Whether somebody may write the source where the fence does not reach. In WAL mode SQLite keeps its locks and its log *beside the
//! name*: a process that knows the file by another name has another log and other locks, and the fence does not stop it.
//!
//! Three traces of that are looked for: a second link, the file mounted by itself under another name (a container's volume of one
//! file), and a process that has the file open with a log or an index that is not ours. Nothing is opened in here, for closing a
//! descriptor of these files would drop the fence. What other hosts do is out of sight (`check` names such file systems).

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Holder;
use super::fence::FileIdentity;
use super::open::sibling;
use crate::text::printable;

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
        /// The process.
        by: Holder,
        /// The file that it uses, as it sees it.
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
}

impl Processes {
    /// What could not be proven, for people; `None` where every process was looked into.
    pub fn unproven_sentence(&self) -> Option<String> {
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
        if found.past_the_fence.is_some() {
            continue;
        }
        let namespace = std::fs::read_link(folder.join("ns/mnt")).ok();
        let mounted = match namespaces.insert(namespace) {
            true => mounted_at(&folder, &file).map(|at| OtherName::Mounted { at, by: holder() }),
            false => None,
        };
        found.past_the_fence = mounted.or_else(|| {
            let uses = used_beside(&folder, &open, &file)?;
            Some(OtherName::OtherLog { by: holder(), uses })
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
        })
    };
    Some(descriptors.flatten().filter_map(one).collect())
}

/// How often a process that we start is looked at, and how long lies between two looks.
#[cfg(target_os = "linux")]
const LOOKS: u32 = 50;
#[cfg(target_os = "linux")]
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(20);

/// The log or index that a process uses for the file, where that is not ours.
///
/// Until a process that we start runs its program, it has every file that we have: also an index that an earlier fence of ours keeps
/// open and that has lost its name since. That one is given a second.
#[cfg(target_os = "linux")]
fn used_beside(process: &Path, open: &[OpenFile], file: &WatchedFile) -> Option<PathBuf> {
    let look = |open: &[OpenFile]| {
        other_log(open, file).or_else(|| other_index_mapped(process, open, file))
    };
    let mut uses = look(open)?;
    if is_started_by_us(process) {
        for _ in 0..LOOKS {
            std::thread::sleep(BETWEEN_LOOKS);
            uses = look(&open_files(process)?)?;
        }
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
    match text.strip_suffix(" (deleted)") {
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
mod tests {
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
    }
}
