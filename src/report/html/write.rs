//! Writes markup. The one way for text that came from elsewhere into a page: [`esc`], which leaves nothing in it that a browser would obey.

use std::fmt::Write as _;

use crate::text::printable;

/// The longest text that a page takes over from elsewhere.
const MAX_CHARS: usize = 600;

/// Foreign text as text, in an element or in a quoted attribute: control and bidirectional characters as escapes, nothing in it is markup.
pub fn esc(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text, MAX_CHARS).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// As [`esc`], and kept from reordering what stands beside it.
pub fn name(text: &str) -> String {
    format!("<bdi>{}</bdi>", esc(text))
}

/// At most so many characters, for a label in a picture.
pub fn short(text: &str, chars: usize) -> String {
    esc(&printable(text, chars))
}

/// A section with its heading.
pub fn section(id: &str, title: &str, content: &str, out: &mut String) {
    let _ = write!(
        out,
        "<section id=\"{id}\">\n<h2>{title}</h2>\n{content}</section>\n"
    );
}

/// A table; head and cells are markup already. Empty where there are no lines, but for `otherwise`.
pub fn table(
    columns: &[&str],
    lines: impl IntoIterator<Item = Vec<String>>,
    otherwise: &str,
) -> String {
    let mut body = String::new();
    for line in lines {
        body.push_str("<tr>");
        for (n, cell) in line.iter().enumerate() {
            let number = columns.get(n).is_some_and(|c| c.starts_with('#'));
            let class = if number { " class=\"n\"" } else { "" };
            let _ = write!(body, "<td{class}>{cell}</td>");
        }
        body.push_str("</tr>\n");
    }
    if body.is_empty() {
        return format!("<p class=\"muted\">{otherwise}</p>\n");
    }
    let head: String = columns
        .iter()
        .map(|c| match c.strip_prefix('#') {
            Some(c) => format!("<th class=\"n\">{c}</th>"),
            None => format!("<th>{c}</th>"),
        })
        .collect();
    format!(
        "<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup_or_changes_what_stands_beside_it() {
        let hostile = "</td><script>alert('x')</script>\" onload=\"y\u{202e}\u{0}\u{1b}[31m&lt;\n";
        let text = esc(hostile);
        for bad in ['<', '>', '"', '\'', '\u{202e}', '\u{0}', '\u{1b}', '\n'] {
            assert!(!text.contains(bad), "{bad:?} in {text}");
        }
        assert!(text.contains("&lt;/td&gt;&lt;script&gt;") && text.contains("&amp;lt;"));
        assert_eq!(name("שלום"), "<bdi>שלום</bdi>");
    }

    #[test]
    fn columns_of_numbers_are_marked() {
        let text = table(&["row", "#rows"], [vec!["a".into(), "1".into()]], "none");
        assert!(text.contains("<td>a</td><td class=\"n\">1</td>"), "{text}");
        assert!(table(&["row"], [], "nothing").contains("nothing"));
    }
}
