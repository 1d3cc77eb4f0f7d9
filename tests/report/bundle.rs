//! A bundle: whatever is done to it is found, at the right place; and what no hash can show is shown to be so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use cutover::journal::{Folder, Hash};
use cutover::report::bundle::check::{Expected, Finding, Verdict, check};
use cutover::report::bundle::manifest::{self, Manifest};
use cutover::report::bundle::{EVENTS, write};
use cutover::runbook;
use cutover::session::facts::KeptFiles;
use cutover::session::{Check, Event, Outcome, Recorded};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::session::language::Bridge;

const RUNBOOK: &str = "name: tonight\ntarget: ${TARGET}\n";

/// A night that got as far as C3, in which one file is named by its hash.
fn night() -> Bridge {
    let mut bridge = Bridge::open();
    bridge.session.charter.runbook_hash = runbook::hash(RUNBOOK, &values());
    let hash = bridge.session.charter.runbook_hash.clone();
    let Event::SessionOpened { charter } = &mut bridge.journal[0].event else {
        panic!("a session begins with its charter")
    };
    charter.runbook_hash = hash;
    bridge.reach("C3");
    for event in [
        Event::StepStarted {
            step: "C3".into(),
            attempt: 1,
            by: None,
        },
        Event::StepFinished {
            step: "C3".into(),
            attempt: 1,
            outcome: Outcome::done("1 files kept, with hashes")
                .with_fact(KeptFiles(vec![(
                    "C1-1.log".to_owned(),
                    Hash::of(b"migrated\n").to_string(),
                )]))
                .with_check(Check::new("kept", true, "“quoted” \u{202e} <b>")),
        },
    ] {
        bridge.append(event);
    }
    bridge
}

fn values() -> BTreeMap<String, Option<String>> {
    BTreeMap::from([
        ("PASSWORD".to_owned(), None),
        ("TARGET".to_owned(), Some("postgres://db/tools".to_owned())),
    ])
}

/// A session's folder as an engine leaves it, and its bundle.
struct Made {
    _root: tempfile::TempDir,
    folder: Folder,
    bundle: PathBuf,
    head: Hash,
    seal: Hash,
}

fn made(events: &[Recorded]) -> Made {
    let root = tempfile::tempdir().expect("a folder");
    let folder = super::journal_below(root.path(), events);
    let dir = folder.dir();
    for (name, text) in [
        ("output/C1-1.log", "migrated\n"),
        ("preserved/log-1-postgresql.log", "LOG:  ready\n"),
        ("preserved/dump", "rows"),
        ("former/0f0f", "PASSWORD=hunter2"),
        ("runbook.yaml", RUNBOOK),
    ] {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
    let values = serde_json::to_vec_pretty(&values()).expect("JSON");
    fs::write(folder.runbook_values_path(), values).expect("written");
    let bundle = root.path().join("bundle");
    let written = write(&folder, &bundle).expect("a bundle");
    Made {
        _root: root,
        folder,
        bundle,
        head: written.head.hash,
        seal: written.seal,
    }
}

/// A copy of one honest night's bundle: for who spoils only the bundle, many times.
fn bundle_of_a_night() -> (tempfile::TempDir, PathBuf, Arc<Made>) {
    // Who copies keeps it: the last one takes it away.
    static HONEST: Mutex<Weak<Made>> = Mutex::new(Weak::new());
    let mut kept = HONEST.lock().expect("a night");
    let honest = kept
        .upgrade()
        .unwrap_or_else(|| Arc::new(made(&night().journal)));
    let root = tempfile::tempdir().expect("a folder");
    let bundle = root.path().join("bundle");
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(&honest.bundle).arg(&bundle).status();
    assert!(copied.expect("cp runs").success());
    *kept = Arc::downgrade(&honest);
    (root, bundle, honest)
}

fn verdict(bundle: &Path) -> Verdict {
    check_expecting(bundle, Expected::default())
}

fn check_expecting(bundle: &Path, expected: Expected) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(check(bundle, expected))
}

fn files(bundle: &Path) -> Vec<String> {
    let list = fs::read(bundle.join(manifest::NAME)).expect("a list");
    let mut names: Vec<String> = manifest::read(&list).files.into_keys().collect();
    names.push(manifest::NAME.to_owned());
    names
}

/// What a forger does who knows how the list is made.
fn make_the_list_anew(bundle: &Path) {
    let list = bundle.join(manifest::NAME);
    let found = manifest::read(&fs::read(&list).expect("a list"));
    let hash = |name: &String| {
        let bytes = fs::read(bundle.join(name)).ok()?;
        Some((name.clone(), Hash::of(&bytes)))
    };
    let manifest = Manifest {
        session: found.session.expect("a session"),
        head: found.head.expect("a head"),
        files: found.files.keys().filter_map(hash).collect(),
    };
    fs::write(list, manifest.text().0).expect("written");
}

