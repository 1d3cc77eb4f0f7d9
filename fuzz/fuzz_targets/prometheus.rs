//! Answers of a Prometheus server, whose reasons are harmless and short, and PromQL whose windows are cut: once is as good as twice, and what is
//! within the reach stays as it is.
#![no_main]

use cutover::fleet::Answer;
use cutover::monitor::prometheus::answer::read;
use cutover::monitor::prometheus::clamp::clamped;
use cutover_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

const REACH_MS: i64 = 60_000;

fuzz_target!(|bytes: &[u8]| {
    let answer = Answer {
        status: 200,
        body: bytes.to_vec(),
        location: None,
        ms: 1.0,
    };
    match read(&answer) {
        Ok(points) => {
            if let Some(warning) = &points.warning {
                assert_harmless(warning);
            }
            assert!(points.points.len() <= bytes.len());
        }
        Err(why) => {
            assert_harmless(&why);
            assert!(why.chars().count() < 1_200, "{why}");
        }
    }
    if let Ok(query) = std::str::from_utf8(bytes) {
        let cut = clamped(query, REACH_MS);
        assert_eq!(clamped(&cut, REACH_MS), cut, "{query:?}");
        assert_eq!(clamped(query, i64::MAX), query);
        assert_eq!(
            cut.matches(['"', '`']).count(),
            query.matches(['"', '`']).count(),
            "{query:?}"
        );
    }
});
