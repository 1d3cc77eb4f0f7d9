//! Foreign text that wants to do more than be read: in every field that comes from outside, on every view.

use chrono::FixedOffset;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::model::{Model, Seat};
use cutover::cockpit::news::{Engine, News};
use cutover::cockpit::theme::Theme;
use cutover::cockpit::update::{Message, update};
use cutover::cockpit::{Fault, snapshot};
use cutover::journal::Progress;
use cutover::session::live::InstanceState::{NotReady, Ready, Restarting, Unknown};
use cutover::session::live::{
    ClientView, ClientsView, ComparedTable, DetailView, LoadView, LoadsView, ParityView, PlanView,
    PlannedColumn, PlannedTable,
};
use cutover::session::{Command, Outcome, Recorded, TriggerPhase};
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::keys::press;
use super::states;
use super::story::beside::{checklist, fleet, fuse, printed};
use super::story::{MINUTE, Story};

/// What somebody could have written: orders to the terminal, wide and combining characters, text that runs the other way, and much.
pub fn texts() -> [String; 5] {
    [
        "\u{1b}[2J\u{1b}]0;pwned\u{7}\u{9b}31m\u{1b}]52;c;cHduZWQ=\u{1b}\\\r\n\tnext\u{8}\u{0}"
            .to_owned(),
        "\u{202e}gnp.exe\u{2066}\u{61c}\u{200f}\u{feff}\u{ad}\u{180e} שלום עולם مرحبا".to_owned(),
        "日本語の名前ですが長い".repeat(40),
        format!("e{} \u{301}\u{301}🇩🇪👩‍👩‍👧‍👦☁\u{fe0f}각", "\u{301}".repeat(50)),
        "x".repeat(10_000),
    ]
}

/// Characters that a terminal obeys, or that change how their neighbours are shown.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Keys of events and charter under which people, servers and programs put words.
const WORDS: [&str; 14] = [
    "summary", "reason", "text", "title", "name", "question", "note", "version", "what", "path",
    "evidence", "line", "detail", "wording",
];
/// Names that others refer to; the same everywhere.
const NAMES: [&str; 6] = [
    "tool-catalogue-7",
    "db:5432/tools",
    "dan",
    "quinn",
    "app-3",
    "app-5",
];

/// The same session as told by somebody hostile.
fn poisoned(story: &Story, hostile: &str) -> Story {
    let mut entries = serde_json::to_value(&story.entries).expect("JSON");
    poison(&mut entries, None, hostile);
    let entries: Vec<Recorded> = serde_json::from_value(entries).expect("still a session");
    let mut session = cutover::session::Session::open(&entries[0]).expect("a session");
    for entry in entries.iter().skip(1) {
        session.apply(entry);
    }
    let at_ms = story.at_ms;
    Story {
        entries,
        session,
        at_ms,
    }
}

fn poison(value: &mut Value, key: Option<&str>, hostile: &str) {
    match value {
        Value::String(text) if NAMES.contains(&text.as_str()) => text.push_str(hostile),
        Value::String(text) if key.is_some_and(|k| WORDS.contains(&k)) => text.push_str(hostile),
        Value::Array(items) => items.iter_mut().for_each(|item| poison(item, key, hostile)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, field)| poison(field, Some(key), hostile)),
        _ => {}
    }
}

/// Its screen, with everything beside the journal hostile too.
pub fn seen(plain: &Story, hostile: &str) -> Model {
    let story = poisoned(plain, hostile);
    let with = |text: &str| format!("{text}{hostile}");
    let seat = Seat {
        user: "robin".to_owned(),
        playing: None,
        zone: FixedOffset::east_opt(2 * 3_600).expect("a zone"),
    };
    let mut model = Model::open(story.entries.clone(), seat).expect("a session");
    model.tick(Some(story.at_ms), model.wall);
    let mut fleet = fleet(
        "Postgres",
        &[Ready, Ready, NotReady, Restarting, Unknown, Ready],
    );
    for instance in &mut fleet {
        instance.detail = with("503");
    }
    fleet[2].id = with("app-3");
    let mut checklist = checklist(Some("M4"));
    for item in &mut checklist {
        item.reason = with("no");
    }
    let mut cost = states::cost(story.at_ms);
    cost.tables[0].table = with("Tools");
    cost.unknown = Some(with("the role may not read"));
    let mut feed = states::feed(story.at_ms);
    feed.lost = vec![with("A rollback would lose Tools")];
    feed.unknown = Some(with("no answer"));
    let mut presence = plain.presence(story.at_ms);
    presence[1].person = with("quinn");
    presence[2].view = with("Steps");
    let step = plain.session.current_step().map_or("P1", |s| &s.id);
    let progress = Progress {
        step: step.to_owned(),
        item: with("Tools"),
        done: 7,
        total: Some(9),
        unit: with("rows"),
        at_ms: story.at_ms,
    };
    let compared = |found| ComparedTable {
        table: with("Tools"),
        compared: 5,
        found,
        examples: vec![with("row 7")],
    };
    let topics = ["database", "logs"];
    model.take(News {
        samples: story.traffic(2.3),
        fleet: Some(fleet),
        checklist: Some(checklist),
        triggers: Some(vec![
            fuse(
                "T3a",
                TriggerPhase::Burning,
                MINUTE,
                10 * MINUTE,
                &with("5xx"),
            ),
            fuse("T3b", TriggerPhase::Blind, MINUTE, 5 * MINUTE, &with("few")),
            fuse(&with("T1a.app-3"), TriggerPhase::Burning, 1, MINUTE, "503"),
        ]),
        presence: Some(presence),
        cost: Some(cost),
        feed: Some(feed),
        details: Some(
            topics
                .map(|topic| DetailView {
                    topic: topic.to_owned(),
                    lines: vec![with("select"); 4],
                })
                .to_vec(),
        ),
        parity: Some(ParityView {
            step: step.to_owned(),
            tables: vec![compared(None), compared(Some((3, 2)))],
        }),
        progress: Some(vec![progress]),
        plan: Some(PlanView {
            tables: vec![PlannedTable {
                table: with("Tools"),
                target: with("tools"),
                rows: 9,
                bytes: 99,
                columns: vec![
                    PlannedColumn {
                        column: with("Slug"),
                        source: with("TEXT"),
                        target: with("text"),
                        conversion: with("as it is"),
                    };
                    2
                ],
                problems: vec![with("no date")],
                more_problems: 3,
            }],
        }),
        last_line: Some(printed(step, story.at_ms, hostile)),
        loads: Some(LoadsView {
            at_ms: story.at_ms,
            instances: vec![
                LoadView {
                    requests_per_s: Some(31.0),
                    errors_ratio: Some(0.02),
                    p95_ms: Some(41.0),
                    ..LoadView::unknown(&with("app-3"))
                },
                LoadView::unknown(&with("app-5")),
            ],
        }),
        clients: Some(ClientsView {
            at_ms: story.at_ms,
            most: 97,
            applications: Some(vec![
                ClientView {
                    application: with("psql"),
                    active: 2,
                    waiting: 1,
                    ..ClientView::default()
                };
                2
            ]),
            ..ClientsView::default()
        }),
        engine: Some(Engine::Live { pid: 1 }),
        ..News::default()
    });
    model.faults = vec![Fault {
        name: with("5xx"),
        what: with("errors"),
        active: true,
        unavailable: None,
    }];
    model.warn(with("the journal"));
    model
}

