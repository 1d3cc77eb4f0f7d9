//! Which other processes have a file open, so that an error can name them. Best effort: an empty answer means nothing.

use std::path::Path;

use super::error::Holder;

/// The processes, other than this one, with a descriptor on `path`, at most eight. Looks at names only and opens nothing.
#[cfg(target_os = "linux")]
pub(super) fn of(path: &Path) -> Vec<Holder> {
    const LIMIT: usize = 8;
    let Ok(real) = path.canonicalize() else {
        return Vec::new();
    };
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbered = processes
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    numbered
        .filter(|(pid, folder)| *pid != std::process::id() && has_open(folder, &real))
        .take(LIMIT)
        .map(|(pid, folder)| Holder {
            pid,
            name: name_of(&folder),
        })
        .collect()
}

#[cfg(target_os = "linux")]
fn has_open(process: &Path, real: &Path) -> bool {
    let Ok(descriptors) = std::fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors
        .flatten()
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == real))
}

#[cfg(target_os = "linux")]
pub(super) fn name_of(process: &Path) -> String {
    let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
    crate::text::printable(name.trim(), 32)
}

/// Other systems do not tell without running a program.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_path: &Path) -> Vec<Holder> {
    Vec::new()
}
