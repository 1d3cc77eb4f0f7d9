//! Asking an instance for something that only reads, while what can be seen of it from outside is looked at: some applications open their
//! database for each request, and are seen with it only then. Not in here: what is looked at (`serving`, `arrival`, `staging`).

use std::pin::Pin;
use std::time::Duration;

use super::context::Context;
use crate::runbook::{Instance, Request, RequestClass};

/// How often an instance is asked before it is given up.
pub(super) const LOOKS: usize = 3;
/// The longest that an instance is asked during one look.
const LOOK_LIMIT: Duration = Duration::from_millis(700);
/// From one glance to the next, while it is asked.
const GLANCE_EVERY: Duration = Duration::from_millis(2);

/// The requests of `verification.requests` that only read, in their order.
pub(super) fn reads(ctx: &Context) -> Vec<&Request> {
    let requests = ctx.runbook.verification.requests.iter();
    requests
        .filter(|r| r.class == RequestClass::Read && r.method == "GET")
        .collect()
}

/// An instance that is being asked. What it answers is not looked at.
pub(super) struct Asking<'a>(Pin<Box<dyn Future<Output = ()> + Send + 'a>>);

impl<'a> Asking<'a> {
    pub(super) fn begin(ctx: &'a Context, instance: &'a Instance, read: &'a Request) -> Asking<'a> {
        Asking(Box::pin(async {
            let tokens = ctx.shared.monitor.tokens();
            let asked = tokens.ask(&ctx.shared.http, read, &instance.url, LOOK_LIMIT);
            let _ = asked.await;
        }))
    }

    /// Waits until it is time for a glance; whether it has answered by now, so that this glance is the last one.
    pub(super) async fn is_over_at_next_glance(&mut self) -> bool {
        tokio::select! {
            () = &mut self.0 => true,
            () = tokio::time::sleep(GLANCE_EVERY) => false,
        }
    }
}
