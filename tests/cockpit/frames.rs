//! Every view in every important state: word for word at three sizes, what stands out there, and that a theme changes colours alone.
//!
//! A file for each view and state. What is word for word as in another frame is not kept twice but named: the header is the same in all
//! views of a state, and many views are the same in several states.

use std::collections::BTreeMap;
use std::fmt::Write;

use cutover::cockpit::model::Model;
use cutover::cockpit::model::ui::View;
use cutover::cockpit::snapshot;
use cutover::cockpit::theme::{Depth, Meaning, Theme};
use cutover::cockpit::update::{Message, update};
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};

use super::states;

/// Width and height, and the rows of the header.
const SIZES: [((u16, u16), u16); 3] = [((80, 24), 4), ((120, 40), 5), ((200, 60), 5)];

/// Rows of the footer.
const FOOTER: u16 = 2;

/// At this size it is told what stands out.
const LOUD_AT: (u16, u16) = (120, 40);

/// Every view of every important state; of five hundred instances those in which instances are shown.
fn scenes() -> Vec<(&'static str, View, Model)> {
    let mut all = Vec::new();
    let mut states = states::all();
    states.push(("failed", states::failed()));
    for (name, mut model) in states {
        update(&mut model, Message::Came(Box::default()));
        for view in View::ALL {
            model.ui.view = view;
            all.push((name, view, model.clone()));
        }
    }
    let mut crowd = states::crowd();
    for view in [View::Bridge, View::Pool, View::Traffic, View::Fleet] {
        crowd.ui.view = view;
        all.push(("crowd", view, crowd.clone()));
    }
    all
}

#[test]
fn every_view_in_every_important_state() {
    let probe = Probe::new();
    let mut seen = Seen::default();
    for (state, view, model) in scenes() {
        let name = format!("{}_{state}", view.title().to_lowercase());
        let mut out = String::new();
        for ((width, height), header) in SIZES {
            let text = snapshot::text(&model, &probe.theme, width, height);
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            let _ = writeln!(out, "── {width}×{height} ──");
            seen.add(&mut out, &name, &lines, header, height);
        }
        let (width, height) = LOUD_AT;
        let _ = writeln!(out, "── what stands out at {width}×{height}, by row ──");
        let loud = probe.loud(&snapshot::frame(&model, &probe.theme, width, height));
        seen.add(&mut out, &name, &loud, 5, height);
        insta::with_settings!({
            snapshot_path => "snapshots/frames", prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(name, out);
        });
    }
}

/// Half a number is another number.
#[test]
fn no_number_is_cut_in_half() {
    let probe = Probe::new();
    for (state, view, model) in scenes() {
        for ((width, height), _) in SIZES {
            let text = snapshot::text(&model, &probe.theme, width, height);
            let cut = text.lines().find(|line| {
                let cuts = line.match_indices('…').map(|(at, _)| &line[..at]);
                cuts.into_iter()
                    .any(|kept| kept.ends_with(|c: char| c.is_ascii_digit()))
            });
            assert_eq!(cut, None, "{state}, {view:?} at {width}×{height}");
        }
    }
}

/// What is wrong is in sight however little room there is, and what is left out is counted.
#[test]
fn what_burns_or_is_red_is_never_what_a_small_screen_leaves_out() {
    let probe = Probe::new();
    let few = [
        "T1a",
        "T3a",
        "T3b",
        "M4 Errors: RED",
        "503 for 0:41",
        "more, none burns",
    ];
    let many = [
        "T1a",
        "T3a",
        "1 burns or is blind",
        "M4 Errors: RED",
        "app-252 503 for 0:41",
    ];
    for (mut model, wanted) in [
        (states::burning(), few.as_slice()),
        (states::crowd(), &many),
    ] {
        model.ui.view = View::Fleet;
        let text = snapshot::text(&model, &probe.theme, 80, 24);
        for wanted in wanted {
            assert!(text.contains(wanted), "{wanted}:\n{text}");
        }
    }
    let mut model = states::rolled_back();
    model.ui.view = View::Rollback;
    let text = snapshot::text(&model, &probe.theme, 80, 24);
    for row in [
        "R1 ", "R1+", "R2 ", "R2+", "R3 ", "R4 ", "R4+", "R5 ", "R6 ",
    ] {
        assert!(text.contains(row), "{row}:\n{text}");
    }
}

