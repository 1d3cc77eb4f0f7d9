//! The state machine of one trigger on one signal. Times are real milliseconds of the session here; who scales them is `judge`.

use serde::{Deserialize, Serialize};

use super::cadence::Rhythm;
use super::standing::Standing;
use crate::session::TriggerPhase;

/// What a fuse remembers between samples, and from one engine to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fuse {
    /// Time for which the condition was seen to hold, without a good sample in between.
    pub streak_ms: i64,
    /// The newest sample, whatever it said.
    pub last: Option<Seen>,
    /// Until when it is known how the signal stood. A bad sample between two that say nothing tells of its own moment alone, and burns no time.
    pub known_ms: Option<i64>,
    /// Nothing before this time counts: an instance was restarted on purpose.
    pub counts_from_ms: Option<i64>,
    /// Why it fired, once it has.
    pub fired: Option<String>,
    /// Whether people have been told that it is blind.
    pub alarmed: bool,
    /// Since when samples have been good, while those do not suffice to end the streak.
    #[serde(default)]
    pub good_since_ms: Option<i64>,
    /// For how long they have been so. The next bad sample shows that this time was no better than the streak.
    #[serde(default)]
    pub undecided_ms: i64,
}

/// The newest sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was taken.
    pub at_ms: i64,
    pub standing: Standing,
    /// In words and numbers.
    pub text: String,
    /// A good sample ends a streak once good samples have come for this long. More than 0 where one error alone would have been beyond the
    /// limit: none among so few requests proves little.
    #[serde(default)]
    pub settles_ms: i64,
}

/// What governs a fuse while it is armed.
#[derive(Debug, Clone, Copy)]
pub struct Burn {
    /// Armed since then.
    pub armed_ms: i64,
    /// The streak after which it fires; 0 is the first bad sample.
    pub full_ms: i64,
    /// How often a sample is due.
    pub rhythm: Rhythm,
}

impl Fuse {
    /// Takes note of a sample. `burn` is `None` while the trigger is not armed: the sample is seen and does not count. One that was taken
    /// before the newest and comes after it adds no time, for that time is counted already, and says nothing of how it stands now.
    pub fn observe(&mut self, seen: Seen, rhythm: Rhythm, burn: Option<Burn>) {
        let is_late = self
            .last
            .as_ref()
            .is_some_and(|last| rhythm.is_late(seen.at_ms, last.at_ms));
        let tells = self.tells_of_the_time_before(&seen, rhythm);
        match (seen.standing, burn) {
            // Few requests of before prove nothing about the time since.
            (Standing::Good, _) if is_late && seen.settles_ms > 0 => {}
            (Standing::Good, burn) => self.see_good(&seen, burn),
            (Standing::Bad, Some(burn)) if self.counts(seen.at_ms, burn) => {
                self.streak_ms += self.undecided_ms + self.seen_bad_ms(seen.at_ms, burn);
                self.decide();
                if self.streak_ms >= burn.full_ms {
                    self.fired.get_or_insert_with(|| seen.text.clone());
                }
            }
            (Standing::Bad | Standing::Unknown, _) => {}
        }
        // One good sample is enough to know that nothing burns; while a streak stands, samples have to follow each other.
        let is_clear = seen.standing == Standing::Good && self.streak_ms == 0;
        if tells || is_clear {
            let known_ms = self.known_ms.filter(|_| is_late);
            self.known_ms = known_ms.max(Some(seen.at_ms));
        }
        if !is_late {
            self.last = Some(seen);
        }
    }

    /// Whether the sample says something, and so did the one before it, near enough to say something about the time between them. The first of
    /// all has no time before it.
    fn tells_of_the_time_before(&self, seen: &Seen, rhythm: Rhythm) -> bool {
        let follows = |last: &Seen| {
            last.standing != Standing::Unknown && far(seen.at_ms, last.at_ms) <= rhythm.hold_ms()
        };
        seen.standing != Standing::Unknown && self.last.as_ref().is_none_or(follows)
    }

