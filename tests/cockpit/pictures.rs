//! The pictures and keys of README and the manuals are those of the program: each picture is drawn again from a night that is told in here,
//! and each key is looked up in the table.
//!
//! `scripts/pictures.sh` writes what has changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cutover::cockpit::actions::{ACTIONS, Action, Group};
use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::news::News;
use cutover::cockpit::replay::Tape;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::Theme;
use cutover::session::live::InstanceState::Ready;
use cutover::session::live::{DetailView, Presence};

use super::keys::press;
use super::states;
use super::story::beside::{checklist, fleet};
use super::story::{MINUTE, Story};

/// Set by `scripts/pictures.sh`: write instead of compare.
const WRITE: &str = "CUTOVER_WRITE_PICTURES";

const SIZE: (u16, u16) = (120, 40);

const MANUALS: [&str; 3] = ["docs/release-manager.md", "docs/dba.md", "docs/qa.md"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every picture, by its name without `.svg`.
fn pictures() -> Vec<(&'static str, Model)> {
    let viewed = |mut model: Model, view: View| {
        model.ui.view = view;
        model
    };
    let typed = |mut model: Model, keys: &str| {
        press(&mut model, keys);
        model
    };
    vec![
        ("bridge", states::burning()),
        ("countdown", states::fired()),
        ("waiting", states::half_signed()),
        ("rollback-costs", viewed(states::burning(), View::Rollback)),
        (
            "rolling-back",
            viewed(states::rolling_back(), View::Rollback),
        ),
        ("replay", replay()),
        ("dba-sign", typed(at_gate("B1", "dan"), " ")),
        ("import", viewed(states::importing(), View::Steps)),
        ("pool", viewed(pool(), View::Pool)),
        ("comparison", viewed(states::comparing(), View::Steps)),
        ("qa-sign", typed(at_gate("F1", "quinn"), " ")),
        ("traffic", viewed(states::burning(), View::Traffic)),
    ]
}

/// Before this step, at the terminal of somebody who is asked for a signature.
fn at_gate(step: &str, who: &str) -> Model {
    let mut story = Story::begin();
    story.pass(2_000).reach(step).pass(20_000);
    let mut model = story.seen_by(who);
    model.take(News {
        samples: story.traffic(1.0),
        fleet: Some(fleet("Postgres", &[Ready; 6])),
        presence: Some(present(&story, who)),
        ..News::default()
    });
    model
}

/// Who is on the bridge, this person among them.
fn present(story: &Story, who: &str) -> Vec<Presence> {
    let mut all = story.presence(story.at_ms);
    if all.iter().all(|p| p.person != who) {
        all.push(Presence {
            person: who.to_owned(),
            roles: story.actor(who).roles,
            view: "Pool".to_owned(),
            seen_ms: story.at_ms - 1_000,
        });
    }
    all
}

fn pool() -> Model {
    let mut story = Story::begin();
    story.pass(2_000).reach("G1").pass(1_000).start();
    story.pass(10 * MINUTE);
    let mut model = story.seen_by("dan");
    let lines = [
        "clients: tools 41, cutover 3, psql 1",
        "waiting for: Lock transactionid 2, Client ClientRead 31",
        "pid 5121 has waited 0:08 for pid 5077, idle in transaction: UPDATE \"ToolContents\" SET \"Title\" = $1",
        "server: max_connections 100, 3 of them reserved; ssl on",
        "time-outs of tools: statement 30 s, lock none, idle in transaction 60 s, idle none",
    ];
    model.take(News {
        samples: story.traffic(1.0),
        fleet: Some(fleet("Postgres", &[Ready; 6])),
        checklist: Some(checklist(None)),
        cost: Some(states::cost(story.at_ms)),
        feed: Some(states::feed(story.at_ms)),
        presence: Some(present(&story, "dan")),
        details: Some(vec![DetailView {
            topic: "database".to_owned(),
            lines: lines.map(str::to_owned).to_vec(),
        }]),
        ..News::default()
    });
    states::carry(&mut model, &story, 6);
    model
}

fn replay() -> Model {
    let mut story = states::fired_story();
    let samples = story.traffic(2.3);
    story.pass(30_000).roll_back_to("the end").pass(60_000);
    let mut tape = Tape::default();
    tape.extend(News {
        entries: story.entries,
        samples,
        ..News::default()
    });
    let zone = chrono::FixedOffset::east_opt(2 * 3_600).expect("a zone");
    let mut model = Model::replay(tape, zone).expect("a session");
    press(&mut model, ">");
    model.seek(model.now_ms + 6 * MINUTE);
    press(&mut model, "++ ");
    model
}

/// Holds a file to what it must be, or writes it.
#[track_caller]
fn hold(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, wanted).expect("written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is not what the program shows: scripts/pictures.sh writes it again; look at it before it is committed"
    );
}

#[test]
fn pictures_show_what_the_screen_shows() {
    for (name, model) in pictures() {
        let picture = snapshot::svg(&model, &Theme::standard(), SIZE.0, SIZE.1);
        hold(&format!("docs/pictures/{name}.svg"), &picture);
    }
}

