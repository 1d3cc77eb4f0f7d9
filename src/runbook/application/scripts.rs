//! Scripts with which operators start and stop instances: how such a script restarts one, and where an instance logs to. By the text alone;
//! nothing is run. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::File;

/// An arm of a shell's `case` for the word.
static RESTART: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^\s*\(?([\w|-]+)\)").expect("BUG: a constant pattern"));
/// Where a server is told to log.
static LOG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:--log-file|--error-logfile|--log-path|2?>>)[= ]\s*["']?([^\s"']+\.log)["']?"#)
        .expect("BUG: a constant pattern")
});
/// An instance's name as a variable of a script.
const VARIABLES: [&str; 8] = [
    "${instance}",
    "$instance",
    "${INSTANCE}",
    "$INSTANCE",
    "${name}",
    "$name",
    "${slot}",
    "$slot",
];
/// The folder of the application, as a script knows it.
const FOLDERS: [&str; 4] = ["$PWD/", "${PWD}/", "$(pwd)/", "./"];

/// Something that a script tells, and the line counted from 1.
pub type Told = (String, usize);

/// The line at which a script takes the word `restart`, where it also takes an instance.
pub fn restarts(file: &File) -> Option<usize> {
    if !file.text.starts_with("#!") || !names_an_instance(&file.text) {
        return None;
    }
    let mut lines = file.text.lines().enumerate();
    let hit = lines.find(|(_, line)| {
        let arm = RESTART.captures(line);
        arm.is_some_and(|arm| arm[1].split('|').any(|word| word == "restart"))
    });
    hit.map(|(n, _)| n + 1)
}

fn names_an_instance(text: &str) -> bool {
    VARIABLES.iter().any(|variable| text.contains(variable))
}

/// The file that an instance logs to, with `{instance}` in its path.
pub fn log(file: &File) -> Option<Told> {
    for (n, line) in file.text.lines().enumerate() {
        let Some(hit) = LOG.captures(line) else {
            continue;
        };
        let mut path = hit[1].to_owned();
        for variable in VARIABLES {
            path = path.replace(variable, "{instance}");
        }
        for folder in FOLDERS {
            path = path.strip_prefix(folder).unwrap_or(&path).to_owned();
        }
        if !path.contains('$') && path.contains("{instance}") {
            return Some((path, n + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_tells_how_it_restarts_and_where_it_logs() {
        let text = "#!/bin/sh\ninstance=$2\ncase $1 in\n    start) gunicorn --log-file \"$PWD/run/$instance.log\" ;;\n    stop|restart) stop; start ;;\nesac\n";
        let mut file = File {
            path: "bin/app".to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(restarts(&file), Some(5));
        assert_eq!(log(&file), Some(("run/{instance}.log".to_owned(), 4)));
        file.text = text.replace("instance", "where_to");
        assert_eq!(restarts(&file), None);
        assert_eq!(log(&file), None);
    }
}
