//! What a person may ask for, and why it is not done. Not in here: whether it is ([`super::decide`]).

use serde::{Deserialize, Serialize};

use super::discard::Rows;
use super::roles::Act;
use super::signing::{Flaw, Proof};
use crate::runbook::Role;

/// What a person asks for, in the imperative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Start the next step, or this one if it is the next.
    StartStep {
        /// Which; the next where absent.
        step: Option<String>,
    },
    /// Start the next step, which deletes rows of the target that the source does not have: so many, typed, by table.
    StartDiscarding {
        step: String,
        rows: Rows,
    },
    /// Confirm being there.
    Confirm {
        /// Which step; the running one where absent.
        step: Option<String>,
    },
    Sign {
        gate: String,
        /// As what, where a person has several roles.
        role: Option<Role>,
        /// What they have to say.
        note: Option<String>,
        /// The same, signed with their SSH key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        proof: Option<Box<Proof>>,
    },
    Withdraw {
        gate: String,
        /// As what, where a person has several roles.
        role: Option<Role>,
    },
    /// Let nothing new start.
    Hold {
        reason: String,
    },
    /// Let things start again.
    Resume,
    Skip {
        step: String,
        reason: String,
    },
    /// Say what an unknown step had done.
    DecideUnknown {
        step: String,
        /// Whether it counts as done; otherwise it runs again.
        done: bool,
        /// What was looked at.
        reason: String,
    },
    ExtendFreeze {
        /// By how much, in runbook time.
        by_ms: i64,
    },
    RollBack {
        reason: String,
        /// The session's name, typed; not needed once a trigger has fired.
        confirm: Option<String>,
    },
    Complete,
    Note {
        text: String,
    },
    /// After the end, record what is left, and close the session where nothing is left to do.
    Close {
        found: Vec<String>,
        /// Close it whatever is left to do.
        #[serde(default)]
        accepts_open: bool,
    },
    /// After a rollback, run a row of it again, and what builds on it.
    Retry {
        /// Which; the first that failed where absent.
        row: Option<String>,
    },
    /// After a rollback, record what was corrected (R6).
    Correct {
        what: String,
        /// Give up what users wrote to PostgreSQL and what no salvage file holds.
        #[serde(default)]
        gives_up_rows: bool,
    },
}

