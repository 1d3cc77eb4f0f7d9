//! `fleet.metrics`: an address, or an address with the names under which the application tells its figures. Not in here: names that are
//! known without being told (`monitor::metrics::families`).

use strum::IntoEnumIterator as _;

use super::super::keys;
use super::super::model::{Family, Figure, MetricsPage, Unit};
use super::super::reader::{Item, Reader};
use super::super::tree::Value;
use super::actions;

/// A plain address, or a map.
pub(super) fn page(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<MetricsPage> {
    let Value::Map(_) = &item.node.value else {
        return actions::url(reader, item).map(|url| MetricsPage::at(&url));
    };
    let fields = reader.fields(item, keys::METRICS)?;
    let url = reader.need(&fields, "url", actions::url);
    let headers_command = reader.want(&fields, "headers_command", actions::headers_command);
    let map = reader.want(&fields, "map", map);
    let leave_out = reader.want(&fields, "leave_out", |r, i| r.list(i, Reader::text));
    Some(MetricsPage {
        url: url?,
        headers_command,
        map: map.unwrap_or_default(),
        leave_out: leave_out.unwrap_or_default(),
    })
}

pub(super) fn map(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(Figure, Family)>> {
    let words: Vec<&str> = Figure::iter().map(Figure::word).collect();
    let fields = reader.fields(item, &words)?;
    let mut map = Vec::new();
    for figure in Figure::iter() {
        let found = reader.want(&fields, figure.word(), |r, i| family(r, i, figure));
        map.extend(found.map(|family| (figure, family)));
    }
    Some(map)
}

/// A plain name, or a map.
fn family(reader: &mut Reader<'_>, item: &Item<'_>, figure: Figure) -> Option<Family> {
    let Value::Map(_) = &item.node.value else {
        return name(reader, item).map(|name| Family::named(name, figure));
    };
    let fields = reader.fields(item, keys::FAMILY)?;
    let named = reader.need(&fields, "name", name);
    for (key, of) in [
        ("code", Figure::Requests),
        ("method", Figure::Requests),
        ("unit", Figure::Latency),
    ] {
        if let Some(item) = fields.get(key).filter(|_| figure != of) {
            reader.wrong::<()>(&item, &format!("`{key}` only below `{}`", of.word()), None);
        }
    }
    let family = Family {
        code: reader.want(&fields, "code", label),
        route: reader.want(&fields, "route", label),
        method: reader.want(&fields, "method", label),
        unit: reader.want(&fields, "unit", unit).unwrap_or(Unit::Seconds),
        only: reader.want(&fields, "only", only).unwrap_or_default(),
        ..Family::named(named?, figure)
    };
    Some(family)
}

fn unit(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Unit> {
    reader.one_of(item, &[("s", Unit::Seconds), ("ms", Unit::Milliseconds)])
}

pub(super) fn only(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Vec<(String, String)>> {
    let mut only = Vec::new();
    for (key, item) in reader.entries(item) {
        if !is_name(&key.text) {
            let found = format!("`{}`", crate::text::printable(&key.text, 60));
            reader.problem(
                key.place,
                &item.path,
                "the name of a label: letters, digits and _",
                &found,
                None,
            );
        } else if let Some(value) = reader.text(&item) {
            only.push((key.text.clone(), value));
        }
    }
    Some(only)
}

fn name(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "the name of a metric: letters, digits, _ and :";
    let text = reader.text_as(item, expected)?;
    match is_name(&text) {
        true => Some(text),
        false => reader.wrong(item, expected, None),
    }
}

fn label(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<String> {
    let expected = "the name of a label: letters, digits and _";
    let text = reader.text_as(item, expected)?;
    match is_name(&text) && !text.contains(':') {
        true => Some(text),
        false => reader.wrong(item, expected, None),
    }
}

fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    text.chars().all(fits) && text.starts_with(|c: char| !c.is_ascii_digit())
}
