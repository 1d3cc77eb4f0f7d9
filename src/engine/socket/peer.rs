//! Who is at the other end of the socket, by the operating system's word.

use std::io;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::text::printable;

/// A name service that hangs (LDAP, sssd) costs the speaker their name, not the engine its socket.
const NAME_LIMIT: Duration = Duration::from_secs(2);
const MAX_NAME_CHARS: usize = 64;

/// Who speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The user, by number.
    pub uid: u32,
    /// The group, by number.
    pub gid: u32,
    /// The process, where the operating system says.
    pub pid: Option<i32>,
    /// The user's name on this machine; `#1234` where the number has none.
    pub user_name: String,
}

pub(super) async fn identify(stream: &UnixStream) -> io::Result<PeerIdentity> {
    let cred = stream.peer_cred()?;
    Ok(PeerIdentity {
        uid: cred.uid(),
        gid: cred.gid(),
        pid: cred.pid(),
        user_name: user_name(cred.uid()).await,
    })
}

async fn user_name(uid: u32) -> String {
    let asked = timeout(NAME_LIMIT, spawn_blocking(move || name_of(uid))).await;
    match asked {
        Ok(Ok(name)) => name,
        _ => format!("#{uid}"),
    }
}

fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => printable(&user.name, MAX_NAME_CHARS),
        _ => format!("#{uid}"),
    }
}

/// What an account is called, as the socket would say it.
pub fn user_called(uid: u32) -> String {
    name_of(uid)
}

/// Who runs this process, as the socket would say it.
pub fn user_of_this_process() -> String {
    name_of(rustix::process::geteuid().as_raw())
}
