//! The PostgreSQL side against a real server: connecting by every road, every refusal by its kind, preflight, migrations, activity.

#[path = "target/connect.rs"]
mod connect;
#[path = "target/migrations.rs"]
mod migrations;
#[path = "target/own_schema.rs"]
mod own_schema;
#[path = "target/pooler.rs"]
mod pooler;
#[path = "target/preflight.rs"]
mod preflight;
#[path = "target/silence.rs"]
mod silence;
#[path = "target/tls.rs"]
mod tls;
#[path = "target/write_probe.rs"]
mod write_probe;
#[path = "target/written.rs"]
mod written;

use cutover::target::{Endpoint, Error, Finding};
use tokio_postgres::Client;

/// An endpoint that no setting of this machine's user reaches.
pub fn endpoint(url: &str) -> Endpoint {
    Endpoint::parse_in(url, &|_| None).unwrap()
}

pub async fn connect(url: &str) -> Client {
    endpoint(url).connect().await.unwrap()
}

pub async fn refusal(url: &str) -> Error {
    endpoint(url)
        .connect()
        .await
        .err()
        .unwrap_or_else(|| panic!("{url} let us in"))
}

/// The names of the findings that are not ok.
pub fn failed(findings: &[Finding]) -> Vec<&str> {
    findings
        .iter()
        .filter(|finding| !finding.ok)
        .map(|finding| finding.name.as_str())
        .collect()
}

/// With another password, user, port, … put in by the URL library.
pub fn changed(url: &str, change: impl FnOnce(&mut url::Url)) -> String {
    let mut url = url::Url::parse(url).unwrap();
    change(&mut url);
    url.to_string()
}
