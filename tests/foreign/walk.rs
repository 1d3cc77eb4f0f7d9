//! README's walk through "On your own application": every command of that section is run in the library's folder, in the order in which it
//! stands there, and prints what README says that it prints.
//!
//! In README a `…` within a line stands for one word, and alone on a line for any number of lines; `# exit N` behind a command is the code
//! with which it ends. What a command prints is what it writes to its standard output, or, where that is nothing, to its standard error.
//! Lines of a `diff` are lines of the draft (`-`) and of the runbook that the operators make of it (`+`).
//!
//! Not in here: the rehearsal, which a night plays anyway (`night`) and holds to README by `says`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use super::application::python;
use super::bridge::Bridge;
use super::place::Place;
use super::runbook;

/// Read when a test runs.
static README: LazyLock<String> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    std::fs::read_to_string(file).expect("README.md")
});

/// What `night` runs.
pub(super) const REHEARSAL: &str = "cutover rehearse runbook.yaml";

/// What the operators do by hand: the draft becomes their runbook.
const EDIT: &str = "$EDITOR runbook.yaml";

/// A command in README, and what README says of it.
struct Shown {
    command: &'static str,
    exit: i32,
    lines: Vec<&'static str>,
}

impl Shown {
    fn typed(line: &'static str) -> Shown {
        let (command, exit) = match line.split_once("# exit ") {
            None => (line, 0),
            Some((command, rest)) => {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
                let exit = digits.and_then(|digits| digits.parse().ok());
                (command, exit.expect("an exit code"))
            }
        };
        Shown {
            command: command.trim_end(),
            exit,
            lines: Vec::new(),
        }
    }

    fn assert_printed(&self, printed: &str) {
        let lines: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
        assert!(
            agrees(&self.lines, &lines),
            "`{}` does not print what README says:\n{}\n\nIt prints:\n{printed}",
            self.command,
            self.lines.join("\n")
        );
    }
}

fn section() -> &'static str {
    let begin = README.split_once("\n## On your own application\n");
    let (_, rest) = begin.expect("the section");
    let (section, _) = rest.split_once("\n## ").expect("another section");
    section
}

/// The blocks of the section in this language, without the indentation of the fence.
fn blocks(language: &str) -> Vec<Vec<&'static str>> {
    let opening = format!("```{language}");
    let mut blocks = Vec::new();
    let mut lines = section().lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix(opening.as_str()) else {
            continue;
        };
        let inside = lines.by_ref();
        let block = inside.map(|line| line.strip_prefix(indent).unwrap_or(line));
        blocks.push(block.take_while(|line| *line != "```").collect());
    }
    blocks
}

fn commands() -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in blocks("console").into_iter().flatten() {
        match line.strip_prefix("$ ") {
            Some(typed) => commands.push(Shown::typed(typed)),
            None => {
                let command = commands.last_mut().expect("a command before its output");
                command.lines.push(line.trim_end());
            }
        }
    }
    commands
}

/// Whether the lines are what is shown; an `…` alone stands for any number of them.
fn agrees(shown: &[&str], lines: &[&str]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return lines.is_empty();
    };
    if *first == "…" {
        return (0..=lines.len()).any(|skipped| agrees(rest, &lines[skipped..]));
    }
    let next = lines.split_first();
    next.is_some_and(|(line, others)| is_shown(first, line) && agrees(rest, others))
}

/// Whether the line is what is shown; an `…` stands for characters that are no blanks, one at least.
fn is_shown(shown: &str, line: &str) -> bool {
    let Some((before, after)) = shown.split_once('…') else {
        return shown == line;
    };
    line.strip_prefix(before).is_some_and(|rest| {
        let word = rest.find(' ').unwrap_or(rest.len());
        let mut ends = (1..=word).filter(|end| rest.is_char_boundary(*end));
        ends.any(|end| is_shown(after, &rest[end..]))
    })
}

/// A line of the text has what stands between the `…` of the shown one, in that order.
fn has_line(text: &str, shown: &str) -> bool {
    text.lines().any(|line| {
        let mut rest = Some(line);
        for part in shown.trim().split('…') {
            rest = rest.and_then(|rest| rest.split_once(part).map(|(_, after)| after));
        }
        rest.is_some()
    })
}

