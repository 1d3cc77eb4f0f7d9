//! The one place that writes onto the screen's cells: clipped, measured in columns, harmless, coloured by meaning.
//!
//! Every text goes through [`text::printable`](crate::text::printable) here, so that no panel can forget it. Not in here: what is
//! drawn where.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::actions::{Do, Keys};
use super::glyphs::Glyphs;
use super::model::ui::View;
use super::split::{Axis, Part, Splits, Stack};
use super::target::{Target, Targets};
use super::theme::{Meaning, Theme};
use crate::text::printable;

/// A frame's cells and the theme that colours them.
pub struct Canvas<'a> {
    /// The cells.
    pub buf: &'a mut Buffer,
    /// The colours.
    pub theme: &'a Theme,
    /// With how many dots in a cell charts are drawn. Everything else is drawn as if all could be shown.
    pub glyphs: Glyphs,
    /// Whether nothing that is drawn is live, in a word with how long not: frames of panels then say so.
    pub stale: Option<String>,
    /// The keys that panels name.
    pub keys: Keys,
    /// What can be clicked, as it is drawn: what is drawn later lies above.
    pub targets: Targets,
}

/// A piece of text and what it means.
pub type Piece<'a> = (Cow<'a, str>, Meaning);

/// A piece of text and what it means.
pub fn piece<'a>(text: impl Into<Cow<'a, str>>, meaning: Meaning) -> Piece<'a> {
    (text.into(), meaning)
}

/// How a panel's frame looks.
#[derive(Debug, Clone, Default)]
pub struct Head<'a> {
    /// The view that shows it alone.
    pub view: Option<View>,
    /// Its name.
    pub title: &'a str,
    /// A few words beside the name.
    pub note: Vec<Piece<'a>>,
    /// A legend in the lower edge.
    pub legend: &'a str,
    /// Whether the keys act on it.
    pub focused: bool,
}

impl<'a> Canvas<'a> {
    /// Over these cells.
    pub fn new(buf: &'a mut Buffer, theme: &'a Theme, stale: Option<String>) -> Canvas<'a> {
        Canvas {
            buf,
            theme,
            glyphs: Glyphs::default(),
            stale,
            keys: Keys::default(),
            targets: Targets::default(),
        }
    }
}