/// Why a command was not carried out. Each says what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    #[error(
        "user {user} is not on this bridge: the runbook's `people` list does not name that account"
    )]
    NotOnBridge { user: String },
    #[error("{who} may not {what}: that is for {allowed}")]
    NotAllowed {
        who: String,
        what: String,
        allowed: String,
    },
    #[error(
        "there is no room on the disk of the session's folder for the record of it: nothing was done. Free some space there; a rollback needs \
         none"
    )]
    NoRoom,
    #[error(
        "the databases are not those that the session was opened on: this engine was started to roll back, and does nothing else. Nothing was \
         done; roll back, or end it, put back what was there and start another"
    )]
    OnlyRollsBack,
    #[error("the session is over ({phase}): nothing can change any more")]
    Over { phase: String },
    #[error("rollback is under way or due: nothing else can start")]
    RollingBack,
    #[error("{by} holds the session: {reason} (resume it first)")]
    Held { by: String, reason: String },
    #[error("{step} is still {status}: wait for it, hold, or roll back")]
    Busy { step: String, status: String },
    #[error("there is no step {step}")]
    NoSuchStep { step: String },
    #[error("{step} is not next: {next} is")]
    NotNext { step: String, next: String },
    #[error("every step is done")]
    NothingLeft,
    #[error("{step} needs {needed}, which is not done")]
    Needs { step: String, needed: String },
    #[error(
        "{step} deletes rows that PostgreSQL has and SQLite does not ({rows}): nothing brings them back. To agree, type the numbers: \
         `cutover start --step {step}{options}`"
    )]
    DiscardNeeded {
        step: String,
        rows: String,
        options: String,
    },
    #[error("{step} deletes no row that SQLite does not have: start it without a number")]
    NothingToDiscard { step: String },
    #[error("NO-GO: {step} waits for {gates}")]
    NoGo { step: String, gates: String },
    #[error("there is no gate {gate}; the gates are {known}")]
    NoSuchGate { gate: String, known: String },
    #[error("{gate} asks for {roles}; {who} is none of these")]
    NotASigner {
        gate: String,
        roles: String,
        who: String,
    },
    #[error(
        "{who} has already signed {gate} as {role}: one person cannot sign for two roles of a gate"
    )]
    TwoRoles {
        gate: String,
        role: String,
        who: String,
    },
    #[error("{gate} is already signed as {role} by {who}")]
    AlreadySigned {
        gate: String,
        role: String,
        who: String,
    },
    #[error("nobody can sign {gate} over evidence that is not green: {detail}")]
    EvidenceNotGreen { gate: String, detail: String },
    #[error(
        "{gate} has to be signed with your SSH key: `cutover sign {gate} --key FILE`, or name the key in CUTOVER_SSH_KEY"
    )]
    SshNeeded { gate: String },
    #[error(
        "the runbook names no allowed signers, so no SSH signature can be checked: sign {gate} without one"
    )]
    SshNotAsked { gate: String },
    #[error("the SSH signature on {gate} does not count: {flaw}")]
    SshFlawed { gate: String, flaw: Flaw },
    #[error(
        "the SSH signature on {gate} does not count: its {what} is {said}, and should be {is}. Look again, and sign again"
    )]
    SshOther {
        gate: String,
        what: String,
        said: String,
        is: String,
    },
    #[error(
        "the SSH signature does not count: by the signer's clock it was made at {said}, and the engine's says {ours}. Set the clock that is wrong, and sign again"
    )]
    SshClock { said: String, ours: String },
    #[error(
        "{gate} is already signed with that SSH key, by {who}: one person cannot sign for two roles of a gate"
    )]
    SshSameKey { gate: String, who: String },
    #[error("{gate} is not signed by {who}")]
    NotSigned { gate: String, who: String },
    #[error(
        "{step}, which needed {gate}, has begun: the signature stands. Hold or roll back instead"
    )]
    TooLateToWithdraw { gate: String, step: String },
    #[error("{step} waits for no confirmation")]
    NothingToConfirm { step: String },
    #[error("{step} is already confirmed as {roles}")]
    AlreadyConfirmed { step: String, roles: String },
    #[error("{step} cannot be skipped: the runbook does not allow it")]
    NotSkippable { step: String },
    #[error("{step} is {status}, not unknown: there is nothing to decide")]
    NotUnknown { step: String, status: String },
    #[error("what {step} had done is being found out: a person decides only where no machine can")]
    BeingFoundOut { step: String },
    #[error("the session is not held")]
    NotHeld,
    #[error("a reason is needed")]
    NoReason,
    #[error("the freeze has not begun, or is over")]
    NotFrozen,
    #[error("the freeze can be extended by 1 minute to 24 hours at a time")]
    BadExtension,
    #[error("to roll back, type the session's name: {session}")]
    ConfirmRollback { session: String },
    #[error("the rollback has already begun")]
    AlreadyRollingBack,
    #[error("the session was not rolled back: there is nothing to correct before another attempt")]
    NotRolledBack,
    #[error("no row of the rollback can be tried again: {why}")]
    NoRetry { why: String },
    #[error("the session is not over: complete it or roll it back first")]
    NotOver,
    #[error("the release cannot be completed: {why}")]
    NotComplete { why: String },
}

impl Command {
    /// Which line of the table of roles it falls under.
    pub fn act(&self) -> Act {
        match self {
            Command::StartStep { .. } | Command::StartDiscarding { .. } => Act::StartStep,
            Command::Confirm { .. } => Act::Confirm,
            Command::Sign { .. } => Act::Sign,
            Command::Withdraw { .. } => Act::Withdraw,
            Command::Hold { .. } => Act::Hold,
            Command::Resume => Act::Resume,
            Command::Skip { .. } => Act::Skip,
            Command::DecideUnknown { .. } => Act::Decide,
            Command::ExtendFreeze { .. } => Act::ExtendFreeze,
            Command::RollBack { .. } => Act::RollBack,
            Command::Complete => Act::Complete,
            Command::Note { .. } => Act::Note,
            Command::Retry { .. } => Act::Retry,
            Command::Correct { .. } => Act::Correct,
            Command::Close { .. } => Act::Close,
        }
    }
}
