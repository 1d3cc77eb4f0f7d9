//! What must stay true of the imports: ARCHITECTURE.md's invariants, held over the source itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cutover::ours::statements::OWN_TABLES;

/// Who may not name what. A trailing `::` is a module, anything else a word.
const ABSENCES: &[(&str, &[&str])] = &[
    (
        "runbook",
        &[
            "tokio::",
            "rusqlite::",
            "tokio_postgres::",
            "ratatui::",
            "crate::clock",
            "Instant::now",
            "SystemTime",
        ],
    ),
    (
        "session",
        &[
            "tokio::",
            "rusqlite::",
            "tokio_postgres::",
            "ratatui::",
            "crate::clock",
            "Instant::now",
            "SystemTime",
            "Utc::now",
        ],
    ),
    (
        "trigger",
        &[
            "tokio::",
            "rusqlite::",
            "tokio_postgres::",
            "ratatui::",
            "crate::clock",
            "Instant::now",
            "SystemTime",
            "Utc::now",
        ],
    ),
    (
        "cockpit",
        &[
            "rusqlite::",
            "tokio_postgres::",
            "crate::sqlite",
            "crate::postgres",
            "crate::engine",
            "crate::step",
        ],
    ),
    (
        "report",
        &[
            "rusqlite::",
            "tokio_postgres::",
            "crate::sqlite",
            "crate::postgres",
            "crate::engine::socket",
            "crate::step",
        ],
    ),
    (
        "parity",
        &[
            "transfer::convert",
            "transfer::kind",
            "transfer::rows",
            "transfer::copy",
            "transfer::plan",
        ],
    ),
    ("transfer", &["crate::parity"]),
    (
        "salvage",
        &[
            "transfer::convert",
            "transfer::copy",
            "crate::engine",
            "crate::step",
        ],
    ),
    ("step", &["Journal::open", "append_with", "ratatui::"]),
    // What is played on models reaches the world through `engine::outside` alone.
    ("engine/conduct", LOOP),
    ("engine/take_up", LOOP),
    ("engine/aside", LOOP),
    ("engine/work", LOOP),
    ("engine/watch", LOOP),
    ("engine/ledger", LOOP),
    (
        "watch",
        &[
            "rusqlite::",
            "tokio_postgres::",
            "crate::sqlite",
            "crate::postgres",
            "crate::engine",
            "crate::step",
        ],
    ),
    ("fleet", &["crate::engine", "ratatui::"]),
    ("monitor", &["crate::engine", "ratatui::"]),
];

/// What the engine's loop may not name.
const LOOP: &[&str] = &[
    "tokio::",
    "rusqlite::",
    "crate::clock",
    "std::fs",
    "Instant::now",
    "Utc::now",
    "std::process",
    "crate::monitor",
    "crate::sqlite",
    "crate::postgres",
];

fn sources(module: &str) -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = vec![src.join(format!("{module}.rs"))];
    let mut folders = vec![src.join(module)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
}

