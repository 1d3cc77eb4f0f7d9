//! Questions to the operating system that may never be answered: a disk behind a network that is gone holds whoever asks, for hours. So
//! each is asked in a thread of its own and waited for so long and no longer, and as long as it has not come back it is not asked again.
//!
//! Not in here: what is asked.

use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// One question that is asked again and again.
#[derive(Debug)]
pub struct Patience<T> {
    open: Option<(JoinHandle<T>, Instant)>,
}

impl<T> Default for Patience<T> {
    fn default() -> Self {
        Self { open: None }
    }
}

impl<T: Send + 'static> Patience<T> {
    /// The answer; or, of a question that is still open, for how long nobody has answered it. An answer that comes late is given to
    /// whoever asks next.
    pub async fn ask(
        &mut self,
        question: impl FnOnce() -> T + Send + 'static,
        limit: Duration,
    ) -> Result<T, Duration> {
        let (mut asked, since) = self
            .open
            .take()
            .unwrap_or_else(|| (tokio::task::spawn_blocking(question), Instant::now()));
        match tokio::time::timeout(limit, &mut asked).await {
            Ok(answer) => Ok(answer.expect("BUG: a question does not panic")),
            Err(_) => {
                self.open = Some((asked, since));
                Err(since.elapsed())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_hangs_is_asked_once_and_its_late_answer_counts() {
        let (answer, question) = mpsc::channel::<u8>();
        let mut patience = Patience::default();
        let hangs = move || question.recv().unwrap_or(0);
        let asked = patience.ask(hangs, Duration::from_millis(20)).await;
        assert!(asked.is_err());
        let not_asked = || panic!("asked twice");
        let asked = patience.ask(not_asked, Duration::from_millis(20)).await;
        assert!(asked.is_err_and(|since| since >= Duration::from_millis(40)));
        answer.send(7).expect("a thread waits");
        assert_eq!(
            patience.ask(|| 1, Duration::from_secs(20)).await,
            Ok(7),
            "the answer to the first question"
        );
        assert_eq!(patience.ask(|| 1, Duration::from_secs(20)).await, Ok(1));
    }
}
