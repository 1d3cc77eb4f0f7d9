//! Commands that outlive the engine that ran them: each is on record beside its output while it runs, so that the next engine finds one that
//! still runs and ends it before it goes on. Not in here: ending a command whose engine lives (`command`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};

use super::command::TERM_GRACE;
use crate::clock;
use crate::ours::{file, temporary};
use crate::text::printable;

/// What the record's name ends with; before it stands the name of the command's output.
const ENDING: &str = ".running";
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long one may take to die of KILL.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// A command that runs.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    started_ticks: u64,
    boot_id: String,
}

/// The record of one command, for as long as this is kept.
#[derive(Debug)]
pub(super) struct Running {
    path: PathBuf,
}

impl Running {
    /// Puts a command on record that has just been started and leads a group of its own. A disk without room keeps no command from running.
    /// One whose output is kept nowhere, as a probe's, only looks, and has no folder for a record.
    pub(super) fn note(output: &Path, pid: u32) -> Option<Running> {
        if !std::fs::symlink_metadata(output).is_ok_and(|about| about.is_file()) {
            return None;
        }
        let record = Record {
            pid,
            started_ticks: temporary::started_ticks(pid)?,
            boot_id: clock::boot_id(),
        };
        let mut name = output.file_name()?.to_owned();
        name.push(ENDING);
        let path = output.with_file_name(name);
        let text = serde_json::to_vec(&record).expect("BUG: a record is not JSON");
        match file::replace_private(&path, &text) {
            Ok(()) => Some(Running { path }),
            Err(error) => {
                tracing::warn!("{}: {error}", path.display());
                None
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = file::remove(&self.path);
    }
}

impl Record {
    /// Whether its leader still runs: what a command left behind on purpose is its own.
    fn runs(&self) -> bool {
        self.boot_id == clock::boot_id()
            && temporary::started_ticks(self.pid) == Some(self.started_ticks)
            && !is_dead(self.pid)
    }

    /// Ends the whole group as a cancelled command is ended. Whether its leader is gone.
    async fn end(&self) -> bool {
        let Some(leader) = Pid::from_raw(self.pid.cast_signed()) else {
            return true;
        };
        for (signal, grace) in [(Signal::TERM, TERM_GRACE), (Signal::KILL, KILL_GRACE)] {
            // The group may have become empty just now.
            let _ = kill_process_group(leader, signal);
            let gone = async {
                while self.runs() {
                    sleep(LOOK_EVERY).await;
                }
            };
            if timeout(grace, gone).await.is_ok() {
                return true;
            }
        }
        false
    }
}

/// Whether a process has ended and only waits to be reaped.
fn is_dead(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| rest.starts_with(['Z', 'X']))
}

/// Ends every command that an engine which is gone left running, by its record in the folder of outputs. A sentence for each.
pub async fn end_left(outputs: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(outputs).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut told = Vec::new();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(output) = name.strip_suffix(ENDING) else {
            continue;
        };
        let text = crate::regular_file::read_to_string(&path).unwrap_or_default();
        if let Some(record) = serde_json::from_str::<Record>(&text)
            .ok()
            .filter(Record::runs)
        {
            let what = format!(
                "a command that the engine before had begun still ran (process {}; its output is {})",
                record.pid,
                printable(output, 100)
            );
            told.push(match record.end().await {
                true => format!("{what}: it was ended before anything else went on"),
                false => format!("{what}, and does not end: look for it, it may still act"),
            });
        }
        let _ = file::remove(&path);
    }
    told
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// As an engine that is killed leaves it.
    #[tokio::test]
    async fn what_still_runs_is_ended_and_what_has_ended_is_not_told_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & sleep 600"])
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let output = folder.path().join("to_target.log");
        assert!(Running::note(&output, child.id()).is_none(), "no output");
        assert!(Running::note(Path::new("/dev/null"), child.id()).is_none());
        file::replace_private(&output, b"").expect("an output");
        let running = Running::note(&output, child.id()).expect("a record");
        std::mem::forget(running);
        let waited = tokio::task::spawn_blocking(move || child.wait());
        let told = end_left(folder.path()).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].contains("to_target.log") && told[0].contains("was ended"),
            "{told:?}"
        );
        waited.await.expect("a task").expect("reaped");
        // Its record is gone with it, and one of a process that is another now harms nobody.
        assert_eq!(end_left(folder.path()).await, Vec::<String>::new());
        let own = Running::note(&output, std::process::id()).expect("a record");
        let text = std::fs::read_to_string(&own.path).expect("its text");
        let mut record: Record = serde_json::from_str(&text).expect("a record");
        record.started_ticks += 1;
        file::replace_private(&own.path, &serde_json::to_vec(&record).expect("JSON"))
            .expect("written");
        assert_eq!(end_left(folder.path()).await, Vec::<String>::new());
    }
}