/// The code of a file: no comments, and nothing after its own tests begin.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    before_tests
        .lines()
        .filter(|l| !l.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A text that goes over two lines of source without a backslash between them has the indentation in its middle.
#[test]
fn no_message_has_a_gap_in_it() {
    let gap = regex::Regex::new("[a-z] {8,}[a-z]").unwrap();
    for path in all_sources() {
        let code = code(&path);
        let found = gap.find(&code).map(|m| m.as_str());
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn nobody_imports_what_architecture_says_is_absent() {
    let mut broken = Vec::new();
    for (module, absent) in ABSENCES {
        for path in sources(module) {
            let code = code(&path);
            broken.extend(
                absent
                    .iter()
                    .filter(|a| code.contains(**a))
                    .map(|a| format!("{}: {a}", path.display())),
            );
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn only_the_engine_appends_and_only_the_engine_starts_steps() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in std::fs::read_dir(&src).unwrap().flatten() {
        let name = module
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if ["engine", "journal", "step", "lib", "main"].contains(&name.as_str()) {
            continue;
        }
        for path in sources(&name) {
            let code = code(&path);
            for word in ["Journal::open(", "step::run(", "rollback::run("] {
                assert!(!code.contains(word), "{} has {word}", path.display());
            }
        }
    }
}

#[test]
fn every_module_is_on_the_code_map_and_every_file_says_what_it_is_for() {
    let map =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"))
            .unwrap();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in std::fs::read_dir(&src).unwrap().flatten() {
        let name = module
            .path()
            .file_stem()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if !["lib", "main"].contains(&name.as_str()) {
            assert!(
                map.contains(&format!("src/{name}")),
                "ARCHITECTURE.md does not name src/{name}"
            );
        }
        for path in sources(&name) {
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(
                text.starts_with("//!"),
                "{} does not say what it is for",
                path.display()
            );
        }
    }
}

/// The tables that follow a row, a sample and a key through the code name functions that are there.
#[test]
fn the_ways_through_the_code_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let ways = map
        .split("## Three things, followed through the code")
        .nth(1);
    let ways = ways
        .expect("the section")
        .split("\n## ")
        .next()
        .unwrap_or_default();
    let mut steps = 0;
    for line in ways.lines().filter(|line| line.starts_with("| `")) {
        let quoted: Vec<&str> = line.split('`').collect();
        let (file, function) = (quoted[1], quoted[3]);
        let code = code(&root.join(file));
        let is_there = [format!("fn {function}("), format!("fn {function}<")];
        assert!(
            is_there.iter().any(|name| code.contains(name)),
            "{file} has no function {function}"
        );
        steps += 1;
    }
    assert!(steps > 30, "{steps} steps");
}

/// CONTRIBUTING.md sends nobody to a file that is not there.
#[test]
fn the_files_that_contributors_are_sent_to_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let is_path = |text: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let file = [".rs", ".md", ".sh", "/"]
            .iter()
            .any(|end| text.ends_with(end));
        file && text.chars().all(plain)
    };
    let paths: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_path).collect();
    assert!(paths.len() > 30, "{paths:?}");
    for path in paths {
        let places = [root.join(path), root.join("src").join(path)];
        assert!(places.iter().any(|p| p.exists()), "there is no {path}");
    }
}

/// docs/install.md tells of everything that works on Linux alone, by the file that does it, and of no other file.
#[test]
fn what_works_on_linux_alone_is_told_to_whoever_installs_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/install.md")).unwrap();
    let is_linux = |path: &PathBuf| {
        let code = code(path);
        code.contains("\"/proc") || code.contains("target_os = \"linux\"")
    };
    let found: BTreeSet<String> = all_sources()
        .into_iter()
        .filter(is_linux)
        .map(|path| {
            let name = path.strip_prefix(root).unwrap();
            name.to_string_lossy().into_owned()
        })
        .collect();
    let told = page.split('`').filter(|text| text.starts_with("src/"));
    let told: BTreeSet<String> = told.map(str::to_owned).collect();
    assert_eq!(found, told, "what is found in src, and what the page says");
}

/// Where something that `clippy.toml` disallows is done outside of `ours`: file, how many functions or modules, and a test with something of
/// somebody else's in the way, which must stay.
const OVERWRITES: &[(&str, usize, &str)] = &[
    (
        "src/ours.rs",
        1,
        "no_canary_changes_whatever_the_layout_and_wherever_it_stops",
    ),
    (
        "src/demo.rs",
        1,
        "a_folder_with_something_in_it_is_no_sandbox",
    ),
    (
        "src/journal/artefact.rs",
        2,
        "what_else_lies_in_a_sessions_folder_stays",
    ),
    (
        "src/journal/spare.rs",
        1,
        "what_finds_no_room_lies_on_the_spare_folder_until_there_is_some",
    ),
    (
        "src/journal/schema.rs",
        1,
        "what_else_lies_in_a_sessions_folder_stays",
    ),
    (
        "src/engine/detach.rs",
        1,
        "what_else_lies_in_a_sessions_folder_stays",
    ),
    (
        "src/engine/socket/address.rs",
        1,
        "what_else_lies_in_a_sessions_folder_stays",
    ),
    (
        "src/sqlite/drill.rs",
        1,
        "a_drill_leaves_what_else_lies_beside_it",
    ),
    ("src/ssh.rs", 1, "what_else_lies_in_a_sessions_folder_stays"),
    (
        "src/action/output.rs",
        1,
        "an_action_touches_the_file_that_it_names_and_no_other",
    ),
    (
        "src/action/file.rs",
        3,
        "an_action_touches_the_file_that_it_names_and_no_other",
    ),
];

