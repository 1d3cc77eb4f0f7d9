//! Pages as widely used client libraries write them (`scripts/metrics-pages.sh` makes them anew): what is understood of each without being
//! told. Beside the pages of each stands what was asked of the application in between.

use std::path::{Path, PathBuf};

use cutover::monitor::metrics::scrape::{Counters, Judged, Scrape, Selection};
use cutover::runbook::{Figure, MetricsPage};
use regex::Regex;

/// One library's pages.
struct Pages {
    name: String,
    fresh: String,
    before: String,
    after: String,
    expected: String,
}

impl Pages {
    fn all() -> Vec<Pages> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/monitor/pages");
        let entries = std::fs::read_dir(&folder).expect("the pages");
        let paths = entries.map(|entry| entry.expect("a page").path());
        let name = |path: PathBuf| {
            Some(
                path.file_name()?
                    .to_str()?
                    .strip_suffix(".expected.yaml")?
                    .to_owned(),
            )
        };
        let mut names: Vec<String> = paths.filter_map(name).collect();
        names.sort();
        let text = |file: String| std::fs::read_to_string(folder.join(&file)).expect(&file);
        let of = |name: String| Pages {
            fresh: text(format!("{name}.fresh.txt")),
            before: text(format!("{name}.before.txt")),
            after: text(format!("{name}.after.txt")),
            expected: text(format!("{name}.expected.yaml")),
            name,
        };
        names.into_iter().map(of).collect()
    }

    fn says(&self, pattern: &str) -> Option<String> {
        let pattern = Regex::new(&format!("(?m)^{pattern}")).expect("a pattern");
        pattern
            .captures(&self.expected)
            .map(|found| found[1].to_owned())
    }

    fn number(&self, key: &str) -> Option<f64> {
        self.says(&format!("{key}: ([0-9]+)$"))?.parse().ok()
    }

    /// A number in a map of one line.
    fn number_in(&self, map: &str, key: &str) -> Option<f64> {
        let pattern = format!(r"{map}: \{{.*\b{key}: ([0-9.]+)[,}}]");
        self.says(&pattern)?.parse().ok()
    }

    fn scrape(&self, selection: &Selection, text: &str) -> Scrape {
        let scrape = selection.scrape(text);
        scrape.unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    /// What they must come to, read in this way.
    fn are_understood(&self, selection: &Selection) {
        let name = &self.name;
        let before = self.scrape(selection, &self.before).counters;
        let after = self.scrape(selection, &self.after);
        let grown = after.counters.since(&before, Judged::All);
        let counted = [
            grown.requests,
            grown.server_errors,
            grown.client_errors,
            grown.judged,
        ];
        let keys = ["requests", "server_errors", "client_errors", "requests"];
        let expected = keys.map(|key| self.number(key).expect(key));
        assert_eq!(counted, expected, "{name}: {:?}", grown.lacking);
        assert!(grown.lacking.is_empty(), "{name}: {:?}", grown.lacking);

        let refused = after.counters.since(&before, Judged::Without(503));
        let judged = ["judged", "server_errors"].map(|key| self.number_in("in_maintenance", key));
        assert_eq!(
            [Some(refused.judged), Some(refused.server_errors)],
            judged,
            "{name}"
        );
        assert_eq!(refused.requests, grown.requests, "{name}");

        // In truth it is 350 ms; a bucket is as exact as it can be.
        let (above_ms, at_most_ms) = (
            self.number_in("p95", "above_ms"),
            self.number_in("p95", "at_most_ms"),
        );
        match (grown.quantile(0.95), above_ms, at_most_ms) {
            (Ok((seconds, _)), Some(above), Some(at_most)) => {
                let ms = seconds * 1_000.0;
                assert!(above < ms && ms <= at_most + 1e-6, "{name}: {ms}");
            }
            (Err(why), None, None) => assert_eq!(why, "no instance exposes latencies", "{name}"),
            (p95, _, _) => panic!("{name}: {p95:?}, expected {above_ms:?} to {at_most_ms:?}"),
        }

        for (word, figure) in [
            ("active", Figure::PoolActive),
            ("idle", Figure::PoolIdle),
            ("waiting", Figure::PoolWaiting),
            ("max", Figure::PoolMax),
        ] {
            let found = after.gauges.get(&figure).copied();
            assert_eq!(found, self.gauge(word), "{name}: {word}");
        }
        self.begins_anew(selection, &before, &after.counters);
    }

    /// What is known of a process that has just begun, and of one that is another than before.
    fn begins_anew(&self, selection: &Selection, before: &Counters, after: &Counters) {
        let name = &self.name;
        let fresh = selection.read(&self.fresh);
        let fresh = fresh.unwrap_or_else(|e| panic!("{name}: {e}")).counters;
        let first = fresh.first();
        assert!(first.lacking.is_empty(), "{name}: {:?}", first.lacking);
        let says = self.says("fresh: (.*)$").expect("what a fresh page tells");
        let told = match fresh.tells(Figure::Requests) {
            true => "told",
            false => "not yet",
        };
        assert_eq!(told, says, "{name}");
        // What a process counts from its beginning is all that it counts.
        let since_fresh = after.since(&fresh, Judged::All).requests;
        let since_before = after.since(before, Judged::All).requests;
        let between = before.since(&fresh, Judged::All).requests;
        assert_eq!(since_fresh, since_before + between, "{name}");
        assert!(between > 0.0, "{name}");

        let told = self.says("process_start_time: (.*)$").expect("whether");
        let start = Regex::new("(?m)^process_start_time_seconds .*$").expect("a pattern");
        let earlier = start.replace(&self.before, "process_start_time_seconds 1");
        let another = self.scrape(selection, &earlier).counters;
        assert!(!after.began_anew(before), "{name}");
        assert_eq!(after.began_anew(&another), told == "true", "{name}");
        let counted = after.since(&another, Judged::All).requests;
        assert_eq!(counted > since_before, told == "true", "{name}");
    }

    /// The names of views that are no traffic; paths need not be said.
    fn leave_out(&self) -> Vec<String> {
        let listed = self
            .says(r"left_out: \{.*values: \[(.*)\]")
            .unwrap_or_default();
        listed.split(", ").map(str::to_owned).collect()
    }

    fn gauge(&self, word: &str) -> Option<f64> {
        self.says(&format!(r" +{word}: \{{.*value: ([0-9]+)\}}"))?
            .parse()
            .ok()
    }
}