/// README says of this command what it has printed.
pub(super) fn says(command: &str, printed: &str) {
    let shown = commands().into_iter().find(|c| c.command == command);
    let shown = shown.unwrap_or_else(|| panic!("README has no `{command}`"));
    shown.assert_printed(printed);
}

/// The draft becomes the operators' runbook, and README shows lines of both.
fn edit(place: &Place, bridge: &Bridge) {
    let draft = place.runbook();
    place.write_runbook(&runbook::filled(&draft, bridge));
    let filled = place.runbook();
    let shown: Vec<&str> = blocks("diff").into_iter().flatten().collect();
    assert!(!shown.is_empty(), "README shows no edits");
    for line in shown {
        let (text, line) = match (line.strip_prefix('-'), line.strip_prefix('+')) {
            (Some(line), _) => (&draft, line),
            (None, Some(line)) => (&filled, line),
            (None, None) => (&filled, line),
        };
        assert!(has_line(text, line), "README shows {line:?}:\n{text}");
    }
}

/// What a shell of the release manager has: programs, the addresses of both databases, and their password beside them.
fn environment(place: &Place) -> Vec<(String, String)> {
    let programs = [place.dir().join("bin"), folder_of_python()];
    let mut path = programs.map(|p| p.display().to_string()).join(":");
    path.push(':');
    path.push_str(&std::env::var("PATH").expect("a PATH"));
    let without_password = |(name, value): (String, String)| {
        let value = value.replace(":of-the-library@", "@");
        (name, value)
    };
    let values = runbook::environment(place).into_iter();
    let mut environment: Vec<(String, String)> = values.map(without_password).collect();
    for (name, value) in [
        ("PATH", path.as_str()),
        ("PGPASSWORD", "of-the-library"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ] {
        environment.push((name.to_owned(), value.to_owned()));
    }
    environment
}

fn folder_of_python() -> std::path::PathBuf {
    let folder = python().parent().expect("a folder");
    folder.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_readmes_walk_prints_what_readme_says() {
    let place = Place::make(60).await;
    place.application.start().await;
    let bridge = Bridge::in_folder(place.dir(), std::collections::BTreeMap::new());
    let environment = environment(&place);
    let commands = commands();
    for once in [EDIT, REHEARSAL] {
        let times = commands.iter().filter(|c| c.command == once).count();
        assert_eq!(times, 1, "{once}");
    }
    for shown in commands {
        match shown.command {
            EDIT => edit(&place, &bridge),
            REHEARSAL => {}
            command => {
                let mut shell = Command::new("sh");
                shell.args(["-c", command]).current_dir(place.dir());
                shell.envs(environment.clone()).stdin(Stdio::null());
                let output = shell.output().expect("sh");
                let [out, err] = [output.stdout, output.stderr]
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let code = output.status.code();
                assert_eq!(code, Some(shown.exit), "`{command}`:\n{out}{err}");
                shown.assert_printed(if out.is_empty() { &err } else { &out });
            }
        }
    }
}

#[test]
fn what_readme_leaves_open_is_no_more_than_a_word_or_whole_lines() {
    assert!(is_shown("… rows in … s", "12 rows in 0.3 s"));
    assert!(!is_shown("… rows in … s", "12 or 13 rows in 0.3 s"));
    assert!(!is_shown("… rows", " rows"));
    assert!(is_shown("wrote …/a.db.", "wrote /tmp/x/a.db."));
    assert!(agrees(&["a", "…", "d"], &["a", "b", "c", "d"]));
    assert!(agrees(&["a", "…", "d"], &["a", "d"]));
    assert!(!agrees(&["a", "…", "d"], &["a", "d", "e"]));
    assert!(!agrees(&["a", "d"], &["a", "b", "d"]));
    assert!(has_line("x\n  key: 1 # why\n", "key: … # why"));
    assert!(!has_line("x\n  key: 1\n# why\n", "key: … # why"));
}
