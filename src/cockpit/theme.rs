//! Colours by meaning. A theme is a TOML file: a palette, a parent, and a style for each of the meanings; seven are embedded.
//! A broken theme warns and falls back, and never keeps anybody from the bridge.
//!
//! Not in here: glyphs and words. Every meaning is said by one of those too, so that `mono` and `NO_COLOR` lose nothing.

mod depth;
mod parse;

use std::path::Path;

use ratatui::style::{Color, Modifier, Style};

pub use depth::Depth;
pub use parse::ThemeError;

/// What a piece of the screen means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Meaning {
    /// Plain text, and the ground under everything.
    Text,
    /// Less important text.
    Muted,
    /// What the eye should find first, without alarm.
    Accent,
    /// Heads of panels.
    Title,
    /// Frames of panels.
    Border,
    /// The frame of the panel that the keys act on.
    Focus,
    /// Keys in footer, help and hints.
    Key,
    /// The selected row.
    Selection,
    /// What a person types.
    Input,
    /// Good.
    Ok,
    /// Wants attention.
    Warn,
    /// Bad.
    Danger,
    /// Cannot be missed with the eyes half closed.
    Alarm,
    /// Being done now.
    Running,
    /// Nobody knows.
    Unknown,
    /// Was true when the engine was last heard.
    Stale,
    /// The sandbox and its speed.
    Sandbox,
    /// The baseline in a chart.
    Baseline,
    /// A threshold in a chart.
    Threshold,
    /// The lowest of several series: p50, idle.
    Low,
    /// The middle of several series: p95, active.
    Middle,
    /// The highest of several series: p99, waiting, errors.
    High,
}

impl Meaning {
    /// Every meaning and its name in a theme file.
    pub const ALL: [(Meaning, &'static str); 22] = [
        (Meaning::Text, "text"),
        (Meaning::Muted, "muted"),
        (Meaning::Accent, "accent"),
        (Meaning::Title, "title"),
        (Meaning::Border, "border"),
        (Meaning::Focus, "focus"),
        (Meaning::Key, "key"),
        (Meaning::Selection, "selection"),
        (Meaning::Input, "input"),
        (Meaning::Ok, "ok"),
        (Meaning::Warn, "warn"),
        (Meaning::Danger, "danger"),
        (Meaning::Alarm, "alarm"),
        (Meaning::Running, "running"),
        (Meaning::Unknown, "unknown"),
        (Meaning::Stale, "stale"),
        (Meaning::Sandbox, "sandbox"),
        (Meaning::Baseline, "baseline"),
        (Meaning::Threshold, "threshold"),
        (Meaning::Low, "low"),
        (Meaning::Middle, "middle"),
        (Meaning::High, "high"),
    ];

    fn named(name: &str) -> Option<Meaning> {
        Meaning::ALL
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(m, _)| *m)
    }
}

/// A style for every meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// As chosen.
    pub name: String,
    styles: [Style; Meaning::ALL.len()],
}

/// Names and texts of the embedded themes.
const EMBEDDED: [(&str, &str); 7] = [
    ("default", include_str!("../../themes/default.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
    (
        "high-contrast",
        include_str!("../../themes/high-contrast.toml"),
    ),
    (
        "colour-blind",
        include_str!("../../themes/colour-blind.toml"),
    ),
    ("gruvbox", include_str!("../../themes/gruvbox.toml")),
    ("catppuccin", include_str!("../../themes/catppuccin.toml")),
];

impl Theme {
    /// Names of the themes that need no file.
    pub fn embedded() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// A theme by name, or from a TOML file.
    ///
    /// # Errors
    /// [`ThemeError`] names file, key and what is wrong.
    pub fn load(name: &str) -> Result<Theme, ThemeError> {
        parse::load(name)
    }

    /// The theme to use and, where that is not the one that was asked for, why. `no_color` asks for one without colours.
    pub fn choose(asked: Option<&str>, no_color: bool, depth: Depth) -> (Theme, Option<String>) {
        let name = if no_color {
            "mono"
        } else {
            asked.unwrap_or("default")
        };
        match Theme::load(name) {
            Ok(theme) => (theme.at_depth(depth), None),
            Err(error) => (
                Theme::standard().at_depth(depth),
                Some(format!("{error}; using the default theme")),
            ),
        }
    }

    /// The embedded default.
    pub fn standard() -> Theme {
        Theme::load("default").expect("BUG: the embedded default theme is sound")
    }

    /// How to draw what means this, on the ground of plain text. Whole: nothing shines through of what was drawn there before.
    pub fn style(&self, meaning: Meaning) -> Style {
        let base = self.styles[Meaning::Text as usize];
        let style = base.patch(self.styles[meaning as usize]);
        Style {
            fg: style.fg.or(Some(Color::Reset)),
            bg: style.bg.or(Some(Color::Reset)),
            sub_modifier: Modifier::all() - style.add_modifier,
            ..style
        }
    }

    /// Only what this meaning sets itself; for patching over something drawn.
    pub fn overlay(&self, meaning: Meaning) -> Style {
        self.styles[meaning as usize]
    }

    /// The ground: colour of text and background.
    pub fn ground(&self) -> (Color, Color) {
        let base = self.styles[Meaning::Text as usize];
        (
            base.fg.unwrap_or(Color::Reset),
            base.bg.unwrap_or(Color::Reset),
        )
    }

    /// The same theme with the colours that a terminal can show.
    pub fn at_depth(mut self, depth: Depth) -> Theme {
        for style in &mut self.styles {
            style.fg = style.fg.map(|c| depth.reduce(c));
            style.bg = style.bg.map(|c| depth.reduce(c));
        }
        if depth == Depth::Sixteen {
            // Sixteen colours cannot paint a ground that suits them all; the terminal's own does.
            let base = &mut self.styles[Meaning::Text as usize];
            (base.fg, base.bg) = (None, None);
        }
        self
    }
}

/// The text of an embedded theme.
fn embedded(name: &str) -> Option<&'static str> {
    EMBEDDED.iter().find(|(n, _)| *n == name).map(|(_, t)| *t)
}

/// Whether this names a file rather than an embedded theme.
fn is_path(name: &str) -> bool {
    name.contains('/') || Path::new(name).extension().is_some()
}

#[cfg(test)]
mod tests;
