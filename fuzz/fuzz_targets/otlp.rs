//! Exports of OpenTelemetry, as protobuf or JSON: whatever of two exports one after the other is taken makes a page that reads, the same export
//! again changes nothing, and what the pages come to is finite.
#![no_main]

use std::collections::BTreeMap;

use cutover::monitor::Stage;
use cutover::monitor::metrics::scrape::{Judged, Selection};
use cutover::monitor::metrics::text::series;
use cutover::monitor::metrics::window::Window;
use cutover::monitor::otlp::accounts::{Accounts, Naming};
use cutover::monitor::otlp::messages::{ExportLogs, ExportMetrics};
use cutover::monitor::otlp::records;
use cutover::trigger::Reading;
use libfuzzer_sys::fuzz_target;
use prost::Message;

const AT_MS: i64 = 1_000;
const SILENT_MS: i64 = 25_000;

/// The first byte says how the rest is written and what it is; a second export begins where the first has its length.
fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, rest)) = bytes.split_first() else {
        return;
    };
    let is_json = kind & 1 == 1;
    if kind & 2 == 2 {
        let Some(logs) = decode::<ExportLogs>(is_json, rest) else {
            return;
        };
        for line in logs.resource_logs.iter().flat_map(|one| records::lines(one)) {
            assert!(!line.contains('\n'), "one record is one line: {line:?}");
        }
        return;
    }
    let half = rest.len() / 2;
    let (first, second) = match kind & 4 {
        4 => rest.split_at(half),
        _ => (rest, rest),
    };
    let mut accounts = Accounts::new(
        Naming {
            attribute: "service.instance.id".to_owned(),
            instances: BTreeMap::from([("app-1".to_owned(), "app-1".to_owned())]),
        },
        0,
    );
    let mut window = Window::new(300_000);
    let mut before = None;
    for (export, at_ms) in [(first, 5_000), (second, 10_000)] {
        let Some(export) = decode::<ExportMetrics>(is_json, export) else {
            return;
        };
        let Some(page) = page_after(&mut accounts, &export) else {
            return;
        };
        let again = page_after(&mut accounts, &export);
        assert_eq!(Some(&page), again.as_ref(), "an export that comes again counts once");
        // Values that no page may have are refused there, as on a page that was asked for.
        let Ok(read) = Selection::default().read(&page) else {
            return;
        };
        let all: Result<Vec<_>, _> = series(&page).collect();
        assert!(all.is_ok(), "{all:?}: {page}");
        let increment = match &before {
            Some(before) => read.counters.since(before, Judged::All),
            None => read.counters.first(),
        };
        window.push(at_ms, increment);
        before = Some(read.counters);
    }
    for (signal, reading) in window.readings() {
        if let Reading::Value { value, .. } | Reading::Partial { value, .. } = reading {
            assert!(value.is_finite() && value >= 0.0, "{signal} is {value}");
        }
    }
});

fn decode<M: Message + Default + serde::de::DeserializeOwned>(is_json: bool, bytes: &[u8]) -> Option<M> {
    match is_json {
        true => serde_json::from_slice(bytes).ok(),
        false => M::decode(bytes).ok(),
    }
}

fn page_after(accounts: &mut Accounts, export: &ExportMetrics) -> Option<String> {
    accounts.take(export, AT_MS, Stage::Usual, &|_| true);
    let page = accounts.page("app-1", AT_MS, SILENT_MS).ok()?;
    Some(page.1)
}
