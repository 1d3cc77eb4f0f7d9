//! Metrics pages: a series that is printed again reads the same, a bad line is named within the page, and what is read of two pages one after
//! the other comes to finite numbers, shares within 0 and 1.
#![no_main]

use std::sync::LazyLock;

use cutover::monitor::metrics::scrape::{Judged, Selection};
use cutover::monitor::metrics::text::series;
use cutover::monitor::metrics::window::Window;
use cutover::trigger::Reading;
use cutover_fuzz::assert_line_within;
use libfuzzer_sys::fuzz_target;

static SELECTION: LazyLock<Selection> =
    LazyLock::new(|| Selection::leaving_out(None, ["/ready".to_owned()].into_iter()));

fuzz_target!(|bytes: &[u8]| {
    let Ok(page) = std::str::from_utf8(bytes) else {
        return;
    };
    for one in series(page) {
        let one = match one {
            Ok(one) => one,
            Err(error) => {
                assert_line_within(error.line, page);
                break;
            }
        };
        assert!(one.labels().count() <= one.labels.len());
        let printed = match one.labels {
            "" => format!("{} {}", one.name, one.value),
            labels => format!("{}{{{labels}}} {}", one.name, one.value),
        };
        let again: Vec<_> = series(&printed).collect();
        let [Ok(again)] = again.as_slice() else {
            panic!("{printed:?} reads as {again:?}");
        };
        let same = again.value == one.value || (again.value.is_nan() && one.value.is_nan());
        assert!(
            same && again.name == one.name && again.labels == one.labels,
            "{printed:?}"
        );
    }
    // Two pages, the one after the other.
    let (before, after) = page.split_once("\n---\n").unwrap_or(("", page));
    let Ok(after) = SELECTION.scrape(after) else {
        return;
    };
    let before = SELECTION
        .scrape(before)
        .map(|scrape| scrape.counters)
        .unwrap_or_default();
    let mut window = Window::new(300_000);
    for (at_ms, judged) in [(5_000, Judged::All), (10_000, Judged::Without(503))] {
        window.push(at_ms, after.counters.since(&before, judged));
    }
    for (signal, reading) in window.readings() {
        if let Reading::Value { value, .. } | Reading::Partial { value, .. } = reading {
            assert!(value.is_finite(), "{signal} is {value}");
            let within = !signal.ends_with("_ratio") || (0.0..=1.0).contains(&value);
            assert!(within && value >= 0.0, "{signal} is {value}");
        }
    }
});
