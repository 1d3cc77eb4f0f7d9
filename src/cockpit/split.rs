//! How an area is divided among panels: by their usual sizes, until somebody moves a line between two of them. Pure.
//!
//! Where a line was moved to is kept as a share of the whole, for each arrangement by itself, so that it outlives a change of size. Not
//! in here: which panels there are (`view`), and how lines are moved (`update`).

use ratatui::layout::Rect;

/// What is divided. Arrangements for other sizes of the screen have lines of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stack {
    /// The bridge's three columns.
    Wide,
    /// The first of three.
    WideLeft,
    /// The second of three.
    WideMiddle,
    /// The third of three.
    WideRight,
    /// The bridge's two columns.
    Two,
    /// The first of two.
    TwoLeft,
    /// The second of two.
    TwoRight,
    /// Pool and fleet at the foot of the second.
    TwoFoot,
    /// What is left of the bridge on 80×24, from above.
    Folded,
    /// Its first row.
    FoldedTop,
    /// Gates and steps, where there are few rows.
    Tiny,
    /// Gates above steps, where there are few columns.
    TinyDown,
    /// Tables, and the selected one.
    Data,
    /// Steps, and the selected one.
    Steps,
    /// The same from above, where there are few columns.
    StepsDown,
    /// Gates, and the selected one.
    Gates,
    /// The pool, and the tables of who has it.
    Pool,
    /// Applications and instances beside each other.
    PoolFoot,
    /// The pool, applications, instances.
    PoolDown,
    /// Charts, instances, numbers.
    Traffic,
    /// The two charts.
    Charts,
    /// The two charts from above.
    ChartsDown,
    /// Instances and triggers, and the checklist below them.
    Fleet,
    /// Instances and triggers.
    FleetTop,
    /// Hundreds of instances, and what is below them.
    Crowd,
    /// Triggers and checklist below hundreds of instances.
    CrowdFoot,
}

/// How parts lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Beside each other.
    Across,
    /// One above the other.
    Down,
}

/// A line between two parts of a whole, counted from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    pub of: Stack,
    /// From 0.
    pub n: usize,
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Columns or rows that it has as long as nobody moves a line. The last part has what is left.
    pub usual: u16,
    /// It never gets fewer, unless it usually has fewer here.
    pub least: u16,
}

/// A part of this size.
pub fn part(usual: u16, least: u16) -> Part {
    Part { usual, least }
}

/// A line as it was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    pub line: Line,
    /// How the parts lie that it divides.
    pub axis: Axis,
    pub area: Rect,
    /// Columns or rows of the whole before it.
    pub at: u16,
    /// Where it can be at the least, and at the most.
    pub range: (u16, u16),
}

impl Placed {
    /// The cells by which it is taken: the last of one part and the first of the other.
    pub fn cells(&self) -> Rect {
        let Rect {
            x,
            y,
            width,
            height,
        } = self.area;
        match self.axis {
            Axis::Across => Rect::new(x + self.at - 1, y, 2, height),
            Axis::Down => Rect::new(x, y + self.at - 1, width, 2),
        }
    }

    /// Columns or rows before this place.
    pub fn before(&self, x: u16, y: u16) -> i32 {
        match self.axis {
            Axis::Across => i32::from(x) - i32::from(self.area.x),
            Axis::Down => i32::from(y) - i32::from(self.area.y),
        }
    }

    fn whole(&self) -> u16 {
        length(self.area, self.axis)
    }
}

/// Where lines were moved to. A line that is not named is where it usually is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splits {
    moved: Vec<(Line, Share)>,
    /// These parts have all of their wholes: one panel lies in them.
    whole: Vec<(Stack, usize)>,
}

/// Ten-thousandths of a whole: fine enough that a place on a screen comes back as itself.
type Share = u32;
const WHOLE: Share = 10_000;

impl Splits {
    /// The line is as near to this place as it can be, counted in columns or rows of the whole; returns where that is.
    pub fn put(&mut self, placed: &Placed, at: i32) -> u16 {
        let (least, most) = placed.range;
        let at = at.clamp(i32::from(least), i32::from(most)) as u16;
        let whole = Share::from(placed.whole().max(1));
        let share = (Share::from(at) * WHOLE + whole / 2) / whole;
        self.moved.retain(|(line, _)| *line != placed.line);
        self.moved.push((placed.line, share));
        at
    }

    /// Each of these parts has all of its whole, until others have; lines keep their places.
    pub fn give_all_to(&mut self, parts: &[(Stack, usize)]) {
        self.whole = parts.to_vec();
    }

    /// Whether a part of this has all of it.
    pub fn gives_all_of(&self, of: Stack) -> bool {
        self.whole.iter().any(|(whole, _)| *whole == of)
    }

    /// Whether no line was moved.
    pub fn is_usual(&self) -> bool {
        self.moved.is_empty()
    }

    /// Every line is where it usually is.
    pub fn clear(&mut self) {
        self.moved.clear();
    }

    /// Columns or rows of a whole before this line, if it was moved.
    fn at(&self, line: Line, whole: u16) -> Option<u16> {
        let share = self.moved.iter().find(|(moved, _)| *moved == line)?.1;
        let at = (share * Share::from(whole) + WHOLE / 2) / WHOLE;
        u16::try_from(at).ok()
    }