impl Canvas<'_> {
    /// A click in this area means this.
    pub fn target(&mut self, area: Rect, target: Target) {
        self.targets.add(area, target);
    }

    /// Divides an area among panels; the lines between them can be moved.
    pub fn split<const N: usize>(
        &mut self,
        splits: &Splits,
        of: Stack,
        axis: Axis,
        area: Rect,
        parts: [Part; N],
    ) -> [Rect; N] {
        let (areas, lines) = splits.cut(of, axis, area, parts);
        self.targets.add_lines(lines);
        self.targets.add_parts(of, &areas);
        areas
    }

    /// First line of a text in a window of so many lines, scrolled by so many; beyond its end it does not go.
    pub fn scrolled(&mut self, by: usize, lines: usize, height: usize) -> usize {
        let most = lines.saturating_sub(height);
        self.targets.set_scrolls_to(most);
        by.min(most)
    }

    /// Paints an area with the ground and empties it.
    pub fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.buf.area);
        let style = self.theme.style(Meaning::Text);
        for position in area.positions() {
            self.buf[position].reset();
            self.buf[position].set_style(style);
        }
    }

    /// Writes text into at most `width` columns, cut with `…`; returns the columns used.
    pub fn write(&mut self, x: u16, y: u16, width: u16, text: &str, meaning: Meaning) -> u16 {
        let area = self.buf.area;
        if x < area.x || x >= area.right() || y < area.y || y >= area.bottom() {
            return 0;
        }
        let room = width.min(area.right() - x);
        let fitted = fit(text, room);
        let style = self.theme.style(meaning);
        let (end, _) = self
            .buf
            .set_stringn(x, y, &*fitted, usize::from(room), style);
        end - x
    }

    /// Writes pieces one after the other into at most `width` columns; returns the columns used.
    pub fn pieces(&mut self, x: u16, y: u16, width: u16, pieces: &[Piece<'_>]) -> u16 {
        let mut used = 0;
        for (text, meaning) in pieces {
            if used >= width {
                break;
            }
            used += self.write(x + used, y, width - used, text, *meaning);
        }
        used
    }

    /// Writes text so that it ends at the right edge of the row; returns the columns used.
    pub fn write_right(&mut self, row: Rect, text: &str, meaning: Meaning) -> u16 {
        let width = (self.columns(text)).min(row.width);
        self.write(row.right() - width, row.y, width, text, meaning)
    }

    /// Writes pieces so that they end at the right edge of the row; returns the columns used.
    pub fn pieces_right(&mut self, row: Rect, pieces: &[Piece<'_>]) -> u16 {
        let width = width_of(pieces).min(row.width);
        self.pieces(row.right() - width, row.y, width, pieces)
    }

    /// Writes text in the middle of the row.
    pub fn write_centred(&mut self, row: Rect, text: &str, meaning: Meaning) {
        let width = self.columns(text).min(row.width);
        let x = row.x + (row.width - width) / 2;
        self.write(x, row.y, width, text, meaning);
    }

    /// Columns that a text will take.
    pub fn columns(&self, text: &str) -> u16 {
        columns(&harmless(text, 4_000))
    }

    /// Colours what is drawn in a row without changing it.
    pub fn overlay(&mut self, area: Rect, meaning: Meaning) {
        self.buf.set_style(
            area.intersection(self.buf.area),
            self.theme.overlay(meaning),
        );
    }

    /// A bar that is `ratio` full; readable without colour.
    pub fn bar(&mut self, x: u16, y: u16, width: u16, ratio: f64, meaning: Meaning) {
        let ratio = if ratio.is_finite() {
            ratio.clamp(0.0, 1.0)
        } else {
            0.0
        };
        let halves = (f64::from(width) * 2.0 * ratio).floor() as u16;
        let full = "█".repeat(usize::from(halves / 2));
        let half = if halves % 2 == 1 { "▌" } else { "" };
        let used = self.write(x, y, width, &format!("{full}{half}"), meaning);
        let rest = "░".repeat(usize::from(width.saturating_sub(used)));
        self.write(
            x + used,
            y,
            width.saturating_sub(used),
            &rest,
            Meaning::Border,
        );
    }

    /// A panel's frame; returns the area inside.
    pub fn panel(&mut self, area: Rect, head: &Head<'_>) -> Rect {
        let area = area.intersection(self.buf.area);
        if area.width < 2 || area.height < 2 {
            return Rect {
                width: 0,
                height: 0,
                ..area
            };
        }
        self.targets.add_panel(area);
        let edge = if head.focused {
            Meaning::Focus
        } else {
            Meaning::Border
        };
        self.frame(area, edge, head.focused);
        if head.focused {
            self.targets.set_focused(area);
        }
        let inner_width = area.width - 2;
        let mut title = Vec::new();
        if let Some(view) = head.view {
            let key = self.keys.shown(Do::Show(view));
            title.push(piece(format!(" {key}"), Meaning::Key));
        }
        title.push(piece(format!(" {} ", head.title), Meaning::Title));
        let mut note = head.note.clone();
        if width_of(&note) > 0 {
            note.push(piece(" ", Meaning::Text));
        }
        let stale = self.stale_word(inner_width.saturating_sub(width_of(&title)));
        let room = inner_width - stale.as_deref().map_or(0, columns);
        // What is not live any more is said before what it said when it was.
        if stale.is_none() || width_of(&title) + width_of(&note) <= room {
            title.extend(note);
        }
        self.pieces(area.x + 1, area.y, room, &title);
        if let Some(stale) = stale {
            let edge = Rect::new(area.x + 1, area.y, inner_width, 1);
            self.write_right(edge, &stale, Meaning::Stale);
        }
        if columns(head.legend) + 4 <= area.width {
            let row = Rect::new(area.x + 1, area.bottom() - 1, inner_width - 1, 1);
            self.write_right(row, head.legend, Meaning::Muted);
        }
        Rect::new(area.x + 1, area.y + 1, inner_width, area.height - 2)
    }

    /// That nothing here is live (a word), and since when where there is room for that, too.
    fn stale_word(&self, room: u16) -> Option<String> {
        let since = self.stale.clone()?;
        let word = since.split_whitespace().next().unwrap_or_default();
        let word = format!(" {word} ");
        [since, word].into_iter().find(|w| columns(w) <= room)
    }

    fn frame(&mut self, area: Rect, edge: Meaning, heavy: bool) {
        let [h, v, nw, ne, sw, se] = if heavy {
            ["━", "┃", "┏", "┓", "┗", "┛"]
        } else {
            ["─", "│", "┌", "┐", "└", "┘"]
        };
        let style = self.theme.style(edge);
        for x in area.left()..area.right() {
            self.buf[(x, area.top())].set_symbol(h).set_style(style);
            self.buf[(x, area.bottom() - 1)]
                .set_symbol(h)
                .set_style(style);
        }
        for y in area.top()..area.bottom() {
            self.buf[(area.left(), y)].set_symbol(v).set_style(style);
            self.buf[(area.right() - 1, y)]
                .set_symbol(v)
                .set_style(style);
        }
        let (right, bottom) = (area.right() - 1, area.bottom() - 1);
        self.buf[(area.left(), area.top())].set_symbol(nw);
        self.buf[(right, area.top())].set_symbol(ne);
        self.buf[(area.left(), bottom)].set_symbol(sw);
        self.buf[(right, bottom)].set_symbol(se);
    }
}

/// Columns that pieces take.
pub fn width_of(pieces: &[Piece<'_>]) -> u16 {
    pieces
        .iter()
        .map(|(t, _)| columns(&harmless(t, 4_000)))
        .fold(0, u16::saturating_add)
}

/// Columns that a harmless text takes.
pub fn columns(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The text made harmless, and cut to so many columns with `…`; never within a number, which would be another number.
pub fn fit(text: &str, width: u16) -> Cow<'_, str> {
    let clean = harmless(text, usize::from(width) * 4 + 4);
    if columns(&clean) <= width {
        return clean;
    }
    if width == 0 {
        return Cow::Borrowed("");
    }
    let (kept, gone) = clean.split_at(prefix(&clean, width - 1));
    let is_digit = |c: char| c.is_ascii_digit();
    let parts = |c: char| ".,:".contains(c);
    let in_number = kept.ends_with(is_digit) || kept.ends_with(parts) && gone.starts_with(is_digit);
    let kept = match in_number {
        true => kept.trim_end_matches(|c: char| is_digit(c) || parts(c)),
        false => kept,
    };
    let kept = &clean[..begin_of_groups(&clean, kept.len())];
    Cow::Owned(format!("{kept}…"))
}

/// Where a number in groups of three digits begins, as `format::count` writes it, if a text is cut in front of one of its groups; else
/// where it is cut.
fn begin_of_groups(text: &str, cut: usize) -> usize {
    let mut begin = cut;
    loop {
        let is_digit = |b: &u8| b.is_ascii_digit();
        let after = text.as_bytes()[begin..].iter().take_while(|b| is_digit(b));
        let Some(before) = text[..begin]
            .strip_suffix(' ')
            .filter(|_| after.count() == 3)
        else {
            return begin;
        };
        let group = before.bytes().rev().take_while(|b| is_digit(b)).count();
        let rest = &before[..before.len() - group];
        // Such as `D2 120 rows`: a name that ends with a digit.
        if !(1..=3).contains(&group) || rest.ends_with(char::is_alphanumeric) {
            return begin;
        }
        begin = rest.len();
    }
}

/// Lines of at most `width` columns, broken at spaces where there are any; at most `limit` of them, the last cut with `…`.
pub fn wrap(text: &str, width: u16, limit: usize) -> Vec<String> {
    let clean = harmless(text, usize::from(width) * (limit + 1) * 4 + 4);
    let mut rest = clean.trim_end();
    let mut lines = Vec::new();
    while !rest.is_empty() && lines.len() < limit && width > 0 {
        if columns(rest) <= width {
            lines.push(rest.to_owned());
            break;
        }
        if lines.len() + 1 == limit {
            lines.push(fit(rest, width).into_owned());
            break;
        }
        let most = prefix(rest, width);
        let fits_whole = rest[most..].starts_with(' ');
        let end = match rest[..most].rfind(' ') {
            _ if fits_whole => most,
            Some(space) if space > 0 => space,
            // A character wider than the row would otherwise never go anywhere.
            _ => most.max(rest.chars().next().map_or(1, char::len_utf8)),
        };
        lines.push(rest[..end].trim_end().to_owned());
        rest = rest[end..].trim_start();
    }
    lines
}

/// Bytes of the longest prefix that takes at most so many columns.
fn prefix(text: &str, width: u16) -> usize {
    let mut end = 0;
    for (at, c) in text.char_indices() {
        let next = at + c.len_utf8();
        if columns(&text[..next]) > width {
            break;
        }
        end = next;
    }
    end
}

fn harmless(text: &str, limit: usize) -> Cow<'_, str> {
    let plain = |b: u8| (0x20..0x7f).contains(&b);
    if text.len() <= limit && text.bytes().all(plain) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(printable(text, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_columns_not_by_characters() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("日本語", 4), "日…");
        assert_eq!(fit("日本語", 1), "…");
        assert_eq!(fit("e\u{301}tude", 5), "e\u{301}tude");
        assert_eq!(fit("x", 0), "");
        assert_eq!(fit("after 0.24 %", 12), "after 0.24 %");
        assert_eq!(fit("after 0.24 %", 11), "after …");
        assert_eq!(fit("503 for 0:41", 11), "503 for …");
        assert_eq!(fit("123456", 4), "…");
        for width in 10..20 {
            assert_eq!(fit("D2 done: 1 234 567 rows", width), "D2 done: …");
        }
        assert_eq!(fit("D2 done: 1 234 567 rows", 20), "D2 done: 1 234 567 …");
        assert_eq!(fit("step D2 120 rows", 9), "step D2 …");
        assert_eq!(fit("日本 1 234 567", 10), "日本 …");
    }

    #[test]
    fn wraps_at_spaces_and_cuts_the_last_line() {
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3, 9), ["abc", "def", "gh"]);
        assert_eq!(wrap("one two three four", 7, 2), ["one two", "three …"]);
        assert_eq!(wrap("日本語", 1, 5), ["日", "本", "語"]);
        assert!(wrap("", 7, 2).is_empty());
        assert!(wrap("text", 0, 2).is_empty());
    }

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        let theme = Theme::standard();
        let mut buf = Buffer::empty(Rect::new(0, 0, 40, 2));
        let mut canvas = Canvas::new(&mut buf, &theme, None);
        canvas.write(
            0,
            0,
            40,
            "\u{1b}]52;c;x\u{7}\u{9b}31m\u{202e}",
            Meaning::Text,
        );
        canvas.write(0, 1, 40, "long ".repeat(3_000).as_str(), Meaning::Text);
        for cell in &buf.content {
            assert!(
                cell.symbol()
                    .chars()
                    .all(|c| !c.is_control() && c != '\u{202e}')
            );
        }
        assert_eq!(buf[(0, 0)].symbol(), "\\");
        assert_eq!(buf[(39, 1)].symbol(), "…");
    }
}
