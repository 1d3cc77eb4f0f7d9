//! Samples and rules in; clear, burning, blind or fired out, and why. Pure: no clock, no files, no sockets; time comes in as a value,
//! in session milliseconds.
//!
//! What the words mean is in the protocol ("A signal", "A trigger"). In short: a good sample clears a streak, missing data freezes
//! it, and only time that was *seen* to be bad makes it grow. Taking samples away never clears a streak and never makes the
//! checklist green.
//!
//! - [`sample`]: what a probe saw, or why it saw nothing.
//! - [`cadence`]: how often a signal is due, hence when it is late.
//! - [`standing`]: how one reading stands to one bound.
//! - [`fuse`]: the state machine of one trigger on one signal.
//! - [`judge`]: all triggers of a session; its verdicts become events.
//! - [`checklist`]: M1–M5, green for how long.
//! - [`shadow`]: maintenance, whose answers are no errors.
//! - [`replay`]: the rules over what was recorded.
//! - [`wording`]: numbers as people read them.
//!
//! Not in here: taking samples (`monitor`), triggers that judge a step's checks (`session::due`).

pub mod cadence;
pub mod checklist;
pub mod fuse;
pub mod judge;
pub mod replay;
pub mod sample;
pub mod shadow;
pub mod standing;
pub mod wording;

pub use cadence::Cadence;
pub use checklist::Checklist;
pub use judge::{Judge, Memory, Verdict};
pub use sample::{Reading, Sample};
