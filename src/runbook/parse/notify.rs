//! Whom to tell what.

use super::super::keys;
use super::super::model::{Channel, Means, Occasion, Ring};
use super::super::reader::{Fields, Item, Reader, quoted};
use super::{actions, probes};

/// How long one attempt may take.
const DEFAULT_TIMEOUT_MS: i64 = 10_000;

pub(super) fn channel(reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Channel> {
    let fields = reader.fields(item, keys::CHANNEL)?;
    let timeout_ms = reader.want(&fields, "timeout", Reader::positive_duration);
    let timeout_ms = timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
    let words = Occasion::ALL.map(|occasion| (occasion.key(), occasion));
    let events = reader.want(&fields, "events", |r, i| {
        r.list(i, |r, i| r.one_of(i, &words))
    });
    let id = reader.need(&fields, "id", Reader::id);
    // One that was not understood keeps its place in the list, which messages name.
    let means = means(reader, &fields, timeout_ms).unwrap_or(Means::Webhook {
        url: String::new(),
        headers: Vec::new(),
    });
    Some(Channel {
        means,
        id: id.unwrap_or_default(),
        events: events.unwrap_or_else(|| Occasion::ALL.to_vec()),
        timeout_ms,
    })
}

fn means(reader: &mut Reader<'_>, fields: &Fields<'_>, timeout_ms: i64) -> Option<Means> {
    let ways = ["webhook", "command", "shell", "terminal"];
    let given: Vec<&str> = ways.into_iter().filter(|key| fields.has(key)).collect();
    if given.len() != 1 {
        let expected = format!("exactly one of {}", quoted(ways.into_iter()));
        let found = match given.len() {
            0 => "none".to_owned(),
            _ => quoted(given.into_iter()),
        };
        reader.problem(fields.place, &fields.path, &expected, &found, None);
        return None;
    }
    if let Some(webhook) = fields.get("webhook") {
        let headers = reader.want(fields, "headers", actions::headers);
        return Some(Means::Webhook {
            url: actions::url(reader, &webhook)?,
            headers: headers.unwrap_or_default(),
        });
    }
    if let Some(headers) = fields.get("headers") {
        reader.wrong::<()>(&headers, "`headers` only beside `webhook`", None);
    }
    if let Some(terminal) = fields.get("terminal") {
        let words = [("bell", Ring::Bell), ("desktop", Ring::Desktop)];
        return reader.one_of(&terminal, &words).map(Means::Terminal);
    }
    let effect = probes::program(reader, fields)?;
    Some(Means::Command(probes::limited(effect, timeout_ms)))
}