/// Of which library these stand for a name that it does not have by default.
const NAMED_BY_THE_APPLICATION: [&str; 1] = ["promhttp"];

#[test]
fn every_page_of_a_real_library_is_understood() {
    let all = Pages::all();
    assert!(all.len() >= 29, "{}", all.len());
    for pages in all
        .iter()
        .filter(|p| !NAMED_BY_THE_APPLICATION.contains(&p.name.as_str()))
    {
        let page = MetricsPage {
            leave_out: pages.leave_out(),
            ..MetricsPage::at("{url}/metrics")
        };
        let paths = ["/ready", "/metrics"].map(str::to_owned);
        pages.are_understood(&Selection::leaving_out(Some(&page), paths.into_iter()));
    }
}

#[test]
fn what_an_application_names_itself_is_understood_once_it_is_mapped() {
    use cutover::runbook::Family;
    let all = Pages::all();
    let pages = all.iter().find(|p| p.name == "promhttp").expect("promhttp");
    let named = |figure, name: &str| (figure, Family::named(name.to_owned(), figure));
    let page = MetricsPage {
        map: vec![
            named(Figure::Requests, "api_requests_total"),
            named(Figure::Latency, "request_duration_seconds"),
        ],
        ..MetricsPage::at("{url}/metrics")
    };
    pages.are_understood(&Selection::leaving_out(Some(&page), std::iter::empty()));
}

/// Where a library counts the same requests twice, once with the route and once without, our own questions are told from traffic from the
/// first of them on.
#[test]
fn our_own_questions_are_no_traffic_of_a_process_that_has_just_begun() {
    let all = Pages::all();
    for (name, asked) in [
        (
            "django-prometheus",
            "django_http_responses_total_by_status_total{status=\"503\"} 30\n\
             django_http_responses_total_by_status_view_method_total{method=\"GET\",status=\"503\",view=\"ready\"} 30\n",
        ),
        (
            "prometheus-flask-exporter",
            "flask_http_request_total{method=\"GET\",status=\"503\"} 30\n\
             flask_http_request_duration_seconds_count{method=\"GET\",path=\"/ready\",status=\"503\"} 30\n",
        ),
        (
            "starlette-prometheus",
            "starlette_requests_total{method=\"GET\",path_template=\"/tools\"} 1\n\
             starlette_responses_total{method=\"GET\",path_template=\"/ready\",status_code=\"503\"} 30\n",
        ),
    ] {
        let pages = all.iter().find(|p| p.name == name).expect(name);
        let paths = ["/ready", "/metrics"].map(str::to_owned);
        let selection = Selection::leaving_out(None, paths.into_iter());
        let fresh = pages.scrape(&selection, &pages.fresh).counters;
        let page = format!("{}{asked}", pages.fresh);
        let counters = pages.scrape(&selection, &page).counters;
        let grown = counters.since(&fresh, Judged::All);
        assert_eq!((grown.requests, grown.server_errors), (0.0, 0.0), "{name}");
        assert!(grown.lacking.is_empty(), "{name}: {:?}", grown.lacking);
    }
}
