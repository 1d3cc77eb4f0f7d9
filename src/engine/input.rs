//! What can reach the engine's loop.

use tokio::sync::oneshot;

use super::protocol::{Answer, Request};
use crate::session::maintenance::Seen;
use crate::session::membership;
use crate::session::room::Look;
use crate::session::{Found, Outcome};
use crate::step::News;
use crate::trigger::Sample;

/// One thing that the loop takes in.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick,
    /// Somebody asks for something.
    Asked {
        request: Request,
        /// The operating system's word for who it is.
        user: String,
        /// Where the answer goes.
        answer: oneshot::Sender<Answer>,
    },
    /// A running step or row has news.
    News {
        row: String,
        /// From 1.
        attempt: u32,
        /// By which number its work began.
        run: u64,
        news: News,
    },
    StepEnded {
        step: String,
        /// By which number its work began.
        run: u64,
        outcome: Outcome,
    },
    /// What an unknown step had done.
    FoundOut {
        step: String,
        /// By which number the look began.
        run: u64,
        found: Found,
    },
    /// A rollback row ended.
    RowEnded {
        row: String,
        /// By which number its work began.
        run: u64,
        outcome: Outcome,
    },
    /// Somebody could not be told something.
    Untold {
        /// Who, what and why.
        text: String,
    },
    /// A rollback would lose what users write to PostgreSQL.
    Lost { text: String },
    /// While no engine ran after the switch, SQLite was written.
    Drifted { detail: String },
    /// A probe took a sample, or could not.
    Sampled(Sample),
    /// Instances were asked whether they are in maintenance.
    Upkeep(Vec<Seen>),
    /// It was asked which instances there are, and those were looked at that were not there at the opening; or why there is no answer.
    Membership(Result<(membership::Answer, Vec<membership::Sight>), String>),
    /// Disks were asked for their room.
    Disks {
        looks: Vec<Look>,
        /// Size of the source.
        source_bytes: u64,
    },
}
