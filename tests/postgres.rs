//! The PostgreSQL side against a real server: connecting by every road, every refusal by its kind, preflight, migrations, activity.

#[path = "postgres/connect.rs"]
mod connect;
#[path = "postgres/migrations.rs"]
mod migrations;
#[path = "postgres/own_schema.rs"]
mod own_schema;
#[path = "postgres/pooler.rs"]
mod pooler;
#[path = "postgres/preflight.rs"]
mod preflight;
#[path = "postgres/silence.rs"]
mod silence;
#[path = "postgres/tls.rs"]
mod tls;
#[path = "postgres/write_probe.rs"]
mod write_probe;
#[path = "postgres/writers.rs"]
mod writers;
#[path = "postgres/written.rs"]
mod written;

use cutover::postgres::{Endpoint, Error, Finding};
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
