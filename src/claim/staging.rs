//! The claim on a staging slot: two runbooks may name one, with databases of their own, and a night that asks staging on PostgreSQL and a rehearsal
//! that switches it would each take it away from the other. The slot has no file of its own, so the claim lies in this host's folder for
//! temporary files, named after the user and the slot's host and port.
//!
//! Nothing of another user's is believed: what somebody else left under that name neither refuses a session nor is changed. Two users who
//! rehearse on one slot are told apart by nobody.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::process::geteuid;
use sha2::{Digest, Sha256};

use super::Claim;
use super::source::{self, Error};
use crate::format::hex;
use crate::text::printable;

/// Before the user's number and the digest of the slot's host and port.
const PREFIX: &str = "cutover-staging-";
/// Digits of the digest.
const DIGEST: usize = 24;

/// That nobody but this session, if any, has the slot at this URL.
///
/// # Errors
/// [`Error::Refused`] where another session has it.
pub fn is_free_for(url: &str, mine: Option<&Claim>) -> Result<(), Error> {
    match place(url) {
        Some(path) => source::is_free_at(&path, mine, &what(url)),
        None => Ok(()),
    }
}

/// Claims a slot; a claim of this session, or of one that is over, is taken over.
///
/// # Errors
/// [`Error::Refused`] where another session has it.
pub fn take(url: &str, mine: &Claim) -> Result<(), Error> {
    match place(url) {
        Some(path) => source::take_at(&path, mine, &what(url)),
        None => Ok(()),
    }
}

/// Lets go of a slot; another session's claim stays.
pub fn leave(url: &str, mine: &Claim) -> Result<(), Error> {
    match place(url) {
        Some(path) => source::leave_at(&path, mine),
        None => Ok(()),
    }
}

fn what(url: &str) -> String {
    format!("the staging slot {}", printable(url, 200))
}

/// Where the claim on a slot is; `None` where the URL names no host, or something of another user's is in that place.
fn place(url: &str) -> Option<PathBuf> {
    let slot = slot(url)?;
    let digest = hex(&Sha256::digest(slot.as_bytes()));
    let user = geteuid().as_raw();
    let name = format!("{PREFIX}{user}-{}", &digest[..DIGEST]);
    let path = std::env::temp_dir().join(name);
    let is_ours = match path.symlink_metadata() {
        Ok(found) => found.is_file() && found.uid() == user,
        Err(_) => true,
    };
    is_ours.then_some(path)
}

/// Host and port: what answers there is one process, whatever the path.
fn slot(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?.trim_end_matches('.').to_lowercase();
    let host = match host.as_str() {
        "localhost" | "[::1]" => "127.0.0.1",
        other => other,
    };
    Some(format!("{host}:{}", url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::slot;

    #[test]
    fn one_slot_has_one_name() {
        let same = [
            "http://localhost:8080",
            "http://127.0.0.1:8080/",
            "http://LOCALHOST:8080/app",
            "http://[::1]:8080",
        ];
        for url in same {
            assert_eq!(slot(url).as_deref(), Some("127.0.0.1:8080"), "{url}");
        }
        assert_eq!(slot("https://staging.x").as_deref(), Some("staging.x:443"));
        assert_eq!(slot("no URL"), None);
    }
}
