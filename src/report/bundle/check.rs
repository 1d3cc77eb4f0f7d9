//! Checks a bundle with nothing but the bundle: every file against the list, the chain link by link, the runbook against what the
//! session names, evidence against its hashes in the chain, and the report against what follows from the events.
//!
//! Not in here: what no hash can show. Somebody who rewrites everything from some event on, and every hash with it, leaves a bundle that
//! holds in itself; only a hash that was written down elsewhere tells (see [`Expected`]), or a signature.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::manifest::{self, Found};
use super::{
    ARTEFACTS, BESIDE, EVENTS, HTML, JSON, MARKDOWN, SAMPLES, names_up_to, plain_file, signatures,
    stream,
};
use crate::journal::{Hash, Head, Sample, lines};
use crate::report::material::by_signal;
use crate::report::{Beside, Material};
use crate::session::facts::KeptFiles;
use crate::session::{Event, Recorded, Session};
use crate::text::printable;

/// The longest value that a finding shows.
const SHOWN_CHARS: usize = 120;

/// Of a file whose hash is another, while nobody has said more.
const CHANGED: &str = "has been changed";

/// What somebody wrote down elsewhere, when it was true.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    /// The hash of the last event at some time.
    pub head: Option<Hash>,
    /// The seal of the bundle.
    pub seal: Option<Hash>,
}

/// What a check came to.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Verdict {
    pub ok: bool,
    /// Name of the session, where that could be read.
    pub session: Option<String>,
    /// How it ended, or stood.
    pub result: Option<crate::report::Outcome>,
    /// What does not hold, and where.
    pub findings: Vec<Finding>,
    /// What holds, a line each.
    pub holds: Vec<String>,
    /// What could not be checked, or is not in the bundle, and why.
    pub not_checked: Vec<String>,
    /// The end of the chain, as far as it holds.
    pub head: Option<Head>,
    /// The hash that stands for the whole bundle.
    pub seal: Option<Hash>,
}

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file in the bundle.
    pub file: String,
    /// The line in it, where that can be told.
    pub line: Option<u64>,
    pub what: String,
}

/// Checks a bundle. A folder that is no bundle is a finding too.
pub async fn check(dir: &Path, expected: Expected) -> Verdict {
    let mut checker = Checker {
        dir,
        hashes: BTreeMap::new(),
        verdict: Verdict::default(),
    };
    let signed = checker.run(expected);
    let mut verdict = checker.verdict;
    if let Some((session, recorded)) = signed {
        let checked = signatures::check(dir, &session, &recorded).await;
        verdict.findings.extend(checked.findings);
        verdict.holds.extend(checked.holds);
        verdict.not_checked.extend(checked.not_checked);
    }
    verdict.ok = verdict.findings.is_empty();
    verdict
}

struct Checker<'d> {
    dir: &'d Path,
    /// Of each file that is there.
    hashes: BTreeMap<String, Hash>,
    verdict: Verdict,
}

