//! The JSON report against its schema, `docs/report.schema.json`: nothing more, nothing less, and nothing else.

use std::path::Path;

use cutover::report;
use cutover::session::Event;
use serde_json::{Value, json};

use crate::session::language::Bridge;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json");
    let text = std::fs::read_to_string(path).expect("docs/report.schema.json");
    serde_json::from_str(&text).expect("JSON")
}

/// Where and how a value is not as a schema has it. Only what our schema uses is known; any other keyword is a mistake in it.
fn violations(schema: &Value, root: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" | "format" => {}
            "additionalProperties" => assert_eq!(rule, &json!(false), "{at}"),
            "properties" => {
                for (key, item) in value.as_object().into_iter().flatten() {
                    match rule.get(key) {
                        Some(rule) => violations(rule, root, item, &format!("{at}/{key}"), out),
                        None => out.push(format!("{at}: {key} is not in the schema")),
                    }
                }
            }
            "items" => {
                for (n, item) in value.as_array().into_iter().flatten().enumerate() {
                    violations(rule, root, item, &format!("{at}/{n}"), out);
                }
            }
            "$ref" => {
                let pointer = rule.as_str().and_then(|r| r.strip_prefix('#'));
                let target = root.pointer(pointer.expect("a reference"));
                violations(target.expect("what is referred to"), root, value, at, out);
            }
            "anyOf" => {
                let fits = |branch: &Value| {
                    let mut none = Vec::new();
                    violations(branch, root, value, at, &mut none);
                    none.is_empty()
                };
                if !items(rule).iter().any(fits) {
                    out.push(format!("{at}: {value} fits nowhere"));
                }
            }
            simple if keeps(simple, rule, value) => {}
            simple => out.push(format!("{at}: {value} breaks {simple} {rule}")),
        }
    }
}

/// Whether a value keeps a rule that looks at nothing below it.
fn keeps(keyword: &str, rule: &Value, value: &Value) -> bool {
    match keyword {
        "const" => value == rule,
        "enum" => items(rule).contains(value),
        "minimum" => value.as_f64() >= rule.as_f64(),
        "maximum" => value.as_f64() <= rule.as_f64(),
        "type" => {
            let is = |kind: &Value| is_of(kind.as_str().expect("a type"), value);
            rule.as_array()
                .map_or_else(|| is(rule), |kinds| kinds.iter().any(is))
        }
        "pattern" => {
            let pattern = regex::Regex::new(rule.as_str().expect("a pattern"));
            let pattern = pattern.expect("a pattern");
            value.as_str().is_none_or(|text| pattern.is_match(text))
        }
        "required" => {
            let has = |key: &Value| value.get(key.as_str().expect("a key")).is_some();
            !value.is_object() || items(rule).iter().all(has)
        }
        other => panic!("the schema uses `{other}`, which nobody checks"),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("`{other}` is no type"),
    }
}

fn reports() -> Vec<Value> {
    let mut open = Bridge::open();
    open.reach("A1");
    let mut completed = Bridge::open();
    completed.reach("end");
    completed.append(Event::SessionCompleted { by: "robin".into() });
    let mut by_person = Bridge::open();
    by_person.reach("G1");
    by_person.append(Event::RollbackStarted {
        cause: cutover::session::RollbackCause::Person { by: "dan".into() },
        reason: "the pool is full".into(),
    });
    let nights = [open, completed, by_person, Bridge::rolled_back(2_000)];
    nights
        .iter()
        .map(|night| {
            let (_root, folder) = super::journal(&night.journal);
            report::collect(&folder).expect("a report").to_json()
        })
        .collect()
}

fn found(report: &Value) -> Vec<String> {
    let (schema, mut out) = (schema(), Vec::new());
    violations(&schema, &schema, report, "", &mut out);
    out
}

#[test]
fn every_report_is_as_its_schema_has_it() {
    for report in reports() {
        assert_eq!(found(&report), Vec::<String>::new(), "{}", report["result"]);
    }
    assert_eq!(
        schema()["properties"]["report"]["const"],
        json!(report::FORMAT)
    );
}

/// A change of the form without one of the schema, and the other way round, is seen.
#[test]
fn what_is_missing_new_or_of_another_kind_is_no_report() {
    let sound = reports().remove(1);
    let keys: Vec<String> = sound
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    for key in keys {
        let mut without = sound.clone();
        without.as_object_mut().expect("an object").remove(&key);
        assert!(!found(&without).is_empty(), "without {key}");
        let mut other = sound.clone();
        other[&key] = json!({"another": "kind"});
        assert!(!found(&other).is_empty(), "{key} of another kind");
    }
    for (pointer, value) in [
        ("/rows/0/status", json!("great")),
        ("/rows/0/seconds", json!("3 s")),
        ("/chain/head", json!("abc")),
        ("/confidence/score", json!(101)),
        ("/rows/0", json!({"id": "A1"})),
        ("/rollback", json!({"cause": "trigger"})),
    ] {
        let mut changed = sound.clone();
        *changed.pointer_mut(pointer).expect("there") = value;
        assert!(!found(&changed).is_empty(), "{pointer}");
    }
    let mut more = sound;
    more["rows"][0]["mood"] = json!("good");
    assert!(!found(&more).is_empty());
}