#[test]
fn a_bundle_holds_and_has_neither_secrets_nor_the_applications_rows() {
    let made = made(&night().journal);
    let verdict = verdict(&made.bundle);
    assert_eq!(verdict.findings, []);
    assert!(verdict.ok);
    assert_eq!(verdict.head.map(|h| h.hash), Some(made.head));
    assert_eq!(verdict.seal, Some(made.seal));
    for holds in [
        "events, each follows",
        "the runbook, with",
        "the report says",
    ] {
        let told = verdict.holds.iter().any(|line| line.contains(holds));
        assert!(told, "{holds}: {:?}", verdict.holds);
    }
    let names = files(&made.bundle);
    assert!(names.contains(&"output/C1-1.log".to_owned()), "{names:?}");
    for absent in ["former", "preserved/dump"] {
        assert!(!names.iter().any(|n| n.starts_with(absent)), "{names:?}");
        let told = verdict.not_checked.iter().any(|l| l.starts_with(absent));
        assert!(told, "{absent}: {:?}", verdict.not_checked);
    }
    // The list is one that the machine's own tool reads.
    let checked = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", manifest::NAME])
        .current_dir(&made.bundle)
        .status()
        .expect("sha256sum");
    assert!(checked.success());
    // And it can be written again over itself, but over nothing else.
    write(&made.folder, &made.bundle).expect("written again");
    assert!(self::verdict(&made.bundle).ok);
    fs::write(made.bundle.join("notes.txt"), "mine").expect("written");
    let refused = write(&made.folder, &made.bundle).expect_err("not ours to replace");
    assert!(refused.to_string().contains("notes.txt"), "{refused}");
}

#[test]
fn in_the_sessions_folder_the_bridge_may_read_and_replace_it() {
    use std::os::unix::fs::PermissionsExt;
    let made = made(&night().journal);
    let bundle = made.folder.dir().join("report");
    write(&made.folder, &bundle).expect("a bundle");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o7777;
    for folder in ["", "artefacts", "output"] {
        assert_eq!(mode(&bundle.join(folder)), 0o2770, "{folder}");
    }
    for name in files(&bundle) {
        assert_eq!(mode(&bundle.join(&name)), 0o660, "{name}");
    }
    assert!(verdict(&bundle).ok);
}

#[test]
fn one_changed_bit_anywhere_is_found_and_located() {
    let made = made(&night().journal);
    let mut random = StdRng::seed_from_u64(20_261_122);
    for name in files(&made.bundle) {
        let path = made.bundle.join(&name);
        let sound = fs::read(&path).expect("a file");
        let last = sound.len() - 1;
        let mut places = vec![(0, 0), (last, 0), (last, 7)];
        let more = if name == manifest::NAME { 60 } else { 12 };
        places
            .extend((0..more).map(|_| (random.random_range(0..=last), random.random_range(0..8))));
        for (at, bit) in places {
            let mut changed = sound.clone();
            changed[at] ^= 1 << bit;
            fs::write(&path, &changed).expect("changed");
            let line = 1 + sound[..at].iter().filter(|b| **b == b'\n').count() as u64;
            let found = verdict(&made.bundle).findings;
            let here = |f: &&Finding| {
                let by_line = name == manifest::NAME || name == EVENTS;
                f.file == name && (!by_line || f.line == Some(line))
            };
            assert!(
                found.iter().any(|f| here(&f)),
                "{name}, line {line}, byte {at}, bit {bit}: {found:?}"
            );
        }
        fs::write(&path, &sound).expect("as it was");
    }
    assert!(verdict(&made.bundle).ok);
}

/// What was done, whether the list was made anew afterwards, and where it must be found: file and line.
type Case = (
    &'static str,
    Box<dyn Fn(&Path)>,
    bool,
    &'static str,
    Option<u64>,
);

fn edit(name: &'static str, with: impl Fn(&str) -> String + 'static) -> Box<dyn Fn(&Path)> {
    Box::new(move |bundle| {
        let path = bundle.join(name);
        let text = fs::read_to_string(&path).expect("text");
        let edited = with(&text);
        assert_ne!(edited, text, "nothing was changed");
        fs::write(path, edited).expect("edited");
    })
}

fn without_line(text: &str, number: usize) -> String {
    let lines = text.split_inclusive('\n').enumerate();
    lines
        .filter(|(n, _)| n + 1 != number)
        .map(|(_, l)| l)
        .collect()
}

fn swapped(text: &str, a: usize, b: usize) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.swap(a - 1, b - 1);
    lines.concat()
}

