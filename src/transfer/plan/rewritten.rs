//! Texts that fit under no setting, and that a statement in the source writes as the target wants them: moments where it wants a number that counts,
//! words where it wants JSON. No setting guesses that for a whole column; beside settings that lose values people are told what loses none. Pure.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use rusqlite::types::ValueRef;

use crate::format::counted;
use crate::postgres::quoted;
use crate::text::printable;
use crate::transfer::kind::Kind;
use crate::transfer::plan::sentinels::NOTHING;

/// What begins an object, a list or a text of JSON: what begins so and is none is faulty, and no word.
const JSON_BEGINS: [char; 3] = ['{', '[', '"'];
/// What JSON takes for a blank.
const BLANKS: [char; 4] = ['\t', '\n', '\r', ' '];

/// What was seen of such texts in one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// How many there are.
    pub count: u64,
    /// The first of them by its text.
    first: Option<String>,
}

impl Rewritten {
    /// Takes in a value that fits under no setting; whether it can be nothing else.
    pub fn see(&mut self, value: ValueRef<'_>, kind: &Kind) -> bool {
        let ValueRef::Text(bytes) = value else {
            return false;
        };
        let text = std::str::from_utf8(bytes).ok();
        let Some(text) = text.filter(|text| is_one(text, kind)) else {
            return false;
        };
        self.count += 1;
        self.prefer(text.to_owned());
        counts(kind)
    }

    /// Adds what another reader saw.
    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        if let Some(first) = other.first {
            self.prefer(first);
        }
    }

    fn prefer(&mut self, text: String) {
        if self.first.as_ref().is_none_or(|first| text < *first) {
            self.first = Some(text);
        }
    }

    /// Whether the texts can be nothing else, so that nobody is told to lose them. A word may have been meant as another JSON value.
    pub fn is_certain(&self, kind: &Kind) -> bool {
        self.count > 0 && counts(kind)
    }

    /// The statements for the source, in words, with what they make of one text.
    pub fn told(&self, kind: &Kind, table: &str, column: &str) -> Option<String> {
        let first = self.first.as_deref()?;
        let (table, column) = (quoted(table), quoted(column));
        let example = printable(first, 40);
        if !counts(kind) {
            let json = serde_json::Value::from(first).to_string();
            let nothing = NOTHING.iter().filter(|word| !word.is_empty());
            let nothing: Vec<String> = nothing.map(|word| format!("'{word}'")).collect();
            return Some(format!(
                "{} of a JSON column that no JSON begins with: where each is meant as a JSON string, UPDATE {table} SET {column} = \
                 json_quote({column}) WHERE typeof({column}) = 'text' AND NOT json_valid({column}) AND ltrim({column}, char(9, 10, 13, 32)) \
                 GLOB '[^[{{\"]*' AND {column} NOT IN ({}) in the source makes those of them ({example} becomes {})",
                counted(self.count, "text"),
                nothing.join(", "),
                printable(&json, 42),
            ));
        }
        let ms = moment_ms(first)?;
        let is_moment = format!(
            "typeof({column}) = 'text' AND {column} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' AND julianday({column}) IS NOT NULL"
        );
        // SQLite keeps a moment in whole milliseconds, which its Julian day gives back exactly; the seconds of `strftime` are rounded by themselves.
        let in_ms = format!(
            "UPDATE {table} SET {column} = CAST(round((julianday({column}) - 2440587.5) * 86400000) AS INTEGER) WHERE {is_moment} in the source makes \
             milliseconds since 1970 of them ({example} becomes {ms})"
        );
        let in_s = format!(
            "UPDATE {table} SET {column} = CAST(strftime('%s', {column}) AS INTEGER) WHERE {is_moment} in the source makes seconds since 1970 of them \
             ({})",
            ms.div_euclid(1000)
        );
        // Milliseconds of today have no room in an integer.
        let ways = match *kind == Kind::Int4 {
            true => in_s,
            false => format!("if it counts milliseconds, {in_ms}; if it counts seconds, {in_s}"),
        };
        let moments = counted(self.count, "moment");
        Some(format!(
            "{moments} as text where the target wants a number: {ways}"
        ))
    }
}

/// Whether a column of this type may hold numbers that count moments.
fn counts(kind: &Kind) -> bool {
    matches!(kind, Kind::Int4 | Kind::Int8 | Kind::Numeric(_))
}

fn is_one(text: &str, kind: &Kind) -> bool {
    if counts(kind) {
        return moment_ms(text).is_some();
    }
    let begin = text.trim_start_matches(BLANKS).chars().next();
    let is_word = begin.is_some_and(|begin| !JSON_BEGINS.contains(&begin));
    let is_json = matches!(kind, Kind::Json | Kind::Jsonb);
    // Numbers of JSON that do not fit are faulty for another reason.
    let is_valid = || serde_json::from_str::<serde_json::Value>(text).is_ok();
    is_json && is_word && !NOTHING.contains(&text) && !text.contains('\0') && !is_valid()
}

