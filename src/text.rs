//! Makes foreign text harmless before it reaches a terminal, a log or a report, and foreign names before they stand in SQL.
//!
//! Rows, names, server messages and log lines come from outside and may hold escape sequences, bidirectional overrides or line
//! breaks. They pass through here at the boundary where they come in. Layout (width, wrapping) is the cockpit's business.

/// The text with every control and bidirectional-format character replaced by a visible escape, cut after `limit` characters
/// with `…`. The result has no line break and is safe on any terminal.
pub fn printable(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit * 2));
    for (n, c) in text.chars().enumerate() {
        if n == limit {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || is_invisible_format(c) => {
                out.push_str(&format!("\\u{{{:x}}}", c as u32));
            }
            c => out.push(c),
        }
    }
    out
}

/// An identifier between double quotes, for SQLite's SQL and for PostgreSQL's.
pub fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// The same of a text that is shown as a whole, because somebody has to compare it.
pub fn whole(text: &str) -> String {
    printable(text, text.len())
}

/// Lines of ours with everything escaped that a terminal would obey, but for the ends of lines and tabulators. The escapes are those of JSON, so
/// that a JSON text stays the one that it is.
pub fn harmless(lines: &str) -> String {
    let mut out = String::with_capacity(lines.len());
    for c in lines.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if c.is_control() || is_invisible_format(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that change how their neighbours are shown without being seen themselves.
fn is_invisible_format(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// A text as a scalar of YAML that reads as that text: as it is where that is safe, else in double quotes, whose escapes are those of JSON.
pub fn yaml_scalar(text: &str) -> String {
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::{harmless, printable};

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("\u{1b}[31mred\u{7}", 80), "\\u{1b}[31mred\\u{7}");
        assert_eq!(printable("\u{202e}gnp.exe", 80), "\\u{202e}gnp.exe");
        assert_eq!(printable("a\u{61c}b\u{ad}", 80), "a\\u{61c}b\\u{ad}");
        assert_eq!(printable("a\u{9b}b\nc", 80), "a\\u{9b}b\\nc");
    }

    #[test]
    fn json_stays_what_it_is() {
        let told = serde_json::json!({ "why": "x\u{9b}31m\u{7f}\u{202e}\u{e0041}\n" });
        let line = harmless(&told.to_string());
        assert!(line.is_ascii(), "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read, told);
        assert_eq!(
            harmless("a\n\tb\u{1b}]0;x\u{7}"),
            "a\n\tb\\u001b]0;x\\u0007"
        );
    }

    #[test]
    fn cuts_and_says_so() {
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("abc", 3), "abc");
    }
}
