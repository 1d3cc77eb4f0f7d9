//! What a step waits for that says nothing: a program that it runs, or a disk that does not answer. People are told for whom and since
//! when, and where to look. Rules over what was seen, and the look at this process's own threads and children.
//!
//! Not in here: waits for PostgreSQL (`postgres::silence` tells of them), for instances and for whatever else has a limit of its own.

use std::collections::BTreeMap;
use std::path::Path;

/// A step that has said nothing for so long is looked into, in real milliseconds.
const SILENT_MS: i64 = 10_000;
/// How long until it is told again.
const AGAIN_MS: i64 = 30_000;
/// How often it is looked; a thread counts as waiting only where every look says so.
pub const LOOK_EVERY_MS: i64 = 1_000;
/// Ticks of a second in `/proc`: the kernel's own unit towards programs, on every machine.
const TICKS_PER_S: i64 = 100;

/// What this process waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A program that it started.
    Program {
        pid: u32,
        /// Its name; foreign text.
        name: String,
        /// For how long it has run.
        age_ms: i64,
    },
    /// A thread that the kernel does not let go: it waits for a disk.
    Disk {
        thread: u32,
        /// Where in the kernel, where it says so.
        at: String,
    },
}

/// Since when each step has said nothing, and each thread has waited.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat {
    heard: BTreeMap<String, i64>,
    told: BTreeMap<String, i64>,
    threads: BTreeMap<u32, i64>,
}

impl Heartbeat {
    /// A step has said something.
    pub fn heard(&mut self, row: &str, at_ms: i64) {
        self.heard.insert(row.to_owned(), at_ms);
        self.told.remove(row);
    }

    /// What has to be told now of the steps that run, each with its words. `waits` is one look.
    pub fn observe(
        &mut self,
        running: &[String],
        waits: &[Wait],
        at_ms: i64,
    ) -> Vec<(String, String)> {
        self.threads.retain(|thread, _| {
            waits
                .iter()
                .any(|w| matches!(w, Wait::Disk { thread: t, .. } if t == thread))
        });
        for wait in waits {
            if let Wait::Disk { thread, .. } = wait {
                self.threads.entry(*thread).or_insert(at_ms);
            }
        }
        self.heard.retain(|row, _| running.contains(row));
        let mut words = Vec::new();
        for row in running {
            let since_ms = *self.heard.entry(row.clone()).or_insert(at_ms);
            let silent_ms = at_ms - since_ms;
            let told_ms = self.told.get(row).copied();
            if silent_ms < SILENT_MS || told_ms.is_some_and(|told| at_ms - told < AGAIN_MS) {
                continue;
            }
            let waited = waits.iter().filter_map(|w| self.words(w, silent_ms, at_ms));
            let waited: Vec<String> = waited.collect();
            if !waited.is_empty() {
                self.told.insert(row.clone(), at_ms);
                let text = format!(
                    "nothing heard for {} s: {}",
                    silent_ms / 1_000,
                    waited.join("; ")
                );
                words.push((row.clone(), text));
            }
        }
        words
    }

    /// A program counts if it has run for little longer than the step has been silent: an older one is not the step's.
    fn words(&self, wait: &Wait, silent_ms: i64, at_ms: i64) -> Option<String> {
        match wait {
            Wait::Program { pid, name, age_ms } => {
                let is_its = (SILENT_MS - LOOK_EVERY_MS..=silent_ms + SILENT_MS).contains(age_ms);
                is_its.then(|| {
                    format!(
                        "waits for the program {name} (process {pid}), which has run for {} s. What it waits for: `ps -o stat,wchan:32,cmd -p {pid}`",
                        age_ms / 1_000
                    )
                })
            }
            Wait::Disk { thread, at } => {
                let since_ms = self.threads.get(thread)?;
                let waits_ms = at_ms - since_ms;
                (waits_ms >= SILENT_MS).then(|| {
                    format!(
                        "waits for a disk that has not answered for {} s{at}. Which: `mount`, `dmesg`, and `df` on the folders of the source, the \
                         backup and the session",
                        waits_ms / 1_000
                    )
                })
            }
        }
    }
}

