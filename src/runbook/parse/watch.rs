//! Triggers and the monitoring checklist.

use super::super::keys;
use super::super::model::{Bound, ChecklistItem, Condition, Trigger};
use super::super::reader::{Fields, Item, Reader, quoted};

/// The least of a baseline's multiple for ratios, below which nothing is a regression (0.1 %).
const DEFAULT_RATIO_FLOOR: f64 = 0.001;

pub(super) fn trigger(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Trigger> {
    let fields = reader.fields(item, keys::TRIGGER)?;
    let when = reader.need(&fields, "when", condition);
    Some(Trigger {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        title: reader
            .need(&fields, "title", Reader::text)
            .unwrap_or_default(),
        from: reader
            .need(&fields, "from", Reader::text)
            .unwrap_or_default(),
        until: reader.want(&fields, "until", Reader::text),
        when: when.unwrap_or(Condition::Check {
            check: String::new(),
        }),
    })
}

fn condition(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Condition> {
    let fields = reader.fields(item, keys::WHEN)?;
    if fields.has("check") {
        for key in keys::WHEN.iter().filter(|key| **key != "check") {
            if let Some(item) = fields.get(key) {
                reader.wrong::<()>(&item, "either `check`, or `signal` with its bound", None);
            }
        }
        let check = reader.need(&fields, "check", Reader::text)?;
        return Some(Condition::Check { check });
    }
    let signal = reader.need(&fields, "signal", Reader::text);
    let per = reader.want(&fields, "per", |r, i| r.one_of(i, &[("instance", true)]));
    let bound = bound(
        reader,
        &fields,
        ["above", "below", "above_baseline"],
        signal.as_deref(),
    );
    let for_ms = reader.need(&fields, "for", Reader::duration);
    Some(Condition::Signal {
        signal: signal?,
        per_instance: per.unwrap_or(false),
        bound: bound?,
        for_ms: for_ms?,
    })
}

/// The one bound of a condition. `names` says how `above`, `below` and `above_baseline` are called here.
fn bound(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    names: [&str; 3],
    signal: Option<&str>,
) -> Option<Bound> {
    let [above, below, above_baseline] = names;
    let given: Vec<&str> = names.into_iter().filter(|key| fields.has(key)).collect();
    let [name] = given.as_slice() else {
        let expected = format!("exactly one of {}", quoted(names.into_iter()));
        let found = match given.len() {
            0 => "none".to_owned(),
            _ => quoted(given.into_iter()),
        };
        reader.problem(fields.place, &fields.path, &expected, &found, None);
        return None;
    };
    if *name != above_baseline
        && let Some(floor) = fields.get("floor")
    {
        let expected = format!("`floor` only beside `{above_baseline}`");
        reader.wrong::<()>(&floor, &expected, None);
    }
    let value = reader.need(fields, name, Reader::number)?;
    if *name == above {
        return Some(Bound::Above(value));
    }
    if *name == below {
        return Some(Bound::Below(value));
    }
    let is_ratio = signal.is_some_and(|s| s.ends_with("_ratio"));
    let default = if is_ratio { DEFAULT_RATIO_FLOOR } else { 0.0 };
    let floor = reader.want(fields, "floor", Reader::number);
    Some(Bound::AboveBaseline {
        multiple: value,
        floor: floor.unwrap_or(default),
    })
}

pub(super) fn checklist_item(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<ChecklistItem> {
    let fields = reader.fields(item, keys::ITEM)?;
    Some(ChecklistItem {
        id: reader.need(&fields, "id", Reader::id).unwrap_or_default(),
        title: reader
            .need(&fields, "title", Reader::text)
            .unwrap_or_default(),
        conditions: reader
            .need(&fields, "conditions", |r, i| r.list(i, item_condition))
            .unwrap_or_default(),
    })
}

fn item_condition(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(String, Bound)> {
    let fields = reader.fields(item, keys::ITEM_CONDITION)?;
    let signal = reader.need(&fields, "signal", Reader::text);
    let names = ["at_most", "at_least", "at_most_baseline"];
    let bound = bound(reader, &fields, names, signal.as_deref());
    Some((signal?, bound?))
}
