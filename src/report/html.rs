//! A page as HTML: self-contained, without network and script; light, dark and on paper. Whatever text comes in is escaped by the type of what
//! it is put into (`maud`), and made harmless and cut by [`text`].
//!
//! - [`night`], [`curve`]: the pictures; [`axis`]: what they share.
//! - [`live`]: the same page for a session that runs, in pieces that are replaced one by one.
//!
//! Not in here: what is told, and what it means (`page`).

mod axis;
mod curve;
pub(super) mod live;
mod night;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::page::{Block, Figure, Page, Section, Span, State, Table, Text, Tone};
use crate::text::printable;

const STYLE: &str = include_str!("html/style.css");
/// A browser that holds to it loads nothing and runs nothing, whatever stands in the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// The longest text that a page takes over from elsewhere.
const MAX_CHARS: usize = 600;
/// A page is read, compared and searched line by line.
const NEWLINE: PreEscaped<&str> = PreEscaped("\n");

pub fn render(page: &Page) -> String {
    let verdict = &page.verdict;
    let title = format!(
        "Cutover {}: {} {}",
        page.session, verdict.glyph, verdict.word
    );
    let rendered = html! {
        (DOCTYPE) (NEWLINE)
        html lang="en" {
            (NEWLINE)
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("cutover ", env!("CARGO_PKG_VERSION")));
                (NEWLINE)
                title { (text(&title)) }
                (NEWLINE)
                style { (NEWLINE) (PreEscaped(STYLE)) }
            }
            (NEWLINE)
            body {
                (head(page))
                @for section in &page.sections {
                    (NEWLINE)
                    section id=(section.id) { (inside(section, page)) }
                }
                (NEWLINE)
                (foot(page))
            }
        }
        (NEWLINE)
    };
    rendered.into_string()
}

/// Text harmless for whoever looks at the source, and of a length that fits. Nothing in it is markup once it is put into a page.
fn text(words: &str) -> String {
    printable(words, MAX_CHARS)
}

fn head(page: &Page) -> Markup {
    let verdict = &page.verdict;
    let listed = |section: &Section| Some((section.id, section.short?));
    html! {
        (NEWLINE)
        header {
            h1 { "Cutover " bdi { (text(&page.session)) } } (NEWLINE)
            @for banner in &page.banners { p.banner { (spans(banner)) } (NEWLINE) }
            div class={ "verdict " (class(verdict.tone)) } {
                strong { (verdict.glyph) " " (verdict.word) }
                (verdict.sentence) " " (spans(&verdict.cause))
            }
            (NEWLINE)
            dl.facts {
                @for Figure { label, value, against } in &page.figures {
                    (NEWLINE)
                    div { dt { (label) } dd { (value) small { (spans(against)) } } }
                }
            }
            (NEWLINE)
            nav {
                @for (id, short) in page.sections.iter().filter_map(listed) {
                    a href={ "#" (id) } { (short) }
                }
            }
        }
    }
}

fn inside(section: &Section, page: &Page) -> Markup {
    html! {
        h2 { (section.title) } (NEWLINE)
        @for block in &section.blocks { (self::block(block, page)) (NEWLINE) }
    }
}

fn foot(page: &Page) -> Markup {
    html! { footer { @for line in &page.foot { p { (spans(line)) } (NEWLINE) } } }
}

fn class(tone: Tone) -> &'static str {
    tone.into()
}

fn spans(of: &Text) -> Markup {
    html! {
        @for span in &of.0 {
            @match span {
                Span::Own(words) => (text(words)),
                Span::Foreign(words) => bdi { (text(words)) },
                Span::Strong(words) => strong { (text(words)) },
                Span::Code(words) => code { (text(words)) },
                Span::Hash(hash) => span.hash { (text(hash)) },
                Span::State(State { tone, glyph, word }) => {
                    span class={ "s " (class(*tone)) } {
                        @if let Some(glyph) = glyph { (glyph) " " }
                        (word)
                    }
                },
                Span::Break => br;,
            }
        }
    }
}

fn block(block: &Block, page: &Page) -> Markup {
    match block {
        Block::Heading(words) => html! { h3 { (spans(words)) } },
        Block::Paragraph(words) => html! { p { (spans(words)) } },
        Block::Note(words) | Block::Key(words) => html! { p.muted.legend { (words) } },
        Block::Table(table) => self::table(table),
        Block::Night(night) => night::draw(night, &page.axis),
        Block::Curve(curve) => curve::draw(curve, &page.axis),
    }
}

fn table(table: &Table) -> Markup {
    if table.lines.is_empty() {
        return html! { p.muted { (table.otherwise) } };
    }
    let class_of = |n: usize| {
        let column = table.columns.get(n).filter(|c| c.starts_with('#'));
        column.map(|_| "n")
    };
    html! {
        div.wide { table {
            (NEWLINE)
            thead { tr {
                @for (n, column) in table.columns.iter().enumerate() {
                    th scope="col" class=[class_of(n)] { (column.trim_start_matches('#')) }
                }
            } }
            (NEWLINE)
            tbody {
                @for line in &table.lines {
                    (NEWLINE)
                    tr { @for (n, cell) in line.iter().enumerate() { td class=[class_of(n)] { (spans(cell)) } } }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_foreign_is_markup_or_changes_what_stands_beside_it() {
        let hostile = "</td><script>alert('x')</script>\" onload=\"y\u{202e}\u{0}\u{1b}[31m&lt;\n";
        let inside = spans(&Text::foreign(hostile)).into_string();
        let inside = inside
            .strip_prefix("<bdi>")
            .and_then(|t| t.strip_suffix("</bdi>"));
        let inside = inside.expect("kept from reordering what stands beside it");
        for bad in ['<', '>', '"', '\u{202e}', '\u{0}', '\u{1b}', '\n'] {
            assert!(!inside.contains(bad), "{bad:?} in {inside}");
        }
        assert!(inside.contains("&lt;/td&gt;&lt;script&gt;") && inside.contains("&amp;lt;"));
    }

    #[test]
    fn columns_of_numbers_are_marked() {
        let two = |lines| Table {
            columns: &["row", "#rows"],
            lines,
            otherwise: "nothing",
        };
        let text = table(&two(vec![vec!["a".into(), "1".into()]])).into_string();
        assert!(text.contains("<td>a</td><td class=\"n\">1</td>"), "{text}");
        assert!(table(&two(Vec::new())).into_string().contains("nothing"));
    }
}
