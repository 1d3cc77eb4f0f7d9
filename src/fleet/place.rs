//! Where an instance is: its addresses, its port, and the processes that listen there. Not in here: what processes do (`processes`).

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::processes::{self, Process};
use crate::runbook::Instance;

/// The port of its URL.
pub fn port_of(instance: &Instance) -> Option<u16> {
    url::Url::parse(&instance.url).ok()?.port_or_known_default()
}

/// Addresses of an instance's host.
pub async fn addresses(instance: &Instance) -> BTreeSet<IpAddr> {
    const LIMIT: Duration = Duration::from_secs(1);
    let by_url = url::Url::parse(&instance.url).ok();
    let host = by_url.and_then(|url| Some(url.host_str()?.trim_matches(['[', ']']).to_owned()));
    let host = host.unwrap_or_else(|| instance.host.clone());
    let looked_up = tokio::time::timeout(LIMIT, tokio::net::lookup_host((host, 0))).await;
    match looked_up {
        Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
        _ => BTreeSet::new(),
    }
}

/// The processes that listen at an instance's port; none where it is on another host, or we may not look.
pub async fn processes_of(instance: &Instance) -> BTreeSet<Process> {
    let is_here = addresses(instance).await.into_iter();
    let is_here = is_here.into_iter().any(processes::is_this_host);
    let port = port_of(instance).filter(|_| is_here);
    let running = tokio::task::spawn_blocking(move || port.map(processes::listening_at));
    let running = running
        .await
        .expect("BUG: looking at processes does not panic");
    running.unwrap_or_default()
}
