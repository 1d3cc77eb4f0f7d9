//! Which glyphs a terminal can show, and what stands in for those that it cannot. Pure: the environment comes in as a value.
//!
//! Panels are written as if everything could be shown; what cannot is replaced in the finished frame, cell by cell and in one place.
//! Only charts draw otherwise from the start (`chart`): no single cell can stand in for another's dots. Not in here: colours (`theme`).

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::canvas::columns;

/// What a terminal can show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Everything, Braille too.
    #[default]
    Braille,
    /// What the Linux console's own font has: code page 437, with half blocks and box lines, without Braille and check marks.
    Blocks,
    /// ASCII and nothing else.
    Ascii,
}

/// Somebody asks for glyphs that there are not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are no glyphs “{asked}”: braille, blocks or ascii")]
pub struct UnknownGlyphs {
    /// What was asked for.
    pub asked: String,
}

/// Our own glyphs that not every terminal can show, and for each what stands in for it in code page 437 and in ASCII.
///
/// A bound becomes an about in ASCII: what is at most 44 is not less than 44.
///
/// Each takes one column as its original does. Those that stand beside each other in a list stay different from each other.
#[rustfmt::skip]
const OWN: &[(char, char, char)] = &[
    // Marks.
    ('✓', '√', '+'), ('✗', 'x', 'x'), ('·', '·', '.'), ('▸', '►', '>'), ('»', '»', '-'), ('■', '■', '#'),
    ('▪', '■', '*'), ('▲', '▲', '^'), ('●', '•', '*'), ('○', '○', 'o'), ('◌', '○', 'o'), ('◆', '♦', '@'),
    ('↻', '↕', 'o'), ('◂', '◄', '<'), ('‖', '║', '|'), ('▏', '│', '_'),
    // Punctuation and signs.
    ('…', '~', '~'), ('–', '-', '-'), ('—', '-', '-'), ('×', 'x', 'x'), ('≥', '≥', '~'), ('≤', '≤', '~'), ('≈', '≈', '~'),
    ('→', '→', '>'), ('←', '←', '<'), ('↑', '↑', '^'), ('↓', '↓', 'v'), ('“', '"', '"'), ('”', '"', '"'), ('’', '\'', '\''),
    // Frames, the heavy one around what the keys act on.
    ('─', '─', '-'), ('│', '│', '|'), ('┌', '┌', '+'), ('┐', '┐', '+'), ('└', '└', '+'), ('┘', '┘', '+'), ('┼', '┼', '+'),
    ('━', '═', '='), ('┃', '║', '|'), ('┏', '╔', '#'), ('┓', '╗', '#'), ('┗', '╚', '#'), ('┛', '╝', '#'),
    // Thresholds and baselines.
    ('╌', '─', '='), ('┈', '·', '~'),
    // Bars, shades and large letters.
    ('█', '█', '#'), ('▓', '▓', '*'), ('▒', '▒', '='), ('░', '░', '-'), ('▌', '▌', '='), ('▀', '▀', '"'), ('▄', '▄', '_'),
];

/// What stands for foreign text that cannot be shown, in each of its columns.
const FOREIGN: char = '?';

impl Glyphs {
    /// Every kind and its name.
    pub const ALL: [(Glyphs, &str); 3] = [
        (Glyphs::Braille, "braille"),
        (Glyphs::Blocks, "blocks"),
        (Glyphs::Ascii, "ascii"),
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Result<Glyphs, UnknownGlyphs> {
        let found = Glyphs::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(kind, _)| *kind).ok_or_else(|| UnknownGlyphs {
            asked: name.to_owned(),
        })
    }

