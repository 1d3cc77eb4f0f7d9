//! The application's folder, read for `cutover init`: the files that tell something, up to so many and so large. Nothing in it is executed, no
//! link is followed. Not in here: what the files mean (`runbook::application`).

use std::collections::VecDeque;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::git;
use crate::regular_file;
use crate::runbook::application::{self, Around, File};
use crate::runbook::draft::Survey;
use crate::runbook::draft::known::Known;
use crate::text::printable;

/// How many levels of folders are looked into.
const DEPTH: usize = 4;
/// How many entries are looked at, and how many files are read.
const ENTRIES: usize = 20_000;
const FILES: usize = 400;
/// A larger file is no configuration.
const FILE_BYTES: u64 = 256 * 1024;
/// Folders of what others have made.
const OTHERS: [&str; 15] = [
    "node_modules",
    "vendor",
    "venv",
    "site-packages",
    "__pycache__",
    "target",
    "dist",
    "build",
    "obj",
    "tests",
    "test",
    "spec",
    "log",
    "logs",
    "tmp",
];
/// Interpreters of an application's own environment.
const PYTHONS: [&str; 2] = [".venv/bin/python", "venv/bin/python"];
/// Where programs of such an environment are.
const BINS: [&str; 2] = [".venv/bin", "venv/bin"];
/// How many files of code with any name are looked into.
const CODE: usize = 2_000;

/// What the folder tells. `out` is where the runbook goes: paths in it begin at its folder.
///
/// # Errors
/// The folder cannot be read. Single files that cannot are notes.
pub(super) fn known(dir: &Path, out: &Path, survey: &Survey) -> anyhow::Result<Known> {
    let mut walk = Walk::default();
    walk.read(dir)?;
    walk.read_started();
    let prefix = prefix(dir, out)?;
    let (critical, _) = survey.critical();
    let tables: Vec<String> = critical.iter().map(|seen| seen.name.clone()).collect();
    let mut pythons = PYTHONS.iter().filter(|path| dir.join(path).exists());
    let python = pythons.next().map(|path| format!("{prefix}{path}"));
    let framework = survey.history.as_ref().map(|(framework, _)| *framework);
    let program = framework.and_then(|framework| program(dir, &prefix, framework.example));
    let version = git::version(dir);
    let around = Around {
        source: &survey.file,
        prefix: &prefix,
        tables: &tables,
        framework,
        python: python.as_deref(),
        program: program.as_deref(),
        version: version.as_ref().map(|(text, at)| (text.as_str(), *at)),
    };
    let mut known = application::read(&walk.files, around);
    known.notes.extend(walk.notes);
    Ok(known)
}

/// What stands before a path of `dir` so that it leads there from the folder of `out`.
fn prefix(dir: &Path, out: &Path) -> anyhow::Result<String> {
    let here = out.parent().filter(|p| !p.as_os_str().is_empty());
    let here = here.unwrap_or(Path::new("."));
    let whole = |path: &Path| {
        path.canonicalize()
            .with_context(|| format!("cannot read the folder {}", path.display()))
    };
    let dir = whole(dir)?;
    // A folder that is not there is told of when the runbook is written.
    let below = here.canonicalize().ok();
    let below = below.and_then(|here| dir.strip_prefix(here).map(Path::to_owned).ok());
    let path = below.unwrap_or(dir);
    Ok(match path.as_os_str().is_empty() {
        true => String::new(),
        false => format!("{}/", path.to_string_lossy()),
    })
}

/// The framework's own program, where the application's environment has it.
fn program(dir: &Path, prefix: &str, example: &str) -> Option<String> {
    let name = example.strip_prefix('[')?.split([',', ']']).next()?;
    let mut paths = BINS.iter().map(|bin| format!("{bin}/{name}"));
    let found = paths.find(|path| dir.join(path).exists())?;
    Some(format!("{prefix}{found}"))
}

/// A file's text, where it is a file, no larger than any configuration, and UTF-8.
pub(super) fn text(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = regular_file::open(path)?;
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(std::io::Error::other("it is too large"));
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8"))
}

/// What was read so far.
#[derive(Default)]
struct Walk {
    files: Vec<File>,
    notes: Vec<String>,
    entries: usize,
    /// Files of code that were looked into.
    code: usize,
    /// Those of them that tell nothing by themselves, with their paths within the folder.
    others: Vec<(PathBuf, String)>,
}

impl Walk {
    /// Everything, folder by folder: what is nearest to the root comes first.
    fn read(&mut self, dir: &Path) -> anyhow::Result<()> {
        let mut queue = VecDeque::from([(dir.to_owned(), String::new(), 0)]);
        while let Some((folder, within, depth)) = queue.pop_front() {
            let entries = match names(&folder) {
                Ok(entries) => entries,
                Err(error) if depth == 0 => {
                    let shown = folder.display().to_string();
                    return Err(error).context(format!("cannot read the folder {shown}"));
                }
                Err(error) => {
                    self.note(&within, &error);
                    continue;
                }
            };
            for (name, is_folder) in entries {
                self.entries += 1;
                if self.entries > ENTRIES || self.files.len() >= FILES {
                    self.notes.push(format!(
                        "the folder has more than was looked at ({ENTRIES} entries, {FILES} files): the rest was left out"
                    ));
                    return Ok(());
                }
                let path = match within.as_str() {
                    "" => name.clone(),
                    within => format!("{within}/{name}"),
                };
                if !is_folder {
                    self.file(&folder.join(&name), path);
                } else if depth < DEPTH
                    && !name.starts_with('.')
                    && !OTHERS.contains(&name.as_str())
                {
                    queue.push_back((folder.join(&name), path, depth + 1));
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, file: &Path, path: String) {
        let is_wanted = application::is_wanted(&path);
        if !is_wanted {
            if !application::may_make_one(&path) || self.code >= CODE {
                return;
            }
            self.code += 1;
        }
        match text(file) {
            Ok(text) if is_wanted || application::makes_one(&text) => {
                self.files.push(File { path, text });
            }
            Ok(_) => self.others.push((file.to_owned(), path)),
            Err(error) if is_wanted => self.note(&path, &error),
            // Code that nobody asked for.
            Err(_) => {}
        }
    }

    /// Files of code that a start command names.
    fn read_started(&mut self) {
        let started = application::started(&self.files);
        for (file, path) in std::mem::take(&mut self.others) {
            if self.files.len() >= FILES || !application::is_started(&path, &started) {
                continue;
            }
            match text(&file) {
                Ok(text) => self.files.push(File { path, text }),
                Err(error) => self.note(&path, &error),
            }
        }
    }

    fn note(&mut self, path: &str, error: &std::io::Error) {
        let path = printable(path, 160);
        self.notes.push(format!("{path} was not read: {error}"));
    }
}

/// Files and folders, by name; links and everything else are passed over.
fn names(folder: &Path) -> std::io::Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(ENTRIES + 1) {
        let entry = entry?;
        let kind = entry.file_type()?;
        if let (true, Ok(name)) = (
            kind.is_file() || kind.is_dir(),
            entry.file_name().into_string(),
        ) {
            found.push((name, kind.is_dir()));
        }
    }
    found.sort();
    Ok(found)
}
