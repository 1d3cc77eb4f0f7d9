//! A relative path in a runbook is the runbook's folder's, wherever `cutover` is started and whoever reads it.

use std::path::{Path, PathBuf};

use cutover::cli::load;
use cutover::runbook::action::Effect;
use cutover::runbook::discovery::Discovered;
use cutover::runbook::{Place, RollbackKind, Runbook, StepKind};

/// The reference runbook with every path written as a relative one.
fn text() -> String {
    let text = include_str!("../../runbook.yaml");
    let mut out = text
        .replace("${APP_DIR}/", "")
        .replace("${APP_SQLITE}", "data/app.db");
    out = out.replace("\nsource:", "\nsignatures: { allowed_signers: keys/allowed, revoked: ./keys/revoked, required: true }\nsource:");
    out
}

fn load_in(folder: &Path) -> Runbook {
    let value = |name: &str| {
        Some(match name {
            name if name.ends_with("_URL") => "postgres://a@127.0.0.1:1/b".to_owned(),
            name if name.starts_with("APP_") || name == "CHAT_WEBHOOK" => {
                "http://127.0.0.1:1".to_owned()
            }
            _ => "value-of-it".to_owned(),
        })
    };
    let loaded = load::parse(
        "runbook.yaml",
        text(),
        folder.to_owned(),
        &value,
        &Discovered::NotAsked,
    );
    loaded.expect("a runbook").runbook
}

fn paths(runbook: &Runbook) -> Vec<(String, PathBuf)> {
    let mut found = vec![("source.file".to_owned(), runbook.source.file.clone())];
    let mut add = |name: &str, path: &Path| found.push((name.to_owned(), path.to_owned()));
    let signatures = runbook.signatures.as_ref().unwrap();
    add("allowed_signers", &signatures.allowed_signers);
    add("revoked", signatures.revoked.as_ref().unwrap());
    add("copy", &runbook.rehearsal.as_ref().unwrap().copy);
    add("config", Path::new(runbook.fleet.config.as_ref().unwrap()));
    add("log", Path::new(runbook.fleet.log.as_ref().unwrap()));
    for step in &runbook.steps {
        match &step.kind {
            StepKind::Freeze { on, off, .. } => {
                for action in [on, off] {
                    match &action.effect {
                        Effect::WriteFile { path, .. } | Effect::RemoveFile { path } => {
                            add(&step.id, path);
                        }
                        _ => {}
                    }
                }
            }
            StepKind::Backup { to, .. } => add(&step.id, to),
            StepKind::StoreBackup {
                place: Place::Directory(to),
                ..
            } => add(&step.id, to),
            _ => {}
        }
    }
    for row in &runbook.rollback {
        match &row.kind {
            RollbackKind::Preserve { logs, .. } => logs.iter().for_each(|log| add(&row.id, log)),
            RollbackKind::Incident { file } => add(&row.id, file),
            _ => {}
        }
    }
    found
}

#[test]
fn every_relative_path_is_the_runbooks_folders() {
    let folder = Path::new("/srv/cutover");
    let runbook = load_in(folder);
    let found = paths(&runbook);
    assert!(found.len() >= 9, "{found:?}");
    for (name, path) in found {
        assert!(path.starts_with(folder), "{name}: {}", path.display());
        assert!(
            !path.to_string_lossy().contains("/./"),
            "{name}: {}",
            path.display()
        );
    }
    assert_eq!(runbook.source.file, folder.join("data/app.db"));
    let rehearsed = cutover::runbook::rehearsal::of(&runbook).expect("a rehearsal");
    let own = cutover::runbook::rehearsal::own_folder(&runbook.rehearsal.unwrap().copy);
    for (name, path) in [("A2", "backup"), ("R6", "incident.md")] {
        let step = rehearsed.steps.iter().find_map(|s| match &s.kind {
            StepKind::Backup { to, .. } if s.id == name => Some(to.clone()),
            _ => None,
        });
        let row = rehearsed.rollback.iter().find_map(|r| match &r.kind {
            RollbackKind::Incident { file } if r.id == name => Some(file.clone()),
            _ => None,
        });
        assert_eq!(step.or(row), Some(own.join(path)));
    }
}
