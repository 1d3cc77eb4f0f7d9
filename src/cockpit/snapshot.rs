//! A frame as text or as a picture, without a terminal: for tests, reports and the README.
//!
//! Not in here: what is in the frame (`view`).

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::canvas::columns;
use super::model::Model;
use super::theme::Theme;
use super::view;

/// Pixels of a cell.
const CELL_WIDTH: f64 = 8.4;
const CELL_HEIGHT: f64 = 18.0;

/// The frame's cells.
pub fn frame(model: &Model, theme: &Theme, width: u16, height: u16) -> Buffer {
    let mut buf = Buffer::empty(Rect::new(0, 0, width, height));
    view::draw(model, theme, &mut buf);
    buf
}

/// The frame as lines of text, without trailing blanks.
pub fn text(model: &Model, theme: &Theme, width: u16, height: u16) -> String {
    let buf = frame(model, theme, width, height);
    let lines = (0..height).map(|y| {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buf[(x, y)].symbol();
            line.push_str(symbol);
            x += columns(symbol).max(1);
        }
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The frame as an SVG picture.
pub fn svg(model: &Model, theme: &Theme, width: u16, height: u16) -> String {
    let buf = frame(model, theme, width, height);
    let (ink, ground) = theme.ground();
    let (ink, ground) = (hex(ink, "#d7dde8"), hex(ground, "#10141b"));
    let (w, h) = (
        f64::from(width) * CELL_WIDTH,
        f64::from(height) * CELL_HEIGHT,
    );
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.1} {:.1}\" font-family=\"'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{ground}\"/>\n",
        w + 16.0,
        h + 16.0
    );
    for y in 0..height {
        for run in runs(&buf, y) {
            draw_run(&mut out, &run, y, &ink, &ground);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// Neighbouring cells of one style.
struct Run<'a> {
    x: u16,
    width: u16,
    text: String,
    cell: &'a Cell,
}

fn runs(buf: &Buffer, y: u16) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut x = 0;
    while x < buf.area.width {
        let cell = &buf[(x, y)];
        let width = columns(cell.symbol()).max(1);
        let same = |r: &Run<'_>| {
            (r.cell.fg, r.cell.bg, r.cell.modifier) == (cell.fg, cell.bg, cell.modifier)
        };
        match runs.last_mut().filter(|r| same(r)) {
            Some(run) => {
                run.text.push_str(cell.symbol());
                run.width += width;
            }
            None => runs.push(Run {
                x,
                width,
                text: cell.symbol().to_owned(),
                cell,
            }),
        }
        x += width;
    }
    runs
}

fn draw_run(out: &mut String, run: &Run<'_>, y: u16, ink: &str, ground: &str) {
    let cell = run.cell;
    let (mut fg, mut bg) = (hex(cell.fg, ink), hex(cell.bg, ground));
    if cell.modifier.contains(Modifier::REVERSED) {
        std::mem::swap(&mut fg, &mut bg);
    }
    let x = 8.0 + f64::from(run.x) * CELL_WIDTH;
    let top = 8.0 + f64::from(y) * CELL_HEIGHT;
    let width = f64::from(run.width) * CELL_WIDTH;
    if bg != ground {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT:.1}\" fill=\"{bg}\"/>"
        );
    }
    if run.text.trim().is_empty() {
        return;
    }
    let mut attributes = String::new();
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::DIM, " opacity=\"0.6\""),
    ] {
        if cell.modifier.contains(modifier) {
            attributes.push_str(attribute);
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" xml:space=\"preserve\" fill=\"{fg}\"{attributes}>{}</text>",
        top + CELL_HEIGHT * 0.75,
        escape(&run.text)
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A colour as `#rrggbb`; the terminal's own as `default`.
fn hex(color: Color, default: &str) -> String {
    const SIXTEEN: [&str; 16] = [
        "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#cccccc",
        "#767676", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
    ];
    let index = match color {
        Color::Rgb(r, g, b) => return format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(i) if i >= 232 => {
            let grey = 8 + 10 * (i - 232);
            return format!("#{grey:02x}{grey:02x}{grey:02x}");
        }
        Color::Indexed(i) if i >= 16 => {
            let step = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
            let (r, g, b) = ((i - 16) / 36, (i - 16) / 6 % 6, (i - 16) % 6);
            return format!("#{:02x}{:02x}{:02x}", step(r), step(g), step(b));
        }
        Color::Indexed(i) => usize::from(i),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
        Color::Reset => return default.to_owned(),
    };
    SIXTEEN[index].to_owned()
}