    /// What the environment says of the terminal: its locale's encoding, and which terminal it is.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Glyphs {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        // As the C library reads them, the first that is set decides. Where none is (a container, a shell over SSH that passes none on)
        // nothing has been said of the terminal, and what people sit at today reads UTF-8.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set);
        let is_utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        let term = set(&"TERM").unwrap_or_default();
        if !is_utf8 || term.is_empty() || term == "dumb" {
            Glyphs::Ascii
        } else if is_console(&term) {
            Glyphs::Blocks
        } else {
            Glyphs::Braille
        }
    }

    /// What is asked for, else what the terminal can show; and why it is not what was asked for, where it is not.
    pub fn choose(
        asked: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Glyphs, Option<String>) {
        match asked.map(Glyphs::named) {
            Some(Ok(kind)) => (kind, None),
            None => (Glyphs::of(variable), None),
            Some(Err(error)) => {
                let kind = Glyphs::of(variable);
                let warning = format!("{error}; using {}", kind.name());
                (kind, Some(warning))
            }
        }
    }

    /// As it is asked for.
    pub fn name(self) -> &'static str {
        let found = Glyphs::ALL.iter().find(|(kind, _)| *kind == self);
        found.expect("BUG: every kind has a name").1
    }

    /// Whether a terminal of this kind shows the character.
    pub fn shows(self, c: char) -> bool {
        match self {
            Glyphs::Braille => true,
            Glyphs::Blocks => is_plain(c) || is_in_code_page_437(c),
            Glyphs::Ascii => is_plain(c),
        }
    }

    /// The character, or what stands in for it.
    pub fn instead_of(self, c: char) -> char {
        if self.shows(c) {
            return c;
        }
        let own = OWN.iter().find(|(own, ..)| *own == c);
        match (own, self) {
            (Some((_, blocks, _)), Glyphs::Blocks) => *blocks,
            (Some((_, _, ascii)), Glyphs::Ascii) => *ascii,
            _ => FOREIGN,
        }
    }

    /// Replaces in a finished frame what the terminal cannot show. Every column keeps its place.
    pub fn put_on(self, buf: &mut Buffer) {
        if self == Glyphs::Braille {
            return;
        }
        let Rect {
            x: left, y: top, ..
        } = buf.area;
        for y in top..buf.area.bottom() {
            let mut x = left;
            while x < buf.area.right() {
                x += self.put_at(buf, (x, y));
            }
        }
    }

    /// Replaces what stands in a cell, and in those beside it that it covers; returns its columns.
    fn put_at(self, buf: &mut Buffer, (x, y): (u16, u16)) -> u16 {
        let symbol = buf[(x, y)].symbol();
        if symbol.len() == 1 {
            return 1;
        }
        let wide = columns(symbol).max(1).min(buf.area.right() - x);
        // What is combined with it cannot be shown with it.
        let first = symbol.chars().next().unwrap_or(' ');
        let shown = self.instead_of(first);
        let style = buf[(x, y)].style();
        for n in 0..wide {
            buf[(x + n, y)].set_char(shown).set_style(style);
        }
        wide
    }
}

