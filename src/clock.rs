//! The one place that reads time.
//!
//! Durations come from a clock that counts through suspend and never jumps; the wall clock is for people to read and never
//! for arithmetic. A reading of the first kind means something only together with the boot it was taken in: a journal that
//! outlives a reboot stores both. No timers in here; whoever waits uses its runtime's.

use std::sync::OnceLock;

use chrono::{DateTime, Utc};

/// What `boot_id` answers where the system has no such thing.
const NO_BOOT_ID: &str = "unknown-boot";

/// Milliseconds since the machine started, suspend included. Comparable only within one [`boot_id`].
pub fn now_ms() -> i64 {
    let time = rustix::time::clock_gettime(CLOCK);
    time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
}

#[cfg(target_os = "linux")]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
/// Elsewhere (macOS) the monotonic clock is the one that goes on through suspend.
#[cfg(not(target_os = "linux"))]
const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

/// The identity of the running boot; a different one makes earlier readings of [`now_ms`] meaningless.
pub fn boot_id() -> String {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| read_boot_id().unwrap_or_else(|| NO_BOOT_ID.to_owned()))
        .clone()
}

#[cfg(target_os = "linux")]
fn read_boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(not(target_os = "linux"))]
fn read_boot_id() -> Option<String> {
    let output = std::process::Command::new("sysctl")
        .args(["-n", "kern.bootsessionuuid"])
        .output()
        .ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The wall clock, for people. It may jump; nothing is measured by it.
pub fn wall() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::{boot_id, now_ms};

    #[test]
    fn does_not_run_backwards_and_knows_its_boot() {
        let first = now_ms();
        assert!(first > 0);
        assert!(now_ms() >= first);
        assert!(!boot_id().is_empty());
        assert_eq!(boot_id(), boot_id());
    }
}
