//! The operating system's group that is on the bridge, and who is in it, by the machine's own name service.

use std::path::Path;

use nix::unistd::{Gid, Group, User};

use crate::journal::Folder;
use crate::postgres::Finding;
use crate::runbook::Runbook;
use crate::text::printable;

/// Lets the runbook's group, and nobody else, into the folder of a session that is about to be opened. `root` as in
/// [`Folder::let_in`].
///
/// # Errors
/// There is no such group, or this user may not give the folder to it.
pub fn let_in(folder: &Folder, root: Option<&Path>, runbook: &Runbook) -> anyhow::Result<()> {
    let number = match &runbook.bridge_group {
        Some(name) => Some(find(name).map_err(anyhow::Error::msg)?.gid.as_raw()),
        None => None,
    };
    Ok(folder.let_in(number, root)?)
}

fn find(name: &str) -> Result<Group, String> {
    let shown = printable(name, 64);
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group),
        Ok(None) => Err(format!("there is no group {shown} on this machine")),
        Err(error) => Err(format!(
            "nobody knows whether there is a group {shown}: {error}"
        )),
    }
}

/// Whether the group is there, and everybody of the bridge in it.
pub fn examine(runbook: &Runbook) -> Vec<Finding> {
    let Some(name) = &runbook.bridge_group else {
        return without_group(runbook).into_iter().collect();
    };
    let group = match find(name) {
        Ok(group) => group,
        Err(why) => return vec![Finding::required("bridge group", false, why)],
    };
    let me = crate::engine::socket::user_of_this_process();
    let people = runbook.people.iter().map(|p| p.user.as_str());
    let users = std::iter::once(me.as_str()).chain(people);
    let outside = users.filter_map(|user| outside(user, &group));
    let mut outside: Vec<String> = outside.collect();
    outside.dedup();
    vec![match outside.as_slice() {
        [] => {
            let detail = format!("{} has everybody of the bridge", group.name);
            Finding::required("bridge group", true, detail)
        }
        some => Finding::required("bridge group", false, some.join("; ")),
    }]
}

/// That a session on this runbook would let in nobody but whoever opens it, where others are on the bridge.
fn without_group(runbook: &Runbook) -> Option<Finding> {
    let me = crate::engine::socket::user_of_this_process();
    let users = runbook.people.iter().map(|p| p.user.as_str());
    let others: Vec<String> = users
        .filter(|user| *user != me)
        .map(|user| printable(user, 64))
        .collect();
    (!others.is_empty()).then(|| {
        let detail = format!(
            "the runbook names none: the session's folder lets in {me} alone, and {} cannot join. `bridge: {{ group: NAME }}` lets in the operating \
             system's group that they are all in; add it before the rehearsal, which counts for this text alone",
            others.join(", ")
        );
        Finding::advice("bridge group", false, detail)
    })
}

/// Why a user is not let in, if they are not.
fn outside(user: &str, group: &Group) -> Option<String> {
    let shown = printable(user, 64);
    let Ok(Some(known)) = User::from_name(user) else {
        return Some(format!("there is no user {shown} on this machine"));
    };
    let is_in = known.uid.is_root() || groups_of(&known).contains(&group.gid);
    (!is_in).then(|| format!("{shown} is not in the group {}", group.name))
}

#[cfg(not(target_os = "macos"))]
fn groups_of(user: &User) -> Vec<Gid> {
    let name = std::ffi::CString::new(user.name.as_str());
    name.map_or_else(
        |_| Vec::new(),
        |name| nix::unistd::getgrouplist(&name, user.gid).unwrap_or_default(),
    )
}

/// macOS' own call knows numbers that `nix` does not give; its `id` asks the same directory.
#[cfg(target_os = "macos")]
fn groups_of(user: &User) -> Vec<Gid> {
    let told = std::process::Command::new("/usr/bin/id")
        .args(["-G", user.name.as_str()])
        .output();
    let told = told.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let numbers = told.unwrap_or_default();
    let numbers = numbers.split_whitespace().filter_map(|n| n.parse().ok());
    numbers.map(Gid::from_raw).chain([user.gid]).collect()
}
