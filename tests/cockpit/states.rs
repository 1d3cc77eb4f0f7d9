//! The important states of the screen, by name.

use cutover::cockpit::model::Model;
use cutover::cockpit::news::{Engine, News};
use cutover::session::live::InstanceState::{NotReady, Ready, Restarting};
use cutover::session::live::{
    ClientView, ComparedTable, CostView, DetailView, FeedView, LoadView, ParityView, TriggerView,
    WrittenTable,
};
use cutover::session::{Command, Outcome, TriggerPhase};

use super::story::beside::{
    TABLES, checklist, clients, fleet, fuse, import_progress, loads, plan, printed,
};
use super::story::{MINUTE, Story};

/// Every important state, as the release manager sees it.
pub fn all() -> Vec<(&'static str, Model)> {
    vec![
        ("fresh", fresh()),
        ("half_signed", half_signed()),
        ("importing", importing()),
        ("comparing", comparing()),
        ("burning", burning()),
        ("fired", fired()),
        ("rolling_back", rolling_back()),
        ("engine_gone", engine_gone()),
        ("completed", completed()),
        ("rolled_back", rolled_back()),
    ]
}

pub fn fresh() -> Model {
    let mut story = Story::begin();
    story.pass(12_000);
    story.seen_by("robin")
}

pub fn half_signed() -> Model {
    let mut story = Story::begin();
    story.pass(2_000).reach("A1").pass(20_000).rehearsed();
    story
        .sign("ada", &["K3", "K4", "K8"])
        .sign("quinn", &["K8"]);
    let mut model = story.seen_by("robin");
    model.take(News {
        samples: story.traffic(1.0),
        fleet: Some(fleet("SQLite", &[Ready; 6])),
        ..News::default()
    });
    carry_well(&mut model, &story);
    model
}

fn import(story: &mut Story) -> Model {
    story.pass(2_000).reach("D2").pass(1_000).start();
    let begun_ms = story.at_ms;
    let mut model = story.seen_by("robin");
    model.take(News {
        samples: story.traffic(1.0),
        fleet: Some(fleet("SQLite", &[Ready; 6])),
        checklist: Some(checklist(None)),
        plan: Some(plan()),
        ..News::default()
    });
    carry_well(&mut model, story);
    for second in 1..=40 {
        let at_ms = begun_ms + second * 1_000;
        model.tick(Some(at_ms), model.wall);
        model.take(News {
            presence: Some(story.presence(at_ms)),
            progress: Some(import_progress(at_ms, second as f64 / 92.0)),
            last_line: Some(printed(
                "D2",
                at_ms,
                "ToolContents: batch 19 of 49 committed",
            )),
            ..News::default()
        });
    }
    model
}

pub fn importing() -> Model {
    import(&mut Story::begin())
}

pub fn engine_gone() -> Model {
    let mut model = import(&mut Story::begin());
    model.take(News {
        engine: Some(Engine::Gone {
            last: Some((4_242, false)),
        }),
        ..News::default()
    });
    model.tick(Some(model.now_ms + 12_000), model.wall);
    model
}

/// E2 while it compares: tables in every state.
pub fn comparing() -> Model {
    let mut story = Story::begin();
    story
        .pass(2_000)
        .reach("E2")
        .pass(1_000)
        .start()
        .pass(9_000);
    let line = |table: &str, compared, found| ComparedTable {
        table: table.to_owned(),
        compared,
        found,
        examples: match table {
            "ToolFeatures" => vec![
                "Id=17: Price is 9.99 in the backup and 10.00 in PostgreSQL".to_owned(),
                "Id=4711: missing in PostgreSQL".to_owned(),
            ],
            _ => Vec::new(),
        },
    };
    let mut model = story.seen_by("robin");
    model.take(News {
        parity: Some(ParityView {
            step: "E2".to_owned(),
            tables: vec![
                line("ToolContents", 81_920, None),
                line("ToolFeatures", 142_000, Some((141_998, 2))),
                line("ToolCategories", 310, Some((310, 0))),
            ],
        }),
        samples: story.traffic(1.0),
        fleet: Some(fleet("SQLite", &[Ready; 6])),
        plan: Some(plan()),
        last_line: Some(printed("E2", story.at_ms, "ToolFeatures: 2 differences")),
        ..News::default()
    });
    carry_well(&mut model, &story);
    model
}