    /// A good sample ends the streak, or waits for others to.
    fn see_good(&mut self, seen: &Seen, burn: Option<Burn>) {
        let Some(burn) = burn.filter(|_| self.streak_ms > 0 && seen.settles_ms > 0) else {
            return self.end_streak();
        };
        let hold_ms = burn.rhythm.hold_ms();
        let last = self.last.as_ref().filter(|last| {
            last.standing != Standing::Unknown && (0..=hold_ms).contains(&(seen.at_ms - last.at_ms))
        });
        let was_good = last.is_some_and(|last| last.standing == Standing::Good);
        let since_ms = match self.good_since_ms {
            Some(since_ms) if was_good => since_ms,
            _ => seen.at_ms,
        };
        if seen.at_ms - since_ms >= seen.settles_ms {
            return self.end_streak();
        }
        self.undecided_ms += last.map_or(0, |last| seen.at_ms - last.at_ms);
        self.good_since_ms = Some(since_ms);
    }

    fn end_streak(&mut self) {
        self.streak_ms = 0;
        self.decide();
    }

    fn decide(&mut self) {
        self.undecided_ms = 0;
        self.good_since_ms = None;
    }

    /// It is expected that the newest sample says nothing: the time in which it is blind counts from here.
    pub fn excuse(&mut self, at_ms: i64) {
        self.known_ms = Some(at_ms);
    }

    /// The instance was restarted on purpose: its streak counts from here.
    pub fn restart(&mut self, at_ms: i64) {
        self.counts_from_ms = Some(at_ms);
        if self.fired.is_none() {
            self.end_streak();
        }
    }

    /// Nobody watched since the newest sample: that time is blind.
    pub fn interrupt(&mut self) {
        if let Some(last) = &mut self.last {
            last.standing = Standing::Unknown;
            last.text = "no engine was running".to_owned();
        }
    }

    /// Where the fuse is at this time, while armed.
    pub fn phase(&self, now_ms: i64, rhythm: Rhythm) -> TriggerPhase {
        match &self.last {
            _ if self.fired.is_some() => TriggerPhase::Fired,
            Some(last) if far(now_ms, last.at_ms) > rhythm.hold_ms() => TriggerPhase::Blind,
            Some(last) => match last.standing {
                Standing::Good if self.streak_ms > 0 => TriggerPhase::Burning,
                Standing::Good => TriggerPhase::Clear,
                Standing::Bad => TriggerPhase::Burning,
                Standing::Unknown => TriggerPhase::Blind,
            },
            None => TriggerPhase::Blind,
        }
    }

    /// For how long nothing has been known.
    pub fn blind_for_ms(&self, now_ms: i64, armed_ms: i64) -> i64 {
        now_ms - self.known_ms.unwrap_or(armed_ms).max(armed_ms)
    }

    /// From when on samples count.
    fn counting_since_ms(&self, burn: Burn) -> i64 {
        burn.armed_ms
            .max(self.counts_from_ms.unwrap_or(burn.armed_ms))
    }

    /// Whether a sample of this time counts. One that was asked for just before does not; one from long before can only come from a
    /// clock that was set back, and a clock must not disarm a trigger.
    fn counts(&self, at_ms: i64, burn: Burn) -> bool {
        let from_ms = self.counting_since_ms(burn);
        at_ms >= from_ms || at_ms < from_ms - burn.rhythm.hold_ms()
    }

    /// The time since the newest sample, if that was bad too, or could not tell, and was near enough to say something about it.
    fn seen_bad_ms(&self, at_ms: i64, burn: Burn) -> i64 {
        let undecided = self.good_since_ms.is_some();
        let says_bad = |last: &&Seen| match last.standing {
            Standing::Bad => true,
            Standing::Good => undecided,
            Standing::Unknown => false,
        };
        let Some(last) = self.last.as_ref().filter(says_bad) else {
            return 0;
        };
        let near = (0..=burn.rhythm.hold_ms()).contains(&(at_ms - last.at_ms));
        let since_ms = match self.counts(last.at_ms, burn) {
            true => last.at_ms,
            false => self.counting_since_ms(burn),
        };
        if near { (at_ms - since_ms).max(0) } else { 0 }
    }
}

/// How far apart two times are, whichever comes first.
fn far(a_ms: i64, b_ms: i64) -> i64 {
    (a_ms - b_ms).abs()
}