#[test]
fn nothing_is_removed_or_overwritten_outside_of_the_places_that_are_known() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = std::collections::BTreeMap::new();
    for path in all_sources() {
        let count = code(&path).matches("clippy::disallowed_methods").count();
        if count > 0 && !path.ends_with("src/lib.rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.insert(name, count);
        }
    }
    let known = OVERWRITES
        .iter()
        .map(|(name, count, _)| ((*name).to_owned(), *count));
    assert_eq!(
        found,
        known.collect(),
        "what `clippy.toml` disallows is done elsewhere"
    );
    let tests = tests_text();
    for (name, _, case) in OVERWRITES {
        assert!(
            tests.contains(&format!("fn {case}(")),
            "{name} has no case {case}"
        );
    }
}

/// SQL that deletes, empties or drops, outside of `ours::statements`, and how often at most: the journal's own notes.
const STATEMENTS: &[(&str, usize)] = &[
    ("src/journal/notes.rs", 3),
    // Temporary tables of the plan's own connection.
    ("src/transfer/plan/probe.rs", 2),
];

#[test]
fn statements_that_delete_empty_or_drop_are_made_by_one_builder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = std::collections::BTreeMap::new();
    for path in all_sources() {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if name == "src/ours/statements.rs" || name.starts_with("src/demo") {
            continue;
        }
        let code = code(&path);
        let count: usize = [
            "DELETE FROM ",
            "TRUNCATE TABLE ",
            "TRUNCATE {",
            "TRUNCATE \\",
        ]
        .iter()
        .map(|word| code.matches(word).count())
        .sum();
        let drops = [
            "TABLE",
            "SCHEMA",
            "DATABASE",
            "INDEX",
            "CONSTRAINT",
            "VIEW",
            "SEQUENCE",
            "TYPE",
            "COLUMN",
            "TRIGGER",
            "OWNED",
            "ROLE",
        ];
        let drops = drops
            .iter()
            .map(|kind| code.matches(&format!("DROP {kind}")).count());
        let count = count + drops.sum::<usize>();
        if count > 0 {
            found.insert(name, count);
        }
    }
    found.retain(|name, count| {
        let known = STATEMENTS.iter().find(|(known, _)| known == name);
        known.is_none_or(|(_, most)| *count > *most)
    });
    assert!(found.is_empty(), "made elsewhere, or more often: {found:?}");
}

/// What is dropped as ours is what we make there, and nothing else.
#[test]
fn every_table_that_is_made_in_our_schema_is_known_as_ours() {
    let mut made: BTreeSet<String> = BTreeSet::new();
    for path in all_sources() {
        let text = code(&path);
        for (at, word) in text.match_indices("TABLE ") {
            let rest = text[at + word.len()..].trim_start_matches("IF NOT EXISTS ");
            let Some(name) = rest.strip_prefix("cutover.") else {
                continue;
            };
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
            let is_made = text[..at].trim_end().ends_with("CREATE");
            if is_made {
                made.insert(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    // Made to see whether the role may, in a transaction that is rolled back.
    made.remove("tried");
    let ours = OWN_TABLES.iter().map(|name| (*name).to_owned());
    assert_eq!(made, ours.collect());
}

fn all_sources() -> Vec<PathBuf> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files_below(&src)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The text of every test, those beside the code included.
fn tests_text() -> String {
    let tests = files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let files = tests.into_iter().chain(all_sources());
    files
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}
