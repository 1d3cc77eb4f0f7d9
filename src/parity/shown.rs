//! Values as people see them in a report: harmless for a terminal, bounded, and unmistakable (`NULL` is not `'NULL'`).

use super::equality::Kind;
use crate::format::hex;
use crate::text::printable;
use rusqlite::types::ValueRef;

/// Characters of a value that a report shows.
const SHOWN_CHARS: usize = 200;
/// Bytes of a blob that a report shows.
const SHOWN_BYTES: usize = 32;

/// A value of the source.
pub(crate) fn source(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(n) => n.to_string(),
        ValueRef::Real(x) => format!("{x:?}"),
        ValueRef::Text(text) => quoted(text),
        ValueRef::Blob(bytes) => blob(bytes),
    }
}

/// A value of the target as the server wrote it.
pub(crate) fn target(text: Option<&[u8]>, kind: &Kind) -> String {
    match (text, kind) {
        (None, _) => "NULL".to_owned(),
        (
            Some(text),
            Kind::Boolean | Kind::Integer | Kind::Float32 | Kind::Float64 | Kind::Numeric { .. },
        ) => printable(&String::from_utf8_lossy(text), SHOWN_CHARS),
        (Some(text), Kind::Bytes) => {
            let hex = text.strip_prefix(b"\\x").unwrap_or(text);
            let cut = hex.len() > SHOWN_BYTES * 2;
            let head = &hex[..hex.len().min(SHOWN_BYTES * 2)];
            format!(
                "x'{}{}'",
                printable(&String::from_utf8_lossy(head), SHOWN_CHARS),
                if cut { "…" } else { "" }
            )
        }
        (Some(text), _) => quoted(text),
    }
}

/// A value that the server told only length and digest of.
pub(crate) fn long(size_bytes: u64, sha256: &[u8]) -> String {
    let digest = hex(&sha256[..sha256.len().min(6)]);
    format!("<{size_bytes} bytes, sha256 {digest}…>")
}

fn quoted(text: &[u8]) -> String {
    // Four bytes per character at most: what lies beyond is not shown, and not looked at.
    let head = &text[..text.len().min(SHOWN_CHARS * 4 + 4)];
    format!(
        "'{}'",
        printable(&String::from_utf8_lossy(head), SHOWN_CHARS)
    )
}

fn blob(bytes: &[u8]) -> String {
    let head = hex(&bytes[..bytes.len().min(SHOWN_BYTES)]);
    format!(
        "x'{head}{}'",
        if bytes.len() > SHOWN_BYTES { "…" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shown_reaches_a_terminal_raw() {
        assert_eq!(
            source(ValueRef::Text(b"a\x1b[31m\0")),
            "'a\\u{1b}[31m\\u{0}'"
        );
        assert_eq!(source(ValueRef::Null), "NULL");
        assert_eq!(source(ValueRef::Real(1.0)), "1.0");
        assert_eq!(target(Some(b"NULL"), &Kind::Text), "'NULL'");
        assert_eq!(target(Some(b"\\x00ff"), &Kind::Bytes), "x'00ff'");
        assert!(source(ValueRef::Text(&[b'x'; 5000])).len() < 300);
    }
}
