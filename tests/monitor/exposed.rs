//! What the runbook needs of the instances' pages is looked for before the night: each signal that does not come, with who needs it.

use cutover::cli::check::examine;
use cutover::postgres::Finding;
use cutover::runbook::{ProbeKind, Runbook};

use super::{runbook, servers};
use crate::fleet::instance::{Reply, Server};

const REQUESTS: &str = "http_requests_total{code=\"200\",endpoint=\"/\"} 1\n\
                        http_request_duration_seconds_bucket{le=\"+Inf\"} 1\n";
const POOL: &str = "db_pool_active 1\ndb_pool_idle 1\ndb_pool_waiting 0\ndb_pool_max 5\ndb_pool_timeouts_total 0\n";

/// Whether each signal that is needed comes, and what is said about it.
async fn told(pages: &[&str]) -> Vec<Finding> {
    let servers = servers(pages.len()).await;
    let show = |(server, page): (&Server, &&str)| server.text("/metrics", 200, page);
    servers.iter().zip(pages).for_each(show);
    let runbook: Runbook = runbook(vec![ProbeKind::Metrics { window_ms: 60_000 }], &servers);
    let folder = tempfile::tempdir().expect("a folder");
    let findings = examine(&runbook, folder.path()).await;
    let is_signal = |f: &Finding| f.name.starts_with("signal ");
    findings.into_iter().filter(is_signal).collect()
}

/// What is said of a page that the probe would refuse.
async fn refused(page: &[u8]) -> Vec<Finding> {
    let servers = servers(1).await;
    servers[0].set("/metrics", Reply::Bytes(page.to_vec()));
    let runbook: Runbook = runbook(vec![ProbeKind::Metrics { window_ms: 60_000 }], &servers);
    let folder = tempfile::tempdir().expect("a folder");
    let findings = examine(&runbook, folder.path()).await;
    let is_page = |f: &Finding| f.name == "instance app-1, metrics";
    findings.into_iter().filter(is_page).collect()
}

fn failed(findings: &[Finding]) -> Vec<&str> {
    let failed = findings.iter().filter(|f| f.blocks());
    failed.map(|f| f.name.as_str()).collect()
}

#[tokio::test]
async fn a_check_names_every_signal_that_never_comes_and_who_needs_it() {
    let full = format!("{REQUESTS}{POOL}");
    let findings = told(&[&full, &full]).await;
    assert_eq!(failed(&findings), [""; 0]);
    let names: Vec<_> = findings.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "signal http_5xx_ratio",
            "signal latency_p95_ms",
            "signal pool_waiting",
            "signal pool_timeouts",
            "signal pool_used_ratio",
        ]
    );
    assert_eq!(findings[0].detail, "comes; P3, T3a, T3b, M4 need it");

    let findings = told(&[REQUESTS, REQUESTS]).await;
    let pool = [
        "signal pool_waiting",
        "signal pool_timeouts",
        "signal pool_used_ratio",
    ];
    assert_eq!(failed(&findings), pool);
    let waiting = &findings[2].detail;
    for part in [
        "no instance exposes db_pool_waiting; M3 needs it",
        "without it M3 never turns green",
        "docs/runbook.md, \"Names of metrics\"",
        "or take it out of M3",
    ] {
        assert!(waiting.contains(part), "{part}: {waiting}");
    }

    let findings = told(&[&full, REQUESTS]).await;
    assert_eq!(failed(&findings), pool);
    let waiting = &findings[2].detail;
    assert!(
        waiting.starts_with("1 of 2 instances, app-2 the first, do not expose db_pool_waiting"),
        "{waiting}"
    );

    let findings = told(&[POOL]).await;
    assert_eq!(
        failed(&findings),
        ["signal http_5xx_ratio", "signal latency_p95_ms"]
    );
}

#[tokio::test]
async fn a_page_that_the_probe_would_refuse_whole_is_refused_by_the_check() {
    let full = format!("{REQUESTS}{POOL}");
    let with = |more: &str| format!("{full}{more}").into_bytes();
    let broken = [full.as_bytes(), b"# \xff\n"].concat();
    for (page, why) in [
        (with("other{a=\"b\" 1\n"), "its braces do not close"),
        (with("db_pool_max 5\n"), "stands on the page twice"),
        (
            format!("{REQUESTS}db_pool_max NaN\n").into_bytes(),
            "db_pool_max is NaN",
        ),
        (broken, "the page is not UTF-8"),
    ] {
        let findings = refused(&page).await;
        assert_eq!(findings.len(), 1, "{why}: {findings:?}");
        assert!(findings[0].blocks(), "{findings:?}");
        assert!(findings[0].detail.contains(why), "{findings:?}");
    }
    for page in [with(""), b"other 1\n".to_vec()] {
        let findings = refused(&page).await;
        assert!(findings.is_empty(), "{findings:?}");
    }
}