fn fuses(t3a: TriggerPhase, streak_ms: i64) -> Vec<TriggerView> {
    let mut all: Vec<TriggerView> = (1..=6)
        .map(|n| {
            let id = format!("T1a.app-{n}");
            match n {
                3 => fuse(
                    &id,
                    TriggerPhase::Burning,
                    41_000,
                    5 * MINUTE,
                    "app-3 answers 503",
                ),
                _ => fuse(&id, TriggerPhase::Clear, 0, 5 * MINUTE, "ready"),
            }
        })
        .collect();
    all.push(fuse(
        "T1b",
        TriggerPhase::Clear,
        0,
        0,
        "1 of 6 are not ready (16.7 %), allowed 20 %",
    ));
    all.push(fuse("T3a", t3a, streak_ms, 10 * MINUTE, REASON));
    all.push(fuse(
        "T3b",
        TriggerPhase::Blind,
        MINUTE,
        5 * MINUTE,
        "12 requests in the window, 20 are needed",
    ));
    all
}

const REASON: &str = "5xx 0.28 % is above 0.24 % (2 × baseline 0.12 %)";

pub fn after_reopening() -> Story {
    let mut story = Story::begin();
    story
        .pass(2_000)
        .reach("G1")
        .pass(1_000)
        .start()
        .pass(4 * MINUTE);
    story.burn("T3a", REASON).pass(6 * MINUTE + 12_000);
    story
}

fn look(story: &Story, t3a: TriggerPhase, streak_ms: i64) -> Model {
    let mut model = story.seen_by("robin");
    model.take(News {
        samples: story.traffic(2.3),
        fleet: Some(fleet(
            "Postgres",
            &[Ready, Ready, NotReady, Ready, Ready, Ready],
        )),
        plan: Some(plan()),
        parity: Some(equal()),
        triggers: Some(fuses(t3a, streak_ms)),
        checklist: Some(checklist(Some("M4"))),
        last_line: Some(printed("G1", story.at_ms, "10:12 of 60:00 watched")),
        cost: Some(cost(story.at_ms)),
        feed: Some(feed(story.at_ms)),
        details: Some(vec![told("requests", "5xx: /tools/{id} 31, /search 4")]),
        ..News::default()
    });
    carry(&mut model, story, 6);
    model
}

fn told(topic: &str, line: &str) -> DetailView {
    DetailView {
        topic: topic.to_owned(),
        lines: vec![line.to_owned()],
    }
}

/// What instances carry, as a cockpit has seen it that was open all the time.
pub fn carry(model: &mut Model, story: &Story, instances: usize) {
    for scrape in loads(story.at_ms, instances) {
        model.take(News {
            loads: Some(scrape),
            ..News::default()
        });
    }
    for answer in clients(story.at_ms, instances) {
        model.take(News {
            clients: Some(answer),
            ..News::default()
        });
    }
}

/// The same, of a fleet that is well.
fn carry_well(model: &mut Model, story: &Story) {
    for mut scrape in loads(story.at_ms, 6) {
        let well = scrape.instances[0].clone();
        for load in &mut scrape.instances {
            *load = LoadView {
                id: load.id.clone(),
                ..well.clone()
            };
        }
        model.take(News {
            loads: Some(scrape),
            ..News::default()
        });
    }
    let migrator = ClientView {
        application: "cutover".to_owned(),
        active: 2,
        ..ClientView::default()
    };
    for mut answer in clients(story.at_ms, 0) {
        answer.applications = Some(vec![migrator.clone()]);
        model.take(News {
            clients: Some(answer),
            ..News::default()
        });
    }
}

/// Every table as E2 left it.
fn equal() -> ParityView {
    let table = |(table, rows): (&str, u64)| ComparedTable {
        table: table.to_owned(),
        compared: rows,
        found: Some((rows, 0)),
        examples: Vec::new(),
    };
    ParityView {
        step: "E2".to_owned(),
        tables: TABLES.map(table).to_vec(),
    }
}

/// Five hundred instances, a few of which are not well.
pub fn crowd() -> Model {
    let story = after_reopening();
    let mut model = look(&story, TriggerPhase::Burning, 6 * MINUTE + 12_000);
    let states: Vec<_> = (0..500)
        .map(|n| match n {
            2 | 251 => NotReady,
            77 | 78 => Restarting,
            _ => Ready,
        })
        .collect();
    model.take(News {
        fleet: Some(fleet("Postgres", &states)),
        ..News::default()
    });
    carry(&mut model, &story, 500);
    model
}

