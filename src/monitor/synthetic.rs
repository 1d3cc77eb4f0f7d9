//! Synthetic requests: the runbook's verification requests, each at every interval, at the instances in turn. They keep a quiet night
//! from being a blind one.
//!
//! What maintenance refuses is no failure, and no request that was made. In a rehearsal nobody is asked to write who is not seen to have left
//! production.
//!
//! Bodies are not compared here: what was recorded with the baseline is no longer what it was once writes are open again.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::join_all;

use super::Context;
use super::maintenance::Marks;
use super::schedule::Take;
use crate::fleet::request::judge;
use crate::runbook::{Instance, Request, RequestClass};
use crate::trigger::Reading;
use crate::trigger::cadence::Rhythm;

/// The window of the figures, in intervals of the probe.
const WINDOW_INTERVALS: i64 = 20;

pub(super) struct Synthetic {
    context: Context,
    rhythm: Rhythm,
    /// By what maintenance's answers are known.
    marks: Marks,
    /// The instance that the next request goes to.
    turn: usize,
    window: VecDeque<Tried>,
    /// A request that writes was not sent the last time.
    is_held_back: bool,
}

/// One request that was made.
#[derive(Debug, Clone, Copy)]
struct Tried {
    at_ms: i64,
    class: RequestClass,
    /// How long the right answer took; `None` for a failure.
    right_after_ms: Option<f64>,
}

impl Synthetic {
    pub(super) fn new(context: Context, rhythm: Rhythm) -> Synthetic {
        Synthetic {
            marks: Marks::of(&context.runbook),
            context,
            rhythm,
            turn: 0,
            window: VecDeque::new(),
            is_held_back: false,
        }
    }

    /// 95 in 100 right answers of a class came within this time.
    fn p95(&self, class: RequestClass) -> Reading {
        let of_class = self.window.iter().filter(|t| t.class == class);
        let mut times: Vec<f64> = of_class.filter_map(|t| t.right_after_ms).collect();
        times.sort_by(f64::total_cmp);
        match times.len() {
            0 if class == RequestClass::Write && self.is_held_back => Reading::no_data(
                "in a rehearsal staging is asked to write only where its processes are seen to have left production",
            ),
            0 => Reading::no_data(match class {
                RequestClass::Read => "no synthetic read was answered rightly",
                RequestClass::Write => "no synthetic write was answered rightly",
            }),
            n => Reading::value(times[(n * 95).div_ceil(100) - 1]),
        }
    }

    fn failed_ratio(&self) -> Reading {
        let failed = self.window.iter().filter(|t| t.right_after_ms.is_none());
        let n = self.window.len();
        match n {
            0 => Reading::no_data("no synthetic request could be made"),
            _ => Reading::over(failed.count() as f64 / n as f64, Some(n as u64)),
        }
    }
}

/// A rehearsal's staging may serve from production, where nothing but its readiness was looked at yet.
async fn may_write(context: &Context, instance: &Instance) -> bool {
    match context.ground.environment.watch() {
        Some(watch) => watch.is_left_by(instance).await,
        None => true,
    }
}

/// Makes one request. `None` where it could not be made at all, or was not let through to the application.
async fn try_one(
    context: &Context,
    marks: &Marks,
    request: &Request,
    instance: &Instance,
    limit: Duration,
    at_ms: i64,
) -> Option<Tried> {
    // Before it is asked: an answer may be on its way while maintenance ends.
    let stage = context.maintenance.stage();
    let asked = context
        .tokens
        .ask(&context.client, request, &instance.url, limit);
    let right_after_ms = match asked.await {
        Ok(answer) if answer.status != request.status && marks.gave(stage, &answer) => return None,
        Ok(answer) => judge(request, &answer, None).is_ok().then_some(answer.ms),
        Err(error) if error.is_ours() => return None,
        Err(_) => None,
    };
    Some(Tried {
        at_ms,
        class: request.class,
        right_after_ms,
    })
}

impl Take for Synthetic {
    async fn take(&mut self, at_ms: i64) -> Vec<(String, Reading)> {
        let runbook = &self.context.runbook;
        let instances = self.context.instances();
        let requests = &runbook.verification.requests;
        if instances.is_empty() {
            return Vec::new();
        }
        let limit = self.rhythm.limit();
        let mut pairs = Vec::new();
        self.is_held_back = false;
        for (n, request) in requests.iter().enumerate() {
            let instance = &instances[(self.turn + n) % instances.len()];
            match request.class == RequestClass::Read || may_write(&self.context, instance).await {
                true => pairs.push(try_one(
                    &self.context,
                    &self.marks,
                    request,
                    instance,
                    limit,
                    at_ms,
                )),
                false => self.is_held_back = true,
            }
        }
        let tried: Vec<_> = join_all(pairs).await.into_iter().flatten().collect();
        self.turn = (self.turn + requests.len().max(1)) % instances.len();
        // With as many instances as requests each request would meet the same instance for ever.
        if requests.len().is_multiple_of(instances.len()) {
            self.turn = (self.turn + 1) % instances.len();
        }
        let oldest_ms = at_ms - WINDOW_INTERVALS * self.rhythm.interval_ms;
        self.window.extend(tried);
        self.window.retain(|t| t.at_ms > oldest_ms);
        let reads = self.p95(RequestClass::Read);
        let writes = self.p95(RequestClass::Write);
        vec![
            ("synthetic_failed_ratio".to_owned(), self.failed_ratio()),
            ("synthetic_read_ms".to_owned(), reads),
            ("synthetic_write_ms".to_owned(), writes),
        ]
    }
}
