//! What a shell completes, man pages, manuals and the table of keys: by the real binary, in a folder with a session.

use std::path::Path;
use std::process::{Command, Output};

use clap::{CommandFactory as _, Parser as _};
use cutover::cli::Cli;

use crate::report;
use crate::session::language::Bridge;
use crate::support;

fn cutover(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(support::cutover());
    command.args(args).current_dir(folder);
    command.output().expect("cutover")
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// What a Tab behind these words offers, as fish asks for it: a candidate a line.
fn offered(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut command = Command::new(support::cutover());
    command.args(["--", "cutover"]).args(words);
    command.env("CUTOVER_COMPLETE", "fish").current_dir(folder);
    let output = command.output().expect("cutover");
    assert!(output.status.success(), "{output:?}");
    said(&output).lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_sessions_gates_steps_rows_people_and_faults() {
    let folder = tempfile::tempdir().expect("a folder");
    let nothing = offered(folder.path(), &["sign", ""]);
    assert!(!nothing.iter().any(|c| c.starts_with('K')), "{nothing:?}");
    let bridge = Bridge::open();
    report::journal_below(&folder.path().join(".cutover"), &bridge.journal);
    let cases: [(&[&str], &str); 8] = [
        (&["docs", "ty"], "types\tWhat becomes of each type"),
        (&["sta"], "status\tWhere a session stands"),
        (&["status", "t"], "tonight"),
        (&["sign", "K5"], "K5\t"),
        (&["skip", "B"], "B1\t"),
        (&["retry", "--row", "R4"], "R4+\t"),
        (&["note", "--as", "r"], "robin\t"),
        (
            &["demo", "--fault", "5xx-"],
            "5xx-low\t0.7 % of requests fail on PostgreSQL",
        ),
    ];
    for (words, expected) in cases {
        let offered = offered(folder.path(), words);
        assert!(
            offered.iter().any(|line| line.starts_with(expected)),
            "{words:?}: {offered:?}"
        );
    }
}

#[test]
fn what_bash_reads_is_bash() {
    let folder = tempfile::tempdir().expect("a folder");
    let lines = folder.path().join("cutover.bash");
    let printed = cutover(folder.path(), &["completions", "bash"]);
    assert!(printed.status.success(), "{printed:?}");
    std::fs::write(&lines, &printed.stdout).expect("written");
    let ask = format!("source '{}' && complete -p cutover", lines.display());
    let bash = Command::new("bash")
        .args(["-c", &ask])
        .output()
        .expect("bash");
    assert!(bash.status.success(), "{bash:?}");
    assert!(said(&bash).contains("complete"), "{bash:?}");
    let unknown = cutover(folder.path(), &["completions", "dash"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

#[test]
fn every_command_has_its_man_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = cutover(folder.path(), &["man", "--out", "."]);
    assert!(written.status.success(), "{written:?}");
    let shown = Cli::command();
    for command in shown.get_subcommands().filter(|c| !c.is_hide_set()) {
        let page = folder
            .path()
            .join(format!("cutover-{}.1", command.get_name()));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|e| panic!("{page:?}: {e}"));
        assert!(text.contains(".SH SYNOPSIS"), "{text}");
    }
    let lost = cutover(folder.path(), &["man", "--out", "nowhere"]);
    let why = String::from_utf8_lossy(&lost.stderr).into_owned();
    assert_eq!(lost.status.code(), Some(1), "{why}");
    says!(why, "there is no such folder; nothing was written");
}

/// The words of a line as a shell has them; what goes elsewhere from there is none of `cutover`'s business.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            '|' | '>' if !quoted => break,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Holds the help of a command, and of those below it, to its examples; how many there are.
fn examples(command: &clap::Command, path: &str) -> usize {
    let path = format!("{path} {}", command.get_name());
    let help = command.clone().render_long_help().to_string();
    let (_, shown) = help
        .split_once("\nExamples:\n")
        .unwrap_or_else(|| panic!("`{path} --help` has no examples: {help}"));
    let lines = shown.lines().take_while(|line| !line.is_empty());
    let lines: Vec<&str> = lines.map(str::trim_start).collect();
    assert!(!lines.is_empty(), "{path}: {help}");
    for line in &lines {
        assert!(line.starts_with(path.as_str()), "{path}: {line}");
        let read = Cli::try_parse_from(words(line));
        assert!(read.is_ok(), "{line}: {:?}", read.err());
    }
    let below = command.get_subcommands().filter(|c| !c.is_hide_set());
    lines.len() + below.map(|c| examples(c, &path)).sum::<usize>()
}

#[test]
fn the_help_of_every_command_has_examples_that_it_takes() {
    let shown = Cli::command();
    let commands = shown.get_subcommands().filter(|c| !c.is_hide_set());
    let found: usize = commands.map(|c| examples(c, "cutover")).sum();
    assert!(found > 60, "{found} examples");
}

/// The command of these words.
fn below<'c>(command: &'c clap::Command, path: &[&str]) -> &'c clap::Command {
    path.iter().fold(command, |command, name| {
        let below = command.find_subcommand(name);
        below.unwrap_or_else(|| panic!("there is no {path:?}"))
    })
}

/// Whom somebody plays means something where something is done, and where a screen shows what somebody may do.
#[test]
fn only_commands_that_act_take_a_person_to_play() {
    let shown = Cli::command();
    let takes = |path: &[&str]| {
        let mut arguments = below(&shown, path).get_arguments();
        arguments.any(|argument| argument.get_long() == Some("as"))
    };
    let reading: [&[&str]; 7] = [
        &["status"],
        &["report"],
        &["replay"],
        &["watch"],
        &["salvage", "cost"],
        &["salvage", "show"],
        &["salvage", "apply"],
    ];
    for path in reading {
        assert!(!takes(path), "{path:?}");
        let line = [&["cutover"][..], path, &["--as", "robin"]].concat();
        assert!(Cli::try_parse_from(line).is_err(), "{path:?}");
        let help = below(&shown, path).clone().render_long_help().to_string();
        lacks!(help, "--as");
        assert!(help.contains("--dir"), "{path:?}: {help}");
    }
    let acting: [&[&str]; 6] = [
        &["note"],
        &["rollback"],
        &["join"],
        &["snapshot"],
        &["close"],
        &["salvage", "make"],
    ];
    assert!(acting.into_iter().all(takes));
}

/// Every manual that lies in `docs/` can be read without a browser.
#[test]
fn every_manual_is_listed_and_printed() {
    let folder = tempfile::tempdir().expect("a folder");
    let list = said(&cutover(folder.path(), &["docs"]));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for entry in std::fs::read_dir(docs).expect("docs").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|e| e != "md") {
            continue;
        }
        let name = path.file_stem().and_then(|s| s.to_str()).expect("a name");
        assert!(
            list.lines().any(|line| line.starts_with(name)),
            "{name}: {list}"
        );
        let text = std::fs::read_to_string(&path).expect("a manual");
        assert_eq!(said(&cutover(folder.path(), &["docs", name])), text);
    }
    let unknown = cutover(folder.path(), &["docs", "nothing"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}

/// `cutover keys` of somebody whose configuration says this.
fn keys(configuration: &str, args: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("cutover");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("config.toml"), configuration).expect("written");
    let mut command = Command::new(support::cutover());
    command.arg("keys").args(args);
    command.env("XDG_CONFIG_HOME", home.path());
    command.output().expect("cutover")
}

