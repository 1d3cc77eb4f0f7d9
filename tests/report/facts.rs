//! What steps left behind, as a report tells of it: also where there is nothing to keep it in, and where this version cannot read it.

use cutover::report::{self, Report};
use cutover::session::attempt::salvaged_rows;
use cutover::session::{Event, Outcome};
use serde_json::{Value, json};

use crate::session::language::Bridge;

/// The report of a night that was rolled back, in which R5 left this behind.
fn salvaged(record: &Value) -> Report {
    let bridge = rolled_back(&json!({ "salvage": record }));
    let (_root, folder) = super::journal(&bridge.journal);
    report::collect(&folder).expect("a report")
}

fn rolled_back(facts: &Value) -> Bridge {
    let mut bridge = Bridge::rolled_back(2_000);
    let outcome: Outcome = serde_json::from_value(json!({
        "ok": false, "summary": "preserved", "facts": facts,
    }))
    .expect("an outcome as journals have it");
    bridge.append(Event::RollbackRowFinished {
        row: "R5".to_owned(),
        outcome,
    });
    bridge
}

/// Both forms that people read.
fn pages(report: &Report) -> [String; 2] {
    [report.to_html(), report.to_markdown()]
}

const NOTHING: &str = "No rows that users had written to PostgreSQL were found to be kept.";

#[test]
fn a_rollback_that_could_keep_no_rows_says_why() {
    // As R5 writes it where PostgreSQL does not let it in.
    let record =
        json!({ "file": null, "sha256": null, "tables": [], "lacks": ["no answer in 5 s"] });
    for page in pages(&salvaged(&record)) {
        assert!(page.contains("no answer in 5 s"), "{page}");
        assert!(!page.contains(NOTHING), "{page}");
    }
}

#[test]
fn a_rollback_that_had_nothing_to_keep_says_so() {
    let record = json!({ "file": null, "sha256": null, "tables": [], "lacks": [] });
    let report = salvaged(&record);
    let told = report.rollback.as_ref().expect("a rollback");
    assert!(told.not_kept.is_empty() && told.left_behind.is_empty());
    assert!(report.to_html().contains(NOTHING));
}

/// As an earlier version wrote it, without the digest of the rows and whether it is for good.
#[test]
fn what_an_earlier_version_kept_is_told() {
    let table = json!({ "table": "Tools", "target": "public.Tools", "inserted": 2, "changed": 1, "deleted": 0, "rewritten": 0 });
    let record =
        json!({ "file": "/srv/salvage.db", "sha256": "00", "tables": [table], "lacks": [] });
    let report = salvaged(&record);
    let told = report.rollback.as_ref().expect("a rollback");
    assert_eq!(told.salvaged_to.as_deref(), Some("/srv/salvage.db"));
    assert_eq!(
        (told.left_behind[0].inserted, told.left_behind[0].changed),
        (2, 1)
    );
    assert!(report.to_html().contains("/srv/salvage.db"));
}

#[test]
fn what_the_rollback_brought_back_is_not_told_as_lost() {
    let table = json!({ "table": "Tools", "target": "public.Tools", "inserted": 3, "changed": 1, "deleted": 1, "rewritten": 0 });
    let record =
        json!({ "file": "/srv/salvage.db", "sha256": "00", "tables": [table], "lacks": [] });
    let brought = |left: u64| {
        let in_sqlite =
            json!({ "table": "Tools", "inserted": 3 - left, "changed": 1, "deleted": 1 });
        let why: Vec<&str> = ["Tools [9]: it has no form"]
            .into_iter()
            .take(left as usize)
            .collect();
        let brought =
            json!({ "tables": [in_sqlite], "left_rows": left, "left": why, "noted": true });
        rolled_back(&json!({ "salvage": record, "brought": brought }))
    };
    let some = brought(1);
    assert_eq!(salvaged_rows(&some.session), 1);
    let (_root, folder) = super::journal(&some.journal);
    for page in pages(&report::collect(&folder).expect("a report")) {
        says!(page, "4 rows that users wrote to PostgreSQL are in SQLite");
        says!(page, "it has no form");
        lacks!(page, "that SQLite does not have");
    }
    assert_eq!(salvaged_rows(&brought(0).session), 0);
}

#[test]
fn what_cannot_be_read_is_not_taken_for_nothing() {
    for page in pages(&salvaged(&json!({ "file": 7 }))) {
        assert!(page.contains("cannot be read by this version"), "{page}");
        assert!(!page.contains(NOTHING), "{page}");
    }
    let mut bridge = Bridge::open();
    bridge.reach("A4");
    let outcome: Outcome = serde_json::from_value(json!({
        "ok": true, "summary": "restored", "facts": { "counts": "many" },
    }))
    .expect("an outcome as journals have it");
    for event in [
        Event::StepStarted {
            step: "A4".to_owned(),
            attempt: 1,
            by: None,
        },
        Event::StepFinished {
            step: "A4".to_owned(),
            attempt: 1,
            outcome,
        },
    ] {
        bridge.append(event);
    }
    let (_root, folder) = super::journal(&bridge.journal);
    let report = report::collect(&folder).expect("a report");
    assert!(
        report.unreadable[0].contains("what A4 left behind as `counts`"),
        "{:?}",
        report.unreadable
    );
    for page in pages(&report) {
        assert!(page.contains("what A4 left behind as"), "{page}");
    }
}