impl Checker<'_> {
    /// The session and its events, where they could be read.
    fn run(&mut self, expected: Expected) -> Option<(Session, Vec<Recorded>)> {
        let list = self.list()?;
        self.files(&list);
        self.expected_seal(&list, expected.seal);
        let read = self.contents(&list, expected);
        self.seal(&list);
        read
    }

    /// What the files say, as far as one follows from the other.
    fn contents(&mut self, list: &Found, expected: Expected) -> Option<(Session, Vec<Recorded>)> {
        let verified = self.chain(list)?;
        self.expected_head(&verified, expected.head);
        let material = self.material(verified)?;
        self.artefacts(&material.beside);
        let recorded = match material.recorded() {
            Ok(recorded) => recorded,
            Err(error) => {
                self.not_checked(error.to_string());
                return None;
            }
        };
        self.hashes_in_events(&recorded);
        let report = self.report(&material)?;
        if list.session.as_ref().is_some_and(|s| *s != report.session) {
            let what = "names another session than the events do";
            self.finding(manifest::NAME, Some(2), what);
        }
        self.verdict.session = Some(report.session.clone());
        self.verdict.result = Some(report.result);
        self.runbook(&report);
        let session = Session::replay(&recorded).ok()?;
        Some((session, recorded))
    }

    fn finding(&mut self, file: &str, line: Option<u64>, what: impl Into<String>) {
        let file = printable(file, SHOWN_CHARS);
        // A finding that says where in the file takes the place of the one that says only that it was changed.
        let vague = |f: &Finding| f.file == file && f.what == CHANGED;
        self.verdict.findings.retain(|f| !vague(f));
        let what = what.into();
        self.verdict.findings.push(Finding { file, line, what });
    }

    fn holds(&mut self, line: String) {
        self.verdict.holds.push(line);
    }

    fn not_checked(&mut self, line: String) {
        self.verdict.not_checked.push(line);
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        plain_file::read(self.dir, name)
    }

    fn list(&mut self) -> Option<Found> {
        let Some(bytes) = plain_file::read_list(self.dir) else {
            let journals = ["journal.db", "shared/journal.db"];
            let journal = journals.iter().any(|name| self.dir.join(name).is_file());
            let what = if journal {
                "is not there: this is a session's folder; `cutover report` makes a bundle of it, below `report/`"
            } else {
                "is not there: this is no bundle, or its list of files was removed"
            };
            self.finding(manifest::NAME, None, what);
            return None;
        };
        let list = manifest::read(&bytes);
        for (line, what) in &list.wrong {
            self.finding(
                manifest::NAME,
                Some(*line as u64),
                format!("this line {what}"),
            );
        }
        self.verdict.seal = list.seal.filter(|_| list.is_sealed);
        Some(list)
    }

    /// Every file is in the list, and as the list has it; the list's own seal says which of the two was changed.
    fn files(&mut self, list: &Found) {
        let before = self.verdict.findings.len();
        let most = list.files.len() + 1 + plain_file::MAX_UNLISTED;
        let there = names_up_to(self.dir, most + 1).unwrap_or_default();
        if there.len() > most {
            let what = format!(
                "more than {most} files are in the folder, and the list has {}: no further file was looked at",
                list.files.len()
            );
            self.finding(manifest::NAME, None, what);
        }
        let mut left_bytes = plain_file::MAX_BUNDLE_BYTES;
        for name in there {
            match self.hash(&name, &mut left_bytes) {
                _ if name == manifest::NAME => {}
                Ok(hash) => {
                    self.hashes.insert(name, hash);
                }
                Err(why) => self.finding(&name, None, why),
            }
        }
        for (name, (hash, line)) in &list.files {
            let line = Some(*line as u64);
            match (self.hashes.get(name), list.is_sealed) {
                (Some(found), _) if found == hash => {}
                (Some(_), true) => self.finding(name, None, CHANGED),
                (Some(_), false) => {
                    let what = format!(
                        "this line and the file {name} disagree, and the list itself has been changed"
                    );
                    self.finding(manifest::NAME, line, what);
                }
                (None, true) => self.finding(name, None, "is missing"),
                (None, false) => {
                    let what = format!(
                        "this line names {name}, which is not there, and the list itself has been changed"
                    );
                    self.finding(manifest::NAME, line, what);
                }
            }
        }
        let unlisted = self.hashes.keys().filter(|n| !list.files.contains_key(*n));
        for name in unlisted.cloned().collect::<Vec<_>>() {
            self.finding(&name, None, "is not in the list: it was put in or renamed");
        }
        for name in [EVENTS, SAMPLES, BESIDE, JSON, MARKDOWN, HTML] {
            if list.is_sealed && !list.files.contains_key(name) {
                self.finding(name, None, "is not in the list, though every bundle has it");
            }
        }
        if self.verdict.findings.len() == before && list.is_sealed {
            let count = list.files.len();
            self.holds(format!(
                "{count} files are as the list has them, and there is no other"
            ));
        }
    }

    /// A list whose lines all hold and whose seal does not: nothing else has told where it was changed.
    fn seal(&mut self, list: &Found) {
        let told = self
            .verdict
            .findings
            .iter()
            .any(|f| f.file == manifest::NAME);
        if list.is_sealed || told {
            return;
        }
        let what =
            "the seal on this line is not that of the lines above it, though each of them holds";
        self.finding(manifest::NAME, Some(list.lines as u64), what);
    }

    /// Counts what it reads against what may still be read of the whole bundle.
    fn hash(&self, name: &str, left_bytes: &mut u64) -> Result<Hash, String> {
        let (file, size) = plain_file::open(self.dir, name)?;
        *left_bytes = left_bytes.checked_sub(size).ok_or_else(|| {
            format!(
                "was not read: the bundle has more than {} bytes",
                plain_file::MAX_BUNDLE_BYTES
            )
        })?;
        let mut file = std::io::Read::take(file, size);
        stream(&mut file, &mut std::io::sink()).map_err(|e| e.to_string())
    }

    fn expected_seal(&mut self, list: &Found, expected: Option<Hash>) {
        let Some(expected) = expected else { return };
        if list.seal == Some(expected) {
            self.holds("the seal is the one that was written down".to_owned());
            return;
        }
        let what = "the seal is not the one that was written down: this is another bundle, or all of it has been made anew";
        self.finding(manifest::NAME, Some(list.lines as u64), what);
    }

    fn chain(&mut self, list: &Found) -> Option<lines::Verified> {
        let bytes = self.read(EVENTS)?;
        let verified = match lines::read(&bytes) {
            Ok(verified) => verified,
            Err(damage) => {
                self.finding(EVENTS, Some(lines::place(&damage)), damage.to_string());
                return None;
            }
        };
        self.verdict.head = Some(verified.head);
        match list.head.map(|named| lines::check_head(&verified, named)) {
            Some(Err(damage)) if list.is_sealed => {
                self.finding(EVENTS, Some(lines::place(&damage)), damage.to_string());
            }
            Some(Err(damage)) => {
                let what = format!("this line and the events disagree about the head: {damage}");
                self.finding(manifest::NAME, Some(3), what);
            }
            _ => {}
        }
        let count = verified.entries.len();
        self.holds(format!("{count} events, each follows from the one before"));
        Some(verified)
    }

    fn expected_head(&mut self, verified: &lines::Verified, expected: Option<Hash>) {
        let Some(expected) = expected else { return };
        let count = verified.entries.len();
        match verified.entries.iter().find(|e| e.hash == expected) {
            Some(entry) => self.holds(format!(
                "the head that was written down is that of event {} of {count}: everything up to it is as it was then",
                entry.seq
            )),
            None => self.finding(
                EVENTS,
                None,
                "no event has the hash that was written down: the chain has been rewritten, cut before it, or is another session's",
            ),
        }
    }

    fn material(&mut self, verified: lines::Verified) -> Option<Material> {
        let beside = match serde_json::from_slice::<Beside>(&self.read(BESIDE)?) {
            Ok(beside) => beside,
            Err(error) => {
                self.finding(BESIDE, Some(error.line() as u64), error.to_string());
                return None;
            }
        };
        let mut samples = Vec::new();
        let bytes = self.read(SAMPLES)?;
        for (n, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            match serde_json::from_slice::<Sample>(line) {
                Ok(sample) => samples.push(sample),
                Err(error) => {
                    self.finding(SAMPLES, Some(n as u64 + 1), error.to_string());
                    return None;
                }
            }
        }
        for left in &beside.left_out {
            let (file, why) = (
                printable(&left.file, SHOWN_CHARS),
                printable(&left.why, 300),
            );
            self.not_checked(format!("{file} is not in the bundle: {why}"));
        }
        Some(Material {
            entries: verified.entries,
            head: verified.head,
            samples: by_signal(samples),
            beside,
        })
    }

    /// Each artefact is there under its own hash, and nothing else is among them.
    fn artefacts(&mut self, beside: &Beside) {
        let before = self.verdict.findings.len();
        let of = |name: &str| {
            name.strip_prefix(ARTEFACTS)?
                .strip_prefix('/')
                .map(str::to_owned)
        };
        let there: Vec<(String, Hash)> = self
            .hashes
            .iter()
            .filter_map(|(name, hash)| Some((of(name)?, *hash)))
            .collect();
        for (name, hash) in &there {
            if *name != hash.to_string() {
                let file = format!("{ARTEFACTS}/{name}");
                self.finding(&file, None, "its content is not what its name says");
            }
        }
        for artefact in &beside.artefacts {
            let file = format!("{ARTEFACTS}/{}", artefact.sha256);
            let left_out = beside.left_out.iter().any(|l| l.file == file);
            if !left_out && !self.hashes.contains_key(&file) {
                self.finding(&file, None, "is named beside the events and is not there");
            }
        }
        if self.verdict.findings.len() == before {
            self.holds(format!(
                "{} kept files have the content that their names say",
                there.len()
            ));
        }
    }

    /// Files whose hash an event names: the chain proves them.
    fn hashes_in_events(&mut self, recorded: &[Recorded]) {
        let mut proven = 0;
        for entry in recorded {
            let Event::StepFinished { step, outcome, .. } = &entry.event else {
                continue;
            };
            let kept = match outcome.fact(step) {
                Ok(kept) => kept.map_or_else(Vec::new, |KeptFiles(files)| files),
                Err(unreadable) => {
                    self.finding(EVENTS, Some(entry.seq), unreadable.to_string());
                    continue;
                }
            };
            for (name, hash) in kept {
                let file = format!("output/{name}");
                match self.hashes.get(&file) {
                    Some(found) if found.to_string() == hash => proven += 1,
                    Some(_) => {
                        let what =
                            format!("is not as it was when event {} named its hash", entry.seq);
                        self.finding(&file, None, what);
                    }
                    None => self.not_checked(format!(
                        "{} is named by event {} and is not in the bundle",
                        printable(&file, SHOWN_CHARS),
                        entry.seq
                    )),
                }
            }
        }
        self.holds(format!(
            "{proven} files are named by the events themselves, by hash"
        ));
    }
}

/// The folder of a bundle that somebody names by one of its files.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.is_file() {
        true => path.parent().unwrap_or(path).to_owned(),
        false => path.to_owned(),
    }
}