/// A colour-blind person, a terminal of 1985 and a printer are told the same.
#[test]
fn a_theme_changes_the_colours_of_meanings_and_nothing_else() {
    let probe = Probe::new();
    let looks = |theme: &Theme| -> BTreeMap<_, _> {
        let both = |(meaning, _)| [(meaning, false), (meaning, true)];
        let drawn_with = Meaning::ALL.into_iter().flat_map(both);
        drawn_with.map(|of| (of, look(styled(of, theme)))).collect()
    };
    let families: Vec<_> = families()
        .into_iter()
        .map(|(family, theme)| {
            let looks = looks(&theme);
            (family, theme, looks)
        })
        .collect();
    for (state, view, model) in scenes() {
        for ((width, height), _) in SIZES {
            let meant = snapshot::frame(&model, &probe.theme, width, height);
            let meanings: Vec<_> = meant
                .content
                .iter()
                .map(|cell| probe.meaning(cell))
                .collect();
            for (family, theme, looks) in &families {
                let drawn = snapshot::frame(&model, theme, width, height);
                let cells = meant.content.iter().zip(&meanings).zip(&drawn.content);
                for (n, ((meant, meaning), cell)) in cells.enumerate() {
                    let (x, y) = (n % usize::from(width), n / usize::from(width));
                    let at =
                        || format!("{state}, {view:?} at {width}×{height}, {family}: {x}, {y}");
                    assert_eq!(meant.symbol(), cell.symbol(), "{}", at());
                    let drawn = (cell.fg, cell.bg, cell.modifier);
                    assert_eq!(drawn, looks[meaning], "{}: {meaning:?}", at());
                }
            }
        }
    }
}

/// Beside what the frames mean, by row, this is how they look in each family of themes.
#[test]
fn how_each_family_of_themes_draws_what_is_meant() {
    for (family, theme) in families() {
        let mut out = String::new();
        for (meaning, name) in Meaning::ALL {
            let _ = writeln!(out, "{name:<10} {}", words(theme.style(meaning)));
        }
        let _ = writeln!(
            out,
            "{:<10} {}",
            "selected",
            words(theme.overlay(Meaning::Selection))
        );
        insta::with_settings!({
            snapshot_path => "snapshots/themes", prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(family, out);
        });
    }
}

/// True colours, dark and light and as people know them from their editors; 256 colours; 16; none.
fn families() -> Vec<(String, Theme)> {
    let load = |name: &str| Theme::load(name).expect("embedded");
    let mut all: Vec<_> = Theme::embedded()
        .map(|name| (name.to_owned(), load(name)))
        .collect();
    for (colours, depth) in [("256", Depth::Indexed), ("16", Depth::Sixteen)] {
        for name in ["default", "light"] {
            all.push((format!("{name}-{colours}"), load(name).at_depth(depth)));
        }
    }
    all
}

/// What has been shown already, and where: lines of a header, a body or a footer of some size.
#[derive(Default)]
struct Seen(BTreeMap<Vec<String>, String>);

impl Seen {
    /// Adds a frame's lines in three parts, by name alone where they have been shown before.
    fn add(&mut self, out: &mut String, name: &str, lines: &[String], header: u16, height: u16) {
        let row = |line: &(usize, &String)| match line.1.split_once(' ') {
            // What stands out begins with its row.
            Some((row, _)) if lines.len() != usize::from(height) => row.parse().unwrap_or(line.0),
            _ => line.0,
        };
        let (header, footer) = (usize::from(header), usize::from(height - FOOTER));
        for (part, rows) in [
            ("header", 0..header),
            ("view", header..footer),
            ("footer", footer..usize::MAX),
        ] {
            let of_part = lines
                .iter()
                .enumerate()
                .filter(|line| rows.contains(&row(line)));
            let part_lines: Vec<_> = of_part.map(|(_, line)| line.clone()).collect();
            let is_short = part_lines.len() < 2;
            match self.0.get(&part_lines).filter(|_| !is_short) {
                Some(place) => {
                    let _ = writeln!(out, "({part} as in {place})");
                }
                None => {
                    part_lines.iter().for_each(|line| {
                        let _ = writeln!(out, "{line}");
                    });
                    self.0.insert(part_lines, name.to_owned());
                }
            }
        }
    }
}

