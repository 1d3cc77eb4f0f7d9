//! Waiting for PostgreSQL for so long and no longer. What counts is the time in which we could have heard an answer: while the whole machine
//! stands still, as a virtual machine does that is moved, nobody answers, and nobody is silent.

use std::pin::pin;
use std::time::{Duration, Instant};

/// A wait is cut into turns, so that it is seen when one of them takes much longer than it should.
const TURN: Duration = Duration::from_millis(250);

/// What is left of a limit for several things that are done one after the other.
pub(crate) struct TimeLeft(Duration);

impl TimeLeft {
    pub(crate) fn new(limit: Duration) -> Self {
        Self(limit)
    }

    /// Gives more time to what is still to be done.
    pub(crate) fn add(&mut self, more: Duration) {
        self.0 += more;
    }

    /// What the work comes to; `None` where it needs longer than what is left.
    pub(crate) async fn within<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        while !self.0.is_zero() {
            let turn = TURN.min(self.0);
            let begun = Instant::now();
            let done = tokio::select! {
                biased;
                done = &mut work => Some(done),
                () = tokio::time::sleep(turn) => None,
            };
            self.0 = self.0.saturating_sub(counted(turn, begun.elapsed()));
            if done.is_some() {
                return done;
            }
        }
        None
    }
}

/// What the work comes to; `None` where it needs longer than this.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    TimeLeft::new(limit).within(work).await
}

/// How much of a turn counts. One that took more than twice its time did not run meanwhile.
fn counted(turn: Duration, took: Duration) -> Duration {
    took.min(turn * 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nothing_ran_does_not_count() {
        let ms = Duration::from_millis;
        for (took, counts) in [(3, 3), (250, 250), (400, 400), (4_000, 500)] {
            assert_eq!(counted(ms(250), ms(took)), ms(counts), "{took}");
        }
        assert_eq!(counted(ms(10), ms(4_000)), ms(20));
    }

    #[tokio::test]
    async fn what_answers_is_heard_and_what_does_not_is_given_up() {
        let hour = Duration::from_secs(3_600);
        assert_eq!(within(hour, async { 7 }).await, Some(7));
        let mut left = TimeLeft::new(Duration::from_millis(1));
        assert_eq!(left.within(std::future::pending::<u8>()).await, None);
        assert_eq!(left.within(async { 7 }).await, None, "nothing is left");
        left.add(hour);
        assert_eq!(left.within(async { 7 }).await, Some(7));
    }
}
