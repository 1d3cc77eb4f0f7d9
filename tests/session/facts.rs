//! What journals hold of facts: names and fields stay what they are, also in journals of earlier versions.

use cutover::session::Outcome;
use cutover::session::facts::{
    Backup, Baseline, Brought, Counts, Discard, Fact, Imported, KeptFiles, Policies, PutAside,
    Salvage, SecondCopy, Sequences, Snapshot, TableCount, Unproven,
};
use cutover::session::shape::Shape;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// It is read from this JSON, as an earlier version wrote it, and written as that again.
fn stays<F: Fact + DeserializeOwned + std::fmt::Debug>(name: &str, value: &Value) {
    let entry = json!({ "ok": true, "summary": "done", "facts": { name: value } });
    let outcome: Outcome = serde_json::from_value(entry.clone()).expect("an outcome");
    let fact = outcome.fact::<F>("A2").expect("readable");
    let fact = fact.unwrap_or_else(|| panic!("no {name}"));
    let again = serde_json::to_value(Outcome::done("done").with_fact(fact)).expect("JSON");
    assert_eq!(again["facts"], entry["facts"], "{name}");
}

#[test]
fn facts_are_written_as_earlier_versions_wrote_them() {
    let copy = json!({ "path": "/b.db", "sha256": "00", "size_bytes": 1, "keep_ms": 2 });
    let stamp =
        json!({ "device": 1, "inode": 2, "size_bytes": 3, "modified_ns": 4, "changed_ns": 5 });
    let newer = json!({
        "path": "/b.db", "sha256": "00", "size_bytes": 1, "keep_ms": 2, "frozen_ms": 3, "stamp": stamp,
    });
    stays::<Backup>("backup", &copy);
    stays::<Backup>("backup", &newer);
    stays::<SecondCopy>("second_copy", &copy);
    stays::<Counts>("counts", &json!([{ "table": "Tools", "rows": 3 }]));
    stays::<Imported>("imported", &json!([["Tools", 3]]));
    stays::<Policies>("policies", &json!({ "Tools.At: assume UTC": 1 }));
    stays::<PutAside>(
        "put_aside",
        &json!(["Tools: 1 value set to NULL by policy"]),
    );
    stays::<Baseline>("baseline", &json!({ "latency_p95_ms": 41.5 }));
    stays::<Shape>("shape", &json!({ "table Tools": "00" }));
    stays::<KeptFiles>("kept", &json!([["C1-1.log", "00"]]));
    stays::<Discard>("discard", &json!({ "Tools": 2 }));
    stays::<Snapshot>("snapshot", &json!("1:1:"));
    stays::<Unproven>("unproven", &json!("nobody has seen it"));
    let sequence = json!([{
        "sequence": "public.s", "table": "Tools", "column": "Id", "last_value": 9, "is_called": true, "next": 10, "max": null,
        "proven": true,
    }]);
    stays::<Sequences>("sequences", &sequence);
    let salvage = json!({ "file": null, "sha256": null, "tables": [], "lacks": ["no answer"], "for_good": true });
    stays::<Salvage>("salvage", &salvage);
    let brought = json!({
        "tables": [{ "table": "Tools", "inserted": 3, "changed": 0, "deleted": 1 }], "left_rows": 1, "left": ["Tools [4]"], "noted": true,
    });
    stays::<Brought>("brought", &brought);
}

#[test]
fn a_fact_that_cannot_be_read_is_an_error_and_one_that_is_not_there_is_none() {
    let outcome: Outcome = serde_json::from_value(json!({
        "ok": true, "summary": "done", "facts": { "counts": [{ "table": "\u{1b}[2J" }] },
    }))
    .expect("an outcome");
    let error = outcome.fact::<Counts>("A4").expect_err("no rows");
    let said = error.to_string();
    assert!(
        said.starts_with(
            "what A4 left behind as `counts` cannot be read by this version of cutover: "
        ),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said}");
    assert_eq!(outcome.fact::<Backup>("A4"), Ok(None));
    let counted = Outcome::done("done").with_fact(Counts(vec![TableCount {
        table: "Tools".to_owned(),
        rows: 1,
    }]));
    assert!(
        counted
            .fact::<Counts>("A4")
            .is_ok_and(|fact| fact.is_some())
    );
}
