//! How maintenance is switched on and off, asked: by a file, or by a program. Not in here: doing it (`action`).

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Asker, Question, command, text};
use crate::runbook::draft::known::{Found, Known};
use crate::text::printable;

pub(super) fn ask(asker: &mut Asker<'_>, known: &mut Known, name: &str) -> anyhow::Result<()> {
    let default = format!("/srv/{name}/maintenance");
    let question = Question {
        what: "How is maintenance switched on? A file that is there meanwhile, or a program with arguments",
        why: "A1 stops writes by it",
        default: &default,
    };
    let (on, is_program) = asker.ask(&question, switched_on)?;
    known.maintenance = Some(match is_program {
        false => {
            let file = Found::text(&on, "").yaml;
            let action = |yaml: String| Found {
                yaml,
                at: String::new(),
            };
            (
                action(format!("{{ write_file: {file}, content: cutover }}")),
                action(format!("{{ remove_file: {file} }}")),
            )
        }
        true => {
            let default = off_for(&on);
            let on = Found::command(on.split_whitespace(), "");
            let question = Question {
                what: "And off? A program with arguments",
                why: "F4 lets writes in again by it, and so does a rollback",
                default: &default,
            };
            let off = asker.ask(&question, |answer| match command(answer) {
                Ok(off) if off == on => Err("this is what switches it on".to_owned()),
                other => other,
            })?;
            (of_command(&on), of_command(&off))
        }
    });
    Ok(())
}

/// A file that is there during maintenance alone, or a program. What is there already is never taken for such a file: A1 would write over it, and F4
/// remove it.
fn switched_on(answer: &str) -> Result<(String, bool), String> {
    let answer = text(answer)?;
    if answer.contains(char::is_whitespace) {
        return Ok((answer, true));
    }
    match std::fs::metadata(Path::new(&answer)) {
        Ok(there) if there.is_file() && there.permissions().mode() & 0o111 != 0 => {
            Ok((answer, true))
        }
        Ok(_) => Err(format!(
            "{} is there already: a file is expected that is there during maintenance alone",
            printable(&answer, 80)
        )),
        Err(_) => Ok((answer, false)),
    }
}

/// The command with `off` where the other has `on`; empty where nothing tells.
fn off_for(on: &str) -> String {
    let words = on.split_whitespace();
    let off: Vec<&str> = words
        .clone()
        .map(|word| if word == "on" { "off" } else { word })
        .collect();
    match off.iter().copied().eq(words) {
        true => String::new(),
        false => off.join(" "),
    }
}

fn of_command(command: &Found) -> Found {
    Found {
        yaml: format!("{{ command: {} }}", command.yaml),
        at: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_is_known_where_on_is_a_word_of_its_own() {
        assert_eq!(
            off_for("bin/maintenance  on --now"),
            "bin/maintenance off --now"
        );
        assert_eq!(off_for("bin/maintain"), "");
    }

    #[test]
    fn what_is_there_is_no_file_of_maintenance() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let name = path.to_str().expect("UTF-8");
        assert_eq!(switched_on(name), Ok((name.to_owned(), false)));
        std::fs::write(&path, "").expect("a file");
        assert!(switched_on(name).is_err());
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a mode");
        assert_eq!(switched_on(name), Ok((name.to_owned(), true)));
        assert!(switched_on("").is_err());
        assert_eq!(switched_on("a on"), Ok(("a on".to_owned(), true)));
    }
}
