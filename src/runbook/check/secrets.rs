//! Values that must not be shown: that they can be hidden, that all of them are listed, and that no process list shows them.

use super::Check;
use crate::runbook::reader::Reader;
use crate::secret::{MIN_BYTES, has_password};

pub(super) fn check(check: &mut Check<'_, '_, '_>) {
    in_the_process_list(check);
    shown_anyway(check);
    let unused: Vec<String> = check
        .reader
        .secrets
        .iter()
        .filter(|name| !check.reader.resolved.contains_key(*name))
        .cloned()
        .collect();
    for name in unused {
        let found = format!("`{name}`, which nothing refers to");
        check.warn("secrets", "names that are used", &found, None);
    }
    let open: Vec<String> = check
        .reader
        .resolved
        .iter()
        .filter(|(name, value)| {
            let value = value.as_deref().unwrap_or_default();
            !check.reader.secrets.contains(*name) && has_password(value)
        })
        .map(|(name, _)| name.clone())
        .collect();
    for name in open {
        let expected = format!("`{name}` in this list");
        let found = "a password in its value";
        let hint = "what is not listed here may be shown, and enters the runbook's hash".to_owned();
        check.warn("secrets", &expected, found, Some(hint));
    }
    for (path, found) in check.reader.passwords_written() {
        let hint = "take it from the environment: ${NAME}, with NAME under `secrets`".to_owned();
        check.warn(&path, "no password in this file", &found, Some(hint));
    }
}

/// Hiding a value of a few characters would eat every text around it.
pub(super) fn too_short(reader: &mut Reader<'_>) {
    let listed: Vec<(String, String, usize)> = reader
        .listed_at
        .iter()
        .filter_map(|(name, path)| {
            let value = reader.resolved.get(name)?.as_ref()?;
            Some((name.clone(), path.clone(), value.trim().len()))
        })
        .collect();
    for (name, path, length) in listed.into_iter().filter(|(.., n)| *n < MIN_BYTES) {
        let found = match length {
            0 => format!("an empty value for ${{{name}}}"),
            n => format!("{n} characters for ${{{name}}}"),
        };
        let expected = format!("a secret of {MIN_BYTES} characters or more");
        let hint = "a shorter one cannot be hidden without hiding the text around it: give it a longer value, or take it off this list"
            .to_owned();
        let place = reader.place(&path);
        reader.problem(place, &path, &expected, &found, Some(hint));
    }
}

/// A command line can be read by every user of the machine while it runs.
fn in_the_process_list(check: &mut Check<'_, '_, '_>) {
    let is_command_line = |path: &str| {
        let last = path.rsplit_once('.').map_or(path, |(_, last)| last);
        last == "shell" || last == "command" || last.starts_with("command[")
    };
    let mut uses = check.reader.uses.clone();
    uses.sort();
    uses.dedup();
    for (path, name) in uses.into_iter().filter(|(path, _)| is_command_line(path)) {
        let found = format!("${{{name}}}, which the process list shows to everybody while it runs");
        let hint = format!(
            "hand it over by `env: {{ SOME_NAME: \"${{{name}}}\" }}` or by `stdin: \"${{{name}}}\"`"
        );
        let expected = "no secret on a command line";
        check.warn(&path, expected, &found, Some(hint));
    }
}

/// A secret that is a word of this file is known to whoever reads the file, and is hidden wherever it is shown.
fn shown_anyway(check: &mut Check<'_, '_, '_>) {
    let shown: Vec<(String, String)> = check
        .reader
        .listed_at
        .iter()
        .filter(|(name, _)| {
            let value = check.reader.resolved.get(*name).and_then(Option::as_ref);
            value.is_some_and(|value| check.plain.contains(value))
        })
        .map(|(name, path)| (name.clone(), path.clone()))
        .collect();
    for (name, path) in shown {
        let found = format!("the value of ${{{name}}}, as it is, elsewhere in this file");
        let hint = format!("other texts will show ${{{name}}} wherever they hold it");
        let expected = "secrets that this file does not show";
        check.warn(&path, expected, &found, Some(hint));
    }
}
