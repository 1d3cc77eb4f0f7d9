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
    /// When a sample last said something.
    pub known_ms: Option<i64>,
    /// Nothing before this time counts: an instance was restarted on purpose.
    pub counts_from_ms: Option<i64>,
    /// Why it fired, once it has.
    pub fired: Option<String>,
    /// Whether its blindness has been told.
    pub alarmed: bool,
}

/// The newest sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// When it was taken.
    pub at_ms: i64,
    /// How it stood.
    pub standing: Standing,
    /// In words and numbers.
    pub text: String,
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
    /// Takes note of a sample. `burn` is `None` while the trigger is not armed: the sample is seen and does not count.
    pub fn observe(&mut self, seen: Seen, burn: Option<Burn>) {
        if seen.standing != Standing::Unknown {
            self.known_ms = Some(seen.at_ms);
        }
        match (seen.standing, burn) {
            (Standing::Good, _) => self.streak_ms = 0,
            (Standing::Bad, Some(burn)) if self.counts(seen.at_ms, burn) => {
                self.streak_ms += self.seen_bad_ms(seen.at_ms, burn);
                if self.streak_ms >= burn.full_ms {
                    self.fired.get_or_insert_with(|| seen.text.clone());
                }
            }
            _ => {}
        }
        self.last = Some(seen);
    }

    /// That the newest sample says nothing is as it should be: blindness counts from here.
    pub fn excuse(&mut self, at_ms: i64) {
        self.known_ms = Some(at_ms);
    }

    /// The instance was restarted on purpose: its streak counts from here.
    pub fn restart(&mut self, at_ms: i64) {
        self.counts_from_ms = Some(at_ms);
        if self.fired.is_none() {
            self.streak_ms = 0;
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

    /// The time since the newest sample, if that was bad too and near enough to say something about it.
    fn seen_bad_ms(&self, at_ms: i64, burn: Burn) -> i64 {
        let Some(last) = self.last.as_ref().filter(|l| l.standing == Standing::Bad) else {
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