    /// Divides an area; returns its parts, and the lines between those that are there.
    pub fn cut<const N: usize>(
        &self,
        of: Stack,
        axis: Axis,
        area: Rect,
        parts: [Part; N],
    ) -> ([Rect; N], Vec<Placed>) {
        if let Some((_, only)) = self.whole.iter().find(|(whole, _)| *whole == of) {
            let nothing = Rect {
                width: 0,
                height: 0,
                ..area
            };
            let areas = std::array::from_fn(|n| if n == *only { area } else { nothing });
            return (areas, Vec::new());
        }
        let whole = length(area, axis);
        let mut rest = whole;
        let mut sizes = [0; N];
        for (n, part) in parts.iter().enumerate() {
            sizes[n] = if n + 1 == N {
                rest
            } else {
                part.usual.min(rest)
            };
            rest -= sizes[n];
        }
        let least = |n: usize| parts[n].least.min(sizes[n]);
        let is_moved = |n: &usize| self.at(Line { of, n: *n }, whole).is_some();
        let any = (0..N).any(|n| is_moved(&n));
        let mut places = Vec::new();
        let (mut ends, mut usual, mut before) = ([whole; N], 0, 0);
        for n in 0..N.saturating_sub(1) {
            usual += sizes[n];
            let line = Line { of, n };
            let after: u16 = (n + 1..N).map(least).sum();
            let range = (before + least(n), whole - after);
            let at = self.at(line, whole).unwrap_or(usual);
            ends[n] = if any {
                at.clamp(range.0, range.1)
            } else {
                usual
            };
            before = ends[n];
            if sizes[n] > 0 && sizes[n + 1] > 0 {
                let at = ends[n];
                places.push(Placed {
                    line,
                    axis,
                    area,
                    at,
                    range,
                });
            }
        }
        let begin = |n: usize| if n == 0 { 0 } else { ends[n - 1] };
        let areas = std::array::from_fn(|n| piece(area, axis, begin(n), ends[n] - begin(n)));
        (areas, places)
    }
}

fn length(area: Rect, axis: Axis) -> u16 {
    match axis {
        Axis::Across => area.width,
        Axis::Down => area.height,
    }
}

fn piece(area: Rect, axis: Axis, from: u16, size: u16) -> Rect {
    match axis {
        Axis::Across => Rect {
            x: area.x + from,
            width: size,
            ..area
        },
        Axis::Down => Rect {
            y: area.y + from,
            height: size,
            ..area
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Stack = Stack::WideMiddle;

    fn rows(splits: &Splits, height: u16) -> ([u16; 3], Vec<Placed>) {
        let area = Rect::new(5, 7, 40, height);
        let parts = [part(10, 4), part(8, 3), part(0, 5)];
        let (areas, lines) = splits.cut(OF, Axis::Down, area, parts);
        let mut y = area.y;
        for place in areas {
            assert_eq!((place.x, place.width, place.y), (5, 40, y));
            y = place.bottom();
        }
        assert_eq!(y, area.bottom());
        (areas.map(|a| a.height), lines)
    }

    #[test]
    fn usual_sizes_until_a_line_is_moved() {
        let mut splits = Splits::default();
        let (sizes, lines) = rows(&splits, 30);
        assert_eq!(sizes, [10, 8, 12]);
        assert_eq!(splits.put(&lines[0], 16), 16);
        assert_eq!(
            rows(&splits, 30).0,
            [16, 3, 11],
            "what is after it is pushed"
        );
        assert_eq!(splits.put(&lines[0], 12), 12);
        assert_eq!(rows(&splits, 30).0, [12, 6, 12]);
        assert!(!splits.is_usual());
        splits.clear();
        assert_eq!(rows(&splits, 30).0, [10, 8, 12]);
    }

    #[test]
    fn one_part_can_have_all_and_lines_keep_their_places() {
        let mut splits = Splits::default();
        let lines = rows(&splits, 30).1;
        splits.put(&lines[0], 12);
        splits.give_all_to(&[(Stack::Wide, 0), (OF, 1)]);
        let area = Rect::new(5, 7, 40, 30);
        let parts = [part(10, 4), part(8, 3), part(0, 5)];
        let (areas, lines) = splits.cut(OF, Axis::Down, area, parts);
        assert_eq!(areas.map(Rect::area), [0, 1_200, 0]);
        assert!(lines.is_empty() && areas[1] == area);
        splits.give_all_to(&[]);
        assert_eq!(rows(&splits, 30).0, [12, 6, 12]);
    }

    #[test]
    fn nothing_becomes_too_small_at_any_size() {
        for height in 0..80 {
            let usual = rows(&Splits::default(), height).0;
            for (first, second) in [(0, 0), (0, 99), (99, 0), (99, 99), (11, 3)] {
                let mut splits = Splits::default();
                let lines = rows(&splits, 30).1;
                splits.put(
                    &Placed {
                        range: (0, 30),
                        ..lines[0]
                    },
                    first,
                );
                splits.put(
                    &Placed {
                        range: (0, 30),
                        ..lines[1]
                    },
                    second,
                );
                let (sizes, placed) = rows(&splits, height);
                for (n, least) in [4, 3, 5].into_iter().enumerate() {
                    assert!(sizes[n] >= least.min(usual[n]), "{height}: {sizes:?}");
                }
                assert_eq!(placed.len(), rows(&Splits::default(), height).1.len());
                for line in placed {
                    let (least, most) = line.range;
                    assert!((least..=most).contains(&line.at), "{line:?}");
                }
            }
        }
    }

    #[test]
    fn a_share_outlives_other_sizes_and_comes_back_as_itself() {
        for height in 12..400 {
            for at in 4..height - 8 {
                let mut splits = Splits::default();
                let line = rows(&splits, height).1[0];
                assert_eq!(splits.put(&line, i32::from(at)), at);
                assert_eq!(rows(&splits, height).0[0], at);
            }
        }
        let mut splits = Splits::default();
        let line = rows(&splits, 30).1[0];
        splits.put(&line, 15);
        assert_eq!(rows(&splits, 60).0[0], 30);
        assert_eq!(rows(&splits, 20).0[0], 10);
        assert_eq!(rows(&splits, 30).0[0], 15);
    }
}