/// A moment as SQLite reads it from a date on, in milliseconds since 1970; without an offset of UTC.
fn moment_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked("2024-02-29".len())?;
    let is_written_out = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let day = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    if !is_written_out {
        return None;
    }
    if rest.is_empty() {
        return Some(in_ms(day.and_time(NaiveTime::MIN)));
    }
    let rest = rest.strip_prefix(['T', ' '])?;
    let (time, offset_min) = split_offset(rest)?;
    if time.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f")
        .or_else(|_| NaiveTime::parse_from_str(time, "%H:%M"))
        .ok()?;
    let moment = day.and_time(time);
    let moment = moment.checked_sub_signed(TimeDelta::minutes(offset_min))?;
    Some(in_ms(moment))
}

/// The time of day and its offset in minutes.
fn split_offset(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else {
        return Some((text, 0));
    };
    let (time, offset) = text.split_at(at);
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let number = |digits: &str, limit: i64| {
        let number: i64 = digits.parse().ok()?;
        (digits.len() == 2 && number <= limit).then_some(number)
    };
    let length = number(hours, 14)? * 60 + number(minutes, 59)?;
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    Some((time, sign * length))
}

/// To the nearest millisecond, as SQLite counts.
fn in_ms(moment: NaiveDateTime) -> i64 {
    let moment = moment.and_utc();
    let beyond = moment.timestamp_subsec_nanos() % 1_000_000;
    moment.timestamp_millis() + i64::from(beyond >= 500_000)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn moments_are_those_that_sqlite_reads() {
        let sqlite = rusqlite::Connection::open_in_memory().expect("a database");
        let ms = "SELECT CAST(round((julianday(?1) - 2440587.5) * 86400000) AS INTEGER)";
        for text in [
            "2024-01-01T00:00:00.000Z",
            "2024-01-01 10:11:12.345",
            "2024-01-01T10:11",
            "2024-02-29",
            "1969-12-31T23:59:59.500Z",
            "2024-01-01T00:00:00+02:00",
            "2024-01-01T00:00:00.001-03:30",
            "9999-12-31 23:59:59.999",
        ] {
            let of_sqlite: i64 = sqlite
                .query_row(ms, [text], |row| row.get(0))
                .expect("a moment");
            assert_eq!(moment_ms(text), Some(of_sqlite), "{text}");
        }
        for text in [
            "now",
            "12:00",
            "2460000.5",
            "20240101",
            "2024-1-1",
            "2024-02-30",
            "2024-01-01T10:11:12 Europe/Berlin",
            "2024-01-01T10:11:12+0200",
            "",
            "ä024-01-01",
        ] {
            assert_eq!(moment_ms(text), None, "{text}");
        }
    }

    #[test]
    fn every_millisecond_comes_out() {
        let sqlite = rusqlite::Connection::open_in_memory().expect("a database");
        let sql = "SELECT CAST(round((julianday(?1) - 2440587.5) * 86400000) AS INTEGER)";
        let mut ask = sqlite.prepare(sql).expect("a statement");
        for step in 0..5_000_i64 {
            let ms = -2_208_988_800_000 + step * 1_262_304_001_237;
            let moment = DateTime::from_timestamp_millis(ms % 253_402_300_800_000);
            let moment = moment.expect("a moment");
            let text = moment.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
            let made: i64 = ask.query_row([&text], |row| row.get(0)).expect("a number");
            assert_eq!(made, moment.timestamp_millis(), "{text}");
        }
    }

    #[test]
    fn words_are_told_from_faulty_json() {
        for (text, word) in [
            ("hello", true),
            ("  draft, 2", true),
            ("None", false),
            ("{\"a\":1,}", false),
            ("['a']", false),
            ("\"open", false),
            ("true", false),
            ("12", false),
            ("", false),
            (" ", false),
        ] {
            assert_eq!(is_one(text, &Kind::Jsonb), word, "{text}");
        }
    }

    #[test]
    fn both_statements_are_told_and_seconds_alone_for_an_integer() {
        let told = |kind: Kind| {
            let mut seen = Rewritten::default();
            assert!(seen.see(ValueRef::Text(b"2024-01-02"), &kind));
            let mut other = Rewritten::default();
            assert!(other.see(ValueRef::Text(b"2024-01-01"), &kind));
            assert!(!other.see(ValueRef::Text(b"tomorrow"), &kind));
            seen.merge(other);
            assert_eq!(seen.count, 2);
            seen.told(&kind, "t", "at").expect("statements")
        };
        let big = told(Kind::Int8);
        assert!(big.starts_with("2 moments as text"), "{big}");
        assert!(big.contains("2024-01-01 becomes 1704067200000"), "{big}");
        assert!(big.contains("(1704067200)"), "{big}");
        let small = told(Kind::Int4);
        assert!(!small.contains("milliseconds"), "{small}");
    }
}
