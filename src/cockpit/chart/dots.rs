//! The dots of a chart's lines, as many in a cell as the terminal's glyphs can show. Not in here: which dots are set.

use ratatui::layout::Rect;

use crate::cockpit::glyphs::Glyphs;

/// Dots in a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grain {
    /// Beside each other.
    pub across: u16,
    /// One above the other.
    pub down: u16,
}

impl Grain {
    /// As fine as these glyphs can be told apart.
    pub fn of(glyphs: Glyphs) -> Grain {
        let (across, down) = match glyphs {
            Glyphs::Braille => (2, 4),
            Glyphs::Blocks => (1, 2),
            Glyphs::Ascii => (1, 3),
        };
        Grain { across, down }
    }
}

/// Dots of a plot.
pub struct Dots {
    /// Dots from its left to its right edge.
    pub width: i64,
    /// Dots from its lower to its upper edge.
    pub height: i64,
    grain: Grain,
    glyphs: Glyphs,
    /// By rows; a bit for each dot, column by column and from above.
    cells: Vec<u8>,
}

impl Dots {
    /// None is set.
    pub fn new(plot: Rect, glyphs: Glyphs) -> Dots {
        let grain = Grain::of(glyphs);
        Dots {
            width: i64::from(plot.width) * i64::from(grain.across),
            height: i64::from(plot.height) * i64::from(grain.down),
            grain,
            glyphs,
            cells: vec![0; plot.area() as usize],
        }
    }

    /// A line without holes between two dots; `y` counts from below.
    pub fn join(&mut self, (x0, y0): (i64, i64), (x1, y1): (i64, i64)) {
        let steps = (x1 - x0).abs().max((y1 - y0).abs()).max(1);
        for i in 0..=steps {
            self.set(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
        }
    }

    fn set(&mut self, x: i64, y: i64) {
        if !(0..self.width).contains(&x) || !(0..self.height).contains(&y) {
            return;
        }
        let (across, down) = (i64::from(self.grain.across), i64::from(self.grain.down));
        let from_above = self.height - 1 - y;
        let cell = (from_above / down) * (self.width / across) + x / across;
        self.cells[cell as usize] |= 1 << ((x % across) * down + from_above % down);
    }

    /// Cells in which there is a dot, by their number, and their glyphs.
    pub fn drawn(&self) -> impl Iterator<Item = (usize, char)> + '_ {
        let set = self
            .cells
            .iter()
            .enumerate()
            .filter(|(_, bits)| **bits != 0);
        set.map(|(n, bits)| (n, glyph(self.glyphs, *bits)))
    }
}

fn glyph(glyphs: Glyphs, bits: u8) -> char {
    match (glyphs, bits) {
        (Glyphs::Braille, bits) => braille(bits),
        (Glyphs::Blocks, 0b01) => '▀',
        (Glyphs::Blocks, 0b10) => '▄',
        (Glyphs::Blocks, _) => '█',
        // Where a line changes from one height to the next within a cell, the outer one is seen.
        (Glyphs::Ascii, 0b001 | 0b011) => '\'',
        (Glyphs::Ascii, 0b010) => '-',
        (Glyphs::Ascii, 0b100 | 0b110) => '.',
        (Glyphs::Ascii, 0b101) => ':',
        (Glyphs::Ascii, _) => '|',
    }
}

/// Braille numbers the lowest dots last, since it once had but three rows.
fn braille(bits: u8) -> char {
    const OF: [u8; 8] = [0x01, 0x02, 0x04, 0x40, 0x08, 0x10, 0x20, 0x80];
    let dots = (0..8).filter(|n| bits >> n & 1 == 1).map(|n| OF[n]);
    let all = dots.fold(0, |all, dot| all | dot);
    char::from_u32(0x2800 + u32::from(all)).unwrap_or(' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(glyphs: Glyphs, width: u16, height: u16) -> String {
        let mut dots = Dots::new(Rect::new(0, 0, width, height), glyphs);
        dots.join((0, 0), (dots.width - 1, dots.height - 1));
        let mut cells = vec![' '; usize::from(width * height)];
        for (n, glyph) in dots.drawn() {
            cells[n] = glyph;
        }
        let rows = cells.chunks(usize::from(width));
        let rows: Vec<String> = rows.map(|row| row.iter().collect()).collect();
        rows.join("\n")
    }

    #[test]
    fn a_line_rises_from_corner_to_corner() {
        assert_eq!(drawn(Glyphs::Braille, 4, 2), "  ⡠⠊\n⡠⠊  ");
        assert_eq!(drawn(Glyphs::Blocks, 4, 2), "  ▄▀\n▄▀  ");
        assert_eq!(drawn(Glyphs::Ascii, 6, 2), "   .-'\n.-'   ");
        assert_eq!(drawn(Glyphs::Ascii, 1, 2), "|\n|");
        assert_eq!(drawn(Glyphs::Blocks, 1, 1), "█");
    }
}
