//! `fleet.maintenance`: the page by which an instance says whether it is in maintenance, and by what answers are known that maintenance
//! gave. Not in here: how answers are judged (`monitor::maintenance`).

use super::super::keys;
use super::super::model::{MaintenanceAnswer, MaintenancePage};
use super::super::reader::{Fields, Item, Reader};
use super::super::tree::Value;
use super::{actions, metrics, probes};

/// Both parts; either may be missing.
#[derive(Default)]
pub(super) struct Maintenance {
    pub(super) page: Option<MaintenancePage>,
    pub(super) answer: MaintenanceAnswer,
}

/// Keys of the page, of which there are all or none.
const OF_PAGE: [&str; 3] = ["get", "on", "off"];

pub(super) fn read(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Maintenance> {
    let fields = reader.fields(item, keys::MAINTENANCE)?;
    let is_empty = keys::MAINTENANCE.iter().all(|key| !fields.has(key));
    let page = match is_empty || OF_PAGE.iter().any(|key| fields.has(key)) {
        true => page(reader, &fields),
        false => None,
    };
    let answer = MaintenanceAnswer {
        status: reader.want(&fields, "status", actions::status),
        header: reader.want(&fields, "header", header),
        body: reader.want(&fields, "body", probes::regular_expression),
        label: reader.want(&fields, "label", label),
    };
    Some(Maintenance { page, answer })
}

fn page(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<MaintenancePage> {
    let url = reader.need(fields, "get", actions::url);
    let on = reader.need(fields, "on", probes::regular_expression);
    let off = reader.need(fields, "off", probes::regular_expression);
    Some(MaintenancePage {
        url: url?,
        on: on?,
        off: off?,
    })
}

/// A header's name, or its name with the value that it must have.
fn header(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(String, Option<String>)> {
    let expected =
        "the name of a header, or one name with its value, such as { X-Maintenance: on }";
    let (name, value) = match &item.node.value {
        Value::Map(_) => {
            let pairs = actions::headers(reader, item)?;
            match pairs.as_slice() {
                [(name, value)] => (name.clone(), Some(value.clone())),
                _ => return reader.wrong(item, expected, None),
            }
        }
        _ => (reader.text_as(item, expected)?, None),
    };
    match actions::is_header_name(&name) {
        true => Some((name, value)),
        false => reader.wrong(item, expected, None),
    }
}

/// One label with its value.
fn label(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<(String, String)> {
    let expected = "one label with its value, such as { maintenance: on }";
    let Value::Map(_) = &item.node.value else {
        return reader.wrong(item, expected, None);
    };
    match metrics::only(reader, item)?.as_slice() {
        [(label, value)] => Some((label.clone(), value.clone())),
        _ => reader.wrong(item, expected, None),
    }
}