/// What these keys bring up; the output of a step is read once it is looked at.
fn open(model: &mut Model, keys: &str, hostile: &str) {
    press(model, keys);
    model.take(News {
        output: (0..30).map(|n| printed("P1", n, hostile)).collect(),
        ..News::default()
    });
}

fn stories() -> Vec<Story> {
    let mut fresh = Story::begin_in_sandbox();
    fresh.pass(1_000).command(
        "ada",
        Command::Note {
            text: "see".to_owned(),
        },
    );
    let mut failed = Story::begin();
    failed.pass(2_000).reach("C1").pass(1_000).start();
    failed.end(Outcome::failed("no"));
    let hold = Command::Hold {
        reason: "disk".to_owned(),
    };
    failed.command("dan", hold);
    let mut back = states::fired_story();
    back.pass(30_000).roll_back_to("R3").pass(21_000);
    let mut compares = Story::begin();
    compares.pass(2_000).reach("E2").pass(1_000).start();
    vec![
        fresh,
        failed,
        compares,
        states::after_reopening(),
        states::fired_story(),
        back,
    ]
}

const SIZES: [(u16, u16); 3] = [(60, 20), (120, 40), (200, 60)];

/// Draws it and looks at every cell: nothing obeyed, and every row as wide as the screen.
fn check(model: &Model, sizes: &[(u16, u16)], what: &str) {
    for &(width, height) in sizes {
        let buf = snapshot::frame(model, &Theme::standard(), width, height);
        for y in 0..height {
            let mut x = 0;
            while x < width {
                let symbol = buf[(x, y)].symbol();
                assert!(!symbol.chars().any(is_obeyed), "{what}: {symbol:?}");
                let columns = symbol.width();
                assert!((1..=2).contains(&columns), "{what}: {symbol:?}");
                x += columns as u16;
            }
            assert_eq!(x, width, "{what}: row {y} is broken at {width}×{height}");
        }
    }
}

#[test]
fn hostile_text_in_every_foreign_field_reaches_no_cell_and_breaks_no_row() {
    let plain = stories();
    for (t, hostile) in texts().iter().enumerate() {
        for (s, story) in plain.iter().enumerate() {
            let model = seen(story, hostile);
            for view in View::ALL {
                let mut model = model.clone();
                model.ui.view = view;
                let what = format!("text {t}, story {s}, {}", view.title());
                check(&model, &SIZES, &what);
            }
            // Windows are the same over every story: each text meets them over another one.
            if s != t % plain.len() {
                continue;
            }
            for keys in [
                "?", "b", "o", " ", "R", "h", "p", "F", "d", ":", "7\n", "9\n", "/", "T",
            ] {
                let mut model = model.clone();
                open(&mut model, keys, hostile);
                update(&mut model, Message::Pasted(hostile.to_owned()));
                // Windows are no wider than that.
                check(
                    &model,
                    &SIZES[..2],
                    &format!("text {t}, story {s}, key {keys}"),
                );
            }
        }
    }
}

/// The test above would hold on empty screens too.
#[test]
fn what_is_put_in_is_really_on_the_screen() {
    let model = seen(&stories()[3], "\u{1b}[2J");
    let shows = |model: &Model, what: &str| {
        let text = snapshot::text(model, &Theme::standard(), 200, 60);
        assert!(text.contains("\\u{1b}[2J"), "{what}: {text}");
    };
    for view in View::ALL {
        let mut model = model.clone();
        model.ui.view = view;
        shows(&model, view.title());
    }
    for keys in ["b", "o", "R", "7\n", "9\n"] {
        let mut model = model.clone();
        open(&mut model, keys, "\u{1b}[2J");
        shows(&model, keys);
    }
}
