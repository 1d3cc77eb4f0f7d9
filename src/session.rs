//! The rules of a session. Pure: commands from people ([`decide`]) and outcomes from steps ([`due`]) become events
//! ([`event`]); the state is their fold ([`state`]). No clock, no files, no sockets: time comes in as a value.
//!
//! Not in here: judging samples (`trigger`), doing anything (`engine`, `step`).

pub mod advice;
pub mod attempt;
pub mod brought;
pub mod charter;
pub mod command;
pub mod completion;
pub mod confidence;
pub mod cost;
pub mod decide;
pub mod discard;
pub mod due;
pub mod event;
pub mod facts;
pub mod forecast;
pub mod gates;
pub mod grants;
pub mod live;
pub mod maintenance;
pub mod membership;
pub mod notice;
pub mod rehearsal;
pub mod retry;
pub mod roles;
pub mod room;
pub mod shape;
pub mod signing;
pub mod state;
pub mod undos;
pub mod unrecorded;
pub mod words;

pub use charter::{Charter, LineKind, Opening, Production, RowLine, StepLine};
pub use command::{Command, Refusal};
pub use decide::decide;
pub use event::{
    Check, Event, Found, Outcome, Recorded, RehearsalEvidence, RollbackCause, Signature,
    SshSignature, TriggerPhase, Undo,
};
pub use gates::{EvidenceState, EvidenceView, GateView};
pub use roles::{Act, Actor};
pub use state::{Phase, Session, StepState, StepStatus};
