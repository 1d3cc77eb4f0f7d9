//! Signatures on gates that are made with a person's own SSH key: the text that is signed, and whether it says what is true now. Pure.
//!
//! The text is documented in `docs/signatures.md`: everybody can check it with OpenSSH alone. Not in here: running OpenSSH (`crate::ssh`),
//! and whether the person may sign at all (`decide`).

use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use super::command::Refusal;
use super::event::{Signature, SshSignature};
use super::roles::Actor;
use super::state::Session;
use crate::runbook::{Gate, Role};

/// OpenSSH's namespace of every signature on a gate, so that none made for anything else counts.
pub const NAMESPACE: &str = "cutover-gate";
/// The first line of what is signed.
pub const HEADING: &str = "cutover gate signature, version 1";
/// How far the signer's clock and the engine's may be apart, in real seconds.
pub const CLOCK_BOUND_S: i64 = 300;
/// The longest text that is checked, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024;
/// The longest signature that is checked, in bytes: RSA with 16384 bits has some 4 KiB.
pub const MAX_SIGNATURE_BYTES: usize = 16 * 1024;

/// Which gates have to be signed with an SSH key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningRules {
    pub gates: Vec<String>,
}

/// What a person sends along with a signature: the text, and OpenSSH's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub message: String,
    /// As `ssh-keygen -Y sign` writes it.
    pub signature: String,
    /// What the engine found out about it. Not part of what is sent: whoever writes to the socket cannot set it.
    #[serde(skip)]
    pub checked: Option<Result<Checked, Flaw>>,
}

/// A signature that OpenSSH found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// As whom the key is listed.
    pub principal: String,
    /// The key's fingerprint.
    pub key: String,
    /// The engine's wall clock, as of which key and revocations were judged.
    pub at: DateTime<Utc>,
    /// SHA-256 of the list of allowed signers that was asked.
    pub allowed_signers_sha256: String,
    /// SHA-256 of the list of revoked keys that was asked, where there is one.
    pub revoked_sha256: Option<String>,
}

/// Why OpenSSH does not find a signature good. Foreign text in it is harmless already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "flaw", rename_all = "snake_case")]
pub enum Flaw {
    #[error("it is no signature over what was sent, or not one for `{NAMESPACE}` ({said})")]
    NotASignature { said: String },
    #[error("its key is not one of {principal}'s in the list of allowed signers")]
    UnknownKey { principal: String },
    #[error("its key is that of {owner}, not of {principal}")]
    AnothersKey { principal: String, owner: String },
    #[error("its key has been revoked")]
    Revoked,
    #[error("{principal}'s key is not valid now: {said}")]
    NotValidNow { principal: String, said: String },
    #[error("it is longer than any signature")]
    TooLong,
    #[error("it could not be checked ({why}); nobody can sign until that is mended")]
    Unchecked { why: String },
}

/// What a signature on a gate says. Every part stands in the text that is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Name of the session.
    pub session: String,
    /// When it was opened: another one of the same name is another session.
    pub opened: DateTime<Utc>,
    pub runbook: String,
    pub gate: String,
    pub role: Role,
    pub person: String,
    /// In whose place, for a deputy.
    pub stands_in_for: Option<String>,
    /// Hash of the gate's evidence.
    pub evidence: String,
    /// The signer's clock, to the second.
    pub time: DateTime<Utc>,
    /// What they have to say.
    pub note: Option<String>,
}

impl Statement {
    /// What a person would sign now.
    pub fn now(
        session: &Session,
        actor: &Actor,
        gate: &Gate,
        role: Role,
        note: Option<&str>,
        time: DateTime<Utc>,
    ) -> Statement {
        Statement {
            session: session.charter.session.clone(),
            opened: session.opened,
            runbook: session.charter.runbook_hash.0.clone(),
            gate: gate.id.clone(),
            role,
            person: actor.id.clone(),
            stands_in_for: session.charter.stands_in_for(&actor.id, role),
            evidence: session.gate(gate).evidence_hash,
            time: time.trunc_subsecs(0),
            note: note.map(str::to_owned),
        }
    }

    /// The text that is signed, with a line break after each line.
    pub fn text(&self) -> String {
        let mut text = String::from(HEADING);
        text.push('\n');
        for (name, value) in self.lines() {
            text.push_str(name);
            text.push_str(": ");
            text.push_str(&value);
            text.push('\n');
        }
        text
    }

    fn lines(&self) -> Vec<(&'static str, String)> {
        // Each value is one line: ids and hashes have no line breaks, and the note is written as JSON.
        let mut lines = vec![
            ("session", self.session.clone()),
            ("opened", instant(self.opened, SecondsFormat::Millis)),
            ("runbook", self.runbook.clone()),
            ("gate", self.gate.clone()),
            ("role", self.role.key().to_owned()),
            ("person", self.person.clone()),
        ];
        lines.extend(self.stands_in_for.clone().map(|who| ("for", who)));
        lines.push(("evidence", self.evidence.clone()));
        lines.push(("time", instant(self.time, SecondsFormat::Secs)));
        lines.extend(self.note.as_ref().map(|note| {
            let json = serde_json::to_string(note).expect("BUG: a text is JSON");
            ("note", json)
        }));
        lines
    }
}

