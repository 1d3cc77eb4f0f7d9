//! `report --verify` of a bundle of which one file was changed. The first byte says which file, the second how: its content is replaced, cut, or
//! written over or into at a place; and whether the list of files is made anew to fit. Whoever changes a file and not the list is found; no
//! check takes long, and a finding names a line that the file has.
#![no_main]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use cutover::engine::lease::Lease;
use cutover::engine::ledger::to_entry;
use cutover::journal::{Folder, Hash, Head, Journal};
use cutover::report::bundle::check::{Expected, Verdict, check};
use cutover::report::bundle::manifest::{self, Manifest};
use cutover::report::bundle::write;
use cutover::session::{Event, Outcome};
use cutover_fuzz::{charter, reference};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// More than a check of some kilobytes takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

/// A bundle that nobody has changed.
struct Honest {
    _root: TempDir,
    dir: PathBuf,
    files: Vec<(String, Vec<u8>)>,
    session: String,
    head: Head,
    runtime: tokio::runtime::Runtime,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let root = tempfile::tempdir().expect("a folder");
    let folder = Folder::create(root.path(), "tonight").expect("a session's folder");
    let lease = Lease::take(&folder).expect("the lease");
    let (mut journal, _) = Journal::open(&folder, lease.fencing()).expect("a journal");
    for (n, event) in events().iter().enumerate() {
        let (kind, body) = to_entry(event);
        let at_ms = n as i64 * 10;
        journal
            .append(at_ms, chrono::DateTime::UNIX_EPOCH, &[(&kind, &body)])
            .expect("an event");
    }
    drop(journal);
    let dir = root.path().join("bundle");
    let written = write(&folder, &dir).expect("a bundle");
    let names = fs::read_dir(&dir).expect("its files");
    let mut files: Vec<(String, Vec<u8>)> = names
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read(&path).expect("a file"))
        })
        .collect();
    files.sort();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let honest = Honest {
        _root: root,
        dir,
        files,
        session: written.report.session.clone(),
        head: written.head,
        runtime: runtime.expect("a runtime"),
    };
    let verdict = honest.verdict();
    assert!(verdict.ok, "{:?}", verdict.findings);
    honest
});

fn events() -> Vec<Event> {
    let done = |step: &str| {
        let started = Event::StepStarted {
            step: step.to_owned(),
            attempt: 1,
            by: Some("robin".to_owned()),
        };
        let finished = Event::StepFinished {
            step: step.to_owned(),
            attempt: 1,
            outcome: Outcome::done("done"),
        };
        [started, finished]
    };
    let opened = Event::SessionOpened {
        charter: Box::new(charter(&reference())),
    };
    let note = Event::NoteWritten {
        by: "dan".to_owned(),
        text: "“quoted” \u{202e} <b>".to_owned(),
    };
    [opened]
        .into_iter()
        .chain(done("P1"))
        .chain([note])
        .collect()
}

impl Honest {
    fn verdict(&self) -> Verdict {
        self.runtime.block_on(check(&self.dir, Expected::default()))
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.join(name), bytes).expect("written");
    }

    /// The list of files, as it would be of what is there now.
    fn listed(&self, name: &str, bytes: &[u8]) -> String {
        let mut files = BTreeMap::new();
        for (other, honest) in &self.files {
            let content = if other == name {
                bytes
            } else {
                honest.as_slice()
            };
            if other != manifest::NAME {
                files.insert(other.clone(), Hash::of(content));
            }
        }
        let list = Manifest {
            session: self.session.clone(),
            head: self.head,
            files,
        };
        list.text().0
    }
}

/// What becomes of a file's content.
fn changed(honest: &[u8], how: u8, rest: &[u8]) -> Vec<u8> {
    let (place, rest) = match rest {
        [high, low, rest @ ..] => (usize::from(*high) << 8 | usize::from(*low), rest),
        rest => (0, rest),
    };
    let at = place.min(honest.len());
    let (before, after) = honest.split_at(at);
    match how % 4 {
        0 => rest.to_vec(),
        1 => before.to_vec(),
        2 => [before, rest, after].concat(),
        _ => [before, rest, after.get(rest.len()..).unwrap_or_default()].concat(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let [which, how, rest @ ..] = bytes else {
        return;
    };
    let honest = &*HONEST;
    let (name, content) = &honest.files[usize::from(*which) % honest.files.len()];
    let new = changed(content, *how, rest);
    let relists = how & 4 != 0 && name != manifest::NAME;
    honest.put(name, &new);
    if relists {
        honest.put(manifest::NAME, honest.listed(name, &new).as_bytes());
    }
    let began = Instant::now();
    let verdict = honest.verdict();
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    if new != *content && !relists {
        assert!(!verdict.ok, "{name} was changed, and nothing is found");
    }
    if new == *content && !relists {
        assert!(verdict.ok, "{:?}", verdict.findings);
    }
    for finding in &verdict.findings {
        if let Some(line) = finding.line {
            // Of a file without a line, none is named.
            let lines = lines_of(&honest.dir.join(&finding.file));
            assert!(
                (lines.min(1)..=lines + 1).contains(&line),
                "{finding:?} of {lines} lines"
            );
        }
    }
    for (name, content) in &honest.files {
        honest.put(name, content);
    }
});

fn lines_of(path: &Path) -> u64 {
    let text = fs::read(path).unwrap_or_default();
    text.split_inclusive(|b| *b == b'\n').count() as u64
}
