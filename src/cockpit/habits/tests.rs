//! A person's configuration: what it may say, what it may not, and where it may lie.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::cockpit::actions::{Do, called};
use crate::cockpit::model::ui::Focus;

fn read_from(text: &str) -> Result<Habits, Vec<String>> {
    let found = read::habits(Path::new("/home/robin/config.toml"), text);
    found.map_err(|all| all.iter().map(Problem::to_string).collect())
}

fn problems(text: &str) -> Vec<String> {
    read_from(text).expect_err("something is wrong")
}

#[test]
fn looks_keys_and_filters_are_read() {
    let text = "theme = \"gruvbox\"\nglyphs = \"ascii\"\nmouse = false\n[keys]\nroll-back = \"F9\"\npage-down = [\"PgDn\", \"^D\"]\n\
        [filters]\nevents = \"gate_ dan\"\n";
    let habits = read_from(text).expect("sound");
    assert_eq!(habits.theme.as_deref(), Some("gruvbox"));
    assert_eq!(habits.glyphs.as_deref(), Some("ascii"));
    assert_eq!(habits.mouse, Some(false));
    assert_eq!(habits.keys.shown(Do::RollBack), "F9");
    let down = called("page-down").expect("an action");
    let down: Vec<_> = habits.keys.of(down).iter().map(|k| k.shown()).collect();
    assert_eq!(down, ["PgDn", "^D"]);
    assert_eq!(habits.filters.of(Focus::Events), "gate_ dan");
    assert_eq!(habits.filters.of(Focus::Gates), "");
    assert_eq!(read_from(""), Ok(Habits::default()));
}

#[test]
fn two_actions_with_one_key_are_told_with_both_places() {
    assert_eq!(
        problems("[keys]\nhold = \"F5\"\n\nnote = [\"n\", \"F5\"]\n"),
        [
            "/home/robin/config.toml:4: F5 is given to note, and to hold at /home/robin/config.toml:2"
        ]
    );
    let told = problems("[keys]\nhold = \"n\"\n");
    assert_eq!(told.len(), 1, "{told:?}");
    let whole = "/home/robin/config.toml:2: n is given to hold, and is the usual key of note (the table that `cutover keys` prints): one of \
                 the two needs another key here";
    assert_eq!(told[0], whole);
    // Some keys never become free.
    for text in [
        "[keys]\nnote = \"Esc\"\n",
        "[keys]\nnote = \"Esc\"\nback = \"X\"\n",
    ] {
        let whole = "/home/robin/config.toml:2: Esc stays with back, whatever is configured: give note another key";
        assert_eq!(problems(text), [whole]);
    }
    // A key that has become free may be given away.
    let moved = read_from("[keys]\nhold = \"n\"\nnote = \"N\"\n").expect("sound");
    assert_eq!(moved.keys.shown(Do::Hold), "n");
    let told = problems("[keys]\nhold = \"H\"\nhold = \"F5\"\n");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("/home/robin/config.toml:3: "),
        "{told:?}"
    );
    assert!(
        told[0].contains("it is at /home/robin/config.toml:2 already"),
        "{told:?}"
    );
}

#[test]
fn an_unknown_name_lists_the_nearest_and_every_problem_is_told() {
    let told = problems(
        "them = \"light\"\nmouse = \"off\"\n[keys]\nrolback = \"F9\"\nhold = \"Ctrl-1\"\nnote = 7\n[filters]\nstep = \"x\"\n",
    );
    for (line, part) in [
        (
            1,
            "there is no setting “them”; there are theme, glyphs, mouse, keys, filters",
        ),
        (2, "mouse is true or false"),
        (
            4,
            "there is no action “rolback”; the nearest are roll-back, ",
        ),
        (5, "hold: “Ctrl-1” is no key"),
        (6, "note is a key in quotes, or a list of such"),
        (8, "there is no list “step”; there are "),
    ] {
        let place = format!("/home/robin/config.toml:{line}: ");
        let found = told
            .iter()
            .any(|t| t.starts_with(&place) && t.contains(part));
        assert!(found, "{place}{part}: {told:#?}");
    }
    assert_eq!(told.len(), 6, "{told:#?}");
    // In the order in which they stand in the file.
    let lines = told
        .iter()
        .filter_map(|t| t.split(':').nth(1)?.parse::<usize>().ok());
    let lines: Vec<usize> = lines.collect();
    assert_eq!(lines, [1, 2, 4, 5, 6, 8]);
}

#[test]
fn what_would_be_unsafe_or_nothing_is_refused() {
    for (text, part) in [
        (
            "[keys]\nroll-back = \"Enter\"\n",
            ":2: roll-back takes a letter",
        ),
        ("[keys]\nroll-back = []\n", ":2: roll-back needs a key"),
        ("theme = \"grubox\"\n", ":1: there is no theme “grubox”"),
        (
            "theme = \"mine.toml\"\n",
            ":1: cannot read the theme /home/robin/mine.toml",
        ),
        ("glyphs = \"emoji\"\n", ":1: "),
        ("keys = 3\n", ":1: keys is a table"),
        ("[filters]\ngates = \"a\\nb\"\n", ":2: a filter is a line"),
        ("mouse =", "config.toml:"),
    ] {
        let told = problems(text);
        assert!(told[0].contains(part), "{text}: {told:?}");
    }
}

#[test]
fn it_lies_where_the_specification_says() {
    let at = |config: Option<&str>, home: Option<&str>| {
        path(|name| match name {
            "XDG_CONFIG_HOME" => config.map(OsString::from),
            _ => home.map(OsString::from),
        })
    };
    let below = |folder: &str| Some(PathBuf::from(folder).join("cutover/config.toml"));
    assert_eq!(
        at(Some("/etc/mine"), Some("/home/robin")),
        below("/etc/mine")
    );
    assert_eq!(
        at(Some("mine"), Some("/home/robin")),
        below("/home/robin/.config")
    );
    assert_eq!(
        at(Some(""), Some("/home/robin")),
        below("/home/robin/.config")
    );
    assert_eq!(at(None, None), None);
}

#[test]
fn only_a_file_of_ones_own_and_of_some_size_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    assert_eq!(load(&file), Ok(Habits::default()), "there is none");
    std::fs::write(&file, "mouse = false\n").expect("written");
    assert_eq!(load(&file).map(|habits| habits.mouse), Ok(Some(false)));
    let refused = |file: &Path, part: &str| {
        let told = load(file).expect_err(part);
        assert!(told[0].why.contains(part), "{told:?}");
    };
    let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode));
    mode(0o666).expect("a mode");
    refused(&file, "anybody can write it");
    mode(0o644).expect("a mode");
    std::fs::write(&file, "#".repeat(70_000)).expect("written");
    refused(&file, "more than 65536 bytes");
    std::fs::write(&file, b"theme = \"\xff\"\n").expect("written");
    refused(&file, "it is not read");
    refused(folder.path(), "no regular file");
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo").success());
    refused(&pipe, "it is a pipe");
}