/// A terminal of letters whose font is that of a console, or of hardware.
fn is_console(term: &str) -> bool {
    let numbered = |family: &str| {
        let rest = term.strip_prefix(family);
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    term == "linux" || term.starts_with("linux-") || numbered("cons") || numbered("vt")
}

/// Beyond ASCII; what the kernel's own font of the Linux console has.
#[rustfmt::skip]
fn is_in_code_page_437(c: char) -> bool {
    matches!(c,
        '¡'..='£' | '¥' | '§' | 'ª'..='¬' | '°'..='²' | 'µ' | '·' | 'º'..='½' | '¿' | 'Ä'..='Ç' | 'É' | 'Ñ' | 'Ö' | 'Ü'
        | 'ß'..='â' | 'ä'..='ï' | 'ñ'..='ô' | 'ö'..='÷' | 'ù'..='ü' | 'ÿ' | 'ƒ' | 'Γ' | 'Θ' | 'Σ' | 'Φ' | 'Ω' | 'α' | 'β' | 'δ' | 'ε'
        | 'π' | 'σ' | 'τ' | 'φ' | '•' | 'ⁿ' | '₧' | '←'..='↕' | '∙' | '√' | '∞' | '∩' | '≈' | '≡' | '≤' | '≥' | '⌐'
        | '─' | '│' | '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' | '═'..='╬' | '▀' | '▄' | '█' | '▌' | '▐'..='▓' | '■'
        | '▲' | '►' | '▼' | '◄' | '○' | '♦')
}

fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~')
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// `LC_ALL`, `LC_CTYPE`, `LANG`, `TERM`; what can be shown then.
    #[rustfmt::skip]
    const CASES: &[([&str; 4], Glyphs)] = &[
        (["", "", "en_GB.UTF-8", "xterm-256color"], Glyphs::Braille),
        (["", "", "C.utf8", "tmux-256color"], Glyphs::Braille),
        (["", "UTF-8", "", "alacritty"], Glyphs::Braille),
        (["", "", "de_DE.UTF-8@euro", "vte-256color"], Glyphs::Braille),
        (["C.UTF-8", "C", "C", "screen"], Glyphs::Braille),
        (["", "", "en_GB.UTF-8", "linux"], Glyphs::Blocks),
        (["", "", "en_GB.UTF-8", "linux-16color"], Glyphs::Blocks),
        (["", "", "en_GB.UTF-8", "cons25"], Glyphs::Blocks),
        (["", "", "en_GB.UTF-8", "vt220"], Glyphs::Blocks),
        (["C", "", "en_GB.UTF-8", "xterm-256color"], Glyphs::Ascii),
        (["", "POSIX", "en_GB.UTF-8", "xterm-256color"], Glyphs::Ascii),
        (["", "", "de_DE.ISO-8859-1", "xterm"], Glyphs::Ascii),
        (["", "", "en_GB", "xterm"], Glyphs::Ascii),
        (["", "", "C", "linux"], Glyphs::Ascii),
        (["", "", "", "xterm-256color"], Glyphs::Braille),
        (["", "", "", "linux"], Glyphs::Blocks),
        (["", "", "", ""], Glyphs::Ascii),
        (["", "", "en_GB.UTF-8", "dumb"], Glyphs::Ascii),
    ];

    #[test]
    fn takes_the_environment_at_its_word() {
        for (values, wanted) in CASES {
            let variable = |name: &str| {
                let names = ["LC_ALL", "LC_CTYPE", "LANG", "TERM"];
                let at = names.iter().position(|known| *known == name);
                at.map(|at| values[at].to_owned())
            };
            assert_eq!(Glyphs::of(variable), *wanted, "{values:?}");
        }
        assert_eq!(Glyphs::of(|_| None), Glyphs::Ascii);
    }

    #[test]
    fn what_is_asked_for_goes_before_what_was_found() {
        let nothing = |_: &str| None;
        let blocks = Glyphs::choose(Some("blocks"), nothing);
        assert_eq!(blocks, (Glyphs::Blocks, None));
        let (kind, warning) = Glyphs::choose(Some("emoji"), nothing);
        assert_eq!(kind, Glyphs::Ascii);
        assert_eq!(
            warning.as_deref(),
            Some("there are no glyphs “emoji”: braille, blocks or ascii; using ascii")
        );
    }

    #[test]
    fn what_stands_in_can_be_shown_and_takes_one_column() {
        let mut seen = HashSet::new();
        for (own, blocks, ascii) in OWN {
            assert!(seen.insert(own), "{own} twice");
            assert!(Glyphs::Blocks.shows(*blocks), "{own} {blocks}");
            assert!(Glyphs::Ascii.shows(*ascii), "{own} {ascii}");
            let stays = Glyphs::Blocks.shows(*own);
            assert_eq!(stays, own == blocks, "{own} {blocks}");
            for c in [own, blocks, ascii] {
                assert_eq!(columns(&c.to_string()), 1, "{c}");
            }
        }
    }

    /// Marks that tell things apart in one list: steps; fuses; instances; shades; the track of a replay; events; the lines of a chart.
    #[test]
    fn what_is_told_apart_by_its_mark_still_is() {
        let lists = [
            "·▸✓✗»?■",
            "✓▲✗·?",
            "✓✗↻◆?",
            "·░▒▓█",
            "·┼◆▲✗!R█",
            "·✓▪✗▸▲»",
            "╌┈",
            "█▌░",
            "━─",
            "●○",
        ];
        for list in lists {
            for kind in [Glyphs::Blocks, Glyphs::Ascii] {
                let shown: HashSet<char> = list.chars().map(|c| kind.instead_of(c)).collect();
                assert_eq!(shown.len(), list.chars().count(), "{list} {kind:?}");
            }
        }
    }

    #[test]
    fn foreign_text_keeps_its_columns() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 14, 1));
        let style = ratatui::style::Style::new().bold();
        buf.set_string(0, 0, "a日本e\u{301}ü☁\u{fe0f}…z", style);
        let text = |buf: &Buffer| -> String {
            let cells = buf.content.iter();
            cells.map(|cell| cell.symbol().to_owned()).collect()
        };
        let plain = buf.clone();
        Glyphs::Braille.put_on(&mut buf);
        assert_eq!(buf, plain);
        Glyphs::Blocks.put_on(&mut buf);
        assert_eq!(text(&buf), "a????eü??~z   ");
        Glyphs::Ascii.put_on(&mut buf);
        assert_eq!(text(&buf), "a????e???~z   ");
        assert_eq!(buf[(2, 0)].style(), buf[(1, 0)].style());
    }
}