fn cases() -> Vec<Case> {
    let half = |text: &str| text[..text.len() / 2].to_owned();
    let remove = |name: &'static str| -> Box<dyn Fn(&Path)> {
        Box::new(move |bundle| fs::remove_file(bundle.join(name)).expect("removed"))
    };
    let add = |name: &'static str| -> Box<dyn Fn(&Path)> {
        Box::new(move |bundle| fs::write(bundle.join(name), "x").expect("added"))
    };
    let events = || EVENTS;
    vec![
        ("a file added", add("notes.txt"), false, "notes.txt", None),
        (
            "an artefact added",
            add("artefacts/x"),
            false,
            "artefacts/x",
            None,
        ),
        (
            "a file removed",
            remove("output/C1-1.log"),
            false,
            "output/C1-1.log",
            None,
        ),
        ("events removed", remove(EVENTS), false, EVENTS, None),
        (
            "events removed, list anew",
            remove(EVENTS),
            true,
            EVENTS,
            None,
        ),
        (
            "the report removed, list anew",
            remove("report.json"),
            true,
            "report.json",
            None,
        ),
        (
            "the list removed",
            remove(manifest::NAME),
            false,
            manifest::NAME,
            None,
        ),
        (
            "the list emptied",
            edit(manifest::NAME, |_| String::new()),
            false,
            manifest::NAME,
            Some(0),
        ),
        (
            "the list cut",
            edit(manifest::NAME, move |t| without_line(t, t.lines().count())),
            false,
            manifest::NAME,
            None,
        ),
        (
            "a file cut",
            edit("samples.jsonl", half),
            false,
            "samples.jsonl",
            None,
        ),
        (
            "two lines of the list swapped",
            edit(manifest::NAME, |t| swapped(t, 5, 6)),
            false,
            manifest::NAME,
            Some(6),
        ),
        (
            "two events swapped, list anew",
            edit(events(), |t| swapped(t, 3, 4)),
            true,
            EVENTS,
            Some(3),
        ),
        (
            "an event removed, list anew",
            edit(events(), |t| without_line(t, 7)),
            true,
            EVENTS,
            Some(7),
        ),
        (
            "the last events removed, list anew",
            edit(events(), |t| without_line(t, t.lines().count())),
            true,
            EVENTS,
            None,
        ),
        (
            "an event edited, list anew",
            edit(events(), |t| t.replacen("robin", "rabin", 1)),
            true,
            EVENTS,
            Some(1),
        ),
        (
            "the report edited, list anew",
            edit("report.json", |t| {
                t.replacen("\"green\": false", "\"green\": true", 1)
            }),
            true,
            "report.json",
            None,
        ),
        (
            "the text edited, list anew",
            edit("report.md", |t| t.replacen("Not over", "Over", 1)),
            true,
            "report.md",
            Some(3),
        ),
        (
            "a kept log edited, list anew",
            edit("output/C1-1.log", |t| t.replace("migrated", "imagined")),
            true,
            "output/C1-1.log",
            None,
        ),
        (
            "the runbook edited, list anew",
            edit("runbook.yaml", |t| t.replace("tonight", "tomorrow")),
            true,
            "runbook.yaml",
            None,
        ),
        (
            "its values edited, list anew",
            edit("runbook.values.json", |t| t.replace("db/tools", "db/other")),
            true,
            "runbook.yaml",
            None,
        ),
        (
            "the samples edited, list anew",
            edit("samples.jsonl", |t| t.replacen("0.02", "0.01", 1)),
            true,
            "report.json",
            None,
        ),
    ]
}

#[test]
fn what_is_done_to_a_bundle_is_found_where_it_was_done() {
    let _kept = bundle_of_a_night();
    for (what, change, anew, file, line) in cases() {
        let (_root, bundle, _honest) = bundle_of_a_night();
        change(&bundle);
        if anew {
            make_the_list_anew(&bundle);
        }
        let found = verdict(&bundle);
        let here = |f: &&Finding| f.file == file && (line.is_none() || f.line == line);
        assert!(
            !found.ok && found.findings.iter().any(|f| here(&f)),
            "{what}: {:?}",
            found.findings
        );
    }
}

#[test]
fn an_artefact_is_what_its_name_says_whatever_the_list_says() {
    let made = made(&night().journal);
    let name = files(&made.bundle)
        .into_iter()
        .find(|n| n.starts_with("artefacts/"));
    let name = name.expect("an artefact");
    fs::write(made.bundle.join(&name), "not migrated").expect("changed");
    make_the_list_anew(&made.bundle);
    let found = verdict(&made.bundle).findings;
    assert!(found.iter().any(|f| f.file == name), "{found:?}");
}