/// What this process waits for just now. `boot_ms` is the boot clock. Nothing where the system has no `/proc`.
pub fn look(boot_ms: i64) -> Vec<Wait> {
    let mut waits = Vec::new();
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return waits;
    };
    for thread in threads.flatten() {
        let path = thread.path();
        let Some(id) = thread.file_name().to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if state(&path).is_some_and(|(_, state, _)| state == 'D') {
            let at = std::fs::read_to_string(path.join("wchan")).unwrap_or_default();
            let at = match at.trim() {
                "" | "0" => String::new(),
                at => format!(" (in {at})"),
            };
            waits.push(Wait::Disk { thread: id, at });
        }
        let children = std::fs::read_to_string(path.join("children")).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|c| c.parse().ok()) {
            waits.extend(program(pid, boot_ms));
        }
    }
    waits
}

fn program(pid: u32, boot_ms: i64) -> Option<Wait> {
    let (name, state, started_ticks) = state(Path::new(&format!("/proc/{pid}")))?;
    (state != 'Z').then(|| Wait::Program {
        pid,
        name: crate::text::printable(&name, 40),
        age_ms: boot_ms - started_ticks * 1_000 / TICKS_PER_S,
    })
}

/// Name, state and start of a process or a thread.
fn state(path: &Path) -> Option<(String, char, i64)> {
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let name = head.split_once(" (")?.1.to_owned();
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((name, state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cat(age_ms: i64) -> Wait {
        Wait::Program {
            pid: 7,
            name: "cat".to_owned(),
            age_ms,
        }
    }

    #[test]
    fn a_silent_step_is_told_of_with_the_program_that_it_waits_for() {
        let mut heartbeat = Heartbeat::default();
        let running = ["A2".to_owned()];
        heartbeat.heard("A2", 0);
        assert!(heartbeat.observe(&running, &[cat(9_000)], 9_000).is_empty());
        let told = heartbeat.observe(&running, &[cat(11_000)], 11_000);
        assert!(
            told[0].1.contains("the program cat (process 7)"),
            "{told:?}"
        );
        assert!(told[0].1.contains("has run for 11 s"), "{told:?}");
        assert!(
            heartbeat
                .observe(&running, &[cat(20_000)], 20_000)
                .is_empty()
        );
        assert_eq!(heartbeat.observe(&running, &[cat(41_000)], 41_000).len(), 1);
        heartbeat.heard("A2", 42_000);
        assert!(
            heartbeat
                .observe(&running, &[cat(43_000)], 43_000)
                .is_empty()
        );
        // One that ran long before is somebody else's.
        let old = [cat(900_000)];
        assert!(heartbeat.observe(&running, &old, 60_000).is_empty());
        assert!(heartbeat.observe(&[], &[cat(30_000)], 90_000).is_empty());
    }

    #[test]
    fn a_thread_waits_for_a_disk_where_every_look_says_so() {
        let mut heartbeat = Heartbeat::default();
        let running = ["A3".to_owned()];
        let disk = [Wait::Disk {
            thread: 9,
            at: " (in nfs_wait)".to_owned(),
        }];
        heartbeat.heard("A3", 0);
        assert!(heartbeat.observe(&running, &disk, 15_000).is_empty());
        assert!(heartbeat.observe(&running, &[], 16_000).is_empty());
        assert!(heartbeat.observe(&running, &disk, 17_000).is_empty());
        let told = heartbeat.observe(&running, &disk, 27_000);
        assert!(told[0].1.contains("for 10 s (in nfs_wait)"), "{told:?}");
    }

    #[test]
    fn a_program_of_ours_is_seen() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("a program");
        let id = child.id();
        let seen = look(crate::clock::now_ms());
        let is_it = |w: &Wait| matches!(w, Wait::Program { pid, age_ms, .. } if *pid == id && (0..60_000).contains(age_ms));
        assert!(seen.iter().any(is_it), "{seen:?}");
        child.kill().and_then(|()| child.wait()).expect("its end");
    }
}
