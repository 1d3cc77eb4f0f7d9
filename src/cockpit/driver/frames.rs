//! When the next frame is due: as soon as the last one is a short time ago, sooner where somebody waits for an answer, later for what is
//! measured again and again.
//!
//! Not in here: drawing it (`driver`), and what is in it (`view`).

use std::time::{Duration, Instant};

/// The shortest time between two frames.
pub const FRAME: Duration = Duration::from_millis(33);
/// The shortest time before a frame that answers a key: whoever pressed it waits for it.
const ANSWER: Duration = Duration::from_millis(8);
/// The shortest time between two frames of which the later one shows nothing new but what is measured again and again. The clock, where it runs,
/// asks for a frame before.
const MEASURED: Duration = Duration::from_millis(1_100);

/// What a frame has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owed {
    /// What came of a key.
    Answer,
    /// A change.
    Change,
    /// What is measured again and again.
    Measured,
}

/// The frames: the last one, and what has come since.
#[derive(Debug)]
pub struct Frames {
    drawn: Option<Instant>,
    /// The shortest time after the last frame; `None` where there is nothing to show.
    rest: Option<Duration>,
}

impl Frames {
    /// The first frame is due.
    pub fn begin() -> Frames {
        Frames {
            drawn: None,
            rest: Some(FRAME),
        }
    }

    /// There is something to show.
    pub fn owe(&mut self, what: Owed) {
        let rest = match what {
            Owed::Answer => ANSWER,
            Owed::Change => FRAME,
            Owed::Measured => MEASURED,
        };
        self.rest = Some(self.rest.map_or(rest, |before| before.min(rest)));
    }

    /// In how long the next frame is due, if there is anything to show.
    pub fn due_in(&self, now: Instant) -> Option<Duration> {
        let since = self.drawn.map(|at| now.saturating_duration_since(at));
        self.rest
            .map(|rest| since.map_or(Duration::ZERO, |since| rest.saturating_sub(since)))
    }

    /// It has been drawn.
    pub fn drawn(&mut self, now: Instant) {
        (self.drawn, self.rest) = (Some(now), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_waits_for_the_clock_and_for_nothing_else() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let mut frames = Frames::begin();
        assert_eq!(frames.due_in(begun), Some(Duration::ZERO));
        frames.drawn(begun);
        assert_eq!(frames.due_in(at(5_000)), None);
        frames.owe(Owed::Measured);
        assert_eq!(frames.due_in(at(100)), Some(ms(1_000)));
        frames.owe(Owed::Change);
        frames.owe(Owed::Measured);
        assert_eq!(frames.due_in(at(30)), Some(ms(3)));
        frames.owe(Owed::Answer);
        assert_eq!(frames.due_in(at(100)), Some(Duration::ZERO));
        frames.drawn(at(100));
        assert_eq!(frames.due_in(at(100)), None);
    }
}