#[test]
fn the_table_of_keys_is_printed_with_what_was_configured() {
    let usual = keys("", &[]);
    assert!(usual.status.success(), "{usual:?}");
    let usual = said(&usual);
    says!(usual, "Drive the cutover\n  roll-back ");
    lacks!(usual, "(usually");
    let own = "theme = \"light\"\n[keys]\nhold = \"F8\"\n[filters]\nevents = \"gate_\"\n";
    let printed = said(&keys(own, &[]));
    says!(printed, "F8 (usually h)");
    says!(
        printed,
        "\nhold usually shares h with resume, which stays on it"
    );
    says!(printed, ": keys of 1 of ");
    says!(printed, " actions, theme light, filter of events “gate_”");
    let told: serde_json::Value =
        serde_json::from_str(&said(&keys(own, &["--json"]))).expect("JSON");
    assert_eq!(told["theme"], "light");
    assert_eq!(told["filters"]["events"], "gate_");
    let actions = told["actions"].as_array().expect("a list");
    let hold = actions.iter().find(|action| action["name"] == "hold");
    let hold = hold.expect("hold");
    assert_eq!(hold["keys"], serde_json::json!(["F8"]));
    assert_eq!(hold["usual_keys"], serde_json::json!(["h"]));
}

#[test]
fn a_configuration_that_is_wrong_is_told_with_every_place() {
    let wrong = keys(
        "[keys]\nhold = \"F5\"\nnote = \"F5\"\nrolback = \"F9\"\n",
        &[],
    );
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let why = String::from_utf8_lossy(&wrong.stderr).into_owned();
    says!(why, "config.toml:4: there is no action “rolback”");
    says!(why, "config.toml:3: F5 is given to note, and to hold at ");
    says!(why, "config.toml:2\n");
    says!(why, "has the usual keys");
    // Whoever mends it looks names up in the table.
    let table = said(&wrong);
    says!(table, "Drive the cutover\n  roll-back ");
    lacks!(table, "(usually");
}
