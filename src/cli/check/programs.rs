//! Whether what a runbook runs is there: programs found and executable, without running any.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::postgres::Finding;
use crate::runbook::action::{Effect, Rehearse};
use crate::runbook::{Action, Runbook};
use crate::text::printable;

/// One finding per program that the runbook names.
pub(super) fn examine(runbook: &Runbook, folder: &Path, path: Option<&OsStr>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    runbook
        .actions()
        .iter()
        .flat_map(|(_, action)| programs(action))
        .filter(|program| seen.insert(program.clone()))
        .map(|program| {
            let name = format!("program {}", printable(&program, 120));
            match find(&program, folder, path) {
                Ok(found) => Finding::required(name, true, found.display().to_string()),
                Err(why) => Finding::required(name, false, why),
            }
        })
        .collect()
}

/// The programs of an action, and of what a rehearsal does in its place.
fn programs(action: &Action) -> Vec<String> {
    let instead = match &action.rehearse {
        Rehearse::Instead(other) => program(other),
        Rehearse::IfItFollows | Rehearse::Same | Rehearse::Never(_) => None,
    };
    program(action).into_iter().chain(instead).collect()
}

fn program(action: &Action) -> Option<String> {
    match &action.effect {
        Effect::Command { argv } => argv.first().filter(|p| !p.contains('{')).cloned(),
        Effect::Shell { .. } => Some("/bin/sh".into()),
        Effect::Http { .. } | Effect::WriteFile { .. } | Effect::RemoveFile { .. } => None,
    }
}

/// Where a program is; looked up in `PATH` unless it holds a slash.
fn find(program: &str, folder: &Path, path: Option<&OsStr>) -> Result<PathBuf, String> {
    if program.contains('/') {
        let at = folder.join(program);
        return match executable(&at) {
            Some(true) => Ok(at),
            Some(false) => Err(format!("{} is not executable: chmod +x", at.display())),
            None => Err(format!("{} is not there", at.display())),
        };
    }
    std::env::split_paths(path.unwrap_or_default())
        .map(|dir| dir.join(program))
        .find(|at| executable(at) == Some(true))
        .ok_or_else(|| "not found in PATH".to_owned())
}

/// Whether a file may be executed by anybody; `None` where there is no file.
fn executable(path: &Path) -> Option<bool> {
    let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_up_as_the_shell_would() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = folder.path().join("deploy");
        std::fs::write(&script, "#!/bin/sh\n").expect("written");
        let path = Some(folder.path().as_os_str());
        assert!(find("deploy", Path::new("/"), path).is_err());
        let why = find("./deploy", folder.path(), None).expect_err("not executable");
        assert!(why.contains("chmod"), "{why}");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&script, mode).expect("mode");
        assert_eq!(find("deploy", Path::new("/"), path), Ok(script));
        assert!(find("./deploy", folder.path(), None).is_ok());
        assert!(find("nothing", folder.path(), path).is_err());
    }
}
