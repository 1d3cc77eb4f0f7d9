//! What must stay true of the imports: ARCHITECTURE.md's invariants, held over the source itself.

use std::path::{Path, PathBuf};

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
            "crate::source",
            "crate::target",
            "crate::engine",
            "crate::step",
        ],
    ),
    (
        "report",
        &[
            "rusqlite::",
            "tokio_postgres::",
            "crate::source",
            "crate::target",
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
    ("fleet", &["crate::engine", "ratatui::"]),
    ("monitor", &["crate::engine", "ratatui::"]),
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