fn instant(time: DateTime<Utc>, to: SecondsFormat) -> String {
    time.to_rfc3339_opts(to, true)
}

/// The value of a line of a signed text.
fn line_of<'m>(message: &'m str, name: &str) -> Option<&'m str> {
    message
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What the journal keeps of a signature whose proof says exactly this, but for the time, which is the signer's own.
pub(super) fn accept(wanted: &Statement, proof: &Proof) -> Result<SshSignature, Refusal> {
    let gate = || wanted.gate.clone();
    let checked = match &proof.checked {
        Some(Ok(checked)) => checked,
        Some(Err(flaw)) => {
            return Err(Refusal::SshFlawed {
                gate: gate(),
                flaw: flaw.clone(),
            });
        }
        None => {
            let why = "nobody has looked at it".to_owned();
            return Err(Refusal::SshFlawed {
                gate: gate(),
                flaw: Flaw::Unchecked { why },
            });
        }
    };
    let said = line_of(&proof.message, "time").and_then(|t| DateTime::parse_from_rfc3339(t).ok());
    let Some(said) = said.map(|t| t.with_timezone(&Utc)) else {
        return Err(other(wanted, "time", &proof.message));
    };
    let expected = Statement {
        time: said,
        ..wanted.clone()
    };
    if expected.text() != proof.message {
        let differs = |(name, value): &(&'static str, String)| {
            line_of(&proof.message, name) != Some(value.as_str())
        };
        let lines = expected.lines();
        let name = lines.iter().find(|l| differs(l)).map_or("text", |l| l.0);
        return Err(other(&expected, name, &proof.message));
    }
    let apart_s = (checked.at - said).num_seconds();
    if apart_s.abs() > CLOCK_BOUND_S {
        return Err(Refusal::SshClock {
            said: instant(said, SecondsFormat::Secs),
            ours: instant(checked.at, SecondsFormat::Secs),
        });
    }
    Ok(SshSignature {
        message: proof.message.clone(),
        signature: proof.signature.clone(),
        namespace: NAMESPACE.to_owned(),
        principal: checked.principal.clone(),
        key: checked.key.clone(),
        at: checked.at,
        allowed_signers_sha256: checked.allowed_signers_sha256.clone(),
        revoked_sha256: checked.revoked_sha256.clone(),
    })
}

/// Why the text that was signed is not the one that the event around it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unlike {
    #[error("its text names no time")]
    NoTime,
    #[error("what was signed is not what the event says")]
    Text,
    #[error("it is kept under another principal or namespace")]
    Principal,
    #[error("its signer has not that role, nor is a deputy of who has")]
    Role,
    #[error("the signer's clock and the engine's were too far apart")]
    Clock,
}

/// Whether what the journal keeps of an SSH signature was made for the gate, role, person and evidence of the event around it. Whoever
/// writes a journal anew can change the event, and not what was signed.
pub fn covers(
    session: &Session,
    gate: &str,
    signature: &Signature,
    kept: &SshSignature,
) -> Result<(), Unlike> {
    let time = line_of(&kept.message, "time").and_then(|t| DateTime::parse_from_rfc3339(t).ok());
    let time = time.ok_or(Unlike::NoTime)?.with_timezone(&Utc);
    let expected = Statement {
        session: session.charter.session.clone(),
        opened: session.opened,
        runbook: signature.runbook_hash.0.clone(),
        gate: gate.to_owned(),
        role: signature.role,
        person: signature.by.clone(),
        stands_in_for: signature.stands_in_for.clone(),
        evidence: signature.evidence_hash.clone(),
        time,
        note: signature.note.clone(),
    };
    let person = session.charter.person(&signature.by);
    let listed_as = person.map(|p| p.principal());
    let stands_in_for = session.charter.stands_in_for(&signature.by, signature.role);
    let own = person.is_some_and(|p| p.roles.contains(&signature.role));
    if !own && stands_in_for.is_none() || stands_in_for != signature.stands_in_for {
        return Err(Unlike::Role);
    }
    if kept.message != expected.text() {
        return Err(Unlike::Text);
    }
    if listed_as != Some(kept.principal.as_str()) || kept.namespace != NAMESPACE {
        return Err(Unlike::Principal);
    }
    if (kept.at - time).num_seconds().abs() > CLOCK_BOUND_S {
        return Err(Unlike::Clock);
    }
    Ok(())
}

fn other(wanted: &Statement, what: &str, message: &str) -> Refusal {
    let is = wanted.lines().into_iter().find(|(name, _)| *name == what);
    let shown = |text: &str| crate::text::printable(text, 80);
    Refusal::SshOther {
        gate: wanted.gate.clone(),
        what: what.to_owned(),
        said: line_of(message, what).map_or_else(|| "nothing".to_owned(), shown),
        is: is.map_or_else(|| "another text".to_owned(), |(_, v)| shown(&v)),
    }
}
