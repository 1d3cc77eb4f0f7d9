//! Signatures on gates that were made with SSH keys, checked again as of their own time, against the lists of keys that the engine asked
//! and the bundle holds. OpenSSH does it; `docs/signatures.md` says how anybody can without us.
//!
//! Not in here: whether those lists are the right ones, which nothing in a bundle can say.

use std::collections::BTreeSet;
use std::path::Path;

use super::check::Finding;
use super::{ARTEFACTS, EVENTS, plain_file};
use crate::session::signing::{self, Flaw};
use crate::session::{Event, Recorded, Session, SshSignature};
use crate::ssh::{self, Lists};
use crate::text::printable;

/// What became of the signatures.
#[derive(Debug, Default)]
pub(super) struct Checked {
    pub findings: Vec<Finding>,
    pub holds: Vec<String>,
    pub not_checked: Vec<String>,
}

/// Checks every signature of a session.
pub(super) async fn check(dir: &Path, session: &Session, recorded: &[Recorded]) -> Checked {
    let mut checked = Checked::default();
    let (mut good, mut without) = (0, 0);
    let mut lists = BTreeSet::new();
    for entry in recorded {
        let Event::GateSigned { gate, signature } = &entry.event else {
            continue;
        };
        let bad = |why: String| Finding {
            file: EVENTS.to_owned(),
            line: Some(entry.seq),
            what: format!(
                "the signature of {} on {} does not hold: {why}",
                printable(&signature.by, 80),
                printable(gate, 80)
            ),
        };
        let Some(kept) = &signature.ssh else {
            match session.charter.wants_ssh(gate) {
                true => checked
                    .findings
                    .push(bad("the runbook asks for one with an SSH key".into())),
                false => without += 1,
            }
            continue;
        };
        let outcome = match signing::covers(session, gate, signature, kept) {
            Ok(()) => verify(dir, kept).await,
            Err(unlike) => Err(Some(unlike.to_string())),
        };
        match outcome {
            Ok(()) => {
                good += 1;
                lists.insert(kept.allowed_signers_sha256.clone());
            }
            Err(Some(why)) => checked.findings.push(bad(why)),
            Err(None) => checked.not_checked.push(format!(
                "the signature in event {}: `{}` cannot be run here",
                entry.seq,
                ssh::PROGRAM
            )),
        }
    }
    if good > 0 {
        let lists: Vec<String> = lists.into_iter().collect();
        checked.holds.push(format!(
            "{good} signatures were made with keys that were listed then; compare the list with your own: {ARTEFACTS}/{}",
            lists.join(&format!(", {ARTEFACTS}/"))
        ));
    }
    if without > 0 {
        checked.not_checked.push(format!(
            "{without} signatures were given to the engine by users of its machine, without a key: the chain says so, and nothing else"
        ));
    }
    checked
}

/// Inner `None`: OpenSSH is not here.
async fn verify(dir: &Path, kept: &SshSignature) -> Result<(), Option<String>> {
    let at = |hash: &String| {
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        is_hash.then(|| format!("{ARTEFACTS}/{hash}"))
    };
    let no_list = || Some("the list of keys that it was checked against has no hash".to_owned());
    let allowed = at(&kept.allowed_signers_sha256).ok_or_else(no_list)?;
    let revoked = kept.revoked_sha256.as_ref().map(at);
    let revoked = revoked.map(|name| name.ok_or_else(no_list)).transpose()?;
    // Not by whatever lies at that name: a pipe would hold up the check, and a link would lead it elsewhere.
    let read = |name: &String| {
        let missing = || Some("a list of keys is not in the bundle as a plain file".to_owned());
        plain_file::read(dir, name).ok_or_else(missing)
    };
    let lists = Lists {
        allowed_signers: read(&allowed)?,
        revoked: revoked.as_ref().map(read).transpose()?,
    };
    let verified = ssh::verify(
        &lists,
        &kept.principal,
        &kept.message,
        &kept.signature,
        kept.at,
    );
    let found = match verified.await {
        Ok(found) => found,
        Err(Flaw::Unchecked { .. }) => return Err(None),
        Err(flaw) => return Err(Some(flaw.to_string())),
    };
    let same = found.key == kept.key
        && found.allowed_signers_sha256 == kept.allowed_signers_sha256
        && found.revoked_sha256 == kept.revoked_sha256;
    match same {
        true => Ok(()),
        false => Err(Some(
            "its key or its lists are not those that the event names".to_owned(),
        )),
    }
}
