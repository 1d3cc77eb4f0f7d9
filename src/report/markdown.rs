//! A page as Markdown, without its pictures. Whatever text comes in is made harmless and cannot be read as markup. Not in here: what is told,
//! and what it means (`page`).

use super::page::{Block, Figure, Page, Span, State, Table, Text, Tone};
use crate::text::printable;

/// The longest piece of text that a page takes over from elsewhere.
const MAX_CHARS: usize = 300;

pub fn render(page: &Page) -> String {
    let verdict = &page.verdict;
    let mut out = format!("# Cutover {}\n\n", plain(&page.session));
    out.push_str(&format!("**{}.** {}", verdict.word, verdict.sentence));
    if !verdict.cause.0.is_empty() {
        out.push_str(&format!(" {}", spans(&verdict.cause)));
    }
    out.push_str("\n\n");
    for banner in &page.banners {
        out.push_str(&format!("> {}\n\n", spans(banner)));
    }
    out.push_str("|  |  |  |\n|---|---|---|\n");
    for Figure {
        label,
        value,
        against,
    } in &page.figures
    {
        out.push_str(&format!(
            "| {label} | {} | {} |\n",
            plain(value),
            spans(against)
        ));
    }
    for section in &page.sections {
        let mut blocks = section.blocks.iter().filter_map(block).peekable();
        if blocks.peek().is_none() {
            continue;
        }
        out.push_str(&format!("\n## {}\n", section.title));
        blocks.for_each(|text| out.push_str(&format!("\n{text}")));
    }
    out.push_str("\n---\n");
    for line in &page.foot {
        out.push_str(&format!("\n{}\n", spans(line)));
    }
    out
}

/// Text as text: harmless on a terminal, and nothing in it is markup.
fn plain(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in printable(words, MAX_CHARS).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

fn spans(of: &Text) -> String {
    let spans = of.0.iter().map(|span| match span {
        Span::Own(words) => plain(words),
        Span::Foreign(words) => plain(words),
        Span::Strong(words) => format!("**{}**", plain(words)),
        Span::Code(words) | Span::Hash(words) => {
            format!("`{}`", printable(words, MAX_CHARS).replace(['`', '|'], " "))
        }
        Span::State(State { tone, word, .. }) => match tone {
            Tone::Bad => format!("**{word}**"),
            Tone::Good | Tone::Warn | Tone::Quiet | Tone::Open => (*word).to_owned(),
        },
        Span::Break => "<br>".to_owned(),
    });
    spans.collect()
}

/// `None` for what only a drawing shows, and how to read it.
fn block(block: &Block) -> Option<String> {
    match block {
        Block::Heading(words) => Some(format!("### {}\n", spans(words))),
        Block::Paragraph(words) => Some(format!("{}\n", spans(words))),
        Block::Note(words) => Some(format!("{words}\n")),
        Block::Table(table) => Some(self::table(table)),
        Block::Key(_) | Block::Night(_) | Block::Curve(_) => None,
    }
}

fn table(table: &Table) -> String {
    if table.lines.is_empty() {
        return format!("{}\n", table.otherwise);
    }
    let columns = table.columns.iter().map(|c| c.trim_start_matches('#'));
    let rules = table.columns.iter().map(|c| match c.starts_with('#') {
        true => "--:",
        false => "---",
    });
    let columns: Vec<&str> = columns.collect();
    let rules: Vec<&str> = rules.collect();
    let mut out = format!("| {} |\n|{}|\n", columns.join(" | "), rules.join("|"));
    for line in &table.lines {
        let cells: Vec<String> = line.iter().map(spans).collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup() {
        let hostile = "<script>|\n# *x* [a](javascript:1) `c` \u{1b}[31m ![i](http://e/) &lt;";
        let text = plain(hostile);
        assert!(
            !text.contains('<') && !text.contains('\n') && !text.contains('\u{1b}'),
            "{text}"
        );
        for mark in ["|", "#", "*", "[", "]", "`", "!"] {
            for (at, _) in text.match_indices(mark) {
                assert!(text[..at].ends_with('\\'), "{mark} at {at} of {text}");
            }
        }
    }
}
