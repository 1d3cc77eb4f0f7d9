//! Instances of the application: restarted, waited for, asked. The configuration switch itself is `step`'s, by `action`.
//!
//! An instance that refuses, times out or answers wrongly has failed; only what we could not *ask* is an error of ours
//! ([`request::AskError::is_ours`]).
//!
//! Not in here: judging readiness over time (`trigger`), asking at intervals (`monitor`).

mod compare;
pub mod discovery;
pub mod maintenance;
pub mod place;
pub mod processes;
pub mod provider;
pub mod ready;
pub mod request;
pub mod restart;
pub mod rollout;
pub mod signed;

use std::time::Duration;

pub use ready::{NotReady, Ready, ready_once, wait_ready, wait_ready_at};
pub use request::{Answer, AskError, Mismatch};
pub use restart::{Means, RestartError, restart};
pub use rollout::{Plan, RolloutError, RolloutHooks, Turn, rollout};

/// Most bytes of an answer that are read; more is a failure.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// How long the way to an instance may take before anything is asked.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);

/// The HTTP client for a fleet: no proxy, no redirects, TLS by rustls with the machine's own trust store. Make one and share it.
///
/// # Panics
/// Never: nothing in it depends on the machine.
pub fn client() -> reqwest::Client {
    // Whoever comes first installs it; a second attempt is the same provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_LIMIT)
        .user_agent(concat!("cutover/", env!("CARGO_PKG_VERSION")))
        .build()
        .expect("BUG: the client is built from constants")
}