/// The chain is not signed: whoever can write everything can make everything anew. Only what was written down elsewhere tells.
#[test]
fn a_past_that_was_made_anew_is_told_by_a_hash_that_was_written_down() {
    let mut honest = night();
    let mut forged = night();
    let common = honest.journal.len();
    for (bridge, text) in [
        (&mut honest, "the pool is full"),
        (&mut forged, "all is well"),
    ] {
        bridge.append(Event::NoteWritten {
            by: "dan".into(),
            text: text.into(),
        });
    }
    let (honest, forged) = (made(&honest.journal), made(&forged.journal));
    assert!(verdict(&forged.bundle).ok, "it holds in itself");

    let with_head = |bundle: &Path, head| {
        let expected = Expected {
            head: Some(head),
            seal: None,
        };
        check_expecting(bundle, expected)
    };
    assert!(with_head(&honest.bundle, honest.head).ok);
    let told = with_head(&forged.bundle, honest.head);
    assert!(!told.ok && told.findings[0].file == EVENTS, "{told:?}");
    let other_seal = Expected {
        head: None,
        seal: Some(honest.seal),
    };
    assert!(check_expecting(&honest.bundle, other_seal).ok);
    assert!(!check_expecting(&forged.bundle, other_seal).ok);

    // What was written down in the middle of the night vouches for what was before it, in both.
    let text = fs::read_to_string(honest.bundle.join(EVENTS)).expect("events");
    let line = text.lines().nth(common - 1).expect("the last common event");
    let early: Hash = line[9..73].parse().expect("a hash");
    for bundle in [&honest.bundle, &forged.bundle] {
        let verdict = with_head(bundle, early);
        assert!(verdict.ok, "{:?}", verdict.findings);
        let line = format!("event {common} of {}", common + 1);
        assert!(
            verdict.holds.iter().any(|l| l.contains(&line)),
            "{:?}",
            verdict.holds
        );
    }
}

/// What a hostile bundle may hold in the place of a file, or beside all of them: refused at once, whatever it is.
#[test]
fn what_would_hold_up_or_lead_astray_whoever_checks_is_refused() {
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo runs").success());
    };
    let sparse = |path: &Path| {
        let file = fs::File::create(path).expect("a file");
        file.set_len(20 << 30).expect("a hole of 20 GB");
    };
    let link = |path: &Path| std::os::unix::fs::symlink("/etc/passwd", path).expect("a link");
    let device = |path: &Path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link");
    type Trap<'a> = (&'a str, &'a dyn Fn(&Path));
    let traps: [Trap<'_>; 4] = [
        ("pipe", &pipe),
        ("sparse", &sparse),
        ("link", &link),
        ("device", &device),
    ];
    let (_root, honest, _honest) = bundle_of_a_night();
    let kept = fs::read_dir(honest.join("output")).expect("outputs").next();
    let kept = kept.expect("one").expect("an entry").file_name();
    let output = format!("output/{}", kept.to_string_lossy());
    let places = [
        manifest::NAME,
        EVENTS,
        "samples.jsonl",
        "beside.json",
        "report.json",
        "runbook.yaml",
        &output,
        "put-in",
    ];
    for (trap, spring) in traps {
        for place in places {
            let (_root, bundle, _honest) = bundle_of_a_night();
            let path = bundle.join(place);
            let _ = fs::remove_file(&path);
            spring(&path);
            let verdict = verdict(&bundle);
            assert!(!verdict.ok, "a {trap} as {place}");
            let named = verdict.findings.iter().any(|f| f.file == place);
            assert!(named, "a {trap} as {place}: {:?}", verdict.findings);
        }
    }
    // Nor is a folder of it looked into that is a link.
    let (_root, astray, _honest) = bundle_of_a_night();
    let (real, aside) = (astray.join("output"), astray.join("../aside"));
    fs::rename(&real, &aside).expect("aside");
    std::os::unix::fs::symlink(&aside, &real).expect("a link");
    let found = verdict(&astray);
    let named = found.findings.iter().any(|f| f.file == output);
    assert!(!found.ok && named, "{:?}", found.findings);
    // A crowd of files that nobody listed is counted, and not read.
    let (_root, bundle, _honest) = bundle_of_a_night();
    for n in 0..50_000 {
        fs::write(bundle.join(format!("output/extra-{n}")), "x").expect("written");
    }
    let verdict = verdict(&bundle);
    assert!(
        !verdict.ok && verdict.findings.len() < 300,
        "{}",
        verdict.findings.len()
    );
    let told = |f: &&Finding| f.what.contains("no further file was looked at");
    assert_eq!(verdict.findings.iter().filter(told).count(), 1);
}
