//! `.env` files as an application's folder has them: keys, values and lines. Pure. Not in here: changing one (`action::config_file`), and
//! what a key means (`switch`, `slots`).

/// A line `KEY=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// The value, without quotes.
    pub value: String,
    /// Counted from 1.
    pub line: usize,
}

/// All of them; a line that is none is passed over.
pub fn entries(text: &str) -> Vec<Entry> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate();
    lines.filter_map(|(n, line)| entry(n + 1, line)).collect()
}

fn entry(number: usize, line: &str) -> Option<Entry> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let key = key.strip_prefix("export ").map_or(key, str::trim_start);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-:".contains(c);
    if key.is_empty() || !key.chars().all(is_name) {
        return None;
    }
    Some(Entry {
        key: key.to_owned(),
        value: unquoted(value.trim()).to_owned(),
        line: number,
    })
}

fn unquoted(value: &str) -> &str {
    for quote in ['"', '\''] {
        let inner = value.strip_prefix(quote);
        if let Some((inner, _)) = inner.and_then(|rest| rest.split_once(quote)) {
            return inner;
        }
    }
    match value.find(" #") {
        Some(at) => value[..at].trim_end(),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_values_and_lines() {
        let text =
            "# comment\nDB=sqlite\nexport URL=\"a b\" # why\n\nPORT = 5000 # http\nnothing\n";
        let read = entries(text);
        let read: Vec<_> = read
            .iter()
            .map(|e| (e.key.as_str(), e.value.as_str(), e.line))
            .collect();
        assert_eq!(
            read,
            [("DB", "sqlite", 2), ("URL", "a b", 3), ("PORT", "5000", 5)]
        );
    }
}