#[test]
fn every_picture_is_drawn_here_and_shown_somewhere() {
    let drawn: BTreeSet<String> = pictures().iter().map(|(n, _)| (*n).to_owned()).collect();
    let files = std::fs::read_dir(root().join("docs/pictures")).expect("a folder");
    let files = files.map(|f| f.expect("a file").path());
    let stem = |p: &Path| {
        p.file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let kept: BTreeSet<String> = files.map(|p| stem(&p)).collect();
    assert_eq!(drawn, kept);
    let mut shown = BTreeSet::new();
    for (page, from) in MANUALS
        .iter()
        .map(|m| (*m, "pictures/"))
        .chain([("README.md", "docs/pictures/")])
    {
        let text = read(page);
        for part in text.split(&format!("]({from}")).skip(1) {
            let name = part.split(".svg)").next().expect("a name");
            assert!(
                drawn.contains(name),
                "{page} shows {name}, which nothing draws"
            );
            shown.insert(name.to_owned());
        }
    }
    assert_eq!(drawn, shown, "drawn, and shown nowhere");
}

/// It plays as an image on a page, so it may run nothing and load nothing; and nobody has to wait for it.
#[test]
fn the_moving_picture_is_small_runs_nothing_and_names_no_machine() {
    assert!(read("README.md").contains("](docs/night/night.svg)"));
    let (picture, cast) = (read("docs/night/night.svg"), read("docs/night/night.cast"));
    assert!(picture.len() < 400_000 && cast.len() < 300_000);
    for asks in [
        "<script",
        "<image",
        "<foreignObject",
        "href=",
        "url(",
        "@import",
    ] {
        assert!(!picture.contains(asks), "{asks}");
    }
    for place in ["/home/", "/root", "/Users/"] {
        assert!(!picture.contains(place) && !cast.contains(place), "{place}");
    }
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|e| panic!("{page}: {e}"))
}

/// What stands between `<kbd>` and `</kbd>`.
fn keys_in(text: &str) -> impl Iterator<Item = &str> {
    text.split("<kbd>").skip(1).map(|rest| {
        let (key, _) = rest.split_once("</kbd>").expect("closed");
        key
    })
}

fn has_key(action: &Action, key: &str) -> bool {
    // As HTML writes them.
    let key = key.replace("&lt;", "<").replace("&gt;", ">");
    action.keys.iter().any(|k| k.shown() == key)
}

#[test]
fn every_key_of_the_manuals_is_in_the_table_under_its_name() {
    for page in MANUALS {
        let text = read(page);
        let mut keys = 0;
        for key in keys_in(&text) {
            assert!(ACTIONS.iter().any(|a| has_key(a, key)), "{page}: {key}");
            keys += 1;
        }
        assert!(keys > 10, "{page} names {keys} keys");
        // | <kbd>Space</kbd> | sign | … |
        let rows = text.lines().filter(|l| l.starts_with("| <kbd>"));
        let mut named = 0;
        for row in rows {
            let label = row.split('|').nth(2).expect("a label").trim();
            for key in keys_in(row) {
                let is_it = |a: &&Action| has_key(a, key) && a.label == label;
                assert!(
                    ACTIONS.iter().any(|a| is_it(&a)),
                    "{page}: {key} is not {label:?}"
                );
                named += 1;
            }
        }
        assert!(named > 5, "{page} has a table of {named} keys");
    }
}

#[test]
fn the_list_of_keys_is_that_of_the_table() {
    let mut page = String::from(
        "# Every key of the cockpit\n\nWritten by `scripts/pictures.sh` from the table that the program itself obeys. A key that does nothing now says why. \
         `?` shows this list on the screen, `:` searches it, `cutover keys` prints it.\n\n\
         The last column is the name by which `~/.config/cutover/config.toml` (or `$XDG_CONFIG_HOME/cutover/config.toml`) gives an action other \
         keys, for all cockpits of whoever it belongs to; screen and `cutover keys` name those then. `cutover keys --help` shows such a file. Two \
         actions that would both be meant by a key are refused, with both places. Esc, ^C, ^L and ^Z stay where they are. A file in which \
         anything is wrong changes nothing: a cockpit says so and opens as usual, `cutover keys` tells all of it.\n",
    );
    for group in Group::ALL {
        let _ = write!(
            page,
            "\n## {}\n\n| keys | | | name |\n|---|---|---|---|\n",
            group.title()
        );
        for action in ACTIONS.iter().filter(|a| a.group == group) {
            let keys: Vec<_> = action.keys.iter().map(|k| k.shown()).collect();
            let html =
                |k: &String| format!("<kbd>{}</kbd>", k.replace('<', "&lt;").replace('>', "&gt;"));
            let keys: Vec<_> = keys.iter().map(html).collect();
            let _ = writeln!(
                page,
                "| {} | {} | {} | `{}` |",
                keys.join(" "),
                action.label,
                action.help,
                action.name
            );
        }
    }
    hold("docs/keys.md", &page);
}
