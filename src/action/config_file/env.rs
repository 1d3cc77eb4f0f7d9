//! `.env` files: `KEY=value` per line, `export`, quotes, comments; what the common readers agree on.

use std::path::Path;

use super::{Error, Found, line_of, syntax};

/// The value of `key`.
pub(super) fn find(path: &Path, text: &str, key: &str) -> Result<Option<Found>, Error> {
    let mut hits = entries(path, text)?
        .into_iter()
        .filter(|entry| entry.key == key);
    let Some(first) = hits.next() else {
        return Ok(None);
    };
    if let Some(second) = hits.next() {
        let line = |entry: &Entry<'_>| line_of(text, entry.found.at.start);
        return Err(Error::Twice {
            path: path.to_path_buf(),
            key: key.to_owned(),
            first: line(&first),
            second: line(&second),
        });
    }
    Ok(Some(first.found))
}

struct Entry<'a> {
    key: &'a str,
    found: Found,
}

fn entries<'a>(path: &Path, text: &'a str) -> Result<Vec<Entry<'a>>, Error> {
    let mut entries = Vec::new();
    let mut at = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    while at < text.len() {
        let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
        let line = &text[at..line_end];
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            at = line_end + 1;
            continue;
        }
        let (name, _) = line.split_once('=').ok_or_else(|| {
            syntax(
                path,
                line_of(text, at),
                "expected KEY=value, a comment or an empty line",
            )
        })?;
        let key = name.trim();
        let key = key.strip_prefix("export ").map_or(key, str::trim_start);
        let found = value_at(path, text, at + name.len() + 1, line_end)?;
        at = text[found.at.end..]
            .find('\n')
            .map_or(text.len(), |n| found.at.end + n + 1);
        entries.push(Entry { key, found });
    }
    Ok(entries)
}

/// The value that begins after the `=` at `from`. A quoted one may go on over lines.
fn value_at(path: &Path, text: &str, from: usize, line_end: usize) -> Result<Found, Error> {
    let line = &text[from..line_end];
    let start = from + (line.len() - line.trim_start().len());
    let rest = &text[start..];
    if let Some(quote @ ('"' | '\'')) = rest.chars().next() {
        let inner = &rest[1..];
        let close = closing(inner, quote).ok_or_else(|| {
            syntax(
                path,
                line_of(text, start),
                format!("the value's {quote} is not closed"),
            )
        })?;
        let value = if quote == '"' {
            unescaped(&inner[..close])
        } else {
            inner[..close].to_owned()
        };
        return Ok(Found {
            value,
            at: start..start + close + 2,
        });
    }
    let line = &text[start..line_end.max(start)];
    let comment = line
        .find(" #")
        .or_else(|| line.find("\t#"))
        .unwrap_or(line.len());
    let value = line[..comment].trim_end();
    Ok(Found {
        value: value.to_owned(),
        at: start..start + value.len(),
    })
}

fn closing(inner: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    inner.char_indices().find_map(|(at, character)| {
        if escaped {
            escaped = false;
        } else if character == '\\' && quote == '"' {
            escaped = true;
        } else if character == quote {
            return Some(at);
        }
        None
    })
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
            plain => out.push(plain),
        }
    }
    out
}

/// `value` in the quotes that the former value stood in.
pub(super) fn literal(path: &Path, key: &str, former: &str, value: &str) -> Result<String, Error> {
    if value.contains(['\n', '\r', '\0', '"', '\'', '\\', '$', '`']) {
        // Readers differ in what these mean inside quotes.
        let problem = "quotes, backslashes, `$` and line breaks mean different things to different readers of .env files";
        return Err(Error::Unfit {
            path: path.to_path_buf(),
            key: key.to_owned(),
            problem,
        });
    }
    let plain = value
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "_-./:@%+=,;&?~".contains(c));
    Ok(match former.chars().next() {
        Some(quote @ ('"' | '\'')) => format!("{quote}{value}{quote}"),
        _ if plain => value.to_owned(),
        _ => format!("\"{value}\""),
    })
}

/// The file with one line more, in its own line ends.
pub(super) fn append(path: &Path, text: &str, key: &str, value: &str) -> Result<String, Error> {
    let valid = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
    if !valid {
        return Err(Error::NoPlace {
            path: path.to_path_buf(),
            key: key.to_owned(),
        });
    }
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let before = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        line_end
    };
    let value = literal(path, key, "", value)?;
    Ok(format!("{text}{before}{key}={value}{line_end}"))
}