pub fn burning() -> Model {
    let story = after_reopening();
    look(&story, TriggerPhase::Burning, 6 * MINUTE + 12_000)
}

pub fn fired_story() -> Story {
    let mut story = after_reopening();
    story.pass(3 * MINUTE + 48_000);
    story.fire("T3a", &format!("{REASON} for 10:00"));
    story
}

pub fn fired() -> Model {
    let mut story = fired_story();
    story.pass(12_000);
    look(&story, TriggerPhase::Fired, 10 * MINUTE)
}

pub fn rolling_back() -> Model {
    let mut story = fired_story();
    story.pass(30_000).roll_back_to("R3").pass(21_000);
    let mut model = story.seen_by("robin");
    model.take(News {
        samples: story.traffic(2.3),
        fleet: Some(fleet(
            "SQLite",
            &[Ready, Ready, Restarting, Restarting, Ready, Ready],
        )),
        triggers: Some(fuses(TriggerPhase::Fired, 10 * MINUTE)),
        checklist: Some(checklist(Some("M4"))),
        plan: Some(plan()),
        parity: Some(equal()),
        cost: Some(cost(story.at_ms)),
        feed: Some(feed(story.at_ms)),
        progress: Some(vec![cutover::journal::Progress {
            step: "R3".to_owned(),
            item: "instances".to_owned(),
            done: 4,
            total: Some(6),
            unit: "instances".to_owned(),
            at_ms: story.at_ms,
        }]),
        ..News::default()
    });
    carry(&mut model, &story, 6);
    model
}

pub fn rolled_back() -> Model {
    let mut story = fired_story();
    story.pass(30_000).roll_back_to("the end").pass(60_000);
    let mut model = look(&story, TriggerPhase::Fired, 10 * MINUTE);
    model.take(News {
        fleet: Some(fleet("SQLite", &[Ready; 6])),
        ..News::default()
    });
    model
}

/// Every step is done; nobody has completed it yet.
pub fn done() -> Story {
    let mut story = Story::begin();
    story.pass(2_000).reach("the end").pass(30_000);
    story
}

pub fn completed() -> Model {
    let mut story = done();
    story.command("robin", Command::Complete);
    let mut model = story.seen_by("robin");
    model.take(News {
        samples: story.traffic(1.0),
        fleet: Some(fleet("Postgres", &[Ready; 6])),
        checklist: Some(checklist(None)),
        triggers: Some(all_clear()),
        plan: Some(plan()),
        parity: Some(equal()),
        cost: Some(cost(story.at_ms)),
        feed: Some(feed(story.at_ms)),
        ..News::default()
    });
    carry_well(&mut model, &story);
    model
}

/// The triggers of a night in which nothing burned.
fn all_clear() -> Vec<TriggerView> {
    let clear = |(id, full_ms): (&str, i64)| fuse(id, TriggerPhase::Clear, 0, full_ms, "quiet");
    [
        ("T1a", 5 * MINUTE),
        ("T3a", 10 * MINUTE),
        ("T3b", 5 * MINUTE),
    ]
    .map(clear)
    .to_vec()
}

/// The sandbox as `make demo` opens it.
pub fn sandbox() -> Story {
    let mut story = Story::begin_in_sandbox();
    story.pass(3_000);
    story
}

/// A step that failed for good.
pub fn failed() -> Model {
    let mut story = Story::begin();
    story.pass(2_000).reach("C1").pass(1_000).start().pass(4_000).end(Outcome::failed(
        "psql: error: relation \"tools\" already exists; the target holds 3 tables of an earlier attempt, SQLite is untouched and frozen",
    ));
    story.seen_by("robin")
}

/// What the feed has read of what users have written.
pub fn feed(at_ms: i64) -> FeedView {
    FeedView {
        at_ms: at_ms - 200,
        behind_ms: 200,
        rows: 312,
        ..FeedView::default()
    }
}

/// What users have written since writes were reopened.
pub fn cost(at_ms: i64) -> CostView {
    let table = |table: &str, inserted, changed, deleted| WrittenTable {
        table: table.to_owned(),
        inserted,
        changed,
        deleted,
    };
    CostView {
        given_out: Default::default(),
        at_ms,
        tables: vec![
            table("ToolContents", 37, 4, 0),
            table("ToolFeatures", 2, 0, 1),
        ],
        unknown: None,
    }
}