/// A theme that tells by a cell's style which meaning it was drawn with, and whether it is in a selected row.
struct Probe {
    theme: Theme,
}

/// Grounds of the probe.
const PLAIN: u8 = 100;
const SELECTED: u8 = 101;

impl Probe {
    fn new() -> Probe {
        let mut text = "[styles]\n".to_owned();
        for (n, (meaning, name)) in Meaning::ALL.into_iter().enumerate() {
            let style = match meaning {
                Meaning::Text => format!("fg = \"{n}\", bg = \"{PLAIN}\""),
                Meaning::Selection => format!("bg = \"{SELECTED}\""),
                _ => format!("fg = \"{n}\""),
            };
            let _ = writeln!(text, "{name} = {{ {style} }}");
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("probe.toml");
        std::fs::write(&path, text).expect("written");
        let theme = Theme::load(path.to_str().expect("UTF-8")).expect("sound");
        Probe { theme }
    }

    /// What a cell was drawn with; every cell was drawn with something.
    fn meaning(&self, cell: &Cell) -> (Meaning, bool) {
        let Color::Indexed(n) = cell.fg else {
            panic!("drawn with a colour that no theme has: {cell:?}");
        };
        assert!(
            cell.modifier.is_empty(),
            "no theme asked for this: {cell:?}"
        );
        let is_selected = match cell.bg {
            Color::Indexed(PLAIN) => false,
            Color::Indexed(SELECTED) => true,
            other => panic!("a ground that no theme has: {other:?}"),
        };
        (Meaning::ALL[usize::from(n)].0, is_selected)
    }

    /// Words that are louder than plain text, by row: `12 warn: 1 BURNING │ danger: T3a`.
    fn loud(&self, buf: &Buffer) -> Vec<String> {
        const QUIET: [Meaning; 5] = [
            Meaning::Text,
            Meaning::Muted,
            Meaning::Border,
            Meaning::Title,
            Meaning::Key,
        ];
        let mut out = Vec::new();
        for y in 0..buf.area.height {
            let mut runs: Vec<((Meaning, bool), String)> = Vec::new();
            for x in 0..buf.area.width {
                let cell = &buf[(x, y)];
                let meaning = self.meaning(cell);
                match runs.last_mut().filter(|(last, _)| *last == meaning) {
                    Some((_, text)) => text.push_str(cell.symbol()),
                    None => runs.push((meaning, cell.symbol().to_owned())),
                }
            }
            let words = runs
                .into_iter()
                .filter_map(|((meaning, is_selected), text)| {
                    let is_quiet = QUIET.contains(&meaning) && !is_selected;
                    let text = text.trim();
                    if is_quiet || text.chars().all(is_line) {
                        return None;
                    }
                    let (_, name) = Meaning::ALL[meaning as usize];
                    let selected = if is_selected { " selected" } else { "" };
                    Some(format!("{name}{selected}: {text}"))
                });
            let words: Vec<_> = words.collect();
            if !words.is_empty() {
                out.push(format!("{y:02} {}", words.join(" │ ")));
            }
        }
        out
    }
}

/// Frames and charts are told in the frame itself.
fn is_line(c: char) -> bool {
    let is_braille = ('\u{2800}'..='\u{28ff}').contains(&c);
    let is_box = ('\u{2500}'..='\u{257f}').contains(&c);
    is_braille || is_box || c == ' '
}

/// How a theme draws what means this, in a selected row or not.
fn styled((meaning, is_selected): (Meaning, bool), theme: &Theme) -> Style {
    let style = theme.style(meaning);
    match is_selected {
        true => style.patch(theme.overlay(Meaning::Selection)),
        false => style,
    }
}

/// What of a style can be seen.
fn look(style: Style) -> (Color, Color, Modifier) {
    (
        style.fg.unwrap_or(Color::Reset),
        style.bg.unwrap_or(Color::Reset),
        style.add_modifier - style.sub_modifier,
    )
}

/// `#d7dde8 on #10141b, bold`.
fn words(style: Style) -> String {
    let (ink, ground, modifiers) = look(style);
    let told = modifiers
        .iter_names()
        .map(|(name, _)| format!(", {}", name.to_lowercase()));
    format!("{ink} on {ground}{}", told.collect::<String>())
}
