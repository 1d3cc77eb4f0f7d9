//! Single values of a runbook: texts, names, numbers, durations, paths, words. Not in here: maps and lists (`reader`), and what stands for a
//! value of the environment (`environment`).

use std::path::{Component, Path, PathBuf};

use super::{Item, Reader, did_you_mean, is_to_fill_in, quoted};
use crate::runbook::tree::Value;

impl Reader<'_> {
    /// Text with every reference resolved; numbers and booleans count as the text they are written as.
    pub fn text(&mut self, item: &Item<'_>) -> Option<String> {
        self.text_as(item, "text")
    }

    /// Text, called something better in the message.
    pub fn text_as(&mut self, item: &Item<'_>, expected: &str) -> Option<String> {
        let raw = match &item.node.value {
            Value::Scalar { text, .. } if !item.node.is_null() => text,
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
                return self.wrong(item, expected, None);
            }
        };
        if is_to_fill_in(item.node) {
            return self.wrong(item, expected, None);
        }
        let text = self.resolve(raw, item)?;
        if text.is_empty() || text.contains('\0') {
            return self.wrong(item, expected, None);
        }
        Some(text)
    }

    /// Text that may be empty.
    pub fn text_or_empty(&mut self, item: &Item<'_>) -> Option<String> {
        match &item.node.value {
            Value::Scalar { text, plain: false } if text.is_empty() => Some(String::new()),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => self.text(item),
        }
    }

    /// A short name that is safe in file names, signal names and on screens.
    pub fn id(&mut self, item: &Item<'_>) -> Option<String> {
        let text = self.text_as(item, AN_ID)?;
        match is_id(&text) {
            true => Some(text),
            false => self.wrong(item, AN_ID, None),
        }
    }

    pub fn boolean(&mut self, item: &Item<'_>) -> Option<bool> {
        match self.scalar(item, "true or false")?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => self.wrong(item, "true or false", None),
        }
    }

    /// A whole number within bounds.
    pub fn integer(
        &mut self,
        item: &Item<'_>,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        match self.scalar(item, &expected)?.parse() {
            Ok(n) if range.contains(&n) => Some(n),
            _ => self.wrong(item, &expected, None),
        }
    }

    /// A whole number within bounds, as `u32`.
    pub fn small(&mut self, item: &Item<'_>, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let range = u64::from(*range.start())..=u64::from(*range.end());
        self.integer(item, range)
            .and_then(|n| u32::try_from(n).ok())
    }

    /// A duration such as `30s`, in milliseconds.
    pub fn duration(&mut self, item: &Item<'_>) -> Option<i64> {
        let expected = "a duration such as 500ms, 30s, 5m, 1h or 30d";
        let text = self.scalar(item, expected)?;
        match duration_ms(&text) {
            Some(ms) => Some(ms),
            None => {
                let bare = text.parse::<u64>().ok();
                let hint = bare.map(|n| format!("a unit is missing: {n}s or {n}m"));
                self.wrong(item, expected, hint)
            }
        }
    }

    /// A duration above zero.
    pub fn positive_duration(&mut self, item: &Item<'_>) -> Option<i64> {
        match self.duration(item)? {
            0 => self.wrong(item, "a duration above zero", None),
            ms => Some(ms),
        }
    }

    /// A number of 0 or more; `20%` is 0.2.
    pub fn number(&mut self, item: &Item<'_>) -> Option<f64> {
        let expected = "a number such as 50 or 0.5, or a percentage such as 20%";
        let text = self.scalar(item, expected)?;
        let (digits, scale) = match text.strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (text.as_str(), 1.0),
        };
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match digits.parse::<f64>() {
            Ok(n) if plain && n.is_finite() => Some(n / scale),
            _ => self.wrong(item, expected, None),
        }
    }

    /// A path: absolute, or relative to the runbook's folder and then without `..`.
    pub fn path(&mut self, item: &Item<'_>) -> Option<PathBuf> {
        let path = PathBuf::from(self.text_as(item, "a path")?);
        let climbs = path.components().any(|c| c == Component::ParentDir);
        if path.is_relative() && climbs {
            let expected = "a path that is absolute, or stays within the runbook's folder";
            return self.wrong(item, expected, None);
        }
        Some(self.absolute(&path))
    }

    /// A path as text, in which placeholders may stand.
    pub fn path_pattern(&mut self, item: &Item<'_>) -> Option<String> {
        let text = self.text_as(item, "a path")?;
        let path = self.absolute(Path::new(&text));
        Some(path.into_os_string().into_string().unwrap_or(text))
    }

    /// Resolved here and nowhere else, so that a path means one thing whoever reads it, and wherever that process runs.
    fn absolute(&self, path: &Path) -> PathBuf {
        match path.is_relative() {
            // Without `.` in between.
            true => self.folder.join(path).components().collect(),
            false => path.to_owned(),
        }
    }

    /// One of the words that something is written as.
    pub fn one_of<T: Clone>(&mut self, item: &Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let names = || words.iter().map(|(word, _)| *word);
        let expected = format!("one of {}", quoted(names()));
        let text = self.scalar(item, &expected)?;
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Some(value.clone()),
            None => {
                let hint = did_you_mean(&text, names());
                self.wrong(item, &expected, hint)
            }
        }
    }
}

/// What an id is, for messages.
pub(in crate::runbook) const AN_ID: &str =
    "a short name of letters, digits and . _ - + (at most 40)";

/// Whether a text is safe in file names, signal names and on screens.
pub(in crate::runbook) fn is_id(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(fits)
}

/// `30s` and the like, in milliseconds; at most ten years.
fn duration_ms(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let unit_ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let ms = text[..unit_at].parse::<i64>().ok()?.checked_mul(unit_ms)?;
    (ms <= 3_650 * 86_400_000).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_number_and_one_unit() {
        for (text, ms) in [
            ("500ms", Some(500)),
            ("30s", Some(30_000)),
            ("5m", Some(300_000)),
            ("1h", Some(3_600_000)),
            ("30d", Some(2_592_000_000)),
            ("0s", Some(0)),
            ("5", None),
            ("-5s", None),
            ("1.5h", None),
            ("5 m", None),
            ("", None),
            ("99999999999999999999s", None),
            ("9999999999d", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }
}
