//! Prometheus' text format, line by line. Pure. Not in here: what the series mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// One series with its value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Series<'a> {
    /// `http_requests_total`.
    pub name: &'a str,
    /// What stands between the braces, as it is; empty without braces.
    pub labels: &'a str,
    /// May be NaN or infinite: the format allows it.
    pub value: f64,
}

/// A line that is not of this format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not in Prometheus' text format: {why}")]
pub struct TextError {
    /// From 1.
    pub line: usize,
    pub why: &'static str,
}

/// Every series of a page, in its order; the first bad line ends it. Comments and empty lines are skipped, timestamps and exemplars
/// ignored.
pub fn series(page: &str) -> impl Iterator<Item = Result<Series<'_>, TextError>> {
    let lines = page.lines().enumerate();
    lines.filter_map(|(n, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        Some(parse(line).map_err(|why| TextError { line: n + 1, why }))
    })
}

/// The type that a page gives each family that it announces, with or without series.
pub fn types(page: &str) -> BTreeMap<&str, &str> {
    let typed = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    typed.map(|(family, kind)| (family, kind.trim())).collect()
}

fn parse(line: &str) -> Result<Series<'_>, &'static str> {
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':')))
        .ok_or("it has no value")?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("it does not begin with a metric's name");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => {
            let close = closing_brace(rest).ok_or("its braces do not close")?;
            (&rest[..close], &rest[close + 1..])
        }
        None if rest.starts_with(char::is_whitespace) => ("", rest),
        None => return Err("something other than labels or a value follows the name"),
    };
    let number = rest.split_whitespace().next().ok_or("it has no value")?;
    let value = number.parse().map_err(|_| "its value is not a number")?;
    Ok(Series {
        name,
        labels,
        value,
    })
}

/// The brace that ends the labels: not one within quotes.
fn closing_brace(rest: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (position, byte) in rest.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(position),
            _ => {}
        }
    }
    None
}

impl<'a> Series<'a> {
    /// The value of a label, with its escapes undone.
    pub fn label(&self, wanted: &str) -> Option<Cow<'a, str>> {
        let mut labels = self.labels();
        labels
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    }

    /// Every label with its value, escapes undone; up to the first that is none.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
        let mut rest = self.labels;
        std::iter::from_fn(move || {
            let (name, after) = rest.split_once('=')?;
            let quoted = after.trim_start().strip_prefix('"')?;
            let end = closing_quote(quoted)?;
            rest = &quoted[end + 1..];
            let name = name.trim_matches(|c: char| c == ',' || c.is_whitespace());
            Some((name, unescaped(&quoted[..end])))
        })
    }
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    })
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, c == '\\') {
            (_, true) => match characters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            (c, false) => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(page: &str) -> Result<Vec<Series<'_>>, TextError> {
        series(page).collect()
    }

    #[test]
    fn reads_names_labels_values_and_leaves_the_rest() {
        let page = "# HELP x y\n# TYPE x counter\nx 1\nx{a=\"}\\\"\",b=\"c d\"} 2.5 1700000000\n\n x_bucket{le=\"+Inf\"} +Inf # {trace=\"1\"} 0.1\ny NaN\n# EOF";
        let found = all(page).expect("a page");
        let names: Vec<_> = found.iter().map(|s| (s.name, s.value)).collect();
        assert_eq!(
            names[..3],
            [("x", 1.0), ("x", 2.5), ("x_bucket", f64::INFINITY)]
        );
        assert!(found[3].value.is_nan());
        assert_eq!(found[1].label("a").as_deref(), Some("}\""));
        assert_eq!(found[1].label("b").as_deref(), Some("c d"));
        assert_eq!(found[1].label("c"), None);
        assert_eq!(found[2].label("le").as_deref(), Some("+Inf"));
    }

    #[test]
    fn what_is_not_the_format_is_named_by_line() {
        let why = |page| all(page).expect_err("no page").to_string();
        assert!(why("x 1\n<html>").starts_with("line 2 "));
        assert!(why("<!doctype html>\n").contains("metric's name"));
        assert!(why("x{a=\"b\" 1").contains("braces"));
        assert!(why("x one").contains("not a number"));
        assert!(why("x").contains("no value"));
        assert!(why("Hello, world").contains("follows the name"));
        assert_eq!(all("\u{0}x").expect_err("no page").line, 1);
    }
}
