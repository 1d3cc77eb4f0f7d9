//! A bundle: a folder with a session's report and everything by which anybody can check it, on a machine that has nothing else.
//!
//! - [`manifest`]: the list of its files and hashes.
//! - [`check`]: `cutover report --verify`; [`signatures`]: the part of it that OpenSSH does.
//!
//! What is in it is documented in `docs/report.md`. Not in it: what holds secrets (`former/`, the orders) or the application's own
//! data (a dump, `salvage.db`); each is named as left out.

pub mod check;
pub mod manifest;
mod plain_file;
mod signatures;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use self::manifest::Manifest;
use super::{Error, LeftOut, Material, Report};
use crate::journal::folder::{FILE_MODE, SHARED_MODE, share_dir};
use crate::journal::{Folder, Hash, Head, files, lines};
use crate::ours::below::{self, Modes};

/// The chain, a line an event.
pub const EVENTS: &str = "events.jsonl";
/// Every sample that is kept, a line each.
pub const SAMPLES: &str = "samples.jsonl";
/// What else lies beside the chain.
pub const BESIDE: &str = "beside.json";
/// The runbook, to the byte.
pub const RUNBOOK: &str = "runbook.yaml";
/// What the runbook took from the environment.
pub const RUNBOOK_VALUES: &str = "runbook.values.json";
/// The report, for programs.
pub const JSON: &str = "report.json";
/// The report as a page.
pub const HTML: &str = "report.html";
/// The report as Markdown.
pub const MARKDOWN: &str = "report.md";
/// Folders of a session whose files are evidence.
const EVIDENCE: [&str; 2] = ["output", "preserved"];
/// Kept by hash.
const ARTEFACTS: &str = "artefacts";
/// What a session's folder may hold and a bundle never does.
const NEVER: [(&str, &str); 9] = [
    ("former", "former configurations: they hold secrets"),
    (
        "orders.json",
        "what the engine is started with: it holds secrets",
    ),
    ("salvage.db", "rows of the application"),
    ("salvage.before.db", "rows of the application"),
    ("feed.db", "rows of the application"),
    ("feed.db-wal", "rows of the application"),
    ("feed.db-shm", "rows of the application"),
    ("read-back.db", "rows of the application"),
    ("preserved/dump", "rows of the application"),
];

/// A bundle that was written.
#[derive(Debug)]
pub struct Written {
    pub dir: PathBuf,
    pub report: Report,
    /// The end of the chain.
    pub head: Head,
    /// Stands for the whole bundle.
    pub seal: Hash,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
}

/// Writes a session's bundle into a folder that is new, empty, or holds an earlier bundle. The list of files comes last: until it is there,
/// the bundle does not verify.
///
/// # Errors
/// The chain does not verify; the folder holds something else or cannot be written.
pub fn write(folder: &Folder, dir: &Path) -> Result<Written, Error> {
    let mut material = Material::of_folder(folder)?;
    let report = material.report()?;
    let shared = std::path::absolute(dir).is_ok_and(|d| d.starts_with(folder.dir()));
    clear(dir, shared)?;
    let mut pen = Pen {
        dir,
        shared,
        files: BTreeMap::new(),
        left_out: Vec::new(),
    };
    pen.evidence(folder, &material)?;
    pen.runbook(folder)?;
    material.beside.left_out = std::mem::take(&mut pen.left_out);
    let beside = serde_json::to_string_pretty(&material.beside);
    let beside = beside.expect("BUG: what lies beside is plain data") + "\n";
    for (name, text) in [
        (EVENTS, lines::write(&material.entries)),
        (SAMPLES, samples(&material)),
        (BESIDE, beside),
        (JSON, report.to_json_text()),
        (MARKDOWN, report.to_markdown()),
        (HTML, report.to_html()),
    ] {
        pen.text(name, text.as_bytes())?;
    }
    let manifest = Manifest {
        session: report.session.clone(),
        head: material.head,
        files: std::mem::take(&mut pen.files),
    };
    let (text, seal) = manifest.text();
    pen.text(manifest::NAME, text.as_bytes())?;
    Ok(Written {
        dir: dir.to_owned(),
        report,
        head: material.head,
        seal,
        left_out: material.beside.left_out,
    })
}

fn samples(material: &Material) -> String {
    let mut text = String::new();
    for sample in material.samples.values().flatten() {
        text.push_str(&serde_json::to_string(sample).expect("BUG: a sample is plain data"));
        text.push('\n');
    }
    text
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Write {
        path,
        why: error.to_string(),
    }
}

/// Makes the folder, or takes an earlier bundle out of it.
fn clear(dir: &Path, shared: bool) -> Result<(), Error> {
    if !dir.is_dir() {
        fs::create_dir_all(dir).map_err(failed(dir))?;
        if shared {
            share_dir(dir).map_err(failed(dir))?;
        }
    }
    let there = names(dir).map_err(failed(dir))?;
    let listed = plain_file::read_list(dir);
    let listed = listed.map(|bytes| manifest::read(&bytes).files);
    let listed = listed.unwrap_or_default();
    // What was changed since is somebody's work by now, and a list may name anything.
    let is_ours = |name: &String| {
        let bytes = || files::look_below(dir, Path::new(name)).ok();
        let is_same = |hash: &Hash| {
            bytes().is_some_and(|mut file| {
                stream(&mut file, &mut io::sink()).is_ok_and(|found| found == *hash)
            })
        };
        listed.get(name).is_some_and(|(hash, _)| is_same(hash))
    };
    let mut foreign: Vec<String> = there
        .iter()
        .filter(|name| *name != manifest::NAME && !is_ours(name))
        .cloned()
        .collect();
    if !foreign.is_empty() {
        foreign.truncate(4);
        return Err(Error::Occupied {
            dir: dir.to_owned(),
            files: foreign,
        });
    }
    for name in there {
        below::remove(dir, Path::new(&name)).map_err(failed(&dir.join(&name)))?;
    }
    Ok(())
}

