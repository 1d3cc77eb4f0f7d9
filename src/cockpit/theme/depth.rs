//! How many colours a terminal can show, and the nearest of those. Not in here: which colours a theme wants.

use ratatui::style::Color;

/// How many colours a terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The 16 that every terminal has.
    Sixteen,
}

impl Depth {
    /// What the environment's `COLORTERM` and `TERM` say.
    pub fn of(colorterm: Option<&str>, term: Option<&str>) -> Depth {
        let colorterm = colorterm.unwrap_or_default();
        let term = term.unwrap_or_default();
        if colorterm.contains("truecolor") || colorterm.contains("24bit") || term.contains("direct")
        {
            Depth::True
        } else if term.contains("256") || term.contains("kitty") || term.contains("alacritty") {
            Depth::Indexed
        } else {
            Depth::Sixteen
        }
    }

    /// The nearest colour that can be shown.
    pub fn reduce(self, color: Color) -> Color {
        let Color::Rgb(r, g, b) = color else {
            return color;
        };
        match self {
            Depth::True => color,
            Depth::Indexed => Color::Indexed(indexed(r, g, b)),
            Depth::Sixteen => sixteen(r, g, b),
        }
    }
}

/// The nearest of xterm's colour cube and grey ramp.
fn indexed(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |v: u8| {
        let distance = |s: &u8| v.abs_diff(*s);
        STEPS
            .iter()
            .enumerate()
            .min_by_key(|(_, s)| distance(s))
            .map_or(0, |(i, _)| i)
    };
    let (ri, gi, bi) = (step(r), step(g), step(b));
    let cube = (STEPS[ri], STEPS[gi], STEPS[bi]);
    let mean = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let ramp = (mean.saturating_sub(3) / 10).min(23) as u8;
    let grey = 8 + 10 * ramp;
    if distance((r, g, b), (grey, grey, grey)) < distance((r, g, b), cube) {
        232 + ramp
    } else {
        (16 + 36 * ri + 6 * gi + bi) as u8
    }
}

/// By hue and lightness rather than by distance, which would make every muted colour a grey.
fn sixteen(r: u8, g: u8, b: u8) -> Color {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max - min < 48 {
        return match max {
            0..=63 => Color::Black,
            64..=143 => Color::DarkGray,
            144..=215 => Color::Gray,
            _ => Color::White,
        };
    }
    let middle = (u16::from(max) + u16::from(min)).div_euclid(2) as u8;
    match (r > middle, g > middle, b > middle) {
        (true, true, false) => Color::Yellow,
        (true, false, true) => Color::Magenta,
        (false, true, true) => Color::Cyan,
        (true, false, false) => Color::Red,
        (false, true, false) => Color::Green,
        (false, false, true) => Color::Blue,
        (true, true, true) => Color::White,
        (false, false, false) => Color::Black,
    }
}

fn distance(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let d = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    d(a.0, b.0) + d(a.1, b.1) + d(a.2, b.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_terminal_at_its_word() {
        assert_eq!(Depth::of(Some("truecolor"), Some("xterm")), Depth::True);
        assert_eq!(Depth::of(None, Some("xterm-256color")), Depth::Indexed);
        assert_eq!(Depth::of(None, Some("linux")), Depth::Sixteen);
        assert_eq!(Depth::of(None, None), Depth::Sixteen);
    }

    #[test]
    fn finds_the_nearest() {
        let red = Color::Rgb(0xff, 0x7b, 0x85);
        assert_eq!(Depth::True.reduce(red), red);
        assert_eq!(Depth::Indexed.reduce(red), Color::Indexed(210));
        assert_eq!(Depth::Sixteen.reduce(red), Color::Red);
        assert_eq!(
            Depth::Indexed.reduce(Color::Rgb(8, 8, 8)),
            Color::Indexed(232)
        );
        assert_eq!(Depth::Sixteen.reduce(Color::Green), Color::Green);
    }
}
