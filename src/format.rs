//! How numbers, durations, times and bytes read, on every screen and in every text. Not in here: what a signal is called and in which unit it is
//! told (`trigger::wording`).

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};

/// `0:42`, `12:04`, `1:02:03`. Negative durations read as none.
pub fn span(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// `42 s`, `2:40 min`, `1:02 h`: a length of time in running text.
pub fn lasting(ms: i64) -> String {
    let s = (ms.max(0) + 500) / 1000;
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{}:{:02} min", s / 60, s % 60),
        _ => format!("{}:{:02} h", s / 3600, s / 60 % 60),
    }
}

/// `1 234 567`: digits in threes, by a space that no language reads as a decimal point.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// `1 problem`, `1 234 problems`: of a word that takes an s.
pub fn counted(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", count(n))
}

/// `950`, `12.3k`, `1.2M`: at most five columns.
pub fn short(n: f64) -> String {
    let (value, unit) = match n.abs() {
        v if v < 999.5 => return format!("{n:.0}"),
        v if v < 999_500.0 => (n / 1e3, "k"),
        v if v < 999_500_000.0 => (n / 1e6, "M"),
        _ => (n / 1e9, "G"),
    };
    if value.abs() < 99.95 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.0}{unit}")
    }
}

/// `512 KiB`, `64 MiB`, `12 GiB`: bytes of a disk.
pub fn size(bytes: u64) -> String {
    const MIB: u64 = 1024 * 1024;
    match bytes {
        bytes if bytes < 10 * MIB => format!("{} KiB", bytes / 1024),
        bytes if bytes < 10_240 * MIB => format!("{} MiB", bytes / MIB),
        bytes => format!("{} GiB", bytes / (1024 * MIB)),
    }
}

/// A fraction as per cent: `0.42 %`, `12.0 %`, `100 %`.
pub fn percent(fraction: f64) -> String {
    let p = fraction * 100.0;
    match p.abs() {
        v if v < 9.995 => format!("{p:.2} %"),
        v if v < 99.95 => format!("{p:.1} %"),
        _ => format!("{p:.0} %"),
    }
}

/// `8.4 ms`, `212 ms`, `3.1 s`.
pub fn millis(ms: f64) -> String {
    match ms.abs() {
        v if v < 9.95 => format!("{ms:.1} ms"),
        v if v < 9_950.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digits = b"0123456789abcdef";
    let both = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    both.map(|digit| char::from(digits[usize::from(digit)]))
        .collect()
}

/// The time of day where the reader is.
pub fn time_of_day(wall: DateTime<Utc>, zone: FixedOffset) -> String {
    wall.with_timezone(&zone).format("%H:%M:%S").to_string()
}

/// The date and the time of day where the reader is, and how far that is from UTC.
pub fn date_and_time(wall: DateTime<Utc>, zone: FixedOffset) -> String {
    let there = wall.with_timezone(&zone);
    there.format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// The moment that decides what is kept and what is lost: to the millisecond, where the reader is, and how far that is from UTC.
pub fn moment(wall: DateTime<Utc>, zone: FixedOffset) -> String {
    let there = wall.with_timezone(&zone);
    match zone.local_minus_utc() {
        0 => there.format("%H:%M:%S%.3f UTC").to_string(),
        _ => there.format("%H:%M:%S%.3f %:z").to_string(),
    }
}

/// Such a moment as files and what is recorded have it, to be read by whoever comes later: RFC 3339, to the millisecond, UTC.
pub fn recorded_moment(wall: DateTime<Utc>) -> String {
    wall.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The time of day where the reader is, without seconds.
pub fn hour_minute(wall: DateTime<Utc>, zone: FixedOffset) -> String {
    wall.with_timezone(&zone).format("%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_durations() {
        assert_eq!(span(-5), "0:00");
        assert_eq!(span(42_999), "0:42");
        assert_eq!(span(192_999), "3:12");
        assert_eq!(span(724_000), "12:04");
        assert_eq!(span(3_723_000), "1:02:03");
        assert_eq!(lasting(41_600), "42 s");
        assert_eq!(lasting(160_000), "2:40 min");
        assert_eq!(lasting(3_720_000), "1:02 h");
    }

    #[test]
    fn room_on_a_disk_reads_in_the_unit_that_is_near() {
        assert_eq!(size(512 * 1024), "512 KiB");
        assert_eq!(size(64 * 1024 * 1024), "64 MiB");
        assert_eq!(size(12 << 30), "12 GiB");
    }

    #[test]
    fn a_moment_that_decides_has_milliseconds_and_a_zone() {
        let wall = DateTime::from_timestamp_millis(1_709_210_096_045).expect("a moment");
        let zone = |hours: i32| FixedOffset::east_opt(hours * 3_600).expect("a zone");
        assert_eq!(moment(wall, zone(0)), "12:34:56.045 UTC");
        assert_eq!(moment(wall, zone(2)), "14:34:56.045 +02:00");
        assert_eq!(recorded_moment(wall), "2024-02-29T12:34:56.045Z");
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[0, 0x1f, 0xff]), "001fff");
    }

    #[test]
    fn numbers_have_units_and_do_not_dance() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1 234 567");
        assert_eq!(counted(0, "problem"), "0 problems");
        assert_eq!(counted(1, "problem"), "1 problem");
        assert_eq!(counted(1_234, "problem"), "1 234 problems");
        assert_eq!(short(999.0), "999");
        assert_eq!(short(12_345.0), "12.3k");
        assert_eq!(short(123_456.0), "123k");
        assert_eq!(short(999_600.0), "1.0M");
        assert_eq!(percent(0.0042), "0.42 %");
        assert_eq!(percent(0.12), "12.0 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(millis(8.44), "8.4 ms");
        assert_eq!(millis(212.3), "212 ms");
        assert_eq!(millis(12_000.0), "12.0 s");
    }
}