/// Every file below a folder, two parts deep at most; what lies deeper by the folder's name. Links are named, not followed.
fn names(dir: &Path) -> io::Result<Vec<String>> {
    names_up_to(dir, usize::MAX)
}

/// As [`names`], and no more than so many: what somebody else has put together may hold any number of files.
fn names_up_to(dir: &Path, most: usize) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if names.len() >= most {
            break;
        }
        if !entry.file_type()?.is_dir() {
            names.push(name);
            continue;
        }
        for below in fs::read_dir(entry.path())? {
            if names.len() >= most {
                break;
            }
            let below = below?.file_name();
            names.push(format!("{name}/{}", below.to_string_lossy()));
        }
    }
    names.sort();
    Ok(names)
}

/// Copies into the bundle, and remembers the hash of each file.
struct Pen<'d> {
    dir: &'d Path,
    /// Within the session's folder everybody on the bridge may replace it.
    shared: bool,
    files: BTreeMap<String, Hash>,
    left_out: Vec<LeftOut>,
}

impl Pen<'_> {
    fn text(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.dir.join(name);
        let write = |mut file: fs::File| {
            file.write_all(bytes)?;
            file.sync_all()
        };
        self.make(name).and_then(write).map_err(failed(&path))?;
        self.files.insert(name.to_owned(), Hash::of(bytes));
        Ok(())
    }

    /// A new file, and its folder.
    fn make(&self, name: &str) -> io::Result<fs::File> {
        let modes = Modes {
            folder: SHARED_MODE,
            file: FILE_MODE,
        };
        below::create(self.dir, Path::new(name), self.shared.then_some(modes))
    }

    fn leave_out(&mut self, file: &str, why: impl Into<String>) {
        self.left_out.push(LeftOut {
            file: file.to_owned(),
            why: why.into(),
        });
    }

    fn evidence(&mut self, folder: &Folder, material: &Material) -> Result<(), Error> {
        for (name, why) in NEVER {
            if folder.dir().join(name).symlink_metadata().is_ok() {
                self.leave_out(name, why);
            }
        }
        for artefact in &material.beside.artefacts {
            let name = format!("{ARTEFACTS}/{}", artefact.sha256);
            // Several may share one content.
            if self.files.contains_key(&name) {
                continue;
            }
            self.copy(folder, &name)?;
            let found = self.files.get(&name);
            if found.is_some_and(|hash| *hash != artefact.sha256) {
                self.files.remove(&name);
                let path = self.dir.join(&name);
                below::remove(self.dir, Path::new(&name)).map_err(failed(&path))?;
                self.leave_out(&name, "its content is no longer what its name says");
            }
        }
        for below in EVIDENCE {
            let listed = fs::read_dir(folder.dir().join(below));
            let mut names: Vec<String> = listed
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| format!("{below}/{}", e.file_name().to_string_lossy()))
                .collect();
            names.sort();
            for name in names.iter().filter(|n| NEVER.iter().all(|(no, _)| n != no)) {
                self.copy(folder, name)?;
            }
        }
        Ok(())
    }

    fn runbook(&mut self, folder: &Folder) -> Result<(), Error> {
        let there = [folder.runbook_path(), folder.runbook_values_path()];
        if !there.iter().all(|path| path.is_file()) {
            let why = "the session's folder does not keep it: it was opened by an earlier version, or a password stands written in it";
            self.leave_out(RUNBOOK, why);
            return Ok(());
        }
        self.copy(folder, RUNBOOK)?;
        self.copy(folder, RUNBOOK_VALUES)
    }

    /// A file of the session's folder, by the same name; one that cannot be read is left out and named.
    fn copy(&mut self, folder: &Folder, name: &str) -> Result<(), Error> {
        if !manifest::can_list(name) {
            self.leave_out(name, "it is not a plain file with a plain name");
            return Ok(());
        }
        let mut source = match files::look_below(folder.dir(), Path::new(name)) {
            Ok(source) => source,
            Err(error) => {
                self.leave_out(name, error.to_string());
                return Ok(());
            }
        };
        let to = self.dir.join(name);
        let mut file = self.make(name).map_err(failed(&to))?;
        let hash = stream(&mut source, &mut file).map_err(failed(&to))?;
        file.sync_all().map_err(failed(&to))?;
        self.files.insert(name.to_owned(), hash);
        Ok(())
    }
}

/// Copies, and hashes what was copied.
fn stream(from: &mut impl Read, to: &mut impl Write) -> io::Result<Hash> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        digest.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
    }
    Ok(Hash::from_bytes(&digest.finalize()).expect("BUG: a SHA-256 has 32 bytes"))
}
