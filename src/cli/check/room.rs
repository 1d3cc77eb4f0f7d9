//! Room on every disk of the night, against what is needed there, and whether the two copies of the backup are on two disks.
//!
//! Not in here: which disks there are and how much each needs (`session::room`), and watching them in the session (`engine::disks`).

use std::path::Path;

use crate::cli::run::ROOT;
use crate::postgres::Finding;
use crate::runbook::Runbook;
use crate::session::room::{LEAST_BYTES, Spot, copy_bytes, spots};
use crate::sqlite::disk::{self, Disk};
use crate::text::printable;

/// A line for each disk. A session's folder lies where `cutover run` is started, unless it says otherwise.
pub(super) fn examine(runbook: &Runbook, folder: &Path, source_bytes: u64) -> Vec<Finding> {
    let session = std::path::absolute(ROOT).unwrap_or_else(|_| ROOT.into());
    let spots: Vec<(Spot, Disk)> = spots(runbook, folder, &session)
        .into_iter()
        .map(|spot| {
            let disk = disk::of(&spot.path);
            (spot, disk)
        })
        .collect();
    let mut findings = Vec::new();
    for (n, (_, disk)) in spots.iter().enumerate() {
        let is_same = |(_, other): &&(Spot, Disk)| other.device == disk.device;
        if !spots[..n].iter().any(|other| is_same(&other)) {
            let here: Vec<&Spot> = spots.iter().filter(is_same).map(|(spot, _)| spot).collect();
            findings.push(one_disk(disk, &here, source_bytes));
        }
    }
    findings.extend(two_places(&spots));
    findings
}

fn one_disk(disk: &Disk, here: &[&Spot], source_bytes: u64) -> Finding {
    let name = format!("disk {}", printable(&disk.mount.display().to_string(), 120));
    let what: Vec<String> = here
        .iter()
        .map(|spot| format!("{} ({})", spot.what, spot.name))
        .collect();
    let copies = here.iter().filter(|spot| spot.is_copy()).count() as u64;
    let needed = copies
        .saturating_mul(copy_bytes(source_bytes))
        .saturating_add(LEAST_BYTES);
    let what = printable(&what.join(", "), 200);
    match disk::free_bytes(&disk.mount) {
        Ok(free) => Finding::required(
            name,
            free >= needed,
            format!("{free} bytes free, {needed} needed for {what}"),
        ),
        Err(error) => Finding::required(
            name,
            false,
            format!("how much room there is for {what} is not known: {error}"),
        ),
    }
}

/// One fault should not lose both copies.
fn two_places(spots: &[(Spot, Disk)]) -> Option<Finding> {
    let copies: Vec<_> = spots
        .iter()
        .filter(|(spot, _)| spot.until.is_some())
        .collect();
    let [(_, first), (_, second), ..] = copies.as_slice() else {
        return None;
    };
    (first.device == second.device).then(|| {
        let detail = format!(
            "both copies are on {}: one fault loses both",
            first.mount.display()
        );
        Finding::advice("second place", false, printable(&detail, 240))
    })
}
