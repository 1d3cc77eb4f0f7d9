//! The `transfer` section, in a runbook or in a file of its own.

use std::collections::BTreeMap;

use super::super::keys;
use super::super::reader::{Item, Reader, did_you_mean, quoted};
use super::super::transfer::names::column_key;
use super::super::transfer::{
    ColumnPolicy, FREE_KEYS, KeyOf, Lines, OrderedList, POLICY_KEYS, Pattern, PolicyError,
    Replacement, Slug, TargetRows, Transfer, Zone,
};

pub(super) fn transfer(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Transfer> {
    const TARGET_ROWS: [(&str, TargetRows); 2] = [
        ("refuse", TargetRows::Refuse),
        ("replace", TargetRows::Replace),
    ];
    let fields = reader.fields(item, keys::TRANSFER)?;
    let mut lines = Lines::default();
    Some(Transfer {
        zone: reader.want(&fields, "zone", zone),
        exclude: reader
            .want(&fields, "exclude", |r, i| {
                patterns(r, i, KeyOf::Exclude, &mut lines)
            })
            .unwrap_or_default(),
        rename: reader
            .want(&fields, "rename", |r, i| rename(r, i, &mut lines))
            .unwrap_or_default(),
        target_rows: reader
            .want(&fields, "target_rows", |r, i| r.one_of(i, &TARGET_ROWS))
            .unwrap_or_default(),
        accept: reader
            .want(&fields, "accept", |r, i| {
                patterns(r, i, KeyOf::Accept, &mut lines)
            })
            .unwrap_or_default(),
        sequences: reader
            .want(&fields, "sequences", sequences)
            .unwrap_or_default(),
        fire: reader
            .want(&fields, "fire", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
        refresh: reader
            .want(&fields, "refresh", Reader::boolean)
            .unwrap_or_default(),
        after_import: reader
            .want(&fields, "after_import", |r, i| r.list(i, Reader::text))
            .unwrap_or_default(),
        columns: reader
            .want(&fields, "columns", |r, i| columns(r, i, &mut lines))
            .unwrap_or_default(),
        lists: reader
            .want(&fields, "lists", |r, i| {
                r.list(i, |r, i| ordered_list(r, i, &mut lines))
            })
            .unwrap_or_default(),
        slugs: reader
            .want(&fields, "slugs", |r, i| {
                r.list(i, |r, i| slug(r, i, &mut lines))
            })
            .unwrap_or_default(),
        history: None,
        lines,
    })
}

fn patterns(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    of: KeyOf,
    lines: &mut Lines,
) -> Option<Vec<Pattern>> {
    reader.list(item, |reader, item| {
        let text = reader.text_or_empty(item)?;
        lines.remember(of, &text, item.node.place.line);
        Some(Pattern::new(text))
    })
}

fn zone(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Zone> {
    let expected = "UTC or a fixed offset such as +02:00";
    let text = reader.text_as(item, expected)?;
    match Zone::parse(&text) {
        Some(zone) => Some(zone),
        None => {
            let hint = "a name with daylight saving would leave an hour of every autumn ambiguous";
            reader.wrong(item, expected, Some(hint.into()))
        }
    }
}

fn rename(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    lines: &mut Lines,
) -> Option<BTreeMap<String, String>> {
    let mut renamed = BTreeMap::new();
    for (key, item) in reader.entries(item) {
        if let Some(to) = reader.text(&item) {
            renamed.insert(key.text.clone(), to);
            lines.remember(KeyOf::Rename, &key.text, key.place.line);
            reader.remember(&format!("{}.key", item.path), key.place);
        }
    }
    Some(renamed)
}

fn sequences(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<BTreeMap<String, String>> {
    let mut fed = BTreeMap::new();
    for (key, item) in reader.entries(item) {
        let expected = "the column whose numbers it gives out, as Table.Column";
        match reader.text_as(&item, expected) {
            Some(column) if column.contains('.') => {
                fed.insert(key.text.clone(), column);
            }
            Some(_) => {
                reader.wrong::<()>(&item, expected, None);
            }
            None => {}
        }
    }
    Some(fed)
}

fn columns(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    lines: &mut Lines,
) -> Option<Vec<(Pattern, ColumnPolicy)>> {
    let mut columns = Vec::new();
    for (key, item) in reader.entries(item) {
        if !key.text.contains(['.', '*']) {
            let found = format!("`{}`", crate::text::printable(&key.text, 60));
            let expected = "Table.Column, or a pattern such as *.CreatedAt";
            reader.problem(key.place, &item.path, expected, &found, None);
        }
        reader.remember(&format!("{}.key", item.path), key.place);
        lines.remember(KeyOf::Columns, &key.text, key.place.line);
        columns.push((Pattern::new(&key.text), policy(reader, &item)));
    }
    Some(columns)
}

fn policy(reader: &mut Reader<'_>, item: &Item<'_>) -> ColumnPolicy {
    let mut policy = ColumnPolicy::default();
    let words = POLICY_KEYS.iter().map(|(name, _)| *name);
    let names: Vec<&str> = words
        .chain(FREE_KEYS.iter().map(|(name, _)| *name))
        .collect();
    for (key, item) in reader.entries(item) {
        if key.text == "values" {
            values(reader, &item, &mut policy);
            continue;
        }
        // YAML's own null is the word here: `on_problem: null`.
        let value = if key.text == "on_problem" && item.node.is_null() {
            "null".to_owned()
        } else if key.text == "split" {
            match reader.text_or_empty(&item) {
                Some(value) => value,
                None => continue,
            }
        } else {
            match reader.text(&item) {
                Some(value) => value,
                None => continue,
            }
        };
        match policy.set(&key.text, &value) {
            Ok(()) => {}
            Err(PolicyError::UnknownKey(name)) => {
                let expected = format!("one of {}", quoted(names.iter().copied()));
                let hint = did_you_mean(&name, names.iter().copied());
                let found = format!("`{}`", crate::text::printable(&name, 60));
                reader.problem(key.place, &item.path, &expected, &found, hint);
            }
            Err(PolicyError::UnknownValue { allowed, .. }) => {
                let words = || allowed.iter().copied();
                let hint = did_you_mean(&value, words());
                reader.wrong::<()>(&item, &format!("one of {}", quoted(words())), hint);
            }
            Err(PolicyError::Unreadable { expected, .. }) => {
                reader.wrong::<()>(&item, expected, None);
            }
        }
    }
    policy
}

/// `values:`, from what is in the source to what it stands for.
fn values(reader: &mut Reader<'_>, item: &Item<'_>, policy: &mut ColumnPolicy) {
    for (key, item) in reader.entries(item) {
        let by = if item.node.is_null() {
            Some(Replacement::Null)
        } else {
            reader
                .text_or_empty(&item)
                .map(|text| Replacement::parse(&text))
        };
        if let Some(by) = by {
            policy.replace(key.text.clone(), by);
        }
    }
}

fn ordered_list(
    reader: &mut Reader<'_>,
    item: &Item<'_>,
    lines: &mut Lines,
) -> Option<OrderedList> {
    let fields = reader.fields(item, keys::ORDERED_LIST)?;
    let order_by = reader.need(&fields, "order_by", |r, i| {
        let columns = r.list(i, Reader::text)?;
        if columns.is_empty() {
            return r.wrong(i, "at least one column", None);
        }
        Some(columns)
    });
    let name = reader
        .need(&fields, "name", Reader::text)
        .unwrap_or_default();
    lines.remember(KeyOf::Lists, &name, item.node.place.line);
    Some(OrderedList {
        name,
        table: reader
            .need(&fields, "table", Reader::text)
            .unwrap_or_default(),
        order_by: order_by.unwrap_or_default(),
        limit: reader.want(&fields, "limit", |r, i| r.integer(i, 1..=1_000_000_000)),
    })
}

fn slug(reader: &mut Reader<'_>, item: &Item<'_>, lines: &mut Lines) -> Option<Slug> {
    let fields = reader.fields(item, keys::SLUG)?;
    let mut flag = |key| reader.want(&fields, key, Reader::boolean).unwrap_or(false);
    let (trim, ignore_case) = (flag("trim"), flag("ignore_case"));
    let mut name = |key| reader.need(&fields, key, Reader::text).unwrap_or_default();
    let (table, column) = (name("table"), name("column"));
    let key = column_key(&table, &column);
    lines.remember(KeyOf::Slugs, &key, item.node.place.line);
    Some(Slug {
        table,
        column,
        trim,
        ignore_case,
    })
}
